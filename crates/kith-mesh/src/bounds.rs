//! Every bound of the mesh in one place: a name, a figure, and why that figure.

use std::time::Duration;

/// What one node takes from its peers, and gives them. The default is what the product runs with; tests reach the bounds with smaller ones.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Connections in all. A household or a team has tens of devices; each connection costs about 100 KiB at rest.
    pub connections: u32,
    /// Connections to one peer: a relayed one, the direct one that replaces it, both sides dialling at once, and a test of reachability.
    pub connections_per_peer: u32,
    /// Inbound connections that have shown no key yet; a further one takes the place of the oldest. A stranger gets no further than this.
    /// As many again may have shown one and not have finished their handshake.
    pub pending_inbound: u32,
    /// Unfinished handshakes from one IPv4 address or one /64 of IPv6, so that one stranger cannot hold all places. Twenty nodes on one
    /// machine must still find in.
    pub pending_inbound_per_ip: u32,
    /// Outbound connections under way at once: home routers lose connections above about a hundred half-open ones.
    pub pending_outbound: u32,
    /// From the first byte of a connection to its last handshake, admission included.
    pub handshake: Duration,
    /// Until whoever dialled has shown its key: two round trips, of which TCP repeats one that was lost within three seconds.
    pub first_words: Duration,
    /// For the four admission frames alone; a judge may ask a database and sign a certificate in that time.
    pub admission: Duration,
    /// Streams that one peer may have open towards this node at once, over all its connections.
    pub streams_per_peer: usize,
    /// Streams that this node has open towards one peer at once, those still negotiated included.
    pub opened_per_peer: usize,
    /// Bytes of request and answer frames held in memory at once, over all peers.
    pub frame_bytes_in_flight: usize,
    /// Bytes of one gossip message. Larger things are named by their hash and fetched as streams.
    pub gossip_message: usize,
    /// Gossip messages per second that one peer may hand on. Twenty nodes that each speak five times a second, heard through one of them.
    pub gossip_rate: u32,
    /// How many of them may come at once after a silence, as after a partition.
    pub gossip_burst: u32,
    /// Messages that wait for their validation; further ones are ignored, and heard again from others.
    pub gossip_validating: usize,
    /// Penalty points at which a peer is cut off; they fade by one a second.
    pub penalty_limit: f64,
    /// How long a peer that was cut off stays out.
    pub cut_off: Duration,
    /// Known peers, connected or not, that are remembered with their addresses.
    pub known_peers: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_peer: 4,
            pending_inbound: 64,
            pending_inbound_per_ip: 24,
            pending_outbound: 64,
            handshake: Duration::from_secs(20),
            first_words: Duration::from_secs(5),
            admission: Duration::from_secs(10),
            streams_per_peer: 64,
            opened_per_peer: 64,
            frame_bytes_in_flight: 32 * 1024 * 1024,
            gossip_message: 64 * 1024,
            gossip_rate: 100,
            gossip_burst: 400,
            gossip_validating: 128,
            penalty_limit: 100.0,
            cut_off: Duration::from_secs(600),
            known_peers: 512,
        }
    }
}

/// Bytes of one admission frame: a certificate with its chain is under 4 KiB, keys that a peer missed under 32 KiB.
pub const MAX_ADMISSION_FRAME: usize = 64 * 1024;
/// Characters of a refusal's code and of its sentence; a stranger writes them, and they are logged.
pub const MAX_REFUSAL_CODE: usize = 64;
/// See [`MAX_REFUSAL_CODE`].
pub const MAX_REFUSAL_MESSAGE: usize = 512;
/// Commands that wait for the event loop. A caller then waits too, which is the backpressure.
pub const COMMAND_QUEUE: usize = 256;
/// Events that a slow listener may lag behind before it is told that it missed some.
pub const EVENT_QUEUE: usize = 1024;
/// Refusals and faults that wait for the event loop; beyond it they are counted as one.
pub const NOTICE_QUEUE: usize = 256;
/// Handlers of inbound streams that wait to be started, per connection.
pub const STREAM_QUEUE: usize = 16;
/// Substreams that one connection may be negotiating at once.
pub const NEGOTIATING_STREAMS: usize = 64;
/// Multiplexed streams per connection: ours, and those of identify, ping, kad, gossip and relay.
pub const MUXED_STREAMS: usize = 192;
/// Topics one node may follow; each costs a mesh of peers.
pub const MAX_TOPICS: usize = 64;
/// Addresses remembered of one peer: interfaces of a laptop, its NAT, its relays, for both IP versions.
pub const MAX_ADDRESSES: usize = 16;
/// Routes a router may offer; all their names are told to every peer.
pub const MAX_ROUTES: usize = 128;
/// Dials whose outcome somebody waits for.
pub const MAX_WAITING_DIALS: usize = 256;
/// Peers with one answer of the peer exchange.
pub const EXCHANGED_PEERS: usize = 32;
/// Relays that a node behind a NAT holds a place with: one, and one for when that leaves.
pub const RESERVATIONS: usize = 2;
/// Bans held at once; the one that ends first makes room.
pub const MAX_BANS: usize = 1024;
/// Retired keys that a node still understands: whoever removes device after device changes the key each time, and those who were away
/// have one of the first. Each is tried on every stranger's first words, which costs well under a microsecond.
pub const MAX_RETIRED_KEYS: usize = 256;
/// Within this time a stopped mesh has closed its sockets and ended its tasks.
pub const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// Known peers that are dialled at once without anybody asking.
pub const UPKEEP_DIALS: usize = 8;
