//! What `system` promises, sentence by sentence.

use super::*;
use kith_types::{Code, Scope, Timestamp};
use serde_json::{from_value, json, to_string};

#[test]
fn times_that_end_in_ms_are_integers() {
    let token = TokenResponse { token: "7f3b".into(), expires_at_ms: Timestamp::from_ms(1_716_595_200_000) };
    insta::assert_snapshot!(to_string(&token).unwrap(), @r#"{"token":"7f3b","expires_at_ms":1716595200000}"#);
    let request: MintKeyRequest = from_value(json!({"name": "ci", "scope": "admin", "expires_at_ms": 5})).unwrap();
    assert_eq!((request.scope, request.expires_at_ms), (Scope::Admin, Some(Timestamp::from_ms(5))));
    assert_eq!(from_value::<MintKeyRequest>(json!({"name": "ci", "scope": "user"})).unwrap().expires_at_ms, None);
}

#[test]
fn a_secret_is_not_printed() {
    let printed = format!("{:?} {:?}", LoginRequest { password: "hunter2".into() }, BootstrapRequest { ticket: "tick".into() });
    assert_eq!(printed, "LoginRequest { .. } BootstrapRequest { .. }");
}

#[test]
fn the_status_has_the_references_fields() {
    let status = SystemStatus {
        running: true,
        has_swarm_key: false,
        setup_required: false,
        peer_id: "12D3KooW".into(),
        listen_addrs: vec!["127.0.0.1:4343".into()],
        s3_enabled: false,
        tls: TlsStatus::default(),
        at_rest: AtRest { enabled: true, provider: "file".into() },
        network: NetworkStatus { state: "none".into(), id: None, name: None },
        version: "0.1.0".into(),
        uptime_ms: 5,
    };
    insta::assert_snapshot!(to_string(&status).unwrap(), @r#"{"running":true,"has_swarm_key":false,"setup_required":false,"peer_id":"12D3KooW","listen_addrs":["127.0.0.1:4343"],"s3_enabled":false,"tls":{"fingerprint":null},"at_rest":{"enabled":true,"provider":"file"},"network":{"state":"none","id":null,"name":null},"version":"0.1.0","uptime_ms":5}"#);
}

#[test]
fn an_error_names_its_field_only_where_there_is_one() {
    let error = ErrorBody {
        error: "no such path".into(),
        code: Code::RouteNotFound,
        timestamp: "t".into(),
        request_id: "req_1".into(),
        field: None,
    };
    insta::assert_snapshot!(to_string(&error).unwrap(), @r#"{"error":"no such path","code":"ROUTE_NOT_FOUND","timestamp":"t","request_id":"req_1"}"#);
}

#[test]
fn an_envelope_is_told_apart_by_its_type() {
    let envelope = Envelope { kind: "model_loaded".into(), id: 3, ts_ms: Timestamp::from_ms(9), data: json!({"model": "m:1"}) };
    insta::assert_snapshot!(to_string(&envelope).unwrap(), @r#"{"type":"model_loaded","id":3,"ts_ms":9,"data":{"model":"m:1"}}"#);
}
