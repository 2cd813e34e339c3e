//! The upgrade that makes a connection a member's: Noise says who the peer is, then both sides judge each other, before any protocol is spoken.
//!
//! On the wire, after Noise: the dialler's hello, the listener's hello, the dialler's verdict, the listener's verdict. A frame is a length
//! (u32, big endian, of what follows), the protocol byte 1, and a body; a verdict's body is 0 and a welcome, or 1 and a refusal as JSON.

use crate::{
    address::node_id,
    bounds::{MAX_ADMISSION_FRAME, MAX_REFUSAL_CODE, MAX_REFUSAL_MESSAGE},
    event::Refuser,
    ports::{Admission, KeyUse, Refusal},
    standing::Bans,
    traffic::{Counted, Traffic},
};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future::BoxFuture};
use kith_types::NodeId;
use libp2p::{
    PeerId,
    core::{
        UpgradeInfo,
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
    },
    noise,
};
use serde::{Deserialize, Serialize};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The version of the admission frames.
const PROTOCOL: u8 = 1;
const ADMITTED: u8 = 0;
const REFUSED: u8 = 1;

/// That a connection was refused, by this side or the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub peer: NodeId,
    pub by: Refuser,
    pub code: String,
    pub message: String,
}

/// Why a connection did not become a member's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    #[error("the handshake failed: {0}")]
    Noise(#[from] noise::Error),
    #[error("the connection broke during admission: {0}")]
    Io(#[from] io::Error),
    #[error("the peer took too long over its admission")]
    Late,
    #[error("the peer's admission frames are malformed: {0}")]
    Malformed(&'static str),
    #[error("the peer's key is not Ed25519")]
    Key,
    #[error("the connection was made with a retired key, and ended when both sides had told what they know")]
    Retired,
    #[error("refused ({}): {}", .0.code, .0.message)]
    Refused(Refused),
}

/// The refusal as it travels.
#[derive(Serialize, Deserialize)]
struct RefusalBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Stands at the door: Noise, then [`Admission`].
#[derive(Clone)]
pub(crate) struct Door {
    pub noise: noise::Config,
    /// The key that the connection was made with; Noise's prologue is of the same.
    pub key: KeyUse,
    pub admission: Arc<dyn Admission>,
    pub bans: Bans,
    pub traffic: Traffic,
    /// Refusals on their way to the event loop. Where it is full they are still in the log and in the error of the dial.
    pub refusals: mpsc::Sender<Refused>,
    pub deadline: Duration,
}

impl UpgradeInfo for Door {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/kith/noise/1")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<C> for Door {
    type Output = (PeerId, Counted<noise::Output<C>>);
    type Error = AdmissionError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, io: C, info: &'static str) -> Self::Future {
        Box::pin(async move {
            let (peer, io) = self.noise.clone().upgrade_inbound(io, info).await?;
            self.pass(peer, io, false).await
        })
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<C> for Door {
    type Output = (PeerId, Counted<noise::Output<C>>);
    type Error = AdmissionError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, io: C, info: &'static str) -> Self::Future {
        Box::pin(async move {
            let (peer, io) = self.noise.clone().upgrade_outbound(io, info).await?;
            self.pass(peer, io, true).await
        })
    }
}

impl Door {
    /// Both sides judge each other; `peer` has proved that it is that.
    pub async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        peer: PeerId,
        io: S,
        dialler: bool,
    ) -> Result<(PeerId, Counted<S>), AdmissionError> {
        let node = node_id(&peer).ok_or(AdmissionError::Key)?;
        let mut io = self.traffic.counted(io, peer);
        let talk = async {
            if dialler { self.as_dialler(&node, &peer, &mut io).await } else { self.as_listener(&node, &peer, &mut io).await }
        };
        match tokio::time::timeout(self.deadline, talk).await.unwrap_or(Err(AdmissionError::Late)) {
            Ok(()) => Ok((peer, io)),
            Err(error) => {
                if let AdmissionError::Refused(refused) = &error
                    && self.refusals.try_send(refused.clone()).is_err()
                {
                    tracing::debug!(peer = %refused.peer, code = %refused.code, "a refusal was not told: too many at once");
                }
                Err(error)
            }
        }
    }

    async fn as_dialler<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        node: &NodeId,
        peer: &PeerId,
        io: &mut S,
    ) -> Result<(), AdmissionError> {
        write_frame(io, &[&self.admission.hello(node).await]).await?;
        let hello = read_frame(io).await?;
        self.judge(node, peer, &hello, io).await?;
        let welcome = read_verdict(node, io).await?;
        self.admission.admitted(node, &welcome).await.map_err(|refusal| AdmissionError::Refused(by_us(node, &refusal)))?;
        self.stay(io).await
    }

    async fn as_listener<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        node: &NodeId,
        peer: &PeerId,
        io: &mut S,
    ) -> Result<(), AdmissionError> {
        let hello = read_frame(io).await?;
        write_frame(io, &[&self.admission.hello(node).await]).await?;
        let welcome = read_verdict(node, io).await?;
        if let Err(refusal) = self.admission.admitted(node, &welcome).await {
            return self.refuse(node, &refusal, io).await;
        }
        self.judge(node, peer, &hello, io).await?;
        self.stay(io).await
    }

    /// Nothing is spoken under a retired key: both sides have told each other what they know, and come again with the present one.
    async fn stay<S: AsyncWrite + Unpin>(&self, io: &mut S) -> Result<(), AdmissionError> {
        match self.key {
            KeyUse::Present => Ok(()),
            // The peer has read all that it needs before it says anything more.
            KeyUse::Retired(_) => {
                io.close().await.ok();
                Err(AdmissionError::Retired)
            }
        }
    }

    /// Judges the hello and tells the peer.
    async fn judge<S: AsyncWrite + Unpin>(
        &self,
        node: &NodeId,
        peer: &PeerId,
        hello: &[u8],
        io: &mut S,
    ) -> Result<(), AdmissionError> {
        let verdict = match self.bans.reason(peer) {
            Some(reason) => Err(Refusal::new("banned", reason)),
            None => self.admission.judge(node, hello, self.key).await,
        };
        match verdict {
            Ok(welcome) => write_frame(io, &[&[ADMITTED], &welcome]).await,
            Err(refusal) => self.refuse(node, &refusal, io).await,
        }
    }

    async fn refuse<S: AsyncWrite + Unpin>(&self, node: &NodeId, refusal: &Refusal, io: &mut S) -> Result<(), AdmissionError> {
        let refused = by_us(node, refusal);
        let body = RefusalBody { code: refused.code.clone(), message: refused.message.clone() };
        let body = serde_json::to_vec(&body).map_err(io::Error::other)?;
        // The peer may be gone already; that it is refused stays true.
        if write_frame(io, &[&[REFUSED], &body]).await.is_ok() {
            io.close().await.ok();
        }
        Err(AdmissionError::Refused(refused))
    }
}

fn by_us(node: &NodeId, refusal: &Refusal) -> Refused {
    Refused {
        peer: node.clone(),
        by: Refuser::ThisNode,
        code: clipped(refusal.code, MAX_REFUSAL_CODE),
        message: clipped(&refusal.message, MAX_REFUSAL_MESSAGE),
    }
}

/// The first `most` characters, none of them a control character: a stranger wrote them.
fn clipped(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

async fn read_verdict<S: AsyncRead + Unpin>(node: &NodeId, io: &mut S) -> Result<Vec<u8>, AdmissionError> {
    let mut verdict = read_frame(io).await?;
    match verdict.first() {
        Some(&ADMITTED) => {
            verdict.remove(0);
            Ok(verdict)
        }
        Some(&REFUSED) => {
            let body: RefusalBody =
                serde_json::from_slice(&verdict[1..]).map_err(|_| AdmissionError::Malformed("a refusal without words"))?;
            Err(AdmissionError::Refused(Refused {
                peer: node.clone(),
                by: Refuser::Peer,
                code: clipped(&body.code, MAX_REFUSAL_CODE),
                message: clipped(&body.message, MAX_REFUSAL_MESSAGE),
            }))
        }
        _ => Err(AdmissionError::Malformed("neither a welcome nor a refusal")),
    }
}

async fn write_frame<S: AsyncWrite + Unpin>(io: &mut S, parts: &[&[u8]]) -> Result<(), AdmissionError> {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    if body > MAX_ADMISSION_FRAME {
        return Err(AdmissionError::Malformed("this node's own frame is too large"));
    }
    let length = u32::try_from(body + 1).map_err(|_| AdmissionError::Malformed("too large"))?;
    let mut frame = Vec::with_capacity(body + 5);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.push(PROTOCOL);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    io.write_all(&frame).await?;
    io.flush().await?;
    Ok(())
}

async fn read_frame<S: AsyncRead + Unpin>(io: &mut S) -> Result<Vec<u8>, AdmissionError> {
    let mut head = [0; 5];
    io.read_exact(&mut head).await?;
    let [a, b, c, d, protocol] = head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length == 0 || length > MAX_ADMISSION_FRAME + 1 {
        return Err(AdmissionError::Malformed("a frame's length is out of bounds"));
    }
    if protocol != PROTOCOL {
        return Err(AdmissionError::Malformed("an unknown version of admission"));
    }
    let mut body = vec![0; length - 1];
    io.read_exact(&mut body).await?;
    Ok(body)
}

#[cfg(test)]
mod tests;
