//! Which model answers a request that names none.

use crate::{app::App, error::ApiError};
use kith_types::Code;

/// The model named, else the owner's choice, else the only one, else the one asked last.
pub(crate) async fn model_for(app: &App, named: Option<String>) -> Result<String, ApiError> {
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Ok(name);
    }
    if let Some(model) = app.library.default_model().await? {
        return Ok(model.name.to_string());
    }
    let models = app.library.list().await?;
    if let [only] = models.as_slice() {
        return Ok(only.name.to_string());
    }
    // One that was removed since is none.
    let last = app.inference.last_asked();
    if let Some(last) = last.filter(|last| models.iter().any(|model| model.name.to_string() == *last)) {
        return Ok(last);
    }
    let error = if models.is_empty() {
        ApiError::new(Code::ModelNotFound, "there is no model on this node; get one first")
    } else {
        ApiError::new(Code::InvalidRequest, "there are several models: name one in `model`, or choose one by POST /model/swap")
    };
    Err(error.with_field("model"))
}
