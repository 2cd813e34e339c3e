//! Invites as their giver sees them.

use super::*;
use crate::networks::tests::{Node, guest};

#[tokio::test]
async fn an_invite_is_listed_with_its_uses_its_state_and_who_came() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let order = InviteOrder { label: "for Bob".into(), uses: 2, lifetime_ms: 60_000, ..InviteOrder::default() };
    let issued = ann.invite(id, order).await;
    assert!(issued.url.starts_with("kith://join/"));
    assert_eq!(ann.networks.invites(id).await.unwrap(), std::slice::from_ref(&issued.invite));
    assert_eq!((issued.invite.state, issued.invite.used, issued.invite.label.as_str()), (InviteState::Open, 0, "for Bob"));
    let bob = Node::new().await;
    bob.take(&issued, "Bob").await;
    ann.meet(&bob).await.unwrap();
    let listed = ann.networks.invites(id).await.unwrap().remove(0);
    assert_eq!((listed.state, listed.used, listed.members.as_slice()), (InviteState::Open, 1, &[bob.id().to_string()][..]));
    ann.clock.forward(60_000);
    assert_eq!(ann.networks.invites(id).await.unwrap()[0].state, InviteState::Expired);
    ann.clock.forward(LISTED_MS + 1);
    assert_eq!(ann.networks.invites(id).await.unwrap(), []);
}

#[tokio::test]
async fn who_asked_for_an_invite_is_recorded_and_the_addresses_in_its_code_are_told() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let addresses: Vec<String> = (1..=5).map(|port| format!("/ip4/192.0.2.7/tcp/{port}")).collect();
    let issued =
        ann.invite(id, InviteOrder { by: "laptop".into(), addresses: addresses.clone(), ..InviteOrder::default() }).await;
    assert_eq!(issued.addresses, addresses[..MAX_IN_CODE]);
    assert_eq!(ann.networks.preview(&issued.url).unwrap().addresses, issued.addresses);
    let recent = ann.events.recent();
    let made = recent.iter().find(|event| event.kind == "network.invite_made").unwrap();
    assert_eq!((&made.data["by"], &made.data["invite"]), (&json!("laptop"), &json!(issued.invite.id)));
    assert!(ann.invite(id, InviteOrder::default()).await.addresses.is_empty(), "no address is known");
}

#[tokio::test]
async fn an_invite_is_taken_back_once() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let issued = ann.invite(id, InviteOrder::default()).await;
    ann.networks.revoke_invite(id, &issued.invite.id).await.unwrap();
    assert_eq!(ann.networks.invites(id).await.unwrap()[0].state, InviteState::Revoked);
    assert!(matches!(ann.networks.revoke_invite(id, &issued.invite.id).await, Err(NetworkError::InviteOver)));
    assert!(matches!(ann.networks.revoke_invite(id, "0000000000000000").await, Err(NetworkError::NoSuchInvite)));
    assert_eq!(ann.told("network.invite_revoked"), 1);
}

#[tokio::test]
async fn what_an_invite_may_be_has_bounds() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let usual = InviteOrder::default;
    for (wrong, field) in [
        (InviteOrder { uses: 0, ..usual() }, "uses"),
        (InviteOrder { uses: 201, ..usual() }, "uses"),
        (InviteOrder { lifetime_ms: 59_999, ..usual() }, "lifetime"),
        (InviteOrder { lifetime_ms: 30 * 86_400_000 + 1, ..usual() }, "lifetime"),
        (InviteOrder { label: "x".repeat(65), ..usual() }, "label"),
        (InviteOrder { addresses: vec!["x".into()], ..usual() }, "bootstrap"),
    ] {
        let refused = ann.networks.invite(id, wrong).await;
        assert!(matches!(refused, Err(NetworkError::Invalid { field: named, .. }) if named == field), "{field}");
    }
    for _ in 0..MAX_INVITES {
        ann.invite(id, usual()).await;
    }
    assert!(matches!(ann.networks.invite(id, usual()).await, Err(NetworkError::TooMany { what: "invites", .. })));
}

#[tokio::test]
async fn a_plain_member_gives_no_invites_and_an_admin_who_came_by_one_does() {
    let ann = Node::new().await;
    let id = ann.found().await;
    let bob = guest(&ann, id, Role::Member, "Bob").await;
    assert!(matches!(bob.networks.invite(id, InviteOrder::default()).await, Err(NetworkError::NotAdmin)));
    let eve = guest(&ann, id, Role::Admin, "Eve").await;
    let dan = guest(&eve, id, Role::Member, "Dan").await;
    ann.meet(&dan).await.unwrap();
    assert_eq!(ann.networks.network(id).await.unwrap().members, 4);
}

#[tokio::test]
async fn what_an_invite_says_can_be_seen_before_it_is_used() {
    let (ann, bob) = (Node::new().await, Node::new().await);
    let id = ann.found().await;
    let issued = ann.invite(id, InviteOrder { role: Role::Admin, ..InviteOrder::default() }).await;
    let preview = bob.networks.preview(&issued.url).unwrap();
    assert_eq!((preview.network, preview.name.as_str(), &preview.inviter, preview.role), (id, "Home", ann.id(), Role::Admin));
    assert!(!format!("{issued:?}").contains("kith://"), "a code is never printed by accident");
}
