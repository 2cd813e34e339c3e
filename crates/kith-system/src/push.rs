//! Pushes to the owner's endpoint. It may lie in the internet or on this machine, never elsewhere in the network the node is in: else
//! whoever may change the profile could reach what only the node can.

mod address;

use crate::{Profiles, SettingsKeeper, SystemError};
use address::{is_public, loopback_host};
use reqwest::{Client, Url, redirect::Policy};
use std::{
    error::Error as _,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest endpoint, in bytes.
const MAX_URL: usize = 2048;
/// How long a push may take, from looking up the name to the head of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What a test sends: nothing to be shown.
const NO_OP: &str = r#"{"type":"test"}"#;

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcome {
    /// Whether the endpoint took it.
    pub delivered: bool,
    /// What the endpoint answered with.
    pub status: Option<u16>,
    /// Milliseconds until it answered, or until it was given up.
    pub latency_ms: u64,
    /// Why it was not taken.
    pub error: Option<String>,
}

/// Reads an endpoint: `https` anywhere, or `http` on this machine; without user and password.
///
/// # Errors
/// [`SystemError::Invalid`].
pub(crate) fn check(text: &str) -> Result<Url, SystemError> {
    let invalid = |reason: &str| SystemError::invalid("push_endpoint", reason);
    if text.len() > MAX_URL {
        return Err(invalid("is longer than 2048 bytes"));
    }
    let url = Url::parse(text).map_err(|error| invalid(&format!("is not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not have a user or password in it; set the push token instead"));
    }
    let loopback = loopback_host(&url);
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err(invalid("must begin with https://, or with http:// on this machine")),
    }
    if let Some(ip) = address::literal(&url)
        && !loopback
        && !is_public(ip)
    {
        return Err(invalid("is an address that is neither public nor on this machine"));
    }
    Ok(url)
}

/// Whether an endpoint lies on the node's own machine.
pub fn is_on_this_machine(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| loopback_host(&url))
}

/// Whether two endpoints are of different owners, as far as addresses tell.
pub(crate) fn elsewhere(one: Option<&str>, other: Option<&str>) -> bool {
    let origin = |text: Option<&str>| text.and_then(|text| Url::parse(text).ok()).map(|url| url.origin());
    origin(one) != origin(other)
}

/// Sends pushes.
pub struct Pusher {
    profiles: Arc<Profiles>,
    settings: Arc<SettingsKeeper>,
    timeout: Duration,
}

impl Pusher {
    pub(crate) fn new(profiles: Arc<Profiles>, settings: Arc<SettingsKeeper>) -> Self {
        Self { profiles, settings, timeout: TIMEOUT }
    }

    /// Sends a push with nothing in it to the endpoint of the profile, and tells what became of it. Follows no redirect, uses no proxy,
    /// and sends the push token, if there is one, as a bearer. Takes 10 seconds at most.
    ///
    /// # Errors
    /// [`SystemError::NotSet`] without an endpoint; [`SystemError::Store`].
    pub async fn test(&self) -> Result<PushOutcome, SystemError> {
        let endpoint = self.profiles.get().await?.push_endpoint;
        let endpoint = endpoint.ok_or(SystemError::NotSet("the profile has no push endpoint; set one first"))?;
        let url = check(&endpoint)?;
        let token = self.settings.push_token().await?;
        let start = Instant::now();
        let sent = tokio::time::timeout(self.timeout, send(url, token.as_ref().map(|token| token.as_str()))).await;
        let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(match sent {
            Ok(Ok(status)) => {
                let delivered = (200..300).contains(&status);
                let error = (!delivered).then(|| format!("the endpoint answered with status {status}"));
                PushOutcome { delivered, status: Some(status), latency_ms, error }
            }
            Ok(Err(error)) => PushOutcome { delivered: false, status: None, latency_ms, error: Some(error) },
            Err(_) => {
                let error = Some(format!("no answer within {} ms", self.timeout.as_millis()));
                PushOutcome { delivered: false, status: None, latency_ms, error }
            }
        })
    }
}

async fn send(url: Url, token: Option<&str>) -> Result<u16, String> {
    let host = url.host_str().ok_or("the endpoint has no host")?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().ok_or("the endpoint has no port")?;
    let found = tokio::net::lookup_host((host.as_str(), port)).await.map_err(|error| format!("{host}: {error}"))?;
    let loopback = loopback_host(&url);
    let allowed = |address: &SocketAddr| if loopback { address.ip().is_loopback() } else { is_public(address.ip()) };
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() || !addresses.iter().all(allowed) {
        return Err(format!("{host} has an address that is neither public nor on this machine"));
    }
    // The addresses that were looked at are the ones that are used: a second look-up could give others.
    let client = Client::builder().no_proxy().redirect(Policy::none()).resolve_to_addrs(&host, &addresses).build();
    let client = client.map_err(|error| describe(&error))?;
    let mut request = client.post(url).header("content-type", "application/json").header("ttl", "0").body(NO_OP);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    Ok(request.send().await.map_err(|error| describe(&error))?.status().as_u16())
}

/// The innermost reason, without the URL: the endpoint's path is as good as a password.
fn describe(error: &reqwest::Error) -> String {
    let Some(mut reason) = error.source() else { return "the push could not be sent".to_owned() };
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}

#[cfg(test)]
mod tests;
