//! The system's package installer: which one this machine has, and the command that installs a set of packages with it.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Something a machine may lack, by meaning; each installer has its own names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A C and a C++ compiler with the headers of the C library: SQLite, AWS-LC, ring, BLAKE3, Oniguruma and the
    /// tokenizer's suffix arrays are compiled from sources that their crates carry.
    Compilers,
    /// What the desktop app is compiled against: on Linux a web view, a tray and a reader of drawings.
    Window,
    /// What drives the app's window and a browser in tests, and a display for them that needs no screen.
    Browsers,
    /// What tests make machines, switches and routers of, and wrong clocks.
    Networks,
    /// What transfers are measured beside.
    Transfers,
    /// Python 3 with `venv`.
    Python,
    /// The `rustfmt` and `clippy` components.
    RustComponents,
    /// A compiler for WebAssembly, where rustup cannot add the target.
    WebAssembly,
}

/// The installers that set-up knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    Apt,
    Dnf,
    Pacman,
    Zypper,
    Apk,
    Brew,
    Winget,
    Unknown,
}

impl Installer {
    /// By the operating system and, on Linux, the text of `/etc/os-release`.
    pub fn of(os: &str, os_release: &str) -> Self {
        match os {
            "macos" => return Self::Brew,
            "windows" => return Self::Winget,
            _ => {}
        }
        let families = os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace());
        for family in families {
            match family {
                "debian" | "ubuntu" => return Self::Apt,
                "fedora" | "rhel" | "centos" => return Self::Dnf,
                "arch" => return Self::Pacman,
                "suse" | "opensuse" => return Self::Zypper,
                "alpine" => return Self::Apk,
                _ => {}
            }
        }
        Self::Unknown
    }

    /// This machine's.
    pub fn here() -> Self {
        Self::of(env::consts::OS, &fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn packages(self, need: Need) -> &'static [&'static str] {
        match (need, self) {
            (Need::Compilers, Self::Apt) => &["build-essential"],
            (Need::Compilers, Self::Dnf | Self::Zypper) => &["gcc", "gcc-c++", "glibc-devel"],
            (Need::Compilers, Self::Pacman) => &["base-devel"],
            (Need::Compilers, Self::Apk) => &["build-base"],
            (Need::Compilers, Self::Winget) => &["Microsoft.VisualStudio.2022.BuildTools"],
            (Need::Window, Self::Apt) => &["libwebkit2gtk-4.1-dev", "libayatana-appindicator3-dev", "librsvg2-dev", "pkg-config"],
            (Need::Window, Self::Dnf) => &["webkit2gtk4.1-devel", "libappindicator-gtk3-devel", "librsvg2-devel", "pkgconf"],
            (Need::Window, Self::Pacman) => &["webkit2gtk-4.1", "libappindicator-gtk3", "librsvg", "pkgconf"],
            (Need::Window, Self::Zypper) => &["webkit2gtk3-devel", "libappindicator3-1", "librsvg-devel", "pkg-config"],
            (Need::Window, Self::Apk) => &["webkit2gtk-4.1-dev", "libayatana-appindicator-dev", "librsvg-dev", "pkgconf"],
            (Need::Browsers, Self::Apt) => &[
                "chromium",
                "chromium-driver",
                "webkit2gtk-driver",
                "xvfb",
                "dbus-daemon",
                "fonts-dejavu-core",
                "libarchive-tools",
            ],
            (Need::Networks, Self::Apt) => &["iproute2", "nftables", "iperf3", "faketime"],
            (Need::Transfers, Self::Apt) => &["rclone", "syncthing"],
            (Need::Python, Self::Apt) => &["python3", "python3-venv"],
            (Need::Python, Self::Dnf | Self::Zypper | Self::Apk) => &["python3"],
            (Need::Python, Self::Pacman) => &["python"],
            (Need::Python, Self::Brew) => &["python3"],
            (Need::Python, Self::Winget) => &["Python.Python.3.12"],
            (Need::WebAssembly, Self::Apt) => &["rustc-web", "rust-web-src"],
            // Apple's compilers come with the command line tools; the Rust components with rustup.
            (Need::Compilers, Self::Brew)
            | (Need::Window, Self::Brew | Self::Winget)
            | (Need::RustComponents | Need::WebAssembly | Need::Browsers | Need::Networks | Need::Transfers, _)
            | (_, Self::Unknown) => &[],
        }
    }

    /// The commands to type for these needs, one a line.
    pub fn advice(self, needs: &[Need]) -> Vec<String> {
        let packages: Vec<&str> = needs.iter().flat_map(|need| self.packages(*need)).copied().collect();
        let mut lines = Vec::new();
        if needs.contains(&Need::RustComponents) {
            lines.push("rustup component add rustfmt clippy".to_owned());
        }
        if needs.contains(&Need::WebAssembly) && self != Self::Apt {
            lines.push("rustup target add wasm32-unknown-unknown".to_owned());
        }
        if self == Self::Brew && needs.contains(&Need::Compilers) {
            lines.push("xcode-select --install".to_owned());
        }
        let list = packages.join(" ");
        match self {
            _ if packages.is_empty() => {}
            Self::Apt => lines.push(format!("sudo apt-get update && sudo apt-get install --yes {list}")),
            Self::Dnf => lines.push(format!("sudo dnf install {list}")),
            Self::Pacman => lines.push(format!("sudo pacman -S --needed {list}")),
            Self::Zypper => lines.push(format!("sudo zypper install {list}")),
            Self::Apk => lines.push(format!("sudo apk add {list}")),
            Self::Brew => lines.push(format!("brew install {list}")),
            Self::Winget => lines.extend(packages.iter().map(|package| format!("winget install --exact --id {package}"))),
            Self::Unknown => {}
        }
        if self == Self::Unknown && needs.contains(&Need::Compilers) {
            lines.push("install a C and a C++ compiler (`cc` and `c++`)".to_owned());
        }
        if self == Self::Unknown && needs.contains(&Need::Window) {
            lines.push(
                "install the development files of WebKitGTK 4.1, of Ayatana's AppIndicator 3 and of librsvg 2, and pkg-config"
                    .to_owned(),
            );
        }
        if self == Self::Unknown && needs.contains(&Need::Python) {
            lines.push("install Python 3 with its `venv` module".to_owned());
        }
        lines
    }

    /// Installs what the needs mean. Fails with the commands to type where that takes a person.
    pub fn install(self, needs: &[Need]) -> Result<()> {
        let packages: Vec<&str> = needs.iter().flat_map(|need| self.packages(*need)).copied().collect();
        let rights = if self == Self::Apt && !packages.is_empty() { Rights::here() } else { None };
        if (!packages.is_empty() || needs.contains(&Need::WebAssembly)) && rights.is_none()
            || self == Self::Unknown
            || self == Self::Brew
        {
            bail!("this machine lacks something; type this, then try again:\n  {}", self.advice(needs).join("\n  "));
        }
        if needs.contains(&Need::RustComponents) {
            if process::on_path("rustup").is_none() {
                bail!("rustfmt and clippy are missing; install the package of your system that holds them, or rustup");
            }
            process::run(Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]))?;
        }
        if let Some(rights) = rights {
            process::run(rights.apt_get().arg("update"))?;
            process::run(rights.apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))?;
        }
        Ok(())
    }
}

/// How packages may be installed without asking anybody.
#[derive(Debug, Clone, Copy)]
pub enum Rights {
    Root,
    /// `sudo` works without a password.
    Sudo,
}

impl Rights {
    /// Those of this user; none if a person would have to type a password.
    pub fn here() -> Option<Self> {
        if process::text_of(Command::new("id").arg("-u")).is_ok_and(|id| id == "0") {
            return Some(Self::Root);
        }
        process::succeeds(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
    }

    /// `apt-get` that asks nothing.
    fn apt_get(self) -> Command {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            }
        };
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    }

    /// Reads the package lists anew.
    pub fn update_lists(self) -> Result<()> {
        process::run(self.apt_get().arg("update"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installer_is_known_by_the_system_or_its_family() {
        assert_eq!(Installer::of("linux", "NAME=\"Debian GNU/Linux\"\nID=debian\n"), Installer::Apt);
        assert_eq!(Installer::of("linux", "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Installer::Apt);
        assert_eq!(Installer::of("linux", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Installer::Dnf);
        assert_eq!(Installer::of("linux", "ID=arch\n"), Installer::Pacman);
        assert_eq!(Installer::of("linux", "ID=nixos\n"), Installer::Unknown);
        assert_eq!(Installer::of("macos", ""), Installer::Brew);
        assert_eq!(Installer::of("windows", ""), Installer::Winget);
    }

    #[test]
    fn every_installer_has_a_line_for_every_need() {
        let all = [Need::Compilers, Need::Python, Need::RustComponents, Need::WebAssembly];
        use Installer::*;
        for installer in [Apt, Dnf, Pacman, Zypper, Apk, Brew, Winget, Unknown] {
            for need in all {
                assert!(!installer.advice(&[need]).is_empty(), "{installer:?} {need:?}");
            }
        }
    }

    #[test]
    fn the_advice_is_the_exact_command() {
        let advice = Installer::Apt.advice(&[Need::Compilers, Need::Python]);
        assert_eq!(advice, ["sudo apt-get update && sudo apt-get install --yes build-essential python3 python3-venv"]);
        assert_eq!(Installer::Brew.advice(&[Need::Compilers]), ["xcode-select --install"]);
    }

    #[test]
    fn where_a_person_must_act_the_failure_says_what_to_type() {
        let error = Installer::Dnf.install(&[Need::Python]).unwrap_err().to_string();
        assert!(error.ends_with("sudo dnf install python3"), "{error}");
    }
}
