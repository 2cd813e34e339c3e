//! `bundle`: the installers of this system, with the default model inside. Tauri's own packager puts them together.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::paths::Paths;
use crate::{check, icons, model, pages, process, setup};

/// The packager; a change here installs it anew.
const PACKAGER: &str = "@tauri-apps/cli@2.12.5";

/// What the person asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The programs as tests build them, instead of the release.
    pub debug: bool,
}

impl Wishes {
    /// Reads the arguments after `bundle`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        match arguments {
            [] => Ok(Self::default()),
            [debug] if debug == "--debug" => Ok(Self { debug: true }),
            [other, ..] => bail!("bundle knows no argument {other:?}"),
        }
    }
}

/// Builds the programs and packs them; tells where the installers lie.
pub fn run(paths: &Paths, wishes: Wishes) -> Result<()> {
    let model = setup::for_running(paths)?;
    let packager = packager(paths)?.context("Node.js and npm are needed to pack installers; install them, then try again")?;
    pages::build(paths, pages::Effort::Small)?;
    icons::build(paths)?;
    let mut build = check::build(paths);
    if !wishes.debug {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let made = pack(paths, &packager, &model, wishes)?;
    for installer in made {
        println!("{}", installer.display());
    }
    Ok(())
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

/// Packs what is built. Gives the installers.
fn pack(paths: &Paths, packager: &Path, model: &Path, wishes: Wishes) -> Result<Vec<PathBuf>> {
    let profile = if wishes.debug { "debug" } else { "release" };
    let programs = paths.target.join(profile);
    let out = programs.join("bundle");
    if out.exists() {
        // Installers of an earlier version would be taken for this one's.
        fs::remove_dir_all(&out).with_context(|| format!("could not clear {}", out.display()))?;
    }
    let particulars = programs.join("bundle.json");
    fs::write(&particulars, config(paths, &programs, model)?.to_string()).context("could not write the packager's settings")?;
    let mut pack = Command::new("node");
    pack.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    pack.arg(packager).args(["bundle", "--ci", "--config"]).arg(&particulars).args(["--bundles", kinds(env::consts::OS)]);
    if wishes.debug {
        pack.args(["--debug", "--no-sign"]);
    }
    process::run(&mut pack)?;
    let made = installers(&out)?;
    if made.is_empty() {
        bail!("the packager left no installer in {}", out.display());
    }
    Ok(made)
}

/// What differs from build to build: the model that comes along, the command line beside the app, and who signs.
fn config(paths: &Paths, programs: &Path, model: &Path) -> Result<serde_json::Value> {
    let (family, tag) = model::NAME.split_once(':').context("the default model's name has no tag")?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is no text");
    let kith = text(&programs.join(format!("kith{}", env::consts::EXE_SUFFIX)))?;
    let licences = ["LICENSE-APACHE", "LICENSE-MIT"].map(|name| paths.root.join(name));
    let mut resources = json!({ text(model)?: format!("models/{family}/{tag}.gguf") });
    for licence in &licences {
        let name = licence.file_name().and_then(|name| name.to_str()).context("a licence has a name")?;
        resources[text(licence)?] = json!(name);
    }
    if env::consts::OS == "windows" {
        resources[&kith] = json!("kith.exe");
    }
    let mut config = json!({"bundle": {
        "resources": resources,
        "linux": {"deb": {"files": {"/usr/bin/kith": kith}}, "rpm": {"files": {"/usr/bin/kith": kith}}, "appimage": {"files": {"/usr/bin/kith": kith}}},
        "macOS": {"files": {"MacOS/kith": kith}},
    }});
    // The publisher's key and feed come with the release; a build without them takes no updates, and says so.
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(key), Some(feed)) = (set("KITH_UPDATER_KEY"), set("KITH_UPDATER_FEED")) {
        config["plugins"] = json!({"updater": {"pubkey": key, "endpoints": [feed]}});
        config["bundle"]["createUpdaterArtifacts"] = json!(true);
    }
    Ok(config)
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
                let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
                if ["deb", "rpm", "AppImage", "msi", "exe", "dmg"].contains(&ending) {
                    found.push(file);
                }
            }
        }
    }
    found.sort();
    Ok(found)
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
        assert!(parse("--debug").unwrap().debug && !parse("").unwrap().debug);
        assert_eq!(parse("--all").unwrap_err().to_string(), "bundle knows no argument \"--all\"");
    }

    #[test]
    fn the_model_comes_along_under_the_name_it_gets() {
        let paths = Paths { root: "/r".into(), cache: "/c".into(), target: "/t".into() };
        let config = config(&paths, Path::new("/t/debug"), Path::new("/m.gguf")).unwrap();
        assert_eq!(config["bundle"]["resources"]["/m.gguf"], "models/smollm2/135m.gguf");
        assert!(config["bundle"]["linux"]["deb"]["files"]["/usr/bin/kith"].as_str().unwrap().contains("kith"));
    }
}
