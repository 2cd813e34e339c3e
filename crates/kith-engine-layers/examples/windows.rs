//! How fast a model writes when its windows are in processes of their own, beside the whole in one process, a line of JSON for each
//! arrangement: `windows MODEL [PROMPT [ANSWER [THREADS [REPETITIONS [PANELS]]]]]`. `THREADS` are those of each window; `PANELS` is a folder
//! for weights as the kernels want them.
//!
//! `tokens_per_second` is the median of the repetitions, which take turns; `ratio` the median of each turn's speed by that of the whole in
//! the same turn.

#![allow(clippy::print_stdout, reason = "what an example is for")]

#[allow(dead_code, reason = "the test asks a row for other things")]
#[path = "../tests/windows/row.rs"]
mod row;

use kith_engine_layers::{Encoding, Next, Reads, Stage, StageOptions, Track};
use row::{Answer, Order, Part, Row, likeliest, serve};
use std::{error::Error, path::PathBuf, time::Instant};

/// How many windows, and how hidden states travel between them.
const ARRANGEMENTS: [(usize, Encoding); 5] =
    [(2, Encoding::F32), (3, Encoding::F32), (5, Encoding::F32), (5, Encoding::F16), (5, Encoding::I8)];

/// Reads tokens of one sequence, `keeps` of which are known, and tells the likeliest next one.
type Writer<'a> = Box<dyn FnMut(&[u32], usize) -> Result<u32, Box<dyn Error>> + 'a>;

fn main() -> Result<(), Box<dyn Error>> {
    if serve()? {
        return Ok(());
    }
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("which model?")?);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (prompt, answer, threads, repetitions) = (number(64)?, number(128)?, number(2)?, number(7)?);
    let panels = arguments.next().map(PathBuf::from);
    let mut stage = Stage::load(&path, &StageOptions { threads, panels: panels.clone(), ..StageOptions::default() })?;
    let (layers, vocabulary) = (stage.window().layers.end, stage.vocabulary());
    let tokens: Vec<u32> = (0..prompt).map(|at| (at * 7919 % 40_000 % vocabulary) as u32).collect();
    let mut track = Track::new();
    let mut writers: Vec<Writer<'_>> = vec![Box::new(move |reads: &[u32], keeps: usize| {
        track.truncate(keeps);
        stage.step(Reads::Tokens(reads), &mut [Next { track: &mut track, tokens: reads.len() }], &|| false)?;
        Ok(likeliest(stage.logits(&[reads.len() - 1])?))
    })];
    for (windows, encoding) in ARRANGEMENTS {
        let mut row = Row::start(&path, layers, windows, threads, panels.as_deref(), &[])?;
        writers.push(Box::new(move |reads: &[u32], keeps: usize| {
            let parts = [Part { track: 0, keeps, tokens: reads.len() }];
            let wanted = [reads.len() - 1];
            let order = Order { answer: Answer::Likeliest, encoding, parts: &parts, wanted: &wanted, tokens: reads };
            Ok(*row.likeliest(&order)?.first().ok_or("no answer")?)
        }));
    }
    let mut speeds: Vec<Vec<f64>> = vec![Vec::new(); writers.len()];
    // One turn more than is counted: the first finds everything cold.
    for turn in 0..=repetitions {
        for (writer, speeds) in writers.iter_mut().zip(&mut speeds) {
            let mut id = writer(&tokens, 0)?;
            let start = Instant::now();
            for at in 0..answer {
                id = writer(&[id], prompt + at)?;
            }
            if turn > 0 {
                speeds.push(answer as f64 / start.elapsed().as_secs_f64());
            }
        }
    }
    let arrangements = std::iter::once((1, Encoding::F32)).chain(ARRANGEMENTS);
    for ((windows, encoding), speed) in arrangements.zip(&speeds) {
        let ratios = speed.iter().zip(&speeds[0]).map(|(speed, whole)| speed / whole).collect();
        let line = serde_json::json!({
            "windows": windows,
            "frames": format!("{encoding:?}").to_lowercase(),
            "threads": threads,
            "prompt": prompt,
            "answer": answer,
            "repetitions": repetitions,
            "tokens_per_second": (median(speed.clone()) * 100.0).round() / 100.0,
            "ratio": (median(ratios) * 1e4).round() / 1e4,
        });
        println!("{line}");
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
