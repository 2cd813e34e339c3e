//! One holder at work: a stream on which pieces are asked for, one request ahead of what comes, and verified as they come.

use super::{Holder, Terms, Why, Wire, plan::Key, work::Work};
use crate::{
    pieces::{PIECE, PIECE_GROUPS, Piece, groups_of, piece_len},
    ranges::Ranges,
    slice::{Step, Walk},
    throttle::pass,
    tree::{self, PAIR},
    wire::{self, Code, FrameError, MAX_ANSWER, Offer, Request, What},
};
use std::{collections::VecDeque, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, BufReader, ReadHalf, WriteHalf, split},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout},
};

/// Requests on their way at once: while one is answered, the holder knows the next.
const AHEAD: usize = 2;
/// How often who has nothing to do looks again: pieces become late by time alone.
const LOOK: Duration = Duration::from_millis(100);
/// How often a holder that has only parts is asked for news while it has nothing to do.
const NEWS: Duration = Duration::from_secs(2);

/// A stream to a holder, with its deadlines.
pub struct Line {
    read: BufReader<ReadHalf<Box<dyn Wire>>>,
    write: WriteHalf<Box<dyn Wire>>,
    answer: Duration,
    stall: Duration,
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Stalled,
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl Line {
    /// Opens a stream to a holder.
    pub async fn open(holder: &dyn Holder, terms: &Terms) -> Result<Self, Why> {
        let stream = timeout(terms.open, holder.open()).await.map_err(|_| Why::Stalled)??;
        let (read, write) = split(stream);
        Ok(Self { read: BufReader::with_capacity(64 << 10, read), write, answer: terms.answer, stall: terms.stall })
    }

    /// Sends a request.
    pub async fn ask(&mut self, request: &Request) -> Result<(), Why> {
        Ok(wire::send_request(&mut self.write, request).await?)
    }

    /// Reads the answer to the oldest request that has none yet.
    pub async fn offer(&mut self) -> Result<Offer, Why> {
        let frame = match wire::receive(&mut self.read, MAX_ANSWER, self.answer).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(Why::Broken("it ended the stream".to_owned())),
            Err(FrameError::Late) => return Err(Why::Stalled),
            Err(FrameError::Io(error)) => return Err(error.into()),
            Err(error) => return Err(Why::Lied(error.to_string())),
        };
        let answer = wire::read_answer(&frame).map_err(|error| Why::Lied(error.to_string()))?;
        answer.map_err(|refusal| match refusal.code {
            Code::Absent | Code::Damaged | Code::Malformed => Why::Absent,
            later => Why::Later(later),
        })
    }

    async fn fill(&mut self, into: &mut [u8]) -> Result<(), Why> {
        timeout(self.stall, self.read.read_exact(into)).await.map_err(|_| Why::Stalled)??;
        Ok(())
    }

    async fn pair(&mut self, walk: &mut Walk) -> Result<[u8; PAIR], Why> {
        let mut pair = [0; PAIR];
        self.fill(&mut pair).await?;
        walk.pair(&pair).map_err(|mismatch| Why::Corrupt { group: mismatch.group })?;
        Ok(pair)
    }

    /// Reads a group to the end of `bytes`; what is wrong does not stay there.
    async fn group(&mut self, walk: &mut Walk, len: usize, bytes: &mut Vec<u8>) -> Result<(), Why> {
        let start = bytes.len();
        bytes.resize(start + len, 0);
        let place = bytes.get_mut(start..).unwrap_or_default();
        let read = match self.fill(place).await {
            Ok(()) => walk.group(place).map_err(|mismatch| Why::Corrupt { group: mismatch.group }),
            Err(why) => Err(why),
        };
        if read.is_err() {
            bytes.truncate(start);
        }
        read
    }
}

/// Works with one holder until everything is there.
///
/// # Errors
/// Why it ended before.
pub async fn session(work: &Arc<Work>, holder: &dyn Holder, key: Key) -> Result<(), Why> {
    pass(&work.terms.gate).await;
    let mut line = Line::open(holder, &work.terms).await?;
    let what = What::Blake3(work.aim.root);
    line.ask(&Request { what, ranges: Vec::new(), max: 0 }).await?;
    let offer = checked(line.offer().await?, work)?;
    if work.proven().is_none() {
        prove(work, &mut line, &offer).await?;
    }
    let Some(proven) = work.proven() else { return Err(Why::Later(Code::Busy)) };
    if offer.size != proven.size {
        return Err(Why::Lied(format!("it says that {} bytes are {}", proven.size, offer.size)));
    }
    work.seat(key, &offer.have);
    let mut asked: VecDeque<Ranges> = VecDeque::new();
    let (mut writing, mut looked) = (None, Instant::now());
    let all = Ranges::up_to(tree::groups(offer.size));
    let mut have = offer.have;
    loop {
        // What others do is seen from here on, not from the next time it is waited for.
        let changed = work.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        while asked.len() < AHEAD && (work.terms.gate)() {
            let run = work.assign(key);
            let groups: Vec<_> = run.iter().map(|piece| groups_of(offer.size, *piece)).collect();
            let Some(ranges) = Ranges::read(&groups, tree::groups(offer.size)).filter(|ranges| !ranges.is_empty()) else { break };
            line.ask(&Request { what, ranges: ranges.pairs().to_vec(), max: ranges.groups() }).await?;
            asked.push_back(ranges);
        }
        let Some(ranges) = asked.pop_front() else {
            if work.is_done() {
                return Ok(());
            }
            work.idle(key);
            let _ = timeout(LOOK, changed).await;
            // Who has only parts may have more by now.
            if have != all && looked.elapsed() >= NEWS && (work.terms.gate)() {
                looked = Instant::now();
                line.ask(&Request { what, ranges: Vec::new(), max: 0 }).await?;
                asked.push_back(Ranges::default());
            }
            continue;
        };
        let offer = checked(line.offer().await?, work)?;
        if offer.size != proven.size || offer.sends.among(&ranges, u64::MAX) != offer.sends {
            return Err(Why::Lied("it sends something else than it was asked for".to_owned()));
        }
        if offer.sends.is_empty() && !ranges.among(&offer.have, 1).is_empty() {
            return Err(Why::Lied("it does not send what it says that it has".to_owned()));
        }
        if offer.have != have {
            work.seat(key, &offer.have);
            have.clone_from(&offer.have);
        }
        for (first, count) in ranges.pairs() {
            for piece in first / PIECE_GROUPS..(first + count).div_ceil(PIECE_GROUPS) {
                let (first, count) = groups_of(offer.size, piece);
                if !offer.sends.cover(first, count) {
                    work.lacks(key, piece);
                }
            }
        }
        take(work, &mut line, holder, key, &offer, &mut writing).await?;
    }
}

/// The holder speaks of the blob it was asked for.
fn checked(offer: Offer, work: &Work) -> Result<Offer, Why> {
    if offer.root != work.aim.root {
        return Err(Why::Lied("it speaks of another blob".to_owned()));
    }
    // Whoever named this root, or told the size, may be wrong; the holder of the root need not be.
    let other = work.proven().is_none() && work.aim.size.is_some_and(|size| size != offer.size);
    if other { Err(Why::Absent) } else { Ok(offer) }
}

/// Proves the size that a holder says, by the last group.
async fn prove(work: &Arc<Work>, line: &mut Line, offer: &Offer) -> Result<(), Why> {
    let last = Ranges::one(tree::groups(offer.size) - 1, 1);
    if offer.have.among(&last, 1) != last {
        return Err(Why::Later(Code::Busy));
    }
    line.ask(&Request { what: What::Blake3(offer.root), ranges: last.pairs().to_vec(), max: 1 }).await?;
    let sent = checked(line.offer().await?, work)?;
    if sent.size != offer.size || sent.sends != last {
        return Err(Why::Lied("it does not send what it says that it has".to_owned()));
    }
    let mut walk = Walk::new(&sent.root, sent.size, last).ok_or_else(|| Why::Lied("it has no such size".to_owned()))?;
    let mut bytes = Vec::new();
    while let Some(step) = walk.step() {
        match step {
            Step::Pair(_) => drop(line.pair(&mut walk).await?),
            Step::Group { len, .. } => line.group(&mut walk, len, &mut bytes).await?,
        }
    }
    work.prove(sent.size).await;
    Ok(())
}

/// Reads the slice that follows an offer and has its pieces written, one at a time.
async fn take(
    work: &Arc<Work>,
    line: &mut Line,
    holder: &dyn Holder,
    key: Key,
    offer: &Offer,
    writing: &mut Option<JoinHandle<()>>,
) -> Result<(), Why> {
    let mut walk =
        Walk::new(&offer.root, offer.size, offer.sends.clone()).ok_or_else(|| Why::Lied("it has no such ranges".to_owned()))?;
    let (mut bytes, mut pairs, mut current) = (Vec::new(), Vec::new(), None);
    while let Some(step) = walk.step() {
        let (index, len) = match step {
            Step::Pair(number) => {
                pairs.push((number, line.pair(&mut walk).await?));
                continue;
            }
            Step::Group { index, len } => (index, len),
        };
        let number = index / PIECE_GROUPS;
        if current != Some(number) {
            current = Some(number);
            bytes.clear();
            bytes.reserve(usize::try_from(piece_len(offer.size, number).min(PIECE)).unwrap_or_default());
        }
        work.terms.download.take(holder.id(), len as u64).await;
        line.group(&mut walk, len, &mut bytes).await?;
        work.came(key, len as u64);
        let (first, count) = groups_of(offer.size, number);
        let whole = index + 1 == first + count && bytes.len() as u64 == piece_len(offer.size, number);
        if !whole || work.is_held(number) {
            continue;
        }
        // The disk is waited for here, and so is the holder: nothing piles up.
        if let Some(before) = writing.take() {
            let _ = before.await;
        }
        let mut piece = Piece { number, bytes: std::mem::take(&mut bytes), pairs: std::mem::take(&mut pairs) };
        let work = Arc::clone(work);
        *writing = Some(spawn_blocking(move || work.write(&mut piece)));
    }
    Ok(())
}
