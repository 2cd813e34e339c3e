//! Where things lie: the checkout, the user's cache folder, the shared build folder. Creates nothing.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders every command works with.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The root of the checkout.
    pub root: PathBuf,
    /// `kith` below the user's cache folder: models, tools, the build.
    pub cache: PathBuf,
    /// Cargo's target folder; outside the checkout, so that a fresh clone reuses what is compiled.
    pub target: PathBuf,
}

impl Paths {
    /// Reads them from the environment.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no folder")?.to_path_buf();
        let cache = cache_folder(env::consts::OS, |name| env::var_os(name))
            .context("no cache folder: neither HOME nor LOCALAPPDATA is set")?
            .join("kith");
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(given) if !given.is_empty() => root.join(given),
            _ => cache.join("target"),
        };
        Ok(Self { root, cache, target })
    }

    /// A program that the workspace builds, in the one profile it is built in.
    pub fn built(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }
}

/// The user's cache folder by the rules of the operating system.
fn cache_folder(os: &str, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match os {
        "windows" => set("LOCALAPPDATA"),
        "macos" => set("HOME").map(|home| home.join("Library/Caches")),
        // The XDG specification: a relative path there is invalid and ignored.
        _ => set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| set("HOME").map(|home| home.join(".cache"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(os: &str, variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_folder(os, |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn each_system_has_its_own_cache_folder() {
        assert_eq!(with("linux", &[("HOME", "/h")]), Some("/h/.cache".into()));
        assert_eq!(with("linux", &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x".into()));
        assert_eq!(with("macos", &[("HOME", "/h")]), Some("/h/Library/Caches".into()));
        assert_eq!(with("windows", &[("LOCALAPPDATA", "/l")]), Some("/l".into()));
    }

    #[test]
    fn an_empty_or_relative_xdg_folder_is_ignored_and_no_home_is_no_folder() {
        assert_eq!(with("linux", &[("HOME", "/h"), ("XDG_CACHE_HOME", "")]), Some("/h/.cache".into()));
        assert_eq!(with("linux", &[("HOME", "/h"), ("XDG_CACHE_HOME", "here")]), Some("/h/.cache".into()));
        assert_eq!(with("linux", &[]), None);
    }
}
