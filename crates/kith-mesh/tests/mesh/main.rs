//! Several meshes in one process, over loopback: what members get, and what strangers and wrongdoers do not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what went wrong by panicking")]

mod bounds;
mod entering;
mod gossip;
mod net;
mod paths;
mod protocols;
mod stopping;
