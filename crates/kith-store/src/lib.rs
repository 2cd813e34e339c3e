//! The node's one SQLite file: rows, statements, migrations. The only crate that names sqlx.

mod error;
mod migrations;
mod store;
mod tables;

pub use error::StoreError;
pub use store::Store;
pub use tables::{
    bearers::{Bearer, BearerKind},
    models::ModelRow,
    responses::{ResponseEnd, ResponseHead, ResponseRow},
};
