//! Requests to the node: typed bodies in and out, streams line by line, failures as what a person can do about them.
//!
//! A [`Client`] holds a bearer: whoever has one is let in. What may be asked without one stands in [`crate::session`].

use crate::view::body;
use js_sys::{Reflect, Uint8Array};
use kith_wire::documents::DocumentText;
use serde::{Serialize, de::DeserializeOwned};
use std::pin::Pin;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, Response};

/// The longest line of a stream, in bytes.
const LONGEST_LINE: usize = 64 << 20;

/// Why a request gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The node cannot be reached.
    Offline,
    /// The bearer is not, or no longer, good.
    Unauthorised,
    /// The node said no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code of the error, `NOT_FOUND`; empty where it gave none.
        code: String,
        /// What it said.
        message: String,
    },
    /// The answer is not what was expected.
    Garbled(String),
    /// It was stopped here.
    Cancelled,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offline => f.write_str("Kith cannot be reached on this device."),
            Self::Unauthorised => f.write_str("This window is no longer signed in."),
            Self::Refused { message, .. } => f.write_str(&crate::view::words::sentence(message)),
            Self::Garbled(what) => write!(f, "The answer could not be read: {what}."),
            Self::Cancelled => f.write_str("Stopped."),
        }
    }
}

/// Asks the node in the name of a bearer.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    token: String,
    is_admin: bool,
}

/// What is asked, whatever it is for: boxed, so that the way to the node is compiled once and not anew for each type of answer.
type Asked<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// Without a bearer: for the few routes that are open.
pub async fn open_post<T: DeserializeOwned>(path: &str, body: &impl Serialize) -> Result<T, Problem> {
    read(&text("POST", path, None, Some(written(body)?)).await?)
}

impl Client {
    /// A client with this bearer. What only those who administer the node may do is not offered to others.
    pub fn new(token: String, is_admin: bool) -> Self {
        Self { token, is_admin }
    }

    /// Whether the bearer may administer the node: false for a paired phone.
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// The bearer, for the places where a browser takes no header.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `GET`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        read(&text("GET", path, Some(&self.token), None).await?)
    }

    /// `POST` with a body, for an answer with one.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        self.call("POST", path, body).await
    }

    /// Any method with a body, for an answer with one.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        read(&text(method, path, Some(&self.token), Some(written(body)?)).await?)
    }

    /// Any method, with or without a body; the answer's body does not matter.
    pub async fn send(&self, method: &str, path: &str, body: Option<&impl Serialize>) -> Result<(), Problem> {
        send(method, path, Some(&self.token), body.map(written).transpose()?, None).await.map(|_| ())
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Result<(), Problem> {
        self.send("DELETE", path, None::<&()>).await
    }

    /// `POST`, whose answer comes line by line. `on_line` sees each as it comes. Ends with the stream or when `signal` says so.
    pub async fn lines(
        &self,
        path: &str,
        body: &impl Serialize,
        signal: &AbortSignal,
        mut on_line: impl FnMut(&str),
    ) -> Result<(), Problem> {
        let response = send("POST", path, Some(&self.token), Some(written(body)?), Some(signal)).await?;
        let stopped = |_| if signal.aborted() { Problem::Cancelled } else { Problem::Offline };
        let garbled = || Problem::Garbled("it has no body".to_owned());
        let reader = response.body().ok_or_else(garbled)?.get_reader();
        let reader: ReadableStreamDefaultReader = reader.dyn_into().map_err(|_| garbled())?;
        let mut pending: Vec<u8> = Vec::new();
        loop {
            let chunk = JsFuture::from(reader.read()).await.map_err(stopped)?;
            if Reflect::get(&chunk, &"done".into()).is_ok_and(|done| done.is_truthy()) {
                break;
            }
            let bytes = Reflect::get(&chunk, &"value".into()).map_err(|_| garbled())?;
            let from = pending.len();
            pending.extend(Uint8Array::new(&bytes).to_vec());
            // Only what is new can hold the end of a line.
            let mut start = 0;
            for at in from..pending.len() {
                if pending.get(at) == Some(&b'\n') {
                    on_line(&String::from_utf8_lossy(pending.get(start..at).unwrap_or_default()));
                    start = at + 1;
                }
            }
            pending.drain(..start);
            if pending.len() > LONGEST_LINE {
                return Err(Problem::Garbled("a line of it has no end".to_owned()));
            }
        }
        if !pending.is_empty() {
            on_line(&String::from_utf8_lossy(&pending));
        }
        Ok(())
    }

    /// The text of a document, which the node reads.
    pub async fn document(&self, file: &web_sys::Blob) -> Result<DocumentText, Problem> {
        let body = Some(("application/octet-stream", file.clone().into()));
        let response = fetch("POST", "/api/v1/documents/text", Some(&self.token), body, None).await?;
        read(&text_of(&response).await?)
    }

    /// `GET` for bytes, as something that can be saved or shown.
    pub async fn blob(&self, path: &str) -> Result<web_sys::Blob, Problem> {
        let response = send("GET", path, Some(&self.token), None, None).await?;
        let promise = response.blob().map_err(|_| Problem::Garbled("it has no body".to_owned()))?;
        JsFuture::from(promise)
            .await
            .map_err(|_| Problem::Offline)?
            .dyn_into()
            .map_err(|_| Problem::Garbled("it is no blob".to_owned()))
    }
}

/// The text of a good answer.
fn text(method: &str, path: &str, token: Option<&str>, body: Option<String>) -> Asked<String> {
    let response = send(method, path, token, body, None);
    Box::pin(async move { text_of(&response.await?).await })
}

/// A good answer of the node to a body in JSON.
fn send(method: &str, path: &str, token: Option<&str>, body: Option<String>, signal: Option<&AbortSignal>) -> Asked<Response> {
    let (method, path, token, signal) = (method.to_owned(), path.to_owned(), token.map(str::to_owned), signal.cloned());
    Box::pin(async move {
        let body = body.map(|body| ("application/json", JsValue::from_str(&body)));
        fetch(&method, &path, token.as_deref(), body, signal.as_ref()).await
    })
}

/// Sends a body of some type as it is.
async fn fetch(
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<(&str, JsValue)>,
    signal: Option<&AbortSignal>,
) -> Result<Response, Problem> {
    let init = RequestInit::new();
    init.set_method(method);
    init.set_signal(signal);
    let headers = Headers::new().map_err(|_| Problem::Offline)?;
    let set = |name: &str, value: &str| headers.set(name, value).map_err(|_| Problem::Unauthorised);
    if let Some(token) = token {
        set("authorization", &format!("Bearer {token}"))?;
    }
    if let Some((kind, body)) = body {
        set("content-type", kind)?;
        init.set_body(&body);
    }
    init.set_headers(&headers);
    let window = web_sys::window().ok_or(Problem::Offline)?;
    let fetched = JsFuture::from(window.fetch_with_str_and_init(path, &init)).await;
    let response: Response = match fetched {
        Ok(response) => response.unchecked_into(),
        Err(_) if signal.is_some_and(AbortSignal::aborted) => return Err(Problem::Cancelled),
        Err(_) => return Err(Problem::Offline),
    };
    if response.ok() {
        return Ok(response);
    }
    let status = response.status();
    let text = text_of(&response).await.unwrap_or_default();
    if status == 401 && token.is_some() {
        return Err(Problem::Unauthorised);
    }
    let message = said(&text).unwrap_or_else(|| format!("the node answered {status}"));
    Err(Problem::Refused { status, code: coded(&text).unwrap_or_default(), message })
}

/// What an error's body says, in any of the node's forms.
fn said(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let error = value.get("error")?;
    error.as_str().or_else(|| error.get("message")?.as_str()).map(str::to_owned)
}

/// The code of an error.
fn coded(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.get("code")?.as_str().map(str::to_owned)
}

async fn text_of(response: &Response) -> Result<String, Problem> {
    let promise = response.text().map_err(|_| Problem::Offline)?;
    Ok(JsFuture::from(promise).await.map_err(|_| Problem::Offline)?.as_string().unwrap_or_default())
}

/// A body as it is sent.
fn written(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(garbled)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    // An answer without a body stands for `null`, which is what `()` is read from.
    body::parse(if text.is_empty() { "null" } else { text }).map_err(garbled)
}

fn garbled(error: serde_json::Error) -> Problem {
    Problem::Garbled(error.to_string())
}
