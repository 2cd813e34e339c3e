//! Keys and values of sequences: blocks of 64 positions over all layers of a window, shared where sequences begin alike.

use crate::adapter::Weights;
use kith_kernels::attention::{CacheShape, PAGE, Pages};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Positions of a block.
pub const BLOCK: usize = PAGE;

/// How blocks are laid out, and how many there are.
#[derive(Debug, Clone)]
pub(crate) struct CacheLayout {
    pub(crate) page: CacheShape,
    layers: usize,
    blocks: Arc<AtomicU64>,
}

impl CacheLayout {
    pub(crate) fn new(page: CacheShape, layers: usize) -> Self {
        Self { page, layers, blocks: Arc::default() }
    }

    /// Bytes of one block.
    pub(crate) fn block_bytes(&self) -> usize {
        self.page.page_bytes() * self.layers
    }

    /// Counts the blocks that are alive, wherever they are.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.blocks)
    }

    fn page_of(&self, layer: usize) -> Range<usize> {
        let page = self.page.page_bytes();
        layer * page..(layer + 1) * page
    }
}

/// Keys and values of 64 positions.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Box<[u8]>,
    blocks: Arc<AtomicU64>,
}

impl Block {
    fn new(layout: &CacheLayout) -> Self {
        layout.blocks.fetch_add(1, Ordering::Relaxed);
        Self { bytes: vec![0; layout.block_bytes()].into_boxed_slice(), blocks: layout.counter() }
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        Self { bytes: self.bytes.clone(), blocks: Arc::clone(&self.blocks) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.blocks.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The keys and values of one sequence up to its length, in a stage's layers, and the adapter they are worked out with. A clone shares them;
/// what is written later is each one's own.
#[derive(Debug, Clone, Default)]
pub struct Track {
    blocks: Vec<Arc<Block>>,
    length: usize,
    adapter: Option<Arc<Weights>>,
}

impl Track {
    /// A sequence without tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Blocks that others have filled up to `length`, with the same adapter.
    pub(crate) fn of(blocks: Vec<Arc<Block>>, length: usize, adapter: Option<Arc<Weights>>) -> Self {
        debug_assert!(length <= blocks.len() * BLOCK);
        Self { blocks, length, adapter }
    }

    /// What is applied to the sequence's tokens.
    pub(crate) fn adapter(&self) -> Option<&Arc<Weights>> {
        self.adapter.as_ref()
    }

    /// Tokens whose keys and values it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Forgets all tokens from `length` on; nothing if it has fewer.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
        self.blocks.truncate(self.length.div_ceil(BLOCK));
    }

    /// The blocks that hold its tokens.
    pub(crate) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks[..self.length.div_ceil(BLOCK)]
    }

    /// Makes room for `tokens` more, in blocks that nobody else sees.
    pub(crate) fn grow(&mut self, layout: &CacheLayout, tokens: usize) {
        let end = self.length + tokens;
        while self.blocks.len() * BLOCK < end {
            self.blocks.push(Arc::new(Block::new(layout)));
        }
        if let Some(block) = self.blocks.get_mut(self.length / BLOCK) {
            Arc::make_mut(block);
        }
    }

    /// Counts `tokens` more, whose keys and values are all written.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.length += tokens;
    }

    /// The pages of a layer that the next `tokens` tokens go to: each with its first slot, the first of the tokens that go there, and how many.
    pub(crate) fn room(&mut self, layout: &CacheLayout, layer: usize, tokens: usize) -> impl Iterator<Item = Room<'_>> {
        let (start, end) = (self.length, self.length + tokens);
        let page = layout.page_of(layer);
        let blocks = self.blocks.iter_mut().enumerate().skip(start / BLOCK);
        blocks.take_while(move |(at, _)| at * BLOCK < end).map(move |(at, block)| {
            let first = start.max(at * BLOCK);
            let last = end.min((at + 1) * BLOCK);
            Room {
                page: &mut Arc::make_mut(block).bytes[page.clone()],
                slot: first - at * BLOCK,
                token: first - start,
                tokens: last - first,
            }
        })
    }

    /// Its pages of one layer.
    pub(crate) fn layer(&self, layout: &CacheLayout, layer: usize) -> LayerPages<'_> {
        LayerPages { blocks: &self.blocks, page: layout.page_of(layer) }
    }
}

/// Where some tokens of a step go.
pub(crate) struct Room<'a> {
    pub(crate) page: &'a mut [u8],
    pub(crate) slot: usize,
    pub(crate) token: usize,
    pub(crate) tokens: usize,
}

/// The pages of one layer of a sequence.
pub(crate) struct LayerPages<'a> {
    blocks: &'a [Arc<Block>],
    page: Range<usize>,
}

impl Pages for LayerPages<'_> {
    fn page(&self, index: usize) -> &[u8] {
        &self.blocks[index].bytes[self.page.clone()]
    }
}
