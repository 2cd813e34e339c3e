//! Which root a SHA-256 has: holders say, and the most are believed until the whole shows who was right.

use super::{
    Event, FetchError, Holder, Tell, Terms, Why,
    roster::{News, Roster},
    session::Line,
};
use crate::{
    throttle::pass,
    wire::{Request, What},
};
use kith_types::{Blake3, Sha256};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::{Id, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};

/// The pause before somebody who could not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Asks the holders for the root of `sha256`; gives the one that most of them name, of equals the one named first, and who named it.
///
/// # Errors
/// [`FetchError::NoHolder`].
pub async fn agree(roster: &mut Roster, sha256: Sha256, terms: &Terms, tell: &Tell) -> Result<(Blake3, Vec<String>), FetchError> {
    let (mut asked, mut names) = (JoinSet::new(), HashMap::new());
    let mut claims: Vec<(Blake3, Vec<String>)> = Vec::new();
    let ask = |asked: &mut JoinSet<_>, names: &mut HashMap<Id, String>, id: String, holder| {
        names.insert(asked.spawn(opinion(holder, sha256, terms.clone())).id(), id);
    };
    for (id, holder) in roster.known() {
        ask(&mut asked, &mut names, id, holder);
    }
    let mut until = Instant::now() + terms.patience;
    loop {
        let settled = asked.is_empty() && (roster.is_closed() || !claims.is_empty());
        if settled || Instant::now() >= until {
            break;
        }
        tokio::select! {
            news = roster.news() => match news {
                News::New(id, holder) => ask(&mut asked, &mut names, id, holder),
                News::Gone(id) => {
                    for (_, by) in &mut claims {
                        by.retain(|other| *other != id);
                    }
                }
                News::Nothing => {}
            },
            Some(said) = asked.join_next_with_id() => {
                let Ok((task, said)) = said else { continue };
                let Some(id) = names.remove(&task) else { continue };
                match said {
                    Ok(root) => {
                        if claims.is_empty() {
                            until = until.min(Instant::now() + terms.gather);
                        }
                        match claims.iter_mut().find(|(other, _)| *other == root) {
                            Some((_, by)) => by.push(id),
                            None => claims.push((root, vec![id])),
                        }
                    }
                    Err(why) => {
                        if why.is_false() {
                            roster.ban(&id);
                        }
                        tell(Event::Dropped { holder: id, why });
                    }
                }
            }
            () = sleep_until(until) => {}
        }
    }
    claims.retain(|(_, by)| !by.is_empty());
    // Of equals the last is taken by `max_by_key`, so the first must come last.
    claims.into_iter().rev().max_by_key(|(_, by)| by.len()).ok_or(FetchError::NoHolder)
}

async fn opinion(holder: Arc<dyn Holder>, sha256: Sha256, terms: Terms) -> Result<Blake3, Why> {
    let request = Request { what: What::Sha256(sha256), ranges: Vec::new(), max: 0 };
    let mut failures = 0;
    loop {
        pass(&terms.gate).await;
        let said = async {
            let mut line = Line::open(&*holder, &terms).await?;
            line.ask(&request).await?;
            line.offer().await
        };
        let why = match timeout(terms.open + terms.answer, said).await {
            Ok(Ok(offer)) => return Ok(offer.root),
            Ok(Err(why)) => why,
            Err(_) => Why::Stalled,
        };
        failures += u32::from(!matches!(why, Why::Later(_)));
        if why.is_final() || failures >= terms.tries {
            return Err(why);
        }
        sleep(AGAIN.min(terms.rest)).await;
    }
}
