//! The roots where the owner names none: the home folder, and where the system mounts volumes.

use std::path::{Path, PathBuf};

/// The home folder and the places where volumes are mounted on this system.
pub fn default_roots(home: Option<&Path>) -> Vec<PathBuf> {
    // A home folder that is the whole disk, as services and containers have, is nobody's home.
    let home = home.filter(|home| home.parent().is_some());
    let mut roots: Vec<PathBuf> = home.map(Path::to_owned).into_iter().collect();
    roots.extend(volumes(home));
    roots
}

#[cfg(target_os = "macos")]
fn volumes(_: Option<&Path>) -> Vec<PathBuf> {
    vec!["/Volumes".into()]
}

#[cfg(windows)]
fn volumes(_: Option<&Path>) -> Vec<PathBuf> {
    ('A'..='Z').map(|letter| PathBuf::from(format!("{letter}:\\"))).collect()
}

#[cfg(all(unix, not(target_os = "macos")))]
fn volumes(home: Option<&Path>) -> Vec<PathBuf> {
    let mut volumes = vec![PathBuf::from("/mnt")];
    // Desktops mount what a person plugs in under their name.
    if let Some(user) = home.and_then(Path::file_name) {
        volumes.push(Path::new("/media").join(user));
        volumes.push(Path::new("/run/media").join(user));
    }
    volumes
}
