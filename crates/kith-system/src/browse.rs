//! Folders of the node's machine to choose from: only folders, only under the roots, never through a link that leads out.

mod roots;

pub use roots::default_roots;

use crate::{SystemError, error::blocking};
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The most folders one answer has.
pub const MAX_ENTRIES: usize = 1000;
/// The most entries of a folder that are looked at for them.
const MAX_SEEN: usize = 20_000;
/// The longest path, in bytes: Linux's own bound.
const MAX_PATH: usize = 4096;
/// The most faults that are told.
const MAX_FAULTS: usize = 20;

/// A folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Whether the system's own dialogues would not show it.
    pub hidden: bool,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The folder, with every link followed; `None` for the list of roots.
    pub path: Option<String>,
    /// The folder above, if it may be looked at.
    pub parent: Option<String>,
    /// Its folders, by name.
    pub entries: Vec<Entry>,
    /// Whether there are more than are told.
    pub truncated: bool,
    /// What could not be told, and why: name and reason.
    pub faults: Vec<(String, String)>,
}

/// Looks into folders under its roots.
pub struct Browse {
    roots: Vec<PathBuf>,
}

fn refused(error: &io::Error) -> SystemError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SystemError::NotFound("folder"),
        io::ErrorKind::PermissionDenied => SystemError::Unreadable,
        _ => SystemError::invalid("path", format!("cannot be read: {error}")),
    }
}

impl Browse {
    /// Looks under these roots; those that are not there are passed over each time.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots }
    }

    /// The folders in `path`, or the roots without one.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for a path that is relative, too long, or has `..` or NUL in it; [`SystemError::Outside`] for one that
    /// is not under a root, whether or not it exists; [`SystemError::NotFound`], [`SystemError::Unreadable`].
    pub async fn list(&self, path: Option<String>, hidden: bool) -> Result<Listing, SystemError> {
        let roots = self.roots.clone();
        blocking(move || match path {
            None => Ok(roots_of(&roots)),
            Some(path) => list(&roots, &path, hidden),
        })
        .await
    }
}

fn roots_of(roots: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    for root in roots {
        match (fs::canonicalize(root), root.to_str()) {
            (Ok(real), Some(path)) if real.is_dir() => {
                listing.entries.push(Entry { name: path.to_owned(), path: path.to_owned(), hidden: false });
            }
            (Err(error), Some(path)) if error.kind() != io::ErrorKind::NotFound => {
                listing.faults.push((path.to_owned(), error.to_string()));
            }
            _ => {}
        }
    }
    listing.entries.dedup();
    listing.entries.truncate(MAX_ENTRIES);
    listing.faults.truncate(MAX_FAULTS);
    listing
}

/// The path as asked for, once it is one that may be looked up.
fn parse(path: &str) -> Result<&Path, SystemError> {
    let invalid = |reason: &str| Err(SystemError::invalid("path", reason));
    if path.len() > MAX_PATH {
        return invalid("is longer than 4096 bytes");
    }
    if path.contains('\0') {
        return invalid("has a NUL in it");
    }
    let path = Path::new(path);
    if !path.is_absolute() {
        return invalid("must be absolute");
    }
    // Links make `..` mean something else than it seems to.
    if path.components().any(|part| part == Component::ParentDir) {
        return invalid("must not have `..` in it");
    }
    Ok(path)
}

fn list(roots: &[PathBuf], path: &str, hidden: bool) -> Result<Listing, SystemError> {
    let asked = parse(path)?;
    let real_roots: Vec<PathBuf> = roots.iter().filter_map(|root| fs::canonicalize(root).ok()).collect();
    let under = |path: &Path| real_roots.iter().any(|root| path.starts_with(root));
    // Before the disk is asked, so that nothing is learnt of what is elsewhere.
    if !under(asked) && !roots.iter().any(|root| asked.starts_with(root)) {
        return Err(SystemError::Outside);
    }
    let real = match fs::canonicalize(asked) {
        Ok(real) if under(&real) => real,
        Ok(_) => return Err(SystemError::Outside),
        // A link on the way may lead out: what is not there is told only of where one may look.
        Err(error) => {
            let inside =
                asked.ancestors().skip(1).find_map(|above| fs::canonicalize(above).ok()).is_some_and(|above| under(&above));
            return Err(if inside { refused(&error) } else { SystemError::Outside });
        }
    };
    let mut listing = Listing {
        path: Some(real.to_str().ok_or_else(|| SystemError::invalid("path", "is not Unicode text"))?.to_owned()),
        parent: real.parent().filter(|parent| under(parent)).and_then(Path::to_str).map(str::to_owned),
        ..Listing::default()
    };
    for (seen, entry) in fs::read_dir(&real).map_err(|error| refused(&error))?.enumerate() {
        if seen == MAX_SEEN {
            listing.truncated = true;
            break;
        }
        match entry.map_err(|error| (String::new(), error.to_string())).and_then(|entry| folder(&entry, &under)) {
            Ok(Some(found)) if hidden || !found.hidden => listing.entries.push(found),
            Ok(_) => {}
            Err(fault) if listing.faults.len() < MAX_FAULTS => listing.faults.push(fault),
            Err(_) => {}
        }
    }
    listing.entries.sort_by_cached_key(|entry| (entry.name.to_lowercase(), entry.name.clone()));
    listing.truncated |= listing.entries.len() > MAX_ENTRIES;
    listing.entries.truncate(MAX_ENTRIES);
    Ok(listing)
}

/// The entry, if it is a folder or a link to one that may be looked at.
fn folder(entry: &fs::DirEntry, under: &dyn Fn(&Path) -> bool) -> Result<Option<Entry>, (String, String)> {
    let shown = entry.file_name().to_string_lossy().into_owned();
    let fault = |error: String| (shown.clone(), error);
    let kind = entry.file_type().map_err(|error| fault(error.to_string()))?;
    let path = entry.path();
    if kind.is_symlink() {
        match fs::canonicalize(&path) {
            Ok(real) if !real.is_dir() => return Ok(None),
            Ok(real) if under(&real) => {}
            Ok(_) => return Err(fault("a link that leads out of the roots".to_owned())),
            Err(_) => return Ok(None),
        }
    } else if !kind.is_dir() {
        return Ok(None);
    }
    match (entry.file_name().into_string(), path.to_str()) {
        (Ok(name), Some(path)) => Ok(Some(Entry { hidden: is_hidden(&name, entry), name, path: path.to_owned() })),
        _ => Err(fault("its name is not Unicode text".to_owned())),
    }
}

#[cfg(not(windows))]
fn is_hidden(name: &str, _: &fs::DirEntry) -> bool {
    name.starts_with('.')
}

#[cfg(windows)]
fn is_hidden(name: &str, entry: &fs::DirEntry) -> bool {
    use std::os::windows::fs::MetadataExt;
    /// FILE_ATTRIBUTE_HIDDEN.
    const HIDDEN: u32 = 2;
    name.starts_with('.') || entry.metadata().is_ok_and(|metadata| metadata.file_attributes() & HIDDEN != 0)
}

#[cfg(test)]
mod tests;
