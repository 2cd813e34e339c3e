//! How a source file looks: its first line, its length, its name.

use super::Finding;
use super::source::SourceFile;

/// Longer files hold a second idea.
const MOST_LINES: usize = 600;

/// What is written by hand and read by people.
const WRITTEN: [&str; 7] = [".rs", ".mjs", ".js", ".css", ".html", ".sh", ".py"];

/// Words that name a drawer instead of a thing.
const DRAWERS: [&str; 9] = ["manager", "managers", "service", "services", "helper", "helpers", "util", "utils", "common"];

/// All rules about one file.
pub fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > MOST_LINES && WRITTEN.iter().any(|ending| file.path.ends_with(ending)) {
        let says = format!("has {lines} lines, more than {MOST_LINES}; find the second idea in it and give it a file");
        findings.push(Finding::new(&file.path, says));
    }
    if !file.path.ends_with(".rs") {
        return findings;
    }
    let first = file.text.lines().next().unwrap_or_default();
    if first.strip_prefix("//!").is_none_or(|says| says.trim().is_empty()) {
        findings.push(Finding::new(&file.path, "does not begin with a `//!` line that says what it owns"));
    }
    if file.name() == "mod.rs" {
        findings.push(Finding::new(&file.path, "is a mod.rs; name the file after the module, beside its folder"));
    }
    for part in file.path.trim_end_matches(".rs").split('/') {
        if let Some(drawer) = part.split(['_', '-']).find(|word| DRAWERS.contains(word)) {
            let says = format!("{drawer:?} in {part:?} says nothing; name it after what it holds");
            findings.push(Finding::new(&file.path, says));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(path: &str, text: &str) -> Vec<String> {
        check(&SourceFile::of(path, text)).into_iter().map(|finding| finding.says).collect()
    }

    #[test]
    fn a_module_begins_with_what_it_owns() {
        assert!(says("crates/a/src/b.rs", "//! Owns b.\n").is_empty());
        assert!(says("crates/a/src/b.rs", "use std::fs;\n")[0].starts_with("does not begin with"));
        assert!(says("crates/a/src/b.rs", "//!\n//! Late.\n")[0].starts_with("does not begin with"));
        assert!(says("tests/fixtures/b.rs", "")[0].starts_with("does not begin with"));
        assert!(says("notes.md", "# Notes\n").is_empty());
    }

    #[test]
    fn a_file_of_600_lines_passes_and_one_more_does_not() {
        let of = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
        assert!(says("a/long.rs", &of(600)).is_empty());
        assert!(says("a/long.rs", &of(601))[0].starts_with("has 601 lines"));
        assert!(says("a/long.css", &of(601))[0].starts_with("has 601 lines"));
        assert!(says("Cargo.lock", &of(9000)).is_empty());
    }

    #[test]
    fn a_mod_file_is_refused() {
        assert!(says("crates/a/src/b/mod.rs", "//! B.\n")[0].starts_with("is a mod.rs"));
    }

    #[test]
    fn a_module_or_folder_named_after_a_drawer_is_refused() {
        for path in ["a/src/utils.rs", "a/src/model_manager.rs", "a/src/helpers/x.rs", "crates/kith-common/src/lib.rs"] {
            assert!(says(path, "//! X.\n")[0].contains("says nothing"), "{path}");
        }
        assert!(says("a/src/uncommon.rs", "//! X.\n").is_empty());
    }
}
