//! The product in plain Rust, one row and one column at a time: what the vector code is held against.

use crate::{
    Format, Group, PANEL_ROWS,
    float::from_f16,
    format::Unpacked,
    panel::{Form, group_of_row},
};

/// Quantised weights: per group the integer sums, then one or two fused multiply-adds.
pub(super) fn codes(format: Format, panel: &[u8], inputs: &[&[Group]], tile: &mut [[f32; PANEL_ROWS]]) {
    let Some(form) = Form::of(format) else { return };
    tile.fill([0.0; PANEL_ROWS]);
    let mut block = Unpacked::default();
    for index in 0..inputs[0].len() {
        for row in 0..PANEL_ROWS {
            group_of_row(format, &form, panel, index, row, &mut block);
            for (results, groups) in tile.iter_mut().zip(inputs) {
                results[row] = add(format, &form, &block, &groups[index], results[row]);
            }
        }
    }
}

/// One link of the chain.
fn add(format: Format, form: &Form, block: &Unpacked, group: &Group, sum: f32) -> f32 {
    let (d, m) = (from_f16(block.d), from_f16(block.m));
    let dot = |from: usize| -> i32 {
        let codes = block.codes[from..from + 16].iter().zip(&group.codes[from..]);
        codes
            .map(|(weight, code)| {
                let weight = if form.bits == 8 { i32::from(*weight as i8) } else { i32::from(*weight) };
                (weight - form.offset) * i32::from(*code)
            })
            .sum()
    };
    match format {
        Format::Q2_K | Format::Q3_K | Format::Q6_K => {
            let scale =
                |i: usize| if format == Format::Q2_K { i32::from(block.scales[i]) } else { i32::from(block.scales[i] as i8) };
            let whole = scale(0) * dot(0) + scale(1) * dot(16);
            let sum = (whole as f32).mul_add(d * group.scale, sum);
            if format != Format::Q2_K {
                return sum;
            }
            let minimum = |i: usize| i32::from(block.minima[i]) * i32::from(group.halves[i]);
            ((minimum(0) + minimum(1)) as f32).mul_add(-m * group.scale, sum)
        }
        Format::Q4_K | Format::Q5_K => {
            let sum = ((dot(0) + dot(16)) as f32).mul_add((d * f32::from(block.scales[0])) * group.scale, sum);
            (-m * f32::from(block.minima[0])).mul_add(group.scaled_sum, sum)
        }
        _ => {
            let sum = ((dot(0) + dot(16)) as f32).mul_add(d * group.scale, sum);
            if form.scales == 64 { m.mul_add(group.scaled_sum, sum) } else { sum }
        }
    }
}

/// Float weights: one fused multiply-add per value.
pub(super) fn floats(format: Format, panel: &[u8], inputs: &[&[f32]], tile: &mut [[f32; PANEL_ROWS]]) {
    tile.fill([0.0; PANEL_ROWS]);
    let mut weights = [0.0; PANEL_ROWS];
    for (k, line) in panel.chunks_exact(PANEL_ROWS * format.block_bytes()).enumerate() {
        format.dequantise(line, &mut weights);
        for (results, values) in tile.iter_mut().zip(inputs) {
            for (result, weight) in results.iter_mut().zip(&weights) {
                *result = weight.mul_add(values[k], *result);
            }
        }
    }
}
