//! EdgeCoder's portal in native words: the system text is the node's own, whatever the client sends.

pub(crate) mod decompose;

use crate::field_error::{FieldError, checks};
use kith_inference::{Generate, Message, Prompt, Role};
use kith_wire::edgecoder::PortalChatRequest;

/// The system text of the portal's chat.
const PORTAL_SYSTEM: &str = "You are the assistant of a private network of computers that belong to the person you talk to. Help with \
    questions and with code. Be accurate and brief, say so when you do not know, and write code in fenced blocks.";
/// The most messages of a conversation.
const MAX_MESSAGES: usize = 1024;

/// Translates a conversation to the given model. Errors name EdgeCoder's field.
pub(crate) fn portal(request: PortalChatRequest, model: String) -> Result<Generate, FieldError> {
    if request.messages.len() > MAX_MESSAGES {
        let message = format!("`messages` has {} messages; at most {MAX_MESSAGES} are taken", request.messages.len());
        return Err(FieldError::new("messages", message));
    }
    let mut messages = vec![Message::text(Role::System, PORTAL_SYSTEM)];
    for (at, message) in request.messages.into_iter().enumerate() {
        let role = match message.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // Who talks through the portal does not instruct the node.
            "system" | "developer" => continue,
            other => {
                let message = format!("`messages[{at}].role` is `{other}`; it must be `user` or `assistant`");
                return Err(FieldError::new(format!("messages[{at}].role"), message));
            }
        };
        messages.push(Message::text(role, message.content));
    }
    if messages.len() == 1 {
        return Err(FieldError::new("messages", "`messages` has no message of a user"));
    }
    let mut generate = Generate::new(model, Prompt::Chat(messages));
    generate.options.temperature = checks::within("temperature", request.temperature, 0.0, 2.0)?;
    generate.options.max_tokens = checks::whole("maxTokens", request.max_tokens, 1, checks::MAX_COUNT)?;
    Ok(generate)
}

/// The native field in EdgeCoder's words.
pub(crate) fn field(native: &str) -> String {
    if native == "max_tokens" { "maxTokens".to_owned() } else { native.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_wire::edgecoder::PortalMessage;

    fn asked(roles: &[&str]) -> Result<Generate, FieldError> {
        let messages = roles.iter().map(|role| PortalMessage { role: (*role).into(), content: format!("as {role}") }).collect();
        portal(PortalChatRequest { messages, ..PortalChatRequest::default() }, "m:1".into())
    }

    #[test]
    fn the_system_text_is_the_nodes_and_nobody_elses() {
        let Prompt::Chat(messages) = asked(&["system", "user", "developer", "assistant", "user"]).unwrap().prompt else {
            unreachable!()
        };
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
        assert_eq!(messages[0].content, PORTAL_SYSTEM);
    }

    #[test]
    fn a_conversation_without_a_user_or_with_a_stranger_is_refused() {
        assert_eq!(asked(&["system"]).unwrap_err().field, "messages");
        assert_eq!(asked(&["user", "robot"]).unwrap_err().field, "messages[1].role");
        assert!(asked(&vec!["user"; MAX_MESSAGES]).is_ok());
        assert_eq!(asked(&vec!["user"; MAX_MESSAGES + 1]).unwrap_err().field, "messages");
    }
}
