//! The first run: three quiet steps over the window, shown once to whoever administers a node that nobody has named yet.

use crate::{
    dom,
    http::Problem,
    icons::Icon,
    live::{Live, live},
    parts::{Field, Show, Skeleton},
    session::client,
    view::{format, models, welcome, words},
};
use kith_wire::system::{DownloadAnswer, DownloadShardsRequest, HubRepository, HubVariant, ProfileBody};
use leptos::{ev, html, prelude::*};
use leptos_router::hooks::use_navigate;

/// Set once it was left, for the case that the node could not be told.
const LEFT: &str = "kith.welcomed";
/// How many steps there are.
const STEPS: usize = 3;
/// The model that comes where the library is empty.
const FIRST_MODEL: &str = "smollm2:135m";

/// What is suggested beside the model that is there.
#[derive(Clone, PartialEq)]
enum Better {
    Asking,
    Found(String, HubVariant),
    /// The hub cannot be asked.
    Away,
    /// No larger one fits this machine.
    None,
}

/// The dialog; nothing for those who were greeted, and for those who may not name the node.
#[component]
pub fn Welcome() -> impl IntoView {
    let (client, live) = (client(), live());
    let shown = RwSignal::new(false);
    let step = RwSignal::new(0usize);
    let name = RwSignal::new(String::new());
    if client.is_admin() && dom::kept(LEFT).is_none() {
        let client = client.clone();
        leptos::task::spawn_local(async move {
            if let Ok(profile) = client.get::<ProfileBody>("/api/v1/profile").await {
                shown.try_set(welcome::is_first(&profile));
            }
        });
    }
    // The name it has is the one offered, until another is typed.
    let touched = RwSignal::new(false);
    Effect::new(move || {
        let now = live.name.get();
        if !touched.get_untracked() {
            name.set(now);
        }
    });
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = element.get() else { return };
        if shown.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !shown.get() && dialog.open() {
            dialog.close();
        }
    });
    let navigate = use_navigate();
    // Left at any step, it does not come again: the node keeps its name, and with it that it was greeted.
    let leave = {
        let client = client.clone();
        Callback::new(move |talk: bool| {
            shown.set(false);
            dom::keep(LEFT, "yes");
            let kept = live.name.get_untracked();
            if step.get_untracked() == 0 && !kept.is_empty() {
                let client = client.clone();
                leptos::task::spawn_local(async move { drop(live.call_this(&client, &kept).await) });
            }
            if talk {
                navigate("/chat", Default::default());
            }
        })
    };
    let on_cancel = move |event: ev::Event| {
        event.prevent_default();
        leave.run(false);
    };
    view! {
        <dialog node_ref=element class="dialog welcome" aria-labelledby="welcome" on:cancel=on_cancel>
            <Show when=move || shown.get()>
                <div class="dialog-in">
                    {move || match step.get() {
                        0 => view! { <Name name touched step/> }.into_any(),
                        1 => view! { <Ready step/> }.into_any(),
                        _ => view! { <Suggest leave/> }.into_any(),
                    }}
                    <footer>
                        <ol aria-hidden="true">{(0..STEPS).map(|at| view! { <li class:on=move || at == step.get()></li> }).collect_view()}</ol>
                        <span class="sr" role="status">{move || format!("Step {} of {STEPS}", step.get() + 1)}</span>
                        <Show when=move || step.get() + 1 < STEPS>
                            <button class="link quiet" type="button" on:click=move |_| leave.run(false)>"Skip"</button>
                        </Show>
                    </footer>
                </div>
            </Show>
        </dialog>
    }
}

/// Puts the focus where a step begins.
fn begin_at<E>(element: NodeRef<E>)
where
    E: leptos::tachys::html::element::ElementType + 'static,
    E::Output: wasm_bindgen::JsCast + Clone + 'static,
{
    use wasm_bindgen::JsCast;
    Effect::new(move || {
        if let Some(element) = element.get()
            && let Some(element) = element.dyn_ref::<web_sys::HtmlElement>().cloned()
        {
            request_animation_frame(move || drop(element.focus()));
        }
    });
}

#[component]
fn Name(name: RwSignal<String>, touched: RwSignal<bool>, step: RwSignal<usize>) -> impl IntoView {
    let (client, live) = (client(), live());
    let busy = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let input = NodeRef::<html::Input>::new();
    begin_at(input);
    let save = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let name = name.get_untracked().trim().to_owned();
        if busy.get_untracked() || name.is_empty() {
            return;
        }
        busy.set(true);
        let client = client.clone();
        leptos::task::spawn_local(async move {
            match live.call_this(&client, &name).await {
                Ok(_) => drop(step.try_set(1)),
                Err(problem) => drop(said.try_set(Some(problem.to_string()))),
            }
            busy.try_set(false);
        });
    };
    view! {
        <form on:submit=save>
            <img src="/favicon.ico" alt="" width="48" height="48"/>
            <h1 id="welcome">"Welcome to Kith"</h1>
            <p>"Models answer on this computer. What you say to them stays on your own devices."</p>
            <Field label="Name of this computer" help="So that you recognise it from your phone.">
                <input node_ref=input maxlength="64" autocomplete="off" enterkeyhint="next" prop:value=name
                    on:input=move |event| { touched.set(true); name.set(event_target_value(&event)) }/>
            </Field>
            {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
            <button class="btn primary" type="submit" disabled=move || busy.get() || name.with(|name| name.trim().is_empty())>"Continue"</button>
        </form>
    }
}

#[component]
fn Ready(step: RwSignal<usize>) -> impl IntoView {
    let (client, live) = (client(), live());
    let go = NodeRef::<html::Button>::new();
    begin_at(go);
    let first =
        Memo::new(move |_| live.models.with(|models| models.iter().flatten().find(|model| !models::is_remote(model)).cloned()));
    let asked = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let get = StoredValue::new(move || {
        asked.set(true);
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let path = format!("/api/admin/models/{}/add", js_sys::encode_uri_component(FIRST_MODEL));
            if let Err(problem) = client.post::<DownloadAnswer>(&path, &()).await {
                said.try_set(Some(told(&problem)));
                asked.try_set(false);
            }
            live.read_downloads(&client);
        });
    });
    view! {
        <div class="in">
            <h1 id="welcome">{move || if first.with(Option::is_some) { "A model is ready" } else { "Get a first model" }}</h1>
            <p>{move || if first.with(Option::is_some) {
                "It came with Kith, needs no network and answers at once. It is small: good for short questions and for trying things out."
            } else {
                "A small one comes in a minute and runs on any computer."
            }}</p>
            <ul class="rows">
                {move || match first.get() {
                    Some(model) => view! {
                        <li>
                            <span class="ic">{Icon::Cube.view()}</span>
                            <div><b>{model.name.clone()}</b><small class="num">{models::kind(&model.details)}</small></div>
                            <span class="state num"><span class="dot"></span>"Ready"</span>
                            <span class="stat num">{format::bytes(model.size)}</span>
                        </li>
                    }.into_any(),
                    None => view! {
                        <li>
                            <span class="ic">{Icon::Cube.view()}</span>
                            <div><b>{FIRST_MODEL}</b><small class="num">{move || coming(live, FIRST_MODEL).unwrap_or_else(|| "about 100 MB".to_owned())}</small></div>
                            <button class="btn small" type="button" disabled=move || asked.get() on:click=move |_| get.with_value(|get| get())>
                                {Icon::Download.view()}{move || if asked.get() { "Coming" } else { "Get" }}
                            </button>
                        </li>
                    }.into_any(),
                }}
            </ul>
            {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
            <button node_ref=go class="btn primary" type="button" on:click=move |_| step.set(2)>"Continue"</button>
        </div>
    }
}

#[component]
fn Suggest(leave: Callback<bool>) -> impl IntoView {
    let (client, live) = (client(), live());
    let go = NodeRef::<html::Button>::new();
    begin_at(go);
    let better = RwSignal::new(Better::Asking);
    let asked = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    // Asked once, as soon as it is known what this machine is.
    let hardware = Memo::new(move |_| live.stats.with(|stats| stats.as_ref().map(|stats| stats.hardware.clone())).is_some());
    let look = {
        let client = client.clone();
        Callback::new(move |()| {
            let wanted = live.stats.with_untracked(|stats| stats.as_ref().and_then(|stats| welcome::wanted(&stats.hardware)));
            let Some(wanted) = wanted else { return better.set(Better::None) };
            better.set(Better::Asking);
            let client = client.clone();
            leptos::task::spawn_local(async move {
                let query = wanted.rsplit('/').next().unwrap_or(wanted);
                let path = format!("/api/admin/hf/search?query={}", js_sys::encode_uri_component(query));
                better.try_set(match client.get::<Vec<HubRepository>>(&path).await {
                    Ok(found) => welcome::offer(&found, wanted).map_or(Better::None, |(id, one)| Better::Found(id, one)),
                    Err(_) => Better::Away,
                });
            });
        })
    };
    Effect::new(move || {
        if hardware.get() {
            look.run(());
        }
    });
    let get = StoredValue::new(move |repository: String, file: String| {
        asked.set(true);
        said.set(None);
        let client = client.clone();
        leptos::task::spawn_local(async move {
            let wanted = DownloadShardsRequest { repo_id: repository, filename: file, ..Default::default() };
            if let Err(problem) = client.post::<DownloadAnswer>("/api/admin/hf/download-shards", &wanted).await {
                said.try_set(Some(told(&problem)));
                asked.try_set(false);
            }
            live.read_downloads(&client);
        });
    });
    let machine = move || {
        live.stats.with(|stats| {
            let hardware = &stats.as_ref()?.hardware;
            let cores = hardware.cpu.physical_cores.unwrap_or(hardware.cpu.logical_cores);
            let memory = format::memory(hardware.memory.model_budget);
            Some(format!("This computer has {} and {memory} for models.", words::plural(cores, "core", "cores")))
        })
    };
    let body = move || {
        match better.get() {
        Better::Asking => view! { <Skeleton rows=1/> }.into_any(),
        Better::Found(repository, variant) => {
            let (title, size) = (welcome::spoken(&repository), variant.size_bytes);
            let quant = variant.quant.clone().unwrap_or_default();
            let name = format!("hf.co/{repository}:{quant}");
            let spoken = format!("Get {title}");
            let get_it = move |_| get.with_value(|get| get(repository.clone(), variant.filename.clone()));
            view! {
                <ul class="rows">
                    <li>
                        <span class="ic">{Icon::Sparkle.view()}</span>
                        <div>
                            <b>{title}</b>
                            <small class="num">{move || coming(live, &name).unwrap_or_else(|| format!("{quant} · {} · fits", format::bytes(size)))}</small>
                        </div>
                        <button class="btn small" type="button" aria-label=spoken disabled=move || asked.get() on:click=get_it>
                            {Icon::Download.view()}{move || if asked.get() { "Coming" } else { "Get" }}
                        </button>
                    </li>
                </ul>
            }
            .into_any()
        }
        Better::Away => view! {
            <p class="hint">{Icon::Cloud.view()}<span>"huggingface.co cannot be reached just now. A larger model can be had any time under Models, Get models."</span>
                <button class="btn small" type="button" on:click=move |_| look.run(())>{Icon::Retry.view()}"Try again"</button></p>
        }
        .into_any(),
        Better::None => view! { <p class="hint">{Icon::Check.view()}<span>"The model that is here is the right size for this computer."</span></p> }.into_any(),
    }
    };
    view! {
        <div class="in">
            <h1 id="welcome">"A better one, if you like"</h1>
            <p>{machine}" A larger model knows more and answers more slowly. It comes in the background."</p>
            <div class="offer" aria-live="polite">{body}</div>
            {move || said.get().map(|said| view! { <p class="bad" role="alert">{said}</p> })}
            <button node_ref=go class="btn primary" type="button" on:click=move |_| leave.run(true)>"Start a chat"</button>
        </div>
    }
}

/// How far the download of this model is; `None` where there is none.
fn coming(live: Live, name: &str) -> Option<String> {
    live.downloads.with(|list| {
        let all = &list.as_ref()?.downloads;
        let one = all.iter().find(|one| models::is_under_way(one) && one.model.eq_ignore_ascii_case(name))?;
        let progress = models::progress(one);
        Some(match progress.percent {
            Some(percent) => format!("{} · {percent:.0} %", progress.state),
            None => progress.state.to_owned(),
        })
    })
}

fn told(problem: &Problem) -> String {
    match problem {
        Problem::Refused { message, .. } => models::fault(message),
        problem => problem.to_string(),
    }
}
