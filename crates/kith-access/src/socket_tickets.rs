//! Socket tickets: one-shot, 60 seconds, in memory, by which a page opens a WebSocket, to which browsers let it add no header.
//!
//! A ticket stands for the very principal that asked for it, so that what ends that principal's bearer ends the socket too.

use crate::{
    Access, AccessError, Presented, Principal,
    access::{expired, hash},
    mint::random_token,
    tickets::TICKET_MS,
};
use kith_types::Timestamp;
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};
use subtle::ConstantTimeEq;

/// The most tickets outstanding; one more makes the oldest void.
const MAX_TICKETS: usize = 256;
/// The longest ticket that is looked at, in bytes.
const MAX_LEN: usize = 512;

#[derive(Default)]
pub(crate) struct SocketTickets {
    outstanding: Mutex<VecDeque<Ticket>>,
}

struct Ticket {
    hash: [u8; 32],
    principal: Principal,
    expires: Timestamp,
}

impl SocketTickets {
    fn put(&self, token: &str, principal: Principal, now: Timestamp) {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        outstanding.retain(|ticket| !expired(Some(ticket.expires), now));
        while outstanding.len() >= MAX_TICKETS {
            outstanding.pop_front();
        }
        outstanding.push_back(Ticket { hash: hash(token), principal, expires: now.plus_ms(TICKET_MS) });
    }

    fn take(&self, token: &str, now: Timestamp) -> Option<Principal> {
        let hash = hash(token);
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        let at = outstanding.iter().position(|ticket| ticket.hash.ct_eq(&hash).into())?;
        outstanding.remove(at).filter(|ticket| !expired(Some(ticket.expires), now)).map(|ticket| ticket.principal)
    }
}

impl Access {
    /// Makes a ticket, good once and for 60 seconds, to open a socket as this principal. At most 256 are outstanding: one more makes
    /// the oldest void. Gives the ticket and its end.
    ///
    /// # Errors
    /// [`AccessError::Entropy`].
    pub fn issue_socket_ticket(&self, principal: &Principal) -> Result<(String, Timestamp), AccessError> {
        let ticket = random_token("kithw_", self.entropy.as_ref())?;
        let now = self.clock.now();
        self.socket_tickets.put(&ticket, principal.clone(), now);
        Ok((ticket, now.plus_ms(TICKET_MS)))
    }

    /// Who opens a socket with this ticket. A window's bootstrap ticket is taken too: it becomes a session, as elsewhere. By the
    /// listener for paired devices (`lan`) only their own tickets are good.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] for a ticket that is unknown, used or too old; [`AccessError::Entropy`], [`AccessError::Store`].
    pub async fn redeem_socket_ticket(&self, ticket: &str, remote: IpAddr, lan: bool) -> Result<Principal, AccessError> {
        if ticket.len() > MAX_LEN {
            return Err(AccessError::Unauthorized);
        }
        if let Some(principal) = self.socket_tickets.take(ticket, self.clock.now()) {
            if lan && !principal.is_device() {
                return Err(AccessError::Unauthorized);
            }
            return Ok(Principal { loopback: !lan && remote.to_canonical().is_loopback(), ..principal });
        }
        if lan {
            return Err(AccessError::Unauthorized);
        }
        let session = self.exchange(ticket).await?;
        self.authenticate(Presented { bearer: Some(&session.token), admin_token: None, mesh_token: None, remote, lan: false })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal() -> Principal {
        Principal::without_credentials([127, 0, 0, 1].into())
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_minute() {
        let tickets = SocketTickets::default();
        let now = Timestamp::from_ms(0);
        tickets.put("a", principal(), now);
        assert_eq!(tickets.take("a", now), Some(principal()));
        assert_eq!(tickets.take("a", now), None);
        tickets.put("b", principal(), now);
        assert_eq!(tickets.take("b", now.plus_ms(TICKET_MS)), None);
    }

    #[test]
    fn one_ticket_too_many_makes_the_oldest_void() {
        let tickets = SocketTickets::default();
        let now = Timestamp::from_ms(0);
        for n in 0..=MAX_TICKETS {
            tickets.put(&n.to_string(), principal(), now);
        }
        assert_eq!(tickets.take("0", now), None);
        assert!(tickets.take("1", now).is_some());
    }
}
