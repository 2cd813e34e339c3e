//! Reports of problems: a zip of what helps to find a fault, without secrets. They stay on this machine until somebody takes them.

mod bundle;
mod config;

use crate::{Metrics, Profiles, SettingsKeeper, SystemError, error::blocking};
use bundle::Bundle;
use kith_events::Events;
use kith_keys::Entropy;
use kith_store::Store;
use kith_types::{Clock, Timestamp};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// The most reports kept; one more takes the place of the oldest.
pub const MAX_REPORTS: usize = 10;
/// The name of a report that is still being written.
const UNFINISHED: &str = ".report-";

/// What reports are made from.
pub(crate) struct Sources {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub events: Events,
    pub settings: Arc<SettingsKeeper>,
    pub metrics: Arc<Metrics>,
    pub profiles: Arc<Profiles>,
    pub data_dir: PathBuf,
    pub home: Option<PathBuf>,
    pub secrets: Vec<Zeroizing<String>>,
    pub plain: Vec<String>,
}

/// A report on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// By what it is fetched and removed: the time in milliseconds since 1970, and eight hexadecimal digits.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// Bytes of the zip.
    pub size: u64,
}

/// Makes and keeps reports.
pub struct Reports {
    sources: Sources,
    dir: PathBuf,
    making: tokio::sync::Mutex<()>,
}

/// The time in an id; `None` for what is no id. An id has only digits and `-` in it, so it is a file's name and nothing else.
fn created(id: &str) -> Option<Timestamp> {
    let (time, random) = id.split_once('-')?;
    let digits = time.len() == 13 && time.bytes().all(|byte| byte.is_ascii_digit());
    let hex = random.len() == 8 && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits && hex { time.parse().ok().map(Timestamp::from_ms) } else { None }
}

fn no_folder(error: io::Error) -> SystemError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SystemError::Store(error.into()),
        _ => SystemError::NoFolder(error.to_string()),
    }
}

fn make_folder(dir: &Path) -> Result<(), SystemError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(no_folder)
}

/// Newest first.
fn list(dir: &Path) -> Result<Vec<Report>, SystemError> {
    let mut reports = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(reports),
        Err(error) => return Err(no_folder(error)),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".zip")) else { continue };
        let Some(created) = created(id) else { continue };
        // It may have been removed meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            reports.push(Report { id: id.to_owned(), created, size: metadata.len() });
        }
    }
    reports.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(reports)
}

/// Writes the zip in one step, and removes the oldest reports over the bound and what a crash left.
fn keep(dir: &Path, id: &str, zip: &[u8]) -> Result<(), SystemError> {
    use std::io::Write;
    make_folder(dir)?;
    for entry in fs::read_dir(dir).map_err(no_folder)?.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir).map_err(no_folder)?;
    file.write_all(zip).map_err(no_folder)?;
    file.as_file().sync_all().map_err(no_folder)?;
    file.persist(dir.join(format!("{id}.zip"))).map_err(|error| no_folder(error.error))?;
    if cfg!(unix) {
        fs::File::open(dir)?.sync_all()?;
    }
    for old in list(dir)?.into_iter().skip(MAX_REPORTS) {
        fs::remove_file(dir.join(format!("{}.zip", old.id)))?;
    }
    Ok(())
}

impl Reports {
    pub(crate) fn new(sources: Sources) -> Self {
        let dir = sources.data_dir.join("reports");
        Self { sources, dir, making: tokio::sync::Mutex::default() }
    }

    fn path(&self, id: &str) -> Result<PathBuf, SystemError> {
        created(id).ok_or(SystemError::NotFound("report"))?;
        Ok(self.dir.join(format!("{id}.zip")))
    }

    /// Makes a report. `state` is what the node tells of itself: versions, what runs, what is loaded. One at a time.
    ///
    /// # Errors
    /// [`SystemError::NoFolder`] where nothing can be written; [`SystemError::Store`], [`SystemError::Entropy`].
    pub async fn make(&self, state: Value) -> Result<Report, SystemError> {
        let _making = self.making.lock().await;
        let dir = self.dir.clone();
        blocking(move || make_folder(&dir)).await?;
        let now = self.sources.clock.now();
        let mut random = [0; 4];
        self.sources.entropy.fill(&mut random)?;
        let id = format!("{:013}-{}", now.ms().clamp(0, 9_999_999_999_999), hex::encode(random));
        let bundle = Bundle::gather(&self.sources, state).await?;
        let (dir, name) = (self.dir.clone(), id.clone());
        let size = blocking(move || {
            let zip = bundle.zip()?;
            keep(&dir, &name, &zip)?;
            Ok(zip.len() as u64)
        })
        .await?;
        self.sources.events.publish("diagnostics.report_made", json!({"id": id, "size": size}));
        Ok(Report { id, created: now, size })
    }

    /// The reports kept, newest first.
    ///
    /// # Errors
    /// [`SystemError::NoFolder`] where the folder cannot be read; [`SystemError::Io`].
    pub async fn list(&self) -> Result<Vec<Report>, SystemError> {
        let dir = self.dir.clone();
        blocking(move || list(&dir)).await
    }

    /// The zip of a report.
    ///
    /// # Errors
    /// [`SystemError::NotFound`] for anything that is no report's id; [`SystemError::Io`].
    pub async fn read(&self, id: &str) -> Result<Vec<u8>, SystemError> {
        let path = self.path(id)?;
        blocking(move || fs::read(path).map_err(missing)).await
    }

    /// Removes a report.
    ///
    /// # Errors
    /// As [`Reports::read`].
    pub async fn remove(&self, id: &str) -> Result<(), SystemError> {
        let path = self.path(id)?;
        blocking(move || fs::remove_file(path).map_err(missing)).await?;
        self.sources.events.publish("diagnostics.report_removed", json!({"id": id}));
        Ok(())
    }
}

fn missing(error: io::Error) -> SystemError {
    if error.kind() == io::ErrorKind::NotFound { SystemError::NotFound("report") } else { error.into() }
}

#[cfg(test)]
mod tests;
