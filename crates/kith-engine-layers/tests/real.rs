//! The engine with a real model: SmolLM2-135M-Instruct from `KITH_TEST_MODEL` or the model cache. Without one the tests say so and pass; CI
//! must have it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says why it was skipped")]

use futures::{StreamExt, future::join_all};
use kith_engine::{
    Constraint, EmbedInput, EmbedRequest, Engine, Finish, GenerateRequest, Generated, Input, Loaded, ModelSpec, Sampling, Step,
    Token,
};
use kith_engine_layers::{LayersEngine, Next, Reads, Stage, StageOptions, Track, Window};
use std::{path::PathBuf, sync::Arc};

fn path() -> Option<PathBuf> {
    let named = std::env::var_os("KITH_TEST_MODEL").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = named.unwrap_or_else(|| home.join(".cache/kith/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the test model is missing: {}", path.display());
    println!("skipped: no model at {}", path.display());
    None
}

fn spec(path: PathBuf) -> ModelSpec {
    let size_bytes = std::fs::metadata(&path).unwrap().len();
    ModelSpec { context: Some(2048), parallel: 4, ..ModelSpec::gguf("smollm2:135m", path, "llama", size_bytes) }
}

async fn load() -> Option<Arc<dyn Loaded>> {
    Some(LayersEngine::new().load(spec(path()?)).await.unwrap())
}

fn asking(text: &str, max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        input: Input::Text { text: text.into(), add_special: true, images: Vec::new() },
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: false,
        adapter: None,
    }
}

fn chat(message: &str) -> String {
    format!("<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n")
}

async fn answer(model: &Arc<dyn Loaded>, request: GenerateRequest) -> (Vec<Token>, Generated) {
    let mut tokens = Vec::new();
    let mut stream = model.generate(request).await.unwrap();
    while let Some(step) = stream.next().await {
        match step.unwrap() {
            Step::Token(token) => tokens.push(token),
            Step::Done(done) => return (tokens, done),
        }
    }
    panic!("an answer without an end");
}

fn text(tokens: &[Token]) -> String {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_knows_a_capital_and_ends_by_itself() {
    let Some(model) = load().await else { return };
    let (tokens, done) = answer(&model, asking(&chat("What is the capital of France?"), 100)).await;
    assert!(text(&tokens).contains("Paris"), "{:?}", text(&tokens));
    assert_eq!(done.finish, Finish::Stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_cut_as_the_model_was_taught_and_comes_back() {
    let Some(model) = load().await else { return };
    for text in ["Hello, world!", "  two  spaces\n\nand 1234 digits", "漢字 und Ümläute 😀", "it's <|im_start|>user"] {
        let ids = model.tokenize(text, false).await.unwrap();
        assert_eq!(model.detokenize(&ids).await.unwrap(), text);
    }
    assert_eq!(model.tokenize("Hello world", false).await.unwrap(), [19556, 905]);
    assert_eq!(model.tokenize("<|im_start|><|im_end|>", true).await.unwrap(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_same_alone_and_together() {
    let Some(model) = load().await else { return };
    let requests: Vec<GenerateRequest> =
        ["Tell me a story about a fox.", "What is rain?", "List three colours.", "Why?", "Sing!"]
            .iter()
            .map(|message| GenerateRequest {
                sampling: Sampling { temperature: 0.8, top_p: Some(0.95), seed: Some(5), ..Sampling::default() },
                ..asking(&chat(message), 40)
            })
            .collect();
    let together = join_all(requests.iter().map(|request| answer(&model, request.clone()))).await;
    for (request, (together, _)) in requests.iter().zip(together) {
        let (alone, done) = answer(&model, request.clone()).await;
        assert_eq!(text(&alone), text(&together));
        assert!(done.usage.cached > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_json() {
    let Some(model) = load().await else { return };
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "maximum": 150}},
        "required": ["name", "age"], "additionalProperties": false,
    });
    let request = GenerateRequest {
        constraint: Constraint::JsonSchema(schema),
        ..asking(&chat("Anna is 31 years old. Give her name and age as JSON."), 80)
    };
    let (tokens, done) = answer(&model, request).await;
    let value: serde_json::Value = serde_json::from_str(&text(&tokens)).unwrap();
    assert!(value["name"].is_string() && value["age"].is_u64(), "{value}");
    assert_eq!(done.finish, Finish::Stop);
}

#[test]
fn three_windows_give_the_bits_of_the_whole() {
    let Some(path) = path() else { return };
    let part = |layers: std::ops::Range<usize>| {
        let window = Window { embedding: layers.start == 0, head: layers.end == 30, layers };
        Stage::load(&path, &StageOptions { window: Some(window), threads: 2, ..StageOptions::default() }).unwrap()
    };
    let tokens: Vec<u32> = (0..100).map(|at| at * 379 % 49_000).collect();
    let mut whole = part(0..30);
    let mut track = Track::new();
    whole.step(Reads::Tokens(&tokens), &mut [Next { track: &mut track, tokens: 100 }], &|| false).unwrap();
    let mut states = Vec::new();
    let mut logits = Vec::new();
    for mut stage in [part(0..11), part(11..20), part(20..30)] {
        let reads = if stage.window().embedding { Reads::Tokens(&tokens) } else { Reads::States(&states) };
        let mut track = Track::new();
        stage.step(reads, &mut [Next { track: &mut track, tokens: 100 }], &|| false).unwrap();
        states = stage.states().to_vec();
        if stage.window().head {
            logits = stage.logits(&[99]).unwrap().to_vec();
        }
    }
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&logits), bits(whole.logits(&[99]).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn sentences_that_mean_alike_lie_nearer_than_those_that_do_not() {
    let Some(model) = load().await else { return };
    let texts = [
        ["The cat sleeps on the sofa.", "A kitten is taking a nap on the couch."],
        ["The central bank raised interest rates again.", "Borrowing became more expensive after the bank's decision on rates."],
        ["Boil the pasta in salted water for ten minutes.", "Cook the spaghetti in hot water with salt."],
    ];
    let inputs = texts.iter().flatten().map(|text| EmbedInput::Text((*text).into())).collect();
    let vectors = model.embed(EmbedRequest { inputs, truncate: false, dimensions: None }).await.unwrap().vectors;
    let near = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f32>();
    for pair in 0..texts.len() {
        let (one, two) = (2 * pair, 2 * pair + 1);
        assert!((near(one, one) - 1.0).abs() < 1e-5);
        for other in (0..vectors.len()).filter(|other| other / 2 != pair) {
            assert!(near(one, two) > near(one, other), "{one} {two} {other}: {} {}", near(one, two), near(one, other));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_changes_nothing_but_the_time_it_takes() {
    let (Some(plain), Some(path)) = (load().await, path()) else { return };
    let drafted = LayersEngine::new().load(ModelSpec { draft: Some(path.clone()), ..spec(path) }).await.unwrap();
    let drawn = |request| GenerateRequest {
        sampling: Sampling { temperature: 0.8, top_p: Some(0.95), seed: Some(7), ..Sampling::default() },
        ..request
    };
    let tell = || asking(&chat("Tell me a story about a fox."), 60);
    for request in [tell(), drawn(tell())] {
        assert_eq!(text(&answer(&drafted, request.clone()).await.0), text(&answer(&plain, request).await.0));
    }
    assert!(drafted.memory().weights > plain.memory().weights && drafted.memory().cache > plain.memory().cache);
}
