//! Whole-system tests in one binary, so that the engine is linked once.

mod access;
mod adapters;
mod cli;
mod clients;
mod crash;
mod crash_create;
mod create;
mod dialects;
mod embeddings;
mod house;
mod load;
mod messages;
mod observe;
mod providers;
mod responses;
mod routes;
mod shapes;
mod sources;

mod config;
mod conversations;
mod crash_pull;
mod edgecoder;
mod neuroshard;
mod quiet_hours;
mod safetensors;
mod sockets;
mod updates;

mod pairing;
mod vision;
mod window;

#[cfg(target_os = "linux")]
mod browser;
#[cfg(target_os = "linux")]
mod desktop;
mod documents;
mod mesh;
mod mesh_models;
mod mesh_standing;
#[cfg(target_os = "linux")]
mod package;
#[cfg(target_os = "linux")]
mod phone;

#[cfg(target_os = "linux")]
mod netns;
