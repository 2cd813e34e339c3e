//! The words of `/kith/blobs/1`: frames of JSON, each behind its length, and raw slices between them. Unknown fields are passed over and
//! missing ones have a meaning, so that newer holders and older ones understand each other.

use crate::{
    ranges::Ranges,
    tree::{self, MAX_SIZE},
};
use kith_types::{Blake3, DigestError, Sha256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, io, str::FromStr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// The protocol's name, under which streams are opened.
pub const PROTOCOL: &str = "/kith/blobs/1";
/// Bytes of the longest request: room for [`MAX_ASKED`] ranges twice over.
pub const MAX_REQUEST: usize = 16 << 10;
/// Bytes of the longest answer: room for [`MAX_HAVE`] and [`MAX_ASKED`] ranges of the longest numbers.
pub const MAX_ANSWER: usize = 64 << 10;
/// Ranges in a request.
pub const MAX_ASKED: usize = 256;
/// Ranges of what a holder says that it has; of more it tells the first.
pub const MAX_HAVE: usize = 1024;
/// Groups that one answer brings: 16 MiB. Who wants more asks again.
pub const MAX_GROUPS: u64 = 1024;
/// How long a frame may take from its first byte to its last.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(10);

/// Which blob is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// The one with this root.
    Blake3(Blake3),
    /// The one with this SHA-256, as model hubs name it.
    Sha256(Sha256),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blake3(root) => root.fmt(f),
            Self::Sha256(sha256) => sha256.fmt(f),
        }
    }
}

impl FromStr for What {
    type Err = DigestError;

    /// Reads `blake3:…` or `sha256:…`.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.starts_with("blake3:") {
            return Ok(Self::Blake3(text.parse()?));
        }
        if text.starts_with("sha256:") {
            return Ok(Self::Sha256(text.parse()?));
        }
        Err(DigestError(text.chars().take(80).collect()))
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A request: groups of a blob. Without ranges it only asks what the holder has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which blob.
    pub what: What,
    /// Ranges of groups: the first and their number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<(u64, u64)>,
    /// The most groups that the answer shall bring; the holder has a bound of its own.
    #[serde(default = "most")]
    pub max: u64,
}

fn most() -> u64 {
    MAX_GROUPS
}

/// An answer as it travels: an offer, or a refusal.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Blake3>,
    #[serde(default)]
    size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    have: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sends: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
}

/// What a holder has of a blob, and what it sends now: a slice of these groups follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The digest of the whole, as the holder says.
    pub root: Blake3,
    /// Bytes of the whole, as the holder says; proven by the last group alone.
    pub size: u64,
    /// What of it the holder has.
    pub have: Ranges,
    /// What follows.
    pub sends: Ranges,
}

/// A holder says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What the asker can do about it; an unknown code is as [`Code::Busy`].
    #[serde(default)]
    pub code: Code,
    /// A sentence for people, at most [`MAX_MESSAGE`] bytes.
    #[serde(default)]
    pub message: String,
}

/// Bytes of a refusal's sentence.
pub const MAX_MESSAGE: usize = 300;

/// Why a holder says no.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It does not have the blob, or not for this asker. Ask others.
    Absent,
    /// It is computing the blob's tree. Ask later.
    Preparing,
    /// It sends nothing at this hour, or over this connection. Ask later.
    Quiet,
    /// Its copy is damaged. Ask others.
    Damaged,
    /// The request makes no sense.
    Malformed,
    /// It has enough to do. Ask later.
    #[default]
    #[serde(other)]
    Busy,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It is longer than allowed.
    #[error("a frame of {0} bytes is too long")]
    TooLong(u64),
    /// It is not what is due here.
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
    /// It did not come in time.
    #[error("a frame did not come in time")]
    Late,
    /// The stream broke off.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a request's JSON, whatever it is.
///
/// # Errors
/// [`FrameError::Malformed`], also for more than [`MAX_ASKED`] ranges.
pub fn read_request(json: &[u8]) -> Result<Request, FrameError> {
    let request: Request = serde_json::from_slice(json).map_err(|error| FrameError::Malformed(error.to_string()))?;
    if request.ranges.len() > MAX_ASKED {
        return Err(FrameError::Malformed("it asks for too many ranges".to_owned()));
    }
    Ok(request)
}

/// Reads an answer's JSON, whatever it is. Of an offer every range is inside the blob.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn read_answer(json: &[u8]) -> Result<Result<Offer, Refusal>, FrameError> {
    let malformed = |why: &str| FrameError::Malformed(why.to_owned());
    let answer: Answer = serde_json::from_slice(json).map_err(|error| FrameError::Malformed(error.to_string()))?;
    if let Some(mut refusal) = answer.refusal {
        let end = refusal.message.floor_char_boundary(MAX_MESSAGE);
        refusal.message.truncate(end);
        return Ok(Err(refusal));
    }
    let root = answer.root.ok_or_else(|| malformed("it names no root"))?;
    if answer.size > MAX_SIZE || answer.have.len() > MAX_HAVE || answer.sends.len() > MAX_ASKED {
        return Err(malformed("it offers too much"));
    }
    let read = |pairs: &[(u64, u64)]| {
        Ranges::read(pairs, tree::groups(answer.size)).ok_or_else(|| malformed("its ranges are not inside the blob"))
    };
    let (have, sends) = (read(&answer.have)?, read(&answer.sends)?);
    Ok(Ok(Offer { root, size: answer.size, have, sends }))
}

/// Writes a request.
pub async fn send_request(stream: &mut (impl AsyncWrite + Unpin), request: &Request) -> io::Result<()> {
    send(stream, request, MAX_REQUEST).await
}

/// Writes an answer.
pub async fn send_answer(stream: &mut (impl AsyncWrite + Unpin), answer: &Result<Offer, Refusal>) -> io::Result<()> {
    let answer = match answer {
        Ok(Offer { root, size, have, sends }) => {
            Answer { root: Some(*root), size: *size, have: have.pairs().to_vec(), sends: sends.pairs().to_vec(), refusal: None }
        }
        Err(refusal) => Answer { refusal: Some(refusal.clone()), ..Answer::default() },
    };
    send(stream, &answer, MAX_ANSWER).await
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), frame: &impl Serialize, most: usize) -> io::Result<()> {
    let json = serde_json::to_vec(frame)?;
    let length = u32::try_from(json.len()).ok().filter(|_| json.len() <= most).ok_or(io::ErrorKind::InvalidInput)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(json);
    let sent = async {
        stream.write_all(&framed).await?;
        stream.flush().await
    };
    timeout(FRAME_DEADLINE, sent).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Reads a frame of at most `most` bytes; `None` if the stream ends before its first byte. Waits at most `patience` for that one.
///
/// # Errors
/// [`FrameError`].
pub async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    most: usize,
    patience: Duration,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut head = [0; 4];
    let (first, rest) = head.split_at_mut(1);
    if timeout(patience, stream.read(first)).await.map_err(|_| FrameError::Late)?? == 0 {
        return Ok(None);
    }
    let frame = async {
        stream.read_exact(rest).await?;
        let length = first.iter().chain(rest.iter()).fold(0u32, |length, byte| length << 8 | u32::from(*byte));
        if length as usize > most {
            return Err(FrameError::TooLong(length.into()));
        }
        // Taken as it comes: who announces much and sends nothing takes no memory.
        let mut json = Vec::new();
        if (&mut *stream).take(length.into()).read_to_end(&mut json).await? < length as usize {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Some(json))
    };
    timeout(FRAME_DEADLINE, frame).await.map_err(|_| FrameError::Late)?
}

#[cfg(test)]
mod tests;
