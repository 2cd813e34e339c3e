//! The installers as a person gets them: installed into a root of their own, looked at, started from there, and taken away again.

use crate::browser::{Running, program, x11::Display};
use kith_node::NodeRecord;
use kith_tests::{admin_token, client};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The installer of this kind, or `None` (said aloud) where it was not packed. In CI it must be there.
fn installer(kind: &str) -> Option<PathBuf> {
    let packed = std::env::var_os("KITH_TEST_INSTALLERS").map(PathBuf::from);
    let found = packed.and_then(|folder| {
        let mut files = fs::read_dir(folder.join(kind)).ok()?.flatten().map(|entry| entry.path());
        files.find(|path| path.extension().is_some_and(|end| end == kind))
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no .{kind} was packed");
        println!("skipped: no .{kind} was packed; npm is needed for that");
    }
    found
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All files below, without the folder's own name.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// What both kinds bring.
fn check_contents(root: &Path) {
    let found = files(root);
    for wanted in ["usr/bin/kith", "usr/bin/kith-desktop", "usr/lib/Kith/models/smollm2/135m.gguf", "usr/lib/Kith/LICENSE-MIT"] {
        assert!(found.iter().any(|file| file == wanted), "{wanted} is missing in {found:#?}");
    }
    let starter = found.iter().find(|file| file.starts_with("usr/share/applications/")).expect("a launcher");
    let starter = fs::read_to_string(root.join(starter)).unwrap();
    for wanted in ["x-scheme-handler/kith", "%u", "Icon=", "Exec=kith-desktop"] {
        assert!(starter.to_lowercase().contains(&wanted.to_lowercase()), "{wanted} is missing in\n{starter}");
    }
    assert!(found.iter().any(|file| file.starts_with("usr/share/icons/hicolor/128x128/")), "{found:#?}");
}

#[tokio::test]
async fn the_debian_package_installs_starts_answers_and_goes_without_a_trace() {
    let Some(package) = installer("deb") else { return };
    let field = |name: &str| said(Command::new("dpkg-deb").arg("-f").arg(&package).arg(name));
    assert_eq!(field("Package").trim(), "kith");
    let depends = field("Depends");
    for library in ["libwebkit2gtk-4.1-0", "libgtk-3-0", "libayatana-appindicator3-1"] {
        assert!(depends.contains(library), "{depends}");
    }

    let root = tempfile::tempdir().unwrap();
    let records = root.path().join("var/lib/dpkg");
    for folder in ["updates", "info"] {
        fs::create_dir_all(records.join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        fs::write(records.join(file), "").unwrap();
    }
    // In a root of its own nothing else is installed; the libraries come from this machine.
    let dpkg = || {
        let mut command = Command::new("dpkg");
        command.args(["--force-depends", "--force-not-root", "--force-script-chrootless", "--root"]).arg(root.path());
        command
    };
    said(dpkg().arg("-i").arg(&package));
    check_contents(root.path());

    // Started from there it has its model without a network.
    if let Some(display) = Display::start() {
        let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(data.path().join("config.toml"), "[api]\nport = 0\n").unwrap();
        let mut command = display.command(&root.path().join("usr/bin/kith-desktop"), home.path());
        command.arg("--data-dir").arg(data.path());
        let app = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let begun = Instant::now();
        let url = loop {
            if let Some(record) = NodeRecord::read(data.path())
                && has_model(&record.url).await
            {
                break record.url;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the model that came along is not taken");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let asked = json!({"model": "smollm2:135m", "prompt": "Say hello.", "stream": false, "options": {"num_predict": 8}});
        let answer = client().post(format!("{url}/api/generate")).json(&asked).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["response"].as_str().is_some_and(|text| !text.trim().is_empty()), "{answer}");

        // The command line beside it speaks to the same node.
        let mut kith = Command::new(root.path().join("usr/bin/kith"));
        let list = said(kith.arg("list").arg("--data-dir").arg(data.path()));
        assert!(list.contains("smollm2:135m"), "{list}");
        let stop = client().post(format!("{url}/api/admin/shutdown")).header("x-kith-admin-token", admin_token(data.path()));
        assert!(stop.send().await.unwrap().status().is_success());
        drop(app);
    }

    said(dpkg().args(["--purge", "kith"]));
    let left: Vec<String> = files(root.path()).into_iter().filter(|file| !file.starts_with("var/lib/dpkg")).collect();
    assert!(left.is_empty(), "{left:#?}");
}

async fn has_model(url: &str) -> bool {
    let Ok(answer) = client().get(format!("{url}/api/tags")).send().await else { return false };
    answer.text().await.is_ok_and(|text| text.contains("smollm2:135m"))
}

#[test]
fn the_rpm_package_brings_the_same() {
    let Some(package) = installer("rpm") else { return };
    let Some(unpack) = program("bsdtar") else { return };
    let root = tempfile::tempdir().unwrap();
    said(Command::new(unpack).arg("-xf").arg(&package).arg("-C").arg(root.path()));
    check_contents(root.path());
}
