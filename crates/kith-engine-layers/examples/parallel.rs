//! What conversations gain from each other behind the port: `parallel MODEL QUESTIONS THREADS TOKENS REPETITIONS`. Prints a line of JSON with
//! the tokens a second of one conversation and of 16 at once, and one with the time to the first token of the first and of the second of
//! two prompts that begin with the same 2,000 tokens: medians, the repetitions of the two interleaved.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use futures::{StreamExt, future::try_join_all};
use kith_engine::{Constraint, Engine, GenerateRequest, Input, Loaded, ModelSpec, Sampling, Step};
use kith_engine_layers::LayersEngine;
use serde_json::json;
use std::{
    error::Error,
    fs,
    time::{Duration, Instant},
};

/// Conversations at once.
const AT_ONCE: usize = 16;
/// Tokens that two prompts have in common, and those that each has of its own.
const SHARED: u32 = 2000;
const OWN: u32 = 16;
/// The context window, in tokens.
const CONTEXT: u32 = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, questions, threads, tokens, repetitions] = arguments.as_slice() else {
        return Err("parallel MODEL QUESTIONS THREADS TOKENS REPETITIONS".into());
    };
    let (threads, tokens, repetitions): (usize, u32, usize) = (threads.parse()?, tokens.parse()?, repetitions.parse()?);
    let questions = fs::read_to_string(questions)?;
    let questions: Vec<&str> = questions.lines().collect();
    let file = ModelSpec::gguf("measured", path, "llama", fs::metadata(path)?.len());
    let spec = ModelSpec { context: Some(CONTEXT), parallel: u32::try_from(AT_ONCE)?, ..file };
    let model = LayersEngine::new().with_threads(threads).load(spec).await?;
    let model = model.as_ref();

    let (mut one, mut many) = (Vec::new(), Vec::new());
    // The first of each warms up.
    for repetition in 0..=repetitions {
        let alone = together(model, &questions, 1, tokens, repetition).await?;
        let all = together(model, &questions, AT_ONCE, tokens, repetition).await?;
        if repetition > 0 {
            one.push(alone);
            many.push(all);
        }
    }
    let (one, many) = (median(&mut one), median(&mut many));
    println!(
        "{}",
        json!({"figure": "parallel", "at_once": AT_ONCE, "one_tokens_per_second": one, "all_tokens_per_second": many, "gain": many / one})
    );

    let (mut first, mut second) = (Vec::new(), Vec::new());
    for repetition in (0..=repetitions).map_while(|repetition| u32::try_from(repetition).ok()) {
        let fresh = until_first(model, repetition, 1).await?;
        let again = until_first(model, repetition, 2).await?;
        if repetition > 0 {
            first.push(fresh.as_secs_f64() * 1000.0);
            second.push(again.as_secs_f64() * 1000.0);
        }
    }
    let (first, second) = (median(&mut first), median(&mut second));
    println!("{}", json!({"figure": "prefix", "shared": SHARED, "first_ms": first, "second_ms": second, "gain": first / second}));
    model.unload().await;
    Ok(())
}

/// A request for so many tokens, drawn so that no answer goes round in circles, where guessing ahead would help one more than many.
fn asking(input: Input, tokens: u32, seed: u64) -> GenerateRequest {
    GenerateRequest {
        input,
        sampling: Sampling { temperature: 0.8, seed: Some(seed), ..Sampling::default() },
        max_tokens: Some(tokens),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    }
}

/// Tokens of answers a second, of so many conversations at once; others in every repetition, so that nothing is known before.
async fn together(
    model: &dyn Loaded,
    questions: &[&str],
    count: usize,
    tokens: u32,
    repetition: usize,
) -> Result<f64, Box<dyn Error>> {
    let answer = async |number: usize| -> Result<u32, Box<dyn Error>> {
        let question = questions.get(number % questions.len().max(1)).ok_or("there are no questions")?;
        // The number comes first: what follows it has no beginning in common with anything.
        let text = format!("<|im_start|>user\n{repetition}.{count}.{number} {question}<|im_end|>\n<|im_start|>assistant\n");
        let input = Input::Text { text, add_special: true, images: Vec::new() };
        let mut stream = model.generate(asking(input, tokens, number as u64 + 1)).await?;
        while let Some(step) = stream.next().await {
            if let Step::Done(done) = step? {
                return Ok(done.usage.completion);
            }
        }
        Err("an answer without an end".into())
    };
    let begun = Instant::now();
    let written = try_join_all((0..count).map(answer)).await?;
    Ok(f64::from(written.iter().sum::<u32>()) / begun.elapsed().as_secs_f64())
}

/// How long the first token takes after a prompt whose beginning depends on the repetition alone.
async fn until_first(model: &dyn Loaded, repetition: u32, ending: u32) -> Result<Duration, Box<dyn Error>> {
    let vocabulary = model.info().vocabulary.max(1);
    let token = |seed: u32, at: u32| (seed * 104_729 + at * 7919 + 17) % vocabulary;
    let shared = (0..SHARED).map(|at| token(repetition, at));
    let prompt = shared.chain((0..OWN).map(|at| token(1000 * ending + repetition, at))).collect();
    let begun = Instant::now();
    let mut stream = model.generate(asking(Input::Tokens(prompt), 1, 1)).await?;
    let first = stream.next().await.ok_or("no answer")??;
    let taken = begun.elapsed();
    let Step::Token(_) = first else { return Err("an answer without a token".into()) };
    while stream.next().await.transpose()?.is_some() {}
    Ok(taken)
}

/// The middle of an odd number of figures, the upper middle of an even one.
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
