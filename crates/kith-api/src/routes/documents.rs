//! The text of a document that somebody wants to speak about.

use crate::{body, error::ApiError};
use axum::{Json, extract::Request};
use kith_documents::DocumentError;
use kith_types::Code;
use kith_wire::documents::DocumentText;
use tokio::sync::Semaphore;

/// How the bytes may be announced; what they are is seen from themselves.
const TYPES: [&str; 2] = ["application/octet-stream", "application/pdf"];
/// Documents read at once: each may take a processor for seconds. Others wait before their bodies are read.
static READING: Semaphore = Semaphore::const_new(2);

/// The text of a document: the body is its bytes, plain text in UTF-8 or UTF-16 or a PDF. Nothing of it is kept.
#[utoipa::path(post, path = "/api/v1/documents/text", tag = "conversations",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = DocumentText),
              (status = 400, description = "It is not understood, holds no text, or opens with a password."),
              (status = 413, description = "It is larger than 32 MiB."),
              (status = 415, description = "It is announced as something else than bytes.")))]
pub async fn text(request: Request) -> Result<Json<DocumentText>, ApiError> {
    if !body::media_type(request.headers()).is_none_or(|found| TYPES.contains(&found.as_str())) {
        let message = format!("the body is the document's bytes, with `Content-Type: {}`", TYPES.join("` or `"));
        return Err(ApiError::new(Code::UnsupportedMediaType, message));
    }
    let closed = |_| ApiError::new(Code::Internal, "documents are not read any more");
    let _turn = READING.acquire().await.map_err(closed)?;
    let bytes = body::collect(request, kith_documents::MAX_BYTES).await?;
    let read = tokio::task::spawn_blocking(move || kith_documents::text(&bytes)).await;
    // A reader that fell over a document says nothing of the node.
    let read = read.map_err(|_| DocumentError::Broken("it is damaged".to_owned())).and_then(|read| read);
    let found = read.map_err(|error| ApiError::new(Code::InvalidRequest, error.to_string()))?;
    Ok(Json(DocumentText { text: found.text, pages: found.pages.map(|pages| pages as u64), cut: found.cut }))
}
