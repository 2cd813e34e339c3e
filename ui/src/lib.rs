//! What the window works out before it shows it: pure functions of what the node said, with no browser in them.

pub mod view;
