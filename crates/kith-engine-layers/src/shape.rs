//! A model's hyperparameters, read from its file by its family's row and checked: sizes, rotations, windows, caps.

use crate::{
    family::{Family, Given, Sliding, family},
    gguf::Gguf,
};
use kith_engine::EngineError;
use kith_kernels::rope::{Rope, Scaling};

/// Bounds that no model comes near; with them no product of sizes overflows.
const MOST_LAYERS: u64 = 1024;
const MOST_WIDTH: u64 = 1 << 20;
const MOST_CONTEXT: u64 = 1 << 27;
/// The window of a file that names none.
const DEFAULT_CONTEXT: u64 = 4096;
const DEFAULT_BASE: f64 = 10_000.0;
const DEFAULT_EPSILON: f64 = 1e-5;

/// Experts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Experts {
    /// How many there are.
    pub(crate) count: usize,
    /// How many work on a token.
    pub(crate) used: usize,
}

/// The sizes and constants of one model.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Its family.
    pub(crate) family: &'static Family,
    /// Layers.
    pub(crate) layers: usize,
    /// Values of a hidden state.
    pub(crate) width: usize,
    /// Query heads.
    pub(crate) heads: usize,
    /// Heads of keys and values.
    pub(crate) kv_heads: usize,
    /// Values of a head.
    pub(crate) head: usize,
    /// Values between gate and down, of one expert where there are experts.
    pub(crate) inner: usize,
    /// Experts, where there are any.
    pub(crate) experts: Option<Experts>,
    /// Tokens of the longest window the file names.
    pub(crate) context: usize,
    /// Added to the mean of squares in norms.
    pub(crate) epsilon: f32,
    /// What attention scores are multiplied with.
    pub(crate) scale: f32,
    /// The soft cap of attention scores.
    pub(crate) score_cap: Option<f32>,
    /// The soft cap of logits.
    pub(crate) logit_cap: Option<f32>,
    /// Tokens that layers with a window look back.
    pub(crate) window: Option<usize>,
    sliding: Vec<bool>,
}

impl Shape {
    /// Reads them. [`EngineError::UnsupportedModel`] says what is missing, impossible or not known here.
    pub(crate) fn read(file: &Gguf) -> Result<Self, EngineError> {
        let architecture = file.text("general.architecture").ok_or_else(|| missing("general.architecture"))?;
        let family =
            family(&architecture).ok_or_else(|| refused(format!("models of the kind {architecture:?} are not known")))?;
        let fields = Fields { file, family };
        if file.flag(&fields.name("attention.causal")) == Some(false) {
            return Err(refused(format!("{architecture} models that attend to later tokens are not known")));
        }
        let needed = |name: &str, most: u64| fields.size(name, most)?.ok_or_else(|| missing(name));
        let layers = needed("block_count", MOST_LAYERS)?;
        let width = needed("embedding_length", MOST_WIDTH)?;
        let heads = needed("attention.head_count", MOST_WIDTH)?;
        let kv_heads = fields.size("attention.head_count_kv", MOST_WIDTH)?.unwrap_or(heads);
        let head = fields.size("attention.key_length", MOST_WIDTH)?.unwrap_or(width / heads);
        let value = fields.size("attention.value_length", MOST_WIDTH)?.unwrap_or(head);
        if !heads.is_multiple_of(kv_heads) || value != head || head == 0 || !head.is_multiple_of(8) || heads * head > 1 << 24 {
            return Err(refused(format!("{heads} heads of {head} values over {kv_heads} heads of {value} are not known")));
        }
        let experts = experts(&fields)?;
        let inner = match experts {
            Some(_) => fields.size("expert_feed_forward_length", MOST_WIDTH)?,
            None => None,
        };
        let inner = inner.map_or_else(|| needed("feed_forward_length", MOST_WIDTH), Ok)?;
        let context = fields.size("context_length", MOST_CONTEXT)?.unwrap_or(DEFAULT_CONTEXT as usize);
        let epsilon = fields.fraction("attention.layer_norm_rms_epsilon").unwrap_or(DEFAULT_EPSILON) as f32;
        let window = fields.size("attention.sliding_window", MOST_CONTEXT)?.filter(|window| *window < context);
        if family.sliding == Sliding::Never && window.is_some() {
            return Err(refused(format!("{architecture} models with a sliding window are not known")));
        }
        let by_width = family.scaled_by_width == Some(layers);
        let scaled = if by_width { width / heads } else { head };
        let cap = |name: &str, usual: Option<f32>| {
            let cap = fields.fraction(name).map(|cap| cap as f32).or(usual);
            cap.filter(|cap| *cap > 0.0 && cap.is_finite())
        };
        Ok(Self {
            family,
            layers,
            width,
            heads,
            kv_heads,
            head,
            inner,
            experts,
            context,
            epsilon,
            scale: 1.0 / (scaled as f32).sqrt(),
            score_cap: cap("attn_logit_softcapping", family.caps.map(|caps| caps.0)),
            logit_cap: cap("final_logit_softcapping", family.caps.map(|caps| caps.1)),
            window,
            sliding: sliding(&fields, layers, window.is_some())?,
        })
    }

    /// Whether a layer looks back only [`Shape::window`] tokens.
    pub(crate) fn slides(&self, layer: usize) -> bool {
        self.sliding.get(layer).copied().unwrap_or_default()
    }

    /// The rotations of layers without and with a window; the same one where the family does not tell them apart.
    /// `context` is the window to be provided: some models rotate otherwise where it is long.
    pub(crate) fn ropes(&self, file: &Gguf, context: usize) -> Result<[Rope; 2], EngineError> {
        let fields = Fields { file, family: self.family };
        let dimensions = fields.size("rope.dimension_count", self.head as u64)?.unwrap_or(self.head);
        if !dimensions.is_multiple_of(2) {
            return Err(refused(format!("a rotation of {dimensions} dimensions is impossible")));
        }
        let positive = |base: f64| Some(base).filter(|base| base.is_finite() && *base > 1.0);
        let base = fields.fraction("rope.freq_base").map_or(Some(DEFAULT_BASE), positive);
        let base = base.ok_or_else(|| refused("the rotation's base is impossible".into()))?;
        let (scaling, factors) = self.scaling(&fields, dimensions, context)?;
        let pairing = self.family.pairing;
        let whole = Rope::new(pairing, dimensions, base, scaling, &factors);
        let sliding = match fields.fraction("rope.freq_base_swa").and_then(positive).or(self.family.sliding_base) {
            Some(base) => Rope::new(pairing, dimensions, base, Scaling::None, &[]),
            None => whole.clone(),
        };
        Ok([whole, sliding])
    }

    fn scaling(&self, fields: &Fields<'_>, dimensions: usize, context: usize) -> Result<(Scaling, Vec<f32>), EngineError> {
        let original = fields.size("rope.scaling.original_context_length", MOST_CONTEXT)?.unwrap_or(self.context);
        let magnitude = fields.fraction("rope.scaling.attn_factor").unwrap_or(1.0);
        let factor = fields.fraction("rope.scaling.factor").or_else(|| fields.fraction("rope.scale_linear")).unwrap_or(1.0);
        if !(factor.is_finite() && factor > 0.0 && magnitude.is_finite() && magnitude > 0.0) {
            return Err(refused("the rotation's stretching is impossible".into()));
        }
        let factors = |name: &str| -> Result<Vec<f32>, EngineError> {
            let factors = if fields.file.tensors().contains_key(name) {
                crate::weights::vector(fields.file, name, dimensions / 2)?
            } else {
                Vec::new()
            };
            match factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) {
                true => Ok(factors),
                false => Err(refused("the rotation's factors are impossible".into())),
            }
        };
        let kind = fields.file.text(&format!("{}.rope.scaling.type", self.family.name));
        let long = factors(if context > original { "rope_factors_long.weight" } else { "rope_factors_short.weight" })?;
        if !long.is_empty() {
            // Not stretched beyond its factors: only the magnitude counts.
            let (original, fast, slow) = (original as f64, 32.0, 1.0);
            return Ok((Scaling::Yarn { factor: 1.0, original, fast, slow, magnitude }, long));
        }
        let scaling = match kind.as_deref() {
            None | Some("linear") if factor != 1.0 => Scaling::Linear { factor },
            None | Some("none" | "linear") => Scaling::None,
            Some("yarn") => Scaling::Yarn {
                factor,
                original: original as f64,
                fast: fields.fraction("rope.scaling.yarn_beta_fast").unwrap_or(32.0),
                slow: fields.fraction("rope.scaling.yarn_beta_slow").unwrap_or(1.0),
                magnitude,
            },
            Some("longrope") => return Err(refused("the file does not hold its rotation's factors".into())),
            Some(other) => return Err(refused(format!("rotations stretched by {other:?} are not known"))),
        };
        Ok((scaling, factors("rope_freqs.weight")?))
    }
}

fn experts(fields: &Fields<'_>) -> Result<Option<Experts>, EngineError> {
    let count = match fields.file.number(&fields.name("expert_count")) {
        None | Some(0) => None,
        Some(_) => fields.size("expert_count", 4096)?,
    };
    match (fields.family.experts, count) {
        (Given::Never, Some(_)) => Err(refused(format!("{} models with experts are not known", fields.family.name))),
        (Given::Always, None) => Err(missing("expert_count")),
        (_, None) => Ok(None),
        (_, Some(count)) => {
            let used = fields.size("expert_used_count", count as u64)?.ok_or_else(|| missing("expert_used_count"))?;
            Ok(Some(Experts { count, used }))
        }
    }
}

/// Which layers have a window: as the file says, or else as its family does.
fn sliding(fields: &Fields<'_>, layers: usize, has_window: bool) -> Result<Vec<bool>, EngineError> {
    if !has_window {
        return Ok(vec![false; layers]);
    }
    let name = fields.name("attention.sliding_window_pattern");
    let listed = fields.file.flags(&name);
    if !listed.is_empty() {
        return if listed.len() == layers { Ok(listed) } else { Err(refused("the windows of its layers are miscounted".into())) };
    }
    let every = match fields.family.sliding {
        Sliding::Never => return Ok(vec![false; layers]),
        Sliding::All => return Ok(vec![true; layers]),
        Sliding::ButEvery(every) => fields.size("attention.sliding_window_pattern", MOST_LAYERS)?.unwrap_or(every),
    };
    Ok((0..layers).map(|layer| layer % every < every - 1).collect())
}

/// The fields of a file that begin with its family's name.
struct Fields<'a> {
    file: &'a Gguf,
    family: &'static Family,
}

impl Fields<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.family.name)
    }

    /// A size from 1 to `most`; `None` if the file does not say, and for 0 where that means the same.
    fn size(&self, name: &str, most: u64) -> Result<Option<usize>, EngineError> {
        let full = self.name(name);
        match self.file.number(&full) {
            Some(0) if name == "attention.sliding_window" => Ok(None),
            Some(size) if (1..=most).contains(&size) => Ok(usize::try_from(size).ok()),
            Some(size) => Err(refused(format!("its {name} cannot be {size}"))),
            None if self.file.has(&full) => Err(refused(format!("its {name} differs between layers or is no number"))),
            None => Ok(None),
        }
    }

    fn fraction(&self, name: &str) -> Option<f64> {
        self.file.fraction(&self.name(name)).filter(|fraction| fraction.is_finite())
    }
}

fn refused(reason: String) -> EngineError {
    EngineError::UnsupportedModel(reason)
}

fn missing(name: &str) -> EngineError {
    EngineError::UnsupportedModel(format!("the model file does not say its {name}"))
}
