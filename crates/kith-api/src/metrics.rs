//! What Prometheus reads: requests and their durations, models and memory, prompts and tokens. Measured, never constant.

use crate::app::App;
use axum::http::Method;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder, core::Collector,
};
use std::time::Duration;

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0, 300.0];

/// Measures kept over the node's life.
pub(crate) struct Metrics {
    inner: Option<(Registry, IntCounterVec, HistogramVec)>,
}

fn build() -> Result<(Registry, IntCounterVec, HistogramVec), prometheus::Error> {
    let registry = Registry::new();
    let requests =
        IntCounterVec::new(Opts::new("kith_http_requests_total", "HTTP requests answered."), &["method", "route", "status"])?;
    let durations = HistogramVec::new(
        HistogramOpts::new("kith_http_request_duration_seconds", "Time from a request's arrival to the head of its answer.")
            .buckets(BUCKETS.to_vec()),
        &["route"],
    )?;
    registry.register(Box::new(requests.clone()))?;
    registry.register(Box::new(durations.clone()))?;
    Ok((registry, requests, durations))
}

impl Metrics {
    pub fn new() -> Self {
        let inner = build().inspect_err(|error| tracing::error!(%error, "metrics are off")).ok();
        Self { inner }
    }

    /// Counts one answer. `route` is the pattern, never the path, so that the number of series is bounded by the route table.
    pub fn observe(&self, method: &Method, route: &str, status: u16, elapsed: Duration) {
        let Some((_, requests, durations)) = &self.inner else { return };
        // Any word can be a method; only the standard ones are series of their own.
        let method = match *method {
            Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD | Method::PATCH | Method::OPTIONS => {
                method.as_str()
            }
            _ => "OTHER",
        };
        requests.with_label_values(&[method, route, &status.to_string()]).inc();
        durations.with_label_values(&[route]).observe(elapsed.as_secs_f64());
    }
}

/// Everything in the Prometheus text format.
pub(crate) fn render(app: &App) -> Result<String, prometheus::Error> {
    let mut families = app.metrics.inner.as_ref().map(|(registry, ..)| registry.gather()).unwrap_or_default();
    let inference = app.inference.stats();
    let memory = crate::routes::process_memory();
    let loaded = app.inference.loaded();
    let counters = [
        ("kith_prompts_total", "Prompts taken.", inference.prompts),
        ("kith_prompts_failed_total", "Prompts that ended in an error.", inference.failed),
        ("kith_prompts_cancelled_total", "Prompts whose client went away.", inference.cancelled),
        ("kith_prompt_tokens_total", "Tokens of prompts read.", inference.prompt_tokens),
        ("kith_completion_tokens_total", "Tokens of answers written.", inference.completion_tokens),
    ];
    for (name, help, value) in counters {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        families.extend(counter.collect());
    }
    let held: u64 = loaded.iter().map(|model| model.memory.weights.saturating_add(model.memory.cache)).sum();
    let gauges = [
        ("kith_prompts_running", "Prompts being answered.", inference.running),
        ("kith_prompts_waiting", "Prompts waiting for their turn.", inference.waiting as u64),
        ("kith_models_loaded", "Models in memory.", loaded.len() as u64),
        ("kith_models_memory_bytes", "Memory held by loaded models.", held),
        ("kith_process_resident_memory_bytes", "Resident memory of the process.", memory),
        ("kith_uptime_seconds", "Time since the node started.", app.uptime_ms() / 1000),
    ];
    for (name, help, value) in gauges {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        families.extend(gauge.collect());
    }
    let info =
        prometheus::IntGaugeVec::new(Opts::new("kith_build_info", "1; what the node was built from."), &["version", "commit"])?;
    info.with_label_values(&[&app.build.version, &app.build.git_commit]).set(1);
    families.extend(info.collect());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    TextEncoder::new().encode_to_string(&families)
}
