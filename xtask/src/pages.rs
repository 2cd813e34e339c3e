//! The window's pages: Rust to WebAssembly, its bindings, styles, fonts and icons, compressed into `ui/dist`, which `kith-pages` puts into the node.
//!
//! Everything but the entry page has a name that changes with its content, so that browsers keep it for ever.

mod assemble;
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

/// Builds the pages if anything they are made of is newer.
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
        &[&wasm, &sources.join("index.html"), &sources.join("style"), &sources.join("fonts"), &sources.join("static")],
    )? {
        return Ok(());
    }
    let bound = target.join("bound").join(folder);
    bind(&wasm, &bound)?;
    let size = assemble::assemble(&sources, &bound, &dist, effort)?;
    if effort == Effort::Small && size > MOST_WASM {
        bail!("the pages' WebAssembly weighs {} KiB compressed; at most {} KiB are allowed", size >> 10, MOST_WASM >> 10);
    }
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
    bindgen.web(true)?.generate(out).context("the bindings of the pages could not be written")
}

/// Whether the entry page is there and younger than all of these files and folders.
fn is_current(dist: &Path, sources: &[&Path]) -> Result<bool> {
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
