//! What is drawn while something holds, and rows by their keys: Leptos' own, whose machinery is compiled once and not anew for each
//! place where it is used.

use leptos::{
    children::ViewFn,
    either::Either,
    prelude::{AnyView, ArcMemo, ChildrenFn, Get, IntoAny, IntoView, component, view},
};
use std::{hash::Hash, sync::Arc};

/// Its children while `when` holds, else `fallback`.
#[component]
pub fn Show<W>(
    /// Whether the children are there.
    when: W,
    /// What is there in their place; nothing if it is left out.
    #[prop(optional, into)]
    fallback: ViewFn,
    children: ChildrenFn,
) -> impl IntoView
where
    W: Fn() -> bool + Send + Sync + 'static,
{
    either(Box::new(when), children, fallback)
}

fn either(when: Box<dyn Fn() -> bool + Send + Sync>, children: ChildrenFn, fallback: ViewFn) -> AnyView {
    let holds = ArcMemo::new(move |_| when());
    (move || if holds.get() { Either::Left(children()) } else { Either::Right(fallback.run()) }).into_any()
}

/// A row for each item; a row stays for as long as an item with its key is there.
#[component]
pub fn For<IF, I, T, EF, N, KF, K>(
    /// The items.
    each: IF,
    /// What makes an item the same as one before.
    key: KF,
    /// Draws one.
    children: EF,
) -> impl IntoView
where
    IF: Fn() -> I + Send + 'static,
    I: IntoIterator<Item = T>,
    T: Send + 'static,
    EF: Fn(T) -> N + Send + Sync + 'static,
    N: IntoView + 'static,
    KF: Fn(&T) -> K + Send + Sync + 'static,
    K: Eq + Hash + 'static,
{
    rows(Box::new(move || each().into_iter().collect()), Arc::new(key), Arc::new(move |item| children(item).into_any()))
}

type Drawn<T> = Arc<dyn Fn(T) -> AnyView + Send + Sync>;

fn rows<T: Send + 'static, K: Eq + Hash + 'static>(
    each: Box<dyn Fn() -> Vec<T> + Send>,
    key: Arc<dyn Fn(&T) -> K + Send + Sync>,
    draw: Drawn<T>,
) -> AnyView {
    view! { <leptos::prelude::For each key=move |item: &T| key(item) children=move |item| draw(item)/> }.into_any()
}
