//! Where on the hub a model of the library came from: as the library noted it, or the file there that has the same bytes.

use super::Hub;
use crate::{Model, SourceError};
use kith_types::Sha256;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The most places remembered.
const MAX_KNOWN: usize = 128;
/// Repositories looked into for a file with the same bytes.
const MAX_REPOSITORIES: usize = 10;

/// A file on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubPlace {
    /// `user/repository`.
    pub repo: String,
    /// The file's path there.
    pub filename: String,
}

/// Places that were found before, by the digest of their bytes.
#[derive(Default)]
pub struct Known(Mutex<HashMap<Sha256, HubPlace>>);

impl Hub {
    /// Where the model is on the hub.
    ///
    /// # Errors
    /// [`SourceError::NotFound`] if no file with the same bytes was found.
    pub async fn place_of(&self, model: &Model) -> Result<HubPlace, SourceError> {
        if let Some(place) = noted(&model.source) {
            return Ok(place);
        }
        let known = |places: &Known| places.0.lock().unwrap_or_else(PoisonError::into_inner).get(&model.sha256).cloned();
        if let Some(place) = known(&self.known) {
            return Ok(place);
        }
        let title =
            model.details.title.clone().unwrap_or_else(|| model.name.family().rsplit('/').next().unwrap_or_default().into());
        for repository in self.repositories(&title, MAX_REPOSITORIES).await? {
            let Ok(files) = self.files(repository.id()).await else { continue };
            // A name proves nothing: only the same bytes do.
            if let Some(file) = files.into_iter().find(|file| file.sha256 == Some(model.sha256)) {
                let place = HubPlace { repo: repository.id().to_owned(), filename: file.path };
                let mut places = self.known.0.lock().unwrap_or_else(PoisonError::into_inner);
                if places.len() >= MAX_KNOWN {
                    places.clear();
                }
                places.insert(model.sha256, place.clone());
                return Ok(place);
            }
        }
        Err(SourceError::NotFound(format!("no file on {} was found to have the bytes of `{}`", self.host(), model.name)))
    }
}

/// `hf.co/user/repository/file` as downloads note it.
fn noted(source: &str) -> Option<HubPlace> {
    let mut parts = source.strip_prefix("hf.co/")?.splitn(3, '/');
    let (user, repository, filename) = (parts.next()?, parts.next()?, parts.next()?);
    Some(HubPlace { repo: format!("{user}/{repository}"), filename: filename.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noted_place_is_read_back() {
        let place = HubPlace { repo: "acme/tiny".into(), filename: "sub/m.gguf".into() };
        assert_eq!(noted("hf.co/acme/tiny/sub/m.gguf"), Some(place));
        assert_eq!(noted("/home/me/m.gguf"), None);
        assert_eq!(noted("hf.co/acme"), None);
    }
}
