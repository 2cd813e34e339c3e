//! The measuring itself: two machines made of namespaces, a link between them of a known speed and one without bounds, and everything
//! that moves the same file over it, one after the other.
#![allow(
    clippy::disallowed_methods,
    reason = "each of these measurements has a process and a runtime of its own, and waits for other programs"
)]
#![allow(clippy::print_stdout, reason = "figures are printed")]

#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/netns/node.rs"]
mod node;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/netns/wires.rs"]
mod wires;
#[path = "yardsticks.rs"]
mod yardsticks;

use kith_models::{gguf::GgmlType, testing::GgufBuilder};
use node::{Node, SOON, until};
use reqwest::Method;
use serde_json::json;
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};
use wires::{Switch, Wires};
use yardsticks::Way;

/// Numbers in the file: with four bytes each, a gigabyte.
const NUMBERS: u64 = 250_000_000;
/// What the model is called.
const MODEL: &str = "gigabyte:latest";
/// The names of models are told when they changed, which is looked at twice a minute.
const TOLD: Duration = Duration::from_secs(90);
/// The addresses of the two.
const FROM: &str = "192.168.90.1";
const TO: &str = "192.168.90.2";

/// A gigabyte that no program can make smaller: a model whose weights are random.
fn write_model(path: &Path) {
    let whole = GgufBuilder::tiny(1).tensor("blk.0.ballast.weight", &[NUMBERS], GgmlType::F32, &[]).build();
    std::fs::write(path, &whole).expect("the model is written");
    let random = File::open("/dev/urandom").expect("/dev/urandom");
    let mut file = File::options().write(true).open(path).expect("the model");
    file.seek(SeekFrom::End(-i64::try_from(NUMBERS * 4).expect("a length"))).expect("there");
    std::io::copy(&mut random.take(NUMBERS * 4), &mut file).expect("random weights");
    file.sync_all().expect("on the disk");
}

/// What Kith took, and what it held.
struct Transfer {
    seconds: f64,
    /// Bytes more at most than before, of the one that gave and the one that got.
    grown: [u64; 2],
}

async fn kith(way: &Way<'_>, file: &Path) -> Transfer {
    let giver = Node::at(way.from, FROM).await;
    let taker = Node::at(way.to, TO).await;
    let network = giver.found().await;
    taker.join(&giver.invite(&network, 1).await).await;
    let import = json!({"path": file, "name": MODEL});
    giver.good_lines("/api/v1/models/import", import).await;
    until("the taker knows who has the model", TOLD, async || {
        let others = taker.others().await;
        others.iter().any(|other| other["models"].as_array().is_some_and(|models| models.iter().any(|model| model == MODEL)))
    })
    .await;
    until("they are connected", SOON, async || taker.peers().await == 1).await;
    let before = [giver.memory("VmRSS"), taker.memory("VmRSS")];
    giver.forget_peak();
    taker.forget_peak();
    let begun = Instant::now();
    taker.good(Method::POST, "/api/pull", Some(json!({"model": MODEL, "stream": false}))).await;
    let seconds = begun.elapsed().as_secs_f64();
    let after = [giver.memory("VmHWM"), taker.memory("VmHWM")];
    Transfer { seconds, grown: [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])] }
}

async fn table(wires: &Wires, name: &str, megabits: Option<u32>, file: &Path) {
    let switch: Switch = wires.switch();
    let (from, to) = (wires.host_at(&switch, &format!("{FROM}/24")), wires.host_at(&switch, &format!("{TO}/24")));
    if let Some(megabits) = megabits {
        from.shape(megabits);
        to.shape(megabits);
    }
    let bytes = file.metadata().expect("the model").len() as f64;
    let way = Way { from: &from, address: FROM, to: &to };
    let link = yardsticks::iperf3(&way);
    let row = |program: &str, rate: f64| println!("| {name} | {program} | {:.1} | {:.0} % |", rate / 1e6, rate / link * 100.0);
    row("iperf3, one stream", link);
    let transfer = kith(&way, file).await;
    row("Kith, encrypted, every 16 KiB checked", bytes / transfer.seconds);
    for (protocol, program) in [("http", "rclone, HTTP, not encrypted"), ("sftp", "rclone, SFTP")] {
        if let Some(seconds) = yardsticks::rclone(&way, protocol, file) {
            row(program, bytes / seconds);
        }
    }
    if let Some(seconds) = yardsticks::syncthing(&way, file) {
        row("Syncthing", bytes / seconds);
    }
    let [giver, taker] = transfer.grown.map(|bytes| bytes as f64 / 1e6);
    println!("- {name}: the node that gave held {giver:.0} MB more at most than before, the one that got {taker:.0} MB");
}

/// Prints every figure.
#[tokio::main]
pub async fn measure() {
    // The test runner asks every program what tests it has.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let wires = Wires::new().expect("namespaces: this is measured as the superuser");
    assert!(wires::installed("iperf3").is_some(), "iperf3 is not installed; fetch it with: cargo xtask setup");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gigabyte.gguf");
    write_model(&file);
    table(&wires, "1 Gbit/s", Some(1000), &file).await;
    table(&wires, "without a bound", None, &file).await;
}
