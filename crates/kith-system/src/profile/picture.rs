//! Pictures: small, and of a kind that every browser shows and none runs.

use crate::SystemError;

/// The largest picture, in bytes: what is larger does not belong into the database.
pub const MAX_AVATAR: usize = 64 << 10;

/// A PNG, JPEG or WebP picture of at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    media_type: &'static str,
    bytes: Vec<u8>,
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16) == Some(b"IHDR") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

impl Picture {
    /// Takes bytes that begin as one of these kinds does.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for anything else, and over the bound.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SystemError> {
        if bytes.len() > MAX_AVATAR {
            return Err(SystemError::invalid("avatar", format!("must have at most {MAX_AVATAR} bytes; it has {}", bytes.len())));
        }
        let media_type =
            media_type(&bytes).ok_or_else(|| SystemError::invalid("avatar", "must be a PNG, JPEG or WebP picture"))?;
        Ok(Self { media_type, bytes })
    }

    /// `image/png`, `image/jpeg` or `image/webp`.
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_told_by_its_first_bytes() {
        for (bytes, kind) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDRxxxx".as_slice(), Some("image/png")),
            (b"\xff\xd8\xff\xe0xxxxxxxx", Some("image/jpeg")),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (b"GIF89a", None),
            (b"<svg xmlns=\"\">", None),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"", None),
        ] {
            assert_eq!(Picture::new(bytes.to_vec()).ok().map(|picture| picture.media_type()), kind);
        }
        let mut large = b"\xff\xd8\xff".to_vec();
        large.resize(MAX_AVATAR, 0);
        assert!(Picture::new(large.clone()).is_ok());
        large.push(0);
        assert!(Picture::new(large).is_err());
    }
}
