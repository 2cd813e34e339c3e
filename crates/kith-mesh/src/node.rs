//! The event loop: one task that owns the connections and all that is known about them.

mod commands;
mod connections;
mod gossiping;
mod tasks;
mod upkeep;

use crate::{
    address::Address,
    admission::{Door, Refused},
    beacon::Beacon,
    behaviour::{self, Behaviour, BehaviourEvent},
    book::Book,
    bounds::{Bounds, COMMAND_QUEUE, EVENT_QUEUE, MAX_RETIRED_KEYS, NEGOTIATING_STREAMS, NOTICE_QUEUE, STREAM_QUEUE},
    carrying::Carrying,
    config::{MeshConfig, StartError},
    discovery,
    event::{Event, Fault},
    exchange,
    frames::Frames,
    links::Links,
    mesh::{Command, DialError, Mesh, Reply},
    ports::{Admission, KeyUse, PeerCache, Validation},
    reach::{Reach, Reachability},
    router::Router,
    standing::{Bans, Conduct, Rates},
    strangers::Strangers,
    traffic::Traffic,
    transport,
};
use futures::StreamExt;
use gossiping::Validated;
use kith_types::{Clock, NodeId};
use libp2p::{
    Multiaddr, PeerId, Swarm, autonat,
    core::transport::ListenerId,
    identity::Keypair,
    kad, ping, relay,
    swarm::{self, ConnectionId, SwarmEvent},
    upnp,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tasks::Tasks;
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
};

/// What the mesh is given by those who use it.
#[derive(Clone)]
pub struct Ports {
    /// Who may enter.
    pub admission: Arc<dyn Admission>,
    /// Which gossip is good.
    pub validation: Arc<dyn Validation>,
    /// Where peers are remembered.
    pub cache: Arc<dyn PeerCache>,
    /// The time of day, for what is told and kept.
    pub clock: Arc<dyn Clock>,
}

type Waiting = Vec<Reply<Result<NodeId, DialError>>>;

struct Node {
    swarm: Swarm<Behaviour>,
    mesh: Mesh,
    commands: mpsc::Receiver<Command>,
    refusals: mpsc::Receiver<Refused>,
    faults: mpsc::Receiver<(PeerId, Fault)>,
    faults_in: mpsc::Sender<(PeerId, Fault)>,
    beacons: mpsc::Receiver<Beacon>,
    listening: watch::Sender<Vec<Multiaddr>>,
    router: Router,
    ports: Ports,
    bounds: Bounds,
    links: Links,
    book: Book,
    bans: Bans,
    traffic: Traffic,
    conduct: Conduct,
    rates: Rates,
    reach: Reach,
    told_reach: Option<Reachability>,
    strangers: Strangers,
    /// Refusals of dials under way, so that the dial's error can say so.
    refused: HashMap<PeerId, Refused>,
    /// Who waits for a peer.
    waiting: HashMap<PeerId, Waiting>,
    /// Who waits for whoever is at an address.
    waiting_anyone: HashMap<ConnectionId, Reply<Result<NodeId, DialError>>>,
    /// Questions to the network where a peer is.
    lookups: HashMap<kad::QueryId, PeerId>,
    /// Peers that are waited for and that no question has found, and how many were asked: a node that has just come in is asked before
    /// its table is filled. Holds no more than `waiting` does.
    unfound: HashMap<PeerId, u32>,
    /// Why this node ends its connections with a peer.
    parting: HashMap<PeerId, String>,
    /// Places with relays, by listener.
    reservations: HashMap<ListenerId, (PeerId, Multiaddr)>,
    /// Relays that gave no place, and until when they are not asked again. No more than there are peers.
    resting_relays: HashMap<PeerId, Instant>,
    /// Addresses of this node that its owner named.
    declared: BTreeSet<Multiaddr>,
    carrying: Carrying,
    /// Relays asked for by name, which are asked again when they leave.
    wanted_relays: HashSet<Multiaddr>,
    validating: JoinSet<Validated>,
    /// Handlers of streams, questions to peers, discovery.
    tasks: JoinSet<()>,
    /// The connections' own tasks.
    connections: Tasks,
    saving: JoinSet<std::io::Result<()>>,
    saved_at: Instant,
}

impl Mesh {
    /// Starts a mesh. It listens, remembers its peers, and dials them and the bootstrap. The receiver sees every event from the start.
    ///
    /// # Errors
    /// What of the configuration cannot be.
    pub async fn start(
        config: MeshConfig,
        router: Router,
        ports: Ports,
    ) -> Result<(Self, broadcast::Receiver<Event>), StartError> {
        if !config.network_is_named() {
            return Err(StartError::Network(config.network));
        }
        if config.retired.len() > MAX_RETIRED_KEYS {
            return Err(StartError::Setup(format!("more than {MAX_RETIRED_KEYS} retired keys")));
        }
        let keypair = Keypair::ed25519_from_bytes(*config.seed.bytes()).map_err(|error| StartError::Key(error.to_string()))?;
        let own_peer = keypair.public().to_peer_id();
        let own = crate::address::node_id(&own_peer).ok_or_else(|| StartError::Key("not an Ed25519 key".to_owned()))?;
        let (commands_in, commands) = mpsc::channel(COMMAND_QUEUE);
        let (events, events_out) = broadcast::channel(EVENT_QUEUE);
        let in_flight = Arc::new(Frames::new(config.bounds.frame_bytes_in_flight));
        let traffic = Traffic::default();
        let mesh = Self {
            own: own.clone(),
            commands: commands_in,
            events,
            in_flight,
            task: Arc::new(Mutex::new(None)),
            traffic: traffic.clone(),
        };
        let router = exchange::route(router, mesh.clone()).map_err(|error| StartError::Setup(error.to_string()))?;
        let (refusals_in, refusals) = mpsc::channel(NOTICE_QUEUE);
        let (faults_in, faults) = mpsc::channel(NOTICE_QUEUE);
        let (beacons_in, beacons) = mpsc::channel(NOTICE_QUEUE);
        let (bans, carrying, connections) = (Bans::default(), Carrying::new(config.relay), Tasks::default());
        let door = Door {
            noise: transport::noise(&keypair, &config.key).map_err(|error| StartError::Key(error.to_string()))?,
            key: KeyUse::Present,
            admission: Arc::clone(&ports.admission),
            bans: bans.clone(),
            traffic: traffic.clone(),
            refusals: refusals_in,
            deadline: config.bounds.admission,
        };
        let (relay_transport, relay_client) = relay::client::new(own_peer);
        let transport = transport::build(&keypair, &config, relay_transport, door);
        let behaviour =
            behaviour::build(&keypair, &config, router.offered(), &carrying, relay_client).map_err(StartError::Setup)?;
        let settings = swarm::Config::with_executor(connections.clone())
            .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS)
            .with_per_connection_event_buffer_size(STREAM_QUEUE)
            .with_notify_handler_buffer_size(NonZeroUsize::MIN.saturating_add(STREAM_QUEUE))
            .with_idle_connection_timeout(Duration::from_secs(60));
        let mut swarm = Swarm::new(transport, behaviour, own_peer, settings);
        // All before the first is taken: the system's own test of an IPv6 port asks for the same port of IPv4.
        for address in &config.listen {
            let refused = |error: std::io::Error| StartError::Listen { address: address.clone(), reason: error.to_string() };
            transport::is_free(&address.0).map_err(refused)?;
        }
        for address in &config.listen {
            let refused = |reason: String| StartError::Listen { address: address.clone(), reason };
            swarm.listen_on(address.0.clone()).map_err(|error| refused(error.to_string()))?;
        }
        let (listening, told) = watch::channel(Vec::new());
        let mut tasks = JoinSet::new();
        if config.discovery {
            tasks.spawn(discovery::run(config.key.clone(), own, told, beacons_in));
        }
        if !config.bootstrap.is_empty() {
            tasks.spawn(upkeep::bootstrap(mesh.clone(), config.bootstrap.clone()));
        }
        let mut node = Node {
            swarm,
            mesh: mesh.clone(),
            commands,
            refusals,
            faults,
            faults_in,
            beacons,
            listening,
            router,
            links: Links::new(own_peer),
            book: Book::new(own_peer, config.bounds.known_peers),
            bans,
            traffic,
            conduct: Conduct::new(config.bounds.penalty_limit),
            rates: Rates::new(config.bounds.gossip_rate, config.bounds.gossip_burst),
            reach: Reach::new(config.upnp),
            told_reach: None,
            strangers: Strangers::default(),
            refused: HashMap::new(),
            waiting: HashMap::new(),
            waiting_anyone: HashMap::new(),
            lookups: HashMap::new(),
            unfound: HashMap::new(),
            parting: HashMap::new(),
            reservations: HashMap::new(),
            resting_relays: HashMap::new(),
            declared: BTreeSet::new(),
            carrying,
            wanted_relays: HashSet::new(),
            validating: JoinSet::new(),
            tasks,
            connections,
            saving: JoinSet::new(),
            saved_at: Instant::now(),
            ports,
            bounds: config.bounds,
        };
        for address in config.external {
            node.external(address.0);
        }
        node.remember().await;
        let task = tokio::spawn(node.run());
        if let Ok(mut held) = mesh.task.lock() {
            *held = Some(task);
        }
        Ok((mesh, events_out))
    }
}

impl Node {
    async fn run(mut self) {
        let mut tick = tokio::time::interval(upkeep::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let stopped = loop {
            tokio::select! {
                // A refusal is known before the error of the dial that it ended.
                biased;
                Some(refused) = self.refusals.recv() => self.on_refused(refused),
                command = self.commands.recv() => match command {
                    Some(Command::Stop(reply)) => break Some(reply),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                Some((peer, fault)) = self.faults.recv() => self.charge(peer, fault),
                Some(validated) = self.validating.join_next() => self.on_validated(validated),
                _ = tick.tick() => self.upkeep(),
                Some(beacon) = self.beacons.recv() => self.on_beacon(beacon),
                Some(_) = self.tasks.join_next() => {}
                Some(saved) = self.saving.join_next() => self.on_saved(saved),
                event = self.swarm.select_next_some() => {
                    while let Ok(refused) = self.refusals.try_recv() {
                        self.on_refused(refused);
                    }
                    self.on_swarm(event);
                }
            }
        };
        self.wind_up().await;
        if let Some(reply) = stopped {
            reply.send(()).ok();
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_opened(peer_id, connection_id, &endpoint)
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => self.on_closed(peer_id, connection_id, cause),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_failed(connection_id, peer_id, error)
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(from = %send_back_addr, error = %connections::chain(&error), "a connection did not come about");
                if connections::had_retired_key(&error) {
                    self.strangers.members_at([&send_back_addr], Instant::now());
                } else if let Some(why) = connections::had_no_key(&error) {
                    self.strangers.knocked(send_back_addr, why, Instant::now());
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.listens(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listens_no_more(address);
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                if let Err(error) = reason {
                    tracing::warn!(%error, "a listener closed");
                }
                self.reservation_ended(listener_id);
                addresses.into_iter().for_each(|address| self.tell(Event::NotListening(Address(address))));
                self.listening_changed();
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed to take a connection"),
            SwarmEvent::ExternalAddrConfirmed { address } => {
                self.reach.confirmed(&address);
                self.tell_reach();
            }
            SwarmEvent::ExternalAddrExpired { address } => {
                self.reach.expired(&address);
                self.tell_reach();
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(event) => self.on_stream(event),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Ping(event) => match event.result {
                Ok(rtt) => self.links.measured(&event.peer, event.connection, rtt),
                Err(ping::Failure::Unsupported) => {}
                // An answer waits behind what is being sent: where bytes come, a slow connection is no dead one.
                Err(_) if self.links.spoke(&event.peer, event.connection) => {}
                // A cable that was pulled closes nothing by itself: what does not answer any more is no connection.
                Err(failure) => {
                    tracing::debug!(peer = %event.peer, %failure, "a connection that does not answer is closed");
                    self.swarm.close_connection(event.connection);
                }
            },
            BehaviourEvent::Dcutr(event) => {
                match event.result {
                    Ok(connection) => self.links.punched(&event.remote_peer_id, connection),
                    Err(error) => self.links.punch_failed(&event.remote_peer_id, connections::chain(&error)),
                }
                self.tell_path(&event.remote_peer_id);
            }
            BehaviourEvent::Relay(event) => self.carrying.happened(&event),
            BehaviourEvent::Relayed(event) => {
                tracing::debug!(?event, "relay");
                self.tell_reach();
            }
            BehaviourEvent::ReachClient(autonat::v2::client::Event { tested_addr, result: Err(error), .. }) => {
                self.reach.failed(&tested_addr, error.to_string());
                self.tell_reach();
            }
            BehaviourEvent::Upnp(event) => {
                match event {
                    upnp::Event::NewExternalAddr(address) => self.reach.mapped(&address),
                    upnp::Event::ExpiredExternalAddr(address) => self.reach.unmapped(&address),
                    upnp::Event::GatewayNotFound => self.reach.no_mapping(crate::reach::PortMapping::NoGateway),
                    upnp::Event::NonRoutableGateway => self.reach.no_mapping(crate::reach::PortMapping::NotRoutable),
                }
                self.tell_reach();
            }
            _ => {}
        }
    }

    /// Nobody listening is no error.
    fn tell(&self, event: Event) {
        self.mesh.events.send(event).ok();
    }
}
