//! What the page of networks tells: who is there and how each is reached, how a network stands, what an invite and a removal mean.

mod invite;
mod key;
pub mod map;
pub mod speed;

pub use invite::{INVITE, LONGEST_INVITE, code, handed_over, invite, is_open};
pub use key::{consequences, rotated};

use super::{format, words::plural};
use kith_wire::networks::{LinkPath, MemberInfo, NetworkInfo, NetworkList, NetworkMembership, NodeInfo, SystemNat};

/// From how many letters on something in a sentence can only be an id, and no word.
const LIKE_AN_ID: usize = 20;

/// How a device of the network is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is this one.
    Here,
    /// At an address of its own.
    Direct,
    /// Straight, through two routers.
    Punched,
    /// Through another device.
    Relayed,
    /// Not now.
    Away,
}

impl Way {
    /// Those that are drawn as lines, in the order of the legend.
    pub const LINKS: [Self; 3] = [Self::Direct, Self::Punched, Self::Relayed];

    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "this device",
            Self::Direct => "direct",
            Self::Punched => "hole-punched",
            Self::Relayed => "relayed",
            Self::Away => "away",
        }
    }

    /// The class of its line.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Here | Self::Direct => "direct",
            Self::Punched => "punched",
            Self::Relayed => "relayed",
            Self::Away => "away",
        }
    }

    /// As the node tells it.
    pub const fn of(path: LinkPath) -> Self {
        match path {
            LinkPath::Direct => Self::Direct,
            LinkPath::HolePunched => Self::Punched,
            LinkPath::Relayed => Self::Relayed,
            LinkPath::None => Self::Away,
        }
    }

    /// Whether there is a connection.
    pub const fn is_link(self) -> bool {
        matches!(self, Self::Direct | Self::Punched | Self::Relayed)
    }
}

/// A device of the network: what the network knows of it, and what it says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// The node's id.
    pub id: String,
    /// What it is called; the end of its id where it did not say.
    pub name: String,
    /// Whether it may let others in.
    pub is_admin: bool,
    /// Whether it founded the network.
    pub is_founder: bool,
    /// Whether only others told of it.
    pub is_heard: bool,
    /// How it is reached.
    pub way: Way,
    /// The device between, where there is one.
    pub via: Option<String>,
    /// Why it is reached that way.
    pub why: String,
    /// The round trip, in milliseconds.
    pub latency_ms: Option<f64>,
    /// When it was last met or heard.
    pub seen_ms: Option<i64>,
    /// What it says of itself; nothing before it was heard.
    pub node: Option<NodeInfo>,
}

impl Device {
    fn of(id: &str, member: Option<&MemberInfo>, node: Option<&NodeInfo>, nat: Option<&SystemNat>) -> Self {
        let said = [node.map(|node| node.display_name.as_str()), member.map(|member| member.name.as_str())];
        let name = said.into_iter().flatten().find(|name| !name.is_empty());
        let is_self = node.is_some_and(|node| node.is_self) || member.is_some_and(|member| member.is_self);
        let link = nat.and_then(|nat| nat.peers.iter().find(|peer| peer.node_id == id));
        let way = match (is_self, node) {
            (true, _) => Way::Here,
            (false, Some(node)) => Way::of(node.path),
            (false, None) => Way::Away,
        };
        let seen = [node.and_then(|node| node.last_seen_ms), member.and_then(|member| member.last_seen_at_ms)];
        Self {
            id: id.to_owned(),
            name: name.map_or_else(|| short(id), str::to_owned),
            is_admin: member.map(|member| &member.role).or(node.map(|node| &node.role)).is_some_and(|role| role == "admin"),
            is_founder: member.is_some_and(|member| member.is_founder),
            is_heard: member.is_some_and(|member| member.state == "heard"),
            way,
            via: link.and_then(|link| link.via.clone()),
            why: node.map(|node| node.path_reason.clone()).unwrap_or_default(),
            latency_ms: node.and_then(|node| node.latency_ms),
            seen_ms: seen.into_iter().flatten().map(|seen| seen.ms()).max(),
            node: node.cloned(),
        }
    }

    /// How it is reached, in a line: `direct, 12 ms`, `seen 3 h ago`.
    pub fn state(&self, now_ms: i64) -> String {
        match (self.way, self.latency_ms) {
            (Way::Here, _) => "this device".to_owned(),
            (Way::Away, _) => self.seen(now_ms),
            (way, Some(ms)) => format!("{}, {}", way.name(), latency(ms)),
            (way, None) => way.name().to_owned(),
        }
    }

    /// When it was last there.
    pub fn seen(&self, now_ms: i64) -> String {
        match (self.seen_ms, &self.node) {
            (Some(seen), Some(node)) if node.status == "idle" => format!("heard {}", format::ago(seen, now_ms)),
            (Some(seen), _) => format!("seen {}", format::ago(seen, now_ms)),
            (None, _) => "not met yet".to_owned(),
        }
    }

    /// The machine in a line: `Linux x86_64, 16 threads, 64 GB, RTX 4090`.
    pub fn machine(&self) -> String {
        let Some(node) = &self.node else {
            return if self.is_heard { "Others told of it" } else { "It has not told of itself yet" }.to_owned();
        };
        let machine = &node.hardware;
        let mut parts = Vec::new();
        parts.extend(Some(node.platform.clone()).filter(|platform| !platform.is_empty()));
        if machine.cores > 0 {
            parts.push(plural(machine.cores.into(), "thread", "threads"));
        }
        if machine.memory_bytes > 0 {
            parts.push(format::memory(machine.memory_bytes));
        }
        parts.extend(machine.accelerators.iter().cloned());
        parts.join(", ")
    }

    /// Whether it is one that is held in a hand.
    pub fn is_phone(&self) -> bool {
        let platform = self.node.as_ref().map(|node| node.platform.to_ascii_lowercase()).unwrap_or_default();
        ["android", "ios"].iter().any(|word| platform.contains(word))
    }
}

/// The end of an id, by which it is told from others.
fn short(id: &str) -> String {
    let tail: Vec<char> = id.chars().rev().take(6).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

/// Everybody who belongs to the network: this node first, then by name. Who was removed is left out.
pub fn devices(members: &[MemberInfo], nodes: &[NodeInfo], nat: Option<&SystemNat>) -> Vec<Device> {
    let is_out = |id: &str| members.iter().any(|member| member.node_id == id && member.state == "removed");
    let mut all: Vec<Device> = nodes
        .iter()
        .filter(|node| !is_out(&node.id))
        .map(|node| Device::of(&node.id, members.iter().find(|member| member.node_id == node.id), Some(node), nat))
        .collect();
    let others = members.iter().filter(|member| !is_out(&member.node_id) && !nodes.iter().any(|node| node.id == member.node_id));
    all.extend(others.map(|member| Device::of(&member.node_id, Some(member), None, nat)));
    all.sort_by_key(|device| (device.way != Way::Here, device.name.to_lowercase(), device.id.clone()));
    // What the mesh says in ids is read in names.
    let names: Vec<(String, String)> = all.iter().map(|device| (device.id.clone(), device.name.clone())).collect();
    for device in &mut all {
        device.why = named(&device.why, &names);
    }
    all
}

/// A sentence with the ids in it replaced by names.
fn named(text: &str, names: &[(String, String)]) -> String {
    names.iter().filter(|(id, _)| id.len() >= LIKE_AN_ID).fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
}

/// A round trip: `0.4 ms`, `12 ms`, `1.2 s`.
pub fn latency(ms: f64) -> String {
    if ms < 0.05 {
        "< 0.1 ms".to_owned()
    } else if ms < 9.95 {
        format!("{ms:.1} ms")
    } else {
        format::duration_ms(ms.round() as u64)
    }
}

/// How this node stands towards a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is on it.
    Connected,
    /// It looks for its members.
    Connecting,
    /// It is not on it.
    Offline,
    /// A member must let it in.
    Waiting,
    /// It was removed.
    Removed,
}

impl Standing {
    /// As the node tells it.
    pub fn of(network: &NetworkInfo) -> Self {
        match (network.membership, network.state.as_str()) {
            (NetworkMembership::Removed, _) => Self::Removed,
            (NetworkMembership::Invited, _) => Self::Waiting,
            (_, "connected") => Self::Connected,
            (_, "connecting") => Self::Connecting,
            _ => Self::Offline,
        }
    }

    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Offline => "offline",
            Self::Waiting => "waiting to be let in",
            Self::Removed => "removed",
        }
    }
}

/// A network in a line: `5 devices, this one is called desk`.
pub fn about(network: &NetworkInfo) -> String {
    match Standing::of(network) {
        Standing::Removed => "This device was removed. To come back it needs a new invite.".to_owned(),
        Standing::Waiting if network.state == "disconnected" => {
            "A device that may let others in must be met once. Connect to try again.".to_owned()
        }
        Standing::Waiting => "A device that may let others in must be met once; it is looked for.".to_owned(),
        _ if network.member_count <= 1 => format!("Only this device so far, called {}", network.device_name),
        _ => format!("{}, this one is called {}", plural(network.member_count, "device", "devices"), network.device_name),
    }
}

/// What stands under the page's name.
pub fn headline(list: &NetworkList, devices: &[Device]) -> String {
    let Some(network) = active(list) else {
        return match list.networks.len() {
            0 => "Your machines as one: they see each other and share models. Nobody else can enter or listen.".to_owned(),
            _ => "No network is used now.".to_owned(),
        };
    };
    let others = devices.iter().filter(|device| device.way != Way::Here).count();
    let linked = devices.iter().filter(|device| device.way.is_link()).count();
    match Standing::of(network) {
        Standing::Connected if others == 0 => format!("{}: connected, and no other device is in it yet.", network.name),
        Standing::Connected if linked == others => {
            format!("{}: connected with {}.", network.name, plural(others as u64, "device", "devices"))
        }
        Standing::Connected => {
            format!("{}: connected with {linked} of {}.", network.name, plural(others as u64, "device", "devices"))
        }
        Standing::Connecting => format!("{}: looking for its devices.", network.name),
        Standing::Offline => format!("{}: offline.", network.name),
        Standing::Waiting => format!("{}: waiting to be let in.", network.name),
        Standing::Removed => format!("{}: this device was removed.", network.name),
    }
}

/// The network that is used.
pub fn active(list: &NetworkList) -> Option<&NetworkInfo> {
    let id = list.active.as_ref()?;
    list.networks.iter().find(|network| network.id == *id)
}

/// Whether this node may change who belongs to a network.
pub fn may_invite(network: &NetworkInfo) -> bool {
    network.membership == NetworkMembership::Admin
}

/// How others reach this node: a title and what it means.
pub fn reach(nat: &SystemNat) -> (&'static str, String) {
    let (title, means) = match (nat.online, nat.status.as_str()) {
        (false, _) => return ("Not known while offline", "It is found out once a network is connected.".to_owned()),
        (_, "public") => ("Reachable from anywhere", "Devices away from home connect straight to this one."),
        (_, "local") => {
            ("Reachable at home", "Devices on the same network connect straight to this one; those elsewhere need help.")
        }
        (_, "private") if nat.relays.is_empty() => (
            "Not reachable from outside",
            "Connections must begin here. A device elsewhere that can be reached by both would pass them on.",
        ),
        (_, "private") => ("Reachable through another device", "It passes connections on until a straight one comes about."),
        _ => ("Not known yet", "It is found out as soon as another device tries."),
    };
    (title, means.to_owned())
}

/// What the router did, in a sentence; nothing where it was not asked.
pub fn router(nat: &SystemNat) -> Option<&'static str> {
    match nat.upnp.state.as_str() {
        "mapped" => Some("The router opened a port for this device."),
        "asking" => Some("The router was asked for a port and has not answered yet."),
        "no_gateway" => Some("No router opens ports by itself here (UPnP); that is common, and often no harm."),
        "not_routable" => Some("The router is itself behind another one, so a port on it does not help."),
        _ => None,
    }
}

/// `a`, `a and b`, `a, b and c`; at most four names.
pub fn list(names: &[String]) -> String {
    list_most(names, 4)
}

/// As [`list`], with at most so many names.
pub fn list_most(names: &[String], most: usize) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        names if names.len() > most => {
            format!("{} and {} more", names.get(..most).unwrap_or_default().join(", "), names.len() - most)
        }
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
