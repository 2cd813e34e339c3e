//! Whatever is done to conversations: their messages are trees, their heads are messages of theirs, and a fork is the branch it was
//! made of.

use super::*;
use crate::{Summary, tree::branch};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// Something a client does. Numbers choose among what there is, or name what is not.
#[derive(Debug, Clone)]
enum Deed {
    Append { conversation: usize, message: usize, parent: Option<Option<usize>> },
    Put { conversation: usize, message: usize, parent: Option<Option<usize>> },
    Head { conversation: usize, message: usize },
    Fork { conversation: usize, at: Option<usize>, to: usize },
    Delete { conversation: usize, forever: bool },
    Restore { conversation: usize },
    Clean,
}

const CONVERSATIONS: usize = 3;
const MESSAGES: usize = 12;

fn deed() -> impl Strategy<Value = Deed> {
    let conversation = 0..CONVERSATIONS;
    let parent = || proptest::option::weighted(0.7, proptest::option::weighted(0.9, 0..MESSAGES));
    prop_oneof![
        6 => (conversation.clone(), 0..MESSAGES, parent())
            .prop_map(|(conversation, message, parent)| Deed::Append { conversation, message, parent }),
        3 => (conversation.clone(), 0..MESSAGES, parent())
            .prop_map(|(conversation, message, parent)| Deed::Put { conversation, message, parent }),
        2 => (conversation.clone(), 0..MESSAGES).prop_map(|(conversation, message)| Deed::Head { conversation, message }),
        2 => (conversation.clone(), proptest::option::of(0..MESSAGES), conversation.clone())
            .prop_map(|(conversation, at, to)| Deed::Fork { conversation, at, to }),
        1 => (conversation.clone(), any::<bool>()).prop_map(|(conversation, forever)| Deed::Delete { conversation, forever }),
        1 => conversation.prop_map(|conversation| Deed::Restore { conversation }),
        1 => Just(Deed::Clean),
    ]
}

fn name(conversation: usize) -> String {
    format!("c{conversation}")
}

fn message(n: usize) -> String {
    format!("m{n}")
}

/// What must be true of a conversation at any time.
fn check(conversation: &Conversation) {
    let mut seen = HashSet::new();
    for one in &conversation.messages {
        assert!(one.parent.as_ref().is_none_or(|parent| seen.contains(parent.as_str())), "a parent stands before: {one:?}");
        assert!(seen.insert(one.id.as_str()), "an id is there once: {one:?}");
    }
    let Summary { head, messages, .. } = &conversation.summary;
    assert_eq!(*messages, conversation.messages.len() as u64);
    assert_eq!(head.is_none(), conversation.messages.is_empty());
    let shown = branch(&conversation.messages, head.as_deref());
    assert_eq!(shown.last().map(|last| &last.id), head.as_ref());
    assert!(shown.first().is_none_or(|first| first.parent.is_none()));
}

async fn whole(bench: &Bench) -> HashMap<String, Conversation> {
    let mut all = HashMap::new();
    for id in (0..CONVERSATIONS).map(name) {
        if let Ok(conversation) = bench.all.get(&id, true).await {
            check(&conversation);
            all.insert(id, conversation);
        }
    }
    all
}

/// Does the deed, and checks what only it may change.
async fn act(bench: &Bench, deed: &Deed, before: &HashMap<String, Conversation>) {
    let written = |conversation: &usize, message_n: &usize, parent: &Option<Option<usize>>| {
        let parent = parent.as_ref().map(|parent| parent.map(message));
        (name(*conversation), Draft { parent, ..draft(&message(*message_n), Role::User, "x") })
    };
    match deed {
        Deed::Append { conversation, message, parent } => {
            let (id, draft) = written(conversation, message, parent);
            if let Ok(done) = bench.all.append(id.clone(), draft).await {
                assert_eq!(done.new, before[&id].messages.iter().all(|there| there.id != done.message.id));
                let head = if done.new { Some(&done.message.id) } else { before[&id].summary.head.as_ref() };
                assert_eq!(done.conversation.head.as_ref(), head);
            }
        }
        Deed::Put { conversation, message, parent } => {
            let (id, draft) = written(conversation, message, parent);
            if let Ok(done) = bench.all.put(id.clone(), draft).await {
                let there = before[&id].messages.iter().find(|there| there.id == done.message.id);
                assert_eq!(done.new, there.is_none());
                assert!(there.is_none_or(|there| there.parent == done.message.parent));
            }
        }
        Deed::Head { conversation, message: n } => {
            let change = Change { head: Some(message(*n)), ..Change::default() };
            let there = before.get(&name(*conversation)).is_some_and(|c| c.messages.iter().any(|there| there.id == message(*n)));
            assert_eq!(bench.all.change(name(*conversation), change).await.is_ok(), there);
        }
        Deed::Fork { conversation, at, to } => {
            let made = bench.all.fork(name(*conversation), at.map(message), Some(name(*to)), None).await;
            if let Ok((made, true)) = made {
                let source = &before[&name(*conversation)];
                let at = at.map(message).or_else(|| source.summary.head.clone());
                let expected: Vec<Message> = branch(&source.messages, at.as_deref()).into_iter().cloned().collect();
                assert_eq!((made.messages, made.summary.head), (expected, at));
            }
        }
        Deed::Delete { conversation, forever } => {
            let _ = bench.all.delete(name(*conversation), *forever).await;
        }
        Deed::Restore { conversation } => {
            let _ = bench.all.restore(name(*conversation)).await;
        }
        Deed::Clean => assert_eq!(bench.all.clean().await.unwrap(), 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn messages_stay_trees_heads_stay_messages_and_forks_are_branches(deeds in proptest::collection::vec(deed(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = bench().await;
            bench.begin("c0").await;
            bench.begin("c1").await;
            let mut before = whole(&bench).await;
            for deed in &deeds {
                act(&bench, deed, &before).await;
                before = whole(&bench).await;
            }
        });
    }
}
