//! The window's pages, as `cargo xtask pages` built them, inside the binary. Knows nothing of HTTP but the names of content types.

use std::io::Read;

/// Name and brotli-compressed bytes of every file, by name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// One file of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its content type.
    pub content_type: &'static str,
    /// Its bytes, compressed with brotli.
    pub brotli: &'static [u8],
    /// Whether its name changes with its content, so that it may be kept for ever.
    pub immutable: bool,
}

/// The file of this name (`index.html`, `assets/style-….css`).
pub fn page(name: &str) -> Option<Page> {
    let at = FILES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    let (name, brotli) = FILES.get(at)?;
    Some(Page { content_type: content_type(name), brotli, immutable: name.starts_with("assets/") })
}

/// The names of all files.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

impl Page {
    /// Its bytes as they are, for clients that do not read brotli.
    pub fn plain(&self) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        brotli_decompressor::Decompressor::new(self.brotli, 4096).read_to_end(&mut plain)?;
        Ok(plain)
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_name_and_opens() {
        for name in names() {
            let page = page(name).unwrap();
            assert!(!page.plain().unwrap().is_empty(), "{name}");
            assert_ne!(page.content_type, "application/octet-stream", "{name}");
        }
        assert_eq!(page("no/such/file"), None);
    }

    #[test]
    fn content_types_follow_the_ending() {
        assert_eq!(content_type("assets/a-1.wasm"), "application/wasm");
        assert_eq!(content_type("index.html"), "text/html; charset=utf-8");
        assert_eq!(content_type("LICENSE"), "application/octet-stream");
    }
}
