//! What nodes say of themselves: nobody for another, nothing twice, nothing for ever.

use super::*;
use crate::{
    Role,
    networks::tests::{Node, guest},
};

fn named(name: &str) -> NodeSays {
    NodeSays { name: name.into(), region: "NZ".into(), models: vec!["smollm2:135m".into()], ..NodeSays::default() }
}

async fn pair() -> (Node, Node, NetworkId) {
    let ann = Node::new().await;
    let id = ann.found().await;
    let bob = guest(&ann, id, Role::Member, "Bob").await;
    (ann, bob, id)
}

async fn hear(node: &Node, from: &Node, bytes: &[u8]) -> Heard {
    node.networks.hear(node.on().await, from.id(), bytes).await.unwrap()
}

#[tokio::test]
async fn what_a_member_says_of_itself_is_heard_kept_and_handed_on() {
    let (ann, bob, id) = pair().await;
    let bytes = bob.networks.say(id, named("Bob's phone")).await.unwrap();
    let heard = hear(&ann, &bob, &bytes).await;
    assert!(matches!(&heard, Heard::Accept(record) if record.says == named("Bob's phone") && record.node == *bob.id()));
    let nodes = ann.networks.nodes(id).await.unwrap();
    assert_eq!((nodes.len(), nodes[0].says.name.as_str(), nodes[0].expired, nodes[0].itself), (1, "Bob's phone", false, false));
    assert_eq!(ann.networks.said(id).await.unwrap(), [bytes]);
    assert!(bob.networks.nodes(id).await.unwrap()[0].itself);
}

#[tokio::test]
async fn a_replayed_or_earlier_record_changes_nothing() {
    let (ann, bob, id) = pair().await;
    let first = bob.networks.say(id, named("one")).await.unwrap();
    let second = bob.networks.say(id, named("two")).await.unwrap();
    assert!(matches!(hear(&ann, &bob, &second).await, Heard::Accept(_)));
    assert!(matches!(hear(&ann, &bob, &second).await, Heard::Ignore(_)));
    assert_eq!(ann.told("network.record_replayed"), 0, "the same one comes again every day");
    let eve = guest(&ann, id, Role::Member, "Eve").await;
    assert!(matches!(hear(&ann, &eve, &first).await, Heard::Ignore(_)));
    let told = ann.events.recent().into_iter().find(|event| event.kind == "network.record_replayed").unwrap();
    assert_eq!((told.data["node"].as_str(), told.data["of"].as_str()), (Some(eve.id().as_str()), Some(bob.id().as_str())));
    ann.clock.forward(FRESH_MS + SKEW_MS);
    assert!(matches!(hear(&ann, &bob, &second).await, Heard::Ignore(_)));
    assert_eq!(ann.told("network.record_replayed"), 2, "one that has expired");
    assert_eq!(ann.networks.nodes(id).await.unwrap()[0].says.name, "two");
}

#[tokio::test]
async fn who_hands_on_a_forged_record_is_named_not_the_node_it_speaks_of() {
    let (ann, bob, id) = pair().await;
    let eve = guest(&ann, id, Role::Member, "Eve").await;
    let stranger = Node::new().await;
    let record = NodeRecord::open(&bob.networks.say(id, named("Bob")).await.unwrap()).unwrap();
    let unknown = NodeRecord { node: stranger.id().clone(), ..record }.sign(&stranger.networks.identity).unwrap();
    assert!(matches!(hear(&ann, &eve, unknown.as_bytes()).await, Heard::Reject(_)));
    let told = ann.events.recent().into_iter().find(|event| event.kind == "network.record_refused").unwrap();
    assert_eq!(told.data["node"], eve.id().as_str());
}

#[tokio::test]
async fn what_is_said_in_another_network_is_not_heard_in_this_one() {
    let (ann, bob, id) = pair().await;
    let other = bob.found().await;
    let issued = bob.invite(other, crate::InviteOrder::default()).await;
    ann.take(&issued, "Ann").await;
    bob.meet(&ann).await.unwrap();
    let bytes = bob.networks.say(other, named("Bob")).await.unwrap();
    assert!(matches!(ann.networks.hear(id, bob.id(), &bytes).await.unwrap(), Heard::Ignore(_)));
    assert_eq!(ann.networks.nodes(other).await.unwrap(), []);
    assert!(matches!(ann.networks.hear(other, bob.id(), &bytes).await.unwrap(), Heard::Accept(_)));
}

#[tokio::test]
async fn numbers_grow_even_when_the_clock_goes_back() {
    let (ann, bob, id) = pair().await;
    let first = bob.networks.say(id, named("one")).await.unwrap();
    bob.clock.forward(-600_000);
    let second = bob.networks.say(id, named("two")).await.unwrap();
    assert!(matches!(hear(&ann, &bob, &first).await, Heard::Accept(_)));
    assert!(matches!(hear(&ann, &bob, &second).await, Heard::Accept(_)));
}

#[tokio::test]
async fn nobody_speaks_for_another_and_strangers_do_not_speak_at_all() {
    let (ann, bob, id) = pair().await;
    let eve = Node::new().await;
    let bytes = bob.networks.say(id, named("Bob")).await.unwrap();
    let record = NodeRecord::open(&bytes).unwrap();
    let forged = NodeRecord { seq: record.seq + 1, ..record.clone() }.sign(&eve.networks.identity).unwrap();
    assert!(matches!(hear(&ann, &eve, forged.as_bytes()).await, Heard::Reject(_)), "her signature under his name");
    let stranger = NodeRecord { node: eve.id().clone(), ..record }.sign(&eve.networks.identity).unwrap();
    assert!(matches!(hear(&ann, &eve, stranger.as_bytes()).await, Heard::Reject(_)), "his certificate under her name");
    assert!(matches!(hear(&ann, &eve, b"nonsense").await, Heard::Reject(_)));
    assert_eq!(ann.told("network.record_refused"), 1, "audited, once a minute");
    assert_eq!(ann.networks.nodes(id).await.unwrap(), []);
}

#[tokio::test]
async fn a_record_is_heard_with_twenty_minutes_of_difference_and_not_with_half_an_hour() {
    let (ann, bob, id) = pair().await;
    for (ahead, taken) in [(20 * 60_000, true), (SKEW_MS, true), (SKEW_MS + 1, false)] {
        bob.clock.forward(ahead);
        let bytes = bob.networks.say(id, named("ahead")).await.unwrap();
        assert_eq!(matches!(hear(&ann, &bob, &bytes).await, Heard::Accept(_)), taken, "{ahead} ahead");
        bob.clock.forward(-ahead);
    }
}

#[tokio::test]
async fn a_record_expires_and_its_node_is_still_known() {
    let (ann, bob, id) = pair().await;
    let bytes = bob.networks.say(id, named("Bob")).await.unwrap();
    hear(&ann, &bob, &bytes).await;
    let later = bob.networks.say(id, named("late")).await.unwrap();
    ann.clock.forward(FRESH_MS);
    assert!(ann.networks.nodes(id).await.unwrap()[0].expired);
    assert_eq!(ann.networks.said(id).await.unwrap(), Vec::<Vec<u8>>::new());
    ann.clock.forward(SKEW_MS - 1);
    assert!(matches!(hear(&ann, &bob, &later).await, Heard::Accept(_)), "said an hour ago by a clock that may be late");
    ann.clock.forward(1);
    let last = bob.networks.say(id, named("later")).await.unwrap();
    assert!(matches!(hear(&ann, &bob, &last).await, Heard::Ignore(_)));
    ann.clock.forward(crate::KEPT_MS + 1);
    ann.networks.sweep().await.unwrap();
    assert_eq!(ann.networks.nodes(id).await.unwrap(), []);
}

#[tokio::test]
async fn a_removed_device_is_not_heard_any_more_and_forgotten() {
    let (ann, bob, id) = pair().await;
    let bytes = bob.networks.say(id, named("Bob")).await.unwrap();
    hear(&ann, &bob, &bytes).await;
    ann.networks.remove(id, bob.id()).await.unwrap();
    assert_eq!(ann.networks.nodes(id).await.unwrap(), []);
    let bytes = bob.networks.say(id, named("Bob")).await.unwrap();
    assert!(matches!(hear(&ann, &bob, &bytes).await, Heard::Ignore(_)));
    ann.networks.sweep().await.unwrap();
    assert_eq!(ann.store.node_records(&id.to_string()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_member_is_known_from_its_record_before_it_is_met() {
    let (ann, bob, id) = pair().await;
    let dan = guest(&ann, id, Role::Member, "Dan").await;
    let bytes = dan.networks.say(id, named("Dan")).await.unwrap();
    hear(&bob, &ann, &bytes).await;
    assert!(bob.networks.members(id).await.unwrap().iter().any(|member| member.node == *dan.id()));
}

#[tokio::test]
async fn a_node_with_too_much_to_say_says_less_and_nobody_speaks_who_is_not_in() {
    let (ann, bob, id) = pair().await;
    let wordy = NodeSays { models: (0..200).map(|model| format!("{model}{}", "x".repeat(300))).collect(), ..named("Bob") };
    let bytes = bob.networks.say(id, wordy).await.unwrap();
    assert!(bytes.len() <= MAX_RECORD);
    assert!(matches!(hear(&ann, &bob, &bytes).await, Heard::Accept(record) if record.says.models.len() == 64));
    let eve = Node::new().await;
    eve.take(&ann.invite(id, crate::InviteOrder::default()).await, "Eve").await;
    assert!(matches!(eve.networks.say(id, named("Eve")).await, Err(NetworkError::NotMember)));
    assert!(matches!(hear(&eve, &bob, &bytes).await, Heard::Accept(_)));
    let other = Node::new().await;
    other.found().await;
    assert!(matches!(hear(&other, &bob, &bytes).await, Heard::Ignore(_)));
    assert!(matches!(other.networks.hear(id, bob.id(), &bytes).await.unwrap(), Heard::Ignore(_)));
}
