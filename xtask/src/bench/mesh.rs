//! How fast a gigabyte goes from one node to another, beside what iperf3, rclone and Syncthing make of the same link.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::machine;
use crate::paths::Paths;
use crate::{check, pages, process, setup};

/// Measures between real nodes, in networks made for it. As the superuser, on Linux.
pub fn measure(paths: &Paths) -> Result<String> {
    setup::everything(paths)?;
    setup::transfers();
    pages::build(paths, pages::Effort::Small)?;
    process::run(&mut check::build(paths))?;
    let mut bench = check::cargo(paths);
    bench.args(["test", "--workspace", "--bench", "mesh"]).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = bench.output().context("could not start the measurement")?;
    if !output.status.success() {
        bail!("the measurement failed ({})", output.status);
    }
    report(&machine::described(), &String::from_utf8(output.stdout).context("figures are text")?)
}

/// A table of rows as they were printed, and what was said besides.
fn report(machine: &str, printed: &str) -> Result<String> {
    let lines = |begin: &str| printed.lines().filter(|line| line.starts_with(begin)).collect::<Vec<_>>().join("\n");
    let (rows, rest) = (lines("| "), lines("- "));
    if rows.is_empty() {
        bail!("nothing was measured");
    }
    Ok(format!(
        "One file of 1 GB from one disk to the other, on {machine}.\n\n\
         | link | program | MB/s | of iperf3 |\n|---|---|--:|--:|\n{rows}\n\n{rest}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_notes_are_kept_and_the_rest_is_not() {
        let printed =
            "running\n| 1 Gbit/s | iperf3 | 119.0 | 100 % |\n- 1 Gbit/s: held 3 MB\n| 1 Gbit/s | Kith | 110.0 | 92 % |\n";
        let report = report("a machine", printed).unwrap();
        assert!(report.ends_with(
            "|---|---|--:|--:|\n| 1 Gbit/s | iperf3 | 119.0 | 100 % |\n| 1 Gbit/s | Kith | 110.0 | 92 % |\n\n- 1 Gbit/s: held 3 MB"
        ));
        assert!(super::report("a machine", "running\n").is_err());
    }
}
