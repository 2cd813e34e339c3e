//! Something read from the node for a page: while it is awaited, where it failed, and when it is there.

use crate::{
    http::{Client, Problem},
    icons::Icon,
    live::{Link, live},
    parts::{Empty, Failed, Skeleton},
    session::{Sessions, client, sessions},
};
use leptos::prelude::*;
use serde::de::DeserializeOwned;

/// A body of the node, read now and whenever asked.
pub struct Read<T: Send + Sync + 'static> {
    path: StoredValue<String>,
    client: StoredValue<Client>,
    sessions: Sessions,
    value: RwSignal<Option<Result<T, Problem>>>,
}

impl<T: Send + Sync + 'static> Clone for Read<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Read<T> {}

#[derive(Clone, PartialEq)]
enum State {
    Awaited,
    There,
    Failed(Problem),
}

impl<T: DeserializeOwned + Send + Sync + 'static> Read<T> {
    /// Begins to read, and reads again once the node is back after it was away.
    pub fn begin(path: &str) -> Self {
        let read = Self {
            path: StoredValue::new(path.to_owned()),
            client: StoredValue::new(client()),
            sessions: sessions(),
            value: RwSignal::new(None),
        };
        let link = live().link;
        Effect::new(move |before: Option<bool>| {
            let away = matches!(link.get(), Link::Offline(_));
            if before.is_none() || (before == Some(true) && !away) {
                read.again();
            }
            away
        });
        read
    }

    /// Reads again; what is there stays until the answer comes, and where none comes.
    pub fn again(self) {
        let Some((client, path)) = self.client.try_get_value().zip(self.path.try_get_value()) else { return };
        leptos::task::spawn_local(async move {
            let answer = self.sessions.note(client.get::<T>(&path).await);
            let has_one = self.value.try_with_untracked(|value| matches!(value, Some(Ok(_)))).unwrap_or(true);
            if answer.is_ok() || !has_one {
                self.value.try_set(Some(answer));
            }
        });
    }

    /// Takes what came another way.
    pub fn set(self, value: T) {
        self.value.try_set(Some(Ok(value)));
    }

    /// What is there, if anything is.
    pub fn with<R>(self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.value.with(|value| value.as_ref().and_then(|value| value.as_ref().ok()).map(look))
    }

    /// Changes what is there.
    pub fn update(self, change: impl FnOnce(&mut T)) {
        self.value.try_update(|value| value.as_mut().and_then(|value| value.as_mut().ok()).map(change));
    }

    /// Draws it: once, when it is there; what is drawn follows by itself.
    pub fn view<V: IntoView + 'static>(self, rows: usize, draw: impl Fn() -> V + Send + Sync + 'static) -> impl IntoView {
        let state = Memo::new(move |_| {
            self.value.with(|value| match value {
                None => State::Awaited,
                Some(Ok(_)) => State::There,
                Some(Err(problem)) => State::Failed(problem.clone()),
            })
        });
        move || match state.get() {
            State::Awaited => view! { <Skeleton rows/> }.into_any(),
            State::There => draw().into_any(),
            State::Failed(Problem::Refused { status: 403, .. }) => view! {
                <Empty icon=Icon::Lock title="Changed on the device itself"
                    text="This window may use Kith, but not change it. Open it on the device that Kith runs on."/>
            }
            .into_any(),
            State::Failed(problem) => view! { <Failed problem retry=move |()| self.again()/> }.into_any(),
        }
    }
}
