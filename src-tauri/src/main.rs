//! The desktop app: a window on the node's own pages, a tray, and the node itself unless one runs already.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]
#![allow(clippy::print_stderr, reason = "before there is a window, the terminal is all there is to speak to")]

mod commands;
mod deep_link;
mod follow;
mod host;
mod link;
mod options;
mod shell;
mod tray;
mod updates;
mod window;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = kith_node::read_document_if_asked() {
        return code;
    }
    let options = match options::Options::read(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("kith-desktop: {error}");
            return ExitCode::from(2);
        }
    };
    if options.version {
        eprintln!("kith-desktop {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if !options::has_display(|name| std::env::var_os(name)) {
        eprintln!("kith-desktop: there is no display to open a window on; `kith serve` runs the node without one");
        return ExitCode::FAILURE;
    }
    match shell::run(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kith-desktop: {error}");
            ExitCode::FAILURE
        }
    }
}
