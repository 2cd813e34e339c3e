//! Byte strings by number, one after another in one place: fifty thousand of their own would take several times the memory.

/// Byte strings that are only ever added to.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each ends; the next begins there.
    ends: Vec<usize>,
}

impl Names {
    /// None yet; so many are expected.
    pub(super) fn with_room(count: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::with_capacity(count) }
    }

    /// Adds one: what `write` appends.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One of them; empty beyond the last.
    pub(super) fn get(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let range = start.zip(self.ends.get(number).copied());
        range.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|number| self.get(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_number_and_none_beyond_the_last() {
        let mut names = Names::with_room(3);
        for name in ["ab", "", "c"] {
            names.push(|bytes| bytes.extend_from_slice(name.as_bytes()));
        }
        assert_eq!(names.iter().collect::<Vec<_>>(), [b"ab".as_slice(), b"", b"c"]);
        assert_eq!((names.len(), names.get(3), names.get(usize::MAX)), (3, [].as_slice(), [].as_slice()));
    }
}
