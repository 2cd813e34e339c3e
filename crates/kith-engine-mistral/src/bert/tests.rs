//! The engine on a very small encoder with weights of no meaning.

use super::*;
use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor, gguf_file, gguf_file::Value},
};
use kith_engine::{Constraint, Input, Sampling};
use std::{collections::BTreeMap, path::PathBuf};
use tempfile::TempDir;

const WIDTH: usize = 8;
const INNER: usize = 16;
const WINDOW: usize = 12;
const WORDS: [&str; 8] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u{2581}one", "\u{2581}two", "\u{2581}three", "\u{2581}four"];

/// A file in the making.
struct Made {
    metadata: BTreeMap<&'static str, Value>,
    tensors: BTreeMap<String, Vec<usize>>,
}

impl Made {
    fn new() -> Self {
        let number = |n: usize| Value::U32(u32::try_from(n).unwrap());
        let tokens = WORDS.iter().map(|word| Value::String((*word).into())).collect();
        let metadata = BTreeMap::from([
            ("general.architecture", Value::String("bert".into())),
            ("bert.embedding_length", number(WIDTH)),
            ("bert.feed_forward_length", number(INNER)),
            ("bert.block_count", number(2)),
            ("bert.attention.head_count", number(2)),
            ("bert.attention.layer_norm_epsilon", Value::F32(1e-12)),
            ("bert.context_length", number(WINDOW)),
            ("tokenizer.ggml.model", Value::String("bert".into())),
            ("tokenizer.ggml.tokens", Value::Array(tokens)),
        ]);
        let mut tensors = BTreeMap::from([
            ("token_embd.weight".to_owned(), vec![WORDS.len(), WIDTH]),
            ("position_embd.weight".to_owned(), vec![WINDOW, WIDTH]),
            ("token_types.weight".to_owned(), vec![2, WIDTH]),
        ]);
        let mut pair = |name: String, shape: Vec<usize>| {
            tensors.insert(format!("{name}.bias"), vec![shape[0]]);
            tensors.insert(format!("{name}.weight"), shape);
        };
        pair("token_embd_norm".into(), vec![WIDTH]);
        for at in 0..2 {
            for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
                pair(format!("blk.{at}.{part}"), vec![WIDTH, WIDTH]);
            }
            pair(format!("blk.{at}.attn_output_norm"), vec![WIDTH]);
            pair(format!("blk.{at}.ffn_up"), vec![INNER, WIDTH]);
            pair(format!("blk.{at}.ffn_down"), vec![WIDTH, INNER]);
            pair(format!("blk.{at}.layer_output_norm"), vec![WIDTH]);
        }
        Self { metadata, tensors }
    }

    fn with(mut self, key: &'static str, value: Value) -> Self {
        self.metadata.insert(key, value);
        self
    }

    fn shaped(mut self, name: &str, shape: &[usize]) -> Self {
        self.tensors.insert(name.into(), shape.to_vec());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.tensors.remove(name);
        self.metadata.remove(name);
        self
    }

    fn written(&self, folder: &TempDir) -> ModelSpec {
        let path = folder.path().join("encoder.gguf");
        let mut state = 7u64;
        let mut tensors = Vec::new();
        for (name, shape) in &self.tensors {
            let count: usize = shape.iter().product();
            let numbers: Vec<f32> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
                })
                .collect();
            let tensor = Tensor::from_vec(numbers, shape.as_slice(), &Device::Cpu).unwrap();
            let kind = if shape.len() == 2 { GgmlDType::F16 } else { GgmlDType::F32 };
            tensors.push((name.as_str(), QTensor::quantize(&tensor, kind).unwrap()));
        }
        let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let metadata: Vec<(&str, &Value)> = self.metadata.iter().map(|(name, value)| (*name, value)).collect();
        gguf_file::write(&mut File::create(&path).unwrap(), &metadata, &tensors).unwrap();
        spec(path)
    }
}

fn spec(path: PathBuf) -> ModelSpec {
    let size_bytes = std::fs::metadata(&path).map_or(1, |file| file.len());
    ModelSpec { parallel: 2, ..ModelSpec::gguf("encoder:latest", path, "bert", size_bytes) }
}

async fn loaded(made: &Made) -> Result<Arc<dyn Loaded>, EngineError> {
    let folder = tempfile::tempdir().unwrap();
    EncoderEngine::new().load(made.written(&folder)).await
}

fn asking(texts: &[&str], truncate: bool) -> EmbedRequest {
    let inputs = texts.iter().map(|text| EmbedInput::Text((*text).into())).collect();
    EmbedRequest { inputs, truncate, dimensions: None }
}

fn alike(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-5)
}

#[tokio::test]
async fn a_text_has_the_same_vector_in_any_company() {
    let model = loaded(&Made::new()).await.unwrap();
    let texts = ["one", "two three four one two", "one two", "", "four four four", "one"];
    let together = model.embed(asking(&texts, false)).await.unwrap();
    assert_eq!(together.tokens, [3, 7, 4, 2, 5, 3]);
    for (text, vector) in texts.iter().zip(&together.vectors) {
        let alone = model.embed(asking(&[text], false)).await.unwrap();
        assert!(alike(&alone.vectors[0], vector), "{text}: {vector:?}");
        assert!((vector.iter().map(|n| n * n).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert!(!alike(&together.vectors[0], &together.vectors[2]));
    let swapped = model.embed(asking(&["two one"], false)).await.unwrap();
    assert!(!alike(&swapped.vectors[0], &together.vectors[2]), "places count");
}

#[tokio::test]
async fn tokens_and_text_are_one() {
    let model = loaded(&Made::new()).await.unwrap();
    let text = model.embed(asking(&["one two"], false)).await.unwrap();
    for ids in [vec![4, 5], vec![2, 4, 5, 3]] {
        let request = EmbedRequest { inputs: vec![EmbedInput::Tokens(ids)], truncate: false, dimensions: None };
        assert_eq!(model.embed(request).await.unwrap(), text);
    }
    let request = EmbedRequest { inputs: vec![EmbedInput::Tokens(vec![8])], truncate: true, dimensions: None };
    assert!(matches!(model.embed(request).await, Err(EngineError::Invalid { field: "input", .. })));
    assert_eq!(model.tokenize("one two", true).await.unwrap(), [2, 4, 5, 3]);
    assert_eq!(model.detokenize(&[4, 5]).await.unwrap(), "one two");
}

#[tokio::test]
async fn long_texts_are_cut_or_refused() {
    let model = loaded(&Made::new()).await.unwrap();
    let (fits, long) = ("one ".repeat(WINDOW - 2), "one ".repeat(WINDOW - 1));
    let whole = model.embed(asking(&[&fits], false)).await.unwrap();
    let refused = model.embed(asking(&[&long], false)).await.unwrap_err();
    assert_eq!(refused, EngineError::ContextExceeded { prompt: WINDOW as u32 + 1, window: WINDOW as u32 });
    let cut = model.embed(asking(&[&long], true)).await.unwrap();
    assert_eq!((cut.tokens[0], &cut.vectors), (WINDOW as u32, &whole.vectors));
}

#[tokio::test]
async fn vectors_are_pooled_scaled_and_shortened_as_told() {
    let whole = asking(&["one two three"], false);
    let of = async |made: Made| loaded(&made).await.unwrap().embed(whole.clone()).await.unwrap().vectors.remove(0);
    let mean = of(Made::new()).await;
    assert!(alike(&of(Made::new().with("bert.pooling_type", Value::U32(1))).await, &mean));
    let first = of(Made::new().with("bert.pooling_type", Value::U32(2))).await;
    let last = of(Made::new().with("bert.pooling_type", Value::U32(3))).await;
    assert!(!alike(&mean, &first) && !alike(&first, &last) && !alike(&mean, &last));
    let raw = of(Made::new().with("bert.normalize_embeddings", Value::Bool(false))).await;
    let length = raw.iter().map(|n| n * n).sum::<f32>().sqrt();
    assert!(alike(&raw.iter().map(|n| n / length).collect::<Vec<_>>(), &mean) && (length - 1.0).abs() > 1e-3);
    let model = loaded(&Made::new()).await.unwrap();
    let short = model.embed(EmbedRequest { dimensions: Some(3), ..whole.clone() }).await.unwrap().vectors.remove(0);
    let length = mean[..3].iter().map(|n| n * n).sum::<f32>().sqrt();
    assert!(alike(&short, &mean[..3].iter().map(|n| n / length).collect::<Vec<_>>()));
    for wrong in [0, WIDTH as u32 + 1] {
        let refused = model.embed(EmbedRequest { dimensions: Some(wrong), ..whole.clone() }).await;
        assert!(matches!(refused, Err(EngineError::Invalid { field: "dimensions", .. })));
    }
}

#[tokio::test]
async fn files_that_do_not_add_up_are_refused_in_a_sentence() {
    let made = Made::new;
    for (made, word) in [
        (made().without("blk.1.ffn_up.weight"), "blk.1.ffn_up.weight"),
        (made().shaped("blk.0.attn_k.weight", &[WIDTH, WIDTH - 1]), "blk.0.attn_k.weight"),
        (made().shaped("token_embd.weight", &[WORDS.len() - 1, WIDTH]), "vocabulary"),
        (made().shaped("position_embd.weight", &[WINDOW - 1, WIDTH]), "places"),
        (made().with("bert.attention.head_count", Value::U32(3)), "heads"),
        (made().with("bert.attention.causal", Value::Bool(true)), "backwards"),
        (made().with("bert.pooling_type", Value::U32(4)), "pools"),
        (made().with("bert.context_length", Value::U32(2)), "window"),
        (made().with("bert.block_count", Value::U32(u32::MAX)), "blk.2."),
        (made().with("tokenizer.ggml.model", Value::String("t5".into())), "t5"),
        (made().without("bert.feed_forward_length"), "feed_forward_length"),
    ] {
        let Err(EngineError::UnsupportedModel(sentence)) = loaded(&made).await else { panic!("{word}: taken") };
        assert!(sentence.contains(word), "{word}: {sentence}");
    }
    assert!(matches!(EncoderEngine::new().load(spec("no/such/file".into())).await, Err(EngineError::UnsupportedModel(_))));
}

#[tokio::test]
async fn an_encoder_writes_no_answers_and_is_gone_once_unloaded() {
    let engine = EncoderEngine::new();
    let folder = tempfile::tempdir().unwrap();
    let spec = Made::new().written(&folder);
    assert!(engine.supports(&spec) && engine.embeds(&spec) && !engine.generates(&spec));
    assert!(!engine.supports(&ModelSpec { architecture: "llama".into(), ..spec.clone() }));
    let estimate = engine.estimate(&spec);
    let model = engine.load(spec).await.unwrap();
    assert_eq!(model.info().context as usize, WINDOW);
    let held = model.memory();
    assert!(held.weights > 0 && held.weights == estimate.weights && held.cache == 0 && estimate.cache > 0);
    let request = GenerateRequest {
        input: Input::Tokens(vec![4]),
        sampling: Sampling::default(),
        max_tokens: None,
        logprobs: None,
        constraint: Constraint::None,
        ignore_eos: false,
        adapter: None,
    };
    assert!(matches!(model.generate(request).await, Err(EngineError::Unsupported(_))));
    model.unload().await;
    model.unload().await;
    assert_eq!(model.memory(), Memory::default());
    assert_eq!(model.embed(asking(&["one"], true)).await, Err(EngineError::Unloaded));
}

#[tokio::test(flavor = "multi_thread")]
async fn unloading_ends_waiting_requests_and_a_dropped_one_leaves_its_turn() {
    let model = loaded(&Made::new()).await.unwrap();
    let many: Vec<String> = (0..4000).map(|n| "one two three ".repeat(1 + n % 3)).collect();
    let request = EmbedRequest { inputs: many.into_iter().map(EmbedInput::Text).collect(), truncate: true, dimensions: None };
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(1), model.embed(request.clone())).await;
    assert!(dropped.is_err(), "4000 texts take longer than a millisecond");
    model.embed(asking(&["one"], true)).await.unwrap();
    let running: Vec<_> = (0..3)
        .map(|_| {
            let (model, request) = (Arc::clone(&model), request.clone());
            tokio::spawn(async move { model.embed(request).await })
        })
        .collect();
    model.unload().await;
    for request in running {
        // One that was quick enough to end before has its answer.
        assert!(matches!(request.await.unwrap(), Err(EngineError::Unloaded) | Ok(_)));
    }
}
