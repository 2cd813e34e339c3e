//! The test runner, cargo-nextest: an installed one is kept if it is new enough, otherwise the pinned one is built.

use std::env;
use std::process::Command;

use anyhow::Result;

use crate::process;

/// Built where none is installed.
const PINNED: &str = "0.9.143";

/// The oldest that understands `.config/nextest.toml`.
const OLDEST: (u32, u32, u32) = (0, 9, 100);

/// Builds and installs the pinned version if there is none, or only an older one than is understood.
pub fn install_missing() -> Result<()> {
    let said = process::text_of(Command::new("cargo").args(["nextest", "--version"])).unwrap_or_default();
    if version_in(&said).is_some_and(|found| found >= OLDEST) {
        return Ok(());
    }
    eprintln!("cargo-nextest, the test runner, is built once (a few minutes)");
    let mut install = Command::new("cargo");
    install.args(["install", "cargo-nextest", "--locked", "--force", "--version", PINNED]);
    // Away from the workspace: its build folder and its compiler flags are not for this.
    install.env_remove("CARGO_TARGET_DIR").current_dir(env::temp_dir());
    process::run(&mut install)
}

/// From `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)`.
fn version_in(text: &str) -> Option<(u32, u32, u32)> {
    let version = text.lines().next()?.split_whitespace().nth(1)?;
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_nextest_says() {
        assert_eq!(version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143"), Some((0, 9, 143)));
        assert_eq!(version_in("cargo-nextest 0.9.99-rc.1"), Some((0, 9, 99)));
        assert_eq!(version_in(""), None);
        assert_eq!(version_in("error: no such command"), None);
    }

    #[test]
    fn the_pinned_version_is_new_enough() {
        assert!(version_in(&format!("cargo-nextest {PINNED}")).is_some_and(|pinned| pinned >= OLDEST));
    }
}
