//! Attention over pages: the same bits however it is cut, and the plain formula within a bound.

use super::*;
use proptest::prelude::*;

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 * 2.0 - 1.0
        })
        .collect()
}

struct Case {
    shape: AttentionShape,
    tokens: usize,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    pages: Vec<Vec<u8>>,
}

fn case(stored: Stored, heads: usize, cache_heads: usize, head: usize, tokens: usize) -> Case {
    let cache = CacheShape::new(cache_heads, head, stored);
    let shape = AttentionShape { cache, heads, scale: 1.0 / (head as f32).sqrt(), cap: None, window: None };
    let keys = noise(tokens * cache_heads * head, 1);
    let values = noise(tokens * cache_heads * head, 2);
    // What was in a page before must not matter: here it is all ones, which are NaNs.
    let mut pages = vec![vec![0xff; cache.page_bytes()]; tokens.div_ceil(PAGE)];
    for (position, (keys, values)) in keys.chunks(cache_heads * head).zip(values.chunks(cache_heads * head)).enumerate() {
        cache.write(&mut pages[position / PAGE], position % PAGE, keys, values);
    }
    Case { shape, tokens, queries: noise(tokens * heads * head, 3), keys, values, pages }
}

impl Case {
    /// All tokens, in chunks of `chunk`.
    fn run(&self, pool: &Pool, set: Set, chunk: usize) -> Vec<u32> {
        let token = self.shape.heads * self.shape.cache.head();
        let mut out = vec![0.0; self.queries.len()];
        for first in (0..self.tokens).step_by(chunk) {
            let tokens = chunk.min(self.tokens - first);
            let span = Span { first, tokens, pages: &self.pages };
            let range = first * token..(first + tokens) * token;
            attend(pool, set, &self.shape, &[span], &self.queries[range.clone()], &mut out[range]);
        }
        out.iter().map(|value| value.to_bits()).collect()
    }

    /// Plain attention in 64 bits.
    fn truth(&self) -> Vec<f64> {
        let (head, heads, cache_heads) = (self.shape.cache.head(), self.shape.heads, self.shape.cache.heads());
        let mut out = Vec::new();
        for token in 0..self.tokens {
            for h in 0..heads {
                let query = &self.queries[(token * heads + h) * head..][..head];
                let cache_head = h / (heads / cache_heads);
                let from = self.shape.window.map_or(0, |window| (token + 1).saturating_sub(window));
                let row = |all: &[f32], position: usize| all[(position * cache_heads + cache_head) * head..][..head].to_vec();
                let scores: Vec<f64> = (from..=token)
                    .map(|position| {
                        let dot: f64 =
                            query.iter().zip(row(&self.keys, position)).map(|(a, b)| f64::from(*a) * f64::from(b)).sum();
                        let score = dot * f64::from(self.shape.scale);
                        self.shape.cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh()).exp()
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                for i in 0..head {
                    let weighted =
                        scores.iter().zip(from..).map(|(score, position)| score * f64::from(row(&self.values, position)[i]));
                    out.push(weighted.sum::<f64>() / total);
                }
            }
        }
        out
    }
}

#[test]
fn it_is_near_plain_attention() {
    for (stored, tolerance) in [(Stored::Half, 2e-3), (Stored::Byte, 2e-2)] {
        for (window, cap) in [(None, None), (Some(70), None), (None, Some(2.0)), (Some(1), Some(5.0))] {
            let mut case = case(stored, 6, 2, 24, 150);
            case.shape.window = window;
            case.shape.cap = cap;
            let got = case.run(&Pool::new(2), Set::best(), 150);
            for (i, (got, truth)) in got.iter().zip(case.truth()).enumerate() {
                let error = (f64::from(f32::from_bits(*got)) - truth).abs();
                assert!(error < tolerance, "{stored:?} {window:?} {cap:?} at {i}: off by {error}");
            }
        }
    }
}

#[test]
fn chunks_threads_and_sets_do_not_change_a_bit() {
    for stored in [Stored::Half, Stored::Byte] {
        for (heads, cache_heads, head) in [(9, 3, 64), (4, 4, 40), (8, 1, 16)] {
            for window in [None, Some(100)] {
                let mut case = case(stored, heads, cache_heads, head, 200);
                case.shape.window = window;
                let truth = case.run(&Pool::new(1), Set::scalar(), 1);
                assert!(truth.iter().all(|bits| f32::from_bits(*bits).is_finite()));
                for set in Set::available() {
                    for chunk in [1, 7, 64, 512] {
                        assert!(case.run(&Pool::new(2), *set, chunk) == truth, "{stored:?}, chunks of {chunk}, {}", set.name());
                    }
                }
                for threads in 1..=8 {
                    assert!(case.run(&Pool::new(threads), Set::best(), 33) == truth, "{stored:?}, {threads} threads");
                }
            }
        }
    }
}

#[test]
fn one_token_far_along_is_the_same_on_any_number_of_threads() {
    for stored in [Stored::Half, Stored::Byte] {
        for window in [None, Some(500)] {
            let mut case = case(stored, 4, 2, 16, 1100);
            case.shape.window = window;
            let token = 4 * 16;
            let first = case.tokens - 3;
            let run = |threads: usize, set: Set| {
                let mut out = vec![0.0; 3 * token];
                let span = Span { first, tokens: 3, pages: &case.pages };
                attend(&Pool::new(threads), set, &case.shape, &[span], &case.queries[first * token..], &mut out);
                out.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            };
            let truth = run(1, Set::scalar());
            for threads in 1..=8 {
                assert!(run(threads, Set::best()) == truth, "{stored:?} {window:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn sequences_in_one_batch_are_as_each_alone() {
    let cases: Vec<_> = [5, 64, 65, 130].map(|tokens| case(Stored::Half, 6, 3, 32, tokens)).into();
    let token = 6 * 32;
    let mut queries = Vec::new();
    let mut truth = Vec::new();
    let mut spans = Vec::new();
    for case in &cases {
        // The last three tokens of each.
        let first = case.tokens - 3;
        queries.extend_from_slice(&case.queries[first * token..]);
        truth.extend_from_slice(&case.run(&Pool::new(1), Set::scalar(), 1)[first * token..]);
        spans.push(Span { first, tokens: 3, pages: &case.pages });
    }
    let mut out = vec![0.0; queries.len()];
    attend(&Pool::new(2), Set::best(), &cases[0].shape, &spans, &queries, &mut out);
    assert!(out.iter().map(|value| value.to_bits()).eq(truth));
}

#[test]
fn stored_bytes_are_within_half_a_step() {
    let cache = CacheShape::new(1, 40, Stored::Byte);
    let (keys, values) = (noise(40, 5), noise(40, 6));
    let mut page = vec![0; cache.page_bytes()];
    cache.write(&mut page, 63, &keys, &values);
    let (mut k, mut v) = (Vec::new(), Vec::new());
    cache.rows(Set::best(), [&page, &[]], 0, true, &mut k, &mut v);
    for i in 0..40 {
        assert!((k[i * PAGE + 63] - keys[i]).abs() <= 0.5 / 127.0 + 1e-6);
        assert!((v[63 * 40 + i] - values[i]).abs() <= 0.5 / 127.0 + 1e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_queries_keys_and_values_have_the_same_bits_in_every_set(
        values in prop::collection::vec(prop_oneof![20 => -9.0f32..9.0, 1 => any::<u32>().prop_map(f32::from_bits)], 3 * 70 * 16),
        byte in any::<bool>(),
    ) {
        let mut case = case(if byte { Stored::Byte } else { Stored::Half }, 1, 1, 16, 70);
        case.queries.copy_from_slice(&values[..70 * 16]);
        let (keys, values) = values[70 * 16..].split_at(70 * 16);
        for (position, (keys, values)) in keys.chunks(16).zip(values.chunks(16)).enumerate() {
            case.shape.cache.write(&mut case.pages[position / PAGE], position % PAGE, keys, values);
        }
        let alike = |bits: Vec<u32>| bits.into_iter().map(|bits| if f32::from_bits(bits).is_nan() { u32::MAX } else { bits }).collect::<Vec<_>>();
        let truth = alike(case.run(&Pool::new(1), Set::scalar(), 1));
        for set in Set::available() {
            prop_assert_eq!(&alike(case.run(&Pool::new(1), *set, 70)), &truth);
        }
    }
}
