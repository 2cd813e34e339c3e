//! Loading and unloading again and again keeps no memory. Alone in its process: it looks at the process's own size.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code outside of test functions")]

#[path = "real/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

use kith_engine::Engine;
use kith_engine_mistral::MistralEngine;

/// Resident memory of this process in bytes; `None` where the system does not tell.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn unloading_gives_the_memory_back() {
    let (Some(spec), Some(before)) = (support::spec(), resident()) else { return };
    let engine = MistralEngine::new();
    let estimate = engine.estimate(&spec);
    let mut after = Vec::new();
    for round in 0..5 {
        let model = engine.load(spec.clone()).await.unwrap();
        let loaded = resident().unwrap();
        let said = support::answer(&model, support::greedy(&support::chat("Hello"), 20)).await.unwrap();
        assert!(!said.ids().is_empty() && said.text().len() > 1);
        let used = resident().unwrap();
        model.unload().await;
        drop(model);
        after.push(resident().unwrap());
        println!("round {round}: before {before}, loaded {loaded}, used {used}, after {}, estimate {estimate:?}", after[round]);
        assert!(loaded - before < estimate.weights * 5 / 4, "the estimate holds: {} of {}", loaded - before, estimate.weights);
    }
    let grown = after[4].saturating_sub(after[0]);
    assert!(grown < 24 << 20, "five rounds left {grown} bytes more than one: {after:?}");
    assert!(after[4].saturating_sub(before) < 96 << 20, "{before} before, {after:?} after");
}
