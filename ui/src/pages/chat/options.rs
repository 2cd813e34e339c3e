//! How the model writes: the system prompt and the sampling, by a word or by figures.

use crate::{
    dialog::Dialog,
    parts::Field,
    session::client,
    talk::{Talk, options_map},
};
use kith_wire::{conversations::ConversationUpdate, ollama::Options};
use leptos::prelude::*;

/// A word for a way of writing.
struct Preset {
    name: &'static str,
    temperature: Option<f32>,
    top_p: Option<f32>,
}

const PRESETS: [Preset; 3] = [
    Preset { name: "Precise", temperature: Some(0.2), top_p: Some(0.9) },
    Preset { name: "Balanced", temperature: None, top_p: None },
    Preset { name: "Inventive", temperature: Some(1.1), top_p: Some(0.98) },
];

/// The word for these options.
pub fn preset(options: &Options) -> &'static str {
    let plain = Options { temperature: options.temperature, top_p: options.top_p, ..Options::default() };
    let found = PRESETS.iter().find(|preset| preset.temperature == options.temperature && preset.top_p == options.top_p);
    match found {
        Some(preset) if *options == plain => preset.name,
        _ => "Custom",
    }
}

/// One figure that can be set.
struct Figure {
    label: &'static str,
    help: &'static str,
    step: &'static str,
    min: &'static str,
    max: &'static str,
    get: fn(&Options) -> Option<f64>,
    set: fn(&mut Options, Option<f64>),
}

const FIGURES: [Figure; 7] = [
    Figure {
        label: "Temperature",
        help: "0 always takes the likeliest word; higher is freer.",
        step: "0.1",
        min: "0",
        max: "5",
        get: |options| options.temperature.map(f64::from),
        set: |options, value| options.temperature = value.map(|value| value as f32),
    },
    Figure {
        label: "Top p",
        help: "Chooses among the likeliest words that together reach this share.",
        step: "0.01",
        min: "0.01",
        max: "1",
        get: |options| options.top_p.map(f64::from),
        set: |options, value| options.top_p = value.map(|value| value as f32),
    },
    Figure {
        label: "Top k",
        help: "Chooses among this many words at most.",
        step: "1",
        min: "1",
        max: "1000",
        get: |options| options.top_k.map(|value| value as f64),
        set: |options, value| options.top_k = value.map(|value| value as i64),
    },
    Figure {
        label: "Repeat penalty",
        help: "Above 1 the model repeats itself less.",
        step: "0.05",
        min: "0.5",
        max: "2",
        get: |options| options.repeat_penalty.map(f64::from),
        set: |options, value| options.repeat_penalty = value.map(|value| value as f32),
    },
    Figure {
        label: "Longest answer, in tokens",
        help: "Empty is as long as the window has room.",
        step: "1",
        min: "1",
        max: "1000000",
        get: |options| options.num_predict.map(|value| value as f64),
        set: |options, value| options.num_predict = value.map(|value| value as i64),
    },
    Figure {
        label: "Context window, in tokens",
        help: "Empty is the model's own. Longer takes more memory.",
        step: "256",
        min: "256",
        max: "1000000",
        get: |options| options.num_ctx.map(|value| value as f64),
        set: |options, value| options.num_ctx = value.map(|value| value as i64),
    },
    Figure {
        label: "Seed",
        help: "The same seed gives the same answer to the same words.",
        step: "1",
        min: "0",
        max: "9007199254740991",
        get: |options| options.seed.map(|value| value as f64),
        set: |options, value| options.seed = value.map(|value| value as i64),
    },
];

/// The panel.
#[component]
pub fn OptionsPanel(talk: Signal<Talk>, open: RwSignal<bool>) -> impl IntoView {
    let client = client();
    let keep = StoredValue::new_local(move || {
        let talk = talk.get_untracked();
        let system = Some(talk.system.get_untracked()).filter(|system| !system.trim().is_empty());
        let options = options_map(&talk.options.get_untracked());
        talk.update(
            &client,
            ConversationUpdate { system: Some(system), options: Some(options), ..ConversationUpdate::default() },
        );
    });
    // What was set is kept when the panel is closed, however that is done.
    Effect::new(move |was: Option<bool>| {
        let now = open.get();
        if was == Some(true) && !now {
            keep.with_value(|keep| keep());
        }
        now
    });
    view! {
        <Dialog open title="How it answers".to_owned()>
            <div class="tabs" role="group" aria-label="Way of writing">
                {PRESETS.iter().map(|one| view! {
                    <button aria-pressed=move || (preset(&talk.get().options.get()) == one.name).to_string()
                        on:click=move |_| talk.get_untracked().options.set(Options { temperature: one.temperature, top_p: one.top_p, ..Options::default() })>
                        {one.name}
                    </button>
                }).collect_view()}
            </div>
            <Field label="System prompt" help="Stands before everything that is said here.">
                <textarea rows="4" dir="auto" placeholder="You are…" prop:value=move || talk.get().system.get()
                    on:input=move |event| talk.get_untracked().system.set(event_target_value(&event))></textarea>
            </Field>
            <div class="figures">
                {FIGURES.iter().map(|figure| view! {
                    <Field label=figure.label help=figure.help>
                        <input type="number" inputmode="decimal" class="num" placeholder="as the model says" step=figure.step min=figure.min max=figure.max
                            prop:value=move || (figure.get)(&talk.get().options.get()).map(|value| trim(value)).unwrap_or_default()
                            on:change=move |event| {
                                let text = event_target_value(&event);
                                let bounds = (figure.min.parse::<f64>().unwrap_or(f64::MIN), figure.max.parse::<f64>().unwrap_or(f64::MAX));
                                let value = text.trim().parse::<f64>().ok().map(|value| value.clamp(bounds.0, bounds.1));
                                talk.get_untracked().options.update(|options| (figure.set)(options, value));
                            }/>
                    </Field>
                }).collect_view()}
            </div>
        </Dialog>
    }
}

/// A figure without the digits that only its storage has.
fn trim(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_a_word_while_nothing_else_is_set() {
        assert_eq!(preset(&Options::default()), "Balanced");
        assert_eq!(preset(&Options { temperature: Some(0.2), top_p: Some(0.9), ..Options::default() }), "Precise");
        assert_eq!(preset(&Options { seed: Some(1), ..Options::default() }), "Custom");
        assert_eq!((trim(0.699_999_988), trim(40.0)), ("0.7".to_owned(), "40".to_owned()));
    }
}
