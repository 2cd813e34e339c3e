//! What a draft model promises, sentence by sentence, with tiny models.

use super::*;
use crate::{
    LayersEngine, StageOptions,
    made::{self, Field, Made},
};
use futures::{StreamExt, future::join_all};
use kith_engine::{Constraint, Engine, Finish, GenerateRequest, Generated, Input, Loaded, ModelSpec, Sampling, Step};
use kith_kernels::Format;
use std::{sync::Arc, time::Duration};

/// The target, and drafts: the same, one that is nearly the same, and one that knows nothing of it.
fn target() -> Made {
    Made::new("llama", Format::Q8_0, 51)
}

fn drafts() -> [Made; 3] {
    [target(), Made::new("llama", Format::F32, 51), Made::new("qwen3", Format::Q4_1, 52)]
}

fn stage(made: &Made) -> Stage {
    Stage::load(made.file().path(), &StageOptions::default()).unwrap()
}

fn ids(seed: u64, length: usize) -> Vec<u32> {
    let mut draw = made::Draw(seed);
    (0..length).map(|_| (draw.next() % 256) as u32).collect()
}

/// The likeliest tokens, read one by one.
fn greedy(made: &Made, context: &[u32], length: usize) -> Vec<u32> {
    let mut stage = stage(made);
    let (mut track, mut reads, mut written) = (Track::new(), context.to_vec(), Vec::new());
    for _ in 0..length {
        stage.step(Reads::Tokens(&reads), &mut [Next { track: &mut track, tokens: reads.len() }], &|| false).unwrap();
        let id = sampling::top(stage.logits(&[reads.len() - 1]).unwrap(), 1)[0];
        written.push(id);
        reads = vec![id];
    }
    written
}

fn asked<'a>(context: &'a [u32], drafting: &'a mut Drafting, most: usize) -> Asked<'a> {
    Asked { context, drafting, most, left: 1000 }
}

#[test]
fn guesses_are_the_likeliest_tokens_for_all_answers_at_once_and_go_on_from_what_was_right() {
    let made = target();
    let mut drafter = Drafter::new(stage(&made), made::VOCABULARY, 8, true);
    let (mut first, second) = (ids(1, 20), ids(2, 33));
    let (mut one, mut two) = (Drafting::default(), Drafting::default());
    let guesses = drafter.guess(&mut [asked(&first, &mut one, 5), asked(&second, &mut two, 2)], 2, &|| false).unwrap();
    assert_eq!(guesses, [greedy(&made, &first, 5), greedy(&made, &second, 2)]);
    // Two were right, then something else was said.
    let before = first.len();
    first.extend([guesses[0][0], guesses[0][1], 7]);
    one.learn(before + 2, 5, 2);
    assert_eq!(one.track.len(), before + 2);
    let next = drafter.guess(&mut [asked(&first, &mut one, 4)], 1, &|| false).unwrap();
    assert_eq!(next, [greedy(&made, &first, 4)]);
    // All were right: the last of them was never read.
    let before = first.len();
    first.extend(&next[0]);
    first.push(9);
    one.learn(before + 4, 4, 4);
    assert_eq!(one.track.len(), before + 3);
    assert_eq!(drafter.guess(&mut [asked(&first, &mut one, 3)], 1, &|| false).unwrap(), [greedy(&made, &first, 3)]);
}

#[test]
fn a_long_prompt_is_read_in_parts_before_anything_is_guessed() {
    let made = target();
    let mut drafter = Drafter::new(stage(&made), made::VOCABULARY, 8, true);
    let (context, mut drafting) = (ids(3, 300), Drafting::default());
    assert_eq!(drafter.guess(&mut [asked(&context, &mut drafting, 3)], 1, &|| false).unwrap(), [[0u32; 0]]);
    assert_eq!(drafting.track.len(), CATCH_UP);
    assert_eq!(drafter.guess(&mut [asked(&context, &mut drafting, 3)], 1, &|| false).unwrap(), [greedy(&made, &context, 3)]);
}

#[test]
fn a_conversation_that_goes_on_is_not_read_anew() {
    let made = target();
    let mut drafter = Drafter::new(stage(&made), made::VOCABULARY, 8, true);
    let (mut context, mut drafting) = (ids(8, 150), drafter.begin(&ids(8, 150)));
    drafter.guess(&mut [asked(&context, &mut drafting, 3)], 1, &|| false).unwrap();
    context.extend([1, 2]);
    drafting.learn(150, 3, 0);
    drafter.end(&context, &drafting);
    context.extend([3, 4, 5]);
    let mut next = drafter.begin(&context);
    assert_eq!(next.track.len(), 150);
    assert_eq!(drafter.guess(&mut [asked(&context, &mut next, 2)], 1, &|| false).unwrap(), [greedy(&made, &context, 2)]);
}

#[test]
fn nothing_is_guessed_beyond_the_drafts_window_or_once_nobody_reads_it() {
    let mut drafter = Drafter::new(stage(&target()), made::VOCABULARY, 8, true);
    for (length, guesses) in [(made::CONTEXT - 1, 2), (made::CONTEXT, 1), (made::CONTEXT + 1, 0), (made::CONTEXT + 9, 0)] {
        let (context, mut drafting) = (ids(4, length), Drafting::default());
        for _ in 0..length / CATCH_UP {
            drafter.guess(&mut [asked(&context, &mut drafting, 7)], 1, &|| false).unwrap();
        }
        let guessed = drafter.guess(&mut [asked(&context, &mut drafting, 7)], 1, &|| false).unwrap();
        assert_eq!(guessed[0].len(), guesses, "{length}");
    }
    let (context, mut drafting) = (ids(5, 10), Drafting::default());
    assert_eq!(drafter.guess(&mut [asked(&context, &mut drafting, 7)], 1, &|| true).unwrap(), [[0u32; 0]]);
    assert!(drafting.track.is_empty());
}

fn constant(seconds: f64) -> Pace {
    let mut pace = Pace::default();
    (0..9).for_each(|tokens| pace.note(tokens, seconds));
    pace
}

#[test]
fn as_many_are_guessed_as_pay() {
    let (slow, fast) = (constant(0.1), constant(0.001));
    assert_eq!(best(7, 1.0, 1, &slow, &fast).0, 7, "a cheap draft that is always right");
    assert_eq!(best(7, 0.0, 1, &slow, &fast), (0, 0.0), "one that is never right");
    assert_eq!(best(7, 0.9, 1, &fast, &slow).0, 0, "one that is slower than the model");
    let several = best(7, 0.5, 1, &slow, &constant(0.01)).0;
    assert!((1..7).contains(&several), "{several}");
    assert_eq!(best(7, 0.5, 1, &Pace::default(), &fast).0, FIRST);
    assert_eq!(best(2, 0.5, 1, &slow, &Pace::default()).0, 2);
}

#[test]
fn an_answer_whose_guesses_are_wrong_goes_without_and_is_tried_again_later() {
    let mut drafter = Drafter::new(stage(&target()), made::VOCABULARY, 8, false);
    (0..9).for_each(|tokens| drafter.note(tokens, 0.1));
    drafter.own = constant(0.001);
    let (context, mut drafting) = (ids(6, 20), Drafting::default());
    assert_eq!(drafter.count(&mut asked(&context, &mut drafting, 7), 1), 7, "hope");
    (0..60).for_each(|_| drafting.learn(20, 3, 0));
    let counts: Vec<usize> = (0..2 * PAUSE).map(|_| drafter.count(&mut asked(&context, &mut drafting, 7), 1)).collect();
    assert_eq!(counts.iter().sum::<usize>(), 2, "{counts:?}");
    assert_eq!((counts[PAUSE - 1], counts[2 * PAUSE - 1]), (1, 1));
    (0..60).for_each(|_| drafting.learn(20, 1, 1));
    assert_eq!(drafter.count(&mut asked(&context, &mut drafting, 7), 1), 7);
    // A long prompt is not read for the sake of a few tokens.
    let (context, mut drafting) = (ids(6, 300), Drafting::default());
    drafter.own = Pace::default();
    [(1, 0.01), (100, 1.0)].iter().for_each(|(tokens, seconds)| drafter.own.note(*tokens, *seconds));
    assert_eq!(drafter.count(&mut Asked { left: 10, ..asked(&context, &mut drafting, 7) }, 1), 0);
    assert!(drafter.count(&mut Asked { left: 500, ..asked(&context, &mut drafting, 7) }, 1) > 0);
}

async fn load(made: &Made, draft: Option<&Made>) -> Result<Arc<dyn Loaded>, EngineError> {
    let (file, draft) = (made.file(), draft.map(Made::file));
    let spec = ModelSpec {
        parallel: 8,
        draft: draft.as_ref().map(|draft| draft.path().to_owned()),
        ..ModelSpec::gguf("tiny", file.path(), "llama", 1)
    };
    LayersEngine::new().with_threads(2).eager().load(spec).await
}

fn asking(tokens: Vec<u32>, max_tokens: u32, seed: Option<u64>) -> GenerateRequest {
    GenerateRequest {
        input: Input::Tokens(tokens),
        sampling: Sampling { temperature: if seed.is_some() { 0.7 } else { 0.0 }, seed, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        logprobs: Some(2),
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    }
}

async fn answer(model: &Arc<dyn Loaded>, request: GenerateRequest) -> (Vec<kith_engine::Token>, Generated) {
    let mut tokens = Vec::new();
    let mut stream = model.generate(request).await.unwrap();
    loop {
        match stream.next().await {
            Some(Ok(Step::Token(token))) => tokens.push(token),
            Some(Ok(Step::Done(done))) => return (tokens, done),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_same_with_any_draft_and_without_greedy_or_drawn_alone_or_together() {
    let plain = load(&target(), None).await.unwrap();
    let mut requests: Vec<GenerateRequest> =
        (0..8).map(|at| asking(ids(at, 10 + 40 * at as usize), 30 + at as u32, Some(at).filter(|at| at % 2 == 1))).collect();
    requests[2].sampling.repetition_penalty = 1.3;
    requests[3].ignore_eos = false;
    for request in &mut requests[4..6] {
        (request.constraint, request.ignore_eos) = (Constraint::Regex("(hello|or){2}[0-9]{12}".into()), false);
    }
    let wanted = join_all(requests.iter().map(|request| answer(&plain, request.clone()))).await;
    assert!(wanted[4..6].iter().all(|(tokens, done)| tokens.len() > 10 && done.finish == Finish::Stop));
    for (number, draft) in drafts().iter().enumerate() {
        let model = load(&target(), Some(draft)).await.unwrap();
        let together = join_all(requests.iter().map(|request| answer(&model, request.clone()))).await;
        for (at, ((tokens, done), (wanted, plain))) in together.iter().zip(&wanted).enumerate() {
            assert_eq!((tokens, done.finish, done.usage), (wanted, plain.finish, plain.usage), "draft {number}, request {at}");
        }
        let model = load(&target(), Some(draft)).await.unwrap();
        for (at, (request, (wanted, plain))) in requests.iter().zip(&wanted).enumerate() {
            let (tokens, done) = answer(&model, request.clone()).await;
            assert_eq!((&tokens, done.finish), (wanted, plain.finish), "draft {number}, request {at} alone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_with_another_vocabulary_is_refused_with_the_difference() {
    let refusal = async |draft: &Made| match load(&target(), Some(draft)).await.err() {
        Some(EngineError::UnsuitableDraft(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let with = |change: fn(&mut Vec<String>)| {
        let mut draft = target();
        let (_, tokens) = draft.fields.iter_mut().find(|(name, _)| name == "tokenizer.ggml.tokens").unwrap();
        match tokens {
            Field::Texts(tokens) => change(tokens),
            other => panic!("{other:?}"),
        }
        draft
    };
    let other = refusal(&with(|tokens| tokens[300] = "<|another|>".into())).await;
    assert!(other.contains("token 300") && other.contains("another"), "{other}");
    let fewer = refusal(&with(|tokens| tokens.truncate(310))).await;
    assert!(fewer.contains("310 tokens instead of 320"), "{fewer}");
    let mut broken = target();
    broken.tensors.pop();
    assert!(refusal(&broken).await.contains("missing"));
    let engine = LayersEngine::new();
    let spec = |architecture: &str| ModelSpec::gguf("tiny", "nowhere", architecture, 1);
    assert!(engine.drafts(&spec("llama"), &spec("qwen3")) && !engine.drafts(&spec("llama"), &spec("bert")));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_answers_stop_and_leave_no_memory_and_unloading_frees_the_draft_too() {
    let model = load(&target(), Some(&target())).await.unwrap();
    let alone = load(&target(), None).await.unwrap();
    assert!(model.memory().weights > alone.memory().weights);
    let mut streams = Vec::new();
    for seed in 0..8 {
        streams.push(model.generate(asking(ids(seed, 20), 400, Some(seed))).await.unwrap());
    }
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    drop(streams);
    let next = tokio::time::timeout(Duration::from_secs(60), answer(&model, asking(ids(9, 5), 3, None))).await.unwrap();
    assert_eq!(next.0.len(), 3);
    let mut last = model.generate(asking(ids(1, 20), 400, None)).await.unwrap();
    last.next().await.unwrap().unwrap();
    model.unload().await;
    assert_eq!(last.collect::<Vec<_>>().await.pop(), Some(Err(EngineError::Unloaded)));
    assert_eq!(model.memory(), kith_engine::Memory::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_models_hold_stays_below_the_estimate() {
    let (file, draft) = (target().file(), Made::new("qwen3", Format::Q4_1, 52).file());
    let spec =
        ModelSpec { parallel: 3, draft: Some(draft.path().to_owned()), ..ModelSpec::gguf("tiny", file.path(), "llama", 1) };
    let engine = LayersEngine::new().with_threads(1).eager();
    let (estimate, single) = (engine.estimate(&spec), engine.estimate(&ModelSpec { draft: None, ..spec.clone() }));
    assert!(estimate.weights > single.weights && estimate.cache > single.cache);
    let model = engine.load(spec).await.unwrap();
    join_all((0..12).map(|seed| answer(&model, asking(ids(seed, 150), 60, Some(seed))))).await;
    let held = model.memory();
    assert!(held.weights <= estimate.weights && held.cache > 0 && held.cache <= estimate.cache, "{held:?} {estimate:?}");
}
