//! The streams of one connection.

use super::{OpenError, Opened};
use crate::bounds::STREAM_QUEUE;
use futures::future::{Ready, ready};
use libp2p::{
    StreamProtocol,
    core::{
        UpgradeInfo,
        upgrade::{InboundUpgrade, OutboundUpgrade},
    },
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// That a stream shall be opened in the first of these protocols that the peer speaks.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub protocols: Vec<StreamProtocol>,
    pub reply: oneshot::Sender<Result<Opened, OpenError>>,
    pub place: OwnedSemaphorePermit,
}

/// What the peer opened.
#[derive(Debug)]
pub(crate) enum Taken {
    Stream { stream: libp2p::Stream, protocol: StreamProtocol, place: OwnedSemaphorePermit },
    TooMany,
}

/// Negotiates one of several protocols, and does nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Offer(Arc<[StreamProtocol]>);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    #[allow(clippy::unnecessary_to_owned, reason = "the iterator outlives the offer")]
    fn protocol_info(&self) -> Self::InfoIter {
        self.0.to_vec().into_iter()
    }
}

impl InboundUpgrade<libp2p::Stream> for Offer {
    type Output = (libp2p::Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: libp2p::Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<libp2p::Stream> for Offer {
    type Output = (libp2p::Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: libp2p::Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// Who waits for a stream.
pub(crate) struct Waiting {
    wanted: String,
    reply: oneshot::Sender<Result<Opened, OpenError>>,
    place: OwnedSemaphorePermit,
}

pub(crate) struct Handler {
    offered: Arc<[StreamProtocol]>,
    /// Places for the peer's streams, over all its connections.
    inbound: Arc<Semaphore>,
    /// Bounded by the places that each of them holds.
    wanted: VecDeque<OpenStream>,
    /// Streams on their way to the event loop; further ones wait in Yamux, whose bound then holds the peer.
    taken: VecDeque<Taken>,
    waker: Option<Waker>,
}

impl Handler {
    pub(super) fn new(offered: Arc<[StreamProtocol]>, inbound: Arc<Semaphore>) -> Self {
        Self { offered, inbound, wanted: VecDeque::new(), taken: VecDeque::new(), waker: None }
    }

    fn take(&mut self, stream: libp2p::Stream, protocol: StreamProtocol) {
        if self.taken.len() >= STREAM_QUEUE {
            self.taken.push_back(Taken::TooMany);
            self.taken.truncate(STREAM_QUEUE + 1);
            return;
        }
        self.taken.push_back(match Arc::clone(&self.inbound).try_acquire_owned() {
            Ok(place) => Taken::Stream { stream, protocol, place },
            Err(_) => Taken::TooMany,
        });
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = OpenStream;
    type ToBehaviour = Taken;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Waiting;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer, ()> {
        SubstreamProtocol::new(Offer(Arc::clone(&self.offered)), ())
    }

    /// Members stay connected: whether a connection is one too many is for the event loop to say.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, Waiting, Taken>> {
        if let Some(taken) = self.taken.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(taken));
        }
        if let Some(OpenStream { protocols, reply, place }) = self.wanted.pop_front() {
            let wanted = protocols.iter().map(StreamProtocol::as_ref).collect::<Vec<_>>().join(" or ");
            let protocol = SubstreamProtocol::new(Offer(protocols.into()), Waiting { wanted, reply, place });
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: OpenStream) {
        self.wanted.push_back(open);
        self.wake();
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), Waiting>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (stream, protocol), .. }) => {
                self.take(stream, protocol);
                self.wake();
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: (stream, protocol), info }) => {
                drop(info.reply.send(Ok((stream, protocol, info.place))));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::Late,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported(info.wanted),
                    StreamUpgradeError::Io(error) => OpenError::Broken(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                drop(info.reply.send(Err(error)));
            }
            _ => {}
        }
    }
}
