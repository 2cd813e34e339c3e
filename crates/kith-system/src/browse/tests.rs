//! What may be seen, and what may not.

use super::*;

/// A root with folders, and another folder beside it that is none of its business.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
    browse: Browse,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(folder.path()).unwrap();
    let (root, outside) = (base.join("root"), base.join("outside"));
    for path in ["music/jazz", "Films", ".config", "films-old"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    fs::create_dir_all(outside.join("private")).unwrap();
    fs::write(root.join("file.txt"), "x").unwrap();
    Place { _folder: folder, browse: Browse::new(vec![root.clone()]), root, outside }
}

impl Place {
    async fn list(&self, path: &Path) -> Result<Listing, SystemError> {
        self.browse.list(Some(path.to_str().unwrap().to_owned()), false).await
    }
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|entry| entry.name.as_str()).collect()
}

#[tokio::test]
async fn only_folders_are_told_by_name_and_hidden_ones_when_asked() {
    let place = place();
    let listing = place.list(&place.root).await.unwrap();
    assert_eq!(names(&listing), ["Films", "films-old", "music"]);
    assert_eq!(listing.parent, None);
    let all = place.browse.list(Some(place.root.to_str().unwrap().into()), true).await.unwrap();
    assert_eq!(all.entries.iter().filter(|entry| entry.hidden).map(|entry| entry.name.as_str()).collect::<Vec<_>>(), [".config"]);
    let inner = place.list(&place.root.join("music")).await.unwrap();
    assert_eq!((names(&inner), inner.parent.as_deref()), (vec!["jazz"], place.root.to_str()));
    let roots = place.browse.list(None, false).await.unwrap();
    assert_eq!((roots.path, roots.entries[0].path.as_str()), (None, place.root.to_str().unwrap()));
}

#[tokio::test]
async fn nothing_outside_the_roots_is_told_not_even_whether_it_is_there() {
    let place = place();
    let prefix = PathBuf::from(format!("{}-and-more", place.root.display()));
    fs::create_dir(&prefix).unwrap();
    for path in [
        &place.outside,
        &place.outside.join("private"),
        &place.outside.join("nothing"),
        Path::new("/"),
        Path::new("/etc"),
        &prefix,
    ] {
        let error = place.list(path).await.unwrap_err();
        assert!(matches!(error, SystemError::Outside), "{}: {error}", path.display());
    }
}

#[tokio::test]
async fn paths_that_play_tricks_are_refused() {
    let place = place();
    let root = place.root.to_str().unwrap();
    for path in [
        format!("{root}/../outside"),
        format!("{root}/music/../../outside"),
        "music".to_owned(),
        String::new(),
        "..".to_owned(),
        format!("{root}/\0"),
        format!("{root}/{}", "a/".repeat(3000)),
    ] {
        let error = place.browse.list(Some(path.clone()), false).await.unwrap_err();
        assert!(matches!(error, SystemError::Invalid { field: "path", .. }), "{path:?}: {error}");
    }
    // Nothing decodes a second time: these are plain names that are not there.
    for path in
        [format!("{root}/%2e%2e/outside"), format!("{root}/..%2foutside"), format!("{root}/nowhere"), format!("{root}/file.txt")]
    {
        let error = place.browse.list(Some(path.clone()), false).await.unwrap_err();
        assert!(matches!(error, SystemError::NotFound(_)), "{path:?}: {error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_leads_out_is_neither_listed_nor_followed() {
    use std::os::unix::fs::symlink;
    let place = place();
    symlink(&place.outside, place.root.join("out")).unwrap();
    symlink(place.root.join("music"), place.root.join("tunes")).unwrap();
    symlink(place.root.join("nowhere"), place.root.join("broken")).unwrap();
    let listing = place.list(&place.root).await.unwrap();
    assert_eq!(names(&listing), ["Films", "films-old", "music", "tunes"]);
    assert_eq!(listing.faults.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["out"]);
    for path in ["out", "out/private", "out/nothing"] {
        let error = place.list(&place.root.join(path)).await.unwrap_err();
        assert!(matches!(error, SystemError::Outside), "{path}: {error}");
    }
    let inner = place.list(&place.root.join("tunes")).await.unwrap();
    assert_eq!(inner.path.as_deref(), place.root.join("music").to_str());
}

#[tokio::test]
async fn a_large_folder_is_cut_and_says_so() {
    let place = place();
    let large = place.root.join("large");
    for index in 0..MAX_ENTRIES + 5 {
        fs::create_dir_all(large.join(format!("d{index:05}"))).unwrap();
    }
    let listing = place.list(&large).await.unwrap();
    assert_eq!((listing.entries.len(), listing.truncated), (MAX_ENTRIES, true));
    fs::remove_dir(large.join("d00000")).unwrap();
    assert!(!place.list(&place.root).await.unwrap().truncated);
}

#[test]
fn the_home_folder_is_a_root_everywhere() {
    assert_eq!(default_roots(Some(Path::new("/home/ann")))[0], Path::new("/home/ann"));
}
