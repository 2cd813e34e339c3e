//! What the page of activity tells: what holds memory, how full the machine is, how long answers took.

pub mod history;
pub mod told;

use super::{format, words::plural};
use kith_wire::system::{Hardware, InferenceStats, Latency, LoadedModelStats};

/// Part of a whole, to be drawn as a bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// What it is a share of.
    pub name: &'static str,
    /// How much of it is taken, 0 to 100.
    pub percent: f64,
    /// The same in its own unit.
    pub figure: String,
    /// What else is worth knowing.
    pub detail: String,
}

impl Share {
    /// Whether there is hardly any left.
    pub fn is_scarce(&self) -> bool {
        self.percent >= 95.0
    }
}

/// Processor, memory, room for models and disk. What could not be measured is left out.
pub fn shares(hardware: &Hardware) -> Vec<Share> {
    let mut shares = vec![Share {
        name: "Processor",
        percent: f64::from(hardware.cpu.percent).clamp(0.0, 100.0),
        figure: format!("{:.0} %", hardware.cpu.percent),
        detail: {
            let cores = hardware.cpu.logical_cores.max(1);
            let own = f64::from(hardware.cpu.process_percent) / cores as f64;
            format!("Kith {own:.0} %, {}", plural(cores, "thread", "threads"))
        },
    }];
    let memory = &hardware.memory;
    if memory.total > 0 {
        shares.push(Share {
            name: "Memory",
            percent: percent(memory.used, memory.total),
            figure: format!("{} of {}", format::memory(memory.used), format::memory(memory.total)),
            detail: format!("Kith {}", format::memory(memory.process)),
        });
    }
    if memory.model_budget > 0 {
        shares.push(Share {
            name: "Models",
            percent: percent(memory.models, memory.model_budget),
            figure: format!("{} of {}", format::memory(memory.models), format::memory(memory.model_budget)),
            detail: match memory.models_gpu {
                0 => "none of it on a GPU".to_owned(),
                gpu => format!("{} of it on a GPU", format::memory(gpu)),
            },
        });
    }
    if let Some(disk) = hardware.disk.as_ref().filter(|disk| disk.total > 0) {
        shares.push(Share {
            name: "Disk",
            percent: percent(disk.total.saturating_sub(disk.available), disk.total),
            figure: format!("{} free", format::bytes(disk.available)),
            detail: format!("of {}", format::bytes(disk.total)),
        });
    }
    shares
}

fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 * 100.0 / whole as f64).clamp(0.0, 100.0)
}

/// What the node is at, in a few words; `None` while it rests.
pub fn at_work(stats: &InferenceStats) -> Option<String> {
    let answering = plural(stats.running, "prompt is being answered", "prompts are being answered");
    match (stats.running, stats.queued) {
        (0, 0) => None,
        (_, 0) => Some(answering),
        (0, waiting) => Some(plural(waiting, "prompt waits", "prompts wait")),
        (_, waiting) => Some(format!("{answering}, {} waiting", format::count(waiting))),
    }
}

/// What a model in memory is doing.
pub fn doing(model: &LoadedModelStats) -> String {
    match (model.active, model.waiting) {
        (0, 0) => "idle".to_owned(),
        (active, 0) => format!("answering {}", format::count(active)),
        (active, waiting) => format!("answering {}, {} waiting", format::count(active), format::count(waiting)),
    }
}

/// What a model in memory holds.
pub fn holds(model: &LoadedModelStats) -> String {
    let mut parts = vec![format!("{} of context", plural(u64::from(model.context), "token", "tokens"))];
    parts.push(format!("{} weights", format::bytes(model.weights_bytes)));
    parts.push(format!("{} cache", format::bytes(model.cache_bytes)));
    if model.gpu_bytes > 0 {
        parts.push(format!("{} on the GPU", format::bytes(model.gpu_bytes)));
    }
    parts.join(", ")
}

/// When a model leaves memory: `leaves in 4 min`. Without a time it stays.
pub fn leaves(expires_ms: Option<i64>, now_ms: i64) -> String {
    // So far away is never.
    const FOREVER_MS: i64 = 10 * 365 * 86_400_000;
    match expires_ms.map(|expires| expires - now_ms) {
        Some(left) if left <= 0 => "leaves now".to_owned(),
        Some(left) if left < FOREVER_MS => format!("leaves in {}", format::duration_ms(u64::try_from(left).unwrap_or(0))),
        _ => "stays".to_owned(),
    }
}

/// A line of the table of answer times: the name, half, 95 and 99 of 100 within.
pub fn within(name: &'static str, latency: &Latency) -> Option<(&'static str, [String; 3])> {
    let told = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), milliseconds);
    (latency.count > 0).then(|| (name, [told(latency.p50_ms), told(latency.p95_ms), told(latency.p99_ms)]))
}

/// Milliseconds that may be less than one: `0.3 ms`, `140 ms`, `1.2 s`.
pub fn milliseconds(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format::duration_ms(ms.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_wire::system::{Cpu, Disk, MemoryStats};

    #[test]
    fn shares_say_how_full_the_machine_is_and_leave_out_what_is_not_known() {
        let mut hardware = Hardware {
            cpu: Cpu { logical_cores: 2, percent: 42.4, process_percent: 60.0, ..Cpu::default() },
            memory: MemoryStats { total: 8 << 30, used: 2 << 30, process: 64 << 20, ..MemoryStats::default() },
            disk: Some(Disk { total: 200_000_000_000, available: 4_000_000_000 }),
            ..Hardware::default()
        };
        let told = shares(&hardware);
        assert_eq!(told.iter().map(|share| share.name).collect::<Vec<_>>(), ["Processor", "Memory", "Disk"]);
        assert_eq!((told[0].figure.as_str(), told[0].detail.as_str()), ("42 %", "Kith 30 %, 2 threads"));
        assert_eq!((told[1].percent, told[1].figure.as_str()), (25.0, "2 GB of 8 GB"));
        assert!(told[2].is_scarce() && !told[1].is_scarce());
        hardware.disk = None;
        assert_eq!(shares(&hardware).len(), 2);
    }

    #[test]
    fn work_is_told_only_while_there_is_any() {
        let stats = |running, queued| InferenceStats { running, queued, ..InferenceStats::default() };
        assert_eq!(at_work(&stats(0, 0)), None);
        assert_eq!(at_work(&stats(1, 0)).as_deref(), Some("1 prompt is being answered"));
        assert_eq!(at_work(&stats(2, 3)).as_deref(), Some("2 prompts are being answered, 3 waiting"));
        assert_eq!(at_work(&stats(0, 1)).as_deref(), Some("1 prompt waits"));
    }

    #[test]
    fn a_model_leaves_at_its_time_or_stays() {
        assert_eq!(leaves(Some(300_000), 60_000), "leaves in 4 min");
        assert_eq!(leaves(Some(1), 60_000), "leaves now");
        assert_eq!(leaves(None, 0), "stays");
        assert_eq!(leaves(Some(i64::MAX), 0), "stays");
    }

    #[test]
    fn answer_times_are_told_once_there_are_some() {
        assert_eq!(within("First token", &Latency::default()), None);
        let latency = Latency { count: 3, p50_ms: Some(0.27), p95_ms: Some(139.6), p99_ms: None, mean_ms: None };
        assert_eq!(within("First token", &latency), Some(("First token", ["0.3 ms".into(), "140 ms".into(), "–".into()])));
    }
}
