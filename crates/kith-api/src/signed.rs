//! Requests signed by an approved node's key: Ed25519 over time, nonce, method, path and the body's digest.
//!
//! The headers are those of EdgeCoder's agents: `x-node-id` (or `x-agent-id`, `x-peer-id`), `x-timestamp-ms`, `x-nonce`,
//! `x-body-sha256` (hexadecimal) and `x-signature` (base64). What is signed is these, joined by line feeds:
//! `timestamp\nnonce\nMETHOD\n/path?query\nbody-sha256`.
//!
//! Each node remembers nonces for itself alone, so a request without a recipient is as good at another node as at the one it was meant
//! for. Who does not want that names the node that it is for in `x-recipient`, and signs its id as a further line at the end.

use crate::{
    app::App,
    body,
    error::ApiError,
    seen::{Seen, Sight},
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, Uri},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use kith_keys::Identity;
use kith_networks::MemberState;
use kith_types::{Code, NodeId, Timestamp};
use sha2::{Digest, Sha256};

/// How far the signer's clock may be from this node's.
const SKEW_MS: i64 = 120_000;
/// How long a nonce is remembered: longer than its time can be taken for fresh.
const REMEMBERED_MS: i64 = 300_000;
/// Nonces remembered at once; each takes about 60 bytes.
const MAX_NONCES: usize = 65_536;
/// How long a nonce is, in characters: enough that none comes twice by chance.
const NONCE: std::ops::RangeInclusive<usize> = 16..=128;

/// The nonces of signed requests.
pub(crate) struct Nonces(Seen);

impl Default for Nonces {
    fn default() -> Self {
        Self(Seen::new(MAX_NONCES))
    }
}

/// A request whose signature is right. Whether its signer is approved, its nonce new and its body the one that was signed is not yet
/// known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Who signed.
    pub node: NodeId,
    nonce: String,
    body: [u8; 32],
}

fn refused(reason: &str) -> ApiError {
    ApiError::new(Code::Unauthorized, format!("the signed request is refused: {reason}"))
}

/// What is signed.
pub(crate) fn text(stamp: (i64, &str), (method, uri): (&Method, &Uri), body_sha256: &str, recipient: Option<&str>) -> String {
    let (timestamp_ms, nonce) = stamp;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let text = format!("{timestamp_ms}\n{nonce}\n{method}\n{path}\n{body_sha256}");
    recipient.map(|recipient| format!("{text}\n{recipient}")).unwrap_or(text)
}

/// Checks time, recipient and signature of a request that has one; `None` for one that has none. `own` is this node.
pub(crate) fn verify(
    call: (&Method, &Uri),
    headers: &HeaderMap,
    own: &NodeId,
    now: Timestamp,
) -> Option<Result<Signed, ApiError>> {
    headers.contains_key("x-signature").then(|| check(call, headers, own, now))
}

fn check(call: (&Method, &Uri), headers: &HeaderMap, own: &NodeId, now: Timestamp) -> Result<Signed, ApiError> {
    let text_of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let needed = |name: &str| text_of(name).ok_or_else(|| refused(&format!("`{name}` is missing")));
    let node = ["x-node-id", "x-agent-id", "x-peer-id"].into_iter().find_map(text_of);
    let node: NodeId = node.and_then(|node| node.parse().ok()).ok_or_else(|| refused("`x-node-id` is no node's id"))?;
    let time: i64 = needed("x-timestamp-ms")?.parse().map_err(|_| refused("`x-timestamp-ms` is no time"))?;
    if now.ms().abs_diff(time) > SKEW_MS.unsigned_abs() {
        return Err(refused("its time is more than 120 s from this node's clock"));
    }
    let nonce = needed("x-nonce")?;
    if !NONCE.contains(&nonce.len()) {
        return Err(refused("`x-nonce` must have 16 to 128 characters"));
    }
    // A header that is no text was presented all the same, and names nobody.
    let recipient = headers.get("x-recipient").map(|value| value.to_str().unwrap_or_default());
    if recipient.is_some_and(|recipient| recipient != own.as_str()) {
        return Err(refused("it is meant for another node"));
    }
    let digest = needed("x-body-sha256")?;
    let mut body = [0; 32];
    hex::decode_to_slice(digest, &mut body).map_err(|_| refused("`x-body-sha256` is no SHA-256 digest"))?;
    let signature = STANDARD.decode(needed("x-signature")?).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = signature.ok_or_else(|| refused("`x-signature` is no Ed25519 signature in base64"))?;
    Identity::verify(&node, text((time, nonce), call, digest, recipient).as_bytes(), &signature)
        .map_err(|_| refused("the signature is not that node's"))?;
    Ok(Signed { node, nonce: nonce.to_owned(), body })
}

/// Whether the node is a member in good standing of the active network: that is what approves it.
pub(crate) async fn approved(app: &App, node: &NodeId) -> Result<bool, ApiError> {
    let Some(network) = app.networks.active().await? else { return Ok(false) };
    let members = app.networks.members(network.id).await?;
    Ok(members.iter().any(|member| member.node == *node && member.state == MemberState::Active))
}

/// The signer of a request, if an admin of the active network let it in.
pub(crate) async fn signer(app: &App, signed: Result<Signed, ApiError>) -> Result<Signed, ApiError> {
    let signed = signed?;
    if approved(app, &signed.node).await? { Ok(signed) } else { Err(refused("its node is no member of the active network")) }
}

/// Takes the request, if it comes for the first time and brings the body that was signed.
pub(crate) async fn take(app: &App, request: Request, signed: &Signed) -> Result<Request, ApiError> {
    let now = app.clock.now();
    let digest = Sha256::digest(format!("{}\n{}", signed.node, signed.nonce));
    match app.nonces.0.take(digest.into(), now.plus_ms(REMEMBERED_MS), now) {
        Sight::New => {}
        Sight::Known => return Err(refused("it came before")),
        Sight::Full => {
            let full = ApiError::new(Code::Overloaded, "more signed requests came in five minutes than are remembered");
            return Err(ApiError { retry_after: Some(60), ..full });
        }
    }
    let (head, body) = request.into_parts();
    let bytes = body::collect(Request::from_parts(head.clone(), body), app.settings.standard_body).await?;
    if Sha256::digest(&bytes)[..] != signed.body {
        return Err(refused("its body is not the one that was signed"));
    }
    Ok(Request::from_parts(head, Body::from(bytes)))
}

#[cfg(test)]
mod tests;
