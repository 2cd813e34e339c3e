//! The node's one SQLite file: rows, statements, migrations. The only crate that names sqlx.

mod error;
mod migrations;
mod store;
mod tables;

pub use error::StoreError;
pub use store::Store;
pub use tables::{
    adapters::AdapterRow,
    bearers::{Bearer, BearerKind},
    models::ModelRow,
    providers::ProviderRow,
    uploads::UploadRow,
    responses::{ResponseEnd, ResponseHead, ResponseRow},
};
