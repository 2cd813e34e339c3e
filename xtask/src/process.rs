//! Programs started as a person would start them: found on the PATH, shown before they run, their failure told in one line.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How the files of programs end here, in the order they are looked for. On Windows some, like npm's, are scripts.
const ENDINGS: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };

/// The program's place on the PATH, if it is there.
pub fn on_path(program: &str) -> Option<PathBuf> {
    first_in(env::split_paths(&env::var_os("PATH")?), program, ENDINGS)
}

fn first_in(mut folders: impl Iterator<Item = PathBuf>, program: &str, endings: &[&str]) -> Option<PathBuf> {
    let inside =
        |folder: &Path| endings.iter().map(|ending| folder.join(format!("{program}{ending}"))).find(|path| path.is_file());
    folders.find_map(|folder| inside(&folder))
}

/// The command as one could type it.
pub fn shown(command: &Command) -> String {
    let word = |part: &OsStr| {
        let text = part.to_string_lossy();
        let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./=:,@+".contains(c));
        if plain { text.into_owned() } else { format!("'{text}'") }
    };
    std::iter::once(command.get_program()).chain(command.get_args()).map(word).collect::<Vec<_>>().join(" ")
}

/// Prints the command, runs it on this terminal, and fails with one line if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs the command in silence and gives what it wrote to standard output, without the last line break.
pub fn text_of(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status}): {}", String::from_utf8_lossy(&stderr).trim());
    }
    let text = String::from_utf8(stdout).with_context(|| format!("`{line}` did not print text"))?;
    Ok(text.trim_end().to_owned())
}

/// Whether the command runs and succeeds; silent either way.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Looks every `step` until `look` gives something; nothing once `limit` has passed.
pub fn poll<T>(limit: Duration, step: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begun.elapsed() >= limit {
            return None;
        }
        std::thread::park_timeout(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_could_type_it() {
        assert_eq!(
            shown(Command::new("kith").args(["run", "smollm2:135m", "two words", ""])),
            "kith run smollm2:135m 'two words' ''"
        );
    }

    #[test]
    fn a_program_may_be_a_script_where_the_system_has_such() {
        let folder = env::temp_dir().join(format!("xtask-path-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for file in ["npm.cmd", "node.cmd", "node.exe"] {
            std::fs::write(folder.join(file), "").unwrap();
        }
        let found = |program| first_in([PathBuf::from("/nowhere"), folder.clone()].into_iter(), program, &[".exe", ".cmd"]);
        assert_eq!(found("npm"), Some(folder.join("npm.cmd")));
        assert_eq!(found("node"), Some(folder.join("node.exe")));
        assert_eq!(found("python"), None);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_failing_program_is_named_with_what_it_said() {
        let error = text_of(Command::new("cargo").arg("no-such-subcommand")).unwrap_err().to_string();
        assert!(error.starts_with("`cargo no-such-subcommand` failed"), "{error}");
        let missing = run(&mut Command::new("no-such-program-here")).unwrap_err().to_string();
        assert_eq!(missing, "could not start `no-such-program-here`");
    }

    #[test]
    fn polling_ends_at_its_limit() {
        assert_eq!(poll::<()>(Duration::from_millis(5), Duration::from_millis(1), || None), None);
        assert_eq!(poll(Duration::ZERO, Duration::ZERO, || Some(7)), Some(7));
    }
}
