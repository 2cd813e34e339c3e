//! Nobody is stranded by a new key, and nobody who was shut out gets it.

use super::*;
use crate::{
    InviteOrder, InviteState, MemberState, Membership, RefusalCode,
    networks::tests::{Node, guest},
};
use kith_keys::{Identity, OsEntropy};

mod tied;

async fn key(node: &Node, id: NetworkId) -> String {
    node.networks.network(id).await.unwrap().key_id
}

async fn apply(node: &Node, from: &Node, bundle: &RotationBundle) -> Applied {
    node.networks.apply_rotation(node.on().await, from.id(), &bundle.encode()).await.unwrap()
}

/// A network of an admin and two members.
async fn three() -> (Node, Node, Node, NetworkId) {
    let ann = Node::new().await;
    let id = ann.found().await;
    let bob = guest(&ann, id, Role::Member, "Bob").await;
    let eve = guest(&ann, id, Role::Member, "Eve").await;
    (ann, bob, eve, id)
}

#[tokio::test]
async fn a_rotation_gives_every_member_the_same_new_key_and_taking_it_twice_changes_nothing() {
    let (ann, bob, eve, id) = three().await;
    let before = key(&ann, id).await;
    let bundle = ann.networks.rotate(id).await.unwrap();
    for node in [&bob, &eve] {
        let applied = apply(node, &ann, &bundle).await;
        assert_eq!((applied.epoch, applied.news, applied.key_changed, applied.removed.len()), (1, true, true, 0));
        let again = apply(node, &ann, &bundle).await;
        assert_eq!((again.epoch, again.news, again.key_changed), (1, false, false));
        assert_eq!(key(node, id).await, key(&ann, id).await);
        assert_eq!(*node.networks.key_text(id, "me").await.unwrap(), *ann.networks.key_text(id, "me").await.unwrap());
    }
    assert_ne!(before, key(&ann, id).await);
    assert_eq!((ann.told("network.key_rotated"), bob.told("network.key_rotated")), (1, 1));
    assert_eq!(bob.networks.rotation(id).await.unwrap(), Some(bundle), "and everybody can hand it on");
}

#[tokio::test]
async fn only_an_admin_rotates_and_what_others_sign_is_refused_and_audited() {
    let (ann, bob, eve, id) = three().await;
    assert!(matches!(bob.networks.rotate(id).await, Err(NetworkError::NotAdmin)));
    let view = bob.networks.view(id).await.unwrap();
    let psk = Psk::random(&OsEntropy).unwrap();
    let rotation = Rotation {
        network: id,
        epoch: 1,
        commitment: psk.commitment(),
        issued_ms: Timestamp::from_ms(0),
        by: bob.id().clone(),
        admins: Nodes(vec![bob.id().clone()]),
        members: Nodes::default(),
        removed: BTreeMap::new(),
    };
    let chain = view.own(bob.id()).unwrap().chain;
    let by_member = RotationBundle { rotation: rotation.sign(&bob.networks.identity).unwrap(), chain, shares: BTreeMap::new() };
    let stranger = Identity::ephemeral(&OsEntropy).unwrap();
    let forged = Rotation { by: ann.id().clone(), ..rotation.clone() }.sign(&stranger).unwrap();
    let forged = RotationBundle { rotation: forged, ..by_member.clone() };
    for bundle in [by_member, forged] {
        let refused = eve.networks.apply_rotation(id, bob.id(), &bundle.encode()).await;
        assert!(matches!(refused, Err(NetworkError::Refused(_))), "{refused:?}");
    }
    assert!(matches!(eve.networks.apply_rotation(id, bob.id(), b"nonsense").await, Err(NetworkError::Refused(_))));
    assert_eq!(eve.told("network.rotation_refused"), 1);
    assert_eq!(eve.networks.network(id).await.unwrap().epoch, 0);
}

#[tokio::test]
async fn a_rotation_too_far_ahead_is_refused() {
    let (ann, bob, _, id) = three().await;
    let view = ann.networks.view(id).await.unwrap();
    let rotation = |epoch| Rotation {
        network: id,
        epoch,
        commitment: [1; 32],
        issued_ms: Timestamp::from_ms(0),
        by: ann.id().clone(),
        admins: Nodes::default(),
        members: Nodes::default(),
        removed: BTreeMap::new(),
    };
    let chain = view.own(ann.id()).unwrap().chain;
    let token = rotation(MAX_STEP + 1).sign(&ann.networks.identity).unwrap();
    let bundle = RotationBundle { rotation: token, chain, shares: BTreeMap::new() };
    assert!(matches!(bob.networks.apply_rotation(id, ann.id(), &bundle.encode()).await, Err(NetworkError::Refused(_))));
}

#[tokio::test]
async fn who_was_away_comes_on_the_old_key_is_given_the_new_one_and_nothing_else() {
    let (ann, bob, eve, id) = three().await;
    for _ in 0..3 {
        let bundle = ann.networks.rotate(id).await.unwrap();
        apply(&eve, &ann, &bundle).await;
    }
    // Bob was away for three rotations; a plain member hands him the present key.
    let keys = eve.networks.keys_to_listen(id).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.epoch).collect::<Vec<_>>(), [3, 2, 1, 0]);
    assert_eq!(keys[0].purpose, KeyPurpose::Current);
    let old = keys.iter().find(|kept| kept.epoch == 0).unwrap();
    assert_eq!(old.key_id, key(&bob, id).await);
    let hello = bob.networks.hello(id, eve.id()).await.unwrap();
    let judged = eve.networks.judge(id, bob.id(), &hello, old.purpose).await.unwrap();
    assert!(!judged.stays, "on a retired key nothing follows the welcome");
    let (_, there) = eve.meet_on(&bob, old.purpose).await.unwrap();
    assert!(there.key_changed());
    assert_eq!(key(&bob, id).await, key(&ann, id).await);
    assert!(ann.meet(&bob).await.is_ok());
}

#[tokio::test]
async fn a_retired_key_is_given_up_after_thirty_days_and_the_present_one_never() {
    let (ann, _, _, id) = three().await;
    ann.networks.rotate(id).await.unwrap();
    let until = ann.networks.clock.now().plus_ms(KEPT_MS);
    assert_eq!(ann.networks.keys_to_listen(id).await.unwrap()[1].purpose, KeyPurpose::Retired { until });
    ann.clock.forward(KEPT_MS - 1);
    assert_eq!(ann.networks.keys_to_listen(id).await.unwrap().len(), 2);
    ann.clock.forward(1);
    assert_eq!(ann.networks.keys_to_listen(id).await.unwrap().len(), 1);
    ann.clock.forward(1);
    ann.networks.sweep().await.unwrap();
    assert_eq!(ann.store.network_rotations(&id.to_string()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_more_keys_are_listened_for_than_the_bound() {
    let (ann, _, _, id) = three().await;
    for _ in 0..MAX_LISTENED + 2 {
        ann.networks.rotate(id).await.unwrap();
    }
    let keys = ann.networks.keys_to_listen(id).await.unwrap();
    assert_eq!((keys.len(), keys[0].purpose, keys[1].epoch), (MAX_LISTENED, KeyPurpose::Current, MAX_LISTENED as u64 + 1));
}

#[tokio::test]
async fn a_removed_device_gets_no_key_and_is_refused_on_every_key() {
    let (ann, bob, eve, id) = three().await;
    let open = ann.invite(id, InviteOrder::default()).await;
    let old = eve.networks.keys_to_listen(id).await.unwrap();
    let bundle = ann.networks.remove(id, eve.id()).await.unwrap();
    assert!(!bundle.shares.contains_key(&share_name(eve.id())));
    assert_eq!(apply(&bob, &ann, &bundle).await.removed, [eve.id().clone()]);
    for node in [&ann, &bob] {
        assert_eq!(node.judge(&eve).await.unwrap_err().code, RefusalCode::Removed);
        let hello = eve.networks.hello(id, node.id()).await.unwrap();
        let retired = KeyPurpose::Retired { until: Timestamp::from_ms(i64::MAX) };
        assert_eq!(node.networks.judge(id, eve.id(), &hello, retired).await.unwrap_err().code, RefusalCode::Removed);
    }
    let told = apply(&eve, &ann, &bundle).await;
    assert_eq!((told.out, told.key_changed), (true, false));
    assert_eq!((eve.membership(id).await, eve.told("network.shut_out")), (Membership::Removed, 1));
    assert_eq!(key(&eve, id).await, old[0].key_id, "she stays where she was");
    assert!(matches!(eve.networks.connect(id).await, Err(NetworkError::NotMember)));
    let state = ann.networks.members(id).await.unwrap().into_iter().find(|member| member.node == *eve.id()).unwrap().state;
    assert_eq!(state, MemberState::Removed);
    let invites = ann.networks.invites(id).await.unwrap();
    let invite = invites.iter().find(|invite| invite.id == open.invite.id).unwrap();
    assert_eq!(invite.state, InviteState::Revoked, "she may have seen it");
    assert!(matches!(ann.networks.remove(id, eve.id()).await, Err(NetworkError::NoSuchMember)));
    assert!(matches!(ann.networks.remove(id, ann.id()).await, Err(NetworkError::Itself)));
}

#[tokio::test]
async fn a_removed_device_that_is_invited_again_is_a_member_again() {
    let (ann, bob, eve, id) = three().await;
    let bundle = ann.networks.remove(id, eve.id()).await.unwrap();
    apply(&bob, &ann, &bundle).await;
    apply(&eve, &ann, &bundle).await;
    eve.take(&ann.invite(id, InviteOrder::default()).await, "Eve").await;
    assert_eq!(eve.membership(id).await, Membership::Invited);
    ann.meet(&eve).await.unwrap();
    assert_eq!(eve.membership(id).await, Membership::Member);
    bob.meet(&eve).await.unwrap();
    let bundle = ann.networks.rotate(id).await.unwrap();
    assert!(apply(&eve, &ann, &bundle).await.key_changed);
}

#[tokio::test]
async fn an_invite_made_before_a_rotation_still_leads_in_over_the_retired_key() {
    let (ann, bob) = (Node::new().await, Node::new().await);
    let id = ann.found().await;
    let issued = ann.invite(id, InviteOrder::default()).await;
    ann.networks.rotate(id).await.unwrap();
    bob.take(&issued, "Bob").await;
    let retired = ann.networks.keys_to_listen(id).await.unwrap().remove(1);
    assert_eq!(retired.key_id, key(&bob, id).await);
    let (_, there) = ann.meet_on(&bob, retired.purpose).await.unwrap();
    assert!(there.certified && there.key_changed());
    assert_eq!((bob.membership(id).await, key(&bob, id).await), (Membership::Member, key(&ann, id).await));
}

#[tokio::test]
async fn a_newcomer_by_a_later_invite_knows_who_was_removed_before_and_helps_those_who_were_away() {
    let (ann, bob, eve, id) = three().await;
    ann.networks.remove(id, eve.id()).await.unwrap();
    let dan = guest(&ann, id, Role::Member, "Dan").await;
    assert_eq!(dan.judge(&eve).await.unwrap_err().code, RefusalCode::Removed);
    assert_eq!(dan.networks.rotation(id).await.unwrap().map(|bundle| bundle.rotation.is_empty()), Some(false));
    assert!(dan.meet(&bob).await.unwrap().1.key_changed());
    assert_eq!(key(&bob, id).await, key(&ann, id).await);
}

#[tokio::test]
async fn a_member_whom_the_rotating_admin_did_not_know_is_not_stranded() {
    let (ann, _, _, id) = three().await;
    let zoe = guest(&ann, id, Role::Admin, "Zoe").await;
    // Zoe lets Dan in; Ann rotates before she hears of him.
    let dan = guest(&zoe, id, Role::Member, "Dan").await;
    let bundle = ann.networks.rotate(id).await.unwrap();
    assert!(!bundle.shares.contains_key(&share_name(dan.id())));
    let applied = apply(&dan, &ann, &bundle).await;
    assert_eq!((applied.key_changed, applied.out), (false, false));
    let retired = ann.networks.keys_to_listen(id).await.unwrap().remove(1).purpose;
    assert!(ann.meet_on(&dan, retired).await.unwrap().1.key_changed());
    assert_eq!(key(&dan, id).await, key(&ann, id).await);
}

#[tokio::test]
async fn two_admins_who_rotate_at_once_end_with_one_key_everywhere() {
    let (ann, bob, _, id) = three().await;
    let zoe = guest(&ann, id, Role::Admin, "Zoe").await;
    zoe.meet(&bob).await.unwrap();
    let (one, two) = (ann.networks.rotate(id).await.unwrap(), zoe.networks.rotate(id).await.unwrap());
    apply(&ann, &zoe, &two).await;
    apply(&zoe, &ann, &one).await;
    apply(&bob, &ann, &one).await;
    apply(&bob, &zoe, &two).await;
    assert_eq!(key(&ann, id).await, key(&zoe, id).await);
    assert_eq!(key(&ann, id).await, key(&bob, id).await);
    for node in [&ann, &zoe, &bob] {
        let keys = node.networks.keys_to_listen(id).await.unwrap();
        assert_eq!(keys.iter().map(|key| key.epoch).collect::<Vec<_>>(), [1, 1, 0], "the other one is listened for");
    }
}

#[tokio::test]
async fn a_device_removed_by_one_admin_while_another_rotates_is_out_and_the_key_is_due_again() {
    for _ in 0..4 {
        let (ann, bob, eve, id) = three().await;
        let zoe = guest(&ann, id, Role::Admin, "Zoe").await;
        for node in [&bob, &eve] {
            zoe.meet(node).await.unwrap();
        }
        let (one, two) = (ann.networks.remove(id, eve.id()).await.unwrap(), zoe.networks.rotate(id).await.unwrap());
        apply(&bob, &zoe, &two).await;
        let bobs = apply(&bob, &ann, &one).await;
        let zoes = apply(&zoe, &ann, &one).await;
        let has_key = key(&zoe, id).await == Rotation::open(&two.rotation).unwrap().key_id();
        assert_eq!((bobs.rotate_again, zoes.rotate_again), (has_key, has_key), "only if she was given the key that holds");
        for node in [&bob, &zoe] {
            assert_eq!(node.judge(&eve).await.unwrap_err().code, RefusalCode::Removed);
        }
        let again = zoe.networks.rotate(id).await.unwrap();
        assert!(!apply(&bob, &zoe, &again).await.rotate_again);
    }
}

#[tokio::test]
async fn the_founders_device_is_removed_by_nobody() {
    let (ann, bob, _, id) = three().await;
    let zoe = guest(&ann, id, Role::Admin, "Zoe").await;
    zoe.meet(&bob).await.unwrap();
    assert!(matches!(zoe.networks.remove(id, ann.id()).await, Err(NetworkError::Founder)));
    let view = zoe.networks.view(id).await.unwrap();
    let psk = Psk::random(&OsEntropy).unwrap();
    let rotation = Rotation {
        network: id,
        epoch: 1,
        commitment: psk.commitment(),
        issued_ms: Timestamp::from_ms(0),
        by: zoe.id().clone(),
        admins: Nodes(vec![zoe.id().clone()]),
        members: Nodes::default(),
        removed: [(1, Nodes(vec![ann.id().clone()]))].into(),
    };
    let chain = view.own(zoe.id()).unwrap().chain;
    let bundle = RotationBundle { rotation: rotation.sign(&zoe.networks.identity).unwrap(), chain, shares: BTreeMap::new() };
    let refused = bob.networks.apply_rotation(id, zoe.id(), &bundle.encode()).await;
    assert!(matches!(refused, Err(NetworkError::Refused(_))), "{refused:?}");
    assert!(bob.meet(&ann).await.is_ok());
}

#[tokio::test]
async fn a_rotation_of_another_network_changes_nothing_on_the_way_of_this_one() {
    let (ann, bob, eve, id) = three().await;
    // Eve founded another network, which Bob has saved; she removes him there, and tells it here.
    let hers = eve.networks.create("Hers", "Eve").await.unwrap().id;
    eve.networks.connect(hers).await.unwrap();
    let issued = eve.invite(hers, InviteOrder::default()).await;
    bob.take(&issued, "Bob").await;
    eve.meet(&bob).await.unwrap();
    bob.networks.connect(id).await.unwrap();
    let bundle = eve.networks.remove(hers, bob.id()).await.unwrap();
    let refused = bob.networks.apply_rotation(id, eve.id(), &bundle.encode()).await;
    assert!(matches!(refused, Err(NetworkError::Refused(_))), "{refused:?}");
    assert_eq!((bob.membership(id).await, bob.membership(hers).await), (Membership::Member, Membership::Member));
    assert_eq!(bob.told("network.shut_out"), 0);
    let applied = bob.networks.apply_rotation(hers, eve.id(), &bundle.encode()).await.unwrap();
    assert!(applied.out, "where it belongs it holds");
    assert!(ann.meet(&bob).await.is_ok());
}

#[tokio::test]
async fn who_hands_on_what_a_removed_admin_signed_does_it_in_good_faith_and_it_has_no_effect() {
    let (ann, bob, eve, id) = three().await;
    let zoe = guest(&ann, id, Role::Admin, "Zoe").await;
    zoe.meet(&eve).await.unwrap();
    let removal = ann.networks.remove(id, zoe.id()).await.unwrap();
    // Zoe's device does not hear of it.
    zoe.networks.rotate(id).await.unwrap();
    let late = zoe.networks.remove(id, eve.id()).await.unwrap();
    apply(&bob, &ann, &removal).await;
    let refused = bob.networks.apply_rotation(id, eve.id(), &late.encode()).await;
    assert!(matches!(refused, Err(NetworkError::RemovedSigner)), "{refused:?}");
    assert_eq!(bob.told("network.rotation_refused"), 1);
    assert!(bob.networks.view(id).await.unwrap().standing.removed.keys().eq([zoe.id()]));
}

#[tokio::test]
async fn who_was_certified_for_a_number_to_come_is_removed_all_the_same() {
    let (ann, bob, _, id) = three().await;
    let eve = Node::new().await;
    let certificate = crate::Certificate {
        network: id,
        member: eve.id().clone(),
        role: Role::Member,
        name: "Eve".into(),
        issued_ms: Timestamp::from_ms(1),
        serial: "00".into(),
        epoch: 9,
        by: ann.id().clone(),
    };
    let chain = Chain(vec![certificate.sign(&ann.networks.identity).unwrap()]);
    let hello = crate::Hello { network: id, epoch: 0, key_id: String::new(), body: crate::HelloBody::Member(chain) }.encode();
    assert!(ann.networks.judge(id, eve.id(), &hello, KeyPurpose::Current).await.is_ok());
    let bundle = ann.networks.remove(id, eve.id()).await.unwrap();
    apply(&bob, &ann, &bundle).await;
    for node in [&ann, &bob] {
        let refused = node.networks.judge(id, eve.id(), &hello, KeyPurpose::Current).await.unwrap_err();
        assert_eq!(refused.code, RefusalCode::Removed);
    }
}

#[tokio::test]
async fn an_earlier_rotation_never_takes_the_place_of_a_later_one() {
    let (ann, bob, _, id) = three().await;
    let first = ann.networks.rotate(id).await.unwrap();
    let second = ann.networks.rotate(id).await.unwrap();
    assert!(apply(&bob, &ann, &second).await.key_changed);
    let replayed = apply(&bob, &ann, &first).await;
    assert_eq!((replayed.epoch, replayed.key_changed), (2, false));
    assert_eq!(key(&bob, id).await, key(&ann, id).await);
    assert_eq!(bob.networks.keys_to_listen(id).await.unwrap().len(), 3, "but its key is listened for");
}

#[tokio::test]
async fn over_the_bound_no_device_is_removed() {
    let (ann, bob, _, id) = three().await;
    let view = ann.networks.view(id).await.unwrap();
    let removed = (0..MAX_REMOVED).map(|_| Identity::ephemeral(&OsEntropy).unwrap().node_id().clone()).collect();
    let psk = Psk::random(&OsEntropy).unwrap();
    let rotation = Rotation {
        network: id,
        epoch: 1,
        commitment: psk.commitment(),
        issued_ms: Timestamp::from_ms(0),
        by: ann.id().clone(),
        admins: Nodes(vec![ann.id().clone()]),
        members: Nodes(vec![bob.id().clone()]),
        removed: [(1, Nodes(removed))].into(),
    };
    let token = rotation.sign(&ann.networks.identity).unwrap();
    let own = share(ann.id(), id, 1, &psk, &OsEntropy).unwrap();
    let chain = view.own(ann.id()).unwrap().chain;
    let bundle = RotationBundle { rotation: token, chain, shares: [(share_name(ann.id()), own)].into() };
    assert!(apply(&ann, &ann, &bundle).await.key_changed);
    assert!(matches!(ann.networks.remove(id, bob.id()).await, Err(NetworkError::TooMany { what: "removed devices", .. })));
    ann.networks.rotate(id).await.unwrap();
}
