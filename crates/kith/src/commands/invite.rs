//! `kith invite --phone`: shows the code that pairs a phone, and waits until one comes or the time is over.

use crate::{
    client::Client,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use kith_types::{Clock, Code, SystemClock};
use kith_wire::system::{PairingInvitation, PairingStage, PairingStatus};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

const PAIR: &str = "/api/v1/devices/pair";
/// How often the node is asked whether a phone has come: well within what it allows an owner in a minute.
const ASK: Duration = Duration::from_secs(2);
/// A code of a longer text is drawn with less repetition, in bytes.
const LONG: usize = 200;
/// How often the time left is told anew.
const TICK: Duration = Duration::from_secs(1);

/// Invites a phone. Ctrl-C takes the ticket back.
pub async fn invite(context: &Context) -> Result<()> {
    let client = context.ensured().await?;
    // Listened for from here on: the first look at the signal is what catches it.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let nothing = json!({});
    let invitation: PairingInvitation = tokio::select! {
        biased;
        _ = &mut interrupt => return Err(CliError::Interrupted),
        answer = client.post(PAIR, &nothing) => read(answer?)?,
    };
    if context.json {
        out::json(&invitation)?;
    } else {
        out::text(&shown(&invitation, io::stdout().is_terminal())?)?;
    }
    let outcome = tokio::select! {
        biased;
        _ = &mut interrupt => Err(CliError::Interrupted),
        status = until_over(&client, &invitation) => status,
    };
    match outcome {
        Ok(status) => over(context, &status),
        Err(error) => {
            // Nobody looks at the code any more.
            let _ = client.delete(PAIR, &nothing).await;
            Err(error)
        }
    }
}

/// The node's answer as what it is.
pub fn read<T: DeserializeOwned>(body: Value) -> Result<T> {
    serde_json::from_value(body).map_err(|error| CliError::local("the node's answer is not understood", error))
}

/// Asks until the ticket waits no longer.
async fn until_over(client: &Client, invitation: &PairingInvitation) -> Result<PairingStatus> {
    let progress = out::spinner("");
    let mut ticks = tokio::time::interval(TICK);
    let every = ASK.as_secs().max(1) / TICK.as_secs().max(1);
    for tick in 0_u64.. {
        ticks.tick().await;
        let left = (invitation.expires_at_ms.ms() - SystemClock.now().ms()).max(0) / 1000;
        progress.advance(&format!("waiting for the phone, {}:{:02} left", left / 60, left % 60), 0, None);
        if tick % every == 0 {
            let status: PairingStatus = read(client.get(PAIR).await?)?;
            if status.state != PairingStage::Waiting {
                return Ok(status);
            }
        }
    }
    Err(CliError::Interrupted)
}

fn over(context: &Context, status: &PairingStatus) -> Result<()> {
    let refused = |message: &str| CliError::Api { message: message.to_owned(), code: Code::TicketExpired.as_str().to_owned() };
    match status.state {
        PairingStage::Used if context.json => out::json(status),
        PairingStage::Used => {
            let name = status.device.as_ref().map_or("a device", |device| &device.name);
            out::text(&format!("paired with {}\n", render::printable(name, false)))
        }
        PairingStage::Guessed => Err(refused("too many wrong tickets were tried, so the code was made void; ask for a new one")),
        PairingStage::Withdrawn => Err(refused("the code was taken back")),
        PairingStage::None | PairingStage::Waiting | PairingStage::Expired => {
            Err(refused("the code has expired, and no phone came; ask for a new one"))
        }
    }
}

/// The code, the address, and the certificate's fingerprint, which the phone shows too.
fn shown(invitation: &PairingInvitation, coloured: bool) -> Result<String> {
    Ok(format!(
        "{}\nScan it with the phone's camera, or open this there:\n  {}\nThe phone warns of an unknown certificate. It is this node's if \
         its fingerprint begins with\n  {}\nand is\n  {}\n",
        blocks(&invitation.url, coloured)?,
        render::printable(&invitation.url, false),
        render::printable(&invitation.fingerprint.short, false),
        render::printable(&invitation.fingerprint.sha256, false),
    ))
}

/// The code in half blocks, two of its rows in a line. On a terminal its colours are told, black on white; elsewhere it is drawn for a
/// light text on a dark ground, which most terminals have that a file may be shown on.
pub fn blocks(url: &str, coloured: bool) -> Result<String> {
    // What is longer than a pairing address takes the lowest level, so that it fits a terminal: nothing is torn off a screen.
    let level = if url.len() > LONG { EcLevel::L } else { EcLevel::M };
    let code =
        QrCode::with_error_correction_level(url, level).map_err(|error| CliError::local("no QR code of the address", error))?;
    let mut image = code.render::<Dense1x2>();
    if !coloured {
        image.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let lines = image.module_dimensions(1, 1).build();
    let lines = lines.lines().map(|line| if coloured { format!("\x1b[30;107m{line}\x1b[0m\n") } else { format!("{line}\n") });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_types::Timestamp;
    use kith_wire::system::Fingerprint;

    const URL: &str = "https://192.168.1.5:4344/pair#kithp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    #[test]
    fn the_code_is_drawn_in_half_blocks_with_its_quiet_zone() {
        let plain = blocks(URL, false).unwrap();
        let width = plain.lines().next().unwrap().chars().count();
        assert!(plain.lines().all(|line| line.chars().count() == width), "{plain}");
        assert!(plain.lines().count() * 2 >= width && plain.lines().count() * 2 <= width + 2, "it is square");
        assert!(width <= 61, "{width} columns");
        assert!(plain.lines().take(2).all(|line| line.chars().all(|c| c == '█')), "the zone around it is light: {plain}");
        let coloured = blocks(URL, true).unwrap();
        assert!(coloured.lines().all(|line| line.starts_with("\x1b[30;107m") && line.ends_with("\x1b[0m")));
    }

    #[test]
    fn what_is_shown_has_the_address_and_the_fingerprint() {
        let invitation = PairingInvitation {
            url: URL.into(),
            addresses: vec!["192.168.1.5".into()],
            port: 4344,
            fingerprint: Fingerprint::of(&[0xab; 32]),
            expires_at_ms: Timestamp::from_ms(0),
            qr_svg: String::new(),
        };
        let text = shown(&invitation, false).unwrap();
        assert!(text.contains(URL) && text.contains("AB AB AB AB") && text.contains(&invitation.fingerprint.sha256), "{text}");
    }
}
