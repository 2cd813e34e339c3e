//! What a recipe comes to: the bytes it stands on, held, and everything the model will have. Whatever is wrong with it is told here.

use super::{Base, MAX_FILES, Recipe, in_order};
use crate::{
    Library, Model, ModelError, Overrides,
    convert::Packed,
    gguf::{Gguf, TensorInfo},
    quantize::{self, Target},
};
use kith_blobs::Pin;
use kith_types::{Blake3, ModelName, Sha256};
use std::collections::HashSet;
use tokio::task::spawn_blocking;

/// Bytes that a plan stands on; while it lives they stay.
#[derive(Debug)]
pub struct Held {
    pub hash: Blake3,
    pub sha256: Sha256,
    pub size: u64,
    pub pin: Pin,
}

/// A recipe whose parts are all there.
#[derive(Debug)]
pub struct Plan {
    pub(super) name: ModelName,
    /// The model's file, or its parts in their order.
    pub(super) files: Vec<Held>,
    pub(super) adapters: Vec<(String, Held)>,
    pub(super) overrides: Overrides,
    pub(super) target: Option<Target>,
    /// How the weights are stored now.
    pub(super) stored: String,
    /// Where they came from.
    pub(super) source: String,
}

impl Library {
    /// Finds and holds what `recipe` names, and sees that a model called `name` can be made of it.
    ///
    /// # Errors
    /// [`ModelError::NotFound`] for a base that is not there; [`ModelError::Invalid`] for files that were not uploaded and targets
    /// that are not known; [`ModelError::BadFile`] for files that are no model; [`ModelError::Unsupported`] for what cannot be done.
    pub async fn plan(&self, name: ModelName, recipe: Recipe) -> Result<Plan, ModelError> {
        let target = recipe.quantize.as_deref().filter(|name| !name.is_empty()).map(target).transpose()?;
        let (files, overrides, source) = match recipe.base {
            Base::Model(text) => {
                let model = self.resolve(&text).await?;
                let held = self.hold(model.blob, model.sha256, model.size).await?;
                let held = held.ok_or_else(|| ModelError::Damaged { name: model.name.to_string() })?;
                let source = model.source.clone();
                (vec![held], inherit(model, recipe.overrides), source)
            }
            Base::Files(files) => (self.uploaded("files", files).await?, recipe.overrides, "upload".to_owned()),
        };
        let names: Vec<String> = recipe.adapters.iter().map(|(name, _)| name.clone()).collect();
        let adapters = if names.is_empty() { Vec::new() } else { self.uploaded("adapters", recipe.adapters).await? };
        let (files, stored) = self.checked(files, target).await?;
        if files.len() > 1 && !adapters.is_empty() {
            return Err(ModelError::Unsupported(
                "adapters cannot be folded into a model in parts: make the model first".to_owned(),
            ));
        }
        Ok(Plan { name, files, adapters: names.into_iter().zip(adapters).collect(), overrides, target, stored, source })
    }

    async fn uploaded(&self, field: &'static str, files: Vec<(String, Sha256)>) -> Result<Vec<Held>, ModelError> {
        let invalid = |message: String| Err(ModelError::Invalid { field, message });
        if files.is_empty() {
            return invalid(format!("`{field}` is empty"));
        }
        if files.len() > MAX_FILES {
            return invalid(format!("`{field}` has {} files; at most {MAX_FILES} are taken", files.len()));
        }
        let mut held = Vec::with_capacity(files.len());
        let mut seen = HashSet::new();
        for (name, sha256) in files {
            if !seen.insert(sha256) {
                return invalid(format!("the blob {sha256} of `{name}` is listed twice in `{field}`"));
            }
            let found = match self.bytes(&sha256).await? {
                Some((hash, size)) => self.hold(hash, sha256, size).await?,
                None => None,
            };
            match found {
                Some(file) => held.push(file),
                None => {
                    return invalid(format!("the blob {sha256} of `{name}` is not there: send it to /api/blobs/{sha256} first"));
                }
            }
        }
        Ok(held)
    }

    /// How the weights of a folder in one file are stored; `None` for files of other kinds.
    async fn packed(&self, held: &Held) -> Result<Option<String>, ModelError> {
        let (file, size) = (self.open_blob(&held.hash).await?, held.size);
        spawn_blocking(move || Ok(Packed::at(file, size)?.map(|packed| packed.quantization().to_owned()))).await?
    }

    /// Reads the headers: puts parts in their order, refuses what is no model and what cannot be quantised.
    async fn checked(&self, files: Vec<Held>, target: Option<Target>) -> Result<(Vec<Held>, String), ModelError> {
        if let [held] = files.as_slice()
            && let Some(stored) = self.packed(held).await?
        {
            // A folder in one file: it may have other names, texts and settings, but its weights stay as they are.
            return match target {
                None => Ok((files, stored)),
                Some(_) => Err(ModelError::Unsupported(
                    "models that see are kept as they are: the engine holds large ones with fewer bits by itself".to_owned(),
                )),
            };
        }
        let mut opened = Vec::with_capacity(files.len());
        for held in files {
            opened.push((self.open_blob(&held.hash).await?, held));
        }
        spawn_blocking(move || {
            let read = |(file, held)| Ok::<_, ModelError>((held, Gguf::read(file)?));
            let files = opened.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let files = in_order(files)?;
            if let Some(target) = target {
                let tensors: Vec<&TensorInfo> = files.iter().flat_map(|(_, gguf)| &gguf.tensors).collect();
                quantisable(&tensors, target)?;
            }
            let stored = files.first().and_then(|(_, gguf)| gguf.quantization()).unwrap_or("unknown").to_owned();
            Ok((files.into_iter().map(|(held, _)| held).collect(), stored))
        })
        .await?
    }
}

/// The target of this name.
fn target(name: &str) -> Result<Target, ModelError> {
    Target::named(name).ok_or_else(|| ModelError::Invalid {
        field: "quantize",
        message: format!(
            "models cannot be quantised to `{}` here; possible are {}",
            name.chars().take(32).collect::<String>(),
            Target::names()
        ),
    })
}

/// Sees that the weights still have all their digits.
fn quantisable(tensors: &[&TensorInfo], target: Target) -> Result<(), ModelError> {
    match tensors.iter().find(|tensor| tensor.shape.len() >= 2 && !quantize::is_source(tensor.kind)) {
        Some(tensor) => Err(ModelError::Unsupported(format!(
            "the model is quantised already (`{}` is {}): only models of F32, F16 or BF16 can be quantised to {}",
            tensor.name,
            tensor.kind.as_str(),
            target.name
        ))),
        None => Ok(()),
    }
}

/// What a model made from `base` has: what is given, or else what the base has.
fn inherit(base: Model, given: Overrides) -> Overrides {
    let mut parameters = base.parameters;
    parameters.extend(given.parameters.unwrap_or_default());
    let license = match (base.license, given.license) {
        (Some(own), Some(more)) if own != more => Some(format!("{own}\n{more}")),
        (own, more) => more.or(own),
    };
    Overrides {
        template: given.template.or(base.template),
        system: given.system.or(base.system),
        parameters: Some(parameters),
        license,
        messages: given.messages.or(Some(base.messages)),
        parent: Some(base.name.to_string()),
        requires: given.requires.or(base.requires),
    }
}
