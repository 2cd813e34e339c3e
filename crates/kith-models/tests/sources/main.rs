//! Hubs, registries and the download queue against a server on this machine that imitates them, well and badly.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code outside of test functions")]

mod hub;
#[allow(dead_code, reason = "whole-system tests use the rest")]
mod imitation;
mod names;
mod neighbours;
mod queue;
mod registry;
mod shelf;
mod trouble;
