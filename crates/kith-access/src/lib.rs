//! Who may call: passwords, bearers, API keys, tickets, rate limits.
//!
//! Knows nothing of HTTP: it takes what a caller presented and says who that is, how far they reach and how often they may ask.

mod access;
mod admin_token;
mod error;
mod guesses;
mod keys;
mod limits;
mod mint;
mod password;
mod principal;
mod sessions;
mod socket_tickets;
mod tickets;
mod touches;

mod devices;
mod pairing;

pub use access::{Access, AccessConfig, AccessParts, Presented};
pub use devices::{Device, Here, MAX_DEVICES, device_name};
pub use pairing::{Claimed, PAIRING_MS, PairingState};

pub use admin_token::AdminTokenFile;
pub use error::AccessError;
pub use keys::{KeyInfo, MAX_KEYS, keys_in, mint_key_in};
pub use kith_store::BearerKind;
pub use limits::{Class, Limits, Rate};
pub use mint::Minted;
pub use principal::{BearerId, Level, LimitKey, Principal, Who};
