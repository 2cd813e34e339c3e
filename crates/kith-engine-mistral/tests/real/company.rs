//! Many requests, and requests that go away.

use crate::support::{answer, chat, greedy, model, spec};
use futures::{StreamExt, future::join_all};
use kith_engine::{Constraint, Engine, EngineError, GenerateRequest, Memory, Sampling, Step};
use kith_engine_mistral::MistralEngine;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_say_what_each_says_alone() {
    let Some(model) = model().await else { return };
    let request = |n: u64| GenerateRequest {
        sampling: Sampling { temperature: 0.9, seed: Some(n), ..Sampling::default() },
        ignore_eos: true,
        ..greedy(&chat(&format!("Tell me something about the number {n}.{}", " Be brief.".repeat(n as usize % 4))), 12)
    };
    let together = join_all((0..16).map(|n| answer(&model, request(n)))).await;
    let together: Vec<_> = together.into_iter().map(|said| said.unwrap().ids()).collect();
    for n in [0, 7, 15] {
        assert_eq!(answer(&model, request(n)).await.unwrap().ids(), together[n as usize], "request {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_under_way_take_turns() {
    let Some(spec) = spec() else { return };
    let model = MistralEngine::new().load(spec).await.unwrap();
    let long = || GenerateRequest { ignore_eos: true, ..greedy(&chat("Write a very long story."), 120) };
    let mut stream = model.generate(long()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let began = Instant::now();
    let brief = answer(&model, greedy(&chat("What is the capital of France?"), 10)).await.unwrap();
    let waited = began.elapsed();
    assert!(!brief.tokens.is_empty());
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    let rest: Vec<_> = stream.collect().await;
    let ids: Vec<u32> =
        rest.iter().filter_map(|step| if let Ok(Step::Token(token)) = step { Some(token.id) } else { None }).collect();
    let alone = answer(&model, long()).await.unwrap().ids();
    assert_eq!(ids, alone[1..], "an answer that gave way goes on as if nothing had happened");
    assert!(matches!(rest.last(), Some(Ok(Step::Done(_)))));
    model.unload().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_frees_its_place() {
    let Some(spec) = spec() else { return };
    let model = MistralEngine::new().load(kith_engine::ModelSpec { parallel: 1, ..spec }).await.unwrap();
    let long = || GenerateRequest { ignore_eos: true, ..greedy(&chat("Write a very long story."), 800) };
    for _ in 0..6 {
        let mut stream = model.generate(long()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        // One that waits behind it is dropped before it begins.
        drop(model.generate(long()).await.unwrap());
        drop(stream);
    }
    let began = Instant::now();
    let said = answer(&model, greedy(&chat("What is the capital of France?"), 5)).await.unwrap();
    assert_eq!(said.tokens.len(), 5);
    // Six times 800 tokens would take minutes.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    model.unload().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_delays_nobody() {
    let Some(model) = model().await else { return };
    let lazy = model.generate(GenerateRequest { ignore_eos: true, ..greedy(&chat("Write a story."), 60) }).await.unwrap();
    let said = answer(&model, greedy(&chat("What is the capital of France?"), 10)).await.unwrap();
    assert!(!said.tokens.is_empty());
    let steps: Vec<_> = lazy.collect().await;
    assert_eq!(steps.len(), 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn unloading_ends_all_answers_and_refuses_new_ones() {
    let Some(spec) = spec() else { return };
    let model = MistralEngine::new().load(spec).await.unwrap();
    let long = || GenerateRequest { ignore_eos: true, ..greedy(&chat("Write a very long story."), 800) };
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(model.generate(long()).await.unwrap());
    }
    streams[0].next().await.unwrap().unwrap();
    assert!(model.memory().cache > 0);
    model.unload().await;
    model.unload().await;
    for stream in streams {
        let steps: Vec<_> = stream.collect().await;
        assert_eq!(steps.last(), Some(&Err(EngineError::Unloaded)));
    }
    assert_eq!(model.generate(long()).await.err(), Some(EngineError::Unloaded));
    assert_eq!(model.memory(), Memory::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_prefix_cache_is_emptied_without_anybody_noticing() {
    let Some(spec) = spec() else { return };
    // A window of 512 and two answers leave the prefix cache three steps: it is full after three answers.
    let model = MistralEngine::new().load(kith_engine::ModelSpec { context: Some(512), parallel: 2, ..spec }).await.unwrap();
    let most = 4 * 512 * 46_080;
    let mut said = Vec::new();
    for round in 0..8 {
        let request =
            GenerateRequest { constraint: Constraint::None, ..greedy(&chat(&format!("What is {} plus 2?", round % 4)), 6) };
        said.push(answer(&model, request).await.unwrap().ids());
        assert!(model.memory().cache <= most, "{}", model.memory().cache);
    }
    assert_eq!(said[..4], said[4..]);
    model.unload().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_the_queue_holds_are_all_taken() {
    let Some(model) = model().await else { return };
    let long = || GenerateRequest { ignore_eos: true, ..greedy(&chat("Write a story."), 100) };
    let mut running = model.generate(long()).await.unwrap();
    running.next().await.unwrap().unwrap();
    let taken = join_all((0..1100).map(|_| async { model.generate(long()).await.map(drop) })).await;
    assert!(taken.iter().all(Result::is_ok));
    assert!(!answer(&model, greedy(&chat("What is the capital of France?"), 3)).await.unwrap().tokens.is_empty());
}
