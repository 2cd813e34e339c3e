//! Adapters: small files that change how a model answers.

use super::{folders::Folders, shelf::part};
use crate::{
    dialog::Dialog,
    dom,
    http::Problem,
    icons::Icon,
    live::live,
    parts::{Empty, Failed, Field, Menu, MenuItem, Show, Skeleton},
    session::client,
    toast::toasts,
    view::{format, models},
};
use kith_wire::system::{AdapterInfo, AdapterList, RegisterAdapterRequest, RegisteredAdapter, RemovedAdapter};
use leptos::prelude::*;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long a removal may be taken back; as long as its notice stays.
const SECOND_THOUGHTS: Duration = Duration::from_secs(6);

/// The adapters.
#[component]
pub fn Adapters() -> impl IntoView {
    let client = StoredValue::new(client());
    let list = RwSignal::new(None::<Result<Vec<AdapterInfo>, Problem>>);
    let (open, leaving) = (RwSignal::new(false), RwSignal::new(BTreeSet::<String>::new()));
    let read = move || {
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            let answer = client.get::<AdapterList>("/api/admin/adapters").await;
            list.try_set(Some(answer.map(|list| list.adapters)));
        });
    };
    read();
    let toasts = toasts();
    let remove = Callback::new(move |adapter: AdapterInfo| {
        let (client, id) = (client.get_value(), adapter.id.clone());
        leaving.update(|all| {
            all.insert(id.clone());
        });
        let taken_back = Arc::new(AtomicBool::new(false));
        let undo = {
            let (taken_back, id) = (Arc::clone(&taken_back), id.clone());
            move || {
                taken_back.store(true, Ordering::Relaxed);
                leaving.try_update(|all| all.remove(&id));
            }
        };
        toasts.undoable(format!("{} is removed", adapter.name), undo);
        let act = move || {
            if taken_back.load(Ordering::Relaxed) {
                return;
            }
            leptos::task::spawn_local(async move {
                if let Err(problem) =
                    client.call::<RemovedAdapter>("DELETE", &format!("/api/admin/adapters/{}", part(&id)), &()).await
                {
                    toasts.fail(problem);
                }
                let answer = client.get::<AdapterList>("/api/admin/adapters").await;
                list.try_set(Some(answer.map(|list| list.adapters)));
                leaving.try_update(|all| all.remove(&id));
            });
        };
        set_timeout(act, SECOND_THOUGHTS);
    });
    let add = move || view! { <button class="btn" on:click=move |_| open.set(true)>{Icon::Plus.view()}"Add an adapter"</button> };
    let body = move || match list.get() {
        None => view! { <Skeleton/> }.into_any(),
        Some(Err(problem)) => view! { <Failed problem retry=move |()| read()/> }.into_any(),
        Some(Ok(all)) => {
            let all: Vec<_> = leaving.with(|leaving| all.into_iter().filter(|one| !leaving.contains(&one.id)).collect());
            if all.is_empty() {
                view! {
                    <Empty icon=Icon::Sliders title="No adapters" text="An adapter (LoRA) teaches a model a style or a task without changing its file.">{add()}</Empty>
                }.into_any()
            } else {
                view! {
                    <div class="above"><p>"A request asks for one by its id, as lora_adapter."</p>{add()}</div>
                    <ul class="rows shelf">{all.into_iter().map(|adapter| view! { <Row adapter remove/> }).collect_view()}</ul>
                }
                .into_any()
            }
        }
    };
    view! {
        {body}
        <Register open done=Callback::new(move |()| read())/>
    }
}

#[component]
fn Row(adapter: AdapterInfo, remove: Callback<AdapterInfo>) -> impl IntoView {
    let toasts = toasts();
    let id = StoredValue::new(adapter.id.clone());
    let figures = format!("rank {} · alpha {} · {}", adapter.rank, adapter.alpha, adapter.format);
    let name = adapter.name.clone();
    let below = if adapter.id == name { figures } else { format!("{} · {figures}", adapter.id) };
    let (base, size, path) = (adapter.base_model.clone(), format::bytes(adapter.size), adapter.path.clone());
    let adapter = StoredValue::new(adapter);
    let copy = move |()| {
        leptos::task::spawn_local(async move {
            if !dom::copy(&id.get_value()).await {
                toasts.fail("The browser does not let this page use the clipboard.");
            }
        });
    };
    view! {
        <li class="no-chat">
            <span class="ic">{Icon::Sliders.view()}</span>
            <div><b title=path>{name.clone()}</b><small class="num">{below}</small></div>
            <span class="state">"for "{models::split(&base).0.to_owned()}</span>
            <span class="stat num">{size}</span>
            <Menu label=format!("What to do with {name}")>
                <MenuItem icon=Icon::Copy name="Copy id" act=copy/>
                <MenuItem icon=Icon::Trash name="Remove" danger=true act=move |()| remove.run(adapter.get_value())/>
            </Menu>
        </li>
    }
}

/// Asks for the file and its model.
#[component]
fn Register(open: RwSignal<bool>, done: Callback<()>) -> impl IntoView {
    let (live, toasts) = (live(), toasts());
    let client = StoredValue::new(client());
    let (path, base, name) = (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (fault, busy, browsing) = (RwSignal::new(None::<String>), RwSignal::new(false), RwSignal::new(false));
    let bases = move || {
        live.models.with(|all| {
            let own = all.iter().flatten().filter(|model| !models::is_remote(model));
            own.map(|model| model.name.clone()).collect::<Vec<_>>()
        })
    };
    Effect::new(move || {
        if base.with(String::is_empty)
            && let Some(first) = bases().into_iter().next()
        {
            base.set(first);
        }
    });
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let client = client.get_value();
        let name_given = name.get_untracked().trim().to_owned();
        let asked = RegisterAdapterRequest {
            name: Some(name_given).filter(|name| !name.is_empty()),
            base_model: base.get_untracked(),
            path: path.get_untracked().trim().to_owned(),
            ..RegisterAdapterRequest::default()
        };
        busy.set(true);
        fault.set(None);
        leptos::task::spawn_local(async move {
            let answer = client.post::<RegisteredAdapter>("/api/admin/adapters", &asked).await;
            busy.try_set(false);
            match answer {
                Ok(registered) => {
                    open.try_set(false);
                    path.try_set(String::new());
                    name.try_set(String::new());
                    toasts.say(format!("{} is ready", registered.adapter.name));
                    done.try_run(());
                }
                Err(problem) => {
                    fault.try_set(Some(problem.to_string()));
                }
            }
        });
    };
    view! {
        <Dialog open title="Add an adapter">
            <form class="ask-for" on:submit=save>
                <Field label="File" help="Safetensors as PEFT saves it, or GGUF. The node keeps a copy.">
                    <input class="path" dir="ltr" required spellcheck="false" autocapitalize="off" placeholder="/home/ann/adapters/letters.safetensors" prop:value=move || path.get() on:input:target=move |event| path.set(event.target().value())/>
                </Field>
                <button type="button" class="chip browse" aria-expanded=move || browsing.get().to_string() on:click=move |_| browsing.update(|on| *on = !*on)>
                    {Icon::Disk.view()}"Look through folders"
                </button>
                <Show when=move || browsing.get()><Folders path/></Show>
                <Field label="Made for">
                    <select required prop:value=move || base.get() on:change:target=move |event| base.set(event.target().value())>
                        {move || bases().into_iter().map(|name| view! { <option value=name.clone()>{name.clone()}</option> }).collect_view()}
                    </select>
                </Field>
                <Field label="Name" help="For people; left empty, its id.">
                    <input prop:value=move || name.get() on:input:target=move |event| name.set(event.target().value())/>
                </Field>
                {move || fault.get().map(|fault| view! { <p class="fault" role="alert">{fault}</p> })}
                <div class="acts">
                    <button type="button" class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button class="btn primary" disabled=move || busy.get()>{move || if busy.get() { "Adding" } else { "Add" }}</button>
                </div>
            </form>
        </Dialog>
    }
}
