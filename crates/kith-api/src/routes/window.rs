//! The window: its entry page under every path of its own, its files under theirs.

use crate::{app::App, error::ApiError};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kith_types::Code;
use std::sync::Arc;

/// Nothing but this node's own files and no frame around them; styles are set on elements by script alone, pictures may be made by it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; font-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
/// What nobody but the window's own pages is given.
const PERMISSIONS: &str = "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()";

/// The window: a page for people. Its own paths (`/app/chat/…`) all give this page.
#[utoipa::path(get, path = "/app", tag = "system",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html"),
              (status = 404, description = "This build has no window.")))]
pub async fn entry(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    file(&app, &headers, "index.html")
}

/// The window, at one of its own paths.
#[utoipa::path(get, path = "/app/{*path}", tag = "system", params(("path" = String, Path, description = "A path of the window's own.")),
    responses((status = 200, description = "A page.", body = String, content_type = "text/html"),
              (status = 404, description = "This build has no window.")))]
pub async fn inside(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    file(&app, &headers, "index.html")
}

/// The window where a phone begins: behind the `#` stands its ticket, which is never sent here.
#[utoipa::path(get, path = "/pair", tag = "system",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html"),
              (status = 404, description = "This build has no window.")))]
pub async fn pair(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    file(&app, &headers, "index.html")
}

/// A file of the window; its name changes with its content.
#[utoipa::path(get, path = "/assets/{name}", tag = "system", params(("name" = String, Path, description = "The file's name.")),
    responses((status = 200, description = "The file.", body = String, content_type = "application/octet-stream"),
              (status = 404, description = "There is none of that name.")))]
pub async fn asset(State(app): State<Arc<App>>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, ApiError> {
    file(&app, &headers, &format!("assets/{name}"))
}

/// What a phone needs to keep the window among its apps.
#[utoipa::path(get, path = "/manifest.webmanifest", tag = "system",
    responses((status = 200, description = "A manifest.", body = String, content_type = "application/manifest+json"),
              (status = 404, description = "This build has no window.")))]
pub async fn manifest(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    file(&app, &headers, "manifest.webmanifest")
}

/// The icon, for browsers that ask for it by this name.
#[utoipa::path(get, path = "/favicon.ico", tag = "system",
    responses((status = 200, description = "A picture.", body = String, content_type = "image/svg+xml"),
              (status = 404, description = "This build has no window.")))]
pub async fn icon(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    file(&app, &headers, "icon.svg")
}

/// An icon for a phone's list of apps.
#[utoipa::path(get, path = "/icons/{name}", tag = "system", params(("name" = String, Path, description = "The file's name.")),
    responses((status = 200, description = "A picture.", body = String, content_type = "image/png"),
              (status = 404, description = "There is none of that name.")))]
pub async fn sized_icon(State(app): State<Arc<App>>, headers: HeaderMap, Path(name): Path<String>) -> Result<Response, ApiError> {
    file(&app, &headers, &name)
}

/// Whether a browser asks for a page, as Ollama's clients never do.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn file(app: &App, headers: &HeaderMap, name: &str) -> Result<Response, ApiError> {
    let encodings = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(file) = app.window.file(name, reads_brotli(encodings)) else {
        let message = match app.window.file("index.html", true) {
            Some(_) => format!("the window has no file `{name}`"),
            None => "this build has no window; build it with `cargo xtask pages`".to_owned(),
        };
        return Err(ApiError::new(Code::NotFound, message));
    };
    // The page itself is asked for anew each time, since it names the files that are kept for ever.
    let kept = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let always: [(HeaderName, HeaderValue); 7] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    let mut response = (StatusCode::OK, always, file.bytes).into_response();
    if file.brotli {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Ok(response)
}

/// Whether `br` stands among the accepted encodings, and is not forbidden by `q=0`.
fn reads_brotli(accepted: &str) -> bool {
    accepted.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        words.next() == Some("br") && !words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_sent_to_those_who_say_that_they_read_it() {
        assert!(reads_brotli("gzip, deflate, br, zstd") && reads_brotli("br;q=0.5"));
        assert!(!reads_brotli("gzip") && !reads_brotli("") && !reads_brotli("br;q=0") && !reads_brotli("brotli"));
    }
}
