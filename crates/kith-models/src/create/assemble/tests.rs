//! Files written out of others read as what they were made from.

use super::*;
use crate::{
    gguf::Value,
    testing::{GgufBuilder, tiny_gguf},
};
use std::io::Cursor;

fn file(bytes: &[u8]) -> (File, Gguf) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    (file, Gguf::from_bytes(bytes).unwrap())
}

fn assembled(files: Vec<(File, Gguf)>, target: Option<Target>) -> (Vec<u8>, Gguf) {
    let assembly = join(files, target).unwrap();
    let (total, mut told) = (assembly.total(), 0);
    let mut out = Vec::new();
    assembly.write(&mut out, |done| told = done).unwrap();
    assert_eq!(told, total, "progress ends with everything");
    let gguf = Gguf::read(Cursor::new(&out)).unwrap();
    (out, gguf)
}

fn data<'a>(bytes: &'a [u8], gguf: &Gguf, name: &str) -> &'a [u8] {
    let tensor = gguf.tensors.iter().find(|tensor| tensor.name == name).unwrap();
    let start = usize::try_from(gguf.data_offset + tensor.offset).unwrap();
    &bytes[start..start + usize::try_from(tensor.bytes()).unwrap()]
}

#[test]
fn one_file_joined_is_itself() {
    let (_, gguf) = assembled(vec![file(&tiny_gguf(9))], None);
    let original = Gguf::from_bytes(&tiny_gguf(9)).unwrap();
    assert_eq!((gguf.metadata, gguf.tensors), (original.metadata, original.tensors));
}

#[test]
fn parts_become_one_file_without_a_word_of_parts() {
    let part = |no: u16| {
        let mut builder = if no == 0 { GgufBuilder::tiny(1) } else { GgufBuilder::default() };
        builder = builder.with("split.no", Value::U16(no)).with("split.count", Value::U16(2));
        builder.with("split.tensors.count", Value::I32(2)).tensor(&format!("x{no}"), &[5], GgmlType::F32, &[no as u8 + 7; 20])
    };
    let mut parts = [part(0), part(1)];
    parts[0].tensors.remove(0);
    let (bytes, gguf) = assembled(parts.iter().map(|part| file(&part.build())).collect(), None);
    assert!(gguf.metadata.iter().all(|(key, _)| !key.starts_with("split.")));
    assert_eq!(gguf.architecture(), Some("llama"));
    assert_eq!((data(&bytes, &gguf, "x0"), data(&bytes, &gguf, "x1")), (&[7u8; 20][..], &[8u8; 20][..]));
}

#[test]
fn quantising_takes_the_matrices_and_leaves_the_rest() {
    let row: Vec<u8> = (0..64u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let builder = GgufBuilder::tiny(1)
        .tensor("blk.0.attn_q.weight", &[64, 2], GgmlType::F32, &row)
        .tensor("blk.0.attn_norm.weight", &[64], GgmlType::F32, &row)
        .tensor("blk.0.odd.weight", &[33, 2], GgmlType::F32, &row)
        .tensor("blk.0.half.weight", &[32, 2], GgmlType::F16, &[0, 0x3C, 0, 0xC0])
        .tensor("output.weight", &[32, 2], GgmlType::BF16, &[0x80, 0x3F]);
    let target = Target::named("q4_0").unwrap();
    let (bytes, gguf) = assembled(vec![file(&builder.build())], Some(target));
    let kind = |name: &str| gguf.tensors.iter().find(|tensor| tensor.name == name).unwrap().kind;
    assert_eq!(kind("blk.0.attn_q.weight"), GgmlType::Q4_0);
    assert_eq!(kind("blk.0.half.weight"), GgmlType::Q4_0);
    assert_eq!(kind("output.weight"), GgmlType::Q8_0, "four bits are too few for it");
    assert_eq!((kind("blk.0.attn_norm.weight"), kind("blk.0.odd.weight")), (GgmlType::F32, GgmlType::F32));
    assert_eq!(gguf.quantization(), Some("Q4_0"));
    assert_eq!(gguf.get("general.quantization_version").and_then(Value::as_u64), Some(2));
    let mut expected = Vec::new();
    let weights: Vec<f32> = (0..64u8).map(f32::from).chain([0.0; 64]).collect();
    quantize::quantize(GgmlType::Q4_0, &weights, &mut expected).unwrap();
    assert_eq!(data(&bytes, &gguf, "blk.0.attn_q.weight"), expected);
}

#[test]
fn a_matrix_longer_than_one_reading_is_quantised_as_one_piece() {
    let weights: Vec<f32> = (0..200_000u32).map(|n| (n as f32 * 0.37).sin()).collect();
    let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let builder = GgufBuilder::tiny(1).tensor("blk.0.ffn_up.weight", &[32, 6250], GgmlType::F32, &bytes);
    let (out, gguf) = assembled(vec![file(&builder.build())], Target::named("q5_1"));
    let mut expected = Vec::new();
    quantize::quantize(GgmlType::Q5_1, &weights, &mut expected).unwrap();
    assert_eq!(data(&out, &gguf, "blk.0.ffn_up.weight"), expected);
}
