//! The inputs of products: columns of f32, and the same in 8 bits per value with one scale per group of 32.
//!
//! A group's scale is its largest magnitude divided by 127; a code is the value times 127 / largest (one rounded division), rounded to the
//! nearest integer, ties to even, from the exact product. A group whose largest magnitude is below [`NOTHING`] is all zeros. A group with an
//! infinity or a NaN has zero codes and a NaN for its scale, which makes NaN of every output of its column.

#[cfg(target_arch = "x86_64")]
mod avx2;

use crate::{GROUP, Pool, Set, math::ROUND};
use std::ops::Range;

/// Magnitudes below this count as nothing: 127 divided by them would not be finite.
pub const NOTHING: f32 = 1e-30;

/// 32 values of one column.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Group {
    /// Codes from -127 to 127.
    pub codes: [i8; GROUP],
    /// What a code of one is worth.
    pub scale: f32,
    /// Scale times the sum of the codes, rounded once.
    pub scaled_sum: f32,
    /// The sum of the codes.
    pub sum: i32,
    /// The sums of the first and the last 16 codes.
    pub halves: [i16; 2],
}

impl Group {
    const EMPTY: Self = Self { codes: [0; GROUP], scale: 0.0, scaled_sum: 0.0, sum: 0, halves: [0; 2] };

    /// 32 values in 8 bits each.
    #[inline(always)]
    fn of(values: &[f32; GROUP]) -> Self {
        let mut largest = 0;
        for value in values {
            largest = largest.max(value.to_bits() & 0x7fff_ffff);
        }
        let largest = f32::from_bits(largest);
        if !largest.is_finite() {
            return Self { scale: f32::NAN, scaled_sum: f32::NAN, ..Self::EMPTY };
        }
        if largest < NOTHING {
            return Self::EMPTY;
        }
        let per_value = 127.0 / largest;
        let mut wide = [0i32; GROUP];
        for i in 0..GROUP {
            wide[i] = values[i].mul_add(per_value, ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        }
        let mut codes = [0i8; GROUP];
        for i in 0..GROUP {
            codes[i] = wide[i] as i8;
        }
        let mut halves = [0i32; 2];
        for i in 0..16 {
            halves[0] += wide[i];
            halves[1] += wide[16 + i];
        }
        let scale = largest / 127.0;
        let sum = halves[0] + halves[1];
        Self { codes, scale, scaled_sum: scale * sum as f32, sum, halves: [halves[0] as i16, halves[1] as i16] }
    }
}

/// Values in groups of 32; a rest shorter than a group is left out, as are values beyond the groups given.
pub fn quantise(set: Set, values: &[f32], groups: &mut [Group]) {
    #[cfg(target_arch = "x86_64")]
    if set != Set::scalar() {
        // SAFETY: on x86-64, any other `Set` exists only where AVX2, FMA and F16C were detected.
        return unsafe { avx2::quantise(values, groups) };
    }
    let _ = set;
    for (values, group) in values.as_chunks().0.iter().zip(groups) {
        *group = Group::of(values);
    }
}

/// Columns of inputs for products, kept between uses so that nothing is allocated after the largest.
#[derive(Default)]
pub struct Activations {
    count: usize,
    depth: usize,
    values: Vec<f32>,
    groups: Vec<Group>,
}

impl Activations {
    /// No columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes columns of `depth` values, one after another, and quantises them if the depth is a whole number of groups.
    ///
    /// # Panics
    /// If `values` is no whole number of columns.
    pub fn load(&mut self, pool: &Pool, set: Set, values: &[f32], depth: usize) {
        self.values.clear();
        self.values.extend_from_slice(values);
        self.quantise(pool, set, values, depth);
    }

    /// The same for matrices of quantised weights alone: the values themselves are not kept, which saves a copy of all.
    ///
    /// # Panics
    /// If `values` is no whole number of columns, or `depth` no whole number of groups.
    pub fn load_codes(&mut self, pool: &Pool, set: Set, values: &[f32], depth: usize) {
        assert!(depth.is_multiple_of(GROUP), "whole groups");
        self.values.clear();
        self.quantise(pool, set, values, depth);
    }

    /// The same with twice the columns: behind those given, what each code leaves over of its value, in 8 bits again. The sum of a column's product and
    /// that of its rest is as near as one of 15 bits.
    ///
    /// # Panics
    /// If `values` is no whole number of columns, or `depth` no whole number of groups.
    pub fn load_with_rests(&mut self, pool: &Pool, set: Set, values: &[f32], depth: usize) {
        self.load_codes(pool, set, values, depth);
        let mut rests = std::mem::take(&mut self.values);
        for (group, values) in self.groups.iter().zip(values.as_chunks::<GROUP>().0) {
            rests.extend(group.codes.iter().zip(values).map(|(code, value)| f32::from(-*code).mul_add(group.scale, *value)));
        }
        let count = self.groups.len();
        self.groups.resize(2 * count, Group::EMPTY);
        quantise(set, &rests, &mut self.groups[count..]);
        self.count *= 2;
        rests.clear();
        self.values = rests;
    }

    fn quantise(&mut self, pool: &Pool, set: Set, values: &[f32], depth: usize) {
        /// Values that are quantised by one thread without asking the others.
        const ALONE: usize = 8192;
        assert!(depth > 0 && values.len().is_multiple_of(depth), "whole columns");
        self.depth = depth;
        self.count = values.len() / depth;
        let groups = if depth.is_multiple_of(GROUP) { values.len() / GROUP } else { 0 };
        self.groups.resize(groups, Group::EMPTY);
        if values.len() <= ALONE {
            quantise(set, values, &mut self.groups);
        } else if groups > 0 {
            pool.for_chunks(&mut self.groups, ALONE / GROUP, |index, groups| quantise(set, &values[index * ALONE..], groups));
        }
    }

    /// How many columns.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Values per column.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Columns in 8 bits, one after another.
    ///
    /// # Panics
    /// If there are no such columns, or the depth is no whole number of groups.
    pub fn groups(&self, columns: Range<usize>) -> &[Group] {
        assert!(columns.end <= self.count && self.depth.is_multiple_of(GROUP), "quantised columns");
        let groups = self.depth / GROUP;
        &self.groups[columns.start * groups..columns.end * groups]
    }

    /// Columns as they came, one after another.
    ///
    /// # Panics
    /// If there are no such columns, or their values were not kept.
    pub fn values(&self, columns: Range<usize>) -> &[f32] {
        &self.values[columns.start * self.depth..columns.end * self.depth]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: &[f32]) -> Group {
        let mut values = [0.0; GROUP];
        values[..first.len()].copy_from_slice(first);
        Group::of(&values)
    }

    #[test]
    fn codes_are_rounded_to_the_nearest_with_ties_to_even() {
        let group = of(&[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5, -3.2]);
        assert_eq!(group.scale, 1.0);
        assert_eq!(group.codes[..8], [127, 0, 2, 2, 0, -2, -126, -3]);
        assert_eq!((group.sum, group.halves), (0, [0, 0]));
        let group = of(&[-2.54; 20]);
        assert!(group.codes[..20].iter().all(|code| *code == -127));
        assert_eq!(group.halves, [-127 * 16, -127 * 4]);
        assert_eq!(group.scaled_sum, group.scale * (-127.0 * 20.0));
    }

    #[test]
    fn every_set_gives_the_bits_of_plain_rust() {
        let mut state = 1u64;
        let mut value = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from_bits((state >> 32) as u32)
        };
        for round in 0..2000 {
            // Any bits at all, or numbers of one size; now and then the largest there is.
            let values: [f32; GROUP] = std::array::from_fn(|_| match round % 3 {
                0 => value(),
                1 => (value().to_bits() as i32) as f32 * 1e-9,
                _ => (value().to_bits() as i32) as f32 * 1e29,
            });
            let of = |set| {
                let mut group = [Group::EMPTY];
                quantise(set, &values, &mut group);
                let [Group { codes, scale, scaled_sum, sum, halves }] = group;
                (codes, scale.to_bits(), scaled_sum.to_bits(), sum, halves)
            };
            for set in Set::available() {
                assert_eq!(of(*set), of(Set::scalar()), "{} on {values:?}", set.name());
            }
        }
    }

    #[test]
    fn what_is_not_finite_poisons_its_group_and_what_is_tiny_vanishes() {
        for poison in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let group = of(&[1.0, poison]);
            assert!(group.scale.is_nan() && group.scaled_sum.is_nan() && group.codes == [0; GROUP]);
        }
        for tiny in [0.0, -0.0, 1e-45, -9e-31] {
            assert_eq!(of(&[tiny]).scale.to_bits(), 0);
        }
        assert_eq!(of(&[f32::MAX, -1.0]).codes[..2], [127, 0]);
        assert_eq!(of(&[1e-30, -1e-30]).codes[..2], [127, -127]);
    }
}
