//! Looks for the compilers, Python and the Rust components, and has the missing ones installed in one go.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::installer::{Installer, Need};
use super::python;
use crate::process;

/// What the work ahead needs beyond the compilers.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// A Python that can make itself a folder of packages.
    pub python: bool,
    /// `rustfmt` and `clippy`.
    pub lints: bool,
}

/// Installs what the scope needs and this machine lacks. Does nothing, quickly, where all is there.
pub fn install_missing(scope: &Scope) -> Result<()> {
    let missing = missing(scope);
    if missing.is_empty() {
        return Ok(());
    }
    Installer::here().install(&missing)?;
    let still = self::missing(scope);
    if !still.is_empty() {
        bail!("still missing after the installation: {still:?}");
    }
    Ok(())
}

/// What drives the window and a browser in tests. Without it those tests say so and pass, except where CI is set.
pub fn install_browsers() {
    install_optional(Need::Browsers, &BROWSERS, "tests of the window need");
}

/// What networks are made of in tests. Without it those tests say so and pass, except where CI is set.
pub fn install_networks() {
    install_optional(Need::Networks, &NETWORKS, "tests of networks need");
}

/// What transfers are measured beside; what is missing is left out of the figures.
pub fn install_transfers() {
    install_optional(Need::Transfers, &TRANSFERS, "would be measured beside");
}

fn install_optional(need: Need, programs: &[&str], use_of_it: &str) {
    let missing = || programs.iter().find(|program| !is_here(program));
    if env::consts::OS != "linux" || missing().is_none() {
        return;
    }
    let installed = Installer::here().install(&[need]);
    if let Some(program) = missing() {
        let reason = installed.err().map(|error| format!(": {error:#}")).unwrap_or_default();
        eprintln!("going on without {program}, which {use_of_it}{reason}");
    }
}

/// Also where people who are not the superuser do not look.
fn is_here(program: &str) -> bool {
    process::on_path(program).is_some() || ["/usr/sbin", "/sbin"].iter().any(|folder| Path::new(folder).join(program).is_file())
}

const BROWSERS: [&str; 6] = ["chromium", "chromedriver", "WebKitWebDriver", "Xvfb", "dbus-run-session", "bsdtar"];
const NETWORKS: [&str; 5] = ["ip", "tc", "nft", "iperf3", "faketime"];
const TRANSFERS: [&str; 2] = ["rclone", "syncthing"];

fn missing(scope: &Scope) -> Vec<Need> {
    let mut missing = Vec::new();
    if !compilers_are_here() {
        missing.push(Need::Compilers);
    }
    if !window_libraries_are_here() {
        missing.push(Need::Window);
    }
    if scope.python && python::usable_on_path().is_none() {
        missing.push(Need::Python);
    }
    if scope.lints && !rust_components_are_here() {
        missing.push(Need::RustComponents);
    }
    missing
}

/// The C++ compiler of Debian depends on the C one and on the headers, so its presence speaks for all.
fn compilers_are_here() -> bool {
    if env::consts::OS == "windows" {
        // The MSVC toolchain is found through the registry by the compiler crates; rustc itself does not link without it.
        return true;
    }
    if env::consts::OS == "macos" {
        // `cc` exists as a shim before the command line tools do.
        return process::succeeds(Command::new("xcode-select").arg("-p"));
    }
    let named_or = |variable: &str, program: &str| env::var_os(variable).is_some() || process::on_path(program).is_some();
    named_or("CC", "cc") && named_or("CXX", "c++")
}

/// Systems other than Linux bring a web view and a tray of their own.
fn window_libraries_are_here() -> bool {
    let found = |library: &str| process::succeeds(Command::new("pkg-config").args(["--exists", library]));
    env::consts::OS != "linux"
        || (found("webkit2gtk-4.1") && found("librsvg-2.0") && (found("ayatana-appindicator3-0.1") || found("appindicator3-0.1")))
}

/// rustup leaves proxies for components that are not installed, so asking is the only way to know.
fn rust_components_are_here() -> bool {
    ["fmt", "clippy"].iter().all(|component| process::succeeds(Command::new("cargo").args([component, "--version"])))
}
