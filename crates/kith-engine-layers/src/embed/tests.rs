//! What embedding promises, sentence by sentence, with tiny models.

use super::*;
use crate::{
    LayersEngine, StageOptions,
    made::{self, Field, Made},
};
use futures::{StreamExt, future::join_all};
use kith_engine::{Constraint, EmbedRequest, Embedded, Engine, GenerateRequest, Input, Loaded, ModelSpec, Sampling, Step};
use kith_kernels::Format;
use std::{sync::Arc, time::Duration};

async fn load(made: &Made, context: Option<u32>) -> Arc<dyn Loaded> {
    let file = made.file();
    let spec = ModelSpec { context, parallel: 4, ..ModelSpec::gguf("tiny", file.path(), "llama", 1) };
    let engine = LayersEngine::new().with_threads(2);
    assert!(engine.embeds(&spec) && engine.generates(&spec));
    engine.load(spec).await.unwrap()
}

fn made(seed: u64) -> Made {
    Made::new("llama", Format::Q8_0, seed)
}

fn ids(seed: u64, length: usize) -> Vec<u32> {
    let mut draw = made::Draw(seed);
    (0..length).map(|_| (draw.next() % 256) as u32).collect()
}

fn asking(texts: Vec<Vec<u32>>) -> EmbedRequest {
    EmbedRequest { inputs: texts.into_iter().map(EmbedInput::Tokens).collect(), truncate: false, dimensions: None }
}

async fn one(model: &Arc<dyn Loaded>, text: Vec<u32>) -> Vec<f32> {
    model.embed(asking(vec![text])).await.unwrap().vectors.remove(0)
}

/// The finished states of a text, one step of the bare stage.
fn finished(made: &Made, text: &[u32]) -> Vec<Vec<f32>> {
    let mut stage = Stage::load(made.file().path(), &StageOptions::default()).unwrap();
    let mut track = Track::new();
    stage.step(Reads::Tokens(text), &mut [Next { track: &mut track, tokens: text.len() }], &|| false).unwrap();
    let states = stage.finished(&(0..text.len()).collect::<Vec<_>>()).unwrap();
    states.chunks(made::WIDTH).map(<[f32]>::to_vec).collect()
}

fn unit(numbers: &[f64]) -> Vec<f64> {
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    numbers.iter().map(|number| number / length).collect()
}

#[track_caller]
fn near(vector: &[f32], wanted: &[f64]) {
    assert_eq!(vector.len(), wanted.len());
    for (number, wanted) in vector.iter().zip(wanted) {
        assert!((f64::from(*number) - wanted).abs() < 1e-6, "{number} {wanted}");
    }
}

fn wide(state: &[f32]) -> Vec<f64> {
    state.iter().map(|number| f64::from(*number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_is_what_the_file_says_of_the_finished_states_and_has_length_one() {
    let text = ids(1, 90);
    let states = finished(&made(31), &text);
    let mean: Vec<f64> = (0..made::WIDTH).map(|at| states.iter().map(|state| f64::from(state[at])).sum::<f64>() / 90.0).collect();
    let with = |pooling: u32| {
        let mut made = made(31);
        made.set("llama.pooling_type", Field::U32(pooling));
        made
    };
    near(&one(&load(&made(31), None).await, text.clone()).await, &unit(&mean));
    near(&one(&load(&with(0), None).await, text.clone()).await, &unit(&mean));
    near(&one(&load(&with(1), None).await, text.clone()).await, &unit(&mean));
    near(&one(&load(&with(2), None).await, text.clone()).await, &unit(&wide(&states[0])));
    near(&one(&load(&with(3), None).await, text.clone()).await, &unit(&wide(&states[89])));
    for strange in [4, 5] {
        let refused = load(&with(strange), None).await.embed(asking(vec![text.clone()])).await;
        assert!(matches!(refused, Err(EngineError::Unsupported(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_dimensions_are_the_first_ones_at_length_one() {
    let model = load(&made(32), None).await;
    let text = ids(2, 20);
    let whole = wide(&one(&model, text.clone()).await);
    let of = |dimensions| EmbedRequest { dimensions: Some(dimensions), ..asking(vec![ids(2, 20)]) };
    near(&model.embed(of(7)).await.unwrap().vectors[0], &unit(&whole[..7]));
    near(&model.embed(of(made::WIDTH as u32)).await.unwrap().vectors[0], &whole);
    for wrong in [0, made::WIDTH as u32 + 1] {
        assert!(matches!(model.embed(of(wrong)).await, Err(EngineError::Invalid { field: "dimensions", .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_has_the_same_bits_alone_and_in_company_whole_and_in_parts() {
    let made = made(33);
    let model = load(&made, None).await;
    let texts: Vec<Vec<u32>> = (0..60).map(|at| ids(at, 1 + (at as usize * 37) % 300)).collect();
    let together = model.embed(asking(texts.clone())).await.unwrap();
    assert_eq!(together.tokens, texts.iter().map(|text| text.len() as u32).collect::<Vec<_>>());
    let writing = GenerateRequest {
        input: Input::Tokens(ids(1, 50)),
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(300),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    };
    let mut answer = model.generate(writing).await.unwrap();
    assert!(matches!(answer.next().await, Some(Ok(Step::Token(_)))));
    let alone = join_all(texts.iter().map(|text| one(&model, text.clone()))).await;
    assert_eq!(together.vectors, alone);
    assert_eq!(answer.filter(|step| std::future::ready(matches!(step, Ok(Step::Token(_))))).count().await, 299);
    // By hand, in parts of every size.
    let mut stage = Stage::load(made.file().path(), &StageOptions::default()).unwrap();
    for room in [1, 7, 64, 500] {
        let mut embedding = Embedding::default();
        let mut reports = Vec::new();
        for texts in [&texts[..20], &texts[20..21], &texts[21..40]] {
            let (report, reported) = oneshot::channel();
            embedding.push(Texts::new(texts.to_vec(), Pooling::Mean, made::WIDTH, report));
            reports.push(reported);
        }
        let mut tokens = 0;
        while !embedding.is_empty() {
            let read = embedding.step(&mut stage, room, &|| false);
            assert!((1..=room).contains(&read));
            tokens += read;
        }
        assert_eq!(tokens, texts[..40].iter().map(Vec::len).sum::<usize>());
        let by_hand: Vec<Vec<f32>> = reports.iter_mut().flat_map(|report| report.try_recv().unwrap().unwrap()).collect();
        assert_eq!(by_hand, together.vectors[..40], "{room}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_opened_and_closed_as_the_file_says() {
    let mut framed = made(34);
    framed.set("tokenizer.ggml.add_bos_token", Field::Bool(true));
    framed.set("tokenizer.ggml.add_eos_token", Field::Bool(true));
    let bare = load(&made(34), None).await;
    let framed = load(&framed, None).await;
    let wanted = one(&bare, vec![263, 259, 264]).await;
    // The made vocabulary has `hello` as 259, and opens with 263 and closes with 264.
    for given in [vec![259], vec![263, 259], vec![259, 264], vec![263, 259, 264]] {
        assert_eq!(one(&framed, given).await, wanted);
    }
    let texts = |text: &str| EmbedRequest { inputs: vec![EmbedInput::Text(text.into())], ..asking(Vec::new()) };
    let of_text = framed.embed(texts("hello")).await.unwrap();
    assert_eq!(of_text, Embedded { vectors: vec![wanted], tokens: vec![3] });
    assert_eq!(framed.embed(texts("")).await.unwrap().tokens, [2]);
    assert!(matches!(bare.embed(texts("")).await, Err(EngineError::Invalid { field: "input", .. })));
    assert!(matches!(bare.embed(asking(vec![vec![9999]])).await, Err(EngineError::Invalid { field: "input", .. })));
    assert_eq!(bare.embed(asking(Vec::new())).await.unwrap().vectors.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_longer_than_the_window_is_refused_or_cut() {
    let mut made = made(35);
    made.set("tokenizer.ggml.add_eos_token", Field::Bool(true));
    let model = load(&made, Some(100)).await;
    let text = ids(5, 200);
    let refused = model.embed(asking(vec![ids(1, 9), text.clone()])).await.unwrap_err();
    assert_eq!(refused, EngineError::ContextExceeded { prompt: 201, window: 100 });
    let cut = model.embed(EmbedRequest { truncate: true, ..asking(vec![text.clone()]) }).await.unwrap();
    assert_eq!((cut.tokens.as_slice(), &cut.vectors[0]), (&[100][..], &one(&model, text[..99].to_vec()).await));
    assert_eq!(model.embed(asking(vec![ids(5, 99)])).await.unwrap().tokens, [100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_stops_the_work_and_unloading_ends_it() {
    let model = load(&made(36), None).await;
    let many = || model.embed(asking(vec![ids(1, 500); 2000]));
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(100), many()).await.is_err());
    }
    let next = tokio::time::timeout(Duration::from_secs(20), one(&model, ids(2, 3))).await;
    assert_eq!(next.unwrap().len(), made::WIDTH);
    assert_eq!(model.memory().cache, 0, "what was begun is forgotten");
    let unloaded = tokio::join!(many(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        model.unload().await;
    });
    assert_eq!(unloaded.0, Err(EngineError::Unloaded));
    assert_eq!(many().await, Err(EngineError::Unloaded));
}

#[test]
fn whoever_has_dropped_a_request_is_not_worked_for() {
    let mut stage = Stage::load(made(37).file().path(), &StageOptions::default()).unwrap();
    let mut embedding = Embedding::default();
    let (report, reported) = oneshot::channel();
    embedding.push(Texts::new(vec![ids(1, 300)], Pooling::Mean, 8, report));
    assert_eq!(embedding.step(&mut stage, 100, &|| false), 100);
    assert_eq!(embedding.step(&mut stage, 100, &|| true), 0, "the model is unloaded");
    assert_eq!(embedding.len(), 1);
    drop(reported);
    assert_eq!((embedding.step(&mut stage, 100, &|| false), embedding.len()), (0, 0));
}

#[test]
fn small_requests_get_their_turn_beside_large_ones() {
    let mut stage = Stage::load(made(38).file().path(), &StageOptions::default()).unwrap();
    let mut embedding = Embedding::default();
    let (large, _large) = oneshot::channel();
    embedding.push(Texts::new(vec![ids(1, 60); 50], Pooling::Mean, 8, large));
    let (small, mut answered) = oneshot::channel();
    embedding.push(Texts::new(vec![ids(2, 5)], Pooling::Mean, 8, small));
    embedding.step(&mut stage, 64, &|| false);
    embedding.step(&mut stage, 64, &|| false);
    assert_eq!(answered.try_recv().unwrap().unwrap().len(), 1);
    assert_eq!(embedding.len(), 1);
}

#[tokio::test]
async fn a_model_that_attends_to_later_tokens_is_not_read_as_one_that_does_not() {
    let mut both_ways = made(39);
    both_ways.set("llama.attention.causal", Field::Bool(false));
    let refused = Stage::load(both_ways.file().path(), &StageOptions::default()).err();
    assert!(matches!(refused, Some(EngineError::UnsupportedModel(reason)) if reason.contains("later tokens")));
}
