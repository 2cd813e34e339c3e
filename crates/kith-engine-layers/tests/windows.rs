//! A model cut into windows that separate processes hold, joined by sockets: the very bits of the whole, the memory of their share, and
//! how close answers stay where hidden states travel in fewer bits. With SmolLM2-135M-Instruct from `KITH_TEST_MODEL` or the model
//! cache; without it the tests say so and pass, but CI must have it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and why it was skipped")]

#[allow(dead_code, reason = "the example asks a row for other things")]
#[path = "windows/row.rs"]
mod row;

use kith_engine::{Engine, InSitu, ModelFormat, ModelSpec};
use kith_engine_layers::{Encoding, LayersEngine, Next, Reads, Stage, StageOptions, Track};
use row::{Answer, Order, Part, Row, likeliest};
use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Tokens that follow each prompt.
const WRITTEN: usize = 3;
/// Prompts that begin in one step, where many are in a step.
const TOGETHER: usize = 10;
/// How a process of a row gets to [`a_window_of_a_row`].
const ARGUMENTS: [&str; 5] = ["a_window_of_a_row", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
/// How much a window may take beside its share of the whole's weights.
const BEYOND: f64 = 1.15;

fn path() -> Option<PathBuf> {
    let named = std::env::var_os("KITH_TEST_MODEL").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = named.unwrap_or_else(|| home.join(".cache/kith/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the test model is missing: {}", path.display());
    println!("skipped: no model at {}", path.display());
    None
}

#[test]
#[ignore = "what the tests below start as processes of their own; by itself it does nothing"]
fn a_window_of_a_row() {
    row::serve().unwrap();
}

/// 50 prompts of different lengths, from a few tokens to more than a block of keys and values.
fn texts() -> Vec<String> {
    let topics = [
        "the sea",
        "bread",
        "prime numbers",
        "a fox in winter",
        "the history of printing",
        "rain",
        "chess",
        "the Moon",
        "bees",
        "tea",
    ];
    let ask = |topic: &str| {
        [
            format!("About {topic}:"),
            format!("<|im_start|>user\nWhat is the most surprising thing about {topic}?<|im_end|>\n<|im_start|>assistant\n"),
            format!("<|im_start|>user\nList three facts about {topic}.<|im_end|>\n<|im_start|>assistant\n1."),
            format!("fn main() {{\n    // A program about {topic}.\n    let answer ="),
            format!(
                "Yesterday we spoke about {topic} for a long while, and nobody at the table could agree on what matters most about it"
            ),
        ]
    };
    let mut texts: Vec<String> = topics.iter().flat_map(|topic| ask(topic)).collect();
    // A few long ones, which reach into a second and a third block.
    for at in [3, 17] {
        texts[at] = texts[at..at + 3].concat();
    }
    texts
}

/// What the whole model says, in one process.
struct Whole {
    prompts: Vec<Vec<u32>>,
    /// Of each prompt, the logits after it and after each of the likeliest tokens that follow.
    logits: Vec<Vec<Vec<f32>>>,
    layers: usize,
    /// Bytes of weights that it holds.
    weights: u64,
    path: PathBuf,
}

impl Whole {
    /// A prompt with what follows it.
    fn written(&self, prompt: usize) -> Vec<u32> {
        let following = self.logits[prompt].iter().map(|logits| likeliest(logits));
        self.prompts[prompt].iter().copied().chain(following).collect()
    }
}

/// One test at a time: rows take memory and all cores.
fn whole() -> Option<(&'static Whole, MutexGuard<'static, ()>)> {
    static WHOLE: OnceLock<Option<Whole>> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    WHOLE.get_or_init(|| path().map(evaluate)).as_ref().map(|whole| (whole, turn))
}

fn evaluate(path: PathBuf) -> Whole {
    let spec = ModelSpec {
        name: "smollm2:135m".into(),
        size_bytes: std::fs::metadata(&path).unwrap().len(),
        path: path.clone(),
        format: ModelFormat::Gguf,
        architecture: "llama".into(),
        context: Some(2048),
        parallel: 1,
        in_situ: InSitu::Auto,
        draft: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prompts: Vec<Vec<u32>> = runtime.block_on(async {
        let model = LayersEngine::new().with_threads(2).load(spec).await.unwrap();
        let mut prompts = Vec::new();
        for text in texts() {
            prompts.push(model.tokenize(&text, true).await.unwrap());
        }
        model.unload().await;
        prompts
    });
    let mut stage = Stage::load(&path, &StageOptions { threads: 2, ..StageOptions::default() }).unwrap();
    let logits = prompts
        .iter()
        .map(|prompt| {
            let mut track = Track::new();
            let mut reads = prompt.clone();
            let mut all = Vec::new();
            for _ in 0..=WRITTEN {
                stage.step(Reads::Tokens(&reads), &mut [Next { track: &mut track, tokens: reads.len() }], &|| false).unwrap();
                let logits = stage.logits(&[reads.len() - 1]).unwrap().to_vec();
                reads = vec![likeliest(&logits)];
                all.push(logits);
            }
            all
        })
        .collect();
    Whole { prompts, logits, layers: stage.window().layers.end, weights: stage.weights(), path }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Every prompt by itself.
fn alone(whole: &Whole, row: &mut Row) {
    for (number, prompt) in whole.prompts.iter().enumerate() {
        let mut reads = prompt.clone();
        let mut keeps = 0;
        for (at, wanted) in whole.logits[number].iter().enumerate() {
            let order = Order {
                answer: Answer::Logits,
                encoding: Encoding::F32,
                parts: &[Part { track: 0, keeps, tokens: reads.len() }],
                wanted: &[reads.len() - 1],
                tokens: &reads,
            };
            let logits = row.logits(&order).unwrap();
            assert!(same_bits(&logits, wanted), "prompt {number}, {at} tokens after it");
            keeps += reads.len();
            reads = vec![likeliest(&logits)];
        }
    }
}

/// Many in every step: some read their prompts while others, which began before, are written on.
fn together(whole: &Whole, row: &mut Row) {
    let prompts = &whole.prompts;
    let written: Vec<Vec<u32>> = (0..prompts.len()).map(|prompt| whole.written(prompt)).collect();
    let steps = prompts.len().div_ceil(TOGETHER) + WRITTEN;
    for step in 0..steps {
        let (mut parts, mut wanted, mut tokens, mut asked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (track, prompt) in prompts.iter().enumerate() {
            let Some(at) = step.checked_sub(track / TOGETHER).filter(|at| *at <= WRITTEN) else { continue };
            let keeps = if at == 0 { 0 } else { prompt.len() + at - 1 };
            let reads = &written[track][keeps..prompt.len() + at];
            parts.push(Part { track: track + 1, keeps, tokens: reads.len() });
            tokens.extend_from_slice(reads);
            wanted.push(tokens.len() - 1);
            asked.push(&whole.logits[track][at]);
        }
        let order = Order { answer: Answer::Logits, encoding: Encoding::F32, parts: &parts, wanted: &wanted, tokens: &tokens };
        let logits = row.logits(&order).unwrap();
        let each = logits.len() / asked.len();
        for ((logits, asked), part) in logits.chunks(each).zip(asked).zip(&parts) {
            assert!(same_bits(logits, asked), "prompt {}, {} tokens known before", part.track - 1, part.keeps);
        }
    }
}

/// Every window holds its share of the weights, all of them together the whole's, and is in memory hardly more than that. A short prompt
/// has been read; keys, values and buffers of many tokens would count beside it.
fn its_share(whole: &Whole, row: &mut Row) {
    assert_eq!(row.weights().iter().sum::<u64>(), whole.weights, "every weight is held once");
    let prompt = &whole.prompts[0];
    let parts = [Part { track: 0, keeps: 0, tokens: prompt.len() }];
    let wanted = [prompt.len() - 1];
    let order = Order { answer: Answer::Logits, encoding: Encoding::F32, parts: &parts, wanted: &wanted, tokens: prompt };
    row.logits(&order).unwrap();
    let Some(each) = row.memory() else {
        println!("what a process takes is not known on this system");
        return;
    };
    for (window, (weights, now)) in row.weights().iter().zip(&each).enumerate() {
        println!(
            "window {window}: {weights} bytes of weights, {now} in memory, {:.3} of its share",
            *now as f64 / *weights as f64
        );
    }
    for (window, (weights, now)) in row.weights().iter().zip(each).enumerate() {
        assert!(now as f64 <= BEYOND * *weights as f64, "window {window} takes {now} bytes, its share is {weights}");
    }
}

fn a_row_of(count: usize, threads: usize) {
    let Some((whole, _turn)) = whole() else { return };
    let mut row = Row::start(&whole.path, whole.layers, count, threads, None, &ARGUMENTS).unwrap();
    its_share(whole, &mut row);
    alone(whole, &mut row);
    together(whole, &mut row);
}

#[test]
fn two_windows_give_the_bits_of_the_whole_and_take_their_share() {
    a_row_of(2, 2);
}

#[test]
fn three_windows_give_the_bits_of_the_whole_and_take_their_share() {
    a_row_of(3, 1);
}

#[test]
fn five_windows_give_the_bits_of_the_whole_and_take_their_share() {
    a_row_of(5, 1);
}

/// How far what a row says is from what the whole says.
#[derive(Debug)]
struct Apart {
    /// The mean over all tokens of the Kullback-Leibler divergence, in nats.
    divergence: f64,
    /// The share of tokens at which both would write the same.
    agreement: f64,
    /// The share of tokens that are the same before an answer of its own first differs.
    greedy: f64,
}

fn apart(whole: &Whole, row: &mut Row, encoding: Encoding) -> Apart {
    let (mut divergence, mut agreed, mut same, mut count) = (0.0, 0usize, 0usize, 0usize);
    for (number, prompt) in whole.prompts.iter().enumerate() {
        let written = whole.written(number);
        let tokens = &written[..prompt.len() + WRITTEN];
        let wanted: Vec<usize> = (prompt.len() - 1..tokens.len()).collect();
        let parts = [Part { track: 0, keeps: 0, tokens: tokens.len() }];
        let logits = row.logits(&Order { answer: Answer::Logits, encoding, parts: &parts, wanted: &wanted, tokens }).unwrap();
        let each = logits.len() / wanted.len();
        let mut still_same = true;
        for (logits, exact) in logits.chunks(each).zip(&whole.logits[number]) {
            divergence += kullback_leibler(exact, logits);
            let agrees = likeliest(logits) == likeliest(exact);
            still_same &= agrees;
            agreed += usize::from(agrees);
            // As long as it wrote the same, it would have read the same.
            same += usize::from(still_same);
            count += 1;
        }
    }
    let share = |part: usize| part as f64 / count as f64;
    Apart { divergence: divergence / count as f64, agreement: share(agreed), greedy: share(same) }
}

fn kullback_leibler(exact: &[f32], other: &[f32]) -> f64 {
    let normal = |logits: &[f32]| {
        let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        most + logits.iter().map(|logit| (f64::from(*logit) - most).exp()).sum::<f64>().ln()
    };
    let (p, q) = (normal(exact), normal(other));
    let pairs = exact.iter().zip(other).map(|(exact, other)| (f64::from(*exact) - p, f64::from(*other) - q));
    pairs.map(|(p, q)| p.exp() * (p - q)).sum()
}

#[test]
fn fewer_bits_between_windows_keep_answers_close() {
    let Some((whole, _turn)) = whole() else { return };
    let mut row = Row::start(&whole.path, whole.layers, 5, 1, None, &ARGUMENTS).unwrap();
    // Inputs of products are 8 bits, so the least difference may turn a code over: half of this is there however fine the frames are.
    let measured = [Encoding::F16, Encoding::I8].map(|encoding| apart(whole, &mut row, encoding));
    for (encoding, apart) in ["f16", "8 bits"].into_iter().zip(&measured) {
        println!("{encoding} between five windows: {apart:?}");
    }
    for (apart, divergence, agreement, greedy) in [(&measured[0], 0.01, 0.9, 0.75), (&measured[1], 0.03, 0.87, 0.7)] {
        assert!(apart.divergence < divergence && apart.agreement >= agreement && apart.greedy >= greedy, "{apart:?}");
    }
}
