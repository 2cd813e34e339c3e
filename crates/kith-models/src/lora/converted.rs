//! Adapters as llama.cpp's converter writes them: GGUF with the base model's own names and its layout of rows.

use super::{Lora, LoraFormat, Matrix, Pair, Scaling, bad, shown};
use crate::{
    ModelError,
    gguf::{Gguf, TensorInfo, blocks},
};
use std::{collections::BTreeMap, fs::File, path::Path};

/// Reads the header of the GGUF file. Keys: llama.cpp, `llama-adapter.cpp`.
pub fn read(file: File, path: &Path, scaling: &Scaling) -> Result<Lora, ModelError> {
    let gguf = Gguf::read(file)?;
    let text = |key: &str| gguf.get(key).and_then(|value| value.as_str());
    if text("general.type") != Some("adapter") {
        return bad("the file is a model, not an adapter to one");
    }
    if let Some(kind) = text("adapter.type").filter(|kind| *kind != "lora") {
        return bad(format!("the adapter is of the kind {}, not LoRA", shown(kind)));
    }
    let told = gguf.get("adapter.lora.alpha").and_then(|value| value.as_f64()).map(|alpha| alpha as f32);
    let alpha = scaling.alpha.or(told);
    let mut modules = BTreeMap::<String, (Option<Matrix>, Option<Matrix>)>::new();
    for tensor in &gguf.tensors {
        let (target, is_a) = match (tensor.name.strip_suffix(".lora_a"), tensor.name.strip_suffix(".lora_b")) {
            (Some(target), _) => (target, true),
            (None, Some(target)) => (target, false),
            (None, None) => return bad(format!("the file holds `{}`, which is not a LoRA matrix", shown(&tensor.name))),
        };
        let matrix = matrix(&gguf, tensor)?;
        let pair = modules.entry(target.to_owned()).or_default();
        // Names occur once in a header that was read.
        *if is_a { &mut pair.0 } else { &mut pair.1 } = Some(matrix);
    }
    let pairs = modules.into_iter().map(|(target, matrices)| {
        let (Some(a), Some(b)) = matrices else {
            return bad(format!("one of the two matrices for `{}` is missing", shown(&target)));
        };
        // Without an alpha, or with zero, the matrices hold the whole strength already.
        let strength = alpha.filter(|alpha| *alpha != 0.0).map_or(1.0, |alpha| alpha / a.rows as f32);
        Ok(Pair { target, a, b, strength })
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    let architecture = gguf.architecture().map(str::to_owned);
    Lora::of(LoraFormat::Gguf, path, alpha.filter(|alpha| *alpha != 0.0), architecture, pairs)
}

fn matrix(gguf: &Gguf, tensor: &TensorInfo) -> Result<Matrix, ModelError> {
    let &[columns, rows] = &tensor.shape[..] else {
        return bad(format!("`{}` has {} dimensions; a matrix has two", shown(&tensor.name), tensor.shape.len()));
    };
    if !blocks::decodable(tensor.kind) {
        return bad(format!("`{}` is stored as {}, which is not read", shown(&tensor.name), tensor.kind.as_str()));
    }
    Ok(Matrix { rows, columns, kind: tensor.kind, offset: gguf.data_offset + tensor.offset })
}
