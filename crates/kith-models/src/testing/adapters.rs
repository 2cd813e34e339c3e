//! Makes small LoRA adapters for tests, here and in other crates.

/// Numbers between -1 and 1 without meaning; the same seed gives the same ones.
pub fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Little-endian bytes of `f32` values.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A tensor for [`safetensors`]: name, type (`F32`), shape, bytes.
pub type Tensor = (String, &'static str, Vec<u64>, Vec<u8>);

/// A safetensors file, right or wrong, as it is told.
pub fn safetensors(metadata: &[(&str, &str)], tensors: &[Tensor]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        let texts = metadata.iter().map(|(key, text)| ((*key).to_owned(), (*text).into())).collect();
        header.insert("__metadata__".to_owned(), serde_json::Value::Object(texts));
    }
    let mut data = Vec::<u8>::new();
    for (name, kind, shape, bytes) in tensors {
        let begin = data.len();
        data.extend(bytes);
        header.insert(name.clone(), serde_json::json!({"dtype": kind, "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let mut text = serde_json::Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text);
    file.extend(data);
    file
}

/// One adapted module for [`peft`]: its name (`model.layers.0.self_attn.q_proj`), its inputs and its outputs.
pub type Module<'a> = (&'a str, usize, usize);

/// An adapter as PEFT saves it, of rank `rank`, with values up to `size` in either matrix.
pub fn peft(modules: &[Module<'_>], rank: usize, size: f32, seed: u32) -> Vec<u8> {
    let mut tensors = Vec::new();
    for (at, (module, inputs, outputs)) in (0..).step_by(2).zip(modules) {
        for (side, rows, columns, seed) in [("A", rank, *inputs, seed + at), ("B", *outputs, rank, seed + at + 1)] {
            let values: Vec<f32> = noise(seed, rows * columns).into_iter().map(|value| value * size).collect();
            let name = format!("base_model.model.{module}.lora_{side}.weight");
            tensors.push((name, "F32", vec![rows as u64, columns as u64], bytes(&values)));
        }
    }
    safetensors(&[("format", "pt")], &tensors)
}
