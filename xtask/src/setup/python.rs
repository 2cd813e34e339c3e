//! A Python of the project's own below the cache folder, with the official clients of the dialects that Kith speaks.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;

/// The clients that the tests drive, unmodified. A change here installs them anew.
const CLIENTS: [&str; 3] = ["openai==3.52.0", "ollama==0.6.3", "anthropic==2.11.0"];

/// An interpreter, and where its extra packages lie if not beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    pub program: PathBuf,
    /// A folder of packages for `PYTHONPATH`, where no virtual environment could be made.
    pub packages: Option<PathBuf>,
}

impl Python {
    /// A command that runs this interpreter.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.environment());
        command
    }

    /// What a program needs in its environment to import the packages.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        self.packages.iter().map(|folder| ("PYTHONPATH", folder.clone().into_os_string())).collect()
    }
}

/// Whether the clients, as pinned, are installed.
pub fn has_clients(paths: &Paths) -> bool {
    fs::read_to_string(stamp(paths)).is_ok_and(|text| text == CLIENTS.join("\n")) && made(paths).is_some()
}

/// The project's Python with the pinned clients; installs them once.
pub fn with_clients(paths: &Paths) -> Result<Python> {
    let python = plain(paths)?;
    if has_clients(paths) {
        return Ok(python);
    }
    let mut install = python.command();
    install.args(["-m", "pip", "install", "--disable-pip-version-check"]);
    if let Some(folder) = &python.packages {
        install.args(["--upgrade", "--target"]).arg(folder);
    }
    process::run(install.args(CLIENTS))?;
    fs::write(stamp(paths), CLIENTS.join("\n")).context("could not note what is installed")?;
    Ok(python)
}

/// The project's Python; made once, as a virtual environment where the system's Python can make one.
pub fn plain(paths: &Paths) -> Result<Python> {
    if let Some(python) = made(paths) {
        return Ok(python);
    }
    let system = on_path().context("there is no Python 3 on the PATH")?;
    let folder = home(paths);
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    if process::run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder)).is_err() {
        // Some systems ship Python without `ensurepip`; a plain folder of packages serves as well.
        fs::create_dir_all(folder.join(SITE)).context("could not make the folder for Python packages")?;
    }
    made(paths).context("no Python environment could be made")
}

/// A Python that can either make a virtual environment or install into a folder.
pub fn usable_on_path() -> Option<PathBuf> {
    on_path().filter(|python| {
        let can = |modules: &str| process::succeeds(Command::new(python).args(["-c", &format!("import {modules}")]));
        can("venv, ensurepip") || can("pip")
    })
}

const SITE: &str = "site";

fn home(paths: &Paths) -> PathBuf {
    paths.cache.join("python")
}

fn stamp(paths: &Paths) -> PathBuf {
    home(paths).join("clients.txt")
}

fn made(paths: &Paths) -> Option<Python> {
    let own = home(paths).join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // A virtual environment whose base Python was removed leaves a dangling link, which `is_file` sees through.
    let pip = home(paths).join(if cfg!(windows) { "Scripts/pip.exe" } else { "bin/pip" });
    if own.is_file() && pip.is_file() {
        return Some(Python { program: own, packages: None });
    }
    let site = home(paths).join(SITE);
    site.is_dir().then(on_path).flatten().map(|program| Python { program, packages: Some(site) })
}

fn on_path() -> Option<PathBuf> {
    ["python3", "python"].into_iter().find_map(process::on_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_in_a_folder_of_their_own_reach_the_interpreter_by_its_path() {
        let python = Python { program: "python3".into(), packages: Some("/cache/site".into()) };
        assert_eq!(python.environment(), [("PYTHONPATH", OsString::from("/cache/site"))]);
        assert!(Python { program: "python3".into(), packages: None }.environment().is_empty());
    }

    #[test]
    fn every_client_is_pinned() {
        assert!(CLIENTS.iter().all(|client| client.split_once("==").is_some_and(|(_, version)| !version.is_empty())));
    }
}
