//! What a pairing ticket opens, for whom, and for how long.

use super::*;
use crate::access::tests::{FAR, Gate};
use kith_types::Clock;

fn ip(last: u8) -> IpAddr {
    [203, 0, 113, last].into()
}

async fn claim(gate: &Gate, ticket: &str) -> Result<Claimed, AccessError> {
    gate.access.claim(ticket, "Ann's phone", DeviceKind::Phone, FAR).await
}

#[tokio::test]
async fn a_ticket_pairs_one_device_whose_bearer_has_the_user_scope_and_no_end() {
    let gate = Gate::new().await;
    assert_eq!(gate.access.pairing(), PairingState::None);
    let (ticket, expires) = gate.access.open_pairing().unwrap();
    assert_eq!(ticket.strip_prefix("kithp_").unwrap().len(), 43, "256 bits");
    assert_eq!(expires, gate.clock.now().plus_ms(300_000));
    assert_eq!(gate.access.pairing(), PairingState::Waiting { expires });
    let claimed = claim(&gate, &ticket).await.unwrap();
    assert!(claimed.minted.token.starts_with("kithd_"));
    assert_eq!(claimed.minted.expires, None);
    assert_eq!(gate.access.pairing(), PairingState::Used { device: Some(claimed.minted.id.clone()) });
    let principal = gate.bearer(&claimed.minted.token).await.unwrap();
    assert_eq!(principal.scope, Some(Scope::User));
    assert!(matches!(claim(&gate, &ticket).await, Err(AccessError::TicketUsed)));
    assert_eq!(gate.access.devices().await.unwrap(), [claimed.device]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_expected_at_every_moment_of_its_coming_in() {
    for _ in 0..20 {
        let gate = std::sync::Arc::new(Gate::new().await);
        assert!(!gate.access.expects_devices().await.unwrap());
        let (ticket, _) = gate.access.open_pairing().unwrap();
        let coming = tokio::spawn({
            let gate = std::sync::Arc::clone(&gate);
            async move { claim(&gate, &ticket).await.map(drop) }
        });
        while !coming.is_finished() {
            assert!(gate.access.expects_devices().await.unwrap());
        }
        coming.await.unwrap().unwrap();
        assert!(gate.access.expects_devices().await.unwrap());
    }
}

#[tokio::test]
async fn a_ticket_is_void_from_its_end_on_and_when_another_is_made_or_it_is_taken_back() {
    let gate = Gate::new().await;
    let (late, expires) = gate.access.open_pairing().unwrap();
    gate.clock.forward(PAIRING_MS);
    assert!(matches!(claim(&gate, &late).await, Err(AccessError::TicketExpired)));
    assert_eq!(gate.access.pairing(), PairingState::Expired { expires });
    assert!(!gate.access.cancel_pairing());
    let (first, _) = gate.access.open_pairing().unwrap();
    let (second, _) = gate.access.open_pairing().unwrap();
    assert!(matches!(claim(&gate, &first).await, Err(AccessError::TicketWithdrawn)));
    assert!(gate.access.cancel_pairing());
    assert!(!gate.access.cancel_pairing());
    assert_eq!(gate.access.pairing(), PairingState::Withdrawn);
    assert!(matches!(claim(&gate, &second).await, Err(AccessError::TicketWithdrawn)));
    assert_eq!(gate.access.devices().await.unwrap(), []);
}

#[tokio::test]
async fn a_wrong_name_leaves_the_ticket_as_it_was() {
    let gate = Gate::new().await;
    let (ticket, _) = gate.access.open_pairing().unwrap();
    for name in ["", "  ", "a\u{7}b", &"x".repeat(65)] {
        let error = gate.access.claim(&ticket, name, DeviceKind::Phone, FAR).await.unwrap_err();
        assert!(matches!(error, AccessError::Invalid { field: "name", .. }), "{name:?}");
    }
    assert_eq!(claim(&gate, &ticket).await.unwrap().device.name, "Ann's phone");
}

#[tokio::test]
async fn five_wrong_tickets_close_the_door_to_their_address_for_the_rest_of_the_minute() {
    let gate = Gate::new().await;
    let (ticket, _) = gate.access.open_pairing().unwrap();
    for _ in 0..MOST_EACH {
        assert!(matches!(claim(&gate, "kithp_guess").await, Err(AccessError::WrongTicket)));
    }
    let refused = claim(&gate, &ticket).await;
    assert!(matches!(refused, Err(AccessError::TooManyAttempts { retry_after: 60 })), "even with the right one");
    gate.clock.forward(MINUTE_MS - 1);
    assert!(matches!(claim(&gate, &ticket).await, Err(AccessError::TooManyAttempts { retry_after: 1 })));
    gate.clock.forward(1);
    claim(&gate, &ticket).await.unwrap();
}

#[tokio::test]
async fn twenty_wrong_tickets_in_a_minute_make_the_outstanding_one_void() {
    let (gate, events) = Gate::new().await.overheard();
    let (ticket, _) = gate.access.open_pairing().unwrap();
    for n in 0..20 {
        assert!(gate.access.pairing_waits(), "{n}");
        let error = gate.access.claim("kithp_guess", "x", DeviceKind::Other, ip(n)).await.unwrap_err();
        assert!(matches!(error, AccessError::WrongTicket));
    }
    assert_eq!(gate.access.pairing(), PairingState::Guessed);
    assert!(matches!(claim(&gate, &ticket).await, Err(AccessError::TicketWithdrawn)));
    let told: Vec<&str> = events.recent().iter().map(|event| event.kind).collect();
    assert!(told.contains(&"device.pairing_guessed") && told.contains(&"device.claim_refused"), "{told:?}");
}

#[tokio::test]
async fn wrong_tickets_spread_over_minutes_do_not_add_up() {
    let gate = Gate::new().await;
    let (ticket, _) = gate.access.open_pairing().unwrap();
    for n in 0..40 {
        gate.clock.forward(4_000);
        assert!(gate.access.claim("kithp_guess", "x", DeviceKind::Other, ip(n)).await.is_err());
    }
    claim(&gate, &ticket).await.unwrap();
}

#[tokio::test]
async fn no_event_and_no_error_tells_a_ticket_or_a_token() {
    let (gate, events) = Gate::new().await.overheard();
    let (ticket, _) = gate.access.open_pairing().unwrap();
    let claimed = claim(&gate, &ticket).await.unwrap();
    let error = claim(&gate, &ticket).await.unwrap_err().to_string();
    let told: String =
        events.recent().iter().map(|event| event.data.to_string()).chain([error, format!("{claimed:?}")]).collect();
    assert!(!told.contains(&ticket[6..]) && !told.contains(&claimed.minted.token[6..]), "{told}");
}

#[tokio::test]
async fn over_the_bound_no_device_is_paired_and_the_ticket_waits_on() {
    let gate = Gate::new().await;
    let mut last = None;
    for _ in 0..MAX_DEVICES {
        let (ticket, _) = gate.access.open_pairing().unwrap();
        last = Some(claim(&gate, &ticket).await.unwrap());
    }
    let (ticket, _) = gate.access.open_pairing().unwrap();
    assert!(matches!(claim(&gate, &ticket).await, Err(AccessError::TooManyDevices(MAX_DEVICES))));
    assert!(gate.access.pairing_waits());
    gate.access.revoke_device(last.unwrap().minted.id.as_str()).await.unwrap();
    claim(&gate, &ticket).await.unwrap();
}

#[test]
fn only_so_many_networks_are_counted_and_for_a_minute() {
    let pairing = Pairing::default();
    let now = Timestamp::from_ms(1_000_000);
    let try_from =
        |index: u32, now| pairing.take("guess", std::net::Ipv4Addr::from_bits(0x0a00_0000 + index).into(), now).unwrap_err().0;
    for index in 0..u32::try_from(MAX_NETWORKS).unwrap() {
        assert!(matches!(try_from(index, now), AccessError::WrongTicket));
    }
    assert!(matches!(try_from(70_000, now), AccessError::TooManyAttempts { .. }));
    assert!(matches!(try_from(70_000, now.plus_ms(MINUTE_MS)), AccessError::WrongTicket));
    assert_eq!(pairing.inner().each.len(), 1);
}

#[test]
fn only_so_many_replaced_tickets_are_remembered() {
    let pairing = Pairing::default();
    let now = Timestamp::from_ms(0);
    for n in 0..REMEMBERED + 2 {
        pairing.put(&n.to_string(), now);
    }
    assert!(matches!(pairing.take("0", ip(1), now), Err((AccessError::WrongTicket, _))));
    assert!(matches!(pairing.take("1", ip(1), now), Err((AccessError::TicketWithdrawn, _))));
}
