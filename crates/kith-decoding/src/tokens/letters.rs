//! The letters that stand for bytes in vocabularies of byte pairs.

/// GPT-2's alphabet, a letter for every byte: printable bytes stand for themselves, the others for the characters from U+0100 on.
pub fn byte_letters() -> [char; 256] {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte);
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
}
