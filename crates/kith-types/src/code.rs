//! The closed set of error codes that clients match on.

use serde::{Deserialize, Serialize};

/// Which reference's error form an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
    /// `{"error":{"code","message","details"}}`
    NeuroShard,
    /// `{"error":"message","code","timestamp","request_id"}`
    Kith,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal => $status:literal,)*) => {
        /// Why a request failed, as one word a program can match on. Each has one HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }
        }
    };
}

codes! {
    /// The request is malformed or a field's value is out of its bounds.
    InvalidRequest = "INVALID_REQUEST" => 400,
    /// The prompt and the room asked for its answer exceed the model's context window.
    ContextLengthExceeded = "CONTEXT_LENGTH_EXCEEDED" => 400,
    /// The model cannot do what was asked of it.
    UnsupportedByModel = "UNSUPPORTED_BY_MODEL" => 400,
    /// The file is not a model Kith can read.
    InvalidModelFile = "INVALID_MODEL_FILE" => 400,
    /// No credentials, or wrong or expired ones.
    Unauthorized = "UNAUTHORIZED" => 401,
    /// The credentials do not reach this far, or the Host or Origin is foreign.
    Forbidden = "FORBIDDEN" => 403,
    /// No such path.
    RouteNotFound = "ROUTE_NOT_FOUND" => 404,
    /// No such model.
    ModelNotFound = "MODEL_NOT_FOUND" => 404,
    /// No such adapter.
    AdapterNotFound = "ADAPTER_NOT_FOUND" => 404,
    /// No such thing.
    NotFound = "NOT_FOUND" => 404,
    /// The path exists, but not with this method.
    MethodNotAllowed = "METHOD_NOT_ALLOWED" => 405,
    /// The request clashes with what is there.
    Conflict = "CONFLICT" => 409,
    /// The body is larger than this endpoint takes.
    BodyTooLarge = "BODY_TOO_LARGE" => 413,
    /// The body is not of the content type this endpoint takes.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE" => 415,
    /// Too many requests from this principal.
    RateLimited = "RATE_LIMITED" => 429,
    /// A fault of the node itself; the log has the details.
    Internal = "INTERNAL" => 500,
    /// The operating system cannot do it.
    UnsupportedPlatform = "UNSUPPORTED_PLATFORM" => 501,
    /// The engine failed on this request.
    EngineFailed = "ENGINE_FAILED" => 500,
    /// Somebody this node asked (a feed, a hub, a provider) did not answer, or not as it should.
    UpstreamFailed = "UPSTREAM_FAILED" => 502,
    /// Too much is waiting; try again after `Retry-After`.
    Overloaded = "OVERLOADED" => 503,
    /// The model does not fit the memory that may be used.
    OutOfMemory = "OUT_OF_MEMORY" => 503,
    /// Something must be set up first (no password was ever set).
    NotConfigured = "NOT_CONFIGURED" => 503,
    /// The node is stopping.
    ShuttingDown = "SHUTTING_DOWN" => 503,
    /// The disk or the quota is full.
    StorageFull = "STORAGE_FULL" => 507,
    /// Somebody whom the node asked did not answer in time.
    UpstreamTimeout = "UPSTREAM_TIMEOUT" => 504,
    /// The hub or registry refuses, or wants other credentials.
    SourceRefused = "SOURCE_REFUSED" => 502,
    /// The hub or registry cannot be reached, broke off, or answered what cannot be right.
    SourceFailed = "SOURCE_FAILED" => 502,
    /// The stored response that was to be continued is not there.
    PreviousResponseNotFound = "PREVIOUS_RESPONSE_NOT_FOUND" => 400,
    /// The ticket to pair a device was used already.
    TicketUsed = "TICKET_USED" => 410,
    /// The ticket to pair a device no longer holds: its time is over, it was withdrawn, or another took its place.
    TicketExpired = "TICKET_EXPIRED" => 410,
    /// No such network is saved on this node.
    NetworkNotFound = "NETWORK_NOT_FOUND" => 404,
    /// No such node in the network.
    NodeNotFound = "NODE_NOT_FOUND" => 404,
    /// No such invite was given out by this node.
    InviteNotFound = "INVITE_NOT_FOUND" => 404,
    /// The text is no invite, a forged one, or one for another device.
    InviteInvalid = "INVITE_INVALID" => 400,
    /// The invite holds no longer: it was used up, taken back, or its time is over.
    InviteOver = "INVITE_OVER" => 410,
    /// No network is connected.
    NetworkOffline = "NETWORK_OFFLINE" => 503,
    /// The peer cannot be reached, or does not take this node in.
    PeerUnreachable = "PEER_UNREACHABLE" => 502,
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn the_word_on_the_wire_is_the_same_in_json_and_text() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }
}
