//! The tokens of a model: their bytes, what kind they are, and which of them end an answer. How text is cut into them is the engine's business.

mod letters;
mod names;

pub use letters::byte_letters;

use kith_engine::EngineError;
use names::Names;

/// What SentencePiece writes for a space.
pub const SPACE_MARK: &str = "\u{2581}";

/// Tokens that end a turn in the templates in use, whatever the file says of them. They count only where they are control tokens.
const TURN_ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<|EOT|>",
    "<EOT>",
    "</s>",
];

/// What a token is (`tokenizer.ggml.token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Normal,
    /// Text that is never cut: shown, but read only whole.
    UserDefined,
    /// Steers the model; not shown.
    Control,
    /// One byte.
    Byte,
    /// Never written by the model on purpose.
    Unused,
}

impl Kind {
    /// By GGUF's number: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. One without a number is text.
    pub fn numbered(number: Option<i64>) -> Self {
        match number {
            Some(2 | 3) => Self::Control,
            Some(4) => Self::UserDefined,
            Some(5) => Self::Unused,
            Some(6) => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// How a vocabulary spells the bytes of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// With a letter for every byte ([`byte_letters`]).
    Letters,
    /// As text, with [`SPACE_MARK`] for a space.
    Marked,
}

/// The tokens of one model, numbered from 0 without a gap.
#[derive(Debug, Clone)]
pub struct Tokens {
    bytes: Names,
    kinds: Vec<Kind>,
    ends: Vec<u32>,
}

impl Tokens {
    /// From the tokens as the vocabulary spells them, in their order, and the ids of those that end an answer. Ids beyond the last token are left
    /// out, and control tokens with a name known to end turns are added.
    pub fn new(tokens: &[impl AsRef<str>], kinds: Vec<Kind>, spelling: Spelling, ends: impl IntoIterator<Item = u32>) -> Self {
        let letters = letter_bytes();
        let mut bytes = Names::with_room(tokens.len());
        for (token, kind) in tokens.iter().zip(&kinds) {
            bytes.push(|bytes| write_bytes(token.as_ref(), *kind, spelling, &letters, bytes));
        }
        let turn_ends = (0u32..)
            .zip(tokens.iter().zip(&kinds))
            .filter_map(|(id, (token, kind))| (*kind == Kind::Control && TURN_ENDS.contains(&token.as_ref())).then_some(id));
        let turn_ends: Vec<u32> = turn_ends.collect();
        let mut all = Self { bytes, kinds, ends: Vec::new() };
        all.add_ends(ends.into_iter().chain(turn_ends));
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a token; none for ids beyond the last. For a control token, the bytes of its name.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize)
    }

    /// The bytes of all tokens, in order.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.iter()
    }

    /// The bytes of a token as an answer shows them: none for control tokens.
    pub fn shown(&self, id: u32) -> &[u8] {
        match self.kind(id) {
            Some(Kind::Normal | Kind::UserDefined | Kind::Byte) => self.bytes(id),
            _ => &[],
        }
    }

    /// What a token is; nothing for ids beyond the last.
    pub fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }

    /// The tokens that end an answer, ascending.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Adds tokens that end an answer; ids beyond the last are left out.
    pub fn add_ends(&mut self, ids: impl IntoIterator<Item = u32>) {
        let count = self.len();
        self.ends.extend(ids.into_iter().filter(|id| (*id as usize) < count));
        self.ends.sort_unstable();
        self.ends.dedup();
    }

    /// The text of `ids`, special tokens by their names. `space_prefix`: whether the tokenizer puts a space before every text, which is no
    /// part of it.
    pub fn text(&self, ids: &[u32], space_prefix: bool) -> String {
        let mut bytes: Vec<u8> = ids.iter().flat_map(|id| self.bytes(*id)).copied().collect();
        if space_prefix && bytes.first() == Some(&b' ') {
            bytes.remove(0);
        }
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Refuses ids that are none of these tokens, as [`EngineError::Invalid`] in `input`.
    pub fn must_know(&self, ids: &[u32]) -> Result<(), EngineError> {
        match ids.iter().find(|id| **id as usize >= self.len()) {
            None => Ok(()),
            Some(id) => {
                let message = format!("token {id} is none of the model's {} tokens", self.len());
                Err(EngineError::Invalid { field: "input", message })
            }
        }
    }
}

/// Adds the bytes that a token stands for.
fn write_bytes(token: &str, kind: Kind, spelling: Spelling, letters: &[Option<u8>], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    match (kind, spelling) {
        (Kind::Control | Kind::UserDefined, _) => bytes.extend_from_slice(token.as_bytes()),
        (Kind::Byte, _) => match named_byte(token) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(token.as_bytes()),
        },
        (_, Spelling::Marked) => bytes.extend_from_slice(token.replace(SPACE_MARK, " ").as_bytes()),
        (_, Spelling::Letters) => {
            for letter in token.chars() {
                let Some(byte) = letters.get(letter as usize).copied().flatten() else {
                    // A token that is not spelt in the alphabet stands for itself.
                    bytes.truncate(start);
                    return bytes.extend_from_slice(token.as_bytes());
                };
                bytes.push(byte);
            }
        }
    }
}

/// The byte that each letter of GPT-2's alphabet stands for, by the letter's number.
fn letter_bytes() -> Vec<Option<u8>> {
    let mut bytes = vec![None; 0x200];
    for (letter, byte) in byte_letters().into_iter().zip(0..=255u8) {
        if let Some(place) = bytes.get_mut(letter as usize) {
            *place = Some(byte);
        }
    }
    bytes
}

/// The byte that a token like `<0x0A>` stands for.
pub fn named_byte(token: &str) -> Option<u8> {
    u8::from_str_radix(token.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

#[cfg(test)]
mod tests;
