//! Bytes come from neighbours first: what they have does not come over the internet, and what they began is not fetched again. What a
//! name means is asked of its origin first, which alone knows what is newest; of neighbours where it does not tell.

use super::{
    Inner,
    fetch::{FILE, room},
    item::{FileProgress, Phase, Progress},
    plan::Wanted,
};
use crate::{
    Model, ModelError, SourceError,
    neighbours::{Asked, NoNeighbour, Step, Tell, Told},
    reference::Reference,
};
use kith_blobs::{BlobError, Came, Put, Room};
use kith_types::{Blake3, Sha256};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Names of neighbours that are told with a download.
const NAMES: usize = 4;
/// How the source of what came from neighbours begins.
const PEER: &str = "peer ";

/// Whether neighbours are still to be asked for bytes.
#[derive(Debug, Clone)]
pub enum Near {
    /// They are, unless they gave nothing of another file of this download.
    Ask(Nobody),
    /// They were, and this is what came of it all the same.
    Asked(Option<Blake3>),
}

/// Whether it was found in one download that nobody gives anything. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Nobody(Arc<AtomicBool>);

/// What came of asking for a model by its name.
pub enum Named {
    /// It is here.
    Model(Box<Model>),
    /// Some neighbour told of it, and these bytes did not come as a whole; or none did.
    Not(Option<(Sha256, Option<Blake3>)>),
    /// What they told of cannot be kept here. It is their word alone that it must be: its origin may have something else.
    Unkept(SourceError),
}

/// What there is to begin with.
pub enum Begun {
    /// Everything.
    Whole(Put),
    /// Room for what is to come, and what came already.
    Rest(Room, Option<(Blake3, Came)>),
}

/// Whether neighbours may say what a name means whose origin answered with `error`. Of a name that its origin does not give, they may.
/// While it cannot be reached, only of a new one, or of one that came from them: a model of the owner's own, or of that origin, is not
/// replaced by what others happen to call so.
///
/// # Errors
/// The library cannot be read.
pub async fn may_name(inner: &Inner, reference: &Reference, error: Option<&SourceError>) -> Result<bool, SourceError> {
    let unreachable = error.is_none_or(|error| error.passes() || matches!(error, SourceError::Unexpected { .. }));
    if !unreachable {
        return Ok(true);
    }
    match inner.library.get(&reference.name).await {
        Ok(model) => Ok(model.source.starts_with(PEER)),
        Err(ModelError::NotFound { .. } | ModelError::Damaged { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Takes the model that neighbours have under this name, if one has.
///
/// # Errors
/// Those of this node: a library that cannot be read or written. Whatever is wrong with neighbours is none.
pub async fn by_name(inner: &Inner, progress: &Progress, reference: &Reference) -> Result<Named, SourceError> {
    let Some(told) = inner.neighbours.find(&reference.name).await else { return Ok(Named::Not(None)) };
    let Told { sha256, size, overrides, by } = told;
    let label = "model".to_owned();
    progress.files(vec![FileProgress { digest: sha256, label, total: size, completed: 0 }]);
    let put = match inner.library.holding(&sha256).await? {
        Some(put) => put,
        None => {
            let asked = Asked { sha256, size, elsewhere: false, room: None, spare: inner.bounds.reserve };
            match bytes(inner, progress, asked, FILE).await {
                Ok(Ok(put)) => {
                    // A small one is whole before anybody was told who gives it.
                    progress.from(named(&by));
                    put
                }
                Ok(Err(came)) => return Ok(Named::Not(Some((sha256, came)))),
                Err(error) => {
                    tracing::warn!(model = %reference.name, %error, "what neighbours have under this name cannot be kept");
                    return Ok(Named::Unkept(error));
                }
            }
        }
    };
    progress.at(FILE, put.size);
    progress.phase(Phase::Writing);
    match inner.library.adopt(put, reference.name.clone(), overrides, named(&by)).await {
        Ok(model) => Ok(Named::Model(Box::new(model))),
        // What they call a model is none; the internet may have a better one.
        Err(error @ ModelError::BadFile { .. }) => {
            tracing::warn!(model = %reference.name, %error, "what neighbours have under this name is not taken");
            Ok(Named::Not(None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks neighbours for a file, if that makes sense and was not done.
pub async fn begin(
    inner: &Inner,
    progress: &Progress,
    wanted: &Wanted,
    room_before: Room,
    place: usize,
) -> Result<Begun, SourceError> {
    let (sha256, nobody) = match (wanted.expect, &wanted.near) {
        (Some(_), Near::Asked(came)) => return Ok(Begun::Rest(room_before, pieces(inner, wanted, *came).await)),
        (Some(sha256), Near::Ask(nobody)) if !nobody.0.load(Ordering::Relaxed) => (sha256, nobody),
        // Without a digest nothing that others have can be known for it.
        _ => return Ok(Begun::Rest(room_before, None)),
    };
    let (room_before, spare) = (Some(room_before), inner.bounds.reserve);
    let asked = Asked { sha256, size: wanted.size, elsewhere: true, room: room_before, spare };
    let came = match bytes(inner, progress, asked, place).await? {
        Ok(put) => return Ok(Begun::Whole(put)),
        Err(came) => came,
    };
    if came.is_none() {
        nobody.0.store(true, Ordering::Relaxed);
    }
    Ok(Begun::Rest(room(inner, wanted).await?, pieces(inner, wanted, came).await))
}

async fn pieces(inner: &Inner, wanted: &Wanted, came: Option<Blake3>) -> Option<(Blake3, Came)> {
    let root = came?;
    let came = inner.blobs.came(&root).await.unwrap_or_else(|error| {
        tracing::warn!(%root, %error, "what neighbours gave cannot be read");
        None
    });
    came.filter(|came| came.size() == wanted.size).map(|came| (root, came))
}

/// Fetches bytes from neighbours; if they do not come as a whole, gives the blob whose pieces came.
async fn bytes(
    inner: &Inner,
    progress: &Progress,
    asked: Asked,
    place: usize,
) -> Result<Result<Put, Option<Blake3>>, SourceError> {
    // The same bytes may be wanted from two places of the internet; neighbours are asked once.
    let _one = inner.same.turn(&asked.sha256).await;
    if let Some(put) = here(inner, asked.sha256).await? {
        return Ok(Ok(put));
    }
    let source = progress.source();
    match inner.neighbours.fetch(asked, told(progress.clone(), place)).await {
        Ok(put) => Ok(Ok(put)),
        Err(NoNeighbour::Nobody { came }) => {
            progress.from(source);
            Ok(Err(came))
        }
        // Somebody else fetches what they say it is, or the disk lost what they gave: the origin gives it all the same.
        Err(NoNeighbour::Blob(BlobError::Fetching(_) | BlobError::Damaged(_))) => {
            progress.from(source);
            Ok(Err(None))
        }
        Err(NoNeighbour::Blob(error)) => Err(error.into()),
    }
}

/// Bytes that came while this download waited for its turn.
async fn here(inner: &Inner, sha256: Sha256) -> Result<Option<Put>, SourceError> {
    let Some(hash) = inner.blobs.root_of(&sha256).await else { return Ok(None) };
    let held = async {
        let pin = inner.blobs.pin(&hash).await?;
        let size = inner.blobs.size(&hash).await?;
        Ok::<_, BlobError>((inner.blobs.verify(&hash).await?, Put { hash, sha256, size, pin, mended: false }))
    };
    match held.await {
        Ok((true, put)) => Ok(Some(put)),
        // Damaged bytes are no bytes: they are replaced by what comes.
        Ok((false, _)) | Err(BlobError::NotFound(_) | BlobError::Io(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Turns steps into progress.
fn told(progress: Progress, place: usize) -> Tell {
    let before: Mutex<Option<u64>> = Mutex::default();
    Arc::new(move |step| match step {
        Step::Came { bytes, from } => {
            let before = before.lock().unwrap_or_else(PoisonError::into_inner).replace(bytes);
            match before.filter(|before| *before <= bytes) {
                Some(before) if before == bytes => {}
                Some(before) => progress.moved(place, bytes - before),
                // What lay there from an earlier attempt did not come now.
                None => progress.at(place, bytes),
            }
            progress.phase(Phase::Moving);
            if !from.is_empty() {
                progress.from(named(&from));
            }
        }
        Step::Verifying => progress.phase(Phase::Verifying),
    })
}

/// Neighbours as a source.
fn named(by: &[String]) -> String {
    let mut names: Vec<&str> = by.iter().take(NAMES).map(String::as_str).collect();
    let more = by.len().saturating_sub(NAMES);
    let rest = format!("{more} more");
    if more > 0 {
        names.push(&rest);
    }
    format!("{PEER}{}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_named_up_to_a_bound() {
        let names: Vec<String> = (1..=6).map(|n| format!("n{n}")).collect();
        assert_eq!(named(&names[..1]), "peer n1");
        assert_eq!(named(&names), "peer n1, n2, n3, n4, 2 more");
    }
}
