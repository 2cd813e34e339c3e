//! One row for each family that sees.
//!
//! Not among them are Qwen's (`qwen2_vl` and later): at every step mistral.rs 0.8.1 cuts prompt and answer into tokens anew and fails where
//! they come out otherwise than they were written, and it takes the features of a third image from the wrong place.

use super::{Family, Settings};
use mistralrs_core::MultimodalLoaderType;
use serde_json::{Map, Value, json};

pub(super) const FAMILIES: &[Family] = &[
    idefics("idefics3"),
    // The same network under a newer name.
    idefics("smolvlm"),
    Family {
        model_type: "gemma3",
        loader: || MultimodalLoaderType::Gemma3,
        mark: "<start_of_image>",
        reserved: &["<start_of_image>", "<image_soft_token>", "<end_of_image>"],
        expansion: ("\n\n<start_of_image>", "<image_soft_token>", "<end_of_image>\n\n"),
        complete: gemma,
    },
];

const fn idefics(model_type: &'static str) -> Family {
    Family {
        model_type,
        loader: || MultimodalLoaderType::Idefics3,
        mark: "<image>",
        reserved: &["<image>", "<fake_token_around_image>", "<global-img>"],
        expansion: ("<fake_token_around_image><global-img>", "<image>", "<fake_token_around_image>"),
        complete: idefics3,
    }
}

/// The tiles of an image are left out, as the family's own processor does on demand: mistral.rs panics on them. An image is seen as
/// one square.
fn idefics3(settings: &mut Settings) -> Result<usize, String> {
    let Settings { config, preprocessor, processor } = settings;
    fill(config, json!({"scale_factor": 2, "image_token_id": 128_257}));
    fill(
        part(config, "vision_config"),
        json!({
            "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 16, "num_channels": 3,
            "image_size": 224, "patch_size": 32, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
        }),
    );
    llama(part(config, "text_config"));
    let edge = number(&config["vision_config"], "image_size")?;
    let patch = number(&config["vision_config"], "patch_size")?;
    let scale = number(config, "scale_factor")?;
    if edge % patch != 0 || (edge / patch) % scale != 0 {
        return Err(format!("images of {edge} pixels cannot be cut into patches of {patch}, {scale} by {scale}"));
    }
    fill(
        preprocessor,
        json!({
            "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_normalize": true, "resample": 1,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        }),
    );
    // Without tiles nothing is gained by the larger size that tiles are cut from.
    set(
        preprocessor,
        json!({
            "do_image_splitting": false, "do_pad": true, "do_resize": true, "do_convert_rgb": true,
            "size": {"height": edge, "width": edge}, "max_image_size": {"longest_edge": edge},
        }),
    );
    let side = edge / patch / scale;
    let tokens = usize::try_from(side * side).map_err(|_| "an image has too many tokens".to_owned())?;
    *processor = json!({"image_seq_len": tokens});
    Ok(tokens)
}

/// Pan and scan is left out: mistral.rs takes the crops of an image for images of their own.
fn gemma(settings: &mut Settings) -> Result<usize, String> {
    let Settings { config, preprocessor, processor } = settings;
    fill(config, json!({"mm_tokens_per_image": 256, "image_token_index": 262_144}));
    fill(
        part(config, "text_config"),
        json!({
            "vocab_size": 262_208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
            "max_position_embeddings": 131_072, "sliding_window": 4096,
        }),
    );
    fill(
        part(config, "vision_config"),
        json!({
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "num_channels": 3,
            "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
        }),
    );
    rope(part(config, "text_config"));
    let edge = number(&config["vision_config"], "image_size")?;
    fill(
        preprocessor,
        json!({
            "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_normalize": true, "resample": 2,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        }),
    );
    set(
        preprocessor,
        json!({
            "do_pan_and_scan": false, "do_resize": true, "do_convert_rgb": true, "size": {"height": edge, "width": edge},
        }),
    );
    let tokens = number(config, "mm_tokens_per_image")?;
    let tokens = usize::try_from(tokens).map_err(|_| "an image has too many tokens".to_owned())?;
    *processor = json!({"image_seq_len": tokens});
    Ok(tokens)
}

/// The defaults of a Llama configuration.
fn llama(text: &mut Value) {
    rope(text);
    let heads = text.get("num_attention_heads").cloned().unwrap_or(json!(32));
    fill(
        text,
        json!({
            "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11_008, "vocab_size": 32_000, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": heads, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0,
            "max_position_embeddings": 2048,
        }),
    );
}

/// Newer configurations hold what turns the positions in a part of its own.
fn rope(text: &mut Value) {
    if let Some(theta) = text.get("rope_parameters").and_then(|rope| rope.get("rope_theta")).cloned() {
        fill(text, json!({"rope_theta": theta}));
    }
}

/// The object called `name`, made where there is none.
fn part<'a>(config: &'a mut Value, name: &str) -> &'a mut Value {
    if !config.get(name).is_some_and(Value::is_object) {
        set(config, Value::Object(Map::from_iter([(name.to_owned(), json!({}))])));
    }
    &mut config[name]
}

/// Sets the fields that are absent or null.
fn fill(object: &mut Value, defaults: Value) {
    merge(object, defaults, false);
}

/// Sets the fields.
fn set(object: &mut Value, fields: Value) {
    merge(object, fields, true);
}

fn merge(object: &mut Value, fields: Value, over: bool) {
    if !object.is_object() {
        *object = json!({});
    }
    let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) else { return };
    for (name, value) in fields {
        if over || object.get(&name).is_none_or(Value::is_null) {
            object.insert(name, value);
        }
    }
}

/// A number from 1 to 65536.
fn number(object: &Value, name: &str) -> Result<u64, String> {
    object
        .get(name)
        .and_then(Value::as_u64)
        .filter(|number| (1..=65_536).contains(number))
        .ok_or_else(|| format!("the configuration's `{name}` is missing or out of bounds"))
}
