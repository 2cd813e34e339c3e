//! The owner's contacts.

use crate::{app::App, body::Json as Body, error::ApiError};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use kith_system::Contact;
use kith_types::Code;
use kith_wire::system::{ContactBody, ContactList, ContactUpdate, NewContact};
use std::sync::Arc;

type Given = Result<Path<String>, PathRejection>;

fn body(contact: Contact) -> ContactBody {
    ContactBody {
        node_id: contact.node_id,
        name: contact.name,
        notes: contact.notes,
        added_at_ms: contact.added,
        updated_at_ms: contact.updated,
    }
}

fn upserted((contact, new): (Contact, bool)) -> (StatusCode, Json<ContactBody>) {
    (if new { StatusCode::CREATED } else { StatusCode::OK }, Json(body(contact)))
}

/// All contacts, by name.
#[utoipa::path(get, path = "/api/v1/contacts", tag = "system", responses((status = 200, body = ContactList)))]
pub async fn contacts(State(app): State<Arc<App>>) -> Result<Json<ContactList>, ApiError> {
    let contacts = app.system.contacts.list().await?;
    Ok(Json(ContactList { contacts: contacts.into_iter().map(body).collect() }))
}

/// Adds a contact, or changes it.
#[utoipa::path(post, path = "/api/v1/contacts", tag = "system", request_body = NewContact,
    responses((status = 201, body = ContactBody, description = "Added."), (status = 200, body = ContactBody, description = "Changed."),
              (status = 400, description = "A value out of its bounds."), (status = 409, description = "As many contacts as may be.")))]
pub async fn add_contact(
    State(app): State<Arc<App>>,
    Body(new): Body<NewContact>,
) -> Result<(StatusCode, Json<ContactBody>), ApiError> {
    Ok(upserted(app.system.contacts.put(&new.node_id, &new.name, &new.notes).await?))
}

/// One contact.
#[utoipa::path(get, path = "/api/v1/contacts/{node_id}", tag = "system",
    params(("node_id" = String, Path, description = "The node's id, `12D3Koo…`.")),
    responses((status = 200, body = ContactBody), (status = 400, description = "No node id."), (status = 404, description = "No such contact.")))]
pub async fn contact(State(app): State<Arc<App>>, node_id: Given) -> Result<Json<ContactBody>, ApiError> {
    let Path(node_id) = node_id?;
    Ok(Json(body(app.system.contacts.get(&node_id).await?)))
}

/// Adds this contact, or changes it.
#[utoipa::path(put, path = "/api/v1/contacts/{node_id}", tag = "system", request_body = ContactUpdate,
    params(("node_id" = String, Path, description = "The node's id, `12D3Koo…`.")),
    responses((status = 201, body = ContactBody, description = "Added."), (status = 200, body = ContactBody, description = "Changed."),
              (status = 400, description = "A value out of its bounds."), (status = 409, description = "As many contacts as may be.")))]
pub async fn put_contact(
    State(app): State<Arc<App>>,
    node_id: Given,
    Body(update): Body<ContactUpdate>,
) -> Result<(StatusCode, Json<ContactBody>), ApiError> {
    let Path(node_id) = node_id?;
    if update.node_id.is_some_and(|other| other != node_id) {
        return Err(ApiError::new(Code::InvalidRequest, "`node_id` differs from the one in the path").with_field("node_id"));
    }
    Ok(upserted(app.system.contacts.put(&node_id, &update.name, &update.notes).await?))
}

/// Removes a contact.
#[utoipa::path(delete, path = "/api/v1/contacts/{node_id}", tag = "system",
    params(("node_id" = String, Path, description = "The node's id, `12D3Koo…`.")),
    responses((status = 204, description = "Removed."), (status = 400, description = "No node id."), (status = 404, description = "No such contact.")))]
pub async fn remove_contact(State(app): State<Arc<App>>, node_id: Given) -> Result<StatusCode, ApiError> {
    let Path(node_id) = node_id?;
    app.system.contacts.remove(&node_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
