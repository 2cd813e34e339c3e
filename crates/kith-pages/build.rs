//! Lists the files of `ui/dist` as a Rust table. Without that folder the table is empty, and the node says that it has no window.
#![allow(clippy::expect_used, reason = "a build script has nobody to tell but the build")]

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    if let Ok(root) = root.canonicalize() {
        list(&root, &root, &mut files);
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (name, file) in files {
        writeln!(table, "({name:?}, include_bytes!({file:?})),").expect("strings take all");
    }
    table.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("files.rs");
    fs::write(out, table).expect("the build's own folder can be written");
}

fn list(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            list(root, &path, files);
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str).and_then(|name| name.strip_suffix(".br")) {
            files.push((name.replace('\\', "/"), path.to_str().expect("paths of the checkout are text").to_owned()));
        }
    }
}
