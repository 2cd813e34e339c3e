//! A second name for a model.

use super::shelf::shelf;
use crate::{dialog::Dialog, parts::Field, toast::toasts};
use leptos::prelude::*;

/// Asks for the name. Open while there is a model to name.
#[component]
pub fn CopyDialog(source: RwSignal<Option<String>>) -> impl IntoView {
    let (shelf, toasts) = (shelf(), toasts());
    let open = RwSignal::new(false);
    let (name, fault) = (RwSignal::new(String::new()), RwSignal::new(None::<String>));
    Effect::new(move || {
        if let Some(source) = source.get() {
            name.set(format!("{}-copy", source.split(':').next().unwrap_or(&source)));
            fault.set(None);
            open.set(true);
        }
    });
    Effect::new(move || {
        // Set only where it changes something: what is set tells those who set this.
        if !open.get() && source.with_untracked(Option::is_some) {
            source.set(None);
        }
    });
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let (Some(from), to) = (source.get_untracked(), name.get_untracked().trim().to_owned()) else { return };
        leptos::task::spawn_local(async move {
            match shelf.copy(from, to.clone()).await {
                Ok(()) => {
                    open.try_set(false);
                    toasts.say(format!("It is called {to} as well"));
                }
                Err(problem) => {
                    fault.try_set(Some(problem.to_string()));
                }
            }
        });
    };
    view! {
        <Dialog open title="Copy as">
            <form class="ask-for" on:submit=save>
                <Field label="Its second name" help="Both names share the same bytes; nothing is written twice.">
                    <input prop:value=move || name.get() on:input:target=move |event| name.set(event.target().value()) autofocus required aria-invalid=move || fault.with(Option::is_some).to_string()/>
                </Field>
                {move || fault.get().map(|fault| view! { <p class="fault" role="alert">{fault}</p> })}
                <div class="acts">
                    <button type="button" class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button class="btn primary">"Copy"</button>
                </div>
            </form>
        </Dialog>
    }
}
