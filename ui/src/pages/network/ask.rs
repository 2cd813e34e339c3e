//! The one dialog of the page, and what may be asked in it.

use super::{
    create::Create, forget::Forget, invite::Invite, join::Join, key::Key, promote::Promote, remove::Remove, rotate::Rotate,
    speed::Speed, store::Net,
};
use crate::dialog::Dialog;
use leptos::prelude::*;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A new network.
    Create,
    /// Into a network, by this invite if there is one already.
    Join(String),
    /// Another device into the network that is used.
    Invite,
    /// Another key for it.
    Rotate,
    /// Its key's text.
    Key,
    /// A saved network away: its id and name.
    Forget(String, String),
    /// A device out of the network: its id and name.
    Remove(String, String),
    /// A member to one that may let in others: its id and name.
    Promote(String, String),
    /// How fast the way to a device is; which one, may be chosen.
    Speed(Option<String>),
}

impl Ask {
    fn title(&self) -> String {
        match self {
            Self::Create => "Create a network".to_owned(),
            Self::Join(_) => "Join a network".to_owned(),
            Self::Invite => "Invite a device".to_owned(),
            Self::Rotate => "Change the network's key".to_owned(),
            Self::Key => "The network's key".to_owned(),
            Self::Forget(_, name) => format!("Forget {name}?"),
            Self::Remove(_, name) => format!("Remove {name}?"),
            Self::Promote(_, name) => format!("Make {name} an admin?"),
            Self::Speed(_) => "Speed test".to_owned(),
        }
    }
}

/// The dialog; open while something is asked.
#[component]
pub fn Asking(net: Net) -> impl IntoView {
    let open = RwSignal::new(false);
    // Each is set only where it differs: they follow each other.
    Effect::new(move || {
        let asked = net.ask.with(Option::is_some);
        if open.get_untracked() != asked {
            open.set(asked);
        }
    });
    Effect::new(move || {
        if !open.get() && net.ask.with_untracked(Option::is_some) {
            net.ask.set(None);
        }
    });
    let last = StoredValue::new(String::new());
    // The dialog's name stays while it closes.
    let title = Signal::derive(move || {
        net.ask.with(|ask| {
            if let Some(ask) = ask {
                last.set_value(ask.title());
            }
        });
        last.get_value()
    });
    view! {
        <Dialog open title>
            {move || match net.ask.get() {
                None => ().into_any(),
                Some(Ask::Create) => view! { <Create net/> }.into_any(),
                Some(Ask::Join(invite)) => view! { <Join net invite/> }.into_any(),
                Some(Ask::Invite) => view! { <Invite net/> }.into_any(),
                Some(Ask::Rotate) => view! { <Rotate net/> }.into_any(),
                Some(Ask::Key) => view! { <Key net/> }.into_any(),
                Some(Ask::Forget(id, name)) => view! { <Forget net id name/> }.into_any(),
                Some(Ask::Remove(id, name)) => view! { <Remove net id name/> }.into_any(),
                Some(Ask::Promote(id, name)) => view! { <Promote net id name/> }.into_any(),
                Some(Ask::Speed(peer)) => view! { <Speed net peer/> }.into_any(),
            }}
        </Dialog>
    }
}
