//! Where islands meet: the library answers inference's questions, inference lets go of what the library removes.

use async_trait::async_trait;
use kith_api::{
    Window, WindowFile,
    configuration::{Release, Staged, UpdateRefusal, Updates},
};
use kith_engine::{Adapter, AdapterMatrices, AdapterReading, AdapterSource, EngineError, ModelFormat, ModelSpec};
use kith_events::Events;
use kith_inference::{Apart, Catalogue, Inference, InferenceError, Message, ModelCard, Role};
use kith_models::{Adapters, InUse, Library, Model, ModelError, Speaker};
use kith_types::Blake3;
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

/// What the node says of itself to the members of its network.
pub(crate) struct AboutNode {
    /// Its models.
    pub library: Arc<Library>,
    /// When it started.
    pub started: kith_types::Timestamp,
}

#[async_trait]
impl crate::mesh::About for AboutNode {
    async fn models(&self) -> Vec<String> {
        let listed = self.library.list().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the library cannot be told to the network");
            Vec::new()
        });
        listed.into_iter().map(|model| model.name.to_string()).collect()
    }

    fn hardware(&self) -> kith_networks::Hardware {
        kith_networks::Hardware {
            cores: std::thread::available_parallelism().map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
            memory_bytes: crate::node::machine_memory(),
            accelerators: Vec::new(),
            accelerator_memory_bytes: 0,
            storage_bytes: 0,
        }
    }

    fn capabilities(&self) -> Vec<String> {
        vec!["inference".to_owned(), "blobs".to_owned()]
    }

    fn started(&self) -> kith_types::Timestamp {
        self.started
    }
}

/// The updates of the program around the node, which are told as the node's own are.
pub(crate) struct ToldUpdates {
    /// What looks for them.
    pub theirs: Arc<dyn Updates>,
    /// Where they are told.
    pub events: Events,
}

#[async_trait]
impl Updates for ToldUpdates {
    async fn check(&self) -> Result<Release, UpdateRefusal> {
        let found = self.theirs.check().await?;
        if found.newer {
            let told = serde_json::json!({"version": found.version, "size": found.size, "changelog": found.changelog});
            self.events.publish("update.available", told);
        }
        Ok(found)
    }

    async fn apply(&self) -> Result<Staged, UpdateRefusal> {
        let staged = self.theirs.apply().await?;
        self.events.publish("update.staged", serde_json::json!({"version": staged.version}));
        Ok(staged)
    }
}

/// The library, and the adapters to its models, as inference's catalogue.
pub(crate) struct LibraryCatalogue(pub Arc<Library>, pub Adapters);

#[async_trait]
impl Catalogue for LibraryCatalogue {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        // No model's name has a `+`: behind it stands an adapter.
        if let Some((model, adapter)) = name.split_once('+') {
            return self.find_adapted(model, adapter).await;
        }
        self.0.resolve(name).await.map(|model| Arc::new(card(model))).map_err(|error| refusal(error, name))
    }

    async fn find_adapted(&self, name: &str, adapter: &str) -> Result<Arc<ModelCard>, InferenceError> {
        if name.contains('+') {
            let message = format!("`{name}` names an adapter already, and `{adapter}` is another: a model answers with one");
            return Err(InferenceError::Invalid { field: "lora_adapter".into(), message });
        }
        let adapted = self.1.adapted(name, adapter).await.map_err(|error| refusal(error, name))?;
        let mut card = card(adapted.model);
        card.name = format!("{}+{}", card.name, adapted.adapter.id);
        card.version = adapted.version;
        card.spec.name = card.name.clone();
        card.spec.path = adapted.path;
        card.spec.size_bytes = adapted.size;
        Ok(Arc::new(card))
    }

    async fn find_apart(&self, name: &str, adapter: Option<&str>) -> Result<Option<Apart>, InferenceError> {
        // As in the two above: one adapter, behind the name or beside it.
        let (name, adapter) = match (name.split_once('+'), adapter) {
            (None, Some(adapter)) => (name, adapter),
            (Some((name, adapter)), None) => (name, adapter),
            (None, None) => return Ok(None),
            (Some(_), Some(adapter)) => return self.find_adapted(name, adapter).await.map(|_| None),
        };
        let apart = self.1.apart(name, adapter).await.map_err(|error| refusal(error, name))?;
        let base = Arc::new(card(apart.model.clone()));
        Ok(Some(Apart {
            name: format!("{}+{}", base.name, apart.adapter.id),
            base,
            adapter: Adapter { id: apart.version.as_str().into(), scale: apart.scale, source: Arc::new(AdapterFile(apart)) },
        }))
    }
}

/// A registered adapter as engines read it.
struct AdapterFile(kith_models::Apart);

impl AdapterSource for AdapterFile {
    fn read(&self) -> Result<AdapterReading<'_>, EngineError> {
        let matrices = self.0.matrices().map_err(unread)?;
        Ok(Box::new(matrices.map(|matrices| {
            let kith_models::lora::Matrices { target, rank, inputs, outputs, a, b, strength } = matrices.map_err(unread)?;
            Ok(AdapterMatrices { target, rank, inputs, outputs, a, b, scale: strength })
        })))
    }
}

/// What the library's errors mean to an engine that reads an adapter.
fn unread(error: ModelError) -> EngineError {
    match error {
        ModelError::BadFile { reason } => EngineError::Invalid { field: "adapter", message: reason },
        error => EngineError::Failed(error.to_string()),
    }
}

/// The pages inside the binary as the window.
pub(crate) struct BuiltPages;

impl Window for BuiltPages {
    fn file(&self, name: &str, brotli: bool) -> Option<WindowFile> {
        let page = kith_pages::page(name)?;
        let bytes = if brotli { page.brotli.into() } else { page.plain().ok()?.into() };
        Some(WindowFile { content_type: page.content_type, bytes, brotli, immutable: page.immutable })
    }
}

/// What the library's errors mean to somebody who asks for an answer by the model `model`.
fn refusal(error: ModelError, model: &str) -> InferenceError {
    match error {
        ModelError::NotFound { name, nearest } => InferenceError::ModelNotFound { name, nearest },
        ModelError::BadName(error) => InferenceError::Invalid { field: "model".into(), message: error.to_string() },
        ModelError::NoAdapter { id } => InferenceError::AdapterNotFound(id),
        // Models that lie in the library were read; what is told of a file here is told of an adapter.
        ModelError::BadFile { reason } => InferenceError::Invalid { field: "lora_adapter".into(), message: reason },
        ModelError::Full => InferenceError::StorageFull(model.to_owned()),
        ModelError::Busy => {
            InferenceError::Overloaded { model: model.to_owned(), waiting: 1, retry_after: Duration::from_secs(1) }
        }
        error => {
            tracing::error!(%error, "the library could not be read");
            InferenceError::Failed(error.to_string())
        }
    }
}

fn card(model: Model) -> ModelCard {
    let details = model.details;
    ModelCard {
        name: model.name.to_string(),
        version: model.blob.to_string(),
        context_length: details.context_length,
        vision: details.capabilities.iter().any(|capability| capability == "vision"),
        spec: ModelSpec {
            name: model.name.to_string(),
            path: model.path,
            format: if model.format == "safetensors" { ModelFormat::Safetensors } else { ModelFormat::Gguf },
            architecture: details.architecture,
            size_bytes: model.size,
            context: None,
            parallel: 1,
            in_situ: kith_engine::InSitu::Auto,
            draft: None,
        },
        template: model.template.or(details.chat_template),
        bos: details.bos_token,
        eos: details.eos_token,
        add_bos: details.add_bos,
        system: model.system,
        parameters: model.parameters,
        messages: model.messages.into_iter().map(message).collect(),
    }
}

fn message(message: kith_models::Message) -> Message {
    let role = match message.role {
        Speaker::System => Role::System,
        Speaker::User => Role::User,
        Speaker::Assistant => Role::Assistant,
    };
    Message::text(role, message.content)
}

/// Inference as the user of the library's files, set once both exist, and the node's folder.
pub(crate) struct InferenceHolds(pub OnceLock<Weak<Inference>>, pub PathBuf);

#[async_trait]
impl InUse for InferenceHolds {
    async fn release(&self, blob: &Blake3) {
        if let Some(inference) = self.0.get().and_then(Weak::upgrade) {
            let blob = blob.to_string();
            inference.release(&blob).await;
            // The version of an adapted model names its base's and its adapter's bytes.
            for loaded in inference.loaded() {
                if loaded.card.version.split('+').any(|part| part == blob) {
                    inference.release(&loaded.card.version).await;
                }
            }
        }
        crate::engines::remove_weights_of(&self.1, blob);
    }
}
