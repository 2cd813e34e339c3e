//! Reads a prompt and writes an answer with the bare stage, and tells how fast: `speed MODEL [PROMPT [ANSWER [THREADS [PANELS]]]]`,
//! `PANELS` being a folder for weights as the kernels want them.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use kith_engine_layers::{Next, Reads, Stage, StageOptions, Track};
use std::{path::PathBuf, time::Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("which model?")?);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (prompt, answer, threads) = (number(512)?, number(128)?, number(2)?);
    let panels = arguments.next().map(PathBuf::from);
    let start = Instant::now();
    let mut stage = Stage::load(&path, &StageOptions { window: None, context: None, threads, panels })?;
    println!("loaded in {:?}", start.elapsed());
    stage.keep_panels()?;
    let (mut prefill, mut decode): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let mut track = Track::new();
        let tokens: Vec<u32> = (0..prompt).map(|at| (at * 7919 % 40_000) as u32 % stage.vocabulary() as u32).collect();
        let start = Instant::now();
        for chunk in tokens.chunks(512) {
            stage.step(Reads::Tokens(chunk), &mut [Next { track: &mut track, tokens: chunk.len() }], &|| false)?;
        }
        let last = (prompt - 1) % 512;
        let mut id = likeliest(stage.logits(&[last])?);
        prefill.push(prompt as f64 / start.elapsed().as_secs_f64());
        let start = Instant::now();
        for _ in 0..answer {
            stage.step(Reads::Tokens(&[id]), &mut [Next { track: &mut track, tokens: 1 }], &|| false)?;
            id = likeliest(stage.logits(&[0])?);
        }
        decode.push(answer as f64 / start.elapsed().as_secs_f64());
    }
    prefill.sort_by(f64::total_cmp);
    decode.sort_by(f64::total_cmp);
    println!("prefill {prompt}: {:.0} tokens/s, decode {answer}: {:.1} tokens/s (medians of 5)", prefill[2], decode[2]);
    Ok(())
}

fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(id, _)| u32::try_from(id).unwrap_or(0))
}
