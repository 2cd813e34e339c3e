//! The conversations: found by words, grouped by day, renamed, pinned, copied, saved, deleted and brought back.

use crate::{
    dom,
    http::{Client, Problem},
    icons::Icon,
    live::{Link, live},
    parts::{Failed, Menu, MenuItem, Show, Skeleton},
    session::{client, sessions},
    toast::toasts,
    view::format,
};
use kith_wire::conversations::{Conversation, ConversationList, ConversationSummary, ConversationUpdate, ForkRequest};
use leptos::{html, prelude::*};
use leptos_router::{components::A, hooks::use_navigate};
use std::time::Duration;

/// How long to wait for the next letter of a search.
const PAUSE: Duration = Duration::from_millis(150);
/// How many are read at once.
const PAGE: usize = 60;

/// The list.
#[component]
pub fn List(id: Memo<Option<String>>, listed: RwSignal<bool>, fresh: Callback<()>) -> impl IntoView {
    let client = client();
    let live = live();
    let words = RwSignal::new(String::new());
    let all = RwSignal::new(None::<Vec<ConversationSummary>>);
    let next = RwSignal::new(None::<String>);
    let problem = RwSignal::new(None::<Problem>);
    let sessions = sessions();
    let read = move |client: &Client, after: Option<String>| {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let asked = words.get_untracked();
            let mut path = format!("/api/v1/conversations?limit={PAGE}");
            if !asked.trim().is_empty() {
                path.push_str(&format!("&query={}", js_sys::encode_uri_component(asked.trim())));
            }
            if let Some(after) = &after {
                path.push_str(&format!("&cursor={}", js_sys::encode_uri_component(after)));
            }
            let list = match sessions.note(client.get::<ConversationList>(&path).await) {
                Ok(list) => list,
                Err(why) => {
                    problem.try_set(Some(why));
                    return;
                }
            };
            problem.try_set(None);
            if words.try_get_untracked() != Some(asked) {
                return;
            }
            next.try_set(list.next);
            match after {
                Some(_) => {
                    all.try_update(|all| all.get_or_insert_default().extend(list.conversations));
                }
                None => {
                    all.try_set(Some(list.conversations));
                }
            }
        });
    };
    let is_away = Memo::new(move |_| matches!(live.link.get(), Link::Offline(_)));
    Effect::new({
        let client = client.clone();
        move |before: Option<Option<u64>>| {
            let newest = live.talked.with(|event| event.as_ref().map(|event| event.id));
            if is_away.get() {
                return newest;
            }
            // Words that come to the conversation at the top change nothing here, and they come often while one is written.
            let grows = live.talked.with(|event| {
                let data = &event.as_ref()?.data;
                (data.get("fields")? == &serde_json::json!(["messages"])).then(|| data.get("id")?.as_str().map(str::to_owned))?
            });
            let is_top = |id: &String| {
                // The first words give it its title.
                let is_it = |one: &ConversationSummary| one.id == *id && !one.title.is_empty();
                all.with_untracked(|all| all.as_ref()?.iter().find(|one| !one.pinned).map(is_it)) == Some(true)
            };
            // Without a new event it is the node that came back, and may tell of other things than before.
            if before == Some(newest) || !grows.as_ref().is_some_and(is_top) {
                read(&client, None);
            }
            newest
        }
    });
    let pause = StoredValue::new(None::<TimeoutHandle>);
    let search = {
        let client = client.clone();
        move |text: String| {
            words.set(text);
            if let Some(waiting) = pause.get_value() {
                waiting.clear();
            }
            let client = client.clone();
            pause.set_value(set_timeout_with_handle(move || read(&client, None), PAUSE).ok());
        }
    };
    let again = client.clone();
    let groups = move || {
        let (now, offset) = (dom::now_ms(), dom::utc_offset_minutes());
        let mut groups: Vec<(&'static str, Vec<ConversationSummary>)> = Vec::new();
        for one in all.get().into_iter().flatten() {
            let name = if one.pinned { "Pinned" } else { format::period(one.updated_at_ms.ms(), now, offset) };
            match groups.last_mut() {
                Some((last, group)) if *last == name => group.push(one),
                _ => groups.push((name, vec![one])),
            }
        }
        groups
    };
    let more = {
        let client = client.clone();
        move |_| read(&client, next.get_untracked())
    };
    view! {
        <section class="list" aria-label="Conversations">
            <header>
                <label class="find">
                    {Icon::Search.view()}
                    <input type="search" class="bare" placeholder="Search conversations" aria-label="Search conversations"
                        on:input=move |event| search(event_target_value(&event))/>
                </label>
                <button class="sq" aria-label="New chat" title="New chat" on:click=move |_| fresh.run(())>{Icon::Plus.view()}</button>
            </header>
            {move || match all.get() {
                None => match problem.get() {
                    Some(problem) => {
                        let client = again.clone();
                        view! { <Failed problem retry=move |()| read(&client, None)/> }.into_any()
                    }
                    None => view! { <Skeleton rows=5/> }.into_any(),
                },
                Some(all) if all.is_empty() => {
                    let said = if words.with(String::is_empty) { "What you talk about appears here." } else { "Nothing was said like that." };
                    view! { <p class="none">{said}</p> }.into_any()
                }
                Some(_) => groups().into_iter().map(|(name, group)| view! {
                    <h2>{name}</h2>
                    <ul>{group.into_iter().map(|one| view! { <Row one id listed/> }).collect_view()}</ul>
                }).collect_view().into_any(),
            }}
            <Show when=move || next.with(Option::is_some)>
                <button class="btn small more" on:click=more.clone()>"Show older"</button>
            </Show>
        </section>
    }
}

#[component]
fn Row(one: ConversationSummary, id: Memo<Option<String>>, listed: RwSignal<bool>) -> impl IntoView {
    let client = client();
    let navigate = use_navigate();
    let toasts = toasts();
    let editing = RwSignal::new(false);
    let path = StoredValue::new(format!("/api/v1/conversations/{}", one.id));
    let this = StoredValue::new(one.id.clone());
    let title = if one.title.is_empty() { "New chat".to_owned() } else { one.title.clone() };
    let shown = StoredValue::new((title.clone(), one.snippet.clone()));
    let time = format::when(one.updated_at_ms.ms(), dom::now_ms(), dom::utc_offset_minutes());
    let here = move || id.with(|id| id.as_deref() == Some(this.get_value().as_str()));
    let patch = {
        let client = client.clone();
        move |update: ConversationUpdate| {
            let (client, path) = (client.clone(), path.get_value());
            leptos::task::spawn_local(async move {
                if let Err(problem) = client.send("PATCH", &path, Some(&update)).await {
                    toasts.fail(problem);
                }
            });
        }
    };
    let rename = {
        let patch = patch.clone();
        move |text: String| {
            editing.set(false);
            let text = text.trim().to_owned();
            patch(ConversationUpdate { title: Some((!text.is_empty()).then_some(text)), ..ConversationUpdate::default() });
        }
    };
    let pin = {
        let patch = patch.clone();
        let pinned = one.pinned;
        move |()| patch(ConversationUpdate { pinned: Some(!pinned), ..ConversationUpdate::default() })
    };
    let fork = {
        let (client, navigate) = (client.clone(), navigate.clone());
        move |()| {
            let (client, navigate, path) = (client.clone(), navigate.clone(), path.get_value());
            leptos::task::spawn_local(async move {
                match client.post::<Conversation>(&format!("{path}/fork"), &ForkRequest::default()).await {
                    Ok(copy) => navigate(&format!("/chat/{}", copy.id), Default::default()),
                    Err(problem) => toasts.fail(problem),
                }
            });
        }
    };
    let export = {
        let (client, title) = (client.clone(), title.clone());
        move |()| {
            let (client, name, path) = (client.clone(), file_name(&title), path.get_value());
            leptos::task::spawn_local(async move {
                match client.blob(&format!("{path}/export?format=markdown")).await {
                    Ok(blob) => dom::save(&blob, &name),
                    Err(problem) => toasts.fail(problem),
                }
            });
        }
    };
    let delete = {
        let client = client.clone();
        move |()| {
            let (client, navigate, path, was_here) = (client.clone(), navigate.clone(), path.get_value(), here());
            leptos::task::spawn_local(async move {
                if let Err(problem) = client.delete(&path).await {
                    return toasts.fail(problem);
                }
                if was_here {
                    navigate("/chat", Default::default());
                }
                // The row is gone by then: what brings it back holds nothing of it.
                toasts.undoable("The conversation is deleted.", move || {
                    let (client, path) = (client.clone(), path.clone());
                    leptos::task::spawn_local(async move {
                        if let Err(problem) = client.send("POST", &format!("{path}/restore"), None::<&()>).await {
                            toasts.fail(problem);
                        }
                    });
                });
            });
        }
    };
    let input = NodeRef::<html::Input>::new();
    Effect::new(move || {
        if let Some(input) = input.get() {
            // After the menu has closed, and with it has let go of the focus.
            request_animation_frame(move || {
                let _ = input.focus();
                input.select();
            });
        }
    });
    let (rename_key, rename_blur) = (rename.clone(), rename);
    let edited = title.clone();
    view! {
        <li class:here=here>
            {move || if editing.get() {
                let (by_key, by_blur) = (rename_key.clone(), rename_blur.clone());
                view! {
                    <input node_ref=input aria-label="Title" value=edited.clone() maxlength="200"
                        on:keydown=move |event| match event.key().as_str() {
                            "Enter" => by_key(event_target_value(&event)),
                            "Escape" => editing.set(false),
                            _ => {}
                        }
                        on:blur=move |event| if editing.get_untracked() { by_blur(event_target_value(&event)) }/>
                }.into_any()
            } else {
                let time = time.clone();
                view! {
                    <A href=format!("/app/chat/{}", this.get_value()) on:click=move |_| listed.set(false)
                        attr:aria-current=move || here().then_some("page")>
                        <span dir="auto">{shown.get_value().0}{shown.get_value().1.map(|snippet| view! { <small>{snippet}</small> })}</span>
                        <time class="num">{time}</time>
                    </A>
                }.into_any()
            }}
            <Menu label=format!("More for {title}")>
                <MenuItem icon=Icon::Edit name="Rename" act=Callback::new(move |()| editing.set(true))/>
                <MenuItem icon=Icon::Pin name=if one.pinned { "Unpin" } else { "Pin" } act=Callback::new(pin.clone())/>
                <MenuItem icon=Icon::Branch name="Make a copy" act=Callback::new(fork.clone())/>
                <MenuItem icon=Icon::Download name="Save as Markdown" act=Callback::new(export.clone())/>
                <MenuItem icon=Icon::Trash name="Delete" danger=true act=Callback::new(delete.clone())/>
            </Menu>
        </li>
    }
}

/// A title as a file's name.
fn file_name(title: &str) -> String {
    let name: String = title.chars().map(|c| if c.is_alphanumeric() || "-_ .,".contains(c) { c } else { '-' }).take(80).collect();
    format!("{}.md", name.trim_matches([' ', '.', '-']))
}
