//! The last hour or day as values at even steps. Time in which the node did not run, or did not measure, stays empty.

use kith_wire::system::MetricsPoint;

/// How far back a plot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// An hour, minute by minute.
    Hour,
    /// A day, ten minutes by ten minutes.
    Day,
}

impl Span {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// What it is called on its button.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1 h",
            Self::Day => "24 h",
        }
    }

    /// Its heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Hour => "Last hour",
            Self::Day => "Last 24 hours",
        }
    }

    /// What one value covers.
    pub const fn step_name(self) -> &'static str {
        match self {
            Self::Hour => "a minute",
            Self::Day => "ten minutes",
        }
    }

    /// The time between two values, in milliseconds.
    pub const fn step_ms(self) -> i64 {
        match self {
            Self::Hour => 60_000,
            Self::Day => 600_000,
        }
    }

    const fn count(self) -> usize {
        match self {
            Self::Hour => 60,
            Self::Day => 144,
        }
    }
}

/// Even steps of time that end with the one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// When the first begins, in milliseconds since 1970.
    pub first_ms: i64,
    /// How long each is.
    pub step_ms: i64,
    /// How many there are.
    pub count: usize,
}

impl Steps {
    /// Those of a span that ends now.
    pub const fn until(now_ms: i64, span: Span) -> Self {
        let (step_ms, count) = (span.step_ms(), span.count());
        let last = now_ms - now_ms.rem_euclid(step_ms);
        Self { first_ms: last - (count as i64 - 1) * step_ms, step_ms, count }
    }

    /// When a step begins.
    pub fn start(&self, at: usize) -> i64 {
        self.first_ms + i64::try_from(at).unwrap_or(0) * self.step_ms
    }

    fn place(&self, point: &MetricsPoint) -> Option<usize> {
        let at = usize::try_from((point.ts_ms.ms() - self.first_ms).div_euclid(self.step_ms)).ok()?;
        (at < self.count).then_some(at)
    }

    fn gather(&self, points: &[MetricsPoint], mut add: impl FnMut(&mut Option<f64>, &MetricsPoint, usize)) -> Vec<Option<f64>> {
        let mut values = vec![None; self.count];
        for point in points {
            if let Some(at) = self.place(point)
                && let Some(value) = values.get_mut(at)
            {
                add(value, point, at);
            }
        }
        values
    }

    /// What was counted in each step.
    pub fn sums(&self, points: &[MetricsPoint], of: impl Fn(&MetricsPoint) -> Option<u64>) -> Vec<Option<f64>> {
        self.gather(points, |value, point, _| {
            if let Some(more) = of(point) {
                *value = Some(value.unwrap_or(0.0) + more as f64);
            }
        })
    }

    /// The largest of each step.
    pub fn most(&self, points: &[MetricsPoint], of: impl Fn(&MetricsPoint) -> Option<f64>) -> Vec<Option<f64>> {
        self.gather(points, |value, point, _| {
            if let Some(other) = of(point) {
                *value = Some(value.map_or(other, |value| value.max(other)));
            }
        })
    }

    /// The mean of each step, each point counting as long as it lasted.
    pub fn means(&self, points: &[MetricsPoint], of: impl Fn(&MetricsPoint) -> Option<f64>) -> Vec<Option<f64>> {
        let mut weights = vec![0.0; self.count];
        let sums = self.gather(points, |value, point, at| {
            if let (Some(more), Some(weight)) = (of(point), weights.get_mut(at))
                && point.covered_ms > 0
            {
                *value = Some(value.unwrap_or(0.0) + more * f64::from(point.covered_ms));
                *weight += f64::from(point.covered_ms);
            }
        });
        sums.into_iter().zip(weights).map(|(sum, weight)| sum.map(|sum| sum / weight)).collect()
    }

    /// The mean of all, each point counting as long as it lasted.
    pub fn mean(&self, points: &[MetricsPoint], of: impl Fn(&MetricsPoint) -> Option<f64>) -> Option<f64> {
        let all = Self { first_ms: self.first_ms, step_ms: self.step_ms * i64::try_from(self.count).ok()?, count: 1 };
        all.means(points, of).into_iter().next().flatten()
    }
}

/// Memory in use, in percent of what there is.
pub fn memory_percent(point: &MetricsPoint) -> Option<f64> {
    let total = point.memory_total_bytes.filter(|total| *total > 0)?;
    Some(point.memory_used_bytes? as f64 * 100.0 / total as f64)
}

/// All that was counted; `None` where nothing was.
pub fn total(values: &[Option<f64>]) -> Option<u64> {
    let sum: f64 = values.iter().flatten().sum();
    values.iter().any(Option::is_some).then_some(sum as u64)
}

/// The largest of all.
pub fn largest(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::Timestamp;

    fn point(minute: i64, covered_ms: u32, tokens: Option<u64>, cpu: Option<f64>) -> MetricsPoint {
        MetricsPoint {
            ts_ms: Timestamp::from_ms(minute * 60_000),
            covered_ms,
            tokens_out: tokens,
            cpu_percent: cpu,
            ..MetricsPoint::default()
        }
    }

    #[test]
    fn steps_end_with_the_one_now() {
        let steps = Steps::until(7_265_000, Span::Hour);
        assert_eq!((steps.count, steps.start(59), steps.start(0)), (60, 7_260_000, 3_720_000));
        assert_eq!(Steps::until(86_400_000, Span::Day).count, 144);
    }

    #[test]
    fn what_was_not_measured_is_a_gap_and_not_a_nought() {
        let steps = Steps { first_ms: 0, step_ms: 120_000, count: 3 };
        let points = [point(0, 60_000, Some(3), Some(10.0)), point(1, 20_000, Some(4), Some(50.0)), point(4, 60_000, None, None)];
        assert_eq!(steps.sums(&points, |point| point.tokens_out), [Some(7.0), None, None]);
        assert_eq!(steps.means(&points, |point| point.cpu_percent), [Some(20.0), None, None]);
        assert_eq!(steps.most(&points, |point| point.cpu_percent), [Some(50.0), None, None]);
        assert_eq!(steps.mean(&points, |point| point.cpu_percent), Some(20.0));
        assert_eq!(total(&[None, None]), None);
        assert_eq!(total(&[Some(2.0), None, Some(3.0)]), Some(5));
        assert_eq!(largest(&[Some(2.0), None, Some(3.0)]), Some(3.0));
    }

    #[test]
    fn points_outside_the_span_are_left_out() {
        let steps = Steps { first_ms: 60_000, step_ms: 60_000, count: 2 };
        let points = [point(0, 1, Some(1), None), point(1, 1, Some(2), None), point(3, 1, Some(4), None)];
        assert_eq!(steps.sums(&points, |point| point.tokens_out), [Some(2.0), None]);
    }

    #[test]
    fn memory_is_a_share_of_what_there_is() {
        let mut point = MetricsPoint { memory_used_bytes: Some(1), memory_total_bytes: Some(4), ..MetricsPoint::default() };
        assert_eq!(memory_percent(&point), Some(25.0));
        point.memory_total_bytes = Some(0);
        assert_eq!(memory_percent(&point), None);
    }
}
