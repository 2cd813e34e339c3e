//! What families of decoders have in common and where they differ: a table row each.

use kith_kernels::rope::Pairing;

/// Whether the files of a family hold a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// None does.
    Never,
    /// Every one does.
    Always,
    /// Some do.
    Sometimes,
}

/// How a gate opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// x / (1 + e^-x).
    Silu,
    /// The Gaussian error linear unit in its tanh form.
    Gelu,
}

/// Which layers look back only so far as the file's `attention.sliding_window` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sliding {
    /// None: a file that has a window all the same is refused.
    Never,
    /// All, where the file has a window.
    All,
    /// All but every n-th.
    ButEvery(usize),
}

/// One family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    /// `general.architecture` of its files.
    pub(crate) name: &'static str,
    /// Which values of a head are rotated together.
    pub(crate) pairing: Pairing,
    /// Biases of queries, keys and values.
    pub(crate) biases: Given,
    /// Norms over each head of queries and keys, before the rotation.
    pub(crate) head_norms: Given,
    /// Norms also after attention and after the feed-forward part, before they are added.
    pub(crate) post_norms: bool,
    /// Queries, keys and values in one tensor; gate and up in another.
    pub(crate) fused: bool,
    /// Whether its files may hold experts instead of one feed-forward part; the chosen ones' weights sum to one.
    pub(crate) experts: Given,
    /// The gate's function.
    pub(crate) gate: Gate,
    /// Embeddings are multiplied with the root of their length.
    pub(crate) scaled_embedding: bool,
    /// Soft caps of attention scores and of logits, where the file does not say.
    pub(crate) caps: Option<(f32, f32)>,
    /// Layers with a window.
    pub(crate) sliding: Sliding,
    /// The base of the rotation in layers with a window, where it is another one; those are not stretched either.
    pub(crate) sliding_base: Option<f64>,
    /// The number of layers of the one size whose attention is scaled by the width of a layer instead of that of a head.
    pub(crate) scaled_by_width: Option<usize>,
}

const LLAMA: Family = Family {
    name: "llama",
    pairing: Pairing::Neighbours,
    biases: Given::Sometimes,
    head_norms: Given::Never,
    post_norms: false,
    fused: false,
    experts: Given::Sometimes,
    gate: Gate::Silu,
    scaled_embedding: false,
    caps: None,
    sliding: Sliding::Never,
    sliding_base: None,
    scaled_by_width: None,
};

const QWEN3: Family =
    Family { name: "qwen3", pairing: Pairing::Halves, head_norms: Given::Always, experts: Given::Never, ..LLAMA };

const GEMMA2: Family = Family {
    name: "gemma2",
    pairing: Pairing::Halves,
    biases: Given::Never,
    post_norms: true,
    experts: Given::Never,
    gate: Gate::Gelu,
    scaled_embedding: true,
    caps: Some((50.0, 30.0)),
    sliding: Sliding::ButEvery(2),
    scaled_by_width: Some(46),
    ..LLAMA
};

/// All families.
pub(crate) const FAMILIES: &[Family] = &[
    LLAMA,
    Family { name: "qwen2", pairing: Pairing::Halves, biases: Given::Always, experts: Given::Never, ..LLAMA },
    QWEN3,
    Family { name: "qwen3moe", experts: Given::Always, ..QWEN3 },
    GEMMA2,
    Family {
        name: "gemma3",
        head_norms: Given::Always,
        caps: None,
        sliding: Sliding::ButEvery(6),
        sliding_base: Some(10_000.0),
        scaled_by_width: Some(62),
        ..GEMMA2
    },
    Family {
        name: "phi3",
        pairing: Pairing::Halves,
        biases: Given::Never,
        fused: true,
        experts: Given::Never,
        sliding: Sliding::All,
        ..LLAMA
    },
];

/// The family whose files have this `general.architecture`.
pub(crate) fn family(architecture: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.name == architecture)
}
