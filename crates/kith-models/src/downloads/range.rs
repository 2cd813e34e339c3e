//! The header that says which bytes an answer holds.

/// Where the bytes begin, and the length of the whole if it is told: `bytes 100-199/1000`.
pub fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn a_range_is_taken_only_if_it_can_be_one() {
        assert_eq!(range("bytes 100-199/1000"), Some((100, Some(1000))));
        assert_eq!(range("bytes 0-0/*"), Some((0, None)));
        for text in ["", "bytes */1000", "bytes 5-4/10", "bytes 5-10/10", "items 0-1/2", "bytes -1-2/3", "bytes 0-1"] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
