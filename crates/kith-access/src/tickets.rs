//! Bootstrap tickets: one-shot, 60 seconds, in memory, by which a window gets its first session without a password.

use crate::access::{expired, hash};
use kith_store::BearerKind;
use kith_types::{Scope, Timestamp};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use subtle::ConstantTimeEq;

/// How long a ticket is good for.
pub(crate) const TICKET_MS: i64 = 60_000;
/// The most tickets outstanding; one more makes the oldest void.
pub(crate) const MAX_TICKETS: usize = 32;

/// What a ticket is exchanged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) kind: BearerKind,
    pub(crate) scope: Scope,
}

#[derive(Default)]
pub(crate) struct Tickets {
    outstanding: Mutex<VecDeque<Ticket>>,
}

struct Ticket {
    hash: [u8; 32],
    admission: Admission,
    expires: Timestamp,
}

impl Tickets {
    pub(crate) fn put(&self, token: &str, admission: Admission, now: Timestamp) {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        outstanding.retain(|ticket| !expired(Some(ticket.expires), now));
        while outstanding.len() >= MAX_TICKETS {
            outstanding.pop_front();
        }
        outstanding.push_back(Ticket { hash: hash(token), admission, expires: now.plus_ms(TICKET_MS) });
    }

    /// Takes the ticket away; `None` for one that is unknown, used or too old.
    pub(crate) fn take(&self, token: &str, now: Timestamp) -> Option<Admission> {
        let hash = hash(token);
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        let at = outstanding.iter().position(|ticket| ticket.hash.ct_eq(&hash).into())?;
        outstanding.remove(at).filter(|ticket| !expired(Some(ticket.expires), now)).map(|ticket| ticket.admission)
    }
}
