//! Panels hold what the file holds.

use super::*;

/// Bytes that look random, with sane halves where scales are is not needed here: any bits must survive.
fn noise(len: usize, mut state: u64) -> Vec<u8> {
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

#[test]
fn a_row_read_from_panels_has_the_bits_of_the_row_in_the_file() {
    let pool = Pool::new(2);
    for format in Format::ALL {
        for (rows, depth) in [(1, 256), (16, 512), (37, 768)] {
            let row_bytes = format.row_bytes(depth).unwrap();
            let file = noise(rows * row_bytes, rows as u64);
            let matrix = Matrix::repack(&pool, format, rows, depth, &file).unwrap();
            let again = Matrix::from_panels(format, rows, depth, Arc::new(matrix.panels().to_vec()), 0).unwrap();
            for row in 0..rows {
                let (mut truth, mut got) = (vec![0.0; depth], vec![0.0; depth]);
                format.dequantise(&file[row * row_bytes..][..row_bytes], &mut truth);
                again.row(row, &mut got);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&truth), bits(&got), "{format:?} {rows}x{depth} row {row}");
            }
        }
    }
}

#[test]
fn bytes_of_another_shape_are_refused() {
    let pool = Pool::new(1);
    let refused = |format, rows, depth, len| Matrix::repack(&pool, format, rows, depth, &vec![0; len]).err();
    assert_eq!(refused(Format::Q4_1, 2, 33, 40), Some(BadMatrix::Depth));
    assert_eq!(refused(Format::Q4_1, 2, 32, 41), Some(BadMatrix::Length { needed: 40, given: 41 }));
    assert_eq!(refused(Format::F32, usize::MAX, 32, 0), Some(BadMatrix::Depth));
    let few = Matrix::from_panels(Format::Q8_0, 16, 32, Arc::new(vec![0u8; 543]), 0);
    assert_eq!(few.err(), Some(BadMatrix::Length { needed: 544, given: 543 }));
}

#[test]
fn empty_matrices_are_matrices() {
    let pool = Pool::new(1);
    assert_eq!(Matrix::repack(&pool, Format::Q4_0, 0, 64, &[]).unwrap().panels().len(), 0);
    assert_eq!(Matrix::repack(&pool, Format::Q4_0, 4, 0, &[]).unwrap().panels().len(), 0);
}
