//! Where a node's files lie when nobody says so, and how its folder is made.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The platform's folder for a program's files, under the names that `var` looks up; `None` where there is no home.
pub fn default_data_dir(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if cfg!(windows) {
        var("APPDATA").map(|dir| dir.join("Kith"))
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|home| home.join("Library").join("Application Support").join("Kith"))
    } else {
        var("XDG_DATA_HOME")
            // The XDG specification has relative paths ignored.
            .filter(|dir| dir.is_absolute())
            .or_else(|| var("HOME").map(|home| home.join(".local").join("share")))
            .map(|dir| dir.join("kith"))
    }
}

/// Makes the folder `path` if need be, open to its owner alone.
///
/// # Errors
/// What the system said.
pub fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_data_directory_is_open_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a").join("b");
        make_private(&dir).unwrap();
        make_private(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_data_directory_follows_xdg() {
        let with = |xdg: Option<&str>, home: Option<&str>| {
            let (xdg, home) = (xdg.map(PathBuf::from), home.map(PathBuf::from));
            default_data_dir(move |name| if name == "HOME" { home.clone() } else { xdg.clone() })
        };
        assert_eq!(with(Some("/x"), Some("/h")), Some("/x/kith".into()));
        assert_eq!(with(None, Some("/h")), Some("/h/.local/share/kith".into()));
        assert_eq!(with(Some("relative"), Some("/h")), Some("/h/.local/share/kith".into()));
        assert_eq!(with(None, None), None);
    }
}
