//! Folders of safetensors: the real model, taken apart into one as its makers publish it, and taken into the library again.

use kith_models::{
    gguf::{GgmlType, Gguf, Value as GgufValue},
    testing::decoded,
};
use kith_tests::{Served, admin_token, client, real_model};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs::File, path::Path};

/// The numbers of a head, and where the row that is at `row` in the GGUF file stands in the folder's tensor.
const HEAD: usize = 64;

fn row_in_folder(row: usize) -> usize {
    let (head, within) = (row / HEAD * HEAD, row % HEAD);
    head + within % 2 * (HEAD / 2) + within / 2
}

/// The folder's name of a tensor.
fn name_in_folder(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        ["token_embd", rest] => format!("model.embed_tokens.{rest}"),
        ["output_norm", rest] => format!("model.norm.{rest}"),
        ["blk", layer, part, rest] => {
            let part = match *part {
                "attn_norm" => "input_layernorm",
                "attn_q" => "self_attn.q_proj",
                "attn_k" => "self_attn.k_proj",
                "attn_v" => "self_attn.v_proj",
                "attn_output" => "self_attn.o_proj",
                "ffn_norm" => "post_attention_layernorm",
                "ffn_gate" => "mlp.gate_proj",
                "ffn_up" => "mlp.up_proj",
                "ffn_down" => "mlp.down_proj",
                other => panic!("{other}"),
            };
            format!("model.layers.{layer}.{part}.{rest}")
        }
        _ => panic!("{name}"),
    }
}

/// Writes a safetensors file of float32 tensors.
fn write_safetensors(path: &Path, tensors: &BTreeMap<String, (Vec<u64>, Vec<f32>)>) {
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, (shape, numbers)) in tensors {
        let end = at + numbers.len() * 4;
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    for (_, numbers) in tensors.values() {
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }
    std::fs::write(path, bytes).unwrap();
}

fn texts(gguf: &Gguf, key: &str) -> Vec<String> {
    let Some(GgufValue::Array(list)) = gguf.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value) else {
        panic!("{key}")
    };
    list.to_json().as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The model as a folder, its weights in two files.
fn take_apart(model: &Path, folder: &Path) {
    let gguf = Gguf::read(File::open(model).unwrap()).unwrap();
    let value =
        |key: &str| gguf.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.to_json()).unwrap_or_default();
    let mut tensors = BTreeMap::new();
    for tensor in &gguf.tensors {
        let mut numbers = decoded(model, &gguf, tensor).unwrap();
        let shape: Vec<u64> = tensor.shape.iter().rev().copied().collect();
        if tensor.name.ends_with("attn_q.weight") || tensor.name.ends_with("attn_k.weight") {
            let width = *shape.last().unwrap() as usize;
            let stored = numbers.clone();
            for (row, numbers_of_row) in stored.chunks_exact(width).enumerate() {
                let to = row_in_folder(row) * width;
                numbers[to..to + width].copy_from_slice(numbers_of_row);
            }
        }
        tensors.insert(name_in_folder(&tensor.name), (shape, numbers));
    }
    let second = tensors.split_off("model.layers.2");
    let map: BTreeMap<&String, &str> =
        tensors.keys().map(|name| (name, "a.safetensors")).chain(second.keys().map(|name| (name, "b.safetensors"))).collect();
    std::fs::write(folder.join("model.safetensors.index.json"), json!({"metadata": {}, "weight_map": map}).to_string()).unwrap();
    write_safetensors(&folder.join("a.safetensors"), &tensors);
    write_safetensors(&folder.join("b.safetensors"), &second);

    let key = |name: &str| value(&format!("llama.{name}"));
    let config = json!({"model_type": "llama", "hidden_size": key("embedding_length"), "intermediate_size": key("feed_forward_length"),
        "num_hidden_layers": key("block_count"), "num_attention_heads": key("attention.head_count"),
        "num_key_value_heads": key("attention.head_count_kv"), "max_position_embeddings": key("context_length"),
        "vocab_size": texts(&gguf, "tokenizer.ggml.tokens").len(), "rms_norm_eps": key("attention.layer_norm_rms_epsilon"),
        "rope_theta": key("rope.freq_base"), "tie_word_embeddings": true, "hidden_act": "silu"});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let tokens = texts(&gguf, "tokenizer.ggml.tokens");
    let kinds = value("tokenizer.ggml.token_type");
    let special = |id: usize| kinds[id] == 3;
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().filter(|(id, _)| !special(*id)).map(|(id, token)| (token.clone(), json!(id))).collect();
    let added: Vec<Value> = tokens
        .iter()
        .enumerate()
        .filter(|(id, _)| special(*id))
        .map(|(id, token)| json!({"id": id, "content": token, "special": true}))
        .collect();
    let tokenizer = json!({"model": {"type": "BPE", "vocab": vocab, "merges": texts(&gguf, "tokenizer.ggml.merges")}, "added_tokens": added,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]}});
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let token = |key: &str| json!(tokens[value(key).as_u64().unwrap() as usize]);
    let settings = json!({"bos_token": token("tokenizer.ggml.bos_token_id"), "eos_token": token("tokenizer.ggml.eos_token_id"),
        "chat_template": value("tokenizer.chat_template")});
    std::fs::write(folder.join("tokenizer_config.json"), settings.to_string()).unwrap();
}

async fn post(url: &str, path: &str, dir: &Path, body: Value) -> Value {
    let sent = client().post(format!("{url}{path}")).header("x-kith-admin-token", admin_token(dir)).json(&body).send();
    let answer = sent.await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_safetensors_becomes_the_model_it_was_and_may_be_quantised() {
    let Some(model) = real_model() else { return };
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    take_apart(&model, folder.path());
    let node = Served::start(dir.path()).await;
    let imported =
        post(&node.url, "/api/v1/models/import", dir.path(), json!({"path": folder.path(), "name": "folder:f32"})).await;
    assert_eq!(imported["status"], "success", "{imported}");
    let small = json!({"model": "folder:q8", "from": "folder:f32", "quantize": "q8_0", "stream": false});
    assert_eq!(post(&node.url, "/api/create", dir.path(), small).await["status"], "success");
    let shown = post(&node.url, "/api/show", dir.path(), json!({"model": "folder:q8"})).await;
    assert_eq!(shown["details"]["quantization_level"], "Q8_0");
    for name in ["folder:f32", "folder:q8"] {
        let ask = json!({"model": name, "stream": false, "options": {"temperature": 0, "num_predict": 64},
            "messages": [{"role": "user", "content": "Name the planets of the solar system."}]});
        let said = post(&node.url, "/api/chat", dir.path(), ask).await;
        let said = said["message"]["content"].as_str().unwrap();
        // Rows in a wrong order, a wrong vocabulary or a wrong template would leave no sense in it.
        let planets = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"];
        assert!(planets.iter().filter(|planet| said.contains(**planet)).count() >= 2, "{name}: {said}");
    }
    assert_eq!(node.terminate(), Some(0));
}

#[test]
fn taking_apart_and_putting_together_gives_every_number_back() {
    let Some(model) = real_model() else { return };
    let folder = tempfile::tempdir().unwrap();
    take_apart(&model, folder.path());
    let whole = folder.path().join("whole.gguf");
    std::fs::write(&whole, kith_models::testing::converted(folder.path()).unwrap()).unwrap();
    let (before, after) = (Gguf::read(File::open(&model).unwrap()).unwrap(), Gguf::read(File::open(&whole).unwrap()).unwrap());
    assert_eq!(texts(&before, "tokenizer.ggml.tokens"), texts(&after, "tokenizer.ggml.tokens"));
    assert_eq!(texts(&before, "tokenizer.ggml.merges"), texts(&after, "tokenizer.ggml.merges"));
    assert_eq!(before.tensors.len(), after.tensors.len());
    for tensor in &before.tensors {
        let own = after.tensors.iter().find(|own| own.name == tensor.name).unwrap();
        assert_eq!((own.kind, &own.shape), (GgmlType::F32, &tensor.shape), "{}", tensor.name);
        assert!(decoded(&model, &before, tensor).unwrap() == decoded(&whole, &after, own).unwrap(), "{}", tensor.name);
    }
}
