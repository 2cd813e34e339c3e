//! The text of documents that people attach to prompts: plain text in Unicode, and PDF. Bounded, and read page by page.

use lopdf::{Document, Error as PdfError, LoadOptions};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The largest document read, in bytes.
pub const MAX_BYTES: usize = 32 << 20;
/// The longest text given, in bytes: more than any model here reads at once.
pub const MAX_TEXT: usize = 1 << 20;
/// The most pages read.
pub const MAX_PAGES: usize = 1000;
/// The most memory that a process may hold to read a document, in bytes. Reading has no such bound of its own, and two bytes of a
/// PDF may become an object of hundreds: who starts the process holds it to that.
pub const MAX_MEMORY: u64 = 1 << 30;
/// The longest that a process may take to read a document; who starts it holds it to that.
pub const MAX_TIME: Duration = Duration::from_secs(20);
/// The most bytes that one compressed part of a document may grow to.
const MAX_INFLATED: usize = 16 << 20;
/// How long pages are read for; what was read until then is given. Leaves time for the last page within [`MAX_TIME`].
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum DocumentError {
    /// It has more bytes than are read.
    #[error("the document has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It opens with a password.
    #[error("the document is protected by a password")]
    Protected,
    /// It has pages and no text on them.
    #[error("the document holds no text: its pages may be pictures of text")]
    NoText,
    /// Neither text nor PDF.
    #[error("the document is neither text in UTF-8 or UTF-16 nor a PDF")]
    Unknown,
    /// A PDF that is damaged or uses what is not understood.
    #[error("the PDF cannot be read: {0}")]
    Broken(String),
    /// Reading it takes more memory than is given to that.
    #[error("the document takes more than {} MiB of memory to read", MAX_MEMORY >> 20)]
    Heavy,
    /// Reading it takes longer than is waited for.
    #[error("the document takes longer than {} seconds to read", MAX_TIME.as_secs())]
    Slow,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Its text; pages stand apart by an empty line.
    pub text: String,
    /// Its pages; absent where it has none.
    pub pages: Option<usize>,
    /// Whether it says more than was read.
    pub cut: bool,
}

/// Whether these are the bytes of a PDF.
pub fn is_pdf(bytes: &[u8]) -> bool {
    // Readers look for the mark within the first kilobyte: some programs write something before it.
    bytes.get(..bytes.len().min(1024)).is_some_and(|start| start.windows(5).any(|five| five == b"%PDF-"))
}

/// The text of a document. A PDF may be made to take any time and memory: a stranger's is read in a process that can be ended.
///
/// # Errors
/// [`DocumentError`]
pub fn text(bytes: &[u8]) -> Result<Text, DocumentError> {
    if bytes.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge { bytes: bytes.len() });
    }
    if is_pdf(bytes) {
        return pdf(bytes);
    }
    let plain = plain(bytes).ok_or(DocumentError::Unknown)?;
    if plain.trim().is_empty() {
        return Err(DocumentError::NoText);
    }
    let mut text = Text { text: plain, pages: None, cut: false };
    text.cut_to_bound();
    Ok(text)
}

impl Text {
    fn cut_to_bound(&mut self) {
        if self.text.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|end| self.text.is_char_boundary(*end)).unwrap_or(0);
            self.text.truncate(end);
            self.cut = true;
        }
    }
}

/// Unicode by its mark, or UTF-8. Zero bytes are in no text.
fn plain(bytes: &[u8]) -> Option<String> {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (units, []) = bytes.as_chunks::<2>() else { return None };
        String::from_utf16(&units.iter().map(|unit| read(*unit)).collect::<Vec<_>>()).ok()
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok()?.to_owned(),
        bytes => std::str::from_utf8(bytes).ok()?.to_owned(),
    };
    (!text.contains('\0')).then_some(text)
}

fn pdf(bytes: &[u8]) -> Result<Text, DocumentError> {
    let begun = Instant::now();
    let options = LoadOptions { max_decompressed_size: Some(MAX_INFLATED), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(broken)?;
    if document.is_encrypted() {
        return Err(DocumentError::Protected);
    }
    let pages = document.get_pages();
    let mut text = Text { text: String::new(), pages: Some(pages.len()), cut: pages.len() > MAX_PAGES };
    let mut fault = None;
    for number in pages.keys().take(MAX_PAGES) {
        if begun.elapsed() > PATIENCE || text.text.len() > MAX_TEXT {
            text.cut = true;
            break;
        }
        match document.extract_text_with_limit(&[*number], MAX_INFLATED) {
            Ok(page) => {
                let page = tidy(&page);
                if !page.is_empty() {
                    text.text.push_str(&page);
                    text.text.push_str("\n\n");
                }
            }
            // One page that is not understood does not spoil the others.
            Err(error) => fault = Some(broken(error)),
        }
    }
    text.text.truncate(text.text.trim_end().len());
    if text.text.is_empty() {
        return Err(fault.unwrap_or(DocumentError::NoText));
    }
    text.cut |= fault.is_some();
    text.cut_to_bound();
    Ok(text)
}

/// Lines without spaces at their ends, and no more than one empty line at a time.
fn tidy(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut empty = 0;
    for line in page.replace('\0', "").lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.trim().to_owned()
}

fn broken(error: PdfError) -> DocumentError {
    match error {
        PdfError::Decryption(_) | PdfError::InvalidPassword | PdfError::UnsupportedSecurityHandler(_) => DocumentError::Protected,
        PdfError::Decompress(error) => DocumentError::Broken(error.to_string()),
        error => DocumentError::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
