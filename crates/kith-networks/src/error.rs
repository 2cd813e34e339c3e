//! Why something about a network could not be done, by what the caller can do about it.

use crate::InviteFault;
use kith_keys::{EntropyError, EnvelopeError, OpenError};
use kith_store::StoreError;

/// Something about a network could not be done. The texts are fit for callers, except those of the last four.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No such network.
    #[error("there is no such network")]
    NotFound,
    /// No network is active.
    #[error("no network is active; create one or join one first")]
    NoneActive,
    /// A value is out of its bounds.
    #[error("`{field}` {reason}")]
    Invalid {
        /// The value's name.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The invite cannot be used here.
    #[error(transparent)]
    Invite(#[from] InviteFault),
    /// This node is in that network already.
    #[error("this node is in the network `{0}` already")]
    AlreadyMember(String),
    /// The network is connected; it must be disconnected first.
    #[error("the network is connected; disconnect it before it is forgotten")]
    Connected,
    /// As many of something as may be.
    #[error("there are {most} {what} already, as many as may be")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many may be.
        most: usize,
    },
    /// This node was not let in yet, or not any more.
    #[error("this node has no valid membership in the network")]
    NotMember,
    /// Only admin devices of the network may do this.
    #[error("only an admin device of the network may do this")]
    NotAdmin,
    /// No such invite.
    #[error("there is no such invite")]
    NoSuchInvite,
    /// The invite was used up, taken back or is over.
    #[error("the invite holds no longer")]
    InviteOver,
    /// No such member.
    #[error("there is no such member")]
    NoSuchMember,
    /// A device does not remove itself.
    #[error("a device does not remove itself; forget the network here, or remove this device from another one")]
    Itself,
    /// The founder's device is removed by nobody.
    #[error("the founder's device cannot be removed; every membership of the network goes back to it")]
    Founder,
    /// A rotation was signed by an admin that had been removed. Who has not heard of that hands it on in good faith.
    #[error("the rotation was signed by a device that was removed from this network")]
    RemovedSigner,
    /// A rotation, a welcome or a record is not what it should be.
    #[error("{0}")]
    Refused(String),
    /// What this node keeps of the network cannot be read.
    #[error("what is kept of the network is damaged: {0}")]
    Damaged(String),
    /// A secret kept sealed cannot be opened.
    #[error("a sealed secret cannot be opened: {0}")]
    Sealed(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes, so no secret.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl NetworkError {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }
}

impl From<EnvelopeError> for NetworkError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Entropy(error) => Self::Entropy(error),
            weak @ EnvelopeError::WeakKey(_) => Self::Refused(weak.to_string()),
        }
    }
}

/// The longest name of a network or a device, in characters.
pub(crate) const MAX_NAME: usize = 64;

/// A name without the blanks around it: 1 to 64 characters, no control characters.
pub(crate) fn name<'a>(field: &'static str, given: &'a str) -> Result<&'a str, NetworkError> {
    let name = given.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(NetworkError::invalid(
            field,
            format!("must have 1 to {MAX_NAME} characters, none of them a control character"),
        ));
    }
    Ok(name)
}

/// Another node's name made fit to be shown: no control characters, at most 64 characters.
pub(crate) fn shown(given: &str) -> String {
    let printable: String = given.chars().filter(|c| !c.is_control()).collect();
    let cut: String = printable.trim().chars().take(MAX_NAME).collect();
    cut.trim_end().to_owned()
}
