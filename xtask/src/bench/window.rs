//! How soon the window is there, how large its program is, and what the app costs while nobody looks. Beside what others publish.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::machine;
use crate::paths::Paths;
use crate::{check, icons, pages, process, setup};

/// Measures with a real browser and the real app.
pub fn measure(paths: &Paths) -> Result<String> {
    setup::everything(paths)?;
    pages::build(paths, pages::Effort::Small)?;
    icons::build(paths)?;
    process::run(&mut check::build(paths))?;
    let mut bench = check::cargo(paths);
    bench.args(["test", "--workspace", "--bench", "window"]).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = bench.output().context("could not start the measurement")?;
    if !output.status.success() {
        bail!("the measurement failed ({})", output.status);
    }
    let figures = String::from_utf8(output.stdout).context("figures are text")?;
    let figures: Vec<String> = figures.lines().filter(|line| line.contains(": ")).map(|line| format!("- {line}")).collect();
    Ok(format!(
        "{}\n\n{}\n- WebAssembly of the pages, compressed: {} KiB",
        machine::described(),
        figures.join("\n"),
        pages::weight(paths)? >> 10
    ))
}
