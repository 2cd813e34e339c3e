//! EdgeCoder's endpoints of the mesh: who this node is, who its peers are, what they can do, and messages from them.

use crate::{
    app::App,
    body::Json as Body,
    envelopes,
    error::ApiError,
    neighbours::{self, Neighbours},
    query,
    registered::{self, COORDINATOR, PRIVATE, own_url, public_key_pem},
};
use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
};
use kith_access::Principal;
use kith_networks::KnownNode;
use kith_types::Timestamp;
use kith_wire::networks::{
    CapabilitySummary, CoordinatorCapabilities, CoordinatorFeed, CoordinatorInfo, IngestAnswer, MeshEnvelope, MeshIdentity,
    MeshPeer, MeshPeers, ModelAvailability, RegisterMeshPeer, RegisteredMeshPeer,
};
use serde::Deserialize;
use std::sync::Arc;

/// What is asked of capabilities.
#[derive(Deserialize)]
pub struct Asked {
    model: Option<String>,
}

/// Who this node is.
#[utoipa::path(get, path = "/identity", tag = "mesh", responses((status = 200, body = MeshIdentity)))]
pub async fn identity(State(app): State<Arc<App>>) -> Json<MeshIdentity> {
    Json(MeshIdentity {
        peer_id: app.node_id.to_string(),
        public_key_pem: public_key_pem(&app.node_id),
        coordinator_url: own_url(&app).await,
        network_mode: PRIVATE.to_owned(),
    })
}

/// The other members of the active network.
#[utoipa::path(get, path = "/mesh/peers", tag = "mesh", responses((status = 200, body = MeshPeers)))]
pub async fn peers(State(app): State<Arc<App>>) -> Result<Json<MeshPeers>, ApiError> {
    let around = neighbours::look(&app).await?;
    Ok(Json(MeshPeers { peers: registered::peers(&app, &around).await? }))
}

/// Registers a member's address and role: by a request that it signed itself, or from this machine. It makes nobody a member.
#[utoipa::path(post, path = "/mesh/register-peer", tag = "mesh", request_body = RegisterMeshPeer,
    responses((status = 200, body = RegisteredMeshPeer),
              (status = 403, description = "Another node's key signed, or it is no member of the active network."),
              (status = 503, description = "No network is active.")))]
pub async fn register_peer(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Body(body): Body<RegisterMeshPeer>,
) -> Result<Json<RegisteredMeshPeer>, ApiError> {
    let peer_count = registered::register(&app, &principal, body).await?;
    Ok(Json(RegisteredMeshPeer { ok: true, peer_count }))
}

/// Takes a message that a member signed. A message of a type with which this node does nothing is refused.
#[utoipa::path(post, path = "/mesh/ingest", tag = "mesh", request_body = MeshEnvelope,
    responses((status = 200, body = IngestAnswer), (status = 403, description = "The sender is no member of the active network."),
              (status = 503, description = "Too many messages came in a short while.")))]
pub async fn ingest(State(app): State<Arc<App>>, Body(envelope): Body<MeshEnvelope>) -> Result<Json<IngestAnswer>, ApiError> {
    Ok(Json(envelopes::ingest(&app, envelope).await?))
}

fn summary(node: String, models: Vec<String>, timestamp: Timestamp) -> CoordinatorCapabilities {
    let held = ModelAvailability { agent_count: 1, total_param_capacity: None, avg_load: None };
    CoordinatorCapabilities {
        coordinator_id: node,
        agent_count: 1,
        chat_enabled: !models.is_empty(),
        model_availability: models.into_iter().map(|model| (model, held)).collect(),
        timestamp,
    }
}

fn of(known: &KnownNode) -> CoordinatorCapabilities {
    summary(known.node.to_string(), known.says.models.clone(), known.issued)
}

/// What this node and the others can do: by their signed records, or by what they sent later.
async fn summaries(app: &App, around: &Neighbours) -> Result<Vec<CoordinatorCapabilities>, ApiError> {
    let now = app.clock.now();
    let models = app.library.list().await?.into_iter().map(|model| model.name.to_string()).collect();
    let mut told = vec![summary(app.node_id.to_string(), models, now)];
    let mut sent = app.envelopes.summaries(now);
    for member in &around.members {
        let record = around.known.get(&member.node).filter(|known| !known.expired).map(of);
        let later = sent.remove(&member.node);
        told.extend([record, later].into_iter().flatten().max_by_key(|summary| summary.timestamp));
    }
    Ok(told)
}

/// What the nodes of the network can do. With `model`, only those that serve it.
#[utoipa::path(get, path = "/mesh/capabilities", tag = "mesh",
    params(("model" = Option<String>, Query, description = "Only nodes with this model, and of their models this one.")),
    responses((status = 200, body = CapabilitySummary)))]
pub async fn capabilities(
    State(app): State<Arc<App>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<CapabilitySummary>, ApiError> {
    let asked = query::read(asked)?;
    let around = neighbours::look(&app).await?;
    let mut coordinators = summaries(&app, &around).await?;
    if let Some(model) = asked.model {
        coordinators.iter_mut().for_each(|one| one.model_availability.retain(|name, _| *name == model));
        coordinators.retain(|one| !one.model_availability.is_empty());
    }
    Ok(Json(CapabilitySummary { coordinators }))
}

fn coordinator(peer: MeshPeer) -> CoordinatorInfo {
    CoordinatorInfo {
        coordinator_id: peer.peer_id,
        public_key_pem: peer.public_key_pem,
        coordinator_url: peer.coordinator_url,
        network_mode: peer.network_mode,
        approved: true,
        last_seen_ms: peer.last_seen_ms,
    }
}

/// The coordinators of the active network, this node first.
#[utoipa::path(get, path = "/network/coordinators", tag = "mesh", responses((status = 200, body = CoordinatorFeed)))]
pub async fn coordinators(State(app): State<Arc<App>>) -> Result<Json<CoordinatorFeed>, ApiError> {
    let around = neighbours::look(&app).await?;
    let own = MeshPeer {
        peer_id: app.node_id.to_string(),
        public_key_pem: public_key_pem(&app.node_id),
        coordinator_url: own_url(&app).await,
        network_mode: PRIVATE.to_owned(),
        role: COORDINATOR.to_owned(),
        last_seen_ms: Some(app.clock.now()),
    };
    let others = registered::peers(&app, &around).await?.into_iter().filter(|peer| peer.role == COORDINATOR);
    Ok(Json(CoordinatorFeed { coordinators: std::iter::once(own).chain(others).map(coordinator).collect() }))
}

#[cfg(test)]
mod tests;
