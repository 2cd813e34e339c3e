//! What the app is started with. Systems add arguments of their own, so what is not known is passed over.

use std::{ffi::OsString, path::PathBuf, time::Duration};

/// How long a hidden window is kept: soon enough that memory comes back, late enough that a second look is quick.
const DROP_AFTER: Duration = Duration::from_secs(10 * 60);

/// The arguments, completed from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The node's folder, absolute.
    pub data_dir: PathBuf,
    /// Begin in the tray, as at login.
    pub hidden: bool,
    /// Only tell the version.
    pub version: bool,
    /// A `kith://` address to go to.
    pub link: Option<String>,
    /// How long a hidden window is kept.
    pub drop_after: Duration,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// One line for a person.
    pub fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::read_with(arguments, var)
    }

    fn read_with(arguments: impl Iterator<Item = OsString>, var: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, String> {
        let (mut data_dir, mut hidden, mut version, mut link, mut drop_after) = (None, false, false, None, DROP_AFTER);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy();
            if let Some(value) = text.strip_prefix("--data-dir=") {
                data_dir = Some(PathBuf::from(value));
            } else {
                match text.as_ref() {
                    "--data-dir" => data_dir = Some(arguments.next().ok_or("--data-dir needs a folder")?.into()),
                    "--drop-after" => {
                        let seconds = arguments.next().and_then(|value| value.to_string_lossy().parse().ok());
                        drop_after = Duration::from_secs(seconds.ok_or("--drop-after needs a number of seconds")?);
                    }
                    "--hidden" => hidden = true,
                    "--version" => version = true,
                    other if other.starts_with("kith://") => link = Some(other.to_owned()),
                    _ => {}
                }
            }
        }
        let data_dir = match data_dir.or_else(|| var("KITH_DATA_DIR")) {
            Some(dir) if dir.as_os_str().is_empty() => return Err("--data-dir is empty".to_owned()),
            Some(dir) => dir,
            None => kith_node::default_data_dir(var).ok_or("there is no home directory; name a folder with --data-dir")?,
        };
        let data_dir =
            std::path::absolute(&data_dir).map_err(|error| format!("cannot resolve {}: {error}", data_dir.display()))?;
        Ok(Self { data_dir, hidden, version, link, drop_after })
    }
}

/// Whether a window can be shown.
pub fn has_display(var: impl Fn(&str) -> Option<OsString>) -> bool {
    if cfg!(any(windows, target_os = "macos")) {
        return true;
    }
    ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(|name| var(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let var = |name: &str| (name == "KITH_DATA_DIR").then(|| PathBuf::from("/usual"));
        Options::read_with(line.split_whitespace().map(OsString::from), var)
    }

    #[test]
    fn what_is_known_is_taken_and_the_rest_passed_over() {
        let options = read("--hidden --data-dir /d -psn_0_1 kith://chat/abc").unwrap();
        assert!(options.hidden && !options.version);
        assert!(options.data_dir.ends_with("d"));
        assert_eq!(options.link.as_deref(), Some("kith://chat/abc"));
        assert!(read("").unwrap().data_dir.ends_with("usual"));
        assert_eq!(read("--drop-after 3").unwrap().drop_after, Duration::from_secs(3));
        assert_eq!(read("--drop-after soon").unwrap_err(), "--drop-after needs a number of seconds");
        assert!(read("--data-dir=/x").unwrap().data_dir.ends_with("x"));
    }

    #[test]
    fn an_unfinished_folder_is_refused() {
        assert_eq!(read("--data-dir").unwrap_err(), "--data-dir needs a folder");
        assert_eq!(read("--data-dir=").unwrap_err(), "--data-dir is empty");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_display_there_is_no_window() {
        assert!(has_display(|name| (name == "DISPLAY").then(|| ":1".into())));
        assert!(!has_display(|name| (name == "DISPLAY").then(OsString::new)));
    }
}
