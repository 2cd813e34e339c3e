//! What the bodies of conversations promise.

use super::*;
use serde_json::json;

#[test]
fn a_field_that_is_null_takes_away_and_one_that_is_not_there_leaves() {
    let update: ConversationUpdate = serde_json::from_value(json!({"title": null, "system": "s"})).unwrap();
    assert_eq!((&update.title, &update.model, update.system.clone()), (&Some(None), &None, Some(Some("s".to_owned()))));
    assert_eq!(serde_json::to_value(&update).unwrap(), json!({"title": null, "system": "s"}));
    let message = |body| serde_json::from_value::<NewConversationMessage>(body).unwrap();
    assert_eq!(message(json!({"role": "user"})).parent, None);
    assert_eq!(message(json!({"role": "user", "parent": null})).parent, Some(None));
    assert_eq!(message(json!({"role": "tool", "parent": "a"})).parent, Some(Some("a".to_owned())));
}

#[test]
fn a_message_of_text_is_no_more_than_that() {
    let message = NewConversationMessage::text(MessageRole::User, "hi");
    assert_eq!(serde_json::to_value(&message).unwrap(), json!({"role": "user", "content": "hi"}));
    assert_eq!(serde_json::from_value::<NewConversationMessage>(json!({"role": "user", "content": "hi"})).unwrap(), message);
}

#[test]
fn a_misspelt_field_is_refused() {
    assert!(serde_json::from_value::<NewConversationMessage>(json!({"role": "user", "contents": "x"})).is_err());
    assert!(serde_json::from_value::<ConversationUpdate>(json!({"titel": "x"})).is_err());
    assert!(serde_json::from_value::<NewConversation>(json!({"name": "x"})).is_err());
    assert!(serde_json::from_value::<ForkRequest>(json!({"from": "x"})).is_err());
}

#[test]
fn an_event_is_read_whatever_it_is_about() {
    let event: ConversationEvent = serde_json::from_value(json!({"id": "c"})).unwrap();
    assert_eq!(event, ConversationEvent { id: "c".into(), ..ConversationEvent::default() });
    let event: ConversationEvent =
        serde_json::from_value(json!({"id": "c", "fields": ["messages"], "message": "m", "later": 1})).unwrap();
    assert_eq!((event.fields, event.message.as_deref()), (vec!["messages".to_owned()], Some("m")));
}
