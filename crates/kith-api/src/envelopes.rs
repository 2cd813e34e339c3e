//! Messages of the mesh that come over HTTP: signed by a member, fresh, taken once, and only if this node does something with them.
//!
//! A member signs, with its Ed25519 key, these lines joined by line feeds: `kith mesh envelope v1`, `id`, `type`, `fromPeerId`,
//! `issuedAtMs`, `ttlMs`, and the SHA-256 of the payload's canonical JSON (keys sorted, no blanks) in hexadecimal.

use crate::{
    app::App,
    error::ApiError,
    registered,
    seen::{Seen, Sight},
    signed,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use kith_keys::Identity;
use kith_networks::Heard;
use kith_types::{Code, NodeId, Timestamp};
use kith_wire::networks::{CoordinatorCapabilities, IngestAnswer, MeshEnvelope, RegisterMeshPeer};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How far the sender's clock may be from this node's.
const SKEW_MS: i64 = 120_000;
/// The longest time a message may be good for.
const MAX_TTL_MS: u64 = 60_000;
/// Messages remembered at once, so that none is taken twice.
const MAX_REMEMBERED: usize = 5000;
/// Messages of one sender in [`WINDOW_MS`].
const MAX_IN_WINDOW: u32 = 50;
/// The span over which a sender's messages are counted.
const WINDOW_MS: i64 = 10_000;
/// Senders that are counted at once; more than a network has members.
const MAX_SENDERS: usize = 256;
/// The longest id of a message, in bytes.
const MAX_ID: usize = 128;
/// Models in one summary, as many as a node's record may have.
const MAX_MODELS: usize = 128;
/// A summary is good for this long: nodes send theirs every minute.
const SUMMARY_MS: i64 = 180_000;

/// Messages that came, and what they told that is good for a short while only.
pub(crate) struct Envelopes {
    /// Those of messages that took effect.
    ids: Seen,
    /// Held while a message is acted upon: one that comes twice at once is acted upon once.
    acting: tokio::sync::Mutex<()>,
    senders: Mutex<HashMap<NodeId, (Timestamp, u32)>>,
    summaries: Mutex<HashMap<NodeId, (Timestamp, CoordinatorCapabilities)>>,
}

impl Default for Envelopes {
    fn default() -> Self {
        let (ids, acting) = (Seen::new(MAX_REMEMBERED), tokio::sync::Mutex::default());
        Self { ids, acting, senders: Mutex::default(), summaries: Mutex::default() }
    }
}

impl Envelopes {
    /// Counts a message; whether its sender may send it now.
    fn allowed(&self, sender: &NodeId, now: Timestamp) -> bool {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= MAX_SENDERS {
            senders.retain(|_, (begun, _)| begun.plus_ms(WINDOW_MS) > now);
        }
        if senders.len() >= MAX_SENDERS && !senders.contains_key(sender) {
            return false;
        }
        let (begun, count) = senders.entry(sender.clone()).or_insert((now, 0));
        if begun.plus_ms(WINDOW_MS) <= now {
            (*begun, *count) = (now, 0);
        }
        *count += 1;
        *count <= MAX_IN_WINDOW
    }

    fn keep(&self, sender: NodeId, summary: CoordinatorCapabilities, now: Timestamp) {
        let mut summaries = self.summaries.lock().unwrap_or_else(PoisonError::into_inner);
        summaries.retain(|_, (until, _)| *until > now);
        // Senders are members, of whom there are fewer; should there be more all the same, the new one is passed over.
        if summaries.len() < MAX_SENDERS || summaries.contains_key(&sender) {
            summaries.insert(sender, (now.plus_ms(SUMMARY_MS), summary));
        }
    }

    /// What members said they can do, as long as it is good.
    pub fn summaries(&self, now: Timestamp) -> HashMap<NodeId, CoordinatorCapabilities> {
        let summaries = self.summaries.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = summaries.iter().filter(|(_, (until, _))| *until > now);
        fresh.map(|(node, (_, summary))| (node.clone(), summary.clone())).collect()
    }
}

/// The same value with sorted keys everywhere.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

/// What is signed.
pub(crate) fn text(envelope: &MeshEnvelope) -> String {
    let payload = hex::encode(Sha256::digest(canonical(&envelope.payload).to_string()));
    let MeshEnvelope { id, kind, from_peer_id, issued_at_ms, ttl_ms, .. } = envelope;
    format!("kith mesh envelope v1\n{id}\n{kind}\n{from_peer_id}\n{}\n{ttl_ms}\n{payload}", issued_at_ms.ms())
}

fn invalid(field: &str, reason: &str) -> ApiError {
    ApiError::new(Code::InvalidRequest, format!("`{field}` {reason}")).with_field(field)
}

/// Checks form, time and signature; who sent it.
fn checked(envelope: &MeshEnvelope, now: Timestamp) -> Result<NodeId, ApiError> {
    // Line feeds part what is signed.
    for (field, text) in [("id", &envelope.id), ("type", &envelope.kind)] {
        if text.is_empty() || text.len() > MAX_ID || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(field, "must have 1 to 128 printable characters"));
        }
    }
    let from: NodeId = envelope.from_peer_id.parse().map_err(|_| invalid("fromPeerId", "is no node's id"))?;
    let ttl = i64::try_from(envelope.ttl_ms).ok().filter(|_| (1..=MAX_TTL_MS).contains(&envelope.ttl_ms));
    let ttl = ttl.ok_or_else(|| invalid("ttlMs", "must be 1 to 60000"))?;
    let age = now.ms().saturating_sub(envelope.issued_at_ms.ms());
    if age < -SKEW_MS || age > ttl + SKEW_MS {
        return Err(invalid("issuedAtMs", "is too long ago, or ahead of this node's clock"));
    }
    let signature = STANDARD.decode(&envelope.signature).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = signature.ok_or_else(|| invalid("signature", "is no Ed25519 signature in base64"))?;
    Identity::verify(&from, text(envelope).as_bytes(), &signature).map_err(|_| invalid("signature", "is not the sender's"))?;
    Ok(from)
}

fn payload<T: DeserializeOwned>(envelope: &MeshEnvelope) -> Result<T, ApiError> {
    serde_json::from_value(envelope.payload.clone()).map_err(|error| invalid("payload", &format!("is not of its type: {error}")))
}

/// Takes a message from whoever brings it: it counts by its sender's signature.
pub(crate) async fn ingest(app: &App, envelope: MeshEnvelope) -> Result<IngestAnswer, ApiError> {
    let now = app.clock.now();
    let from = checked(&envelope, now)?;
    if !signed::approved(app, &from).await? {
        return Err(ApiError::new(Code::Forbidden, "the sender is no member of the active network").with_field("fromPeerId"));
    }
    if !app.envelopes.allowed(&from, now) {
        let often = ApiError::new(Code::RateLimited, "more than 50 messages of that sender in 10 s");
        return Err(ApiError { retry_after: Some(10), ..often });
    }
    let until = envelope.issued_at_ms.plus_ms(MAX_TTL_MS.cast_signed() + SKEW_MS);
    let digest: [u8; 32] = Sha256::digest(format!("{from}\n{}", envelope.id)).into();
    let _acting = app.envelopes.acting.lock().await;
    match app.envelopes.ids.look(&digest, now) {
        Sight::New => {}
        Sight::Known => return Ok(IngestAnswer { ok: true, duplicate: true }),
        Sight::Full => {
            let full = ApiError::new(Code::Overloaded, "more messages came in a short while than are remembered");
            return Err(ApiError { retry_after: Some(30), ..full });
        }
    }
    let answer = acted(app, from, &envelope, now).await?;
    // What failed, or had no effect, is no duplicate when it comes again: it is tried again.
    if answer.ok {
        app.envelopes.ids.take(digest, until, now);
    }
    Ok(answer)
}

/// Does what a message asks for.
async fn acted(app: &App, from: NodeId, envelope: &MeshEnvelope, now: Timestamp) -> Result<IngestAnswer, ApiError> {
    let done = IngestAnswer { ok: true, duplicate: false };
    match envelope.kind.as_str() {
        "peer_announce" => {
            let peer: RegisterMeshPeer = payload(envelope)?;
            own(&from, &peer.peer_id)?;
            registered::announced(app, from, peer).await?;
            Ok(done)
        }
        "capability_summary" => {
            let summary: CoordinatorCapabilities = payload(envelope)?;
            own(&from, &summary.coordinator_id)?;
            if summary.model_availability.len() > MAX_MODELS {
                return Err(invalid("payload", "names more than 128 models"));
            }
            app.envelopes.keep(from, summary, now);
            Ok(done)
        }
        "node_record" => {
            let record = envelope.payload.get("record").and_then(Value::as_str);
            let record = record.ok_or_else(|| invalid("payload", "has no `record`"))?;
            let network = app.networks.active().await?.ok_or(kith_networks::NetworkError::NoneActive)?;
            match app.networks.hear(network.id, &from, record.as_bytes()).await? {
                Heard::Accept(_) => Ok(done),
                // It may be honest, but nothing came of it.
                Heard::Ignore(_) => Ok(IngestAnswer { ok: false, duplicate: false }),
                Heard::Reject(reason) => Err(invalid("payload", &format!("is {reason}"))),
            }
        }
        _ => Err(invalid("type", "must be `peer_announce`, `capability_summary` or `node_record`; others have no effect here")),
    }
}

/// Nobody speaks for another.
fn own(from: &NodeId, speaks_of: &str) -> Result<(), ApiError> {
    if from.as_str() == speaks_of { Ok(()) } else { Err(invalid("payload", "speaks of another node than its sender")) }
}

#[cfg(test)]
mod tests;
