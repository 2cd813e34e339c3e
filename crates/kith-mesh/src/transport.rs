//! From a socket to a member's connection: TCP, the network's key, Noise, admission, Yamux; and the same above a relayed circuit.

use crate::{
    admission::{AdmissionError, Door},
    config::{MeshConfig, NetworkKey},
    keyed::{self, KeyError},
    muxer::Yamux,
    porch::Porch,
    ports::KeyUse,
    turns::Turns,
};
use futures::{AsyncRead, AsyncWrite, future::Either};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        ConnectedPoint, Endpoint, UpgradeInfo,
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, OrTransport, PortUse, TransportError, timeout::TransportTimeout},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay, tcp,
};
use multistream_select::{NegotiationError, Version, dialer_select_proto, listener_select_proto};
use std::{io, sync::Arc, time::Duration};

/// How long a dialled address may be silent: three attempts of TCP to be heard. Below the ten seconds after which a test of reachability
/// ends without an answer, so that one that finds nobody says so.
const SILENCE: Duration = Duration::from_secs(5);

/// Why a socket did not become a member's connection.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("the network's key: {0}")]
    Key(#[from] KeyError),
    #[error("the handshake cannot begin: {0}")]
    Noise(#[from] noise::Error),
    #[error("no protocol was agreed upon: {0}")]
    Protocol(#[from] NegotiationError),
    #[error("admission: {0}")]
    Admission(#[from] AdmissionError),
    #[error("the multiplexer: {0}")]
    Muxer(io::Error),
}

/// The keys that this node understands, the present one first, and what it remembers of those who did not understand that.
struct Keys {
    all: Vec<NetworkKey>,
    keypair: Keypair,
    turns: Turns,
    porch: Porch,
    first_words: Duration,
}

impl Keys {
    /// The door for connections with the key of that index. Noise under a retired key is made when somebody comes with it: there may be
    /// hundreds, and each costs a signature.
    fn door(&self, index: usize, present: Door) -> Result<Door, noise::Error> {
        match (index.checked_sub(1), self.all.get(index)) {
            (Some(retired), Some(key)) => {
                Ok(Door { noise: noise(&self.keypair, key)?, key: KeyUse::Retired(retired), ..present })
            }
            _ => Ok(present),
        }
    }

    /// Finds out which key the dialler has, while it has a place.
    async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: S) -> Result<(keyed::Keyed<S>, usize), KeyError> {
        let mut place = self.porch.enter();
        tokio::select! {
            accepted = tokio::time::timeout(self.first_words, keyed::accept(socket, &self.all)) => {
                accepted.unwrap_or(Err(KeyError::Silent))
            }
            () = place.taken() => Err(KeyError::Displaced),
        }
    }
}

/// The transport of a mesh. The bound on handshakes holds for everything from the socket to Yamux.
pub(crate) fn build(
    keypair: &Keypair,
    config: &MeshConfig,
    relayed: relay::client::Transport,
    door: Door,
) -> Boxed<(PeerId, StreamMuxerBox)> {
    let keys = Arc::new(Keys {
        all: std::iter::once(&config.key).chain(&config.retired).cloned().collect(),
        keypair: keypair.clone(),
        turns: Turns::new(config.retired.len()),
        porch: Porch::new(config.bounds.pending_inbound as usize),
        first_words: config.bounds.first_words,
    });
    let plain = TransportTimeout::with_outgoing_timeout(tcp_transport(), SILENCE);
    let present = door.clone();
    let direct = plain.and_then(move |socket, endpoint| async move {
        match &endpoint {
            ConnectedPoint::Listener { .. } => {
                let (socket, index) = keys.accept(socket).await?;
                enter(socket, keys.door(index, present)?, endpoint).await
            }
            ConnectedPoint::Dialer { address, .. } => {
                let socket = keyed::dial(socket, &keys.all[0]).await?;
                let heard = socket.heard();
                let entered = enter(socket, present.clone(), endpoint.clone()).await;
                if heard.anything() {
                    keys.turns.forget(address);
                    return entered;
                }
                match entered {
                    Err(_) => fall_back(&keys, present, endpoint).await,
                    entered => entered,
                }
            }
        }
    });
    // A circuit runs through two connections that hold the key already; the prologue of Noise asks for it end to end. Who has a retired
    // key has no circuit: it gets no further than the door of the relay, which hands it the present one.
    let relayed = relayed.and_then(move |circuit, endpoint| enter(circuit, door, endpoint));
    let either = OrTransport::new(relayed, direct).map(|either, _| match either {
        Either::Left(output) | Either::Right(output) => output,
    });
    TransportTimeout::new(either, config.bounds.handshake).boxed()
}

/// Dials again with retired keys, where the other side hung up on the present one: an earlier key that both have in common is enough to
/// tell each other what they missed. Never more than a few turns a dial, so that strangers are not pestered; the next dial goes on with
/// the others.
async fn fall_back(keys: &Keys, present: Door, endpoint: ConnectedPoint) -> Result<(PeerId, StreamMuxerBox), EntryError> {
    // Where holes are punched, and where an address is tested from a port of its own, both sides know the present key.
    let ConnectedPoint::Dialer { address, role_override: Endpoint::Dialer, port_use: PortUse::Reuse } = &endpoint else {
        return Err(KeyError::HungUp.into());
    };
    for retired in keys.turns.at(address) {
        let Some(key) = keys.all.get(retired + 1) else { continue };
        let socket = keyed::dial(again(address).await.map_err(KeyError::Io)?, key).await?;
        let heard = socket.heard();
        let entered = enter(socket, keys.door(retired + 1, present.clone())?, endpoint.clone()).await;
        if heard.anything() {
            keys.turns.understood(address, retired);
            return entered;
        }
        keys.turns.in_vain(address, retired);
    }
    Err(KeyError::HungUp.into())
}

/// One more socket to an address that was reached a moment ago.
async fn again(address: &Multiaddr) -> io::Result<tcp::tokio::TcpStream> {
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dial = tcp_transport().dial(address.clone(), options).map_err(|error| match error {
        TransportError::Other(error) => error,
        error => io::Error::other(error.to_string()),
    })?;
    tokio::time::timeout(SILENCE, dial).await.map_err(|_| io::ErrorKind::TimedOut)?
}

fn tcp_transport() -> tcp::tokio::Transport {
    tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
}

/// Noise and admission, then Yamux, each agreed upon first.
async fn enter<C>(socket: C, door: Door, endpoint: ConnectedPoint) -> Result<(PeerId, StreamMuxerBox), EntryError>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let ConnectedPoint::Dialer { role_override: Endpoint::Dialer, .. } = endpoint {
        let (name, io) = dialer_select_proto(socket, door.protocol_info(), Version::V1).await?;
        let (peer, io) = door.upgrade_outbound(io, name).await?;
        let (name, io) = dialer_select_proto(io, Yamux.protocol_info(), Version::V1).await?;
        let muxer = Yamux.upgrade_outbound(io, name).await.map_err(EntryError::Muxer)?;
        Ok((peer, StreamMuxerBox::new(muxer)))
    } else {
        let (name, io) = listener_select_proto(socket, door.protocol_info()).await?;
        let (peer, io) = door.upgrade_inbound(io, name).await?;
        let (name, io) = listener_select_proto(io, Yamux.protocol_info()).await?;
        let muxer = Yamux.upgrade_inbound(io, name).await.map_err(EntryError::Muxer)?;
        Ok((peer, StreamMuxerBox::new(muxer)))
    }
}

/// Whether nobody listens on that port. libp2p shares ports, since hole punching dials from them; two nodes on one port would take each
/// other's connections.
pub(crate) fn is_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    match (crate::address::ip(address), parts.nth(1)) {
        (Some(ip), Some(Protocol::Tcp(port))) if port != 0 => std::net::TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Noise with a prologue that only holders of the network's key can know.
pub(crate) fn noise(keypair: &Keypair, key: &NetworkKey) -> Result<noise::Config, noise::Error> {
    Ok(noise::Config::new(keypair)?.with_prologue(key.derive("kith mesh 2026 noise prologue").to_vec()))
}
