//! Logging in and out, tickets, API keys.

use crate::{admit::Remote, app::App, body::Json as Body, error::ApiError};
use axum::{
    Extension, Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
};
use kith_access::Minted;
use kith_types::{Scope, Timestamp};
use kith_wire::system::{
    BootstrapRequest, KeyInfo, KeyList, LoginRequest, MintKeyRequest, MintedKey, SetPasswordRequest, TokenResponse,
};
use std::sync::Arc;

fn token(minted: Minted) -> Json<TokenResponse> {
    Json(TokenResponse { token: minted.token, expires_at_ms: minted.expires.unwrap_or(Timestamp::from_ms(i64::MAX)) })
}

/// Exchanges the password for a bearer that is good for 24 hours.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "access", request_body = LoginRequest,
    responses((status = 200, body = TokenResponse), (status = 401, description = "Wrong password."),
              (status = 503, description = "No password was ever set.")))]
pub async fn login(
    State(app): State<Arc<App>>,
    remote: Option<Extension<Remote>>,
    Body(body): Body<LoginRequest>,
) -> Result<Json<TokenResponse>, ApiError> {
    let remote = remote.map_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |Extension(remote)| remote.0.ip());
    Ok(token(app.access.login(&body.password, remote).await?))
}

/// Ends the bearer presented. The same answer whether or not it was good.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "access", responses((status = 204, description = "Logged out.")))]
pub async fn logout(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| text.split_once(' '));
    if let Some((_, bearer)) = bearer {
        app.access.logout(bearer.trim()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Exchanges a one-shot ticket, at most 60 seconds old, for a bearer that is good for 24 hours.
#[utoipa::path(post, path = "/api/v1/auth/bootstrap-exchange", tag = "access", request_body = BootstrapRequest,
    responses((status = 200, body = TokenResponse), (status = 401, description = "Unknown, used or expired ticket.")))]
pub async fn bootstrap_exchange(
    State(app): State<Arc<App>>,
    Body(body): Body<BootstrapRequest>,
) -> Result<Json<TokenResponse>, ApiError> {
    Ok(token(app.access.exchange(&body.ticket).await?))
}

/// Issues a ticket for a window on this machine: single use, good for 60 seconds.
#[utoipa::path(post, path = "/api/v1/auth/bootstrap-tickets", tag = "access", responses((status = 200, body = BootstrapRequest)))]
pub async fn issue_ticket(State(app): State<Arc<App>>) -> Result<Json<BootstrapRequest>, ApiError> {
    Ok(Json(BootstrapRequest { ticket: app.access.issue_ticket(kith_access::BearerKind::Window, Scope::Admin)? }))
}

/// Sets the password of the window, without knowing the old one. Everybody logged in by the old one is logged out.
#[utoipa::path(post, path = "/api/v1/auth/admin/set-password", tag = "access", request_body = SetPasswordRequest,
    responses((status = 204, description = "Set."), (status = 400, description = "Too short or too long.")))]
pub async fn set_password(State(app): State<Arc<App>>, Body(body): Body<SetPasswordRequest>) -> Result<StatusCode, ApiError> {
    app.access.set_password(&body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists API keys, without their secrets.
#[utoipa::path(get, path = "/api/v1/auth/keys", tag = "access", responses((status = 200, body = KeyList)))]
pub async fn keys(State(app): State<Arc<App>>) -> Result<Json<KeyList>, ApiError> {
    let keys = app.access.keys().await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(key_info).collect() }))
}

/// A key without its secret.
pub(super) fn key_info(key: kith_access::KeyInfo) -> KeyInfo {
    KeyInfo {
        id: key.id.to_string(),
        name: key.name,
        scope: key.scope,
        created_at_ms: key.created,
        expires_at_ms: key.expires,
        last_used_at_ms: key.last_used,
    }
}

/// Makes an API key. Its secret is shown this once.
#[utoipa::path(post, path = "/api/v1/auth/keys", tag = "access", request_body = MintKeyRequest,
    responses((status = 201, body = MintedKey), (status = 400, description = "A bad name or time.")))]
pub async fn mint_key(
    State(app): State<Arc<App>>,
    Body(body): Body<MintKeyRequest>,
) -> Result<(StatusCode, Json<MintedKey>), ApiError> {
    let minted = app.access.mint_key(&body.name, body.scope, body.expires_at_ms).await?;
    let key = MintedKey {
        id: minted.id.to_string(),
        token: minted.token,
        name: body.name,
        scope: body.scope,
        expires_at_ms: minted.expires,
    };
    Ok((StatusCode::CREATED, Json(key)))
}

/// Revokes an API key at once.
#[utoipa::path(delete, path = "/api/v1/auth/keys/{id}", tag = "access", params(("id" = String, Path, description = "The key's id.")),
    responses((status = 204, description = "Revoked."), (status = 404, description = "No such key.")))]
pub async fn revoke_key(State(app): State<Arc<App>>, id: Result<Path<String>, PathRejection>) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    app.access.revoke(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
