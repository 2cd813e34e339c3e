//! From logits to an answer: what every engine that has logits does around a token the same way.
//!
//! - [`Tokens`] are a model's tokens: their bytes, their kinds, and which of them end an answer. How text is cut into them is the engine's.
//! - [`sampling`] chooses the next token, with a [`random`] sequence of each request's own; [`Grammars`] say which may come.
//! - [`Answer`] is an answer while it is written, up to the reader's end of the channel; [`utf8`] joins its bytes to whole characters.
//!
//! Nothing here knows weights, layers or caches.

mod answer;
mod grammar;
pub mod random;
mod reader;
pub mod sampling;
mod tokens;
pub mod utf8;

pub use answer::{Answer, Beginning, Follows, StepSender};
pub use grammar::{Grammar, Grammars};
pub use reader::{StepReader, nothing, room, until_the_end};
pub use tokens::{Kind, SPACE_MARK, Spelling, Tokens, byte_letters, named_byte};
