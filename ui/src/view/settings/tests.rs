//! What is typed, shown and told.

use super::*;
use kith_wire::system::OverriddenSetting;

fn setting(origin: &str, variable: Option<&str>) -> SettingView {
    SettingView {
        key: "api.port".to_owned(),
        value: json!(4343),
        origin: origin.to_owned(),
        variable: variable.map(str::to_owned),
        live: false,
        secret: false,
    }
}

#[test]
fn numbers_are_checked_before_the_node_is_asked() {
    let kind = Kind::Number { unit: "answers", least: 1, most: 256 };
    assert_eq!(typed(kind, " 16 "), Ok(json!(16)));
    assert_eq!(typed(kind, "0"), Err("It must lie between 1 and 256.".to_owned()));
    assert_eq!(typed(kind, "many"), Err("A whole number is needed.".to_owned()));
    assert_eq!(typed(kind, ""), Ok(Value::Null));
    assert_eq!(typed(Kind::Number { unit: "", least: 0, most: 99_999 }, "8 192"), Ok(json!(8192)));
}

#[test]
fn memory_is_typed_in_gigabytes() {
    assert_eq!(shown(Kind::Memory, &json!(16_384)), "16");
    assert_eq!(shown(Kind::Memory, &json!(18_079)), "17.7");
    assert_eq!(typed(Kind::Memory, "1,5"), Ok(json!(1536)));
    assert!(typed(Kind::Memory, "-3").is_err());
}

#[test]
fn a_time_in_force_is_always_among_those_offered() {
    let offered = [(60, "1 minute")];
    assert_eq!(times(&offered, &json!(60)).len(), 1);
    assert_eq!(times(&offered, &json!(7200)).last(), Some(&("7200".to_owned(), "2 h".to_owned())));
}

#[test]
fn no_words_are_the_default() {
    assert_eq!(from_list(&[]), Value::Null);
    assert_eq!(list(&json!(["a", "b"])), ["a", "b"]);
    assert_eq!(list(&Value::Null), Vec::<String>::new());
}

#[test]
fn a_change_names_its_table() {
    assert_eq!(serde_json::to_value(change("api.port", json!(1))).unwrap(), json!({"api": {"port": 1}}));
}

#[test]
fn the_effect_is_told() {
    let mut applied = ConfigApplied {
        status: "ok".to_owned(),
        applied: vec!["api.hosts".to_owned()],
        restart_required: vec![],
        overridden: vec![],
    };
    assert_eq!(effect("api.hosts", &applied), "Saved. It is in effect now.");
    applied.restart_required.push("api.port".to_owned());
    assert_eq!(effect("api.port", &applied), "Saved. It takes effect after a restart.");
    applied.overridden.push(OverriddenSetting { key: "api.port".to_owned(), by: "KITH_PORT".to_owned() });
    assert_eq!(effect("api.port", &applied), "Saved, but KITH_PORT decides while it is set.");
}

#[test]
fn what_the_node_says_of_a_setting_stands_without_its_key() {
    assert_eq!(at_field("api.port", "`api.port`: 0 is no port"), "0 is no port.");
    assert_eq!(at_field("api.port", "the disk is full"), "The disk is full.");
    assert_eq!(at_field("api.host", "`x` is not an IP address or `localhost`"), "“x” is not an IP address or “localhost”.");
}

#[test]
fn only_what_is_stronger_than_the_file_locks() {
    assert_eq!(locked(&setting("file", Some("KITH_PORT"))), None);
    assert_eq!(locked(&setting("command_line", Some("--port"))).unwrap(), "Set by --port when Kith was started.");
    assert!(locked(&setting("env", Some("KITH_PORT"))).unwrap().contains("KITH_PORT"));
}

#[test]
fn what_waits_for_a_restart_is_named() {
    assert_eq!(restart(&[]), None);
    assert_eq!(restart(&["api.port".to_owned()]).unwrap(), "Takes effect when Kith starts again: Port.");
    assert!(restart(&["api.port".to_owned(), "api.host".to_owned()]).unwrap().ends_with("again: Port, Listen on."));
}

#[test]
fn the_audit_reads_as_words() {
    let record = |kind: &str, data: Value| AuditRecord {
        seq: 1,
        ts_ms: kith_types::Timestamp::from_ms(0),
        kind: kind.to_owned(),
        data,
        hash: String::new(),
    };
    let call = json!({"by": "admin token", "method": "POST", "route": "/api/v1/auth/keys", "status": 201});
    assert_eq!(audited(&record("access.admin_call", call)).1, "POST /api/v1/auth/keys · 201 · admin token");
    let model = audited(&record("model.imported", json!({"model": "smollm2:135m", "size": 98_362_432})));
    assert_eq!(model, ("Model imported".to_owned(), "smollm2:135m · 98.4 MB".to_owned()));
    assert_eq!(audited(&record("new.kind", json!({}))), ("new.kind".to_owned(), String::new()));
}

#[test]
fn quiet_hours_always_have_a_day() {
    let days = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(toggled(&days(&["mon", "sun"]), "wed"), Some(days(&["mon", "wed", "sun"])));
    assert_eq!(toggled(&days(&["mon"]), "mon"), None);
}

#[test]
fn each_part_is_found_by_its_word() {
    assert!(Part::ALL.into_iter().all(|part| Part::of(part.slug()) == Some(part) && part.about().ends_with('.')));
    assert_eq!(Part::of("nowhere"), None);
}

#[test]
fn the_log_lies_beside_the_configuration() {
    assert_eq!(log_folder("/home/ada/.kith/config.toml"), "/home/ada/.kith/logs");
    assert_eq!(log_folder("C:\\Kith\\config.toml"), "C:\\Kith\\logs");
}

#[test]
fn a_draft_is_none_a_model_here_that_writes_answers_or_the_one_in_force() {
    let model = |name: &str, format: &str, family: &str, status: Option<&str>| ModelSummary {
        name: name.to_owned(),
        model: name.to_owned(),
        modified_at: String::new(),
        size: 1,
        digest: String::new(),
        details: kith_wire::ollama::Details { format: format.to_owned(), family: family.to_owned(), ..Default::default() },
        status: status.map(str::to_owned),
    };
    let here = [
        model("smollm2:135m", "gguf", "llama", Some("available")),
        model("all-minilm:latest", "gguf", "bert", Some("available")),
        model("smolvlm:256m", "safetensors", "idefics3", Some("available")),
        model("openai/gpt", "gguf", "gpt", Some("remote")),
        model("tiny:latest", "gguf", "qwen3", None),
    ];
    let offered = |here: Option<&[ModelSummary]>, now: &str| -> Vec<String> {
        drafts(here, now).into_iter().map(|(word, name)| if word == name { name } else { format!("{word}={name}") }).collect()
    };
    assert_eq!(offered(Some(&here), ""), ["=None", "smollm2:135m", "tiny:latest"]);
    assert_eq!(offered(Some(&here), "tiny"), ["=None", "smollm2:135m", "tiny:latest", "tiny"]);
    assert_eq!(offered(Some(&here), "lost:1b"), ["=None", "smollm2:135m", "tiny:latest", "lost:1b=lost:1b (not here)"]);
    assert_eq!(offered(None, "lost:1b"), ["=None", "lost:1b"]);
    assert_eq!(typed(Kind::Model, ""), Ok(Value::Null));
    assert_eq!(typed(Kind::Model, "tiny:latest"), Ok(json!("tiny:latest")));
}
