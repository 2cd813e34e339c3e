//! Fetching a blob from many holders at once: what comes is verified group by group, kept across restarts, and stored only as the whole
//! that was asked for. It knows no network: holders are handed in, and may come and go.
//!
//! Memory: each of [`Terms::together`] holders has at most three pieces of 1 MiB (one filling, one on its way to the disk, one waiting
//! for it) and 128 KiB of buffers; with 16 holders about 50 MiB, whatever the size of the blob. Beyond that, eight bytes a piece and holder.

mod agree;
mod crew;
mod plan;
mod roster;
mod session;
mod work;

pub use plan::Pace;

use crate::{
    BlobError, Blobs, Gate, Put, Room, Throttle,
    wire::{Code, What},
};
use async_trait::async_trait;
use kith_types::{Blake3, Sha256};
use roster::Roster;
use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

/// A stream to a holder.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// Somebody who may have the blob.
#[async_trait]
pub trait Holder: Send + Sync {
    /// Its name, the same each time it joins: what is reported, and what a drop for good is remembered by.
    fn id(&self) -> &str;
    /// Opens a stream for [`crate::wire::PROTOCOL`].
    async fn open(&self) -> io::Result<Box<dyn Wire>>;
}

/// A holder comes or goes.
pub enum Change {
    /// It can be asked from now on. One that is known already is not asked twice.
    Joined(Arc<dyn Holder>),
    /// It is gone; if it comes back, it is told again.
    Left(String),
}

/// Holders known to one fetch at the most; of more, the later ones are passed over.
pub const MAX_HOLDERS: usize = 256;

/// Roots tried for one SHA-256 at the most.
pub const MAX_ROOTS: usize = 8;

/// What shall be fetched.
#[derive(Debug)]
pub struct Wanted {
    /// Which blob.
    pub what: What,
    /// Its SHA-256, where that is known besides its root: checked at the end.
    pub sha256: Option<Sha256>,
    /// Its bytes, where they are known for sure: of another size it is something else.
    pub size: Option<u64>,
    /// The most bytes it may have.
    pub limit: u64,
    /// Room that was promised for it; without it, room is reserved once its size is proven.
    pub room: Option<Room>,
    /// Bytes that stay free on the disk beside it.
    pub spare: u64,
}

/// How it is fetched.
#[derive(Clone)]
pub struct Terms {
    /// Limit of what comes, all holders together.
    pub download: Throttle,
    /// While it is closed nothing new is asked for; what was asked for still comes, at most 32 MiB a holder.
    pub gate: Gate,
    /// Holders asked at the same time.
    pub together: usize,
    /// How long a holder may take to open a stream.
    pub open: Duration,
    /// How long it may take to answer.
    pub answer: Duration,
    /// How long it may take for the next 16 KiB.
    pub stall: Duration,
    /// How long a holder works before it can be found slow.
    pub slow_after: Duration,
    /// How long a slow holder rests before it is tried again; it is the pause after a failure too, shorter at first.
    pub rest: Duration,
    /// Failures of one holder in a row, without a verified byte between them, until it is dropped.
    pub tries: u32,
    /// How long to wait for other opinions about the root of a SHA-256 after the first one.
    pub gather: Duration,
    /// How long nothing may come, from anybody, before the fetch gives up. Time with a closed gate does not count.
    pub patience: Duration,
    /// The least that shall come; below it the fetch gives up, however steadily it comes.
    pub least: Option<Least>,
    /// How long nobody may name the root of a SHA-256 before the fetch gives up.
    pub agreement: Duration,
    /// How long holders that compute the tree of a SHA-256's blob are waited for in all, each time [`Terms::patience`] from what they
    /// say on.
    pub prepare: Duration,
    /// Time that a crash may cost; 64 MiB are the most in any case.
    pub checkpoint: Duration,
    /// Any number, different on each node: where among equally rare pieces it begins.
    pub start: u64,
}

/// What shall come, from all holders together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// Verified bytes a second; a quarter of the download limit where that is less.
    pub rate: u64,
    /// So long a time is looked at. Time with a closed gate does not count.
    pub over: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            download: Throttle::default(),
            gate: Arc::new(|| true),
            together: 16,
            open: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(20),
            slow_after: Duration::from_secs(5),
            rest: Duration::from_secs(30),
            tries: 3,
            gather: Duration::from_millis(300),
            patience: Duration::from_secs(60),
            least: None,
            agreement: Duration::from_secs(10),
            prepare: Duration::from_secs(600),
            checkpoint: Duration::from_secs(5),
            start: 0,
        }
    }
}

/// Why a holder is not asked any more, or not now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It sent wrong bytes in this group; none of them was taken.
    #[error("it sent wrong bytes at group {group}")]
    Corrupt {
        /// The group of 16 KiB.
        group: u64,
    },
    /// What it said is not true, or makes no sense.
    #[error("{0}")]
    Lied(String),
    /// It does not have the blob, or its copy is damaged.
    #[error("it does not have it")]
    Absent,
    /// It said that it cannot now.
    #[error("it cannot now: {0:?}")]
    Later(Code),
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("nothing came for too long")]
    Stalled,
    /// It is much slower than the others.
    #[error("it is much slower than the others")]
    Slow,
}

impl Why {
    /// Whether asking the holder again for the same is of no use.
    fn is_final(&self) -> bool {
        self.is_false() || *self == Self::Absent
    }

    /// Whether the holder is never asked for anything again.
    fn is_false(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Lied(_))
    }
}

/// What a fetch tells while it goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The size is proven; so many bytes lay ready from an earlier attempt.
    Proven {
        /// The digest of the whole.
        root: Blake3,
        /// Its bytes.
        size: u64,
        /// Those that are there.
        held: u64,
    },
    /// A holder is not asked for a while.
    Rests {
        /// Its name.
        holder: String,
        /// Why.
        why: Why,
    },
    /// A holder is not asked any more, unless it leaves and comes back; one that sent wrong bytes, or lied, not even then.
    Dropped {
        /// Its name.
        holder: String,
        /// Why.
        why: Why,
    },
    /// How far it is, four times a second.
    Progress(Progress),
    /// All bytes are there and are read again as a whole.
    Verifying,
}

/// How far a fetch is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Bytes of the whole.
    pub size: u64,
    /// Bytes that are there.
    pub held: u64,
    /// What each holder does, by its name.
    pub holders: BTreeMap<String, Pace>,
    /// Whether the gate is closed.
    pub paused: bool,
}

/// Is given the events of a fetch, one after another. It must be quick.
pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// A fetch failed. The pieces that came are kept for the next attempt, unless they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody gives it, or what is missing of it.
    #[error("nobody who can be reached has it")]
    NoHolder,
    /// It is larger than allowed.
    #[error("it has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Its bytes, proven.
        size: u64,
        /// The most bytes allowed.
        limit: u64,
    },
    /// It has not the size that it shall have.
    #[error("it has {size} bytes instead of {wanted}")]
    OtherSize {
        /// Its bytes, proven.
        size: u64,
        /// Those it shall have.
        wanted: u64,
    },
    /// The disk, or the whole is not what it shall be.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Fetches a blob from the holders that are told over `holders`, and stores it. Dropping the future stops it, and leaves no task; what
/// came up to the last checkpoint ([`Terms::checkpoint`]) is used by the next attempt.
///
/// A root that holders claimed for a SHA-256 is believed only when the whole has that digest. If it has not, is too large, or nobody
/// gives it, those who claimed it are dropped, and the next claim is tried: at most [`MAX_ROOTS`] of them.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    blobs: &Blobs,
    wanted: Wanted,
    holders: mpsc::Receiver<Change>,
    terms: Terms,
    tell: Tell,
) -> Result<Put, FetchError> {
    let Wanted { what, sha256, size, limit, mut room, spare } = wanted;
    let mut roster = Roster::new(holders);
    let named = match what {
        What::Sha256(named) => named,
        What::Blake3(root) => {
            let aim = work::Aim { root, sha256, size, limit, spare };
            return work::download(blobs, aim, room, &mut roster, &terms, &tell).await;
        }
    };
    let mut question = agree::Question { sha256: named, size, refuted: HashSet::new() };
    for _ in 0..MAX_ROOTS {
        let (root, claimed) = agree::agree(&mut roster, &question, &terms, &tell).await?;
        let aim = work::Aim { root, sha256: Some(named), size, limit, spare };
        let failed = match work::download(blobs, aim, room.take(), &mut roster, &terms, &tell).await {
            Ok(put) => return Ok(put),
            Err(failed) => failed,
        };
        let why = match &failed {
            FetchError::Blob(BlobError::WrongDigest { .. }) => Why::Lied(format!("what it named has not the digest {what}")),
            // The limit may be another's word, and who has nothing any more may have had it: no proof of a lie.
            FetchError::TooLarge { .. } | FetchError::OtherSize { .. } => Why::Absent,
            FetchError::NoHolder | FetchError::Blob(BlobError::Fetching(_)) => Why::Absent,
            FetchError::Blob(_) => return Err(failed),
        };
        if !matches!(failed, FetchError::NoHolder) {
            question.refuted.insert(root);
        }
        for holder in claimed {
            roster.ban(&holder);
            tell(Event::Dropped { holder, why: why.clone() });
        }
        // Who said nothing so far, or something else, may know better.
        if matches!(failed, FetchError::NoHolder) && roster.known().is_empty() {
            return Err(failed);
        }
    }
    Err(FetchError::NoHolder)
}

#[cfg(test)]
mod tests;
