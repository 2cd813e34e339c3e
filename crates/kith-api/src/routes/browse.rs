//! Folders of the node's machine to choose from.

use crate::{app::App, error::ApiError, query};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use kith_wire::system::{FolderEntry, FolderFault, FolderListing};
use serde::Deserialize;
use std::sync::Arc;

/// Which folder.
#[derive(Deserialize)]
pub struct Folder {
    path: Option<String>,
    hidden: Option<bool>,
}

/// The folders in a folder under the browse roots, or the roots. Links that lead out are not followed.
#[utoipa::path(get, path = "/api/v1/system/browse", tag = "system",
    params(("path" = Option<String>, Query, description = "An absolute path; the roots without one."),
           ("hidden" = Option<bool>, Query, description = "Whether hidden folders are told too; else as the settings say.")),
    responses((status = 200, body = FolderListing), (status = 400, description = "No path that may be looked up."),
              (status = 403, description = "Not under a browse root, or not readable."), (status = 404, description = "No such folder.")))]
pub async fn browse(
    State(app): State<Arc<App>>,
    folder: Result<Query<Folder>, QueryRejection>,
) -> Result<Json<FolderListing>, ApiError> {
    let folder = query::read(folder)?;
    let hidden = folder.hidden.unwrap_or_else(|| app.system.settings.get().browse_show_hidden);
    let listing = app.system.browse.list(folder.path, hidden).await?;
    let entries = listing.entries.into_iter();
    Ok(Json(FolderListing {
        path: listing.path,
        parent: listing.parent,
        entries: entries.map(|entry| FolderEntry { name: entry.name, path: entry.path, hidden: entry.hidden }).collect(),
        truncated: listing.truncated,
        errors: listing.faults.into_iter().map(|(name, error)| FolderFault { name, error }).collect(),
    }))
}
