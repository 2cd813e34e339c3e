//! The models as inference needs to know them: a port, since the library is another island.

use crate::{InferenceError, Message};
use async_trait::async_trait;
use kith_engine::{Adapter, ModelSpec};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A model in the library, as far as answering prompts goes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// The full name, `family:tag`.
    pub name: String,
    /// Changes whenever the weights do: a digest.
    pub version: String,
    /// What engines need.
    pub spec: ModelSpec,
    /// Tokens the model was trained to attend to.
    pub context_length: u32,
    /// Its chat template (Jinja), if it brings one.
    pub template: Option<String>,
    /// The text of its opening token.
    pub bos: Option<String>,
    /// The text of its end-of-text token.
    pub eos: Option<String>,
    /// Whether the tokenizer is to put the opening token before every prompt.
    pub add_bos: bool,
    /// Standing instructions that go before every conversation without its own.
    pub system: Option<String>,
    /// Default options, in the words of Ollama's PARAMETER.
    pub parameters: Map<String, Value>,
    /// Whether it can see images.
    pub vision: bool,
    /// Messages of its own that open every conversation.
    pub messages: Vec<Message>,
}

impl ModelCard {
    /// A model of which nothing is known but its file: called as that is, without a window, a template or options of its own.
    pub(crate) fn plain(spec: ModelSpec) -> Self {
        Self {
            name: spec.name.clone(),
            version: String::new(),
            spec,
            context_length: 0,
            template: None,
            bos: None,
            eos: None,
            add_bos: false,
            system: None,
            parameters: Map::new(),
            vision: false,
            messages: Vec::new(),
        }
    }

    /// The card of a model that answers elsewhere: its name, and nothing an engine could load.
    pub(crate) fn elsewhere(name: &str) -> Self {
        Self::plain(ModelSpec::gguf(name, "", "", 0))
    }
}

/// A model and an adapter to it, each by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// The model without the adapter.
    pub base: Arc<ModelCard>,
    /// What the two are called together: `name+adapter`.
    pub name: String,
    /// The adapter. Its id changes whenever the model, the adapter or its strength does.
    pub adapter: Adapter,
}

/// Finds models by name.
#[async_trait]
pub trait Catalogue: Send + Sync + 'static {
    /// The model called `name`, or [`InferenceError::ModelNotFound`] with the nearest name. Also one called `name+adapter`, where there are
    /// adapters.
    async fn find(&self, name: &str) -> Result<Arc<ModelCard>, InferenceError>;

    /// The model called `name` with the adapter `adapter` applied: a model of its own, `name+adapter`, with a version of its own.
    /// [`InferenceError::AdapterNotFound`] if there is no such adapter.
    async fn find_adapted(&self, name: &str, adapter: &str) -> Result<Arc<ModelCard>, InferenceError> {
        Err(InferenceError::UnsupportedByModel(format!("`{name}` takes no adapters; `{adapter}` was asked for")))
    }

    /// The model called `name` and the adapter `adapter`, or the one that stands in the name, for engines that apply adapters while they
    /// answer. `None` where no adapter is named, or where models with adapters are only had whole ([`Catalogue::find_adapted`]).
    async fn find_apart(&self, _name: &str, _adapter: Option<&str>) -> Result<Option<Apart>, InferenceError> {
        Ok(None)
    }
}
