//! Ids of conversations and messages: chosen by whoever writes, so that writing twice doubles nothing; else made here.

use crate::ConversationsError;
use kith_keys::Entropy;
use kith_types::Timestamp;

/// The longest id, in characters. A UUID has 36, a ULID 26.
pub const MAX_ID_CHARS: usize = 64;

/// Checks an id: 1 to 64 ASCII letters, digits, `-` and `_`. UUIDs and ULIDs are such.
pub(crate) fn check(field: &str, id: &str) -> Result<(), ConversationsError> {
    let fits =
        (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits { Ok(()) } else { Err(ConversationsError::invalid(field, "must be 1 to 64 letters, digits, `-` or `_`")) }
}

/// A UUID of version 7 (RFC 9562, section 5.7): the time and 74 random bits, so that later ids sort after earlier ones.
pub(crate) fn make(now: Timestamp, entropy: &dyn Entropy) -> Result<String, ConversationsError> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes).map_err(ConversationsError::internal)?;
    let [_, _, ms @ ..] = now.ms().to_be_bytes();
    bytes[..6].copy_from_slice(&ms);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex = hex::encode(bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_keys::OsEntropy;

    #[test]
    fn ids_of_every_usual_form_are_taken_and_nothing_else() {
        for id in ["0190163d-8694-739b-aea5-966c26f8ad91", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a", "msg_1"] {
            assert!(check("id", id).is_ok(), "{id}");
        }
        for id in ["", "a b", "a/b", "é", "a.b", "a\n", &"x".repeat(65)] {
            assert!(check("id", id).is_err(), "{id}");
        }
    }

    #[test]
    fn ids_made_here_are_uuids_of_version_7_and_sort_by_time() {
        let made = make(Timestamp::from_ms(0x0190_163d_8694), &OsEntropy).unwrap();
        assert!(made.starts_with("0190163d-8694-7"), "{made}");
        assert!(matches!(made.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{made}");
        assert_eq!(made.len(), 36);
        assert!(make(Timestamp::from_ms(0x0190_163d_8695), &OsEntropy).unwrap() > made);
    }
}
