//! One layer's work on the tokens of a step: attention, then the feed-forward part or the chosen experts.

use super::{
    Next, Stage,
    adapted::{Share, Work},
    buffers::{pairs, sized},
};
use crate::{
    adapter::{Part, Place},
    cache::Room,
    family::Gate,
    weights::{Forward, Heads, Inner},
};
use kith_kernels::{
    Activations, Matrix, Pool, Product, Set,
    attention::{AttentionShape, Span, attend},
    multiply, vector,
};

/// Which experts work on which tokens of a step, and what they make of them.
#[derive(Default)]
pub(super) struct Chosen {
    scores: Vec<f32>,
    /// Per token and place: the expert and its weight.
    choices: Vec<(usize, f32)>,
    answers: Vec<f32>,
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

impl Stage {
    /// Layer `number` of the window. `normed` holds the states after its first norm, and afterwards those after the next layer's.
    pub(super) fn layer(&mut self, number: usize, tokens: usize, nexts: &mut [Next<'_>]) {
        self.project(number, tokens);
        self.rotate(number);
        self.remember(number, nexts);
        self.attend(number, nexts);
        let (layer, width, set) = (&self.layers[number], self.shape.width, self.set);
        let out = sized(&mut self.buffers.out, tokens * width);
        let attended = self.shape.heads * self.shape.head;
        let wanted = Wanted::by(&[&layer.output], self.adapting.shares());
        wanted.load(&mut self.activations, &self.pool, set, &self.buffers.attended, attended);
        multiply(&self.pool, set, &self.activations, &mut [Product { matrix: &layer.output, out }]);
        let place = Place::new(self.window.layers.start + number, Part::Output);
        self.adapting.add(&self.pool, set, &self.activations, &mut [(place, &mut *out)]);
        if let Some(bias) = &layer.output_bias {
            out.chunks_exact_mut(width).for_each(|out| vector::add(set, out, bias));
        }
        self.join(number, false);
        let layer = &self.layers[number];
        match &layer.forward {
            Forward::Dense(inner) => {
                let out = sized(&mut self.buffers.out, tokens * width);
                let (shares, work) = self.adapting.parts();
                let wanted = Wanted::by(&[&inner.gate, &inner.up], shares);
                wanted.load(&mut self.activations, &self.pool, set, &self.buffers.normed, width);
                let mut feed = Feed {
                    pool: &self.pool,
                    set,
                    gate: self.shape.family.gate,
                    activations: &mut self.activations,
                    buffers: (&mut self.buffers.gate, &mut self.buffers.up),
                    adapted: (shares, work),
                    place: Place::new(self.window.layers.start + number, Part::Gate),
                };
                feed.forward(inner, out);
            }
            Forward::Experts(..) => self.experts(number, tokens),
        }
        self.join(number, true);
    }

    fn project(&mut self, number: usize, tokens: usize) {
        let heads = &self.layers[number].heads;
        let buffers = &mut self.buffers;
        let wanted = Wanted::by(&[&heads.queries, &heads.keys, &heads.values], self.adapting.shares());
        wanted.load(&mut self.activations, &self.pool, self.set, &buffers.normed, self.shape.width);
        let mut products = [
            Product { matrix: &heads.queries, out: sized(&mut buffers.queries, tokens * heads.queries.rows()) },
            Product { matrix: &heads.keys, out: sized(&mut buffers.keys, tokens * heads.keys.rows()) },
            Product { matrix: &heads.values, out: sized(&mut buffers.values, tokens * heads.values.rows()) },
        ];
        multiply(&self.pool, self.set, &self.activations, &mut products);
        let place = |part| Place::new(self.window.layers.start + number, part);
        let mut outs = [
            (place(Part::Queries), buffers.queries.as_mut_slice()),
            (place(Part::Keys), buffers.keys.as_mut_slice()),
            (place(Part::Values), buffers.values.as_mut_slice()),
        ];
        self.adapting.add(&self.pool, self.set, &self.activations, &mut outs);
        if let Some([_, _, bias]) = &heads.biases {
            buffers.values.chunks_exact_mut(bias.len()).for_each(|values| vector::add(self.set, values, bias));
        }
    }

    /// Biases, norms and rotations of queries and keys.
    fn rotate(&mut self, number: usize) {
        let sliding = usize::from(self.shape.slides(self.window.layers.start + number));
        let (rope, angles) = (&self.ropes[sliding], &self.buffers.angles[sliding]);
        let Heads { queries, keys, biases, norms, .. } = &self.layers[number].heads;
        let (set, head, epsilon) = (self.set, self.shape.head, self.shape.epsilon);
        let first = (self.buffers.queries.as_mut_slice(), queries.rows());
        let second = (self.buffers.keys.as_mut_slice(), keys.rows());
        pairs(&self.pool, first, second, |token, queries, keys| {
            let angles = &angles[token * rope.dimensions()..(token + 1) * rope.dimensions()];
            for (at, vectors) in [queries, keys].into_iter().enumerate() {
                if let Some(biases) = biases {
                    vector::add(set, vectors, &biases[at]);
                }
                if let Some(norms) = norms {
                    norm_heads(set, vectors, head, &norms[at], epsilon);
                }
                rope.rotate(set, angles, vectors, head);
            }
        });
    }

    /// Writes keys and values where the sequences keep them.
    fn remember(&mut self, number: usize, nexts: &mut [Next<'_>]) {
        let each = self.shape.kv_heads * self.shape.head;
        let (keys, values, cache) = (&self.buffers.keys, &self.buffers.values, &self.cache);
        let mut before = 0;
        let mut rooms: Vec<(usize, Room<'_>)> = Vec::new();
        for next in nexts {
            rooms.extend(next.track.room(cache, number, next.tokens).map(|room| (before + room.token, room)));
            before += next.tokens;
        }
        let write = |rooms: &mut [(usize, Room<'_>)]| {
            for (first, room) in rooms {
                for token in 0..room.tokens {
                    let at = (*first + token) * each..(*first + token + 1) * each;
                    cache.page.write(room.page, room.slot + token, &keys[at.clone()], &values[at]);
                }
            }
        };
        if before <= 2 {
            write(&mut rooms);
        } else {
            self.pool.for_chunks(&mut rooms, 1, |_, rooms| write(rooms));
        }
    }

    fn attend(&mut self, number: usize, nexts: &[Next<'_>]) {
        let sliding = self.shape.slides(self.window.layers.start + number);
        let shape = AttentionShape {
            cache: self.cache.page,
            heads: self.shape.heads,
            scale: self.shape.scale,
            cap: self.shape.score_cap,
            window: self.shape.window.filter(|_| sliding),
        };
        let pages: Vec<_> = nexts.iter().map(|next| next.track.layer(&self.cache, number)).collect();
        let spans = nexts.iter().zip(&pages);
        let spans: Vec<_> = spans.map(|(next, pages)| Span { first: next.track.len(), tokens: next.tokens, pages }).collect();
        let attended = sized(&mut self.buffers.attended, self.buffers.queries.len());
        attend(&self.pool, self.set, &shape, &spans, &self.buffers.queries, attended);
    }

    /// Adds what a part of the layer made (`out`) to the states, and norms them for the part that follows.
    fn join(&mut self, number: usize, last: bool) {
        let layer = &self.layers[number];
        let post = if last { &layer.forward_post_norm } else { &layer.attention_post_norm };
        let norm = if last { self.layers.get(number + 1).map(|next| &next.attention_norm) } else { Some(&layer.forward_norm) };
        let (set, epsilon, width) = (self.set, self.shape.epsilon, self.shape.width);
        let out = &self.buffers.out;
        let states = (self.buffers.states.as_mut_slice(), width);
        pairs(&self.pool, states, (self.buffers.normed.as_mut_slice(), width), |token, state, normed| {
            let out = &out[token * width..(token + 1) * width];
            if let Some(post) = post {
                vector::rms_norm(set, out, post, epsilon, normed);
                vector::add(set, state, normed);
            } else {
                vector::add(set, state, out);
            }
            if let Some(norm) = norm {
                vector::rms_norm(set, state, norm, epsilon, normed);
            }
        });
    }

    /// Lets each expert work on the tokens that chose it; a token's answers are added in the order of its choices.
    fn experts(&mut self, number: usize, tokens: usize) {
        let (Forward::Experts(router, experts), Some(counts)) = (&self.layers[number].forward, self.shape.experts) else {
            return;
        };
        let (width, set, used) = (self.shape.width, self.set, counts.used);
        let chosen = &mut self.buffers.experts;
        let normed = &self.buffers.normed;
        Wanted::by(&[router], self.adapting.shares()).load(&mut self.activations, &self.pool, set, normed, width);
        let scores = sized(&mut chosen.scores, tokens * counts.count);
        multiply(&self.pool, set, &self.activations, &mut [Product { matrix: router, out: scores }]);
        let layer = self.window.layers.start + number;
        self.adapting.add(&self.pool, set, &self.activations, &mut [(Place::new(layer, Part::Router), &mut *scores)]);
        chosen.choices.clear();
        for scores in scores.chunks_exact_mut(counts.count) {
            vector::softmax(set, scores);
            choose(scores, used, &mut chosen.choices);
        }
        let answers = sized(&mut chosen.answers, tokens * used * width);
        for (number, inner) in experts.iter().enumerate() {
            let places: Vec<usize> = (0..tokens * used).filter(|place| chosen.choices[*place].0 == number).collect();
            if places.is_empty() {
                continue;
            }
            chosen.inputs.clear();
            for place in &places {
                chosen.inputs.extend_from_slice(&normed[place / used * width..][..width]);
            }
            let outputs = sized(&mut chosen.outputs, places.len() * width);
            let shares = self.adapting.among(places.iter().map(|place| place / used));
            let wanted = Wanted::by(&[&inner.gate, &inner.up], &shares);
            wanted.load(&mut self.activations, &self.pool, set, &chosen.inputs, width);
            let mut feed = Feed {
                pool: &self.pool,
                set,
                gate: self.shape.family.gate,
                activations: &mut self.activations,
                buffers: (&mut self.buffers.gate, &mut self.buffers.up),
                adapted: (&shares, self.adapting.work()),
                place: Place { expert: number, ..Place::new(layer, Part::Gate) },
            };
            feed.forward(inner, outputs);
            for (place, output) in places.iter().zip(outputs.chunks_exact(width)) {
                answers[place * width..][..width].copy_from_slice(output);
            }
        }
        let out = sized(&mut self.buffers.out, tokens * width);
        out.fill(0.0);
        let (answers, choices) = (&*answers, &chosen.choices);
        self.pool.for_chunks(out, width, |token, out| {
            for place in token * used..(token + 1) * used {
                vector::add_scaled(set, out, &answers[place * width..][..width], choices[place].1);
            }
        });
    }
}

/// What is to be kept of columns.
enum Wanted {
    /// 8 bits per value.
    Codes,
    /// The values themselves too.
    Values,
}

impl Wanted {
    /// By the matrices and adapters that take them next: floats take values, and so do adapters.
    fn by(matrices: &[&Matrix], shares: &[Share]) -> Self {
        let floats = matrices.iter().any(|matrix| matrix.format().is_float());
        if floats || !shares.is_empty() { Self::Values } else { Self::Codes }
    }

    fn load(&self, activations: &mut Activations, pool: &Pool, set: Set, values: &[f32], depth: usize) {
        match self {
            Self::Codes => activations.load_codes(pool, set, values, depth),
            Self::Values => activations.load(pool, set, values, depth),
        }
    }
}

/// The `used` likeliest experts, likeliest first (of equals the first), with weights that sum to one.
fn choose(probabilities: &[f32], used: usize, choices: &mut Vec<(usize, f32)>) {
    let first = choices.len();
    for _ in 0..used {
        let free = (0..probabilities.len()).filter(|expert| choices[first..].iter().all(|(taken, _)| taken != expert));
        let best = free.reduce(|best, expert| if probabilities[expert] > probabilities[best] { expert } else { best });
        choices.extend(best.map(|best| (best, probabilities[best])));
    }
    let sum: f32 = choices[first..].iter().map(|(_, weight)| weight).sum();
    for (_, weight) in &mut choices[first..] {
        *weight /= sum;
    }
}

fn norm_heads(set: Set, vectors: &mut [f32], head: usize, norm: &[f32], epsilon: f32) {
    /// Values of the longest head that is normed without allocating.
    const USUAL: usize = 256;
    let mut normed = [0.0; USUAL];
    for vector in vectors.chunks_exact_mut(head) {
        if let Some(normed) = normed.get_mut(..head) {
            vector::rms_norm(set, vector, norm, epsilon, normed);
            vector.copy_from_slice(normed);
        } else {
            let whole = vector.to_vec();
            vector::rms_norm(set, &whole, norm, epsilon, vector);
        }
    }
}

/// What a feed-forward part needs beside its weights; the activations hold its inputs.
struct Feed<'a> {
    pool: &'a Pool,
    set: Set,
    gate: Gate,
    activations: &'a mut Activations,
    buffers: (&'a mut Vec<f32>, &'a mut Vec<f32>),
    /// The adapters of the inputs.
    adapted: (&'a [Share], &'a mut Work),
    /// Its gate.
    place: Place,
}

impl Feed<'_> {
    fn forward(&mut self, inner: &Inner, out: &mut [f32]) {
        let (set, rows) = (self.set, inner.gate.rows());
        let length = self.activations.count() * rows;
        let (gate, up) = (sized(self.buffers.0, length), sized(self.buffers.1, length));
        let mut products = [Product { matrix: &inner.gate, out: &mut *gate }, Product { matrix: &inner.up, out: &mut *up }];
        multiply(self.pool, set, self.activations, &mut products);
        let (shares, work) = (self.adapted.0, &mut *self.adapted.1);
        let place = |part| Place { part, ..self.place };
        let mut outs = [(place(Part::Gate), &mut *gate), (place(Part::Up), &mut *up)];
        work.add(self.pool, set, shares, self.activations, &mut outs);
        let open = |gate: &mut [f32], up: &[f32]| match self.gate {
            Gate::Silu => vector::swiglu(set, gate, up),
            Gate::Gelu => vector::geglu(set, gate, up),
        };
        if length <= 8192 {
            open(gate, up);
        } else {
            // In pieces that do not depend on the tokens: every value is worked out alone.
            let up = &*up;
            self.pool.for_chunks(gate, 4096, |chunk, gate| open(gate, &up[chunk * 4096..][..gate.len()]));
        }
        Wanted::by(&[&inner.down], shares).load(self.activations, self.pool, set, gate, rows);
        multiply(self.pool, set, self.activations, &mut [Product { matrix: &inner.down, out: &mut *out }]);
        work.add(self.pool, set, shares, self.activations, &mut [(place(Part::Down), out)]);
    }
}
