//! What is read from the running node, and what becomes of two readings.

use crate::Latencies;
use serde::{Deserialize, Serialize};

/// Gives the figures of the running node. Implemented where the node is put together. May block for some milliseconds.
pub trait Probe: Send + Sync + 'static {
    /// Reads now.
    fn read(&self) -> Reading;
}

/// What the node says at one moment. What it does not know is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// HTTP requests answered since the node started.
    pub requests: Option<u64>,
    /// Those of them answered with a fault of the node (status 500 and up).
    pub failed_requests: Option<u64>,
    /// Bytes received by the listeners since the node started.
    pub bytes_in: Option<u64>,
    /// Bytes sent by the listeners since the node started.
    pub bytes_out: Option<u64>,
    /// Prompts taken since the node started.
    pub prompts: Option<u64>,
    /// Prompts that ended in an error since the node started.
    pub failed_prompts: Option<u64>,
    /// Tokens of prompts since the node started.
    pub prompt_tokens: Option<u64>,
    /// Tokens of answers since the node started.
    pub completion_tokens: Option<u64>,
    /// How long requests took since the node started.
    pub latencies: Option<Latencies>,
    /// Prompts being answered now.
    pub active_prompts: Option<u64>,
    /// Prompts waiting now.
    pub waiting_prompts: Option<u64>,
    /// Models in memory now.
    pub models_loaded: Option<u64>,
    /// The machine now.
    pub machine: crate::MachineReading,
}

/// What was measured in one minute. What was not is `None`, and not in the JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Mean load of all processors together, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Mean load by this process, in percent of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_cpu_percent: Option<f64>,
    /// Bytes of memory in use, last seen in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Bytes of memory there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Bytes of this process in memory, last seen in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_memory_bytes: Option<u64>,
    /// Bytes free where the data folder lies, last seen in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Bytes received by the listeners in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_in_bytes: Option<u64>,
    /// Bytes sent by the listeners in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_out_bytes: Option<u64>,
    /// HTTP requests answered in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Those of them answered with a fault of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_requests: Option<u64>,
    /// Prompts taken in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<u64>,
    /// Prompts that ended in an error in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_prompts: Option<u64>,
    /// Tokens of prompts whose answers ended in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of answers that ended in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// The most prompts seen being answered at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_prompts: Option<u64>,
    /// The most prompts seen waiting at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_prompts: Option<u64>,
    /// Models in memory, last seen in the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models_loaded: Option<u64>,
    /// How long requests took, so that two parts of a minute can be put together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latencies: Option<Latencies>,
    /// Readings behind the mean loads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loads: Option<u32>,
}

/// The growth of a count between two readings. Where the count is smaller than it was, another one began.
fn growth(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    Some(now?.checked_sub(before?).unwrap_or(now?))
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

fn highest(most: &mut Option<u64>, seen: Option<u64>) {
    *most = (*most).max(seen);
}

fn mean(mean: &mut Option<f64>, seen: Option<f64>, readings: u32) {
    if let Some(seen) = seen {
        let before = mean.unwrap_or(seen);
        *mean = Some(before + (seen - before) / f64::from(readings.max(1)));
    }
}

impl Figures {
    /// Takes in what a reading tells of its moment.
    pub(crate) fn see(&mut self, reading: &Reading) {
        let machine = &reading.machine;
        if machine.cpu_percent.is_some() || machine.process_cpu_percent.is_some() {
            let readings = self.loads.unwrap_or(0).saturating_add(1);
            self.loads = Some(readings);
            mean(&mut self.cpu_percent, machine.cpu_percent, readings);
            mean(&mut self.process_cpu_percent, machine.process_cpu_percent, readings);
        }
        self.memory_used_bytes = machine.memory_used.or(self.memory_used_bytes);
        self.memory_total_bytes = machine.memory_total.or(self.memory_total_bytes);
        self.process_memory_bytes = machine.process_memory.or(self.process_memory_bytes);
        self.disk_free_bytes = machine.disk_free.or(self.disk_free_bytes);
        self.models_loaded = reading.models_loaded.or(self.models_loaded);
        highest(&mut self.active_prompts, reading.active_prompts);
        highest(&mut self.waiting_prompts, reading.waiting_prompts);
    }

    /// Adds what happened between two readings.
    pub(crate) fn count(&mut self, before: &Reading, now: &Reading) {
        add(&mut self.network_in_bytes, growth(before.bytes_in, now.bytes_in));
        add(&mut self.network_out_bytes, growth(before.bytes_out, now.bytes_out));
        add(&mut self.requests, growth(before.requests, now.requests));
        add(&mut self.failed_requests, growth(before.failed_requests, now.failed_requests));
        add(&mut self.prompts, growth(before.prompts, now.prompts));
        add(&mut self.failed_prompts, growth(before.failed_prompts, now.failed_prompts));
        add(&mut self.prompt_tokens, growth(before.prompt_tokens, now.prompt_tokens));
        add(&mut self.completion_tokens, growth(before.completion_tokens, now.completion_tokens));
        if let (Some(before), Some(now)) = (&before.latencies, &now.latencies) {
            self.latencies.get_or_insert_default().add(&now.since(before));
        }
    }

    /// The time that half of the minute's requests took at most, in milliseconds.
    pub fn latency_p50_ms(&self) -> Option<f64> {
        self.latencies.as_ref()?.percentile_ms(50.0)
    }

    /// The time that 95 of 100 of the minute's requests took at most, in milliseconds.
    pub fn latency_p95_ms(&self) -> Option<f64> {
        self.latencies.as_ref()?.percentile_ms(95.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_absent_and_never_zero() {
        let mut figures = Figures::default();
        figures.see(&Reading::default());
        figures.count(&Reading::default(), &Reading { requests: Some(5), ..Reading::default() });
        assert_eq!(serde_json::to_string(&figures).unwrap(), "{}");
        assert_eq!((figures.latency_p50_ms(), figures.latency_p95_ms()), (None, None));
    }

    #[test]
    fn counts_grow_by_differences_and_begin_anew_after_a_restart() {
        let at = |requests| Reading { requests: Some(requests), ..Reading::default() };
        let mut figures = Figures::default();
        figures.count(&at(10), &at(15));
        figures.count(&at(15), &at(3));
        assert_eq!(figures.requests, Some(8));
    }

    #[test]
    fn loads_are_means_and_queues_are_the_most_seen() {
        let at = |percent, waiting| Reading {
            waiting_prompts: Some(waiting),
            machine: crate::MachineReading { cpu_percent: Some(percent), ..Default::default() },
            ..Reading::default()
        };
        let mut figures = Figures::default();
        for (percent, waiting) in [(10.0, 0), (20.0, 7), (60.0, 1)] {
            figures.see(&at(percent, waiting));
        }
        assert_eq!((figures.cpu_percent, figures.waiting_prompts), (Some(30.0), Some(7)));
    }
}
