//! What pages work out before they show it: pure functions of what the node said, with no browser in them.

pub mod activity;
pub mod body;
pub mod devices;
pub mod find;
pub mod fit;
pub mod format;
pub mod fragment;
pub mod highlight;
pub mod markdown;
pub mod models;
pub mod network;
pub mod pace;
pub mod plot;
pub mod settings;
pub mod thread;
pub mod welcome;
pub mod words;
