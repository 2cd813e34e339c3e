//! `icons`: every size and form of the app's icon from one drawing, and the tray's from theirs. Nothing drawn is kept in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::paths::Paths;

/// What Linux, macOS and Windows ask of a bundle, by file name and width in pixels.
const PICTURES: [(&str, u32); 7] = [
    ("32x32.png", 32),
    ("64x64.png", 64),
    ("128x128.png", 128),
    ("128x128@2x.png", 256),
    ("256x256.png", 256),
    ("512x512.png", 512),
    ("icon.png", 512),
];

/// Windows' icon holds these widths.
const ICO: [u32; 6] = [16, 24, 32, 48, 64, 256];

/// Apple's icon: the type of each picture and its width. <https://en.wikipedia.org/wiki/Apple_Icon_Image_format>
const ICNS: [(&[u8; 4], u32); 8] = [
    (b"ic11", 32),
    (b"ic12", 64),
    (b"ic07", 128),
    (b"ic13", 256),
    (b"ic08", 256),
    (b"ic14", 512),
    (b"ic09", 512),
    (b"ic10", 1024),
];

/// How the node stands, as the tray shows it.
const TRAY: [&str; 3] = ["ready", "busy", "offline"];

/// Seen on light panels and on dark ones; macOS colours a black one itself.
const TRAY_COLOURS: [(&str, &str); 2] = [("", "#4bb592"), ("-template", "#000000")];

/// The width of the tray's pictures: twice what most panels show.
const TRAY_WIDTH: u32 = 44;

/// Draws what is older than its drawing, or absent.
pub fn build(paths: &Paths) -> Result<()> {
    let folder = paths.root.join("icons");
    let drawing = paths.root.join("ui/static/icon.svg");
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    for (name, width) in PICTURES {
        draw(&drawing, &folder.join(name), |drawn| png(drawn, width))?;
    }
    draw(&drawing, &folder.join("icon.ico"), ico)?;
    draw(&drawing, &folder.join("icon.icns"), icns)?;
    for standing in TRAY {
        let drawing = paths.root.join(format!("src-tauri/art/tray-{standing}.svg"));
        for (ending, colour) in TRAY_COLOURS {
            draw(&drawing, &folder.join(format!("tray-{standing}{ending}.png")), |drawn| {
                png(&drawn.replace("COLOUR", colour), TRAY_WIDTH)
            })?;
        }
    }
    Ok(())
}

/// The picture of a drawing, so many pixels wide and high.
pub fn png(drawn: &str, width: u32) -> Result<Vec<u8>> {
    let tree = Tree::from_str(drawn, &Options::default()).context("the drawing is not understood")?;
    let mut picture = Pixmap::new(width, width).context("a picture has at least one pixel")?;
    let scale = |length: f32| width as f32 / length;
    let transform = Transform::from_scale(scale(tree.size().width()), scale(tree.size().height()));
    resvg::render(&tree, transform, &mut picture.as_mut());
    picture.encode_png().context("the picture could not be written")
}

fn ico(drawn: &str) -> Result<Vec<u8>> {
    let mut icon = ico::IconDir::new(ico::ResourceType::Icon);
    for width in ICO {
        let picture = ico::IconImage::read_png(std::io::Cursor::new(png(drawn, width)?))?;
        icon.add_entry(ico::IconDirEntry::encode(&picture)?);
    }
    let mut bytes = Vec::new();
    icon.write(&mut bytes)?;
    Ok(bytes)
}

/// A header, then each picture behind its type and length; lengths count their own eight bytes.
fn icns(drawn: &str) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for (kind, width) in ICNS {
        let picture = png(drawn, width)?;
        body.extend_from_slice(kind);
        body.extend_from_slice(&u32::try_from(picture.len() + 8)?.to_be_bytes());
        body.extend_from_slice(&picture);
    }
    let mut bytes = b"icns".to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len() + 8)?.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn draw(drawing: &Path, picture: &PathBuf, form: impl FnOnce(&str) -> Result<Vec<u8>>) -> Result<()> {
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let drawn = time(drawing).with_context(|| format!("could not read {}", drawing.display()))?;
    if time(picture).is_ok_and(|made| made >= drawn) {
        return Ok(());
    }
    let text = fs::read_to_string(drawing).with_context(|| format!("could not read {}", drawing.display()))?;
    let bytes = form(&text).with_context(|| format!("could not draw {}", picture.display()))?;
    fs::write(picture, bytes).with_context(|| format!("could not write {}", picture.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str =
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#102030"/></svg>"##;

    #[test]
    fn a_drawing_becomes_a_picture_of_the_width_asked_for() {
        let picture = Pixmap::decode_png(&png(SQUARE, 20).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (20, 20));
        let colour = picture.pixel(10, 10).unwrap();
        assert_eq!((colour.red(), colour.green(), colour.blue(), colour.alpha()), (0x10, 0x20, 0x30, 255));
        assert!(png("no drawing", 20).is_err());
    }

    #[test]
    fn each_system_gets_the_form_it_reads() {
        let windows = ico::IconDir::read(std::io::Cursor::new(ico(SQUARE).unwrap())).unwrap();
        assert_eq!(windows.entries().iter().map(ico::IconDirEntry::width).collect::<Vec<_>>(), ICO);
        let apple = icns(SQUARE).unwrap();
        assert_eq!(&apple[..4], b"icns");
        assert_eq!(u32::from_be_bytes(apple[4..8].try_into().unwrap()) as usize, apple.len());
    }
}
