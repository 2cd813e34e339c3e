//! Models that see: folders with made-up weights, through the engine and through the running node.

mod engine;
mod node;
