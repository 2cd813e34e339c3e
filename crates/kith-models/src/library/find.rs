//! A model by the id that stands for it in paths.

use super::Library;
use crate::{Model, ModelError, downloads::slug};

impl Library {
    /// The model that `id` means: its name, as [`Library::resolve`] takes it, or the slug of its name.
    pub async fn find(&self, id: &str) -> Result<Model, ModelError> {
        let missing = match self.resolve(id).await {
            Err(error @ (ModelError::NotFound { .. } | ModelError::BadName(_))) => error,
            found => return found,
        };
        let named = self.list().await?.into_iter().find(|model| slug(&model.name.to_string()) == id);
        named.ok_or(missing)
    }
}
