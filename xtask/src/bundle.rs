//! `bundle`: the installers of this system, with the default model inside. Tauri's own packager puts them together.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::paths::Paths;
use crate::{check, icons, model, pages, process, setup};

/// The packager; a change here installs it anew.
const PACKAGER: &str = "@tauri-apps/cli@2.12.5";

/// What the person asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The programs as tests build them, instead of the release.
    pub debug: bool,
    /// A folder that gets a copy of the installers and their signatures.
    pub into: Option<PathBuf>,
}

impl Wishes {
    /// Reads the arguments after `bundle`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut wishes = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--debug" => wishes.debug = true,
                "--into" => wishes.into = Some(arguments.next().context("--into needs a folder")?.into()),
                other => bail!("bundle knows no argument {other:?}"),
            }
        }
        Ok(wishes)
    }
}

/// What the publisher adds to a release; a build without it is unsigned and takes no updates, and says so.
#[derive(Debug, Default, PartialEq, Eq)]
struct Publisher {
    /// The public half of the key that signs updates, and the address where they are told.
    updates: Option<(String, String)>,
    /// The command that signs a program for Windows; its word `%1` is the program.
    windows: Option<String>,
}

impl Publisher {
    /// Reads the publisher's variables.
    fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let updates = match (set("KITH_UPDATER_KEY"), set("KITH_UPDATER_FEED")) {
            (Some(key), Some(feed)) => Some((key, feed)),
            (None, None) => None,
            _ => bail!("KITH_UPDATER_KEY and KITH_UPDATER_FEED belong together; one of them is not set"),
        };
        let windows = set("KITH_WINDOWS_SIGN_COMMAND");
        if windows.as_ref().is_some_and(|command| !command.split(' ').any(|word| word == "%1")) {
            bail!("KITH_WINDOWS_SIGN_COMMAND has no word %1, which stands for the program to sign");
        }
        Ok(Self { updates, windows })
    }

    /// What the app must know of updates: part of the configuration that is compiled into it, and of the packager's.
    fn plugins(&self) -> Value {
        match &self.updates {
            Some((key, feed)) => json!({"updater": {"pubkey": key, "endpoints": [feed]}}),
            None => json!({}),
        }
    }
}

/// Builds the programs and packs them; tells where the installers lie.
pub fn run(paths: &Paths, wishes: &Wishes) -> Result<()> {
    // What tests build knows no publisher: other settings would have Tauri and all its plugins compiled anew.
    let publisher = if wishes.debug { Publisher::default() } else { Publisher::read(|name| env::var(name).ok())? };
    let model = setup::for_running(paths)?;
    let packager = packager(paths)?.context("Node.js and npm are needed to pack installers; install them, then try again")?;
    pages::build(paths, pages::Effort::Small)?;
    icons::build(paths)?;
    if wishes.debug {
        process::run(&mut check::build(paths))?;
    } else {
        // Tauri compiles its configuration in; what only the packager knows does not reach the app.
        process::run(check::release(paths).env("TAURI_CONFIG", json!({"plugins": publisher.plugins()}).to_string()))?;
    }
    let made = pack(paths, &packager, &model, wishes.debug, &publisher)?;
    if let Some(folder) = &wishes.into {
        copy_into(folder, &made)?;
    }
    for file in made {
        println!("{}", file.display());
    }
    Ok(())
}

/// Packs what the one build made, for tests that install it; the folder of the installers, or nothing where there is no packager.
pub fn for_tests(paths: &Paths, model: &Path) -> Result<Option<PathBuf>> {
    if env::consts::OS != "linux" {
        return Ok(None);
    }
    let Some(packager) = packager(paths)? else { return Ok(None) };
    pack(paths, &packager, model, true, &Publisher::default())?;
    Ok(Some(paths.target.join("debug/bundle")))
}

/// Tauri's packager, installed once; nothing where npm is missing or does not get it.
pub fn packager(paths: &Paths) -> Result<Option<PathBuf>> {
    let folder = paths.cache.join("tauri-cli");
    let program = folder.join("node_modules/@tauri-apps/cli/tauri.js");
    let stamp = folder.join("packager.txt");
    let node = process::on_path("node").is_some();
    if node && program.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGER) {
        return Ok(Some(program));
    }
    if !node || process::on_path("npm").is_none() {
        return Ok(None);
    }
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    fs::write(folder.join("package.json"), r#"{"private":true}"#).context("could not write package.json")?;
    let mut install = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    install.current_dir(&folder).args(["install", "--ignore-scripts", "--no-audit", "--no-fund", PACKAGER]);
    if let Err(error) = process::run(&mut install) {
        eprintln!("going on without the packager: {error:#}");
        return Ok(None);
    }
    fs::write(&stamp, PACKAGER).context("could not note what is installed")?;
    Ok(Some(program))
}

/// Packs what is built. Gives the installers, and the signatures of those that updates are made of.
fn pack(paths: &Paths, packager: &Path, model: &Path, debug: bool, publisher: &Publisher) -> Result<Vec<PathBuf>> {
    let programs = paths.target.join(if debug { "debug" } else { "release" });
    let out = programs.join("bundle");
    if out.exists() {
        // Installers of an earlier version would be taken for this one's.
        fs::remove_dir_all(&out).with_context(|| format!("could not clear {}", out.display()))?;
    }
    name_for_packager(&programs)?;
    let particulars = programs.join("bundle.json");
    let settings = config(paths, &programs, model, publisher)?;
    fs::write(&particulars, settings.to_string()).context("could not write the packager's settings")?;
    let mut pack = Command::new("node");
    pack.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    pack.arg(packager).args(["bundle", "--ci", "--config"]).arg(&particulars).args(["--bundles", kinds(env::consts::OS)]);
    if debug {
        pack.args(["--debug", "--no-sign"]);
    }
    process::run(&mut pack)?;
    let made = installers(&out)?;
    if made.is_empty() {
        bail!("the packager left no installer in {}", out.display());
    }
    Ok(made)
}

/// Copies the command line to the name under which the packager looks for it, which ends in the system's.
fn name_for_packager(programs: &Path) -> Result<()> {
    let host = process::text_of(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let named = |name: &str| programs.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    fs::copy(named("kith"), named(&format!("kith-{host}"))).context("could not copy the command line")?;
    Ok(())
}

/// What differs from build to build: the model that comes along, the command line beside the app, and who signs.
fn config(paths: &Paths, programs: &Path, model: &Path, publisher: &Publisher) -> Result<Value> {
    let (family, tag) = model::NAME.split_once(':').context("the default model's name has no tag")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is no text");
    let licences = ["LICENSE-APACHE", "LICENSE-MIT"].map(|name| paths.root.join(name));
    let mut resources = json!({ text(model)?: format!("models/{family}/{tag}.gguf") });
    for licence in &licences {
        let name = licence.file_name().and_then(|name| name.to_str()).context("a licence has a name")?;
        resources[text(licence)?] = json!(name);
    }
    let mut bundle = json!({
        "resources": resources,
        // Of all that lies beside the app, this alone is signed with it on macOS.
        "externalBin": [text(&programs.join("kith"))?],
        "createUpdaterArtifacts": publisher.updates.is_some(),
    });
    if let Some(command) = &publisher.windows {
        // So the installer is whole before the packager makes the signature for updates, which would not fit a file signed later.
        bundle["windows"] = json!({ "signCommand": command });
    }
    Ok(json!({"bundle": bundle, "plugins": publisher.plugins()}))
}

/// The kinds of installers that each system makes of itself.
fn kinds(os: &str) -> &'static str {
    match os {
        "windows" => "msi,nsis",
        "macos" => "app,dmg",
        // AppImages are packed where their own tools can be fetched: in the release.
        _ if env::var_os("KITH_APPIMAGE").is_some() => "deb,rpm,appimage",
        _ => "deb,rpm",
    }
}

fn installers(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for kind in fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
        let kind = kind?.path();
        if kind.is_dir() {
            for file in fs::read_dir(&kind)? {
                let file = file?.path();
                if file.is_file() && file.file_name().and_then(|name| name.to_str()).is_some_and(is_given_away) {
                    found.push(file);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file of this name is an installer, what macOS updates itself with, or a signature; the packager leaves more lying about.
fn is_given_away(name: &str) -> bool {
    [".deb", ".rpm", ".AppImage", ".msi", ".exe", ".dmg", ".app.tar.gz", ".sig"].iter().any(|ending| name.ends_with(ending))
}

fn copy_into(folder: &Path, files: &[PathBuf]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    for file in files {
        let name = file.file_name().context("an installer has a name")?;
        fs::copy(file, folder.join(name)).with_context(|| format!("could not copy {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_its_installers() {
        assert_eq!(kinds("windows"), "msi,nsis");
        assert_eq!(kinds("macos"), "app,dmg");
        assert!(kinds("linux").starts_with("deb,rpm"));
    }

    #[test]
    fn wishes_are_few() {
        let parse = |line: &str| Wishes::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parse("").unwrap(), Wishes::default());
        assert_eq!(parse("--debug --into out").unwrap(), Wishes { debug: true, into: Some("out".into()) });
        assert_eq!(parse("--into").unwrap_err().to_string(), "--into needs a folder");
        assert_eq!(parse("--all").unwrap_err().to_string(), "bundle knows no argument \"--all\"");
    }

    fn publisher(set: &[(&str, &str)]) -> Result<Publisher> {
        Publisher::read(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn packed(publisher: &Publisher) -> Value {
        let paths = Paths { root: "/r".into(), cache: "/c".into(), target: "/t".into() };
        config(&paths, Path::new("/t/release"), Path::new("/m.gguf"), publisher).unwrap()
    }

    #[test]
    fn the_model_comes_along_under_the_name_it_gets_and_the_command_line_beside_the_app() {
        let config = packed(&Publisher::default());
        assert_eq!(config["bundle"]["resources"]["/m.gguf"], "models/smollm2/135m.gguf");
        assert_eq!(config["bundle"]["externalBin"], json!([Path::new("/t/release").join("kith")]));
        assert_eq!(config["bundle"]["createUpdaterArtifacts"], false);
        assert_eq!((&config["plugins"], &config["bundle"]["windows"]), (&json!({}), &Value::Null));
    }

    #[test]
    fn the_app_and_the_packager_are_told_the_same_key_and_feed() {
        let both = publisher(&[("KITH_UPDATER_KEY", "k"), ("KITH_UPDATER_FEED", "https://f")]).unwrap();
        let config = packed(&both);
        assert_eq!(config["plugins"], json!({"updater": {"pubkey": "k", "endpoints": ["https://f"]}}));
        assert_eq!((&config["plugins"], &config["bundle"]["createUpdaterArtifacts"]), (&both.plugins(), &json!(true)));
    }

    #[test]
    fn half_a_publisher_is_refused_and_what_is_empty_counts_as_not_set() {
        assert_eq!(publisher(&[("KITH_UPDATER_KEY", ""), ("KITH_WINDOWS_SIGN_COMMAND", "")]).unwrap(), Publisher::default());
        let one = publisher(&[("KITH_UPDATER_KEY", "k"), ("KITH_UPDATER_FEED", "")]).unwrap_err().to_string();
        assert!(one.contains("belong together"), "{one}");
        let nothing = publisher(&[("KITH_WINDOWS_SIGN_COMMAND", "sign --file=%1")]).unwrap_err().to_string();
        assert!(nothing.contains("%1"), "{nothing}");
    }

    #[test]
    fn windows_programs_are_signed_by_the_packager() {
        let signs = publisher(&[("KITH_WINDOWS_SIGN_COMMAND", "sign %1")]).unwrap();
        assert_eq!(packed(&signs)["bundle"]["windows"]["signCommand"], "sign %1");
    }

    #[test]
    fn what_updates_need_is_kept_and_what_the_packager_leaves_lying_about_is_not() {
        for name in [
            "Kith_0.1.0_amd64.deb",
            "Kith_0.1.0_amd64.deb.sig",
            "Kith.app.tar.gz",
            "Kith.app.tar.gz.sig",
            "Kith_0.1.0_aarch64.dmg",
        ] {
            assert!(is_given_away(name), "{name}");
        }
        for name in ["bundle_dmg.sh", "icon.icns", "control.tar.gz"] {
            assert!(!is_given_away(name), "{name}");
        }
    }
}
