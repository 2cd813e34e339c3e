//! Which root a SHA-256 has: holders say, and the most are believed until the whole shows who was right.

use super::{
    Event, FetchError, Holder, Tell, Terms, Why,
    roster::{News, Roster},
    session::Line,
};
use crate::{
    throttle::pass,
    wire::{Code, Offer, Request, What},
};
use kith_types::{Blake3, Sha256};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::{Id, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

/// The pause before somebody who could not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// What holders are asked.
#[derive(Debug)]
pub struct Question {
    /// The digest whose root is sought.
    pub sha256: Sha256,
    /// The size of what has it, where that is known: who speaks of another has something else.
    pub size: Option<u64>,
    /// Roots that were found not to be it.
    pub refuted: HashSet<Blake3>,
}

impl Question {
    /// The root that is offered. One that cannot be it is none: whoever says so may have been told of another size.
    fn fits(&self, offer: &Offer) -> Result<Blake3, Why> {
        let other = self.size.is_some_and(|size| size != offer.size) || self.refuted.contains(&offer.root);
        if other { Err(Why::Absent) } else { Ok(offer.root) }
    }
}

/// Those who are asked, and what they said so far.
struct Inquiry<'a> {
    question: &'a Question,
    terms: &'a Terms,
    tasks: JoinSet<Answer>,
    names: HashMap<Id, String>,
    /// Failures of each, whatever came between them.
    failures: HashMap<String, u32>,
    /// Those who gave nothing at this hour when they were asked last.
    quiet: HashSet<String>,
}

struct Answer {
    holder: Arc<dyn Holder>,
    said: Result<Offer, Why>,
}

/// Asks the holders for the root of a SHA-256; gives the one that most of them name, of equals the one named first, and who named it.
///
/// # Errors
/// [`FetchError::NoHolder`], also where all who are there give nothing at this hour.
pub async fn agree(
    roster: &mut Roster,
    question: &Question,
    terms: &Terms,
    tell: &Tell,
) -> Result<(Blake3, Vec<String>), FetchError> {
    pass(&terms.gate).await;
    let mut inquiry = Inquiry::new(question, terms);
    let mut claims: Vec<(Blake3, Vec<String>)> = Vec::new();
    for (id, holder) in roster.known() {
        inquiry.ask(id, holder, Duration::ZERO);
    }
    let begin = Instant::now();
    let (mut until, mut silence) = (begin + terms.agreement, None);
    loop {
        let now = Instant::now();
        // Those who come a moment later may have something to say.
        silence = (claims.is_empty() && inquiry.is_quiet()).then(|| silence.unwrap_or(now));
        let end = silence.map_or(until, |since| until.min(since + terms.gather));
        let settled = inquiry.tasks.is_empty() && (roster.is_closed() || !claims.is_empty());
        if settled || now >= end {
            break;
        }
        tokio::select! {
            news = roster.news() => match news {
                News::New(id, holder) => inquiry.ask(id, holder, Duration::ZERO),
                News::Gone(id) => {
                    for (_, by) in &mut claims {
                        by.retain(|other| *other != id);
                    }
                }
                News::Nothing => {}
            },
            Some((id, answer)) = inquiry.next() => {
                let Some(Answer { holder, said }) = answer.filter(|_| roster.knows(&id)) else { continue };
                match said.and_then(|offer| question.fits(&offer)) {
                    Ok(root) => {
                        if claims.is_empty() {
                            until = Instant::now() + terms.gather;
                        }
                        match claims.iter_mut().find(|(other, _)| *other == root) {
                            Some((_, by)) => by.push(id),
                            None => claims.push((root, vec![id])),
                        }
                    }
                    Err(why) => {
                        if why == Why::Later(Code::Preparing) && claims.is_empty() {
                            // It has it, and is at work for us.
                            let most = begin + terms.prepare.max(terms.agreement);
                            until = until.max(Instant::now() + terms.patience).min(most);
                        }
                        if inquiry.asks_again(&id, &why) {
                            inquiry.ask(id, holder, AGAIN.min(terms.rest));
                            continue;
                        }
                        if why.is_false() {
                            roster.ban(&id);
                        }
                        tell(Event::Dropped { holder: id, why });
                    }
                }
            }
            () = sleep_until(end) => {}
        }
    }
    claims.retain(|(_, by)| !by.is_empty());
    // Of equals the last is taken by `max_by_key`, so the first must come last.
    claims.into_iter().rev().max_by_key(|(_, by)| by.len()).ok_or(FetchError::NoHolder)
}

impl<'a> Inquiry<'a> {
    fn new(question: &'a Question, terms: &'a Terms) -> Self {
        let (tasks, names) = (JoinSet::new(), HashMap::new());
        Self { question, terms, tasks, names, failures: HashMap::new(), quiet: HashSet::new() }
    }

    /// Asks a holder, after a pause.
    fn ask(&mut self, id: String, holder: Arc<dyn Holder>, pause: Duration) {
        let (sha256, terms) = (self.question.sha256, self.terms.clone());
        let task = self.tasks.spawn(async move {
            sleep(pause).await;
            let said = opinion(&*holder, sha256, &terms).await;
            Answer { holder, said }
        });
        self.names.insert(task.id(), id);
    }

    /// The next answer and whose it is; `None` once nobody is asked.
    async fn next(&mut self) -> Option<(String, Option<Answer>)> {
        let (task, answer) = match self.tasks.join_next_with_id().await? {
            Ok((task, answer)) => (task, Some(answer)),
            Err(error) => (error.id(), None),
        };
        Some((self.names.remove(&task).unwrap_or_default(), answer))
    }

    /// Whether a holder that did not name a root is asked once more.
    fn asks_again(&mut self, id: &str, why: &Why) -> bool {
        if *why == Why::Later(Code::Quiet) {
            self.quiet.insert(id.to_owned());
        } else {
            self.quiet.remove(id);
        }
        let failures = self.failures.entry(id.to_owned()).or_default();
        *failures += u32::from(!matches!(why, Why::Later(_)));
        !why.is_final() && *failures < self.terms.tries
    }

    /// Whether somebody is asked, and all who are gave nothing at this hour.
    fn is_quiet(&self) -> bool {
        !self.names.is_empty() && self.names.values().all(|id| self.quiet.contains(id))
    }
}

/// What a holder says.
async fn opinion(holder: &dyn Holder, sha256: Sha256, terms: &Terms) -> Result<Offer, Why> {
    pass(&terms.gate).await;
    let request = Request { what: What::Sha256(sha256), ranges: Vec::new(), max: 0 };
    let said = async {
        let mut line = Line::open(holder, terms).await?;
        line.ask(&request).await?;
        line.offer().await
    };
    timeout(terms.open + terms.answer, said).await.unwrap_or(Err(Why::Stalled))
}
