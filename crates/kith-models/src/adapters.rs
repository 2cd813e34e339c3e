//! The adapters registered on this node: rows that name them, their bytes, and the models made with them.
//!
//! A registered adapter's bytes are a blob, so that its file may move. An adapted model is a file of its own, the base's with the
//! adapter folded in: made when first asked for, kept as a cache, and gone when its base or its adapter goes.

mod apart;
mod checks;
mod derived;
mod place;

pub use apart::Apart;
pub use derived::Derived;

use crate::{
    Library, Model, ModelError,
    library::Shared,
    lora::{self, Lora, LoraFormat, Plan, Scaling},
};
use kith_store::AdapterRow;
use kith_types::{Blake3, ModelName, Sha256, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{sync::Mutex, task::spawn_blocking};

/// The most adapters registered at a time.
pub const MAX_ADAPTERS: u64 = 256;
/// The largest adapter taken, in bytes.
const MAX_FILE: u64 = 16 << 30;
/// The most requests that wait for adapted models to be made; further ones are told to come back.
const MAX_WAITING: usize = 64;
/// How strongly adapters are applied, as a multiple of their own strength.
const SCALE: f32 = 1.0;

/// A registered adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// What it is asked for by.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The model it was made for.
    pub base_model: ModelName,
    /// Its rank; the largest, where matrices differ.
    pub rank: u32,
    /// Its alpha: over the rank, how strongly it is applied.
    pub alpha: f32,
    /// The kind of its file.
    pub format: LoraFormat,
    /// The kinds of matrices it changes: `attn_q`, `ffn_up`.
    pub modules: Vec<String>,
    /// Its bytes' name on this node.
    pub blob: Blake3,
    /// Its bytes' name towards hubs.
    pub sha256: Sha256,
    /// The file's length in bytes.
    pub size: u64,
    /// Where the file lay when it was registered.
    pub source: String,
    /// When it was registered.
    pub created: Timestamp,
    base_blob: Blake3,
    scaling: Scaling,
}

/// What a row keeps as JSON.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: LoraFormat,
    modules: Vec<String>,
    scaling: Scaling,
}

/// An adapter to be registered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewAdapter {
    /// Its id: 1 to 64 letters, digits, `.`, `_`, `-`, of which the first is no dot or dash.
    pub id: String,
    /// Its name for people; the id, if there is none.
    pub name: Option<String>,
    /// The model it was made for.
    pub base_model: String,
    /// The rank it must have.
    pub rank: Option<u64>,
    /// The alpha it must have, or shall have if neither the file nor the config beside it tells one.
    pub alpha: Option<f32>,
    /// The file: an absolute path, or one under the folder of adapters.
    pub path: String,
}

/// A model with an adapter folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    /// The model.
    pub model: Model,
    /// The adapter.
    pub adapter: Adapter,
    /// Where the file of both lies.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Changes whenever the base, the adapter or its strength does: the two blobs' names and a digest, with `+` between them.
    pub version: String,
}

/// The adapters on this node. Clones share them.
#[derive(Clone)]
pub struct Adapters {
    inner: Arc<Inner>,
}

struct Inner {
    library: Library,
    derived: Derived,
    folder: PathBuf,
    /// Held while an adapted model is made: one at a time, and whoever wants the same one finds it made.
    making: Mutex<()>,
    waiting: AtomicUsize,
}

fn wrong<T>(field: &'static str, reason: impl Into<String>) -> Result<T, ModelError> {
    Err(ModelError::BadAdapter { field, reason: reason.into() })
}

impl Adapters {
    /// Adapters to the models of `library`. Relative paths lie under `folder`; adapted models lie in `derived`.
    pub fn new(library: Library, derived: Derived, folder: PathBuf) -> Self {
        Self { inner: Arc::new(Inner { library, derived, folder, making: Mutex::default(), waiting: AtomicUsize::new(0) }) }
    }

    /// Copies an adapter's file into the node and names it, after seeing that it is one and fits its model.
    ///
    /// # Errors
    /// [`ModelError::BadAdapter`] for a field that cannot be, [`ModelError::BadFile`] for a file that is no adapter or does not fit,
    /// [`ModelError::NotFound`] for an unknown model, [`ModelError::AdapterExists`], [`ModelError::TooManyAdapters`].
    pub async fn register(&self, new: NewAdapter) -> Result<Adapter, ModelError> {
        checks::words(&new)?;
        let base = self.inner.library.resolve(&new.base_model).await?;
        let inner = &self.inner;
        let blobs = inner.library.shared().blobs;
        self.room_for(&new.id).await?;
        let (folder, given) = (inner.folder.clone(), new.path.clone());
        let (path, scaling) = spawn_blocking(move || {
            let path = place::locate(&folder, &given)?;
            let scaling = lora::scaling_beside(&path)?;
            // A look at the original first: gigabytes are not copied to be refused. What counts is read from the copy.
            lora::read_with(&path, &scaling)?;
            Ok::<_, ModelError>((path, scaling))
        })
        .await??;
        let put = blobs.put_file(&path, None, MAX_FILE, |_| ()).await?;
        let copy = blobs.path(&put.hash);
        let (base_path, told) = (base.path.clone(), new.clone());
        let checked = spawn_blocking(move || checks::file(&copy, scaling, &base_path, &told)).await?;
        let inner = Arc::clone(inner);
        tokio::spawn(async move { inner.add(put, checked, new, base).await }).await?
    }

    /// Every adapter, the last registered first.
    pub async fn list(&self) -> Result<Vec<Adapter>, ModelError> {
        let rows = self.inner.library.shared().store.adapters().await?;
        rows.into_iter().map(Adapter::of_row).collect()
    }

    /// The adapter with this id.
    pub async fn get(&self, id: &str) -> Result<Adapter, ModelError> {
        match self.inner.library.shared().store.adapter(id).await? {
            Some(row) => Adapter::of_row(row),
            None => Err(ModelError::NoAdapter { id: id.to_owned() }),
        }
    }

    /// Removes the adapter and every model made with it. Its bytes go if no other adapter has the same.
    pub async fn remove(&self, id: &str) -> Result<Adapter, ModelError> {
        let (inner, wanted) = (Arc::clone(&self.inner), id.to_owned());
        let removed = tokio::spawn(async move { inner.remove(&wanted).await }).await??;
        match removed {
            Some(row) => Adapter::of_row(row),
            None => Err(ModelError::NoAdapter { id: id.to_owned() }),
        }
    }

    /// The model with the adapter folded in, made now if it is not there. Goes on being made if the caller gives up.
    ///
    /// # Errors
    /// [`ModelError::NoAdapter`], [`ModelError::NotFound`], [`ModelError::BadFile`] for an adapter of another model,
    /// [`ModelError::Busy`] when too many wait, [`ModelError::Full`] when there is no room for the file.
    pub async fn adapted(&self, model: &str, id: &str) -> Result<Adapted, ModelError> {
        let (model, adapter, name) = self.both(model, id).await?;
        let version = apart::version(&model, &adapter, &name);
        let (path, size) = match self.inner.derived.find(&name).await? {
            Some(found) => found,
            None => self.make(model.clone(), adapter.clone(), name).await?,
        };
        Ok(Adapted { model, adapter, path, size, version })
    }

    /// Removes adapted models whose base or adapter is gone, and what a crash left half-written. Tells how many files went.
    pub async fn clean(&self) -> Result<usize, ModelError> {
        let _nobody_makes = self.inner.making.lock().await;
        let Shared { store, changes, .. } = self.inner.library.shared();
        let _changing = changes.lock().await;
        let models = store.models().await?.into_iter().map(|row| row.blob).collect();
        let adapters = store.adapters().await?.into_iter().map(|row| row.blob).collect();
        self.inner.derived.retain(models, adapters).await
    }

    async fn make(&self, model: Model, adapter: Adapter, name: derived::Name) -> Result<(PathBuf, u64), ModelError> {
        let inner = Arc::clone(&self.inner);
        if inner.waiting.fetch_add(1, Ordering::AcqRel) >= MAX_WAITING {
            inner.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(ModelError::Busy);
        }
        tokio::spawn(async move {
            let made = inner.make(&model, &adapter, &name).await;
            inner.waiting.fetch_sub(1, Ordering::AcqRel);
            made
        })
        .await?
    }

    async fn room_for(&self, id: &str) -> Result<(), ModelError> {
        let store = self.inner.library.shared().store;
        if store.adapter(id).await?.is_some() {
            return Err(ModelError::AdapterExists { id: id.to_owned() });
        }
        if store.adapter_count().await? >= MAX_ADAPTERS {
            return Err(ModelError::TooManyAdapters(MAX_ADAPTERS));
        }
        Ok(())
    }
}

impl Inner {
    /// Writes the row for bytes that were just stored; or removes them, if they are no adapter.
    async fn add(
        &self,
        put: kith_blobs::Put,
        checked: Result<(Lora, Scaling), ModelError>,
        new: NewAdapter,
        base: Model,
    ) -> Result<Adapter, ModelError> {
        let Shared { store, clock, changes, .. } = self.library.shared();
        let _changing = changes.lock().await;
        let blob = put.hash;
        let added = async {
            let (lora, scaling) = checked?;
            let row = AdapterRow {
                name: new.name.unwrap_or_else(|| new.id.clone()),
                id: new.id,
                base_key: base.name.key(),
                base_model: base.name.to_string(),
                base_blob: base.blob,
                blob,
                sha256: put.sha256,
                size: put.size,
                rank: u32::try_from(lora.rank).unwrap_or(u32::MAX),
                alpha: lora.alpha.into(),
                metadata: serde_json::to_string(&Kept { format: lora.format, modules: lora.modules, scaling })?,
                source: new.path,
                created: clock.now(),
            };
            if store.adapter_count().await? >= MAX_ADAPTERS {
                return Err(ModelError::TooManyAdapters(MAX_ADAPTERS));
            }
            if !store.adapter_add(&row).await? {
                return Err(ModelError::AdapterExists { id: row.id });
            }
            Adapter::of_row(row)
        }
        .await;
        drop(put.pin);
        if added.is_err() {
            self.free(&blob).await;
        }
        added
    }

    async fn remove(&self, id: &str) -> Result<Option<AdapterRow>, ModelError> {
        let Shared { store, in_use, changes, .. } = self.library.shared();
        let _changing = changes.lock().await;
        let removed = store.adapter_delete(id).await?;
        if let Some(row) = &removed {
            // Also where another id has the same bytes: what is loaded is made again when it is asked for.
            in_use.release(&row.blob).await;
            self.free(&row.blob).await;
        }
        Ok(removed)
    }

    /// Removes bytes that no row names. Failing is no reason to fail the change: the next clean-up tries again.
    async fn free(&self, blob: &Blake3) {
        let Shared { store, blobs, .. } = self.library.shared();
        let freed = async {
            let uploaded = store.uploads().await?.iter().any(|upload| upload.blob == *blob);
            if !uploaded && !store.adapter_has(blob).await? && store.models_by_blob(blob).await?.is_empty() {
                blobs.remove(blob).await?;
            }
            Ok::<_, ModelError>(())
        };
        if let Err(error) = freed.await {
            tracing::warn!(%blob, %error, "bytes that nobody names could not be removed; the next clean-up will try again");
        }
    }

    async fn make(&self, model: &Model, adapter: &Adapter, name: &derived::Name) -> Result<(PathBuf, u64), ModelError> {
        let _one_at_a_time = self.making.lock().await;
        if let Some(found) = self.derived.find(name).await? {
            return Ok(found);
        }
        let Shared { store, blobs, changes, .. } = self.library.shared();
        let (source, base, scaling) = (blobs.path(&adapter.blob), model.path.clone(), adapter.scaling.clone());
        let derived = self.derived.clone();
        let written = spawn_blocking(move || {
            let lora = lora::read_with(&source, &scaling)?;
            let plan = Plan::of(&base, &lora)?;
            derived.write(plan.size(), |out| plan.write(SCALE, out).map(|_| ()))
        })
        .await?;
        // Model and adapter may have gone meanwhile, and what was made of them goes with them. Removing waits for this lock.
        let _changing = changes.lock().await;
        if store.models_by_blob(&model.blob).await?.is_empty() {
            return Err(ModelError::NotFound { name: model.name.to_string(), nearest: None });
        }
        if store.adapter(&adapter.id).await?.is_none_or(|row| row.blob != adapter.blob) {
            return Err(ModelError::NoAdapter { id: adapter.id.clone() });
        }
        self.derived.keep(written?, name).await
    }
}

impl Adapter {
    fn of_row(row: AdapterRow) -> Result<Self, ModelError> {
        let kept: Kept = serde_json::from_str(&row.metadata)?;
        Ok(Self {
            base_model: row.base_model.parse()?,
            id: row.id,
            name: row.name,
            rank: row.rank,
            alpha: row.alpha as f32,
            format: kept.format,
            modules: kept.modules,
            blob: row.blob,
            sha256: row.sha256,
            size: row.size,
            source: row.source,
            created: row.created,
            base_blob: row.base_blob,
            scaling: kept.scaling,
        })
    }
}

#[cfg(test)]
mod tests;
