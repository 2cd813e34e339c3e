//! What headers say is read as written; what they say falsely is refused in a sentence, whatever the bytes.

use super::*;
use crate::{
    Details,
    testing::{GgufBuilder, tiny_gguf},
};
use proptest::prelude::*;

fn refusal(bytes: &[u8]) -> String {
    match Gguf::from_bytes(bytes) {
        Err(GgufError::Refused(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

fn header(version: u32, tensors: u64, entries: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes
}

#[test]
fn a_header_is_read_as_written() {
    let builder = GgufBuilder::tiny(7);
    let gguf = Gguf::from_bytes(&builder.build()).unwrap();
    assert_eq!(gguf.version, 3);
    assert_eq!(gguf.metadata, builder.metadata);
    assert_eq!(gguf.data_offset % 32, 0);
    assert_eq!(
        gguf.tensors,
        [TensorInfo { name: "token_embd.weight".into(), shape: vec![8, 5], kind: GgmlType::F32, offset: 0 }]
    );
    assert_eq!((gguf.architecture(), gguf.name()), (Some("llama"), Some("Tiny 7")));
    assert_eq!((gguf.context_length(), gguf.block_count(), gguf.embedding_length()), (Some(128), Some(1), Some(8)));
    assert_eq!((gguf.head_count(), gguf.head_count_kv(), gguf.key_length()), (Some(2), Some(1), Some(4)));
    assert_eq!((gguf.vocabulary_size(), gguf.parameter_count()), (Some(5), 40));
    assert_eq!((gguf.bos_token(), gguf.eos_token(), gguf.add_bos()), (Some("<s>"), Some("</s>"), true));
    assert_eq!(gguf.quantization(), Some("F32"));
    assert_eq!(Gguf::from_bytes(&GgufBuilder { version: 2, ..builder }.build()).unwrap().version, 2);
}

#[test]
fn another_alignment_is_followed() {
    let mut builder = GgufBuilder::tiny(1).tensor("more", &[3], GgmlType::F32, &[]);
    builder.alignment = 256;
    let gguf = Gguf::from_bytes(&builder.build()).unwrap();
    assert_eq!((gguf.data_offset % 256, gguf.tensors[1].offset), (0, 256));
    for wrong in [Value::U32(0), Value::U32(48), Value::U32(1 << 30), Value::String("x".into())] {
        let bytes = GgufBuilder::tiny(1).with("general.alignment", wrong).build();
        assert!(refusal(&bytes).contains("alignment"));
    }
}

#[test]
fn what_is_no_gguf_is_said_to_be_none() {
    assert!(refusal(b"").contains("not a GGUF"));
    assert!(refusal(b"GG").contains("not a GGUF"));
    assert!(refusal(b"<!DOCTYPE html>").contains("not a GGUF"));
    assert!(refusal(b"PK\x03\x04 and so on").contains("archive"));
    assert!(refusal(&header(1, 0, 0)).contains("version 1"));
    assert!(refusal(&header(4, 0, 0)).contains("version 4"));
    assert!(refusal(&header(3u32.swap_bytes(), 0, 0)).contains("big-endian"));
}

#[test]
fn false_counts_and_lengths_take_no_memory() {
    assert!(refusal(&header(3, 0, u64::MAX)).contains("metadata entries"));
    assert!(refusal(&header(3, u64::MAX, 0)).contains("tensors"));
    for length in [u64::MAX, i64::MAX as u64, 1 << 40, 60] {
        let mut bytes = header(3, 0, 1);
        bytes.extend(length.to_le_bytes());
        bytes.extend(b"keyy\x08\0\0\0\0\0\0\0\0");
        refusal(&bytes);
    }
    // A list of numbers, of texts, of lists.
    for kind in [0u32, 6, 8, 9, 12] {
        for count in [u64::MAX, u64::MAX / 8 + 1, 1 << 40] {
            let mut bytes = header(3, 0, 1);
            bytes.extend(3u64.to_le_bytes());
            bytes.extend(b"key");
            bytes.extend(9u32.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend([0; 64]);
            assert!(refusal(&bytes).contains("list"), "{kind} {count}");
        }
    }
}

#[test]
fn lists_nest_only_so_deep() {
    let nested = |depth: usize| (0..depth).fold(Array::U8(vec![1]), |inner, _| Array::Array(vec![inner]));
    let file = |depth| GgufBuilder::tiny(1).with("x", Value::Array(nested(depth))).build();
    assert!(Gguf::from_bytes(&file(3)).is_ok());
    assert!(refusal(&file(4)).contains("deep"));
    assert!(refusal(&file(10_000)).contains("deep"));
}

#[test]
fn names_occur_once_and_are_texts() {
    let mut twice = GgufBuilder::tiny(1);
    twice.metadata.push(("general.name".into(), Value::Bool(true)));
    assert!(refusal(&twice.build()).contains("`general.name` occurs twice"));
    let twice = GgufBuilder::tiny(1).tensor("token_embd.weight", &[1], GgmlType::F32, &[]);
    assert!(refusal(&twice.build()).contains("`token_embd.weight` occurs twice"));
    assert!(refusal(&GgufBuilder::tiny(1).with("", Value::U8(1)).build()).contains("empty"));
}

#[test]
fn bytes_that_are_no_text_are_taken_in_values_but_not_in_names() {
    let mut bytes = tiny_gguf(1);
    let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text).unwrap();
    let at = find(&bytes, b"hello");
    bytes[at] = 0xff;
    assert_eq!(Gguf::from_bytes(&bytes).unwrap().tokens().unwrap().text(3), Some("\u{fffd}ello"));
    let at = find(&bytes, b"general.name");
    bytes[at] = 0xff;
    assert!(refusal(&bytes).contains("UTF-8"));
}

#[test]
fn tensors_lie_within_the_file_in_whole_blocks() {
    let file = tiny_gguf(1);
    assert!(refusal(&file[..file.len() - 1]).contains("incomplete"));
    let rows = GgufBuilder::tiny(1).tensor("x", &[33], GgmlType::Q4_1, &[]);
    assert!(refusal(&rows.build()).contains("blocks of 32"));
    // The last tensor's offset, then its type, are the header's last words.
    let header = usize::try_from(Gguf::from_bytes(&file).unwrap().data_offset).unwrap();
    let name = file.windows(17).position(|window| window == b"token_embd.weight").unwrap();
    let (kind, offset) = (name + 17 + 4 + 16, name + 17 + 4 + 16 + 4);
    assert!(offset + 8 <= header);
    let with = |at: usize, word: &[u8]| {
        let mut file = file.clone();
        file[at..at + word.len()].copy_from_slice(word);
        file
    };
    assert!(refusal(&with(offset, &1u64.to_le_bytes())).contains("aligned"));
    assert!(refusal(&with(offset, &(u64::MAX - 31).to_le_bytes())).contains("incomplete"));
    assert!(refusal(&with(kind, &4u32.to_le_bytes())).contains("type 4"));
    assert!(refusal(&with(name + 17, &5u32.to_le_bytes())).contains("dimensions"));
    assert!(refusal(&with(name + 17 + 4, &u64::MAX.to_le_bytes())).contains("elements"));
}

#[test]
fn a_vocabulary_of_256_thousand_tokens_with_merges_is_read_and_an_endless_one_refused() {
    let text = |index: u32| format!("token-{index:06}").into_boxed_str();
    let tokens = Array::String((0..262_144).map(text).collect());
    let merges = Array::String((0..520_000).map(text).collect());
    let file = GgufBuilder::tiny(1)
        .with("tokenizer.ggml.tokens", Value::Array(tokens))
        .with("tokenizer.ggml.merges", Value::Array(merges))
        .with("tokenizer.ggml.scores", Value::Array(Array::F32(vec![0.5; 262_144])));
    assert_eq!(Gguf::from_bytes(&file.build()).unwrap().vocabulary_size(), Some(262_144));
    let long = GgufBuilder::tiny(1).with("x", Value::Array(Array::U8(vec![0; 65 << 20])));
    assert!(refusal(&long.build()).contains("list"));
    let long = GgufBuilder::tiny(1).with("x", Value::String("x".repeat(65 << 20)));
    assert!(refusal(&long.build()).contains("64 MiB"));
}

#[test]
fn every_type_of_tensor_is_known_by_its_number() {
    for kind in GgmlType::ALL {
        assert_eq!(GgmlType::from_code(kind.code()), Some(*kind));
        assert!(kind.block_bytes() > 0 && kind.block() > 0);
    }
    assert_eq!(GgmlType::Q4_K.as_str(), "Q4_K");
}

#[test]
fn the_quantisation_is_the_stated_one_or_that_of_most_bytes() {
    let label = |builder: GgufBuilder| Gguf::from_bytes(&builder.build()).unwrap().quantization();
    assert_eq!(label(GgufBuilder::tiny(1).with("general.file_type", Value::U32(15))), Some("Q4_K_M"));
    assert_eq!(label(GgufBuilder::tiny(1).with("general.file_type", Value::U32(1024 + 3))), Some("Q4_1"));
    let unstated = GgufBuilder::tiny(1).without("general.file_type").tensor("big", &[256, 16], GgmlType::Q6_K, &[]);
    assert_eq!(label(unstated), Some("Q6_K"));
}

#[test]
fn the_opening_token_follows_the_file_or_the_kind_of_vocabulary() {
    let add = |builder: GgufBuilder| Gguf::from_bytes(&builder.build()).unwrap().add_bos();
    let text = |text: &str| Value::String(text.into());
    let bpe = || GgufBuilder::tiny(1).with("tokenizer.ggml.model", text("gpt2"));
    assert!(!add(bpe()));
    assert!(!add(bpe().with("tokenizer.ggml.pre", text("qwen2"))));
    assert!(add(bpe().with("tokenizer.ggml.pre", text("llama-bpe"))));
    assert!(!add(GgufBuilder::tiny(1).with("tokenizer.ggml.add_bos_token", Value::Bool(false))));
    let gguf = Gguf::from_bytes(&GgufBuilder::tiny(1).without("tokenizer.ggml.bos_token_id").build()).unwrap();
    assert_eq!(gguf.bos_id(), Some(1), "customary in SentencePiece vocabularies");
}

#[test]
fn layers_that_differ_count_by_the_largest() {
    let counts = Value::Array(Array::U32(vec![1, 2, 0]));
    let gguf = Gguf::from_bytes(&GgufBuilder::tiny(1).with("llama.attention.head_count_kv", counts).build()).unwrap();
    assert_eq!(gguf.head_count_kv(), Some(2));
}

#[test]
fn numbers_are_shown_as_people_write_them() {
    assert_eq!(Value::F32(1e-5).to_json().to_string(), "0.00001");
    assert_eq!(Value::F32(f32::NAN).to_json(), serde_json::Value::Null);
    assert_eq!(Value::Array(Array::I8(vec![-1, 2])).to_json().to_string(), "[-1,2]");
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        (-1e30f32..1e30).prop_map(Value::F32),
        any::<bool>().prop_map(Value::Bool),
        ".{0,20}".prop_map(Value::String),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        (-1e300f64..1e300).prop_map(Value::F64),
    ]
}

fn list() -> impl Strategy<Value = Array> {
    let flat = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Array::U8),
        prop::collection::vec(any::<i16>(), 0..9).prop_map(Array::I16),
        prop::collection::vec(any::<u32>(), 0..9).prop_map(Array::U32),
        prop::collection::vec(-1e30f32..1e30, 0..9).prop_map(Array::F32),
        prop::collection::vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        prop::collection::vec(any::<i64>(), 0..9).prop_map(Array::I64),
        prop::collection::vec(-1e300f64..1e300, 0..9).prop_map(Array::F64),
        prop::collection::vec(".{0,9}".prop_map(String::into_boxed_str), 0..9).prop_map(Array::String),
    ];
    flat.prop_recursive(3, 32, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Array::Array))
}

/// All that is done with a header, done to whatever bytes: the same as the fuzz target.
fn examine(bytes: &[u8]) {
    if let Ok(gguf) = Gguf::from_bytes(bytes) {
        let _ = Details::of(&gguf);
        let _ = crate::Metadata::full(&gguf);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_value_is_read_as_written(numbers in prop::collection::vec(number(), 0..12), lists in prop::collection::vec(list(), 0..6)) {
        let values = numbers.into_iter().chain(lists.into_iter().map(Value::Array));
        let builder = values.enumerate().fold(GgufBuilder::default(), |builder, (index, value)| builder.with(&format!("key.{index}"), value));
        prop_assert_eq!(Gguf::from_bytes(&builder.build()).unwrap().metadata, builder.metadata);
    }

    #[test]
    fn any_bytes_are_answered_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        examine(&bytes);
        let mut behind = header(3, 1, 1);
        behind.extend(&bytes);
        examine(&behind);
    }

    #[test]
    fn a_file_with_bytes_changed_is_answered_without_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = tiny_gguf(1);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        examine(&bytes);
    }

    #[test]
    fn a_file_with_a_word_replaced_is_answered_without_panic(at in any::<prop::sample::Index>(), shift in 0u32..64) {
        let mut bytes = tiny_gguf(1);
        let at = at.index(bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&(u64::MAX >> shift).to_le_bytes());
        examine(&bytes);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_and_never_half_read() {
    let whole = tiny_gguf(1);
    for length in 0..whole.len() {
        refusal(&whole[..length]);
    }
}
