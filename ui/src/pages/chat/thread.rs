//! The open conversation: its messages, its head line, and the composer below.

use super::{composer::Composer, message::Message, options::OptionsPanel};
use crate::{
    icons::Icon,
    live::live,
    parts::{Empty, For, Show, Skeleton},
    session::client,
    talk::Talk,
};
use kith_wire::conversations::{ConversationMessage, MessageRole};
use leptos::{html, prelude::*};

/// How near to the end one must be for the page to follow what is written, in pixels.
const NEAR: i32 = 80;

/// The conversation.
#[component]
pub fn Thread(talk: Signal<Talk>, listed: RwSignal<bool>) -> impl IntoView {
    let live = live();
    let is_admin = client().is_admin();
    let options = RwSignal::new(false);
    let scroll = NodeRef::<html::Div>::new();
    let follows = RwSignal::new(true);
    let branch = Memo::new(move |_| talk.get().branch());
    // The page follows what is written unless somebody has scrolled away from it.
    Effect::new(move || {
        branch.track();
        if follows.get_untracked()
            && let Some(scroll) = scroll.get()
        {
            request_animation_frame(move || scroll.set_scroll_top(scroll.scroll_height()));
        }
    });
    Effect::new(move || {
        talk.get().id.track();
        follows.set(true);
    });
    let on_scroll = move |_| {
        if let Some(scroll) = scroll.get_untracked() {
            follows.set(scroll.scroll_height() - scroll.scroll_top() - scroll.client_height() < NEAR);
        }
    };
    let title = move || {
        let title = talk.get().title.get();
        if title.is_empty() { "New chat".to_owned() } else { title }
    };
    let ids = move || branch.get().into_iter().map(|message| message.id).collect::<Vec<_>>();
    let no_model = move || live.models.with(|models| models.as_ref().is_some_and(Vec::is_empty));
    view! {
        <section class="thread" aria-label="Conversation">
            <header>
                <button class="sq lists" aria-label="Conversations" on:click=move |_| listed.update(|listed| *listed = !*listed)>{Icon::Menu.view()}</button>
                <div><h1 dir="auto">{title}</h1></div>
                <button class="chip" on:click=move |_| options.set(true)>
                    {Icon::Sliders.view()}<span>{move || super::options::preset(&talk.get().options.get())}</span>
                </button>
            </header>
            <div class="scroll" node_ref=scroll on:scroll=on_scroll tabindex="0" role="log" aria-label="Messages">
                <div class="col">
                    {move || {
                        let talk = talk.get();
                        if talk.loading.get() {
                            return view! { <Skeleton rows=4/> }.into_any();
                        }
                        if branch.with(Vec::is_empty) && talk.problem.with(Option::is_none) {
                            return if no_model() {
                                if !is_admin {
                                    return view! {
                                        <Empty icon=Icon::Cube title="No model yet" text="A model answers on the computer. Get one there to begin."/>
                                    }.into_any();
                                }
                                view! {
                                    <Empty icon=Icon::Cube title="No model yet" text="A model answers on this machine. Get one to begin.">
                                        <a class="btn primary" href="/app/models?tab=get">"Get a model"</a>
                                    </Empty>
                                }.into_any()
                            } else {
                                view! { <Greeting/> }.into_any()
                            };
                        }
                        ().into_any()
                    }}
                    <For each=ids key=|id| id.clone() let:id>
                        <Entry id talk branch/>
                    </For>
                    {move || talk.get().problem.get().map(|problem| view! {
                        <p class="problem" role="alert">{Icon::Alert.view()}<span>{problem.to_string()}</span></p>
                    })}
                </div>
            </div>
            <Show when=move || !follows.get() && !branch.with(Vec::is_empty)>
                <button class="chip down" on:click=move |_| {
                    follows.set(true);
                    if let Some(scroll) = scroll.get_untracked() { scroll.set_scroll_top(scroll.scroll_height()); }
                }>{Icon::ChevronDown.view()}"To the end"</button>
            </Show>
            <Composer talk/>
            <OptionsPanel talk open=options/>
        </section>
    }
}

/// One message, drawn anew only when it changed.
#[component]
fn Entry(id: String, talk: Signal<Talk>, branch: Memo<Vec<ConversationMessage>>) -> impl IntoView {
    let message = Memo::new(move |before: Option<&Option<ConversationMessage>>| {
        let now = branch.with(|branch| branch.iter().find(|message| message.id == id).cloned());
        now.or_else(|| before.cloned().flatten())
    });
    move || {
        message.with(Option::is_some).then(|| {
            let message = Signal::derive(move || message.get().unwrap_or_else(blank));
            view! { <Message message talk/> }
        })
    }
}

/// In the place of a message that is gone, for the moment until its element goes.
fn blank() -> ConversationMessage {
    ConversationMessage {
        id: String::new(),
        parent: None,
        role: MessageRole::System,
        content: String::new(),
        reasoning: None,
        images: Vec::new(),
        attachments: Vec::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
        model: None,
        provider: None,
        usage: None,
        timings: None,
        finish: None,
        error: None,
        stopped: false,
        created_at_ms: kith_types::Timestamp::from_ms(0),
        updated_at_ms: kith_types::Timestamp::from_ms(0),
    }
}

/// Before the first word.
#[component]
fn Greeting() -> impl IntoView {
    let is_admin = client().is_admin();
    let said = if is_admin {
        "Answers are written on this machine. Nothing you say leaves it."
    } else {
        "Answers are written on your computer. Nothing you say leaves your own devices."
    };
    view! {
        <div class="greeting">
            <img src="/favicon.ico" alt="" width="44" height="44"/>
            <h2>"What shall we look at?"</h2>
            <p>{said}</p>
        </div>
    }
}
