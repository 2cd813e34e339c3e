//! The folder of pages: each file under a name that changes with its content, compressed once, at the strongest level.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{Effort, files_under};
use crate::icons;

/// Digits of a content's hash in a file's name.
const DIGITS: usize = 12;
/// Levels of compression.
const STRONGEST: i32 = 11;
const QUICKEST: i32 = 1;
/// The starting script. Pages allow no script but files of their own.
const BOOT: &str = "import init from \"./{bindings}\";\ninit({ module_or_path: new URL(\"./{wasm}\", import.meta.url) });\n";

/// Writes the folder `fresh` anew. Returns what the WebAssembly weighs compressed, in bytes.
pub fn assemble(sources: &Path, bound: &Path, fresh: &Path, effort: Effort) -> Result<u64> {
    if fresh.exists() {
        fs::remove_dir_all(fresh)?;
    }
    fs::create_dir_all(fresh.join("assets"))?;
    let quality = if effort == Effort::Small { STRONGEST } else { QUICKEST };
    let mut out = Out { root: fresh, names: BTreeMap::new(), quality };

    let wasm = out.asset("kith_ui.wasm", &read(&bound.join("kith_ui_bg.wasm"))?)?;
    let bindings = out.asset("kith_ui.js", &read(&bound.join("kith_ui.js"))?)?;
    let boot = BOOT.replace("{bindings}", &bindings).replace("{wasm}", &wasm);
    let boot = out.asset("boot.js", boot.as_bytes())?;
    for font in files_under(&sources.join("fonts"))? {
        if font.extension().is_some_and(|ending| ending == "woff2") {
            out.asset(&name_of(&font)?, &read(&font)?)?;
        }
    }
    let mut style = String::new();
    for sheet in files_under(&sources.join("style"))? {
        style.push_str(&text(&sheet)?);
    }
    let style = out.asset("style.css", out.with_names(&style)?.as_bytes())?;
    for file in files_under(&sources.join("static"))? {
        let (name, content) = (name_of(&file)?, read(&file)?);
        // What others ask for by a fixed name keeps it; the rest lies among the assets.
        out.write(&name, &content)?;
    }
    let drawing = text(&sources.join("static/icon.svg"))?;
    for width in [192, 512] {
        out.write(&format!("icon-{width}.png"), &icons::png(&drawing, width)?)?;
    }
    // Phones cut their own shape out of a full square.
    out.write("icon-maskable-512.png", &icons::png(&drawing.replace(" rx=\"15\"", ""), 512)?)?;
    let page = text(&sources.join("index.html"))?
        .replace("{boot}", &boot)
        .replace("{bindings}", &bindings)
        .replace("{wasm}", &wasm)
        .replace("{style}", &style);
    let page = out.with_names(&page)?;
    out.write("index.html", page.as_bytes())?;
    Ok(fs::metadata(fresh.join("assets").join(format!("{wasm}.br")))?.len())
}

struct Out<'a> {
    root: &'a Path,
    /// The name with its hash, by the plain name.
    names: BTreeMap<String, String>,
    quality: i32,
}

impl Out<'_> {
    /// Writes a file that may be kept for ever, and gives its name.
    fn asset(&mut self, name: &str, content: &[u8]) -> Result<String> {
        let hash: String = hex::encode(Sha256::digest(content)).chars().take(DIGITS).collect();
        let (stem, ending) = name.rsplit_once('.').with_context(|| format!("`{name}` has no ending"))?;
        let named = format!("{stem}-{hash}.{ending}");
        self.write(&format!("assets/{named}"), content)?;
        self.names.insert(name.to_owned(), named.clone());
        Ok(named)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let mut packed = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: self.quality, lgwin: 22, ..Default::default() };
        brotli::BrotliCompress(&mut &*content, &mut packed, &parameters).with_context(|| format!("could not compress {name}"))?;
        let path = self.root.join(format!("{name}.br"));
        fs::write(&path, packed).with_context(|| format!("could not write {}", path.display()))
    }

    /// The text with `asset(NAME)` replaced by the file's path.
    fn with_names(&self, text: &str) -> Result<String> {
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("asset(") {
            let (name, after) = after.split_once(')').context("an `asset(` has no end")?;
            let Some(named) = self.names.get(name) else { bail!("there is no asset `{name}`") };
            done.push_str(before);
            done.push_str("/assets/");
            done.push_str(named);
            rest = after;
        }
        done.push_str(rest);
        Ok(done)
    }
}

fn name_of(path: &Path) -> Result<String> {
    Ok(path.file_name().and_then(|name| name.to_str()).context("a file's name is no text")?.to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_with_the_content_and_texts_name_them() {
        let dir = std::env::temp_dir().join(format!("kith-assemble-{}", std::process::id()));
        fs::create_dir_all(dir.join("assets")).unwrap();
        let mut out = Out { root: &dir, names: BTreeMap::new(), quality: QUICKEST };
        let one = out.asset("a.css", b"one").unwrap();
        let text = out.with_names("url(asset(a.css)) asset(a.css)").unwrap();
        assert_eq!(text, format!("url(/assets/{one}) /assets/{one}"));
        assert_ne!(out.asset("a.css", b"two").unwrap(), one);
        assert!(out.with_names("asset(b.css)").is_err());
        assert!(out.asset("noending", b"").is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
