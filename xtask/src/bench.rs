//! `bench`: measurements, each in a module of its own, and the places in docs/benchmarks.md they are written to.

mod conformance;
mod inference;
mod layers;
mod machine;
mod median;
mod mesh;
mod reads;
mod schema;
mod window;
mod yardstick;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::paths::Paths;

const NAMES: [&str; 7] = ["inference", "layers", "reads", "schema", "conformance", "window", "mesh"];

/// Runs the bench named first; `--write` after it keeps the figures.
pub fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    let (name, write) = match arguments {
        [name] => (name.as_str(), false),
        [name, flag] if flag == "--write" => (name.as_str(), true),
        _ => bail!("say which: cargo xtask bench {} [--write]", NAMES.join("|")),
    };
    let report = match name {
        "inference" => inference::measure(paths)?,
        "layers" => layers::measure(paths)?,
        "reads" => reads::measure(paths)?,
        "schema" => schema::measure(paths)?,
        "conformance" => conformance::measure(paths)?,
        "window" => window::measure(paths)?,
        "mesh" => mesh::measure(paths)?,
        other => bail!("there is no bench {other:?}; there are: {}", NAMES.join(", ")),
    };
    println!("{report}");
    if write {
        let page = paths.root.join("docs/benchmarks.md");
        let text = fs::read_to_string(&page).with_context(|| format!("could not read {}", page.display()))?;
        let renewed = replaced(&text, name, &report)?;
        write_beside_and_rename(&page, &renewed)?;
        eprintln!("written to {}", page.display());
    }
    Ok(())
}

/// The page with the marked section's text replaced.
fn replaced(page: &str, section: &str, report: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {section}: begin -->"), format!("<!-- {section}: end -->"));
    let (before, rest) = page.split_once(&begin).with_context(|| format!("the page has no {begin:?}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("the page has no {end:?} after the beginning"))?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", report.trim()))
}

fn write_beside_and_rename(page: &Path, text: &str) -> Result<()> {
    let part = page.with_extension("md.part");
    fs::write(&part, text).with_context(|| format!("could not write {}", part.display()))?;
    fs::rename(&part, page).with_context(|| format!("could not place {}", page.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_section_changes() {
        let page =
            "# B\n<!-- inference: begin -->\nold\n<!-- inference: end -->\nrest <!-- layers: begin -->x<!-- layers: end -->\n";
        let renewed = replaced(page, "inference", "\nnew\n").unwrap();
        assert_eq!(renewed, page.replace("old", "new"));
        assert_eq!(replaced(&renewed, "inference", "new").unwrap(), renewed);
    }

    #[test]
    fn a_page_without_the_section_is_refused() {
        assert!(replaced("# B\n", "inference", "new").is_err());
        assert!(replaced("<!-- inference: begin -->", "inference", "new").is_err());
    }
}
