//! Values to blocks, for the formats that the bench makes: whole numbers rounded to nearest, scales searched for about the one that the
//! largest value suggests, by the sum of squared errors. How blocks lie in a file is their formats' public definition.

use kith_kernels::{
    Format,
    float::{from_f16, to_f16},
};

/// Scales that are tried on either side of the one that the largest value suggests.
const TRIES: i32 = 9;
/// By how much of a code they differ.
const STEP: f32 = 0.1;

/// Writes the blocks of `values`; whole rows of a format that [`makes`] says yes to.
pub fn quantise(format: Format, values: &[f32], bytes: &mut [u8]) {
    let blocks = values.chunks_exact(format.block_len()).zip(bytes.chunks_exact_mut(format.block_bytes()));
    for (values, bytes) in blocks {
        match format {
            Format::F16 => bytes.copy_from_slice(&to_f16(values[0]).to_le_bytes()),
            Format::Q8_0 => bytes_of_one_scale(values, bytes),
            Format::Q4_0 => four_bits(values, bytes),
            Format::Q5_0 => five_bits(values, bytes),
            Format::Q4_K => four_bits_of_eight_scales(values, bytes),
            Format::Q6_K => six_bits_of_sixteen_scales(values, bytes),
            _ => bytes.copy_from_slice(&values[0].to_le_bytes()),
        }
    }
}

/// Whether [`quantise`] can write this format.
pub const fn makes(format: Format) -> bool {
    use Format::{F16, F32, Q4_0, Q4_K, Q5_0, Q6_K, Q8_0};
    matches!(format, F32 | F16 | Q8_0 | Q4_0 | Q5_0 | Q4_K | Q6_K)
}

/// A half: the scale, then a signed byte for each of 32 values.
fn bytes_of_one_scale(values: &[f32], bytes: &mut [u8]) {
    let scale = halved(values.iter().fold(0.0, |most: f32, value| most.max(value.abs())) / 127.0, &mut bytes[..2]);
    for (byte, value) in bytes[2..].iter_mut().zip(values) {
        *byte = code(*value, scale, -127, 127) as i8 as u8;
    }
}

/// A half: the scale, then 16 bytes whose lower halves are the first 16 codes, less 8, and whose upper halves are the others.
fn four_bits(values: &[f32], bytes: &mut [u8]) {
    let scale = halved(symmetric(values, -8, 7), &mut bytes[..2]);
    let code = |value: f32| (code(value, scale, -8, 7) + 8) as u8;
    for i in 0..16 {
        bytes[2 + i] = code(values[i]) | code(values[i + 16]) << 4;
    }
}

/// A half: the scale, then 32 bits, the uppermost of each code, then the other four as in [`four_bits`].
fn five_bits(values: &[f32], bytes: &mut [u8]) {
    let scale = halved(symmetric(values, -16, 15), &mut bytes[..2]);
    let code = |value: f32| (code(value, scale, -16, 15) + 16) as u8;
    bytes[2..6].fill(0);
    for (i, value) in values.iter().enumerate() {
        bytes[2 + i / 8] |= (code(*value) >> 4) << (i % 8);
    }
    for i in 0..16 {
        bytes[6 + i] = code(values[i]) & 15 | (code(values[i + 16]) & 15) << 4;
    }
}

/// Two halves: the scale of the scales and that of the minima; eight of each, of six bits, in 12 bytes; then for every 64 values 32 bytes
/// whose lower halves are the codes of the first 32.
fn four_bits_of_eight_scales(values: &[f32], bytes: &mut [u8]) {
    let parts: Vec<(f32, f32)> = values.chunks_exact(32).map(|values| affine(values, 15)).collect();
    let most = |of: fn(&(f32, f32)) -> f32| parts.iter().map(of).fold(0.0, f32::max) / 63.0;
    let scale = halved(most(|part| part.0), &mut bytes[..2]);
    let below = halved(most(|part| part.1), &mut bytes[2..4]);
    bytes[4..16].fill(0);
    let mut codes = [0u8; 256];
    for (i, ((part, values), codes)) in parts.iter().zip(values.chunks_exact(32)).zip(codes.chunks_exact_mut(32)).enumerate() {
        let (s, m) = (code(part.0, scale, 0, 63) as u8, code(part.1, below, 0, 63) as u8);
        if i < 4 {
            bytes[4 + i] |= s;
            bytes[8 + i] |= m;
        } else {
            bytes[8 + i] |= s & 15 | (m & 15) << 4;
            bytes[i] |= (s >> 4) << 6;
            bytes[4 + i] |= (m >> 4) << 6;
        }
        let (scale, least) = (scale * f32::from(s), below * f32::from(m));
        for (to, value) in codes.iter_mut().zip(values) {
            *to = code(*value + least, scale, 0, 15) as u8;
        }
    }
    for (bytes, codes) in bytes[16..].chunks_exact_mut(32).zip(codes.chunks_exact(64)) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = codes[i] | codes[i + 32] << 4;
        }
    }
}

/// For each half of 128 values 64 bytes of lower fours of bits, then for each half 32 bytes of upper pairs, then 16 signed scales, then a half:
/// the scale of the scales.
fn six_bits_of_sixteen_scales(values: &[f32], bytes: &mut [u8]) {
    let scales: Vec<f32> = values.chunks_exact(16).map(|values| symmetric(values, -32, 31)).collect();
    let scale = halved(scales.iter().fold(0.0, |most: f32, scale| most.max(scale.abs())) / 127.0, &mut bytes[208..]);
    let mut codes = [0u8; 256];
    for (i, own) in scales.iter().enumerate() {
        let own = code(*own, scale, -127, 127);
        bytes[192 + i] = own as i8 as u8;
        for (to, value) in codes[16 * i..].iter_mut().zip(&values[16 * i..16 * (i + 1)]) {
            *to = (code(*value, scale * own as f32, -32, 31) + 32) as u8;
        }
    }
    bytes[..192].fill(0);
    for (half, codes) in codes.chunks_exact(128).enumerate() {
        for (i, code) in codes.iter().enumerate() {
            bytes[64 * half + i % 64] |= (code & 15) << (4 * (i / 64));
            bytes[128 + 32 * half + i % 32] |= (code >> 4) << (2 * (i / 32));
        }
    }
}

/// Writes a half and gives what it says.
fn halved(value: f32, bytes: &mut [u8]) -> f32 {
    let half = to_f16(value);
    bytes.copy_from_slice(&half.to_le_bytes());
    from_f16(half)
}

/// The nearest whole number of scales, kept within bounds.
fn code(value: f32, scale: f32, low: i32, high: i32) -> i32 {
    if scale == 0.0 { 0i32.clamp(low, high) } else { (value / scale).round().clamp(low as f32, high as f32) as i32 }
}

/// The scale of which whole numbers from `low`, below zero, to `high` come nearest to the values. Its sign is such that the largest value
/// gets the lowest number, since there is one more of those.
fn symmetric(values: &[f32], low: i32, high: i32) -> f32 {
    let largest = values.iter().fold(0.0, |most: f32, value| if value.abs() > most.abs() { *value } else { most });
    let mut best = (f32::INFINITY, 0.0);
    for step in -TRIES..=TRIES {
        let first = largest / (low as f32 + step as f32 * STEP);
        let (mut product, mut square) = (0.0, 0.0);
        for value in values {
            let code = code(*value, first, low, high) as f32;
            product += value * code;
            square += code * code;
        }
        // With these codes the best scale is product / square, and the squared error falls by this much.
        if square > 0.0 && -product * product / square < best.0 {
            best = (-product * product / square, product / square);
        }
    }
    best.1
}

/// A scale and a minimum, neither below zero, with which numbers from 0 to `high` times the scale, less the minimum, come nearest.
fn affine(values: &[f32], high: i32) -> (f32, f32) {
    let least = values.iter().fold(0.0, |least: f32, value| least.min(*value));
    let most = values.iter().fold(least, |most: f32, value| most.max(*value));
    let mut best = (f32::INFINITY, (0.0, -least));
    for step in -TRIES..=TRIES {
        let first = (most - least) / (high as f32 + step as f32 * STEP);
        let codes = || values.iter().map(|value| (*value, code(*value - least, first, 0, high) as f32));
        let [mut sum, mut code_sum, mut product, mut square] = [0.0; 4];
        for (value, code) in codes() {
            sum += value;
            code_sum += code;
            product += value * code;
            square += code * code;
        }
        // The straight line through values over codes; through zero where its minimum would be on the other side.
        let count = values.len() as f32;
        let spread = count * square - code_sum * code_sum;
        let (mut scale, mut minimum) = (first, -least);
        if spread > 0.0 {
            scale = (count * product - sum * code_sum) / spread;
            minimum = (scale * code_sum - sum) / count;
        }
        if minimum < 0.0 && square > 0.0 {
            (scale, minimum) = (product / square, 0.0);
        }
        let error: f32 = codes().map(|(value, code)| (scale * code - minimum - value).powi(2)).sum();
        if scale >= 0.0 && error < best.0 {
            best = (error, (scale, minimum));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of twelve even numbers, so nearly normal.
    fn noise(count: usize) -> Vec<f32> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..count).map(|_| (0..12).map(|_| next()).sum::<f32>() - 6.0).collect()
    }

    fn there_and_back(format: Format, values: &[f32]) -> Vec<f32> {
        let mut bytes = vec![0xa5; format.row_bytes(values.len()).unwrap()];
        quantise(format, values, &mut bytes);
        let mut back = vec![f32::NAN; values.len()];
        format.dequantise(&bytes, &mut back);
        back
    }

    /// The root of the mean squared error over that of the values.
    fn error(format: Format, values: &[f32]) -> f32 {
        let back = there_and_back(format, values);
        let squares = |errors: &mut dyn Iterator<Item = f32>| errors.map(|error| error * error).sum::<f32>();
        (squares(&mut back.iter().zip(values).map(|(back, value)| back - value)) / squares(&mut values.iter().copied())).sqrt()
    }

    #[test]
    fn what_comes_back_is_as_near_as_the_bits_of_the_format_allow() {
        let values = noise(1 << 16);
        for (format, most) in [
            (Format::F32, 0.0),
            (Format::F16, 3e-4),
            (Format::Q8_0, 0.006),
            (Format::Q6_K, 0.018),
            (Format::Q5_0, 0.046),
            (Format::Q4_K, 0.075),
            (Format::Q4_0, 0.09),
        ] {
            let error = error(format, &values);
            assert!(error <= most, "{format:?}: {error}");
        }
    }

    #[test]
    fn searching_is_better_than_the_largest_value_alone() {
        let values = noise(1 << 14);
        let plain: f32 = values
            .chunks_exact(32)
            .map(|values| {
                let largest = values.iter().fold(0.0, |most: f32, value| if value.abs() > most.abs() { *value } else { most });
                let scale = from_f16(to_f16(largest / -8.0));
                values.iter().map(|value| (code(*value, scale, -8, 7) as f32 * scale - value).powi(2)).sum::<f32>()
            })
            .sum();
        let plain = (plain / values.iter().map(|value| value * value).sum::<f32>()).sqrt();
        assert!(error(Format::Q4_0, &values) < 0.97 * plain);
    }

    #[test]
    fn blocks_of_one_value_and_of_nothing_come_back() {
        for format in [Format::F16, Format::Q8_0, Format::Q5_0, Format::Q4_0, Format::Q4_K, Format::Q6_K] {
            assert!(there_and_back(format, &[0.0; 256]).iter().all(|value| *value == 0.0), "{format:?}");
            for value in [0.75f32, -0.75] {
                let back = there_and_back(format, &[value; 256]);
                assert!(back.iter().all(|back| (back - value).abs() < 0.01), "{format:?}: {value} is {}", back[0]);
            }
        }
    }

    #[test]
    fn what_it_says_it_makes_is_what_it_was_tried_on() {
        assert_eq!(Format::ALL.iter().filter(|format| makes(**format)).count(), 7);
    }
}
