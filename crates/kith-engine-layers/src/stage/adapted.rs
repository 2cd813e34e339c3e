//! What adapters add to the products of a step, for the tokens of the sequences that have one.
//!
//! The tokens of all sequences with the same adapter are multiplied together, whichever they are: a token's numbers do not depend on it.

use super::{Next, buffers::sized};
use crate::adapter::{Pair, Part, Place, Weights};
use kith_kernels::{Activations, Pool, Product, Set, multiply, vector};
use std::sync::Arc;

/// Products of one call at most: queries, keys and values.
const MOST: usize = 3;
/// Numbers that one thread adds without asking the others.
const ALONE: usize = 8192;

/// The columns of a product that an adapter works on, in ascending order.
pub(super) struct Share {
    adapter: Arc<Weights>,
    columns: Vec<usize>,
}

/// The adapters of a step.
#[derive(Default)]
pub(super) struct Adapting {
    shares: Vec<Share>,
    work: Work,
}

/// Numbers on the way, kept from step to step.
#[derive(Default)]
pub(super) struct Work {
    inputs: Vec<f32>,
    gathered: Activations,
    low: [Vec<f32>; MOST],
    narrow: Activations,
    added: Vec<f32>,
}

impl Adapting {
    /// Notes which tokens of a step have which adapter.
    pub(super) fn begin(&mut self, nexts: &[Next<'_>]) {
        self.shares.clear();
        let mut before = 0;
        for next in nexts {
            let columns = before..before + next.tokens;
            before += next.tokens;
            let Some(adapter) = next.track.adapter() else { continue };
            match self.shares.iter_mut().find(|share| Arc::ptr_eq(&share.adapter, adapter)) {
                Some(share) => share.columns.extend(columns),
                None => self.shares.push(Share { adapter: Arc::clone(adapter), columns: columns.collect() }),
            }
        }
    }

    /// Lets go of the adapters of the step but for those whose part in the logits is still to come.
    pub(super) fn end(&mut self) {
        self.shares.retain(|share| share.adapter.pair(Place::new(0, Part::Head)).is_some());
    }

    /// The shares of a product whose columns are these tokens.
    pub(super) fn among(&self, tokens: impl Iterator<Item = usize> + Clone) -> Vec<Share> {
        let share = |share: &Share| {
            let columns = tokens.clone().enumerate().filter(|(_, token)| share.columns.binary_search(token).is_ok());
            Share { adapter: Arc::clone(&share.adapter), columns: columns.map(|(column, _)| column).collect() }
        };
        self.shares.iter().map(share).filter(|share| !share.columns.is_empty()).collect()
    }

    /// The step's shares.
    pub(super) fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// The same, and the work.
    pub(super) fn parts(&mut self) -> (&[Share], &mut Work) {
        (&self.shares, &mut self.work)
    }

    /// Adds to products over all tokens of the step; see [`Work::add`].
    pub(super) fn add(&mut self, pool: &Pool, set: Set, inputs: &Activations, outs: &mut [(Place, &mut [f32])]) {
        self.work.add(pool, set, &self.shares, inputs, outs);
    }

    /// The buffers alone.
    pub(super) fn work(&mut self) -> &mut Work {
        &mut self.work
    }
}

impl Work {
    /// Adds what the adapters make of `inputs` to the products there (at most three), column by column.
    pub(super) fn add(
        &mut self,
        pool: &Pool,
        set: Set,
        shares: &[Share],
        inputs: &Activations,
        outs: &mut [(Place, &mut [f32])],
    ) {
        for Share { adapter, columns } in shares {
            let mut adapted: Vec<(&Pair, &mut [f32])> = Vec::with_capacity(MOST);
            adapted.extend(outs.iter_mut().filter_map(|(place, out)| Some((adapter.pair(*place)?, &mut **out))));
            if adapted.is_empty() {
                continue;
            }
            let inputs = if columns.len() == inputs.count() {
                inputs
            } else {
                self.inputs.clear();
                columns.iter().for_each(|column| self.inputs.extend_from_slice(inputs.values(*column..*column + 1)));
                self.gathered.load(pool, set, &self.inputs, inputs.depth());
                &self.gathered
            };
            let mut products: Vec<Product<'_>> = Vec::with_capacity(MOST);
            for ((pair, _), low) in adapted.iter().zip(&mut self.low) {
                products.push(Product { matrix: &pair.a, out: sized(low, columns.len() * pair.a.rows()) });
            }
            multiply(pool, set, inputs, &mut products);
            for ((pair, out), low) in adapted.into_iter().zip(&self.low) {
                let rows = pair.b.rows();
                self.narrow.load(pool, set, low, pair.b.depth());
                let added = sized(&mut self.added, columns.len() * rows);
                multiply(pool, set, &self.narrow, &mut [Product { matrix: &pair.b, out: added }]);
                add_rows(pool, set, out, added, columns, rows);
            }
        }
    }
}

/// Adds vectors of `rows` numbers, one after another in `added`, to those columns of `out`.
fn add_rows(pool: &Pool, set: Set, out: &mut [f32], added: &[f32], columns: &[usize], rows: usize) {
    let mut next = 0;
    let mut out = out.chunks_exact_mut(rows);
    let mut each = columns.iter().zip(added.chunks_exact(rows)).filter_map(|(column, added)| {
        let skipped = column - next;
        next = column + 1;
        Some((out.nth(skipped)?, added))
    });
    if added.len() <= ALONE || pool.threads() == 1 {
        each.for_each(|(out, added)| vector::add(set, out, added));
        return;
    }
    let mut all: Vec<(&mut [f32], &[f32])> = each.by_ref().collect();
    let together = all.len().div_ceil(4 * pool.threads());
    pool.for_chunks(&mut all, together, |_, all| all.iter_mut().for_each(|(out, added)| vector::add(set, out, added)));
}

#[cfg(test)]
mod tests;
