//! A model's windows in processes of their own, one after another on the local network, for a test and a measurement: the program starts
//! itself again for every window. Each sends what it makes of a step to the next, the last to whoever asked.
//!
//! No socket is waited for longer than [`PATIENCE`]; a process ends with its row, or when its row has gone.

use kith_engine_layers::{Encoding, Frame, Next, Reads, Stage, StageOptions, Track, Window};
use std::{
    error::Error,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

/// What a process of a row is told: port, index, first layer, the one after the last, all layers, threads.
const PART: &str = "KITH_ROW_PART";
/// The model's file, and a folder for panels if there is one.
const MODEL: &str = "KITH_ROW_MODEL";
const PANELS: &str = "KITH_ROW_PANELS";
/// How long a socket is waited for. Long, since the machine may have much else to do.
const PATIENCE: Duration = Duration::from_secs(240);
/// Bytes of a message at most: logits of a few thousand tokens.
const MOST: usize = 1 << 30;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is wanted of the last window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The logits, their very bits.
    Logits,
    /// The likeliest tokens' ids.
    Likeliest,
}

/// The next tokens of one sequence.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The sequence's number.
    pub track: usize,
    /// Tokens that it had before; what it holds beyond them is forgotten.
    pub keeps: usize,
    /// How many are read now.
    pub tokens: usize,
}

/// One step of the whole row.
pub struct Order<'a> {
    pub answer: Answer,
    /// How hidden states travel.
    pub encoding: Encoding,
    pub parts: &'a [Part],
    /// The tokens of the step that are asked about.
    pub wanted: &'a [usize],
    pub tokens: &'a [u32],
}

/// Which layers each of `count` windows has.
pub fn cut(layers: usize, count: usize) -> Vec<Range<usize>> {
    (0..count).map(|at| at * layers / count..(at + 1) * layers / count).collect()
}

/// The id of the largest logit, the first of equals.
pub fn likeliest(logits: &[f32]) -> u32 {
    let best = logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, logit)| if *logit > best.1 { (id, *logit) } else { best });
    best.0 as u32
}

/// Processes that hold a model together.
pub struct Row {
    children: Vec<Child>,
    /// Bytes of each process before it loaded its window, where the system tells.
    before: Vec<Option<u64>>,
    /// Bytes of weights that each holds.
    weights: Vec<u64>,
    first: TcpStream,
    last: TcpStream,
    message: Vec<u8>,
}

impl Row {
    /// Starts a process for every window of the model at `path`. `arguments` bring this program to call [`serve`].
    pub fn start(
        path: &Path,
        layers: usize,
        count: usize,
        threads: usize,
        panels: Option<&Path>,
        arguments: &[&str],
    ) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        // Whatever goes wrong from here on, what was started is ended.
        let mut started = Started(Vec::new());
        for (index, window) in cut(layers, count).into_iter().enumerate() {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(arguments).env(MODEL, path).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
            command.env(PART, format!("{port} {index} {} {} {layers} {threads}", window.start, window.end));
            if let Some(panels) = panels {
                command.env(PANELS, panels);
            }
            started.0.push(command.spawn()?);
        }
        let mut controls: Vec<Option<(TcpStream, u32)>> = (0..count).map(|_| None).collect();
        for _ in 0..count {
            let mut control = accept(&listener, &mut started)?;
            let [index, port] = [number(&mut control)?, number(&mut control)?];
            *controls.get_mut(index as usize).ok_or("a window that is not of the row")? = Some((control, port));
        }
        let mut controls = controls.into_iter().collect::<Option<Vec<_>>>().ok_or("two windows are the same")?;
        let before = started.0.iter().map(|child| resident(child.id())).collect();
        let ports: Vec<u32> = controls.iter().map(|(_, port)| *port).collect();
        for (at, (control, _)) in controls.iter_mut().enumerate() {
            control.write_all(&ports.get(at + 1).copied().unwrap_or(0).to_le_bytes())?;
        }
        let mut weights = Vec::new();
        for (control, _) in &mut controls {
            weights.push(u64::from(number(control)?) | u64::from(number(control)?) << 32);
        }
        let first = connect(u16::try_from(ports[0])?)?;
        let (last, _) = controls.pop().ok_or("a row without windows")?;
        Ok(Self { children: std::mem::take(&mut started.0), before, weights, first, last, message: Vec::new() })
    }

    /// Bytes of weights that each window holds.
    pub fn weights(&self) -> &[u64] {
        &self.weights
    }

    /// Bytes that each process takes now beyond what it took before it loaded its window; `None` where the system does not tell.
    pub fn memory(&self) -> Option<Vec<u64>> {
        let each = self.children.iter().zip(&self.before);
        each.map(|(child, before)| Some(resident(child.id())?.saturating_sub((*before)?))).collect()
    }

    /// Sends a step through the row; what comes back is in the order of what is wanted.
    fn step(&mut self, order: &Order<'_>) -> io::Result<&[u8]> {
        let message = &mut self.message;
        begin(message, order.answer, order.encoding, order.parts, order.wanted);
        order.tokens.iter().for_each(|token| message.extend_from_slice(&token.to_le_bytes()));
        send(&mut self.first, message)?;
        if !receive(&mut self.last, message)? {
            return Err(io::Error::other("a window has ended"));
        }
        Ok(message)
    }

    /// The logits of the tokens wanted, one after another.
    pub fn logits(&mut self, order: &Order<'_>) -> io::Result<Vec<f32>> {
        Ok(self.step(order)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The likeliest next tokens after those wanted.
    pub fn likeliest(&mut self, order: &Order<'_>) -> io::Result<Vec<u32>> {
        Ok(self.step(order)?.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        drop(Started(std::mem::take(&mut self.children)));
    }
}

/// Processes that end with it.
struct Started(Vec<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Works as a window, if this process was started as one; `false` if not. Returns when the row has gone.
pub fn serve() -> Outcome<bool> {
    let Ok(part) = std::env::var(PART) else { return Ok(false) };
    let numbers = part.split(' ').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let [port, index, start, end, layers, threads] = numbers[..] else { return Err("what part is not clear".into()) };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut control = connect(u16::try_from(port)?)?;
    control.write_all(&[u32::try_from(index)?, u32::from(listener.local_addr()?.port())].map(u32::to_le_bytes).concat())?;
    let next = number(&mut control)?;
    let path = PathBuf::from(std::env::var_os(MODEL).ok_or("no model is named")?);
    let window = Window { embedding: start == 0, head: end == layers, layers: start..end };
    let panels = std::env::var_os(PANELS).map(PathBuf::from);
    let mut stage = Stage::load(&path, &StageOptions { window: Some(window), threads, panels, ..StageOptions::default() })?;
    stage.keep_panels()?;
    control.write_all(&stage.weights().to_le_bytes())?;
    let mut output = if next == 0 { control.try_clone()? } else { connect(u16::try_from(next)?)? };
    let mut input = accept(&listener, &mut Started(Vec::new()))?;
    let mut work = Work { stage, tracks: Vec::new(), states: Vec::new(), out: Vec::new() };
    let mut message = Vec::new();
    while receive(&mut input, &mut message)? {
        work.step(&message)?;
        send(&mut output, &mut work.out)?;
    }
    Ok(true)
}

/// A window at work.
struct Work {
    stage: Stage,
    tracks: Vec<Track>,
    states: Vec<f32>,
    out: Vec<u8>,
}

impl Work {
    fn step(&mut self, message: &[u8]) -> Outcome<()> {
        let (answer, encoding, parts, wanted, rest) = header(message).ok_or("a message that is cut short")?;
        let most = parts.iter().map(|part| part.track + 1).max().unwrap_or(0);
        self.tracks.resize_with(most.max(self.tracks.len()), Track::new);
        let mut taken: Vec<Track> = parts.iter().map(|part| std::mem::take(&mut self.tracks[part.track])).collect();
        let mut nexts = Vec::new();
        for (track, part) in taken.iter_mut().zip(&parts) {
            track.truncate(part.keeps);
            nexts.push(Next { track, tokens: part.tokens });
        }
        let ids: Vec<u32>;
        let reads = if self.stage.window().embedding {
            ids = rest.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
            Reads::Tokens(&ids)
        } else {
            Frame::read(rest)?.decode(&mut self.states);
            Reads::States(&self.states)
        };
        self.stage.step(reads, &mut nexts, &|| false)?;
        for (track, part) in taken.into_iter().zip(&parts) {
            self.tracks[part.track] = track;
        }
        if !self.stage.window().head {
            begin(&mut self.out, answer, encoding, &parts, &wanted);
            Frame::encode(encoding, self.stage.width(), self.stage.states(), &mut self.out)?;
            return Ok(());
        }
        let vocabulary = self.stage.vocabulary();
        let logits = self.stage.logits(&wanted)?;
        self.out.clear();
        self.out.extend([0; 4]);
        match answer {
            Answer::Logits => self.out.extend(logits.iter().flat_map(|logit| logit.to_le_bytes())),
            Answer::Likeliest => self.out.extend(logits.chunks(vocabulary).flat_map(|logits| likeliest(logits).to_le_bytes())),
        }
        Ok(())
    }
}

/// Begins a message: room for its length, then what every window of the row is told.
fn begin(message: &mut Vec<u8>, answer: Answer, encoding: Encoding, parts: &[Part], wanted: &[usize]) {
    message.clear();
    message.extend([0; 4]);
    let encoding = match encoding {
        Encoding::F32 => 0,
        Encoding::F16 => 1,
        Encoding::I8 => 2,
    };
    let parts_flat = parts.iter().flat_map(|part| [part.track, part.keeps, part.tokens]);
    let numbers = [usize::from(answer == Answer::Likeliest), encoding, parts.len(), wanted.len()];
    for number in numbers.into_iter().chain(parts_flat).chain(wanted.iter().copied()) {
        message.extend_from_slice(&(number as u32).to_le_bytes());
    }
}

type Header<'a> = (Answer, Encoding, Vec<Part>, Vec<usize>, &'a [u8]);

fn header(message: &[u8]) -> Option<Header<'_>> {
    let mut words = message.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let answer = if words.next()? == 0 { Answer::Logits } else { Answer::Likeliest };
    let encoding = [Encoding::F32, Encoding::F16, Encoding::I8].get(words.next()?).copied()?;
    let (parts, wanted) = (words.next()?, words.next()?);
    let rest = message.get(4 * (4 + 3 * parts + wanted)..)?;
    let parts = (0..parts)
        .map(|_| Some(Part { track: words.next()?, keeps: words.next()?, tokens: words.next()? }))
        .collect::<Option<_>>()?;
    let wanted = words.take(wanted).collect();
    Some((answer, encoding, parts, wanted, rest))
}

/// Sends a message whose first four bytes are room for its length, all at once.
fn send(to: &mut TcpStream, message: &mut [u8]) -> io::Result<()> {
    let length = u32::try_from(message.len() - 4).map_err(io::Error::other)?;
    message[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(message)
}

/// Receives a message; `false` if the other side has gone.
fn receive(from: &mut TcpStream, message: &mut Vec<u8>) -> io::Result<bool> {
    let length = match number(from) {
        Ok(length) => length as usize,
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => return Ok(false),
        Err(error) => return Err(error),
    };
    if length > MOST {
        return Err(io::Error::other("a message that is too long"));
    }
    message.resize(length, 0);
    from.read_exact(message)?;
    Ok(true)
}

fn number(from: &mut TcpStream) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    ready(TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE)?)
}

/// The next connection, as long as none of those who may come has ended.
#[allow(clippy::disallowed_methods, reason = "there is no runtime here, and a listener has no deadline")]
fn accept(listener: &TcpListener, expected: &mut Started) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return ready(stream);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if start.elapsed() > PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
        for child in &mut expected.0 {
            if child.try_wait()?.is_some() {
                return Err(io::Error::other("a window ended before it began"));
            }
        }
    }
}

/// Bytes of a process that are in memory, without those of the program itself, which all processes that run it have in common.
fn resident(id: u32) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{id}/smaps")).ok()?;
    let program = std::fs::read_link(format!("/proc/{id}/exe")).ok()?;
    let program = program.to_str()?;
    let (mut own, mut bytes) = (true, 0);
    for line in maps.lines() {
        if let Some(amount) = line.strip_prefix("Rss:") {
            let kilobytes: u64 = amount.trim().strip_suffix(" kB")?.parse().ok()?;
            bytes += if own { 1024 * kilobytes } else { 0 };
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            own = !line.ends_with(program);
        }
    }
    Some(bytes)
}
