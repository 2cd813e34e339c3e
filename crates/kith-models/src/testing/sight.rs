//! Small folders of models that see, with made-up weights: a few hundred kilobytes, the shape of the real ones.

use serde_json::{Map, Value, json};
use std::{fs, io, path::Path};

/// The tokens that such models have beside the 256 bytes.
const SPECIAL: &[&str] = &[
    "<|im_start|>",
    "<|im_end|>",
    "<end_of_utterance>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    "<start_of_image>",
    "<image_soft_token>",
    "<end_of_image>",
];
const VOCABULARY: u64 = 288;
/// The chat template, in the manner of these families: images are parts of a message. `MARK` is put in for the family's own.
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.content is string %}{{ message.content \
                        }}{% else %}{% for part in message.content %}{% if part.type == 'image' %}MARK{% else %}{{ part.text }}{% endif \
                        %}{% endfor %}{% endif %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% \
                        endif %}";

/// Writes the folder of a small model of this family: `idefics3` or `gemma3`. Other seeds make other weights.
///
/// # Errors
/// What the disk says.
pub fn write(folder: &Path, family: &str, seed: u64) -> io::Result<()> {
    let mut weights = Weights { seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, tensors: Vec::new(), shifted: false };
    let (config, preprocessor, mark) = match family {
        "gemma3" => gemma(&mut weights),
        _ => idefics(&mut weights),
    };
    fs::create_dir_all(folder)?;
    let put = |name: &str, value: Value| fs::write(folder.join(name), value.to_string());
    put("config.json", config)?;
    put("preprocessor_config.json", preprocessor)?;
    put("processor_config.json", json!({"image_seq_len": 4}))?;
    put("tokenizer.json", tokenizer())?;
    put("generation_config.json", json!({"eos_token_id": [id("<end_of_utterance>")]}))?;
    put(
        "tokenizer_config.json",
        json!({"bos_token": "<|im_start|>", "eos_token": "<end_of_utterance>", "chat_template": TEMPLATE.replace("MARK", mark)}),
    )?;
    fs::write(folder.join("model.safetensors"), weights.file())
}

/// The id of a special token.
fn id(token: &str) -> u64 {
    256 + SPECIAL.iter().position(|known| *known == token).unwrap_or_default() as u64
}

fn idefics(weights: &mut Weights) -> (Value, Value, &'static str) {
    weights.siglip("model.vision_model");
    weights.put("model.connector.modality_projection.proj.weight", &[64, 32 * 4]);
    weights.text("model.text_model");
    weights.put("lm_head.weight", &[VOCABULARY, 64]);
    let config = json!({
        "architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3", "image_token_id": id("<image>"), "scale_factor": 2,
        "torch_dtype": "float32",
        "text_config": text(json!({})),
        "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
            "patch_size": 8},
    });
    let preprocessor = json!({"do_image_splitting": true, "size": {"longest_edge": 128}, "max_image_size": {"longest_edge": 32}});
    (config, preprocessor, "<image>")
}

fn gemma(weights: &mut Weights) -> (Value, Value, &'static str) {
    weights.siglip("vision_tower.vision_model");
    weights.shifted = true;
    weights.put("multi_modal_projector.mm_input_projection_weight", &[32, 64]);
    weights.put("multi_modal_projector.mm_soft_emb_norm.weight", &[32]);
    weights.text("language_model.model");
    for layer in 0..2 {
        for (norm, width) in [
            ("self_attn.q_norm", 16),
            ("self_attn.k_norm", 16),
            ("pre_feedforward_layernorm", 64),
            ("post_feedforward_layernorm", 64),
        ] {
            weights.put(&format!("language_model.model.layers.{layer}.{norm}.weight"), &[width]);
        }
    }
    let own = json!({"head_dim": 16, "sliding_window": 64, "sliding_window_pattern": 2, "query_pre_attn_scalar": 16});
    let config = json!({
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "image_token_index": id("<image_soft_token>"),
        "mm_tokens_per_image": 4, "torch_dtype": "float32", "text_config": text(own),
        "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
            "patch_size": 8},
    });
    (config, json!({"size": {"height": 32, "width": 32}}), "<start_of_image>")
}

/// The language model's configuration: two layers, a window of 512 tokens.
fn text(own: Value) -> Value {
    let mut text = json!({
        "hidden_size": 64, "intermediate_size": 128, "vocab_size": VOCABULARY, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "max_position_embeddings": 512, "hidden_act": "silu",
    });
    if let (Some(text), Value::Object(own)) = (text.as_object_mut(), own) {
        text.extend(own);
    }
    text
}

/// Every byte is a token.
fn tokenizer() -> Value {
    let mut next = 0x100;
    let mut vocabulary = Map::new();
    for byte in 0..=255u8 {
        let printable = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let letter = if printable { Some(char::from(byte)) } else { char::from_u32(next) };
        next += u32::from(!printable);
        vocabulary.insert(letter.unwrap_or_default().to_string(), json!(byte));
    }
    let added: Vec<Value> = SPECIAL
        .iter()
        .map(|token| {
            json!({"id": id(token), "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": true})
        })
        .collect();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null, "pre_tokenizer": bytes,
        "post_processor": null, "decoder": bytes, "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocabulary, "merges": []}})
}

/// Tensors with made-up numbers.
struct Weights {
    seed: u64,
    tensors: Vec<(String, Vec<u64>, Vec<f32>)>,
    /// Whether norms are written as what they differ from one.
    shifted: bool,
}

impl Weights {
    /// From -1 to 1.
    fn next(&mut self) -> f32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn put(&mut self, name: &str, shape: &[u64]) {
        let count: u64 = shape.iter().product();
        let row: u64 = shape.iter().skip(1).product();
        let (middle, reach) = match (name.contains("norm"), shape.len()) {
            (true, _) if name.ends_with("weight") => (if self.shifted { 0.0 } else { 1.0 }, 0.1),
            (_, 1) => (0.0, 0.05),
            _ if name.contains("embed_tokens") => (0.0, 1.0),
            _ => (0.0, 2.0 / (row as f32).sqrt()),
        };
        let numbers = (0..count).map(|_| middle + reach * self.next()).collect();
        self.tensors.push((name.to_owned(), shape.to_vec(), numbers));
    }

    fn linear(&mut self, name: &str, from: u64, to: u64, bias: bool) {
        self.put(&format!("{name}.weight"), &[to, from]);
        if bias {
            self.put(&format!("{name}.bias"), &[to]);
        }
    }

    fn norm(&mut self, name: &str, width: u64, bias: bool) {
        self.put(&format!("{name}.weight"), &[width]);
        if bias {
            self.put(&format!("{name}.bias"), &[width]);
        }
    }

    /// A vision tower of one layer for images of 32 by 32, in patches of 8.
    fn siglip(&mut self, at: &str) {
        self.put(&format!("{at}.embeddings.patch_embedding.weight"), &[32, 3, 8, 8]);
        self.put(&format!("{at}.embeddings.patch_embedding.bias"), &[32]);
        self.put(&format!("{at}.embeddings.position_embedding.weight"), &[16, 32]);
        let layer = format!("{at}.encoder.layers.0");
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            self.linear(&format!("{layer}.self_attn.{part}"), 32, 32, true);
        }
        self.linear(&format!("{layer}.mlp.fc1"), 32, 64, true);
        self.linear(&format!("{layer}.mlp.fc2"), 64, 32, true);
        self.norm(&format!("{layer}.layer_norm1"), 32, true);
        self.norm(&format!("{layer}.layer_norm2"), 32, true);
        self.norm(&format!("{at}.post_layernorm"), 32, true);
    }

    /// A language model of two layers.
    fn text(&mut self, at: &str) {
        self.put(&format!("{at}.embed_tokens.weight"), &[VOCABULARY, 64]);
        for layer in 0..2 {
            let layer = format!("{at}.layers.{layer}");
            for (part, to) in [("q_proj", 64), ("k_proj", 32), ("v_proj", 32)] {
                self.linear(&format!("{layer}.self_attn.{part}"), 64, to, false);
            }
            self.linear(&format!("{layer}.self_attn.o_proj"), 64, 64, false);
            for (part, from, to) in [("gate_proj", 64, 128), ("up_proj", 64, 128), ("down_proj", 128, 64)] {
                self.linear(&format!("{layer}.mlp.{part}"), from, to, false);
            }
            self.norm(&format!("{layer}.input_layernorm"), 64, false);
            self.norm(&format!("{layer}.post_attention_layernorm"), 64, false);
        }
        self.norm(&format!("{at}.norm"), 64, false);
    }

    fn file(&self) -> Vec<u8> {
        let (mut header, mut at) = (Map::new(), 0);
        for (name, shape, numbers) in &self.tensors {
            let end = at + numbers.len() * 4;
            header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
            at = end;
        }
        let header = Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(self.tensors.iter().flat_map(|(_, _, numbers)| numbers).flat_map(|number| number.to_le_bytes()));
        bytes
    }
}
