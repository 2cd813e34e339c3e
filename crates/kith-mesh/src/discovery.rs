//! Finds members on the local network: calls out a beacon on every interface, and listens for others'.

use crate::{
    address::{Address, ip},
    beacon::{Beacon, Beacons, MAX_BEACON},
    config::NetworkKey,
};
use kith_types::NodeId;
use libp2p::Multiaddr;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// Of the organisation's local scope: routers do not pass it on.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 192, 75, 72);
const PORT: u16 = 47_572;
/// Pauses between the first beacons, while others may be starting too.
const FIRST: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(3)];
/// And after that.
const EVERY: Duration = Duration::from_secs(30);
/// A newcomer is answered after this time, once for all that came within it.
const ANSWER: Duration = Duration::from_millis(250);
/// A node that was quiet for this long is a newcomer again.
const FORGOTTEN: Duration = Duration::from_secs(90);
/// Neighbours remembered; beyond it nobody is answered, and all are still heard.
const MAX_NEIGHBOURS: usize = 256;
/// Datagrams taken in one second; a flood costs a bounded share of a core.
const MAX_DATAGRAMS: u32 = 200;

/// Runs until the mesh ends. `listening` holds the addresses to tell; interfaces are read off them.
pub(crate) async fn run(
    network: NetworkKey,
    own: NodeId,
    listening: watch::Receiver<Vec<Multiaddr>>,
    heard: mpsc::Sender<Beacon>,
) {
    match bind() {
        Ok(socket) => Discovery::new(socket, Beacons::new(&network), own, listening, heard).run().await,
        Err(error) => {
            tracing::warn!(%error, "members on the local network are not looked for: the port of beacons cannot be opened")
        }
    }
}

fn bind() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Several nodes may run on one machine.
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(1)?;
    UdpSocket::from_std(socket.into())
}

struct Discovery {
    socket: UdpSocket,
    beacons: Beacons,
    own: NodeId,
    listening: watch::Receiver<Vec<Multiaddr>>,
    heard: mpsc::Sender<Beacon>,
    joined: BTreeSet<Ipv4Addr>,
    neighbours: HashMap<NodeId, Instant>,
    sent: usize,
    next: Instant,
}

impl Discovery {
    fn new(
        socket: UdpSocket,
        beacons: Beacons,
        own: NodeId,
        listening: watch::Receiver<Vec<Multiaddr>>,
        heard: mpsc::Sender<Beacon>,
    ) -> Self {
        let next = Instant::now() + FIRST[0];
        Self { socket, beacons, own, listening, heard, joined: BTreeSet::new(), neighbours: HashMap::new(), sent: 0, next }
    }

    async fn run(mut self) {
        // One byte more than a beacon has, so that a longer datagram is seen to be one.
        let mut buffer = [0; MAX_BEACON + 1];
        let (mut second, mut taken) = (Instant::now(), 0);
        loop {
            tokio::select! {
                changed = self.listening.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.next = self.next.min(Instant::now() + ANSWER);
                }
                () = sleep_until(self.next) => self.call_out().await,
                received = self.socket.recv(&mut buffer) => {
                    if second.elapsed() >= Duration::from_secs(1) {
                        (second, taken) = (Instant::now(), 0);
                    }
                    taken += 1;
                    match received {
                        Ok(length) if taken <= MAX_DATAGRAMS => self.take(&buffer[..length]),
                        Ok(_) => sleep_until(second + Duration::from_secs(1)).await,
                        // As after an interface went away; the pause keeps an error that stays from spinning.
                        Err(_) => tokio::time::sleep(ANSWER).await,
                    }
                }
            }
        }
    }

    async fn call_out(&mut self) {
        self.next = Instant::now() + FIRST.get(self.sent + 1).copied().unwrap_or(EVERY);
        self.sent = self.sent.saturating_add(1);
        let addresses: Vec<Multiaddr> = self.listening.borrow().clone();
        let interfaces: BTreeSet<Ipv4Addr> = addresses.iter().filter_map(interface).collect();
        self.joined.retain(|held| interfaces.contains(held));
        for interface in interfaces {
            let socket = SockRef::from(&self.socket);
            if !self.joined.contains(&interface) && socket.join_multicast_v4(&GROUP, &interface).is_ok() {
                self.joined.insert(interface);
            }
            // Each network is told the address that is of use there.
            let told: Vec<Address> =
                addresses.iter().filter(|address| ip(address) == Some(IpAddr::V4(interface))).cloned().map(Address).collect();
            let Some(datagram) = self.beacons.write(&Beacon { node: self.own.clone(), addresses: told }) else { continue };
            if socket.set_multicast_if_v4(&interface).is_ok()
                && let Err(error) = self.socket.send_to(&datagram, (GROUP, PORT)).await
            {
                tracing::debug!(%interface, %error, "a beacon was not sent");
            }
        }
    }

    fn take(&mut self, datagram: &[u8]) {
        let Some(beacon) = self.beacons.read(datagram).filter(|beacon| beacon.node != self.own) else { return };
        let now = Instant::now();
        self.neighbours.retain(|_, seen| now.saturating_duration_since(*seen) < FORGOTTEN);
        let known = self.neighbours.contains_key(&beacon.node);
        if known || self.neighbours.len() < MAX_NEIGHBOURS {
            self.neighbours.insert(beacon.node.clone(), now);
            if !known {
                self.next = self.next.min(now + ANSWER);
            }
        }
        // A beacon that finds the queue full is heard again.
        self.heard.try_send(beacon).ok();
    }
}

fn interface(address: &Multiaddr) -> Option<Ipv4Addr> {
    match ip(address) {
        Some(IpAddr::V4(ip)) if !ip.is_loopback() && !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}
