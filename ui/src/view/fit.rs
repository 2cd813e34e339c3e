//! Whether a model fits this machine's memory, and which of its variants fits best.

use kith_wire::system::{HubVariant, MemoryStats};

/// What a model takes beside its weights, in percent of them; the node reckons alike when it searches the hub.
const BESIDE: u128 = 15;

/// How a model and the memory for models go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// There is room now.
    Now,
    /// There is room once others leave.
    Later,
    /// There will never be room.
    Never,
    /// Nothing is known of the model's size or of the memory.
    Unknown,
}

/// Bytes of memory that a model of `size` bytes is expected to take.
pub fn needs(size: u64) -> u64 {
    u64::try_from(u128::from(size) * (100 + BESIDE) / 100).unwrap_or(u64::MAX)
}

/// Whether a model of `size` bytes fits.
pub fn fit(size: u64, memory: Option<&MemoryStats>) -> Fit {
    let Some(memory) = memory.filter(|memory| size > 0 && memory.model_budget > 0) else { return Fit::Unknown };
    let need = needs(size);
    if need > memory.model_budget {
        Fit::Never
    } else if need > memory.model_budget.saturating_sub(memory.models) {
        Fit::Later
    } else {
        Fit::Now
    }
}

/// The place of the variant to offer: the recommended one if it fits, else the largest that does, else none.
pub fn best(variants: &[HubVariant], recommended: Option<&str>) -> Option<usize> {
    let is_recommended = |variant: &HubVariant| {
        recommended.is_some_and(|label| variant.quant.as_deref() == Some(label) || variant.filename == label)
    };
    let wanted = variants.iter().position(|variant| variant.fits_vram && is_recommended(variant));
    let largest = || {
        let fitting = variants.iter().enumerate().filter(|(_, variant)| variant.fits_vram);
        fitting.max_by_key(|(_, variant)| variant.size_bytes).map(|(at, _)| at)
    };
    wanted.or_else(largest)
}

/// `part` of `whole` in percent, 0 to 100.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 100.0 / whole as f64).clamp(0.0, 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(quant: &str, size: u64, fits: bool) -> HubVariant {
        HubVariant { filename: format!("{quant}.gguf"), size_bytes: size, quant: Some(quant.into()), parts: 1, fits_vram: fits }
    }

    #[test]
    fn a_model_fits_with_what_it_takes_beside_its_weights() {
        let memory = MemoryStats { model_budget: 1_000, models: 500, ..MemoryStats::default() };
        assert_eq!(fit(400, Some(&memory)), Fit::Now);
        assert_eq!(fit(800, Some(&memory)), Fit::Later);
        assert_eq!(fit(900, Some(&memory)), Fit::Never);
        assert_eq!(fit(0, Some(&memory)), Fit::Unknown);
        assert_eq!(fit(400, None), Fit::Unknown);
        assert_eq!(needs(u64::MAX), u64::MAX);
    }

    #[test]
    fn the_recommended_variant_is_offered_if_it_fits_and_else_the_largest_that_does() {
        let all = [variant("Q2_K", 2, true), variant("Q4_K_M", 4, true), variant("Q8_0", 8, false)];
        assert_eq!(best(&all, Some("Q4_K_M")), Some(1));
        assert_eq!(best(&all, Some("Q8_0")), Some(1));
        assert_eq!(best(&all, None), Some(1));
        assert_eq!(best(&all[2..], Some("Q8_0")), None);
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert!((percent(1, 4) - 25.0).abs() < f64::EPSILON);
        assert!((percent(9, 4) - 100.0).abs() < f64::EPSILON);
        assert!(percent(1, 0).abs() < f64::EPSILON);
    }
}
