//! The plots of the last hour or day.

use crate::{
    dom,
    http::{Client, Problem},
    parts::{Failed, Plot, PlotData, PlotLine, Skeleton},
    session::{client, sessions},
    view::{
        activity::{
            history::{self, Span, Steps},
            milliseconds,
        },
        format,
    },
};
use kith_wire::system::{MetricsHistory, MetricsPoint};
use leptos::prelude::*;
use std::time::Duration;

/// How often the history is read while somebody looks: a point is a minute.
const AGAIN: Duration = Duration::from_secs(30);

type History = Option<Result<Vec<MetricsPoint>, Problem>>;

/// All of them.
#[component]
pub fn Graphs() -> impl IntoView {
    let client = client();
    let span = RwSignal::new(Span::Day);
    let history = RwSignal::new(None::<Result<Vec<MetricsPoint>, Problem>>);
    let now = RwSignal::new(dom::now_ms());
    read(&client, history, now);
    let every = {
        let client = client.clone();
        set_interval_with_handle(
            move || {
                if dom::is_visible() {
                    read(&client, history, now);
                }
            },
            AGAIN,
        )
    };
    if let Ok(every) = every {
        on_cleanup(move || every.clear());
    }
    let state = Memo::new(move |_| {
        history.with(|history| match history {
            None => None,
            Some(Ok(_)) => Some(Ok(())),
            Some(Err(problem)) => Some(Err(problem.clone())),
        })
    });
    let plot = move |draw: fn(&[MetricsPoint], Steps) -> PlotData| {
        Memo::new(move |_| {
            let steps = Steps::until(now.get(), span.get());
            history.with(|history| {
                draw(history.as_ref().and_then(|history| history.as_ref().ok()).map_or(&[], Vec::as_slice), steps)
            })
        })
    };
    view! {
        <section class="past" aria-labelledby="past">
            <div class="head">
                <h2 id="past">{move || span.get().heading()}</h2>
                <div class="tabs" role="group" aria-label="How far back">
                    {Span::ALL.map(|one| view! {
                        <button aria-current=move || (span.get() == one).then_some("true") on:click=move |_| span.set(one)>{one.name()}</button>
                    })}
                </div>
            </div>
            {move || match state.get() {
                None => view! { <Skeleton rows=4/> }.into_any(),
                Some(Err(problem)) => {
                    let client = client.clone();
                    let again = move |()| { history.set(None); read(&client, history, now); };
                    view! { <Failed problem retry=again/> }.into_any()
                }
                Some(Ok(())) => view! {
                    <div class="graphs">
                        <Plot name="Tokens" data=plot(tokens)/>
                        <Plot name="Prompts" data=plot(prompts)/>
                        <Plot name="Time to respond" data=plot(latency)/>
                        <Plot name="Machine" data=plot(machine)/>
                    </div>
                    <p class="note">{move || format!(
                        "Each value covers {}: counts are sums, loads are means, times are those of the slowest minute. Gaps are times in which Kith did not run.",
                        span.get().step_name(),
                    )}</p>
                }.into_any(),
            }}
        </section>
    }
}

fn read(client: &Client, history: RwSignal<History>, now: RwSignal<i64>) {
    let client = client.clone();
    let sessions = sessions();
    leptos::task::spawn_local(async move {
        let answer = sessions.note(client.get::<MetricsHistory>("/api/v1/system/metrics").await);
        // What is known stays on the page while the node is away.
        if answer.is_ok() || !history.try_get_untracked().flatten().is_some_and(|known| known.is_ok()) {
            now.try_set(dom::now_ms());
            history.try_set(Some(answer.map(|history| history.points)));
        }
    });
}

fn data(steps: Steps, lines: [PlotLine; 2], told: fn(f64) -> String, top: Option<f64>) -> PlotData {
    PlotData { lines: lines.into(), first_ms: steps.first_ms, step_ms: steps.step_ms, times: Vec::new(), top, told }
}

fn counted(name: &'static str, values: Vec<Option<f64>>) -> PlotLine {
    let summary = history::total(&values).map_or_else(|| "–".to_owned(), format::count);
    PlotLine { name, values, summary }
}

fn whole(value: f64) -> String {
    format::count(value.round() as u64)
}

fn tokens(points: &[MetricsPoint], steps: Steps) -> PlotData {
    let lines = [
        counted("written", steps.sums(points, |point| point.tokens_out)),
        counted("read", steps.sums(points, |point| point.tokens_in)),
    ];
    data(steps, lines, whole, None)
}

fn prompts(points: &[MetricsPoint], steps: Steps) -> PlotData {
    let lines = [
        counted("taken", steps.sums(points, |point| point.prompts)),
        counted("failed", steps.sums(points, |point| point.failed_prompts)),
    ];
    data(steps, lines, whole, None)
}

fn latency(points: &[MetricsPoint], steps: Steps) -> PlotData {
    let line = |name, values: Vec<Option<f64>>| {
        let most = history::largest(&values);
        PlotLine { name, values, summary: most.map_or_else(|| "–".to_owned(), |most| format!("≤ {}", milliseconds(most))) }
    };
    let lines = [
        line("50 % within", steps.most(points, |point| point.latency_p50_ms)),
        line("95 % within", steps.most(points, |point| point.latency_p95_ms)),
    ];
    data(steps, lines, milliseconds, None)
}

fn machine(points: &[MetricsPoint], steps: Steps) -> PlotData {
    let line =
        |name, values, mean: Option<f64>| PlotLine { name, values, summary: mean.map_or_else(|| "–".to_owned(), percent) };
    let lines = [
        line("processor", steps.means(points, |point| point.cpu_percent), steps.mean(points, |point| point.cpu_percent)),
        line("memory", steps.means(points, history::memory_percent), steps.mean(points, history::memory_percent)),
    ];
    data(steps, lines, percent, Some(100.0))
}

fn percent(value: f64) -> String {
    format!("{value:.0} %")
}
