//! Values over time as lines, with a legend that tells the sum of all, or the values under the pointer. Arrows read it as well.

use crate::{
    dom,
    view::{format, plot},
};
use leptos::{ev, html, prelude::*};

/// The drawing's own units; it is stretched to the room there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;
/// How many times of day stand below.
const MARKS: usize = 4;

/// A line of a plot.
#[derive(Clone, PartialEq)]
pub struct PlotLine {
    /// What it shows.
    pub name: &'static str,
    /// Its values, oldest first; a gap is `None`.
    pub values: Vec<Option<f64>>,
    /// What stands behind its name while no value is read.
    pub summary: String,
}

/// What is drawn.
#[derive(Clone)]
pub struct PlotData {
    /// The lines: the first is filled, the second has the other colour.
    pub lines: Vec<PlotLine>,
    /// When the first value begins, in milliseconds since 1970.
    pub first_ms: i64,
    /// The time between two values.
    pub step_ms: i64,
    /// When each value was, where they are not evenly spread in time; empty where they are.
    pub times: Vec<i64>,
    /// The upper edge; a round one above the largest value without it.
    pub top: Option<f64>,
    /// A value as people read it.
    pub told: fn(f64) -> String,
}

// How values are told does not change with what is drawn, and functions cannot be compared.
impl PartialEq for PlotData {
    fn eq(&self, other: &Self) -> bool {
        (&self.lines, self.first_ms, self.step_ms, &self.times, self.top)
            == (&other.lines, other.first_ms, other.step_ms, &other.times, other.top)
    }
}

impl PlotData {
    fn count(&self) -> usize {
        self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0)
    }

    fn upper(&self) -> f64 {
        self.top.unwrap_or_else(|| {
            let all: Vec<_> = self.lines.iter().flat_map(|line| line.values.iter().copied()).collect();
            plot::round_top(&all)
        })
    }

    fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.values.iter().all(Option::is_none))
    }

    fn start(&self, at: usize) -> i64 {
        self.times.get(at).copied().unwrap_or(self.first_ms + i64::try_from(at).unwrap_or(0) * self.step_ms)
    }

    /// When a step was, as near as need be: those of one day by the clock.
    fn clock(&self, at: usize) -> String {
        let (start, offset) = (self.start(at), dom::utc_offset_minutes());
        if self.times.is_empty() { format::clock(start, offset) } else { format::when(start, dom::now_ms(), offset) }
    }

    fn value(&self, line: usize, at: usize) -> Option<f64> {
        self.lines.get(line)?.values.get(at).copied().flatten()
    }

    /// What one step holds, in words.
    fn read(&self, at: usize) -> String {
        let clock = self.clock(at);
        let values = self.lines.iter().enumerate().map(|(line, one)| {
            let value = self.value(line, at).map_or_else(|| "not measured".to_owned(), self.told);
            format!("{} {value}", one.name)
        });
        format!("{clock}: {}", values.collect::<Vec<_>>().join(", "))
    }
}

/// The plot.
#[component]
pub fn Plot(
    /// What it shows, for its heading.
    name: &'static str,
    #[prop(into)] data: Signal<PlotData>,
) -> impl IntoView {
    let at = RwSignal::new(None::<usize>);
    let drawing = NodeRef::<html::Div>::new();
    let last = move || data.with(PlotData::count).saturating_sub(1);
    let read = move || at.get().map(|at| at.min(last()));
    let point = move |event: ev::PointerEvent| {
        let Some(drawing) = drawing.get_untracked() else { return };
        let bounds = drawing.get_bounding_client_rect();
        if bounds.width() > 0.0 {
            let across = ((f64::from(event.client_x()) - bounds.left()) / bounds.width()).clamp(0.0, 1.0);
            at.set(Some((across * last() as f64).round() as usize));
        }
    };
    let walk = move |event: ev::KeyboardEvent| {
        let from = at.get_untracked().unwrap_or(last());
        let to = match event.key().as_str() {
            "ArrowLeft" | "ArrowDown" => from.saturating_sub(1),
            "ArrowRight" | "ArrowUp" => (from + 1).min(last()),
            "PageDown" => from.saturating_sub(last() / 8),
            "PageUp" => (from + last() / 8).min(last()),
            "Home" => 0,
            "End" => last(),
            "Escape" => return at.set(None),
            _ => return,
        };
        event.prevent_default();
        at.set(Some(to));
    };
    let legend = move || {
        let read = read();
        data.with(|data| {
            let figure = |line: usize, one: &PlotLine| match read {
                Some(at) => data.value(line, at).map_or_else(|| "–".to_owned(), data.told),
                None => one.summary.clone(),
            };
            let entry = |(at, one): (usize, &PlotLine)| view! { <span class="entry"><i class=ink(at)></i>{one.name}<b>{figure(at, one)}</b></span> };
            data.lines.iter().enumerate().map(entry).collect_view()
        })
    };
    let clock = move || read().map(|at| data.with(|data| data.clock(at)));
    let drawn = move || {
        data.with(|data| {
            let top = data.upper();
            let draw = |(at, one): (usize, &PlotLine)| {
                let area = (at == 0).then(|| view! { <path class="area" d=plot::area(&one.values, top, WIDTH, HEIGHT)/> });
                view! { {area}<path class=format!("line {}", ink(at)) d=plot::line(&one.values, top, WIDTH, HEIGHT)/> }
            };
            // The first lies on top of the others.
            data.lines.iter().enumerate().rev().map(draw).collect_view()
        })
    };
    let cursor = move || {
        let at = read()?;
        data.with(|data| {
            let (top, count) = (data.upper(), data.count());
            let x = if count > 1 { at as f64 / (count - 1) as f64 * WIDTH } else { 0.0 };
            let dots = (0..data.lines.len()).filter_map(|line| {
                let y = HEIGHT - (data.value(line, at)? / top).clamp(0.0, 1.0) * HEIGHT;
                Some(view! { <path class=format!("spot {}", ink(line)) d=format!("M{x:.1},{y:.1}h0")/> })
            });
            Some(view! { <path class="cursor" d=format!("M{x:.1},0V{HEIGHT}")/>{dots.collect_view()} })
        })
    };
    let marks = move || {
        data.with(|data| {
            // Few values have no more marks than there are of them.
            let shown = if data.times.is_empty() { MARKS } else { MARKS.min(last()) };
            (0..shown)
                .map(|mark| {
                    let at = last() * mark / shown;
                    view! { <span>{data.clock(at)}</span> }
                })
                .collect_view()
        })
    };
    let end = move || data.with(|data| if data.times.is_empty() { "now" } else { "last" });
    view! {
        <figure class="panel graph">
            <figcaption class="legend num">
                <span class="name">{name}</span>
                {legend}
                <span class="at">{clock}</span>
            </figcaption>
            <div
                class="drawing"
                node_ref=drawing
                role="slider"
                tabindex="0"
                aria-label=name
                aria-valuemin="0"
                aria-valuemax=move || last().to_string()
                aria-valuenow=move || read().unwrap_or(last()).to_string()
                aria-valuetext=move || data.with(|data| data.read(read().unwrap_or(last())))
                on:pointermove=point
                on:pointerdown=point
                on:pointerleave=move |_| at.set(None)
                on:blur=move |_| at.set(None)
                on:keydown=walk
            >
                <span class="top num" aria-hidden="true">{move || data.with(|data| (!data.is_empty()).then(|| (data.told)(data.upper())))}</span>
                <svg class="plot" viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" aria-hidden="true">
                    <path class="grid" d=format!("M0,0H{WIDTH}M0,{}H{WIDTH}M0,{HEIGHT}H{WIDTH}", HEIGHT / 2.0)/>
                    {drawn}
                    {cursor}
                </svg>
                {move || data.with(PlotData::is_empty).then(|| view! { <span class="none">"Nothing was measured yet"</span> })}
            </div>
            <div class="axis num" aria-hidden="true">{marks}<span>{end}</span></div>
        </figure>
    }
}

const fn ink(line: usize) -> &'static str {
    match line {
        0 => "one",
        _ => "two",
    }
}
