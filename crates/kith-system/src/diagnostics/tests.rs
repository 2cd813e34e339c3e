//! What is in a report, what never is, and where reports stay.

use super::*;
use crate::{ProfileChange, SettingsChange, audit, system::tests::House};
use std::{collections::BTreeMap, io::Read};

/// The files of a zip.
fn unpack(zip: Vec<u8>) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(io::Cursor::new(zip)).unwrap();
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let text = |name: &String| {
        let mut text = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        (name.clone(), text)
    };
    names.iter().map(text).collect()
}

/// Secrets, each recognisable by any eight bytes of it.
const API_KEY: &str = "kith_q7Xw2ZtR9vB4nM6kL1sD8fG3hJ5pA0cE7uYiToPlKjH";
const CONFIGURED: &str = "configured-admin-Word";
const ADMIN_FILE: &str = "kitha_Hx4Jm9Qb2Vn7Tc5Rz8Wk3Lf6Pd1Sg0Ya4Ue7Io2NtB";
const PROVIDER_KEY: &str = "sk-proj-Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8";
const PLAIN_CONFIG: &str = "only-lower-case-words";
const PASSWORD: &str = "correct horse battery staple";
const BEARER: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWl0";
const SEED: &str = "918273645564738291";
const PUSH_PATH: &str = "https://push.example/UP9x-the-path-is-the-key";
const PUSH_TOKEN: &str = "tk_push_lower_only";
const ALL: [&str; 10] =
    [API_KEY, CONFIGURED, ADMIN_FILE, PROVIDER_KEY, PLAIN_CONFIG, PASSWORD, BEARER, SEED, PUSH_PATH, PUSH_TOKEN];

async fn house_full_of_secrets() -> House {
    let house = House::with(|parts, dir| {
        parts.secrets = vec![Zeroizing::new(CONFIGURED.to_owned())];
        fs::create_dir(dir.join("logs")).unwrap();
        fs::write(dir.join("admin.token"), format!("{ADMIN_FILE}\n")).unwrap();
        let config = format!(
            "[api]\nport = 4343\nhosts = [\"{PLAIN_CONFIG}\"]\n[providers.openai]\napi_key = \"{PROVIDER_KEY}\"\nseeds = [{SEED}]\n\
             [future]\nwords = \"{PASSWORD}\"\n"
        );
        fs::write(dir.join("config.toml"), config).unwrap();
        let mut log = String::from("2026-11-21T07:15:27.1Z  INFO kith_node::node: listening url=\"http://127.0.0.1:4343\"\n");
        for secret in ALL {
            log.push_str(&format!("DEBUG authorization: Bearer {secret}\n"));
            log.push_str(&format!("DEBUG {{\"password\":\"{secret}\"}}\n"));
            log.push_str(&format!("DEBUG got password=\"{secret}\" from seed: {secret}\n").replace(&format!("seed: {PASSWORD}"), ""));
        }
        for secret in [API_KEY, CONFIGURED, ADMIN_FILE, PROVIDER_KEY, PLAIN_CONFIG, BEARER, SEED, PUSH_PATH, PUSH_TOKEN] {
            log.push_str(&format!("WARN it was {secret}, they say; url=/x?token={secret}&y=1 ({secret})\n"));
        }
        fs::write(dir.join("logs/kith.2026-11-21.log"), log).unwrap();
    })
    .await;
    let profile = ProfileChange { push_endpoint: Some(Some(PUSH_PATH.into())), ..Default::default() };
    house.system.profiles.change(profile).await.unwrap();
    let token = Some(Some(Zeroizing::new(PUSH_TOKEN.to_owned())));
    house.system.settings.change(SettingsChange { push_token: token, ..Default::default() }).await.unwrap();
    for secret in ALL {
        let data = json!({"token": secret, "note": format!("password: \"{secret}\"")});
        audit::append(&house.store, house.clock.as_ref(), "node.x", &data).await.unwrap();
    }
    house
}

#[tokio::test]
async fn no_secret_is_in_a_report_wherever_it_was_put() {
    let house = house_full_of_secrets().await;
    let state = json!({"version": "0.1.0", "note": format!("key {API_KEY}"), "push_endpoint": PUSH_PATH, "token": BEARER});
    let report = house.system.reports.make(state).await.unwrap();
    let zip = house.system.reports.read(&report.id).await.unwrap();
    assert_eq!(zip.len() as u64, report.size);
    let files = unpack(zip.clone());
    let mut packed = zip;
    // Stored files stand in the zip as they are; unpacked once more all the same.
    files.values().for_each(|text| packed.extend_from_slice(text.as_bytes()));
    for secret in ALL {
        for part in secret.as_bytes().windows(12) {
            let part = std::str::from_utf8(part).unwrap();
            // The endpoint's scheme and host are no secret.
            if "https://push.example/".contains(part) {
                continue;
            }
            assert!(!packed.windows(12).any(|window| window == part.as_bytes()), "{part:?} of {secret:?}");
        }
    }
}

#[tokio::test]
async fn a_report_has_what_helps() {
    let house = house_full_of_secrets().await;
    let report = house.system.reports.make(json!({"version": "0.1.0", "models_loaded": ["tiny:1b"]})).await.unwrap();
    let files = unpack(house.system.reports.read(&report.id).await.unwrap());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["about.json", "audit.jsonl", "config.toml", "logs/kith.2026-11-21.log", "metrics.jsonl", "state.json"]);
    assert!(files["config.toml"].contains("port = 4343"));
    assert!(files["state.json"].contains("tiny:1b"));
    assert!(files["about.json"].contains("memory_total_bytes"));
    assert!(files["logs/kith.2026-11-21.log"].contains("listening url=\"http://127.0.0.1:4343\""));
    assert_eq!(files["audit.jsonl"].lines().count(), ALL.len());
}

#[tokio::test]
async fn the_log_stays_out_where_the_owner_says_so() {
    let house = house_full_of_secrets().await;
    let change = SettingsChange { diagnostics_include_logs: Some(false), ..Default::default() };
    house.system.settings.change(change).await.unwrap();
    let report = house.system.reports.make(json!({})).await.unwrap();
    let files = unpack(house.system.reports.read(&report.id).await.unwrap());
    assert!(!files.keys().any(|name| name.starts_with("logs/")));
}

#[tokio::test]
async fn a_long_log_is_cut_at_a_line() {
    let house = House::with(|_, dir| {
        fs::create_dir(dir.join("logs")).unwrap();
        let line = format!("{}\n", "word ".repeat(30));
        fs::write(dir.join("logs/kith.a.log"), line.repeat(20_000)).unwrap();
        fs::write(dir.join("logs/kith.b.log"), "x".repeat(1 << 20)).unwrap();
        fs::write(dir.join("logs/other.txt"), "x").unwrap();
    })
    .await;
    let report = house.system.reports.make(json!({})).await.unwrap();
    assert!(report.size < 3 << 20);
    let files = unpack(house.system.reports.read(&report.id).await.unwrap());
    assert!(files["logs/kith.a.log"].starts_with("word ") && files["logs/kith.a.log"].len() > 500_000);
    assert_eq!(files["logs/kith.b.log"], "");
    assert!(!files.contains_key("logs/other.txt"));
}

#[tokio::test]
async fn ten_reports_are_kept_and_the_oldest_goes_first() {
    let house = House::new().await;
    let mut ids = Vec::new();
    for _ in 0..MAX_REPORTS + 2 {
        house.clock.forward(1);
        ids.push(house.system.reports.make(json!({})).await.unwrap().id);
    }
    ids.reverse();
    let kept: Vec<String> = house.system.reports.list().await.unwrap().into_iter().map(|report| report.id).collect();
    assert_eq!(kept, ids[..MAX_REPORTS]);
    house.system.reports.remove(&ids[0]).await.unwrap();
    assert!(matches!(house.system.reports.remove(&ids[0]).await, Err(SystemError::NotFound(_))));
    assert!(matches!(house.system.reports.read(&ids[0]).await, Err(SystemError::NotFound(_))));
}

#[tokio::test]
async fn an_id_is_never_a_path() {
    let house = House::new().await;
    house.system.reports.make(json!({})).await.unwrap();
    fs::write(house.folder.path().join("x.zip"), "x").unwrap();
    for id in [
        "",
        "../x",
        "..%2fx",
        "/etc/passwd",
        "x",
        "1700000000000-0a1b2c3",
        "1700000000000-0A1B2C3D",
        "1700000000000-../../xx",
        "\0",
    ] {
        assert!(matches!(house.system.reports.read(id).await, Err(SystemError::NotFound(_))), "{id:?}");
        assert!(matches!(house.system.reports.remove(id).await, Err(SystemError::NotFound(_))), "{id:?}");
    }
    assert!(house.folder.path().join("x.zip").exists());
}

#[tokio::test]
async fn what_a_crash_left_goes_and_a_place_that_is_no_folder_is_told() {
    let house = House::new().await;
    let dir = house.folder.path().join("reports");
    assert_eq!(house.system.reports.list().await.unwrap(), []);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(".report-half"), "x").unwrap();
    house.system.reports.make(json!({})).await.unwrap();
    assert!(!dir.join(".report-half").exists());
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "x").unwrap();
    assert!(matches!(house.system.reports.make(json!({})).await, Err(SystemError::NoFolder(_))));
}
