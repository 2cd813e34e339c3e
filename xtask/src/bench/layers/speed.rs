//! How fast prompts are read and answers written: ours and llama.cpp in turn, and what the machine could do at that very time.

mod report;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Ground;
use super::models::Models;
use crate::bench::inference::{Load, Speed};
use crate::process;

const THREADS: u32 = 2;
const REPETITIONS: usize = 3;
const SHORT: Load = Load { prompt: 512, answer: 128, threads: THREADS };
/// 4,096 tokens with the answer: less than the 8,192 that the model was made for.
const LONG: Load = Load { prompt: 3968, answer: 128, threads: THREADS };

/// A model and what it is given to do.
struct Case {
    name: &'static str,
    file: fn(&Models<'_>) -> Result<PathBuf>,
    load: Load,
    /// Whether it is the default model as it ships, of which most is wanted.
    shipped: bool,
}

const CASES: [Case; 6] = [
    Case { name: "SmolLM2 135M, Q4_1", file: |models| Ok(models.shipped.clone()), load: SHORT, shipped: true },
    Case { name: "SmolLM2 135M, Q8_0", file: |models| models.smollm2("Q8_0"), load: SHORT, shipped: false },
    Case { name: "SmolLM2 135M, Q4_0", file: |models| models.smollm2("Q4_0"), load: SHORT, shipped: false },
    Case { name: "SmolLM2 135M, Q4_K_M", file: |models| models.smollm2("Q4_K_M"), load: SHORT, shipped: false },
    Case { name: "shape of gemma3-270m, Q8_0", file: |models| models.gemma3(), load: SHORT, shipped: false },
    Case { name: "SmolLM2 135M, Q4_1", file: |models| Ok(models.shipped.clone()), load: LONG, shipped: true },
];

/// One repetition: ours, llama.cpp and the machine, one after another.
struct Round {
    own: Own,
    llama: Speed,
    machine: Machine,
}

/// What our program told of itself.
struct Own {
    speed: Speed,
    /// Weights of the layers that a token is multiplied with.
    weights: f64,
    /// Bytes of weights that are read for a token.
    bytes: f64,
}

/// What the machine can do at most.
struct Machine {
    /// The instructions in use.
    set: String,
    /// Bytes a second.
    bandwidth: f64,
    /// Integer operations a second.
    peak: f64,
}

/// Measures and tells.
pub fn section(ground: &Ground<'_>) -> Result<String> {
    let mut measured = Vec::new();
    for case in &CASES {
        let file = (case.file)(&ground.models)?;
        let mut rounds = Vec::new();
        for repetition in 0..REPETITIONS {
            let Load { prompt, answer, .. } = case.load;
            eprintln!("{}, {prompt} + {answer}: repetition {} of {REPETITIONS}", case.name, repetition + 1);
            rounds.push(Round {
                own: own(ground, &file, &case.load)?,
                llama: ground.yardstick.measure(&file, &case.load)?,
                machine: machine(ground)?,
            });
        }
        measured.push((case, rounds));
    }
    Ok(report::told(&measured))
}

/// One repetition in a process of its own, which warms up first.
fn own(ground: &Ground<'_>, file: &Path, load: &Load) -> Result<Own> {
    let mut program = Command::new(ground.paths.built("examples/speed"));
    program.arg(file).args([load.prompt, load.answer, load.threads].map(|number| number.to_string()));
    let said = process::text_of(program.arg(ground.models.panels()))?;
    let line = said.lines().last().unwrap_or_default();
    let value = read(line)?;
    Ok(Own {
        speed: Speed::read(line)?,
        weights: number(&value, "weights_per_token")?,
        bytes: number(&value, "bytes_per_token")?,
    })
}

fn machine(ground: &Ground<'_>) -> Result<Machine> {
    let said = process::text_of(Command::new(ground.paths.built("examples/peak")).arg(THREADS.to_string()))?;
    let value = read(&said)?;
    Ok(Machine {
        set: value["set"].as_str().context("the set is missing")?.to_owned(),
        bandwidth: number(&value, "bytes_per_second")?,
        // Sets without an instruction for products of 8-bit integers have no such peak.
        peak: value["operations_per_second"].as_f64().unwrap_or(f64::NAN),
    })
}

fn read(line: &str) -> Result<Value> {
    serde_json::from_str(line).with_context(|| format!("not a line of figures: {line:?}"))
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("{name} is missing in {value}"))
}
