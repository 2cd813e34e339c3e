//! Folders of small encoders, whole and broken.

use super::*;
use crate::{
    Details,
    gguf::{Array, GgmlType, Gguf, Value},
};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};
use tempfile::TempDir;

const WIDTH: u64 = 4;
const INNER: u64 = 6;
const TOKENS: [&str; 7] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "##o", "!"];

type Tensors = BTreeMap<String, (&'static str, Vec<u64>)>;

fn tensors() -> Tensors {
    let mut tensors = Tensors::new();
    let mut put = |name: &str, shape: &[u64]| tensors.insert(name.to_owned(), ("F32", shape.to_vec()));
    put("embeddings.word_embeddings.weight", &[7, WIDTH]);
    put("embeddings.position_embeddings.weight", &[16, WIDTH]);
    put("embeddings.token_type_embeddings.weight", &[2, WIDTH]);
    let mut pair = |name: &str, shape: &[u64]| {
        put(&format!("{name}.weight"), shape);
        put(&format!("{name}.bias"), &shape[..1]);
    };
    pair("embeddings.LayerNorm", &[WIDTH]);
    for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
        pair(&format!("encoder.layer.0.{part}"), &[WIDTH, WIDTH]);
    }
    pair("encoder.layer.0.attention.output.LayerNorm", &[WIDTH]);
    pair("encoder.layer.0.intermediate.dense", &[INNER, WIDTH]);
    pair("encoder.layer.0.output.dense", &[WIDTH, INNER]);
    pair("encoder.layer.0.output.LayerNorm", &[WIDTH]);
    tensors
}

/// A safetensors file whose every byte is the number of its tensor.
fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    for (number, (name, (kind, shape))) in tensors.iter().enumerate() {
        let width = if *kind == "F16" {
            2
        } else if *kind == "I64" {
            8
        } else {
            4
        };
        let bytes = (shape.iter().product::<u64>() * width) as usize;
        header.insert(name.clone(), json!({"dtype": kind, "shape": shape, "data_offsets": [data.len(), data.len() + bytes]}));
        data.resize(data.len() + bytes, number as u8);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("1_Pooling")).unwrap();
        let config = json!({
            "model_type": "bert", "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 2,
            "max_position_embeddings": 16, "vocab_size": 7, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        });
        let vocab: serde_json::Map<_, _> = TOKENS.iter().zip(0..).map(|(token, id)| ((*token).to_owned(), json!(id))).collect();
        folder
            .json("config.json", &config)
            .json("sentence_bert_config.json", &json!({"max_seq_length": 12, "do_lower_case": false}))
            .json("modules.json", &json!([
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
            ]))
            .json("1_Pooling/config.json", &json!({"word_embedding_dimension": 4, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}))
            .json("tokenizer.json", &json!({
                "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
                "pre_tokenizer": {"type": "BertPreTokenizer"},
                "added_tokens": [{"id": 0, "content": "[PAD]"}],
                "model": {"type": "WordPiece", "vocab": vocab, "continuing_subword_prefix": "##", "unk_token": "[UNK]", "max_input_chars_per_word": 100},
            }))
            .text("README.md", "---\nlicense: apache-2.0\n---\n")
            .bytes("model.safetensors", &safetensors(&tensors()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn text(self, name: &str, text: &str) -> Self {
        self.bytes(name, text.as_bytes())
    }

    fn json(self, name: &str, value: &serde_json::Value) -> Self {
        self.text(name, &value.to_string())
    }

    /// The same with one value of one JSON file changed.
    fn with(self, name: &str, pointer: &str, value: serde_json::Value) -> Self {
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[key] = value;
        self.json(name, &json)
    }

    fn without(self, name: &str) -> Self {
        fs::remove_file(self.path(name)).unwrap();
        self
    }

    fn with_tensors(self, change: impl FnOnce(&mut Tensors)) -> Self {
        let mut tensors = tensors();
        change(&mut tensors);
        self.bytes("model.safetensors", &safetensors(&tensors))
    }

    fn converted(&self) -> Vec<u8> {
        let mut conversion = Conversion::of(self.0.path()).unwrap();
        let (size, mut bytes) = (conversion.size(), Vec::new());
        conversion.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, size);
        bytes
    }

    fn gguf(&self) -> Gguf {
        Gguf::from_bytes(&self.converted()).unwrap()
    }

    fn refusal(&self) -> String {
        Conversion::of(self.0.path()).unwrap_err().to_string()
    }
}

#[test]
fn a_folder_makes_one_whole_gguf_file() {
    let folder = Folder::new();
    let bytes = folder.converted();
    let gguf = Gguf::from_bytes(&bytes).unwrap();
    let details = Details::of(&gguf).unwrap();
    assert_eq!((details.architecture.as_str(), details.context_length, details.embedding_length), ("bert", 12, Some(4)));
    assert_eq!(
        (details.capabilities.as_slice(), details.license.as_deref()),
        (&["embedding".to_owned()][..], Some("apache-2.0"))
    );
    assert_eq!((details.quantization.as_str(), details.vocabulary_size), ("F32", Some(7)));
    assert_eq!(gguf.get("bert.pooling_type"), Some(&Value::U32(2)));
    assert_eq!(gguf.get("bert.normalize_embeddings"), Some(&Value::Bool(true)));
    assert_eq!(gguf.get("tokenizer.ggml.normalizer.lowercase"), Some(&Value::Bool(true)));
    assert_eq!(gguf.get("tokenizer.ggml.seperator_token_id"), Some(&Value::U32(3)));
    let Some(Array::String(tokens)) = gguf.tokens() else { panic!("no tokens") };
    assert_eq!(
        tokens.iter().map(|token| &**token).collect::<Vec<_>>(),
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁hello", "o", "▁!"]
    );
    // Every tensor has its own bytes: the number of its place in the safetensors file.
    let names: Vec<String> = tensors().into_keys().collect();
    let number = |name: &str| names.iter().position(|there| there == name).unwrap() as u8;
    for (from, to, shape) in [
        ("embeddings.word_embeddings.weight", "token_embd.weight", [4, 7].as_slice()),
        ("encoder.layer.0.intermediate.dense.weight", "blk.0.ffn_up.weight", &[4, 6]),
        ("encoder.layer.0.output.LayerNorm.bias", "blk.0.layer_output_norm.bias", &[4]),
    ] {
        let tensor = gguf.tensors.iter().find(|tensor| tensor.name == to).unwrap();
        assert_eq!((tensor.shape.as_slice(), tensor.kind), (shape, GgmlType::F32), "{to}");
        let start = (gguf.data_offset + tensor.offset) as usize;
        assert!(bytes[start..start + tensor.bytes() as usize].iter().all(|byte| *byte == number(from)), "{to}");
    }
    assert_eq!(gguf.tensors.len(), tensors().len());
    assert_eq!(folder.converted(), bytes, "the same folder makes the same bytes");
}

#[test]
fn what_the_folder_leaves_out_is_as_its_libraries_have_it() {
    let bare = Folder::new()
        .without("modules.json")
        .without("1_Pooling/config.json")
        .without("sentence_bert_config.json")
        .without("README.md");
    let gguf = bare.gguf();
    assert_eq!((gguf.get("bert.pooling_type"), gguf.context_length()), (Some(&Value::U32(1)), Some(16)));
    assert_eq!(gguf.get("general.license"), None);
    let lines = Folder::new().without("tokenizer.json").text("vocab.txt", &format!("{}\n", TOKENS.join("\n")));
    assert_eq!(lines.converted(), Folder::new().converted(), "vocab.txt says the same as tokenizer.json");
    let cased = lines.json("tokenizer_config.json", &json!({"do_lower_case": false}));
    assert_eq!(cased.gguf().get("tokenizer.ggml.normalizer.lowercase"), Some(&Value::Bool(false)));
    assert_eq!(cased.gguf().get("tokenizer.ggml.normalizer.strip_accents"), Some(&Value::Bool(false)));
}

#[test]
fn half_precision_wrappers_and_old_spellings_are_taken() {
    let folder = Folder::new().with_tensors(|tensors| {
        let old = std::mem::take(tensors);
        for (name, (_, shape)) in old {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            tensors.insert(format!("bert.{name}"), ("F16", shape));
        }
        tensors.insert("bert.embeddings.position_ids".into(), ("I64", vec![1, 16]));
        tensors.insert("bert.pooler.dense.weight".into(), ("F32", vec![4, 4]));
        tensors.insert("cls.predictions.bias".into(), ("F32", vec![7]));
    });
    let gguf = folder.gguf();
    assert_eq!((gguf.quantization(), gguf.tensors.len()), (Some("F16"), tensors().len()));
    assert!(gguf.tensors.iter().all(|tensor| tensor.kind == GgmlType::F16));
}

#[test]
fn what_is_not_one_whole_encoder_of_a_known_kind_is_refused_in_a_sentence() {
    let new = Folder::new;
    for (folder, word) in [
        (new().without("config.json"), "config.json"),
        (new().without("model.safetensors"), "model.safetensors is missing"),
        (new().without("tokenizer.json"), "vocab.txt"),
        (new().with("config.json", "/model_type", json!("mpnet")), "mpnet"),
        (new().with("config.json", "/is_decoder", json!(true)), "decoder"),
        (new().with("config.json", "/hidden_act", json!("relu")), "relu"),
        (new().with("config.json", "/position_embedding_type", json!("relative_key")), "relative_key"),
        (new().with("config.json", "/num_attention_heads", json!(3)), "heads"),
        (new().with("config.json", "/num_attention_heads", json!(0)), "num_attention_heads"),
        (new().with("config.json", "/num_hidden_layers", json!(100_000)), "layers"),
        (new().with("config.json", "/num_hidden_layers", json!(2)), "encoder.layer.1"),
        (new().with("config.json", "/hidden_size", json!(u64::MAX)), "hidden_size"),
        (new().with("config.json", "/hidden_size", json!(8)), "shape"),
        (new().with("config.json", "/layer_norm_eps", json!(0)), "layer_norm_eps"),
        (new().with("config.json", "/vocab_size", json!("x")), "config.json"),
        (new().with("modules.json", "/1/path", json!("../elsewhere")), "../elsewhere"),
        (new().with("modules.json", "/2/type", json!("sentence_transformers.models.Dense")), "Dense"),
        (new().with("1_Pooling/config.json", "/pooling_mode_max_tokens", json!(true)), "max_tokens"),
        (new().with("tokenizer.json", "/model/type", json!("BPE")), "model"),
        (new().with("tokenizer.json", "/pre_tokenizer/type", json!("ByteLevel")), "pre-tokenizer"),
        (new().with("tokenizer.json", "/normalizer/clean_text", json!(false)), "normalizer"),
        (new().with("tokenizer.json", "/model/vocab/hello", json!(9)), "leaves out"),
        (new().with("tokenizer.json", "/model/vocab/hello", json!(3)), "twice"),
        (new().with("tokenizer.json", "/added_tokens", json!([{"id": 7, "content": "more"}])), "8 tokens"),
        (new().without("tokenizer.json").text("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\na\n"), "twice"),
        (new().without("tokenizer.json").text("vocab.txt", "[UNK]\n[CLS]\n"), "[SEP]"),
        (new().with_tensors(|tensors| drop(tensors.remove("embeddings.LayerNorm.bias"))), "embeddings.LayerNorm.bias"),
        (new().with_tensors(|tensors| drop(tensors.insert("lora.a".into(), ("F32", vec![1])))), "lora.a"),
        (new().with_tensors(|tensors| drop(tensors.insert("x".into(), ("F8_E4M3", vec![1])))), "F8_E4M3"),
        (new().bytes("model.safetensors", b"short"), "model.safetensors"),
        (new().bytes("model.safetensors", &[0xff; 64]), "no safetensors"),
        (new().bytes("model.safetensors", &safetensors(&tensors())[..1500]), "no safetensors"),
    ] {
        let refusal = folder.refusal();
        assert!(refusal.contains(word), "{word}: {refusal}");
    }
    let file = new();
    assert!(Conversion::of(&file.path("config.json")).is_err(), "a file is no folder");
}

#[test]
fn false_headers_are_refused_without_taking_memory_or_disk() {
    let parse = |json: serde_json::Value, size: u64| Safetensors::parse(json.to_string().as_bytes(), size);
    let entry =
        |shape: serde_json::Value, offsets: [u64; 2]| json!({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}});
    assert!(parse(entry(json!([2]), [0, 8]), 1000).is_ok());
    for (shape, offsets) in [
        (json!([2]), [0, 4]),
        (json!([2]), [8, 0]),
        (json!([2]), [996, 1004]),
        (json!([u64::MAX, 2]), [0, 8]),
        (json!([u64::MAX / 2]), [0, 8]),
        (json!([2]), [u64::MAX - 7, 1]),
        (json!([-1]), [0, 8]),
    ] {
        assert!(parse(entry(shape.clone(), offsets), 1000).is_err(), "{shape} {offsets:?}");
    }
    let half = json!({"dtype": "F32", "shape": [150], "data_offsets": [0, 600]});
    assert!(parse(json!({"a": half, "b": half}), 1000).unwrap_err().to_string().contains("overlap"));
    assert!(Safetensors::parse(b"not json", 1000).is_err());
    assert!(Safetensors::parse(&b"[".repeat(1 << 20), 1 << 30).is_err(), "nothing recurses without end");
}

#[test]
fn a_file_that_becomes_shorter_is_told_instead_of_cut_off() {
    let folder = Folder::new();
    let mut conversion = Conversion::of(folder.0.path()).unwrap();
    let file = File::options().write(true).open(folder.path("model.safetensors")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    let error = conversion.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
