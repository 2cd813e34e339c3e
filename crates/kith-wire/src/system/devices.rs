//! This node, its paired devices, and how another one is paired.

use kith_types::{DeviceKind, Timestamp};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceList {
    /// The node itself.
    pub node: ThisNode,
    /// The paired devices, the newest first.
    pub devices: Vec<DeviceInfo>,
    /// The listener that paired devices use.
    pub listener: DeviceListener,
}

/// The node as one of the owner's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ThisNode {
    /// Its id; it is renamed by it.
    pub id: String,
    /// What its owner calls it: the machine's name unless it was given another.
    pub name: String,
    /// The operating system and its version; `unknown` where it does not tell.
    pub platform: String,
    /// The processor's architecture.
    pub arch: String,
    /// Threads that run at once.
    pub cores: u64,
    /// Bytes of memory that the machine has, or its container may use.
    pub memory_bytes: u64,
    /// The version of the program.
    pub version: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
}

/// A paired device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceInfo {
    /// By what it is renamed and revoked.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What sort of thing it is.
    pub kind: DeviceKind,
    /// When it was paired, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub paired_at_ms: Timestamp,
    /// When it last called; null if never.
    #[schema(value_type = Option<i64>)]
    pub last_seen_at_ms: Option<Timestamp>,
    /// The address it last called from.
    pub address: String,
    /// Whether it has something open, or called within the last minute.
    pub online: bool,
}

/// The listener that paired devices use. It is on while a device is paired or a ticket waits, and not while it is paused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceListener {
    /// Whether it takes calls.
    pub on: bool,
    /// Whether the owner has paused it.
    pub paused: bool,
    /// Where it is reached, `https://address:port`, the likeliest first; empty while it is off.
    pub urls: Vec<String>,
    /// Its port; null while it is off.
    pub port: Option<u16>,
    /// Its certificate; null while there is none.
    pub fingerprint: Option<Fingerprint>,
    /// Why it is off although it should be on; null otherwise.
    pub fault: Option<String>,
}

/// A certificate in a form that people compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fingerprint {
    /// The SHA-256 of the certificate, in hexadecimal pairs with colons, as browsers show it.
    pub sha256: String,
    /// Its first four bytes: `4F 2A 91 C7`.
    pub short: String,
}

impl Fingerprint {
    /// The forms of a SHA-256.
    pub fn of(sha256: &[u8; 32]) -> Self {
        let pairs: Vec<String> = sha256.iter().map(|byte| format!("{byte:02X}")).collect();
        Self { short: pairs.get(..4).unwrap_or_default().join(" "), sha256: pairs.join(":") }
    }
}

/// `POST /api/v1/devices/pair`: what the new device scans.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingInvitation {
    /// `https://address:port/pair#ticket`. What follows the `#` is the ticket, told this once.
    pub url: String,
    /// The addresses of this node that a device may reach, the likeliest first.
    pub addresses: Vec<String>,
    /// The listener's port.
    pub port: u16,
    /// The certificate that the device will be shown.
    pub fingerprint: Fingerprint,
    /// When the ticket ends, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub expires_at_ms: Timestamp,
    /// The URL as a QR code: an SVG image, dark on light, with its quiet zone.
    pub qr_svg: String,
}

/// How the last ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PairingStage {
    /// There was none since the node started.
    None,
    /// It waits for a device.
    Waiting,
    /// A device came in with it.
    Used,
    /// Nobody came in time.
    Expired,
    /// The owner took it back.
    Withdrawn,
    /// Too many wrong tickets were tried.
    Guessed,
}

/// `GET /api/v1/devices/pair`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PairingStatus {
    /// How the last ticket stands.
    pub state: PairingStage,
    /// When it ends or ended; null where that is of no matter any more.
    #[schema(value_type = Option<i64>)]
    pub expires_at_ms: Option<Timestamp>,
    /// The device that came in with it.
    pub device: Option<DeviceInfo>,
}

/// `POST /api/v1/devices/pair/claim`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaimRequest {
    /// The ticket: what followed the `#` of the URL.
    pub ticket: String,
    /// What the device shall be called, 1 to 64 characters.
    pub name: String,
    /// What sort of thing it is; `other` if left out.
    #[serde(default)]
    pub kind: DeviceKind,
}

/// A device that has just been paired.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaimedDevice {
    /// Its bearer, `kithd_…`: sent as `Authorization: Bearer …`, told this once, good until it is revoked.
    pub token: String,
    /// The device.
    pub device: DeviceInfo,
    /// What the node's owner calls the node.
    pub node_name: String,
}

/// `PATCH /api/v1/devices/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RenameDevice {
    /// The new name, 1 to 64 characters.
    pub name: String,
}

/// What was renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RenamedDevice {
    /// The device's or the node's id.
    pub id: String,
    /// Its name from now on.
    pub name: String,
}

/// `POST /api/v1/devices/listener`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListenerChange {
    /// Whether paired devices are kept out.
    pub paused: bool,
}

/// Secrets stay out of logs: what holds one prints only its name.
macro_rules! silent {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

silent!(PairingInvitation, ClaimRequest, ClaimedDevice);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_told_as_browsers_show_it_and_in_short() {
        let mut sha256 = [0; 32];
        sha256[..4].copy_from_slice(&[0x4f, 0x2a, 0x91, 0xc7]);
        let fingerprint = Fingerprint::of(&sha256);
        assert_eq!(fingerprint.short, "4F 2A 91 C7");
        assert_eq!(fingerprint.sha256.len(), 32 * 3 - 1);
        assert!(fingerprint.sha256.starts_with("4F:2A:91:C7:00:"));
    }

    #[test]
    fn a_claim_without_a_kind_is_something_with_a_browser_and_prints_no_ticket() {
        let claim: ClaimRequest = serde_json::from_str(r#"{"ticket":"kithp_x","name":"n"}"#).unwrap();
        assert_eq!(claim.kind, DeviceKind::Other);
        assert_eq!(format!("{claim:?}"), "ClaimRequest { .. }");
    }
}
