//! The inference port on mistral.rs: GGUF text models, and folders of safetensors of models that see ([`sight`]). Beside it an engine of
//! our own for encoders, which mistral.rs does not read ([`EncoderEngine`]).
//!
//! mistral.rs reads the weights and runs the layers. Everything around a token is done here, because mistral.rs shares it between
//! requests or gets it wrong (0.8.1):
//! - Tokens are chosen in [`kith_decoding::sampling`] with a random sequence of each request's own; mistral.rs has one generator per engine.
//! - Grammars are applied before a token is drawn; mistral.rs draws first and draws again if the token is forbidden, which gives
//!   another distribution as soon as a filter is on.
//! - Text is cut into tokens with the pre-tokenizer the file names; mistral.rs uses one for all.
//! - On the CPU answers are written in turns, one at a time ([`turns`]). mistral.rs cannot batch answers of different lengths there:
//!   it writes them alternately, and when one ends it reads all the others from the start again.
//! - The prefix cache is mistral.rs's own, with a mirror beside it ([`prefix`]) that knows what it holds: on the CPU it never lets
//!   go of anything, and it believes to hold the last token of an answer, which was never computed.
//!
//! **Determinism.** On the CPU a request runs alone at every instant and its kernels add in a fixed order, so its tokens do not
//! depend on the company it has or on how often it gave way. What was read as a prompt is the same to the last bit however it
//! was cut, but a token that was written has slightly other keys and values than the same token read later. So an
//! answer may differ, where two tokens are about equally likely, with whether the earlier answers in its prompt still lie in the prefix
//! cache. On a GPU answers are batched and the kernels choose other orders for other batch sizes.
//!
//! **Known limits of mistral.rs.** `rope_freqs` and RoPE scaling of a GGUF file are ignored, so Llama 3.1 and later lose quality far
//! into long contexts. Reading a prompt cannot be interrupted: a dropped stream is noticed at the next token. Each load leaves a
//! sleeping thread behind (its throughput logger has no end).

mod answer;
mod bert;
mod choose;
mod engine;
mod executor;
mod folder;
mod header;
mod heap;
mod model;
mod prefix;
mod pretokenizer;
mod sight;
mod turns;
mod vocabulary;

pub use bert::EncoderEngine;
pub use engine::{MistralEngine, SUPPORTED_ARCHITECTURES, supported_folders};
pub use executor::has_accelerator;
