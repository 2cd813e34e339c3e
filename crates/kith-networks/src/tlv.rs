//! Tagged fields: a tag of one byte, a length of two, the bytes. Unknown tags are passed over, so that later releases may add some.

/// A row of fields that could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut;

/// Appends a field. What is longer than 65,535 bytes is cut; callers have bounded it far below.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&bytes[..usize::from(length)]);
}

/// Reads all fields in their order.
pub(crate) fn fields(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, Cut> {
    let mut fields = Vec::new();
    while let Some((&tag, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if rest.len() < length {
            return Err(Cut);
        }
        let (field, rest) = rest.split_at(length);
        fields.push((tag, field));
        bytes = rest;
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_are_read_as_they_were_written(given in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..10)) {
            let mut bytes = Vec::new();
            given.iter().for_each(|(tag, field)| put(&mut bytes, *tag, field));
            let read = fields(&bytes).unwrap();
            let expected: Vec<_> = given.iter().map(|(tag, field)| (*tag, field.as_slice())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = fields(&bytes);
        }
    }
}
