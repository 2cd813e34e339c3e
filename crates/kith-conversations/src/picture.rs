//! Pictures of messages: kinds that every browser shows and none runs, kept by their digest, collected when no message shows them.

use crate::{ConversationsError, details::Shown};
use kith_blobs::{BlobError, Blobs, Collected};
use kith_store::{PictureRow, Store};
use kith_types::Blake3;
use std::path::Path;
use tokio::{
    io::AsyncReadExt,
    sync::{RwLock, RwLockReadGuard},
};

/// The largest picture, in bytes.
pub const MAX_PICTURE_BYTES: usize = 20 << 20;
/// The most pictures of a message.
pub const MAX_PICTURES: usize = 16;
/// The longest small form of a picture, in bytes of its `data:` URL.
pub const MAX_THUMBNAIL_BYTES: usize = 48 << 10;

/// Where a picture's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Bytes(Vec<u8>),
    /// On this node, under this digest, from before.
    Kept(Blake3),
}

/// A picture that a message is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its bytes.
    pub source: Source,
    /// Its file's name.
    pub name: Option<String>,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// A small form of it: a `data:` URL in base64 of at most [`MAX_THUMBNAIL_BYTES`].
    pub thumbnail: Option<String>,
}

/// A picture's bytes, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What they are: `image/png`.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The folder of pictures.
pub(crate) struct Pictures {
    blobs: Blobs,
    /// Held for reading from the moment a picture is there until the message that shows it is; for writing while what no message
    /// shows is removed.
    gate: RwLock<()>,
}

/// Pictures that are on the disk, and stay there at least as long as this is held.
pub(crate) struct Kept<'a> {
    pub(crate) shown: Vec<Shown>,
    pub(crate) rows: Vec<PictureRow>,
    _gate: RwLockReadGuard<'a, ()>,
}

/// What kind of picture begins so.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some("image/gif")
    } else {
        None
    }
}

fn check_thumbnail(field: &str, url: &str) -> Result<(), ConversationsError> {
    let kinds = ["data:image/png;base64,", "data:image/jpeg;base64,", "data:image/webp;base64,", "data:image/gif;base64,"];
    let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let plain = kinds.iter().find_map(|kind| url.strip_prefix(kind)).is_some_and(|data| data.bytes().all(digit));
    if plain && url.len() <= MAX_THUMBNAIL_BYTES {
        return Ok(());
    }
    let message = format!("must be a PNG, JPEG, WebP or GIF as a `data:` URL in base64 of at most {MAX_THUMBNAIL_BYTES} bytes");
    Err(ConversationsError::invalid(format!("{field}.thumbnail"), message))
}

impl Pictures {
    pub(crate) async fn open(folder: &Path) -> Result<Self, ConversationsError> {
        Ok(Self { blobs: Blobs::open(folder).await?, gate: RwLock::new(()) })
    }

    /// Checks what can be checked before anything is written.
    pub(crate) fn check(pictures: &[Picture]) -> Result<(), ConversationsError> {
        if pictures.len() > MAX_PICTURES {
            return Err(ConversationsError::invalid("images", format!("must have at most {MAX_PICTURES} items")));
        }
        for (at, picture) in pictures.iter().enumerate() {
            let field = format!("images[{at}]");
            if let Some(url) = &picture.thumbnail {
                check_thumbnail(&field, url)?;
            }
            let Source::Bytes(bytes) = &picture.source else { continue };
            if bytes.len() > MAX_PICTURE_BYTES {
                return Err(ConversationsError::TooLarge { field: "images", what: "an image", limit: MAX_PICTURE_BYTES as u64 });
            }
            if media_type(bytes).is_none() {
                return Err(ConversationsError::invalid(format!("{field}.data"), "must be a PNG, JPEG, WebP or GIF"));
            }
        }
        Ok(())
    }

    /// Puts pictures on the disk, or finds those that are there.
    pub(crate) async fn keep(&self, pictures: Vec<Picture>) -> Result<Kept<'_>, ConversationsError> {
        let gate = self.gate.read().await;
        let mut shown = Vec::with_capacity(pictures.len());
        let mut rows: Vec<PictureRow> = Vec::with_capacity(pictures.len());
        for (at, picture) in pictures.into_iter().enumerate() {
            let row = match picture.source {
                Source::Bytes(bytes) => {
                    let kind = media_type(&bytes).unwrap_or_default().to_owned();
                    let put = self.blobs.put(bytes.as_slice(), None, MAX_PICTURE_BYTES as u64, |_| {}).await?;
                    PictureRow { blob: put.hash, size: put.size, media_type: kind }
                }
                Source::Kept(digest) => self.find(at, &digest).await?,
            };
            shown.push(Shown {
                digest: row.blob.hex(),
                media_type: row.media_type.clone(),
                size: row.size,
                name: picture.name,
                width: picture.width,
                height: picture.height,
                thumbnail: picture.thumbnail,
            });
            // The same picture twice is one picture shown twice.
            if rows.iter().all(|there| there.blob != row.blob) {
                rows.push(row);
            }
        }
        Ok(Kept { shown, rows, _gate: gate })
    }

    async fn find(&self, at: usize, digest: &Blake3) -> Result<PictureRow, ConversationsError> {
        let absent = |error| match error {
            BlobError::NotFound(_) => {
                ConversationsError::invalid(format!("images[{at}].digest"), "is no image on this node: send its `data`")
            }
            other => other.into(),
        };
        let size = self.blobs.size(digest).await.map_err(absent)?;
        let file = self.blobs.open_blob(digest).await.map_err(absent)?;
        let mut start = Vec::new();
        tokio::fs::File::from_std(file).take(16).read_to_end(&mut start).await.map_err(BlobError::from)?;
        let kind = media_type(&start).ok_or_else(|| ConversationsError::internal("a kept picture is no picture any more"))?;
        Ok(PictureRow { blob: *digest, size, media_type: kind.to_owned() })
    }

    /// Reads a picture's bytes.
    pub(crate) async fn read(&self, row: PictureRow) -> Result<Opened, ConversationsError> {
        let file = self.blobs.open_blob(&row.blob).await.map_err(|error| match error {
            BlobError::NotFound(digest) => ConversationsError::NoPicture(digest.hex()),
            other => other.into(),
        })?;
        let mut bytes = Vec::with_capacity(usize::try_from(row.size).unwrap_or(0).min(MAX_PICTURE_BYTES));
        let mut file = tokio::fs::File::from_std(file).take(MAX_PICTURE_BYTES as u64);
        file.read_to_end(&mut bytes).await.map_err(BlobError::from)?;
        Ok(Opened { media_type: row.media_type, bytes })
    }

    /// Removes the pictures that no message shows.
    pub(crate) async fn collect(&self, store: &Store) -> Result<Collected, ConversationsError> {
        let _gate = self.gate.write().await;
        let in_use = store.picture_blobs().await?;
        Ok(self.blobs.collect(&in_use).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(bytes: &[u8], thumbnail: Option<&str>) -> Picture {
        let thumbnail = thumbnail.map(str::to_owned);
        Picture { source: Source::Bytes(bytes.to_vec()), name: None, width: None, height: None, thumbnail }
    }

    #[test]
    fn a_picture_is_told_by_its_first_bytes() {
        for (bytes, kind) in [
            (b"\x89PNG\r\n\x1a\n".as_slice(), Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"GIF89a", Some("image/gif")),
            (b"<svg onload=alert(1)>", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), kind, "{bytes:?}");
            assert_eq!(Pictures::check(&[picture(bytes, None)]).is_ok(), kind.is_some(), "{bytes:?}");
        }
    }

    #[test]
    fn pictures_have_bounds() {
        let large = [b"GIF89a".as_slice(), &vec![0; MAX_PICTURE_BYTES]].concat();
        assert!(matches!(Pictures::check(&[picture(&large, None)]), Err(ConversationsError::TooLarge { .. })));
        assert!(Pictures::check(&vec![picture(b"GIF89a", None); MAX_PICTURES]).is_ok());
        assert!(Pictures::check(&vec![picture(b"GIF89a", None); MAX_PICTURES + 1]).is_err());
    }

    #[test]
    fn a_small_form_is_a_picture_and_nothing_that_runs() {
        assert!(Pictures::check(&[picture(b"GIF89a", Some("data:image/png;base64,aGk="))]).is_ok());
        let long = format!("data:image/png;base64,{}", "A".repeat(MAX_THUMBNAIL_BYTES));
        for url in [
            "https://example.com/a.png",
            "data:image/svg+xml;base64,aGk=",
            "data:text/html;base64,aGk=",
            "data:image/png;base64,\"><script>",
            "javascript:alert(1)",
            "",
            &long,
        ] {
            assert!(Pictures::check(&[picture(b"GIF89a", Some(url))]).is_err(), "{url}");
        }
    }
}
