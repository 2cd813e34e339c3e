//! Finds tool calls in an answer while it streams.

use super::{
    call::{Written, new_id},
    offered,
    region::{Kind, Region, Verdict},
};
use crate::{Tool, ToolCall, ToolChoice};

#[cfg(test)]
mod tests;

/// The most bytes of whitespace held back before or after a call; a longer run is text.
const MAX_SPACE: usize = 1024;

/// What one piece of text brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Parsed {
    /// Text that belongs to no call.
    pub(crate) text: String,
    /// Whole calls.
    pub(crate) calls: Vec<ToolCall>,
}

/// Fills its argument with random bytes.
pub(crate) type Random = dyn FnMut(&mut [u8]) + Send;

/// Separates tool calls from text.
///
/// Understood are `<tool_call>{…}</tool_call>` (Hermes, Qwen), `[TOOL_CALLS] […]` (Mistral), `<|python_tag|>{…}` (Llama 3.1) and
/// `<function=NAME>{…}</function>` anywhere; and an answer that is nothing but JSON calls, bare or in one ```` ```json ```` block.
/// Only calls of the offered tools count. Whatever turns out not to be a call is given out as the text it is. How the stream is cut
/// into pieces never changes the outcome.
///
/// At most 256 KiB are held back; a longer stretch is text.
pub(crate) struct ToolParser {
    reader: Reader,
    random: Box<Random>,
}

impl ToolParser {
    /// A parser for calls of those `tools` that `choice` leaves; `random` draws the calls' ids.
    pub(crate) fn new(tools: &[Tool], choice: &ToolChoice, random: Box<Random>) -> Self {
        let names = offered(tools, choice).map(|tool| tool.name.clone()).collect();
        Self { reader: Reader::new(names), random }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &str) -> Parsed {
        let segments = self.reader.push(piece);
        self.named(segments)
    }

    /// Gives out what is still held back, once the answer has ended.
    pub(crate) fn finish(&mut self) -> Parsed {
        let segments = self.reader.finish();
        self.named(segments)
    }

    /// Gives each call its id.
    fn named(&mut self, segments: Vec<Segment>) -> Parsed {
        let mut parsed = Parsed::default();
        for segment in segments {
            match segment {
                Segment::Text(text) => parsed.text.push_str(&text),
                Segment::Syntax { calls, .. } => {
                    parsed.calls.extend(calls.into_iter().map(|Written { name, arguments }| ToolCall {
                        id: new_id(&mut *self.random),
                        name,
                        arguments,
                    }));
                }
            }
        }
        parsed
    }
}

impl std::fmt::Debug for ToolParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolParser").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// A part of the answer. The texts and syntaxes, joined, are the answer.
#[derive(Debug, Clone, PartialEq)]
enum Segment {
    Text(String),
    /// The syntax of calls, or whitespace around them.
    Syntax {
        calls: Vec<Written>,
        /// Only tests ask what was consumed.
        #[cfg(test)]
        source: String,
    },
}

#[derive(Debug)]
struct Reader {
    names: Vec<String>,
    /// Text not yet decided; before `from` it is.
    held: String,
    from: usize,
    place: Place,
    region: Option<Region>,
    out: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but whitespace so far.
    Start,
    /// In text.
    Text,
    /// After a call, with nothing but whitespace since.
    AfterCall,
}

/// What begins at some place of the text.
enum Beginning {
    /// The opening of a call, with its length.
    Opening(Kind, usize),
    /// Perhaps an opening, when more of it is there.
    Partial,
    /// Neither.
    Neither,
}

impl Reader {
    fn new(names: Vec<String>) -> Self {
        Self { names, held: String::new(), from: 0, place: Place::Start, region: None, out: Vec::new() }
    }

    fn push(&mut self, piece: &str) -> Vec<Segment> {
        self.held.push_str(piece);
        self.advance(false)
    }

    fn finish(&mut self) -> Vec<Segment> {
        self.advance(true)
    }

    fn advance(&mut self, end: bool) -> Vec<Segment> {
        while self.step(end) {}
        self.held.drain(..self.from);
        self.from = 0;
        std::mem::take(&mut self.out)
    }

    /// Decides one thing; false if nothing more can be decided.
    fn step(&mut self, end: bool) -> bool {
        if self.names.is_empty() {
            self.place = Place::Text;
            self.text(self.held.len() - self.from);
            return false;
        }
        let rest = &self.held[self.from..];
        if let Some(region) = &mut self.region {
            match region.advance(rest, &self.names, end) {
                Verdict::More => return false,
                Verdict::Calls { length, calls } => {
                    self.syntax(length, calls);
                    self.place = Place::AfterCall;
                }
                Verdict::Text { length } => {
                    self.text(length);
                    self.place = Place::Text;
                }
            }
            self.region = None;
            return true;
        }
        if rest.is_empty() {
            false
        } else if self.place == Place::Text {
            self.step_text(end)
        } else {
            self.step_edge(end)
        }
    }

    /// At the start or after a call: whitespace belongs to the call that follows, if one does.
    fn step_edge(&mut self, end: bool) -> bool {
        let rest = &self.held[self.from..];
        let after = rest.trim_start();
        let space = rest.len() - after.len();
        if space > MAX_SPACE {
            self.place = Place::Text;
            return true;
        }
        if after.is_empty() {
            if end && self.place == Place::AfterCall {
                self.syntax(space, Vec::new());
            } else if end {
                self.text(space);
            }
            return false;
        }
        let mut beginning = beginning(after, end);
        if matches!(beginning, Beginning::Neither) && self.place == Place::Start {
            beginning = beginning_of_json(after, end);
        }
        match beginning {
            Beginning::Opening(kind, length) => self.region = Some(Region::new(kind, space + length)),
            Beginning::Partial => return false,
            Beginning::Neither => self.place = Place::Text,
        }
        true
    }

    /// In text: everything up to the next opening is text.
    fn step_text(&mut self, end: bool) -> bool {
        let rest = &self.held[self.from..];
        let found = rest.match_indices(['<', '[']).find_map(|(at, _)| match beginning(&rest[at..], end) {
            Beginning::Opening(kind, length) => Some((at, Some(Region::new(kind, length)))),
            Beginning::Partial => Some((at, None)),
            Beginning::Neither => None,
        });
        let (length, region) = found.unwrap_or((rest.len(), None));
        self.text(length);
        self.region = region;
        self.region.is_some()
    }

    fn text(&mut self, length: usize) {
        let text = &self.held[self.from..self.from + length];
        match self.out.last_mut() {
            _ if text.is_empty() => {}
            Some(Segment::Text(last)) => last.push_str(text),
            _ => self.out.push(Segment::Text(text.to_owned())),
        }
        self.from += length;
    }

    fn syntax(&mut self, length: usize, calls: Vec<Written>) {
        self.out.push(Segment::Syntax {
            calls,
            #[cfg(test)]
            source: self.held[self.from..self.from + length].to_owned(),
        });
        self.from += length;
    }
}

/// Whether `text` begins with one of the markers.
fn beginning(text: &str, end: bool) -> Beginning {
    if let Some(&(marker, kind)) = Kind::MARKED.iter().find(|(marker, _)| text.starts_with(marker)) {
        return Beginning::Opening(kind, marker.len());
    }
    let partial = !end && Kind::MARKED.iter().any(|(marker, _)| marker.starts_with(text));
    if partial { Beginning::Partial } else { Beginning::Neither }
}

/// Whether `text` begins like JSON, bare or fenced.
fn beginning_of_json(text: &str, end: bool) -> Beginning {
    if text.starts_with(['{', '[']) {
        Beginning::Opening(Kind::Bare, 0)
    } else if text.starts_with(Kind::FENCE) {
        Beginning::Opening(Kind::Fenced, Kind::FENCE.len())
    } else if !end && Kind::FENCE.starts_with(text) {
        Beginning::Partial
    } else {
        Beginning::Neither
    }
}
