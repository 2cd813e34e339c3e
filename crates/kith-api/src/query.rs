//! Reading query strings: what cannot be read is told, and never taken for something else.

use crate::error::ApiError;
use axum::extract::{Query, rejection::QueryRejection};
use kith_types::Code;

/// The query, or what is wrong with it.
pub(crate) fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::new(Code::InvalidRequest, rejection.body_text()))?;
    Ok(query)
}
