//! The one dialog of the window: the browser's own, which keeps focus inside, closes with Escape and gives focus back.

use crate::{icons::Icon, parts::Show};
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
    // Set once something was typed: a stray click beside it must not lose that. Escape and Cancel still close.
    let typed = RwSignal::new(false);
    // A click begins where it is pressed: words that are marked with the pointer may end outside.
    let pressed = RwSignal::new(false);
    let is_beside = move |target: Option<web_sys::EventTarget>| {
        target.zip(element.get_untracked()).is_some_and(|(target, dialog)| {
            let dialog: &web_sys::EventTarget = dialog.as_ref();
            &target == dialog
        })
    };
    Effect::new(move || {
        if open.get() {
            typed.set(false);
        }
    });
    let on_backdrop = move |event: leptos::ev::MouseEvent| {
        // A click on the dialog itself, outside its content, is one on the backdrop.
        if is_beside(event.target()) && pressed.get_untracked() && !typed.get_untracked() {
            open.set(false);
        }
    };
    view! {
        <dialog node_ref=element class="dialog" class:wide=wide on:close=move |_| open.set(false) on:click=on_backdrop
            on:pointerdown=move |event| pressed.set(is_beside(event.target())) on:input=move |_| typed.set(true) aria-label=move || title.get()>
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
