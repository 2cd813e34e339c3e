//! Removals at once, in every order; and that nobody who is out brings itself back.

use super::*;
use crate::rotation::Nodes;
use kith_types::Timestamp;
use proptest::prelude::*;

/// Nodes by small numbers; the first is the founder.
fn node(number: u8) -> NodeId {
    NodeId::from_ed25519(&[number; 32])
}

fn rotation(by: u8, removes: &[u8]) -> Rotation {
    Rotation {
        network: "00112233445566778899aabbccddeeff".parse().unwrap(),
        epoch: 7,
        commitment: [by; 32],
        issued_ms: Timestamp::from_ms(1),
        by: node(by),
        admins: Nodes((0..6).filter(|other| !removes.contains(other)).map(node).collect()),
        members: Nodes::default(),
        removed: [(7, Nodes(removes.iter().copied().map(node).collect()))].into(),
    }
}

fn out(rotations: &[Rotation]) -> Vec<u8> {
    let settled = settle(&node(0), rotations);
    (0..10).filter(|number| settled.removed.contains_key(&node(*number))).collect()
}

#[test]
fn two_that_remove_one_another_are_both_out_and_nothing_else_that_they_did_then_holds() {
    assert_eq!(out(&[rotation(1, &[2])]), [2]);
    assert_eq!(out(&[rotation(1, &[2, 8]), rotation(2, &[1, 9])]), [1, 2]);
    assert_eq!(out(&[rotation(1, &[2]), rotation(2, &[9])]), [2], "what a removed admin did at once with its removal");
    assert_eq!(
        out(&[rotation(1, &[2]), rotation(2, &[3, 1]), rotation(3, &[9])]),
        [1, 2, 9],
        "its answer hits its remover alone"
    );
    assert_eq!(out(&[rotation(1, &[2]), rotation(2, &[3]), rotation(3, &[9])]), [2, 9]);
    assert_eq!(out(&[rotation(1, &[2]), rotation(2, &[3]), rotation(3, &[1])]), [1, 2, 3], "a ring");
}

#[test]
fn the_founder_is_shut_out_by_nobody_and_wins_every_tie() {
    assert_eq!(out(&[rotation(1, &[0])]), [] as [u8; 0]);
    assert_eq!(out(&[rotation(1, &[0]), rotation(0, &[1])]), [1]);
}

#[test]
fn of_those_who_are_all_out_only_that_holds_in_which_they_agree() {
    let mut one = rotation(1, &[2]);
    let mut two = rotation(2, &[1]);
    one.members = Nodes(vec![node(7), node(8)]);
    two.members = Nodes(vec![node(8), node(9)]);
    one.removed.insert(3, Nodes(vec![node(20), node(21)]));
    two.removed.insert(2, Nodes(vec![node(21)]));
    let settled = settle(&node(0), [&one, &two]);
    assert_eq!(settled.removed, [(node(1), 7), (node(2), 7), (node(21), 2)].into());
    assert!(settled.listed.contains_key(&node(8)) && !settled.listed.contains_key(&node(7)));
    assert_eq!(settle(&node(0), [&one, &two, &rotation(3, &[])]).listed.len(), 6, "who is in good standing is believed");
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_matters_and_no_answer_undoes_a_removal(
        acts in proptest::collection::vec((0_u8..6, proptest::collection::vec(0_u8..9, 0..3)), 1..8),
        answer in proptest::collection::vec(0_u8..9, 0..5),
        turned in 0_usize..8,
    ) {
        let rotations: Vec<Rotation> = acts.iter().map(|(by, removes)| rotation(*by, removes)).collect();
        let mut other = rotations.clone();
        other.rotate_left(turned % rotations.len());
        other.push(rotations[0].clone());
        let settled = settle(&node(0), &rotations);
        prop_assert_eq!(&settled, &settle(&node(0), &other));
        prop_assert!(!settled.removed.contains_key(&node(0)));
        for late in (1..6).filter(|late| settled.removed.contains_key(&node(*late))) {
            if acts.iter().all(|(by, _)| *by != late) {
                let mut answered = rotations.clone();
                answered.push(rotation(late, &answer));
                prop_assert!(out(&answered).contains(&late), "{} came back", late);
            }
        }
    }
}
