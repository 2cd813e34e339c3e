//! `bench inference`: the bare engine, llama.cpp and Kith over HTTP in one run, their repetitions interleaved, so that what
//! disturbs the machine disturbs all of them; then many streams at once, the time until ready, and memory at rest.

use std::fs;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::machine;
use super::median::median;
use super::yardstick::{self, Yardstick};
use crate::paths::Paths;
use crate::run::Node;
use crate::{check, http, model, process, setup};

/// What each repetition does.
pub struct Load {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the answer.
    pub answer: u32,
    /// Threads of the engine.
    pub threads: u32,
}

const LOAD: Load = Load { prompt: 512, answer: 128, threads: 2 };
const REPETITIONS: usize = 5;
const STREAMS: usize = 64;
const STARTS: usize = 10;

/// How long a node rests before its memory is read.
const REST: Duration = Duration::from_secs(2);

/// Tokens a second.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    pub prefill: f64,
    pub decode: f64,
}

impl Speed {
    /// From the line of JSON that the bench programs print.
    pub fn read(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not a line of figures: {line:?}"))?;
        let figure = |name: &str| value[name].as_f64().with_context(|| format!("{name} is missing in {line:?}"));
        Ok(Self { prefill: figure("prefill_tokens_per_second")?, decode: figure("decode_tokens_per_second")? })
    }
}

/// Measures everything and gives the section of the page.
pub fn measure(paths: &Paths) -> Result<String> {
    let file = setup::for_running(paths)?;
    process::run(&mut check::build(paths))?;
    let yardstick = Yardstick::install(paths)?;
    let folder = Scratch::make(paths)?;
    let (fresh, again) = time_until_ready(paths, &folder.0)?;
    let resident = memory_at_rest(paths, &folder.0)?;

    let data = folder.0.join("node");
    let (_node, url) = start(paths, &data)?;
    process::run(command(paths, &data).arg("import").arg(&file).args(["--name", model::NAME]))?;
    let prompt = Prompt::fitted(&url)?;
    let (mut bare, mut mistral, mut llama, mut over_http, mut streaming) = (vec![], vec![], vec![], vec![], vec![]);
    for repetition in 0..REPETITIONS {
        eprintln!("repetition {} of {REPETITIONS}", repetition + 1);
        bare.push(bare_engine(paths, &file)?);
        mistral.push(bare_mistral(paths, &file)?);
        llama.push(yardstick.measure(&file, &LOAD)?);
        let one = one_stream(&url, &prompt.numbered(repetition), LOAD.answer)?;
        over_http.push(one.speed());
        streaming.push(one.streaming_cost());
    }
    let many = many_streams(&url)?;
    Ok(report(&Figures { bare, mistral, llama, over_http, streaming, many, fresh, again, resident }))
}

/// All that was measured.
struct Figures {
    /// Of the layer engine, which holds the model in the node.
    bare: Vec<Speed>,
    mistral: Vec<Speed>,
    llama: Vec<Speed>,
    over_http: Vec<Speed>,
    streaming: Vec<f64>,
    many: Many,
    fresh: Vec<f64>,
    again: Vec<f64>,
    resident: Option<u64>,
}

/// By how many per cent the stream decodes slower than the bare engine beside it: the median over the repetitions of the
/// ratio within each, since both of a repetition meet the same machine.
fn lost(bare: &[Speed], over_http: &[Speed]) -> f64 {
    let ratios: Vec<f64> = bare.iter().zip(over_http).map(|(bare, stream)| stream.decode / bare.decode).collect();
    (1.0 - median(&ratios)) * 100.0
}

fn report(figures: &Figures) -> String {
    let middle = |speeds: &[Speed]| {
        let pick = |of: fn(&Speed) -> f64| median(&speeds.iter().map(of).collect::<Vec<_>>());
        Speed { prefill: pick(|speed| speed.prefill), decode: pick(|speed| speed.decode) }
    };
    let (bare, mistral) = (middle(&figures.bare), middle(&figures.mistral));
    let (llama, over_http) = (middle(&figures.llama), middle(&figures.over_http));
    let row = |name: &str, speed: Speed| {
        let ratio = |own: f64, other: f64| own / other;
        format!(
            "| {name} | {:.1} | {:.1} | {:.2} | {:.2} |\n",
            speed.prefill,
            speed.decode,
            ratio(speed.prefill, llama.prefill),
            ratio(speed.decode, llama.decode)
        )
    };
    let Load { prompt, answer, threads } = LOAD;
    let mut text = format!(
        "{} ({prompt} + {answer} tokens, {threads} threads, median of {REPETITIONS} interleaved repetitions) on {}.\n\n",
        model::NAME,
        machine::described()
    );
    text +=
        "| engine | prefill, tokens/s | decode, tokens/s | prefill / llama.cpp | decode / llama.cpp |\n|---|--:|--:|--:|--:|\n";
    text += &row("Kith's layers, bare", bare);
    text += &row("mistral.rs, bare", mistral);
    text += &row("Kith over HTTP, seen by the client", over_http);
    text += &row(&format!("llama.cpp (node-llama-cpp {})", yardstick::VERSION), llama);
    let many = &figures.many;
    let cost = lost(&figures.bare, &figures.over_http);
    let memory = figures.resident.map_or("not told here".to_owned(), |kib| format!("{:.1} MB", kib as f64 * 1024.0 / 1e6));
    text += "\n| what | measured | wanted |\n|---|--:|--:|\n";
    text += &format!("| decode lost between the bare engine and the client of a stream | {cost:.1} % | at most 3 % |\n");
    text += &format!("| of that, between the node's own clock and the client's | {:.2} % | |\n", median(&figures.streaming));
    text += &format!("| {STREAMS} streams at once, complete | {} | {STREAMS} |\n", many.complete);
    text += &format!("| tokens/s of all {STREAMS} together | {:.1} | |\n", many.tokens_per_second);
    text += &format!(
        "| ready without a model, new data folder (median of {STARTS}) | {:.0} ms | at most 300 ms |\n",
        median(&figures.fresh)
    );
    text += &format!(
        "| ready without a model, known data folder (median of {STARTS}) | {:.0} ms | at most 300 ms |\n",
        median(&figures.again)
    );
    text += &format!("| resident without a model | {memory} | under 60 MB |\n");
    text
}

/// A folder for the nodes of this run, gone afterwards.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn make(paths: &Paths) -> Result<Self> {
        let folder = paths.cache.join("bench-nodes");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("could not clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A left-over folder in the cache does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn command(paths: &Paths, data: &Path) -> Command {
    let mut kith = Command::new(paths.built("kith"));
    kith.env_remove("KITH_URL").arg("--data-dir").arg(data);
    kith
}

/// A node on a port of its own choice, without limits on the number of requests.
pub fn start(paths: &Paths, data: &Path) -> Result<(Node, String)> {
    let mut serve = command(paths, data);
    serve.args(["serve", "--port", "0"]).env("KITH_LIMITS", "off").env("KITH_KEY_PROVIDER", "file");
    serve.env("RAYON_NUM_THREADS", LOAD.threads.to_string());
    Node::spawn(&mut serve)
}

/// Milliseconds from the start of the program to its first 200: with a data folder it has to make, and with one it knows.
fn time_until_ready(paths: &Paths, folder: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut fresh, mut again) = (vec![], vec![]);
    for start_number in 0..STARTS {
        let data = folder.join(format!("ready-{start_number}"));
        for times in [&mut fresh, &mut again] {
            let begun = Instant::now();
            let (_node, url) = start(paths, &data)?;
            let answer = http::get(&url, "/health")?;
            if answer.status != 200 {
                bail!("/health answered {}", answer.status);
            }
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok((fresh, again))
}

fn memory_at_rest(paths: &Paths, folder: &Path) -> Result<Option<u64>> {
    let (node, url) = start(paths, &folder.join("rest"))?;
    http::get(&url, "/health")?;
    thread::park_timeout(REST);
    Ok(machine::resident_kib(node.id()))
}

/// Our layers in a process of their own, warmed up.
fn bare_engine(paths: &Paths, file: &Path) -> Result<Speed> {
    let mut bench = Command::new(paths.built("examples/speed"));
    bench.arg(file).args([LOAD.prompt, LOAD.answer, LOAD.threads].map(|number| number.to_string()));
    let said = process::text_of(&mut bench)?;
    Speed::read(said.lines().last().unwrap_or_default())
}

/// The second repetition of a process of its own: the first warms it up.
fn bare_mistral(paths: &Paths, file: &Path) -> Result<Speed> {
    let mut bench = Command::new(paths.target.join("debug/examples").join(format!("bench_raw{}", std::env::consts::EXE_SUFFIX)));
    bench.arg(file).arg("2").env("RAYON_NUM_THREADS", LOAD.threads.to_string());
    let said = process::text_of(&mut bench)?;
    Speed::read(said.lines().last().unwrap_or_default())
}

/// Words that are one token each, so that the prompt's length can be set by their number.
const WORDS: [&str; 16] = [
    " the", " house", " and", " the", " river", " were", " old", " when", " we", " came", " to", " live", " there", " in",
    " that", " year",
];

/// A prompt of the wished number of tokens.
struct Prompt {
    words: usize,
}

impl Prompt {
    /// Asks the node how many tokens a first guess has, and corrects it. Also loads the model, for good.
    fn fitted(url: &str) -> Result<Self> {
        let mut words = LOAD.prompt as usize;
        for _ in 0..3 {
            let prompt = Self { words };
            let counted = one_stream(url, &prompt.numbered(99), 8)?.prompt_tokens as usize;
            if counted == LOAD.prompt as usize {
                return Ok(prompt);
            }
            words = (words + LOAD.prompt as usize).checked_sub(counted).context("the prompt cannot be fitted")?;
        }
        bail!("no prompt of {} tokens could be made", LOAD.prompt)
    }

    /// Another beginning for every number: no cache of prompts may help.
    fn numbered(&self, number: usize) -> String {
        // Two letters, for a token count that does not depend on the number.
        let name: String = [number / 26 % 26, number % 26].iter().map(|n| char::from(b'A' + *n as u8)).collect();
        let spelt: String = name.chars().map(|letter| format!(" {letter}")).collect();
        spelt + &WORDS.iter().copied().cycle().take(self.words.saturating_sub(2)).collect::<String>()
    }
}

/// One streamed answer, timed by the client.
struct Stream {
    prompt_tokens: u64,
    answer_tokens: u64,
    /// From the request to the first token.
    first: Duration,
    /// From the first token to the last.
    rest: Duration,
    /// The node's own clock for the answer, in nanoseconds.
    told: u64,
}

impl Stream {
    fn speed(&self) -> Speed {
        Speed {
            prefill: self.prompt_tokens as f64 / self.first.as_secs_f64(),
            decode: self.answer_tokens.saturating_sub(1) as f64 / self.rest.as_secs_f64(),
        }
    }

    /// By how many per cent the client saw the answer take longer than the node did.
    fn streaming_cost(&self) -> f64 {
        (self.rest.as_secs_f64() / (self.told as f64 / 1e9) - 1.0) * 100.0
    }
}

fn one_stream(url: &str, prompt: &str, tokens: u32) -> Result<Stream> {
    let body = json!({
        "model": model::NAME, "prompt": prompt, "raw": true, "stream": true, "keep_alive": -1,
        "options": {"num_predict": tokens, "temperature": 0, "seed": 1},
    });
    let begun = Instant::now();
    let answer = http::post(url, "/api/generate", &body.to_string())?;
    let status = answer.status;
    let (mut first, mut last) = (None, begun);
    for line in answer.body.lines() {
        let line = line?;
        let value: Value = serde_json::from_str(&line).with_context(|| format!("not a line of JSON: {line:?}"))?;
        if status != 200 || !value["error"].is_null() {
            bail!("/api/generate answered {status}: {line}");
        }
        if value["done"] == true {
            let count = |name: &str| value[name].as_u64().with_context(|| format!("{name} is missing in {line}"));
            let first = first.context("an answer without a token")?;
            return Ok(Stream {
                prompt_tokens: count("prompt_eval_count")?,
                answer_tokens: count("eval_count")?,
                first: first - begun,
                rest: last - first,
                told: count("eval_duration")?,
            });
        }
        last = Instant::now();
        first.get_or_insert(last);
    }
    bail!("the stream ended without its last line")
}

/// What many streams at once came to.
struct Many {
    complete: usize,
    tokens_per_second: f64,
}

fn many_streams(url: &str) -> Result<Many> {
    let begun = Instant::now();
    let outcomes: Vec<Result<Stream>> = thread::scope(|scope| {
        let ask =
            |number: usize| scope.spawn(move || one_stream(url, &format!("Here are {number} reasons to visit the sea:"), 32));
        let streams: Vec<_> = (0..STREAMS).map(ask).collect();
        streams.into_iter().map(|stream| stream.join().unwrap_or_else(|_| bail!("a client of the bench fell over"))).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        eprintln!("lost: {error:#}");
    }
    let complete: Vec<&Stream> = outcomes.iter().flatten().collect();
    let tokens: u64 = complete.iter().map(|stream| stream.answer_tokens).sum();
    Ok(Many { complete: complete.len(), tokens_per_second: tokens as f64 / seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_figures_is_read_and_anything_else_refused() {
        let speed = Speed::read(r#"{"prefill_tokens_per_second":76.5,"decode_tokens_per_second":42}"#).unwrap();
        assert!((speed.prefill - 76.5).abs() < 1e-9 && (speed.decode - 42.0).abs() < 1e-9);
        assert!(Speed::read("").is_err());
        assert!(Speed::read(r#"{"prefill_tokens_per_second":1}"#).is_err());
    }

    #[test]
    fn every_prompt_begins_otherwise_and_has_the_same_number_of_words() {
        let prompt = Prompt { words: 40 };
        let words = |number| prompt.numbered(number).split_whitespace().count();
        assert_eq!((words(0), words(27), words(99)), (40, 40, 40));
        assert_ne!(prompt.numbered(1), prompt.numbered(2));
    }

    #[test]
    fn what_is_lost_is_compared_within_each_repetition() {
        let at = |decode| Speed { prefill: 1.0, decode };
        // The machine was twice as slow in the second repetition and disturbed in the third.
        let lost = lost(&[at(40.0), at(20.0), at(40.0)], &[at(39.2), at(19.6), at(10.0)]);
        assert!((lost - 2.0).abs() < 1e-9, "{lost}");
    }

    #[test]
    fn speeds_are_tokens_over_the_clients_own_clock() {
        let stream = Stream {
            prompt_tokens: 512,
            answer_tokens: 129,
            first: Duration::from_secs(4),
            rest: Duration::from_secs(2),
            told: 1_960_000_000,
        };
        assert!((stream.speed().prefill - 128.0).abs() < 1e-9);
        assert!((stream.speed().decode - 64.0).abs() < 1e-9);
        assert!((stream.streaming_cost() - 2.04).abs() < 0.01);
    }
}
