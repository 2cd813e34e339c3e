//! The engine with a real model: SmolLM2-135M-Instruct from `KITH_TEST_MODEL` or the model cache. Without one the tests say so and
//! pass; with `CI` set they fail.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code outside of test functions")]

mod answers;
mod company;
mod constraints;
mod prompts;
mod support;
