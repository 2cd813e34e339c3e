//! What runs here, as a list that can be copied into a report.

use super::read::Read;
use crate::{
    live::live,
    parts::CopyButton,
    view::{format, words},
};
use kith_wire::{ollama::VersionResponse, system::SystemStatus};
use leptos::prelude::*;

/// The page.
#[component]
pub fn About() -> impl IntoView {
    let version = Read::<VersionResponse>::begin("/api/version");
    let status = Read::<SystemStatus>::begin("/api/v1/system/status");
    let live = live();
    let lines = Signal::derive(move || {
        let unknown = |text: String| if text.is_empty() || text == "unknown" { "not recorded".to_owned() } else { text };
        let mut lines: Vec<(&'static str, String)> = Vec::new();
        version.with(|build| {
            lines.push(("Version", build.version.clone()));
            lines.push(("Commit", unknown(build.git_commit.clone())));
            lines.push(("Built", unknown(build.build_date.clone())));
            lines.push(("Compiler", format!("Rust {}", build.rust_version)));
        });
        live.stats.with(|stats| {
            if let Some(stats) = stats {
                let hardware = &stats.hardware;
                let os = hardware.os.clone().unwrap_or_default();
                lines.push(("Platform", if os.is_empty() { hardware.arch.clone() } else { format!("{os}, {}", hardware.arch) }));
                if let Some(kernel) = &hardware.kernel {
                    lines.push(("Kernel", kernel.clone()));
                }
                let cores = words::plural(hardware.cpu.logical_cores as u64, "core", "cores");
                let model = hardware.cpu.model.clone().unwrap_or_default();
                lines.push(("Processor", if model.is_empty() { cores } else { format!("{model}, {cores}") }));
                lines.push(("Memory", format::memory(hardware.memory.total)));
            }
        });
        status.with(|status| {
            lines.push(("Node id", status.peer_id.clone()));
            lines.push(("Listens at", status.listen_addrs.join(", ")));
            lines.push((
                "Secrets locked by",
                if status.at_rest.provider == "keyring" { "System keyring" } else { "A file with the data" }.to_owned(),
            ));
        });
        lines
    });
    let text = Signal::derive(move || {
        lines.get().into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
    });
    let rows = move || {
        let all = lines.get().into_iter().map(|(name, value)| {
            let mono = matches!(name, "Node id" | "Commit" | "Listens at");
            view! { <div><dt>{name}</dt><dd class="num" class:mono=mono>{value}</dd></div> }
        });
        all.collect_view()
    };
    view! {
        <section class="group">
            <header><h2>"This node"</h2><CopyButton text name="Copy all"/></header>
            {version.view(5, move || view! { <dl class="sets facts">{rows.clone()}</dl> })}
        </section>
        <section class="group">
            <h2>"Free software"</h2>
            <p class="none">"Kith is licensed under MIT or Apache 2.0, as you prefer. The typefaces Inter and JetBrains Mono are under the SIL Open Font License."</p>
        </section>
    }
}
