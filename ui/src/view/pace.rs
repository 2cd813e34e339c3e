//! How often a window may ask by itself: a node answers a bearer so many requests an hour, and what a person does must find room.

/// Requests that may come at once after a quiet time.
const AT_ONCE: u32 = 40;
/// Milliseconds in which one more may come: 450 an hour, less than half of what a node grants.
const ONE_MORE_MS: i64 = 8_000;
/// Milliseconds between two looks while nothing happens.
const AT_REST_MS: i64 = 10_000;

/// What is left of what may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    left: u32,
    counted_ms: i64,
    looked_ms: i64,
}

impl Pace {
    /// A full measure.
    pub const fn new(now_ms: i64) -> Self {
        Self { left: AT_ONCE, counted_ms: now_ms, looked_ms: 0 }
    }

    /// Whether to look now: often while something happens, seldom otherwise, and never more than there is room for.
    pub fn looks(&mut self, now_ms: i64, is_busy: bool) -> bool {
        let more = (now_ms - self.counted_ms).max(0) / ONE_MORE_MS;
        if more > 0 {
            self.left = AT_ONCE.min(self.left.saturating_add(u32::try_from(more).unwrap_or(AT_ONCE)));
            self.counted_ms += more * ONE_MORE_MS;
        }
        let is_due = is_busy || now_ms - self.looked_ms >= AT_REST_MS;
        if !is_due || self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.looked_ms = now_ms;
        true
    }

    /// A request that must be made all the same.
    pub fn asks(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_an_hour(is_busy: bool) -> usize {
        let mut pace = Pace::new(0);
        (1..=1800).filter(|turn| pace.looks(turn * 2000, is_busy)).count()
    }

    #[test]
    fn a_window_leaves_room_for_the_person_before_it() {
        assert!(in_an_hour(true) <= 500, "{}", in_an_hour(true));
        assert!(in_an_hour(false) <= 360, "{}", in_an_hour(false));
    }

    #[test]
    fn what_happens_is_followed_closely_at_first() {
        let mut pace = Pace::new(0);
        assert_eq!((1..=20).filter(|turn| pace.looks(turn * 2000, true)).count(), 20);
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut pace = Pace::new(1_000_000);
        assert!(pace.looks(0, true));
    }
}
