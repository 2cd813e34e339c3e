//! The library's models in the words of their owner's pages, and of code editors. Translation only.

use crate::error::ApiError;
use kith_inference::LoadedModel;
use kith_models::{Cleaned, Metadata, Model, Policy, Pruned, Space};
use kith_types::{Blake3, Code};
use kith_wire::models as wire;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a model is expected to take in memory for each byte on disk, in percent.
const MEMORY_PERCENT: u64 = 115;
/// Why policies about other nodes change nothing.
const ALONE: &str = "this node is in no network: nothing is fetched, placed or removed by itself";

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn held<'a>(model: &Model, loaded: &'a [LoadedModel]) -> Option<&'a LoadedModel> {
    let name = model.name.to_string();
    loaded.iter().find(|loaded| loaded.card.name == name)
}

fn bytes(loaded: &LoadedModel) -> u64 {
    loaded.memory.weights.saturating_add(loaded.memory.cache)
}

pub(crate) fn listed(model: &Model, loaded: &[LoadedModel]) -> wire::AdminModel {
    let (details, held) = (&model.details, held(model, loaded));
    wire::AdminModel {
        id: model.name.to_string(),
        name: model.name.to_string(),
        architecture: details.architecture.clone(),
        quantization: details.quantization.clone(),
        parameter_size: details.parameter_size.clone(),
        num_layers: details.block_count,
        total_size_bytes: model.size,
        hash: model.blob.hex(),
        source: model.source.clone(),
        license: model.license.clone(),
        shard_count: 1,
        shards: vec![wire::AdminShard {
            index: 0,
            layer_range: details.block_count.filter(|count| *count > 0).map(|count| [0, count - 1]),
            size_bytes: model.size,
            local: true,
            loaded: held.is_some(),
        }],
        status: if held.is_some() { "loaded" } else { "ready" }.to_owned(),
        acquisition: "complete".to_owned(),
        estimated_vram_mb: mib(model.size.saturating_mul(MEMORY_PERCENT) / 100),
        memory_mb: held.map(|loaded| mib(bytes(loaded))),
        vram_mb: held.map(|loaded| mib(loaded.memory.gpu)),
        mmproj: projector(model),
        trust_level: "Pinned".to_owned(),
        modified_at: model.modified.rfc3339(),
    }
}

/// A model that sees brings its projector along: it lies in the same file.
fn projector(model: &Model) -> wire::Projector {
    let sees = model.format == "safetensors" && model.details.capabilities.iter().any(|capability| capability == "vision");
    wire::Projector { available: sees, local: sees, holders: u32::from(sees) }
}

pub(crate) fn unloaded(model: &Model, held: Option<&LoadedModel>, was: bool) -> wire::AdminUnloaded {
    let name = model.name.to_string();
    wire::AdminUnloaded {
        status: if was { "unloaded" } else { "not_loaded" }.to_owned(),
        model_name: model.details.title.clone().unwrap_or_else(|| name.clone()),
        model_id: name,
        segments_removed: was.into(),
        estimated_freed_mb: held.map_or(0, |loaded| mib(bytes(loaded))),
    }
}

pub(crate) fn metadata(model: &Model, metadata: Metadata, supported: bool) -> wire::AdminMetadata {
    let Metadata { model_info, tensors, data_offset } = metadata;
    let details = &model.details;
    let of = |key: &str| model_info.get(key).cloned().unwrap_or(Value::Null);
    let of_architecture = |key: &str| of(&format!("{}.{key}", details.architecture));
    let object =
        |pairs: &[(&str, Value)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Map<_, _>>();
    let general = object(&[
        ("name", of("general.name")),
        ("architecture", json!(details.architecture)),
        ("architecture_supported", json!(supported)),
        ("file_type", of("general.file_type")),
        ("quantization", json!(details.quantization)),
    ]);
    let figures = object(&[
        ("context_length", json!(details.context_length)),
        ("block_count", json!(details.block_count)),
        ("embedding_length", json!(details.embedding_length)),
        ("head_count", json!(details.head_count)),
        ("head_count_kv", json!(details.head_count_kv)),
        ("rope_dimension_count", of_architecture("rope.dimension_count")),
        ("rope_freq_base", of_architecture("rope.freq_base")),
        ("layer_norm_rms_epsilon", of_architecture("attention.layer_norm_rms_epsilon")),
        ("vocab_size", json!(details.vocabulary_size)),
        ("parameter_count", json!(details.parameter_count)),
    ]);
    let tokenizer = object(&[
        ("model", of("tokenizer.ggml.model")),
        ("pre", of("tokenizer.ggml.pre")),
        ("eos_token_id", json!(details.eos_id)),
        ("bos_token_id", json!(details.bos_id)),
        ("padding_token_id", of("tokenizer.ggml.padding_token_id")),
    ]);
    let tensors = wire::AdminTensors { count: tensors.len() as u64, data_offset };
    // Long lists read null; the count of parameters is worked out and stands in no file.
    let shown = |(key, value): &(String, Value)| {
        let vocabulary = key.starts_with("tokenizer.") && (value.is_null() || value.is_array());
        !vocabulary && key != "general.parameter_count"
    };
    let raw = model_info.into_iter().filter(shown).map(|(key, value)| wire::AdminEntry { key, value }).collect();
    wire::AdminMetadata { model_id: model.name.to_string(), general, model: figures, tokenizer, tensors, raw }
}

/// What a request changes of a policy.
pub(crate) fn change(request: &wire::AutoManageRequest) -> Result<impl Fn(Policy) -> Policy + use<>, ApiError> {
    let wire::AutoManageRequest { auto_manage, prune } = request.clone();
    if auto_manage.is_none() && prune.is_none() {
        let message = "nothing to change: give `auto_manage` or `prune`";
        return Err(ApiError::new(Code::InvalidRequest, message).with_field("auto_manage"));
    }
    Ok(move |policy: Policy| Policy {
        auto_manage: auto_manage.unwrap_or(policy.auto_manage),
        prune: prune.unwrap_or(policy.prune),
        ..policy
    })
}

pub(crate) fn auto_manage(model: &Model, policy: &Policy) -> wire::AutoManage {
    wire::AutoManage {
        model_id: model.name.to_string(),
        auto_manage: policy.auto_manage,
        prune: policy.prune,
        effective: false,
        reason: Some(ALONE.to_owned()),
    }
}

pub(crate) fn encrypted_pipeline(model: &Model, policy: &Policy) -> wire::EncryptedPipeline {
    wire::EncryptedPipeline {
        model_id: model.name.to_string(),
        enabled: policy.encrypted_pipeline.unwrap_or(false),
        source: if policy.encrypted_pipeline.is_some() { "model" } else { "default" }.to_owned(),
        ready: true,
        effective: false,
        reason: Some("the whole model runs on this node: no prompt, answer or activation leaves it".to_owned()),
        overhead: "one more round trip for each token, once other nodes hold layers".to_owned(),
        warning: Some("nodes that hold middle layers see activations, from which much of a text can be recovered".to_owned()),
    }
}

pub(crate) fn storage(models: &[Model], space: Space, loaded: &[LoadedModel], budget: u64) -> wire::ShardStorage {
    let files: BTreeMap<&Blake3, u64> = models.iter().map(|model| (&model.blob, model.size)).collect();
    let taken = |model: &Model| {
        let held = held(model, loaded);
        let others = models.iter().filter(|other| other.blob == model.blob && other.name != model.name);
        wire::ModelStorage {
            model_id: model.name.to_string(),
            shards: 1,
            disk_bytes: model.size,
            shared_with: others.map(|other| other.name.to_string()).collect(),
            memory_bytes: held.map_or(0, bytes),
            gpu_bytes: held.map_or(0, |loaded| loaded.memory.gpu),
        }
    };
    wire::ShardStorage {
        disk: wire::DiskUse {
            total_bytes: space.total,
            available_bytes: space.available,
            models_bytes: files.values().fold(0, |sum: u64, size| sum.saturating_add(*size)),
        },
        memory: wire::MemoryUse {
            budget_bytes: budget,
            used_bytes: loaded.iter().fold(0, |sum: u64, loaded| sum.saturating_add(bytes(loaded))),
            gpu_bytes: loaded.iter().fold(0, |sum: u64, loaded| sum.saturating_add(loaded.memory.gpu)),
        },
        models: models.iter().map(taken).collect(),
    }
}

pub(crate) fn history(events: Vec<Pruned>) -> wire::PruneHistory {
    let event = |pruned: Pruned| wire::PruneEvent {
        timestamp: pruned.at.rfc3339(),
        reason: pruned.reason,
        models: pruned.models,
        files: pruned.files,
        freed_bytes: pruned.bytes,
    };
    wire::PruneHistory { events: events.into_iter().map(event).collect() }
}

pub(crate) fn rescanned(cleaned: Cleaned) -> wire::Rescanned {
    let updated: Vec<String> = cleaned.mended.iter().chain(&cleaned.removed).cloned().collect();
    wire::Rescanned {
        status: "ok".to_owned(),
        count: updated.len() as u64,
        models_updated: updated,
        removed: cleaned.removed,
        files_removed: cleaned.collected.files,
        freed_bytes: cleaned.collected.bytes,
    }
}

/// Billions of parameters.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn billions(model: &Model) -> f64 {
    // To the million, as people read it.
    (model.details.parameter_count / 1_000_000) as f64 / 1000.0
}
