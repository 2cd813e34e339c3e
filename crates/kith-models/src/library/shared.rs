//! What neighbours may know of the library: the bytes of its models, and what a model's row says beside them.

use super::Library;
use crate::{Model, ModelError, Overrides};
use kith_types::{Blake3, Sha256};

impl Library {
    /// The bytes of every model, by both their names. Uploads, adapters and whatever else lies among the blobs are not among them.
    ///
    /// # Errors
    /// [`ModelError::Store`].
    pub async fn digests(&self) -> Result<Vec<(Sha256, Blake3)>, ModelError> {
        Ok(self.inner.store.models().await?.into_iter().map(|row| (row.sha256, row.blob)).collect())
    }
}

impl Model {
    /// What another library sets beside the file to have the same model.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            template: self.template.clone(),
            system: self.system.clone(),
            parameters: Some(self.parameters.clone()).filter(|parameters| !parameters.is_empty()),
            license: self.license.clone(),
            messages: Some(self.messages.clone()).filter(|messages| !messages.is_empty()),
            parent: self.parent.clone(),
            requires: self.requires.clone(),
        }
    }
}
