//! What conversations promise, sentence by sentence.

mod rules;

use super::*;
use crate::{Details, Draft, MAX_MESSAGE_BYTES, Message, Picture, Source, Written};
use kith_keys::OsEntropy;
use kith_types::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};

const GIF: &[u8] = b"GIF89a-one";

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<Hands>,
    events: Events,
    all: Arc<Conversations>,
}

fn small() -> Bounds {
    Bounds { conversations: 5, each: MessageBounds { messages: 6, bytes: 1000, picture_bytes: 25 } }
}

async fn bench() -> Bench {
    bench_with(Bounds::default()).await
}

async fn bench_with(bounds: Bounds) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hands(AtomicI64::new(1_000_000)));
    let events = Events::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let all = open(&folder, &clock, &events, bounds).await;
    Bench { folder, clock, events, all }
}

async fn open(folder: &tempfile::TempDir, clock: &Arc<Hands>, events: &Events, bounds: Bounds) -> Arc<Conversations> {
    let parts = ConversationsParts {
        store: Store::open(&folder.path().join("kith.db")).await.unwrap(),
        pictures: folder.path().join("pictures"),
        events: events.clone(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(OsEntropy),
        bounds,
    };
    Conversations::open(parts).await.unwrap()
}

fn draft(id: &str, role: Role, content: &str) -> Draft {
    let content = content.to_owned();
    Draft { id: Some(id.to_owned()), parent: None, role, content, details: Details::default(), pictures: vec![] }
}

fn picture(bytes: &[u8]) -> Picture {
    Picture { source: Source::Bytes(bytes.to_vec()), name: None, width: None, height: None, thumbnail: None }
}

impl Bench {
    async fn begin(&self, id: &str) -> Conversation {
        self.all.create(New { id: Some(id.to_owned()), ..New::default() }).await.unwrap().0
    }

    async fn say(&self, conversation: &str, id: &str, content: &str) -> Written {
        self.all.append(conversation.to_owned(), draft(id, Role::User, content)).await.unwrap()
    }

    async fn title(&self, id: &str) -> String {
        self.all.get(id, false).await.unwrap().summary.title
    }

    async fn ids(&self, wanted: Wanted) -> Vec<String> {
        self.all.list(wanted).await.unwrap().conversations.into_iter().map(|found| found.summary.id).collect()
    }

    fn told(&self) -> Vec<(&'static str, String)> {
        self.events.recent().iter().map(|event| (event.kind, event.data.to_string())).collect()
    }

    fn pictures_on_disk(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.path().join("pictures/b3")).unwrap();
        folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, ConversationsError>, told: &str) {
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains(told), "{error} instead of {told}");
}

#[tokio::test]
async fn a_conversation_is_there_with_all_its_messages_after_a_restart() {
    let bench = bench().await;
    bench.begin("c").await;
    bench.say("c", "m1", "Why tides?").await;
    let details = Details {
        reasoning: Some("hm".into()),
        usage: Some(crate::Usage { prompt: 3, completion: 5 }),
        finish: Some("stop".into()),
        ..Details::default()
    };
    let answer = Draft { details: details.clone(), ..draft("m2", Role::Assistant, "The moon.") };
    bench.all.append("c".into(), answer).await.unwrap();
    let before = bench.all.get("c", true).await.unwrap();
    let Bench { folder, clock, events, all } = bench;
    drop(all);
    let again = open(&folder, &clock, &events, Bounds::default()).await;
    let after = again.get("c", true).await.unwrap();
    assert_eq!(after, before);
    assert_eq!((after.summary.head.as_deref(), after.summary.messages), (Some("m2"), 2));
    assert_eq!(after.messages[1].details, details);
    assert_eq!(after.messages[1].parent.as_deref(), Some("m1"));
    assert!(again.get("c", false).await.unwrap().messages.is_empty());
}

#[tokio::test]
async fn what_is_sent_twice_is_kept_once() {
    let bench = bench().await;
    let new = New { id: Some("c".into()), title: Some("T".into()), ..New::default() };
    assert!(bench.all.create(new.clone()).await.unwrap().1);
    assert!(!bench.all.create(new).await.unwrap().1);
    assert!(bench.say("c", "m1", "x").await.new);
    assert!(!bench.say("c", "m1", "x").await.new);
    let pictured = Draft { pictures: vec![picture(GIF), picture(GIF)], ..draft("m2", Role::User, "see") };
    assert!(bench.all.append("c".into(), pictured.clone()).await.unwrap().new);
    assert!(!bench.all.append("c".into(), pictured).await.unwrap().new);
    refused(bench.all.append("c".into(), draft("m1", Role::User, "y")).await, "another message `m1`");
    refused(bench.all.append("c".into(), draft("m1", Role::System, "x")).await, "another message `m1`");
    let moved = Draft { parent: Some(Some("m2".into())), ..draft("m1", Role::User, "x") };
    refused(bench.all.append("c".into(), moved).await, "another message `m1`");
    assert_eq!(bench.all.get("c", true).await.unwrap().messages.len(), 2);
    let kinds: Vec<_> = bench.told().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["conversation.created", "conversation.changed", "conversation.changed"]);
}

#[tokio::test]
async fn ids_are_made_where_none_are_given() {
    let bench = bench().await;
    let (made, _) = bench.all.create(New::default()).await.unwrap();
    let message = Draft { id: None, ..draft("", Role::User, "x") };
    let one = bench.all.append(made.summary.id.clone(), message.clone()).await.unwrap().message.id;
    let two = bench.all.append(made.summary.id, message).await.unwrap().message.id;
    assert_ne!(one, two);
    assert_eq!(one.len(), 36);
}

#[tokio::test]
async fn an_answer_is_written_piece_by_piece_and_its_place_stays() {
    let bench = bench().await;
    bench.begin("c").await;
    bench.say("c", "m1", "x").await;
    for (piece, new) in [("The", true), ("The moon", false), ("The moon.", false)] {
        let written = bench.all.put("c".into(), draft("m2", Role::Assistant, piece)).await.unwrap();
        assert_eq!((written.new, written.message.content.as_str()), (new, piece));
        assert_eq!(written.message.parent.as_deref(), Some("m1"));
    }
    bench.say("c", "m3", "later").await;
    let end = Draft { details: Details { stopped: true, ..Details::default() }, ..draft("m2", Role::Assistant, "The moon.") };
    let written = bench.all.put("c".into(), end).await.unwrap();
    assert_eq!((written.conversation.head.as_deref(), written.conversation.messages), (Some("m3"), 3));
    refused(bench.all.put("c".into(), draft("m2", Role::User, "x")).await, "another role");
    let moved = Draft { parent: Some(None), ..draft("m2", Role::Assistant, "x") };
    refused(bench.all.put("c".into(), moved).await, "another parent");
    // One event a second while it is written, and one for its end.
    let of_m2 = bench.told().into_iter().filter(|(_, data)| data.contains("m2")).count();
    assert_eq!(of_m2, 1 + 1 + 1);
}

#[tokio::test]
async fn variants_share_a_parent_and_the_head_says_which_is_shown() {
    let bench = bench().await;
    bench.begin("c").await;
    bench.say("c", "m1", "x").await;
    bench.say("c", "m2", "one way").await;
    let variant = Draft { parent: Some(Some("m1".into())), ..draft("m3", Role::User, "another") };
    assert_eq!(bench.all.append("c".into(), variant).await.unwrap().conversation.head.as_deref(), Some("m3"));
    let change = |head: &str| Change { head: Some(head.to_owned()), ..Change::default() };
    assert_eq!(bench.all.change("c".into(), change("m2")).await.unwrap().summary.head.as_deref(), Some("m2"));
    let next = bench.say("c", "m4", "after the first").await;
    assert_eq!(next.message.parent.as_deref(), Some("m2"));
    refused(bench.all.change("c".into(), change("nobody")).await, "`head`: the conversation has no message `nobody`");
    let orphan = Draft { parent: Some(Some("nobody".into())), ..draft("m5", Role::User, "x") };
    refused(bench.all.append("c".into(), orphan).await, "`parent`: the conversation has no message `nobody`");
}

#[tokio::test]
async fn the_title_is_the_users_first_line_until_somebody_gives_one() {
    let bench = bench().await;
    bench.begin("c").await;
    assert_eq!(bench.title("c").await, "");
    bench.all.append("c".into(), draft("s", Role::System, "Be kind.")).await.unwrap();
    bench.say("c", "m1", "Why tides?\nSay all.").await;
    bench.say("c", "m2", "And the sun?").await;
    assert_eq!(bench.title("c").await, "Why tides?");
    let title = |title: Option<&str>| Change { title: Some(title.map(str::to_owned)), ..Change::default() };
    let named = bench.all.change("c".into(), title(Some(" The  sea "))).await.unwrap().summary;
    assert_eq!((named.title.as_str(), named.named), ("The sea", true));
    bench.say("c", "m3", "More").await;
    assert_eq!(bench.title("c").await, "The sea");
    let unnamed = bench.all.change("c".into(), title(None)).await.unwrap().summary;
    assert_eq!((unnamed.title.as_str(), unnamed.named), ("Why tides?", false));
    bench.begin("d").await;
    let attachment = crate::Attachment { name: "tides.pdf".into(), kind: "pdf".into(), text: "x".into() };
    let file = Draft { details: Details { attachments: vec![attachment], ..Details::default() }, ..draft("m1", Role::User, " ") };
    bench.all.append("d".into(), file).await.unwrap();
    assert_eq!(bench.title("d").await, "tides.pdf");
}

#[tokio::test]
async fn what_was_deleted_comes_back_whole_within_thirty_days_and_not_after() {
    let bench = bench().await;
    bench.begin("c").await;
    bench.say("c", "m1", "needle").await;
    let before = bench.all.get("c", true).await.unwrap();
    bench.all.delete("c".into(), false).await.unwrap();
    bench.all.delete("c".into(), false).await.unwrap();
    refused(bench.all.get("c", true).await, "no conversation `c`");
    refused(bench.all.append("c".into(), draft("m2", Role::User, "x")).await, "no conversation `c`");
    refused(bench.all.message("c", "m1").await, "no conversation `c`");
    refused(bench.all.fork("c".into(), None, None, None).await, "no conversation `c`");
    refused(bench.all.create(New { id: Some("c".into()), ..New::default() }).await, "was deleted");
    assert_eq!(bench.ids(Wanted::default()).await, [""; 0]);
    assert_eq!(bench.ids(Wanted { query: Some("needle".into()), ..Wanted::default() }).await, [""; 0]);
    assert_eq!(bench.ids(Wanted { deleted: true, ..Wanted::default() }).await, ["c"]);
    bench.clock.0.fetch_add(KEPT_DAYS * DAY_MS, Ordering::Relaxed);
    assert_eq!(bench.all.clean().await.unwrap(), 0);
    bench.all.restore("c".into()).await.unwrap();
    bench.all.restore("c".into()).await.unwrap();
    assert_eq!(bench.all.get("c", true).await.unwrap(), before);
    bench.all.delete("c".into(), false).await.unwrap();
    bench.clock.0.fetch_add(KEPT_DAYS * DAY_MS + 1, Ordering::Relaxed);
    assert_eq!(bench.all.clean().await.unwrap(), 1);
    refused(bench.all.restore("c".into()).await, "no conversation `c`");
    refused(bench.all.delete("c".into(), true).await, "no conversation `c`");
}

#[tokio::test]
async fn what_was_deleted_forever_is_gone_with_its_pictures() {
    let bench = bench().await;
    bench.begin("c").await;
    let pictured = |id: &str| Draft { pictures: vec![picture(GIF)], ..draft(id, Role::User, "see") };
    bench.all.append("c".into(), pictured("m1")).await.unwrap();
    let (fork, _) = bench.all.fork("c".into(), None, Some("d".into()), None).await.unwrap();
    let digest = fork.messages[0].details.pictures[0].digest.clone();
    bench.all.delete("c".into(), true).await.unwrap();
    refused(bench.all.restore("c".into()).await, "no conversation");
    // The fork still shows it.
    let opened = bench.all.picture("d", &digest).await.unwrap();
    assert_eq!((opened.media_type.as_str(), opened.bytes.as_slice()), ("image/gif", GIF));
    assert_eq!(bench.pictures_on_disk(), 1);
    bench.all.delete("d".into(), true).await.unwrap();
    assert_eq!(bench.pictures_on_disk(), 0);
}

#[tokio::test]
async fn a_picture_is_sent_once_and_named_by_its_digest_after() {
    let bench = bench().await;
    bench.begin("c").await;
    let first = Draft { pictures: vec![picture(GIF)], ..draft("m1", Role::User, "see") };
    let written = bench.all.append("c".into(), first).await.unwrap();
    let digest = written.message.details.pictures[0].digest.clone();
    let kept = |source| Picture { source, ..picture(b"") };
    let again = Draft { pictures: vec![kept(Source::Kept(digest.parse().unwrap()))], ..draft("m2", Role::User, "again") };
    let written = bench.all.append("c".into(), again).await.unwrap();
    assert_eq!(written.message.details.pictures[0].size, GIF.len() as u64);
    let unknown = Draft { pictures: vec![kept(Source::Kept(Blake3::from_bytes([7; 32])))], ..draft("m3", Role::User, "x") };
    refused(bench.all.append("c".into(), unknown).await, "no image on this node");
    // A replaced message lets go of what it showed before.
    for id in ["m1", "m2"] {
        bench.all.put("c".into(), draft(id, Role::User, "without")).await.unwrap();
    }
    refused(bench.all.picture("c", &digest).await, "no image");
    bench.all.clean().await.unwrap();
    assert_eq!(bench.pictures_on_disk(), 0);
    for digest in ["x", "../../kith.db", &"0".repeat(64)] {
        refused(bench.all.picture("c", digest).await, "no image");
    }
}

#[tokio::test]
async fn search_finds_titles_and_messages_and_shows_where() {
    let bench = bench().await;
    for (id, text) in [("a", "The tides of the sea"), ("b", "the sea,\n\tagain"), ("c", "mountains")] {
        bench.begin(id).await;
        bench.clock.0.fetch_add(1, Ordering::Relaxed);
        bench.say(id, "m", text).await;
    }
    let find = |query: &str| Wanted { query: Some(query.to_owned()), ..Wanted::default() };
    assert_eq!(bench.ids(find("SEA")).await, ["b", "a"]);
    assert_eq!(bench.ids(find("sea tid")).await, ["a"]);
    assert_eq!(bench.ids(find("  ")).await, ["c", "b", "a"]);
    for query in ["\"", "sea\" OR \"x", "NOT", "*", "(", "sea AND", "a:b", "\u{0}", "^", "{sea}", "-", "sea + x", "NEAR(sea x)"] {
        bench.all.list(find(query)).await.unwrap();
    }
    let page = bench.all.list(find("again")).await.unwrap();
    assert_eq!(page.conversations[0].snippet.as_deref(), Some("the sea, again"));
    let first = bench.all.list(Wanted { limit: Some(1), ..find("sea") }).await.unwrap();
    let second = bench.all.list(Wanted { limit: Some(1), cursor: first.next, ..find("sea") }).await.unwrap();
    assert_eq!((second.conversations[0].summary.id.as_str(), second.next), ("a", None));
    refused(bench.all.list(Wanted { deleted: true, ..find("sea") }).await, "together");
    refused(bench.all.list(Wanted { limit: Some(0), ..Wanted::default() }).await, "`limit`");
    refused(bench.all.list(Wanted { limit: Some(MAX_LIMIT + 1), ..Wanted::default() }).await, "`limit`");
    refused(bench.all.list(Wanted { cursor: Some("x".into()), ..Wanted::default() }).await, "`cursor`");
}

#[tokio::test]
async fn every_bound_is_told_and_leaves_what_was_there() {
    let bench = bench_with(small()).await;
    for id in ["a", "b", "c", "d", "e"] {
        bench.begin(id).await;
    }
    refused(bench.all.create(New::default()).await, "5 conversations");
    refused(bench.all.fork("a".into(), None, None, None).await, "5 conversations");
    // What is there already is no new one.
    assert!(!bench.all.create(New { id: Some("e".into()), ..New::default() }).await.unwrap().1);
    for n in 0..6 {
        bench.say("a", &format!("m{n}"), "x").await;
    }
    refused(bench.all.append("a".into(), draft("m6", Role::User, "x")).await, "6 messages in this conversation");
    refused(bench.all.put("a".into(), draft("m6", Role::User, "x")).await, "6 messages in this conversation");
    refused(
        bench.all.append("b".into(), draft("m", Role::User, &"x".repeat(999))).await,
        "the conversation would have more than the 1000",
    );
    bench.say("b", "m", "x").await;
    refused(
        bench.all.put("b".into(), draft("m", Role::User, &"x".repeat(999))).await,
        "the conversation would have more than the 1000",
    );
    let pictures = vec![picture(GIF), picture(b"GIF89a-another-one")];
    let large = Draft { pictures, ..draft("p", Role::User, "") };
    refused(bench.all.append("b".into(), large).await, "images would have more than the 25");
    assert_eq!(bench.all.get("b", true).await.unwrap().messages.len(), 1);
    bench.all.clean().await.unwrap();
    assert_eq!(bench.pictures_on_disk(), 0);
}

#[tokio::test]
async fn what_is_too_large_for_any_conversation_is_refused_by_its_field() {
    let bench = bench().await;
    bench.begin("c").await;
    let huge = "x".repeat(MAX_MESSAGE_BYTES + 1);
    refused(bench.all.append("c".into(), draft("m", Role::User, &huge)).await, "the message would have more");
    let details = Details { reasoning: Some(huge), ..Details::default() };
    refused(bench.all.append("c".into(), Draft { details, ..draft("m", Role::User, "") }).await, "the message would have more");
    let new = |new: New| bench.all.create(new);
    let system = Some("x".repeat(crate::MAX_SYSTEM_BYTES + 1));
    refused(new(New { system, ..New::default() }).await, "the system prompt would have more");
    let options = serde_json::json!({"x": "x".repeat(crate::MAX_OPTIONS_BYTES)}).as_object().cloned();
    refused(new(New { options, ..New::default() }).await, "the options would have more");
    refused(new(New { model: Some(String::new()), ..New::default() }).await, "`model`");
    refused(new(New { id: Some("a/b".into()), ..New::default() }).await, "`id`");
    refused(new(New { title: Some(" ".into()), ..New::default() }).await, "`title`");
    refused(bench.all.append("c".into(), draft("", Role::User, "x")).await, "`id`");
    refused(bench.all.append("nobody".into(), draft("m", Role::User, "x")).await, "no conversation `nobody`");
}

#[tokio::test]
async fn no_event_has_a_word_of_what_was_said() {
    let bench = bench().await;
    bench.all.create(New { id: Some("c".into()), title: Some("secret".into()), ..New::default() }).await.unwrap();
    bench.say("c", "m1", "secret").await;
    let change = Change { title: Some(Some("secret too".into())), system: Some(Some("secret".into())), ..Change::default() };
    bench.all.change("c".into(), change).await.unwrap();
    bench.all.delete("c".into(), false).await.unwrap();
    bench.all.restore("c".into()).await.unwrap();
    bench.all.delete("c".into(), true).await.unwrap();
    assert_eq!(
        bench.told(),
        [
            ("conversation.created", r#"{"id":"c"}"#),
            ("conversation.changed", r#"{"id":"c","fields":["messages"],"message":"m1"}"#),
            ("conversation.changed", r#"{"id":"c","fields":["title","system"]}"#),
            ("conversation.deleted", r#"{"id":"c","forever":false}"#),
            ("conversation.changed", r#"{"id":"c","fields":["deleted"]}"#),
            ("conversation.deleted", r#"{"id":"c","forever":true}"#),
        ]
        .map(|(kind, data)| (kind, data.to_owned()))
    );
}

#[tokio::test]
async fn a_writer_that_goes_away_does_not_leave_half_a_message() {
    let bench = bench().await;
    bench.begin("c").await;
    for n in 0..20 {
        let writing = bench.all.append("c".into(), draft(&format!("m{n}"), Role::User, "x"));
        // Dropped after it was begun.
        let _ = tokio::time::timeout(std::time::Duration::from_micros(n * 20), writing).await;
    }
    bench.say("c", "last", "x").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let messages = bench.all.get("c", true).await.unwrap().messages;
        let told = bench.told().into_iter().filter(|(kind, _)| *kind == "conversation.changed").count();
        if told == messages.len() && messages.iter().any(|message: &Message| message.id == "last") {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{told} of {} messages were told", messages.len());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
