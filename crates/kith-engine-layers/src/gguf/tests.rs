//! What `gguf` promises, sentence by sentence: whatever a file says, it is read or refused.

use super::*;
use crate::{
    made::{Made, written},
    stage::{Stage, StageOptions},
};
use proptest::prelude::*;

fn open(bytes: &[u8]) -> Result<Gguf, EngineError> {
    Gguf::open(written(bytes).path())
}

fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Err(EngineError::UnsupportedModel(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// A header with these counts and what follows.
fn header_of(tensors: u64, fields: u64, rest: &[u8]) -> Vec<u8> {
    [b"GGUF".as_slice(), &3u32.to_le_bytes(), &tensors.to_le_bytes(), &fields.to_le_bytes(), rest].concat()
}

#[test]
fn fields_and_tensors_are_read_as_they_were_written() {
    let made = Made::new("llama", Format::Q8_0, 1);
    let file = open(&made.bytes()).unwrap();
    assert_eq!(file.text("general.architecture").as_deref(), Some("llama"));
    assert_eq!(file.number("llama.block_count"), Some(7));
    assert_eq!(file.fraction("llama.rope.freq_base"), Some(100_000.0));
    assert_eq!(file.flag("tokenizer.ggml.add_bos_token"), Some(false));
    assert_eq!(file.texts("tokenizer.ggml.tokens").len(), 320);
    assert_eq!(file.numbers("tokenizer.ggml.token_type")[255..258], [1, 1, 1]);
    assert_eq!(file.number("general.architecture"), None);
    let values = made.values();
    for (name, shape, format, _) in &made.tensors {
        let tensor = &file.tensors()[name];
        assert_eq!(tensor.shape[..shape.len()], shape[..]);
        let mut read = vec![0.0; shape.iter().product()];
        format.dequantise(file.rows(tensor, 0..tensor.rows()).unwrap(), &mut read);
        assert_eq!(read, values[name]);
        assert!(file.rows(tensor, 0..tensor.rows() + 1).is_none());
    }
}

#[test]
fn counts_and_lengths_beyond_the_file_are_refused_before_anything_is_allocated() {
    assert!(refusal(b"").contains("begin"));
    assert!(refusal(b"GGML....").contains("begin"));
    assert!(refusal(b"GGUF\x01\0\0\0").contains("version 1"));
    assert!(refusal(&header_of(u64::MAX, 0, &[])).contains("18446744073709551615"));
    assert!(refusal(&header_of(0, 1 << 60, &[0; 100])).contains("entries"));
    assert!(refusal(&header_of(0, 1, &u64::MAX.to_le_bytes())).contains("entries"));
    let name = [1u64.to_le_bytes().as_slice(), b"a"].concat();
    let field = |value: &[u8]| header_of(0, 1, &[&name, value, &[0; 64]].concat());
    assert!(refusal(&field(&99u32.to_le_bytes())).contains("kind 99"));
    let list = [9u32.to_le_bytes().as_slice(), &4u32.to_le_bytes(), &(1u64 << 62).to_le_bytes()].concat();
    assert!(refusal(&field(&list)).contains("entries"));
    let nested = [9u32.to_le_bytes().as_slice(), &9u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
    assert!(refusal(&field(&nested)).contains("kind 9"));
    let long = [8u32.to_le_bytes().as_slice(), &(1u64 << 40).to_le_bytes()].concat();
    assert!(refusal(&field(&long)).contains("too early"));
}

#[test]
fn tensors_with_impossible_shapes_or_places_are_refused() {
    let tensor = |dimensions: &[u64], kind: u32, offset: u64| {
        let mut bytes = [1u64.to_le_bytes().as_slice(), b"t", &(dimensions.len() as u32).to_le_bytes()].concat();
        dimensions.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.resize(256, 0);
        refusal(&header_of(1, 0, &bytes))
    };
    assert!(tensor(&[0], 0, 0).contains("shape"));
    assert!(tensor(&[1 << 40, 1 << 40], 0, 0).contains("shape"));
    assert!(tensor(&[1, 1, 1, 1, 1], 0, 0).contains("shape"));
    assert!(tensor(&[33], 8, 0).contains("shape"));
    assert!(tensor(&[1000], 0, 0).contains("outside"));
    assert!(tensor(&[4], 0, u64::MAX - 31).contains("outside"));
    assert!(tensor(&[4], 0, 1).contains("outside"));
}

#[test]
fn tensors_that_share_their_place_are_refused() {
    let tensors = |count: u8| {
        let mut bytes = Vec::new();
        for name in 0..count {
            bytes.extend([1u64.to_le_bytes().as_slice(), &[b'a' + name], &1u32.to_le_bytes(), &100u64.to_le_bytes()].concat());
            bytes.extend([0u32.to_le_bytes().as_slice(), &0u64.to_le_bytes()].concat());
        }
        bytes.resize(700, 0);
        header_of(u64::from(count), 0, &bytes)
    };
    assert!(open(&tensors(1)).is_ok());
    assert!(refusal(&tensors(2)).contains("longer than the file"));
}

#[test]
fn a_name_given_twice_is_refused() {
    let mut made = Made::new("llama", Format::F32, 1);
    made.tensors.push(made.tensors[0].clone());
    assert!(refusal(&made.bytes()).contains("twice"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_nobody_vouches_for_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = open(&[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
    }

    /// A good file in which a few bytes are wrong, mostly of the header, or that is cut: read or refused, but never a panic.
    #[test]
    fn a_damaged_file_never_panics(
        family in 0usize..8,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let name = crate::made::names().nth(family).unwrap();
        let mut bytes = Made::new(name, Format::Q4_1, 1).bytes();
        for (at, value, of_header) in damage {
            let length = if of_header { 2500 } else { bytes.len() };
            let at = at.index(length);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let file = written(&bytes);
        let options = StageOptions { context: Some(64), threads: 1, ..StageOptions::default() };
        if let Ok(mut stage) = Stage::load(file.path(), &options) {
            let mut track = crate::Track::new();
            let mut nexts = [crate::Next { track: &mut track, tokens: 2 }];
            let _ = stage.step(crate::Reads::Tokens(&[1, 2]), &mut nexts, &|| false);
            let _ = stage.logits(&[1]);
            let _ = crate::vocabulary::Vocabulary::new(&crate::vocabulary::TokenizerFields::read(stage.file()));
        }
    }
}
