//! Markdown on the page: each node of the tree as its element, never as HTML text.

use super::{Code, For};
use crate::view::markdown::{Kind, Node, parse};
use leptos::prelude::*;

/// A text in Markdown.
#[component]
pub fn Prose(#[prop(into)] text: Signal<String>) -> impl IntoView {
    // Blocks that are finished keep their elements: while an answer is written only its last block is drawn anew.
    let blocks = Memo::new(move |_| text.with(|text| parse(text)).into_iter().enumerate().collect::<Vec<_>>());
    let key = |(at, node): &(usize, Node)| format!("{at}{node:?}");
    view! {
        <div class="prose">
            <For each=move || blocks.get() key=key children=|(_, node)| draw(node)/>
        </div>
    }
}

fn all(nodes: Vec<Node>) -> AnyView {
    nodes.into_iter().map(draw).collect_view().into_any()
}

fn draw(node: Node) -> AnyView {
    match node {
        Node::Text(text) => text.into_any(),
        Node::Code(code) => view! { <code>{code}</code> }.into_any(),
        Node::Break => view! { <br/> }.into_any(),
        Node::Rule => view! { <hr/> }.into_any(),
        Node::Task(done) => view! { <input type="checkbox" checked=done disabled=true aria-label="Task"/> }.into_any(),
        Node::Block { language, code } => view! { <Code language code/> }.into_any(),
        Node::Around(kind, nodes) => around(kind, nodes),
    }
}

fn around(kind: Kind, nodes: Vec<Node>) -> AnyView {
    match kind {
        Kind::Paragraph => view! { <p dir="auto">{all(nodes)}</p> }.into_any(),
        // The conversation's title stands above those of an answer.
        Kind::Heading(1 | 2) => view! { <h2 dir="auto">{all(nodes)}</h2> }.into_any(),
        Kind::Heading(3) => view! { <h3 dir="auto">{all(nodes)}</h3> }.into_any(),
        Kind::Heading(_) => view! { <h4 dir="auto">{all(nodes)}</h4> }.into_any(),
        Kind::Quote => view! { <blockquote dir="auto">{all(nodes)}</blockquote> }.into_any(),
        Kind::List(None) => view! { <ul dir="auto">{all(nodes)}</ul> }.into_any(),
        Kind::List(Some(start)) => view! { <ol dir="auto" start=start.to_string()>{all(nodes)}</ol> }.into_any(),
        Kind::Item => view! { <li>{all(nodes)}</li> }.into_any(),
        Kind::Emphasis => view! { <em>{all(nodes)}</em> }.into_any(),
        Kind::Strong => view! { <strong>{all(nodes)}</strong> }.into_any(),
        Kind::Strike => view! { <s>{all(nodes)}</s> }.into_any(),
        Kind::Link(address) => {
            view! { <a href=address target="_blank" rel="noopener noreferrer nofollow">{all(nodes)}</a> }.into_any()
        }
        Kind::Table => view! { <div class="table" tabindex="0"><table>{all(nodes)}</table></div> }.into_any(),
        Kind::Head => view! { <tr class="head">{all(nodes)}</tr> }.into_any(),
        Kind::Row => view! { <tr>{all(nodes)}</tr> }.into_any(),
        Kind::Cell { end } => view! { <td class:end=end dir="auto">{all(nodes)}</td> }.into_any(),
    }
}
