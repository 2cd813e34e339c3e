//! The page of models: the library, where more come from, adapters to them, and providers elsewhere.

mod adapters;
mod copy;
mod details;
mod folders;
mod get;
mod import;
mod library;
mod providers;
mod queue;
mod shelf;

use crate::{icons::Icon, parts::Show, session::client};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use shelf::Shelf;

/// A part of the page, as `?tab=` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Library,
    Get,
    Adapters,
    Providers,
}

impl Tab {
    const ALL: [Self; 4] = [Self::Library, Self::Get, Self::Adapters, Self::Providers];

    fn of(name: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|tab| Some(tab.word()) == name).unwrap_or(Self::Library)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Library => "library",
            Self::Get => "get",
            Self::Adapters => "adapters",
            Self::Providers => "providers",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Library => "Library",
            Self::Get => "Get models",
            Self::Adapters => "Adapters",
            Self::Providers => "Providers",
        }
    }

    fn path(self) -> String {
        match self {
            Self::Library => "/app/models".to_owned(),
            other => format!("/app/models?tab={}", other.word()),
        }
    }
}

/// The page.
#[component]
pub fn Models() -> impl IntoView {
    provide_context(Shelf::new());
    let query = use_query_map();
    let tab = Memo::new(move |_| query.with(|query| Tab::of(query.get_str("tab"))));
    let is_admin = client().is_admin();
    // The other parts only change things, which a paired device may not.
    let tab = Memo::new(move |_| if is_admin { tab.get() } else { Tab::Library });
    let has_queue = move || matches!(tab.get(), Tab::Library | Tab::Get);
    view! {
        <div class="page models">
            <header>
                <div>
                    <h1>"Models"</h1>
                    <p>{if is_admin { "They lie on this machine and answer here." } else { "They lie on your computer and answer there. More are fetched there too." }}</p>
                </div>
                <Show when=move || is_admin && tab.get() == Tab::Library>
                    <a class="btn primary" href=Tab::Get.path()>{Icon::Download.view()}"Get a model"</a>
                </Show>
            </header>
            {is_admin.then(|| view! { <nav class="tabs" aria-label="Parts of this page">
                {Tab::ALL.into_iter().map(|one| view! {
                    <a href=one.path() aria-current=move || (tab.get() == one).then_some("page")>{one.name()}</a>
                }).collect_view()}
            </nav> })}
            <Show when=has_queue><queue::Queue/></Show>
            {move || match tab.get() {
                Tab::Library => view! { <library::Library/> }.into_any(),
                Tab::Get => view! { <get::Get/> }.into_any(),
                Tab::Adapters => view! { <adapters::Adapters/> }.into_any(),
                Tab::Providers => view! { <providers::Providers/> }.into_any(),
            }}
        </div>
    }
}
