//! The tree of a conversation's messages: the branch that ends in one of them.

use crate::Message;
use std::collections::HashMap;

/// The messages from the beginning to the one with the id `head`, in that order; empty if there is none.
pub(crate) fn branch<'a>(messages: &'a [Message], head: Option<&str>) -> Vec<&'a Message> {
    let by_id: HashMap<&str, &Message> = messages.iter().map(|message| (message.id.as_str(), message)).collect();
    let first = head.and_then(|id| by_id.get(id).copied());
    let up = |message: &&'a Message| message.parent.as_deref().and_then(|parent| by_id.get(parent).copied());
    // No branch has more messages than there are: a file in which parents went in a circle would not hold us.
    let mut branch: Vec<&Message> = std::iter::successors(first, up).take(messages.len()).collect();
    branch.reverse();
    branch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Details, Role};
    use kith_types::Timestamp;

    fn message(id: &str, parent: Option<&str>) -> Message {
        Message {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            role: Role::User,
            content: String::new(),
            details: Details::default(),
            created: Timestamp::from_ms(0),
            updated: Timestamp::from_ms(0),
        }
    }

    #[test]
    fn a_branch_goes_from_the_beginning_to_its_head_past_other_variants() {
        let messages = [message("a", None), message("b", Some("a")), message("x", Some("a")), message("c", Some("b"))];
        let ids = |head| branch(&messages, head).into_iter().map(|message| message.id.as_str()).collect::<Vec<_>>();
        assert_eq!(ids(Some("c")), ["a", "b", "c"]);
        assert_eq!(ids(Some("x")), ["a", "x"]);
        assert_eq!(ids(Some("nobody")), [""; 0]);
        assert_eq!(ids(None), [""; 0]);
    }

    #[test]
    fn a_circle_ends() {
        let messages = [message("a", Some("b")), message("b", Some("a"))];
        assert_eq!(branch(&messages, Some("a")).len(), 2);
    }
}
