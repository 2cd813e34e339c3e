//! The pages. One module each; none knows another.

pub mod activity;
pub mod api;
pub mod chat;
pub mod devices;
pub mod models;
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
    Activity,
    Api,
    Settings,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Chat, Self::Models, Self::Devices, Self::Activity, Self::Api, Self::Settings];
    /// Those of the bar at the side.
    pub const AT_THE_SIDE: [Self; 5] = [Self::Chat, Self::Models, Self::Devices, Self::Activity, Self::Api];
    /// Those of the bar below.
    pub const ON_A_PHONE: [Self; 5] = [Self::Chat, Self::Models, Self::Devices, Self::Activity, Self::Settings];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "Chat",
            Self::Models => "Models",
            Self::Devices => "Devices",
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
            Self::Activity => "/activity",
            Self::Api => "/api",
            Self::Settings => "/settings",
        }
    }

    /// Its icon.
    pub const fn icon(self) -> Icon {
        match self {
            Self::Chat => Icon::Chat,
            Self::Models => Icon::Cube,
            Self::Devices => Icon::Devices,
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
