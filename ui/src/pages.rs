//! The pages. One module each; none knows another.

pub mod activity;
pub mod api;
pub mod chat;
pub mod devices;
pub mod models;
pub mod network;
pub mod settings;

use crate::{icons::Icon, parts::Empty};
use leptos::prelude::*;
use leptos_router::components::A;

/// A page that one can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Chat,
    Models,
    Devices,
    Network,
    Activity,
    Api,
    Settings,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Chat, Self::Models, Self::Devices, Self::Network, Self::Activity, Self::Api, Self::Settings];
    /// Those of the bar at the side.
    pub const AT_THE_SIDE: [Self; 6] = [Self::Chat, Self::Models, Self::Devices, Self::Network, Self::Activity, Self::Api];
    /// Those of the bar below. Networks are reached from the page of devices there.
    pub const ON_A_PHONE: [Self; 5] = [Self::Chat, Self::Models, Self::Devices, Self::Activity, Self::Settings];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "Chat",
            Self::Models => "Models",
            Self::Devices => "Devices",
            Self::Network => "Network",
            Self::Activity => "Activity",
            Self::Api => "API",
            Self::Settings => "Settings",
        }
    }

    /// Where it lies.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat",
            Self::Models => "/models",
            Self::Devices => "/devices",
            Self::Network => "/network",
            Self::Activity => "/activity",
            Self::Api => "/api",
            Self::Settings => "/settings",
        }
    }

    /// Whether this is where one is, at this path. In the bar below, `is_below`, devices stand for their network too.
    pub fn is_at(self, path: &str, is_below: bool) -> bool {
        let rest = path.strip_prefix("/app").unwrap_or(path);
        let is_in = |place: Self| rest.strip_prefix(place.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_in(self) || (is_below && self == Self::Devices && is_in(Self::Network))
    }

    /// Its icon.
    pub const fn icon(self) -> Icon {
        match self {
            Self::Chat => Icon::Chat,
            Self::Models => Icon::Cube,
            Self::Devices => Icon::Devices,
            Self::Network => Icon::Network,
            Self::Activity => Icon::Activity,
            Self::Api => Icon::Api,
            Self::Settings => Icon::Settings,
        }
    }
}

/// An address that leads nowhere.
#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <div class="page">
            <Empty icon=Icon::Search title="There is no such page" text="The address may be mistyped, or from another release.">
                <A href="/app/chat" attr:class="btn primary">"Go to Chat"</A>
            </Empty>
        </div>
    }
}
