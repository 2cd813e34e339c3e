//! Markdown as a tree of a closed set of nodes. What a model writes can only ever become one of these: HTML in it is text, and links
//! lead nowhere but to http, https and mail addresses.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

/// How deep lists and quotes may nest; what is deeper is shown at this depth.
const DEEPEST: usize = 24;

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Words.
    Text(String),
    /// Code within a line.
    Code(String),
    /// A line break.
    Break,
    /// A rule across.
    Rule,
    /// A box of a task list, ticked or not.
    Task(bool),
    /// A block of code, with the language it says it is in.
    Block {
        /// The language, as written; may be empty.
        language: String,
        /// The code.
        code: String,
    },
    /// Something around others.
    Around(Kind, Vec<Node>),
}

/// What stands around other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A paragraph.
    Paragraph,
    /// A heading, 1 to 6.
    Heading(u8),
    /// A block quote.
    Quote,
    /// A list; numbered ones begin with this number.
    List(Option<u64>),
    /// An item of a list.
    Item,
    /// Stressed words.
    Emphasis,
    /// Strongly stressed words.
    Strong,
    /// Words struck out.
    Strike,
    /// A link to an address that may be opened.
    Link(String),
    /// A table.
    Table,
    /// The head row of a table.
    Head,
    /// A row of a table.
    Row,
    /// A cell, with its figures to the right or not.
    Cell {
        /// Whether its column is set to the right.
        end: bool,
    },
}

/// The tree of a text.
pub fn parse(text: &str) -> Vec<Node> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut tree = Tree { open: vec![Open { kind: None, nodes: Vec::new() }], columns: Vec::new(), cell: 0, code: None };
    for event in Parser::new_ext(text, options) {
        tree.take(event);
    }
    tree.finish()
}

/// The address, if it may be opened from a model's answer.
pub fn safe_link(address: &str) -> Option<&str> {
    // Browsers skip control characters and blanks in front of a scheme, so an address with any is none.
    if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let scheme = address.split_once(':')?.0;
    ["http", "https", "mailto"].iter().any(|good| scheme.eq_ignore_ascii_case(good)).then_some(address)
}

struct Open {
    /// `None` for what leaves no trace of its own.
    kind: Option<Kind>,
    nodes: Vec<Node>,
}

struct Tree {
    open: Vec<Open>,
    columns: Vec<Alignment>,
    cell: usize,
    code: Option<(String, String)>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',', '{']).next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((language, code)) = self.code.take() {
                    self.add(Node::Block { language, code });
                }
            }
            Event::Start(tag) => {
                let kind = self.kind(tag);
                self.open.push(Open { kind, nodes: Vec::new() });
            }
            Event::End(_) => self.close(),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.add(Node::Text(text.into_string())),
            },
            Event::Code(code) => self.add(Node::Code(code.into_string())),
            Event::SoftBreak => self.add(Node::Text("\n".to_owned())),
            Event::HardBreak => self.add(Node::Break),
            Event::Rule => self.add(Node::Rule),
            Event::TaskListMarker(done) => self.add(Node::Task(done)),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.add(Node::Code(text.into_string())),
            Event::FootnoteReference(name) => self.add(Node::Text(format!("[{name}]"))),
        }
    }

    fn kind(&mut self, tag: Tag<'_>) -> Option<Kind> {
        let deep = self.open.len() > DEEPEST;
        Some(match tag {
            Tag::Paragraph => Kind::Paragraph,
            Tag::Heading { level, .. } => Kind::Heading(level as u8),
            Tag::BlockQuote(_) if !deep => Kind::Quote,
            Tag::List(start) if !deep => Kind::List(start),
            Tag::Item if !deep => Kind::Item,
            Tag::Emphasis => Kind::Emphasis,
            Tag::Strong => Kind::Strong,
            Tag::Strikethrough => Kind::Strike,
            Tag::Link { dest_url, link_type, .. } => {
                let address = if link_type == LinkType::Email { format!("mailto:{dest_url}") } else { dest_url.into_string() };
                return safe_link(&address).map(|address| Kind::Link(address.to_owned()));
            }
            Tag::Table(columns) => {
                self.columns = columns;
                Kind::Table
            }
            Tag::TableHead => {
                self.cell = 0;
                Kind::Head
            }
            Tag::TableRow => {
                self.cell = 0;
                Kind::Row
            }
            Tag::TableCell => {
                let end = self.columns.get(self.cell) == Some(&Alignment::Right);
                self.cell += 1;
                Kind::Cell { end }
            }
            // Pictures of answers would be fetched from elsewhere: their words stand for them.
            _ => return None,
        })
    }

    fn add(&mut self, node: Node) {
        if let Some(open) = self.open.last_mut() {
            match (open.nodes.last_mut(), node) {
                (Some(Node::Text(before)), Node::Text(text)) => before.push_str(&text),
                (_, node) => open.nodes.push(node),
            }
        }
    }

    fn close(&mut self) {
        if self.open.len() < 2 {
            return;
        }
        let Some(Open { kind, nodes }) = self.open.pop() else { return };
        match kind {
            Some(kind) => self.add(Node::Around(kind, nodes)),
            None => nodes.into_iter().for_each(|node| self.add(node)),
        }
    }

    fn finish(mut self) -> Vec<Node> {
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop().map(|open| open.nodes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn the_common_forms_become_their_nodes() {
        assert_eq!(
            parse("A **b** `c`\n\n- x\n- y"),
            [
                Node::Around(
                    Kind::Paragraph,
                    vec![text("A "), Node::Around(Kind::Strong, vec![text("b")]), text(" "), Node::Code("c".into())]
                ),
                Node::Around(
                    Kind::List(None),
                    vec![Node::Around(Kind::Item, vec![text("x")]), Node::Around(Kind::Item, vec![text("y")])]
                ),
            ]
        );
        assert_eq!(parse("```rust\nfn a() {}\n```"), [Node::Block { language: "rust".into(), code: "fn a() {}\n".into() }]);
        // An answer that is still being written has blocks without an end.
        assert_eq!(parse("```py\nx = 1"), [Node::Block { language: "py".into(), code: "x = 1".into() }]);
    }

    #[test]
    fn html_stays_text_and_pictures_are_not_fetched() {
        let tree = format!("{:?}", parse("<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> ![alt](http://a/b.png)"));
        assert!(tree.contains("<script>alert(1)</script>") && tree.contains("onerror") && tree.contains("alt"));
        assert!(!tree.contains("b.png"));
    }

    #[test]
    fn links_lead_to_the_web_and_nowhere_else() {
        assert_eq!(safe_link("https://a.example/b"), Some("https://a.example/b"));
        assert_eq!(safe_link("mailto:a@b.example"), Some("mailto:a@b.example"));
        for bad in [
            "javascript:alert(1)",
            "JaVaScript:x",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "/local",
            "java\nscript:x",
            " javascript:x",
            "kith://join/x",
        ] {
            assert_eq!(safe_link(bad), None, "{bad}");
        }
        assert_eq!(parse("[a](javascript:alert(1))"), [Node::Around(Kind::Paragraph, vec![text("a")])]);
    }

    #[test]
    fn tables_keep_the_side_of_their_figures() {
        let tree = parse("| a | b |\n|---|--:|\n| 1 | 2 |");
        let Some(Node::Around(Kind::Table, rows)) = tree.first() else { panic!("{tree:?}") };
        let Some(Node::Around(Kind::Row, cells)) = rows.get(1) else { panic!("{rows:?}") };
        assert_eq!(cells.get(1), Some(&Node::Around(Kind::Cell { end: true }, vec![text("2")])));
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = format!("{}x", "> ".repeat(10_000));
        assert!(format!("{:?}", parse(&deep)).matches("Quote").count() <= DEEPEST + 1);
    }
}
