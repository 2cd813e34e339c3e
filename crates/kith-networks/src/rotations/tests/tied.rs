//! Admins who sign at once: whatever the order in which it is heard, every node knows the same in the end.

use super::*;

/// Everything of a network that must be the same on every node.
async fn state(node: &Node, id: NetworkId) -> (String, Vec<(NodeId, u64)>, Vec<(NodeId, u64, Role)>) {
    let view = node.networks.view(id).await.unwrap();
    let mut removed: Vec<_> = view.standing.removed.into_iter().collect();
    let mut vouched: Vec<_> = view.standing.vouched.into_iter().map(|(node, (epoch, role))| (node, epoch, role)).collect();
    removed.sort();
    vouched.sort();
    (view.row.key_id, removed, vouched)
}

/// A founder, two more admins, three who look on; and a member.
async fn court() -> (Node, Node, Node, [Node; 3], Node, NetworkId) {
    let ann = Node::new().await;
    let id = ann.found().await;
    let bob = guest(&ann, id, Role::Admin, "Bob").await;
    let zoe = guest(&ann, id, Role::Admin, "Zoe").await;
    let dan = guest(&ann, id, Role::Member, "Dan").await;
    let mut watching = Vec::new();
    for name in ["one", "two", "three"] {
        watching.push(guest(&ann, id, Role::Member, name).await);
    }
    let all: Vec<&Node> = [&bob, &zoe, &dan].into_iter().chain(&watching).collect();
    for node in &all {
        for other in &all {
            if node.id() != other.id() {
                node.meet(other).await.unwrap();
            }
        }
    }
    let watching = watching.try_into().unwrap_or_else(|_| panic!());
    (ann, bob, zoe, watching, dan, id)
}

/// Gives three rotations to three who look on, each in another order, in one of two turns; and says what all of them know then.
async fn shown(
    watching: &[Node; 3],
    from: &Node,
    id: NetworkId,
    bundles: [&RotationBundle; 3],
    turn: bool,
) -> (String, Vec<(NodeId, u64)>, Vec<(NodeId, u64, Role)>) {
    for (first, node) in watching.iter().enumerate() {
        for step in 0..3 {
            let at = if turn { first + step } else { first + 3 - step } % 3;
            apply(node, from, bundles[at]).await;
        }
    }
    let one = state(&watching[0], id).await;
    for node in watching {
        assert_eq!(state(node, id).await, one);
        for bundle in bundles {
            let again = apply(node, from, bundle).await;
            assert_eq!((again.news, again.key_changed), (false, false), "a second time changes nothing");
        }
        assert_eq!(state(node, id).await, one);
    }
    one
}

#[tokio::test]
async fn admins_who_remove_one_another_at_once_are_both_out_on_every_node_in_whatever_order_it_is_heard() {
    for turn in [true, false] {
        let (ann, bob, zoe, watching, _, id) = court().await;
        let one = bob.networks.remove(id, zoe.id()).await.unwrap();
        let two = zoe.networks.remove(id, bob.id()).await.unwrap();
        let third = ann.networks.rotate(id).await.unwrap();
        let (key_id, removed, _) = shown(&watching, &ann, id, [&one, &two, &third], turn).await;
        assert_eq!(removed, both(&bob, &zoe), "both, and nobody else");
        assert_eq!(key_id, Rotation::open(&third.rotation).unwrap().key_id(), "the key of who was not removed");
        for bundle in [&one, &two] {
            apply(&ann, &bob, bundle).await;
        }
        for node in [&bob, &zoe] {
            assert_eq!(ann.judge(node).await.unwrap_err().code, RefusalCode::Removed);
        }
        apply(&bob, &zoe, &two).await;
        apply(&zoe, &bob, &one).await;
        for node in [&bob, &zoe] {
            assert_eq!(node.membership(id).await, Membership::Removed);
        }
        assert_eq!(state(&ann, id).await, state(&watching[0], id).await);
        // The key that holds was sealed to both of them: the next one is not.
        assert!(ann.networks.rotation_due(id).await.unwrap());
        let next = ann.networks.rotate(id).await.unwrap();
        for node in &watching {
            assert!(apply(node, &ann, &next).await.key_changed);
            assert!(!node.networks.rotation_due(id).await.unwrap());
        }
    }
}

fn both(one: &Node, two: &Node) -> Vec<(NodeId, u64)> {
    let mut both = vec![(one.id().clone(), 1), (two.id().clone(), 1)];
    both.sort();
    both
}

#[tokio::test]
async fn two_who_are_both_out_leave_one_state_even_if_nobody_else_rotated() {
    let (ann, bob, zoe, watching, dan, id) = court().await;
    let one = bob.networks.remove(id, zoe.id()).await.unwrap();
    let two = zoe.networks.remove(id, bob.id()).await.unwrap();
    let (_, removed, vouched) = shown(&watching, &ann, id, [&one, &two, &one], true).await;
    assert_eq!(removed, both(&bob, &zoe));
    assert!(vouched.iter().any(|(node, epoch, _)| (node, *epoch) == (dan.id(), 1)), "in what both say they are believed");
    assert!(watching[0].networks.rotation_due(id).await.unwrap());
}

#[tokio::test]
async fn what_a_removed_admin_did_in_the_epoch_of_its_removal_holds_nowhere_and_it_does_not_come_back() {
    for turn in [true, false] {
        let (ann, bob, zoe, watching, dan, id) = court().await;
        let removal = bob.networks.remove(id, zoe.id()).await.unwrap();
        let third = ann.networks.rotate(id).await.unwrap();
        // Zoe lets in a device of her own and removes Dan, before or after she heard: the same bytes.
        let accomplice = guest(&zoe, id, Role::Admin, "Accomplice").await;
        let late = zoe.networks.remove(id, dan.id()).await.unwrap();
        let (key_id, removed, vouched) = shown(&watching, &ann, id, [&removal, &late, &third], turn).await;
        assert_eq!(removed, [(zoe.id().clone(), 1)]);
        assert_ne!(key_id, Rotation::open(&late.rotation).unwrap().key_id(), "nor does her key");
        assert!(vouched.iter().all(|(node, ..)| node != accomplice.id()));
        for node in &watching {
            assert_eq!(node.judge(&accomplice).await.unwrap_err().code, RefusalCode::Removed);
            assert_eq!(node.judge(&zoe).await.unwrap_err().code, RefusalCode::Removed);
            assert!(node.judge(&dan).await.is_ok());
        }
    }
}

#[tokio::test]
async fn in_a_tie_with_the_founder_the_founder_stays() {
    for turn in [true, false] {
        let (ann, bob, zoe, watching, _, id) = court().await;
        let one = ann.networks.remove(id, zoe.id()).await.unwrap();
        let two = zoe.networks.remove(id, bob.id()).await.unwrap();
        let three = bob.networks.rotate(id).await.unwrap();
        let (_, removed, _) = shown(&watching, &ann, id, [&one, &two, &three], turn).await;
        assert_eq!(removed, [(zoe.id().clone(), 1)], "and what Zoe did at once with it is void");
    }
}

#[tokio::test]
async fn a_removed_admin_cannot_flood_the_others_with_rotations_of_the_epoch_of_its_removal() {
    let (ann, bob, zoe, _, _, id) = court().await;
    let removal = ann.networks.remove(id, zoe.id()).await.unwrap();
    apply(&bob, &ann, &removal).await;
    let chain = zoe.networks.view(id).await.unwrap().own(zoe.id()).unwrap().chain;
    for number in 0..=MAX_TIED {
        let rotation = Rotation {
            network: id,
            epoch: 1,
            commitment: [u8::try_from(number).unwrap(); 32],
            issued_ms: Timestamp::from_ms(0),
            by: zoe.id().clone(),
            admins: Nodes(vec![zoe.id().clone()]),
            members: Nodes::default(),
            removed: BTreeMap::new(),
        };
        let token = rotation.sign(&zoe.networks.identity).unwrap();
        let bundle = RotationBundle { rotation: token, chain: chain.clone(), shares: BTreeMap::new() };
        let taken = bob.networks.apply_rotation(id, zoe.id(), &bundle.encode()).await;
        assert_eq!(taken.is_ok(), number < MAX_TIED, "{number}: {taken:?}");
    }
    assert_eq!(key(&bob, id).await, key(&ann, id).await);
}
