//! Errors of hubs, registries and downloads as the API tells them.

use crate::error::ApiError;
use kith_models::{ModelError, SourceError};
use kith_types::Code;

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        Self::from(&error)
    }
}

impl From<&SourceError> for ApiError {
    fn from(error: &SourceError) -> Self {
        let message = error.to_string();
        match error {
            SourceError::Name(_) | SourceError::Insecure(_) => Self::new(Code::InvalidRequest, message),
            SourceError::NotFound(_) => Self::new(Code::ModelNotFound, message),
            SourceError::Refused { .. } => Self::new(Code::SourceRefused, message),
            SourceError::Busy { retry_after, .. } => {
                Self { retry_after: retry_after.map(|wait| wait.as_secs().max(1)), ..Self::new(Code::SourceFailed, message) }
            }
            SourceError::Broken { .. } | SourceError::Unexpected { .. } | SourceError::WrongDigest { .. } => {
                Self::new(Code::SourceFailed, message)
            }
            SourceError::Full { .. } => Self::new(Code::StorageFull, message),
            SourceError::QueueFull(_) => Self { retry_after: Some(10), ..Self::new(Code::Overloaded, message) },
            SourceError::Conflict(_) | SourceError::Cancelled => Self::new(Code::Conflict, message),
            SourceError::Unsupported(_) => Self::new(Code::InvalidModelFile, message),
            SourceError::Model(error) => of_library(error, message),
        }
    }
}

fn of_library(error: &ModelError, message: String) -> ApiError {
    match error {
        ModelError::NotFound { .. } => ApiError::new(Code::ModelNotFound, message),
        ModelError::BadName(_) => ApiError::new(Code::InvalidRequest, message),
        ModelError::BadFile { .. } | ModelError::Damaged { .. } => ApiError::new(Code::InvalidModelFile, message),
        ModelError::Busy => ApiError { retry_after: Some(1), ..ApiError::new(Code::Overloaded, message) },
        ModelError::Full => ApiError::new(Code::StorageFull, message),
        other => ApiError::internal(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_full_disk_is_told_as_such_wherever_it_is_noticed() {
        for error in [SourceError::Full { needed: 2, free: 1 }, SourceError::Model(ModelError::Full)] {
            assert_eq!(ApiError::from(error).code, Code::StorageFull);
        }
    }

    #[test]
    fn a_sources_refusal_is_not_this_nodes_own() {
        let refused = SourceError::Refused { host: "h".into(), reason: "r".into() };
        assert_eq!(ApiError::from(refused).code.status(), 502);
        let busy = SourceError::Busy { host: "h".into(), retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(ApiError::from(busy).retry_after, Some(7));
    }
}
