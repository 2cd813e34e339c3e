//! One message: what was said, how it came about, and what can be done with it.

use crate::{
    http::Client,
    icons::Icon,
    live::live,
    parts::{CopyButton, Prose, Show},
    session::client,
    talk::{Draft, Talk, Talks},
    view::{format, thread},
};
use kith_wire::conversations::{ConversationMessage, MessageImage, MessageRole};
use leptos::{ev, html, prelude::*};

/// The message.
#[component]
pub fn Message(message: Signal<ConversationMessage>, talk: Signal<Talk>) -> impl IntoView {
    match message.with_untracked(|message| message.role) {
        MessageRole::User => view! { <Mine message talk/> }.into_any(),
        MessageRole::Assistant => view! { <Answer message talk/> }.into_any(),
        MessageRole::System | MessageRole::Tool => view! {
            <article class="aside"><small>{move || if message.with(|one| one.role == MessageRole::Tool) { "Tool" } else { "Instructions" }}</small>
                <Prose text=Signal::derive(move || message.with(|message| message.content.clone()))/></article>
        }
        .into_any(),
    }
}

#[component]
fn Mine(message: Signal<ConversationMessage>, talk: Signal<Talk>) -> impl IntoView {
    let editing = RwSignal::new(false);
    let client = client();
    let talks = expect_context::<Talks>();
    let said = Signal::derive(move || message.with(|message| message.content.clone()));
    let resend = {
        let client = client.clone();
        Callback::new(move |text: String| {
            editing.set(false);
            let (parent, files) = message.with_untracked(|message| (message.parent.clone(), message.attachments.clone()));
            let images = message.with_untracked(|message| message.images.iter().map(known).collect());
            talk.get_untracked().send(&client, talks, Draft { text, images, files }, parent, |_| {}, |_| {});
        })
    };
    view! {
        <article class="mine">
            {move || if editing.get() {
                view! { <Editor said=said.get_untracked() send=resend cancel=Callback::new(move |()| editing.set(false))/> }.into_any()
            } else {
                view! {
                    <div class="me">
                        <Attached message/>
                        <p dir="auto">{said}</p>
                    </div>
                }.into_any()
            }}
            <Show when=move || !editing.get()>
                <footer class="num">
                    <Variants message talk/>
                    <button class="sq" aria-label="Edit" title="Edit and send again" disabled=move || talk.get().writing.with(Option::is_some)
                        on:click=move |_| editing.set(true)>{Icon::Edit.view()}</button>
                    <CopyButton text=said/>
                </footer>
            </Show>
        </article>
    }
}

/// A picture that the node has already.
fn known(image: &MessageImage) -> MessageImage {
    MessageImage { data: None, ..image.clone() }
}

#[component]
fn Attached(message: Signal<ConversationMessage>) -> impl IntoView {
    move || {
        message.with(|message| {
            let pictures = message.images.iter().map(|image| {
                let name = image.name.clone().unwrap_or_else(|| "Picture".to_owned());
                match image.thumbnail.clone() {
                    Some(small) => view! { <img class="thumb" src=small alt=name/> }.into_any(),
                    None => view! { <span class="chip">{Icon::Image.view()}{name}</span> }.into_any(),
                }
            });
            let files = message.attachments.iter().map(|file| {
                view! { <span class="chip">{Icon::File.view()}{file.name.clone()}<small class="num">{format::bytes(file.text.len() as u64)}</small></span> }.into_any()
            });
            let all: Vec<AnyView> = pictures.chain(files).collect();
            (!all.is_empty()).then(|| view! { <div class="attached">{all}</div> })
        })
    }
}

#[component]
fn Editor(said: String, send: Callback<String>, cancel: Callback<()>) -> impl IntoView {
    let text = RwSignal::new(said);
    let area = NodeRef::<html::Textarea>::new();
    Effect::new(move || {
        if let Some(area) = area.get() {
            let _ = area.focus();
        }
    });
    let on_key = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "Enter" if !event.shift_key() && !event.is_composing() => {
            event.prevent_default();
            send.run(text.get_untracked());
        }
        "Escape" => cancel.run(()),
        _ => {}
    };
    view! {
        <div class="editor">
            <textarea node_ref=area aria-label="Message" prop:value=text on:input=move |event| text.set(event_target_value(&event)) on:keydown=on_key></textarea>
            <div class="acts">
                <button class="btn small" on:click=move |_| cancel.run(())>"Cancel"</button>
                <button class="btn primary small" disabled=move || text.with(|text| text.trim().is_empty()) on:click=move |_| send.run(text.get_untracked())>"Send"</button>
            </div>
        </div>
    }
}

#[component]
fn Answer(message: Signal<ConversationMessage>, talk: Signal<Talk>) -> impl IntoView {
    let client = client();
    let text = Signal::derive(move || message.with(|message| message.content.clone()));
    let writing = Memo::new(move |_| {
        talk.get().writing.with(|writing| message.with(|message| writing.as_deref() == Some(message.id.as_str())))
    });
    let thought =
        Memo::new(move |_| message.with(|message| message.reasoning.clone()).filter(|thought| !thought.trim().is_empty()));
    let live = live();
    // The first answer of a model waits for its file to come into memory, which may take longer than the answer.
    let waits_for = move || {
        let name = message
            .with(|message| message.model.clone().filter(|_| message.content.is_empty() && message.reasoning.is_none()))?;
        let is_remote = crate::view::words::provider(&name).is_some();
        let is_there = live.running.with(|running| running.iter().any(|one| one.name == name));
        (!is_remote && !is_there).then(|| format!("Loading {name} into memory"))
    };
    let thinking = move || writing.get() && text.with(String::is_empty);
    let retry = move |_| {
        if let Some(question) = message.with_untracked(|message| message.parent.clone()) {
            talk.get_untracked().retry(&client, question);
        }
    };
    let facts = move || {
        message.with(|message| {
            let mut facts: Vec<String> = message.model.iter().cloned().collect();
            if let Some(speed) = message.timings.and_then(|timings| timings.tokens_per_s) {
                facts.push(format::speed(speed));
            }
            if let Some(usage) = message.usage {
                facts.push(format!("{} read, {} written", format::count(usage.prompt), format::count(usage.completion)));
            }
            if let Some(timings) = message.timings {
                let ms = timings.prefill_ms.unwrap_or(0.0) + timings.decode_ms.unwrap_or(0.0);
                facts.push(format::duration_ms(ms as u64));
            }
            if message.stopped {
                facts.push("stopped".to_owned());
            }
            if message.finish.as_deref() == Some("length") {
                facts.push("cut at its longest".to_owned());
            }
            facts
        })
    };
    view! {
        <article class="kin" aria-busy=move || writing.get().to_string()>
            <Show when=move || thought.with(Option::is_some)>
                <details class="thought" prop:open=thinking>
                    <summary>{move || if thinking() { "Thinking" } else { "Thoughts" }}</summary>
                    <Prose text=Signal::derive(move || thought.get().unwrap_or_default())/>
                </details>
            </Show>
            <Show when=move || !text.with(String::is_empty)><Prose text/></Show>
            {move || message.with(|message| message.tool_calls.iter().map(|call| view! {
                <details class="thought"><summary>{format!("Called {}", call.name)}</summary><pre tabindex="0">{call.arguments.clone()}</pre></details>
            }).collect_view())}
            <Show when=move || writing.get()>
                <p class="waits"><span class="caret"></span>{move || match waits_for() {
                    Some(what) => view! { <span class="what">{what}</span> },
                    None => view! { <span class="sr">{"Writing".to_owned()}</span> },
                }}</p>
            </Show>
            {move || message.with(|message| message.error.clone()).map(|error| view! {
                <p class="problem" role="alert">{Icon::Alert.view()}<span>{crate::view::words::sentence(&error)}</span></p>
            })}
            <Show when=move || !writing.get()>
                <footer class="num">
                    {move || facts().into_iter().map(|fact| view! { <span>{fact}</span> }).collect_view()}
                    <Variants message talk/>
                    <button class="sq first" aria-label="Answer again" title="Answer again" disabled=move || talk.get().writing.with(Option::is_some)
                        on:click=retry.clone()>{Icon::Retry.view()}</button>
                    <Show when=move || !text.with(String::is_empty)><CopyButton text/></Show>
                </footer>
            </Show>
        </article>
    }
}

/// Walks through the variants of a message, where there are several.
#[component]
fn Variants(message: Signal<ConversationMessage>, talk: Signal<Talk>) -> impl IntoView {
    let client = client();
    let place = Memo::new(move |_| {
        talk.get().messages.with(|messages| {
            message.with(|message| {
                let ids: Vec<String> = thread::variants(messages, message).into_iter().map(|one| one.id.clone()).collect();
                let at = ids.iter().position(|id| *id == message.id).unwrap_or(0);
                (at, ids)
            })
        })
    });
    let step = move |client: &Client, by: isize| {
        let (at, ids) = place.get_untracked();
        if let Some(id) = at.checked_add_signed(by).and_then(|at| ids.get(at)) {
            talk.get_untracked().show(client, id);
        }
    };
    let (back, on) = (client.clone(), client);
    move || {
        let (at, count) = place.with(|(at, ids)| (*at, ids.len()));
        (count > 1).then(|| {
            let (back, on) = (back.clone(), on.clone());
            view! {
                <span class="variants">
                    <button class="sq" aria-label="Earlier variant" disabled=at == 0 on:click=move |_| step(&back, -1)>{Icon::Back.view()}</button>
                    {format!("{} of {count}", at + 1)}
                    <button class="sq turn" aria-label="Later variant" disabled=at + 1 == count on:click=move |_| step(&on, 1)>{Icon::Back.view()}</button>
                </span>
            }
        })
    }
}
