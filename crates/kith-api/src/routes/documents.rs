//! The text of a document that somebody wants to speak about.

use crate::{app::App, body, error::ApiError};
use axum::{
    Json,
    extract::{Request, State},
};
use kith_types::Code;
use kith_wire::documents::DocumentText;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How the bytes may be announced; what they are is seen from themselves.
const TYPES: [&str; 2] = ["application/octet-stream", "application/pdf"];
/// Documents read at once: each may take a processor for seconds. Others wait before their bodies are read.
static READING: Semaphore = Semaphore::const_new(2);

/// The text of a document: the body is its bytes, plain text in UTF-8 or UTF-16 or a PDF. Nothing of it is kept.
#[utoipa::path(post, path = "/api/v1/documents/text", tag = "conversations",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = DocumentText),
              (status = 400, description = "It is not understood, has no text or a password, or takes too much to read."),
              (status = 413, description = "It is larger than 32 MiB."),
              (status = 415, description = "It is announced as something else than bytes.")))]
pub async fn text(State(app): State<Arc<App>>, request: Request) -> Result<Json<DocumentText>, ApiError> {
    if !body::media_type(request.headers()).is_none_or(|found| TYPES.contains(&found.as_str())) {
        let message = format!("the body is the document's bytes, with `Content-Type: {}`", TYPES.join("` or `"));
        return Err(ApiError::new(Code::UnsupportedMediaType, message));
    }
    let closed = |_| ApiError::new(Code::Internal, "documents are not read any more");
    let turn = READING.acquire().await.map_err(closed)?;
    let bytes = body::collect(request, kith_documents::MAX_BYTES).await?;
    let found = app.documents.text(bytes.into(), turn).await?;
    Ok(Json(DocumentText { text: found.text, pages: found.pages.map(|pages| pages as u64), cut: found.cut }))
}
