//! What `stage` promises, sentence by sentence, for a tiny model of every family.

use super::{reference, *};
use crate::made::{self, LAYERS, Made, VOCABULARY};
use kith_kernels::Format;

const LENGTH: usize = 150;

fn prompt(seed: u64, length: usize) -> Vec<u32> {
    let mut draw = made::Draw(seed);
    (0..length).map(|_| (draw.next() % VOCABULARY as u64) as u32).collect()
}

fn stage(made: &Made, window: Option<Window>, threads: usize) -> Stage {
    let file = made.file();
    Stage::load(file.path(), &StageOptions { window, threads, ..StageOptions::default() }).unwrap()
}

/// The logits after every token, the prompt being read in steps of these sizes (the last again and again).
fn read(stage: &mut Stage, tokens: &[u32], steps: &[usize]) -> Vec<f32> {
    let mut track = Track::new();
    let mut logits = Vec::new();
    let mut left = tokens;
    let mut steps = steps.iter().copied();
    let mut size = 1;
    while !left.is_empty() {
        size = steps.next().unwrap_or(size);
        let (now, later) = left.split_at(size.min(left.len()));
        left = later;
        let mut nexts = [Next { track: &mut track, tokens: now.len() }];
        assert!(stage.step(Reads::Tokens(now), &mut nexts, &|| false).unwrap());
        logits.extend_from_slice(stage.logits(&(0..now.len()).collect::<Vec<_>>()).unwrap());
    }
    logits
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The root of the mean square of the differences beside that of the reference, of every token, the least apart first.
fn differences(logits: &[f32], wanted: &[Vec<f64>]) -> Vec<f64> {
    let apart = |(logits, wanted): (&[f32], &Vec<f64>)| {
        let apart: f64 = logits.iter().zip(wanted).map(|(logit, wanted)| (f64::from(*logit) - wanted).powi(2)).sum();
        (apart / wanted.iter().map(|wanted| wanted * wanted).sum::<f64>()).sqrt()
    };
    let mut all: Vec<f64> = logits.chunks(VOCABULARY).zip(wanted).map(apart).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[test]
fn the_logits_are_those_of_a_plain_evaluation() {
    for name in made::names() {
        let tokens = prompt(1, LENGTH);
        for (format, most) in [(Format::F32, 2e-3), (Format::Q8_0, 4e-2), (Format::Q4_1, 6e-2)] {
            let made = Made::new(name, format, 7);
            let logits = read(&mut stage(&made, None, 2), &tokens, &[LENGTH]);
            let apart = differences(&logits, &reference::logits(&made, name, &tokens));
            // Inputs in 8 bits are apart from token to token, and a router chooses another of two experts that are about equally good
            // for the least difference; all others must agree at every token.
            let routed = made.fields.iter().any(|(name, _)| name.ends_with("expert_count"));
            let exact = format == Format::F32 && !routed;
            let apart = apart[if exact { LENGTH - 1 } else { LENGTH / 2 }];
            assert!(apart < if routed && format != Format::F32 { 3.0 * most } else { most }, "{name} {format:?}: {apart}");
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_steps_threads_or_instructions() {
    for name in made::names() {
        let made = Made::new(name, Format::Q4_1, 3);
        let tokens = prompt(2, LENGTH);
        let whole = bits(&read(&mut stage(&made, None, 1), &tokens, &[LENGTH]));
        for steps in [&[1][..], &[7], &[64], &[100, 3, 1]] {
            assert!(whole == bits(&read(&mut stage(&made, None, 3), &tokens, steps)), "{name} in steps of {steps:?}");
        }
        for set in Set::available() {
            let mut stage = stage(&made, None, 2).with_set(*set);
            assert!(whole == bits(&read(&mut stage, &tokens, &[64])), "{name} with {}", set.name());
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_company() {
    for name in made::names() {
        let made = Made::new(name, Format::Q8_0, 4);
        let mut stage = stage(&made, None, 2);
        let prompts: Vec<Vec<u32>> = (0..16).map(|seed| prompt(seed, 40 + seed as usize)).collect();
        let alone: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| {
                let all = read(&mut stage, prompt, &[prompt.len()]);
                bits(&all[all.len() - VOCABULARY..])
            })
            .collect();
        // Together: most read their prompt but for the last token, then all their last.
        let mut tracks: Vec<Track> = vec![Track::new(); prompts.len()];
        let first: Vec<u32> = prompts.iter().flat_map(|prompt| &prompt[..prompt.len() - 1]).copied().collect();
        let last: Vec<u32> = prompts.iter().map(|prompt| prompt[prompt.len() - 1]).collect();
        for (tokens, counts) in [(first, None), (last, Some(1))] {
            let each = tracks.iter_mut().zip(&prompts);
            let mut nexts: Vec<Next<'_>> =
                each.map(|(track, prompt)| Next { track, tokens: counts.unwrap_or(prompt.len() - 1) }).collect();
            stage.step(Reads::Tokens(&tokens), &mut nexts, &|| false).unwrap();
        }
        let together = stage.logits(&(0..16).collect::<Vec<_>>()).unwrap();
        for (number, (alone, together)) in alone.iter().zip(together.chunks(VOCABULARY)).enumerate() {
            assert!(*alone == bits(together), "{name}, sequence {number}");
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_how_the_layers_are_cut() {
    for name in made::names() {
        let made = Made::new(name, Format::Q4_1, 5);
        let tokens = prompt(3, LENGTH);
        let whole = bits(&read(&mut stage(&made, None, 2), &tokens, &[LENGTH]));
        for cuts in [&[3][..], &[1, 6], &[1, 2, 4, 5]] {
            let edges: Vec<usize> = [0].iter().chain(cuts).chain(&[LAYERS]).copied().collect();
            let windows = edges.windows(2).map(|edge| Window {
                layers: edge[0]..edge[1],
                embedding: edge[0] == 0,
                head: edge[1] == LAYERS,
            });
            let mut row: Vec<(Stage, Track)> = windows.map(|window| (stage(&made, Some(window), 2), Track::new())).collect();
            let mut logits = Vec::new();
            for chunk in tokens.chunks(61) {
                let mut states = Vec::new();
                for (stage, track) in &mut row {
                    let reads = if stage.window().embedding { Reads::Tokens(chunk) } else { Reads::States(&states) };
                    stage.step(reads, &mut [Next { track, tokens: chunk.len() }], &|| false).unwrap();
                    states = stage.states().to_vec();
                }
                let last = &mut row.last_mut().unwrap().0;
                logits.extend_from_slice(last.logits(&(0..chunk.len()).collect::<Vec<_>>()).unwrap());
            }
            assert!(whole == bits(&logits), "{name} cut at {cuts:?}");
        }
    }
}

#[test]
fn windows_hold_together_what_the_whole_does() {
    for name in made::names() {
        let made = Made::new(name, Format::Q8_0, 5);
        let part = |layers: std::ops::Range<usize>| {
            let window = Window { embedding: layers.start == 0, head: layers.end == LAYERS, layers };
            stage(&made, Some(window), 1).weights()
        };
        let whole = part(0..LAYERS);
        assert_eq!(part(0..2) + part(2..6) + part(6..7), whole, "{name}");
        assert_eq!(part(3..5), 2 * part(3..4), "{name}");
        let file: usize = made.tensors.iter().map(|(_, _, _, bytes)| bytes.len()).sum();
        assert!(whole as usize >= file, "{name}: {whole} of {file}");
    }
}

#[test]
fn sequences_that_begin_alike_share_their_blocks_and_go_on_apart() {
    let made = Made::new("llama", Format::Q8_0, 6);
    let mut stage = stage(&made, None, 2);
    let common = prompt(4, 100);
    let mut first = Track::new();
    stage.step(Reads::Tokens(&common), &mut [Next { track: &mut first, tokens: 100 }], &|| false).unwrap();
    let mut second = first.clone();
    assert_eq!(stage.cache().counter().load(std::sync::atomic::Ordering::Relaxed), 2);
    for (track, token) in [(&mut first, 5), (&mut second, 9)] {
        let mut nexts = [Next { track, tokens: 1 }];
        stage.step(Reads::Tokens(&[token]), &mut nexts, &|| false).unwrap();
        let apart = bits(stage.logits(&[0]).unwrap());
        let tokens: Vec<u32> = common.iter().copied().chain([token]).collect();
        let fresh = read(&mut stage, &tokens, &[101]);
        assert_eq!(apart, bits(&fresh[100 * VOCABULARY..]));
    }
    // The first block is shared, the second is each one's own.
    assert_eq!(stage.cache().counter().load(std::sync::atomic::Ordering::Relaxed), 3);
    first.truncate(64);
    drop(second);
    assert_eq!(stage.cache().counter().load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn a_step_that_is_given_up_leaves_the_sequences_as_they_were() {
    let made = Made::new("qwen3", Format::Q8_0, 8);
    let mut stage = stage(&made, None, 2);
    let tokens = prompt(5, 90);
    let mut track = Track::new();
    stage.step(Reads::Tokens(&tokens[..70]), &mut [Next { track: &mut track, tokens: 70 }], &|| false).unwrap();
    let asked = std::cell::Cell::new(0);
    let give_up = || asked.replace(asked.get() + 1) == 3;
    assert!(!stage.step(Reads::Tokens(&[1; 100]), &mut [Next { track: &mut track, tokens: 100 }], &give_up).unwrap());
    assert_eq!(track.len(), 70);
    stage.step(Reads::Tokens(&tokens[70..]), &mut [Next { track: &mut track, tokens: 20 }], &|| false).unwrap();
    let after = bits(stage.logits(&[19]).unwrap());
    let fresh = read(&mut stage, &tokens, &[90]);
    assert_eq!(after, bits(&fresh[89 * VOCABULARY..]));
}

#[test]
fn what_a_long_prompt_needed_is_not_held_while_its_answer_is_written() {
    let made = Made::new("llama", Format::Q8_0, 10);
    let mut stage = stage(&made, None, 1);
    let mut track = Track::new();
    let tokens = prompt(6, LENGTH);
    let step = |stage: &mut Stage, track: &mut Track, tokens: &[u32]| {
        stage.step(Reads::Tokens(tokens), &mut [Next { track, tokens: tokens.len() }], &|| false).unwrap();
        stage.buffers.gate.capacity() / made::INNER
    };
    assert!(step(&mut stage, &mut track, &tokens) >= LENGTH);
    // Less than an eighth of it.
    assert!(step(&mut stage, &mut track, &tokens[..2]) < LENGTH / 8);
    // Steps that differ less, as those with guesses do, allocate nothing.
    let room = step(&mut stage, &mut track, &tokens[..8]);
    assert_eq!(step(&mut stage, &mut track, &tokens[..1]), room);
}

#[test]
fn tokens_enter_alike_from_the_file_and_from_the_panels_of_a_tied_head() {
    let made = Made::new("gemma3", Format::Q4_1, 11);
    let tokens = prompt(7, 20);
    let mut entered = [true, false].map(|head| {
        let window = Window { layers: 0..2, embedding: true, head };
        let mut stage = stage(&made, Some(window), 2);
        assert_eq!(stage.head.as_ref().is_some_and(|head| head.tied), head);
        stage.step(Reads::Tokens(&tokens), &mut [Next { track: &mut Track::new(), tokens: 20 }], &|| false).unwrap();
        bits(stage.states())
    });
    let [panels, file] = &mut entered;
    assert_eq!(panels, file);
}

#[test]
fn what_does_not_suit_the_stage_is_refused() {
    let made = Made::new("llama", Format::Q8_0, 9);
    let part = |layers: std::ops::Range<usize>| {
        let file = made.file();
        let window = Some(Window { layers, embedding: false, head: false });
        Stage::load(file.path(), &StageOptions { window, context: Some(20), threads: 1, ..StageOptions::default() })
    };
    assert!(matches!(part(3..9).err(), Some(EngineError::Invalid { field: "window", .. })));
    assert!(matches!(part(3..3).err(), Some(EngineError::Invalid { field: "window", .. })));
    let mut stage = part(2..3).unwrap();
    let mut step = |reads: Reads<'_>, tokens| {
        let mut track = Track::new();
        stage.step(reads, &mut [Next { track: &mut track, tokens }], &|| false)
    };
    for (reads, tokens) in [(Reads::Tokens(&[1]), 1), (Reads::States(&[0.0; 70]), 1), (Reads::States(&[0.0; 64]), 2)] {
        assert!(matches!(step(reads, tokens), Err(EngineError::Invalid { field: "input", .. })));
    }
    assert_eq!(step(Reads::States(&[0.0; 64]), 1), Ok(true));
    let long = step(Reads::States(&[0.0; 64 * 21]), 21);
    assert_eq!(long, Err(EngineError::ContextExceeded { prompt: 21, window: 20 }));
    assert!(matches!(stage.logits(&[0]), Err(EngineError::Unsupported(_))));
}
