//! One large file: asked for from where the last attempt ended, until it is whole and has its digest.

use super::{
    Inner,
    item::{Phase, Progress},
    near::{Begun, begin},
    plan::Wanted,
    range::range,
    retry::Tries,
};
use crate::{
    SourceError,
    hub::linked_digest,
    web::{self, host_of},
};
use kith_blobs::{BlobError, Came, Partial, Put, Room};
use kith_types::Sha256;
use reqwest::{Response, StatusCode, header};

/// The number of a model's only large file among an item's files.
pub const FILE: usize = 0;
/// What neighbours gave is passed over, and fetched again with what is around it, if it is less: a request costs more.
const WORTH: u64 = 4 << 20;
/// Bytes of what neighbours gave that are taken over at once.
const CHUNK: usize = 1 << 20;

/// What one file's attempts have in common.
struct Attempts<'a> {
    inner: &'a Inner,
    progress: &'a Progress,
    wanted: &'a Wanted,
    room: Room,
    /// The digest it shall have, from the listing or else from the answers.
    expect: Option<Sha256>,
    /// Its number among the item's files.
    place: usize,
    /// The version that was being sent.
    etag: Option<String>,
    /// Whether bytes of an earlier request are part of what is there.
    continued: bool,
    /// Bytes that came, over all attempts.
    came: u64,
    /// What neighbours gave of it.
    near: Option<Came>,
}

/// Room on the disk for what is still to come of a file.
pub async fn room(inner: &Inner, wanted: &Wanted) -> Result<Room, SourceError> {
    let needed = wanted.size.saturating_sub(inner.blobs.partial_size(&wanted.partial).await);
    Ok(inner.blobs.reserve(needed, inner.bounds.reserve).await?)
}

/// Fetches the file, for which there is `room`, and verifies it: from neighbours, and what they do not give from its origin. `place`
/// is its number among the item's files.
pub async fn fetch(inner: &Inner, progress: &Progress, wanted: &Wanted, room: Room, place: usize) -> Result<Put, SourceError> {
    let (room, near) = match begin(inner, progress, wanted, room, place).await? {
        Begun::Whole(put) => return Ok(put),
        Begun::Rest(room, near) => (room, near),
    };
    let (root, near) = near.unzip();
    progress.phase(Phase::Moving);
    let expect = wanted.expect;
    let mut attempts = Attempts { inner, progress, wanted, room, expect, place, etag: None, continued: false, came: 0, near };
    let (mut tries, mut afresh) = (Tries::default(), false);
    loop {
        let before = attempts.came;
        match attempts.once().await {
            // Bytes of different attempts may not belong together; those of one do. That is tried once.
            Err(SourceError::WrongDigest { .. }) if attempts.continued && !afresh => {
                tracing::warn!(label = wanted.label, "the pieces of a download do not fit together; it begins again");
                afresh = true;
                attempts.etag = None;
                attempts.near = None;
            }
            Err(error) => {
                if attempts.came > before {
                    tries.progressed();
                }
                pause(inner, progress, &mut tries, error).await?;
            }
            done => {
                if let (Ok(_), Some(root)) = (&done, root)
                    && let Err(error) = inner.blobs.forget_came(&root).await
                {
                    tracing::debug!(%root, %error, "what neighbours gave stays for now");
                }
                return done;
            }
        }
        progress.phase(Phase::Moving);
    }
}

/// Waits before the next try, if there is one.
pub async fn pause(inner: &Inner, progress: &Progress, tries: &mut Tries, error: SourceError) -> Result<(), SourceError> {
    let said = error.to_string();
    let pause = tries.next(error, &inner.bounds, &inner.random)?;
    let notice = format!("{said}; trying again in {} s", pause.as_secs_f64().ceil());
    tracing::debug!(notice, "a download waits");
    progress.waits(notice);
    tokio::time::sleep(pause).await;
    progress.goes_on();
    Ok(())
}

impl Attempts<'_> {
    async fn once(&mut self) -> Result<Put, SourceError> {
        let mut partial = self.inner.blobs.partial(&self.wanted.partial, self.wanted.size).await?;
        if partial.size() > self.wanted.size {
            partial.restart().await?;
        }
        self.continued = partial.size() > 0;
        self.room.still_to_come(self.wanted.size.saturating_sub(partial.size()));
        self.progress.at(self.place, partial.size());
        if partial.size() < self.wanted.size {
            self.fill(&mut partial).await?;
        } else if self.expect.is_none() {
            // All of it came in an earlier life, and nobody said what it shall be.
            self.ask_digest().await?;
        }
        self.progress.phase(Phase::Verifying);
        Ok(partial.complete(self.expect).await?)
    }

    /// Takes what neighbours gave, and the rest from the origin, in the order of the file.
    async fn fill(&mut self, partial: &mut Partial) -> Result<(), SourceError> {
        while partial.size() < self.wanted.size {
            let there = match &self.near {
                Some(near) => near.read(partial.size(), CHUNK).await?,
                None => Vec::new(),
            };
            if there.is_empty() {
                self.continue_from(partial).await?;
                continue;
            }
            partial.write(&there).await?;
            self.continued = true;
            self.room.still_to_come(self.wanted.size.saturating_sub(partial.size()));
            self.progress.at(self.place, partial.size());
        }
        Ok(partial.flush().await?)
    }

    /// Asks for the last byte, for the sake of the digest that may come with it.
    async fn ask_digest(&mut self) -> Result<(), SourceError> {
        let answer = self.wanted.origin.open(self.inner, self.wanted.size.saturating_sub(1), None).await?;
        if !answer.response.status().is_success() {
            return Err(self.refused(answer.response).await);
        }
        self.expect = linked_digest(&answer);
        Ok(())
    }

    async fn refused(&self, response: Response) -> SourceError {
        let refusal = web::refusal(response, &format!("`{}`", self.wanted.label), self.inner.now()).await;
        self.wanted.origin.explained(self.inner, refusal)
    }

    async fn continue_from(&mut self, partial: &mut Partial) -> Result<(), SourceError> {
        let (from, size) = (partial.size(), self.wanted.size);
        let answer = self.wanted.origin.open(self.inner, from, self.etag.as_deref()).await?;
        let linked = linked_digest(&answer);
        let response = answer.response;
        let host = host_of(response.url());
        let broken = |reason: &str| SourceError::Broken { host: host.clone(), reason: reason.to_owned() };
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(header::CONTENT_RANGE).and_then(|text| range(text.to_str().ok()?));
                if !range.is_some_and(|(first, total)| first == from && total.is_none_or(|total| total == size)) {
                    // Nothing of it can be trusted; the next try asks for everything.
                    self.restart(partial).await?;
                    return Err(broken("it sent other bytes than it was asked for"));
                }
            }
            StatusCode::OK => {
                if response.content_length().is_some_and(|length| length != size) {
                    return Err(SourceError::unexpected(host, format!("the file is not of the {size} bytes announced")));
                }
                if from > 0 {
                    self.restart(partial).await?;
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.restart(partial).await?;
                return Err(broken("it does not have the bytes it was asked for"));
            }
            _ => return Err(self.refused(response).await),
        }
        match (linked, self.expect) {
            (Some(linked), Some(expected)) if linked != expected => {
                return Err(SourceError::unexpected(host, "the file changed since it was listed"));
            }
            // The listing told none.
            (Some(linked), None) => self.expect = Some(linked),
            _ => {}
        }
        self.etag = response.headers().get(header::ETAG).and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
        self.take(partial, response).await
    }

    async fn take(&mut self, partial: &mut Partial, mut response: Response) -> Result<(), SourceError> {
        let url = response.url().clone();
        // Up to where neighbours gave what follows.
        let until = self.near.as_ref().and_then(|near| near.next_part(partial.size(), WORTH));
        while until.is_none_or(|until| partial.size() < until) {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    partial.flush().await?;
                    return Err(web::broken(&url, &error));
                }
            };
            let due = until.map_or(usize::MAX, |until| usize::try_from(until - partial.size()).unwrap_or(usize::MAX));
            let chunk = chunk.get(..due).unwrap_or(&chunk);
            match partial.write(chunk).await {
                Err(BlobError::TooLarge { .. }) => {
                    self.restart(partial).await?;
                    return Err(SourceError::unexpected(host_of(&url), "it sent more bytes than announced"));
                }
                written => written?,
            }
            self.came += chunk.len() as u64;
            self.room.still_to_come(self.wanted.size.saturating_sub(partial.size()));
            self.progress.moved(self.place, chunk.len() as u64);
        }
        partial.flush().await?;
        if partial.size() < until.unwrap_or(self.wanted.size) {
            return Err(SourceError::Broken { host: host_of(&url), reason: "the bytes ended too early".to_owned() });
        }
        Ok(())
    }

    async fn restart(&mut self, partial: &mut Partial) -> Result<(), SourceError> {
        partial.restart().await?;
        self.continued = false;
        self.etag = None;
        // A source that does not give parts gives all, or what is asked for anew.
        self.near = None;
        self.room.still_to_come(self.wanted.size);
        self.progress.at(self.place, 0);
        Ok(())
    }
}
