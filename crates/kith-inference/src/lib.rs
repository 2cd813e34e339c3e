//! Queues, loading and unloading, templates, and the choice of engine for one prompt. Knows no HTTP and no other node.

mod answer;
mod catalogue;
mod constraint;
mod demand;
mod engines;
mod error;
mod gate;
mod latency;
mod options;
mod plan;
mod providers;
mod reasoning;
mod request;
mod residency;
mod shape;
mod stats;
mod stop;
mod template;
mod tools;

pub use answer::{
    Answer, Embed, Embeddings, Inference, InferenceParts, Loading, MAX_EMBED_BYTES, MAX_EMBED_INPUTS, Pieces, Random,
};
pub use catalogue::{Apart, Catalogue, ModelCard};
pub use error::InferenceError;
pub use gate::MAX_WAITING;
pub use kith_engine::EmbedInput;
pub use latency::Percentiles;
pub use providers::*;
pub use request::*;
pub use residency::{Bounds, LoadedModel};
pub use stats::Stats;

/// Checks what a model is to be made with: its chat template must be one, its parameters of their types and within their bounds.
pub fn check_settings(
    template: Option<&str>,
    parameters: Option<&serde_json::Map<String, serde_json::Value>>,
) -> Result<(), InferenceError> {
    template::ChatTemplate::parse(template, None, None)
        .map_err(|error| InferenceError::Invalid { field: "template".into(), message: error.to_string() })?;
    parameters.map_or(Ok(()), options::check_parameters)
}
