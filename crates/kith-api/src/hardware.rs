//! The machine the node runs on, measured at most once a second however often somebody asks.

use kith_wire::system::{Cpu, Disk, Hardware as Reading, MemoryStats};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

/// A reading is good for this long; a processor's load is measured between two of them.
const FRESH: Duration = Duration::from_secs(1);

/// Measures the machine.
#[derive(Default)]
pub(crate) struct Hardware {
    state: Arc<Mutex<State>>,
    /// One measures, the others take its reading.
    measuring: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    system: Option<System>,
    last: Option<(Instant, Reading)>,
}

impl Hardware {
    /// A reading at most a second old. `folder` lies on the disk that is told of. Waits a moment the first time: a load is
    /// measured over a time.
    pub async fn read(&self, folder: &Path) -> Reading {
        let _measuring = self.measuring.lock().await;
        let first = self.state.lock().unwrap_or_else(PoisonError::into_inner).last.is_none();
        if first {
            self.measure(folder).await;
            self.state.lock().unwrap_or_else(PoisonError::into_inner).last = None;
            tokio::time::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL).await;
        }
        self.measure(folder).await
    }

    async fn measure(&self, folder: &Path) -> Reading {
        let (state, folder) = (Arc::clone(&self.state), folder.to_owned());
        let read = tokio::task::spawn_blocking(move || state.lock().unwrap_or_else(PoisonError::into_inner).read(&folder));
        read.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the machine could not be measured");
            Reading::default()
        })
    }
}

impl State {
    fn read(&mut self, folder: &Path) -> Reading {
        if let Some((at, reading)) = &self.last
            && at.elapsed() < FRESH
        {
            return reading.clone();
        }
        let own = sysinfo::get_current_pid().ok();
        let system = self.system.get_or_insert_with(System::new);
        system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_cpu_usage());
        if let Some(pid) = own {
            let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
        }
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let process = own.and_then(|pid| system.process(pid));
        let reading = Reading {
            os: System::long_os_version(),
            kernel: System::kernel_version(),
            arch: System::cpu_arch(),
            cpu: Cpu {
                model: system.cpus().first().map(|cpu| cpu.brand().to_owned()).filter(|brand| !brand.is_empty()),
                physical_cores: System::physical_core_count().map(|cores| cores as u64),
                logical_cores: system.cpus().len() as u64,
                percent: system.global_cpu_usage(),
                process_percent: process.map_or(0.0, sysinfo::Process::cpu_usage),
            },
            memory: memory(system, process.map_or(0, sysinfo::Process::memory)),
            disk: disk_of(folder),
        };
        self.last = Some((Instant::now(), reading.clone()));
        reading
    }
}

/// A container's own bounds count where there are any.
fn memory(system: &System, process: u64) -> MemoryStats {
    let whole = (system.total_memory(), system.used_memory(), system.available_memory());
    let (total, used, available) = match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 && limits.total_memory < whole.0 => {
            (limits.total_memory, limits.total_memory.saturating_sub(limits.free_memory), limits.free_memory)
        }
        _ => whole,
    };
    MemoryStats { total, used, available, process, ..MemoryStats::default() }
}

/// The disk with the longest mount point above the folder.
fn disk_of(folder: &Path) -> Option<Disk> {
    let folder: PathBuf = std::fs::canonicalize(folder).ok()?;
    let disks = Disks::new_with_refreshed_list();
    let above = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = above.max_by_key(|disk| disk.mount_point().components().count())?;
    Some(Disk { total: disk.total_space(), available: disk.available_space() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_machine_is_measured_and_a_second_question_costs_nothing() {
        let hardware = Hardware::default();
        let first = hardware.read(Path::new(".")).await;
        assert!(first.memory.total > 0 && first.memory.process > 0 && first.cpu.logical_cores > 0);
        let start = Instant::now();
        assert_eq!(hardware.read(Path::new(".")).await, first);
        assert!(start.elapsed() < sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
    }
}
