//! `promtool`, the referee of the metrics text. On Debian it is taken out of its package without installing the server
//! that comes with it; elsewhere the one on the PATH is used, if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::installer::{Installer, Rights};
use crate::paths::Paths;
use crate::process;

/// The tool's place, or nothing where no package of it can be had (the test that needs it says so and passes).
pub fn find_or_unpack(paths: &Paths) -> Result<Option<PathBuf>> {
    if let Some(found) = process::on_path("promtool") {
        return Ok(Some(found));
    }
    let folder = paths.cache.join("tools");
    let tool = folder.join("promtool");
    if tool.is_file() {
        return Ok(Some(tool));
    }
    if Installer::here() != Installer::Apt {
        return Ok(None);
    }
    let scratch = folder.join("unpacking");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("could not clear an earlier attempt")?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("could not make {}", scratch.display()))?;
    let unpacked = unpack(&scratch);
    let placed = unpacked.and_then(|inner| fs::rename(inner, &tool).context("could not place promtool"));
    fs::remove_dir_all(&scratch).context("could not clear up")?;
    placed.map(|()| Some(tool))
}

fn unpack(scratch: &Path) -> Result<PathBuf> {
    let download = || {
        let mut command = Command::new("apt-get");
        command.args(["download", "prometheus"]).current_dir(scratch);
        command
    };
    if let Err(error) = process::run(&mut download()) {
        // The package lists may never have been read on this machine.
        Rights::here().context(error)?.update_lists()?;
        process::run(&mut download())?;
    }
    let package = fs::read_dir(scratch)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get left no package")?;
    process::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(scratch))?;
    Ok(scratch.join("usr/bin/promtool"))
}
