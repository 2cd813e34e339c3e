//! Cores that models leave to others: that share of them which other programs keep busy, and half of them in quiet hours.
//!
//! The threads of a model wait for each other many times for each token. One that has to share its core with another program holds all of them up, so
//! fewer threads are faster then, and the user's own work is not slowed.

use std::sync::{Mutex, PoisonError};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The share of a new reading in what is believed: a second's work of others is no reason yet, three are.
const NEW: f64 = 0.4;

/// Watches what other programs do.
pub(crate) struct Courtesy {
    /// Cores that models work on when nobody else does.
    cores: usize,
    state: Mutex<State>,
}

struct State {
    system: System,
    pid: Option<Pid>,
    /// Percentages need a reading before.
    seen: bool,
    /// The share of the machine that others keep busy, as far as is believed.
    others: f64,
    /// What was last allowed.
    allowed: Option<usize>,
}

impl Courtesy {
    /// For models that work on so many cores at most.
    pub fn new(cores: usize) -> Self {
        let state =
            State { system: System::new(), pid: sysinfo::get_current_pid().ok(), seen: false, others: 0.0, allowed: None };
        Self { cores, state: Mutex::new(state) }
    }

    /// Looks at the machine; to be called once a second or so. Blocks for less than a millisecond. Gives the cores that models may use where that has
    /// changed.
    pub fn look(&self, quiet: bool) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = state.read();
        state.others += (busy - state.others) * NEW;
        let allowed = allowed(self.cores, state.others, quiet);
        (state.allowed.replace(allowed) != Some(allowed)).then_some(allowed)
    }
}

impl State {
    /// The share of the machine that other programs kept busy since the reading before, 0 to 1; nothing where the system does not tell.
    fn read(&mut self) -> f64 {
        self.system.refresh_cpu_usage();
        let Some(pid) = self.pid else { return 0.0 };
        let what = ProcessRefreshKind::nothing().with_cpu();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        if !std::mem::replace(&mut self.seen, true) {
            return 0.0;
        }
        let all = f64::from(self.system.global_cpu_usage()) / 100.0;
        (all - self.own(pid).unwrap_or(all)).clamp(0.0, 1.0)
    }

    /// The share of the machine that this program kept busy.
    fn own(&self, pid: Pid) -> Option<f64> {
        let process = self.system.process(pid)?;
        Some(f64::from(process.cpu_usage()) / 100.0 / self.system.cpus().len().max(1) as f64)
    }
}

/// Of `cores`, those that models may use while others keep such a share of the machine busy. A share, since the system's processors may be more than
/// models' cores: two to a core, or those of a host of which this program has a part.
fn allowed(cores: usize, others: f64, quiet: bool) -> usize {
    let most = if quiet { cores.div_ceil(2) } else { cores };
    let free = (cores as f64 * (1.0 - others)).round() as usize;
    free.clamp(1, most.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn cores_that_others_use_are_left_to_them() {
        assert_eq!(allowed(8, 0.0, false), 8);
        assert_eq!(allowed(8, 0.05, false), 8);
        assert_eq!(allowed(8, 0.33, false), 5);
        assert_eq!(allowed(8, 1.0, false), 1);
        assert_eq!(allowed(2, 0.5, false), 1);
        assert_eq!(allowed(1, 1.0, false), 1);
    }

    #[test]
    fn in_quiet_hours_half_are_left_alone() {
        assert_eq!(allowed(8, 0.0, true), 4);
        assert_eq!(allowed(8, 0.75, true), 2);
        assert_eq!(allowed(3, 0.0, true), 2);
        assert_eq!(allowed(1, 0.0, true), 1);
    }

    #[test]
    fn this_programs_own_work_is_not_that_of_others() {
        let courtesy = Courtesy::new(64);
        assert_eq!(courtesy.look(false), Some(64), "the first look says what holds");
        assert_eq!(courtesy.look(true), Some(32));
        assert_eq!(courtesy.look(true), None, "nothing has changed");
        // Work as hard as can be, for longer than sysinfo's shortest time between readings.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(400) {
            std::hint::spin_loop();
        }
        let mut state = courtesy.state.lock().unwrap();
        let others = state.read();
        let own = state.pid.and_then(|pid| state.own(pid)).unwrap();
        assert!(own > 0.0 && others <= 1.0 - own + 0.1, "{own} of this program, {others} of others");
    }
}
