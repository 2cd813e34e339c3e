//! Stop texts: finds the first of them in an answer that arrives in pieces, and holds back no more than it must.

#[cfg(test)]
mod tests;

/// Finds the first stop text in a stream of text.
///
/// The match that begins earliest wins; of several that begin at the same place the shortest wins, because it is whole first and the
/// text before it is the same either way. How the stream is cut into pieces never changes the outcome.
///
/// At most one byte less than the longest stop text is held back between two pieces.
#[derive(Debug, Clone)]
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    held: String,
    done: bool,
}

/// What one piece of text brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pushed {
    /// Text that lies before any stop text and may be given out.
    pub(crate) text: String,
    /// The stop text that came up. It is not part of `text`, and everything after it is dropped.
    pub(crate) hit: Option<String>,
}

impl StopMatcher {
    /// A matcher for `stops`. Empty texts are ignored, since they would match everywhere.
    pub(crate) fn new(mut stops: Vec<String>) -> Self {
        stops.retain(|stop| !stop.is_empty());
        // Shortest first: the first match found at a place is then the one that wins there.
        stops.sort_by_key(String::len);
        Self { stops, held: String::new(), done: false }
    }

    /// Takes the next piece. After a hit every further piece is dropped.
    pub(crate) fn push(&mut self, piece: &str) -> Pushed {
        if self.done {
            return Pushed::default();
        }
        if self.stops.is_empty() {
            return Pushed { text: piece.to_owned(), hit: None };
        }
        self.held.push_str(piece);
        self.advance(false)
    }

    /// Gives out what is still held back, once the stream has ended. A stop text that was whole but waited for a longer one that began
    /// before it counts now.
    pub(crate) fn finish(&mut self) -> Pushed {
        if self.done { Pushed::default() } else { self.advance(true) }
    }

    /// Decides as much of `held` as can be decided; all of it at the `end`.
    fn advance(&mut self, end: bool) -> Pushed {
        let found = self.held.char_indices().find_map(|(start, _)| {
            let rest = &self.held[start..];
            match self.stops.iter().find(|stop| rest.starts_with(stop.as_str())) {
                Some(stop) => Some((start, Some(stop.clone()))),
                None if !end && self.stops.iter().any(|stop| stop.starts_with(rest)) => Some((start, None)),
                None => None,
            }
        });
        match found {
            Some((start, Some(stop))) => {
                self.done = true;
                let mut text = std::mem::take(&mut self.held);
                text.truncate(start);
                Pushed { text, hit: Some(stop) }
            }
            Some((start, None)) => {
                let rest = self.held.split_off(start);
                Pushed { text: std::mem::replace(&mut self.held, rest), hit: None }
            }
            None => Pushed { text: std::mem::take(&mut self.held), hit: None },
        }
    }
}
