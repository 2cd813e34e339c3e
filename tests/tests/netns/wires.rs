//! Machines, switches and routers made of Linux network namespaces: as many as a test needs, gone when it ends, however it ends.

use std::{
    cell::Cell,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The programs all this is done with.
const PROGRAMS: [&str; 3] = ["ip", "nft", "tc"];
/// Machines of one test: as many as one of 512 blocks of 198.18.0.0/15, kept for measuring networks, has pairs of addresses.
const MOST_HOSTS: u32 = 63;

/// Runs a program that must succeed; what it printed.
fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a program whose failure changes nothing.
fn attempt(program: &str, arguments: &str) -> bool {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where a program is, if this machine has it.
pub fn installed(name: &str) -> Option<PathBuf> {
    // Where people who are not the superuser do not look.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn user() -> String {
    Command::new("id")
        .arg("-u")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// The namespaces of one test and what joins them. All of them go with it.
pub struct Wires {
    made: Cell<u32>,
    block: u32,
}

impl Wires {
    /// A place to build in, or `None` (said aloud) where namespaces are not allowed. In CI the superuser must be allowed.
    pub fn new() -> Option<Self> {
        if let Some(reason) = Self::hindrance() {
            assert!(std::env::var_os("CI").is_none() || user() != "0", "{reason}");
            println!("skipped: {reason}");
            return None;
        }
        remove_stale();
        let taken = run("ip", "-o -4 address show");
        let own = std::process::id() % 512;
        let block = (0..512).map(|step| (own + step) % 512).find(|block| !taken.contains(&format!(" {}.", prefix(*block))));
        Some(Self { made: Cell::new(0), block: block.expect("a free block of addresses") })
    }

    fn hindrance() -> Option<String> {
        if let Some(program) = PROGRAMS.into_iter().find(|program| installed(program).is_none()) {
            return Some(format!("{program} is not installed; fetch it with: cargo xtask setup"));
        }
        if user() != "0" {
            return Some("networks are made of namespaces, which only the superuser may make".to_owned());
        }
        let trial = format!("kith-{}-trial", std::process::id());
        let allowed = attempt("ip", &format!("netns add {trial}"))
            && attempt("ip", &format!("netns exec {trial} nft add table inet trial"))
            && attempt("ip", &format!("-n {trial} link add trial type bridge"))
            && attempt("ip", &format!("-n {trial} link add one type veth peer name two"));
        attempt("ip", &format!("netns delete {trial}"));
        (!allowed).then(|| "this system does not allow namespaces with bridges and packet filters of their own".to_owned())
    }

    fn namespace(&self) -> (String, u32) {
        let number = self.made.get() + 1;
        self.made.set(number);
        let name = format!("kith-{}-{number}", std::process::id());
        run("ip", &format!("netns add {name}"));
        run("ip", &format!("-n {name} link set lo up"));
        (name, number)
    }

    /// A switch with nothing plugged in.
    pub fn switch(&self) -> Switch {
        let (name, _) = self.namespace();
        run("ip", &format!("-n {name} link add switch type bridge"));
        run("ip", &format!("-n {name} link set switch up"));
        Switch { name, ports: Cell::new(0) }
    }

    /// A machine without a network. Only this test reaches it, by an address of its own that leads nowhere else.
    pub fn host(&self) -> Host {
        let (name, number) = self.namespace();
        assert!(number <= MOST_HOSTS, "a test has at most {MOST_HOSTS} namespaces");
        let (near, far) = (self.tap_address(number, 1), self.tap_address(number, 2));
        let tap = format!("k{}t{number}", std::process::id());
        run("ip", &format!("link add {tap} type veth peer name tap netns {name}"));
        run("ip", &format!("address add {near}/30 dev {tap}"));
        run("ip", &format!("link set {tap} up"));
        run("ip", &format!("-n {name} address add {far}/30 dev tap"));
        run("ip", &format!("-n {name} link set tap up"));
        Host { name, address: far }
    }

    /// A machine at `address`, as `10.0.0.2/24`, plugged into `switch`.
    pub fn host_at(&self, switch: &Switch, address: &str) -> Host {
        let host = self.host();
        switch.plug(&host, "lan", address);
        host
    }

    /// A router between `outside`, where it is at `public`, and `inside`, where it is at `private`: who is inside goes out under its
    /// address, and nobody outside comes in unasked.
    pub fn router(&self, outside: &Switch, public: &str, inside: &Switch, private: &str, ports: Ports) -> Host {
        let router = self.host();
        outside.plug(&router, "wan", public);
        inside.plug(&router, "lan", private);
        // As sysctl does it, which is not installed everywhere.
        router.shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
        let how = match ports {
            Ports::Kept => "masquerade",
            Ports::Random => "masquerade random,fully-random",
        };
        router.filter(&format!(
            "table inet router {{
                chain out {{ type nat hook postrouting priority srcnat; oifname \"wan\" {how}; }}
                chain in {{ type filter hook input priority filter; iifname \"wan\" ct state new drop; }}
                chain through {{ type filter hook forward priority filter; iifname \"wan\" ct state new drop; }}
            }}"
        ));
        router
    }

    /// Joins two switches by a cable.
    pub fn cable<'a>(&self, one: &'a Switch, other: &Switch) -> Cable<'a> {
        let (near, far) = (one.port(), other.port());
        run("ip", &format!("link add {near} netns {} type veth peer name {far} netns {}", one.name, other.name));
        run("ip", &format!("-n {} link set {near} master switch up", one.name));
        run("ip", &format!("-n {} link set {far} master switch up", other.name));
        Cable { at: one, port: near }
    }

    /// Joins two switches by a cable so long that everything needs this time from the one to the other; `None` (said aloud) where that
    /// cannot be had. In CI it must be.
    pub fn long_cable(&self, one: &Switch, other: &Switch, milliseconds: u32) -> Option<LongCable> {
        let mut python = Command::new("python3");
        python.args(["-c", include_str!("long_cable.py"), &one.name, &other.name, &milliseconds.to_string()]);
        let started = python.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut line = String::new();
        let cable = started.ok().map(|mut process| {
            let said = process.stdout.take().expect("what it says");
            BufReader::new(said).read_line(&mut line).expect("a line");
            LongCable(process)
        });
        if line.trim() != "ready" {
            assert!(std::env::var_os("CI").is_none(), "python3 cannot make a long cable");
            println!("skipped: python3 cannot make a long cable here");
            return None;
        }
        for switch in [one, other] {
            run("ip", &format!("-n {} link set far master switch up", switch.name));
        }
        cable
    }

    fn tap_address(&self, number: u32, end: u32) -> String {
        format!("{}.{}", prefix(self.block), number * 4 + end)
    }
}

/// The first three numbers of a block's addresses.
fn prefix(block: u32) -> String {
    format!("198.{}.{}", 18 + block / 256, block % 256)
}

impl Drop for Wires {
    fn drop(&mut self) {
        for number in 1..=self.made.get() {
            attempt("ip", &format!("link delete k{}t{number}", std::process::id()));
            remove(&format!("kith-{}-{number}", std::process::id()));
        }
    }
}

/// Ends what runs in a namespace, then the namespace.
fn remove(name: &str) {
    let inside = Command::new("ip").args(["netns", "pids", name]).stdin(Stdio::null()).output();
    let inside = inside.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    for process in inside.split_whitespace() {
        attempt("kill", &format!("-KILL {process}"));
    }
    attempt("ip", &format!("netns delete {name}"));
}

/// Removes what tests left behind that were killed.
fn remove_stale() {
    for line in run("ip", "netns list").lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let owner = name.strip_prefix("kith-").and_then(|rest| rest.split_once('-')).map(|(owner, _)| owner);
        if owner.is_some_and(|owner| owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists()) {
            remove(name);
        }
    }
}

/// How a router chooses its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// As the machine inside chose them, where they are free: whoever learned one address of it can use it.
    Kept,
    /// Another one for each connection: what one peer sees is of no use to another.
    Random,
}

/// A switch.
pub struct Switch {
    name: String,
    ports: Cell<u32>,
}

impl Switch {
    fn port(&self) -> String {
        self.ports.set(self.ports.get() + 1);
        format!("port{}", self.ports.get())
    }

    /// Plugs a machine in: it gets a card named `card` with this address.
    pub fn plug(&self, host: &Host, card: &str, address: &str) {
        let port = self.port();
        run("ip", &format!("link add {port} netns {} type veth peer name {card} netns {}", self.name, host.name));
        run("ip", &format!("-n {} link set {port} master switch up", self.name));
        run("ip", &format!("-n {} address add {address} dev {card}", host.name));
        run("ip", &format!("-n {} link set {card} up", host.name));
    }
}

/// What joins two switches. Machines on either side keep their own link while it is cut: they hear nothing, and nobody tells them.
pub struct Cable<'a> {
    at: &'a Switch,
    port: String,
}

impl Cable<'_> {
    /// Nothing passes any more.
    pub fn cut(&self) {
        run("ip", &format!("-n {} link set {} down", self.at.name, self.port));
    }

    /// As before.
    pub fn mend(&self) {
        run("ip", &format!("-n {} link set {} up", self.at.name, self.port));
    }
}

/// A cable on which everything takes its time.
pub struct LongCable(Child);

impl Drop for LongCable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A machine.
pub struct Host {
    name: String,
    /// Where the test reaches it, and nobody else does.
    pub address: String,
}

impl Host {
    /// A command that runs on it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    fn shell(&self, line: &str) {
        let output = self.command("sh").args(["-c", line]).stdin(Stdio::null()).output().expect("sh starts");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn ip(&self, arguments: &str) {
        run("ip", &format!("-n {} {arguments}", self.name));
    }

    /// Sets rules of the packet filter.
    pub fn filter(&self, rules: &str) {
        let mut nft = self.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft starts");
        nft.stdin.take().expect("its input").write_all(rules.as_bytes()).expect("written");
        assert!(nft.wait().expect("an end").success(), "{rules}");
    }

    /// Everything that is not near goes by the router at `address`.
    pub fn by(&self, address: &str) {
        self.ip(&format!("route replace default via {address}"));
    }

    /// Nothing that is meant for many leaves it, as on networks that forbid it.
    pub fn without_multicast(&self) {
        self.filter(
            "table inet multicast {
                chain out { type filter hook output priority filter; ip daddr { 224.0.0.0/4, 255.255.255.255 } drop; ip6 daddr ff00::/8 drop; }
            }",
        );
    }

    /// Of every hundred packets that arrive, so many are lost. What is said of one machine alone is half of it: the others send it
    /// 64 KiB at once, which count as one packet.
    pub fn lose(&self, percent: u8) {
        self.ip("link set dev lan gso_max_segs 1");
        self.filter(&format!(
            "table inet loss {{
                chain in {{ type filter hook prerouting priority raw; iifname \"lan\" numgen random mod 100 < {percent} drop; }}
            }}"
        ));
    }

    /// It sends at most so fast.
    #[allow(dead_code, reason = "the measurement shapes its wire")]
    pub fn shape(&self, megabits: u32) {
        let rule = format!("-n {} qdisc replace dev lan root tbf rate {megabits}mbit burst 256kb latency 20ms", self.name);
        run("tc", &rule);
    }

    /// It sends as fast as it can.
    pub fn unshape(&self) {
        attempt("tc", &format!("-n {} qdisc delete dev lan root", self.name));
    }

    /// It has another address from now on, as after moving to another place.
    pub fn move_to(&self, address: &str) {
        self.ip("address flush dev lan");
        self.ip(&format!("address add {address} dev lan"));
    }
}
