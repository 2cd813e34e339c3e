//! The handle to a running mesh: cheap to clone, everything it does is a command to the event loop.

use crate::{
    address::{Address, resolve},
    bounds::STOP_DEADLINE,
    event::{Event, Fault, Refuser},
    exchange::Hint,
    frames::{self, Call, Frames, RequestError},
    gossip::PublishError,
    links::PeerFigures,
    protocol::Protocol,
    reach::Reachability,
    stream::Stream,
    streams::{OpenError, Opened},
    traffic::Traffic,
};
use kith_types::NodeId;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinHandle,
};

/// Why a peer was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// It was reached, and one side did not let the other in.
    #[error("{message} ({code})")]
    Refused {
        /// Who refused.
        by: Refuser,
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// No address led to it.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// Nobody knows an address of it.
    #[error("no address of the peer is known")]
    NoAddress,
    /// It is kept out.
    #[error("the peer is kept out: {0}")]
    Banned(String),
    /// Too many dials are waited for.
    #[error("too many dials are under way")]
    Busy,
    /// The mesh has stopped.
    #[error("the mesh has stopped")]
    Stopped,
}

/// The mesh has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mesh has stopped")]
pub struct Stopped;

/// An address cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot listen: {0}")]
pub struct ListenError(pub String);

pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What the event loop is asked for.
pub(crate) enum Command {
    Listen(Address, Reply<Result<(), ListenError>>),
    DialAddress(Vec<Address>, Reply<Result<NodeId, DialError>>),
    DialNode(NodeId, Reply<Result<NodeId, DialError>>),
    Disconnect(NodeId, Reply<bool>),
    Ban(NodeId, Duration, String, Reply<()>),
    LiftBan(NodeId, Reply<bool>),
    Forget(NodeId, Reply<()>),
    Peers(Reply<Vec<PeerFigures>>),
    Listening(Reply<Vec<Address>>),
    Reachability(Reply<Reachability>),
    External(Address, Reply<()>),
    Open(NodeId, Vec<Protocol>, Reply<Result<Opened, OpenError>>),
    Publish(String, Vec<u8>, Reply<Result<(), PublishError>>),
    Subscribe(String, Reply<Result<(), PublishError>>),
    Unsubscribe(String, Reply<()>),
    Report(NodeId, Fault),
    HintsFor(NodeId, Reply<Vec<Hint>>),
    Hints(Vec<Hint>),
    Hint(NodeId, Vec<Address>),
    Carry(bool, Reply<()>),
    RelayThrough(Address, Reply<Result<(), ListenError>>),
    Stop(Reply<()>),
}

/// A running mesh. It runs until [`Mesh::stop`], whether handles are left or not.
#[derive(Clone)]
pub struct Mesh {
    pub(crate) own: NodeId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) in_flight: Arc<Frames>,
    pub(crate) task: Arc<Mutex<Option<JoinHandle<()>>>>,
    pub(crate) traffic: Traffic,
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mesh({})", self.own)
    }
}

impl Mesh {
    /// This node's id.
    pub fn node_id(&self) -> &NodeId {
        &self.own
    }

    /// Events from now on. Whoever lags more than a thousand behind is told how many it missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Listens on a further address.
    ///
    /// # Errors
    /// An address that is taken or not of this machine.
    pub async fn listen(&self, address: Address) -> Result<(), ListenError> {
        self.ask(|reply| Command::Listen(address, reply)).await.map_err(|stopped| ListenError(stopped.to_string()))?
    }

    /// Connects to whoever is at `address`, or to the node named at its end; at once where it is connected already. A host's name is
    /// resolved by the system.
    ///
    /// # Errors
    /// Why it did not come about, a refusal with its code and sentence.
    pub async fn dial(&self, address: &Address) -> Result<NodeId, DialError> {
        let found: Vec<Address> = resolve(address.0.clone()).await.into_iter().map(Address).collect();
        if found.is_empty() {
            return Err(DialError::Unreachable(format!("the name in {address} is unknown")));
        }
        self.ask(|reply| Command::DialAddress(found, reply)).await.map_err(|_| DialError::Stopped)?
    }

    /// Connects to a node by its id alone, asking the network where it is.
    ///
    /// # Errors
    /// As [`Mesh::dial`]; [`DialError::NoAddress`] where nobody knows.
    pub async fn dial_node(&self, node: &NodeId) -> Result<NodeId, DialError> {
        self.ask(|reply| Command::DialNode(node.clone(), reply)).await.map_err(|_| DialError::Stopped)?
    }

    /// Takes addresses at which `node` says it is, as in its signed record. They are tried if it is not connected.
    pub async fn hint(&self, node: NodeId, addresses: Vec<Address>) {
        self.commands.send(Command::Hint(node, addresses)).await.ok();
    }

    /// As [`Mesh::dial`], at all of these addresses of one node at once.
    pub(crate) async fn dial_all(&self, addresses: &[Address]) -> Result<NodeId, DialError> {
        let mut found = Vec::new();
        for address in addresses {
            found.extend(resolve(address.0.clone()).await.into_iter().map(Address));
        }
        if found.is_empty() {
            return Err(DialError::NoAddress);
        }
        self.ask(|reply| Command::DialAddress(found, reply)).await.map_err(|_| DialError::Stopped)?
    }

    /// Ends all connections to `peer`; whether there were any. It may connect again.
    pub async fn disconnect(&self, peer: &NodeId) -> bool {
        self.ask(|reply| Command::Disconnect(peer.clone(), reply)).await.unwrap_or(false)
    }

    /// Keeps `peer` out for `time`, and tells it `reason` when it tries.
    pub async fn ban(&self, peer: &NodeId, time: Duration, reason: impl Into<String> + Send) {
        let reason = reason.into();
        self.ask(|reply| Command::Ban(peer.clone(), time, reason, reply)).await.ok();
    }

    /// Ends a ban; whether there was one.
    pub async fn lift_ban(&self, peer: &NodeId) -> bool {
        self.ask(|reply| Command::LiftBan(peer.clone(), reply)).await.unwrap_or(false)
    }

    /// Forgets a peer's addresses and ends its connections, as after it was removed from the network.
    pub async fn forget(&self, peer: &NodeId) {
        self.ask(|reply| Command::Forget(peer.clone(), reply)).await.ok();
    }

    /// The connected peers, by id; none where the mesh has stopped.
    pub async fn peers(&self) -> Vec<PeerFigures> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// Where this node listens.
    pub async fn listening(&self) -> Vec<Address> {
        self.ask(Command::Listening).await.unwrap_or_default()
    }

    /// Whether others can reach this node, and how that is known.
    ///
    /// # Errors
    /// The mesh has stopped.
    pub async fn reachability(&self) -> Result<Reachability, Stopped> {
        self.ask(Command::Reachability).await
    }

    /// Declares an address under which others reach this node.
    pub async fn add_external(&self, address: Address) {
        self.ask(|reply| Command::External(address, reply)).await.ok();
    }

    /// Carries connections of members that cannot reach each other, or does so no more: then those who have a place with this node for
    /// it lose that, and their connections to this node, which they may make anew. Nothing where it was started without
    /// [`relay`](crate::MeshConfig::relay).
    pub async fn carry(&self, on: bool) {
        self.ask(|reply| Command::Carry(on, reply)).await.ok();
    }

    /// Bytes that came from all peers and went to them since the start, also after the end.
    pub fn bytes(&self) -> (u64, u64) {
        self.traffic.all()
    }

    /// Takes a place with the relay at `relay` (an address ending in its id), so that others reach this node through it. Nodes behind a
    /// NAT do this by themselves.
    ///
    /// # Errors
    /// An address without an id.
    pub async fn relay_through(&self, relay: &Address) -> Result<(), ListenError> {
        self.ask(|reply| Command::RelayThrough(relay.clone(), reply)).await.map_err(|stopped| ListenError(stopped.to_string()))?
    }

    /// Opens a stream in `protocol`, as `/kith/blobs/1`.
    ///
    /// # Errors
    /// Why it was not opened.
    pub async fn open(&self, peer: &NodeId, protocol: &str) -> Result<Stream, OpenError> {
        self.open_newest(peer, &[protocol]).await
    }

    /// Opens a stream in the newest of `protocols` that both speak; [`Stream::protocol`] says which.
    ///
    /// # Errors
    /// Why it was not opened.
    pub async fn open_newest(&self, peer: &NodeId, protocols: &[&str]) -> Result<Stream, OpenError> {
        let mut wanted = protocols.iter().map(|text| text.parse()).collect::<Result<Vec<Protocol>, _>>()?;
        wanted.sort();
        let (stream, spoken, place) = match self.ask(|reply| Command::Open(peer.clone(), wanted, reply)).await {
            Ok(opened) => opened?,
            Err(_) if self.commands.is_closed() => return Err(OpenError::Stopped),
            // It was being closed when it was asked.
            Err(_) => return Err(OpenError::NotConnected),
        };
        Ok(Stream::new(stream, spoken.as_ref().parse()?, peer.clone(), Arc::clone(&self.in_flight), place))
    }

    /// Asks `peer` one question and waits for its answer, at most for the call's deadline.
    ///
    /// # Errors
    /// Why there is no answer. Frames that are too large or cannot be read are charged to the peer.
    pub async fn request<Q, A>(&self, peer: &NodeId, call: &Call, question: &Q) -> Result<A, RequestError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        let exchange = async {
            let stream = self.open(peer, &call.protocol.to_string()).await?;
            frames::ask(stream, question, call).await
        };
        let answer = tokio::time::timeout(call.deadline, exchange).await.unwrap_or(Err(RequestError::Late));
        if let Err(RequestError::Frame(error)) = &answer
            && error.is_fault()
        {
            self.report(peer, Fault::BadFrame).await;
        }
        answer
    }

    /// Signs a message and hands it to the peers that follow `topic`, followed by this node or not.
    ///
    /// # Errors
    /// Why it was not sent.
    pub async fn publish(&self, topic: &str, message: Vec<u8>) -> Result<(), PublishError> {
        self.ask(|reply| Command::Publish(topic.to_owned(), message, reply)).await.map_err(|_| PublishError::Stopped)?
    }

    /// Follows a topic: its messages become [`Event::Gossip`].
    ///
    /// # Errors
    /// A name that cannot be one, or too many topics.
    pub async fn subscribe(&self, topic: &str) -> Result<(), PublishError> {
        self.ask(|reply| Command::Subscribe(topic.to_owned(), reply)).await.map_err(|_| PublishError::Stopped)?
    }

    /// Follows a topic no more.
    pub async fn unsubscribe(&self, topic: &str) {
        self.ask(|reply| Command::Unsubscribe(topic.to_owned(), reply)).await.ok();
    }

    /// Charges `peer` with a fault, as a protocol that found its content false.
    pub async fn report(&self, peer: &NodeId, fault: Fault) {
        self.commands.send(Command::Report(peer.clone(), fault)).await.ok();
    }

    /// Stops: saves the known peers, ends connections and tasks, closes sockets. At most two seconds; then what is left is dropped.
    pub async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let asked = tokio::time::timeout(STOP_DEADLINE, async {
            self.ask(Command::Stop).await.ok();
        });
        let in_time = asked.await.is_ok();
        if let Some(task) = task {
            if !in_time {
                tracing::warn!("the mesh did not stop in time and was dropped");
                task.abort();
            }
            task.await.ok();
        }
    }

    pub(crate) async fn hints_for(&self, asker: NodeId) -> Result<Vec<Hint>, Stopped> {
        self.ask(|reply| Command::HintsFor(asker, reply)).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
