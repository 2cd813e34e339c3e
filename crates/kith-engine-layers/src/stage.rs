//! A window of a model's layers, ready to work: tokens or hidden states in, hidden states or logits out.
//!
//! What comes out has the same bits whatever else is in the step, however a prompt is cut into steps, on how many threads, and whether the
//! layers are one stage or several in a row whose hidden states (f32) are handed on.

mod adapted;
mod buffers;
mod cost;
mod held;
mod layer;

pub use cost::Cost;

use crate::{
    adapter::{Part, Place, Targets},
    cache::{CacheLayout, Track},
    gguf::{Gguf, Tensor},
    panels::{Origin, Panels, Unsaved},
    shape::Shape,
    weights::{Head, Layer, Loader, check, tensor},
};
use adapted::Adapting;
use buffers::{Buffers, pairs, sized};
use kith_engine::EngineError;
use kith_kernels::{
    Activations, Limit, Pool, Product, Set,
    attention::{CacheShape, Stored},
    multiply,
    rope::Rope,
    vector,
};
use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

/// Which part of a model a stage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its layers.
    pub layers: Range<usize>,
    /// Whether tokens come in; hidden states otherwise.
    pub embedding: bool,
    /// Whether logits can be asked for.
    pub head: bool,
}

/// What a stage is loaded with.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// The part of the model; all of it if there is none.
    pub window: Option<Window>,
    /// The context window to be provided, in tokens; the file's own if there is none. Some models rotate otherwise where it is long.
    pub context: Option<usize>,
    /// Threads that work, the caller's among them; at least 1.
    pub threads: usize,
    /// How many of them may work at a time, which may change.
    pub cores: Limit,
    /// A folder in which weights are looked for as the kernels want them; see [`Stage::keep_panels`].
    pub panels: Option<PathBuf>,
}

impl Default for StageOptions {
    /// The whole model with its own window, on one thread.
    fn default() -> Self {
        Self { window: None, context: None, threads: 1, cores: Limit::default(), panels: None }
    }
}

/// What a step reads.
#[derive(Debug, Clone, Copy)]
pub enum Reads<'a> {
    /// Token ids, for a stage with the embedding.
    Tokens(&'a [u32]),
    /// Hidden states, one after another, for a stage without.
    States(&'a [f32]),
}

/// The next tokens of one sequence.
pub struct Next<'a> {
    /// The sequence's keys and values in this stage; longer by `tokens` after the step.
    pub track: &'a mut Track,
    /// How many tokens; at least one.
    pub tokens: usize,
}

/// A window of layers in memory.
pub struct Stage {
    file: Gguf,
    shape: Shape,
    window: Window,
    context: usize,
    vocabulary: usize,
    embedding: Tensor,
    layers: Vec<Layer>,
    head: Option<Head>,
    ropes: [Rope; 2],
    cache: CacheLayout,
    pool: Pool,
    set: Set,
    activations: Activations,
    buffers: Buffers,
    adapting: Adapting,
    /// Tokens that the buffers have room for.
    room: usize,
    unsaved: Option<Unsaved>,
}

/// How many times too large buffers may be, where they have room for more than [`SMALL`] tokens: a prompt's are not held while its answer
/// is written.
const TOO_LARGE: usize = 8;
const SMALL: usize = 64;

impl Stage {
    /// Loads a part of the GGUF file at `path`.
    ///
    /// # Errors
    /// [`EngineError::UnsupportedModel`] says what about the file is not understood; [`EngineError::Invalid`] (`window`) that it has no such
    /// layers.
    pub fn load(path: &Path, options: &StageOptions) -> Result<Self, EngineError> {
        let file = Gguf::open(path)?;
        let mut stage = Self::of(&file, path, options)?;
        // The pages that were read while the weights were laid out anew go back to the system with the first mapping. A window is in memory
        // what its weights are, however large the rest of the file.
        stage.file = file.mapped_again()?;
        Ok(stage)
    }

    fn of(file: &Gguf, path: &Path, options: &StageOptions) -> Result<Self, EngineError> {
        let shape = Shape::read(file)?;
        let whole = || Window { layers: 0..shape.layers, embedding: true, head: true };
        let window = options.window.clone().unwrap_or_else(whole);
        if window.layers.is_empty() || window.layers.end > shape.layers {
            let message = format!("the model has layers 0 to {}, not {:?}", shape.layers, window.layers);
            return Err(EngineError::Invalid { field: "window", message });
        }
        let vocabulary = file.tensors().get("token_embd.weight").map_or(0, |tensor| tensor.shape[1]);
        let embedding = tensor(file, "token_embd.weight", &[shape.width, vocabulary])?.clone();
        if let Err(number) = embedding.format {
            return Err(EngineError::UnsupportedModel(format!("the embedding is stored as type {number}, which has no kernels")));
        }
        let context = options.context.unwrap_or(shape.context).min(shape.context).max(1);
        let ropes = shape.ropes(file, context)?;
        check(file, &shape, window.layers.clone(), window.head.then_some(vocabulary))?;
        let pool = Pool::with_limit(options.threads, options.cores.clone());
        // Where the file cannot even be looked at there are no panels; mapping it will have failed before.
        let kept = options.panels.clone().and_then(|folder| Some((folder, Origin::of(path, &window).ok()?)));
        let panels = kept.as_ref().and_then(|(folder, origin)| Panels::open(folder, origin));
        let loader = Loader::new(file, &shape, &pool, panels);
        let layers = window.layers.clone().map(|number| loader.layer(number)).collect::<Result<_, _>>()?;
        let head = window.head.then(|| loader.head(vocabulary)).transpose()?;
        let fresh = loader.fresh();
        let unsaved = kept.zip(fresh).map(|((folder, origin), matrices)| Unsaved { folder, origin, matrices });
        let page = CacheShape::new(shape.kv_heads, shape.head, Stored::Half);
        Ok(Self {
            file: file.clone(),
            cache: CacheLayout::new(page, window.layers.len()),
            shape,
            window,
            context,
            vocabulary,
            embedding,
            layers,
            head,
            ropes,
            pool,
            set: Set::best(),
            activations: Activations::new(),
            buffers: Buffers::default(),
            adapting: Adapting::default(),
            room: 0,
            unsaved,
        })
    }

    /// Reads the next tokens of some sequences, one after another as in `nexts`. The result is in [`Stage::states`].
    ///
    /// `give_up` is asked between layers: once it says yes, all is left as it was, and the answer is `false`.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] where the input does not suit the stage or the tokens counted, [`EngineError::ContextExceeded`] where a
    /// sequence would grow past the window.
    pub fn step(&mut self, reads: Reads<'_>, nexts: &mut [Next<'_>], give_up: &dyn Fn() -> bool) -> Result<bool, EngineError> {
        let tokens: usize = nexts.iter().map(|next| next.tokens).sum();
        self.check(reads, tokens, nexts)?;
        if self.room > SMALL.max(TOO_LARGE * tokens) {
            (self.buffers, self.activations, self.room) = (Buffers::default(), Activations::new(), 0);
        }
        self.room = self.room.max(tokens);
        self.enter(reads, tokens)?;
        self.positions(nexts);
        self.adapting.begin(nexts);
        for next in nexts.iter_mut() {
            next.track.grow(&self.cache, next.tokens);
        }
        for layer in 0..self.layers.len() {
            if give_up() {
                for next in nexts {
                    let length = next.track.len();
                    next.track.truncate(length);
                }
                return Ok(false);
            }
            self.layer(layer, tokens, nexts);
        }
        for next in nexts {
            next.track.advance(next.tokens);
        }
        self.adapting.end();
        Ok(true)
    }

    /// The hidden states of all tokens of the last step, before the last norm.
    pub fn states(&self) -> &[f32] {
        &self.buffers.states
    }

    /// Logits of some tokens of the last step, by their numbers in it: one after another, [`Stage::vocabulary`] each.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for a stage without the head, [`EngineError::Invalid`] for a token that was not in the step.
    pub fn logits(&mut self, tokens: &[usize]) -> Result<&[f32], EngineError> {
        let Some(head) = &self.head else {
            return Err(EngineError::Unsupported("this part of the model gives no logits".into()));
        };
        self.buffers.finished(self.set, &head.norm, self.shape.epsilon, tokens)?;
        let (width, vocabulary) = (self.shape.width, head.output.rows());
        let finished = &self.buffers.normed[..tokens.len() * width];
        if tokens.is_empty() {
            return Ok(&[]);
        }
        // The head's own rounding reaches the logits as it is, and made a good quarter of their divergence from the weights' own: what 8 bits leave over of
        // its inputs is multiplied too, while the weights are here.
        let finer = !head.output.format().is_float();
        let length = tokens.len() * vocabulary;
        let logits = sized(&mut self.buffers.logits, if finer { 2 * length } else { length });
        if finer {
            self.activations.load_with_rests(&self.pool, self.set, finished, width);
        } else {
            self.activations.load(&self.pool, self.set, finished, width);
        }
        multiply(&self.pool, self.set, &self.activations, &mut [Product { matrix: &head.output, out: &mut *logits }]);
        let (logits, rests) = logits.split_at_mut(length);
        if finer {
            let (set, rests) = (self.set, &*rests);
            self.pool.for_chunks(logits, 4096, |chunk, logits| vector::add(set, logits, &rests[chunk * 4096..][..logits.len()]));
        }
        let shares = self.adapting.among(tokens.iter().copied());
        if finer && !shares.is_empty() {
            self.activations.load(&self.pool, self.set, finished, width);
        }
        let place = Place::new(0, Part::Head);
        self.adapting.work().add(&self.pool, self.set, &shares, &self.activations, &mut [(place, &mut *logits)]);
        if let Some(cap) = self.shape.logit_cap {
            let set = self.set;
            self.pool.for_chunks(logits, 4096, |_, logits| vector::soft_cap(set, logits, cap));
        }
        Ok(logits)
    }

    /// Hidden states of some tokens of the last step after the last norm, one after another.
    ///
    /// # Errors
    /// As [`Stage::logits`].
    pub fn finished(&mut self, tokens: &[usize]) -> Result<&[f32], EngineError> {
        let Some(head) = &self.head else {
            return Err(EngineError::Unsupported("this part of the model has no last norm".into()));
        };
        self.buffers.finished(self.set, &head.norm, self.shape.epsilon, tokens)?;
        Ok(&self.buffers.normed[..tokens.len() * self.shape.width])
    }

    /// Keeps the weights, as the kernels want them, in the folder named when loading, so that the next start is fast. `false` if there is
    /// nothing to keep, because no folder was named or they came from there.
    ///
    /// # Errors
    /// What the disk says. The stage is not affected.
    pub fn keep_panels(&mut self) -> io::Result<bool> {
        self.unsaved().map_or(Ok(false), |unsaved| unsaved.save(&|| false))
    }

    /// What could be kept, once.
    pub(crate) fn unsaved(&mut self) -> Option<Unsaved> {
        self.unsaved.take()
    }

    /// Values of a hidden state.
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// Entries of the vocabulary, as the embedding counts them.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Tokens that a sequence may have.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Which part of the model it is.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The threads that work.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How blocks are laid out, and how many there are.
    pub(crate) fn cache(&self) -> &CacheLayout {
        &self.cache
    }

    /// The mapped file.
    pub(crate) fn file(&self) -> &Gguf {
        &self.file
    }

    /// The model's sizes.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What of the model adapters may change.
    pub(crate) fn targets(&self) -> Targets {
        Targets::of(&self.file, &self.shape)
    }

    /// Lets it work with other instructions, for tests.
    #[cfg(test)]
    pub(crate) fn with_set(mut self, set: Set) -> Self {
        self.set = set;
        self
    }

    fn check(&self, reads: Reads<'_>, tokens: usize, nexts: &[Next<'_>]) -> Result<(), EngineError> {
        let invalid = |message: String| Err(EngineError::Invalid { field: "input", message });
        let given = match reads {
            Reads::Tokens(ids) => {
                if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocabulary) {
                    return invalid(format!("token {id} is none of the model's {} tokens", self.vocabulary));
                }
                ids.len()
            }
            Reads::States(states) if states.len().is_multiple_of(self.shape.width) => states.len() / self.shape.width,
            Reads::States(states) => return invalid(format!("{} values are no whole number of hidden states", states.len())),
        };
        if matches!(reads, Reads::Tokens(_)) != self.window.embedding {
            return invalid("tokens go to the stage with the embedding, hidden states to the others".into());
        }
        if given != tokens || nexts.iter().any(|next| next.tokens == 0) {
            return invalid(format!("{tokens} tokens were counted, {given} given"));
        }
        let longest = nexts.iter().map(|next| next.track.len() + next.tokens).max().unwrap_or(0);
        if longest > self.context {
            let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
            return Err(EngineError::ContextExceeded { prompt: count(longest), window: count(self.context) });
        }
        Ok(())
    }

    /// Puts the hidden states before the first layer in place.
    fn enter(&mut self, reads: Reads<'_>, tokens: usize) -> Result<(), EngineError> {
        let width = self.shape.width;
        let states = sized(&mut self.buffers.states, tokens * width);
        match reads {
            Reads::States(given) => states.copy_from_slice(given),
            Reads::Tokens(ids) => {
                if let Some(head) = self.head.as_ref().filter(|head| head.tied) {
                    // The same values, out of pages that are in memory anyway.
                    self.pool.for_chunks(states, width, |at, state| head.output.row(ids[at] as usize, state));
                } else {
                    let format = self.embedding.format.map_err(|_| gone())?;
                    for (state, id) in states.chunks_exact_mut(width).zip(ids) {
                        let row = *id as usize;
                        let bytes = self.file.rows(&self.embedding, row..row + 1).ok_or_else(gone)?;
                        format.dequantise(bytes, state);
                    }
                }
                if self.shape.family.scaled_embedding {
                    let scale = (width as f32).sqrt();
                    states.iter_mut().for_each(|value| *value *= scale);
                }
            }
        }
        let normed = sized(&mut self.buffers.normed, tokens * width);
        if let Some(layer) = self.layers.first() {
            let (set, epsilon, norm) = (self.set, self.shape.epsilon, &layer.attention_norm);
            pairs(&self.pool, (states, width), (normed, width), |_, state, normed| {
                vector::rms_norm(set, state, norm, epsilon, normed);
            });
        }
        Ok(())
    }

    /// Works out the angles of all tokens, for both rotations.
    fn positions(&mut self, nexts: &[Next<'_>]) {
        let positions = &mut self.buffers.positions;
        positions.clear();
        for next in nexts {
            let first = next.track.len();
            positions.extend((first..first + next.tokens).map(|position| u32::try_from(position).unwrap_or(u32::MAX)));
        }
        for (rope, angles) in self.ropes.iter().zip(&mut self.buffers.angles) {
            let each = rope.dimensions();
            let angles = sized(angles, positions.len() * each);
            let positions = &*positions;
            if positions.len() == 1 {
                rope.angles(positions[0], angles);
            } else {
                self.pool.for_chunks(angles, 8 * each, |chunk, angles| {
                    for (angles, position) in angles.chunks_exact_mut(each).zip(&positions[chunk * 8..]) {
                        rope.angles(*position, angles);
                    }
                });
            }
        }
    }
}

fn gone() -> EngineError {
    EngineError::Failed("the model file has changed since it was loaded".into())
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
