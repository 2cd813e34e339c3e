//! The folder of adapted models: a cache of files that can be made again at any time, and so may go at any time.

use crate::{InUse, ModelError, lora::Scaling};
use async_trait::async_trait;
use kith_types::{Blake3, Clock};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

/// The most adapted models kept; the least recently used one goes for a new one.
const MAX_FILES: usize = 8;
/// They may take this part of the room that they and nothing else take: one in so many bytes.
const SHARE: u64 = 2;
/// Digits of a blob's name that stand in a file's name.
const DIGITS: usize = 32;
/// Counts up when merging changes what it writes, so that files of an older release are not taken.
const FORM: u32 = 1;
const ENDING: &str = ".gguf";
const UNFINISHED: &str = "making-";

/// Tells how many bytes are free where a folder lies.
type Room = fn(&Path) -> io::Result<u64>;

/// The open folder. Clones share it.
#[derive(Clone)]
pub struct Derived {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    in_use: Arc<dyn InUse>,
    room: Room,
}

/// A file's name: of its base's blob, its adapter's blob, and all that its bytes depend on besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    file: String,
    digest: String,
}

fn start(blob: &Blake3) -> String {
    blob.hex().chars().take(DIGITS).collect()
}

impl Name {
    pub fn of(base: &Blake3, adapter: &Blake3, scaling: &Scaling, scale: f32) -> Result<Self, ModelError> {
        let depends = serde_json::to_vec(&(FORM, base, adapter, scaling, scale))?;
        let digest: String = blake3::hash(&depends).to_hex().chars().take(DIGITS).collect();
        Ok(Self { file: format!("{}-{}-{digest}{ENDING}", start(base), start(adapter)), digest })
    }

    /// The part that changes with anything its bytes depend on.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The starts of the base's and the adapter's blobs' names in a file's name.
fn parents(file: &str) -> Option<(&str, &str)> {
    let (base, rest) = file.strip_suffix(ENDING)?.split_once('-')?;
    let (adapter, digest) = rest.split_once('-')?;
    let digits = |part: &str| part.len() == DIGITS && part.bytes().all(|b| b.is_ascii_hexdigit());
    (digits(base) && digits(adapter) && digits(digest)).then_some((base, adapter))
}

/// One file of the folder.
struct Entry {
    path: PathBuf,
    name: String,
    size: u64,
    used: SystemTime,
}

impl Derived {
    /// The folder at `folder`, made when it is first needed. `in_use` is told of models' and adapters' bytes that are about to go.
    pub fn at(folder: PathBuf, clock: Arc<dyn Clock>, in_use: Arc<dyn InUse>) -> Self {
        Self { inner: Arc::new(Inner { folder, clock, in_use, room: |folder| fs4::available_space(folder) }) }
    }

    /// The file of this name and its length, if it is there. It counts as used now.
    pub(super) async fn find(&self, name: &Name) -> Result<Option<(PathBuf, u64)>, ModelError> {
        let (inner, path) = (Arc::clone(&self.inner), self.inner.folder.join(&name.file));
        spawn_blocking(move || match File::options().append(true).open(&path) {
            Ok(file) => {
                // Only an order of use: a file whose time cannot be set just looks older than it is.
                let _ = file.set_modified(inner.now());
                Ok(Some((path, file.metadata().map_err(failed)?.len())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        })
        .await?
    }

    /// Writes a file of `size` bytes that has no name yet, after making room for it; all its bytes are on the disk.
    pub(super) fn write(
        &self,
        size: u64,
        content: impl FnOnce(&mut File) -> Result<(), ModelError>,
    ) -> Result<NamedTempFile, ModelError> {
        let inner = &self.inner;
        fs::create_dir_all(&inner.folder).map_err(failed)?;
        inner.make_room(size)?;
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&inner.folder).map_err(failed)?;
        content(file.as_file_mut())?;
        file.as_file().sync_all().map_err(failed)?;
        Ok(file)
    }

    /// Gives a written file its name.
    pub(super) async fn keep(&self, file: NamedTempFile, name: &Name) -> Result<(PathBuf, u64), ModelError> {
        let (inner, path) = (Arc::clone(&self.inner), self.inner.folder.join(&name.file));
        spawn_blocking(move || {
            file.as_file().set_modified(inner.now()).map_err(failed)?;
            let size = file.as_file().metadata().map_err(failed)?.len();
            file.persist(&path).map_err(|error| failed(error.error))?;
            if !cfg!(windows) {
                File::open(&inner.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            }
            Ok((path, size))
        })
        .await?
    }

    /// Removes files that were not finished, and those whose base or adapter is not among these. Tells how many went.
    pub(super) async fn retain(&self, bases: HashSet<Blake3>, adapters: HashSet<Blake3>) -> Result<usize, ModelError> {
        let inner = Arc::clone(&self.inner);
        spawn_blocking(move || {
            let [bases, adapters] = [bases, adapters].map(|blobs| blobs.iter().map(start).collect::<HashSet<_>>());
            inner.remove(|name| match parents(name) {
                Some((base, adapter)) => !bases.contains(base) || !adapters.contains(adapter),
                None => name.starts_with(UNFINISHED),
            })
        })
        .await?
    }
}

#[async_trait]
impl InUse for Derived {
    /// Lets go of the models made with these bytes, and removes their files.
    async fn release(&self, blob: &Blake3) {
        self.inner.in_use.release(blob).await;
        let (inner, gone) = (Arc::clone(&self.inner), start(blob));
        let removed = spawn_blocking(move || {
            inner.remove(|name| parents(name).is_some_and(|(base, adapter)| base == gone || adapter == gone))
        });
        let removed = removed.await.map_err(ModelError::from).and_then(|removed| removed);
        if let Err(error) = removed {
            tracing::warn!(%blob, %error, "adapted models could not be removed; the next clean-up will try again");
        }
    }
}

impl Inner {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now().ms()).unwrap_or(0))
    }

    /// The files in the folder, the least recently used first.
    fn entries(&self) -> Result<Vec<Entry>, ModelError> {
        let mut entries = Vec::new();
        let listed = match fs::read_dir(&self.folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
            Err(error) => return Err(failed(error)),
        };
        for entry in listed {
            let entry = entry.map_err(failed)?;
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
            if metadata.is_file() {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push(Entry { path: entry.path(), name, size: metadata.len(), used });
            }
        }
        entries.sort_by(|one, other| (one.used, &one.name).cmp(&(other.used, &other.name)));
        Ok(entries)
    }

    fn remove(&self, gone: impl Fn(&str) -> bool) -> Result<usize, ModelError> {
        let mut count = 0;
        for entry in self.entries()?.into_iter().filter(|entry| gone(&entry.name)) {
            fs::remove_file(&entry.path).map_err(failed)?;
            count += 1;
        }
        Ok(count)
    }

    /// Removes the least recently used files until one of `size` bytes may come.
    fn make_room(&self, size: u64) -> Result<(), ModelError> {
        let mut entries: Vec<_> = self.entries()?.into_iter().filter(|entry| parents(&entry.name).is_some()).collect();
        let mut taken: u64 = entries.iter().map(|entry| entry.size).sum();
        let allowed = (self.room)(&self.folder).map_err(failed)?.saturating_add(taken) / SHARE;
        if size > allowed {
            return Err(ModelError::Full);
        }
        let mut left = entries.len();
        for entry in entries.drain(..) {
            if left < MAX_FILES && taken.saturating_add(size) <= allowed {
                break;
            }
            fs::remove_file(&entry.path).map_err(failed)?;
            taken = taken.saturating_sub(entry.size);
            left -= 1;
        }
        Ok(())
    }
}

fn failed(error: io::Error) -> ModelError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ModelError::Full,
        _ => ModelError::Failed(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NobodyUses;
    use kith_types::Timestamp;
    use std::{
        io::Write,
        sync::atomic::{AtomicI64, Ordering},
    };

    #[derive(Default)]
    struct Ticks(AtomicI64);

    impl Clock for Ticks {
        fn now(&self) -> Timestamp {
            Timestamp::from_ms(self.0.fetch_add(1000, Ordering::Relaxed))
        }
    }

    fn folder(room: Room) -> (tempfile::TempDir, Derived) {
        let dir = tempfile::tempdir().unwrap();
        let inner =
            Inner { folder: dir.path().join("derived"), clock: Arc::new(Ticks::default()), in_use: Arc::new(NobodyUses), room };
        (dir, Derived { inner: Arc::new(inner) })
    }

    fn blob(byte: u8) -> Blake3 {
        Blake3::from_bytes([byte; 32])
    }

    fn name(base: u8, adapter: u8) -> Name {
        Name::of(&blob(base), &blob(adapter), &Scaling::default(), 1.0).unwrap()
    }

    async fn make(derived: &Derived, name: &Name, size: usize) -> Result<(), ModelError> {
        let file = derived.write(size as u64, |out| out.write_all(&vec![1; size]).map_err(failed))?;
        derived.keep(file, name).await.map(|_| ())
    }

    async fn there(derived: &Derived, name: &Name) -> bool {
        fs::exists(derived.inner.folder.join(&name.file)).unwrap()
    }

    #[test]
    fn a_name_changes_with_everything_its_bytes_depend_on() {
        let plain = name(1, 2);
        let strong = Scaling { alpha: Some(2.0), ..Scaling::default() };
        assert_ne!(plain, Name::of(&blob(1), &blob(2), &strong, 1.0).unwrap());
        assert_ne!(plain, Name::of(&blob(1), &blob(2), &Scaling::default(), 0.5).unwrap());
        assert_ne!(plain, name(2, 1));
        assert_eq!(parents(&plain.file).unwrap().0, start(&blob(1)));
        assert_eq!(parents("making-x"), None);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_when_there_are_too_many() {
        let (_dir, derived) = folder(|_| Ok(1 << 30));
        for byte in 0..8 {
            make(&derived, &name(byte, 100), 10).await.unwrap();
        }
        assert!(derived.find(&name(0, 100)).await.unwrap().is_some());
        make(&derived, &name(8, 100), 10).await.unwrap();
        assert!(there(&derived, &name(0, 100)).await, "it was used just now");
        assert!(!there(&derived, &name(1, 100)).await);
        assert_eq!(derived.inner.entries().unwrap().len(), MAX_FILES);
    }

    #[tokio::test]
    async fn they_take_no_more_than_their_share_of_the_disk() {
        // 1000 bytes are left beside whatever lies there already.
        let (_dir, derived) = folder(|folder| {
            let taken: u64 = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
            Ok(1000 - taken)
        });
        make(&derived, &name(1, 9), 300).await.unwrap();
        make(&derived, &name(2, 9), 200).await.unwrap();
        make(&derived, &name(3, 9), 100).await.unwrap();
        assert!(!there(&derived, &name(1, 9)).await);
        assert!(there(&derived, &name(2, 9)).await);
        assert!(matches!(make(&derived, &name(4, 9), 501).await, Err(ModelError::Full)));
        assert!(there(&derived, &name(3, 9)).await, "what cannot fit drives nobody out");
    }

    #[tokio::test]
    async fn what_is_made_of_bytes_goes_with_them() {
        let (_dir, derived) = folder(|_| Ok(1 << 30));
        for (base, adapter) in [(1, 8), (1, 9), (2, 9)] {
            make(&derived, &name(base, adapter), 10).await.unwrap();
        }
        derived.release(&blob(8)).await;
        assert!(!there(&derived, &name(1, 8)).await && there(&derived, &name(1, 9)).await);
        derived.release(&blob(1)).await;
        assert!(!there(&derived, &name(1, 9)).await && there(&derived, &name(2, 9)).await);
    }

    #[tokio::test]
    async fn clean_up_removes_the_unfinished_and_the_orphaned() {
        let (_dir, derived) = folder(|_| Ok(1 << 30));
        make(&derived, &name(1, 8), 10).await.unwrap();
        make(&derived, &name(2, 8), 10).await.unwrap();
        fs::write(derived.inner.folder.join("making-abc"), "half").unwrap();
        fs::write(derived.inner.folder.join("a note"), "not ours").unwrap();
        assert_eq!(derived.retain(HashSet::from([blob(1)]), HashSet::from([blob(8)])).await.unwrap(), 2);
        assert!(there(&derived, &name(1, 8)).await);
        assert!(derived.inner.folder.join("a note").exists());
    }

    #[tokio::test]
    async fn a_write_that_fails_leaves_nothing() {
        let (_dir, derived) = folder(|_| Ok(1 << 30));
        assert!(derived.write(10, |_| Err(ModelError::Busy)).is_err());
        assert_eq!(derived.inner.entries().unwrap().len(), 0);
    }
}
