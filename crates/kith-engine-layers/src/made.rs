//! Tiny models made by code, for tests: a GGUF file of each family with weights drawn from a seed.

use crate::family::{FAMILIES, Given, family};
use kith_kernels::{Format, float::to_f16};
use std::{collections::BTreeMap, io::Write};
use tempfile::NamedTempFile;

/// A field's value.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
}

/// A GGUF file to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    pub(crate) fields: Vec<(String, Field)>,
    pub(crate) tensors: Vec<(String, Vec<usize>, Format, Vec<u8>)>,
}

/// The sizes of the tiny models.
pub(crate) const WIDTH: usize = 64;
pub(crate) const HEAD: usize = 16;
pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const INNER: usize = 96;
pub(crate) const LAYERS: usize = 7;
pub(crate) const WINDOW: usize = 70;
pub(crate) const EXPERTS: usize = 5;
pub(crate) const EXPERTS_USED: usize = 2;
pub(crate) const CONTEXT: usize = 512;
/// Bytes, a few words, and control tokens.
pub(crate) const VOCABULARY: usize = 320;

/// Every family, and llama with experts.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name).chain(["llama with experts"])
}

/// Numbers from a seed.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// From -1 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }
}

/// Bytes of `values` in a format: F32, or one of which any bytes with sound scales are weights.
fn encode(format: Format, values: &[f32], draw: &mut Draw) -> Vec<u8> {
    match format {
        Format::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Format::Q8_0 => {
            let block = |values: &[f32]| {
                let scale = values.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0;
                let codes = values.iter().map(move |value| (value / scale.max(1e-9)).round() as i8 as u8);
                to_f16(scale).to_le_bytes().into_iter().chain(codes).collect::<Vec<u8>>()
            };
            values.chunks(32).flat_map(block).collect()
        }
        Format::Q4_1 => (0..values.len() / 32)
            .flat_map(|_| {
                let (scale, least) = (to_f16(0.01 + 0.005 * draw.unit()), to_f16(-0.08));
                let codes = (0..16).map(|_| draw.next() as u8).collect::<Vec<_>>();
                scale.to_le_bytes().into_iter().chain(least.to_le_bytes()).chain(codes)
            })
            .collect(),
        other => panic!("no tiny weights in {other:?}"),
    }
}

impl Made {
    /// A model of a family (or `llama with experts`), all matrices in one format.
    pub(crate) fn new(name: &str, format: Format, seed: u64) -> Self {
        let (name, experts) = name.split_once(' ').map_or((name, false), |(name, _)| (name, true));
        let row = family(name).expect("a family");
        let experts = experts || row.experts == Given::Always;
        let mut made = Self::default();
        let mut draw = Draw(seed);
        made.set("general.architecture", Field::Text(name.into()));
        let sizes = [
            ("block_count", LAYERS),
            ("context_length", CONTEXT),
            ("embedding_length", WIDTH),
            ("feed_forward_length", INNER),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", KV_HEADS),
            ("attention.key_length", HEAD),
            ("attention.value_length", HEAD),
            ("rope.dimension_count", HEAD),
        ];
        for (field, size) in sizes {
            made.set(&format!("{name}.{field}"), Field::U32(size as u32));
        }
        made.set(&format!("{name}.rope.freq_base"), Field::F32(100_000.0));
        made.set(&format!("{name}.attention.layer_norm_rms_epsilon"), Field::F32(1e-5));
        if row.sliding != crate::family::Sliding::Never {
            made.set(&format!("{name}.attention.sliding_window"), Field::U32(WINDOW as u32));
        }
        if experts {
            made.set(&format!("{name}.expert_count"), Field::U32(EXPERTS as u32));
            made.set(&format!("{name}.expert_used_count"), Field::U32(EXPERTS_USED as u32));
        }
        made.matrix("token_embd.weight", &[WIDTH, VOCABULARY], format, &mut draw);
        made.norm("output_norm.weight", WIDTH, &mut draw);
        if !row.scaled_embedding {
            made.matrix("output.weight", &[WIDTH, VOCABULARY], format, &mut draw);
        }
        for layer in 0..LAYERS {
            made.layer(row, layer, format, experts, &mut draw);
        }
        made.tokenizer();
        made
    }

    fn layer(&mut self, row: &crate::family::Family, layer: usize, format: Format, experts: bool, draw: &mut Draw) {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let (queries, keys) = (HEADS * HEAD, KV_HEADS * HEAD);
        self.norm(&name("attn_norm.weight"), WIDTH, draw);
        self.norm(&name("ffn_norm.weight"), WIDTH, draw);
        if row.post_norms {
            self.norm(&name("post_attention_norm.weight"), WIDTH, draw);
            self.norm(&name("post_ffw_norm.weight"), WIDTH, draw);
        }
        if row.head_norms == Given::Always {
            self.norm(&name("attn_q_norm.weight"), HEAD, draw);
            self.norm(&name("attn_k_norm.weight"), HEAD, draw);
        }
        if row.fused {
            self.matrix(&name("attn_qkv.weight"), &[WIDTH, queries + 2 * keys], format, draw);
            self.matrix(&name("ffn_up.weight"), &[WIDTH, 2 * INNER], format, draw);
            self.matrix(&name("ffn_down.weight"), &[INNER, WIDTH], format, draw);
        } else {
            for (part, rows) in [("attn_q", queries), ("attn_k", keys), ("attn_v", keys)] {
                self.matrix(&name(&format!("{part}.weight")), &[WIDTH, rows], format, draw);
                if row.biases == Given::Always {
                    self.norm(&name(&format!("{part}.bias")), rows, draw);
                }
            }
            let (more, suffix): (&[usize], _) = if experts { (&[EXPERTS], "_exps") } else { (&[], "") };
            for (part, depth, rows) in [("gate", WIDTH, INNER), ("up", WIDTH, INNER), ("down", INNER, WIDTH)] {
                let shape: Vec<usize> = [depth, rows].iter().chain(more).copied().collect();
                self.matrix(&name(&format!("ffn_{part}{suffix}.weight")), &shape, format, draw);
            }
            if experts {
                self.matrix(&name("ffn_gate_inp.weight"), &[WIDTH, EXPERTS], Format::F32, draw);
            }
        }
        self.matrix(&name("attn_output.weight"), &[queries, WIDTH], format, draw);
    }

    /// A byte-level vocabulary: 256 bytes, a few words, then control tokens.
    fn tokenizer(&mut self) {
        let mut tokens: Vec<String> = kith_decoding::byte_letters().iter().map(char::to_string).collect();
        let mut kinds = vec![1; 256];
        let merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or"];
        tokens.extend(["he", "ll", "hell", "hello", "Ġw", "or", "Ġwor"].map(str::to_owned));
        kinds.resize(tokens.len(), 1);
        tokens.extend(["<|im_start|>", "<|im_end|>"].map(str::to_owned));
        kinds.resize(tokens.len(), 3);
        while tokens.len() < VOCABULARY {
            tokens.push(format!("<|spare{}|>", tokens.len()));
            kinds.push(3);
        }
        self.set("tokenizer.ggml.model", Field::Text("gpt2".into()));
        self.set("tokenizer.ggml.pre", Field::Text("smollm".into()));
        self.set("tokenizer.ggml.tokens", Field::Texts(tokens));
        self.set("tokenizer.ggml.token_type", Field::Ints(kinds));
        self.set("tokenizer.ggml.merges", Field::Texts(merges.map(str::to_owned).to_vec()));
        self.set("tokenizer.ggml.scores", Field::Floats(vec![0.0; VOCABULARY]));
        self.set("tokenizer.ggml.bos_token_id", Field::U32(263));
        self.set("tokenizer.ggml.eos_token_id", Field::U32(264));
        self.set("tokenizer.ggml.add_bos_token", Field::Bool(false));
    }

    /// Sets a field, in place of one of the same name.
    pub(crate) fn set(&mut self, name: &str, field: Field) {
        self.fields.retain(|(other, _)| other != name);
        self.fields.push((name.to_owned(), field));
    }

    /// Adds a matrix with values around nothing.
    pub(crate) fn matrix(&mut self, name: &str, shape: &[usize], format: Format, draw: &mut Draw) {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw.unit() * 0.15).collect();
        let bytes = encode(format, &values, draw);
        self.tensors.push((name.to_owned(), shape.to_vec(), format, bytes));
    }

    /// Adds a vector with values around one.
    pub(crate) fn norm(&mut self, name: &str, length: usize, draw: &mut Draw) {
        let values: Vec<f32> = (0..length).map(|_| 1.0 + 0.3 * draw.unit()).collect();
        self.tensors.push((name.to_owned(), vec![length], Format::F32, encode(Format::F32, &values, draw)));
    }

    /// All tensors as f32.
    pub(crate) fn values(&self) -> BTreeMap<String, Vec<f32>> {
        let values = |shape: &[usize], format: Format, bytes: &[u8]| {
            let mut values = vec![0.0; shape.iter().product()];
            format.dequantise(bytes, &mut values);
            values
        };
        self.tensors.iter().map(|(name, shape, format, bytes)| (name.clone(), values(shape, *format, bytes))).collect()
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.fields.len() as u64).to_le_bytes());
        for (name, field) in &self.fields {
            text(&mut out, name);
            field.write(&mut out);
        }
        let mut data: Vec<u8> = Vec::new();
        for (name, shape, format, bytes) in &self.tensors {
            text(&mut out, name);
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|length| out.extend((*length as u64).to_le_bytes()));
            out.extend(format.gguf().to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data);
        out
    }

    /// The file, on disk until it is dropped.
    pub(crate) fn file(&self) -> NamedTempFile {
        written(&self.bytes())
    }
}

/// A file of these bytes.
pub(crate) fn written(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("room on the disk");
    file
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Field {
    fn write(&self, out: &mut Vec<u8>) {
        let list = |out: &mut Vec<u8>, kind: u32, count: usize| {
            out.extend(9u32.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((count as u64).to_le_bytes());
        };
        match self {
            Self::U32(value) => [4u32, *value].iter().for_each(|word| out.extend(word.to_le_bytes())),
            Self::F32(value) => [6u32, value.to_bits()].iter().for_each(|word| out.extend(word.to_le_bytes())),
            Self::Bool(value) => {
                out.extend(7u32.to_le_bytes());
                out.push(u8::from(*value));
            }
            Self::Text(value) => {
                out.extend(8u32.to_le_bytes());
                text(out, value);
            }
            Self::Texts(values) => {
                list(out, 8, values.len());
                values.iter().for_each(|value| text(out, value));
            }
            Self::Ints(values) => {
                list(out, 5, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Self::Floats(values) => {
                list(out, 6, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
        }
    }
}
