//! The documents at the root that a newcomer and CI rely on.

use super::Finding;
use super::source::SourceFile;

/// An architecture page that takes longer to read is not read.
const MOST_ARCHITECTURE: usize = 80;

/// Files that must hold these words.
const MUST_SAY: [(&str, &[&str]); 2] =
    [("README.md", &["cargo xtask run", "cargo xtask test"]), (".ci/run", &["cargo xtask test"])];

/// Files that must be there.
const MUST_BE: [&str; 5] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE-APACHE", "LICENSE-MIT", "docs/benchmarks.md"];

/// All rules about the documents.
pub fn check(files: &[SourceFile]) -> Vec<Finding> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let mut findings = Vec::new();
    for path in MUST_BE.into_iter().chain(MUST_SAY.map(|(path, _)| path)).filter(|path| find(path).is_none()) {
        findings.push(Finding::new(path, "is missing"));
    }
    for (path, words) in MUST_SAY {
        let Some(file) = find(path) else { continue };
        for word in words.iter().filter(|word| !file.text.contains(*word)) {
            findings.push(Finding::new(path, format!("does not say `{word}`")));
        }
    }
    if let Some(file) = find("ARCHITECTURE.md") {
        let lines = file.text.lines().count();
        if lines >= MOST_ARCHITECTURE {
            findings.push(Finding::new(&file.path, format!("has {lines} lines; under {MOST_ARCHITECTURE} is what people read")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Vec<SourceFile> {
        let mut files: Vec<SourceFile> = MUST_BE.iter().map(|path| SourceFile::of(path, "text\n")).collect();
        files.push(SourceFile::of("README.md", "cargo xtask run\ncargo xtask test\n"));
        files.push(SourceFile::of(".ci/run", "exec cargo xtask test\n"));
        files
    }

    #[test]
    fn a_complete_set_has_no_finding() {
        assert_eq!(check(&complete()), []);
    }

    #[test]
    fn a_missing_document_is_named() {
        let files: Vec<SourceFile> = complete().into_iter().filter(|file| file.path != "LICENSE-MIT").collect();
        assert_eq!(check(&files), [Finding::new("LICENSE-MIT", "is missing")]);
    }

    #[test]
    fn a_readme_without_both_commands_is_a_finding() {
        let mut files = complete();
        files.retain(|file| file.path != "README.md");
        files.push(SourceFile::of("README.md", "cargo xtask test\n"));
        assert_eq!(check(&files), [Finding::new("README.md", "does not say `cargo xtask run`")]);
    }

    #[test]
    fn an_architecture_page_of_eighty_lines_is_too_long() {
        let mut files = complete();
        files[0].text = "line\n".repeat(79);
        assert_eq!(check(&files), []);
        files[0].text = "line\n".repeat(80);
        assert_eq!(check(&files).len(), 1);
    }
}
