//! Which files may be registered: those under the folder of adapters, by a relative path that stays there, and others by their
//! absolute path.

use super::wrong;
use crate::ModelError;
use std::path::{Component, Path, PathBuf};

/// The regular file that `given` means. A path under `folder` must stay there even when links are followed.
pub fn locate(folder: &Path, given: &str) -> Result<PathBuf, ModelError> {
    let path = Path::new(given);
    if given.is_empty() || given.contains('\0') {
        return wrong("path", "`path` is missing");
    }
    // Both kinds of slashes: a path that another system would take apart is no name here either.
    if given.split(['/', '\\']).any(|part| part == "..") {
        return wrong("path", format!("`path` must not lead upwards; it is `{given}`"));
    }
    let absolute = path.is_absolute();
    if !absolute && path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return wrong("path", format!("`path` must be absolute, or relative to the folder of adapters; it is `{given}`"));
    }
    let found = if absolute { path.to_owned() } else { under(folder, path) };
    let missing = |error: std::io::Error| wrong("path", format!("`{given}`: {error}"));
    let metadata = match std::fs::metadata(&found) {
        Ok(metadata) => metadata,
        Err(error) => return missing(error),
    };
    if found.starts_with(folder) {
        match (found.canonicalize(), folder.canonicalize()) {
            (Ok(real), Ok(root)) if real.starts_with(&root) => {}
            (Err(error), _) | (_, Err(error)) => return missing(error),
            _ => return wrong("path", format!("`{given}` leads out of the folder of adapters")),
        }
    }
    if !metadata.is_file() {
        return wrong("path", format!("`{given}` is not a file"));
    }
    Ok(found)
}

/// A relative path, with or without the folder's own name before it.
fn under(folder: &Path, path: &Path) -> PathBuf {
    let plain = folder.join(path);
    match folder.file_name().map(|name| path.strip_prefix(name)) {
        Some(Ok(rest)) if !plain.exists() => folder.join(rest),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_lie_under_the_folder_and_absolute_ones_where_they_say() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("adapters");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(folder.join("sub/a.safetensors"), "x").unwrap();
        std::fs::write(root.path().join("other"), "x").unwrap();
        for given in ["sub/a.safetensors", "adapters/sub/a.safetensors", "./sub/a.safetensors"] {
            assert!(locate(&folder, given).unwrap().ends_with("sub/a.safetensors"), "{given}");
        }
        assert!(locate(&folder, root.path().join("other").to_str().unwrap()).is_ok());
        assert!(locate(&folder, folder.join("sub/a.safetensors").to_str().unwrap()).is_ok());
    }

    #[test]
    fn paths_that_lead_upwards_or_to_no_file_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("adapters");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(root.path().join("secret"), "x").unwrap();
        let up = folder.join("../secret");
        for given in ["", "\0", "../secret", "a/../../secret", "..\\secret", up.to_str().unwrap(), "nothing", "."] {
            assert!(matches!(locate(&folder, given), Err(ModelError::BadAdapter { field: "path", .. })), "{given}");
        }
        assert!(locate(&folder, root.path().to_str().unwrap()).is_err(), "a folder is no file");
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_refused_and_links_within_are_followed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("adapters");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(root.path().join("secret"), "x").unwrap();
        std::fs::write(folder.join("real"), "x").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret"), folder.join("out")).unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("in")).unwrap();
        std::os::unix::fs::symlink(root.path(), folder.join("up")).unwrap();
        for given in ["out", "up/secret"] {
            assert!(locate(&folder, given).is_err(), "{given}");
            assert!(locate(&folder, folder.join(given).to_str().unwrap()).is_err(), "{given}");
        }
        assert!(locate(&folder, "in").is_ok());
    }
}
