//! Text out of bytes that arrive in pieces: only whole characters come out.

/// Bytes of a character that is not whole yet (at most 3).
#[derive(Debug, Default)]
pub struct Utf8Joiner {
    pending: Vec<u8>,
}

impl Utf8Joiner {
    /// Takes more bytes and gives the text that became whole. Bytes that can never become a character come out as U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut used = 0;
        loop {
            match std::str::from_utf8(&self.pending[used..]) {
                Ok(rest) => {
                    text.push_str(rest);
                    used = self.pending.len();
                    break;
                }
                Err(error) => {
                    let good = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[used..used + good]));
                    used += good;
                    let Some(bad) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    used += bad;
                }
            }
        }
        self.pending.drain(..used);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_comes_out_when_its_last_byte_is_there() {
        let mut joiner = Utf8Joiner::default();
        assert_eq!(joiner.push(&[b'a', 0xf0, 0x9f]), "a");
        assert_eq!(joiner.push(&[0x98]), "");
        assert_eq!(joiner.push(&[0x80, b'b']), "😀b");
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced_at_once() {
        let mut joiner = Utf8Joiner::default();
        assert_eq!(joiner.push(&[0xff, b'x']), "\u{fffd}x");
    }

    proptest! {
        #[test]
        fn however_text_is_cut_it_comes_out_whole(text in ".{0,40}", size in 1usize..5) {
            let mut joiner = Utf8Joiner::default();
            let out: String = text.as_bytes().chunks(size).map(|piece| joiner.push(piece)).collect();
            prop_assert_eq!(out, text);
        }

        #[test]
        fn at_most_three_bytes_wait(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut joiner = Utf8Joiner::default();
            for byte in bytes {
                joiner.push(&[byte]);
                prop_assert!(joiner.pending.len() <= 3);
            }
        }
    }
}
