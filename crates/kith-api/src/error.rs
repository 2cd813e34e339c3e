//! The one error of the API, and the form each family of endpoints gives it.

use crate::field_error::{FieldError, in_words_of};
use axum::{
    extract::rejection::{PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kith_access::AccessError;
use kith_inference::{InferenceError, ProviderFault};
use kith_models::ModelError;
use kith_responses::ResponsesError;
use kith_store::StoreError;
use kith_types::{Code, Family, RequestId, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// Why a request failed: a code, a sentence for people, and where known the field at fault.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None }
    }

    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// An error of inference, its field in the words of the client's dialect.
    pub(crate) fn renamed(error: InferenceError, field: fn(&str) -> String) -> Self {
        let mut error = Self::from(in_words_of(field, error));
        if error.code == Code::ContextLengthExceeded {
            error.field = Some(field("messages"));
        }
        error
    }

    /// A fault of the node: logged here, and shown to nobody.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Code::Internal, "an internal error occurred; the node's log has the details")
    }

    /// The body in the family's own form.
    pub(crate) fn body(&self, family: Family, id: &RequestId, now: Timestamp) -> Value {
        match family {
            Family::OpenAi => json!({"error": {
                "message": self.message,
                "type": openai_type(self.code),
                "param": self.field,
                "code": openai_code(self.code),
            }}),
            Family::Anthropic => json!({"type": "error", "error": {"type": anthropic_type(self.code), "message": self.message}}),
            Family::NeuroShard => json!({"error": {
                "code": self.code.as_str(),
                "message": self.message,
                "details": self.field.as_ref().map_or_else(|| json!({}), |field| json!({"field": field})),
            }}),
            Family::Kith => {
                let mut body = json!({
                    "error": self.message, "code": self.code.as_str(), "timestamp": now.rfc3339(), "request_id": id.as_str(),
                });
                if let (Some(field), Some(map)) = (&self.field, body.as_object_mut()) {
                    map.insert("field".to_owned(), json!(field));
                }
                body
            }
        }
    }
}

fn openai_type(code: Code) -> &'static str {
    match code.status() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        status if status >= 500 => "server_error",
        _ => "invalid_request_error",
    }
}

/// The lower-case words OpenAI's clients know.
fn openai_code(code: Code) -> String {
    match code {
        Code::Unauthorized => "invalid_api_key".to_owned(),
        Code::RateLimited => "rate_limit_exceeded".to_owned(),
        other => other.as_str().to_lowercase(),
    }
}

pub(crate) fn anthropic_type(code: Code) -> &'static str {
    match code.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        status if status >= 500 => "api_error",
        _ => "invalid_request_error",
    }
}

/// The family of errors a path belongs to; see the specification's table of errors.
pub(crate) fn family_of(path: &str) -> Family {
    const NEUROSHARD: [&str; 9] = [
        "/api/v1/status",
        "/api/v1/metrics",
        "/api/v1/health",
        "/api/v1/inference",
        "/api/v1/wallet",
        "/api/v1/peers",
        "/api/v1/layers",
        "/api/v1/config",
        "/api/v1/proofs",
    ];
    // Below `/api/v1/network` are endpoints of the others.
    let under = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if under("/v1/messages") {
        Family::Anthropic
    } else if under("/v1") {
        Family::OpenAi
    } else if path == "/api/v1/network" || under("/api/training") || NEUROSHARD.iter().any(|root| under(root)) {
        Family::NeuroShard
    } else {
        Family::Kith
    }
}

impl IntoResponse for ApiError {
    /// Carries the error to [`crate::guard::frame`], which knows the family and the request's id and writes the body.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"kith\""));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::new(Code::InvalidRequest, error.message).with_field(error.field)
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Code::InvalidRequest, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::InvalidRequest, rejection.body_text())
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        let message = error.to_string();
        match error {
            AccessError::Unauthorized | AccessError::WrongPassword => Self::new(Code::Unauthorized, message),
            AccessError::Forbidden => Self::new(Code::Forbidden, message),
            AccessError::NotConfigured => Self::new(Code::NotConfigured, message),
            AccessError::Invalid { .. } => Self::new(Code::InvalidRequest, message),
            AccessError::TooManyKeys(_) => Self::new(Code::Conflict, message),
            AccessError::TooManyAttempts { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::RateLimited, message) }
            }
            AccessError::NotFound => Self::new(Code::NotFound, message),
            AccessError::WrongTicket => Self::new(Code::Unauthorized, message),
            AccessError::TicketUsed => Self::new(Code::TicketUsed, message),
            AccessError::TicketExpired | AccessError::TicketWithdrawn => Self::new(Code::TicketExpired, message),
            AccessError::TooManyDevices(_) => Self::new(Code::Conflict, message),
            AccessError::NoSuchDevice => Self::new(Code::NotFound, message),
            AccessError::Store(StoreError::Full) => Self::new(Code::StorageFull, message),
            other => Self::internal(&other),
        }
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        let message = error.to_string();
        match error {
            ModelError::NotFound { .. } => Self::new(Code::ModelNotFound, message),
            ModelError::BadName(_) => Self::new(Code::InvalidRequest, message),
            ModelError::BadFile { .. } => Self::new(Code::InvalidModelFile, message),
            ModelError::Damaged { .. } => Self::new(Code::InvalidModelFile, message),
            ModelError::Invalid { field, .. } => Self::new(Code::InvalidRequest, message).with_field(field),
            ModelError::Unsupported(_) => Self::new(Code::UnsupportedByModel, message),
            ModelError::Busy => Self { retry_after: Some(1), ..Self::new(Code::Overloaded, message) },
            ModelError::Full => Self::new(Code::StorageFull, message),
            ModelError::NoAdapter { .. } => Self::new(Code::AdapterNotFound, message),
            ModelError::AdapterExists { .. } | ModelError::TooManyAdapters(_) => Self::new(Code::Conflict, message),
            ModelError::BadAdapter { field, .. } => Self::new(Code::InvalidRequest, message).with_field(field),
            other => Self::internal(&other),
        }
    }
}

impl From<ResponsesError> for ApiError {
    fn from(error: ResponsesError) -> Self {
        let message = error.to_string();
        match error {
            ResponsesError::NotFound(_) => Self::new(Code::NotFound, message),
            ResponsesError::TooLarge { .. } => {
                Self::new(Code::BodyTooLarge, format!("the response is not kept: {message}; set `store` to false"))
                    .with_field("store")
            }
            ResponsesError::TooMany(_) => Self { retry_after: Some(1), ..Self::new(Code::Overloaded, message) },
            ResponsesError::NotStreamed => Self::new(Code::InvalidRequest, message).with_field("stream"),
            ResponsesError::Stopping => Self::new(Code::ShuttingDown, message),
            ResponsesError::Store(StoreError::Full) => Self::new(Code::StorageFull, message),
            ResponsesError::Store(other) => Self::internal(&other),
        }
    }
}

impl From<InferenceError> for ApiError {
    fn from(error: InferenceError) -> Self {
        let message = error.to_string();
        match error {
            InferenceError::Invalid { field, .. } => Self::new(Code::InvalidRequest, message).with_field(field),
            InferenceError::ModelNotFound { .. } => Self::new(Code::ModelNotFound, message).with_field("model"),
            InferenceError::AdapterNotFound(_) => Self::new(Code::AdapterNotFound, message).with_field("lora_adapter"),
            InferenceError::StorageFull(_) => Self::new(Code::StorageFull, message),
            InferenceError::ContextExceeded { .. } => Self::new(Code::ContextLengthExceeded, message).with_field("messages"),
            InferenceError::UnsupportedByModel(_) => Self::new(Code::UnsupportedByModel, message),
            InferenceError::Overloaded { retry_after, .. } => {
                Self { retry_after: Some(retry_after.as_secs().max(1)), ..Self::new(Code::Overloaded, message) }
            }
            InferenceError::OutOfMemory { .. } => Self::new(Code::OutOfMemory, message),
            InferenceError::BadModel { .. } => Self::new(Code::InvalidModelFile, message),
            InferenceError::Unloaded(_) => Self { retry_after: Some(1), ..Self::new(Code::Overloaded, message) },
            InferenceError::Stopping => Self::new(Code::ShuttingDown, message),
            InferenceError::Failed(_) => Self::new(Code::EngineFailed, message),
            InferenceError::Provider { fault, .. } => provider_error(&fault, message),
        }
    }
}

/// Where the fault lies, seen from the client: its request, this node's settings, or somebody beyond.
fn provider_error(fault: &ProviderFault, message: String) -> ApiError {
    let wait = |wish: &Option<Duration>| Some(wish.map_or(1, |wish| wish.as_secs().max(1)));
    match fault {
        ProviderFault::NotConfigured => ApiError::new(Code::NotConfigured, message).with_field("model"),
        ProviderFault::NoSuchModel(_) => ApiError::new(Code::ModelNotFound, message).with_field("model"),
        ProviderFault::Rejected(_) => ApiError::new(Code::InvalidRequest, message),
        ProviderFault::Withheld(_) => ApiError::new(Code::UnsupportedByModel, message),
        ProviderFault::RateLimited { retry_after, .. } => {
            ApiError { retry_after: wait(retry_after), ..ApiError::new(Code::RateLimited, message) }
        }
        ProviderFault::Overloaded { retry_after } => {
            ApiError { retry_after: wait(retry_after), ..ApiError::new(Code::Overloaded, message) }
        }
        ProviderFault::Busy(_) => ApiError { retry_after: Some(1), ..ApiError::new(Code::Overloaded, message) },
        ProviderFault::Timeout(_) => ApiError::new(Code::UpstreamTimeout, message),
        ProviderFault::KeyRefused | ProviderFault::Unreachable | ProviderFault::Failed(_) | ProviderFault::Broken(_) => {
            ApiError::new(Code::UpstreamFailed, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_form() {
        let error = ApiError::new(Code::InvalidRequest, "`top_p` is 3").with_field("top_p");
        let id = RequestId::from_random([7; 12]);
        let body = |family| error.body(family, &id, Timestamp::from_ms(0));
        assert_eq!(
            body(Family::OpenAi),
            json!({"error": {"message": "`top_p` is 3", "type": "invalid_request_error", "param": "top_p", "code": "invalid_request"}})
        );
        assert_eq!(
            body(Family::Anthropic),
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "`top_p` is 3"}})
        );
        assert_eq!(
            body(Family::NeuroShard),
            json!({"error": {"code": "INVALID_REQUEST", "message": "`top_p` is 3", "details": {"field": "top_p"}}})
        );
        assert_eq!(
            body(Family::Kith),
            json!({"error": "`top_p` is 3", "code": "INVALID_REQUEST", "timestamp": "1970-01-01T00:00:00.000Z",
                   "request_id": "req_070707070707070707070707", "field": "top_p"})
        );
    }

    #[test]
    fn a_path_belongs_to_one_family() {
        assert_eq!(family_of("/v1/chat/completions"), Family::OpenAi);
        assert_eq!(family_of("/v1/messages"), Family::Anthropic);
        assert_eq!(family_of("/api/v1/status"), Family::NeuroShard);
        assert_eq!(family_of("/api/v1/statuses"), Family::Kith);
        assert_eq!(family_of("/api/v1/networks"), Family::Kith);
        assert_eq!((family_of("/api/v1/network"), family_of("/api/v1/network/topology")), (Family::NeuroShard, Family::Kith));
        assert_eq!(family_of("/v10"), Family::Kith);
        assert_eq!(family_of("/api/chat"), Family::Kith);
    }
}
