//! What sequences begin with, kept after they end and shared while they run: a tree of blocks by their tokens, of bounded size.
//!
//! A node is one block: 64 tokens, or fewer where a sequence ended. Children continue full nodes only. When there are too many, the leaf
//! that was not used for longest goes first. Sequences with different adapters share nothing. Keys and values have the same bits whoever worked them out, so what is found here is exactly
//! what would be worked out anew.

use crate::{
    adapter::{Key, Weights},
    cache::{BLOCK, Block, Track},
};
use std::sync::Arc;

/// The tree.
pub(crate) struct PrefixTree {
    nodes: Vec<Option<Node>>,
    free: Vec<usize>,
    roots: Vec<usize>,
    /// The most blocks.
    most: usize,
    /// Counts uses.
    clock: u64,
}

struct Node {
    tokens: Vec<u32>,
    /// What the sequence was read with.
    adapter: Option<Key>,
    block: Arc<Block>,
    parent: Option<usize>,
    children: Vec<usize>,
    used: u64,
}

impl PrefixTree {
    /// An empty tree that will hold `most` blocks.
    pub(crate) fn new(most: usize) -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), roots: Vec::new(), most, clock: 0 }
    }

    /// Blocks it holds.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// The longest beginning of `tokens` that is known with this adapter, up to `most` tokens.
    pub(crate) fn find(&mut self, tokens: &[u32], most: usize, adapter: Option<&Arc<Weights>>) -> Track {
        self.clock += 1;
        let (mut blocks, mut length, mut parent) = (Vec::new(), 0, None);
        let mut left = &tokens[..most.min(tokens.len())];
        let key = adapter.map(|adapter| adapter.key());
        while let Some((at, common)) = self.likest(parent, left, key) {
            let Some(node) = self.nodes[at].as_mut() else { break };
            node.used = self.clock;
            blocks.push(Arc::clone(&node.block));
            length += common;
            if common < BLOCK {
                break;
            }
            (parent, left) = (Some(at), &left[BLOCK..]);
        }
        Track::of(blocks, length, adapter.cloned())
    }

    /// Keeps the blocks of a track whose tokens are these. Without `tail`, only full ones.
    pub(crate) fn keep(&mut self, tokens: &[u32], track: &Track, tail: bool) {
        self.clock += 1;
        let key = track.adapter().map(|adapter| adapter.key());
        let mut parent = None;
        for (chunk, block) in tokens[..track.len().min(tokens.len())].chunks(BLOCK).zip(track.blocks()) {
            if chunk.len() < BLOCK && !tail {
                break;
            }
            let place = match self.likest(parent, chunk, key) {
                // Known, or longer than this.
                Some((at, common)) if common == chunk.len() => at,
                // Known up to where another sequence ended: this one goes on.
                Some((at, common)) if self.nodes[at].as_ref().is_some_and(|node| node.tokens.len() == common) => {
                    if let Some(node) = self.nodes[at].as_mut() {
                        node.tokens = chunk.to_vec();
                        node.block = Arc::clone(block);
                    }
                    at
                }
                _ => self.add(Node {
                    tokens: chunk.to_vec(),
                    adapter: key.cloned(),
                    block: Arc::clone(block),
                    parent,
                    children: Vec::new(),
                    used: self.clock,
                }),
            };
            if let Some(node) = self.nodes[place].as_mut() {
                node.used = self.clock;
            }
            parent = Some(place);
        }
        while self.len() > self.most && self.forget() {}
    }

    /// Of those that continue `parent` with this adapter, the one that has most tokens in common with `tokens`, and how many; at least one.
    fn likest(&self, parent: Option<usize>, tokens: &[u32], adapter: Option<&Key>) -> Option<(usize, usize)> {
        let children = match parent {
            None => &self.roots,
            Some(parent) => &self.nodes.get(parent)?.as_ref()?.children,
        };
        let common = |at: &usize| {
            let node = self.nodes[*at].as_ref().filter(|node| node.adapter.as_ref() == adapter)?;
            let common = node.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            (common > 0).then_some((*at, common))
        };
        children.iter().filter_map(common).max_by_key(|(_, common)| *common)
    }

    fn add(&mut self, node: Node) -> usize {
        let parent = node.parent;
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at] = Some(node);
                at
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        };
        self.children_of(parent).push(at);
        at
    }

    /// Forgets the leaf that was not used for longest.
    fn forget(&mut self) -> bool {
        let leaves = self.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.as_ref()?)));
        let leaves = leaves.filter(|(_, node)| node.children.is_empty());
        let Some(at) = leaves.min_by_key(|(_, node)| node.used).map(|(at, _)| at) else { return false };
        if let Some(node) = self.nodes[at].take() {
            self.children_of(node.parent).retain(|child| *child != at);
            self.free.push(at);
        }
        true
    }

    fn children_of(&mut self, parent: Option<usize>) -> &mut Vec<usize> {
        match parent.and_then(|parent| self.nodes.get_mut(parent)?.as_mut()) {
            Some(node) => &mut node.children,
            None => &mut self.roots,
        }
    }
}

#[cfg(test)]
mod tests;
