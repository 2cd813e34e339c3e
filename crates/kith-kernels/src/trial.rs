//! A trial of an instruction set against plain Rust, before it is chosen: a processor that answers otherwise loses speed, not exactness.

use crate::{Activations, Format, Matrix, Pool, Product, Set, multiply};

/// Whether the products of a small matrix of every format have the bits of plain Rust. Takes a millisecond or so.
pub(crate) fn agrees(set: Set) -> bool {
    // Two panels that are taken together where a set does so, and one that is not whole.
    const ROWS: usize = 33;
    const DEPTH: usize = 256;
    const COLUMNS: usize = 8 + 4 + 1;
    let pool = Pool::new(1);
    // Bytes of every kind; where they make a NaN of a scale, both sides must.
    let bytes: Vec<u8> = (0..ROWS * DEPTH * 4).map(|i| (i * i * 31 + i * 7) as u8).collect();
    let values: Vec<f32> = (0..COLUMNS * DEPTH).map(|i| ((i * i * 13 + i * 5) % 509) as f32 - 254.0).collect();
    Format::ALL.into_iter().all(|format| {
        let len = format.row_bytes(DEPTH).map_or(0, |row| row * ROWS);
        let Ok(matrix) = Matrix::repack(&pool, format, ROWS, DEPTH, &bytes[..len]) else { return false };
        let product = |set: Set| {
            let mut columns = Activations::new();
            columns.load(&pool, set, &values, DEPTH);
            let mut out = vec![0.0f32; ROWS * COLUMNS];
            multiply(&pool, set, &columns, &mut [Product { matrix: &matrix, out: &mut out }]);
            out
        };
        let alike = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        product(set).iter().zip(&product(Set::scalar())).all(alike)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_this_machine_passes() {
        assert!(Set::available().iter().all(|set| agrees(*set)));
        assert_eq!(Some(&Set::best()), Set::available().last());
    }
}
