//! A test for each statement about conversations.

use super::*;
use crate::{MessageBounds, MessageNew, MessagePut, PictureRow, store::tests::temporary};
use kith_types::Blake3;

pub(in crate::tables) const ROOMY: MessageBounds = MessageBounds { messages: 100, bytes: 1 << 20, picture_bytes: 1 << 30 };

pub(in crate::tables) fn row(id: &str, at: i64) -> ConversationRow {
    ConversationRow {
        id: id.to_owned(),
        title: String::new(),
        named: false,
        pinned: false,
        model: None,
        head: None,
        messages: 0,
        bytes: 0,
        created: Timestamp::from_ms(at),
        updated: Timestamp::from_ms(at),
        deleted: None,
    }
}

pub(in crate::tables) async fn begin(store: &Store, id: &str, at: i64) {
    let put = store.conversation_add(&row(id, at), &ConversationTexts::default(), 100).await.unwrap();
    assert_eq!(put, ConversationPut::Added);
}

pub(in crate::tables) fn new<'a>(id: &'a str, parent: Option<Option<&'a str>>, content: &'a str) -> MessageNew<'a> {
    let at = Timestamp::from_ms(50);
    MessageNew { id, parent, role: "user", content, details: "{}", pictures: &[], title: None, at }
}

pub(in crate::tables) async fn say(store: &Store, conversation: &str, id: &str, parent: Option<Option<&str>>, content: &str) {
    let put = store.message_add(conversation, &new(id, parent, content), &ROOMY).await.unwrap();
    assert!(matches!(put, MessagePut::Done(..)), "{put:?}");
}

async fn read(store: &Store, id: &str) -> ConversationRow {
    store.conversation(id).await.unwrap().unwrap().0
}

#[tokio::test]
async fn a_conversation_is_read_as_it_was_added() {
    let (_folder, store) = temporary().await;
    let written = ConversationRow { title: "T".into(), named: true, pinned: true, model: Some("m:1".into()), ..row("a", 5) };
    let texts = ConversationTexts { system: Some("Be kind.".into()), options: Some("{}".into()) };
    assert_eq!(store.conversation_add(&written, &texts, 1).await.unwrap(), ConversationPut::Added);
    assert_eq!(store.conversation("a").await.unwrap(), Some((written.clone(), texts.clone())));
    assert_eq!(store.conversation("b").await.unwrap(), None);
    assert_eq!(store.conversation_add(&written, &texts, 9).await.unwrap(), ConversationPut::Exists);
    assert_eq!(store.conversation_add(&row("b", 5), &texts, 1).await.unwrap(), ConversationPut::Full);
}

#[tokio::test]
async fn a_change_is_whole_and_leaves_what_it_does_not_name() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    say(&store, "a", "m", None, "x").await;
    let change = ConversationChange {
        title: Some(("T", true)),
        pinned: Some(true),
        model: Some(Some("m:1")),
        system: Some(Some("s")),
        options: Some(Some("{}")),
        head: None,
    };
    assert_eq!(store.conversation_change("a", &change).await.unwrap(), ConversationChanged::Done);
    let (changed, texts) = store.conversation("a").await.unwrap().unwrap();
    assert_eq!((changed.title.as_str(), changed.named, changed.pinned, changed.model.as_deref()), ("T", true, true, Some("m:1")));
    assert_eq!((changed.head.as_deref(), texts.system.as_deref(), texts.options.as_deref()), (Some("m"), Some("s"), Some("{}")));
    let away = ConversationChange { model: Some(None), system: Some(None), options: Some(None), ..ConversationChange::default() };
    assert_eq!(store.conversation_change("a", &away).await.unwrap(), ConversationChanged::Done);
    let (changed, texts) = store.conversation("a").await.unwrap().unwrap();
    assert_eq!((changed.title.as_str(), changed.model, texts), ("T", None, ConversationTexts::default()));
    let nowhere = ConversationChange { head: Some("x"), pinned: Some(false), ..ConversationChange::default() };
    assert_eq!(store.conversation_change("a", &nowhere).await.unwrap(), ConversationChanged::NoMessage);
    assert!(read(&store, "a").await.pinned);
    assert_eq!(store.conversation_change("b", &away).await.unwrap(), ConversationChanged::NoConversation);
}

#[tokio::test]
async fn what_was_thrown_away_keeps_its_time_and_comes_back_whole() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    let before = read(&store, "a").await;
    assert!(store.conversation_mark("a", Some(Timestamp::from_ms(9))).await.unwrap());
    assert!(store.conversation_mark("a", Some(Timestamp::from_ms(11))).await.unwrap());
    assert_eq!(read(&store, "a").await.deleted, Some(Timestamp::from_ms(9)));
    let change = ConversationChange { pinned: Some(true), ..ConversationChange::default() };
    assert_eq!(store.conversation_change("a", &change).await.unwrap(), ConversationChanged::NoConversation);
    assert!(store.conversation_mark("a", None).await.unwrap());
    assert_eq!(read(&store, "a").await, before);
    assert!(!store.conversation_mark("b", None).await.unwrap());
}

#[tokio::test]
async fn deleting_takes_messages_pictures_and_words_along() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    let picture = PictureRow { blob: Blake3::from_bytes([1; 32]), size: 3, media_type: "image/png".into() };
    let message = MessageNew { pictures: std::slice::from_ref(&picture), ..new("m", None, "needle") };
    store.message_add("a", &message, &ROOMY).await.unwrap();
    say(&store, "a", "n", None, "needle").await;
    assert!(store.conversation_delete("a").await.unwrap());
    assert!(!store.conversation_delete("a").await.unwrap());
    assert!(store.picture_blobs().await.unwrap().is_empty());
    for table in ["conversation_messages", "conversation_pictures"] {
        let left: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(store.reads()).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
    for index in ["conversation_words", "conversation_titles"] {
        let check = format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
        sqlx::query(AssertSqlSafe(check)).execute(store.writes()).await.unwrap();
    }
}

#[tokio::test]
async fn only_what_was_thrown_away_before_expires_one_at_a_time() {
    let (_folder, store) = temporary().await;
    for (id, at) in [("a", Some(1)), ("b", Some(2)), ("c", Some(3)), ("d", None)] {
        begin(&store, id, 1).await;
        if let Some(at) = at {
            store.conversation_mark(id, Some(Timestamp::from_ms(at))).await.unwrap();
        }
    }
    let before = Timestamp::from_ms(3);
    assert!(store.conversation_expire(before).await.unwrap());
    assert_eq!(store.conversation("a").await.unwrap(), None);
    assert!(store.conversation("b").await.unwrap().is_some());
    assert!(store.conversation_expire(before).await.unwrap());
    assert!(!store.conversation_expire(before).await.unwrap());
    assert!(store.conversation("c").await.unwrap().is_some() && store.conversation("d").await.unwrap().is_some());
}

#[tokio::test]
async fn a_fork_has_the_branch_up_to_its_message_and_nothing_else() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    let change = ConversationChange { model: Some(Some("m:1")), system: Some(Some("s")), ..ConversationChange::default() };
    store.conversation_change("a", &change).await.unwrap();
    let picture = PictureRow { blob: Blake3::from_bytes([1; 32]), size: 3, media_type: "image/png".into() };
    let message = MessageNew { pictures: std::slice::from_ref(&picture), ..new("m1", Some(None), "one") };
    store.message_add("a", &message, &ROOMY).await.unwrap();
    for (id, parent) in [("m2", "m1"), ("m3", "m2"), ("x2", "m1"), ("m4", "m3")] {
        say(&store, "a", id, Some(Some(parent)), id).await;
    }
    assert_eq!(store.conversation_fork("a", Some("m3"), &row("b", 7), 100).await.unwrap(), ConversationForked::Made);
    let ids: Vec<String> = store.messages("b").await.unwrap().into_iter().map(|message| message.id).collect();
    assert_eq!(ids, ["m1", "m2", "m3"]);
    let (copy, texts) = store.conversation("b").await.unwrap().unwrap();
    assert_eq!((copy.head.as_deref(), copy.messages, copy.bytes), (Some("m3"), 3, 3 + 2 + 2 + 6));
    assert_eq!((copy.model.as_deref(), texts.system.as_deref()), (Some("m:1"), Some("s")));
    assert_eq!(store.picture("b", &picture.blob).await.unwrap(), Some(picture));
    assert_eq!(store.conversation_fork("a", None, &row("c", 7), 100).await.unwrap(), ConversationForked::Made);
    assert_eq!(store.messages("c").await.unwrap().len(), 4);
    for (source, at, id, most, told) in [
        ("a", Some("nobody"), "d", 100, ConversationForked::NoMessage),
        ("nobody", None, "d", 100, ConversationForked::NoConversation),
        ("a", None, "b", 100, ConversationForked::Exists),
        ("a", None, "d", 3, ConversationForked::Full),
    ] {
        assert_eq!(store.conversation_fork(source, at, &row(id, 7), most).await.unwrap(), told);
    }
    assert_eq!(store.conversation("d").await.unwrap(), None);
}

#[tokio::test]
async fn a_conversation_without_messages_has_a_fork_without_messages() {
    let (_folder, store) = temporary().await;
    begin(&store, "a", 5).await;
    assert_eq!(store.conversation_fork("a", None, &row("b", 7), 100).await.unwrap(), ConversationForked::Made);
    assert_eq!((read(&store, "b").await.messages, read(&store, "b").await.head), (0, None));
}
