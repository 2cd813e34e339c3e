//! Where islands meet: the library answers inference's questions, inference lets go of what the library removes.

use async_trait::async_trait;
use kith_engine::{ModelFormat, ModelSpec};
use kith_inference::{Catalogue, Inference, InferenceError, Message, ModelCard, Role};
use kith_models::{InUse, Library, Model, ModelError, Speaker};
use kith_types::Blake3;
use std::sync::{Arc, OnceLock, Weak};

/// The library as inference's catalogue.
pub(crate) struct LibraryCatalogue(pub Arc<Library>);

#[async_trait]
impl Catalogue for LibraryCatalogue {
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError> {
        match self.0.resolve(name).await {
            Ok(model) => Ok(Arc::new(card(model))),
            Err(ModelError::NotFound { name, nearest }) => Err(InferenceError::ModelNotFound { name, nearest }),
            Err(ModelError::BadName(error)) => Err(InferenceError::Invalid { field: "model".into(), message: error.to_string() }),
            Err(error) => {
                tracing::error!(%error, "the library could not be read");
                Err(InferenceError::Failed(error.to_string()))
            }
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
            format: ModelFormat::Gguf,
            architecture: details.architecture,
            size_bytes: model.size,
            context: None,
            parallel: 1,
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

/// Inference as the user of the library's files. Set once both exist.
#[derive(Default)]
pub(crate) struct InferenceHolds(pub OnceLock<Weak<Inference>>);

#[async_trait]
impl InUse for InferenceHolds {
    async fn release(&self, blob: &Blake3) {
        if let Some(inference) = self.0.get().and_then(Weak::upgrade) {
            inference.release(&blob.to_string()).await;
        }
    }
}
