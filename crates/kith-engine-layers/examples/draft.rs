//! Writes answers with and without a draft model, checks that they are the same, and tells how fast: `draft MODEL DRAFT [TOKENS [THREADS]]`.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use futures::StreamExt;
use kith_engine::{Constraint, Engine, GenerateRequest, Input, Loaded, ModelSpec, Sampling, Step};
use kith_engine_layers::LayersEngine;
use std::{path::PathBuf, sync::Arc};

/// What is asked: prose, a list, code and a question with a short answer.
const PROMPTS: [&str; 4] = [
    "Once upon a time, in a village by the sea, there lived",
    "The ten largest cities of Europe by population are:\n1.",
    "def fibonacci(n):\n    \"\"\"Returns the n-th Fibonacci number.\"\"\"\n",
    "Question: Why is the sky blue? Answer in detail.\nAnswer:",
];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("which model?")?);
    let draft = PathBuf::from(arguments.next().ok_or("which draft?")?);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (tokens, threads) = (u32::try_from(number(128)?)?, number(2)?);
    tokio::runtime::Runtime::new()?.block_on(async {
        let engine = LayersEngine::new().with_threads(threads);
        let load = async |draft: Option<PathBuf>| -> Result<Arc<dyn Loaded>, Failure> {
            let file = ModelSpec::gguf("measured", &path, "llama", std::fs::metadata(&path)?.len());
            let spec = ModelSpec { context: Some(2048), draft, ..file };
            Ok(engine.load(spec).await?)
        };
        let (plain, drafted) = (load(None).await?, load(Some(draft)).await?);
        for (kind, temperature) in [("likeliest tokens", 0.0), ("drawn at 0.8", 0.8)] {
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for (round, prompt) in (0..3).flat_map(|round| PROMPTS.map(|prompt| (round, prompt))) {
                let sampling = Sampling { temperature, seed: Some(round), ..Sampling::default() };
                let (wanted, slow) = answer(&plain, prompt, &sampling, tokens).await?;
                let (written, fast) = answer(&drafted, prompt, &sampling, tokens).await?;
                if written != wanted {
                    return Err(format!("another answer to {prompt:?}").into());
                }
                without.push(slow);
                with.push(fast);
            }
            let (without, with) = (median(without), median(with));
            println!("{kind}: {without:.1} tokens/s without, {with:.1} with the draft ({:.2} times)", with / without);
        }
        Ok(())
    })
}

/// The ids of an answer, and the tokens a second from its first to its last.
async fn answer(model: &Arc<dyn Loaded>, prompt: &str, sampling: &Sampling, tokens: u32) -> Result<(Vec<u32>, f64), Failure> {
    let request = GenerateRequest {
        input: Input::Text { text: prompt.into(), add_special: true, images: Vec::new() },
        sampling: sampling.clone(),
        max_tokens: Some(tokens),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    };
    let mut stream = model.generate(request).await?;
    let mut ids = Vec::new();
    while let Some(step) = stream.next().await {
        match step? {
            Step::Token(token) => ids.push(token.id),
            Step::Done(done) => {
                let speed = ids.len().saturating_sub(1) as f64 / done.timings.decode.as_secs_f64();
                return Ok((ids, speed));
            }
        }
    }
    Err("the answer has no end".into())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
