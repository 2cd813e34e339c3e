//! New versions: a feed that the publisher signs, a download that is checked byte for byte, and a place where the next start finds it.
//!
//! Nothing that the pinned key did not sign is ever laid ready, whoever serves the feed or the download.

use crate::{
    config::{ConfigError, value},
    live_config::LiveConfig,
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::StreamExt;
use kith_api::configuration::{Release, Staged, UpdateRefusal, Updates};
use kith_events::Events;
use kith_keys::Identity;
use kith_types::NodeId;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::NamedTempFile;

/// The largest feed, in bytes.
const MAX_FEED: usize = 64 << 10;
/// The largest download, in bytes.
const MAX_DOWNLOAD: u64 = 2 << 30;
/// How long the feed may take.
const FEED_PATIENCE: Duration = Duration::from_secs(30);
/// How long a download may stand still.
const STALL: Duration = Duration::from_secs(60);
/// What is signed begins with this, so that no signature made for something else fits.
const CONTEXT: &str = "kith-update-v1";
/// The folder of versions laid ready.
const FOLDER: &str = "updates";
/// The file in it that names the version.
const RECORD: &str = "staged.json";

/// The settings as they stand in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpdateTable {
    feed: Option<String>,
    key: Option<String>,
}

/// Where new versions are told, and who signs them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateConfig {
    /// The feed's address; `{target}` in it stands for this machine (`x86_64-linux`).
    pub feed: Option<String>,
    /// The publisher's Ed25519 key.
    pub key: Option<[u8; 32]>,
}

fn key_of(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok().or_else(|| BASE64.decode(text).ok())?.try_into().ok()
}

impl UpdateConfig {
    pub(crate) fn from_table(table: &UpdateTable, feed: Option<String>) -> Result<Self, ConfigError> {
        let setting = if feed.is_some() { "KITH_UPDATE_FEED" } else { "update.feed" };
        let feed = feed.or_else(|| table.feed.clone()).filter(|text| !text.is_empty());
        if let Some(text) = &feed {
            address(text).map_err(|reason| value(setting, reason))?;
        }
        let wrong = || value("update.key", "an Ed25519 public key has 32 bytes, as 64 hexadecimal digits or in base64");
        let key = match table.key.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(key_of(text).ok_or_else(wrong)?),
            // The key the program was built with.
            None => option_env!("KITH_UPDATE_KEY").and_then(key_of),
        };
        Ok(Self { feed, key })
    }
}

/// An address of the feed or of a download: encrypted, unless it is on this machine.
fn address(text: &str) -> Result<reqwest::Url, String> {
    let text = text.replace("{target}", &format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS));
    let url = reqwest::Url::parse(&text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        _ => Err(format!("`{text}` must begin with https://")),
    }
}

/// What the feed answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Feed {
    version: String,
    /// Where the program is; may be relative to the feed.
    url: String,
    /// Bytes of the program.
    size: u64,
    /// Its SHA-256, in hexadecimal digits.
    sha256: String,
    /// Base64 of the Ed25519 signature of [`Feed::signed`].
    signature: String,
    #[serde(default)]
    changelog: Option<String>,
}

impl Feed {
    /// What the publisher signs: the version and the very bytes, whichever address they come from.
    fn signed(&self) -> String {
        format!("{CONTEXT}\n{}\n{}\n{}\n", self.version, self.size, self.sha256.to_ascii_lowercase())
    }

    fn trusted(&self, key: &[u8; 32]) -> bool {
        let signature = BASE64.decode(self.signature.trim()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let publisher = NodeId::from_ed25519(key);
        signature.is_some_and(|signature| Identity::verify(&publisher, self.signed().as_bytes(), &signature).is_ok())
    }
}

/// A version that was found in the feed and is signed.
struct Offer {
    feed: Feed,
    version: Version,
    newer: bool,
    base: reqwest::Url,
}

/// What [`RECORD`] holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: String,
    file: String,
    sha256: String,
}

/// Looks for newer versions at the configured feed.
pub(crate) struct FeedUpdates {
    config: Arc<LiveConfig>,
    events: Events,
    running: String,
    http: reqwest::Client,
    fetching: tokio::sync::Mutex<()>,
}

fn disk(error: &dyn std::fmt::Display) -> UpdateRefusal {
    UpdateRefusal::Disk(format!("the update could not be kept: {error}"))
}

impl FeedUpdates {
    /// Compares with `running`, the version of this program.
    pub fn new(config: Arc<LiveConfig>, events: Events, running: String) -> Self {
        let client = reqwest::Client::builder()
            .user_agent(concat!("kith/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(STALL)
            .redirect(reqwest::redirect::Policy::limited(5))
            .build();
        let http = client.unwrap_or_else(|error| {
            tracing::error!(%error, "the client for updates has no settings of its own");
            reqwest::Client::new()
        });
        Self { config, events, running, http, fetching: tokio::sync::Mutex::default() }
    }

    async fn offer(&self) -> Result<Offer, UpdateRefusal> {
        let config = self.config.current();
        let missing = |what: &str| UpdateRefusal::NotConfigured(format!("no {what} for updates is configured"));
        let feed = config.update.feed.as_deref().ok_or_else(|| missing("feed (update.feed)"))?;
        let key = config.update.key.ok_or_else(|| missing("publisher's key (update.key)"))?;
        let base = address(feed).map_err(UpdateRefusal::Feed)?;
        let told = |error: String| UpdateRefusal::Feed(format!("the update feed {base} {error}"));
        let body = tokio::time::timeout(FEED_PATIENCE, async {
            let answer = self.http.get(base.clone()).send().await.map_err(|error| told(reason(error)))?;
            if !answer.status().is_success() {
                return Err(told(format!("answered {}", answer.status())));
            }
            let mut body = Vec::new();
            let mut chunks = answer.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                body.extend_from_slice(&chunk.map_err(|error| told(reason(error)))?);
                if body.len() > MAX_FEED {
                    return Err(told(format!("is larger than {MAX_FEED} bytes")));
                }
            }
            Ok(body)
        });
        let body = body.await.map_err(|_| told(format!("did not answer within {} s", FEED_PATIENCE.as_secs())))??;
        let feed: Feed = serde_json::from_slice(&body).map_err(|error| told(format!("is not understood: {error}")))?;
        if !feed.trusted(&key) {
            return Err(UpdateRefusal::Untrusted("the update is not signed by the publisher's key".to_owned()));
        }
        if feed.size == 0 || feed.size > MAX_DOWNLOAD {
            return Err(told(format!("offers {} bytes; 1 to {MAX_DOWNLOAD} are taken", feed.size)));
        }
        let number = |text: &str| Version::parse(text).map_err(|error| told(format!("names the version `{text}`: {error}")));
        let version = number(&feed.version)?;
        let newer = version > number(&self.running)?;
        if newer {
            self.events.publish(
                "update.available",
                json!({"version": feed.version, "current": self.running, "size": feed.size, "changelog": feed.changelog}),
            );
        }
        Ok(Offer { feed, version, newer, base })
    }

    /// Fetches the bytes into `file`; they are on the disk, and are what was signed.
    async fn fetch(&self, offer: &Offer, file: &mut NamedTempFile) -> Result<(), UpdateRefusal> {
        let told = |error: String| UpdateRefusal::Feed(format!("the download of version {} {error}", offer.version));
        let url = offer.base.join(&offer.feed.url).map_err(|error| told(error.to_string()))?;
        let url = address(url.as_str()).map_err(told)?;
        let answer = self.http.get(url).send().await.map_err(|error| told(reason(error)))?;
        if !answer.status().is_success() {
            return Err(told(format!("answered {}", answer.status())));
        }
        let untrusted = |what: &str| UpdateRefusal::Untrusted(format!("the download is not what was signed: {what}"));
        let mut digest = Sha256::new();
        let mut size = 0u64;
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| told(reason(error)))?;
            size += chunk.len() as u64;
            if size > offer.feed.size {
                return Err(untrusted("it has more bytes"));
            }
            digest.update(&chunk);
            file.write_all(&chunk).map_err(|error| disk(&error))?;
        }
        if size != offer.feed.size {
            return Err(untrusted("it has fewer bytes"));
        }
        if !hex::encode(digest.finalize()).eq_ignore_ascii_case(&offer.feed.sha256) {
            return Err(untrusted("its SHA-256 is another one"));
        }
        file.as_file().sync_all().map_err(|error| disk(&error))
    }
}

/// What went wrong, without the address, which stands before it.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() { "took too long".to_owned() } else { format!("cannot be reached: {}", error.without_url()) }
}

/// Puts the file in its place, then the record that names it: a crash in between leaves a file that nothing names.
fn stage(folder: &Path, file: NamedTempFile, feed: &Feed) -> Result<PathBuf, UpdateRefusal> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o700)).map_err(|error| disk(&error))?;
    }
    let name = format!("kith-{}{}", feed.version, std::env::consts::EXE_SUFFIX);
    let path = folder.join(&name);
    file.persist(&path).map_err(|error| disk(&error))?;
    let record = Record { version: feed.version.clone(), file: name, sha256: feed.sha256.to_ascii_lowercase() };
    let bytes = serde_json::to_vec(&record).map_err(|error| disk(&error))?;
    kith_keys::private_file::replace(&folder.join(RECORD), &bytes).map_err(|error| disk(&error))?;
    Ok(path)
}

#[async_trait]
impl Updates for FeedUpdates {
    async fn check(&self) -> Result<Release, UpdateRefusal> {
        let offer = self.offer().await?;
        Ok(Release { version: offer.feed.version, size: offer.feed.size, changelog: offer.feed.changelog, newer: offer.newer })
    }

    async fn apply(&self) -> Result<Staged, UpdateRefusal> {
        let _fetching = self.fetching.try_lock().map_err(|_| UpdateRefusal::Busy)?;
        let offer = self.offer().await?;
        if !offer.newer {
            return Err(UpdateRefusal::Newest(self.running.clone()));
        }
        let folder = self.config.current().data_dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|error| disk(&error))?;
        let mut file = NamedTempFile::new_in(&folder).map_err(|error| disk(&error))?;
        self.fetch(&offer, &mut file).await?;
        let path = stage(&folder, file, &offer.feed)?;
        self.events.publish("update.staged", json!({"version": offer.feed.version}));
        Ok(Staged { version: offer.feed.version, path, sha256: offer.feed.sha256.to_ascii_lowercase() })
    }
}

/// Puts the version that lies ready in `data_dir` in the place of the program `exe`, if it is newer than `running` and still the bytes
/// that were checked. Gives its number. Called before a node starts; the caller then starts the program anew.
///
/// # Errors
/// The program could not be replaced; it is as it was.
pub fn take_staged(data_dir: &Path, exe: &Path, running: &str) -> std::io::Result<Option<String>> {
    let folder = data_dir.join(FOLDER);
    let Ok(bytes) = std::fs::read(folder.join(RECORD)) else { return Ok(None) };
    let Ok(record) = serde_json::from_slice::<Record>(&bytes) else { return Ok(None) };
    let newer = matches!((Version::parse(&record.version), Version::parse(running)), (Ok(new), Ok(old)) if new > old);
    let staged = folder.join(&record.file);
    // A name with a folder in it was not written by us.
    let ours = Path::new(&record.file).components().count() == 1;
    let result = if newer && ours && sha256_of(&staged)? == Some(record.sha256.clone()) {
        replace_program(&staged, exe)?;
        Some(record.version)
    } else {
        None
    };
    // Tried once: a version that does not start must not be tried for ever.
    let _ = std::fs::remove_file(folder.join(RECORD));
    if ours {
        let _ = std::fs::remove_file(&staged);
    }
    Ok(result)
}

fn sha256_of(path: &Path) -> std::io::Result<Option<String>> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut digest)?;
    Ok(Some(hex::encode(digest.finalize())))
}

/// In one step: whoever starts the program meanwhile starts the old one or the new one, whole.
fn replace_program(staged: &Path, exe: &Path) -> std::io::Result<()> {
    let folder = exe.parent().unwrap_or_else(|| Path::new("."));
    let mut copy = NamedTempFile::new_in(folder)?;
    std::io::copy(&mut std::fs::File::open(staged)?, &mut copy)?;
    copy.as_file().set_permissions(std::fs::metadata(exe)?.permissions())?;
    copy.as_file().sync_all()?;
    if cfg!(windows) {
        // A running program cannot be replaced there, but can be moved aside.
        let aside = exe.with_extension("old.exe");
        let _ = std::fs::remove_file(&aside);
        std::fs::rename(exe, &aside)?;
        if let Err(error) = copy.persist(exe) {
            std::fs::rename(&aside, exe)?;
            return Err(error.error);
        }
        return Ok(());
    }
    copy.persist(exe).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_are_encrypted_unless_they_are_on_this_machine() {
        for text in ["https://example.org/feed.json", "http://127.0.0.1:1/x", "http://localhost/{target}.json"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in ["http://example.org/feed.json", "file:///etc/passwd", "feed.json", "ftp://localhost/x"] {
            assert!(address(text).is_err(), "{text}");
        }
        assert!(address("https://example.org/{target}").unwrap().path().contains(std::env::consts::ARCH));
    }

    #[test]
    fn keys_are_read_in_both_forms_and_wrong_ones_are_told() {
        let key = [7u8; 32];
        for text in [hex::encode(key), BASE64.encode(key)] {
            let table = UpdateTable { key: Some(text), feed: None };
            assert_eq!(UpdateConfig::from_table(&table, None).unwrap().key, Some(key));
        }
        let table = UpdateTable { key: Some("abc".into()), feed: None };
        assert!(UpdateConfig::from_table(&table, None).unwrap_err().to_string().starts_with("update.key"));
    }

    fn staged(dir: &Path, version: &str, content: &[u8], sha256: &str) {
        std::fs::create_dir_all(dir.join(FOLDER)).unwrap();
        std::fs::write(dir.join(FOLDER).join("kith-new"), content).unwrap();
        let record = Record { version: version.into(), file: "kith-new".into(), sha256: sha256.into() };
        std::fs::write(dir.join(FOLDER).join(RECORD), serde_json::to_vec(&record).unwrap()).unwrap();
    }

    #[test]
    fn the_next_start_takes_a_newer_version_once_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let exe = dir.path().join("kith");
        std::fs::write(&exe, "old").unwrap();
        let take = || take_staged(dir.path(), &exe, "1.2.0").unwrap();
        assert_eq!(take(), None);
        let digest = hex::encode(Sha256::digest(b"new"));
        staged(dir.path(), "1.1.9", b"new", &digest);
        assert_eq!(take(), None);
        staged(dir.path(), "1.3.0", b"tampered", &digest);
        assert_eq!(take(), None);
        assert_eq!(std::fs::read(&exe).unwrap(), b"old");
        staged(dir.path(), "1.3.0", b"new", &digest);
        assert_eq!(take().as_deref(), Some("1.3.0"));
        assert_eq!(std::fs::read(&exe).unwrap(), b"new");
        assert_eq!(take(), None);
    }
}
