//! The inference port on mistral.rs: GGUF text models.
//!
//! mistral.rs reads the weights and runs the layers. Everything around a token is done here, because mistral.rs shares it between
//! requests or gets it wrong (0.8.1):
//! - Tokens are chosen in [`sampling`] with a random sequence of each request's own; mistral.rs has one generator per engine.
//! - Grammars are applied before a token is drawn; mistral.rs draws first and draws again if the token is forbidden, which gives
//!   another distribution as soon as a filter is on.
//! - Text is cut into tokens with the pre-tokenizer the file names; mistral.rs uses one for all.
//! - On the CPU answers are written in turns, one at a time ([`turns`]). mistral.rs cannot batch answers of different lengths there:
//!   it writes them alternately, and when one ends it reads all the others from the start again.
//! - The prefix cache is mistral.rs's own, with a mirror beside it ([`prefix`]) that knows what it holds: on the CPU it never lets
//!   go of anything, and it believes to hold the last token of an answer, which was never computed.
//!
//! **Determinism.** On the CPU a request runs alone at every instant, so its tokens do not depend on the company it has. They may
//! depend on the prefix cache: the kernels add a chunk of tokens in another order than tokens one by one, and the last bits of a logit
//! can differ. That changes a token only where two are as good as equally likely. On a GPU answers are batched and the
//! kernels choose other orders for other batch sizes.
//!
//! **Known limits of mistral.rs.** `rope_freqs` and RoPE scaling of a GGUF file are ignored, so Llama 3.1 and later lose quality far
//! into long contexts. Reading a prompt cannot be interrupted: a dropped stream is noticed at the next token.

mod answer;
mod choose;
mod engine;
mod executor;
mod grammar;
mod header;
mod heap;
mod model;
mod prefix;
mod pretokenizer;
mod random;
mod sampling;
mod turns;
mod utf8;
mod vocabulary;

pub use engine::{MistralEngine, SUPPORTED_ARCHITECTURES};
