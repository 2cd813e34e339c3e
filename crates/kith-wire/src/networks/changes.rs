//! What is asked for and told when a network changes hands: invites, members, keys, and how this node is reached.

use super::{KeyRotated, LinkPath, MemberInfo};
use kith_types::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/networks/{id}/invites`. What is left out is as usual: one newcomer, as a member, within a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct NewInvite {
    /// A note for the list of invites; at most 64 characters.
    #[serde(alias = "name")]
    pub label: String,
    /// How many may come in, 1 to 200; one if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
    /// How long it is good for, 60 to 2,592,000 seconds; a day if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// `member` (if left out) or `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The only node that may read and use it, `12D3Koo…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_node: Option<String>,
}

/// `POST /api/v1/networks/preview`: what does this invite say?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PreviewInvite {
    /// `kith://join/…`, or the text of an invite file.
    #[serde(alias = "invite", alias = "code")]
    pub url: String,
}

impl std::fmt::Debug for PreviewInvite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreviewInvite").finish_non_exhaustive()
    }
}

/// What an invite says, before it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NetworkInvitePreview)]
pub struct InvitePreview {
    /// The network it leads into.
    pub network_id: String,
    /// What the network's members call it.
    pub name: String,
    /// Who invites, `12D3Koo…`.
    pub inviter: String,
    /// Where the inviter is reached.
    pub addresses: Vec<String>,
    /// What this node would be: `member` or `admin`.
    pub role: String,
    /// From when on it is void, by the inviter's clock, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub expires_at_ms: Timestamp,
    /// Whether the network is saved on this node already.
    pub known: bool,
}

/// `GET /api/v1/networks/{id}/members/{node_id}`: a member, and what removing it would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberDetail {
    /// The member.
    #[serde(flatten)]
    pub member: MemberInfo,
    /// What removing it would do.
    pub removal: RemovalConsequences,
}

/// What removing a member would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RemovalConsequences {
    /// Why this node cannot remove it; null where it can.
    pub refused: Option<String>,
    /// Whether its connections with this node end at once.
    pub disconnects: bool,
    /// Other members who get the new key at once, because they are connected.
    pub told_now: u64,
    /// Other members who get it when they come back.
    pub told_later: u64,
    /// For how long they may stay away, in seconds, without having to be invited anew.
    pub kept_for_s: u64,
    /// Open invites of this node that end, for the device may have seen them.
    pub invites_ended: u64,
}

/// `DELETE /api/v1/networks/{id}/members/{node_id}`: what removing it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberRemoved {
    /// The node that was removed.
    pub node_id: String,
    /// Open invites of this node that ended with it.
    pub invites_ended: u64,
    /// The new key, which it does not get.
    #[serde(flatten)]
    pub key: KeyRotated,
}

/// `GET /api/v1/system/nat`: whether others can reach this node, and how it reaches each of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SystemNat {
    /// Whether a network is connected; without one nothing was found out.
    pub online: bool,
    /// `unknown`, `public`, `local` or `private`.
    pub status: String,
    /// How that is known, in one sentence.
    pub why: String,
    /// Addresses at which others have reached this node.
    pub external_addrs: Vec<String>,
    /// Addresses it listens on.
    pub listen_addrs: Vec<String>,
    /// What the router said.
    pub upnp: NatUpnp,
    /// Members through which it can be reached, `12D3Koo…`.
    pub relays: Vec<String>,
    /// How each connected peer is reached, and why so.
    pub peers: Vec<NatPeer>,
}

/// What the router said when it was asked for a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NatUpnp {
    /// `off`, `asking`, `mapped`, `no_gateway` or `not_routable`.
    pub state: String,
    /// Whether it opened a port.
    pub mapped: bool,
}

/// How a connected peer is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NatPeer {
    /// The peer.
    pub node_id: String,
    /// What it is called; empty if it did not say.
    pub name: String,
    /// How it is reached.
    pub path: LinkPath,
    /// Why so, in one sentence.
    pub why: String,
    /// The member through which it is reached; null if it is directly.
    pub via: Option<String>,
    /// The address of the connection.
    pub address: String,
}

/// `GET /network/coordinators`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CoordinatorFeed {
    /// The coordinators, this node first.
    pub coordinators: Vec<CoordinatorInfo>,
}

/// A coordinator of the active network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoordinatorInfo {
    /// The node.
    pub coordinator_id: String,
    /// Its Ed25519 public key as PEM.
    pub public_key_pem: String,
    /// Where its API is reached; empty if it is not told.
    pub coordinator_url: String,
    /// `enterprise_overlay` or `public_mesh`.
    pub network_mode: String,
    /// Whether an admin of the network let it in: always so, for others are not listed.
    pub approved: bool,
    /// When it was last heard, in milliseconds since 1970; null if never.
    #[schema(value_type = Option<i64>)]
    pub last_seen_ms: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn an_order_of_an_invite_may_say_nothing_and_a_preview_prints_no_code() {
        assert_eq!(serde_json::from_value::<NewInvite>(json!({})).unwrap(), NewInvite::default());
        assert!(serde_json::from_value::<NewInvite>(json!({"name": 7})).is_err(), "a label is a text");
        let asked: PreviewInvite = serde_json::from_value(json!({"code": "kith://join/x"})).unwrap();
        assert_eq!((asked.url.as_str(), format!("{asked:?}").as_str()), ("kith://join/x", "PreviewInvite { .. }"));
    }

    #[test]
    fn what_a_removal_did_is_one_flat_object() {
        let key = KeyRotated { key_epoch: 2, key_id: "k".into(), sealed_to: 3, told: 1, kept_until_ms: Timestamp::from_ms(9) };
        let value = to_value(MemberRemoved { node_id: "n".into(), invites_ended: 1, key }).unwrap();
        assert_eq!((&value["node_id"], &value["key_epoch"], &value["kept_until_ms"]), (&json!("n"), &json!(2), &json!(9)));
    }
}
