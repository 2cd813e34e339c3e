//! Lines of a plot: from values over time to the points of an SVG path.

/// A path through values that are spread evenly from left to right, scaled so that `top` is at the upper edge. Gaps (`None`) break it.
pub fn line(values: &[Option<f64>], top: f64, width: f64, height: f64) -> String {
    let mut path = String::new();
    for run in runs(values) {
        let is_alone = run.len() == 1;
        for (at, value) in run {
            let command = if path.is_empty() || path.ends_with(' ') { 'M' } else { 'L' };
            let (x, y) = point(at, value, values.len(), top, width, height);
            path.push_str(&format!("{command}{x:.1},{y:.1}"));
        }
        // A line of no length, which round ends make a dot.
        path.push_str(if is_alone { "h0 " } else { " " });
    }
    path.trim_end().to_owned()
}

/// The area under the same line.
pub fn area(values: &[Option<f64>], top: f64, width: f64, height: f64) -> String {
    let mut path = String::new();
    for run in runs(values) {
        let mut first = None;
        let mut last = 0.0;
        for (at, value) in run {
            let (x, y) = point(at, value, values.len(), top, width, height);
            if first.is_none() {
                first = Some(x);
                path.push_str(&format!("M{x:.1},{height:.1}"));
            }
            last = x;
            path.push_str(&format!("L{x:.1},{y:.1}"));
        }
        if first.is_some() {
            path.push_str(&format!("L{last:.1},{height:.1}Z"));
        }
    }
    path
}

/// The largest value, raised to a round one; 1 where all is zero.
pub fn round_top(values: &[Option<f64>]) -> f64 {
    let most = values.iter().flatten().fold(0.0f64, |most, value| most.max(*value));
    if most <= 0.0 {
        return 1.0;
    }
    let step = 10f64.powf(most.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * step >= most).unwrap_or(10.0);
    factor * step
}

fn point(at: usize, value: f64, count: usize, top: f64, width: f64, height: f64) -> (f64, f64) {
    let across = if count > 1 { at as f64 / (count - 1) as f64 } else { 0.0 };
    (across * width, height - (value / top).clamp(0.0, 1.0) * height)
}

/// Stretches without gaps, each with its values' places.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push((at, *value)),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_runs_from_edge_to_edge_and_breaks_at_gaps() {
        let values = [Some(0.0), Some(10.0), None, Some(5.0)];
        assert_eq!(line(&values, 10.0, 30.0, 10.0), "M0.0,10.0L10.0,0.0 M30.0,5.0h0");
        assert_eq!(area(&values[..2], 10.0, 30.0, 10.0), "M0.0,10.0L0.0,10.0L30.0,0.0L30.0,10.0Z");
        assert_eq!(line(&[], 1.0, 1.0, 1.0), "");
    }

    #[test]
    fn tops_are_round() {
        assert_eq!(round_top(&[Some(3.2), None]), 5.0);
        assert_eq!(round_top(&[Some(0.0)]), 1.0);
        assert_eq!(round_top(&[Some(1000.0)]), 1000.0);
    }
}
