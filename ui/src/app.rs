//! The frame around every page: who may see it, the bar at the side (below on a phone), the palette, the notices.

use crate::{
    claim::Claim,
    dom,
    http::Client,
    icons::Icon,
    live::{Link, Live, live},
    pages::{self, Place},
    palette::{Palette, PaletteButton},
    parts::Show,
    session::{Session, Sessions},
    shortcuts::Shortcuts,
    sign_in::SignIn,
    talk::Talks,
    toast::{ToastList, Toasts},
    view::format,
    welcome::Welcome,
};
use leptos::prelude::*;
use leptos_router::{
    components::{A, Redirect, Route, Router, Routes},
    hooks::use_location,
    path,
};

/// The whole window.
#[component]
pub fn App() -> impl IntoView {
    let sessions = Sessions::begin();
    provide_context(sessions);
    provide_context(Toasts::new());
    // The frame is built anew when another bearer comes, and with it everything that held the old one.
    let shown = Memo::new(move |_| sessions.now());
    view! {
        {move || match shown.get() {
            Session::Opening => ().into_any(),
            Session::Pairing { ticket } => view! { <Claim ticket/> }.into_any(),
            Session::Closed { why } => view! { <SignIn why/> }.into_any(),
            Session::Open(client) => view! { <Frame client/> }.into_any(),
        }}
        <ToastList/>
    }
}

/// What those see who are let in.
#[component]
fn Frame(client: Client) -> impl IntoView {
    provide_context(Live::follow(client.clone()));
    provide_context(client);
    provide_context(Palette::new());
    provide_context(Talks::new());
    view! {
        <Router base="/app">
            <Shell/>
        </Router>
    }
}

#[component]
fn Shell() -> impl IntoView {
    let palette = expect_context::<Palette>();
    palette.listen();
    let place = use_location();
    Effect::new(move || {
        place.pathname.track();
        place.search.track();
        request_animation_frame(|| dom::reveal("main :is(nav, .tabs) > [aria-current]"));
    });
    view! {
        <a class="skip" href="#main">"Skip to the page"</a>
        <div class="app">
            <Side/>
            <main id="main" tabindex="-1">
                <Away/>
                <Routes fallback=|| view! { <pages::NotFound/> }>
                    <Route path=path!("") view=|| view! { <Redirect path="/chat"/> }/>
                    <Route path=path!("chat") view=pages::chat::Chat/>
                    <Route path=path!("chat/:id") view=pages::chat::Chat/>
                    <Route path=path!("models") view=pages::models::Models/>
                    <Route path=path!("devices") view=pages::devices::Devices/>
                    <Route path=path!("network") view=pages::network::Network/>
                    <Route path=path!("activity") view=pages::activity::Activity/>
                    <Route path=path!("api") view=pages::api::Api/>
                    <Route path=path!("settings") view=pages::settings::Settings/>
                    <Route path=path!("settings/:part") view=pages::settings::Settings/>
                </Routes>
            </main>
            <nav class="bottom" aria-label="Main">
                {Place::ON_A_PHONE.into_iter().map(|place| view! { <Go place below=true/> }).collect_view()}
            </nav>
        </div>
        <PaletteDialog/>
        <Shortcuts/>
        <Welcome/>
    }
}

/// The palette, once.
#[component]
fn PaletteDialog() -> impl IntoView {
    expect_context::<Palette>().view()
}

/// The bar at the side.
#[component]
fn Side() -> impl IntoView {
    let live = live();
    let figure = move |place: Place| match place {
        Place::Models => live.models.with(|models| models.as_ref().map(|models| models.len().to_string())).unwrap_or_default(),
        _ => String::new(),
    };
    view! {
        <aside class="side">
            <div class="net">
                <img src="/favicon.ico" alt=""/>
                <span><b>"Kith"</b><small>{move || live.name.get()}</small></span>
            </div>
            <nav aria-label="Main">
                {Place::AT_THE_SIDE
                    .into_iter()
                    .map(|place| view! { <Go place><span class="n num">{move || figure(place)}</span></Go> })
                    .collect_view()}
            </nav>
            <nav class="low" aria-label="More">
                <PaletteButton/>
                <Go place=Place::Settings/>
            </nav>
            <Pulse/>
        </aside>
    }
}

/// A way to a page; marked while it is shown.
#[component]
fn Go(place: Place, #[prop(optional)] below: bool, #[prop(optional)] children: Option<Children>) -> impl IntoView {
    let path = use_location().pathname;
    let here = move || path.with(|path| place.is_at(path, below));
    view! {
        <A href=format!("/app{}", place.path()) attr:aria-current=move || here().then_some("page")>
            {place.icon().view()}
            {place.name()}
            {children.map(|children| children())}
        </A>
    }
}

/// How the node does, in two lines.
#[component]
fn Pulse() -> impl IntoView {
    let live = live();
    let busy = move || live.stats.with(|stats| stats.as_ref().is_some_and(|stats| stats.inference.running > 0));
    let waiting = move || live.stats.with(|stats| stats.as_ref().map_or(0, |stats| stats.inference.queued));
    let state = move || match live.link.get() {
        Link::Connecting => ("dot away", "Connecting".to_owned()),
        Link::Offline(_) => ("dot ember", "Offline".to_owned()),
        Link::Online if busy() => {
            let waiting = waiting();
            ("dot", if waiting > 0 { format!("Answering, {waiting} waiting") } else { "Answering".to_owned() })
        }
        Link::Online => ("dot", "Ready".to_owned()),
    };
    let detail = move || {
        let model = live.running.with(|running| match running.as_slice() {
            [] => "no model in memory".to_owned(),
            [one] => one.name.clone(),
            more => format!("{} models in memory", more.len()),
        });
        match live.speed.get() {
            Some(speed) => format!("{model} · {}", format::speed(speed)),
            None => model,
        }
    };
    view! {
        <div class="pulse" role="status">
            <b><span class=move || state().0></span>{move || state().1}</b>
            <span class="num">{detail}</span>
        </div>
    }
}

/// Said above every page while the node does not answer.
#[component]
fn Away() -> impl IntoView {
    let live = live();
    let since = move || match live.link.get() {
        Link::Offline(since) => Some(since),
        _ => None,
    };
    view! {
        <Show when=move || since().is_some()>
            <div class="away" role="alert">
                {Icon::Alert.view()}
                <span>{move || {
                    let clock = since().map(|since| format::clock(since, crate::dom::utc_offset_minutes())).unwrap_or_default();
                    format!("Kith has not answered since {clock}. What you see is from then; it goes on by itself once Kith is back.")
                }}</span>
            </div>
        </Show>
    }
}
