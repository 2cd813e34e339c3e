//! Cloud providers: which have a key, whether they answer, and what it means to have one.

use crate::{
    dialog::Dialog,
    dom,
    http::Problem,
    icons::Icon,
    parts::{Failed, Field, Menu, MenuItem, Show, Skeleton},
    session::client,
    toast::toasts,
    view::format,
};
use kith_wire::providers::{ProviderHealth, ProviderHealthList, ProviderInfo, ProviderList};
use leptos::prelude::*;
use serde_json::json;

const PATH: &str = "/api/admin/providers";

/// The providers.
#[component]
pub fn Providers() -> impl IntoView {
    let (client, toasts) = (StoredValue::new(client()), toasts());
    let list = RwSignal::new(None::<Result<Vec<ProviderInfo>, Problem>>);
    let signs = RwSignal::new(Vec::<ProviderHealth>::new());
    let (testing, asked) = (RwSignal::new(false), RwSignal::new(None::<ProviderInfo>));
    let take = move |answer: Result<ProviderList, Problem>| {
        list.try_set(Some(answer.map(|list| list.providers)));
    };
    let read = move || {
        let client = client.get_value();
        leptos::task::spawn_local(async move { take(client.get(PATH).await) });
    };
    read();
    let test = Callback::new(move |()| {
        let client = client.get_value();
        testing.set(true);
        leptos::task::spawn_local(async move {
            match client.get::<ProviderHealthList>("/api/admin/provider-health").await {
                Ok(answer) => {
                    signs.try_set(answer.providers);
                }
                Err(problem) => toasts.fail(problem),
            }
            testing.try_set(false);
        });
    });
    let forget = Callback::new(move |provider: ProviderInfo| {
        let client = client.get_value();
        leptos::task::spawn_local(async move {
            match client.call::<ProviderList>("PUT", PATH, &json!({ provider.name: null })).await {
                Ok(answer) => {
                    toasts.say(format!("The key of {} is forgotten", provider.title));
                    take(Ok(answer));
                }
                Err(problem) => toasts.fail(problem),
            }
        });
    });
    let has_keys = move || list.with(|list| matches!(list, Some(Ok(all)) if all.iter().any(|one| one.configured)));
    let rows = move || match list.get() {
        None => view! { <Skeleton rows=5/> }.into_any(),
        Some(Err(problem)) => view! { <Failed problem retry=move |()| read()/> }.into_any(),
        Some(Ok(mut all)) => {
            all.sort_by_key(|one| !one.configured);
            view! {
                <ul class="rows shelf">
                    {all.into_iter().map(|provider| view! { <Row provider signs testing asked test forget/> }).collect_view()}
                </ul>
            }
            .into_any()
        }
    };
    view! {
        <div class="above">
            <p>"Nothing is sent to a provider unless you choose a model that is named after it, such as "<code>"openai/…"</code>", and it has a key here."</p>
            <Show when=has_keys>
                <button class="btn" disabled=move || testing.get() title="Asks each for one token" on:click=move |_| test.run(())>
                    {Icon::Refresh.view()}{move || if testing.get() { "Testing" } else { "Test keys" }}
                </button>
            </Show>
        </div>
        {rows}
        <KeyDialog provider=asked done=Callback::new(move |answer| take(Ok(answer)))/>
    }
}

#[component]
fn Row(
    provider: ProviderInfo,
    signs: RwSignal<Vec<ProviderHealth>>,
    testing: RwSignal<bool>,
    asked: RwSignal<Option<ProviderInfo>>,
    test: Callback<()>,
    forget: Callback<ProviderInfo>,
) -> impl IntoView {
    let name = provider.name.clone();
    let sign = Memo::new(move |_| signs.with(|all| all.iter().find(|one| one.provider == name).cloned()));
    let (configured, title, address) = (provider.configured, provider.title.clone(), provider.base_url.clone());
    let is_stored = provider.source.as_deref() == Some("stored");
    let since = provider.updated_at_ms.map(|at| format::date(at, dom::utc_offset_minutes()));
    let kept = match (configured, is_stored, since) {
        (false, ..) => "No key".to_owned(),
        (true, false, _) => "Key from the environment".to_owned(),
        (true, true, Some(since)) => format!("Key of {since}"),
        (true, true, None) => "Key kept".to_owned(),
    };
    let state = Memo::new(move |_| match sign.get() {
        _ if configured && testing.get() => ("dot ember", "Testing".to_owned()),
        Some(sign) if sign.status == "up" => ("dot", format!("Answers in {}", format::duration_ms(sign.latency_ms))),
        Some(sign) => ("dot bad", said(&sign.status)),
        None if configured => ("dot", kept.clone()),
        None => ("dot away", kept.clone()),
    });
    let trouble = move || sign.get().map(|sign| sign.detail).filter(|detail| !detail.is_empty());
    let provider = StoredValue::new(provider);
    let ask = move || asked.set(Some(provider.get_value()));
    view! {
        <li class="provider">
            <span class="ic">{Icon::Cloud.view()}</span>
            <div><b>{title.clone()}</b><small dir="ltr">{address}</small></div>
            <span class="state num"><span class=move || state.get().0></span>{move || state.get().1}</span>
            {if configured {
                view! {
                    <Menu label=format!("What to do with {title}")>
                        <MenuItem icon=Icon::Refresh name="Test keys" act=move |()| test.run(())/>
                        <MenuItem icon=Icon::Key name="Replace the key" act=move |()| ask()/>
                        {is_stored.then(|| view! { <MenuItem icon=Icon::Trash name="Forget the key" danger=true act=move |()| forget.run(provider.get_value())/> })}
                    </Menu>
                }.into_any()
            } else {
                view! { <button class="btn small" aria-label=format!("Add key for {title}") on:click=move |_| ask()>"Add key"</button> }.into_any()
            }}
            {move || trouble().map(|trouble| view! { <small class="remark bad">{crate::view::words::sentence(&trouble)}</small> })}
        </li>
    }
}

/// How a provider does, in words.
fn said(status: &str) -> String {
    match status {
        "rate_limited" => "Over its limit".to_owned(),
        "overloaded" => "Too busy".to_owned(),
        "timeout" => "No answer in time".to_owned(),
        "unreachable" => "Not reachable".to_owned(),
        "error_401" | "error_403" => "Key refused".to_owned(),
        other => other.strip_prefix("error_").map_or_else(|| other.to_owned(), |code| format!("Error {code}")),
    }
}

/// Asks for a key. What is typed goes to the node and never comes back.
#[component]
fn KeyDialog(provider: RwSignal<Option<ProviderInfo>>, done: Callback<ProviderList>) -> impl IntoView {
    let (client, toasts, open) = (StoredValue::new(client()), toasts(), RwSignal::new(false));
    let (key, address) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (fault, busy) = (RwSignal::new(None::<String>), RwSignal::new(false));
    let clear = move || {
        key.set(String::new());
        address.set(String::new());
        fault.set(None);
    };
    Effect::new(move || {
        if provider.with(Option::is_some) {
            clear();
            open.set(true);
        }
    });
    Effect::new(move || {
        // Set only where it changes something: what is set tells those who set this.
        if !open.get() && provider.with_untracked(Option::is_some) {
            provider.set(None);
            clear();
        }
    });
    let title =
        Signal::derive(move || provider.with(|one| one.as_ref().map(|one| format!("Key for {}", one.title)).unwrap_or_default()));
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(one) = provider.get_untracked() else { return };
        let (client, address) = (client.get_value(), address.get_untracked().trim().to_owned());
        let key = key.get_untracked().trim().to_owned();
        let body = if address.is_empty() {
            json!({ one.name: key })
        } else {
            json!({ one.name: { "api_key": key, "base_url": address } })
        };
        busy.set(true);
        leptos::task::spawn_local(async move {
            let answer = client.call::<ProviderList>("PUT", PATH, &body).await;
            busy.try_set(false);
            match answer {
                Ok(answer) => {
                    open.try_set(false);
                    toasts.say(format!("{} has a key", one.title));
                    done.try_run(answer);
                }
                Err(problem) => {
                    fault.try_set(Some(problem.to_string()));
                }
            }
        });
    };
    view! {
        <Dialog open title>
            <form class="ask-for" on:submit=save autocomplete="off">
                <Field label="Key" help="Kept sealed on this machine and never shown again.">
                    <input type="password" required autocomplete="off" dir="ltr" prop:value=move || key.get() on:input:target=move |event| key.set(event.target().value())/>
                </Field>
                <details class="fold">
                    <summary>{Icon::ChevronRight.view()}"Another address"</summary>
                    <Field label="Address" help="For a proxy that speaks the same language. Empty is the provider's own.">
                        <input type="url" dir="ltr" placeholder=move || provider.with(|one| one.as_ref().map(|one| one.base_url.clone()).unwrap_or_default()) prop:value=move || address.get() on:input:target=move |event| address.set(event.target().value())/>
                    </Field>
                </details>
                {move || fault.get().map(|fault| view! { <p class="fault" role="alert">{fault}</p> })}
                <div class="acts">
                    <button type="button" class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
                    <button class="btn primary" disabled=move || busy.get()>"Keep the key"</button>
                </div>
            </form>
        </Dialog>
    }
}
