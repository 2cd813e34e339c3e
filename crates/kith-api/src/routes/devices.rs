//! Devices: this node, those paired with it, and how another one is paired.

use crate::{
    admit::Remote,
    app::App,
    body::Json as Body,
    error::ApiError,
    lan::{Invitation, LanRefusal, LanState},
    stats,
};
use axum::{
    Extension, Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use kith_access::{Device, PairingState};
use kith_types::Code;
use kith_wire::system::{
    ClaimRequest, ClaimedDevice, DeviceInfo, DeviceList, DeviceListener, Fingerprint, ListenerChange, PairingInvitation,
    PairingStage, PairingStatus, RenameDevice, RenamedDevice, ThisNode,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

impl From<LanRefusal> for ApiError {
    fn from(refusal: LanRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            LanRefusal::Paused | LanRefusal::NoAddress | LanRefusal::Listen { .. } => Self::new(Code::Conflict, message),
            LanRefusal::Stopping => Self::new(Code::ShuttingDown, message),
            LanRefusal::Access(error) => Self::from(error),
            LanRefusal::Failed(reason) => Self::internal(&reason),
        }
    }
}

fn info(device: Device) -> DeviceInfo {
    DeviceInfo {
        id: device.id.to_string(),
        name: device.name,
        kind: device.kind,
        paired_at_ms: device.paired,
        last_seen_at_ms: device.last_seen,
        address: device.address,
        online: device.online,
    }
}

fn listener(state: LanState) -> DeviceListener {
    DeviceListener {
        on: !state.addresses.is_empty(),
        paused: state.paused,
        urls: state.addresses.iter().map(|address| format!("https://{address}")).collect(),
        port: state.addresses.first().map(std::net::SocketAddr::port),
        fingerprint: state.fingerprint.as_ref().map(Fingerprint::of),
        fault: state.fault,
    }
}

fn invitation(invitation: Invitation) -> PairingInvitation {
    PairingInvitation {
        url: invitation.url,
        port: invitation.addresses.first().map_or(0, std::net::SocketAddr::port),
        addresses: invitation.addresses.iter().map(|address| address.ip().to_string()).collect(),
        fingerprint: Fingerprint::of(&invitation.fingerprint),
        expires_at_ms: invitation.expires,
        qr_svg: invitation.qr_svg,
    }
}

async fn this_node(app: &App) -> ThisNode {
    let hardware = stats::hardware(app).await;
    ThisNode {
        id: app.node_id.to_string(),
        name: app.lan.node_name().await,
        platform: hardware.os.unwrap_or_else(|| "unknown".to_owned()),
        arch: hardware.arch,
        cores: hardware.cpu.logical_cores,
        memory_bytes: hardware.memory.total,
        version: app.build.version.clone(),
        uptime_ms: app.uptime_ms(),
    }
}

/// This node, the devices paired with it, and the listener they use.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", responses((status = 200, body = DeviceList)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<DeviceList>, ApiError> {
    let devices = app.access.devices().await?.into_iter().map(info).collect();
    Ok(Json(DeviceList { node: this_node(&app).await, devices, listener: listener(app.lan.state()) }))
}

/// Gives a paired device another name, or this node, which is named by its own id.
#[utoipa::path(patch, path = "/api/v1/devices/{id}", tag = "devices", request_body = RenameDevice,
    params(("id" = String, Path, description = "The device's id, or the node's.")),
    responses((status = 200, body = RenamedDevice), (status = 404, description = "No such device.")))]
pub async fn rename(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    Body(body): Body<RenameDevice>,
) -> Result<Json<RenamedDevice>, ApiError> {
    let Path(id) = id?;
    let name = match id == app.node_id.as_str() {
        true => app.lan.rename_node(&body.name).await?,
        false => app.access.rename_device(&id, &body.name).await?.name,
    };
    Ok(Json(RenamedDevice { id, name }))
}

/// Revokes a paired device: its bearer is void from now on, and what it has open ends.
#[utoipa::path(delete, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 204, description = "Revoked."), (status = 404, description = "No such device.")))]
pub async fn revoke(State(app): State<Arc<App>>, id: Result<Path<String>, PathRejection>) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    app.access.revoke_device(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the ticket by which one device pairs, good once and for five minutes; the one before it is void. Turns the listener for
/// paired devices on.
#[utoipa::path(post, path = "/api/v1/devices/pair", tag = "devices",
    responses((status = 200, body = PairingInvitation),
              (status = 409, description = "Sharing is paused, there is no address, or it cannot be listened on.")))]
pub async fn invite(State(app): State<Arc<App>>) -> Result<Json<PairingInvitation>, ApiError> {
    Ok(Json(invitation(app.lan.invite().await?)))
}

/// How the last ticket stands.
#[utoipa::path(get, path = "/api/v1/devices/pair", tag = "devices", responses((status = 200, body = PairingStatus)))]
pub async fn pairing(State(app): State<Arc<App>>) -> Result<Json<PairingStatus>, ApiError> {
    let (state, expires_at_ms, by) = match app.access.pairing() {
        PairingState::None => (PairingStage::None, None, None),
        PairingState::Waiting { expires } => (PairingStage::Waiting, Some(expires), None),
        PairingState::Used { device } => (PairingStage::Used, None, device),
        PairingState::Expired { expires } => (PairingStage::Expired, Some(expires), None),
        PairingState::Withdrawn => (PairingStage::Withdrawn, None, None),
        PairingState::Guessed => (PairingStage::Guessed, None, None),
    };
    // A device that was revoked meanwhile is no longer there to be told of.
    let device = app.access.devices().await?.into_iter().find(|device| by.as_ref() == Some(&device.id)).map(info);
    Ok(Json(PairingStatus { state, expires_at_ms, device }))
}

/// Takes the ticket back.
#[utoipa::path(delete, path = "/api/v1/devices/pair", tag = "devices",
    responses((status = 204, description = "No ticket is outstanding from now on.")))]
pub async fn withdraw(State(app): State<Arc<App>>) -> StatusCode {
    app.access.cancel_pairing();
    StatusCode::NO_CONTENT
}

/// Pairs the device that shows the ticket: it gets a bearer that is good until it is revoked.
#[utoipa::path(post, path = "/api/v1/devices/pair/claim", tag = "devices", request_body = ClaimRequest,
    responses((status = 200, body = ClaimedDevice), (status = 401, description = "Not the ticket that is shown."),
              (status = 410, description = "`TICKET_USED`, or `TICKET_EXPIRED`: too late, taken back, or replaced by another."),
              (status = 409, description = "As many devices are paired as may be.")))]
pub async fn claim(
    State(app): State<Arc<App>>,
    remote: Option<Extension<Remote>>,
    Body(body): Body<ClaimRequest>,
) -> Result<Json<ClaimedDevice>, ApiError> {
    let remote = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(remote)| remote.0.ip());
    let claimed = app.access.claim(&body.ticket, &body.name, body.kind, remote).await?;
    let node_name = app.lan.node_name().await;
    Ok(Json(ClaimedDevice { token: claimed.minted.token, device: info(claimed.device), node_name }))
}

/// Pauses the listener for paired devices, or lets it go on; it stays so across restarts. Pausing takes an outstanding ticket back.
#[utoipa::path(post, path = "/api/v1/devices/listener", tag = "devices", request_body = ListenerChange,
    responses((status = 200, body = DeviceListener)))]
pub async fn pause(State(app): State<Arc<App>>, Body(body): Body<ListenerChange>) -> Result<Json<DeviceListener>, ApiError> {
    Ok(Json(listener(app.lan.pause(body.paused).await?)))
}
