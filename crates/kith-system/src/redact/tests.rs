//! What is taken out and what stays readable.

use super::*;
use proptest::prelude::*;

const PASSWORD: &str = "correct horse battery";

fn redactor() -> Redactor {
    let known = ["s3cr3t-admin-token", "with \"quotes\" in it"].map(|text| Zeroizing::new(text.to_owned()));
    Redactor::new(known.into(), Some("/home/ann".into()), vec!["12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp".into()])
}

#[test]
fn a_secret_is_taken_out_wherever_and_however_it_stands() {
    let token = "kith_Zk3vQ0xT1yR8nP5mL2jH7gF4dS6aB9cEwUiOqKlMnXz";
    for line in [
        format!("Authorization: Bearer {token}"),
        format!("authorization=Basic {token}"),
        format!("GET /api/v1/audit/export?token={token} 200"),
        format!("{{\"api_key\":\"{token}\"}}"),
        format!("api_key = '{token}'"),
        format!("the key {token}."),
        format!("x-api-key: {token}"),
        format!("https://ann:{token}@example.org/x"),
        format!("token {token}"),
        token.to_owned(),
    ] {
        let redacted = redactor().text(&line);
        assert!(!token.as_bytes().windows(8).any(|part| redacted.contains(std::str::from_utf8(part).unwrap())), "{redacted}");
        assert!(redacted.contains(REDACTED), "{redacted}");
    }
}

#[test]
fn named_secrets_need_no_looks() {
    for line in [
        format!("password=\"{PASSWORD}\""),
        format!("{{\"password\": \"{PASSWORD}\", \"x\": 1}}"),
        "password hunter2hunter2".to_owned(),
        "PASSWORD: hunter2hunter2".to_owned(),
        "db_passwd=hunter2hunter2".to_owned(),
        "seeds = [4242424242, \"hunter2hunter2\"]".to_owned(),
        "seed: 4242424242".to_owned(),
        "Cookie: session=hunter2hunter2".to_owned(),
    ] {
        let redacted = redactor().text(&line);
        for secret in [PASSWORD, "hunter2", "4242424242"] {
            assert!(!redacted.contains(secret), "{line}: {redacted}");
        }
    }
}

#[test]
fn known_secrets_are_found_in_the_middle_of_words_and_inside_json() {
    assert_eq!(redactor().text("xs3cr3t-admin-tokenx"), format!("x{REDACTED}x"));
    let json = serde_json::json!({"note": "with \"quotes\" in it"}).to_string();
    assert!(!redactor().text(&json).contains("quotes"));
}

#[test]
fn what_helps_to_find_a_fault_stays() {
    for line in [
        "2026-11-21T07:15:27.123456Z  INFO kith_api::guard: answered method=GET path=\"/api/v1/audit\" status=200 elapsed_ms=12",
        "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp listens on http://127.0.0.1:4343",
        "{\"prompt_tokens\":512,\"completion_tokens\":20,\"memory_total_bytes\":8589934592,\"latency_p95_ms\":12.5}",
        "{\"push_token\":{\"set\":true},\"token\":null}",
        "context window exceeded: 9000 tokens are more than 8192",
        "the token is wrong",
    ] {
        assert_eq!(redactor().text(line), line);
    }
    assert_eq!(redactor().text("reading /home/ann/models"), "reading ~/models");
}

proptest! {
    #[test]
    fn a_random_token_never_comes_through(token in "[A-Za-z0-9_-]{10}[a-z][A-Z][0-9][A-Za-z0-9_-]{20}", before in "[ -~]{0,30}", after in "[ -~é]{0,30}") {
        let redacted = redactor().text(&format!("{before}{token}{after}"));
        prop_assert!(!redacted.contains(&token), "{}", redacted);
    }

    #[test]
    fn any_text_is_redacted_without_a_fault_and_once_is_enough(text in any::<String>()) {
        let once = redactor().text(&text);
        prop_assert!(!redactor().text(&once).contains("s3cr3t-admin-token"));
    }
}
