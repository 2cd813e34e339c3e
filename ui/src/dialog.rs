//! The one dialog of the window: the browser's own, which keeps focus inside, closes with Escape and gives focus back.

use crate::icons::Icon;
use leptos::{html, prelude::*};

/// A dialog that is open while `open` is.
#[component]
pub fn Dialog(
    /// Whether it is open.
    open: RwSignal<bool>,
    /// What it is for.
    #[prop(into)]
    title: Signal<String>,
    /// Set for long content.
    #[prop(optional)]
    wide: bool,
    children: ChildrenFn,
) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = element.get() else { return };
        if open.get() {
            if !dialog.open() {
                let _ = dialog.show_modal();
            }
        } else if dialog.open() {
            dialog.close();
        }
    });
    let on_backdrop = move |event: leptos::ev::MouseEvent| {
        // A click on the dialog itself, outside its content, is one on the backdrop.
        let hit = event.target().zip(element.get_untracked()).is_some_and(|(target, dialog)| {
            let dialog: &web_sys::EventTarget = dialog.as_ref();
            &target == dialog
        });
        if hit {
            open.set(false);
        }
    };
    view! {
        <dialog node_ref=element class="dialog" class:wide=wide on:close=move |_| open.set(false) on:click=on_backdrop aria-label=move || title.get()>
            <Show when=move || open.get()>
                <div class="dialog-in">
                    <header>
                        <h2>{move || title.get()}</h2>
                        <button class="sq" aria-label="Close" on:click=move |_| open.set(false)>{Icon::Close.view()}</button>
                    </header>
                    {children()}
                </div>
            </Show>
        </dialog>
    }
}
