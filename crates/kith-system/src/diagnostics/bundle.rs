//! What is in a report, and its zip.

use super::{Sources, config};
use crate::{Redactor, SystemError, error::blocking, machine};
use kith_types::Timestamp;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};
use zeroize::Zeroizing;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The most bytes of the configuration that are read.
const MAX_CONFIG: u64 = 256 << 10;
/// The last bytes of a log file that go into a report.
const MAX_LOG: u64 = 512 << 10;
/// The newest log files go into a report.
const LOGS: usize = 2;
/// The newest audit records go into a report.
const AUDIT: u32 = 200;
/// The largest file in a report, in bytes; what is longer is cut.
const MAX_FILE: usize = 1 << 20;

/// The files of a report: name and text, without secrets.
pub(super) struct Bundle(Vec<(String, String)>);

struct OnDisk {
    config: String,
    /// What the configuration and the key files hold.
    secrets: Vec<Zeroizing<String>>,
    logs: Vec<(String, String)>,
    machine: Value,
}

/// Reads at most `most` bytes, as text.
fn read_text(path: &Path, most: u64) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last whole lines of a file. A line cut in two could show a part of a secret.
fn tail(path: &Path) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let start = length.saturating_sub(MAX_LOG);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_LOG).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(if start == 0 { text } else { text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned()) })
}

/// The newest log files, by their own names.
fn logs(dir: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<(SystemTime, String, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("kith") && name.ends_with(".log"))?;
            let metadata = fs::symlink_metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, name, entry.path()))
        })
        .collect();
    files.sort();
    files.into_iter().rev().take(LOGS).filter_map(|(_, name, path)| Some((name, tail(&path)?))).collect()
}

fn on_disk(data_dir: &Path, with_logs: bool) -> OnDisk {
    let text = read_text(&data_dir.join("config.toml"), MAX_CONFIG).unwrap_or_default();
    let (config, mut secrets) = config::redacted(&text);
    secrets.extend(read_text(&data_dir.join("admin.token"), 4096).map(Zeroizing::new));
    let logs = if with_logs { logs(&data_dir.join("logs")) } else { Vec::new() };
    OnDisk { config, secrets, logs, machine: machine::description() }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_FILE {
        let end = (0..=MAX_FILE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("{value}\n")).collect()
}

impl Bundle {
    /// Collects the files and takes secrets out of each line of each.
    pub async fn gather(sources: &Sources, state: Value) -> Result<Self, SystemError> {
        let (data_dir, with_logs) = (sources.data_dir.clone(), sources.settings.get().diagnostics_include_logs);
        let disk = blocking(move || Ok(on_disk(&data_dir, with_logs))).await?;
        let points = sources.metrics.points(None, None).await?;
        let audit = sources.store.audit_search(Timestamp::from_ms(0), None, None, AUDIT).await?;
        let profile = sources.profiles.get().await?;
        let mut secrets = disk.secrets;
        secrets.extend(sources.secrets.iter().cloned());
        secrets.extend(profile.push_endpoint.map(Zeroizing::new));
        secrets.extend(sources.settings.push_token().await.ok().flatten());
        let home = sources.home.as_ref().and_then(|home| home.to_str()).map(str::to_owned);
        let redactor = Redactor::new(secrets, home, sources.plain.clone());

        let metrics =
            points.iter().map(|point| json!({"ts_ms": point.start, "covered_ms": point.covered_ms, "figures": point.figures}));
        let records = audit.iter().map(|record| {
            let data = serde_json::from_str(&record.entry.data).unwrap_or(Value::Null);
            json!({"seq": record.seq, "ts_ms": record.entry.at, "type": record.entry.kind, "data": data})
        });
        let about = json!({"made": sources.clock.now().rfc3339(), "machine": disk.machine});
        let mut files = vec![
            ("about.json".to_owned(), format!("{about:#}\n")),
            ("state.json".to_owned(), format!("{state:#}\n")),
            ("config.toml".to_owned(), disk.config),
            ("metrics.jsonl".to_owned(), lines(metrics)),
            ("audit.jsonl".to_owned(), lines(records)),
        ];
        files.extend(disk.logs.into_iter().map(|(name, text)| (format!("logs/{name}"), text)));
        let clean = |text: &str| text.split_inclusive('\n').map(|line| redactor.text(line)).collect::<String>();
        Ok(Self(files.into_iter().map(|(name, text)| (name, cut(clean(&text)))).collect()))
    }

    /// The zip. Its files are stored as they are: a report is small, and is read by people.
    pub fn zip(&self) -> Result<Vec<u8>, SystemError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o600);
        for (name, text) in &self.0 {
            zip.start_file(name.as_str(), options).map_err(SystemError::internal)?;
            zip.write_all(text.as_bytes())?;
        }
        Ok(zip.finish().map_err(SystemError::internal)?.into_inner())
    }
}
