//! Splits a stream of server-sent events, however the network cut it. <https://html.spec.whatwg.org/multipage/server-sent-events.html>

/// The longest line, in bytes.
pub(super) const MAX_LINE: usize = 1 << 20;
/// The most bytes of data of one event, which may have several lines of it.
pub(super) const MAX_DATA: usize = 4 << 20;

/// One event that has data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its data; bytes that are no UTF-8 are replaced.
    pub data: String,
}

/// A line or an event exceeds its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Holds what has come of the present line and event.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    name: String,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    begun: bool,
}

impl Splitter {
    /// Takes the next bytes; gives the events that became whole with them. An event whose blank line never comes is none.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (piece, after) = end.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + 1..]));
            if self.line.len() + piece.len() > MAX_LINE {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            if let Some(at) = end {
                self.after_return = rest[at] == b'\r';
                let line = std::mem::take(&mut self.line);
                events.extend(self.line(&line)?);
            }
            rest = after;
        }
        Ok(events)
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, TooLong> {
        // A byte order mark may open the stream.
        let line =
            if std::mem::replace(&mut self.begun, true) { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        if line.is_empty() {
            let (data, name) = (std::mem::take(&mut self.data), std::mem::take(&mut self.name));
            let event =
                std::mem::take(&mut self.has_data).then(|| Event { name, data: String::from_utf8_lossy(&data).into_owned() });
            return Ok(event);
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() + 1 > MAX_DATA {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            // Comments, ids and unknown fields.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &[u8]) -> Vec<Event> {
        Splitter::default().push(text).unwrap()
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_have_a_name_and_lines_of_data() {
        let text = b"\xef\xbb\xbf: hello\nevent: ping\ndata: {}\nid: 7\n\ndata:a\ndata: b\n\nevent: nothing\n\ndata\n\ndata: cut";
        assert_eq!(all(text), [event("ping", "{}"), event("", "a\nb"), event("", "")]);
    }

    #[test]
    fn every_kind_of_line_end_is_one() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("data: 1{end}{end}data: 2{end}{end}");
            // A lone return might still be followed by its line feed, yet the line ends with it.
            assert_eq!(all(text.as_bytes()), [event("", "1"), event("", "2")], "{end:?}");
        }
    }

    #[test]
    fn a_line_without_end_and_an_event_without_end_are_refused() {
        assert_eq!(Splitter::default().push(&vec![b'x'; MAX_LINE + 1]), Err(TooLong));
        let line = format!("data: {}\n", "x".repeat(MAX_LINE - 10));
        let mut splitter = Splitter::default();
        let refused = (0..MAX_DATA / MAX_LINE + 1).map(|_| splitter.push(line.as_bytes())).find(Result::is_err);
        assert_eq!(refused, Some(Err(TooLong)));
    }

    proptest! {
        #[test]
        fn how_the_network_cuts_never_changes_the_events(
            events in prop::collection::vec(("[a-z_]{0,8}", "[^\r\n\u{feff}]{0,40}"), 0..6), ends in prop::collection::vec(0..3usize, 6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)
        ) {
            let mut text = String::new();
            for ((name, data), end) in events.iter().zip(&ends) {
                let end = ["\n", "\r\n", "\r"][*end];
                text.push_str(&format!("event: {name}{end}data: {data}{end}: noise{end}{end}"));
            }
            let whole: Vec<Event> = events.iter().map(|(name, data)| event(name, data)).collect();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let mut splitter = Splitter::default();
            let mut got = Vec::new();
            for pair in places.windows(2) {
                got.extend(splitter.push(&text.as_bytes()[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(got, whole);
        }

        #[test]
        fn garbage_never_panics_and_never_grows_without_bound(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
            let mut splitter = Splitter::default();
            for piece in &pieces {
                if splitter.push(piece).is_err() { break; }
                prop_assert!(splitter.line.len() <= MAX_LINE && splitter.data.len() <= MAX_DATA);
            }
        }
    }
}
