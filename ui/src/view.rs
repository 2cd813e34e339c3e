//! What pages work out before they show it: pure functions of what the node said, with no browser in them.

pub mod find;
pub mod format;
pub mod highlight;
pub mod markdown;
pub mod plot;
pub mod settings;
pub mod words;
