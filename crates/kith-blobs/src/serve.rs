//! The serving side of `/kith/blobs/1`: answers the requests of one stream after another, within bounds for each peer and for all.
//!
//! Bound: a stream holds two blocks of [`BLOCK`] bytes and the frames; with [`Bounds::streams`] streams, 64 by default, less than 40 MiB.

use crate::{
    BlobError, Blobs, EncodeError, Throttle,
    ranges::Ranges,
    throttle::Gate,
    tree::{self, GROUP},
    trees::{Encoding, Source},
    wire::{self, Code, MAX_GROUPS, MAX_HAVE, MAX_REQUEST, Offer, Refusal, Request, What},
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    task::spawn_blocking,
    time::timeout,
};

/// Bytes read from the disk at once; while they are sent, as many are read.
const BLOCK: usize = 256 << 10;

/// Bounds of the serving side.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Streams of one peer at once.
    pub streams_per_peer: usize,
    /// Streams of all peers at once.
    pub streams: usize,
    /// How long a stream may be silent between requests.
    pub idle: Duration,
    /// How long the other end may take none of the bytes that are sent.
    pub stall: Duration,
    /// How long an asker is kept waiting for a tree that is computed; then it is told to come again.
    pub prepare: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            streams_per_peer: 4,
            streams: 64,
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            prepare: Duration::from_secs(2),
        }
    }
}

/// Who may have what. Bytes are served to nobody only because they know a digest.
pub trait Policy: Send + Sync + 'static {
    /// Whether `peer` may have this blob. It is asked with the root, whatever name the peer used.
    fn shares(&self, peer: &str, root: &kith_types::Blake3) -> bool;
}

/// The serving side: one for all peers.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: Blobs,
    policy: Box<dyn Policy>,
    bounds: Bounds,
    upload: Throttle,
    gate: Gate,
    open: Mutex<HashMap<String, usize>>,
}

/// What went over one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests answered with an offer.
    pub requests: u64,
    /// Bytes of slices sent.
    pub bytes: u64,
}

/// One of a peer's streams, given back when it is dropped.
struct Permit<'a> {
    inner: &'a Inner,
    peer: &'a str,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(self.peer);
            }
        }
    }
}

impl Server {
    /// Serves `blobs` as `policy` allows, not faster than `upload`, and only while `gate` is open.
    pub fn new(blobs: Blobs, policy: impl Policy, bounds: Bounds, upload: Throttle, gate: Gate) -> Self {
        let (policy, open) = (Box::new(policy), Mutex::default());
        Self { inner: Arc::new(Inner { blobs, policy, bounds, upload, gate, open }) }
    }

    /// Answers `peer` on a stream until it closes it, is silent for too long, or breaks the rules. Dropping the future ends it.
    ///
    /// # Errors
    /// The stream broke, or what came over it made no sense.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, peer: &str, mut stream: S) -> io::Result<Served> {
        let mut served = Served::default();
        let Some(_permit) = self.inner.permit(peer) else {
            wire::send_answer(&mut stream, &Err(Refusal::new(Code::Busy, "too many streams are open"))).await?;
            return Ok(served);
        };
        loop {
            let frame = match wire::receive(&mut stream, MAX_REQUEST, self.inner.bounds.idle).await {
                Ok(Some(frame)) => frame,
                Ok(None) | Err(wire::FrameError::Late) => return Ok(served),
                Err(error) => return Err(refuse(&mut stream, &error.to_string()).await),
            };
            let request = match wire::read_request(&frame) {
                Ok(request) => request,
                Err(error) => return Err(refuse(&mut stream, &error.to_string()).await),
            };
            let answer = self.inner.answer(peer, &request).await;
            let (answer, source) = match answer {
                Ok((offer, source)) => (Ok(offer), Some(source)),
                Err(refusal) => (Err(refusal), None),
            };
            wire::send_answer(&mut stream, &answer).await?;
            if let (Ok(offer), Some(source)) = (answer, source) {
                let encoding = source.encode(offer.sends)?;
                served.bytes += self.inner.send(peer, &offer.root, &mut stream, encoding).await?;
                served.requests += 1;
            }
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("bounds", &self.inner.bounds).finish_non_exhaustive()
    }
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), why: &str) -> io::Error {
    let _ = wire::send_answer(stream, &Err(Refusal::new(Code::Malformed, why))).await;
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

impl Inner {
    fn permit<'a>(&'a self, peer: &'a str) -> Option<Permit<'a>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(peer).copied().unwrap_or(0);
        if all >= self.bounds.streams || own >= self.bounds.streams_per_peer {
            return None;
        }
        open.insert(peer.to_owned(), own + 1);
        Some(Permit { inner: self, peer })
    }

    async fn answer(&self, peer: &str, request: &Request) -> Result<(Offer, Source), Refusal> {
        let absent = || Refusal::new(Code::Absent, "it is not here");
        if !(self.gate)() {
            return Err(Refusal::new(Code::Quiet, "nothing is sent at this time"));
        }
        let root = match request.what {
            What::Blake3(root) => root,
            What::Sha256(sha256) => self.blobs.root_of(&sha256).await.ok_or_else(absent)?,
        };
        // The same answer as for what is not here: nobody learns what others have.
        if !self.policy.shares(peer, &root) {
            return Err(absent());
        }
        let source = match timeout(self.bounds.prepare, self.blobs.source(&root)).await {
            Ok(Ok(source)) => source,
            Ok(Err(BlobError::NotFound(_))) => return Err(absent()),
            Ok(Err(BlobError::Damaged(_))) => return Err(Refusal::new(Code::Damaged, "the copy here is damaged")),
            Ok(Err(error)) => {
                tracing::warn!(%root, %error, "a blob cannot be served");
                return Err(Refusal::new(Code::Busy, "it cannot be read now"));
            }
            Err(_) => return Err(Refusal::new(Code::Preparing, "its tree is being computed")),
        };
        let wanted = Ranges::read(&request.ranges, tree::groups(source.size))
            .ok_or_else(|| Refusal::new(Code::Malformed, "it has no such ranges"))?;
        let sends = wanted.among(&source.have, request.max.min(MAX_GROUPS));
        let have = source.have.clone().shortened(MAX_HAVE);
        Ok((Offer { root, size: source.size, have, sends }, source))
    }

    /// Sends a slice: while one block is on its way, the next is read and verified.
    async fn send<S: AsyncWrite + Unpin>(
        &self,
        peer: &str,
        root: &kith_types::Blake3,
        stream: &mut S,
        encoding: Encoding,
    ) -> io::Result<u64> {
        let mut sent = 0;
        let mut reading = Some(spawn_blocking(move || filled(encoding)));
        while let Some(read) = reading.take() {
            let (block, next) = read.await?.map_err(|error| self.doubt(root, error))?;
            reading = next.map(|encoding| spawn_blocking(move || filled(encoding)));
            for part in block.chunks(GROUP) {
                self.upload.take(peer, part.len() as u64).await;
                let mut left = part;
                while !left.is_empty() {
                    let count = timeout(self.bounds.stall, stream.write(left)).await??;
                    if count == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    left = left.get(count..).unwrap_or_default();
                    sent += count as u64;
                }
            }
        }
        timeout(self.bounds.stall, stream.flush()).await??;
        Ok(sent)
    }

    /// Damage in a tree is mended by computing it anew; damage in the bytes is found by that.
    fn doubt(&self, root: &kith_types::Blake3, error: EncodeError) -> io::Error {
        match error {
            EncodeError::Io(error) => error,
            EncodeError::Damaged(mismatch) => {
                tracing::warn!(%root, %mismatch, "what lies on the disk is damaged");
                self.blobs.doubt_tree(root);
                io::Error::new(io::ErrorKind::InvalidData, mismatch)
            }
        }
    }
}

/// The next block, and the encoding if more is to come.
fn filled(mut encoding: Encoding) -> Result<(Vec<u8>, Option<Encoding>), EncodeError> {
    let mut block = Vec::with_capacity(BLOCK + GROUP);
    let more = encoding.fill(&mut block, BLOCK)?;
    Ok((block, more.then_some(encoding)))
}

#[cfg(test)]
mod tests;
