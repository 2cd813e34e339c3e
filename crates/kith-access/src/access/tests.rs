//! The gate from outside: what each credential opens, and from when on it no longer does.

use super::*;
use kith_keys::{EntropyError, OsEntropy};
use kith_store::BearerKind;
use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicI64, Ordering},
};

pub(crate) const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(crate) fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError("none left".to_owned()))
    }
}

/// A gate on a fresh database, and a clock that stands still.
pub(crate) struct Gate {
    pub(crate) access: Access,
    pub(crate) store: Store,
    pub(crate) clock: Arc<FakeClock>,
    _folder: tempfile::TempDir,
}

impl Gate {
    pub(crate) async fn new() -> Self {
        Self::with(AccessConfig::default()).await
    }

    pub(crate) async fn with(config: AccessConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
        let clock = Arc::new(FakeClock(AtomicI64::new(1_700_000_000_000)));
        let entropy = Arc::new(OsEntropy);
        let access = Access::new(AccessParts { store: store.clone(), clock: Arc::clone(&clock) as _, entropy, config });
        Self { access, store, clock, _folder: folder }
    }

    /// The same gate, and the bus on which it tells what happens.
    pub(crate) fn overheard(self) -> (Self, Events) {
        let events = Events::new(Arc::clone(&self.clock) as _);
        (Self { access: self.access.with_events(events.clone()), ..self }, events)
    }

    /// Presents one bearer from another machine.
    pub(crate) async fn bearer(&self, token: &str) -> Result<Principal, AccessError> {
        self.access.authenticate(Presented { bearer: Some(token), ..nothing(FAR) }).await
    }

    async fn last_used(&self, id: &BearerId) -> Option<Timestamp> {
        self.store.bearers().await.unwrap().into_iter().find(|bearer| bearer.id == id.as_str()).unwrap().last_used
    }

    /// Waits for what is noted in the background.
    async fn until_used(&self, id: &BearerId, at: Timestamp) {
        for _ in 0..500 {
            if self.last_used(id).await == Some(at) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("last used {:?} instead of {at:?}", self.last_used(id).await);
    }
}

fn nothing<'a>(remote: IpAddr) -> Presented<'a> {
    Presented { bearer: None, admin_token: None, mesh_token: None, remote, lan: false }
}

fn tokens() -> AccessConfig {
    AccessConfig { admin_token: Some("adm1n".to_owned()), mesh_token: Some("m3sh".to_owned()), ..AccessConfig::default() }
}

fn refused<T>(outcome: Result<T, AccessError>) -> bool {
    matches!(outcome, Err(AccessError::Unauthorized))
}

#[tokio::test]
async fn without_credentials_one_is_known_by_where_one_calls_from() {
    let gate = Gate::new().await;
    let far = gate.access.authenticate(nothing(FAR)).await.unwrap();
    assert_eq!((far.who, far.scope, far.loopback), (Who::Anonymous(FAR), None, false));
    for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let here = gate.access.authenticate(nothing(here.parse().unwrap())).await.unwrap();
        assert_eq!((here.who, here.scope, here.loopback), (Who::Loopback, None, true));
    }
}

#[tokio::test]
async fn without_credentials_the_answer_is_unauthorized_and_with_weak_ones_forbidden() {
    let gate = Gate::with(tokens()).await;
    let far = gate.access.authenticate(nothing(FAR)).await.unwrap();
    let here = gate.access.authenticate(nothing(HERE)).await.unwrap();
    gate.access.require(&far, Level::Open).unwrap();
    gate.access.require(&here, Level::Loopback).unwrap();
    assert!(refused(gate.access.require(&far, Level::Loopback)));
    for level in [Level::User, Level::Admin, Level::Mesh] {
        assert!(refused(gate.access.require(&far, level)));
        assert!(refused(gate.access.require(&here, level)));
    }
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    let user = gate.bearer(&key.token).await.unwrap();
    gate.access.require(&user, Level::User).unwrap();
    for level in [Level::Admin, Level::Mesh] {
        assert!(matches!(gate.access.require(&user, level), Err(AccessError::Forbidden)));
    }
    let far_mesh = gate.access.authenticate(Presented { mesh_token: Some("m3sh"), ..nothing(FAR) }).await.unwrap();
    assert!(matches!(gate.access.require(&far_mesh, Level::Mesh), Err(AccessError::Forbidden)));
    let near_mesh = gate.access.authenticate(Presented { mesh_token: Some("m3sh"), ..nothing(HERE) }).await.unwrap();
    gate.access.require(&near_mesh, Level::Mesh).unwrap();
}

#[tokio::test]
async fn a_node_that_requires_keys_asks_them_of_callers_on_this_machine_too() {
    let gate = Gate::with(AccessConfig { require_key: true, ..AccessConfig::default() }).await;
    let here = gate.access.authenticate(nothing(HERE)).await.unwrap();
    assert!(refused(gate.access.require(&here, Level::Loopback)));
    gate.access.require(&here, Level::Open).unwrap();
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    gate.access.require(&gate.bearer(&key.token).await.unwrap(), Level::Loopback).unwrap();
}

#[tokio::test]
async fn a_wrong_credential_is_refused_everywhere_and_never_overlooked() {
    let gate = Gate::with(tokens()).await;
    let key = gate.access.mint_key("k", Scope::Admin, None).await.unwrap();
    let good = key.token.as_str();
    let long = "x".repeat(100_000);
    let cut = &good[..good.len() - 1];
    for remote in [HERE, FAR] {
        for wrong in ["", " ", "wrong", cut, long.as_str(), "m3sh", "adm1n ", "ADM1N", key.id.as_str()] {
            for presented in [
                Presented { bearer: Some(wrong), ..nothing(remote) },
                Presented { admin_token: Some(wrong), ..nothing(remote) },
                Presented { mesh_token: Some(wrong).filter(|wrong| *wrong != "m3sh").or(Some("adm1n")), ..nothing(remote) },
                Presented { bearer: Some(good), admin_token: Some(wrong), ..nothing(remote) },
                Presented { bearer: Some(wrong), admin_token: Some("adm1n"), mesh_token: Some("m3sh"), remote, lan: false },
            ] {
                assert!(refused(gate.access.authenticate(presented).await), "{wrong:?} from {remote}");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_configured_token_never_matches() {
    for blank in [None, Some(""), Some("  \n")] {
        let blank = blank.map(str::to_owned);
        let config = AccessConfig { admin_token: blank.clone(), mesh_token: blank, ..AccessConfig::default() };
        let gate = Gate::with(config).await;
        for token in ["", " ", "  \n", "null"] {
            assert!(refused(gate.access.authenticate(Presented { bearer: Some(token), ..nothing(HERE) }).await));
            assert!(refused(gate.access.authenticate(Presented { admin_token: Some(token), ..nothing(HERE) }).await));
            assert!(refused(gate.access.authenticate(Presented { mesh_token: Some(token), ..nothing(HERE) }).await));
        }
    }
}

#[tokio::test]
async fn an_admin_token_is_taken_from_its_header_and_as_a_bearer_and_outweighs_the_rest() {
    let gate = Gate::with(tokens()).await;
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    for presented in [
        Presented { admin_token: Some("adm1n"), ..nothing(FAR) },
        Presented { bearer: Some("adm1n"), ..nothing(FAR) },
        Presented { bearer: Some(&key.token), admin_token: Some("adm1n"), ..nothing(FAR) },
    ] {
        let principal = gate.access.authenticate(presented).await.unwrap();
        assert_eq!((&principal.who, principal.scope), (&Who::AdminToken, Some(Scope::Admin)));
        gate.access.require(&principal, Level::Admin).unwrap();
    }
}

#[tokio::test]
async fn the_token_of_this_process_opens_beside_the_configured_one_and_that_of_another_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let old = AdminTokenFile::create(folder.path(), &OsEntropy).unwrap();
    let file = AdminTokenFile::create(folder.path(), &OsEntropy).unwrap();
    let Gate { access, _folder, .. } = Gate::with(tokens()).await;
    let access = access.with_process_token(&file);
    for (token, opens) in [(file.token(), true), ("adm1n", true), (old.token(), false)] {
        assert_eq!(access.authenticate(Presented { admin_token: Some(token), ..nothing(HERE) }).await.is_ok(), opens);
    }
}

#[tokio::test]
async fn a_bearer_expires_to_the_millisecond() {
    let gate = Gate::new().await;
    let expires = gate.clock.now().plus_ms(5000);
    let key = gate.access.mint_key("k", Scope::User, Some(expires)).await.unwrap();
    gate.clock.forward(4999);
    assert!(gate.bearer(&key.token).await.is_ok());
    assert!(gate.access.is_live(&key.id).await.unwrap());
    gate.clock.forward(1);
    assert!(refused(gate.bearer(&key.token).await));
    assert!(!gate.access.is_live(&key.id).await.unwrap());
}

#[tokio::test]
async fn a_bearer_says_whose_it_is_and_what_it_may_do() {
    let gate = Gate::new().await;
    let key = gate.access.mint_key("phone", Scope::Admin, None).await.unwrap();
    let principal = gate.bearer(&key.token).await.unwrap();
    assert_eq!(principal.who, Who::Bearer { id: key.id, name: "phone".to_owned(), kind: BearerKind::ApiKey });
    assert_eq!((principal.scope, principal.loopback), (Some(Scope::Admin), false));
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute() {
    let gate = Gate::new().await;
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    let first = gate.clock.now();
    gate.bearer(&key.token).await.unwrap();
    gate.until_used(&key.id, first).await;
    gate.clock.forward(59_999);
    gate.bearer(&key.token).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(gate.last_used(&key.id).await, Some(first));
    gate.clock.forward(1);
    gate.bearer(&key.token).await.unwrap();
    gate.until_used(&key.id, gate.clock.now()).await;
}

#[tokio::test]
async fn what_is_revoked_opens_nothing_any_more_and_closes_what_it_has_open() {
    let gate = Gate::new().await;
    let (key, other) = (
        gate.access.mint_key("k", Scope::User, None).await.unwrap(),
        gate.access.mint_key("o", Scope::User, None).await.unwrap(),
    );
    let open = tokio::spawn(gate.access.until_ended(&gate.bearer(&key.token).await.unwrap()));
    let spared = tokio::spawn(gate.access.until_ended(&gate.bearer(&other.token).await.unwrap()));
    let here = tokio::spawn(gate.access.until_ended(&gate.access.authenticate(nothing(HERE)).await.unwrap()));
    let mut revocations = gate.access.revocations();
    gate.access.revoke(key.id.as_str()).await.unwrap();
    assert!(refused(gate.bearer(&key.token).await));
    assert_eq!(revocations.recv().await.unwrap(), key.id);
    tokio::time::timeout(Duration::from_secs(5), open).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!spared.is_finished() && !here.is_finished());
    assert!(gate.bearer(&other.token).await.is_ok());
    spared.abort();
    here.abort();
}

#[tokio::test]
async fn what_was_revoked_before_a_stream_opened_ends_it_too() {
    let gate = Gate::new().await;
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    let principal = gate.bearer(&key.token).await.unwrap();
    gate.access.revoke(key.id.as_str()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), gate.access.until_ended(&principal)).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_its_bearer_expires() {
    let gate = Gate::new().await;
    let key = gate.access.mint_key("k", Scope::User, Some(gate.clock.now().plus_ms(30))).await.unwrap();
    let principal = gate.bearer(&key.token).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), gate.access.until_ended(&principal)).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_fell_behind_still_learns_of_its_own_revocation() {
    let gate = Gate::new().await;
    let key = gate.access.mint_key("k", Scope::User, None).await.unwrap();
    let principal = gate.bearer(&key.token).await.unwrap();
    let mut revocations = gate.access.revocations();
    // Two listeners that are not looked at while more is revoked than is kept for them.
    let (ended, spared) = (gate.access.until_ended(&principal), {
        let other = gate.access.mint_key("o", Scope::User, None).await.unwrap();
        gate.access.until_ended(&gate.bearer(&other.token).await.unwrap())
    });
    gate.access.revoke(key.id.as_str()).await.unwrap();
    for index in 0..REVOCATIONS + 1 {
        gate.access.announce(format!("noise_{index}").into());
    }
    assert!(matches!(revocations.recv().await, Err(RecvError::Lagged(_))));
    assert!(!gate.access.is_live(&key.id).await.unwrap());
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), spared).await.is_err());
}

#[tokio::test]
async fn requests_are_counted_by_the_gates_clock() {
    let limits = Limits { inference_per_minute: 1, ..Limits::default() };
    let gate = Gate::with(AccessConfig { limits, ..AccessConfig::default() }).await;
    let here = gate.access.authenticate(nothing(HERE)).await.unwrap();
    assert!(gate.access.check(&here, Class::Inference).allowed());
    assert_eq!(gate.access.check(&here, Class::Inference).retry_after, Some(60));
    gate.clock.forward(60_000);
    assert!(gate.access.check(&here, Class::Inference).allowed());
    gate.access.set_limits(Limits { inference_per_minute: 0, ..limits });
    assert!(gate.access.check(&here, Class::Inference).allowed());
    assert_eq!(gate.access.limits().inference_per_minute, 0);
}

#[tokio::test]
async fn by_the_listener_for_devices_only_their_bearers_come_in_and_nobody_is_at_home() {
    let config = AccessConfig { admin_token: Some("adm1n".into()), mesh_token: Some("m3sh".into()), ..AccessConfig::default() };
    let gate = Gate::with(config).await;
    let lan = |bearer| Presented { bearer, lan: true, ..nothing(HERE) };
    let nobody = gate.access.authenticate(lan(None)).await.unwrap();
    assert!(!nobody.loopback);
    assert!(refused(gate.access.require(&nobody, Level::Loopback)), "the address alone opens nothing there");
    let key = gate.access.mint_key("k", Scope::Admin, None).await.unwrap();
    let window = gate.access.exchange(&gate.access.issue_ticket(BearerKind::Window, Scope::Admin).unwrap()).await.unwrap();
    for token in ["adm1n", "m3sh", &key.token, &window.token] {
        assert!(refused(gate.access.authenticate(lan(Some(token))).await), "{token}");
    }
    assert!(refused(gate.access.authenticate(Presented { admin_token: Some("adm1n"), ..lan(None) }).await));
    assert!(refused(gate.access.authenticate(Presented { mesh_token: Some("m3sh"), ..lan(None) }).await));
    let (ticket, _) = gate.access.open_pairing().unwrap();
    let device = gate.access.claim(&ticket, "phone", kith_types::DeviceKind::Phone, FAR).await.unwrap().minted;
    let principal = gate.access.authenticate(lan(Some(&device.token))).await.unwrap();
    assert!(!principal.loopback && !principal.is_local_window());
    gate.access.require(&principal, Level::User).unwrap();
    assert!(matches!(gate.access.require(&principal, Level::Admin), Err(AccessError::Forbidden)));
    let both = Presented { admin_token: Some("adm1n"), ..lan(Some(&device.token)) };
    assert!(refused(gate.access.authenticate(both).await));
}

#[tokio::test]
async fn by_the_listener_for_devices_only_their_tickets_open_sockets() {
    let gate = Gate::new().await;
    let (pairing, _) = gate.access.open_pairing().unwrap();
    let device = gate.access.claim(&pairing, "phone", kith_types::DeviceKind::Phone, FAR).await.unwrap().minted;
    let device = gate.access.authenticate(Presented { bearer: Some(&device.token), lan: true, ..nothing(HERE) }).await.unwrap();
    let (own, _) = gate.access.issue_socket_ticket(&device).unwrap();
    let opened = gate.access.redeem_socket_ticket(&own, HERE, true).await.unwrap();
    assert_eq!(opened, device);
    let (foreign, _) = gate.access.issue_socket_ticket(&Principal::without_credentials(HERE)).unwrap();
    assert!(refused(gate.access.redeem_socket_ticket(&foreign, HERE, true).await));
    let bootstrap = gate.access.issue_ticket(BearerKind::Window, Scope::Admin).unwrap();
    assert!(refused(gate.access.redeem_socket_ticket(&bootstrap, HERE, true).await));
    gate.access.redeem_socket_ticket(&bootstrap, HERE, false).await.unwrap();
}
