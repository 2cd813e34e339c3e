//! How text is cut before byte pairs are merged: one set of patterns per `tokenizer.ggml.pre`.
//!
//! The patterns are those of llama.cpp (`src/llama-vocab.cpp`), which names them in the files it writes.

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";

/// One pre-tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pretokenizer {
    /// Cut by each in turn; every match and every gap becomes a piece.
    pub(crate) patterns: &'static [&'static str],
    /// A piece that is a token as it stands is not merged from its letters.
    pub(crate) whole_words: bool,
    /// BOS is added unless the file says otherwise.
    pub(crate) adds_bos: bool,
}

impl Pretokenizer {
    /// The pre-tokenizer of this name; `None` for one not known here.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let cut = |patterns| Self { patterns, whole_words: false, adds_bos: false };
        Some(match name {
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "pixtral" => {
                Self { patterns: &[LLAMA3], whole_words: true, adds_bos: true }
            }
            "dbrx" | "smaug-bpe" | "chameleon" => cut(&[LLAMA3]),
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" => cut(&[QWEN2]),
            "tekken" => Self { patterns: &[TEKKEN], whole_words: true, adds_bos: true },
            "gpt-4o" | "llama4" => cut(&[GPT4O]),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => cut(&[DIGIT, GPT2]),
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "jina-es" | "jina-de" | "jina-v2-code" => cut(&[GPT2]),
            "deepseek-coder" => cut(&[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
            _ => return None,
        })
    }

    /// What is used for files that name none, or one not known here.
    pub(crate) const FALLBACK: Self = Self { patterns: &[LLAMA3], whole_words: false, adds_bos: false };
}
