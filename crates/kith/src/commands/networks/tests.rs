//! Choosing and telling.

use super::*;

fn network(id: &str, name: &str, active: bool) -> NetworkInfo {
    NetworkInfo {
        id: id.into(),
        name: name.into(),
        state: "connected".into(),
        active,
        membership: NetworkMembership::Admin,
        device_name: "d".into(),
        founder: "f".into(),
        member_count: 2,
        bootstrap: Vec::new(),
        key_epoch: 1,
        key_id: "k".into(),
        created_at_ms: Timestamp::from_ms(0),
    }
}

fn all() -> NetworkList {
    let networks = vec![network("aabb01", "home", false), network("aabb02", "work", true), network("ccdd03", "work", false)];
    NetworkList { networks, active: None, fault: Some("the port is taken".into()) }
}

fn member(id: &str, name: &str, state: &str) -> MemberInfo {
    MemberInfo {
        node_id: id.into(),
        name: name.into(),
        role: "member".into(),
        state: state.into(),
        is_self: id == "me",
        is_founder: false,
        joined_at_ms: Timestamp::from_ms(0),
        last_seen_at_ms: None,
    }
}

#[test]
fn a_network_is_meant_by_its_name_the_beginning_of_its_id_or_by_being_active() {
    let id = |given| pick(all(), given).map(|network| network.id);
    assert_eq!(id(None).unwrap(), "aabb02");
    assert_eq!(id(Some("home")).unwrap(), "aabb01");
    assert_eq!(id(Some("ccdd")).unwrap(), "ccdd03");
    assert_eq!(id(Some("aabb")).unwrap_err().exit_code(), 2, "two begin so");
    assert_eq!(id(Some("work")).unwrap_err().exit_code(), 2, "two are called so");
    assert_eq!(id(Some("cc")).unwrap_err().code(), "NETWORK_NOT_FOUND");
    assert_eq!(pick(NetworkList::default(), None).unwrap_err().code(), "NETWORK_OFFLINE");
}

#[test]
fn a_member_is_meant_by_name_or_id_and_a_removed_one_only_by_id() {
    let members = || vec![member("a", "bob", "removed"), member("b", "bob", "active"), member("c", "eve", "active")];
    assert_eq!(pick_member(members(), "bob").unwrap().node_id, "b");
    assert_eq!(pick_member(members(), "a").unwrap().node_id, "a");
    assert_eq!(pick_member(members(), "ann").unwrap_err().code(), "NODE_NOT_FOUND");
    let twice = [members(), members()].concat();
    assert_eq!(pick_member(twice, "eve").unwrap_err().exit_code(), 2);
}

#[test]
fn the_tables_tell_states_and_why_a_network_is_not_connected() {
    let text = overview(&all());
    assert!(text.contains("home    aabb01    connected    admin        2          1\n"), "{text}");
    assert!(text.ends_with("not connected: the port is taken\n"), "{text}");
    let now = DateTime::from_timestamp_millis(0).unwrap();
    let text = member_table(&[member("me", "x\u{1b}[2J", "active"), member("b", "", "heard")], now);
    assert!(!text.contains('\u{1b}') && text.contains("this node") && text.contains("never"), "{text}");
}

#[test]
fn the_consequences_of_a_removal_are_one_line() {
    let removal = RemovalConsequences {
        refused: None,
        disconnects: true,
        told_now: 1,
        told_later: 2,
        kept_for_s: 30 * 86_400,
        invites_ended: 1,
    };
    let text = consequences("bob", "home", &removal);
    for part in [
        "bob can no longer come into home",
        "end at once",
        "1 other member now",
        "2 who must come back within 4 weeks",
        "1 open invite",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let key = KeyRotated { key_epoch: 3, key_id: "k".into(), sealed_to: 3, told: 1, kept_until_ms: Timestamp::from_ms(0) };
    assert_eq!(handed_out(&key), "1 other member got key 3, 2 get it when they come back within 30 days");
}
