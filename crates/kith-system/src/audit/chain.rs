//! The chain of hashes. A record's hash is BLAKE3, keyed for this use, over the hash before, the number, the time, and the kind and
//! content with their lengths.

use super::{End, Entry, Record};

/// Keeps these hashes apart from other uses of BLAKE3.
const CONTEXT: &str = "kith 2026 audit record v1";

/// The hash before the first record.
pub const GENESIS: [u8; 32] = [0; 32];

/// The hash of a record.
pub fn record_hash(before: &[u8; 32], seq: u64, entry: &Entry) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(before);
    hasher.update(&seq.to_le_bytes());
    hasher.update(&entry.at.ms().to_le_bytes());
    for text in [&entry.kind, &entry.data] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The chain does not hold at this record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} is missing, or was changed, or one before it was")]
pub struct Broken {
    /// The number of the first record that does not fit.
    pub seq: u64,
}

/// Follows the chain from `from` (the anchor, or the end of what was verified before) over these records, oldest first; gives its end.
///
/// # Errors
/// The first record that does not fit.
pub fn verify(from: End, records: &[Record]) -> Result<End, Broken> {
    records.iter().try_fold(from, |end, record| {
        let seq = end.seq + 1;
        let hash = record_hash(&end.hash, seq, &record.entry);
        if record.seq == seq && record.hash == hash { Ok(End { seq, hash }) } else { Err(Broken { seq }) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::Timestamp;
    use proptest::prelude::*;

    fn chain(contents: &[(i64, String, String)]) -> Vec<Record> {
        let mut end = End::default();
        let mut records = Vec::new();
        for (at, kind, data) in contents {
            let entry = Entry { at: Timestamp::from_ms(*at), kind: kind.clone(), data: data.clone() };
            end = End { seq: end.seq + 1, hash: record_hash(&end.hash, end.seq + 1, &entry) };
            records.push(Record { seq: end.seq, entry, hash: end.hash });
        }
        records
    }

    proptest! {
        #[test]
        fn any_flipped_byte_is_found_at_its_record(
            contents in prop::collection::vec((any::<i64>(), "[a-z.]{1,20}", "[ -~]{1,40}"), 1..20),
            which in any::<prop::sample::Index>(),
            place in 0..4usize,
            bit in 0..7u32,
        ) {
            let records = chain(&contents);
            prop_assert_eq!(verify(End::default(), &records).unwrap().seq, records.len() as u64);
            let mut changed = records.clone();
            let index = which.index(changed.len());
            let record = &mut changed[index];
            let flip = |text: &mut String| {
                let mut bytes = std::mem::take(text).into_bytes();
                bytes[0] ^= 1 << bit;
                *text = String::from_utf8(bytes).unwrap();
            };
            match place {
                0 => flip(&mut record.entry.data),
                1 => flip(&mut record.entry.kind),
                2 => record.hash[7] ^= 1 << bit,
                _ => record.entry.at = Timestamp::from_ms(record.entry.at.ms() ^ (1 << bit)),
            }
            prop_assert_eq!(verify(End::default(), &changed), Err(Broken { seq: index as u64 + 1 }));
        }

        #[test]
        fn a_record_left_out_or_moved_is_found(count in 3..20usize, which in any::<prop::sample::Index>()) {
            let contents: Vec<_> = (0..count).map(|n| (n as i64, "k".to_owned(), "{}".to_owned())).collect();
            let index = which.index(count - 1);
            let mut without = chain(&contents);
            without.remove(index);
            prop_assert!(verify(End::default(), &without).is_err());
            let mut swapped = chain(&contents);
            swapped.swap(index, index + 1);
            prop_assert!(verify(End::default(), &swapped).is_err());
        }
    }

    #[test]
    fn kind_and_content_cannot_be_shifted_into_each_other() {
        let entry = |kind: &str, data: &str| Entry { at: Timestamp::from_ms(0), kind: kind.into(), data: data.into() };
        assert_ne!(record_hash(&GENESIS, 1, &entry("ab", "c")), record_hash(&GENESIS, 1, &entry("a", "bc")));
    }
}
