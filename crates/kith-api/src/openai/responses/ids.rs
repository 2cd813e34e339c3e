//! Ids of responses and their items. An item's id holds its response's, so that a reference to it is resolved without an index.

/// Hexadecimal digits of 24 random bytes: nobody guesses the id of a stored response.
const DIGITS: usize = 48;
/// Items of the input are numbered from here on, those of the output from 0.
const INPUT: usize = 0x8000;

/// The ids of one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids(String);

impl Ids {
    /// Ids from random bytes.
    pub fn new(random: [u8; DIGITS / 2]) -> Self {
        Self(hex::encode(random))
    }

    /// The response's id.
    pub fn response(&self) -> String {
        format!("resp_{}", self.0)
    }

    /// The id of the item at `place` of the output: `msg`, `fc` or `rs`.
    pub fn output(&self, kind: &str, place: usize) -> String {
        format!("{kind}_{}{place:04x}", self.0)
    }

    /// The id of the item at `place` of the input.
    pub fn input(&self, kind: &str, place: usize) -> String {
        self.output(kind, INPUT + place)
    }
}

/// The response that the item of this id belongs to, if the id was made here.
pub(crate) fn response_of(item: &str) -> Option<String> {
    let (_, digits) = item.split_once('_')?;
    let ours = digits.len() > DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    ours.then(|| format!("resp_{}", &digits[..DIGITS]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_tells_its_response() {
        let ids = Ids::new([0xab; 24]);
        assert_eq!(response_of(&ids.output("msg", 0)), Some(ids.response()));
        assert_eq!(response_of(&ids.input("fc", 8191)), Some(ids.response()));
        assert_ne!(ids.output("msg", 8191), ids.input("msg", 0));
        for other in ["", "msg_", "msg_12", "nothing", &ids.response(), "msg_é", &format!("msg_{}", "é".repeat(40))] {
            assert_eq!(response_of(other), None, "{other}");
        }
    }
}
