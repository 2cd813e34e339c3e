//! LoRA adapters: what their files say, whether they fit a model, and folding them into a copy of its weights.
//!
//! An adapter holds, for some of a model's matrices `W` (outputs x inputs), two small ones: `A` (rank x inputs) and `B` (outputs x
//! rank). The adapted matrix is `W + s * B * A`, where `s` is the strength asked for times `alpha / rank`. Paper: arXiv 2106.09685.
//! Two kinds of files are read: safetensors as PEFT writes them, and GGUF as llama.cpp's converter writes them.

mod apart;
mod converted;
mod fit;
mod merge;
mod peft;
mod safetensors;

pub use apart::Matrices;
pub use merge::{MergeReport, Plan, merge};

use crate::{ModelError, gguf::GgmlType};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
};

/// The largest rank taken.
pub const MAX_RANK: u64 = 1024;
/// The most elements of one of an adapter's matrices: 1 GiB as `f32`.
const MAX_ELEMENTS: u64 = 1 << 28;
/// The longest `adapter_config.json` read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// Which kind of file an adapter lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoraFormat {
    /// PEFT's.
    Safetensors,
    /// llama.cpp's.
    Gguf,
}

impl LoraFormat {
    /// `safetensors` or `gguf`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
        }
    }
}

/// How strongly an adapter is meant to be applied, as far as it stands beside the file and not in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scaling {
    /// `alpha`; the file's own, or else the rank, where it is not told.
    pub alpha: Option<f32>,
    /// `alpha` of modules whose names end so, in place of the common one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alphas: BTreeMap<String, f32>,
    /// Divide by the rank's square root and not by the rank (rank-stabilised LoRA).
    #[serde(default)]
    pub rank_stabilised: bool,
}

/// An adapter whose header was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    /// Its kind of file.
    pub format: LoraFormat,
    /// Its rank; the largest, where matrices differ.
    pub rank: u64,
    /// Its common `alpha`. Where none is told it is the rank, so that the strength is 1.
    pub alpha: f32,
    /// Whether the `alpha` is told, in the file or beside it.
    pub alpha_told: bool,
    /// The architecture it was made for, where the file names it (GGUF).
    pub architecture: Option<String>,
    /// The kinds of matrices it changes, by the file's words: `q_proj`, `attn_q`; in the alphabet's order.
    pub modules: Vec<String>,
    path: PathBuf,
    pairs: Vec<Pair>,
}

/// The two matrices that change one of the model's.
#[derive(Debug, Clone, PartialEq)]
struct Pair {
    /// The model's tensor, by GGUF's name for it.
    target: String,
    a: Matrix,
    b: Matrix,
    /// `alpha / rank`, or what stands for it.
    strength: f32,
}

/// Where a matrix lies in the file, row by row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Matrix {
    rows: u64,
    columns: u64,
    kind: GgmlType,
    /// Bytes from the file's start.
    offset: u64,
}

fn bad<T>(reason: impl Into<String>) -> Result<T, ModelError> {
    Err(ModelError::BadFile { reason: reason.into() })
}

/// The beginning of a name from a file, fit to be shown in a message.
fn shown(name: &str) -> String {
    name.chars().take(96).filter(|c| !c.is_control()).collect()
}

pub(crate) fn failed(error: std::io::Error) -> ModelError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ModelError::Full,
        _ => ModelError::Failed(error.into()),
    }
}

/// Reads an adapter's header, and the `adapter_config.json` beside it if there is one.
///
/// # Errors
/// [`ModelError::BadFile`] for whatever is not a LoRA adapter that can be applied, with a sentence why.
pub fn read(path: &Path) -> Result<Lora, ModelError> {
    read_with(path, &scaling_beside(path)?)
}

/// Reads an adapter's header; `scaling` stands for what lay beside the file.
pub fn read_with(path: &Path, scaling: &Scaling) -> Result<Lora, ModelError> {
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 4];
    let is_gguf = file.read_exact(&mut magic).is_ok() && magic == *b"GGUF";
    file.rewind().map_err(failed)?;
    if is_gguf { converted::read(file, path, scaling) } else { peft::read(file, path, scaling) }
}

/// What the `adapter_config.json` beside the file says of its strength; the default where there is none, or beside a GGUF file.
pub fn scaling_beside(path: &Path) -> Result<Scaling, ModelError> {
    let config = path.with_file_name("adapter_config.json");
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) || !config.is_file() {
        return Ok(Scaling::default());
    }
    let mut text = Vec::new();
    File::open(&config).and_then(|file| file.take(MAX_CONFIG + 1).read_to_end(&mut text)).map_err(failed)?;
    if text.len() as u64 > MAX_CONFIG {
        return bad(format!("the `adapter_config.json` beside the file is longer than {MAX_CONFIG} bytes"));
    }
    peft::scaling(&text)
}

impl Lora {
    /// Puts the pairs together and checks what holds for both kinds of files.
    fn of(
        format: LoraFormat,
        path: &Path,
        alpha: Option<f32>,
        architecture: Option<String>,
        mut pairs: Vec<Pair>,
    ) -> Result<Self, ModelError> {
        for pair in &pairs {
            let Pair { a, b, target, strength } = pair;
            if a.rows != b.columns || a.rows == 0 {
                return bad(format!(
                    "the matrices for `{}` do not belong together: A has the rank {}, B has {}",
                    shown(target),
                    a.rows,
                    b.columns
                ));
            }
            if a.rows > MAX_RANK {
                return bad(format!("the rank for `{}` is {}; at most {MAX_RANK} is taken", shown(target), a.rows));
            }
            if a.elements().max(b.elements()) > MAX_ELEMENTS {
                return bad(format!("the matrices for `{}` are larger than any model's", shown(target)));
            }
            if !strength.is_finite() {
                return bad("its `alpha` is not a number");
            }
        }
        let Some(rank) = pairs.iter().map(|pair| pair.a.rows).max() else {
            return bad("the file holds no LoRA matrices");
        };
        pairs.sort_by(|one, other| one.target.cmp(&other.target));
        if let Some([one, _]) = pairs.array_windows::<2>().find(|[one, next]| one.target == next.target) {
            return bad(format!("the file changes `{}` twice", shown(&one.target)));
        }
        let modules: BTreeSet<&str> = pairs.iter().map(|pair| kind_of(&pair.target)).collect();
        let modules = modules.into_iter().map(str::to_owned).collect();
        let (alpha_told, alpha, path) = (alpha.is_some(), alpha.unwrap_or(rank as f32), path.to_owned());
        Ok(Self { format, rank, alpha, alpha_told, architecture, modules, path, pairs })
    }
}

/// `attn_q` of `blk.0.attn_q.weight`.
fn kind_of(target: &str) -> &str {
    let name = target.strip_suffix(".weight").unwrap_or(target);
    name.rsplit('.').next().unwrap_or(name)
}

impl Matrix {
    fn elements(&self) -> u64 {
        self.rows.saturating_mul(self.columns)
    }

    /// Reads the matrix row by row. Values that are not finite are refused: they would spoil every answer.
    fn load(&self, mut file: &File, target: &str) -> Result<Vec<f32>, ModelError> {
        let [rows, columns] = [self.rows, self.columns].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let mut bytes = vec![0; columns / self.kind.block() as usize * self.kind.block_bytes() as usize];
        let mut values = vec![0.0; rows.saturating_mul(columns)];
        file.seek(std::io::SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut reader = std::io::BufReader::with_capacity(1 << 18, file);
        for row in values.chunks_exact_mut(columns.max(1)) {
            reader.read_exact(&mut bytes).map_err(failed)?;
            if !crate::gguf::blocks::decode(self.kind, &bytes, row) {
                return bad(format!("the matrices for `{}` are stored as {}", shown(target), self.kind.as_str()));
            }
        }
        if values.iter().any(|value| !value.is_finite()) {
            return bad(format!("the adapter's matrices for `{}` hold values that are not numbers", shown(target)));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
