//! `test`: all that CI needs, step by step, each with its duration. The test runner comes last, so that its own closing
//! line ends the output.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::tidy::{self, source};
use crate::{bundle, icons, pages, process, setup};

/// One set of features and one profile for every command: `-p` would choose other features and compile anew.
const WHOLE: [&str; 2] = ["--workspace", "--all-targets"];

/// Cargo in the workspace, with the shared build folder.
///
/// What `cargo run` told this program of itself is taken back: build scripts (ring's) watch those variables, and a checkout in
/// another folder would have everything above them compiled anew.
pub fn cargo(paths: &Paths) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(speaks_of_this_program) {
            command.env_remove(name);
        }
    }
    command
}

fn speaks_of_this_program(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|start| variable.starts_with(start))
}

/// The one build.
pub fn build(paths: &Paths) -> Command {
    make_way_for_own_program(paths);
    let mut command = cargo(paths);
    command.arg("build").args(WHOLE);
    command
}

/// The programs as they are given away. All crates choose the features, as in the one build; of the tests nothing is compiled.
///
/// The feature tells Tauri that this is no development. The one build never has it: Tauri would be compiled anew, back and forth.
pub fn release(paths: &Paths) -> Command {
    let mut command = cargo(paths);
    command.args(["build", "--workspace", "--bins", "--release", "--features", "kith-desktop/custom-protocol"]);
    command
}

/// Runs every step; stops at the first that fails.
pub fn run(paths: &Paths) -> Result<()> {
    let ready = step("setup", || setup::everything(paths))?;
    step("pages", || pages::build(paths, pages::Effort::Small))?;
    step("icons", || icons::build(paths))?;
    step("format", || process::run(cargo(paths).args(["fmt", "--all", "--check"])))?;
    step("tidy", || tidy::run(&paths.root))?;
    step("clippy", || process::run(cargo(paths).arg("clippy").args(WHOLE).args(["--", "-D", "warnings"])))?;
    step("build", || process::run(&mut build(paths)))?;
    let installers = step("bundle", || bundle::for_tests(paths, &ready.model))?;
    if has_doctests(&paths.root)? {
        step("doctests", || process::run(cargo(paths).args(["test", "--workspace", "--doc", "--quiet"])))?;
    }
    let mut tests = cargo(paths);
    tests.args(["nextest", "run"]).args(WHOLE);
    if env::var_os("CI").is_some() {
        tests.args(["--profile", "ci"]);
    }
    tests.env("KITH_TEST_MODEL", &ready.model).env("KITH_TEST_EMBEDDING_MODEL", &ready.encoder);
    tests.env("KITH_TEST_PYTHON", &ready.python.program).envs(ready.python.environment());
    if let Some(folder) = installers {
        tests.env("KITH_TEST_INSTALLERS", folder);
    }
    if let Some(folder) = &ready.javascript {
        tests.env("KITH_TEST_JAVASCRIPT", folder);
    }
    if let Some(folder) = ready.promtool.as_deref().and_then(Path::parent) {
        tests.env("PATH", with_folder(folder, env::var_os("PATH").unwrap_or_default())?);
    }
    process::run(&mut tests)
}

/// A search path that also looks into the folder, last.
fn with_folder(folder: &Path, path: OsString) -> Result<OsString> {
    env::join_paths(env::split_paths(&path).chain([folder.to_path_buf()])).context("a folder's name cannot stand in PATH")
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    eprintln!("== {name}");
    let outcome = work().with_context(|| format!("{name} failed after {:.1} s", begun.elapsed().as_secs_f64()))?;
    eprintln!("== {name}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(outcome)
}

/// Windows does not let a running program be overwritten, but does let it be renamed. Elsewhere, or where this program was
/// not built into the shared folder, nothing is in the way.
fn make_way_for_own_program(paths: &Paths) {
    if cfg!(windows)
        && let Ok(own) = env::current_exe()
        && own.starts_with(&paths.target)
    {
        // Should it fail, the build says so better than this could.
        let _ = fs::rename(&own, own.with_extension("running.exe"));
    }
}

fn has_doctests(root: &Path) -> Result<bool> {
    let files = source::read_all(root)?;
    Ok(files.iter().any(|file| file.path.ends_with(".rs") && shows_code(&file.text)))
}

/// Whether a documentation comment opens a code block that is compiled as Rust.
fn shows_code(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        let Some(fence) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim) else {
            inside = false;
            continue;
        };
        if let Some(language) = fence.strip_prefix("```") {
            inside = !inside;
            if inside && matches!(language, "" | "rust" | "no_run" | "should_panic" | "compile_fail") {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_who_called_it() {
        assert!(speaks_of_this_program("CARGO_MANIFEST_DIR") && speaks_of_this_program("CARGO_PKG_NAME"));
        assert!(!speaks_of_this_program("CARGO_TARGET_DIR") && !speaks_of_this_program("CARGO_HOME"));
    }

    #[test]
    fn a_rust_block_in_a_documentation_comment_is_a_doctest() {
        assert!(shows_code("/// Adds.\n/// ```\n/// assert!(true);\n/// ```\nfn add() {}\n"));
        assert!(shows_code("//! ```no_run\n//! ```\n"));
    }

    #[test]
    fn a_block_of_another_language_or_in_a_plain_comment_is_not() {
        assert!(!shows_code("/// ```text\n/// a table\n/// ```\nfn add() {}\n"));
        assert!(!shows_code("// ```\n// plain\n// ```\n"));
        assert!(!shows_code("let fence = \"```\";\n"));
    }

    #[test]
    fn a_failed_step_is_told_in_one_line_that_names_it() {
        let error = step("format", || -> Result<()> { anyhow::bail!("two files differ") }).unwrap_err();
        let line = format!("{error:#}");
        assert!(line.starts_with("format failed after ") && line.ends_with(" s: two files differ"), "{line}");
    }
}
