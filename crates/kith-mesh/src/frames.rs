//! JSON in frames on a stream: a length (u32, big endian), then that many bytes. Unknown fields are ignored, as additive evolution needs.

use crate::{protocol::Protocol, stream::Stream, streams::OpenError};
use kith_types::NodeId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// One peer's part of the memory for frames: of eight that announce much and send nothing, each holds up itself before all others.
const SHARE: u32 = 8;

/// The memory that frames may hold, of all peers together and of each.
#[derive(Debug)]
pub(crate) struct Frames {
    total: u32,
    all: Arc<Semaphore>,
    /// Of peers with a frame at present.
    peers: Mutex<HashMap<NodeId, Weak<Semaphore>>>,
}

impl Frames {
    /// So many bytes in all.
    pub fn new(total: usize) -> Self {
        let total = u32::try_from(total.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { total, all: Arc::new(Semaphore::new(total as usize)), peers: Mutex::default() }
    }

    /// Room for a frame of `length` bytes from `peer`: first of what the peer may hold, then of what all may. A frame larger than
    /// either waits for the whole of it.
    async fn room(&self, peer: &NodeId, length: u32) -> io::Result<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = self.of(peer).acquire_many_owned(length.min(self.share())).await.map_err(io::Error::other)?;
        let all = Arc::clone(&self.all).acquire_many_owned(length.min(self.total)).await.map_err(io::Error::other)?;
        Ok((own, all))
    }

    fn share(&self) -> u32 {
        (self.total / SHARE).max(1)
    }

    fn of(&self, peer: &NodeId) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = peers.get(peer).and_then(Weak::upgrade) {
            return held;
        }
        peers.retain(|_, held| held.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.share() as usize));
        peers.insert(peer.clone(), Arc::downgrade(&new));
        new
    }
}

/// A kind of question that peers answer: its protocol, and its bounds.
#[derive(Debug, Clone)]
pub struct Call {
    /// What both speak.
    pub protocol: Protocol,
    /// Bytes of an answer's frame.
    pub max_frame: u32,
    /// Bytes of a question's frame.
    pub max_question: u32,
    /// From opening the stream to the whole answer.
    pub deadline: Duration,
}

impl Call {
    /// A call with questions and answers of at most `max_frame` bytes each, answered within `deadline`.
    ///
    /// # Errors
    /// A protocol's name that is malformed.
    pub fn new(protocol: &str, max_frame: u32, deadline: Duration) -> Result<Self, crate::protocol::ProtocolError> {
        Ok(Self { protocol: protocol.parse()?, max_frame, max_question: max_frame, deadline })
    }

    /// The same with questions of at most `most` bytes.
    #[must_use]
    pub fn with_questions_of(self, most: u32) -> Self {
        Self { max_question: most, ..self }
    }
}

/// Why a frame was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It has more bytes than the protocol allows.
    #[error("a frame of {size} bytes is more than the {most} that are allowed")]
    TooLarge {
        /// Bytes announced.
        size: usize,
        /// Bytes allowed.
        most: u32,
    },
    /// Its bytes are not what they should be.
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
    /// The stream ended or broke.
    #[error("the stream broke: {0}")]
    Io(#[from] std::io::Error),
}

impl FrameError {
    /// Whether the peer did what it must not do, and not merely went away.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Malformed(_))
    }
}

/// What a peer answers where it cannot give what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Declined {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Declined {
    /// An answer of regret.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// An answer as it travels.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer<A> {
    Ok(A),
    Declined(Declined),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No stream was opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The question was not sent.
    #[error("the question was not sent: {0}")]
    Question(FrameError),
    /// The answer was not read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It took too long.
    #[error("the peer did not answer in time")]
    Late,
    /// The peer said no.
    #[error(transparent)]
    Declined(#[from] Declined),
}

/// Writes `value` as one frame and flushes.
///
/// # Errors
/// [`FrameError::TooLarge`] before a byte is sent.
pub async fn write_json<T: Serialize>(stream: &mut Stream, value: &T, most: u32) -> Result<(), FrameError> {
    let body = serde_json::to_vec(value).map_err(|error| FrameError::Malformed(error.to_string()))?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= most);
    let length = length.ok_or(FrameError::TooLarge { size: body.len(), most })?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads one frame of at most `most` bytes. Waits while the frames of the peer, or of all peers together, hold as much memory as they may.
///
/// # Errors
/// [`FrameError::TooLarge`] before its bytes are read, [`FrameError::Malformed`] where they are not a `T`.
pub async fn read_json<T: DeserializeOwned>(stream: &mut Stream, most: u32) -> Result<T, FrameError> {
    let length = announced(stream, most).await?;
    let frames = Arc::clone(&stream.in_flight);
    let _room = frames.room(stream.peer(), length).await?;
    // Where this is given up the peer still owes what it announced.
    stream.owed = true;
    let body = whole(stream, length).await;
    stream.owed = false;
    parsed(&body?)
}

/// The length of the frame that comes.
pub(crate) async fn announced(stream: &mut (impl AsyncRead + Unpin), most: u32) -> Result<u32, FrameError> {
    let length = stream.read_u32().await?;
    if length > most {
        return Err(FrameError::TooLarge { size: length as usize, most });
    }
    Ok(length)
}

/// The frame's bytes. Memory follows the bytes that arrive, not the length that was announced.
pub(crate) async fn whole(stream: &mut (impl AsyncRead + Unpin), length: u32) -> Result<Vec<u8>, FrameError> {
    let mut body = Vec::new();
    if stream.take(u64::from(length)).read_to_end(&mut body).await? < length as usize {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(body)
}

/// What a frame's bytes say.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body).map_err(|error| FrameError::Malformed(error.to_string()))
}

/// Asks over an open stream.
pub(crate) async fn ask<Q: Serialize, A: DeserializeOwned>(
    mut stream: Stream,
    question: &Q,
    call: &Call,
) -> Result<A, RequestError> {
    write_json(&mut stream, question, call.max_question).await.map_err(RequestError::Question)?;
    match read_json(&mut stream, call.max_frame).await? {
        Answer::Ok(answer) => Ok(answer),
        Answer::Declined(declined) => Err(declined.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn node(seed: u8) -> NodeId {
        NodeId::from_ed25519(&[seed; 32])
    }

    #[test]
    fn a_peer_holds_its_part_and_no_more_and_whoever_has_no_frame_is_not_remembered() {
        let frames = Frames::new(800);
        let held = frames.room(&node(1), 100).now_or_never().unwrap().unwrap();
        assert!(frames.room(&node(1), 1).now_or_never().is_none(), "its part is full");
        let other = frames.room(&node(2), 100).now_or_never().unwrap().unwrap();
        drop(held);
        assert!(frames.room(&node(1), 1).now_or_never().is_some());
        drop(other);
        assert!(frames.room(&node(3), 1).now_or_never().is_some());
        assert_eq!(frames.peers.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_frame_larger_than_its_part_waits_for_the_whole_of_it_and_all_together_are_bounded() {
        let frames = Frames::new(800);
        let held: Vec<_> = (0..8).map(|seed| frames.room(&node(seed), 100).now_or_never().unwrap().unwrap()).collect();
        assert!(frames.room(&node(9), 1).now_or_never().is_none());
        drop(held);
        let large = frames.room(&node(9), 10_000).now_or_never().unwrap().unwrap();
        assert!(frames.room(&node(1), 1).now_or_never().is_none());
        drop(large);
        assert!(frames.room(&node(1), 1).now_or_never().is_some());
    }
}
