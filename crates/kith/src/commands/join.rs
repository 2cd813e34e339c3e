//! `kith join`: into a private network, by an invite's code or file.

use super::{invite::read, networks::NETWORKS};
use crate::{
    cli::Join,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use kith_wire::networks::{AddNetwork, NetworkInfo};
use std::{
    fs::File,
    io::{self, Read},
};

const SCHEME: &str = "kith://join/";
/// The longest file that is looked at, in bytes: an invite has a few hundred.
const MAX_FILE: u64 = 64 << 10;

/// Joins and waits until a member has let this node in.
pub async fn join(context: &Context, options: &Join) -> Result<()> {
    let url = code(&options.invite)?;
    let client = context.ensured().await?;
    let progress = out::spinner("looking for the network");
    let order = AddNetwork { url, device_name: options.name.clone(), connect: true };
    let network: NetworkInfo = read(client.post(NETWORKS, &order).await?)?;
    drop(progress);
    if context.json {
        return out::json(&network);
    }
    let name = render::printable(&network.name, false);
    out::text(&format!("joined {name} as {}\n", render::printable(&network.device_name, false)))
}

/// The code itself, or the one in the file.
fn code(given: &str) -> Result<String> {
    if given.to_ascii_lowercase().starts_with(SCHEME) {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    let taken = match given {
        "-" => io::stdin().take(MAX_FILE).read_to_string(&mut text),
        path => File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)),
    };
    taken.map_err(|error| {
        CliError::local(format_args!("`{given}` is no invite ({SCHEME}…) and no file that can be read"), error)
    })?;
    let line = text.lines().map(str::trim).find(|line| line.to_ascii_lowercase().starts_with(SCHEME));
    line.map(str::to_owned).ok_or_else(|| CliError::Local(format!("there is no invite in `{given}`; it begins with {SCHEME}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_a_code_or_the_line_of_a_file_that_is_one() {
        assert_eq!(code("kith://join/x").unwrap(), "kith://join/x");
        assert_eq!(code("KITH://JOIN/x").unwrap(), "KITH://JOIN/x");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("good"), "Invite to the network home\n kith://join/abc \n").unwrap();
        assert_eq!(code(&path("good")).unwrap(), "kith://join/abc");
        std::fs::write(path("other"), "nothing\n").unwrap();
        std::fs::write(path("binary"), [0xff, 0xfe]).unwrap();
        for name in ["other", "binary", "missing"] {
            let error = code(&path(name)).unwrap_err();
            assert_eq!(error.exit_code(), 1, "{}", error.message());
        }
    }
}
