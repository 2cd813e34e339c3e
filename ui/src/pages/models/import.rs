//! Taking a file of this machine into the library.

use super::{folders::Folders, shelf::shelf};
use crate::{
    dialog::Dialog,
    icons::Icon,
    parts::{Field, Show},
    shell::{self, Wanted},
    view::models,
};
use leptos::prelude::*;

/// Asks for the file and a name.
#[component]
pub fn ImportDialog(open: RwSignal<bool>) -> impl IntoView {
    let shelf = shelf();
    let (path, name, is_own) = (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(false));
    let browsing = RwSignal::new(false);
    Effect::new(move || {
        let suggested = path.with(|path| models::name_of_file(path)).filter(|_| path.with(|path| path.ends_with(".gguf")));
        if let Some(suggested) = suggested.filter(|_| !is_own.get_untracked()) {
            name.set(suggested);
        }
    });
    let go = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        shelf.import(path.get_untracked().trim().to_owned(), name.get_untracked().trim().to_owned());
        open.set(false);
        path.set(String::new());
        name.set(String::new());
        is_own.set(false);
    };
    view! {
        <Dialog open title="From this machine">
            <form class="ask-for" on:submit=go>
                <Field label="File" help="A GGUF file, or a folder with an embedding model's safetensors. It is copied; the original stays.">
                    <input class="path" dir="ltr" required spellcheck="false" autocapitalize="off" placeholder="/home/ann/models/tiny.Q4_K_M.gguf" prop:value=move || path.get() on:input:target=move |event| path.set(event.target().value())/>
                </Field>
                {shell::is_here().then(|| {
                    let choose = move |wanted| {
                        leptos::task::spawn_local(async move {
                            if let Ok(Some(chosen)) = shell::choose(wanted).await {
                                path.try_set(chosen);
                            }
                        });
                    };
                    view! {
                        <div class="acts">
                            <button type="button" class="chip" on:click=move |_| choose(Wanted::Model)>{Icon::Attach.view()}"Choose a file"</button>
                            <button type="button" class="chip" on:click=move |_| choose(Wanted::Folder)>{Icon::Disk.view()}"Choose a folder"</button>
                        </div>
                    }
                })}
                <button type="button" class="chip browse" aria-expanded=move || browsing.get().to_string() on:click=move |_| browsing.update(|on| *on = !*on)>
                    {Icon::Disk.view()}"Look through folders"
                </button>
                <Show when=move || browsing.get()><Folders path/></Show>
                <Field label="Name in the library" help="A name and a tag, as in tiny:q4_k_m.">
                    <input required dir="ltr" spellcheck="false" autocapitalize="off" prop:value=move || name.get() on:input:target=move |event| { is_own.set(true); name.set(event.target().value()); }/>
                </Field>
                <div class="acts">
                    <button type="button" class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button class="btn primary">"Import"</button>
                </div>
            </form>
        </Dialog>
    }
}
