//! What a repository holds, and which of its files is meant.

use super::quant::{quant_of, rank};
use crate::{
    SourceError,
    convert::SMALL_FILES,
    reference::{Choice, Reference},
};
use kith_types::Sha256;
use serde::Deserialize;

/// The most files of one repository that are looked at.
const MAX_FILES: usize = 10_000;

/// The most files of a model in a folder.
const MAX_FOLDER: usize = 256;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// Its path in the repository.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest, for large files.
    pub sha256: Option<Sha256>,
}

/// A model of a repository: one file, or several parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The file; of several parts, the first.
    pub filename: String,
    /// Bytes, of all parts together.
    pub size: u64,
    /// The quantisation's label, if the name tells it.
    pub quant: Option<&'static str>,
    /// Parts; 1 for a whole file.
    pub parts: u32,
    /// Whether it is the one recommended.
    pub recommended: bool,
}

/// An entry of the hub's listing.
#[derive(Debug, Deserialize)]
pub struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

impl TreeEntry {
    pub fn file(self) -> Option<HubFile> {
        let plain = self.path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if self.kind != "file" || !plain {
            return None;
        }
        // The listing gives the pointed-to size, the pointer's size is of no interest.
        let (size, sha256) = match self.lfs {
            Some(lfs) => (lfs.size, lfs.oid.parse().ok()),
            None => (self.size, None),
        };
        Some(HubFile { path: self.path, size, sha256 })
    }
}

fn is_model(file: &HubFile) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    name.ends_with(".gguf") && !name.contains("mmproj") && !name.contains("imatrix")
}

/// `(stem, part, parts)` of a name that ends in `-00001-of-00003.gguf`.
fn part(path: &str) -> Option<(&str, u32, u32)> {
    let stem = path.strip_suffix(".gguf")?;
    let (rest, parts) = stem.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |text: &str| text.parse().ok().filter(|_| text.len() == 5);
    Some((stem, number(part)?, number(parts)?))
}

/// The models among the files, in the listing's order; one of them is recommended.
pub fn variants(files: &[HubFile]) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    let models: Vec<&HubFile> = files.iter().take(MAX_FILES).filter(|file| is_model(file)).collect();
    for file in &models {
        let (size, parts) = match part(&file.path) {
            None => (file.size, 1),
            Some((stem, 1, parts)) => {
                let of_it = models.iter().filter(|other| part(&other.path).is_some_and(|(other, ..)| other == stem));
                (of_it.fold(0, |sum: u64, other| sum.saturating_add(other.size)), parts)
            }
            Some(_) => continue,
        };
        let quant = quant_of(&file.path);
        variants.push(Variant { filename: file.path.clone(), size, quant, parts, recommended: false });
    }
    // Whole files before parts, then what suits most, then the smaller one.
    if let Some(best) = variants.iter_mut().min_by_key(|variant| (variant.parts > 1, rank(variant.quant), variant.size)) {
        best.recommended = true;
    }
    variants
}

/// The file of exactly this path or name.
pub fn choose_exactly(files: &[HubFile], wanted: &str) -> Option<HubFile> {
    files.iter().find(|file| file.path == wanted || file.path.rsplit('/').next() == Some(wanted)).cloned()
}

/// The file that `choice` means.
pub fn choose(repo: &str, files: &[HubFile], choice: &Choice) -> Result<HubFile, SourceError> {
    let variants = variants(files);
    let wanted = match choice {
        Choice::Recommended => variants.iter().find(|variant| variant.recommended),
        Choice::Called(text) => {
            let name = |variant: &Variant| variant.filename.rsplit('/').next().unwrap_or_default().to_owned();
            let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            let exact = |variant: &&Variant| {
                let name = name(variant);
                is(&variant.filename, text) || is(&name, text) || is(name.trim_end_matches(".gguf"), text)
            };
            let labelled = |variant: &&Variant| variant.quant.is_some_and(|label| is(label, text));
            // Of several files with the label, the whole and plain one: the shortest name.
            let by_label = || variants.iter().filter(labelled).min_by_key(|variant| (variant.parts, variant.filename.len()));
            variants.iter().find(exact).or_else(by_label)
        }
    };
    let Some(variant) = wanted else {
        let mut known: Vec<_> = variants.iter().map(|variant| variant.quant.unwrap_or(&variant.filename)).collect();
        known.dedup();
        known.truncate(20);
        return Err(SourceError::NotFound(match choice {
            _ if known.is_empty() => format!("the repository `{repo}` has no GGUF model"),
            Choice::Called(text) => format!("the repository `{repo}` has no `{text}`; it has {}", known.join(", ")),
            Choice::Recommended => format!("the repository `{repo}` has no model to recommend"),
        }));
    };
    if variant.parts > 1 {
        return Err(SourceError::Unsupported(format!(
            "`{}` comes in {} parts: only models of one file are taken",
            variant.filename, variant.parts
        )));
    }
    choose_exactly(files, &variant.filename)
        .ok_or_else(|| SourceError::NotFound(format!("the repository `{repo}` has no file `{}`", variant.filename)))
}

/// The model that `file` is, under a name of its own. It ends in the quantisation's label, if that means this file and no other of the
/// repository; else in the file's name.
///
/// # Errors
/// [`SourceError::Name`] if that means another file too, or makes no name.
pub fn reference(repo: &str, files: &[HubFile], file: &HubFile) -> Result<Reference, SourceError> {
    let meant = |text: &str| choose(repo, files, &Choice::Called(text.to_owned())).is_ok_and(|meant| meant.path == file.path);
    let label = quant_of(&file.path).filter(|label| meant(label));
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let stem = name.get(..name.len().saturating_sub(".gguf".len())).unwrap_or_default();
    // Parts and files that are no models are told by what refuses them.
    if label.is_none() && !meant(stem) && choose(repo, files, &Choice::Called(stem.to_owned())).is_ok() {
        return Err(SourceError::Name(format!(
            "`{repo}` has several files called `{name}`: `{}` has no name of its own",
            file.path
        )));
    }
    Reference::file(repo, &file.path, label)
}

/// The files of a model in a folder, of the kind that is kept as it is; `None` if the repository holds none. The weights come first.
pub fn folder(files: &[HubFile]) -> Option<Vec<HubFile>> {
    const INDEX: &str = "model.safetensors.index.json";
    let there = |name: &str| files.iter().find(|file| file.path == name);
    if !variants(files).is_empty() || SMALL_FILES.iter().any(|(name, needed)| *needed && there(name).is_none()) {
        return None;
    }
    let shard = |file: &&HubFile| {
        file.path
            .strip_prefix("model-")
            .and_then(|rest| rest.strip_suffix(".safetensors"))
            .is_some_and(|rest| !rest.contains('/'))
    };
    let mut folder: Vec<HubFile> = match there(INDEX) {
        Some(index) => files.iter().filter(shard).chain([index]).cloned().collect(),
        None => vec![there("model.safetensors")?.clone()],
    };
    folder.extend(SMALL_FILES.iter().filter_map(|(name, _)| there(name).cloned()));
    (folder.len() <= MAX_FOLDER).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64) -> HubFile {
        HubFile { path: path.to_owned(), size, sha256: None }
    }

    fn chosen(files: &[HubFile], choice: &str) -> Result<String, SourceError> {
        let choice = if choice.is_empty() { Choice::Recommended } else { Choice::Called(choice.to_owned()) };
        choose("a/b", files, &choice).map(|file| file.path)
    }

    #[test]
    fn projectors_and_other_files_are_no_models_and_parts_count_once() {
        let files = [
            file("README.md", 1),
            file("mmproj-model-f16.gguf", 1),
            file("m.Q8_0.gguf", 8),
            file("big-Q4_K_M-00001-of-00002.gguf", 3),
            file("big-Q4_K_M-00002-of-00002.gguf", 4),
        ];
        let variants = variants(&files);
        assert_eq!(
            variants.iter().map(|v| (v.filename.as_str(), v.size, v.parts)).collect::<Vec<_>>(),
            [("m.Q8_0.gguf", 8, 1), ("big-Q4_K_M-00001-of-00002.gguf", 7, 2)]
        );
        assert!(variants[0].recommended, "a whole file goes before parts");
        assert!(matches!(chosen(&files, "Q4_K_M"), Err(SourceError::Unsupported(_))));
    }

    #[test]
    fn a_file_is_meant_by_its_label_its_name_or_by_what_suits_most() {
        let files = [file("m.Q8_0.gguf", 8), file("m.Q4_K_M.gguf", 4), file("sub/other.gguf", 2)];
        assert_eq!(chosen(&files, "").unwrap(), "m.Q4_K_M.gguf");
        assert_eq!(chosen(&files, "q8_0").unwrap(), "m.Q8_0.gguf");
        assert_eq!(chosen(&files, "other").unwrap(), "sub/other.gguf");
        assert_eq!(chosen(&files, "m.Q8_0.gguf").unwrap(), "m.Q8_0.gguf");
        let missing = chosen(&files, "Q2_K").unwrap_err().to_string();
        assert!(missing.contains("Q8_0, Q4_K_M"), "{missing}");
        assert!(matches!(chosen(&[], ""), Err(SourceError::NotFound(_))));
    }

    #[test]
    fn each_file_of_a_repository_has_a_name_of_its_own() {
        let files =
            [file("m.Q8_0.gguf", 8), file("m-long.Q8_0.gguf", 8), file("odd.gguf", 1), file("a/x.gguf", 1), file("b/x.gguf", 1)];
        let name = |at: usize| reference("a/b", &files, &files[at]).map(|reference| reference.name.to_string());
        assert_eq!(name(0).unwrap(), "hf.co/a/b:Q8_0");
        assert_eq!(name(1).unwrap(), "hf.co/a/b:m-long.Q8_0", "the label means the other one");
        assert_eq!((name(2).unwrap(), name(3).unwrap()), ("hf.co/a/b:odd".to_owned(), "hf.co/a/b:x".to_owned()));
        assert!(matches!(name(4), Err(SourceError::Name(_))));
        for at in 0..4 {
            let reference = Reference::parse(&name(at).unwrap()).unwrap();
            let crate::reference::Place::Hub { choice, .. } = reference.place else { panic!("of the hub") };
            assert_eq!(choose("a/b", &files, &choice).unwrap(), files[at], "a name leads back to its file");
        }
    }

    #[test]
    fn a_listing_cannot_lead_out_of_its_repository() {
        let entry = |path: &str| TreeEntry { kind: "file".into(), path: path.into(), size: 1, lfs: None };
        assert!(entry("a/b.gguf").file().is_some());
        assert!(entry("../b.gguf").file().is_none() && entry("a//b").file().is_none());
    }
}
