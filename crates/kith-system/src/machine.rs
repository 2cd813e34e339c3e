//! The machine and this process, as the operating system tells of them. What it does not tell is absent.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Figures of one moment; percentages are means since the reading before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MachineReading {
    /// Of all processors together, in percent.
    pub cpu_percent: Option<f64>,
    /// Of this process, in percent of one processor.
    pub process_cpu_percent: Option<f64>,
    /// Bytes of memory in use.
    pub memory_used: Option<u64>,
    /// Bytes of memory there are.
    pub memory_total: Option<u64>,
    /// Bytes of this process in memory.
    pub process_memory: Option<u64>,
    /// Bytes free where the data folder lies.
    pub disk_free: Option<u64>,
}

struct State {
    system: System,
    /// Percentages need a reading before.
    seen: bool,
}

/// Reads the machine.
pub struct Machine {
    state: Mutex<State>,
    pid: Option<Pid>,
    data_dir: PathBuf,
}

impl Machine {
    /// A reader for a node with this data folder.
    pub fn new(data_dir: &Path) -> Self {
        let state = Mutex::new(State { system: System::new(), seen: false });
        Self { state, pid: sysinfo::get_current_pid().ok(), data_dir: data_dir.to_owned() }
    }

    /// Reads now. Blocks for some milliseconds. Without two readings there are no percentages.
    pub fn read(&self) -> MachineReading {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = std::mem::replace(&mut state.seen, true);
        let system = &mut state.system;
        system.refresh_memory();
        system.refresh_cpu_usage();
        if let Some(pid) = self.pid {
            let what = ProcessRefreshKind::nothing().with_memory().with_cpu();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        }
        let process = self.pid.and_then(|pid| system.process(pid));
        let known = |bytes: u64| (bytes > 0).then_some(bytes);
        MachineReading {
            cpu_percent: seen.then(|| f64::from(system.global_cpu_usage())),
            process_cpu_percent: process.filter(|_| seen).map(|process| f64::from(process.cpu_usage())),
            memory_used: known(system.used_memory()),
            memory_total: known(system.total_memory()),
            process_memory: process.and_then(|process| known(process.memory())),
            disk_free: fs4::available_space(&self.data_dir).ok(),
        }
    }
}

/// What kind of machine this is, as pairs of words, for reports.
pub(crate) fn description() -> serde_json::Value {
    let mut system = System::new();
    system.refresh_memory();
    serde_json::json!({
        "os": System::long_os_version(),
        "kernel": System::kernel_version(),
        "architecture": System::cpu_arch(),
        "processors": std::thread::available_parallelism().ok(),
        "memory_total_bytes": system.total_memory(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reading_has_no_percentages_and_the_second_has() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new(folder.path());
        let first = machine.read();
        assert_eq!((first.cpu_percent, first.process_cpu_percent), (None, None));
        assert!(first.memory_total > first.memory_used);
        assert!(first.process_memory.is_some_and(|bytes| bytes > 1 << 20));
        assert!(first.disk_free.is_some());
        assert!(machine.read().cpu_percent.is_some_and(|percent| (0.0..=100.5).contains(&percent)));
    }

    #[test]
    fn where_there_is_no_folder_the_free_space_is_absent() {
        assert_eq!(Machine::new(Path::new("/nowhere/at/all")).read().disk_free, None);
    }
}
