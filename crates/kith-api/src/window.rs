//! The window's files as a port: handlers know that there may be a window, and not how it was built.

use axum::body::Bytes;

/// One file of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFile {
    /// Its content type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
    /// Whether they are compressed with brotli.
    pub brotli: bool,
    /// Whether its name changes with its content, so that it may be kept for ever.
    pub immutable: bool,
}

/// Where the window's files come from.
pub trait Window: Send + Sync + 'static {
    /// The file of this name (`index.html`, `assets/style-….css`), compressed if `brotli` is read. `None` if there is none.
    fn file(&self, name: &str, brotli: bool) -> Option<WindowFile>;
}
