//! Signing in and out, tickets, and what becomes of those who guess.

use super::*;
use crate::{
    Who,
    access::tests::{FAR, Gate, HERE},
    mint::MAX_SESSIONS,
    tickets::{MAX_TICKETS, TICKET_MS},
};
use kith_types::Clock;

const PASS: &str = "correct horse";
const DAY_MS: i64 = 24 * 3_600_000;

async fn gate_with_password() -> Gate {
    let gate = Gate::new().await;
    gate.access.set_password(PASS).await.unwrap();
    gate
}

#[tokio::test]
async fn before_a_password_is_set_nobody_signs_in() {
    let gate = Gate::new().await;
    assert!(!gate.access.has_password().await.unwrap());
    assert!(matches!(gate.access.login("", HERE).await, Err(AccessError::NotConfigured)));
    gate.access.set_password(PASS).await.unwrap();
    assert!(gate.access.has_password().await.unwrap());
}

#[tokio::test]
async fn a_password_has_8_to_256_characters() {
    let gate = Gate::new().await;
    for bad in ["", "1234567", &"x".repeat(257)] {
        assert!(matches!(gate.access.set_password(bad).await, Err(AccessError::Invalid { field: "password", .. })));
    }
    for good in ["12345678", &"é".repeat(256)] {
        gate.access.set_password(good).await.unwrap();
        gate.access.login(good, FAR).await.unwrap();
    }
}

#[tokio::test]
async fn the_password_opens_a_session_of_a_day() {
    let gate = gate_with_password().await;
    let session = gate.access.login(PASS, FAR).await.unwrap();
    assert_eq!(session.expires, Some(gate.clock.now().plus_ms(DAY_MS)));
    let principal = gate.bearer(&session.token).await.unwrap();
    assert!(matches!(principal.who, Who::Bearer { kind: BearerKind::Login, .. }));
    assert_eq!(principal.scope, Some(Scope::Admin));
    gate.clock.forward(DAY_MS - 1);
    assert!(gate.bearer(&session.token).await.is_ok());
    gate.clock.forward(1);
    assert!(matches!(gate.bearer(&session.token).await, Err(AccessError::Unauthorized)));
}

#[tokio::test]
async fn the_hash_and_never_the_password_is_kept() {
    let gate = gate_with_password().await;
    let kept = gate.store.setting(PASSWORD).await.unwrap().unwrap();
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !kept.contains(PASS));
}

#[tokio::test]
async fn a_wrong_password_takes_a_tenth_of_a_second_and_the_next_one_waits() {
    let gate = gate_with_password().await;
    let started = Instant::now();
    assert!(matches!(gate.access.login("incorrect horse", FAR).await, Err(AccessError::WrongPassword)));
    let first = started.elapsed();
    assert!(first >= WRONG_AFTER && first < Duration::from_secs(2), "{first:?}");
    assert!(matches!(gate.access.login(&"x".repeat(1_000_000), FAR).await, Err(AccessError::WrongPassword)));
    // The clock stands still, so the third still has both waits before it: 100 and 200 ms.
    let started = Instant::now();
    gate.access.login(PASS, FAR).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

#[tokio::test]
async fn guessing_ends_in_refusals_for_the_guesser_alone() {
    let gate = gate_with_password().await;
    while gate.access.guesses.attempt(FAR, gate.clock.now()).is_ok() {}
    let started = Instant::now();
    let Err(AccessError::TooManyAttempts { retry_after }) = gate.access.login(PASS, FAR).await else { panic!("let in") };
    assert!(started.elapsed() < Duration::from_secs(1) && (1..=30).contains(&retry_after), "{retry_after}");
    gate.access.login(PASS, HERE).await.unwrap();
    gate.clock.forward(i64::try_from(retry_after).unwrap() * 1000);
    gate.access.login(PASS, FAR).await.unwrap();
    gate.access.login(PASS, FAR).await.unwrap();
}

#[tokio::test]
async fn only_so_many_sign_in_at_once() {
    let gate = gate_with_password().await;
    let all = gate.access.sign_ins.acquire_many(u32::try_from(gate.access.sign_ins.available_permits()).unwrap()).await.unwrap();
    assert!(matches!(gate.access.login(PASS, FAR).await, Err(AccessError::TooManyAttempts { retry_after: 1 })));
    drop(all);
    gate.access.login(PASS, FAR).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old_one_and_no_others() {
    let gate = gate_with_password().await;
    let session = gate.access.login(PASS, FAR).await.unwrap();
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    let window = gate.access.exchange(&gate.access.issue_ticket(BearerKind::Window, Scope::Admin).unwrap()).await.unwrap();
    let mut revocations = gate.access.revocations();
    gate.access.set_password("battery staple").await.unwrap();
    assert!(matches!(gate.bearer(&session.token).await, Err(AccessError::Unauthorized)));
    assert_eq!(revocations.try_recv().unwrap(), session.id);
    assert!(revocations.try_recv().is_err());
    assert!(gate.bearer(&key.token).await.is_ok() && gate.bearer(&window.token).await.is_ok());
    assert!(matches!(gate.access.login(PASS, FAR).await, Err(AccessError::WrongPassword)));
    gate.access.login("battery staple", FAR).await.unwrap();
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once_and_again_is_no_error() {
    let gate = gate_with_password().await;
    let session = gate.access.login(PASS, FAR).await.unwrap();
    let mut revocations = gate.access.revocations();
    for _ in 0..2 {
        gate.access.logout(&session.token).await.unwrap();
        assert!(matches!(gate.bearer(&session.token).await, Err(AccessError::Unauthorized)));
    }
    gate.access.logout("nobody's").await.unwrap();
    assert_eq!(revocations.try_recv().unwrap(), session.id);
    assert!(revocations.try_recv().is_err());
}

#[tokio::test]
async fn signing_out_with_an_api_key_does_not_destroy_it() {
    let gate = Gate::new().await;
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    gate.access.logout(&key.token).await.unwrap();
    assert!(gate.bearer(&key.token).await.is_ok());
}

#[tokio::test]
async fn a_ticket_opens_one_session_once() {
    let gate = Gate::new().await;
    let ticket = gate.access.issue_ticket(BearerKind::Window, Scope::User).unwrap();
    let session = gate.access.exchange(&ticket).await.unwrap();
    assert_eq!(session.expires, Some(gate.clock.now().plus_ms(DAY_MS)));
    let principal = gate.bearer(&session.token).await.unwrap();
    assert!(matches!(principal.who, Who::Bearer { kind: BearerKind::Window, .. }));
    assert_eq!(principal.scope, Some(Scope::User));
    assert!(matches!(gate.access.exchange(&ticket).await, Err(AccessError::Unauthorized)), "replayed");
    assert!(matches!(gate.bearer(&ticket).await, Err(AccessError::Unauthorized)), "a ticket is no bearer");
}

#[tokio::test]
async fn a_ticket_shown_by_many_at_once_lets_one_in() {
    let gate = Gate::new().await;
    let ticket = gate.access.issue_ticket(BearerKind::Window, Scope::User).unwrap();
    let (a, b, c) = tokio::join!(gate.access.exchange(&ticket), gate.access.exchange(&ticket), gate.access.exchange(&ticket));
    assert_eq!([a, b, c].iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_ticket_is_good_for_sixty_seconds() {
    let gate = Gate::new().await;
    let issue = || gate.access.issue_ticket(BearerKind::Window, Scope::User).unwrap();
    let (early, late) = (issue(), issue());
    gate.clock.forward(TICKET_MS - 1);
    gate.access.exchange(&early).await.unwrap();
    gate.clock.forward(1);
    assert!(matches!(gate.access.exchange(&late).await, Err(AccessError::Unauthorized)));
}

#[tokio::test]
async fn a_guessed_ticket_opens_nothing_and_costs_the_real_one_nothing() {
    let gate = Gate::new().await;
    let ticket = gate.access.issue_ticket(BearerKind::Window, Scope::User).unwrap();
    for guess in ["", "kitht_", &ticket[..ticket.len() - 1], &format!("{ticket}x"), &"x".repeat(1_000_000)] {
        assert!(matches!(gate.access.exchange(guess).await, Err(AccessError::Unauthorized)));
    }
    gate.access.exchange(&ticket).await.unwrap();
}

#[tokio::test]
async fn thirty_two_tickets_are_outstanding_at_most() {
    let gate = Gate::new().await;
    let tickets: Vec<_> = (0..=MAX_TICKETS).map(|_| gate.access.issue_ticket(BearerKind::Window, Scope::User).unwrap()).collect();
    assert!(matches!(gate.access.exchange(&tickets[0]).await, Err(AccessError::Unauthorized)));
    for ticket in &tickets[1..] {
        gate.access.exchange(ticket).await.unwrap();
    }
}

#[tokio::test]
async fn one_session_too_many_ends_the_oldest() {
    let gate = Gate::new().await;
    let open = async || {
        gate.clock.forward(1);
        gate.access.exchange(&gate.access.issue_ticket(BearerKind::Window, Scope::User).unwrap()).await.unwrap()
    };
    let (first, second) = (open().await, open().await);
    for _ in 2..MAX_SESSIONS {
        open().await;
    }
    assert!(gate.bearer(&first.token).await.is_ok());
    let mut revocations = gate.access.revocations();
    open().await;
    assert_eq!(revocations.try_recv().unwrap(), first.id);
    assert!(matches!(gate.bearer(&first.token).await, Err(AccessError::Unauthorized)));
    assert!(gate.bearer(&second.token).await.is_ok());
}

#[tokio::test]
async fn what_happens_to_credentials_is_told_without_a_secret() {
    let (gate, events) = Gate::new().await.overheard();
    gate.access.set_password("a-good-password").await.unwrap();
    gate.access.login("a-wrong-password", HERE).await.unwrap_err();
    let session = gate.access.login("a-good-password", HERE).await.unwrap();
    let key = gate.access.mint_key(" ci ", Scope::User, None).await.unwrap();
    gate.access.revoke(key.id.as_str()).await.unwrap();
    gate.access.logout(&session.token).await.unwrap();
    let told = events.recent();
    let kinds: Vec<&str> = told.iter().map(|event| event.kind).collect();
    let expected =
        ["access.password_set", "access.login_failed", "access.login", "access.key_minted", "access.revoked", "access.logout"];
    assert_eq!(kinds, expected);
    let text: String = told.iter().map(|event| event.data.to_string()).collect();
    for secret in ["password", session.token.as_str(), key.token.as_str()] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("\"name\":\"ci\""));
}
