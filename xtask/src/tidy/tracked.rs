//! What must not be in the repository: large files, model weights, addresses of package registries.

use super::Finding;
use super::source::SourceFile;

/// In bytes. Whoever clones pays for every version of a file for ever.
const LARGEST: u64 = 1 << 20;

/// Endings of model weights.
const WEIGHTS: [&str; 4] = [".gguf", ".safetensors", ".onnx", ".pth"];

/// Hosts of package registries, cut at the dots so that this file does not hold what it looks for. Which registry, or which
/// mirror of it, is used is the choice of the machine that builds.
const REGISTRIES: [&[&str]; 8] = [
    &["crates", "io"],
    &["pypi", "org"],
    &["pythonhosted", "org"],
    &["registry", "npmjs", "org"],
    &["npmjs", "com"],
    &["registry", "yarnpkg", "com"],
    &["deb", "debian", "org"],
    &["archive", "ubuntu", "com"],
];

/// All rules about one file.
pub fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lock = file.name() == "Cargo.lock";
    if file.length > LARGEST && !lock {
        findings
            .push(Finding::new(&file.path, format!("has {} bytes, more than {LARGEST}; fetch or make it instead", file.length)));
    }
    if WEIGHTS.iter().any(|ending| file.path.to_ascii_lowercase().ends_with(ending)) {
        findings.push(Finding::new(&file.path, "is a model's weights; they are fetched, never tracked"));
    }
    if !lock {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(host) = REGISTRIES.iter().map(|parts| parts.join(".")).find(|host| names(line, host)) {
                findings
                    .push(Finding::new(format!("{}:{}", file.path, number + 1), format!("names the package registry {host}")));
            }
        }
    }
    findings
}

/// Whether the line holds the host as a word of its own (or as the end of a longer host name).
fn names(line: &str, host: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.match_indices(host).any(|(at, _)| {
        let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !line[..at].ends_with(part_of_word) && !line[at + host.len()..].starts_with(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_mebibyte_passes_and_one_more_byte_does_not() {
        let of = |length| SourceFile { path: "a.png".to_owned(), length, text: String::new() };
        assert_eq!(check(&of(LARGEST)), []);
        assert!(check(&of(LARGEST + 1))[0].says.starts_with("has 1048577 bytes"));
        assert_eq!(check(&SourceFile { path: "Cargo.lock".to_owned(), ..of(LARGEST + 1) }), []);
    }

    #[test]
    fn weights_are_refused_however_small() {
        for path in ["models/tiny.gguf", "x.SAFETENSORS"] {
            assert!(check(&SourceFile::of(path, ""))[0].says.starts_with("is a model's weights"), "{path}");
        }
    }

    #[test]
    fn a_registrys_host_is_found_with_its_line() {
        let text = format!("fine\nsee https://static.{}/a\n", ["Crates", "io"].join("."));
        let findings = check(&SourceFile::of("README.md", &text));
        assert_eq!(findings[0].place, "README.md:2");
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn a_lock_file_may_name_it_and_a_longer_word_is_another() {
        let host = ["crates", "io"].join(".");
        assert_eq!(check(&SourceFile::of("Cargo.lock", &host)), []);
        assert_eq!(check(&SourceFile::of("a.rs", &format!("//! {host}ntment, my{host}"))), []);
    }
}
