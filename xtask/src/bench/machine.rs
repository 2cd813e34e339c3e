//! The machine as its figures name it.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;

use crate::process;

/// One line: processor, cores, memory, system.
pub fn described() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = value_after(&read("/proc/cpuinfo"), "model name")
        .or_else(|| process::text_of(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"])).ok())
        .unwrap_or_else(|| env::consts::ARCH.to_owned());
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = value_after(&read("/proc/meminfo"), "MemTotal").and_then(|text| kibibytes(&text));
    let memory = memory.map(|kib| format!(", {} GiB", (kib + (1 << 19)) >> 20)).unwrap_or_default();
    let system = read("/etc/os-release")
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME=").map(|name| name.trim_matches('"').to_owned()));
    format!("{processor}, {cores} cores{memory}, {}", system.unwrap_or_else(|| env::consts::OS.to_owned()))
}

/// What a process holds in memory now, in KiB; nothing where the system does not tell by `/proc`.
pub fn resident_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    kibibytes(&value_after(&status, "VmRSS")?)
}

fn value_after(text: &str, name: &str) -> Option<String> {
    let mut rows = text.lines().filter_map(|line| line.split_once(':'));
    rows.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_proc_are_read_by_name() {
        let status = "Name:\tkith\nVmHWM:\t  90000 kB\nVmRSS:\t   51234 kB\n";
        assert_eq!(value_after(status, "VmRSS").and_then(|text| kibibytes(&text)), Some(51234));
        assert_eq!(value_after(status, "VmSwap"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_is_resident() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 500));
    }
}
