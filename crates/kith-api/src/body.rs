//! Reading JSON bodies: the size before the type, the type before the content, and every complaint names its field.

use crate::{app::App, error::ApiError};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kith_types::Code;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::{sync::Arc, time::Duration};

/// A client that has not sent its body by then is cut off.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A JSON body of an ordinary endpoint; the content type must be JSON.
pub(crate) struct Json<T>(pub T);

/// A JSON body with a prompt: larger, and with the content type OpenAI's clients send.
pub(crate) struct PromptJson<T>(pub T);

/// A JSON body as Ollama takes it: also without a content type, or with the one curl sends when nobody says otherwise.
pub(crate) struct OllamaJson<T>(pub T);

/// What a body is announced as, in small letters and without parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("\0");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

async fn read<T: DeserializeOwned>(request: Request, limit: usize, lenient: bool) -> Result<T, ApiError> {
    let fits = match media_type(request.headers()).as_deref() {
        Some(found) => is_json(found) || (lenient && found == "application/x-www-form-urlencoded"),
        None => lenient,
    };
    if !fits {
        return Err(ApiError::new(Code::UnsupportedMediaType, "the body must be JSON with `Content-Type: application/json`"));
    }
    parse(&collect(request, limit).await?)
}

/// The whole body, as it is; at most `limit` bytes, which must arrive within [`BODY_TIMEOUT`].
///
/// # Errors
/// It is larger, too slow, or breaks off.
pub async fn collect(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::new(Code::BodyTooLarge, format!("the body is larger than {limit} bytes"));
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|n| n > limit as u64) {
        return Err(too_large());
    }
    let slow = |_| ApiError::new(Code::InvalidRequest, format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()));
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), limit).collect());
    match body.await.map_err(slow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(ApiError::new(Code::InvalidRequest, "the body broke off")),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::new(Code::InvalidRequest, "the body is empty; a JSON object is needed"));
    }
    // Serde would read a list as an object's fields in their order.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    {
        return Err(ApiError::new(Code::InvalidRequest, "the body must be a JSON object"));
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut *deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_syntax() || cause.is_eof() {
            return ApiError::new(Code::InvalidRequest, format!("the body is not JSON: {cause}"));
        }
        let message = cause.to_string();
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        match (path.as_str(), missing) {
            ("." | "?", Some(name)) => ApiError::new(Code::InvalidRequest, &*message).with_field(name),
            ("." | "?", None) => ApiError::new(Code::InvalidRequest, message),
            (place, Some(name)) => {
                ApiError::new(Code::InvalidRequest, format!("`{place}`: {message}")).with_field(format!("{place}.{name}"))
            }
            (place, None) => ApiError::new(Code::InvalidRequest, format!("`{place}`: {message}")).with_field(place),
        }
    })?;
    deserializer.end().map_err(|error| ApiError::new(Code::InvalidRequest, format!("the body is not JSON: {error}")))?;
    Ok(value)
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        read(request, app.settings.standard_body, false).await.map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for PromptJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        read(request, app.settings.inference_body, false).await.map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for OllamaJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        read(request, app.settings.inference_body, true).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[allow(dead_code)]
        options: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[allow(dead_code)]
        top_k: u32,
    }

    #[test]
    fn a_wrong_type_is_told_by_its_field() {
        let error = parse::<Outer>(br#"{"options":[{"top_k":1},{"top_k":"many"}]}"#).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("options[1].top_k"));
        assert_eq!(error.code, Code::InvalidRequest);
    }

    #[test]
    fn what_is_no_json_is_told_so() {
        for body in ["", "  ", "{", "nonsense", "{} trailing", "\u{0}"] {
            let error = parse::<serde_json::Value>(body.as_bytes()).unwrap_err();
            assert!(error.message.starts_with("the body is"), "{body:?}: {}", error.message);
        }
        // A missing field is told by name though it has no path of its own.
        assert_eq!(parse::<Outer>(b"{}").unwrap_err().field.as_deref(), Some("options"));
        assert_eq!(parse::<Outer>(br#"{"options":[{}]}"#).unwrap_err().field.as_deref(), Some("options[0].top_k"));
    }

    #[test]
    fn media_types_are_compared_without_parameters_and_case() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert!(is_json(&media_type(&headers).unwrap()));
        assert!(!is_json("text/json") && is_json("application/problem+json"));
    }
}
