//! Who comes in and who does not, over a connection on which both have proved who they are.

use super::*;
use crate::{
    InviteOrder, Membership, NetworkId, SKEW_MS,
    networks::tests::{Node, guest},
};

fn code<T: std::fmt::Debug>(judged: Result<T, Refusal>) -> RefusalCode {
    judged.unwrap_err().code
}

/// A network, its founder, and a newcomer who has taken a fresh invite.
async fn pair() -> (Node, Node, NetworkId) {
    let (ann, bob) = (Node::new().await, Node::new().await);
    let id = ann.found().await;
    let issued = ann.invite(id, InviteOrder::default()).await;
    bob.take(&issued, "Bob's phone").await;
    (ann, bob, id)
}

#[tokio::test]
async fn a_newcomer_shows_its_invite_and_becomes_a_member() {
    let (ann, bob, id) = pair().await;
    let (here, there) = ann.meet(&bob).await.unwrap();
    assert_eq!((here.certified, there.certified, there.key_changed()), (false, true, false));
    assert_eq!(bob.membership(id).await, Membership::Member);
    let members = ann.networks.members(id).await.unwrap();
    let names: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.role, member.founder)).collect();
    assert_eq!(names, [("Bob's phone", Role::Member, false), ("first", Role::Admin, true)]);
    assert_eq!((ann.told("network.member_admitted"), bob.told("network.admitted")), (1, 1));
    ann.meet(&bob).await.unwrap();
    assert!(members[0].last_seen.is_some());
    assert_eq!(bob.networks.members(id).await.unwrap().len(), 2, "the newcomer knows its host");
}

#[tokio::test]
async fn the_key_alone_lets_nobody_in() {
    let (ann, bob, id) = pair().await;
    let eve = Node::new().await;
    let key = bob.networks.key_text(id, "me").await.unwrap();
    eve.networks.create_with_key("Home", "Eve", &key, &[]).await.unwrap();
    let nothing = ann.networks.judge(id, eve.id(), b"", KeyPurpose::Current).await;
    assert_eq!(code(nothing), RefusalCode::NoCertificate);
    let own = eve.networks.networks().await.unwrap()[0].id;
    eve.networks.connect(own).await.unwrap();
    assert_eq!(code(ann.judge(&eve).await), RefusalCode::WrongNetwork, "her own network with the same key is another one");
    let empty = br#"{"network":"ID","member":[]}"#.to_vec();
    let empty = String::from_utf8(empty).unwrap().replace("ID", &id.to_string());
    let shown = ann.networks.judge(id, eve.id(), empty.as_bytes(), KeyPurpose::Current).await;
    assert_eq!(code(shown), RefusalCode::NoCertificate);
}

#[tokio::test]
async fn a_stolen_certificate_or_claim_is_of_no_use_to_another_node() {
    let (ann, bob, id) = pair().await;
    let eve = Node::new().await;
    let claim = bob.networks.hello(id, ann.id()).await.unwrap();
    assert_eq!(code(ann.networks.judge(id, eve.id(), &claim, KeyPurpose::Current).await), RefusalCode::WrongProof);
    ann.meet(&bob).await.unwrap();
    let certificate = bob.networks.hello(id, ann.id()).await.unwrap();
    assert_eq!(code(ann.networks.judge(id, eve.id(), &certificate, KeyPurpose::Current).await), RefusalCode::Forged);
    assert_eq!(ann.networks.members(id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_claim_made_towards_one_node_is_of_no_use_towards_another() {
    let (ann, bob, id) = pair().await;
    let eve = guest(&ann, id, Role::Admin, "Eve").await;
    let towards_eve = bob.networks.hello(id, eve.id()).await.unwrap();
    let replayed = ann.networks.judge(id, bob.id(), &towards_eve, KeyPurpose::Current).await;
    assert_eq!(code(replayed), RefusalCode::WrongProof);
}

#[tokio::test]
async fn a_used_invite_lets_in_nobody_else() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let issued = ann.invite(id, InviteOrder::default()).await;
    let (bob, eve) = (Node::new().await, Node::new().await);
    for node in [&bob, &eve] {
        node.take(&issued, "guest").await;
    }
    ann.meet(&bob).await.unwrap();
    assert_eq!(code(ann.judge(&eve).await), RefusalCode::InviteUsed);
    assert_eq!(eve.membership(id).await, Membership::Invited);
    assert_eq!(ann.told("network.refused"), 1, "it is audited");
}

#[tokio::test]
async fn who_never_got_its_certificate_comes_again_and_gets_the_same_one() {
    let (ann, bob, id) = pair().await;
    let first = ann.judge(&bob).await.unwrap();
    let again = ann.judge(&bob).await.unwrap();
    assert!(first.newcomer && !again.newcomer);
    assert_eq!(first.welcome, again.welcome);
    bob.networks.admitted(id, ann.id(), &again.welcome).await.unwrap();
    assert_eq!(bob.membership(id).await, Membership::Member);
    assert_eq!(ann.networks.invites(id).await.unwrap()[0].used, 1);
}

#[tokio::test]
async fn expired_revoked_and_unknown_invites_let_nobody_in() {
    let (ann, bob, id) = pair().await;
    ann.clock.forward(86_400_000);
    assert_eq!(code(ann.judge(&bob).await), RefusalCode::InviteExpired);
    let (ann, bob, id2) = {
        drop((ann, bob, id));
        pair().await
    };
    let invite = ann.networks.invites(id2).await.unwrap().remove(0);
    ann.networks.revoke_invite(id2, &invite.id).await.unwrap();
    assert_eq!(code(ann.judge(&bob).await), RefusalCode::InviteRevoked);
    let hello = Hello::decode(&bob.networks.hello(id2, ann.id()).await.unwrap()).unwrap();
    let HelloBody::Claim(claim) = hello.body.clone() else { panic!() };
    let unknown = Hello { body: HelloBody::Claim(Claim { invite: "0000000000000000".into(), ..claim }), ..hello };
    let unknown = ann.networks.judge(id2, bob.id(), &unknown.encode(), KeyPurpose::Current).await;
    assert_eq!(code(unknown), RefusalCode::InviteUnknown);
}

#[tokio::test]
async fn clocks_that_are_ten_minutes_wrong_keep_nobody_out() {
    for (host, newcomer) in [(600_000, 0), (0, 600_000)] {
        let (ann, bob) = (Node::new().await, Node::new().await);
        ann.clock.forward(host);
        bob.clock.forward(newcomer);
        let id = ann.found().await;
        let issued = ann.invite(id, InviteOrder { lifetime_ms: 60_000, ..InviteOrder::default() }).await;
        bob.take(&issued, "Bob").await;
        ann.meet(&bob).await.unwrap();
        ann.networks.rotate(id).await.unwrap();
        let (_, there) = ann.meet(&bob).await.unwrap();
        assert!(there.key_changed());
    }
    const { assert!(SKEW_MS > 600_000) };
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_audited_once_a_minute_for_each_peer() {
    let (ann, bob, id) = pair().await;
    for hello in [&b"{}"[..], b"nonsense", b"[]", &[0xff; 100], &vec![b' '; 70_000]] {
        assert_eq!(code(ann.networks.judge(id, bob.id(), hello, KeyPurpose::Current).await), RefusalCode::Malformed);
    }
    assert_eq!(ann.told("network.refused"), 1);
    let event = ann.events.recent().into_iter().find(|event| event.kind == "network.refused").unwrap();
    assert_eq!(event.data["code"], "malformed");
    assert_eq!(event.data["node"], bob.id().as_str());
}

#[tokio::test]
async fn who_has_nothing_but_the_key_is_told_that_it_is_at_the_wrong_door_and_no_names() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let dan = guest(&ann, id, Role::Member, "Dan").await;
    let bob = Node::new().await;
    bob.take(&ann.invite(id, InviteOrder::default()).await, "Bob").await;
    let eve = guest(&ann, id, Role::Admin, "Eve").await;
    eve.meet(&dan).await.unwrap();
    let by_member = dan.judge(&bob).await.unwrap_err();
    assert_eq!(by_member.code, RefusalCode::CannotAdmit);
    let by_admin = eve.judge(&bob).await.unwrap_err();
    assert_eq!(by_admin.code, RefusalCode::InviteUnknown, "an invite is honoured by who gave it");
    for refusal in [by_member, by_admin] {
        assert!(refusal.message.contains("the one that gave"), "{}", refusal.message);
        for of in [&ann, &eve, &dan] {
            assert!(!refusal.message.contains(of.id().as_str()), "{}", refusal.message);
        }
        assert!(!["first", "Eve", "Dan"].iter().any(|name| refusal.message.contains(name)), "{}", refusal.message);
    }
}

#[tokio::test]
async fn two_newcomers_cannot_let_each_other_in() {
    let (ann, bob, id) = pair().await;
    let eve = Node::new().await;
    eve.take(&ann.invite(id, InviteOrder::default()).await, "Eve").await;
    assert_eq!(code(bob.judge(&eve).await), RefusalCode::CannotAdmit);
}

#[tokio::test]
async fn an_invite_for_one_device_lets_in_that_device_only() {
    let (ann, bob, eve) = (Node::new().await, Node::new().await, Node::new().await);
    let id = ann.found().await;
    let order = InviteOrder { for_node: Some(bob.id().clone()), ..InviteOrder::default() };
    let issued = ann.invite(id, order).await;
    assert!(matches!(eve.networks.join(&issued.url, "Eve").await, Err(NetworkError::Invite(_))));
    bob.take(&issued, "Bob").await;
    ann.meet(&bob).await.unwrap();
    assert_eq!(bob.membership(id).await, Membership::Member);
}

#[tokio::test]
async fn a_full_network_takes_nobody_more() {
    let (ann, bob, id) = pair().await;
    let view = ann.networks.view(id).await.unwrap();
    let own = ann.networks.own_admin(&view).unwrap();
    for _ in 1..MAX_MEMBERS {
        let node = kith_keys::Identity::ephemeral(&kith_keys::OsEntropy).unwrap();
        let (certificate, chain) = ann.networks.certify(&view, &own, node.node_id(), "x", Role::Member).unwrap();
        let row = member_row(&certificate, &chain, None, ann.networks.clock.now());
        assert!(ann.store.network_member_put(&row, MAX_MEMBERS).await.unwrap());
    }
    assert_eq!(code(ann.judge(&bob).await), RefusalCode::Full);
    assert_eq!(ann.networks.invites(id).await.unwrap()[0].used, 0);
}

#[tokio::test]
async fn a_promoted_member_learns_of_it_when_it_next_meets_an_admin() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let bob = guest(&ann, id, Role::Member, "Bob").await;
    // A clock that went back does not make the new certificate the older one.
    ann.clock.forward(-600_000);
    ann.networks.promote(id, bob.id()).await.unwrap();
    ann.networks.promote(id, bob.id()).await.unwrap();
    assert_eq!(ann.told("network.member_promoted"), 1);
    let (_, there) = ann.meet(&bob).await.unwrap();
    assert!(there.certified);
    assert_eq!(bob.membership(id).await, Membership::Admin);
    assert!(!ann.meet(&bob).await.unwrap().1.certified);
    assert!(matches!(ann.networks.promote(id, Node::new().await.id()).await, Err(NetworkError::NoSuchMember)));
    let dan = guest(&ann, id, Role::Member, "Dan").await;
    assert!(matches!(dan.networks.promote(id, dan.id()).await, Err(NetworkError::NotAdmin)));
}

#[tokio::test]
async fn a_welcome_with_a_membership_that_does_not_hold_is_refused() {
    let (ann, bob, id) = pair().await;
    let eve = Node::new().await;
    let hers = eve.found().await;
    let dan = guest(&eve, hers, Role::Member, "Dan").await;
    let chain = dan.store.network_active().await.unwrap().unwrap().chain.unwrap();
    let forged = Welcome { chain: Some(Chain::from_text(&chain)), ..Welcome::default() };
    let refused = bob.networks.admitted(id, ann.id(), &forged.encode()).await;
    assert!(matches!(refused, Err(NetworkError::Refused(_))), "{refused:?}");
    assert!(matches!(bob.networks.admitted(id, ann.id(), b"nonsense").await, Err(NetworkError::Refused(_))));
    assert_eq!(bob.membership(id).await, Membership::Invited);
}

#[tokio::test]
async fn on_a_network_that_was_forgotten_nothing_is_shown_and_nobody_judged() {
    let (ann, bob, id) = pair().await;
    let hello = bob.networks.hello(id, ann.id()).await.unwrap();
    ann.networks.disconnect().await.unwrap();
    ann.networks.forget(id).await.unwrap();
    assert_eq!(ann.networks.hello(id, bob.id()).await.unwrap(), b"");
    let judged = ann.networks.judge(id, bob.id(), &hello, KeyPurpose::Current).await;
    assert_eq!(code(judged), RefusalCode::Unavailable);
    let admitted = ann.networks.admitted(id, bob.id(), &Welcome::default().encode()).await;
    assert!(matches!(admitted, Err(NetworkError::NotFound)));
}

#[tokio::test]
async fn a_connection_is_judged_by_its_own_network_while_another_one_becomes_the_active_one() {
    let (ann, bob, id) = pair().await;
    ann.meet(&bob).await.unwrap();
    let other = bob.networks.create("Other", "Bob").await.unwrap().id;
    bob.networks.connect(other).await.unwrap();
    let shown = Hello::decode(&bob.networks.hello(id, ann.id()).await.unwrap()).unwrap();
    assert_eq!(shown.network, id, "nothing of the other network is shown");
    assert!(ann.networks.judge(id, bob.id(), &shown.encode(), KeyPurpose::Current).await.is_ok());
    ann.networks.rotate(id).await.unwrap();
    let hello = ann.networks.hello(id, bob.id()).await.unwrap();
    assert!(bob.networks.judge(id, ann.id(), &hello, KeyPurpose::Current).await.is_ok());
    let judged = ann.networks.judge(id, bob.id(), &shown.encode(), KeyPurpose::Current).await.unwrap();
    assert!(bob.networks.admitted(id, ann.id(), &judged.welcome).await.unwrap().key_changed());
    assert_eq!(bob.networks.network(other).await.unwrap().epoch, 0);
}

#[tokio::test]
async fn a_welcome_tells_who_was_shut_out_while_this_node_was_away() {
    let (ann, bob, id) = pair().await;
    ann.meet(&bob).await.unwrap();
    let eve = guest(&ann, id, Role::Member, "Eve").await;
    ann.networks.remove(id, eve.id()).await.unwrap();
    let (_, there) = ann.meet(&bob).await.unwrap();
    let applied = there.applied.unwrap();
    assert_eq!((applied.key_changed, applied.out, applied.removed), (true, false, vec![eve.id().clone()]));
}

#[test]
fn what_the_mesh_asks_may_be_asked_from_any_thread() {
    fn sent<T: Send>(_: fn(&'static Networks, &'static NodeId, &'static [u8]) -> T) {}
    fn any() -> NetworkId {
        "00112233445566778899aabbccddeeff".parse().unwrap()
    }
    sent(|networks, peer, _| networks.hello(any(), peer));
    sent(|networks, peer, bytes| networks.judge(any(), peer, bytes, KeyPurpose::Current));
    sent(|networks, peer, bytes| networks.admitted(any(), peer, bytes));
    sent(|networks, peer, bytes| networks.apply_rotation(any(), peer, bytes));
    sent(|networks, peer, bytes| networks.hear(any(), peer, bytes));
}
