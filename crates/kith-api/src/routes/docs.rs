//! The page that shows the OpenAPI document: its own few lines of HTML, script and style, and nothing from elsewhere.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

/// Nothing but this node's own files, nothing written into the page, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

/// Every route of this node, to search, read and try.
#[utoipa::path(get, path = "/api/docs", tag = "system",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html")))]
pub async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("docs/page.html"))
}

/// The page's script.
#[utoipa::path(get, path = "/api/docs/page.js", tag = "system",
    responses((status = 200, description = "A script.", body = String, content_type = "text/javascript")))]
pub async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("docs/page.js"))
}

/// The page's style.
#[utoipa::path(get, path = "/api/docs/page.css", tag = "system",
    responses((status = 200, description = "A style sheet.", body = String, content_type = "text/css")))]
pub async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("docs/page.css"))
}
