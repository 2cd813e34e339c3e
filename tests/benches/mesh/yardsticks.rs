//! What moves the same bytes over the same link by other programs: iperf3 as the measure of the link, rclone and Syncthing as what
//! people use.

use super::wires::{Host, installed};
use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A program that is ended, with what it started, when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first: Syncthing has another process that does the work, and ends it when asked.
        let _ = Command::new("kill").arg(self.0.id().to_string()).stderr(Stdio::null()).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) && !matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two machines and the address of the one that has the file.
pub struct Way<'a> {
    /// Who has it.
    pub from: &'a Host,
    /// Its address.
    pub address: &'a str,
    /// Who gets it.
    pub to: &'a Host,
}

/// Waits until a port answers, asked from the other machine by a shell that has no other program.
fn until_open(way: &Way<'_>, port: u16) {
    let begun = Instant::now();
    let ask = format!("exec 3<>/dev/tcp/{}/{port}", way.address);
    while !way.to.command("bash").args(["-c", &ask]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Bytes per second that one TCP stream gets in ten seconds, towards the machine that is to have the file.
pub fn iperf3(way: &Way<'_>) -> f64 {
    let _server = Running::start(way.from.command("iperf3").args(["--server", "--bind", way.address]));
    until_open(way, 5201);
    // The port was opened and closed: the server needs a moment to see that.
    std::thread::sleep(Duration::from_secs(1));
    let output = way.to.command("iperf3").args(["--client", way.address, "--reverse", "--time", "10", "--format", "k"]).output();
    let output = output.expect("iperf3 starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.ends_with("receiver")).unwrap_or_else(|| panic!("{text}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "Kbits/sec").expect("a rate");
    words[at - 1].parse::<f64>().expect("a number") * 1000.0 / 8.0
}

fn is_whole(file: &Path, bytes: u64) -> bool {
    file.metadata().is_ok_and(|found| found.len() == bytes)
}

/// Seconds that rclone takes, without encryption (`http`) or with it (`sftp`); `None` without rclone.
pub fn rclone(way: &Way<'_>, protocol: &str, file: &Path) -> Option<f64> {
    installed("rclone")?;
    let into = tempfile::tempdir().expect("a folder");
    let name = file.file_name()?.to_str()?;
    let folder = file.parent()?;
    let quiet = ["--config", "/dev/null"];
    let mut server = way.from.command("rclone");
    server.args(["serve", protocol]).arg(folder).args(["--addr", &format!("{}:8022", way.address), "--read-only"]).args(quiet);
    let mut client = way.to.command("rclone");
    if protocol == "sftp" {
        server.args(["--user", "kith", "--pass", "kith"]);
        let hidden = Command::new("rclone").args(["obscure", "kith"]).output().expect("rclone starts");
        let hidden = String::from_utf8_lossy(&hidden.stdout).trim().to_owned();
        client.args(["copy", &format!(":sftp:{name}")]).arg(into.path());
        client.args(["--sftp-host", way.address, "--sftp-port", "8022", "--sftp-user", "kith", "--sftp-pass", &hidden]);
        // It asks for digests by a shell, which this server has not.
        client.args(["--sftp-disable-hashcheck"]);
    } else {
        client.args(["copy", &format!(":http:{name}")]).arg(into.path());
        client.args(["--http-url", &format!("http://{}:8022", way.address)]);
    }
    let _server = Running::start(&mut server);
    until_open(way, 8022);
    let begun = Instant::now();
    let output = client.args(quiet).stdin(Stdio::null()).output().expect("rclone starts");
    let taken = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "rclone: {}", String::from_utf8_lossy(&output.stderr));
    assert!(is_whole(&into.path().join(name), file.metadata().ok()?.len()), "rclone brought something else");
    Some(taken)
}

/// Settings of one Syncthing that talks to one other at a known address and to nobody else.
fn settings(own: &str, other: &str, folder: &Path, kind: &str, address: &str, port: u16) -> String {
    let (folder, quiet) = (folder.display(), "<urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled>");
    format!(
        "<configuration version=\"36\">
           <folder id=\"bench\" path=\"{folder}\" type=\"{kind}\" rescanIntervalS=\"3600\" fsWatcherEnabled=\"false\">
             <device id=\"{own}\"/><device id=\"{other}\"/>
           </folder>
           <device id=\"{own}\" name=\"own\"><address>dynamic</address></device>
           <device id=\"{other}\" name=\"other\"><address>{address}</address></device>
           <gui enabled=\"true\"><address>127.0.0.1:{port}</address></gui>
           <options>
             <listenAddress>tcp://0.0.0.0:22000</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
             <localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
             <startBrowser>false</startBrowser><reconnectionIntervalS>5</reconnectionIntervalS>
             <autoUpgradeIntervalH>0</autoUpgradeIntervalH>{quiet}
           </options>
         </configuration>"
    )
}

/// Seconds from the connection of two Syncthings, one of which has looked the file over before, until the other has it whole; `None`
/// without Syncthing.
pub fn syncthing(way: &Way<'_>, file: &Path) -> Option<f64> {
    let program = installed("syncthing")?;
    let homes = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let into = tempfile::tempdir().expect("a folder");
    let from = tempfile::tempdir().expect("a folder");
    let name = file.file_name()?;
    std::fs::hard_link(file, from.path().join(name)).or_else(|_| std::fs::copy(file, from.path().join(name)).map(drop)).ok()?;
    let ids = homes.each_ref().map(|home| {
        let home = home.path().to_str().expect("a path of letters");
        let made = Command::new(&program).args(["generate", "--no-default-folder", "--home", home]).output();
        assert!(made.is_ok_and(|made| made.status.success()), "syncthing generate failed");
        let id = Command::new(&program).args(["--home", home, "--device-id"]).output().expect("syncthing starts");
        String::from_utf8_lossy(&id.stdout).trim().to_owned()
    });
    let address = format!("tcp://{}:22000", way.address);
    let written = [
        settings(&ids[0], &ids[1], from.path(), "sendonly", "dynamic", 8384),
        settings(&ids[1], &ids[0], into.path(), "receiveonly", &address, 8384),
    ];
    for (home, text) in homes.iter().zip(written) {
        std::fs::write(home.path().join("config.xml"), text).expect("written");
    }
    for folder in [from.path(), into.path()] {
        std::fs::create_dir_all(folder.join(".stfolder")).expect("a marker");
    }
    let said = homes[0].path().join("log.txt");
    let serve = |host: &Host, home: &Path| {
        let mut command = host.command(&program);
        command.args(["serve", "--no-browser", "--no-restart", "--no-upgrade", "--home"]).arg(home);
        command.env("HOME", home).env("STNOUPGRADE", "1").stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(File::create(home.join("log.txt")).expect("a log"));
        Running(command.spawn().expect("syncthing starts"))
    };
    let _sender = serve(way.from, homes[0].path());
    let begun = Instant::now();
    while !std::fs::read_to_string(&said).is_ok_and(|text| text.contains("Completed initial scan")) {
        assert!(begun.elapsed() < Duration::from_secs(180), "syncthing does not look over its folder");
        std::thread::sleep(Duration::from_millis(50));
    }
    let _receiver = serve(way.to, homes[1].path());
    let said = homes[1].path().join("log.txt");
    let (mut connected, begun) = (None, Instant::now());
    loop {
        // It fetches into a file of another name, and gives it its own when it is whole and checked.
        if is_whole(&into.path().join(name), file.metadata().ok()?.len()) {
            return connected.map(|since: Instant| since.elapsed().as_secs_f64());
        }
        if connected.is_none() && std::fs::read_to_string(&said).is_ok_and(|text| text.contains("Established secure connection"))
        {
            connected = Some(Instant::now());
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "syncthing does not bring the file");
        std::thread::sleep(Duration::from_millis(10));
    }
}
