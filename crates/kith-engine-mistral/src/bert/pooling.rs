//! From the outputs of a text's tokens to its one vector.

use super::config::Pooling;

/// The vector of a text whose tokens have these outputs; sums in double precision.
pub(super) fn pool(outputs: &[Vec<f32>], pooling: Pooling) -> Vec<f32> {
    match pooling {
        Pooling::First => outputs.first().cloned().unwrap_or_default(),
        Pooling::Last => outputs.last().cloned().unwrap_or_default(),
        Pooling::Mean => {
            let mut sum = vec![0.0f64; outputs.first().map_or(0, Vec::len)];
            for output in outputs {
                sum.iter_mut().zip(output).for_each(|(sum, number)| *sum += f64::from(*number));
            }
            let count = outputs.len().max(1) as f64;
            sum.into_iter().map(|sum| (sum / count) as f32).collect()
        }
    }
}

/// The first `dimensions` numbers, and with `unit` scaled to length 1. A vector of zeros stays one.
pub(super) fn finish(mut vector: Vec<f32>, dimensions: Option<usize>, unit: bool) -> Vec<f32> {
    if let Some(dimensions) = dimensions {
        vector.truncate(dimensions);
    }
    if unit {
        let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pooling_takes_what_its_name_says() {
        let outputs = [vec![1.0, 2.0], vec![3.0, 6.0], vec![5.0, 1.0]];
        assert_eq!(pool(&outputs, Pooling::Mean), [3.0, 3.0]);
        assert_eq!(pool(&outputs, Pooling::First), [1.0, 2.0]);
        assert_eq!(pool(&outputs, Pooling::Last), [5.0, 1.0]);
    }

    #[test]
    fn a_shortened_vector_has_length_one_again() {
        assert_eq!(finish(vec![3.0, 4.0, 12.0], None, true), [3.0 / 13.0, 4.0 / 13.0, 12.0 / 13.0]);
        assert_eq!(finish(vec![3.0, 4.0, 12.0], Some(2), true), [0.6, 0.8]);
        assert_eq!(finish(vec![3.0, 4.0, 12.0], Some(2), false), [3.0, 4.0]);
        assert_eq!(finish(vec![0.0, 0.0], None, true), [0.0, 0.0]);
    }
}
