//! JSON in frames on a stream: a length (u32, big endian), then that many bytes. Unknown fields are ignored, as additive evolution needs.

use crate::{protocol::Protocol, stream::Stream, streams::OpenError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A kind of question that peers answer: its protocol, and its bounds.
#[derive(Debug, Clone)]
pub struct Call {
    /// What both speak.
    pub protocol: Protocol,
    /// Bytes of a question's or an answer's frame.
    pub max_frame: u32,
    /// From opening the stream to the whole answer.
    pub deadline: Duration,
}

impl Call {
    /// A call with frames of at most `max_frame` bytes, answered within `deadline`.
    ///
    /// # Errors
    /// A protocol's name that is malformed.
    pub fn new(protocol: &str, max_frame: u32, deadline: Duration) -> Result<Self, crate::protocol::ProtocolError> {
        Ok(Self { protocol: protocol.parse()?, max_frame, deadline })
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

/// Reads one frame of at most `most` bytes. Waits while the frames of all peers together hold as much memory as they may.
///
/// # Errors
/// [`FrameError::TooLarge`] before its bytes are read, [`FrameError::Malformed`] where they are not a `T`.
pub async fn read_json<T: DeserializeOwned>(stream: &mut Stream, most: u32) -> Result<T, FrameError> {
    let length = stream.read_u32().await?;
    if length > most {
        return Err(FrameError::TooLarge { size: length as usize, most });
    }
    let _held = Arc::clone(&stream.in_flight)
        .acquire_many_owned(length)
        .await
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut body = Vec::new();
    // Memory follows the bytes that arrive, not the length that was announced.
    if stream.take(u64::from(length)).read_to_end(&mut body).await? < length as usize {
        return Err(FrameError::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&body).map_err(|error| FrameError::Malformed(error.to_string()))
}

/// Asks over an open stream.
pub(crate) async fn ask<Q: Serialize, A: DeserializeOwned>(
    mut stream: Stream,
    question: &Q,
    most: u32,
) -> Result<A, RequestError> {
    write_json(&mut stream, question, most).await.map_err(RequestError::Question)?;
    match read_json(&mut stream, most).await? {
        Answer::Ok(answer) => Ok(answer),
        Answer::Declined(declined) => Err(declined.into()),
    }
}
