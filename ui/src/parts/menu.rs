//! A menu behind a button: opens by click or key, walks with the arrows, closes with Escape or a click elsewhere.

use super::Show;
use crate::{dom, icons::Icon};
use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The menu; its children are [`MenuItem`]s.
#[component]
pub fn Menu(
    /// What the button is for.
    #[prop(into)]
    label: String,
    /// The button's icon.
    #[prop(default = Icon::More)]
    icon: Icon,
    children: ChildrenFn,
) -> impl IntoView {
    let (open, up) = (RwSignal::new(false), RwSignal::new(false));
    let root = NodeRef::<html::Div>::new();
    let button =
        move || root.get_untracked().and_then(|root| root.query_selector("button").ok()??.dyn_into::<HtmlElement>().ok());
    let step = move |by: isize| {
        if let Some(root) = root.get_untracked() {
            dom::walk(&root, "[role=menuitem]:not([disabled])", by);
        }
    };
    Effect::new(move || {
        if open.get() {
            request_animation_frame(move || {
                // Where there is no room below, it opens upwards.
                up.set(root.get_untracked().is_some_and(|root| dom::is_cut_off(&root, ".pop")));
                step(1);
            });
        } else {
            up.set(false);
        }
    });
    let elsewhere = window_event_listener(ev::pointerdown, move |event| {
        let inside = root.get_untracked().zip(event.target()).is_some_and(|(root, target)| {
            let node: Option<&web_sys::Node> = target.dyn_ref();
            root.contains(node)
        });
        if !inside {
            open.set(false);
        }
    });
    on_cleanup(move || elsewhere.remove());
    let on_key = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "Escape" if open.get_untracked() => {
            event.stop_propagation();
            event.prevent_default();
            open.set(false);
            if let Some(button) = button() {
                let _ = button.focus();
            }
        }
        "ArrowDown" => {
            event.prevent_default();
            if open.get_untracked() { step(1) } else { open.set(true) }
        }
        "ArrowUp" if open.get_untracked() => {
            event.prevent_default();
            step(-1);
        }
        "Tab" => open.set(false),
        _ => {}
    };
    view! {
        <div class="menu" node_ref=root on:keydown=on_key>
            <button
                class="sq"
                aria-label=label
                aria-haspopup="menu"
                aria-expanded=move || open.get().to_string()
                on:click=move |event| { event.stop_propagation(); open.update(|open| *open = !*open) }
            >
                {icon.view()}
            </button>
            <Show when=move || open.get()>
                <div class="pop" class:up=up role="menu" on:click=move |_| open.set(false)>{children()}</div>
            </Show>
        </div>
    }
}

/// One thing to do.
#[component]
pub fn MenuItem(
    icon: Icon,
    #[prop(into)] name: String,
    #[prop(into)] act: Callback<()>,
    /// Set for what destroys.
    #[prop(optional)]
    danger: bool,
) -> impl IntoView {
    view! {
        <button role="menuitem" class:danger=danger on:click=move |_| act.run(())>{icon.view()}{name}</button>
    }
}
