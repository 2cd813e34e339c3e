//! Why access was not given, or a credential not made.

use kith_keys::{EntropyError, KeyError};
use kith_store::StoreError;

/// Access was not given, or a credential could not be made. The texts are fit for callers, except those of the last four.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No credentials where some are needed, or wrong or expired ones.
    #[error("credentials are needed, and those presented, if any, are wrong or expired")]
    Unauthorized,
    /// The credentials are right, but do not reach this far.
    #[error("these credentials do not reach this far")]
    Forbidden,
    /// No password was ever set, so none can be right.
    #[error("no password has been set on this node yet")]
    NotConfigured,
    /// Not the password.
    #[error("wrong password")]
    WrongPassword,
    /// Too many passwords were tried.
    #[error("too many attempts; try again in {retry_after} s")]
    TooManyAttempts {
        /// Whole seconds until the next attempt is taken.
        retry_after: u64,
    },
    /// A value is out of its bounds.
    #[error("`{field}` {reason}")]
    Invalid {
        /// The value's name.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// As many keys exist as may.
    #[error("there are {0} keys already, as many as may be; revoke one first")]
    TooManyKeys(usize),
    /// No such key or session.
    #[error("there is no such key")]
    NotFound,
    /// Not the ticket that is outstanding, nor one that was.
    #[error("this is not the ticket that is shown; scan the code again")]
    WrongTicket,
    /// The ticket was right, and somebody came in with it already.
    #[error("this ticket was used already; ask for a new one")]
    TicketUsed,
    /// The ticket was right, but its five minutes are over.
    #[error("this ticket has expired; ask for a new one")]
    TicketExpired,
    /// The ticket was right, but was taken back, replaced, or made void by guessing.
    #[error("this ticket no longer holds; ask for a new one")]
    TicketWithdrawn,
    /// As many devices are paired as may be.
    #[error("{0} devices are paired already, as many as may be; revoke one first")]
    TooManyDevices(u64),
    /// No such device.
    #[error("there is no such device")]
    NoSuchDevice,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes, so no secret.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The file of the admin token failed.
    #[error(transparent)]
    TokenFile(#[from] KeyError),
    /// A password could not be hashed or compared.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}
