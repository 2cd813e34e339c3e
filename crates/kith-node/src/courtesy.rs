//! Cores that a model leaves to others: that share of them which other programs keep busy, and half of them in quiet hours.
//!
//! The threads of a model wait for each other many times for each token. One that has to share its core with another program holds all of them up, so
//! fewer threads are faster then, and the user's own work is not slowed.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Readings closer together say nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// Watches what other programs do.
pub(crate) struct Courtesy {
    /// Cores that a model works on when nobody else does.
    cores: usize,
    state: Mutex<State>,
}

struct State {
    probe: Probe,
    last: Option<Instant>,
    /// Cores by the reading before: fewer are used only where two readings in a row say so.
    before: usize,
    /// What was last allowed.
    allowed: Option<usize>,
}

impl Courtesy {
    /// For models that work on so many cores at most.
    pub fn new(cores: usize) -> Self {
        Self { cores, state: Mutex::new(State { probe: Probe::default(), last: None, before: cores, allowed: None }) }
    }

    /// Looks at the machine; to be called once a second or so. Gives the cores that a model may use where that has changed.
    pub fn look(&self, quiet: bool) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| last.elapsed() < SHORTEST) {
            return None;
        }
        state.last = Some(Instant::now());
        let busy = state.probe.others();
        let now = left(self.cores, busy);
        let cores = now.max(std::mem::replace(&mut state.before, now));
        let allowed = cores.min(if quiet { self.cores.div_ceil(2) } else { self.cores });
        (state.allowed.replace(allowed) != Some(allowed)).then_some(allowed)
    }
}

/// Of `cores`, those that are left where others keep such a share of the machine busy; at least one. A share, since the system's processors may be more
/// than a model's cores: two to a core, or those of a host of which this program has a part.
fn left(cores: usize, others: f64) -> usize {
    ((cores as f64 * (1.0 - others)).round() as usize).clamp(1, cores.max(1))
}

/// Time of processors, in whatever unit: all there was, what was used, and what this program used of it.
#[derive(Clone, Copy, Default)]
struct Used {
    all: u64,
    busy: u64,
    own: u64,
}

impl Used {
    /// The share of all that others used since `before`, 0 to 1.
    fn others_since(&self, before: &Self) -> f64 {
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let others = since(self.busy, before.busy).saturating_sub(since(self.own, before.own));
        (others as f64 / since(self.all, before.all).max(1) as f64).min(1.0)
    }
}

/// What the system counts, where its files tell.
#[cfg(target_os = "linux")]
#[derive(Default)]
struct Probe {
    before: Option<Used>,
}

#[cfg(target_os = "linux")]
impl Probe {
    /// The share of the machine that other programs kept busy since the reading before, 0 to 1; nothing where the system does not tell.
    fn others(&mut self) -> f64 {
        let read = |path| std::fs::read_to_string(path).ok();
        let Some(used) = read("/proc/stat").zip(read("/proc/self/stat")).and_then(|(all, own)| used(&all, &own)) else {
            return 0.0;
        };
        self.before.replace(used).map_or(0.0, |before| used.others_since(&before))
    }
}

/// From `/proc/stat` and `/proc/self/stat`. Programs that only want what nobody else does (nice) and other machines on the same host (steal) are not
/// what a user waits for.
#[cfg(target_os = "linux")]
fn used(all: &str, own: &str) -> Option<Used> {
    let times: Vec<u64> =
        all.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|time| time.parse().ok()).collect();
    let [user, nice, system, idle, waiting, interrupts, soft, ..] = times[..] else { return None };
    // The program's name, in brackets, may hold anything; its times are the 12th and 13th words behind it.
    let mut words = own.rsplit_once(')')?.1.split_whitespace().skip(11);
    let own = words.next()?.parse::<u64>().ok()? + words.next()?.parse::<u64>().ok()?;
    let busy = user + system + interrupts + soft;
    Some(Used { all: busy + nice + idle + waiting, busy, own })
}

/// What sysinfo tells.
#[cfg(not(target_os = "linux"))]
#[derive(Default)]
struct Probe {
    system: sysinfo::System,
    /// Percentages need a reading before.
    seen: bool,
}

#[cfg(not(target_os = "linux"))]
impl Probe {
    /// The share of the machine that other programs kept busy since the reading before, 0 to 1; nothing where the system does not tell.
    fn others(&mut self) -> f64 {
        use sysinfo::{ProcessRefreshKind, ProcessesToUpdate};
        let Ok(pid) = sysinfo::get_current_pid() else { return 0.0 };
        self.system.refresh_cpu_usage();
        let what = ProcessRefreshKind::nothing().with_cpu().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let Some(process) = self.system.process(pid).filter(|_| std::mem::replace(&mut self.seen, true)) else { return 0.0 };
        // In hundredths of a percent of one processor.
        let count = |percent: f32| (f64::from(percent) * 100.0) as u64;
        let processors = self.system.cpus().len().max(1) as u64;
        let busy = count(self.system.global_cpu_usage()) * processors;
        Used { all: 10_000 * processors, busy, own: count(process.cpu_usage()) }.others_since(&Used::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_that_others_use_are_left_to_them() {
        for (cores, others, expected) in
            [(8, 0.0, 8), (8, 0.05, 8), (8, 0.33, 5), (8, 1.0, 1), (2, 0.5, 1), (2, 0.2, 2), (1, 1.0, 1)]
        {
            assert_eq!(left(cores, others), expected, "{cores} cores, {others}");
        }
    }

    #[test]
    fn what_this_program_does_is_not_what_others_do() {
        let before = Used { all: 1000, busy: 300, own: 100 };
        let since =
            |all: u64, busy: u64, own: u64| Used { all: 1000 + all, busy: 300 + busy, own: 100 + own }.others_since(&before);
        assert_eq!(since(200, 150, 50), 0.5);
        assert_eq!(since(200, 200, 200), 0.0);
        assert_eq!(since(200, 100, 130), 0.0, "a program's own count may be ahead");
        assert_eq!(since(0, 5, 0), 1.0);
        assert_eq!(since(0, 0, 0), 0.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_files_are_understood() {
        let all = "cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3 4\n";
        let own = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 110 7 0 0 20";
        let used = used(all, own).unwrap();
        assert_eq!((used.all, used.busy, used.own), (10 + 20 + 30 + 400 + 50 + 6 + 7, 10 + 30 + 6 + 7, 117));
        assert!(super::used("cpu  10 20", own).is_none() && super::used(all, "42 (a) S 1").is_none());
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert!(super::used(&read("/proc/stat"), &read("/proc/self/stat")).is_some_and(|used| used.all >= used.busy));
    }

    #[test]
    fn quiet_hours_leave_half_and_a_change_is_told_once() {
        let courtesy = Courtesy::new(64);
        assert_eq!(courtesy.look(false), Some(64), "the first look says what holds");
        let later = || courtesy.state.lock().unwrap().last = None;
        assert_eq!(courtesy.look(true), None, "too soon to say");
        later();
        assert!(courtesy.look(true).is_some_and(|cores| (1..=32).contains(&cores)));
        // Fewer cores take two readings in a row that say so; more take one.
        courtesy.state.lock().unwrap().before = 64;
        later();
        assert_eq!(courtesy.look(false), Some(64));
        later();
        assert_ne!(courtesy.look(false), Some(64), "what holds already is not said again");
    }
}
