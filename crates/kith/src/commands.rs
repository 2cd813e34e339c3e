//! The commands, one module each.

pub mod create;
pub mod import;
pub mod models;
pub mod node;
pub mod open;
pub mod run;
pub mod show;
pub mod token;
pub mod transfer;

pub mod invite;
pub mod join;
pub mod network_invite;
pub mod networks;
pub mod peers;
