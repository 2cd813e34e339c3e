//! What the engine promises behind the port, sentence by sentence, with tiny models.

use super::*;
use crate::{
    Next, Reads, Track,
    adapter::tests as adapters,
    made::{self, Field, Made},
};
use futures::{StreamExt, future::join_all};
use kith_engine::{Constraint, Finish, GenerateRequest, Generated, Input, Sampling, Step, Token};
use kith_kernels::Format;
use std::time::Duration;
use tempfile::NamedTempFile;

fn spec(file: &NamedTempFile, architecture: &str) -> ModelSpec {
    ModelSpec { parallel: 8, ..ModelSpec::gguf("tiny", file.path(), architecture, 1) }
}

async fn load(made: &Made) -> Arc<dyn Loaded> {
    let file = made.file();
    let architecture = match &made.fields[0].1 {
        Field::Text(name) => name.clone(),
        other => panic!("{other:?}"),
    };
    LayersEngine::new().with_threads(2).load(spec(&file, &architecture)).await.unwrap()
}

fn asking(tokens: Vec<u32>, max_tokens: u32, seed: Option<u64>) -> GenerateRequest {
    let temperature = if seed.is_some() { 1.0 } else { 0.0 };
    GenerateRequest {
        input: Input::Tokens(tokens),
        sampling: Sampling { temperature, seed, ..Sampling::default() },
        max_tokens: Some(max_tokens),
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: true,
        adapter: None,
    }
}

fn prompt(seed: u64, length: usize) -> Vec<u32> {
    let mut draw = made::Draw(seed);
    (0..length).map(|_| (draw.next() % 256) as u32).collect()
}

async fn answer(model: &Arc<dyn Loaded>, request: GenerateRequest) -> (Vec<Token>, Generated) {
    let mut stream = model.generate(request).await.unwrap();
    let mut tokens = Vec::new();
    loop {
        match stream.next().await {
            Some(Ok(Step::Token(token))) => tokens.push(token),
            Some(Ok(Step::Done(done))) => {
                assert!(stream.next().await.is_none(), "nothing follows the end");
                return (tokens, done);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn ids(tokens: &[Token]) -> Vec<u32> {
    tokens.iter().map(|token| token.id).collect()
}

/// The likeliest tokens, one step of the bare stage each.
fn plainly(made: &Made, prompt: &[u32], length: usize) -> Vec<u32> {
    let file = made.file();
    let mut stage = Stage::load(file.path(), &StageOptions { threads: 1, ..StageOptions::default() }).unwrap();
    let mut track = Track::new();
    let mut reads = prompt.to_vec();
    let mut written = Vec::new();
    for _ in 0..length {
        let mut nexts = [Next { track: &mut track, tokens: reads.len() }];
        stage.step(Reads::Tokens(&reads), &mut nexts, &|| false).unwrap();
        let mut logits = stage.logits(&[reads.len() - 1]).unwrap().to_vec();
        logits[264] = f32::NEG_INFINITY;
        let id = kith_decoding::sampling::top(&logits, 1)[0];
        written.push(id);
        reads = vec![id];
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn greedy_answers_are_the_likeliest_tokens_with_guesses_or_without() {
    for name in ["llama", "gemma3", "qwen3moe"] {
        let made = Made::new(name, Format::Q8_0, 11);
        let model = load(&made).await;
        // A tiny model soon repeats itself, so guesses are many; and it is asked to go on long.
        for seed in 0..3 {
            let prompt = prompt(seed, 30).repeat(3);
            let (tokens, done) = answer(&model, asking(prompt.clone(), 120, None)).await;
            assert_eq!(ids(&tokens), plainly(&made, &prompt, 120), "{name} {seed}");
            assert_eq!((done.finish, done.usage.prompt, done.usage.completion), (Finish::Length, 90, 120));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_answer_does_not_depend_on_its_company_or_on_the_prefix_cache() {
    let model = load(&Made::new("qwen2", Format::Q4_1, 12)).await;
    let requests: Vec<GenerateRequest> =
        (0..12).map(|seed| asking(prompt(seed % 3, 20 + 17 * seed as usize), 40, Some(seed))).collect();
    let mut alone = Vec::new();
    for request in &requests {
        alone.push(ids(&answer(&model, request.clone()).await.0));
    }
    let again = load(&Made::new("qwen2", Format::Q4_1, 12)).await;
    let together = join_all(requests.iter().map(|request| answer(&again, request.clone()))).await;
    for (alone, (together, _)) in alone.iter().zip(&together) {
        assert_eq!(*alone, ids(together));
    }
    let repeated = answer(&model, requests[11].clone()).await;
    assert_eq!(ids(&repeated.0), alone[11]);
    assert_eq!(repeated.1.usage.cached, repeated.1.usage.prompt - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_do_not_fit_together_take_turns_and_say_the_same() {
    let made = Made::new("llama", Format::Q8_0, 20);
    let roomy = load(&made).await;
    let requests: Vec<GenerateRequest> = (0..6).map(|seed| asking(prompt(seed, 100), 250, Some(seed))).collect();
    let mut alone = Vec::new();
    for request in &requests {
        alone.push(ids(&answer(&roomy, request.clone()).await.0));
    }
    // Room for the blocks of one window: six answers of six blocks each cannot all be at work.
    let file = made.file();
    let engine = LayersEngine::new().with_threads(2).with_running(1);
    let spec = spec(&file, "llama");
    let estimate = engine.estimate(&spec);
    assert!(estimate.cache < LayersEngine::new().estimate(&spec).cache);
    let tight = engine.load(spec).await.unwrap();
    let together = join_all(requests.iter().map(|request| answer(&tight, request.clone()))).await;
    for (alone, (together, done)) in alone.iter().zip(&together) {
        assert_eq!(*alone, ids(together));
        assert_eq!((done.usage.prompt, done.usage.completion), (100, 250));
    }
    assert!(tight.memory().cache <= estimate.cache);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_from_where_it_was() {
    let model = load(&Made::new("llama", Format::Q8_0, 13)).await;
    let first = prompt(1, 100);
    let (tokens, done) = answer(&model, asking(first.clone(), 20, None)).await;
    assert_eq!(done.usage.cached, 0);
    let next: Vec<u32> = first.into_iter().chain(ids(&tokens)).chain([5, 6, 7]).collect();
    let (_, done) = answer(&model, asking(next, 5, None)).await;
    // All but the last token of the first answer, which was never read.
    assert_eq!(done.usage.cached, 119);
    let memory = model.memory();
    assert!(memory.cache > 0 && memory.weights > 0 && memory.gpu == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_comes_whole_and_log_probabilities_sum_to_one() {
    let model = load(&Made::new("llama", Format::F32, 14)).await;
    assert_eq!(model.tokenize("hello", false).await.unwrap(), [259]);
    assert_eq!(model.detokenize(&[259, 262]).await.unwrap(), "hello wor");
    let request = GenerateRequest {
        input: Input::Text { text: "hello".into(), add_special: true, images: Vec::new() },
        logprobs: Some(20),
        ..asking(Vec::new(), 6, Some(3))
    };
    let (tokens, _) = answer(&model, request).await;
    assert_eq!(tokens.len(), 6);
    for token in tokens {
        assert_eq!(token.top.len(), 20);
        assert!(token.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
        let sum: f32 = token.top.iter().map(|top| top.logprob.exp()).sum();
        assert!(sum > 0.0 && sum <= 1.0001 && token.logprob.is_some(), "{sum}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_with_the_models_own_end() {
    let mut made = Made::new("llama", Format::F32, 15);
    let (tokens, _) = answer(&load(&made).await, asking(prompt(3, 9), 5, None)).await;
    // The same model, in which the third token it will write is the one that ends answers.
    let third = tokens[2].id;
    let earlier = ids(&tokens[..2]);
    assert!(!earlier.contains(&third), "a poor seed");
    made.set("tokenizer.ggml.eos_token_id", Field::U32(third));
    let request = GenerateRequest { ignore_eos: false, ..asking(prompt(3, 9), 5, None) };
    let (tokens, done) = answer(&load(&made).await, request).await;
    assert_eq!((ids(&tokens), done.finish), (earlier, Finish::Stop));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_belongs_to_the_language_it_was_held_to() {
    let model = load(&Made::new("qwen3", Format::Q8_0, 16)).await;
    let text = |tokens: &[Token]| tokens.iter().map(|token| token.text.as_str()).collect::<String>();
    let language = regex::Regex::new("^(hello|or){2}[0-9]{3}$").unwrap();
    for seed in 0..3 {
        let constraint = Constraint::Regex("(hello|or){2}[0-9]{3}".into());
        let request = GenerateRequest { constraint, ignore_eos: false, ..asking(prompt(seed, 10), 60, Some(seed)) };
        let (tokens, done) = answer(&model, request).await;
        assert!(language.is_match(&text(&tokens)), "{:?}", text(&tokens));
        assert_eq!(done.finish, Finish::Stop);
    }
    let schema = serde_json::json!({"type": "array", "items": {"type": "boolean"}, "maxItems": 2});
    let request = GenerateRequest { constraint: Constraint::JsonSchema(schema), ..asking(prompt(5, 10), 80, Some(1)) };
    let (tokens, _) = answer(&model, request).await;
    assert!(serde_json::from_str::<Vec<bool>>(&text(&tokens)).is_ok(), "{:?}", text(&tokens));
    let bad = GenerateRequest { constraint: Constraint::Regex("(".into()), ..asking(prompt(5, 10), 80, Some(1)) };
    assert!(matches!(model.generate(bad).await.err(), Some(EngineError::Invalid { field: "constraint", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_answered_are_refused_at_once() {
    let model = load(&Made::new("phi3", Format::Q8_0, 17)).await;
    let refused = async |request| model.generate(request).await.err().expect("a refusal");
    assert!(matches!(refused(asking(Vec::new(), 1, None)).await, EngineError::Invalid { field: "input", .. }));
    assert!(matches!(refused(asking(vec![9999], 1, None)).await, EngineError::Invalid { field: "input", .. }));
    let long = refused(asking(prompt(1, made::CONTEXT), 1, None)).await;
    assert_eq!(long, EngineError::ContextExceeded { prompt: 512, window: 512 });
    let mut hot = asking(vec![1], 1, None);
    hot.sampling.temperature = 9.0;
    assert!(matches!(refused(hot).await, EngineError::Invalid { field: "sampling.temperature", .. }));
    let image = kith_engine::Image::new(0, b"GIF89a....".to_vec()).unwrap();
    let input = Input::Text { text: "x".into(), add_special: true, images: vec![image] };
    assert!(matches!(refused(GenerateRequest { input, ..asking(Vec::new(), 1, None) }).await, EngineError::Unsupported(_)));
    let (tokens, done) = answer(&model, asking(prompt(1, 511), 10, None)).await;
    assert_eq!((tokens.len(), done.finish), (1, Finish::Length));
    let (tokens, done) = answer(&model, asking(prompt(1, 11), 0, None)).await;
    assert_eq!((tokens.len(), done.finish), (0, Finish::Length));
}

#[tokio::test]
async fn a_model_goes_on_with_the_cores_it_is_given_and_writes_the_same() {
    let file = Made::new("llama", Format::Q8_0, 21).file();
    let engine = LayersEngine::new().with_threads(3);
    let model = engine.load(spec(&file, "llama")).await.unwrap();
    let mut expected = None;
    for cores in [None, Some(1), Some(2), None] {
        engine.use_cores(cores);
        let (tokens, _) = answer(&model, asking(prompt(3, 70), 12, Some(5))).await;
        assert_eq!(*expected.get_or_insert_with(|| ids(&tokens)), ids(&tokens), "{cores:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_makes_room_and_unloading_ends_the_others() {
    let file = Made::new("gemma2", Format::Q8_0, 18).file();
    let engine = LayersEngine::new().with_threads(1);
    let model = engine.load(ModelSpec { parallel: 1, ..spec(&file, "gemma2") }).await.unwrap();
    let mut first = model.generate(asking(prompt(1, 10), 500, None)).await.unwrap();
    first.next().await.unwrap().unwrap();
    drop(first);
    let second = tokio::time::timeout(Duration::from_secs(20), answer(&model, asking(prompt(2, 10), 3, None)));
    assert_eq!(second.await.unwrap().0.len(), 3);
    let mut third = model.generate(asking(prompt(1, 10), 500, None)).await.unwrap();
    let mut waiting = model.generate(asking(prompt(2, 10), 500, None)).await.unwrap();
    third.next().await.unwrap().unwrap();
    model.unload().await;
    model.unload().await;
    let last = third.collect::<Vec<_>>().await.pop();
    assert_eq!(last, Some(Err(EngineError::Unloaded)));
    assert_eq!(waiting.next().await, Some(Err(EngineError::Unloaded)));
    assert_eq!(model.generate(asking(vec![1], 1, None)).await.err(), Some(EngineError::Unloaded));
    assert_eq!((model.memory(), model.is_alive()), (Memory::default(), false));
}

#[tokio::test]
async fn files_that_are_not_understood_are_refused_so_that_another_engine_can_be_chosen() {
    let engine = LayersEngine::new();
    let refusal = async |made: &Made, architecture: &str| {
        let file = made.file();
        match engine.load(spec(&file, architecture)).await.err() {
            Some(EngineError::UnsupportedModel(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let made = Made::new("llama", Format::Q8_0, 1);
    assert!(refusal(&made, "mamba").await.contains("mamba"));
    let mut strange = made.clone();
    strange.norm("blk.0.attn_sinks.weight", 4, &mut made::Draw(1));
    assert!(refusal(&strange, "llama").await.contains("attn_sinks"));
    let mut lacking = made.clone();
    lacking.tensors.retain(|(name, ..)| name != "blk.3.ffn_up.weight");
    assert!(refusal(&lacking, "llama").await.contains("blk.3.ffn_up.weight"));
    for (field, value) in [
        ("llama.attention.head_count_kv", Field::U32(3)),
        ("llama.block_count", Field::U32(4_000_000_000)),
        ("llama.embedding_length", Field::U32(0)),
        ("llama.attention.sliding_window", Field::U32(64)),
        ("llama.rope.scaling.type", Field::Text("unheard of".into())),
        ("llama.rope.freq_base", Field::F32(f32::NAN)),
        ("tokenizer.ggml.pre", Field::Text("unheard of".into())),
        ("tokenizer.ggml.tokens", Field::Texts(vec!["a".into(); 1000])),
    ] {
        let mut wrong = made.clone();
        wrong.set(field, value);
        if field != "llama.rope.freq_base" {
            assert!(!refusal(&wrong, "llama").await.is_empty(), "{field}");
        }
    }
    assert_eq!(engine.estimate(&ModelSpec { path: "no/such".into(), ..spec(&made.file(), "llama") }).weights, 1);
}

#[tokio::test]
async fn what_a_model_holds_stays_below_the_estimate() {
    let file = Made::new("llama with experts", Format::Q8_0, 19).file();
    let engine = LayersEngine::new().with_threads(1);
    let estimate = engine.estimate(&spec(&file, "llama"));
    let model = engine.load(spec(&file, "llama")).await.unwrap();
    join_all((0..20).map(|seed| answer(&model, asking(prompt(seed, 200), 100, Some(seed))))).await;
    let held = model.memory();
    assert!(held.weights <= estimate.weights && held.cache > 0 && held.cache <= estimate.cache, "{held:?} {estimate:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_changes_the_answer_as_if_it_were_folded_in_and_nobody_elses() {
    let made = Made::new("llama", Format::F32, 23);
    let changes = [31, 32].map(|seed| adapters::matrices(&made, 4, seed));
    let [one, other] = [("one", &changes[0]), ("other", &changes[1])].map(|(id, m)| adapters::adapter(id, m.clone()));
    let asks: Vec<GenerateRequest> = (0..9)
        .map(|seed| GenerateRequest {
            adapter: [None, Some(one.clone()), Some(other.clone())][seed as usize % 3].clone(),
            ..asking(prompt(seed / 6, 80), 30, None)
        })
        .collect();
    let mut alone = Vec::new();
    for ask in &asks {
        alone.push(ids(&answer(&load(&made).await, ask.clone()).await.0));
    }
    assert!(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2]);
    for (at, changes) in [(1, &changes[0]), (2, &changes[1])] {
        let folded = load(&adapters::merged(&made, changes)).await;
        assert_eq!(ids(&answer(&folded, asking(prompt(0, 80), 30, None)).await.0), alone[at]);
    }
    let model = load(&made).await;
    let before = model.memory().weights;
    assert!(model.adapts());
    let together = join_all(asks.iter().map(|ask| answer(&model, ask.clone()))).await;
    for (alone, (together, _)) in alone.iter().zip(&together) {
        assert_eq!(*alone, ids(together));
    }
    assert!(model.memory().weights > before, "adapters are held beside the weights");
    model.unload().await;
    assert_eq!(model.memory(), Memory::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_with_an_adapter_serves_only_those_who_have_it() {
    let made = Made::new("qwen2", Format::Q8_0, 24);
    let model = load(&made).await;
    let adapter = |id: &str, seed| Some(adapters::adapter(id, adapters::matrices(&made, 2, seed)));
    let ask = |adapter| GenerateRequest { adapter, ..asking(prompt(7, 100), 10, None) };
    let (plain, done) = answer(&model, ask(None)).await;
    assert_eq!(done.usage.cached, 0);
    let (adapted, done) = answer(&model, ask(adapter("one", 1))).await;
    assert_eq!(done.usage.cached, 0);
    let (_, done) = answer(&model, ask(adapter("other", 2))).await;
    assert_eq!(done.usage.cached, 0);
    for (adapter, wanted) in [(None, plain), (adapter("one", 1), adapted)] {
        let (again, done) = answer(&model, ask(adapter)).await;
        assert_eq!((ids(&again), done.usage.cached), (ids(&wanted), 99));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_of_another_model_is_refused_and_the_model_answers_on() {
    let model = load(&Made::new("llama", Format::Q8_0, 25)).await;
    let strange = adapters::adapter("strange", adapters::matrices(&Made::new("phi3", Format::Q8_0, 25), 2, 1));
    let refused = model.generate(GenerateRequest { adapter: Some(strange), ..asking(prompt(1, 9), 3, None) }).await.err();
    assert!(
        matches!(&refused, Some(EngineError::Invalid { field: "adapter", message }) if message.contains("attn_qkv")),
        "{refused:?}"
    );
    assert_eq!(answer(&model, asking(prompt(1, 9), 3, None)).await.0.len(), 3);
}
