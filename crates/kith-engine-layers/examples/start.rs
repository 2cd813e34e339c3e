//! Loads a model behind the port and tells how long that took and what is resident: `start MODEL PANELS THREADS [PROMPT ANSWER]`. With the
//! last two it also reads so many tokens and writes an answer of so many, tells again, and waits until the panels are kept.
//! Prints one line of JSON.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use futures::StreamExt;
use kith_engine::{Constraint, Engine, GenerateRequest, Input, Loaded, ModelSpec, Sampling, Step};
use kith_engine_layers::LayersEngine;
use serde_json::{Map, Value, json};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The context window, in tokens.
const CONTEXT: u32 = 2048;
/// How long keeping panels may take.
const KEEPING: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, panels, threads, load) = match arguments.as_slice() {
        [path, panels, threads] => (path, panels, threads.parse()?, None),
        [path, panels, threads, prompt, answer] => (path, panels, threads.parse()?, Some((prompt.parse()?, answer.parse()?))),
        _ => return Err("start MODEL PANELS THREADS [PROMPT ANSWER]".into()),
    };
    let (path, panels) = (PathBuf::from(path), PathBuf::from(panels));
    let spec = ModelSpec { context: Some(CONTEXT), ..ModelSpec::gguf("measured", &path, "llama", fs::metadata(&path)?.len()) };
    let begun = Instant::now();
    let model = LayersEngine::new().with_threads(threads).with_panels(panels.clone(), |_| true).load(spec).await?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    let mut told = Map::new();
    told.insert("load_ms".into(), json!(milliseconds));
    told.insert("file_bytes".into(), json!(fs::metadata(&path)?.len()));
    told.insert("loaded".into(), resident());
    if let Some((prompt, answer)) = load {
        speak(model.as_ref(), prompt, answer).await?;
        told.insert("answered".into(), resident());
        told.insert("kv_bytes".into(), json!(model.memory().cache));
        told.insert("panels_kept".into(), json!(kept(&panels).await?));
    }
    println!("{}", Value::Object(told));
    Ok(())
}

/// Reads and writes so many tokens; what they say does not matter.
async fn speak(model: &dyn Loaded, prompt: u32, answer: u32) -> Result<(), Box<dyn Error>> {
    let vocabulary = model.info().vocabulary.max(1);
    let request = GenerateRequest {
        input: Input::Tokens((0..prompt).map(|at| (at * 7919 + 17) % vocabulary).collect()),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(answer),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    };
    let mut stream = model.generate(request).await?;
    while let Some(step) = stream.next().await {
        if let Step::Done(done) = step? {
            return (done.usage.completion == answer).then_some(()).ok_or_else(|| "the answer is too short".into());
        }
    }
    Err("an answer without an end".into())
}

/// KiB of this process in memory, by what stands behind them; nothing where the system does not tell by `/proc`.
fn resident() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    json!({ "all_kib": figure("VmRSS"), "most_kib": figure("VmHWM"), "own_kib": figure("RssAnon"), "mapped_kib": figure("RssFile") })
}

/// Whether panels lie in the folder, now or soon.
async fn kept(folder: &Path) -> Result<bool, Box<dyn Error>> {
    let begun = Instant::now();
    while begun.elapsed() < KEEPING {
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                if entry?.path().extension().is_some_and(|ending| ending == "panels") {
                    return Ok(true);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(false)
}
