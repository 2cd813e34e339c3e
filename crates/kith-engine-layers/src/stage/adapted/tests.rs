//! What adapters do to a stage, sentence by sentence, for a tiny model of every family.

use crate::{
    adapter::{
        Weights,
        tests::{adapter, loaded, matrices, merged, split},
    },
    cache::Track,
    made::{self, LAYERS, Made, VOCABULARY},
    stage::{Next, Reads, Stage, StageOptions, Window},
};
use kith_kernels::{Format, Set};
use std::sync::Arc;

const LENGTH: usize = 90;

fn prompt(seed: u64, length: usize) -> Vec<u32> {
    let mut draw = made::Draw(seed);
    (0..length).map(|_| (draw.next() % VOCABULARY as u64) as u32).collect()
}

fn stage(made: &Made, window: Option<Window>, threads: usize) -> Stage {
    Stage::load(made.file().path(), &StageOptions { window, threads, ..StageOptions::default() }).unwrap()
}

/// The logits after every token, the prompt being read in steps of this size.
fn read(stage: &mut Stage, tokens: &[u32], step: usize, adapter: Option<&Arc<Weights>>) -> Vec<f32> {
    let mut track = Track::of(Vec::new(), 0, adapter.cloned());
    let mut logits = Vec::new();
    for tokens in tokens.chunks(step) {
        stage.step(Reads::Tokens(tokens), &mut [Next { track: &mut track, tokens: tokens.len() }], &|| false).unwrap();
        logits.extend_from_slice(stage.logits(&(0..tokens.len()).collect::<Vec<_>>()).unwrap());
    }
    logits
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// How far the logits of each token are apart, beside their size; the least first.
fn apart(logits: &[f32], wanted: &[f32]) -> Vec<f64> {
    let apart = |(logits, wanted): (&[f32], &[f32])| {
        let square = |a: f32, b: f32| f64::from(a - b).powi(2);
        let apart: f64 = logits.iter().zip(wanted).map(|(a, b)| square(*a, *b)).sum();
        (apart / wanted.iter().map(|b| square(*b, 0.0)).sum::<f64>()).sqrt()
    };
    let mut all: Vec<f64> = logits.chunks(VOCABULARY).zip(wanted.chunks(VOCABULARY)).map(apart).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Every family, and one with a tensor for each expert.
fn models(format: Format) -> impl Iterator<Item = (String, Made)> {
    let experts = split(&Made::new("llama with experts", format, 21));
    made::names()
        .map(move |name| (name.to_owned(), Made::new(name, format, 21)))
        .chain([("llama with an expert a tensor".to_owned(), experts)])
}

#[test]
fn the_logits_are_those_of_the_model_with_the_adapter_folded_in() {
    for (format, most) in [(Format::F32, 2e-3), (Format::Q8_0, 4e-2)] {
        for (name, made) in models(format) {
            let (tokens, changes) = (prompt(1, LENGTH), matrices(&made, 3, 5));
            let wanted = read(&mut stage(&merged(&made, &changes), None, 2), &tokens, LENGTH, None);
            let mut stage = stage(&made, None, 2);
            let adapter = loaded(&stage, adapter("a", changes)).unwrap();
            let adapted = apart(&read(&mut stage, &tokens, LENGTH, Some(&adapter)), &wanted);
            let plain = apart(&read(&mut stage, &tokens, LENGTH, None), &wanted);
            // A router chooses another of two experts that are about equally good for the least difference.
            let routed = made.fields.iter().any(|(name, _)| name.ends_with("expert_count"));
            let at = if routed || format != Format::F32 { LENGTH / 2 } else { LENGTH - 1 };
            assert!(adapted[at] < if routed { 3.0 * most } else { most }, "{name} {format:?}: {}", adapted[at]);
            assert!(plain[0] > 0.1, "{name} {format:?}: without the adapter {}", plain[0]);
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_company_steps_threads_or_instructions() {
    for (name, made) in models(Format::Q4_1) {
        let mut first = stage(&made, None, 1);
        let load = |stage: &Stage| {
            let one = loaded(stage, adapter("one", matrices(&made, 2, 6))).unwrap();
            let some = matrices(&made, 17, 7).into_iter().filter(|matrices| !matrices.target.contains("attn_")).collect();
            [None, Some(one), Some(loaded(stage, adapter("other", some)).unwrap())]
        };
        let adapters = load(&first);
        // Five sequences: two without, two with one adapter, and one with another between them.
        let asked = [(0, 40), (1, 33), (2, 50), (1, 41), (0, 37)];
        let prompts: Vec<Vec<u32>> = asked.iter().zip(8..).map(|((_, length), seed)| prompt(seed, *length)).collect();
        let alone: Vec<Vec<u32>> = asked
            .iter()
            .zip(&prompts)
            .map(|((which, _), prompt)| bits(&read(&mut first, prompt, prompt.len(), adapters[*which].as_ref())))
            .collect();
        assert!(alone[0] != alone[1], "{name}");
        for step in [1, 7] {
            let again = read(&mut stage(&made, None, 3), &prompts[2], step, adapters[2].as_ref());
            assert!(alone[2] == bits(&again), "{name} in steps of {step}");
        }
        for set in Set::available() {
            let again = read(&mut stage(&made, None, 2).with_set(*set), &prompts[1], 20, adapters[1].as_ref());
            assert!(alone[1] == bits(&again), "{name} with {}", set.name());
        }
        let mut together = stage(&made, None, 2);
        let mut tracks: Vec<Track> = asked.iter().map(|(which, _)| Track::of(Vec::new(), 0, adapters[*which].clone())).collect();
        let tokens: Vec<u32> = prompts.concat();
        let mut nexts: Vec<Next<'_>> =
            tracks.iter_mut().zip(&prompts).map(|(track, prompt)| Next { track, tokens: prompt.len() }).collect();
        together.step(Reads::Tokens(&tokens), &mut nexts, &|| false).unwrap();
        // Asked for in another order than they were read.
        let order: Vec<usize> = (0..tokens.len()).rev().collect();
        let logits = together.logits(&order).unwrap();
        let mut ordered: Vec<u32> = logits.chunks(VOCABULARY).rev().flat_map(bits).collect();
        for (alone, number) in alone.iter().zip(0..) {
            let rest = ordered.split_off(alone.len());
            assert!(*alone == ordered, "{name}, sequence {number}");
            ordered = rest;
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_how_the_layers_are_cut() {
    let made = Made::new("qwen3", Format::Q8_0, 22);
    let tokens = prompt(3, LENGTH);
    let mut whole = stage(&made, None, 2);
    let adapter = loaded(&whole, adapter("a", matrices(&made, 4, 8))).unwrap();
    let wanted = bits(&read(&mut whole, &tokens, LENGTH, Some(&adapter)));
    let mut states = Vec::new();
    for layers in [0..3, 3..LAYERS] {
        let window = Window { embedding: layers.start == 0, head: layers.end == LAYERS, layers };
        let mut part = stage(&made, Some(window.clone()), 2);
        let mut track = Track::of(Vec::new(), 0, Some(Arc::clone(&adapter)));
        let reads = if window.embedding { Reads::Tokens(&tokens) } else { Reads::States(&states) };
        part.step(reads, &mut [Next { track: &mut track, tokens: LENGTH }], &|| false).unwrap();
        if window.head {
            assert!(wanted == bits(part.logits(&(0..LENGTH).collect::<Vec<_>>()).unwrap()));
        }
        states = part.states().to_vec();
    }
}
