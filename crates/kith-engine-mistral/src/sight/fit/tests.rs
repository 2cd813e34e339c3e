//! What `fit` promises, sentence by sentence.

use super::*;
use image::RgbImage;

fn file(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn taken(bytes: Vec<u8>) -> Result<(u32, u32), String> {
    match decode(1, &Image::new(1, bytes).unwrap()) {
        Ok(image) => Ok(image.dimensions()),
        Err(EngineError::Invalid { field: "images", message }) => Err(message),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn all_four_kinds_are_decoded_and_a_cut_file_is_refused_by_its_number() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        let bytes = file(40, 30, format);
        assert_eq!(taken(bytes.clone()), Ok((40, 30)), "{format:?}");
        let error = taken(bytes[..40].to_vec()).unwrap_err();
        assert!(error.starts_with("image 2 cannot be decoded"), "{format:?}: {error}");
    }
}

#[test]
fn an_image_that_says_it_is_huge_is_refused_before_it_is_decoded() {
    let mut bytes = file(8, 8, ImageFormat::Png);
    // Width and height stand in the header, whose checksum is set right.
    bytes[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let mut sum = 0xffff_ffffu32;
    for byte in &bytes[12..29] {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    bytes[29..33].copy_from_slice(&(!sum).to_be_bytes());
    assert!(taken(bytes).unwrap_err().starts_with("image 2 has 16384 x 16384 pixels"));
}

#[test]
fn large_images_become_smaller_and_keep_their_shape() {
    assert_eq!(taken(file(4096, 1024, ImageFormat::Png)), Ok((2048, 512)));
    assert_eq!(taken(file(1, 1, ImageFormat::Png)), Ok((8, 8)));
}

#[test]
fn images_of_the_same_bytes_and_other_shapes_are_told_apart() {
    let wide = signed(&DynamicImage::ImageRgb8(RgbImage::new(8, 2)));
    let tall = signed(&DynamicImage::ImageRgb8(RgbImage::new(2, 8)));
    assert_ne!(wide.as_bytes(), tall.as_bytes());
    assert_eq!(wide.to_rgb8().as_raw(), tall.to_rgb8().as_raw(), "the colours are as they were");
}
