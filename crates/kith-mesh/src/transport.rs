//! From a socket to a member's connection: TCP, the network's key, Noise, admission, Yamux; and the same above a relayed circuit.

use crate::{
    admission::{AdmissionError, Door},
    config::{MeshConfig, NetworkKey},
    keyed::{self, KeyError},
    muxer::Yamux,
    ports::KeyUse,
};
use futures::{AsyncRead, AsyncWrite, future::Either};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        ConnectedPoint, Endpoint, UpgradeInfo,
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport, timeout::TransportTimeout},
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
    #[error("no protocol was agreed upon: {0}")]
    Protocol(#[from] NegotiationError),
    #[error("admission: {0}")]
    Admission(#[from] AdmissionError),
    #[error("the multiplexer: {0}")]
    Muxer(io::Error),
}

/// The keys that a listener understands, the present one first, and Noise under each that is retired.
struct Keys {
    all: Vec<NetworkKey>,
    retired: Vec<noise::Config>,
}

impl Keys {
    /// The door for connections with the key of that index.
    fn door(&self, index: usize, present: Door) -> Door {
        match index.checked_sub(1).and_then(|retired| Some((retired, self.retired.get(retired)?.clone()))) {
            Some((retired, noise)) => Door { noise, key: KeyUse::Retired(retired), ..present },
            None => present,
        }
    }
}

/// The transport of a mesh. The bound on handshakes holds for everything from the socket to Yamux.
pub(crate) fn build(
    keypair: &Keypair,
    config: &MeshConfig,
    relayed: relay::client::Transport,
    door: Door,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let retired = config.retired.iter().map(|key| noise(keypair, key)).collect::<Result<_, _>>()?;
    let all = std::iter::once(&config.key).chain(&config.retired).cloned().collect();
    let keys = Arc::new(Keys { all, retired });
    let plain = TransportTimeout::with_outgoing_timeout(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true)), SILENCE);
    let present = door.clone();
    let direct = plain.and_then(move |socket, endpoint| async move {
        match &endpoint {
            ConnectedPoint::Listener { .. } => {
                let (socket, index) = keyed::accept(socket, &keys.all).await?;
                enter(socket, keys.door(index, present), endpoint).await
            }
            // Also where holes are punched and the roles above are swapped: both sides know the present key.
            ConnectedPoint::Dialer { .. } => {
                let socket = keyed::dial(socket, &keys.all[0]).await?;
                enter(socket, present, endpoint).await
            }
        }
    });
    // A circuit runs through two connections that hold the key already; the prologue of Noise asks for it end to end. Who has a retired
    // key has no circuit: it gets no further than the door of the relay, which hands it the present one.
    let relayed = relayed.and_then(move |circuit, endpoint| enter(circuit, door, endpoint));
    let either = OrTransport::new(relayed, direct).map(|either, _| match either {
        Either::Left(output) | Either::Right(output) => output,
    });
    Ok(TransportTimeout::new(either, config.bounds.handshake).boxed())
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
