//! Where one writes: words, pictures and files, the model, and the button that sends or stops.

use super::model_picker::ModelPicker;
use crate::{
    dom,
    http::Client,
    icons::Icon,
    session::client,
    talk::{Draft, Talk, Talks},
    toast::toasts,
    view::format,
};
use kith_wire::{
    conversations::{MessageAttachment, MessageImage},
    ollama::{ShowRequest, ShowResponse},
};
use leptos::{ev, html, prelude::*};
use leptos_router::hooks::use_navigate;
use wasm_bindgen::JsCast;
use web_sys::{File, FileList, HtmlInputElement};

/// What one message may carry (the node has the same bounds).
const MOST_IMAGES: usize = 16;
const MOST_FILES: usize = 32;
const LARGEST_IMAGE: f64 = (20 << 20) as f64;
const LARGEST_TEXT: f64 = (4 << 20) as f64;
const LARGEST_PDF: f64 = (32 << 20) as f64;
/// A paste longer than this is a file, not something one would read in a box.
const LONG_PASTE: usize = 20_000;

/// The composer.
#[component]
pub fn Composer(talk: Signal<Talk>) -> impl IntoView {
    let client = client();
    let talks = expect_context::<Talks>();
    let toasts = toasts();
    let navigate = use_navigate();
    let draft = RwSignal::new(Draft::default());
    let area = NodeRef::<html::Textarea>::new();
    let picker = NodeRef::<html::Input>::new();
    let over = RwSignal::new(false);
    let writing = move || talk.get().writing.with(Option::is_some);
    let empty = move || draft.with(|draft| draft.text.trim().is_empty() && draft.images.is_empty() && draft.files.is_empty());
    let ready = move || !writing() && !empty() && talk.get().model.with(Option::is_some);

    let send = {
        let client = client.clone();
        move || {
            if !ready() {
                return;
            }
            let talk = talk.get_untracked();
            let sent = draft.get_untracked();
            draft.set(Draft::default());
            let navigate = navigate.clone();
            let parent = talk.head.get_untracked();
            let begun = move |id: String| {
                let options = leptos_router::NavigateOptions { replace: true, scroll: false, ..Default::default() };
                navigate(&format!("/chat/{id}"), options);
            };
            // Words that did not arrive are not lost: they stand where they were written, unless others stand there by now.
            talk.send(&client, talks, sent, parent, begun, move |sent| {
                if draft.try_with_untracked(|now| *now == Draft::default()) == Some(true) {
                    draft.set(sent);
                }
            });
        }
    };
    let send_key = send.clone();
    let on_key = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "Enter" if !event.shift_key() && !event.is_composing() => {
            event.prevent_default();
            send_key();
        }
        _ => {}
    };
    // Escape stops wherever one is, unless something that is open takes it.
    let stop_key = window_event_listener(ev::keydown, move |event| {
        let is_taken = event.default_prevented() || dom::is_open("dialog[open], .palette, .pop, .editor");
        if event.key() == "Escape" && writing() && !is_taken {
            talk.get_untracked().stop();
        }
    });
    on_cleanup(move || stop_key.remove());
    let take = move |files: FileList| {
        for at in 0..files.length() {
            let Some(file) = files.get(at) else { continue };
            let client = client.clone();
            let model = talk.get_untracked().model.get_untracked();
            leptos::task::spawn_local(async move {
                match read(&file, &client).await {
                    Ok(Taken::Text(text)) if draft.with_untracked(|draft| draft.files.len()) < MOST_FILES => {
                        draft.update(|draft| draft.files.push(text));
                    }
                    Ok(Taken::Image(image)) if draft.with_untracked(|draft| draft.images.len()) < MOST_IMAGES => {
                        let asked = ShowRequest { model: model.clone(), ..ShowRequest::default() };
                        let sees = client.post::<ShowResponse>("/api/show", &asked).await;
                        if sees.is_ok_and(|shown| shown.capabilities.iter().any(|one| one == "vision")) {
                            draft.update(|draft| draft.images.push(image));
                        } else {
                            toasts
                                .fail(format!("{} does not see pictures. Choose a model that does.", model.unwrap_or_default()));
                        }
                    }
                    Ok(_) => toasts.fail("That is more than one message can carry."),
                    Err(reason) => toasts.fail(reason),
                }
            });
        }
    };
    // Whether a long text was taken, or refused, in the place of the box.
    let carry = move |data: &web_sys::DataTransfer| {
        let length = dom::text_length(data);
        if length <= LONG_PASTE {
            return false;
        }
        // Measured before it is copied: fifty megabytes would hold the page up.
        if length as f64 > LARGEST_TEXT {
            toasts.fail(format!(
                "That text has {}. A message can carry {}.",
                format::bytes(length as u64),
                format::bytes(LARGEST_TEXT as u64)
            ));
        } else if draft.with_untracked(|draft| draft.files.len()) >= MOST_FILES {
            toasts.fail("That is more than one message can carry.");
        } else {
            let text = data.get_data("text/plain").unwrap_or_default();
            draft.update(|draft| {
                let name = format!("Pasted text {}", draft.files.len() + 1);
                draft.files.push(MessageAttachment { name, kind: "text".to_owned(), text });
            });
        }
        true
    };
    let (take_drop, take_paste, take_pick) = (take.clone(), take.clone(), take);
    let on_drop = move |event: ev::DragEvent| {
        over.set(false);
        let Some(data) = event.data_transfer() else { return };
        match data.files().filter(|files| files.length() > 0) {
            Some(files) => {
                event.prevent_default();
                take_drop(files);
            }
            // Short words that are dropped go where they are dropped, as anywhere.
            None if carry(&data) => event.prevent_default(),
            None => {}
        }
    };
    let on_paste = move |event: web_sys::ClipboardEvent| {
        let Some(data) = event.clipboard_data() else { return };
        if let Some(files) = data.files().filter(|files| files.length() > 0) {
            event.prevent_default();
            take_paste(files);
            return;
        }
        if carry(&data) {
            event.prevent_default();
        }
    };
    let on_pick = move |event: ev::Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else { return };
        if let Some(files) = input.files() {
            take_pick(files);
        }
        input.set_value("");
    };
    Effect::new(move || {
        talk.get().id.track();
        // On a phone the keyboard would cover what one came to read.
        if let Some(area) = area.get()
            && window().match_media("(pointer: fine)").ok().flatten().is_some_and(|fine| fine.matches())
        {
            let _ = area.focus();
        }
    });
    view! {
        <div class="composer">
            <div class="col">
                <div class="box" class:over=over on:drop=on_drop on:dragover=move |event| { event.prevent_default(); over.set(true) }
                    on:dragleave=move |_| over.set(false)>
                    <Carried draft/>
                    <textarea node_ref=area rows="1" class="bare" dir="auto" placeholder="Ask anything, or drop a file" aria-label="Message"
                        prop:value=move || draft.with(|draft| draft.text.clone())
                        on:input=move |event| draft.update(|draft| draft.text = event_target_value(&event))
                        on:keydown=on_key on:paste=on_paste></textarea>
                    <div class="row">
                        <input node_ref=picker type="file" multiple=true hidden=true aria-hidden="true" tabindex="-1" on:change=on_pick/>
                        <button class="sq" aria-label="Attach files" title="Attach files"
                            on:click=move |_| if let Some(picker) = picker.get_untracked() { picker.click() }>{Icon::Attach.view()}</button>
                        <ModelPicker talk/>
                        <Where talk/>
                        {move || if writing() {
                            view! {
                                <button class="send stop" aria-label="Stop" title="Stop (Esc)" on:click=move |_| talk.get_untracked().stop()><span></span></button>
                            }.into_any()
                        } else {
                            let send = send.clone();
                            view! {
                                <button class="send" aria-label="Send" title="Send (Enter)" disabled=move || !ready() on:click=move |_| send()>{Icon::Up.view()}</button>
                            }.into_any()
                        }}
                    </div>
                </div>
            </div>
        </div>
    }
}

/// Where the words go: nowhere else, unless the model's name says so.
#[component]
fn Where(talk: Signal<Talk>) -> impl IntoView {
    move || {
        let away = talk.get().model.with(|model| model.as_deref().and_then(crate::view::words::provider).map(str::to_owned));
        match away {
            Some(provider) => view! { <span class="where out">{Icon::Cloud.view()}{format!("goes to {provider}")}</span> },
            None => view! { <span class="where">{Icon::Lock.view()}{"stays on your devices".to_owned()}</span> },
        }
    }
}

/// What the message carries beside its words.
#[component]
fn Carried(draft: RwSignal<Draft>) -> impl IntoView {
    move || {
        draft.with(|now| {
            let pictures = now.images.iter().enumerate().map(|(at, image)| {
                let name = image.name.clone().unwrap_or_else(|| "Picture".to_owned());
                let remove = move |_| {
                    draft.update(|draft| {
                        draft.images.remove(at);
                    })
                };
                view! {
                    <span class="chip">
                        <img class="tiny" src=image.data.clone().unwrap_or_default() alt=""/>{name.clone()}
                        <button aria-label=format!("Remove {name}") on:click=remove>{Icon::Close.view()}</button>
                    </span>
                }
                .into_any()
            });
            let files = now.files.iter().enumerate().map(|(at, file)| {
                let remove = move |_| {
                    draft.update(|draft| {
                        draft.files.remove(at);
                    })
                };
                view! {
                    <span class="chip">
                        {Icon::File.view()}{file.name.clone()}<small class="num">{format::bytes(file.text.len() as u64)}</small>
                        <button aria-label=format!("Remove {}", file.name) on:click=remove>{Icon::Close.view()}</button>
                    </span>
                }
                .into_any()
            });
            let all: Vec<AnyView> = pictures.chain(files).collect();
            (!all.is_empty()).then(|| view! { <div class="attached">{all}</div> })
        })
    }
}

enum Taken {
    Text(MessageAttachment),
    Image(MessageImage),
}

/// Reads a file as what a model can use; says why it cannot.
async fn read(file: &File, client: &Client) -> Result<Taken, String> {
    let (name, kind, size) = (file.name(), file.type_(), file.size());
    if ["image/png", "image/jpeg", "image/webp", "image/gif"].contains(&kind.as_str()) {
        if size > LARGEST_IMAGE {
            return Err(format!("{name} is larger than {}.", format::bytes(LARGEST_IMAGE as u64)));
        }
        let data = dom::data_url(file).await;
        return Ok(Taken::Image(MessageImage { data, name: Some(name), ..MessageImage::default() }));
    }
    if kind == "application/pdf" || name.to_ascii_lowercase().ends_with(".pdf") {
        if size > LARGEST_PDF {
            return Err(format!("{name} is larger than {}.", format::bytes(LARGEST_PDF as u64)));
        }
        let found = client.document(file).await.map_err(|problem| format!("{name}: {problem}"))?;
        // A model that is told of the cut does not take the rest for missing.
        let text = if found.cut { format!("{}\n\n[The document goes on.]", found.text) } else { found.text };
        return Ok(Taken::Text(MessageAttachment { name, kind: "text".to_owned(), text }));
    }
    if size > LARGEST_TEXT {
        return Err(format!("{name} is larger than {}.", format::bytes(LARGEST_TEXT as u64)));
    }
    match dom::file_text(file).await {
        Some(text) => Ok(Taken::Text(MessageAttachment { name, kind: "text".to_owned(), text })),
        None => Err(format!("{name} is neither text, nor a PDF, nor a picture that a model can read.")),
    }
}
