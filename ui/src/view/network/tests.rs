//! What the page of networks tells.
use super::*;
use kith_types::Timestamp;
use kith_wire::networks::{
    InviteInfo, InviteStage, KeyRotated, NatPeer, NodeHardware, NodeResources, RemovalConsequences, Topology, TopologyEdge,
};

fn node(id: &str, name: &str, path: LinkPath) -> NodeInfo {
    NodeInfo {
        id: id.into(),
        node_id: id.into(),
        display_name: name.into(),
        status: if path == LinkPath::None { "offline" } else { "active" }.into(),
        address: None,
        addresses: Vec::new(),
        country: None,
        platform: "Linux x86_64".into(),
        version: "0.2.0".into(),
        caps: Vec::new(),
        models: Vec::new(),
        vaults: Vec::new(),
        resources: NodeResources::default(),
        hardware: NodeHardware {
            cores: 16,
            memory_bytes: 64 << 30,
            accelerators: vec!["RTX 4090".into()],
            accelerator_memory_bytes: 0,
        },
        role: "member".into(),
        path,
        path_reason: String::new(),
        latency_ms: (path != LinkPath::None).then_some(12.3),
        last_seen_ms: Some(Timestamp::from_ms(1_000)),
        is_self: id == "me",
    }
}

fn member(id: &str, name: &str, state: &str) -> MemberInfo {
    MemberInfo {
        node_id: id.into(),
        name: name.into(),
        role: "admin".into(),
        state: state.into(),
        is_self: id == "me",
        is_founder: id == "me",
        joined_at_ms: Timestamp::from_ms(0),
        last_seen_at_ms: None,
    }
}

const ATTIC: &str = "12D3KooWGatU5DeGtQrDpCEzCFsCFxfLaQUMtVmVeKxGjDFrqMQM";

fn three() -> Vec<Device> {
    let mut far = node("c", "Cabin", LinkPath::Relayed);
    far.path_reason = "Through 12D3KooWGatU5DeGtQrDpCEzCFsCFxfLaQUMtVmVeKxGjDFrqMQM, while a direct connection is tried.".into();
    let nat = SystemNat {
        peers: vec![NatPeer {
            node_id: "c".into(),
            name: String::new(),
            path: LinkPath::Relayed,
            why: String::new(),
            via: Some(ATTIC.into()),
            address: String::new(),
        }],
        ..SystemNat::default()
    };
    devices(
        &[member("me", "", "active")],
        &[far, node(ATTIC, "attic", LinkPath::Direct), node("me", "Desk", LinkPath::None)],
        Some(&nat),
    )
}

#[test]
fn this_device_comes_first_then_the_others_by_name() {
    let all = three();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Desk", "attic", "Cabin"]);
    assert_eq!((all[0].way, all[0].is_admin, all[0].is_founder), (Way::Here, true, true));
    assert_eq!(all[1].state(0), "direct, 12 ms");
    assert_eq!(all[1].machine(), "Linux x86_64, 16 threads, 64 GB, RTX 4090");
}

#[test]
fn a_reason_names_devices_and_not_their_ids() {
    let all = three();
    assert_eq!((all[2].way, all[2].via.as_deref()), (Way::Relayed, Some(ATTIC)));
    assert_eq!(all[2].why, "Through attic, while a direct connection is tried.");
}

#[test]
fn who_was_removed_is_left_out_and_who_was_only_heard_of_says_so() {
    let members = [member("b", "attic", "removed"), member("12D3KooWabcdef", "", "heard")];
    let all = devices(&members, &[node("b", "attic", LinkPath::Direct)], None);
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].name.as_str(), all[0].machine().as_str(), all[0].state(0).as_str()),
        ("…abcdef", "Others told of it", "not met yet")
    );
    let mut idle = node("x", "x", LinkPath::None);
    idle.status = "idle".into();
    assert_eq!(devices(&[], &[idle], None)[0].state(181_000), "heard 3 min ago");
}

fn network(state: &str, membership: NetworkMembership, member_count: u64) -> NetworkInfo {
    NetworkInfo {
        id: "n".into(),
        name: "Home".into(),
        state: state.into(),
        active: true,
        membership,
        device_name: "desk".into(),
        founder: "me".into(),
        member_count,
        bootstrap: Vec::new(),
        key_epoch: 1,
        key_id: "k".into(),
        created_at_ms: Timestamp::from_ms(0),
    }
}

#[test]
fn the_headline_says_how_the_network_stands() {
    let list = |state| NetworkList {
        networks: vec![network(state, NetworkMembership::Admin, 3)],
        active: Some("n".into()),
        ..NetworkList::default()
    };
    assert_eq!(headline(&list("connected"), &three()), "Home: connected with 2 devices.");
    assert_eq!(headline(&list("connected"), &three()[..1]), "Home: connected, and no other device is in it yet.");
    assert_eq!(headline(&list("connecting"), &[]), "Home: looking for its devices.");
    assert!(headline(&NetworkList::default(), &[]).starts_with("Your machines as one"));
    assert_eq!(about(&network("connected", NetworkMembership::Member, 3)), "3 devices, this one is called desk");
    assert_eq!(Standing::of(&network("connected", NetworkMembership::Removed, 3)), Standing::Removed);
    assert_eq!(Standing::of(&network("connecting", NetworkMembership::Invited, 1)).name(), "waiting to be let in");
}

#[test]
fn a_removal_tells_its_consequences_before() {
    let mut removal = RemovalConsequences {
        refused: None,
        disconnects: true,
        told_now: 2,
        told_later: 1,
        kept_for_s: 30 * 86_400,
        invites_ended: 1,
    };
    let points = consequences("Cabin", &removal, &["attic".to_owned()]);
    assert_eq!(
        points,
        [
            "Cabin is cut off at once and finds no way back. What it holds already stays on it.",
            "The network gets a new key: 2 connected devices take it now.",
            "attic gets it on its return, if that is within 30 days. After that it needs a new invite.",
            "1 open invite ends: it may have seen them.",
        ]
    );
    removal.told_later = 3;
    assert!(consequences("Cabin", &removal, &[])[2].starts_with("3 devices that are away get it on their return"));
}

#[test]
fn a_rotation_tells_who_has_the_new_key() {
    let key = |sealed_to, told| KeyRotated {
        key_epoch: 2,
        key_id: String::new(),
        sealed_to,
        told,
        kept_until_ms: Timestamp::from_ms(951_782_400_000),
    };
    assert_eq!(rotated(&key(1, 0), 0), "The network has key 2 now. No other device is in the network.");
    assert_eq!(
        rotated(&key(4, 2), 0),
        "The network has key 2 now. 2 devices have it. One more gets it on its return, until 29 Feb 2000."
    );
}

#[test]
fn an_invite_is_known_by_its_beginning_and_never_too_long() {
    assert_eq!(code(" kith://join/AbC_- \n"), Ok("kith://join/AbC_-".to_owned()));
    assert_eq!(code("hello"), Err("An invite begins with kith://join/."));
    assert_eq!(code(&"a".repeat(60)), Ok(format!("kith://join/{}", "a".repeat(60))));
    assert!(code(&format!("kith://join/{}", "a".repeat(9000))).is_err());
    assert_eq!(code(""), Err(""));
}

#[test]
fn a_code_from_an_address_is_plain_and_bounded() {
    assert_eq!(handed_over("AbC_-9"), Some("kith://join/AbC_-9".to_owned()));
    assert_eq!((handed_over(""), handed_over("a b"), handed_over("a%20b")), (None, None, None));
    assert_eq!(handed_over(&"a".repeat(LONGEST_INVITE)), None);
}

#[test]
fn an_invite_says_how_often_it_was_used_and_when_it_ends() {
    let mut one = InviteInfo {
        id: "i".into(),
        label: String::new(),
        role: "member".into(),
        for_node: None,
        uses: 1,
        used: 0,
        state: InviteStage::Open,
        members: Vec::new(),
        created_at_ms: Timestamp::from_ms(0),
        expires_at_ms: Timestamp::from_ms(7_200_000),
    };
    assert_eq!(invite(&one, 0), "for one device, ends in 2 h");
    assert!(is_open(&one, 0) && !is_open(&one, 7_200_000));
    (one.uses, one.used) = (5, 2);
    assert_eq!(invite(&one, 7_190_000), "2 of 5 used, ends in 1 min");
    one.state = InviteStage::Revoked;
    assert_eq!(invite(&one, 0), "2 of 5 used, taken back");
}

#[test]
fn round_trips_and_lists_of_names_are_short() {
    assert_eq!((latency(0.01), latency(0.42), latency(12.4)), ("< 0.1 ms".to_owned(), "0.4 ms".to_owned(), "12 ms".to_owned()));
    let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into();
    assert_eq!((list(&names[..2]), list(&names)), ("a and b".to_owned(), "a, b, c, d and 2 more".to_owned()));
}

#[test]
fn how_this_device_is_reached_is_told_in_words() {
    let nat = |status: &str, relays: &[&str]| SystemNat {
        online: true,
        status: status.into(),
        relays: relays.iter().map(|relay| (*relay).to_owned()).collect(),
        ..SystemNat::default()
    };
    assert_eq!(reach(&nat("public", &[])).0, "Reachable from anywhere");
    assert_eq!(reach(&nat("private", &[])).0, "Not reachable from outside");
    assert_eq!(reach(&nat("private", &["b"])).0, "Reachable through another device");
    assert_eq!(reach(&SystemNat::default()).0, "Not known while offline");
    assert_eq!(router(&nat("public", &[])), None);
}

#[test]
fn nodes_stand_apart_and_never_straight_below_this_one() {
    for others in 1..=map::MOST {
        let (own, spots) = (map::own(others), map::around(others));
        assert_eq!(spots.len(), others);
        for (at, spot) in spots.iter().enumerate() {
            assert!((5.0..=95.0).contains(&spot.x) && (5.0..=95.0).contains(&spot.y), "{others}: {spot:?}");
            assert!((spot.x - own.x).abs() > 1.0 || spot.y < own.y, "{others}: {spot:?}");
            for other in &spots[..at] {
                assert!((spot.x - other.x).hypot(spot.y - other.y) > 3.0, "{others}: {spot:?} {other:?}");
            }
        }
    }
}

#[test]
fn lines_run_to_those_who_are_connected_and_bend_towards_a_relay() {
    let others = &three()[1..];
    let links = map::links(others);
    assert_eq!(links.iter().map(|link| link.way).collect::<Vec<_>>(), [Way::Direct, Way::Relayed]);
    assert!(links[0].d.contains('L') && links[1].d.contains('Q'));
    let edge = |from: &str, to: &str| TopologyEdge { from: from.into(), to: to.into(), path: LinkPath::Direct, latency_ms: None };
    let topology =
        Topology { nodes: Vec::new(), edges: vec![edge(ATTIC, "c"), edge("c", ATTIC), edge("me", ATTIC), edge(ATTIC, "z")] };
    assert_eq!(map::told(others, &topology).matches('M').count(), 1, "each pair once, and those of this node apart");
}

#[test]
fn speeds_have_units_and_a_course_runs_forward() {
    assert_eq!(speed::rate(94_200_000.0), "94.2 MB/s");
    let test = |at| kith_wire::networks::SpeedtestResult {
        peer_id: "b".into(),
        ts_ms: Timestamp::from_ms(at),
        latency_ms: 0.4,
        jitter_ms: 0.1,
        up_bytes_per_second: 2e6,
        down_bytes_per_second: 1e6,
        bytes: 10,
    };
    assert_eq!(speed::line(&test(1)), "1 MB/s down, 2 MB/s up, 0.4 ms");
    assert_eq!(speed::course(&[test(2), test(1)]).times, [1, 2]);
}
