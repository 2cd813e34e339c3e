//! Getting a model: by words from the hub, by name, or from a folder of this machine.

use super::{import::ImportDialog, shelf::shelf};
use crate::{
    http::Problem,
    icons::Icon,
    live::live,
    parts::{Empty, Failed, Show, Skeleton},
    session::client,
    view::{
        fit::{best, needs},
        format, models, words,
    },
};
use kith_wire::system::{HubRepository, HubVariant};
use leptos::prelude::*;

/// Words to begin with.
const BEGINNINGS: [&str; 5] = ["Qwen3", "Llama 3.2", "Gemma 3", "Phi 4", "SmolLM2"];

/// How a search stands.
#[derive(Clone, PartialEq)]
enum Search {
    Idle,
    Asking,
    Found(Vec<HubRepository>),
    Failed(Problem),
}

/// Where models come from.
#[component]
pub fn Get() -> impl IntoView {
    let shelf = shelf();
    let client = StoredValue::new(client());
    let (text, importing) = (RwSignal::new(String::new()), RwSignal::new(false));
    let (search, turn) = (RwSignal::new(Search::Idle), StoredValue::new(0u32));
    let named = Memo::new(move |_| text.with(|text| models::reference(text)));
    let ask = move |words: String| {
        if words.trim().is_empty() {
            return search.set(Search::Idle);
        }
        turn.update_value(|turn| *turn = turn.wrapping_add(1));
        let (mine, client) = (turn.get_value(), client.get_value());
        search.set(Search::Asking);
        leptos::task::spawn_local(async move {
            let path = format!("/api/admin/hf/search?query={}", super::shelf::part(words.trim()));
            let answer = client.get::<Vec<HubRepository>>(&path).await;
            // Only the last question's answer is shown.
            if turn.try_get_value() == Some(mine) {
                search.try_set(answer.map_or_else(Search::Failed, Search::Found));
            }
        });
    };
    let go = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        match named.get_untracked() {
            Some(name) => shelf.fetch(name),
            None => ask(text.get_untracked()),
        }
    };
    let retry = move || ask(text.get_untracked());
    let results = move || {
        match search.get() {
        Search::Idle => view! {
            <Empty icon=Icon::Search title="Find a model" text="Search the Hugging Face hub for models in GGUF, or type a name such as qwen2.5:0.5b or hf.co/user/repository.">
                {BEGINNINGS.into_iter().map(|words| view! {
                    <button class="chip" on:click=move |_| { text.set(words.to_owned()); ask(words.to_owned()); }>{words}</button>
                }).collect_view()}
            </Empty>
        }.into_any(),
        Search::Asking => view! { <Skeleton rows=5/> }.into_any(),
        Search::Failed(Problem::Refused { status, message, code }) => {
            let problem = Problem::Refused { status, message: models::fault(&message), code };
            view! { <Failed problem retry=move |()| retry()/> }.into_any()
        }
        Search::Failed(problem) => view! { <Failed problem retry=move |()| retry()/> }.into_any(),
        Search::Found(found) if found.is_empty() => view! {
            <Empty icon=Icon::Search title="Nothing found" text="The hub has no GGUF model for these words. Fewer words find more."/>
        }.into_any(),
        Search::Found(found) => view! {
            <ul class="rows shelf found">{found.into_iter().map(|repository| view! { <Repository repository/> }).collect_view()}</ul>
        }.into_any(),
    }
    };
    view! {
        <form class="omni" role="search" on:submit=go>
            <div class="find seek">
                {Icon::Search.view()}
                <input
                    type="search"
                    aria-label="Search models or type a name"
                    placeholder="Search, or type a name"
                    autocapitalize="off"
                    spellcheck="false"
                    prop:value=move || text.get()
                    on:input:target=move |event| text.set(event.target().value())
                />
            </div>
            <button class="btn primary">{move || if named.with(Option::is_some) { "Get" } else { "Search" }}</button>
            <button type="button" class="btn" on:click=move |_| importing.set(true)>{Icon::Disk.view()}"From this machine"</button>
        </form>
        <p class="note">{Icon::Lock.view()}"Searching asks huggingface.co, a download asks the source that its name says. Nothing else leaves this machine."</p>
        <div aria-live="polite" aria-busy=move || matches!(search.get(), Search::Asking).to_string()>{results}</div>
        <ImportDialog open=importing/>
    }
}

#[component]
fn Repository(repository: HubRepository) -> impl IntoView {
    let live = live();
    let open = RwSignal::new(false);
    let offered = best(&repository.variants, repository.recommended_variant.as_deref());
    let count = repository.variants.len();
    let (title, maker) = models::split(&repository.repo_id);
    let (title, maker) = (title.to_owned(), maker.unwrap_or_default().to_owned());
    let liked = format!(
        "{} · {}",
        words::plural(repository.downloads, "download", "downloads"),
        words::plural(repository.likes, "like", "likes")
    );
    let smallest = repository.variants.iter().map(|variant| variant.size_bytes).min().unwrap_or_default();
    let variants = StoredValue::new(repository.variants);
    let id = StoredValue::new(repository.repo_id);
    let budget =
        move || live.stats.with(|stats| stats.as_ref().map(|stats| stats.hardware.memory.model_budget)).unwrap_or_default();
    let first = offered.and_then(|at| variants.with_value(|all| all.get(at).cloned()));
    let list = StoredValue::new(format!("variants-{}", id.get_value().replace('/', "-")));
    view! {
        <li>
            <span class="ic">{Icon::Cube.view()}</span>
            <div>
                <b>{title.clone()}</b>
                <small class="num">{format!("{maker} · {liked}")}</small>
            </div>
            {match first.clone() {
                Some(variant) => view! {
                    <span class="state num"><span class="dot"></span>{format!("{} fits", variant.quant.clone().unwrap_or_else(|| "It".to_owned()))}</span>
                    <span class="stat num">{format::bytes(variant.size_bytes)}</span>
                }.into_any(),
                None => view! {
                    <span class="state num"><span class="dot bad"></span>{move || format!("Needs {} of {}", format::memory(needs(smallest)), format::memory(budget()))}</span>
                    <span class="stat num">{format::bytes(smallest)}</span>
                }.into_any(),
            }}
            <div class="do">
                {first.map(|variant| view! { <Fetch repository=id.get_value() variant primary=true/> })}
                <button class="btn small" aria-expanded=move || open.get().to_string() aria-controls=list.get_value() aria-label=format!("{} of {title}", words::plural(count as u64, "variant", "variants")) on:click=move |_| open.update(|open| *open = !*open)>
                    {words::plural(count as u64, "variant", "variants")}{Icon::ChevronDown.view()}
                </button>
            </div>
            <Show when=move || open.get()>
                <ul class="quants" id=list.get_value()>
                    {variants.get_value().into_iter().enumerate().map(|(at, variant)| view! {
                        <Variant repository=id.get_value() variant is_offered=offered == Some(at)/>
                    }).collect_view()}
                </ul>
            </Show>
        </li>
    }
}

#[component]
fn Variant(repository: String, variant: HubVariant, is_offered: bool) -> impl IntoView {
    let name = variant.quant.clone().unwrap_or_else(|| models::split(&variant.filename).0.to_owned());
    let parts = (variant.parts > 1).then(|| format!("in {}", words::plural(variant.parts.into(), "part", "parts")));
    let (dot, state) = if variant.fits_vram {
        ("dot away", "Fits".to_owned())
    } else {
        ("dot bad", format!("Needs about {}", format::memory(needs(variant.size_bytes))))
    };
    view! {
        <li>
            <div title=variant.filename.clone()><code>{name}</code>{is_offered.then(|| view! { <span class="tag">"recommended"</span> })}{parts.map(|parts| view! { <small>{parts}</small> })}</div>
            <span class="state num"><span class=dot></span>{state}</span>
            <span class="stat num">{format::bytes(variant.size_bytes)}</span>
            <Fetch repository variant primary=false/>
        </li>
    }
}

/// The button that gets a variant, or where it is already.
#[component]
fn Fetch(repository: String, variant: HubVariant, primary: bool) -> impl IntoView {
    let shelf = shelf();
    let label = variant.quant.clone().unwrap_or_else(|| models::split(&variant.filename).0.trim_end_matches(".gguf").to_owned());
    let name = format!("hf.co/{repository}:{label}");
    let key = format!("{repository}/{}", variant.filename);
    let spoken = format!("Get {repository}, {label}");
    let get = StoredValue::new((repository, variant.filename));
    move || {
        if shelf.has(&name) {
            return view! { <span class="have">{Icon::Check.view()}"Here"</span> }.into_any();
        }
        if shelf.is_coming(&name) || shelf.busy.with(|busy| busy.contains_key(&key)) {
            return view! { <span class="have">"Coming"</span> }.into_any();
        }
        let fetch = move |_| get.with_value(|(repository, file)| shelf.fetch_file(repository.clone(), file.clone()));
        view! { <button class="btn small" class:wanted=primary aria-label=spoken.clone() on:click=fetch>{Icon::Download.view()}"Get"</button> }.into_any()
    }
}
