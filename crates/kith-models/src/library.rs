//! The library: rows that name models and the blobs they name, kept in step.
//!
//! A model exists when its row does. Bytes come before the row and go after it, so a crash leaves at worst bytes without a name,
//! which the next clean-up removes; never a name without bytes.

mod adopt;
mod bytes;
mod change;
mod clean;
mod find;
mod folder;
mod policy;
mod port;
mod shared;

pub use bytes::Space;
pub(crate) use bytes::Turn;
pub use clean::{Cleaned, Pruned};
pub use policy::Policy;
pub use port::{InUse, NobodyUses};

use crate::{
    Details, Metadata, Model, ModelError, Overrides, convert::Packed, create, gguf::Gguf, model::SAFETENSORS, nearest::nearest,
};
use kith_blobs::{BlobError, Blobs};
use kith_store::{ModelRow, Store};
use kith_types::{Blake3, Clock, ModelName};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, Semaphore},
    task::spawn_blocking,
};

/// The largest file taken, in bytes: the largest that the database can count.
const MAX_FILE: u64 = i64::MAX as u64;
/// How often the progress of joining parts is told.
const PROGRESS: Duration = Duration::from_millis(100);

/// The models on this node. Clones share it.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    blobs: Blobs,
    clock: Arc<dyn Clock>,
    in_use: Arc<dyn InUse>,
    /// Held while rows and blobs change together: otherwise a blob found unused could come into use before it is removed.
    changes: Mutex<()>,
    /// Held while weights are written anew.
    writing: Arc<Semaphore>,
}

impl Library {
    /// The library whose rows lie in `store` and whose bytes lie in `blobs`. `in_use` hears of bytes before they are removed.
    pub fn open(store: Store, blobs: Blobs, clock: Arc<dyn Clock>, in_use: Arc<dyn InUse>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                blobs,
                clock,
                in_use,
                changes: Mutex::default(),
                writing: Arc::new(Semaphore::new(1)),
            }),
        }
    }

    /// Copies the model at `path` into the library under `name`: a GGUF file, a model in parts (any of them may be named), a folder
    /// that holds one of these, or a folder of safetensors, made into such a file. A model of that name is replaced, and its bytes
    /// go if no other model uses them. `progress` is told the number of bytes copied so far.
    ///
    /// Dropping the future while bytes are copied ends the import without a trace; after that it completes by itself.
    pub async fn import(
        &self,
        path: &Path,
        name: ModelName,
        overrides: Overrides,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Model, ModelError> {
        if tokio::fs::metadata(path.join("config.json")).await.is_ok_and(|metadata| metadata.is_file()) {
            let source = path.display().to_string();
            return self.import_folder(path, name, overrides, source, progress).await;
        }
        let source = path.to_owned();
        let parts = spawn_blocking(move || parts_at(&source)).await??;
        let put = match parts {
            Parts::One(file) => self.inner.blobs.put_file(&file, None, MAX_FILE, progress).await?,
            Parts::Several(files) => {
                let assembly = spawn_blocking(move || create::join(files, None)).await??;
                let done = Arc::new(AtomicU64::new(0));
                let told = Arc::clone(&done);
                let joined = create::written(&self.inner.blobs, assembly.size(), move |out| {
                    Ok(assembly.write(out, |bytes| told.store(bytes, Ordering::Relaxed))?)
                });
                tokio::pin!(joined);
                loop {
                    tokio::select! {
                        put = &mut joined => break put?,
                        () = tokio::time::sleep(PROGRESS) => progress(done.load(Ordering::Relaxed)),
                    }
                }
            }
        };
        let (inner, source) = (Arc::clone(&self.inner), path.display().to_string());
        tokio::spawn(async move { inner.add(put, name, overrides, source).await }).await?
    }

    /// Every model, the most recently modified first. Rows without their bytes are left out and logged.
    pub async fn list(&self) -> Result<Vec<Model>, ModelError> {
        let mut models = Vec::new();
        for row in self.inner.store.models().await? {
            match self.inner.whole(row).await {
                Ok(model) => models.push(model),
                Err(ModelError::Damaged { name }) => {
                    tracing::warn!(%name, "a model's bytes are missing or damaged; it is not listed")
                }
                Err(error) => return Err(error),
            }
        }
        Ok(models)
    }

    /// The model of exactly this name.
    pub async fn get(&self, name: &ModelName) -> Result<Model, ModelError> {
        match self.inner.store.model(&name.key()).await? {
            Some(row) => self.inner.whole(row).await,
            None => Err(self.not_found(name).await?),
        }
    }

    /// The model that `text` means: the one of that name, or, where `text` has no tag and there is no `:latest`, the only one of
    /// that family.
    pub async fn resolve(&self, text: &str) -> Result<Model, ModelError> {
        let name: ModelName = text.parse()?;
        if let Some(row) = self.inner.store.model(&name.key()).await? {
            return self.inner.whole(row).await;
        }
        // The printed form has the tag in any case.
        if name.to_string().len() != text.len() {
            let mut family = self.list().await?;
            family.retain(|model| model.name.family().eq_ignore_ascii_case(name.family()));
            if family.len() == 1
                && let Some(model) = family.pop()
            {
                return Ok(model);
            }
        }
        let nearest = self.nearest(text).await?;
        Err(ModelError::NotFound { name: text.to_owned(), nearest })
    }

    /// Removes the model of exactly this name and returns it as it was. Its bytes go if no other model uses them.
    pub async fn remove(&self, name: &ModelName) -> Result<Removed, ModelError> {
        let (inner, key) = (Arc::clone(&self.inner), name.key());
        let removed = tokio::spawn(async move { inner.remove(&key).await }).await??;
        match removed {
            Some(row) => Ok(Removed { name: row.name.parse()?, blob: row.blob, size: row.size }),
            None => Err(self.not_found(name).await?),
        }
    }

    /// Gives the model `from` a second name; both share the bytes. A model already called `to` is replaced.
    pub async fn copy(&self, from: &ModelName, to: ModelName) -> Result<Model, ModelError> {
        let (inner, key) = (Arc::clone(&self.inner), from.key());
        let copied = tokio::spawn(async move { inner.copy(&key, &to).await }).await??;
        match copied {
            Some(row) => self.inner.whole(row).await,
            None => Err(self.not_found(from).await?),
        }
    }

    /// What the model's header says: with `verbose` everything, otherwise with null for lists of more than 64 values.
    pub async fn metadata(&self, model: &Model, verbose: bool) -> Result<Metadata, ModelError> {
        let file = self.inner.blobs.open_blob(&model.blob).await.map_err(|error| missing(error, &model.name.to_string()))?;
        let (packed, size) = (model.format == SAFETENSORS, model.size);
        spawn_blocking(move || {
            if packed {
                return Packed::read(file, size)?.metadata();
            }
            let gguf = Gguf::read(file)?;
            Ok(if verbose { Metadata::full(&gguf) } else { Metadata::short(&gguf) })
        })
        .await?
    }

    /// What adapters share with models.
    pub(crate) fn shared(&self) -> Shared<'_> {
        let Inner { store, blobs, clock, in_use, changes, .. } = &*self.inner;
        Shared { store, blobs, clock: &**clock, in_use: &**in_use, changes }
    }

    async fn not_found(&self, name: &ModelName) -> Result<ModelError, ModelError> {
        let name = name.to_string();
        Ok(ModelError::NotFound { nearest: self.nearest(&name).await?, name })
    }

    async fn nearest(&self, text: &str) -> Result<Option<String>, ModelError> {
        Ok(nearest(text, self.inner.store.models().await?.into_iter().map(|row| row.name)))
    }
}

/// What adapters share with models: the stores of rows and bytes, and the lock under which both change.
pub(crate) struct Shared<'a> {
    pub store: &'a Store,
    pub blobs: &'a Blobs,
    pub clock: &'a dyn Clock,
    pub in_use: &'a dyn InUse,
    pub changes: &'a Mutex<()>,
}

/// What an import reads.
enum Parts {
    One(PathBuf),
    Several(Vec<(fs::File, Gguf)>),
}

/// Finds the files of the model at `path` and looks at them first: gigabytes are not copied to be refused. What counts is read from
/// the copy.
fn parts_at(path: &Path) -> Result<Parts, ModelError> {
    let files = create::at(path)?;
    match files.as_slice() {
        [file] => {
            // What is no readable file is told where it is copied, in the same words as for any file.
            let regular = fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
            if regular && let Ok(opened) = fs::File::open(file) {
                Details::of(&Gguf::read(opened)?)?;
            }
            Ok(Parts::One(file.clone()))
        }
        files => Ok(Parts::Several(create::in_order(create::open(files)?)?)),
    }
}

/// A model that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its name, as it was given.
    pub name: ModelName,
    /// The bytes it named.
    pub blob: Blake3,
    /// Their number.
    pub size: u64,
}

impl Inner {
    /// The model of a row whose bytes are there.
    async fn whole(&self, row: ModelRow) -> Result<Model, ModelError> {
        let size = self.blobs.size(&row.blob).await.map_err(|error| missing(error, &row.name))?;
        if size != row.size {
            return Err(ModelError::Damaged { name: row.name });
        }
        Model::of_row(row, &self.blobs)
    }
}

fn missing(error: BlobError, name: &str) -> ModelError {
    match error {
        BlobError::NotFound(_) => ModelError::Damaged { name: name.to_owned() },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests;
