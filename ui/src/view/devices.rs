//! What the page of devices tells, and the phone's first page: who is there, how sharing stands, what becomes of a code.

use super::{format, words::plural};
use kith_types::DeviceKind;
use kith_wire::system::{DeviceInfo, DeviceListener, ThisNode};

/// The machine in a line: `Linux, 2 cores, 24 GB`.
pub fn machine(node: &ThisNode) -> String {
    let mut parts = Vec::new();
    if node.platform != "unknown" && !node.platform.is_empty() {
        parts.push(platform(&node.platform).to_owned());
    }
    parts.push(plural(node.cores, "core", "cores"));
    if node.memory_bytes > 0 {
        parts.push(format::memory(node.memory_bytes));
    }
    parts.join(", ")
}

/// The part of `Linux (Debian GNU/Linux 12)` that its owner knows it by.
fn platform(text: &str) -> &str {
    let inner = text.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.unwrap_or(text).trim()
}

/// How long the node runs, and what.
pub fn running(node: &ThisNode) -> String {
    format!("up {}", format::duration_ms(node.uptime_ms))
}

/// When a device came and from where: `paired 12 Nov 2026, 192.168.1.31`.
pub fn came(device: &DeviceInfo, now_ms: i64, offset: i64) -> String {
    let paired = match format::period(device.paired_at_ms.ms(), now_ms, offset) {
        "Today" => format!("paired today {}", format::clock(device.paired_at_ms.ms(), offset)),
        "Yesterday" => "paired yesterday".to_owned(),
        _ => format!("paired {}", format::date(device.paired_at_ms.ms(), offset)),
    };
    if device.address.is_empty() { paired } else { format!("{paired}, {}", device.address) }
}

/// Whether a device is there, or when it last was.
pub fn seen(device: &DeviceInfo, now_ms: i64) -> String {
    match device.last_seen_at_ms {
        _ if device.online => "online".to_owned(),
        Some(seen) => format!("seen {}", format::ago(seen.ms(), now_ms)),
        None => "not seen yet".to_owned(),
    }
}

/// Who is there, under the page's name.
pub fn headline(devices: &[DeviceInfo], may_pair: bool) -> String {
    let online = devices.iter().filter(|device| device.online).count();
    match (devices.len(), online) {
        (0, _) if !may_pair => "Devices are paired and renamed on the computer itself.".to_owned(),
        (0, _) => "Bring in your phone: it uses this node's models over your own network.".to_owned(),
        (all, 0) => format!("{} paired with this node, none online.", plural(all as u64, "device", "devices")),
        (all, online) => format!("{} paired with this node, {online} online.", plural(all as u64, "device", "devices")),
    }
}

/// How the listener for paired devices stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It takes calls.
    On,
    /// The owner paused it.
    Paused,
    /// It should be on and is not.
    Broken,
    /// Nobody needs it.
    Off,
}

impl Sharing {
    /// As the node tells it.
    pub fn of(listener: &DeviceListener) -> Self {
        match listener {
            DeviceListener { paused: true, .. } => Self::Paused,
            DeviceListener { on: true, .. } => Self::On,
            DeviceListener { fault: Some(_), .. } => Self::Broken,
            _ => Self::Off,
        }
    }

    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "Sharing is on",
            Self::Paused => "Sharing is paused",
            Self::Broken => "Sharing could not start",
            Self::Off => "Sharing is off",
        }
    }
}

/// What the listener's state means.
pub fn means(listener: &DeviceListener) -> String {
    match Sharing::of(listener) {
        Sharing::On => listener.urls.join(", "),
        Sharing::Paused => "Paired devices are kept out until you resume.".to_owned(),
        Sharing::Broken => listener.fault.as_deref().map(super::words::sentence).unwrap_or_default(),
        Sharing::Off => "It turns on by itself once a device is paired.".to_owned(),
    }
}

/// The time a code has left, `4:32`; `None` once it is over.
pub fn left(expires_ms: i64, now_ms: i64) -> Option<String> {
    let seconds = (expires_ms - now_ms).max(0).unsigned_abs().div_ceil(1000);
    (seconds > 0).then(|| format!("{}:{:02}", seconds / 60, seconds % 60))
}

/// What a browser's own words say it runs on: a name to begin with, and the sort of thing.
pub fn guess(user_agent: &str, is_small: bool) -> (String, DeviceKind) {
    let has = |word: &str| user_agent.contains(word);
    let (name, kind) = if has("iPhone") {
        ("iPhone", DeviceKind::Phone)
    } else if has("iPad") {
        ("iPad", DeviceKind::Tablet)
    } else if has("Android") {
        let kind = if has("Mobile") { DeviceKind::Phone } else { DeviceKind::Tablet };
        return (android(user_agent).unwrap_or(if has("Mobile") { "Android phone" } else { "Android tablet" }).to_owned(), kind);
    } else if has("Macintosh") {
        // Tablets of this make say they are computers; their screens are told apart by the caller.
        if is_small { ("iPad", DeviceKind::Tablet) } else { ("Mac", DeviceKind::Computer) }
    } else if has("Windows") {
        ("Windows PC", DeviceKind::Computer)
    } else if has("CrOS") {
        ("Chromebook", DeviceKind::Computer)
    } else if has("Linux") {
        ("Linux PC", DeviceKind::Computer)
    } else {
        ("My device", DeviceKind::Other)
    };
    (name.to_owned(), kind)
}

/// The model out of `(Linux; Android 14; Pixel 9)`. Browsers that hide it say `K`.
fn android(user_agent: &str) -> Option<&str> {
    let inside = user_agent.split_once('(')?.1.split_once(')')?.0;
    let model = inside.split(';').map(str::trim).skip_while(|part| !part.starts_with("Android")).nth(1)?;
    let model = model.split(" Build/").next()?.trim();
    let is_name = model.len() > 1 && model.len() <= 64 && !model.starts_with("rv:") && model != "Mobile" && model != "wv";
    is_name.then_some(model)
}

/// Why a claim was refused, as one clear page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What is the matter.
    pub title: &'static str,
    /// What to do.
    pub text: &'static str,
}

/// Why a code does not let in, by status and code of the answer. `None` where another try with the same code may help.
pub fn refusal(status: u16, code: &str) -> Option<Refusal> {
    const NEW: &str = "On the computer, open Devices, choose Pair a phone and scan the new code.";
    Some(match (status, code) {
        (_, "TICKET_USED") => Refusal {
            title: "This code was used already",
            text: "Each code pairs one device. On the computer, open Devices and make a new one.",
        },
        (410, _) => Refusal { title: "This code has expired", text: NEW },
        (401, _) => Refusal { title: "This is not the code that is shown", text: NEW },
        (409, _) => Refusal {
            title: "No more devices can be paired",
            text: "On the computer, open Devices and revoke one that is no longer used.",
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
