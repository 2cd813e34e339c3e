//! How full the machine is, and how long answers took.

use crate::{
    live::live,
    parts::Skeleton,
    view::{activity, format, words::plural},
};
use leptos::prelude::*;

/// Bars with figures.
#[component]
pub fn Load() -> impl IntoView {
    let live = live();
    let shares = Memo::new(move |_| live.stats.with(|stats| stats.as_ref().map(|stats| activity::shares(&stats.hardware))));
    let count = Memo::new(move |_| shares.with(|shares| shares.as_ref().map(Vec::len)));
    let bar = move |at: usize| {
        let share = Memo::new(move |_| shares.with(|shares| shares.as_ref()?.get(at).cloned()));
        let of = move |tell: fn(&activity::Share) -> String| move || share.with(|share| share.as_ref().map(tell));
        let name = share.with_untracked(|share| share.as_ref().map(|share| share.name)).unwrap_or_default();
        let percent = move || share.with(|share| share.as_ref().map_or(0.0, |share| share.percent));
        view! {
            <li>
                <div class="of"><b>{name}</b><span class="num">{of(|share| share.figure.clone())}</span></div>
                <div
                    class="bar"
                    class:scarce=move || share.with(|share| share.as_ref().is_some_and(activity::Share::is_scarce))
                    role="meter"
                    aria-label=name
                    aria-valuemin="0"
                    aria-valuemax="100"
                    aria-valuenow=move || format!("{:.0}", percent())
                    aria-valuetext=of(|share| format!("{}, {}", share.figure, share.detail))
                >
                    <i style:width=move || format!("{:.1}%", percent())></i>
                </div>
                <small class="num">{of(|share| share.detail.clone())}</small>
            </li>
        }
    };
    view! {
        {move || match count.get() {
            None => view! { <Skeleton rows=3/> }.into_any(),
            Some(count) => view! { <ul class="panel load">{(0..count).map(bar).collect_view()}</ul> }.into_any(),
        }}
    }
}

/// The table of answer times.
#[component]
pub fn Times() -> impl IntoView {
    let live = live();
    let lines = Memo::new(move |_| {
        live.stats.with(|stats| {
            let inference = &stats.as_ref()?.inference;
            let first = activity::within("First token", &inference.first_token);
            let whole = activity::within("Answer", &inference.total);
            Some((first.into_iter().chain(whole).collect::<Vec<_>>(), inference.total.count))
        })
    });
    let tokens = move || {
        live.stats.with(|stats| {
            let inference = &stats.as_ref()?.inference;
            Some(format!(
                "{} read, {} written",
                format::count(inference.prompt_tokens),
                format::count(inference.completion_tokens)
            ))
        })
    };
    view! {
        {move || match lines.get() {
            None => view! { <Skeleton rows=1/> }.into_any(),
            Some((lines, _)) if lines.is_empty() => {
                view! { <div class="panel times"><p>"No prompt was answered since Kith started."</p></div> }.into_any()
            }
            Some((lines, count)) => view! {
                <div class="panel times">
                    <table class="num">
                        <thead>
                            <tr>
                                <th scope="col"><span class="sr">"Time"</span></th>
                                <th scope="col" title="Half of the answers took at most this long">"50 %"</th>
                                <th scope="col" title="95 of 100 answers took at most this long">"95 %"</th>
                                <th scope="col" title="99 of 100 answers took at most this long">"99 %"</th>
                            </tr>
                        </thead>
                        <tbody>
                            {lines.into_iter().map(|(name, times)| view! {
                                <tr><th scope="row">{name}</th>{times.into_iter().map(|time| view! { <td>{time}</td> }).collect_view()}</tr>
                            }).collect_view()}
                        </tbody>
                    </table>
                    <small class="num">{format!("Share of answers within; {} since Kith started.", plural(count, "answer", "answers"))}</small>
                    <small class="num">"Tokens: "{tokens}"."</small>
                </div>
            }.into_any(),
        }}
    }
}
