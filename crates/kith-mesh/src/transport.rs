//! From a socket to a member's connection: TCP, the network's key, Noise, admission, Yamux; and the same above a relayed circuit.

use crate::{admission::Door, config::NetworkKey, muxer::Yamux};
use futures::{AsyncRead, AsyncWrite, future::Either};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    pnet::{PnetConfig, PreSharedKey},
    relay, tcp,
};
use std::{io, time::Duration};

/// The transport of a mesh. `handshake` bounds everything from the socket to Yamux.
pub(crate) fn build(
    key: &NetworkKey,
    relayed: relay::client::Transport,
    door: Door,
    handshake: Duration,
) -> Boxed<(PeerId, StreamMuxerBox)> {
    let shared = PnetConfig::new(PreSharedKey::new(*key.bytes()));
    let plain = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    let private = plain.and_then(move |socket, _| shared.handshake(socket));
    let direct = upgraded(private, door.clone(), handshake);
    // A circuit runs through two connections that hold the key already; the prologue of Noise asks for it end to end.
    let relayed = upgraded(relayed, door, handshake);
    OrTransport::new(relayed, direct)
        .map(|either, _| match either {
            Either::Left(output) | Either::Right(output) => output,
        })
        .boxed()
}

fn upgraded<T>(transport: T, door: Door, handshake: Duration) -> Boxed<(PeerId, StreamMuxerBox)>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send,
    T::ListenerUpgrade: Send,
{
    transport.upgrade(Version::V1).authenticate(door).multiplex(Yamux).timeout(handshake).boxed()
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
