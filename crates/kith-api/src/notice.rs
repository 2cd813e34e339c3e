//! What the edge tells the event bus of its callers, for the audit: never a credential, and what anybody can cause only once a minute.

use crate::app::App;
use axum::http::Method;
use kith_access::{Class, Level, Principal, Who};
use serde_json::json;
use std::net::IpAddr;

/// By what a caller is known, fit for a record.
pub(crate) fn name(principal: &Principal) -> String {
    match &principal.who {
        Who::Anonymous(remote) => remote.to_string(),
        Who::Loopback => "loopback".to_owned(),
        Who::Bearer { id, .. } => id.to_string(),
        Who::AdminToken => "admin token".to_owned(),
        Who::MeshToken => "mesh token".to_owned(),
        Who::Node(node) => node.to_string(),
    }
}

/// A request with a foreign Host or Origin was refused.
pub(crate) fn foreign(app: &App, reason: &str, remote: Option<IpAddr>) {
    let remote = remote.map(|remote| remote.to_string());
    // By the caller, not by the Host it made up: else anybody could fill the audit with names.
    let key = remote.clone().unwrap_or_default();
    app.events.publish_coalesced("guard.foreign", &key, json!({"reason": reason, "remote": remote}));
}

/// A request with wrong or expired credentials was refused.
pub(crate) fn denied(app: &App, remote: IpAddr) {
    let remote = remote.to_string();
    app.events.publish_coalesced("access.denied", &remote, json!({"remote": remote}));
}

/// A principal asked too often.
pub(crate) fn limited(app: &App, principal: &Principal, class: Class) {
    let who = name(principal);
    app.events.publish_coalesced("access.rate_limited", &who, json!({"by": who, "class": format!("{class:?}").to_lowercase()}));
}

/// A principal changed the node by an endpoint for its owner.
pub(crate) fn changed(app: &App, principal: &Principal, level: Level, call: (&Method, &str), status: u16) {
    let (method, route) = call;
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if level == Level::Admin && changes && status < 400 {
        let data = json!({"by": name(principal), "method": method.as_str(), "route": route, "status": status});
        app.events.publish("access.admin_call", data);
    }
}
