//! QR codes as images for pages.

use qrcode::{EcLevel, QrCode, render::svg};

/// The URL as an image that a camera reads from a screen, dark on light whatever the page's colours are. Empty for one that is too
/// long for a code (2,953 bytes): it is still handed over as text or as a file.
pub(crate) fn qr_svg(url: &str) -> String {
    // Long codes are shown on screens, where nothing is torn: the lowest level keeps their squares large.
    let Ok(code) = QrCode::with_error_correction_level(url, EcLevel::L) else { return String::new() };
    let image = code.render::<svg::Color<'_>>().module_dimensions(4, 4).build();
    // A page takes the element alone; the line before it is for files.
    image.split_once("?>").map_or(image.as_str(), |(_, element)| element).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_an_element_and_what_is_too_long_has_none() {
        let svg = qr_svg(&format!("kith://join/{}", "x".repeat(600)));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"), "{}", &svg[..40]);
        assert_eq!(qr_svg(&"x".repeat(2954)), "");
    }
}
