//! Scripted sight: what the script reads where an image stands.

use crate::{EngineError, Image, ImageKind, ImageMark};

/// The architecture of models that see.
pub(super) const SEEING: &str = "idefics3";

/// What stands where an image is.
pub(super) fn mark() -> ImageMark {
    ImageMark { text: "<image>".to_owned(), reserved: vec!["<image>".to_owned()] }
}

/// The text with the kind and size of each image in its place.
pub(super) fn read(mark: Option<&ImageMark>, text: &str, images: &[Image]) -> Result<String, EngineError> {
    let Some(mark) = mark else {
        return match images {
            [] => Ok(text.to_owned()),
            _ => Err(EngineError::Unsupported("the model does not see images".into())),
        };
    };
    let mut pieces = text.split(mark.text.as_str());
    let mut read = pieces.next().unwrap_or_default().to_owned();
    let rest: Vec<&str> = pieces.collect();
    if rest.len() != images.len() {
        let message = format!("the text has places for {} images, and there are {}", rest.len(), images.len());
        return Err(EngineError::Invalid { field: "images", message });
    }
    for (image, piece) in images.iter().zip(rest) {
        let kind = match image.kind() {
            ImageKind::Png => "png",
            ImageKind::Jpeg => "jpeg",
            ImageKind::WebP => "webp",
            ImageKind::Gif => "gif",
        };
        read.push_str(&format!("[{kind} of {} bytes]{piece}", image.bytes().len()));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_is_told_in_its_place() {
        let image = |bytes: &[u8]| Image::new(0, bytes.to_vec()).unwrap();
        let images = [image(b"GIF89a"), image(b"\xff\xd8\xff\xe0")];
        assert_eq!(read(Some(&mark()), "a<image>b<image>", &images).unwrap(), "a[gif of 6 bytes]b[jpeg of 4 bytes]");
        assert!(matches!(read(Some(&mark()), "a<image>", &images), Err(EngineError::Invalid { field: "images", .. })));
        assert!(matches!(read(None, "a", &images), Err(EngineError::Unsupported(_))));
        assert_eq!(read(None, "a<image>", &[]).unwrap(), "a<image>");
    }
}
