//! Images as engines get them: encoded files, their kind known by their first bytes, their number and size bounded.

use crate::EngineError;
use std::{fmt, sync::Arc};

/// The most images of one request.
pub const MAX_IMAGES: usize = 16;
/// The most bytes of one encoded image.
pub const MAX_IMAGE_BYTES: usize = 20 << 20;
/// The most pixels of one image once it is decoded.
pub const MAX_IMAGE_PIXELS: u64 = 50_000_000;

/// What an image file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP; of an animation the first picture counts.
    WebP,
    /// GIF; of an animation the first picture counts.
    Gif,
}

impl ImageKind {
    /// The kind of a file that begins with these bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }
}

/// An encoded image file of a known kind and at most [`MAX_IMAGE_BYTES`]. That it can be decoded is found out by the engine.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    bytes: Arc<[u8]>,
    kind: ImageKind,
}

impl Image {
    /// The file with these bytes. `place` is its number among the request's images, from 0, for the error: [`EngineError::Invalid`] of
    /// `images` if it is too large or of no known kind.
    pub fn new(place: usize, bytes: Vec<u8>) -> Result<Self, EngineError> {
        let refused = |what: String| EngineError::Invalid { field: "images", message: format!("image {} {what}", place + 1) };
        if bytes.len() > MAX_IMAGE_BYTES {
            return Err(refused(format!("has {} bytes; at most {MAX_IMAGE_BYTES} are taken", bytes.len())));
        }
        let kind = ImageKind::of(&bytes).ok_or_else(|| refused("is no PNG, JPEG, WebP or GIF file".to_owned()))?;
        Ok(Self { bytes: bytes.into(), kind })
    }

    /// The images of a request; at most [`MAX_IMAGES`].
    pub fn all(files: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<Self>, EngineError> {
        let mut images = Vec::new();
        for (place, bytes) in files.into_iter().enumerate() {
            if place == MAX_IMAGES {
                let message = format!("there are more than {MAX_IMAGES} images");
                return Err(EngineError::Invalid { field: "images", message });
            }
            images.push(Self::new(place, bytes)?);
        }
        Ok(images)
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it is.
    pub fn kind(&self) -> ImageKind {
        self.kind
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("kind", &self.kind).field("bytes", &self.bytes.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = b"GIF89a....";

    fn refusal(result: Result<impl fmt::Debug, EngineError>) -> String {
        match result {
            Err(EngineError::Invalid { field: "images", message }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_bytes_tell_the_kind_and_other_files_are_refused() {
        for (kind, bytes) in [
            (ImageKind::Png, b"\x89PNG\r\n\x1a\n.".as_slice()),
            (ImageKind::Jpeg, b"\xff\xd8\xff\xe0"),
            (ImageKind::WebP, b"RIFF....WEBPVP8 "),
            (ImageKind::Gif, GIF),
        ] {
            assert_eq!(Image::new(0, bytes.to_vec()).unwrap().kind(), kind);
        }
        for bytes in [b"".as_slice(), b"BM....", b"RIFF....WAVE", b"<svg/>"] {
            assert_eq!(refusal(Image::new(1, bytes.to_vec())), "image 2 is no PNG, JPEG, WebP or GIF file");
        }
    }

    #[test]
    fn size_and_number_are_bounded() {
        let mut large = GIF.to_vec();
        large.resize(MAX_IMAGE_BYTES, 0);
        assert!(Image::new(0, large.clone()).is_ok());
        large.push(0);
        assert_eq!(refusal(Image::new(0, large)), "image 1 has 20971521 bytes; at most 20971520 are taken");
        assert_eq!(Image::all(vec![GIF.to_vec(); MAX_IMAGES]).unwrap().len(), MAX_IMAGES);
        assert_eq!(refusal(Image::all(vec![GIF.to_vec(); MAX_IMAGES + 1])), "there are more than 16 images");
    }
}
