//! Decoding images and bringing them to a size that the model takes, within bounds of memory.

use image::{DynamicImage, GenericImageView, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage, imageops::FilterType};
use kith_engine::{EngineError, Image, ImageKind, MAX_IMAGE_PIXELS};
use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

/// The longest side that is kept, in pixels: what families make of an image is smaller.
const LONGEST: u32 = 2048;
/// The most bytes that decoding one image may take beside its pixels.
const SCRATCH: u64 = 512 << 20;

/// One image is decoded at a time, by the whole process: each may take hundreds of megabytes.
static DECODING: Mutex<()> = Mutex::new(());

/// The image, no larger than needed.
pub(super) fn decode(place: usize, image: &Image) -> Result<DynamicImage, EngineError> {
    let refused = |what: String| EngineError::Invalid { field: "images", message: format!("image {} {what}", place + 1) };
    let _one = DECODING.lock().unwrap_or_else(PoisonError::into_inner);
    // A decoder must not fail so, but one that does costs the request and no more.
    catch_unwind(AssertUnwindSafe(|| opened(image).map(fitted)))
        .unwrap_or_else(|_| Err("cannot be decoded".to_owned()))
        .map_err(refused)
}

fn opened(image: &Image) -> Result<DynamicImage, String> {
    let format = match image.kind() {
        ImageKind::Png => ImageFormat::Png,
        ImageKind::Jpeg => ImageFormat::Jpeg,
        ImageKind::WebP => ImageFormat::WebP,
        ImageKind::Gif => ImageFormat::Gif,
    };
    let broken = |error: image::ImageError| format!("cannot be decoded: {error}");
    let mut reader = ImageReader::with_format(Cursor::new(image.bytes()), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(SCRATCH);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_IMAGE_PIXELS {
        return Err(format!("has {width} x {height} pixels; from 1 to {MAX_IMAGE_PIXELS} are taken"));
    }
    let turned = decoder.orientation().map_err(broken)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(turned);
    Ok(image)
}

fn fitted(image: DynamicImage) -> DynamicImage {
    let image = DynamicImage::ImageRgb8(image.into_rgb8());
    let (width, height) = image.dimensions();
    if width.max(height) > LONGEST {
        image.resize(LONGEST, LONGEST, FilterType::Lanczos3)
    } else if width * height < 8 {
        // Room for the signature.
        image.resize_exact(width * 8, height * 8, FilterType::Nearest)
    } else {
        image
    }
}

/// The image with its size written into the transparency of its first eight pixels, which every family leaves out: mistral.rs keeps
/// what it has seen by a hash of the pixels alone, so images of other shapes could be taken for each other.
pub(super) fn signed(image: &DynamicImage) -> DynamicImage {
    let mut pixels: RgbaImage = image.to_rgba8();
    let (width, height) = image.dimensions();
    let signature = width.to_le_bytes().into_iter().chain(height.to_le_bytes());
    for (pixel, byte) in pixels.pixels_mut().zip(signature) {
        pixel.0[3] = byte;
    }
    DynamicImage::ImageRgba8(pixels)
}

#[cfg(test)]
mod tests;
