//! Who fetches which piece. Pure: a state that is told what happened and when.
//!
//! - A holder gets a run of pieces in a row, as long as it needs about [`RUN`] for them; first those that the fewest holders have.
//! - A piece that is being fetched is given to a second holder when nothing else is left, and the first has had it for more than twice
//!   as long as the second usually takes for one.
//! - A holder is slow if it has worked for [`Terms::slow_after`] and moves less than a quarter of what the median of the others moves.
//!   The only holder of a piece that is still needed is never slow.

use super::Terms;
use crate::{
    pieces::{PIECE, PIECE_GROUPS, groups_of, piece_len, pieces},
    ranges::Ranges,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a run of pieces shall take.
const RUN: Duration = Duration::from_secs(1);
/// Pieces in the longest run: as much as one answer brings.
const LONGEST: u64 = crate::wire::MAX_GROUPS / PIECE_GROUPS;
/// How much the newest measurement counts in a holder's rate.
const NEWEST: f64 = 0.4;
/// Holders that fetch the same piece at the most.
const TOGETHER: usize = 2;

/// The number of a holder in a plan.
pub type Key = usize;

/// The plan of one fetch.
#[derive(Debug)]
pub struct Plan {
    size: u64,
    pieces: Vec<Piece>,
    seats: BTreeMap<Key, Seat>,
    left: u64,
    /// Bytes of the pieces that are there.
    held: u64,
    /// Where among equals the search begins, so that nodes that fetch at the same time have different pieces to give each other.
    start: u64,
    slow_after: Duration,
}

#[derive(Debug, Default)]
struct Piece {
    held: bool,
    /// Who fetches it now, and since when.
    by: Vec<(Key, Instant)>,
    /// Holders that have it.
    copies: u16,
}

#[derive(Debug)]
struct Seat {
    has: Vec<bool>,
    /// Bytes that came from it, verified.
    bytes: u64,
    /// What it moves, in bytes a second.
    rate: Option<f64>,
    /// Since when it works without a pause, and its bytes at the last measurement.
    busy: Option<Instant>,
    measured: (Instant, u64),
}

/// What a holder does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Verified bytes that came from it.
    pub bytes: u64,
    /// What it moves now, in bytes a second.
    pub rate: f64,
}

impl Plan {
    /// A plan for a blob of which some pieces are there.
    pub fn new(size: u64, held: &[bool], terms: &Terms) -> Self {
        let all = (0..pieces(size)).zip(held.iter().copied().chain(std::iter::repeat(false)));
        let pieces: Vec<Piece> = all.map(|(_, held)| Piece { held, ..Piece::default() }).collect();
        let left = pieces.iter().filter(|piece| !piece.held).count() as u64;
        let held = (0..).zip(&pieces).filter(|(_, piece)| piece.held).map(|(number, _)| piece_len(size, number)).sum();
        let start = terms.start.checked_rem(pieces.len() as u64).unwrap_or(0);
        Self { size, pieces, seats: BTreeMap::new(), left, held, start, slow_after: terms.slow_after }
    }

    /// Bytes of the blob.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are there.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Whether all is there.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    fn piece(&mut self, number: u64) -> Option<&mut Piece> {
        self.pieces.get_mut(usize::try_from(number).ok()?)
    }

    /// A holder says which groups it has: when it comes, and whenever it has more or less.
    pub fn seat(&mut self, key: Key, have: &Ranges, now: Instant) {
        let size = self.size;
        let has: Vec<bool> =
            (0..pieces(size)).map(|piece| groups_of(size, piece)).map(|(first, count)| have.cover(first, count)).collect();
        let seat =
            self.seats.entry(key).or_insert(Seat { has: Vec::new(), bytes: 0, rate: None, busy: None, measured: (now, 0) });
        for (at, piece) in self.pieces.iter_mut().enumerate() {
            let (before, after) = (seat.has.get(at) == Some(&true), has.get(at) == Some(&true));
            piece.copies = piece.copies.saturating_add(u16::from(after)).saturating_sub(u16::from(before));
        }
        seat.has = has;
    }

    /// A holder leaves; what it was to bring is open again.
    pub fn leave(&mut self, key: Key) {
        let Some(seat) = self.seats.remove(&key) else { return };
        for (piece, has) in self.pieces.iter_mut().zip(seat.has) {
            piece.copies = piece.copies.saturating_sub(u16::from(has));
            piece.by.retain(|(other, _)| *other != key);
        }
    }

    /// Gives a holder its next pieces, in a row and in order; none if there is nothing for it now.
    pub fn assign(&mut self, key: Key, now: Instant) -> Vec<u64> {
        let Some(seat) = self.seats.get_mut(&key) else { return Vec::new() };
        let count = self.pieces.len() as u64;
        let wanted = seat.rate.map_or(1, |rate| (rate * RUN.as_secs_f64() / PIECE as f64) as u64).clamp(1, LONGEST);
        // The last ones are shared out: a long run at the end would leave the others idle.
        let wanted = wanted.min((self.left / 4).max(1));
        let has = |number: u64| seat.has.get(number as usize) == Some(&true);
        let open = |number: &u64| {
            self.pieces.get(*number as usize).is_some_and(|piece| !piece.held && piece.by.is_empty() && has(*number))
        };
        let rarest = (0..count).filter(open).min_by_key(|number| {
            let copies = self.pieces.get(*number as usize).map_or(0, |piece| piece.copies);
            (copies, (number + count - self.start) % count)
        });
        let run: Vec<u64> = match rarest {
            Some(first) => (first..(first + wanted).min(count)).take_while(open).collect(),
            None => {
                // What it usually takes for a piece; unknown, it is not trusted with what others do.
                let Some(rate) = seat.rate.filter(|rate| *rate > 0.0) else { return Vec::new() };
                let patience = Duration::from_secs_f64((2.0 * PIECE as f64 / rate).min(3600.0));
                let late = |piece: &Piece| {
                    !piece.held
                        && piece.by.len() < TOGETHER
                        && piece.by.iter().all(|(other, since)| *other != key && now.saturating_duration_since(*since) > patience)
                };
                (0..)
                    .zip(&self.pieces)
                    .filter(|(number, piece)| has(*number) && late(piece))
                    .map(|(number, _)| number)
                    .take(1)
                    .collect()
            }
        };
        if !run.is_empty() && seat.busy.is_none() {
            seat.busy = Some(now);
            seat.measured = (now, seat.bytes);
        }
        for number in &run {
            if let Some(piece) = self.piece(*number) {
                piece.by.push((key, now));
            }
        }
        run
    }

    /// A holder does not bring a piece after all, and does not have it.
    pub fn lacks(&mut self, key: Key, number: u64) {
        let has = self.seats.get_mut(&key).and_then(|seat| seat.has.get_mut(usize::try_from(number).ok()?));
        let had = has.is_some_and(|has| std::mem::replace(has, false));
        if let Some(piece) = self.piece(number) {
            piece.by.retain(|(other, _)| *other != key);
            piece.copies = piece.copies.saturating_sub(u16::from(had));
        }
    }

    /// Verified bytes came from a holder.
    pub fn came(&mut self, key: Key, bytes: u64) {
        if let Some(seat) = self.seats.get_mut(&key) {
            seat.bytes += bytes;
        }
    }

    /// A piece is written. Says whether it was needed.
    pub fn done(&mut self, number: u64) -> bool {
        let Some(piece) = self.piece(number) else { return false };
        piece.by.clear();
        if std::mem::replace(&mut piece.held, true) {
            return false;
        }
        self.left -= 1;
        self.held += piece_len(self.size, number);
        true
    }

    /// Whether a piece is there already.
    pub fn is_held(&self, number: u64) -> bool {
        self.pieces.get(number as usize).is_some_and(|piece| piece.held)
    }

    /// A holder waits for work: that does not count against it.
    pub fn idle(&mut self, key: Key) {
        if let Some(seat) = self.seats.get_mut(&key) {
            seat.busy = None;
        }
    }

    /// Measures what each holder moved since the last time.
    pub fn measure(&mut self, now: Instant) {
        for seat in self.seats.values_mut().filter(|seat| seat.busy.is_some()) {
            let (since, before) = seat.measured;
            let passed = now.saturating_duration_since(since).as_secs_f64();
            if passed < 0.01 {
                continue;
            }
            let newest = (seat.bytes - before) as f64 / passed;
            seat.rate = Some(seat.rate.map_or(newest, |rate| rate + NEWEST * (newest - rate)));
            seat.measured = (now, seat.bytes);
        }
    }

    /// The holders that are slow now.
    pub fn slow(&self, now: Instant) -> Vec<Key> {
        let busy: Vec<(Key, f64)> = self
            .seats
            .iter()
            .filter(|(_, seat)| seat.busy.is_some())
            .filter_map(|(key, seat)| Some((*key, seat.rate?)))
            .collect();
        let is_slow = |(key, rate): &(Key, f64)| {
            let mut others: Vec<f64> = busy.iter().filter(|(other, _)| other != key).map(|(_, rate)| *rate).collect();
            others.sort_by(f64::total_cmp);
            let Some(median) = others.get(others.len() / 2) else { return false };
            let Some(seat) = self.seats.get(key) else { return false };
            let worked = seat.busy.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            worked >= self.slow_after && rate * 4.0 < *median && !self.is_needed(seat)
        };
        busy.iter().filter(|one| is_slow(one)).map(|(key, _)| *key).collect()
    }

    /// Whether it is the only holder of a piece that is still to come.
    fn is_needed(&self, seat: &Seat) -> bool {
        self.pieces.iter().zip(&seat.has).any(|(piece, has)| *has && !piece.held && piece.copies <= 1)
    }

    /// What a holder does.
    pub fn pace(&self, key: Key) -> Option<Pace> {
        self.seats
            .get(&key)
            .map(|seat| Pace { bytes: seat.bytes, rate: if seat.busy.is_some() { seat.rate.unwrap_or(0.0) } else { 0.0 } })
    }
}

#[cfg(test)]
mod tests;
