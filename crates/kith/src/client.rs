//! The HTTP client of a node's REST API: requests, bounded answers, and answers that come line by line.

use crate::error::{CliError, Result};
use reqwest::{Method, RequestBuilder, Response, Url, header};
use serde::Serialize;
use serde_json::Value;
use std::{error::Error, path::Path, time::Duration};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest wait for an answer that is not streamed.
const ANSWER: Duration = Duration::from_secs(60);
/// The largest answer taken whole, in bytes.
const MAX_BODY: usize = 16 << 20;
/// The longest line of a streamed answer, in bytes. The last line of an answer may repeat its context as token ids.
const MAX_LINE: usize = 8 << 20;

/// A node's API.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

/// What the client shows to be let in.
#[derive(Clone)]
pub enum Credential {
    /// The token in the data directory of the node that runs here.
    Admin(String),
    /// A bearer token.
    Bearer(String),
}

impl Client {
    /// A client of the node at `url`, of which scheme and path may be missing. Nothing is sent yet.
    pub fn new(url: &str, credential: Option<&Credential>) -> Result<Self> {
        let base = parse_url(url)?;
        let mut headers = header::HeaderMap::new();
        if let Some(credential) = credential {
            let (name, text) = match credential {
                Credential::Admin(token) => (header::HeaderName::from_static("x-kith-admin-token"), token.clone()),
                Credential::Bearer(token) => (header::AUTHORIZATION, format!("Bearer {token}")),
            };
            let mut value = header::HeaderValue::from_str(&text)
                .map_err(|_| CliError::Usage("the token holds characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kith/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .tcp_keepalive(Duration::from_secs(30))
            // A redirect would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // No certificates are needed, and reading the system's takes time (and fails where there are none).
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| CliError::local("cannot set up the HTTP client", cause(&error)))?;
        Ok(Self { base, http })
    }

    /// Where the node is.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads the resource at `path`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.whole(self.request(Method::GET, path).timeout(ANSWER)).await
    }

    /// As [`Client::get`], waiting at most `limit`.
    pub async fn get_within(&self, path: &str, limit: Duration) -> Result<Value> {
        self.whole(self.request(Method::GET, path).timeout(limit)).await
    }

    /// Posts `body` to `path`.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value> {
        self.whole(self.request(Method::POST, path).json(body).timeout(ANSWER)).await
    }

    /// Posts `body` to `path` for work that takes as long as it takes (loading a model).
    pub async fn post_patiently(&self, path: &str, body: &impl Serialize) -> Result<Value> {
        self.whole(self.request(Method::POST, path).json(body)).await
    }

    /// Deletes what `body` names.
    pub async fn delete(&self, path: &str, body: &impl Serialize) -> Result<Value> {
        self.whole(self.request(Method::DELETE, path).json(body).timeout(ANSWER)).await
    }

    /// Posts `body` to `path` and reads the answer line by line. Dropping the lines cancels the work.
    pub async fn lines(&self, path: &str, body: &impl Serialize) -> Result<Lines> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        Ok(Lines { response, buffer: LineBuffer::default(), ended: false, url: self.url().to_owned() })
    }

    /// Sends the file at `path` for a model that is to be made, unless the node has its bytes.
    pub async fn send_blob(&self, digest: &str, path: &Path) -> Result<()> {
        let url = format!("/api/blobs/{digest}");
        let known = self.request(Method::HEAD, &url).timeout(ANSWER).send().await;
        if known.map_err(|error| unreachable(self.url(), &error))?.status().is_success() {
            return Ok(());
        }
        let file = tokio::fs::File::open(path).await;
        let file = file.map_err(|error| CliError::local(format_args!("cannot read {}", path.display()), error))?;
        self.send(self.request(Method::POST, &url).body(file)).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(path);
        self.http.request(method, url)
    }

    async fn whole(&self, request: RequestBuilder) -> Result<Value> {
        let response = self.send(request).await?;
        let body = self.body(response).await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|error| CliError::Local(format!("{} answered with something that is not JSON: {error}", self.url())))
    }

    /// Sends; an answer that tells of an error is that error.
    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| unreachable(self.url(), &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        Err(CliError::from_body(status.as_u16(), &serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(self.url(), &error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(CliError::Local(format!("{} answered with more than {} MiB", self.url(), MAX_BODY >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The URL that `text` means: `http://` where no scheme is given, and without a path.
pub fn parse_url(text: &str) -> Result<Url> {
    let wrong = || CliError::Usage(format!("`{text}` is not the URL of a node: use the form http://127.0.0.1:4343"));
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&full).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unreachable(url: &str, error: &reqwest::Error) -> CliError {
    if error.is_connect() {
        CliError::Unreachable(format!("no node answers at {url}: {}", cause(error)))
    } else if error.is_timeout() {
        CliError::Unreachable(format!("the node at {url} did not answer in time"))
    } else {
        CliError::Unreachable(format!("the node at {url} broke off: {}", cause(error)))
    }
}

/// The innermost reason of `error`, which says most.
fn cause(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// An answer of one JSON value a line.
pub struct Lines {
    response: Response,
    buffer: LineBuffer,
    ended: bool,
    url: String,
}

impl Lines {
    /// The next value; `None` at the end. A line that tells of an error is that error.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(line) = self.buffer.take(self.ended) {
                let value: Value = serde_json::from_slice(&line)
                    .map_err(|error| CliError::Local(format!("{} sent a line that is not JSON: {error}", self.url)))?;
                if value.get("error").is_some_and(|error| !error.is_null()) {
                    return Err(CliError::from_line(&value));
                }
                return Ok(Some(value));
            }
            if self.ended {
                return Ok(None);
            }
            match self.response.chunk().await.map_err(|error| unreachable(&self.url, &error))? {
                Some(chunk) => self.buffer.push(&chunk).map_err(|bytes| {
                    CliError::Local(format!("{} sent a line of more than {bytes} bytes; at most {MAX_LINE} are taken", self.url))
                })?,
                None => self.ended = true,
            }
        }
    }
}

/// Cuts bytes into lines, of at most [`MAX_LINE`] bytes each.
#[derive(Default)]
struct LineBuffer {
    bytes: Vec<u8>,
    /// Up to here there is no line break.
    searched: usize,
}

impl LineBuffer {
    /// Adds `chunk`, or refuses it with the length that the unfinished line would have.
    fn push(&mut self, chunk: &[u8]) -> Result<(), usize> {
        let unfinished = self.bytes.len() + chunk.len();
        if unfinished > MAX_LINE {
            return Err(unfinished);
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next line that is not blank; with `ended`, also the last one without a line break.
    fn take(&mut self, ended: bool) -> Option<Vec<u8>> {
        loop {
            let line = match self.bytes[self.searched..].iter().position(|&byte| byte == b'\n') {
                Some(at) => {
                    let line = self.bytes.drain(..=self.searched + at).collect::<Vec<_>>();
                    self.searched = 0;
                    line
                }
                None if ended && !self.bytes.is_empty() => {
                    self.searched = 0;
                    std::mem::take(&mut self.bytes)
                }
                None => {
                    self.searched = self.bytes.len();
                    return None;
                }
            };
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests;
