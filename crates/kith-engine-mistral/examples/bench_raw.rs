//! Measures the engine without anything around it: a prompt of 512 tokens, an answer of 128, some times over.
//!
//! `bench_raw MODEL.gguf [REPETITIONS]` prints a line of JSON per repetition. Run with `RAYON_NUM_THREADS=2` to use two threads.

use futures::StreamExt;
use kith_engine::{Constraint, Engine, EngineError, GenerateRequest, Generated, Input, ModelSpec, Sampling, Step};
use kith_engine_mistral::MistralEngine;
use std::{io::Write, path::PathBuf, process::ExitCode};

const PROMPT: u32 = 512;
const ANSWER: u32 = 128;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "bench_raw: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let mut arguments = std::env::args_os().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("usage: bench_raw MODEL.gguf [REPETITIONS]")?);
    let repetitions = match arguments.next() {
        Some(count) => count.to_string_lossy().parse().map_err(|_| "REPETITIONS must be a number")?,
        None => 5u32,
    };
    let size_bytes = std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let architecture = std::env::var("KITH_BENCH_ARCHITECTURE").unwrap_or_else(|_| "llama".into());
    let spec = ModelSpec { context: Some(1024), ..ModelSpec::gguf(name, path, architecture, size_bytes) };
    let model = MistralEngine::new().load(spec).await.map_err(|error| error.to_string())?;
    let vocabulary = model.info().vocabulary.max(2);
    for repetition in 0..repetitions {
        // Another first token each time: the prefix cache must not help.
        let prompt = (0..PROMPT).map(|place| (repetition * 7919 + place * 31 + 17) % vocabulary).collect();
        let request = GenerateRequest {
            input: Input::Tokens(prompt),
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            max_tokens: Some(ANSWER),
            logprobs: None,
            constraint: Constraint::None,
            ignore_eos: true,
            adapter: None,
        };
        let done = end(model.generate(request).await).await.map_err(|error| error.to_string())?;
        let line = serde_json::json!({
            "repetition": repetition,
            "prompt_tokens": done.usage.prompt,
            "cached_tokens": done.usage.cached,
            "answer_tokens": done.usage.completion,
            "prefill_tokens_per_second": f64::from(done.usage.prompt - done.usage.cached) / done.timings.prefill.as_secs_f64(),
            "decode_tokens_per_second": f64::from(done.usage.completion.saturating_sub(1)) / done.timings.decode.as_secs_f64(),
        });
        writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())?;
    }
    model.unload().await;
    Ok(())
}

async fn end(stream: Result<kith_engine::TokenStream, EngineError>) -> Result<Generated, EngineError> {
    let mut stream = stream?;
    while let Some(step) = stream.next().await {
        if let Step::Done(done) = step? {
            return Ok(done);
        }
    }
    Err(EngineError::Failed("the answer had no end".into()))
}
