//! What a change of the network's key means, and a removal with it.

use super::list;
use crate::view::{format, words::plural};
use kith_wire::networks::{KeyRotated, RemovalConsequences};

/// What removing a device does, point by point, before it is done.
pub fn consequences(name: &str, removal: &RemovalConsequences, offline: &[String]) -> Vec<String> {
    let mut points = vec![if removal.disconnects {
        format!("{name} is cut off at once and finds no way back. What it holds already stays on it.")
    } else {
        format!("{name} is shut out the moment it tries to come back. What it holds already stays on it.")
    }];
    points.push(match removal.told_now {
        0 => "The network gets a new key.".to_owned(),
        told => {
            format!("The network gets a new key: {} now.", plural(told, "connected device takes it", "connected devices take it"))
        }
    });
    if removal.told_later > 0 {
        let days = format::duration_ms(removal.kept_for_s.saturating_mul(1000));
        let is_one = removal.told_later == 1;
        let who = if offline.len() as u64 == removal.told_later {
            list(offline)
        } else {
            plural(removal.told_later, "device that is away", "devices that are away")
        };
        let (gets, its, they) = if is_one { ("gets", "its", "it needs") } else { ("get", "their", "they need") };
        points.push(format!("{who} {gets} it on {its} return, if that is within {days}. After that {they} a new invite."));
    }
    if removal.invites_ended > 0 {
        let ended = plural(removal.invites_ended, "open invite ends", "open invites end");
        points.push(format!("{ended}: it may have seen them."));
    }
    points
}

/// What a rotation did.
pub fn rotated(key: &KeyRotated, offset: i64) -> String {
    let others = key.sealed_to.saturating_sub(1);
    let later = others.saturating_sub(key.told);
    let told = match (others, key.told) {
        (0, _) => "No other device is in the network.".to_owned(),
        (_, 0) => "No other device is connected.".to_owned(),
        (_, told) => format!("{} it.", plural(told, "device has", "devices have")),
    };
    let later = match later {
        0 => String::new(),
        1 => format!(" One more gets it on its return, until {}.", format::date(key.kept_until_ms.ms(), offset)),
        many => format!(" {many} more get it on their return, until {}.", format::date(key.kept_until_ms.ms(), offset)),
    };
    format!("The network has key {} now. {told}{later}", key.key_epoch)
}
