//! What rotations of one number say together. Admins may sign at once without knowing of one another, and one of them may have
//! removed the other; every node comes to the same, in whatever order it hears them. The rule stands in the crate's documentation.

use crate::{Role, Rotation, Standing};
use kith_store::Vouch;
use kith_types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Rotations of one number by one signer that was shut out at that number: who signs in good faith signs one.
pub(crate) const MAX_TIED: usize = 4;

/// What holds of the rotations of one number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settled {
    /// Who is shut out, and since when.
    pub removed: BTreeMap<NodeId, u64>,
    /// Who belongs to the network, and as what.
    pub listed: BTreeMap<NodeId, Role>,
    /// The signers who were shut out by another one of that number.
    pub contested: BTreeSet<NodeId>,
}

/// What one signer said, in all its rotations of that number.
#[derive(Default)]
struct Said {
    /// Whom it shuts out now.
    acts: BTreeSet<NodeId>,
    /// Who was shut out before, as it says.
    before: BTreeMap<NodeId, u64>,
    listed: BTreeMap<NodeId, Role>,
}

/// Settles rotations that all have the same number.
pub(crate) fn settle<'a>(founder: &NodeId, rotations: impl IntoIterator<Item = &'a Rotation>) -> Settled {
    let mut said: BTreeMap<NodeId, Said> = BTreeMap::new();
    let mut epoch = 0;
    for rotation in rotations {
        epoch = rotation.epoch;
        let by = said.entry(rotation.by.clone()).or_default();
        for (node, since) in rotation.shut_out().filter(|(node, _)| *node != founder && **node != rotation.by) {
            if since == epoch {
                by.acts.insert(node.clone());
            } else {
                let known = by.before.entry(node.clone()).or_insert(since);
                *known = since.max(*known);
            }
        }
        for (node, role) in rotation.listed() {
            let known = by.listed.entry(node.clone()).or_insert(role);
            *known = role.max(*known);
        }
    }
    let blows = blows(&said);
    let contested: BTreeSet<NodeId> = blows.iter().map(|(_, to)| (*to).clone()).collect();
    let mut settled = Settled { removed: contested.iter().map(|node| (node.clone(), epoch)).collect(), ..Settled::default() };
    let (out, heard): (Vec<_>, Vec<_>) = said.iter().partition(|(by, _)| contested.contains(*by));
    for (_, said) in &heard {
        for (node, since) in
            said.acts.iter().map(|node| (node, epoch)).chain(said.before.iter().map(|(node, since)| (node, *since)))
        {
            let known = settled.removed.entry(node.clone()).or_insert(since);
            *known = since.max(*known);
        }
        for (node, role) in &said.listed {
            let known = settled.listed.entry(node.clone()).or_insert(*role);
            *known = (*role).max(*known);
        }
    }
    if heard.is_empty() {
        agreed(&out.into_iter().map(|(_, said)| said).collect::<Vec<_>>(), &mut settled);
    }
    settled.contested = contested;
    settled
}

/// Where all are out: what every one of them says, since no one of them is to be believed alone.
fn agreed(all: &[&Said], settled: &mut Settled) {
    let Some((first, rest)) = all.split_first() else { return };
    for (node, since) in &first.before {
        let others: Option<Vec<u64>> = rest.iter().map(|said| said.before.get(node).copied()).collect();
        if let Some(others) = others {
            settled.removed.entry(node.clone()).or_insert_with(|| others.into_iter().fold(*since, u64::min));
        }
    }
    for (node, role) in &first.listed {
        let others: Option<Vec<Role>> = rest.iter().map(|said| said.listed.get(node).copied()).collect();
        if let Some(others) = others {
            settled.listed.insert(node.clone(), others.into_iter().fold(*role, Role::min));
        }
    }
}

/// Which signers shut out which others, of those removals that hold: two that remove one another, both; else one whose signer was not
/// removed itself by one that holds; in a ring of removals, all.
fn blows(said: &BTreeMap<NodeId, Said>) -> BTreeSet<(&NodeId, &NodeId)> {
    let removes = |from: &NodeId, to: &NodeId| said.get(from).is_some_and(|said| said.acts.contains(to));
    let all = said.iter().flat_map(|(from, by)| by.acts.iter().map(move |to| (from, to)));
    let all = all.filter(|(_, to)| said.contains_key(*to));
    let (mut hold, mut open): (BTreeSet<_>, BTreeSet<_>) = all.partition(|(from, to)| removes(to, from));
    loop {
        let is_hit = |node: &NodeId| hold.iter().any(|(_, to)| *to == node);
        let may_be_hit = |node: &NodeId| open.iter().any(|(_, to)| *to == node);
        let Some(next) = open.iter().copied().find(|(from, _)| is_hit(from) || !may_be_hit(from)) else { break };
        if !is_hit(next.0) {
            hold.insert(next);
        }
        open.remove(&next);
    }
    hold.append(&mut open);
    hold
}

/// What is to be kept of who belongs to the network once `new` stands beside the `known` rotations of all numbers; and what holds of
/// its number.
pub(crate) fn weigh(founder: &NodeId, known: &[Rotation], new: &Rotation) -> (Vec<Vouch>, Settled) {
    let of = |epoch: u64| known.iter().chain([new]).filter(move |rotation| rotation.epoch == epoch);
    let settled = settle(founder, of(new.epoch));
    let listed =
        |node: &NodeId, role: Role, epoch| Vouch::Listed { node: node.to_string(), role: role.as_str().to_owned(), epoch };
    if settled.contested.is_empty() {
        let removed = new.shut_out().map(|(node, epoch)| Vouch::Removed { node: node.to_string(), epoch });
        return (new.listed().map(|(node, role)| listed(node, role, new.epoch)).chain(removed).collect(), settled);
    }
    // What was kept of a contested rotation when it came first holds no longer: all whom it names are looked up anew.
    let named: BTreeSet<&NodeId> =
        of(new.epoch).flat_map(|rotation| rotation.listed().map(|it| it.0).chain(rotation.shut_out().map(|it| it.0))).collect();
    let epochs: BTreeSet<u64> = known.iter().map(|rotation| rotation.epoch).chain([new.epoch]).collect();
    let all: Vec<(u64, Settled)> = epochs.into_iter().map(|epoch| (epoch, settle(founder, of(epoch)))).collect();
    let exactly = |node: &NodeId| Vouch::Exactly {
        node: node.to_string(),
        removed: all.iter().filter_map(|(_, settled)| settled.removed.get(node).copied()).max(),
        listed: all.iter().rev().find_map(|(epoch, settled)| Some((*epoch, settled.listed.get(node)?.as_str().to_owned()))),
    };
    (named.into_iter().map(exactly).collect(), settled)
}

/// What is known once this is kept, with `epoch` as the present one.
pub(crate) fn merged(standing: &Standing, vouches: &[Vouch], epoch: u64) -> Standing {
    let mut merged = Standing { present: standing.present.max(epoch), ..standing.clone() };
    for vouch in vouches {
        let (Vouch::Listed { node, .. } | Vouch::Removed { node, .. } | Vouch::Exactly { node, .. }) = vouch;
        let Ok(node) = node.parse::<NodeId>() else { continue };
        match vouch {
            Vouch::Removed { epoch, .. } => {
                let known = merged.removed.entry(node).or_insert(*epoch);
                *known = (*known).max(*epoch);
            }
            Vouch::Listed { role, epoch, .. } => {
                let Ok(role) = role.parse() else { continue };
                let known = merged.vouched.entry(node).or_insert((*epoch, role));
                *known = (*known).max((*epoch, role));
            }
            Vouch::Exactly { removed, listed, .. } => {
                merged.removed.remove(&node);
                merged.vouched.remove(&node);
                merged.removed.extend(removed.map(|epoch| (node.clone(), epoch)));
                let listed = listed.as_ref().and_then(|(epoch, role)| Some((*epoch, role.parse().ok()?)));
                merged.vouched.extend(listed.map(|listed| (node, listed)));
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests;
