//! What events of the activity page are told as.
use super::*;
use serde_json::json;

fn event(at_ms: i64, kind: &str, data: Value) -> Happened {
    Happened { at_ms, kind: kind.to_owned(), data }
}

#[test]
fn answers_of_one_model_in_a_row_are_one_line() {
    let done = |at| event(at, "inference.finished", json!({"model": "m:1", "completion_tokens": 11, "decode_ms": 100}));
    let lines = tell(&[done(3), done(2), event(1, "model.loaded", json!({"model": "m:1", "load_ms": 1200}))], &[]);
    let texts: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.detail.as_str())).collect();
    assert_eq!(texts, [("m:1 answered, 2 times", "22 tokens"), ("m:1 was loaded into memory", "in 1.2 s")]);
    let one = tell(&[done(3)], &[]);
    assert_eq!(one[0].detail, "11 tokens, 100 tokens/s");
}

#[test]
fn an_event_and_its_record_are_told_once_and_the_newest_comes_first() {
    let removed = event(5_000, "model.removed", json!({"model": "m:1"}));
    let record = event(5_010, "model.removed", json!({"model": "m:1"}));
    let older = event(1_000, "node.started", json!({"url": "http://x"}));
    let lines = tell(&[removed], &[record, older]);
    assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["m:1 was removed", "Kith started"]);
}

#[test]
fn what_says_nothing_to_a_person_is_left_out() {
    let quiet = ["inference.started", "access.admin_call", "conversation.changed", "download.progress", "events.missed"];
    for kind in quiet {
        assert_eq!(tell(&[event(1, kind, json!({}))], &[]), [], "{kind}");
    }
}

#[test]
fn events_without_particulars_still_read_well() {
    let text = |kind: &str| tell(&[event(1, kind, json!({}))], &[])[0].text.clone();
    assert_eq!(text("device.paired"), "A device was paired");
    assert_eq!(text("access.key_minted"), "Key was made");
    assert_eq!(text("model.removed"), "A model was removed");
}

#[test]
fn refusals_are_warnings_and_failures_are_bad() {
    let tone = |kind: &str| tell(&[event(1, kind, json!({"error": "no room"}))], &[])[0].tone;
    assert_eq!(tone("access.denied"), Tone::Warning);
    assert_eq!(tone("inference.failed"), Tone::Bad);
    assert_eq!(tone("model.loaded"), Tone::Plain);
}
