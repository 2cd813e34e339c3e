//! The engines of the product, which of them the owner prefers, and the files in which the layer engine keeps weights.

use kith_engine::Engine;
use kith_engine_layers::LayersEngine;
use kith_engine_mistral::{EncoderEngine, MistralEngine};
use kith_types::Blake3;
use std::{path::Path, sync::Arc};

/// The word for no preference.
pub(crate) const AUTO: &str = "auto";
/// The engines that read the same models, by the names under which they hold them.
const CHOICE: [&str; 2] = ["layers", "mistral.rs"];
/// The folder of weights as the layer engine's kernels want them, in the node's folder.
const PANELS: &str = "panels";
/// Weights are kept only where this many times their size is free: a faster start is not worth a full disk.
const ROOM: u64 = 4;

/// Models' engines, the preferred one first. On a computer without an accelerator that is the layer engine, for the models it reads.
pub(crate) fn usual(data_dir: &Path) -> Vec<Arc<dyn Engine>> {
    let folder = data_dir.join(PANELS);
    let disk = data_dir.to_owned();
    let may_keep = move |bytes: u64| fs4::available_space(&disk).is_ok_and(|free| free / ROOM >= bytes);
    let layers: Arc<dyn Engine> = Arc::new(LayersEngine::new().with_threads(cores()).with_panels(folder, may_keep));
    let (mistral, encoders): (Arc<dyn Engine>, Arc<dyn Engine>) =
        (Arc::new(MistralEngine::new()), Arc::new(EncoderEngine::new()));
    if kith_engine_mistral::has_accelerator() { vec![mistral, layers, encoders] } else { vec![layers, mistral, encoders] }
}

/// Cores that a model works on: two threads of one core have one multiplier between them, and a spinning one slows the other down.
pub(crate) fn cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    sysinfo::System::physical_core_count().map_or(allowed, |cores| cores.min(allowed))
}

/// The engine that the configuration prefers.
pub(crate) fn preferred(word: Option<&str>) -> Result<Option<&'static str>, String> {
    let Some(word) = word.filter(|word| *word != AUTO) else { return Ok(None) };
    let known = CHOICE.into_iter().find(|name| *name == word);
    known.map(Some).ok_or_else(|| format!("`{word}` is none of `{AUTO}`, `{}`", CHOICE.join("`, `")))
}

/// Removes the weights that were kept of a model whose bytes are about to go. One that is being loaded just then leaves its own behind until the
/// next [`remove_stale_weights`].
pub(crate) fn remove_weights_of(data_dir: &Path, blob: &Blake3) {
    let Ok(kept) = std::fs::read_dir(data_dir.join(PANELS)) else { return };
    for file in kept.flatten() {
        // Files are named after the model's file, and a blob's file is named by its digits.
        if file.file_name().to_string_lossy().starts_with(&blob.hex())
            && let Err(error) = std::fs::remove_file(file.path())
        {
            tracing::warn!(%error, "weights kept of a model that is removed stay for now");
        }
    }
}

/// Removes weights that were kept of models that are gone. Blocks on the disk.
pub(crate) fn remove_stale_weights(data_dir: &Path) {
    match kith_engine_layers::remove_stale_panels(&data_dir.join(PANELS)) {
        Ok(0) => {}
        Ok(bytes) => tracing::info!(bytes, "removed weights kept of models that are gone"),
        Err(error) => tracing::warn!(%error, "weights kept of models that are gone could not be removed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_one_of_the_names_or_none() {
        assert_eq!(preferred(None), Ok(None));
        assert_eq!(preferred(Some(AUTO)), Ok(None));
        assert_eq!(preferred(Some("mistral.rs")), Ok(Some("mistral.rs")));
        assert!(preferred(Some("steam")).is_err_and(|why| why.contains("steam") && why.contains("layers")));
        let names: Vec<_> = usual(Path::new("nowhere")).iter().map(|engine| engine.name()).collect();
        assert!(CHOICE.iter().all(|name| names.contains(name)), "{names:?}");
    }

    #[test]
    fn the_weights_of_a_removed_model_go_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let (goes, stays) = (Blake3::from_bytes([1; 32]), Blake3::from_bytes([2; 32]));
        let panels = folder.path().join(PANELS);
        remove_weights_of(folder.path(), &goes);
        std::fs::create_dir(&panels).unwrap();
        for blob in [&goes, &stays] {
            std::fs::write(panels.join(format!("{}.0-30-3.panels", blob.hex())), b"x").unwrap();
        }
        remove_weights_of(folder.path(), &goes);
        let left: Vec<_> = std::fs::read_dir(&panels).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, [format!("{}.0-30-3.panels", stays.hex()).as_str()]);
    }
}
