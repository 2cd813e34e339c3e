//! `bench reads`: cheap reads at a steady rate. Each request has a time at which it should begin; its latency counts from there,
//! so that a node that stalls is not spared the requests that had to wait for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::inference::{Scratch, command, start};
use super::machine;
use crate::paths::Paths;
use crate::{check, process, setup};

/// Requests a second, all connections together.
const RATE: u32 = 500;
const SECONDS: u32 = 20;
const CONNECTIONS: u32 = 16;
/// Models in the library that is listed.
const MODELS: u32 = 10;
const PATHS: [&str; 5] = ["/api/version", "/api/tags", "/api/ps", "/v1/models", "/health"];

/// Measures and gives the section of the page.
pub fn measure(paths: &Paths) -> Result<String> {
    let file = setup::for_running(paths)?;
    process::run(&mut check::build(paths))?;
    let folder = Scratch::make(paths)?;
    let data = folder.0.join("node");
    let (_node, url) = start(paths, &data)?;
    for number in 1..=MODELS {
        process::run(command(paths, &data).arg("import").arg(&file).args(["--name", &format!("model:{number}")]))?;
    }
    let authority = url.strip_prefix("http://").context("the node's URL is not plain HTTP")?;
    let begun = Instant::now();
    let outcomes: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
        let readers: Vec<_> = (0..CONNECTIONS).map(|number| scope.spawn(move || reader(authority, begun, number))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap_or_else(|_| bail!("a client of the bench fell over"))).collect()
    });
    let mut latencies = Vec::new();
    for outcome in outcomes {
        latencies.extend(outcome?);
    }
    let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| quantile(&latencies, share).as_secs_f64() * 1000.0;
    let mut text = format!(
        "{} reads over {CONNECTIONS} connections in {SECONDS} s ({}) on {}.\n\n",
        latencies.len(),
        PATHS.join(", "),
        machine::described()
    );
    text += "| what | measured | wanted |\n|---|--:|--:|\n";
    text += &format!("| requests a second | {rate:.0} | {RATE} |\n");
    text += &format!("| median | {:.2} ms | |\n", at(0.5));
    text += &format!("| 99 of 100 within | {:.2} ms | under 10 ms |\n", at(0.99));
    text += &format!("| the slowest | {:.2} ms | |\n", at(1.0));
    Ok(text)
}

/// One connection's share of the requests, each at its time.
fn reader(authority: &str, begun: Instant, number: u32) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(authority)?;
    let own = RATE * SECONDS / CONNECTIONS;
    let mut latencies = Vec::with_capacity(own as usize);
    for turn in 0..own {
        let count = turn * CONNECTIONS + number;
        let due = begun + Duration::from_secs(1) * count / RATE;
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        connection.get(PATHS[count as usize % PATHS.len()])?;
        latencies.push(due.elapsed());
    }
    Ok(latencies)
}

/// The value that this share of the sorted values does not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// A connection that is kept.
struct Connection {
    reader: BufReader<TcpStream>,
    authority: String,
}

impl Connection {
    fn open(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { reader: BufReader::new(stream), authority: authority.to_owned() })
    }

    fn get(&mut self, path: &str) -> Result<()> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.authority);
        self.reader.get_mut().write_all(head.as_bytes())?;
        let (mut line, mut length, mut first) = (String::new(), None, true);
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            if first && !line.starts_with("HTTP/1.1 200") {
                bail!("{path} answered {line:?}");
            }
            first = false;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<u64>()?);
            }
        }
        let length = length.with_context(|| format!("{path} told no length"))?;
        let read = std::io::copy(&mut (&mut self.reader).take(length), &mut std::io::sink())?;
        if read < length { bail!("{path} ended early") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Duration::from_millis(100));
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&sorted, 1.0), Duration::from_millis(200));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
