//! How near the engine's logits come to those of the weights themselves, beside another engine's on the same tokens:
//! `quality MODEL TEXT FOLDER THREADS TOKENS`. FOLDER holds what the other made of TEXT and of some questions: `ids.u32`, `logits.f32` and
//! `answers.json`, its answers having at most TOKENS tokens. Prints a line of JSON for each figure.

#![allow(clippy::print_stdout, reason = "what an example is for")]

mod gguf;
mod plain;

use futures::StreamExt;
use kith_engine::{Constraint, Engine, Finish, GenerateRequest, Input, Loaded, ModelSpec, Sampling, Step};
use kith_engine_layers::{LayersEngine, Next, Reads, Stage, StageOptions, Track};
use plain::{Plain, Sequence};
use serde_json::{Value, json};
use std::{
    error::Error,
    fs::{self, File},
    io::{BufReader, Read},
    path::Path,
};

/// The context window, in tokens.
const CONTEXT: u32 = 2048;
/// Tokens of a step.
const STEP: usize = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, text, folder, threads, tokens] = arguments.as_slice() else {
        return Err("quality MODEL TEXT FOLDER THREADS TOKENS".into());
    };
    let (path, folder, threads, tokens) = (Path::new(path), Path::new(folder), threads.parse()?, tokens.parse()?);
    let plain = Plain::open(path, threads)?;
    let spec = ModelSpec { context: Some(CONTEXT), ..ModelSpec::gguf("measured", path, "llama", fs::metadata(path)?.len()) };
    let model = LayersEngine::new().with_threads(threads).load(spec).await?;

    let ids: Vec<u32> = fs::read(folder.join("ids.u32"))?.as_chunks::<4>().0.iter().copied().map(u32::from_le_bytes).collect();
    let own = model.tokenize(fs::read_to_string(text)?.trim(), true).await?;
    println!("{}", json!({"figure": "text", "tokens": ids.len(), "same_tokens": own == ids}));
    let wanted = plain.logits(&[Sequence { ids: ids.clone(), wanted: 0..ids.len() }])?;
    let wanted: Vec<Vec<f64>> = wanted.iter().map(|logits| log_probabilities(logits)).collect();
    println!("{}", divergence("Kith", &wanted, ours(path, threads, &ids)?)?);
    println!("{}", divergence("llama.cpp", &wanted, theirs(&folder.join("logits.f32"), wanted[0].len())?)?);

    let answers: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("answers.json"))?)?;
    println!("{}", compared(&plain, model.as_ref(), &answers, tokens).await?);
    Ok(())
}

/// What it came to, or a sentence of why not.
type Answer<T> = Result<T, Box<dyn Error>>;

/// The logits after each token, from the stage, which is what the engine works with.
fn ours(path: &Path, threads: usize, ids: &[u32]) -> Answer<impl Iterator<Item = Answer<Vec<f32>>>> {
    let mut stage = Stage::load(path, &StageOptions { threads, ..StageOptions::default() })?;
    let mut track = Track::new();
    let mut all = Vec::new();
    for step in ids.chunks(STEP) {
        stage.step(Reads::Tokens(step), &mut [Next { track: &mut track, tokens: step.len() }], &|| false)?;
        let vocabulary = stage.vocabulary();
        let logits = stage.logits(&(0..step.len()).collect::<Vec<_>>())?;
        all.extend(logits.chunks_exact(vocabulary).map(<[f32]>::to_vec));
    }
    Ok(all.into_iter().map(Ok))
}

/// The logits that the other engine wrote into a file.
fn theirs(file: &Path, vocabulary: usize) -> Answer<impl Iterator<Item = Answer<Vec<f32>>>> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(file)?);
    Ok(std::iter::repeat_with(move || {
        let mut bytes = vec![0; 4 * vocabulary];
        file.read_exact(&mut bytes)?;
        Ok(bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect())
    }))
}

/// How far the distributions of next tokens are from those wanted: nats per token.
fn divergence(
    of: &str,
    wanted: &[Vec<f64>],
    logits: impl Iterator<Item = Result<Vec<f32>, Box<dyn Error>>>,
) -> Result<Value, Box<dyn Error>> {
    let mut apart = Vec::with_capacity(wanted.len());
    let mut agreed = 0;
    for (wanted, logits) in wanted.iter().zip(logits) {
        let logits: Vec<f64> = logits?.into_iter().map(f64::from).collect();
        if logits.len() != wanted.len() || logits.iter().any(|logit| !logit.is_finite()) {
            return Err(format!("the logits of {of} are not one number for each token").into());
        }
        let given = log_probabilities(&logits);
        apart.push(wanted.iter().zip(&given).map(|(wanted, given)| wanted.exp() * (wanted - given)).sum::<f64>());
        agreed += usize::from(best_two(wanted)[0].0 == best_two(&given)[0].0);
    }
    if apart.len() != wanted.len() {
        return Err(format!("{of} has logits after {} of {} tokens", apart.len(), wanted.len()).into());
    }
    let mean = apart.iter().sum::<f64>() / apart.len() as f64;
    apart.sort_by(f64::total_cmp);
    let place = |part: f64| apart[((apart.len() - 1) as f64 * part) as usize];
    Ok(json!({
        "figure": "divergence", "of": of, "mean": mean, "median": place(0.5), "p99": place(0.99), "most": place(1.0),
        "same_likeliest": agreed as f64 / wanted.len() as f64,
    }))
}

fn log_probabilities(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let norm = most + logits.iter().map(|logit| (logit - most).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| logit - norm).collect()
}

/// The two likeliest tokens, with their logits; of equals the first.
fn best_two(logits: &[f64]) -> [(usize, f64); 2] {
    let mut best = [(usize::MAX, f64::NEG_INFINITY); 2];
    for (id, logit) in logits.iter().copied().enumerate() {
        if logit > best[0].1 {
            best = [(id, logit), best[0]];
        } else if logit > best[1].1 {
            best[1] = (id, logit);
        }
    }
    best
}

/// A question to which the two gave different answers.
struct Difference {
    number: usize,
    /// Tokens of the answer before they part.
    at: usize,
    /// What both read before they part.
    read: Vec<u32>,
    /// What came next; nothing where the answer ended.
    next: [Option<u32>; 2],
}

/// Answers each question and tells where the answers part from those given, and how near the two likeliest tokens are there.
async fn compared(plain: &Plain, model: &dyn Loaded, answers: &[Value], tokens: u32) -> Result<Value, Box<dyn Error>> {
    let ids = |value: &Value| -> Result<Vec<u32>, Box<dyn Error>> { Ok(serde_json::from_value(value.clone())?) };
    let mut parted = Vec::new();
    for (number, given) in answers.iter().enumerate() {
        let (prompt, theirs, ended) = (ids(&given["prompt"])?, ids(&given["answer"])?, given["ended"] == true);
        if model.tokenize(given["text"].as_str().unwrap_or_default(), true).await? != prompt {
            return Err(format!("question {number} is cut into other tokens").into());
        }
        let (ours, stopped) = answer(model, prompt.clone(), tokens).await?;
        let at = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
        if at == ours.len() && at == theirs.len() && stopped == ended {
            continue;
        }
        let read = prompt.iter().chain(&ours[..at]).copied().collect();
        parted.push(Difference { number, at, read, next: [ours.get(at).copied(), theirs.get(at).copied()] });
    }
    let sequence = |parted: &Difference| Sequence { ids: parted.read.clone(), wanted: parted.read.len() - 1..parted.read.len() };
    let logits = plain.logits(&parted.iter().map(sequence).collect::<Vec<_>>())?;
    let mut rows = Vec::with_capacity(parted.len());
    for (parted, logits) in parted.iter().zip(&logits) {
        let best = best_two(logits);
        let names = model.detokenize(&[u32::try_from(best[0].0)?]).await?;
        let mut next = Vec::new();
        for id in parted.next {
            next.push(match id {
                Some(id) => json!(model.detokenize(&[id]).await?),
                None => Value::Null,
            });
        }
        rows.push(json!({
            "question": parted.number, "after": parted.at, "ours": next[0], "theirs": next[1], "likeliest": names,
            "gap": best[0].1 - best[1].1,
        }));
    }
    Ok(json!({"figure": "answers", "count": answers.len(), "equal": answers.len() - rows.len(), "differences": rows}))
}

/// The likeliest answer, and whether it ended by itself.
async fn answer(model: &dyn Loaded, prompt: Vec<u32>, tokens: u32) -> Result<(Vec<u32>, bool), Box<dyn Error>> {
    let request = GenerateRequest {
        input: Input::Tokens(prompt),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(tokens),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: false,
        adapter: None,
    };
    let mut stream = model.generate(request).await?;
    let mut ids = Vec::new();
    while let Some(step) = stream.next().await {
        match step? {
            Step::Token(token) => ids.push(token.id),
            Step::Done(done) => return Ok((ids, done.finish == Finish::Stop)),
        }
    }
    Err("an answer without an end".into())
}
