//! What the library keeps of headers, and which files it takes at all.

use super::*;
use crate::{
    gguf::{Array, GgmlType, Value},
    testing::GgufBuilder,
};

fn details(builder: &GgufBuilder) -> Result<Details, GgufError> {
    Details::of(&Gguf::from_bytes(&builder.build()).unwrap())
}

fn refusal(builder: &GgufBuilder) -> String {
    details(builder).unwrap_err().to_string()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn a_language_model_is_described() {
    let found = details(&GgufBuilder::tiny(3)).unwrap();
    assert_eq!((found.architecture.as_str(), found.title.as_deref()), ("llama", Some("Tiny 3")));
    assert_eq!((found.parameter_size.as_str(), found.quantization.as_str(), found.context_length), ("40", "F32", 128));
    assert_eq!(found.capabilities, ["completion"]);
    assert_eq!((found.bos_token.as_deref(), found.eos_id, found.license.as_deref()), (Some("<s>"), Some(2), Some("apache-2.0")));
}

#[test]
fn what_is_not_one_whole_language_model_is_refused_with_the_way_out() {
    let tiny = || GgufBuilder::tiny(1);
    assert!(refusal(&tiny().without("general.architecture")).contains("architecture"));
    assert!(refusal(&tiny().with("general.architecture", text("not a word"))).contains("architecture"));
    assert!(refusal(&tiny().with("general.architecture", text("clip"))).contains("projector"));
    assert!(refusal(&tiny().with("general.type", text("adapter"))).contains("LoRA"));
    assert!(refusal(&tiny().with("general.type", text("imatrix"))).contains("accompanies"));
    assert!(refusal(&tiny().with("split.count", Value::U16(3))).contains("gguf-split --merge"));
    assert!(refusal(&tiny().without("llama.context_length")).contains("context"));
    assert!(refusal(&GgufBuilder { tensors: Vec::new(), ..tiny() }).contains("weights"));
    assert!(refusal(&tiny().with("tokenizer.chat_template", text(&"x".repeat(MAX_TEXT + 1)))).contains("longer"));
    assert!(details(&tiny().with("general.type", text("model")).with("split.count", Value::U16(1))).is_ok());
}

#[test]
fn capabilities_are_those_that_the_header_shows() {
    let of = |builder: GgufBuilder| details(&builder).unwrap().capabilities;
    let tiny = || GgufBuilder::tiny(1);
    assert_eq!(of(tiny().with("tokenizer.chat_template", text("{% if tools %}"))), ["completion", "tools"]);
    assert_eq!(of(tiny().with("tokenizer.chat_template", text("<think>"))), ["completion", "thinking"]);
    let middle = tiny().with("tokenizer.ggml.fim_pre_token_id", Value::U32(3));
    assert_eq!(of(middle.clone()), ["completion"], "one of the two tokens is not enough");
    assert_eq!(of(middle.with("tokenizer.ggml.fim_suf_token_id", Value::U32(4))), ["completion", "insert"]);
    assert_eq!(of(tiny().with("llama.vision.block_count", Value::U32(4))), ["completion", "vision"]);
    assert_eq!(of(tiny().with("llama.pooling_type", Value::U32(1))), ["embedding"]);
    let encoder = tiny().with("general.architecture", text("bert")).with("bert.context_length", Value::U32(512));
    assert_eq!(of(encoder.without("tokenizer.chat_template")), ["embedding"], "encoders need no template and name no pooling");
}

#[test]
fn sizes_are_written_for_people() {
    for (count, text) in [
        (0, "0"),
        (999, "999"),
        (1_000, "1K"),
        (999_499, "999K"),
        (999_500, "1M"),
        (134_515_008, "135M"),
        (999_499_999, "999M"),
        (999_500_000, "1B"),
        (1_235_814_432, "1.2B"),
        (7_615_616_512, "7.6B"),
        (8_030_261_312, "8B"),
        (70_553_706_496, "70.6B"),
        (u64::MAX, "18446744073.7B"),
    ] {
        assert_eq!(for_people(count), text);
    }
}

#[test]
fn details_are_stored_and_read_back_whole() {
    let found = details(&GgufBuilder::tiny(1)).unwrap();
    let stored = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Details>(&stored).unwrap(), found);
}

#[test]
fn short_metadata_leaves_long_lists_out_and_full_has_them() {
    use crate::Metadata;
    let tokens = |count: usize| Value::Array(Array::U8(vec![1; count]));
    let builder =
        GgufBuilder::tiny(1).with("long", tokens(65)).with("short", tokens(64)).tensor("t", &[32, 2], GgmlType::Q4_1, &[]);
    let gguf = Gguf::from_bytes(&builder.build()).unwrap();
    let (short, full) = (Metadata::short(&gguf), Metadata::full(&gguf));
    assert!(short.model_info["long"].is_null() && short.model_info.contains_key("long"));
    assert_eq!(short.model_info["short"].as_array().unwrap().len(), 64);
    assert_eq!(full.model_info["long"].as_array().unwrap().len(), 65);
    assert_eq!(full.model_info["general.parameter_count"], 40 + 64);
    assert_eq!(full.model_info["llama.attention.layer_norm_rms_epsilon"].to_string(), "0.00001");
    assert_eq!(
        (full.tensors[1].name.as_str(), full.tensors[1].kind.as_str(), full.tensors[1].shape.as_slice()),
        ("t", "Q4_1", [32, 2].as_slice())
    );
}
