//! Adapters are read as written, refused in a sentence, and folded in exactly as a plain computation does it.

use super::{fit::source_row, *};
use crate::{
    gguf::{Gguf, Value, blocks, half::f32_to_f16},
    testing::{
        GgufBuilder,
        adapters::{bytes, noise, peft, safetensors},
    },
};
use proptest::prelude::*;
use tempfile::TempDir;

const Q: &str = "model.layers.0.self_attn.q_proj";
const V: &str = "model.layers.0.self_attn.v_proj";
const UP: &str = "model.layers.0.mlp.up_proj";

/// A model of two heads of width four, one of them with keys; its query matrix as `kind`.
fn model(kind: GgmlType) -> GgufBuilder {
    let width = if kind.block() == 1 { 8 } else { kind.block() as usize };
    let plain = |seed, count| bytes(&noise(seed, count));
    let query = match kind {
        GgmlType::F32 => plain(1, width * 8),
        _ => (0..width as u64 * 8 / kind.block() * kind.block_bytes()).map(|at| (at * 37 % 60) as u8).collect(),
    };
    GgufBuilder::tiny(3)
        .tensor("blk.0.attn_q.weight", &[width as u64, 8], kind, &query)
        .tensor("blk.0.attn_v.weight", &[8, 4], GgmlType::F32, &plain(2, 32))
        .tensor("blk.0.ffn_up.weight", &[8, 16], GgmlType::F32, &plain(3, 128))
}

struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ModelError>) -> String {
    match result {
        Err(ModelError::BadFile { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// A tensor of a GGUF file as plain numbers.
fn tensor(file: &[u8], name: &str) -> Vec<f32> {
    let gguf = Gguf::from_bytes(file).unwrap();
    let tensor = gguf.tensors.iter().find(|tensor| tensor.name == name).unwrap();
    let mut row = vec![0.0; tensor.elements() as usize];
    let start = (gguf.data_offset + tensor.offset) as usize;
    assert!(blocks::decode(tensor.kind, &file[start..start + tensor.bytes() as usize], &mut row));
    row
}

#[test]
fn what_an_adapter_is_can_be_read_from_its_file_and_the_config_beside() {
    let files = Files::new();
    let path = files.put("adapter_model.safetensors", &peft(&[(Q, 8, 8), (UP, 8, 16)], 2, 1.0, 1));
    let plain = read(&path).unwrap();
    assert_eq!((plain.format, plain.rank, plain.alpha, plain.alpha_told), (LoraFormat::Safetensors, 2, 2.0, false));
    assert_eq!(plain.modules, ["attn_q", "ffn_up"]);
    files.put(
        "adapter_config.json",
        br#"{"peft_type": "LORA", "r": 2, "lora_alpha": 8, "alpha_pattern": {"mlp.up_proj": 1}, "use_dora": false, "bias": "none"}"#,
    );
    let told = read(&path).unwrap();
    assert_eq!((told.alpha, told.alpha_told), (8.0, true));
    assert_eq!(told.pairs.iter().map(|pair| pair.strength).collect::<Vec<_>>(), [4.0, 0.5]);
    files.put("adapter_config.json", br#"{"lora_alpha": 8, "use_rslora": true}"#);
    assert_eq!(read(&path).unwrap().pairs[0].strength, 8.0 / 2.0_f32.sqrt());
}

#[test]
fn names_with_and_without_prefixes_mean_the_same() {
    let files = Files::new();
    let target = |name: &str| {
        let pair =
            |side: &str, shape: [u64; 2]| (format!("{name}.lora_{side}.weight"), "F32", shape.to_vec(), bytes(&noise(1, 8)));
        let path = files.put("a", &safetensors(&[("lora_alpha", "4")], &[pair("A", [1, 8]), pair("B", [8, 1])]));
        read(&path).map(|lora| (lora.pairs[0].target.clone(), lora.alpha))
    };
    for name in
        ["base_model.model.model.layers.3.self_attn.o_proj", "model.layers.3.self_attn.o_proj", "layers.3.self_attn.o_proj"]
    {
        assert_eq!(target(name).unwrap(), ("blk.3.attn_output.weight".to_owned(), 4.0), "{name}");
    }
    assert_eq!(target("base_model.model.lm_head").unwrap().0, "output.weight");
    assert!(refusal(target("model.layers.x.self_attn.o_proj")).contains("not among"));
    assert!(refusal(target("model.vision.q_proj")).contains("not among"));
}

#[test]
fn what_cannot_be_applied_is_refused_with_the_reason() {
    let files = Files::new();
    let pair =
        |name: &str, kind, shape: [u64; 2]| (name.to_owned(), kind, shape.to_vec(), vec![0; 4 * (shape[0] * shape[1]) as usize]);
    let (a, b) = (format!("{Q}.lora_A.weight"), format!("{Q}.lora_B.weight"));
    let refused = |tensors: &[_]| refusal(read(&files.put("a", &safetensors(&[], tensors))));
    assert!(refused(&[]).contains("no LoRA matrices"));
    assert!(refused(&[pair(&a, "F32", [2, 8])]).contains("missing"));
    assert!(refused(&[pair(&a, "F32", [2, 8]), pair(&b, "F32", [8, 3])]).contains("do not belong together"));
    assert!(refused(&[pair(&a, "I32", [2, 8]), pair(&b, "F32", [8, 2])]).contains("I32"));
    assert!(refused(&[pair("model.layers.0.mlp.up_proj.weight", "F32", [2, 8])]).contains("not a LoRA matrix"));
    assert!(refused(&[pair(&a, "F32", [1025, 1]), pair(&b, "F32", [1, 1025])]).contains("at most 1024"));
    let path = files.put("a", &peft(&[(Q, 8, 8)], 2, 1.0, 1));
    for (config, reason) in [
        (&br#"{"peft_type": "IA3"}"#[..], "IA3"),
        (br#"{"use_dora": true}"#, "use_dora"),
        (br#"{"modules_to_save": ["lm_head"]}"#, "modules_to_save"),
        (br#"{"fan_in_fan_out": true}"#, "fan_in_fan_out"),
        (br#"{"alpha_pattern": {"^.*q$": 3}}"#, "alpha_pattern"),
        (b"{", "adapter_config.json"),
    ] {
        files.put("adapter_config.json", config);
        assert!(refusal(read(&path)).contains(reason), "{reason}");
    }
    files.put("adapter_config.json", &vec![b' '; MAX_CONFIG as usize + 1]);
    assert!(refusal(read(&path)).contains("longer"));
}

#[test]
fn an_adapter_that_does_not_fit_is_told_what_does_not() {
    let files = Files::new();
    let base = files.put("base", &model(GgmlType::F32).build());
    let refused = |adapter: Vec<u8>| {
        let lora = read(&files.put("a", &adapter)).unwrap();
        refusal(merge(&base, &lora, 1.0, &mut Vec::new()))
    };
    assert!(refused(peft(&[("model.layers.7.self_attn.q_proj", 8, 8)], 2, 1.0, 1)).contains("blk.7.attn_q.weight"));
    let sizes = refused(peft(&[(Q, 16, 8)], 2, 1.0, 1));
    assert!(sizes.contains("16 inputs and 8 outputs") && sizes.contains("[8, 8]"), "{sizes}");
    assert!(refused(peft(&[(V, 8, 8)], 2, 1.0, 1)).contains("8 outputs"));
    assert!(refused(peft(&[(UP, 8, 16)], 2, f32::MAX, 1)).contains("larger than can be stored"));
    assert!(refused(peft(&[(UP, 8, 16)], 2, f32::NAN, 1)).contains("not numbers"));
    let other = files.put("other", &model(GgmlType::F32).with("general.architecture", Value::String("mamba".into())).build());
    let lora = read(&files.put("a", &peft(&[(Q, 8, 8)], 2, 1.0, 1))).unwrap();
    assert!(refusal(merge(&other, &lora, 1.0, &mut Vec::new())).contains("convert the adapter to GGUF"));
    let kind = files.put("kind", &model(GgmlType::IQ4_NL).build());
    let lora = read(&files.put("a", &peft(&[(Q, 32, 8)], 2, 1.0, 1))).unwrap();
    assert!(refusal(merge(&kind, &lora, 1.0, &mut Vec::new())).contains("IQ4_NL"));
}

#[test]
fn rows_of_queries_are_put_into_the_order_of_the_models_file() {
    // Two heads of width four: rows 0 1 2 3 of a head are 0 2 1 3 in the file.
    let order: Vec<usize> = (0..8).map(|row| source_row(row, 8, 2)).collect();
    assert_eq!(order, [0, 2, 1, 3, 4, 6, 5, 7]);
    let order: Vec<usize> = (0..8).map(|row| source_row(row, 8, 1)).collect();
    assert_eq!(order, [0, 4, 1, 5, 2, 6, 3, 7]);
}

/// `W + scale * B * A` by the definition, in double precision, with B's rows reordered.
fn expected(base: &[f32], a: &[f32], b: &[f32], rank: usize, scale: f64, order: impl Fn(usize) -> usize) -> Vec<f64> {
    let columns = a.len() / rank;
    let product = |row: usize, column: usize| {
        (0..rank).map(|k| f64::from(b[order(row) * rank + k]) * f64::from(a[k * columns + column])).sum::<f64>()
    };
    base.iter().enumerate().map(|(at, w)| f64::from(*w) + scale * product(at / columns, at % columns)).collect()
}

#[test]
fn the_changed_matrices_are_what_the_definition_says_and_all_else_is_as_it_was() {
    let files = Files::new();
    for kind in [GgmlType::F32, GgmlType::F16, GgmlType::BF16, GgmlType::Q4_1, GgmlType::Q8_0, GgmlType::Q4_K] {
        let builder = model(kind);
        let file = builder.build();
        let width = if kind.block() == 1 { 8 } else { kind.block() as usize };
        let base = files.put("base", &file);
        let adapter = files.put("a.safetensors", &peft(&[(Q, width, 8), (UP, 8, 16)], 2, 0.5, 11));
        let lora = read_with(&adapter, &Scaling { alpha: Some(6.0), ..Scaling::default() }).unwrap();
        let mut out = Vec::new();
        let report = merge(&base, &lora, 0.5, &mut out).unwrap();
        assert_eq!((report.bytes, report.changed), (out.len() as u64, 2));
        assert_eq!(Plan::of(&base, &lora).unwrap().size(), report.bytes);

        let (before, after) = (Gguf::from_bytes(&file).unwrap(), Gguf::from_bytes(&out).unwrap());
        assert_eq!(before.metadata, after.metadata);
        for name in ["token_embd.weight", "blk.0.attn_v.weight"] {
            assert_eq!(tensor(&file, name), tensor(&out, name));
        }
        let half = |values: Vec<f32>| values.into_iter().map(|v| v * 0.5).collect::<Vec<_>>();
        // alpha / rank * scale.
        let strength = 6.0 / 2.0 * 0.5;
        for (name, a, b, order) in [
            ("blk.0.attn_q.weight", half(noise(11, 2 * width)), half(noise(12, 16)), 2),
            ("blk.0.ffn_up.weight", half(noise(13, 16)), half(noise(14, 32)), 0),
        ] {
            let rows = b.len() / 2;
            let order = |row| if order == 0 { row } else { source_row(row, rows, order) };
            let wanted = expected(&tensor(&file, name), &a, &b, 2, strength, order);
            for (found, wanted) in tensor(&out, name).into_iter().zip(wanted) {
                let error = (f64::from(found) - wanted).abs();
                assert!(error <= wanted.abs() / 1024.0 + 1e-5, "{kind:?} {name}: {found} for {wanted}");
            }
        }
        let written = after.tensors.iter().find(|tensor| tensor.name == "blk.0.attn_q.weight").unwrap().kind;
        assert_eq!(written, if kind == GgmlType::F32 { GgmlType::F32 } else { GgmlType::F16 });
        let mut again = Vec::new();
        merge(&base, &lora, 0.5, &mut again).unwrap();
        assert!(again == out, "the same bytes every time");
    }
}

#[test]
fn at_strength_zero_the_weights_are_the_models_own() {
    let files = Files::new();
    let file = model(GgmlType::F32).build();
    let lora = read(&files.put("a", &peft(&[(Q, 8, 8)], 2, 1.0, 1))).unwrap();
    let mut out = Vec::new();
    merge(&files.put("base", &file), &lora, 0.0, &mut out).unwrap();
    assert_eq!(tensor(&file, "blk.0.attn_q.weight"), tensor(&out, "blk.0.attn_q.weight"));
}

/// The same adapter as `peft`'s, converted as llama.cpp does it: rows of B in the file's order, half precision.
fn converted(alpha: f32) -> GgufBuilder {
    let halves = |values: &[f32]| values.iter().flat_map(|v| f32_to_f16(*v).to_le_bytes()).collect::<Vec<u8>>();
    let b = noise(22, 16);
    let b: Vec<f32> = (0..8).flat_map(|row| b[source_row(row, 8, 2) * 2..][..2].to_vec()).collect();
    GgufBuilder::default()
        .with("general.type", Value::String("adapter".into()))
        .with("general.architecture", Value::String("llama".into()))
        .with("adapter.type", Value::String("lora".into()))
        .with("adapter.lora.alpha", Value::F32(alpha))
        .tensor("blk.0.attn_q.weight.lora_a", &[8, 2], GgmlType::F16, &halves(&noise(21, 16)))
        .tensor("blk.0.attn_q.weight.lora_b", &[2, 8], GgmlType::F16, &halves(&b))
}

#[test]
fn an_adapter_in_gguf_means_the_same_as_the_one_it_was_made_of() {
    let files = Files::new();
    let base = files.put("base", &model(GgmlType::F32).build());
    let merged = |lora: &Lora| {
        let mut out = Vec::new();
        merge(&base, lora, 1.0, &mut out).unwrap();
        tensor(&out, "blk.0.attn_q.weight")
    };
    let original = files.put("a.safetensors", &peft(&[(Q, 8, 8)], 2, 1.0, 21));
    let original = read_with(&original, &Scaling { alpha: Some(4.0), ..Scaling::default() }).unwrap();
    let gguf = read(&files.put("a.gguf", &converted(4.0).build())).unwrap();
    assert_eq!((gguf.format, gguf.rank, gguf.alpha, gguf.alpha_told), (LoraFormat::Gguf, 2, 4.0, true));
    assert_eq!(gguf.architecture.as_deref(), Some("llama"));
    for (one, other) in merged(&original).into_iter().zip(merged(&gguf)) {
        assert!((one - other).abs() < 0.02, "{one} {other}");
    }
    assert_eq!(read(&files.put("a.gguf", &converted(0.0).build())).unwrap().pairs[0].strength, 1.0);
    let foreign = converted(1.0).with("general.architecture", Value::String("qwen2".into())).build();
    let lora = read(&files.put("a.gguf", &foreign)).unwrap();
    assert!(refusal(merge(&base, &lora, 1.0, &mut Vec::new())).contains("qwen2"));
    assert!(refusal(read(&base)).contains("not an adapter"));
}

#[test]
fn adapters_in_half_precision_are_read_too() {
    let files = Files::new();
    let base = files.put("base", &model(GgmlType::F32).build());
    let ones = |kind, one: [u8; 2], shape: [u64; 2], side: &str| {
        (format!("{V}.lora_{side}.weight"), kind, shape.to_vec(), one.repeat((shape[0] * shape[1]) as usize))
    };
    for (kind, one) in [("F16", [0, 0x3c]), ("BF16", [0x80, 0x3f])] {
        let file = safetensors(&[], &[ones(kind, one, [1, 8], "A"), ones(kind, one, [4, 1], "B")]);
        let mut out = Vec::new();
        merge(&base, &read(&files.put("a", &file)).unwrap(), 1.0, &mut out).unwrap();
        let before = noise(2, 32);
        assert!(tensor(&out, "blk.0.attn_v.weight").iter().zip(before).all(|(after, before)| *after == before + 1.0), "{kind}");
    }
}

#[test]
fn the_matrices_by_themselves_add_what_folding_in_adds() {
    let files = Files::new();
    let file = model(GgmlType::F32).build();
    let base = files.put("base", &file);
    let adapter = files.put("a.safetensors", &peft(&[(Q, 8, 8), (UP, 8, 16)], 2, 0.5, 11));
    let lora = read_with(&adapter, &Scaling { alpha: Some(6.0), ..Scaling::default() }).unwrap();
    let mut out = Vec::new();
    merge(&base, &lora, 1.0, &mut out).unwrap();
    let matrices: Vec<Matrices> = lora.matrices(&base).unwrap().collect::<Result<_, _>>().unwrap();
    let targets: Vec<&str> = matrices.iter().map(|matrices| matrices.target.as_str()).collect();
    assert_eq!(targets, ["blk.0.attn_q.weight", "blk.0.ffn_up.weight"]);
    for Matrices { target, rank, inputs, outputs, a, b, strength } in &matrices {
        assert_eq!((*rank, *inputs, *strength, a.len(), b.len()), (2, 8, 3.0, 16, outputs * 2));
        let wanted = expected(&tensor(&file, target), a, b, 2, 3.0, |row| row);
        for (found, wanted) in tensor(&out, target).into_iter().zip(wanted) {
            assert!((f64::from(found) - wanted).abs() < 1e-5, "{target}: {found} for {wanted}");
        }
    }
    let strange = read(&files.put("a", &peft(&[(V, 8, 8)], 2, 1.0, 1))).unwrap();
    assert!(refusal(strange.matrices(&base).map(|_| ())).contains("8 outputs"));
    let broken = read(&files.put("a", &peft(&[(UP, 8, 16)], 2, f32::NAN, 1))).unwrap();
    assert!(refusal(broken.matrices(&base).unwrap().collect::<Result<Vec<_>, _>>()).contains("not numbers"));
}

/// Whatever the bytes: an answer without panic, and of adapters that are read, one to merging too.
fn examine(files: &Files, base: &Path, bytes: &[u8]) {
    if let Ok(lora) = read_with(&files.put("x", bytes), &Scaling::default()) {
        let _ = merge(base, &lora, 1.0, &mut std::io::sink());
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let files = Files::new();
    let good = peft(&[(Q, 8, 8)], 2, 1.0, 1);
    for length in [0, 1, 7, good.len() as u64, u64::MAX, 1 << 40] {
        let mut bytes = good.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refusal(read(&files.put("a", &bytes)));
    }
    for cut in [0, 4, 8, 20, good.len() - 1] {
        refusal(read(&files.put("a", &good[..cut])));
    }
    let raw = |header: &str, data: usize| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.resize(file.len() + data, 0);
        refusal(read(&files.put("a", &file)))
    };
    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"{Q}.lora_A.weight":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (shape, offsets) in [
        ("[1,1]", "[0,8]"),
        ("[1,1]", "[4,0]"),
        ("[1,1]", "[8,12]"),
        ("[4294967296,4294967296]", "[0,0]"),
        ("[1,1,1,1,1,1,1,1,1]", "[0,4]"),
    ] {
        assert!(raw(&entry(shape, offsets), 8).contains("does not lie where it says"), "{shape} {offsets}");
    }
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    assert!(raw(twice, 8).contains("twice"));
    assert!(raw(&twice.replacen("\"a\"", "\"b\"", 1).replace("[4,8]", "[2,6]"), 8).contains("same place"));
    assert!(raw(&"[".repeat(9000), 0).contains("no adapter"));
    assert!(raw(&format!("{{\"a\":{}", "[".repeat(9000)), 0).contains("cannot be read"));
}

#[test]
fn more_tensors_than_any_adapter_has_are_refused() {
    let entries: Vec<String> =
        (0..=1 << 16).map(|n| format!(r#""{n}":{{"dtype":"F32","shape":[],"data_offsets":[0,0]}}"#)).collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    let files = Files::new();
    assert!(refusal(read(&files.put("a", &file))).contains("more than 65536 tensors"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_answered_without_panic(noise in prop::collection::vec(any::<u8>(), 0..256)) {
        let files = Files::new();
        let base = files.put("base", &model(GgmlType::F32).build());
        examine(&files, &base, &noise);
        let mut behind = (noise.len() as u64).to_le_bytes().to_vec();
        behind.extend(&noise);
        examine(&files, &base, &behind);
    }

    #[test]
    fn a_file_with_bytes_changed_is_answered_without_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), gguf in any::<bool>(),
    ) {
        let files = Files::new();
        let base = files.put("base", &model(GgmlType::F32).build());
        let mut bytes = if gguf { converted(1.0).build() } else { peft(&[(Q, 8, 8), (UP, 8, 16)], 2, 1.0, 1) };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        examine(&files, &base, &bytes);
    }
}
