//! Whole-system tests in one binary, so that the engine is linked once.

mod access;
mod cli;
mod clients;
mod crash;
mod dialects;
mod house;
mod load;
mod observe;
mod routes;
