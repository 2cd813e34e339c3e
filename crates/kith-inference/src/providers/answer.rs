//! The run of one answer: events become pieces until the end, which is told exactly once. Dropping the stream ends the request.

use super::{
    PROVIDER_ANSWER_BYTES,
    http::Opened,
    sse::{Event, Splitter},
};
use crate::{FinishReason, Piece, ProviderFault, ToolCall};
use kith_engine::Usage;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most calls of one answer.
const MAX_CALLS: usize = 128;
/// The most bytes of a call's id or name.
const MAX_WORD: usize = 256;

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub reason: FinishReason,
    pub usage: Usage,
}

/// What becomes of an answer's events.
pub(super) trait Decoder: Send {
    /// Takes one event.
    fn event(&mut self, event: &Event) -> Result<Vec<Piece>, ProviderFault>;

    /// Whether the provider has said that nothing follows.
    fn is_done(&self) -> bool;

    /// The last pieces and the end; a fault if the answer is not whole.
    fn close(self: Box<Self>) -> Result<(Vec<Piece>, Ending), ProviderFault>;
}

/// One step of an answer on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Piece(Piece),
    End(Ending),
}

/// The steps of an opened answer: pieces, then one end or one fault.
pub(super) fn run(
    opened: Opened,
    mut decoder: Box<dyn Decoder>,
) -> impl futures::Stream<Item = Result<Step, ProviderFault>> + Send {
    async_stream::stream! {
        // The permit is held as long as the answer runs.
        let Opened { mut body, permit } = opened;
        let mut splitter = Splitter::default();
        let mut taken = 0usize;
        while !decoder.is_done() {
            let bytes = match body.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(fault) => {
                    yield Err(fault);
                    return;
                }
            };
            taken = taken.saturating_add(bytes.len());
            if taken > PROVIDER_ANSWER_BYTES {
                yield Err(broken("is too long"));
                return;
            }
            let events = match splitter.push(&bytes) {
                Ok(events) => events,
                Err(_) => {
                    yield Err(broken("has an event that is too long"));
                    return;
                }
            };
            for event in events {
                match decoder.event(&event) {
                    Ok(pieces) => {
                        for piece in pieces {
                            yield Ok(Step::Piece(piece));
                        }
                    }
                    Err(fault) => {
                        yield Err(fault);
                        return;
                    }
                }
            }
        }
        drop(body);
        drop(permit);
        match decoder.close() {
            Ok((pieces, ending)) => {
                for piece in pieces {
                    yield Ok(Step::Piece(piece));
                }
                yield Ok(Step::End(ending));
            }
            Err(fault) => yield Err(fault),
        }
    }
}

pub(super) fn broken(why: &str) -> ProviderFault {
    ProviderFault::Broken(why.to_owned())
}

pub(super) fn count(tokens: Option<u64>) -> u32 {
    u32::try_from(tokens.unwrap_or_default()).unwrap_or(u32::MAX)
}

#[derive(Debug, Default)]
struct Growing {
    id: String,
    name: String,
    arguments: String,
}

/// Tool calls, whose arguments come in parts.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<u64, Growing>);

impl Calls {
    /// The place of a part that has none: a new id opens the next place, without an id the last one goes on.
    pub fn place_of(&self, id: Option<&str>) -> u64 {
        let next = self.0.keys().next_back().map_or(0, |last| last + 1);
        match id.filter(|id| !id.is_empty()) {
            Some(id) => self.0.iter().find(|(_, call)| call.id == id).map_or(next, |(place, _)| *place),
            None => next.saturating_sub(1),
        }
    }

    /// Adds a part at `place`.
    pub fn add(&mut self, place: u64, id: Option<String>, name: Option<String>, arguments: &str) -> Result<(), ProviderFault> {
        if !self.0.contains_key(&place) && self.0.len() >= MAX_CALLS {
            return Err(broken("has too many tool calls"));
        }
        let call = self.0.entry(place).or_default();
        for (slot, word) in [(&mut call.id, id), (&mut call.name, name)] {
            match word {
                Some(word) if word.len() > MAX_WORD => return Err(broken("has a tool call with an endless name")),
                // Some repeat id and name with every part.
                Some(word) if slot.is_empty() => *slot = word,
                _ => {}
            }
        }
        call.arguments.push_str(arguments);
        Ok(())
    }

    /// The calls, whole. A last one that the limit of tokens `cut` off is no call.
    pub fn finish(self, cut: bool) -> Result<Vec<ToolCall>, ProviderFault> {
        let mut calls = Vec::with_capacity(self.0.len());
        for (place, call) in self.0 {
            let arguments = if call.arguments.trim().is_empty() {
                // Before a cut, nothing tells a call without arguments from one whose arguments never came.
                (!cut).then(|| Value::Object(Map::new()))
            } else {
                serde_json::from_str(&call.arguments).ok().filter(Value::is_object)
            };
            match arguments {
                Some(arguments) if !call.name.is_empty() => {
                    let id = if call.id.is_empty() { format!("call_{place}") } else { call.id };
                    calls.push(ToolCall { id, name: call.name, arguments });
                }
                _ if cut => break,
                _ => return Err(broken("has a tool call that is none: its arguments are no JSON object")),
            }
        }
        Ok(calls)
    }
}
