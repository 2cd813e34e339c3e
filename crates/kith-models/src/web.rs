//! Requests to other machines: redirects followed by hand, so that a token never leaves the host it is for; bodies and waits bounded.

use crate::SourceError;
use bytes::Bytes;
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderValue},
};
use std::{
    error::Error,
    net::IpAddr,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// The most redirects of one request.
const MAX_REDIRECTS: usize = 5;
/// The longest wait asked for by a source that is honoured; beyond it the request fails.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(300);
/// The most bytes read of an error's body.
const MAX_ERROR: usize = 64 << 10;

/// How long a small answer may take to come whole, in times of the wait for its next byte.
const PATIENCE: u32 = 4;

/// How long the whole of an answer may take, where it is small. It travels with the answer.
#[derive(Clone, Copy)]
struct Patience(Duration);

/// The clients for requests.
pub(crate) struct Web {
    near: OnceLock<Client>,
    far: OnceLock<Client>,
    stall: Duration,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Ask {
    pub method: Method,
    pub url: Url,
    /// Sent wherever redirects lead.
    pub headers: HeaderMap,
    /// Sent to the host of `url` alone.
    pub authorization: Option<HeaderValue>,
    /// Whether plain HTTP to other machines is meant.
    pub insecure: bool,
    pub body: Option<Bytes>,
}

/// One answer.
pub(crate) struct Answer {
    pub response: Response,
    /// The headers of the host that was asked, where it sent us elsewhere.
    pub first: HeaderMap,
}

impl Ask {
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), authorization: None, insecure: false, body: None }
    }

    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Asks for the bytes from `from` on, of the version `etag` if it is known.
    pub fn from(self, from: u64, etag: Option<&str>) -> Self {
        if from == 0 {
            return self;
        }
        let ask = self.header(header::RANGE, &format!("bytes={from}-"));
        // A weak tag does not promise the same bytes.
        match etag.filter(|etag| !etag.starts_with("W/")) {
            Some(etag) => ask.header(header::IF_RANGE, etag),
            None => ask,
        }
    }
}

/// `Bearer TOKEN`, never shown in logs.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Web {
    /// Gives up on a source that sends nothing for `stall`.
    pub fn new(stall: Duration) -> Self {
        Self { near: OnceLock::new(), far: OnceLock::new(), stall }
    }

    /// Sends, and follows where it is sent. Any final status is an answer.
    pub async fn send(&self, ask: Ask) -> Result<Answer, SourceError> {
        let origin = ask.url.origin();
        let mut url = ask.url.clone();
        let mut first = None;
        for _ in 0..=MAX_REDIRECTS {
            permit(&url, ask.insecure)?;
            let mut request = self.client(&url)?.request(ask.method.clone(), url.clone()).headers(ask.headers.clone());
            if let Some(authorization) = ask.authorization.clone().filter(|_| url.origin() == origin) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            if let Some(body) = ask.body.clone() {
                request = request.body(body);
            }
            let mut response = request.send().await.map_err(|error| broken(&url, &error))?;
            let Some(next) = redirected(&ask, &response)? else {
                response.extensions_mut().insert(Patience(self.stall.saturating_mul(PATIENCE)));
                return Ok(Answer { first: first.unwrap_or_else(|| response.headers().clone()), response });
            };
            first.get_or_insert_with(|| response.headers().clone());
            url = next;
        }
        Err(SourceError::unexpected(host_of(&ask.url), format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn client(&self, url: &Url) -> Result<&Client, SourceError> {
        let near = is_loopback(url);
        let slot = if near { &self.near } else { &self.far };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("kith/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(self.stall)
            .redirect(reqwest::redirect::Policy::none());
        if near {
            builder = builder.no_proxy();
            if url.scheme() == "http" {
                // No certificates are needed, and reading the system's takes time (and fails where there are none).
                builder = builder.tls_certs_only([]);
            }
        }
        let client = builder.build().map_err(|error| broken(url, &error))?;
        Ok(slot.get_or_init(|| client))
    }
}

/// Where an answer sends us, if it does and we may go there.
fn redirected(ask: &Ask, response: &Response) -> Result<Option<Url>, SourceError> {
    let follows = match response.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
            ask.method == Method::GET || ask.method == Method::HEAD
        }
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => false,
    };
    let Some(location) = response.headers().get(header::LOCATION).filter(|_| follows) else { return Ok(None) };
    let from = response.url();
    let next = location.to_str().ok().and_then(|location| from.join(location).ok());
    let next = next.ok_or_else(|| SourceError::unexpected(host_of(from), "it sends us to what is no address"))?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(SourceError::unexpected(host_of(from), "it sends us from an encrypted connection to a plain one"));
    }
    // Another machine has no business with what runs on this one.
    if is_loopback(&next) && !is_loopback(&ask.url) {
        return Err(SourceError::unexpected(host_of(from), "it sends us to this machine itself"));
    }
    Ok(Some(next))
}

/// Whether such an address may be asked at all.
fn permit(url: &Url, insecure: bool) -> Result<(), SourceError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if insecure || is_loopback(url) => Ok(()),
        "http" => Err(SourceError::Insecure(host_of(url))),
        scheme => Err(SourceError::Name(format!("models do not come over `{scheme}`"))),
    }
}

/// Host and port, for messages.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    is_loopback_host(url.host_str().unwrap_or_default())
}

pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback() || address.is_unspecified())
}

/// A connection that could not be made or broke.
pub(crate) fn broken(url: &Url, error: &reqwest::Error) -> SourceError {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let reason = match () {
        () if error.is_timeout() => "no answer in time".to_owned(),
        () if error.is_connect() => format!("cannot be reached: {inner}"),
        () => format!("the connection broke: {inner}"),
    };
    SourceError::Broken { host: host_of(url), reason }
}

/// The error that an answer's status means, for something called `what`; its body is read for the reason.
pub(crate) async fn refusal(response: Response, what: &str, now: SystemTime) -> SourceError {
    let (status, host) = (response.status(), host_of(response.url()));
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| wait_of(value.to_str().ok()?, now));
    let reason = match limited(response, MAX_ERROR).await {
        Ok(body) => reason_in(&body),
        Err(_) => None,
    };
    let told = |words: &str| reason.clone().map_or_else(|| words.to_owned(), |reason| format!("{words} ({reason})"));
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => SourceError::NotFound(format!("{what} does not exist on {host}")),
        StatusCode::UNAUTHORIZED => SourceError::Refused { host, reason: told(&format!("{what} needs a token, or another one")) },
        StatusCode::FORBIDDEN => SourceError::Refused { host, reason: told(&format!("{what} may not be read or written")) },
        StatusCode::TOO_MANY_REQUESTS => SourceError::Busy { host, retry_after },
        StatusCode::SERVICE_UNAVAILABLE => SourceError::Busy { host, retry_after },
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            SourceError::Broken { host, reason: told(&format!("it answered {status}")) }
        }
        status => SourceError::unexpected(host, told(&format!("{status} for {what}"))),
    }
}

/// Seconds, or a date.
fn wait_of(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let now = chrono::DateTime::<chrono::Utc>::from(now);
    (at.to_utc() - now).to_std().ok().or(Some(Duration::ZERO))
}

/// The sentence in a JSON error of the hub or a registry, shortened and without control characters.
fn reason_in(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let errors = body.get("errors").and_then(|errors| errors.get(0)?.get("message"));
    let text = errors.or_else(|| body.get("error")).or_else(|| body.get("message"))?.as_str()?;
    Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// What `reading` makes of an answer of [`Web::send`], if it is done while a small answer may take: a host that sends a byte now and
/// then is not listened to for ever.
pub(crate) async fn patiently<T>(
    response: &mut Response,
    reading: impl AsyncFnOnce(&mut Response) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let Some(Patience(patience)) = response.extensions().get::<Patience>().copied() else { return reading(response).await };
    let host = host_of(response.url());
    tokio::time::timeout(patience, reading(response)).await.unwrap_or_else(|_| {
        Err(SourceError::Broken { host, reason: format!("its answer was not whole after {} s", patience.as_secs_f64().ceil()) })
    })
}

/// The whole body, of at most `limit` bytes.
pub(crate) async fn limited(mut response: Response, limit: usize) -> Result<Vec<u8>, SourceError> {
    patiently(&mut response, async |response| whole(response, limit).await).await
}

async fn whole(response: &mut Response, limit: usize) -> Result<Vec<u8>, SourceError> {
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&url, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(SourceError::unexpected(host_of(&url), format!("an answer of more than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The whole body as JSON, of at most `limit` bytes.
pub(crate) async fn json<T: serde::de::DeserializeOwned>(response: Response, limit: usize) -> Result<T, SourceError> {
    let host = host_of(response.url());
    let body = limited(response, limit).await?;
    serde_json::from_slice(&body).map_err(|error| SourceError::unexpected(host, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_alone_unless_asked_for() {
        for (url, insecure, allowed) in [
            ("https://hub.example/", false, true),
            ("http://hub.example/", false, false),
            ("http://hub.example/", true, true),
            ("http://127.0.0.1:1/", false, true),
            ("http://[::1]:1/", false, true),
            ("http://localhost/", false, true),
            ("http://127.0.0.1.example/", false, false),
            ("ftp://hub.example/", true, false),
        ] {
            assert_eq!(permit(&url.parse().unwrap(), insecure).is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(wait_of(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(wait_of("Thu, 01 Jan 1970 00:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait_of("Thu, 01 Jan 1970 00:00:30 GMT", now + Duration::from_secs(60)), Some(Duration::ZERO));
        assert_eq!(wait_of("soon", now), None);
    }

    #[test]
    fn only_a_strong_tag_binds_a_range_to_its_version() {
        let ask = || Ask::get("https://hub.example/".parse().unwrap());
        assert!(ask().from(0, Some("\"a\"")).headers.is_empty());
        assert_eq!(ask().from(5, Some("\"a\"")).headers[header::IF_RANGE], "\"a\"");
        assert_eq!(ask().from(5, Some("\"a\"")).headers[header::RANGE], "bytes=5-");
        assert!(!ask().from(5, Some("W/\"a\"")).headers.contains_key(header::IF_RANGE));
    }
}
