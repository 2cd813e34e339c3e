//! Command lines about private networks: invites, joining, members, peers.

use clap::{ArgAction, Args, Subcommand};
use std::path::PathBuf;

/// Options of `invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// Invite a phone instead: it gets the window, and answers of this node's models
    #[arg(long, conflicts_with_all = ["network", "uses", "expires", "label", "admin", "only", "file"])]
    pub phone: bool,
    /// The network, by name or id; the active one if left out
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// How many devices may come in
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub uses: u64,
    /// How long it is good for: 90s, 30m, 24h or 7d, one minute to 30 days
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = seconds)]
    pub expires: u64,
    /// A note for the list of invites
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub label: String,
    /// Who comes in may let in others, too
    #[arg(long, action = ArgAction::SetTrue)]
    pub admin: bool,
    /// The only node that may use it, by its id
    #[arg(long, value_name = "NODE_ID")]
    pub only: Option<String>,
    /// Write the invite to this file, which must not exist, and show no code
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Options of `join`.
#[derive(Debug, Args)]
pub struct Join {
    /// kith://join/…, or the file of an invite; `-` reads it from stdin
    #[arg(value_name = "CODE_OR_FILE")]
    pub invite: String,
    /// What this device is to be called in the network; its own name if left out
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Options of `speedtest`.
#[derive(Debug, Args)]
pub struct Speedtest {
    /// The peer, by name or id
    pub peer: String,
    /// Show the tests made so far, and make none
    #[arg(long)]
    pub history: bool,
}

/// The commands of `networks`.
#[derive(Debug, Subcommand)]
pub enum Networks {
    /// List the saved networks
    #[command(visible_alias = "ls")]
    List,
    /// Found a network and go onto it
    Create {
        /// What its members shall call it
        name: String,
        /// Only save it
        #[arg(long)]
        offline: bool,
    },
    /// Go onto a network, off another
    Connect {
        /// The network, by name or id; the active one if left out
        network: Option<String>,
    },
    /// Go offline; the node itself goes on
    Disconnect,
    /// Forget a network with its key and members; coming back needs a new invite
    Forget {
        /// The network, by name or id
        network: String,
    },
    /// List who belongs to a network
    Members {
        /// The network, by name or id; the active one if left out
        network: Option<String>,
    },
    /// List the invites this node gave out, or take one back
    Invites {
        /// The network, by name or id; the active one if left out
        network: Option<String>,
        /// Take back the invite with this id
        #[arg(long, value_name = "ID")]
        revoke: Option<String>,
    },
    /// Let a member let in others, too
    Promote {
        /// The member, by name or id
        member: String,
        /// The network, by name or id; the active one if left out
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,
    },
    /// Shut a member out; the key changes without it
    Remove {
        /// The member, by name or id
        member: String,
        /// The network, by name or id; the active one if left out
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Change the key; all members get the new one
    Rotate {
        /// The network, by name or id; the active one if left out
        network: Option<String>,
    },
    /// Print the key; it opens the door, but only an invite lets in
    Key {
        /// The network, by name or id; the active one if left out
        network: Option<String>,
    },
}

/// A span of time in seconds: a number with `s`, `m`, `h` or `d`.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "a number with s, m, h or d is needed, as 24h; one minute to 30 days".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (60..=30 * 86_400).contains(seconds)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_has_a_unit_and_bounds() {
        for (text, expected) in [("60s", 60), ("30m", 1800), ("24h", 86_400), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "59s", "31d", "24", "1w", "-1h", "h1", "99999999999999999999d", "24ü"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
