//! A model and an adapter to it, each by itself: for engines that apply adapters while they answer. No file is made.

use super::{Adapter, Adapters, SCALE, derived};
use crate::{
    Model, ModelError,
    lora::{self, Matrices},
};
use std::path::PathBuf;

/// A model and an adapter that fits it.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// The model.
    pub model: Model,
    /// The adapter.
    pub adapter: Adapter,
    /// How strongly it is applied, as a multiple of its own strength.
    pub scale: f32,
    /// Changes whenever the base, the adapter or its strength does; the same as [`super::Adapted::version`].
    pub version: String,
    file: PathBuf,
}

impl Apart {
    /// The adapter's matrices; see [`lora::Lora::matrices`]. Blocks as long as the disk does.
    pub fn matrices(&self) -> Result<impl Iterator<Item = Result<Matrices, ModelError>> + Send + 'static + use<>, ModelError> {
        lora::read_with(&self.file, &self.adapter.scaling)?.matrices(&self.model.path)
    }
}

impl Adapters {
    /// The model and the adapter, if they belong together.
    ///
    /// # Errors
    /// [`ModelError::NoAdapter`], [`ModelError::NotFound`], [`ModelError::BadFile`] for an adapter of another model.
    pub async fn apart(&self, model: &str, id: &str) -> Result<Apart, ModelError> {
        let (model, adapter, name) = self.both(model, id).await?;
        let file = self.inner.library.shared().blobs.path(&adapter.blob);
        Ok(Apart { version: version(&model, &adapter, &name), model, adapter, scale: SCALE, file })
    }

    /// The model and the adapter, and what the file of both together is called.
    pub(super) async fn both(&self, model: &str, id: &str) -> Result<(Model, Adapter, derived::Name), ModelError> {
        let model = self.inner.library.resolve(model).await?;
        let adapter = self.get(id).await?;
        if model.blob != adapter.base_blob && model.name.key() != adapter.base_model.key() {
            let reason = format!("the adapter `{}` was made for `{}`, not for `{}`", adapter.id, adapter.base_model, model.name);
            return Err(ModelError::BadFile { reason });
        }
        let name = derived::Name::of(&model.blob, &adapter.blob, &adapter.scaling, SCALE)?;
        Ok((model, adapter, name))
    }
}

pub(super) fn version(model: &Model, adapter: &Adapter, name: &derived::Name) -> String {
    format!("{}+{}+{}", model.blob, adapter.blob, name.digest())
}
