//! Everything a connection speaks, put together.

use crate::{
    bounds::{Bounds, EXCHANGED_PEERS},
    carrying::Carrying,
    config::MeshConfig,
    gate::Gate,
    gossip,
    streams::Streams,
};
use libp2p::{
    PeerId, StreamProtocol, autonat, connection_limits, dcutr, identify,
    identity::Keypair,
    kad, ping, relay,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    upnp,
};
use std::{num::NonZeroUsize, time::Duration};

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // The bounds come first: what they deny costs the others nothing.
    pub gate: Gate,
    pub limits: connection_limits::Behaviour,
    pub streams: Streams,
    pub identify: identify::Behaviour,
    pub ping: ping::Behaviour,
    pub kad: kad::Behaviour<kad::store::MemoryStore>,
    pub gossip: gossip::Behaviour,
    pub relayed: relay::client::Behaviour,
    pub relay: Toggle<relay::Behaviour>,
    pub dcutr: dcutr::Behaviour,
    pub reach_client: autonat::v2::client::Behaviour,
    pub reach_server: autonat::v2::server::Behaviour,
    pub upnp: Toggle<upnp::tokio::Behaviour>,
}

/// Puts the parts together; `Err` says which one refused.
pub(crate) fn build(
    keypair: &Keypair,
    config: &MeshConfig,
    offered: Vec<StreamProtocol>,
    carrying: &Carrying,
    relayed: relay::client::Behaviour,
) -> Result<Behaviour, String> {
    let own = keypair.public().to_peer_id();
    let bounds = &config.bounds;
    let identity = identify::Config::new("kith/1".to_owned(), keypair.public())
        .with_agent_version(config.agent.clone())
        .with_push_listen_addr_updates(true)
        .with_cache_size(bounds.known_peers);
    Ok(Behaviour {
        gate: Gate::new(bounds.pending_inbound_per_ip),
        limits: connection_limits::Behaviour::new(limits(bounds)),
        streams: Streams::new(offered, bounds.streams_per_peer, bounds.opened_per_peer),
        identify: identify::Behaviour::new(identity),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(Duration::from_secs(10)).with_timeout(Duration::from_secs(10)),
        ),
        kad: kad(own, &config.network)?,
        gossip: gossip::behaviour(keypair, &config.network, bounds)?,
        relayed,
        relay: config.relay.then(|| relay::Behaviour::new(own, carrying.bound(relay_bounds()))).into(),
        dcutr: dcutr::Behaviour::new(own),
        reach_client: autonat::v2::client::Behaviour::default(),
        reach_server: autonat::v2::server::Behaviour::default(),
        upnp: config.upnp.then(upnp::tokio::Behaviour::default).into(),
    })
}

fn limits(bounds: &Bounds) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        // The porch takes care of those without a key; they must not keep others from getting there.
        .with_max_pending_incoming(Some(bounds.pending_inbound.saturating_mul(2)))
        .with_max_pending_outgoing(Some(bounds.pending_outbound))
        .with_max_established(Some(bounds.connections))
        .with_max_established_per_peer(Some(bounds.connections_per_peer))
}

/// A table of the network's members, to find the address of one by its id. It keeps no records for anybody.
fn kad(own: PeerId, network: &str) -> Result<kad::Behaviour<kad::store::MemoryStore>, String> {
    let name = StreamProtocol::try_from_owned(format!("/kith/kad/{network}/1")).map_err(|error| error.to_string())?;
    let mut config = kad::Config::new(name);
    config.set_query_timeout(Duration::from_secs(15));
    config.set_record_filtering(kad::StoreInserts::FilterBoth);
    config.set_max_packet_size(16 * 1024);
    config.set_periodic_bootstrap_interval(Some(Duration::from_secs(300)));
    if let Some(size) = NonZeroUsize::new(EXCHANGED_PEERS) {
        config.set_kbucket_size(size);
    }
    let store =
        kad::store::MemoryStoreConfig { max_records: 0, max_value_bytes: 0, max_providers_per_key: 0, max_provided_keys: 0 };
    let mut kad = kad::Behaviour::with_config(own, kad::store::MemoryStore::with_config(own, store), config);
    // Every member answers: in a network of tens a table of only the publicly reachable ones would be empty.
    kad.set_mode(Some(kad::Mode::Server));
    Ok(kad)
}

/// What this node carries for members that cannot reach each other. They are known by name, so that a circuit may last for hours
/// and carry models; the places are few.
fn relay_bounds() -> relay::Config {
    relay::Config {
        max_reservations: 64,
        max_reservations_per_peer: 2,
        max_circuits: 32,
        max_circuits_per_peer: 4,
        max_circuit_duration: Duration::from_secs(6 * 3600),
        max_circuit_bytes: 64 * 1024 * 1024 * 1024,
        ..relay::Config::default()
    }
}
