//! The owner's profile.

use crate::{app::App, body::Json as Body, error::ApiError};
use axum::{Extension, Json, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD};
use kith_access::Principal;
use kith_system::{MAX_AVATAR, Profile, ProfileChange};
use kith_types::Code;
use kith_wire::system::{ProfileBody, ProfileUpdate, PushTest};
use std::sync::Arc;

fn body(app: &App, profile: Profile) -> Json<ProfileBody> {
    let url =
        |picture: kith_system::Picture| format!("data:{};base64,{}", picture.media_type(), STANDARD.encode(picture.bytes()));
    Json(ProfileBody {
        node_id: app.node_id.clone(),
        display_name: profile.display_name,
        avatar: profile.avatar.map(url),
        push_endpoint: profile.push_endpoint,
        metered: profile.metered,
        updated_at_ms: profile.updated,
    })
}

/// The bytes of base64 text or of a `data:` URL. Its media type is not believed.
fn picture(text: &str) -> Result<Vec<u8>, ApiError> {
    let invalid = |message: String| ApiError::new(Code::InvalidRequest, message).with_field("avatar");
    let encoded = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").ok_or_else(|| invalid("`avatar` is no `data:` URL in base64".to_owned()))?.1,
        None => text,
    };
    if encoded.len() > MAX_AVATAR.div_ceil(3) * 4 {
        return Err(invalid(format!("`avatar` must have at most {MAX_AVATAR} bytes")));
    }
    STANDARD.decode(encoded).map_err(|error| invalid(format!("`avatar` is not base64: {error}")))
}

/// How the owner shows themselves, and where they want to be told of things.
#[utoipa::path(get, path = "/api/v1/profile", tag = "system", responses((status = 200, body = ProfileBody)))]
pub async fn profile(State(app): State<Arc<App>>) -> Result<Json<ProfileBody>, ApiError> {
    Ok(body(&app, app.system.profiles.get().await?))
}

/// Changes the profile: what is given, all of it or nothing.
#[utoipa::path(put, path = "/api/v1/profile", tag = "system", request_body = ProfileUpdate,
    responses((status = 200, body = ProfileBody), (status = 400, description = "A value out of its bounds.")))]
pub async fn change_profile(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    Body(update): Body<ProfileUpdate>,
) -> Result<Json<ProfileBody>, ApiError> {
    near(&principal, update.push_endpoint.as_ref().and_then(Option::as_deref))?;
    let avatar = update.avatar.map(|avatar| avatar.map(|text| picture(&text)).transpose()).transpose()?;
    let change =
        ProfileChange { display_name: update.display_name, avatar, push_endpoint: update.push_endpoint, metered: update.metered };
    Ok(body(&app, app.system.change_profile(change).await?))
}

/// An endpoint on this machine is the business of those who sit at it: for others a test would be a way to its other services.
fn near(principal: &Principal, endpoint: Option<&str>) -> Result<(), ApiError> {
    if !principal.loopback && endpoint.is_some_and(kith_system::is_on_this_machine) {
        let message = "an endpoint on the node's own machine is set and tested only from there";
        return Err(ApiError::new(Code::Forbidden, message).with_field("push_endpoint"));
    }
    Ok(())
}

/// Sends a push with nothing in it to the saved endpoint, and tells what became of it.
#[utoipa::path(post, path = "/api/v1/profile/push-test", tag = "system",
    responses((status = 200, body = PushTest), (status = 409, description = "The profile has no push endpoint.")))]
pub async fn push_test(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<PushTest>, ApiError> {
    near(&principal, app.system.profiles.get().await?.push_endpoint.as_deref())?;
    let outcome = app.system.pusher.test().await?;
    Ok(Json(PushTest {
        delivered: outcome.delivered,
        status: outcome.status,
        latency_ms: outcome.latency_ms,
        error: outcome.error,
    }))
}
