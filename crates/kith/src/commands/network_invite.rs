//! `kith invite`: an invite into the private network, as a code to scan, an address to paste, or a file.

use super::{
    invite::{blocks, read},
    networks::{at, chosen},
};
use crate::{
    cli::Invite,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use chrono::{DateTime, Utc};
use kith_wire::networks::{NetworkInvite, NewInvite};
use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    path::Path,
};

/// Makes an invite and shows it.
pub async fn invite(context: &Context, options: &Invite) -> Result<()> {
    let client = context.ensured().await?;
    let network = chosen(&client, options.network.as_deref()).await?;
    let order = NewInvite {
        label: options.label.clone(),
        uses: Some(options.uses),
        expires_in_s: Some(options.expires),
        role: options.admin.then(|| "admin".to_owned()),
        for_node: options.only.clone(),
    };
    // Looked at before the invite is made: one that cannot be handed over would stay open.
    if options.file.as_ref().is_some_and(|file| file.exists()) {
        return Err(CliError::Usage("the file exists already; give another name".to_owned()));
    }
    let invite: NetworkInvite = read(client.post(&at(&network, "/invites"), &order).await?)?;
    if let Some(file) = &options.file {
        write(file, &invite.file)?;
    }
    if let Some(warning) = near_only(&invite.addresses, &network.state) {
        out::note(warning);
    }
    match &options.file {
        _ if context.json => out::json(&invite),
        Some(file) => out::text(&format!("{}\n{}", file.display(), standing(&invite, Utc::now()))),
        None => out::text(&shown(&invite, io::stdout().is_terminal(), Utc::now())),
    }
}

/// Says so where an invite leads to this node from nowhere but its own surroundings.
fn near_only(addresses: &[String], state: &str) -> Option<&'static str> {
    let is_here = |address: &String| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
    match addresses.iter().all(is_here) {
        false => None,
        true if !addresses.is_empty() => {
            Some("note: this node is reached on this machine alone; another device needs an address of it (mesh.bind)")
        }
        true if state == "connected" => {
            Some("note: no address of this node is known; the other device finds it on the same local network alone")
        }
        true => Some(
            "note: the network is not connected, so the invite holds no address: connect it with kith networks connect, and invite \
             again; until then the other device finds nobody",
        ),
    }
}

/// Writes a file that only its owner reads: who has it may come in.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| CliError::local(format_args!("cannot write {}", path.display()), error))
}

/// For how many and how long it is good, and how it is taken back.
fn standing(invite: &NetworkInvite, now: DateTime<Utc>) -> String {
    let info = &invite.invite;
    let many = if info.uses == 1 { "once".to_owned() } else { format!("{} times", info.uses) };
    let until = DateTime::from_timestamp_millis(info.expires_at_ms.ms()).map(|at| render::relative(at, now)).unwrap_or_default();
    format!("good {many}, until {until}; take it back with: kith networks invites --revoke {}\n", info.id)
}

fn shown(invite: &NetworkInvite, coloured: bool, now: DateTime<Utc>) -> String {
    // A code that is too long for one is still an address.
    let code = blocks(&invite.url, coloured).map(|code| format!("{code}\n")).unwrap_or_default();
    let url = render::printable(&invite.url, false);
    format!("{code}On the other device:\n  kith join {url}\n{}", standing(invite, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::Timestamp;
    use kith_wire::networks::{InviteInfo, InviteStage};

    fn invite(url: String) -> NetworkInvite {
        let invite = InviteInfo {
            id: "00ff".into(),
            label: String::new(),
            role: "member".into(),
            for_node: None,
            uses: 1,
            used: 0,
            state: InviteStage::Open,
            members: Vec::new(),
            created_at_ms: Timestamp::from_ms(0),
            expires_at_ms: Timestamp::from_ms(86_400_000),
        };
        NetworkInvite { url, qr_svg: String::new(), file: "f".into(), addresses: Vec::new(), invite }
    }

    #[test]
    fn an_invite_is_shown_as_a_code_and_an_address_with_its_standing() {
        let now = DateTime::from_timestamp_millis(0).unwrap();
        let text = shown(&invite(format!("kith://join/{}", "x".repeat(400))), false, now);
        assert!(text.contains('█') && text.contains("  kith join kith://join/xxx"), "{text}");
        assert!(
            text.ends_with("good once, until 24 hours from now; take it back with: kith networks invites --revoke 00ff\n"),
            "{text}"
        );
        let columns = text.lines().next().unwrap().chars().count();
        assert!(columns <= 80, "{columns} columns do not fit a terminal");
        let long = shown(&invite(format!("kith://join/{}", "x".repeat(4000))), false, now);
        assert!(!long.contains('█') && long.contains("kith join"), "what is too long for a code is an address still");
    }

    #[test]
    fn an_invite_that_leads_nowhere_from_afar_says_so() {
        let (here, away) = ("/ip4/127.0.0.1/tcp/4345".to_owned(), "/ip4/192.0.2.1/tcp/4345".to_owned());
        assert_eq!(near_only(&[here.clone(), away], "connected"), None);
        assert!(near_only(&[here, "/ip6/::1/tcp/4345".to_owned()], "connected").unwrap().contains("this machine alone"));
        assert!(near_only(&[], "connected").unwrap().contains("local network"));
        assert!(near_only(&[], "disconnected").unwrap().contains("not connected"));
    }

    #[test]
    fn a_file_is_its_owners_alone_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("invite.kith");
        write(&path, "text").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert!(write(&path, "other").is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
