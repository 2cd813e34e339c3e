//! Invites: how one stands, and what is taken for one.

use crate::view::format;
use kith_wire::networks::{InviteInfo, InviteStage};

/// The longest invite that is looked at, in bytes.
pub const LONGEST_INVITE: usize = 8192;
/// What an invite begins with.
pub const INVITE: &str = "kith://join/";

/// An invite in a line: `used 1 of 5, ends in 3 h`.
pub fn invite(invite: &InviteInfo, now_ms: i64) -> String {
    let used = match (invite.used, invite.uses) {
        (0, 1) => "for one device".to_owned(),
        (used, uses) => format!("{used} of {uses} used"),
    };
    let ends = match invite.state {
        InviteStage::Open => match u64::try_from(invite.expires_at_ms.ms() - now_ms) {
            Ok(left) if left > 0 => format!("ends in {}", format::duration_ms(left.max(60_000))),
            _ => "over".to_owned(),
        },
        InviteStage::Used => "used up".to_owned(),
        InviteStage::Revoked => "taken back".to_owned(),
        InviteStage::Expired => "over".to_owned(),
    };
    format!("{used}, {ends}")
}

/// Whether an invite still lets in.
pub fn is_open(invite: &InviteInfo, now_ms: i64) -> bool {
    invite.state == InviteStage::Open && invite.expires_at_ms.ms() > now_ms
}

/// The invite in what was pasted, opened or handed over. `Err` says in a sentence what is wrong with it.
pub fn code(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("");
    }
    if text.len() > LONGEST_INVITE {
        return Err("This is longer than any invite.");
    }
    // The file of an invite may say more around it; the node reads that.
    if text.contains(INVITE) || text.starts_with('{') || text.contains('\n') {
        return Ok(text.to_owned());
    }
    let is_plain = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_plain { Ok(format!("{INVITE}{text}")) } else { Err("An invite begins with kith://join/.") }
}

/// A code that the address of this page held, as an invite. Whoever made the address may be anybody, so only its form is trusted.
pub fn handed_over(code: &str) -> Option<String> {
    let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let fits = (1..=LONGEST_INVITE - INVITE.len()).contains(&code.len());
    (is_plain && fits).then(|| format!("{INVITE}{code}"))
}
