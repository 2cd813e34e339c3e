//! A compiler for WebAssembly: rustup's target where rustup can fetch it, else Debian's compiler, which brings the library's sources.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::{check, process, setup};

/// What the pages are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Cargo, set up to build for the target. Its arguments begin with `build`.
pub fn cargo(paths: &Paths) -> Result<Command> {
    let mut cargo = check::cargo(paths);
    cargo.arg("build");
    // Leptos: views of one type for all components, which saves a seventh of the bytes.
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "--cfg erase_components").env_remove("RUSTFLAGS");
    if has_target()? || add_target()? {
        return Ok(cargo);
    }
    // Debian's compiler builds the standard library from its sources and lacks a linker, which rustup's compiler brings.
    let rustc = Path::new("/usr/bin/rustc");
    if !rustc.exists() || !process::succeeds(Command::new("dpkg").args(["--status", "rust-web-src"])) {
        setup::web_assembly()?;
    }
    let asked = |what: &[&str]| process::text_of(Command::new("rustc").args(what));
    let bin =
        Path::new(&asked(&["--print", "sysroot"])?).join("lib/rustlib").join(asked(&["--print", "host-tuple"])?).join("bin");
    let linker = bin.join("rust-lld");
    let linker = linker.to_str().context("the compiler's folder has a name that is no text")?;
    cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    cargo.arg("-Zbuild-std=std,panic_abort");
    Ok(cargo)
}

fn has_target() -> Result<bool> {
    let library = process::text_of(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(&library).is_dir())
}

fn add_target() -> Result<bool> {
    if process::on_path("rustup").is_none() {
        return Ok(false);
    }
    eprintln!("$ rustup target add {TARGET}");
    Ok(process::succeeds(Command::new("rustup").args(["target", "add", TARGET])) && has_target()?)
}
