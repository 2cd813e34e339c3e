//! `feed`: what an app reads to learn of a newer version, made of the installers of all systems and the signatures beside them.
//! It is Tauri's static form: <https://v2.tauri.app/plugin/updater/#static-json-file>

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::paths::Paths;
use crate::process;

/// Who takes which file: an app asks for its system and the kind of its installer first, then for its system alone.
const TAKERS: [(&str, &str); 6] = [
    ("linux-x86_64", ".AppImage"),
    ("linux-x86_64-deb", ".deb"),
    ("linux-x86_64-rpm", ".rpm"),
    // The release is made on Apple's own processors; the file's name does not say so.
    ("darwin-aarch64", ".app.tar.gz"),
    ("windows-x86_64", "-setup.exe"),
    ("windows-x86_64-msi", ".msi"),
];

/// What the person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// The folder with the installers and their signatures, which gets the feed.
    folder: PathBuf,
    /// The address below which the installers can be fetched.
    base_url: String,
    /// A file that says what is new.
    notes: Option<PathBuf>,
}

impl Wishes {
    /// Reads the arguments after `feed`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let (mut folder, mut base_url, mut notes) = (None, None, None);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--base-url" => base_url = Some(arguments.next().context("--base-url needs an address")?.to_owned()),
                "--notes" => notes = Some(arguments.next().context("--notes needs a file")?.into()),
                other if folder.is_none() && !other.starts_with('-') => folder = Some(other.into()),
                other => bail!("feed knows no argument {other:?}"),
            }
        }
        let base_url: String =
            base_url.context("feed needs --base-url, the address below which the installers can be fetched")?;
        if !base_url.starts_with("https://") {
            bail!("{base_url:?} does not begin with https://");
        }
        Ok(Self { folder: folder.context("feed needs the folder with the installers")?, base_url, notes })
    }
}

/// Writes `latest.json` into the folder. Fails if a system would be left without updates.
pub fn run(paths: &Paths, wishes: &Wishes) -> Result<()> {
    let text = |file: &PathBuf| fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()));
    let notes = wishes.notes.as_ref().map(text).transpose()?;
    // The commit's date, which git tells as RFC 3339 wants it: so one release has one feed, whenever that is made.
    let date = process::text_of(Command::new("git").current_dir(&paths.root).args(["log", "-1", "--format=%cI"]))?;
    let release = Release { version: env!("CARGO_PKG_VERSION"), date: &date, notes, base_url: &wishes.base_url };
    let feed = release.feed(&signatures(&wishes.folder)?)?;
    let place = wishes.folder.join("latest.json");
    fs::write(&place, serde_json::to_string_pretty(&feed)?).with_context(|| format!("could not write {}", place.display()))?;
    println!("{}", place.display());
    Ok(())
}

/// What holds for the installers of all systems.
struct Release<'a> {
    version: &'a str,
    /// As in RFC 3339.
    date: &'a str,
    notes: Option<String>,
    base_url: &'a str,
}

impl Release<'_> {
    /// The feed of these signatures, by the installer's name.
    fn feed(&self, signatures: &BTreeMap<String, String>) -> Result<Value> {
        let mut platforms = json!({});
        for (taker, ending) in TAKERS {
            let files: Vec<_> = signatures.iter().filter(|(name, _)| name.ends_with(ending)).collect();
            let [(name, signature)] = files[..] else {
                bail!("{taker} takes one signed file that ends in {ending}; there are {}", files.len());
            };
            let url = format!("{}/{name}", self.base_url.trim_end_matches('/'));
            platforms[taker] = json!({ "signature": signature, "url": url });
        }
        let mut feed = json!({ "version": self.version, "pub_date": self.date, "platforms": platforms });
        if let Some(notes) = &self.notes {
            feed["notes"] = json!(notes);
        }
        Ok(feed)
    }
}

/// The signatures in the folder, by the name of the installer that lies beside each.
fn signatures(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
        let file = file?.path();
        let Some(name) = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".sig")) else { continue };
        if !folder.join(name).is_file() {
            bail!("{} is the signature of nothing in {}", file.display(), folder.display());
        }
        let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        found.insert(name.to_owned(), text.trim().to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 6] = [
        "Kith_1.2.3_amd64.AppImage",
        "Kith_1.2.3_amd64.deb",
        "Kith-1.2.3-1.x86_64.rpm",
        "Kith.app.tar.gz",
        "Kith_1.2.3_x64-setup.exe",
        "Kith_1.2.3_x64_en-US.msi",
    ];

    fn signed(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("signature of {name}"))).collect()
    }

    fn feed(names: &[&str]) -> Result<Value> {
        let date = "2026-11-21T17:00:00+01:00";
        Release { version: "1.2.3", date, notes: Some("All new.".to_owned()), base_url: "https://a/v1.2.3/" }.feed(&signed(names))
    }

    #[test]
    fn every_system_finds_its_file_and_that_file_s_signature() {
        let feed = feed(&FILES).unwrap();
        assert_eq!((&feed["version"], &feed["notes"]), (&json!("1.2.3"), &json!("All new.")));
        assert_eq!(feed["pub_date"], "2026-11-21T17:00:00+01:00");
        for (taker, name) in [
            ("linux-x86_64", FILES[0]),
            ("linux-x86_64-deb", FILES[1]),
            ("linux-x86_64-rpm", FILES[2]),
            ("darwin-aarch64", FILES[3]),
            ("windows-x86_64", FILES[4]),
            ("windows-x86_64-msi", FILES[5]),
        ] {
            let told = json!({ "signature": format!("signature of {name}"), "url": format!("https://a/v1.2.3/{name}") });
            assert_eq!(feed["platforms"][taker], told);
        }
        assert_eq!(feed["platforms"].as_object().unwrap().len(), FILES.len());
    }

    #[test]
    fn no_system_is_left_out_and_none_has_to_choose() {
        for left_out in 0..FILES.len() {
            let rest: Vec<&str> =
                FILES.iter().copied().enumerate().filter(|(at, _)| *at != left_out).map(|(_, name)| name).collect();
            assert!(feed(&rest).unwrap_err().to_string().contains("takes one signed file"));
        }
        let two = [&FILES[..], &["Kith_1.2.2_amd64.deb"]].concat();
        assert!(feed(&two).unwrap_err().to_string().starts_with("linux-x86_64-deb takes one signed file that ends in .deb"));
    }

    #[test]
    fn a_signature_is_read_from_beside_its_installer() {
        let folder = std::env::temp_dir().join(format!("xtask-feed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in [("a.deb", "program"), ("a.deb.sig", "signed\n"), ("b.dmg", "program")] {
            fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(signatures(&folder).unwrap(), BTreeMap::from([("a.deb".to_owned(), "signed".to_owned())]));
        fs::write(folder.join("gone.msi.sig"), "signed").unwrap();
        assert!(signatures(&folder).unwrap_err().to_string().contains("the signature of nothing"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn wishes_are_a_folder_and_an_address() {
        let parse = |line: &str| Wishes::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let wishes = parse("out --base-url https://a --notes n.md").unwrap();
        assert_eq!(wishes, Wishes { folder: "out".into(), base_url: "https://a".to_owned(), notes: Some("n.md".into()) });
        assert_eq!(parse("out --base-url http://a").unwrap_err().to_string(), "\"http://a\" does not begin with https://");
        assert_eq!(parse("--base-url https://a").unwrap_err().to_string(), "feed needs the folder with the installers");
        assert_eq!(parse("out more").unwrap_err().to_string(), "feed knows no argument \"more\"");
        assert!(parse("out").is_err());
    }
}
