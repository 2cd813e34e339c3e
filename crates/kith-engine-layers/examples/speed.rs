//! Reads a prompt and writes an answer with the bare stage, and tells how fast: `speed MODEL [PROMPT [ANSWER [THREADS [PANELS]]]]`,
//! `PANELS` being a folder for weights as the kernels want them.
//!
//! It prints one line of JSON for one repetition after one that warms up; with `--words` at the end, the medians of five in words. The first
//! token of the answer ends the prefill, and nothing is guessed ahead.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use kith_engine_layers::{Next, Reads, Stage, StageOptions, Track};
use kith_kernels::Set;
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Tokens that are read in one step.
const CHUNK: usize = 512;
/// The prompt's ids stay below this, or below the vocabulary's size if that is smaller.
const IDS: usize = 49_152;
/// Tokens of the answer that warms up.
const WARM: usize = 16;

fn main() -> Outcome<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let in_words = words.last().is_some_and(|word| word == "--words") && words.pop().is_some();
    let mut words = words.into_iter();
    let path = PathBuf::from(words.next().ok_or("which model?")?);
    let mut number = |usual: usize| words.next().map_or(Ok(usual), |text| text.parse());
    let (prompt, answer, threads) = (number(512)?, number(128)?, number(2)?);
    let panels = words.next().map(PathBuf::from);
    let start = Instant::now();
    let mut stage = Stage::load(&path, &StageOptions { threads, panels, ..StageOptions::default() })?;
    let loaded = start.elapsed();
    stage.keep_panels()?;
    measure(&mut stage, 1, prompt, WARM.min(answer))?;
    if in_words {
        return tell(&mut stage, prompt, answer, loaded);
    }
    let (prefill, decode) = measure(&mut stage, 2, prompt, answer)?;
    let cost = stage.cost();
    let line = json!({
        "prefill_tokens_per_second": prefill,
        "decode_tokens_per_second": decode,
        "set": Set::best().name(),
        "load_seconds": loaded.as_secs_f64(),
        "weights_per_token": cost.weights,
        "bytes_per_token": cost.bytes,
    });
    println!("{line}");
    Ok(())
}

fn tell(stage: &mut Stage, prompt: usize, answer: usize, loaded: Duration) -> Outcome<()> {
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for seed in 2..7 {
        let speed = measure(stage, seed, prompt, answer)?;
        prefill.push(speed.0);
        decode.push(speed.1);
    }
    prefill.sort_by(f64::total_cmp);
    decode.sort_by(f64::total_cmp);
    println!("loaded in {loaded:?}, working with {}", Set::best().name());
    println!("prefill {prompt}: {:.0} tokens/s, decode {answer}: {:.1} tokens/s (medians of 5)", prefill[2], decode[2]);
    Ok(())
}

/// Tokens a second of the prompt, to the first token of the answer, and from there to the last.
fn measure(stage: &mut Stage, seed: usize, prompt: usize, answer: usize) -> Outcome<(f64, f64)> {
    let ids = IDS.min(stage.vocabulary());
    // What they say does not matter for speed.
    let tokens: Vec<u32> = (0..prompt).map(|place| ((seed * 7919 + place * 31 + 17) % ids) as u32).collect();
    let mut track = Track::new();
    let begun = Instant::now();
    for chunk in tokens.chunks(CHUNK) {
        stage.step(Reads::Tokens(chunk), &mut [Next { track: &mut track, tokens: chunk.len() }], &|| false)?;
    }
    let mut id = likeliest(stage.logits(&[prompt.saturating_sub(1) % CHUNK])?);
    let first = begun.elapsed();
    let rest = Instant::now();
    for _ in 1..answer {
        stage.step(Reads::Tokens(&[id]), &mut [Next { track: &mut track, tokens: 1 }], &|| false)?;
        id = likeliest(stage.logits(&[0])?);
    }
    Ok((prompt as f64 / first.as_secs_f64(), answer.saturating_sub(1) as f64 / rest.elapsed().as_secs_f64()))
}

fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(id, _)| u32::try_from(id).unwrap_or(0))
}
