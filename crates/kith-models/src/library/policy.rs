//! What the owner set for the library: the default model, and for each model whether it may be managed and pruned by itself.

use super::Library;
use crate::{Model, ModelError};
use serde::{Deserialize, Serialize};

/// The setting that names the default model.
const DEFAULT: &str = "model.default";

/// What the owner set for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Whether the node may fetch and place it by itself.
    pub auto_manage: bool,
    /// Whether the node may remove it by itself.
    pub prune: bool,
    /// Whether its first and last layers must stay on this node; `None` follows the node's own setting.
    pub encrypted_pipeline: Option<bool>,
}

impl Default for Policy {
    /// Nothing is done to a model unasked.
    fn default() -> Self {
        Self { auto_manage: false, prune: false, encrypted_pipeline: None }
    }
}

fn key(model: &Model) -> String {
    setting(&model.name.key())
}

/// The setting that holds the policy of the model under this key.
pub(super) fn setting(key: &str) -> String {
    format!("model.policy/{key}")
}

impl Library {
    /// The model that is used where none is named, if one was chosen and is still there.
    pub async fn default_model(&self) -> Result<Option<Model>, ModelError> {
        let Some(name) = self.inner.store.setting(DEFAULT).await? else { return Ok(None) };
        match self.resolve(&name).await {
            Ok(model) => Ok(Some(model)),
            Err(ModelError::NotFound { .. } | ModelError::BadName(_) | ModelError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Chooses the model that is used where none is named.
    pub async fn set_default_model(&self, model: &Model) -> Result<(), ModelError> {
        Ok(self.inner.store.setting_put(DEFAULT, &model.name.to_string()).await?)
    }

    /// What the owner set for this model.
    pub async fn policy(&self, model: &Model) -> Result<Policy, ModelError> {
        let text = self.inner.store.setting(&key(model)).await?;
        // A text that cannot be read counts as unset: nothing is then done unasked.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Sets it.
    pub async fn set_policy(&self, model: &Model, policy: &Policy) -> Result<(), ModelError> {
        Ok(self.inner.store.setting_put(&key(model), &serde_json::to_string(policy)?).await?)
    }
}
