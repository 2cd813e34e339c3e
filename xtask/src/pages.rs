//! The window's pages: Rust to WebAssembly, its bindings, styles, fonts and icons, compressed into `ui/dist`, which `kith-pages` puts into the node.
//!
//! Everything but the entry page has a name that changes with its content, so that browsers keep it for ever.

mod assemble;
mod order;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::paths::Paths;
use crate::process;

/// The most that the WebAssembly may weigh as it is sent.
const MOST_WASM: u64 = 700 << 10;

/// How the pages are to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As they are given away: small.
    Small,
    /// For looking at a change: soon.
    Quick,
}

impl Effort {
    const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Quick => "quick",
        }
    }
}

/// Lies among the pages and says with what effort they were built; the node takes compressed files alone.
const STAMP: &str = "effort.txt";

/// Builds the pages if anything they are made of is newer, or if they were built with another effort.
pub fn build(paths: &Paths, effort: Effort) -> Result<()> {
    let target = paths.cache.join("target-wasm");
    let (profile, folder) = match effort {
        Effort::Small => ("wasm", "wasm"),
        Effort::Quick => ("dev", "debug"),
    };
    let mut cargo = toolchain::cargo(paths)?;
    cargo.args([
        "--package",
        "kith-ui",
        "--bin",
        "kith-ui",
        "--features",
        "window",
        "--profile",
        profile,
        "--target",
        toolchain::TARGET,
    ]);
    cargo.arg("--target-dir").arg(&target);
    process::run(&mut cargo)?;
    let wasm = target.join(toolchain::TARGET).join(folder).join("kith-ui.wasm");
    let dist = paths.root.join("ui/dist");
    let sources = paths.root.join("ui");
    if is_current(
        &dist,
        effort,
        &[&wasm, &sources.join("index.html"), &sources.join("style"), &sources.join("fonts"), &sources.join("static")],
    )? {
        return Ok(());
    }
    let bound = target.join("bound").join(folder);
    bind(&wasm, &bound)?;
    let fresh = dist.with_extension("new");
    let size = assemble::assemble(&sources, &bound, &fresh, effort)?;
    put_in_place(&fresh, &dist, effort, size)?;
    eprintln!("pages: {} KiB of WebAssembly, compressed", size >> 10);
    Ok(())
}

/// What the built pages' WebAssembly weighs compressed, in bytes.
pub fn weight(paths: &Paths) -> Result<u64> {
    let files = files_under(&paths.root.join("ui/dist/assets"))?;
    let module = files.iter().find(|file| file.to_str().is_some_and(|name| name.ends_with(".wasm.br")));
    Ok(fs::metadata(module.context("the pages are not built")?)?.len())
}

/// Writes the module and its JavaScript half.
fn bind(wasm: &Path, out: &Path) -> Result<()> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("could not clear {}", out.display()))?;
    }
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name("kith_ui").typescript(false).remove_name_section(true).remove_producers_section(true);
    bindgen.web(true)?.generate(out).context("the bindings of the pages could not be written")?;
    let module = out.join("kith_ui_bg.wasm");
    fs::write(&module, order::order(&fs::read(&module)?)?).with_context(|| format!("could not write {}", module.display()))
}

/// Replaces the pages by fresh ones of this weight in bytes. Pages that weigh too much are thrown away: were they kept, they
/// would count as current next time.
fn put_in_place(fresh: &Path, dist: &Path, effort: Effort, size: u64) -> Result<()> {
    if effort == Effort::Small && size > MOST_WASM {
        fs::remove_dir_all(fresh)?;
        bail!("the pages' WebAssembly weighs {} KiB compressed; at most {} KiB are allowed", size >> 10, MOST_WASM >> 10);
    }
    fs::write(fresh.join(STAMP), effort.name()).context("could not note how the pages were built")?;
    if dist.exists() {
        fs::remove_dir_all(dist)?;
    }
    fs::rename(fresh, dist).with_context(|| format!("could not put {} in place", dist.display()))
}

/// Whether the entry page is there, built with this effort, and younger than all of these files and folders.
fn is_current(dist: &Path, effort: Effort, sources: &[&Path]) -> Result<bool> {
    if !fs::read_to_string(dist.join(STAMP)).is_ok_and(|built| built == effort.name()) {
        return Ok(false);
    }
    let Ok(built) = fs::metadata(dist.join("index.html.br")).and_then(|metadata| metadata.modified()) else { return Ok(false) };
    for source in sources {
        for file in files_under(source)? {
            if fs::metadata(&file)?.modified()? > built {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The file itself, or all files in the folder, by name.
fn files_under(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let listed = fs::read_dir(path).with_context(|| format!("could not list {}", path.display()))?;
    let mut entries = listed.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        files.extend(files_under(&entry.path())?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own with a source, and fresh pages that are younger.
    fn scratch(name: &str) -> (PathBuf, PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("xtask-pages-{}-{name}", std::process::id()));
        let (source, fresh, dist) = (folder.join("kith-ui.wasm"), folder.join("dist.new"), folder.join("dist"));
        fs::create_dir_all(&fresh).unwrap();
        fs::write(&source, "code").unwrap();
        fs::write(fresh.join("index.html.br"), "page").unwrap();
        (source, fresh, dist)
    }

    #[test]
    fn pages_that_weigh_too_much_never_count_as_built() {
        let (source, fresh, dist) = scratch("weight");
        let error = put_in_place(&fresh, &dist, Effort::Small, MOST_WASM + 1).unwrap_err().to_string();
        assert!(error.contains("at most 700 KiB"), "{error}");
        assert!(!is_current(&dist, Effort::Small, &[&source]).unwrap());
        assert!(!fresh.exists() && !dist.exists());
        fs::remove_dir_all(dist.parent().unwrap()).unwrap();
    }

    #[test]
    fn quickly_built_pages_are_not_given_away() {
        let (source, fresh, dist) = scratch("effort");
        put_in_place(&fresh, &dist, Effort::Quick, MOST_WASM + 1).unwrap();
        assert!(is_current(&dist, Effort::Quick, &[&source]).unwrap());
        assert!(!is_current(&dist, Effort::Small, &[&source]).unwrap());
        fs::remove_dir_all(dist.parent().unwrap()).unwrap();
    }
}
