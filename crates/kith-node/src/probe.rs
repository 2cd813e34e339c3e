//! The running node as its measures see it.

use kith_api::App;
use kith_inference::Inference;
use kith_system::{Machine, Probe, Reading};
use std::{path::Path, sync::Arc};

/// Reads the listeners, inference and the machine.
pub(crate) struct NodeProbe {
    app: Arc<App>,
    inference: Arc<Inference>,
    machine: Machine,
}

impl NodeProbe {
    pub fn new(app: Arc<App>, inference: Arc<Inference>, data_dir: &Path) -> Self {
        Self { app, inference, machine: Machine::new(data_dir) }
    }
}

impl Probe for NodeProbe {
    fn read(&self) -> Reading {
        let traffic = self.app.traffic();
        let stats = self.inference.stats();
        Reading {
            requests: Some(traffic.requests),
            failed_requests: Some(traffic.failed),
            bytes_in: Some(traffic.bytes_in),
            bytes_out: Some(traffic.bytes_out),
            prompts: Some(stats.prompts),
            failed_prompts: Some(stats.failed),
            prompt_tokens: Some(stats.prompt_tokens),
            completion_tokens: Some(stats.completion_tokens),
            latencies: Some(traffic.latencies),
            active_prompts: Some(stats.running),
            waiting_prompts: u64::try_from(stats.waiting).ok(),
            models_loaded: u64::try_from(self.inference.loaded().len()).ok(),
            machine: self.machine.read(),
        }
    }
}
