//! A model of the hub in a folder: its files one after the other, then one file of them in the library.

use super::{
    Inner,
    fetch::{fetch, room},
    item::{Phase, Progress},
    plan::{Plan, Wanted},
};
use crate::{Model, Overrides, SourceError, reference::Reference};
use kith_blobs::{BlobError, Put, Room};
use std::path::Path;

/// A file of the folder that is here.
struct Member {
    put: Put,
    /// Whether it is here for this download alone.
    own: bool,
}

/// Fetches what is not here yet, and makes the model. Files that came whole are kept for a day, should the rest not come.
pub async fn run(inner: &Inner, progress: &Progress, reference: &Reference, plan: Plan) -> Result<Model, SourceError> {
    let rooms = rooms(inner, &plan).await?;
    progress.phase(Phase::Moving);
    let folder = tempfile::tempdir().map_err(BlobError::from)?;
    let mut members = Vec::new();
    for (place, (wanted, room)) in plan.all().zip(rooms.files).enumerate() {
        let member = member(inner, progress, wanted, room, place).await?;
        progress.at(place, member.put.size);
        link(&inner.library.blob_path(&member.put.hash), &folder.path().join(&wanted.label)).map_err(BlobError::from)?;
        members.push(member);
    }
    progress.phase(Phase::Writing);
    // Its bytes are written from here on, and no longer only promised.
    drop(rooms.model);
    let name = reference.name.clone();
    let model = inner.library.import_folder(folder.path(), name, Overrides::default(), plan.source, |_| {}).await;
    if model.is_ok() {
        for Member { put, .. } in members.into_iter().filter(|member| member.own) {
            let (hash, sha256) = (put.hash, put.sha256);
            drop(put);
            inner.library.settle_upload(&sha256).await;
            inner.library.let_go(&hash).await;
        }
    }
    Ok(model?)
}

async fn member(inner: &Inner, progress: &Progress, wanted: &Wanted, room: Room, place: usize) -> Result<Member, SourceError> {
    let _same = inner.same.turn(&wanted.partial).await;
    if let Some(sha256) = wanted.expect
        && let Some((hash, size)) = inner.library.bytes(&sha256).await?
        && let Some(held) = inner.library.hold(hash, sha256, size).await?
    {
        let own = inner.library.is_upload(&sha256).await?;
        return Ok(Member { put: Put { hash: held.hash, sha256, size: held.size, pin: held.pin, mended: false }, own });
    }
    let put = fetch(inner, progress, wanted, room, place).await?;
    inner.library.keep_for_a_day(&put).await?;
    Ok(Member { put, own: true })
}

/// Room on the disk that is promised to a download.
struct Rooms {
    /// For what is still to come of each file.
    files: Vec<Room>,
    /// For the model that is made of them.
    model: Room,
}

async fn rooms(inner: &Inner, plan: &Plan) -> Result<Rooms, SourceError> {
    let spare = inner.bounds.reserve;
    let total = plan.all().fold(0u64, |sum, wanted| sum.saturating_add(wanted.size));
    let model = inner.blobs.reserve(total, spare).await?;
    let mut files = Vec::new();
    for wanted in plan.all() {
        files.push(room(inner, wanted).await?);
    }
    Ok(Rooms { files, model })
}

/// A name for a file of the folder.
fn link(file: &Path, name: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(std::path::absolute(file)?, name)
    }
    #[cfg(not(unix))]
    {
        std::fs::hard_link(file, name)
    }
}
