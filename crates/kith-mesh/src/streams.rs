//! The behaviour that opens and takes streams of the product's protocols, each peer within its bounds.

mod handler;

pub(crate) use handler::{Handler, OpenStream, Taken};

use crate::address::is_relayed;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Why a stream was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no connection to the peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// The peer speaks none of the versions asked for.
    #[error("the peer does not speak {0}")]
    Unsupported(String),
    /// This node has as many streams open to the peer as it allows itself.
    #[error("too many streams to the peer are open")]
    TooMany,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    Late,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A protocol's name is malformed.
    #[error(transparent)]
    Protocol(#[from] crate::protocol::ProtocolError),
    /// The mesh has stopped.
    #[error("the mesh has stopped")]
    Stopped,
}

/// A stream, what it speaks, and its place among the peer's streams.
pub(crate) type Opened = (libp2p::Stream, StreamProtocol, OwnedSemaphorePermit);

/// What the behaviour tells the event loop.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    Inbound { peer: PeerId, stream: libp2p::Stream, protocol: StreamProtocol, place: OwnedSemaphorePermit },
    TooMany { peer: PeerId },
}

struct Peer {
    inbound: Arc<Semaphore>,
    outbound: Arc<Semaphore>,
    /// Its connections, and whether each is relayed.
    connections: Vec<(ConnectionId, bool)>,
}

pub(crate) struct Streams {
    offered: Arc<[StreamProtocol]>,
    most_inbound: usize,
    most_outbound: usize,
    peers: HashMap<PeerId, Peer>,
    queue: VecDeque<ToSwarm<StreamEvent, OpenStream>>,
    waker: Option<Waker>,
}

impl Streams {
    pub fn new(offered: Vec<StreamProtocol>, most_inbound: usize, most_outbound: usize) -> Self {
        Self { offered: offered.into(), most_inbound, most_outbound, peers: HashMap::new(), queue: VecDeque::new(), waker: None }
    }

    /// Opens a stream in the first of `protocols` that the peer speaks: over a direct connection if there is one, and of several over the
    /// youngest, since an older one may be dead and not know it.
    pub fn open(&mut self, peer: &PeerId, protocols: Vec<StreamProtocol>, reply: oneshot::Sender<Result<Opened, OpenError>>) {
        let known = self.peers.get(peer).and_then(|known| {
            let best = known.connections.iter().rev().min_by_key(|(_, relayed)| *relayed)?;
            Some((best.0, Arc::clone(&known.outbound)))
        });
        let answer = match known {
            None => Err(OpenError::NotConnected),
            Some((connection, places)) => {
                places.try_acquire_owned().map(|place| (connection, place)).map_err(|_| OpenError::TooMany)
            }
        };
        match answer {
            Ok((connection, place)) => {
                let event = OpenStream { protocols, reply, place };
                self.queue.push_back(ToSwarm::NotifyHandler { peer_id: *peer, handler: NotifyHandler::One(connection), event });
                if let Some(waker) = self.waker.take() {
                    waker.wake();
                }
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// Streams of the product open with `peer`, in both directions.
    pub fn open_with(&self, peer: &PeerId) -> usize {
        self.peers.get(peer).map_or(0, |known| {
            let held = |places: &Semaphore, most: usize| most.saturating_sub(places.available_permits());
            held(&known.inbound, self.most_inbound) + held(&known.outbound, self.most_outbound)
        })
    }

    fn handler(&mut self, id: ConnectionId, peer: PeerId, relayed: bool) -> Handler {
        let (inbound, outbound) = (self.most_inbound, self.most_outbound);
        let known = self.peers.entry(peer).or_insert_with(|| Peer {
            inbound: Arc::new(Semaphore::new(inbound)),
            outbound: Arc::new(Semaphore::new(outbound)),
            connections: Vec::new(),
        });
        known.connections.push((id, relayed));
        Handler::new(Arc::clone(&self.offered), Arc::clone(&known.inbound))
    }

    fn closed(&mut self, peer: &PeerId, id: ConnectionId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.connections.retain(|(held, _)| *held != id);
            if known.connections.is_empty() {
                self.peers.remove(peer);
            }
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = StreamEvent;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(id, peer, is_relayed(remote)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(id, peer, is_relayed(remote)))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                // An inbound circuit shows itself by its local address.
                let relayed = match event.endpoint {
                    ConnectedPoint::Dialer { address, .. } => is_relayed(address),
                    ConnectedPoint::Listener { local_addr, send_back_addr } => {
                        is_relayed(local_addr) || is_relayed(send_back_addr)
                    }
                };
                if let Some(known) = self.peers.get_mut(&event.peer_id)
                    && let Some(held) = known.connections.iter_mut().find(|(id, _)| *id == event.connection_id)
                {
                    held.1 = relayed;
                }
            }
            FromSwarm::ConnectionClosed(event) => self.closed(&event.peer_id, event.connection_id),
            // Another behaviour denied it after this one had made its handler.
            FromSwarm::ListenFailure(event) => {
                if let Some(peer) = event.peer_id {
                    self.closed(&peer, event.connection_id);
                }
            }
            FromSwarm::DialFailure(event) => {
                if let Some(peer) = event.peer_id {
                    self.closed(&peer, event.connection_id);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        let event = match event {
            Taken::Stream { stream, protocol, place } => StreamEvent::Inbound { peer, stream, protocol, place },
            Taken::TooMany => StreamEvent::TooMany { peer },
        };
        self.queue.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<StreamEvent, THandlerInEvent<Self>>> {
        match self.queue.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
