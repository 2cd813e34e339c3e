//! What the owner's side of the node could not do, as an answer.

use crate::error::ApiError;
use kith_store::StoreError;
use kith_system::SystemError;
use kith_types::Code;

impl From<SystemError> for ApiError {
    fn from(error: SystemError) -> Self {
        let message = error.to_string();
        match error {
            SystemError::Invalid { field, .. } => Self::new(Code::InvalidRequest, message).with_field(field),
            SystemError::Outside | SystemError::Unreadable => Self::new(Code::Forbidden, message),
            SystemError::NotFound(_) => Self::new(Code::NotFound, message),
            SystemError::TooMany { .. } | SystemError::NotSet(_) => Self::new(Code::Conflict, message),
            SystemError::NoFolder(_) => Self::new(Code::NotConfigured, message),
            SystemError::Store(StoreError::Full) => Self::new(Code::StorageFull, message),
            other => Self::internal(&other),
        }
    }
}
