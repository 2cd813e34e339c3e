//! Requests to providers: encrypted, bounded in time and size, never redirected, and the meaning of what comes back.

use super::{
    secret::Secret,
    table::{Form, Row},
};
use crate::ProviderFault;
use bytes::Bytes;
use kith_types::Clock;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

/// The most bytes read of an error.
const MAX_ERROR: usize = 64 << 10;
/// The most bytes of a list of models.
const MAX_LIST: usize = 8 << 20;
/// The longest wait a provider can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The longest address, in bytes.
const MAX_URL: usize = 512;

/// How long is waited for a provider, and how much is asked of providers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderBounds {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer.
    pub first_byte: Duration,
    /// Between two parts of an answer.
    pub idle: Duration,
    /// For a whole sign of life, and for a list of models.
    pub probe: Duration,
    /// Answers under way at the same time.
    pub running: usize,
}

impl Default for ProviderBounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            probe: Duration::from_secs(15),
            running: 64,
        }
    }
}

/// Whom to ask, where, and with which key.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub row: &'static Row,
    pub key: Secret,
    /// Without a slash at the end.
    pub base: String,
}

/// Checks an address: encrypted, or on this machine; nothing but scheme, host, port and path.
pub(super) fn parse_base(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    if text.len() > MAX_URL {
        return Err(format!("has more than {MAX_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|_| "is not an address such as https://api.example.com/v1".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must have nothing but scheme, host, port and path".to_owned());
    }
    match url.scheme() {
        "https" if url.host_str().is_some() => Ok(text.to_owned()),
        "http" if is_loopback(&url) => Ok(text.to_owned()),
        _ => Err("must begin with https://; http:// is for this machine's own addresses only".to_owned()),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_matches(['[', ']']);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The two clients: one for the world, one for this machine, which no proxy stands before.
pub(super) struct Wire {
    outside: Option<Client>,
    inside: Option<Client>,
    bounds: ProviderBounds,
    running: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

/// An answer that has begun.
pub(super) struct Opened {
    pub body: Body,
    /// Its place among the answers under way.
    pub permit: OwnedSemaphorePermit,
}

/// What is still to come of an answer.
pub(super) struct Body {
    response: Response,
    first: Option<Instant>,
    idle: Duration,
}

impl Body {
    /// The next bytes; `None` at the end. An end before the announced one is a fault.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ProviderFault> {
        let deadline = self.first.take().unwrap_or_else(|| Instant::now() + self.idle);
        match timeout_at(deadline, self.response.chunk()).await {
            Err(_) => Err(ProviderFault::Timeout("fell silent in the middle of its answer")),
            Ok(Err(_)) => Err(ProviderFault::Broken("broke off".to_owned())),
            Ok(Ok(bytes)) => Ok(bytes),
        }
    }
}

impl Wire {
    /// Makes the clients. On a machine without certificate authorities no provider can be reached, yet all else works.
    pub fn new(bounds: ProviderBounds, clock: Arc<dyn Clock>) -> Self {
        let builder = || {
            Client::builder()
                .connect_timeout(bounds.connect)
                // A redirect could lead prompt and key elsewhere.
                .redirect(Policy::none())
                .user_agent(concat!("kith/", env!("CARGO_PKG_VERSION")))
        };
        let made = |client: Result<Client, reqwest::Error>| {
            client.inspect_err(|error| tracing::warn!(%error, "no connection to cloud providers can be made")).ok()
        };
        Self {
            outside: made(builder().https_only(true).build()),
            inside: made(builder().no_proxy().build()),
            running: Arc::new(Semaphore::new(bounds.running)),
            bounds,
            clock,
        }
    }

    fn request(&self, target: &Target, path: &str, body: Option<&Value>) -> Result<RequestBuilder, ProviderFault> {
        let url = Url::parse(&format!("{}{path}", target.base)).map_err(|_| ProviderFault::Unreachable)?;
        let client = if is_loopback(&url) { &self.inside } else { &self.outside };
        let client = client.as_ref().ok_or(ProviderFault::Unreachable)?;
        let request = match body {
            Some(body) => client.post(url).json(body),
            None => client.get(url),
        };
        let secret = |text: String| {
            let mut value = HeaderValue::from_str(&text).map_err(|_| ProviderFault::KeyRefused)?;
            value.set_sensitive(true);
            Ok::<_, ProviderFault>(value)
        };
        Ok(match target.row.form {
            Form::OpenAi => request.header(AUTHORIZATION, secret(format!("Bearer {}", target.key.expose()))?),
            Form::Anthropic => request
                .header("x-api-key", secret(target.key.expose().to_owned())?)
                .header("anthropic-version", super::anthropic::VERSION),
        })
    }

    /// Begins an answer. Faults of the request come from here, faults of the run from its body.
    pub async fn open(&self, target: &Target, model: &str, body: &Value) -> Result<Opened, ProviderFault> {
        self.try_open(target, model, body).await.map_err(|fault| fault.without(&target.key))
    }

    async fn try_open(&self, target: &Target, model: &str, body: &Value) -> Result<Opened, ProviderFault> {
        let busy = |_| ProviderFault::Busy(self.bounds.running);
        let permit = Arc::clone(&self.running).try_acquire_owned().map_err(busy)?;
        let path = match target.row.form {
            Form::OpenAi => "/chat/completions",
            Form::Anthropic => "/messages",
        };
        let deadline = Instant::now() + self.bounds.first_byte;
        let sent = self.request(target, path, Some(body))?.send();
        let response = timeout_at(deadline, sent).await.map_err(|_| ProviderFault::Timeout("did not answer in time"))?;
        let response = response.map_err(|error| fault_of_send(&error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response, model).await);
        }
        Ok(Opened { body: Body { response, first: Some(deadline), idle: self.bounds.idle }, permit })
    }

    /// The provider's list of models, as it is.
    pub async fn list(&self, target: &Target) -> Result<Value, ProviderFault> {
        let path = match target.row.form {
            Form::OpenAi => "/models",
            Form::Anthropic => "/models?limit=1000",
        };
        let whole = async {
            let response = self.request(target, path, None)?.send().await.map_err(|error| fault_of_send(&error))?;
            if response.status() != StatusCode::OK {
                return Err(self.refusal(response, "").await);
            }
            let bytes = bounded(response, MAX_LIST).await?;
            serde_json::from_slice(&bytes).map_err(|_| ProviderFault::Broken("is no list of models".to_owned()))
        };
        let listed = timeout(self.bounds.probe, whole).await;
        listed.unwrap_or(Err(ProviderFault::Timeout("did not answer in time"))).map_err(|fault| fault.without(&target.key))
    }

    /// The time allowed for a sign of life.
    pub fn probe_time(&self) -> Duration {
        self.bounds.probe
    }

    /// What a status other than 200 means.
    async fn refusal(&self, response: Response, model: &str) -> ProviderFault {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| self.retry_after(value.to_str().ok()?));
        let said = timeout(self.bounds.probe, bounded(response, MAX_ERROR)).await;
        let said = said.ok().and_then(Result::ok).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let message = said.as_ref().and_then(message_of).unwrap_or_else(|| format!("status {status}"));
        match status {
            401 | 403 => ProviderFault::KeyRefused,
            404 if !model.is_empty() => ProviderFault::NoSuchModel(model.to_owned()),
            408 | 504 => ProviderFault::Timeout("gave up in its own time"),
            429 => ProviderFault::RateLimited { retry_after, message },
            503 | 529 => ProviderFault::Overloaded { retry_after },
            400 | 405..=407 | 409..=428 | 430..=499 => ProviderFault::Rejected(message),
            other => ProviderFault::Failed(other),
        }
    }

    /// Seconds, or a date. <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
    fn retry_after(&self, text: &str) -> Option<Duration> {
        let seconds = match text.trim().parse::<u64>() {
            Ok(seconds) => seconds,
            Err(_) => {
                let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
                u64::try_from(date.timestamp() - self.clock.now().secs()).unwrap_or(0)
            }
        };
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }
}

fn fault_of_send(error: &reqwest::Error) -> ProviderFault {
    if error.is_timeout() {
        ProviderFault::Timeout("could not be reached in time")
    } else if error.is_connect() || error.is_builder() {
        ProviderFault::Unreachable
    } else {
        ProviderFault::Broken("broke off before it began".to_owned())
    }
}

async fn bounded(mut response: Response, most: usize) -> Result<Vec<u8>, ProviderFault> {
    let mut bytes = Vec::new();
    while let Some(more) = response.chunk().await.map_err(|_| ProviderFault::Broken("broke off".to_owned()))? {
        if bytes.len() + more.len() > most {
            return Err(ProviderFault::Broken("is too long".to_owned()));
        }
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

/// The sentence in an error's body, wherever this provider puts it.
fn message_of(body: &Value) -> Option<String> {
    // One that wraps its error in a list is read too.
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let places = [&body["error"]["message"], &body["error"], &body["message"], &body["detail"]];
    let text = places.into_iter().find_map(Value::as_str)?;
    Some(text.to_owned())
}

/// The fault that an error inside a stream tells of.
pub(super) fn fault_inside(error: &Value) -> ProviderFault {
    let message = message_of(&serde_json::json!({ "error": error })).unwrap_or_default();
    let kind = error["type"].as_str().or_else(|| error["code"].as_str()).unwrap_or_default();
    let status = error["code"].as_u64().or_else(|| error["status"].as_u64()).or_else(|| error["status_code"].as_u64());
    match (kind, status) {
        ("overloaded_error", _) | (_, Some(503 | 529)) => ProviderFault::Overloaded { retry_after: None },
        ("rate_limit_error" | "rate_limit_exceeded", _) | (_, Some(429)) => {
            ProviderFault::RateLimited { retry_after: None, message }
        }
        ("authentication_error" | "permission_error" | "invalid_api_key", _) | (_, Some(401 | 403)) => ProviderFault::KeyRefused,
        ("invalid_request_error", _) | (_, Some(400)) => ProviderFault::Rejected(message),
        _ => ProviderFault::Broken("ended with an error of the provider".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::SystemClock;
    use serde_json::json;

    #[test]
    fn an_address_is_encrypted_or_on_this_machine() {
        for good in ["https://api.example.com/v1", "http://127.0.0.1:8080/v1", "http://localhost:1", "http://[::1]:9/x"] {
            assert_eq!(parse_base(&format!("{good}/")), Ok(good.to_owned()));
        }
        for bad in [
            "http://api.example.com/v1",
            "http://10.0.0.7/v1",
            "http://localhost.example.com",
            "ftp://127.0.0.1",
            "file:///etc",
            "https://user:word@example.com",
            "https://example.com/?q=1",
            "https://example.com/#x",
            "nonsense",
            "",
        ] {
            assert!(parse_base(bad).is_err(), "{bad}");
        }
        assert!(parse_base(&format!("https://example.com/{}", "x".repeat(MAX_URL))).is_err());
    }

    #[test]
    fn a_wait_is_read_in_both_forms_and_is_bounded() {
        let wire = Wire::new(ProviderBounds::default(), Arc::new(SystemClock));
        assert_eq!(wire.retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(wire.retry_after("99999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(wire.retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wire.retry_after("soon"), None);
    }

    #[test]
    fn the_sentence_is_found_in_every_form() {
        for body in
            [json!({"error": {"message": "no"}}), json!({"error": "no"}), json!({"message": "no"}), json!({"detail": "no"})]
        {
            assert_eq!(message_of(&body).as_deref(), Some("no"), "{body}");
        }
        assert_eq!(message_of(&json!({"detail": [{"loc": []}]})), None);
        assert_eq!(message_of(&json!([{"error": {"message": "no"}}])).as_deref(), Some("no"));
    }

    #[test]
    fn an_error_inside_a_stream_is_told_by_its_kind() {
        assert_eq!(fault_inside(&json!({"type": "overloaded_error"})), ProviderFault::Overloaded { retry_after: None });
        assert_eq!(
            fault_inside(&json!({"type": "invalid_request_error", "message": "no"})),
            ProviderFault::Rejected("no".into())
        );
        assert_eq!(fault_inside(&json!({"code": 401})), ProviderFault::KeyRefused);
        assert!(matches!(fault_inside(&json!("sudden")), ProviderFault::Broken(_)));
    }
}
