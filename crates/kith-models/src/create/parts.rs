//! Models that come in several files, and folders that hold one: which files belong together.

use crate::{
    Details, ModelError,
    gguf::{Gguf, GgufError, Value},
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The most entries looked at in a folder.
const MAX_ENTRIES: usize = 10_000;

/// What a GGUF file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A whole model.
    Whole,
    /// One part of a model.
    Part {
        /// Its place, from 0.
        no: u64,
        /// How many there are.
        count: u64,
    },
}

/// Tells a whole model from a part of one.
///
/// # Errors
/// [`GgufError::Refused`] for what is neither.
pub fn shape(gguf: &Gguf) -> Result<Shape, GgufError> {
    let number = |key: &str| gguf.get(key).and_then(Value::as_u64);
    match (number("split.no"), number("split.count")) {
        (Some(no), Some(count)) if count > 1 => Ok(Shape::Part { no, count }),
        _ => Details::of(gguf).map(|_| Shape::Whole),
    }
}

/// Puts parts into their order and sees that none is missing; a whole model must stand alone.
pub fn in_order<T>(files: Vec<(T, Gguf)>) -> Result<Vec<(T, Gguf)>, GgufError> {
    let refused = |reason: String| Err(GgufError::Refused(reason));
    let mut placed = Vec::with_capacity(files.len());
    let mut tensors = 0u64;
    for (file, gguf) in files {
        tensors = tensors.saturating_add(gguf.tensors.len() as u64);
        placed.push((shape(&gguf)?, file, gguf));
    }
    if placed.len() == 1 && placed.iter().all(|(shape, ..)| *shape == Shape::Whole) {
        return Ok(placed.into_iter().map(|(_, file, gguf)| (file, gguf)).collect());
    }
    let mut expected = None;
    for (shape, ..) in &placed {
        match (shape, expected) {
            (Shape::Whole, _) => return refused("a whole model stands among several files: give it alone".to_owned()),
            (Shape::Part { count, .. }, None) => expected = Some(*count),
            (Shape::Part { count, .. }, Some(other)) if *count == other => {}
            _ => return refused("the files are parts of different models".to_owned()),
        }
    }
    let count = expected.unwrap_or(0);
    if placed.len() as u64 != count {
        return refused(format!("{} of the model's {count} parts are there: give all of them", placed.len()));
    }
    placed.sort_by_key(|(shape, ..)| match shape {
        Shape::Part { no, .. } => *no,
        Shape::Whole => 0,
    });
    if placed.iter().zip(0..).any(|((shape, ..), place)| *shape != Shape::Part { no: place, count }) {
        return refused("one part of the model is there twice and another is missing".to_owned());
    }
    let told = placed.first().and_then(|(_, _, gguf)| gguf.get("split.tensors.count")).and_then(Value::as_u64);
    if told.is_some_and(|told| told != tensors) {
        return refused("the parts hold more or fewer tensors than the first one says".to_owned());
    }
    Ok(placed.into_iter().map(|(_, file, gguf)| (file, gguf)).collect())
}

/// The files of the model at `path`: a GGUF file, any part of one (its neighbours are found by their names), or a folder that holds
/// just one model.
///
/// # Errors
/// [`ModelError::BadFile`] if the path leads to no GGUF model or to several.
pub fn at(path: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let bad = |reason: String| Err(ModelError::BadFile { reason });
    let shown = path.display();
    if !path.is_dir() {
        return match siblings(path)? {
            Some(parts) => Ok(parts),
            None => Ok(vec![path.to_owned()]),
        };
    }
    let (mut models, mut tensors) = (Vec::new(), false);
    let unreadable = |error| ModelError::BadFile { reason: format!("the folder {shown} cannot be read: {error}") };
    let entries = fs::read_dir(path).map_err(unreadable)?;
    for entry in entries.take(MAX_ENTRIES).filter_map(Result::ok) {
        let file = entry.path();
        let ends = |end: &str| file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(end));
        tensors |= ends("safetensors");
        if ends("gguf") && file.is_file() && part_of(&file).is_none_or(|(_, no, _)| no == 1) {
            models.push(file);
        }
    }
    models.sort();
    match models.as_slice() {
        [one] => Ok(siblings(one)?.unwrap_or_else(|| vec![one.clone()])),
        [] if tensors => bad(format!("the folder {shown} holds safetensors: convert it to GGUF first")),
        [] => bad(format!("the folder {shown} holds no GGUF model")),
        several => {
            let names: Vec<_> = several.iter().take(5).filter_map(|file| file.file_name()?.to_str()).collect();
            bad(format!("the folder {shown} holds {} models ({}): name one", several.len(), names.join(", ")))
        }
    }
}

/// `name-00001-of-00003.gguf`: its stem, place and number.
fn part_of(path: &Path) -> Option<(String, u32, u32)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
    let (rest, count) = name.rsplit_once("-of-")?;
    let (stem, no) = rest.rsplit_once('-')?;
    let five = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !five(no) || !five(count) {
        return None;
    }
    Some((stem.to_owned(), no.parse().ok()?, count.parse().ok()?))
}

/// All parts of the model that `path` is a part of, by their names.
fn siblings(path: &Path) -> Result<Option<Vec<PathBuf>>, ModelError> {
    let Some((stem, _, count)) = part_of(path).filter(|(_, _, count)| *count > 1) else { return Ok(None) };
    if count as usize > super::MAX_FILES {
        return Err(ModelError::BadFile {
            reason: format!("the model has {count} parts; at most {} are read", super::MAX_FILES),
        });
    }
    let parts: Vec<_> = (1..=count).map(|no| path.with_file_name(format!("{stem}-{no:05}-of-{count:05}.gguf"))).collect();
    match parts.iter().find(|part| !part.is_file()) {
        Some(missing) => {
            let reason = format!("a part of the model is missing: {}", missing.display());
            Err(ModelError::BadFile { reason })
        }
        None => Ok(Some(parts)),
    }
}

/// Opens files and reads their headers.
pub fn open(paths: &[PathBuf]) -> Result<Vec<(File, Gguf)>, ModelError> {
    paths
        .iter()
        .map(|path| {
            let unreadable = |error| ModelError::BadFile { reason: format!("`{}` cannot be opened: {error}", path.display()) };
            let file = File::open(path).map_err(unreadable)?;
            let gguf = Gguf::read(&file)?;
            Ok((file, gguf))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GgufBuilder, tiny_gguf};

    fn part(no: u16, count: u16) -> Gguf {
        let builder = GgufBuilder::default().with("split.no", Value::U16(no)).with("split.count", Value::U16(count));
        Gguf::from_bytes(&builder.build()).unwrap()
    }

    fn told(files: Vec<(u8, Gguf)>) -> Result<Vec<u8>, String> {
        in_order(files).map(|files| files.into_iter().map(|(name, _)| name).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn parts_are_put_in_order_and_must_be_all_there() {
        assert_eq!(told(vec![(2, part(1, 2)), (1, part(0, 2))]), Ok(vec![1, 2]));
        assert!(told(vec![(1, part(0, 3)), (2, part(1, 3))]).unwrap_err().contains("2 of the model's 3 parts"));
        assert!(told(vec![(1, part(0, 2)), (2, part(0, 2))]).unwrap_err().contains("there twice"));
        assert!(told(vec![(1, part(0, 2)), (2, part(1, 3))]).unwrap_err().contains("different models"));
        assert!(told(vec![(1, part(0, 2))]).unwrap_err().contains("1 of the model's 2 parts"));
        let whole = Gguf::from_bytes(&tiny_gguf(1)).unwrap();
        assert_eq!(told(vec![(1, whole.clone())]), Ok(vec![1]));
        assert!(told(vec![(1, whole.clone()), (2, whole)]).unwrap_err().contains("give it alone"));
    }

    #[test]
    fn a_path_leads_to_one_model_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, tiny_gguf(1)).unwrap();
            path
        };
        let reason = |path: &Path| at(path).unwrap_err().to_string();
        assert!(reason(folder.path()).contains("holds no GGUF model"));
        file("model.safetensors");
        assert!(reason(folder.path()).contains("holds safetensors"));
        let second = file("m-00002-of-00002.gguf");
        assert!(reason(&second).contains("m-00001-of-00002.gguf"));
        let first = file("m-00001-of-00002.gguf");
        assert_eq!(at(&second).unwrap(), [first.clone(), second.clone()]);
        assert_eq!(at(folder.path()).unwrap(), [first, second]);
        let alone = file("alone.gguf");
        assert_eq!(at(&alone).unwrap(), [alone]);
        assert!(reason(folder.path()).contains("holds 2 models (alone.gguf, m-00001-of-00002.gguf)"));
    }
}
