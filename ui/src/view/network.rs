//! What the page of networks tells: who is there and how each is reached, how a network stands, what an invite and a removal mean.

pub mod map;
pub mod speed;

use super::{
    format,
    words::{plural, sentence},
};
use kith_wire::networks::{
    InviteInfo, InviteStage, KeyRotated, LinkPath, MemberInfo, NetworkInfo, NetworkList, NetworkMembership, NodeInfo,
    RemovalConsequences, SystemNat,
};

/// The longest invite that is looked at, in bytes.
pub const LONGEST_INVITE: usize = 8192;
/// What an invite begins with.
pub const INVITE: &str = "kith://join/";

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

/// An invite in a line: `used 1 of 5, ends in 3 h`.
pub fn invite(invite: &InviteInfo, now_ms: i64) -> String {
    let used = match (invite.used, invite.uses) {
        (0, 1) => "for one device".to_owned(),
        (used, uses) => format!("{used} of {uses} used"),
    };
    let ends = match invite.state {
        InviteStage::Open => match u64::try_from(invite.expires_at_ms.ms() - now_ms) {
            Ok(left) if left > 0 => format!("ends in {}", format::duration_ms(left.max(60_000))),
            _ => "over".to_owned(),
        },
        InviteStage::Used => "used up".to_owned(),
        InviteStage::Revoked => "taken back".to_owned(),
        InviteStage::Expired => "over".to_owned(),
    };
    format!("{used}, {ends}")
}

/// Whether an invite still lets in.
pub fn is_open(invite: &InviteInfo, now_ms: i64) -> bool {
    invite.state == InviteStage::Open && invite.expires_at_ms.ms() > now_ms
}

/// What removing a device does, point by point, before it is done.
pub fn consequences(name: &str, removal: &RemovalConsequences, offline: &[String]) -> Vec<String> {
    let mut points = vec![if removal.disconnects {
        format!("{name} is cut off at once and finds no way back. What it holds already stays on it.")
    } else {
        format!("{name} is shut out the moment it tries to come back. What it holds already stays on it.")
    }];
    points.push(match removal.told_now {
        0 => "The network gets a new key.".to_owned(),
        told => {
            format!("The network gets a new key: {} now.", plural(told, "connected device takes it", "connected devices take it"))
        }
    });
    if removal.told_later > 0 {
        let days = format::duration_ms(removal.kept_for_s.saturating_mul(1000));
        let is_one = removal.told_later == 1;
        let who = if offline.len() as u64 == removal.told_later {
            list(offline)
        } else {
            plural(removal.told_later, "device that is away", "devices that are away")
        };
        let (gets, its, they) = if is_one { ("gets", "its", "it needs") } else { ("get", "their", "they need") };
        points.push(format!("{who} {gets} it on {its} return, if that is within {days}. After that {they} a new invite."));
    }
    if removal.invites_ended > 0 {
        let ended = plural(removal.invites_ended, "open invite ends", "open invites end");
        points.push(format!("{ended}: it may have seen them."));
    }
    points
}

/// What a rotation did.
pub fn rotated(key: &KeyRotated, offset: i64) -> String {
    let others = key.sealed_to.saturating_sub(1);
    let later = others.saturating_sub(key.told);
    let told = match (others, key.told) {
        (0, _) => "No other device is in the network.".to_owned(),
        (_, 0) => "No other device is connected.".to_owned(),
        (_, told) => format!("{} it.", plural(told, "device has", "devices have")),
    };
    let later = match later {
        0 => String::new(),
        1 => format!(" One more gets it on its return, until {}.", format::date(key.kept_until_ms.ms(), offset)),
        many => format!(" {many} more get it on their return, until {}.", format::date(key.kept_until_ms.ms(), offset)),
    };
    format!("The network has key {} now. {told}{later}", key.key_epoch)
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

/// The invite in what was pasted, opened or handed over. `Err` says in a sentence what is wrong with it.
pub fn code(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("");
    }
    if text.len() > LONGEST_INVITE {
        return Err("This is longer than any invite.");
    }
    // The file of an invite may say more around it; the node reads that.
    if text.contains(INVITE) || text.starts_with('{') || text.contains('\n') {
        return Ok(text.to_owned());
    }
    let is_plain = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_plain { Ok(format!("{INVITE}{text}")) } else { Err("An invite begins with kith://join/.") }
}

/// A code that the address of this page held, as an invite. Whoever made the address may be anybody, so only its form is trusted.
pub fn handed_over(code: &str) -> Option<String> {
    let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let fits = (1..=LONGEST_INVITE - INVITE.len()).contains(&code.len());
    (is_plain && fits).then(|| format!("{INVITE}{code}"))
}

/// Why joining failed, as the inviter said it.
pub fn refused(message: &str) -> String {
    sentence(message)
}

#[cfg(test)]
mod tests;
