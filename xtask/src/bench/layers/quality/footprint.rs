//! How soon the default model is there, and what a process that only holds it has in memory.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Ground, Row, THREADS, number};
use crate::bench::median::median;
use crate::process;

/// Processes that load the model one after another.
const STARTS: usize = 10;
/// What is read and written before memory is looked at.
const PROMPT: u32 = 512;
const ANSWER: u32 = 128;
/// Milliseconds that a start with kept panels may take.
const SOON: f64 = 150.0;
/// What may be resident beyond the file and the keys and values, as a part of the file.
const BEYOND: f64 = 0.15;

/// What was found.
pub struct Footprint {
    fresh: f64,
    again: f64,
    /// In MB: once loaded, after an answer, and at most; nothing where the system does not tell.
    resident: Option<[f64; 3]>,
    file: f64,
    kv: f64,
}

/// Starts processes, the file cache warm.
pub fn measure(ground: &Ground<'_>) -> Result<Footprint> {
    let folder = ground.paths.cache.join("bench-panels");
    let start = |load: &[u32]| -> Result<Value> {
        let mut program = Command::new(ground.paths.built("examples/start"));
        program.arg(&ground.models.shipped).arg(&folder).arg(THREADS.to_string());
        let said = process::text_of(program.args(load.iter().map(u32::to_string)))?;
        serde_json::from_str(&said).with_context(|| format!("not a line of figures: {said:?}"))
    };
    let clear = || fs::remove_dir_all(&folder).with_context(|| format!("could not clear {}", folder.display()));
    let mut fresh = Vec::new();
    for _ in 0..STARTS.div_ceil(2) {
        if folder.exists() {
            clear()?;
        }
        let told = start(&[PROMPT, ANSWER])?;
        ensure!(told["panels_kept"] == true, "the panels were not kept");
        fresh.push(number(&told, "load_ms")?);
    }
    let again = (0..STARTS).map(|_| number(&start(&[])?, "load_ms")).collect::<Result<Vec<_>>>()?;
    let answered = start(&[PROMPT, ANSWER])?;
    clear()?;
    let bytes = |value: &Value| value.as_f64().map(|kib| kib * 1024.0 / 1e6);
    let [loaded, after] = ["loaded", "answered"].map(|when| &answered[when]);
    let resident = || Some([bytes(&loaded["all_kib"])?, bytes(&after["all_kib"])?, bytes(&after["most_kib"])?]);
    Ok(Footprint {
        fresh: median(&fresh),
        again: median(&again),
        resident: resident(),
        file: number(&answered, "file_bytes")? / 1e6,
        kv: number(&answered, "kv_bytes")? / 1e6,
    })
}

impl Footprint {
    /// Of the table.
    pub fn rows(&self) -> Vec<Row> {
        let memory = |at: usize| self.resident.map_or("not told here".to_owned(), |resident| format!("{:.1} MB", resident[at]));
        let wanted = format!(
            "at most {:.1} MB (file {:.1} MB + 15 %, keys and values {:.1} MB)",
            self.file * (1.0 + BEYOND) + self.kv,
            self.file,
            self.kv
        );
        vec![
            Row::new(format!("loaded, first start (median of {})", STARTS.div_ceil(2)), format!("{:.0} ms", self.fresh), ""),
            Row::new(
                format!("loaded, second start (median of {STARTS})"),
                format!("{:.0} ms", self.again),
                format!("under {SOON} ms"),
            ),
            Row::new("resident once loaded; weights come when they are looked at", memory(0), ""),
            Row::new(format!("resident after {PROMPT} + {ANSWER} tokens"), memory(1), wanted),
            Row::new("the most that was resident until then", memory(2), ""),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_held_against_the_file_and_its_keys_and_values() {
        let found = Footprint { fresh: 400.0, again: 60.0, resident: Some([10.0, 120.0, 121.0]), file: 100.0, kv: 10.0 };
        let rows: String = found.rows().iter().map(Row::told).collect();
        assert!(rows.contains("| 120.0 MB | at most 125.0 MB "), "{rows}");
        assert!(rows.contains("| 60 ms | under 150 ms |"), "{rows}");
        let silent = Footprint { resident: None, ..found };
        assert!(silent.rows().iter().any(|row| row.measured == "not told here"));
    }
}
