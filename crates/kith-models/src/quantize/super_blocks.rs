//! Blocks of 256 weights in groups, whose scales are themselves quantised: `Q4_K`, `Q5_K`, `Q6_K`.
//!
//! Each group's scale is found by trying a few and keeping the one with the least weighted error, in the order of the reference
//! (`quantize_row_q…_K_ref` in `ggml-quants.c`), so that the same weights give the same bytes. Sums are in `f32`, as there.

use super::{f16_to_f32, f32_to_f16, put_f16};

/// Weights in a block.
pub const SUPER_BLOCK: usize = 256;
/// Weights that share a scale and a least value in `Q4_K` and `Q5_K`.
const WIDE: usize = 32;
/// Weights that share a scale in `Q6_K`.
const NARROW: usize = 16;
/// A group whose weights are all smaller is nothing.
const NOTHING: f32 = 1e-15;

/// How the scales of a group are tried.
struct Search {
    /// The highest level.
    most: u8,
    /// The first try lies this far from the plain scale, in levels.
    from: f32,
    /// How many tries follow the first.
    steps: u8,
}

const FOUR_BITS: Search = Search { most: 15, from: -1.0, steps: 20 };
const FIVE_BITS: Search = Search { most: 31, from: -0.5, steps: 15 };
/// The distance between two tries, in levels.
const STEP: f32 = 0.1;

/// The nearest whole number, ties to even.
#[allow(clippy::cast_possible_truncation)]
fn nearest(value: f32) -> i32 {
    value.round_ties_even() as i32
}

/// The nearest of the levels from 0 to `most`.
fn level(value: f32, most: u8) -> u8 {
    u8::try_from(nearest(value).clamp(0, i32::from(most))).unwrap_or(0)
}

/// How a group is stored best.
struct Fit {
    scale: f32,
    /// How far below zero its levels begin.
    min: f32,
    levels: [u8; WIDE],
}

/// Finds it. Weights count by their size and that of their group.
fn fit(group: &[f32; WIDE], search: &Search) -> Fit {
    let most = f32::from(search.most);
    let squares = group.iter().fold(0.0f32, |sum, x| sum + x * x);
    let average = (squares / 32.0).sqrt();
    let weights = group.map(|x| average + x.abs());
    let (mut low, mut high) = (group[0], group[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * group[0]);
    for (x, w) in group.iter().zip(&weights).skip(1) {
        low = if *x < low { *x } else { low };
        high = if *x > high { *x } else { high };
        sum_w += w;
        sum_x += w * x;
    }
    low = if low > 0.0 { 0.0 } else { low };
    // Not-a-number has no order, and is nothing.
    if high.partial_cmp(&low) != Some(std::cmp::Ordering::Greater) {
        return Fit { scale: 0.0, min: -low, levels: [0; WIDE] };
    }
    let error_of = |levels: &[u8; WIDE], scale: f32, low: f32| {
        group.iter().zip(&weights).zip(levels).fold(0.0f32, |sum, ((x, w), l)| {
            let off = scale * f32::from(*l) + low - x;
            sum + w * (off * off)
        })
    };
    let levels_of = |inverse: f32, low: f32| group.map(|x| level(inverse * (x - low), search.most));
    let plain = most / (high - low);
    let (mut scale, mut levels) = (1.0 / plain, levels_of(plain, low));
    let mut least = error_of(&levels, scale, low);
    for step in 0..=search.steps {
        // From the least value found so far, which need not be the group's.
        let tried = levels_of((search.from + STEP * f32::from(step) + most) / (high - low), low);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0f32, 0.0f32, 0.0f32);
        for ((x, w), l) in group.iter().zip(&weights).zip(&tried) {
            let l = f32::from(*l);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_low = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_low > 0.0 {
                this_low = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let error = error_of(&tried, this_scale, this_low);
            if error < least {
                (least, scale, low, levels) = (error, this_scale, this_low, tried);
            }
        }
    }
    Fit { scale, min: -low, levels }
}

/// Both formats with a least value: their head of scales, and the weights' levels.
fn with_minimum(weights: &[f32; SUPER_BLOCK], search: &Search, out: &mut Vec<u8>) -> [u8; SUPER_BLOCK] {
    let groups = weights.as_chunks::<WIDE>().0;
    let fits: Vec<Fit> = groups.iter().map(|group| fit(group, search)).collect();
    let (most_scale, most_min) = fits.iter().fold((0.0f32, 0.0f32), |(scale, min), fit| {
        (if fit.scale > scale { fit.scale } else { scale }, if fit.min > min { fit.min } else { min })
    });
    let over = |most: f32| if most > 0.0 { 63.0 / most } else { 0.0 };
    let (inverse_scale, inverse_min) = (over(most_scale), over(most_min));
    let (d, d_min) = (most_scale / 63.0, most_min / 63.0);
    put_f16(d, out);
    put_f16(d_min, out);
    // Six bits each: the first four of either kind whole, of the others four bits together and two on top of the first ones.
    let parts: Vec<(u8, u8)> =
        fits.iter().map(|fit| (level(inverse_scale * fit.scale, 63), level(inverse_min * fit.min, 63))).collect();
    let mut scales = [0u8; 12];
    for (at, (scale, min)) in parts.iter().enumerate() {
        if at < 4 {
            scales[at] = *scale;
            scales[at + 4] = *min;
        } else {
            scales[at + 4] = (scale & 0xF) | ((min & 0xF) << 4);
            scales[at - 4] |= (scale >> 4) << 6;
            scales[at] |= (min >> 4) << 6;
        }
    }
    out.extend(scales);
    let (d, d_min) = (f16_to_f32(f32_to_f16(d)), f16_to_f32(f32_to_f16(d_min)));
    let mut levels = [0u8; SUPER_BLOCK];
    for (((group, fit), levels), (scale, min)) in groups.iter().zip(&fits).zip(levels.as_chunks_mut::<WIDE>().0).zip(parts) {
        let (d, min) = (d * f32::from(scale), d_min * f32::from(min));
        // Levels of a group without a scale mean nothing; the reference leaves those found first.
        *levels = if d == 0.0 { fit.levels } else { group.map(|x| level((x + min) / d, search.most)) };
    }
    levels
}

/// The low four bits of two groups beside each other, group after group.
fn put_pairs(levels: &[u8; SUPER_BLOCK], out: &mut Vec<u8>) {
    for pair in levels.as_chunks::<{ 2 * WIDE }>().0 {
        let (low, high) = pair.split_at(WIDE);
        out.extend(low.iter().zip(high).map(|(low, high)| (low & 0xF) | ((high & 0xF) << 4)));
    }
}

pub fn q4_k(weights: &[f32; SUPER_BLOCK], out: &mut Vec<u8>) {
    let levels = with_minimum(weights, &FOUR_BITS, out);
    put_pairs(&levels, out);
}

pub fn q5_k(weights: &[f32; SUPER_BLOCK], out: &mut Vec<u8>) {
    let levels = with_minimum(weights, &FIVE_BITS, out);
    let mut fifth = [0u8; WIDE];
    for (group, levels) in levels.as_chunks::<WIDE>().0.iter().enumerate() {
        for (bits, level) in fifth.iter_mut().zip(levels) {
            *bits |= (level >> 4) << group;
        }
    }
    out.extend(fifth);
    put_pairs(&levels, out);
}

/// The level of a weight, 32 being nothing.
fn level_both(value: f32) -> u8 {
    u8::try_from(nearest(value).clamp(-32, 31) + 32).unwrap_or(0)
}

/// The scale of a group whose levels lie on both sides of zero, and the levels.
fn fit_both(group: &[f32; NARROW]) -> (f32, [u8; NARROW]) {
    let (size, farthest) =
        group.iter().fold((0.0f32, 0.0f32), |(size, far), x| if x.abs() > size { (x.abs(), *x) } else { (size, far) });
    if size < NOTHING {
        return (0.0, [0; NARROW]);
    }
    let sums = |inverse: f32| {
        group.iter().fold((0.0f32, 0.0f32), |(sum_lx, sum_l2), x| {
            #[allow(clippy::cast_precision_loss)]
            let l = nearest(inverse * x).clamp(-32, 31) as f32;
            let w = x * x;
            (sum_lx + w * x * l, sum_l2 + w * l * l)
        })
    };
    let mut kept = -32.0 / farthest;
    let (sum_lx, sum_l2) = sums(kept);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_lx / sum_l2 };
    let mut best = scale * sum_lx;
    for step in (-9i8..=9).filter(|step| *step != 0) {
        let inverse = -(32.0 + STEP * f32::from(step)) / farthest;
        let (sum_lx, sum_l2) = sums(inverse);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            kept = inverse;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    (scale, group.map(|x| level_both(kept * x)))
}

pub fn q6_k(weights: &[f32; SUPER_BLOCK], out: &mut Vec<u8>) {
    let groups = weights.as_chunks::<NARROW>().0;
    let fits: Vec<(f32, [u8; NARROW])> = groups.iter().map(fit_both).collect();
    let farthest = fits.iter().fold(0.0f32, |far, (scale, _)| if scale.abs() > far.abs() { *scale } else { far });
    if farthest.is_nan() || farthest.abs() < NOTHING {
        out.resize(out.len() + 210, 0);
        return;
    }
    let inverse = -128.0 / farthest;
    let d = f16_to_f32(f32_to_f16(1.0 / inverse));
    let scales: Vec<i8> =
        fits.iter().map(|(scale, _)| i8::try_from(nearest(inverse * scale).clamp(-128, 127)).unwrap_or(0)).collect();
    let mut levels = [0u8; SUPER_BLOCK];
    for (((group, (_, found)), levels), scale) in groups.iter().zip(&fits).zip(levels.as_chunks_mut::<NARROW>().0).zip(&scales) {
        let d = d * f32::from(*scale);
        *levels = if d == 0.0 { *found } else { group.map(|x| level_both(x / d)) };
    }
    let halves = levels.as_chunks::<128>().0;
    for half in halves {
        let (first, second) = half.split_at(64);
        out.extend(first.iter().zip(second).map(|(low, high)| (low & 0xF) | ((high & 0xF) << 4)));
    }
    for half in halves {
        let quarters = half.as_chunks::<32>().0;
        out.extend((0..32).map(|at| {
            quarters.iter().enumerate().fold(0u8, |bits, (quarter, levels)| bits | ((levels[at] >> 4) << (2 * quarter)))
        }));
    }
    out.extend(scales.iter().map(|scale| scale.to_le_bytes()[0]));
    put_f16(1.0 / inverse, out);
}
