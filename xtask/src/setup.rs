//! What a bare machine lacks, installed where that is possible, and otherwise told as one command to type.
//! Everything already there is only looked at: a second set-up takes less than a second.

mod installer;
mod javascript;
mod nextest;
mod promtool;
pub mod python;
mod tools;

use std::path::PathBuf;

use anyhow::Result;

use crate::model;
use crate::paths::Paths;
use python::Python;

/// What set-up has made sure of, for those who need to name it.
#[derive(Debug)]
pub struct Ready {
    /// The default model, its digest checked.
    pub model: PathBuf,
    /// The encoder that tests embed with, its digests checked.
    pub encoder: PathBuf,
    /// A Python that has the official clients.
    pub python: Python,
    /// A folder with the official JavaScript clients; absent where Node.js is not installed.
    pub javascript: Option<PathBuf>,
    /// `promtool`, which checks the metrics text; absent where no package of it can be had.
    pub promtool: Option<PathBuf>,
}

/// What building and running needs: the toolchain and the default model.
pub fn for_running(paths: &Paths) -> Result<PathBuf> {
    tools::install_missing(&tools::Scope { python: false, lints: false })?;
    // Python is wanted only as one way to the model, and only while the model is not here: there are other ways.
    if !model::is_cached(paths)
        && let Err(error) = tools::install_missing(&tools::Scope { python: true, lints: false })
    {
        eprintln!("going on without Python: {error:#}");
    }
    model::make_sure(paths)
}

/// Debian's compiler for the window, where rustup cannot add its target.
pub fn web_assembly() -> Result<()> {
    installer::Installer::here().install(&[installer::Need::WebAssembly])
}

/// What transfers are measured beside.
pub fn transfers() {
    tools::install_transfers();
}

/// What building, running and testing needs.
pub fn everything(paths: &Paths) -> Result<Ready> {
    tools::install_missing(&tools::Scope { python: !python::has_clients(paths), lints: true })?;
    tools::install_browsers();
    tools::install_networks();
    nextest::install_missing()?;
    let python = python::with_clients(paths)?;
    let javascript = javascript::with_clients(paths)?;
    let promtool = promtool::find_or_unpack(paths)?;
    let model = model::make_sure(paths)?;
    let encoder = model::encoder::make_sure(paths)?;
    Ok(Ready { model, encoder, python, javascript, promtool })
}
