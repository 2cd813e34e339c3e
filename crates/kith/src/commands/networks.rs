//! `kith networks`: founding, connecting and forgetting networks, their members, invites and keys.

use super::invite::read;
use crate::{
    cli::Networks,
    client::Client,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use chrono::{DateTime, Utc};
use kith_types::{Code, Timestamp};
use kith_wire::networks::{
    CreateNetwork, InviteList, KeyRotated, MemberDetail, MemberInfo, MemberList, MemberRemoved, NetworkDisconnected, NetworkInfo,
    NetworkKey, NetworkList, NetworkMembership, RemovalConsequences,
};
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal};

/// Where the node has its networks.
pub const NETWORKS: &str = "/api/v1/networks";

/// Does one of the commands.
pub async fn networks(context: &Context, command: &Networks) -> Result<()> {
    let client = context.ensured().await?;
    let client = &client;
    match command {
        Networks::List => {
            let list = list(client).await?;
            told(context, &list, &overview(&list))
        }
        Networks::Create { name, offline } => {
            let order = CreateNetwork { name: name.clone(), device_name: None, connect: !offline };
            changed(context, read(client.post(&format!("{NETWORKS}/create"), &order).await?)?)
        }
        Networks::Connect { network } => {
            let network = chosen(client, network.as_deref()).await?;
            changed(context, read(client.post(&at(&network, "/connect"), &json!({})).await?)?)
        }
        Networks::Disconnect => {
            let done: NetworkDisconnected = read(client.post(&format!("{NETWORKS}/disconnect"), &json!({})).await?)?;
            told(context, &done, if done.disconnected { "offline\n" } else { "no network was connected\n" })
        }
        Networks::Forget { network } => {
            let network = chosen(client, Some(network)).await?;
            client.delete(&at(&network, ""), &json!({})).await?;
            told(context, &json!({"forgotten": network.id}), &format!("forgot {}\n", plain(&network.name)))
        }
        Networks::Members { network } => {
            let list = members(client, &chosen(client, network.as_deref()).await?).await?;
            told(context, &list, &member_table(&list.members, Utc::now()))
        }
        Networks::Invites { network, revoke } => {
            invites(context, client, &chosen(client, network.as_deref()).await?, revoke.as_deref()).await
        }
        Networks::Promote { member, network } => {
            let network = chosen(client, network.as_deref()).await?;
            let path = format!("{}/promote", member_path(client, &network, member).await?);
            let detail: MemberDetail = read(client.post(&path, &json!({})).await?)?;
            told(context, &detail, &format!("{} is an admin of {}\n", called(&detail.member), plain(&network.name)))
        }
        Networks::Remove { member, network, yes } => {
            remove(context, client, &chosen(client, network.as_deref()).await?, member, *yes).await
        }
        Networks::Rotate { network } => {
            let network = chosen(client, network.as_deref()).await?;
            let key: KeyRotated = read(client.post(&at(&network, "/swarm-key"), &json!({})).await?)?;
            told(context, &key, &format!("{} has a new key; {}\n", plain(&network.name), handed_out(&key)))
        }
        Networks::Key { network } => {
            let network = chosen(client, network.as_deref()).await?;
            let key: NetworkKey = read(client.get(&at(&network, "/key")).await?)?;
            told(context, &key, &format!("{}\n", key.swarm_key.trim_end()))
        }
    }
}

fn told(context: &Context, value: &impl Serialize, text: &str) -> Result<()> {
    if context.json { out::json(value) } else { out::text(text) }
}

fn changed(context: &Context, network: NetworkInfo) -> Result<()> {
    let text = format!("{} is {}\n", plain(&network.name), plain(&network.state));
    told(context, &network, &text)
}

fn plain(text: &str) -> String {
    render::printable(text, false)
}

/// A path of a network. Its id came from the node, and is its own.
pub fn at(network: &NetworkInfo, rest: &str) -> String {
    format!("{NETWORKS}/{}{rest}", network.id)
}

async fn list(client: &Client) -> Result<NetworkList> {
    read(client.get(NETWORKS).await?)
}

fn missing(message: String, code: Code) -> CliError {
    CliError::Api { message, code: code.as_str().to_owned() }
}

/// The network that is meant: by its name, its id or the id's beginning; the active one if nothing is said.
pub async fn chosen(client: &Client, given: Option<&str>) -> Result<NetworkInfo> {
    pick(list(client).await?, given)
}

fn pick(list: NetworkList, given: Option<&str>) -> Result<NetworkInfo> {
    let Some(given) = given else {
        let message = "no network is active; found one with: kith networks create NAME, or join one with: kith join";
        let active = list.networks.into_iter().find(|network| network.active);
        return active.ok_or_else(|| missing(message.to_owned(), Code::NetworkOffline));
    };
    let fits = |network: &NetworkInfo| network.name == given || (given.len() >= 4 && network.id.starts_with(given));
    let mut found = list.networks.into_iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(network), None) => Ok(network),
        (Some(_), Some(_)) => Err(CliError::Usage(format!("more than one network is called `{given}`; give its id"))),
        (None, _) => Err(missing(format!("there is no network `{given}`; kith networks list shows them"), Code::NetworkNotFound)),
    }
}

async fn members(client: &Client, network: &NetworkInfo) -> Result<MemberList> {
    read(client.get(&at(network, "/members")).await?)
}

fn called(member: &MemberInfo) -> String {
    plain(if member.name.is_empty() { &member.node_id } else { &member.name })
}

/// The path of the member that is meant, by name or id; among those who are not removed first.
async fn member_path(client: &Client, network: &NetworkInfo, given: &str) -> Result<String> {
    let member = pick_member(members(client, network).await?.members, given)?;
    Ok(at(network, &format!("/members/{}", member.node_id)))
}

fn pick_member(members: Vec<MemberInfo>, given: &str) -> Result<MemberInfo> {
    let fits = |member: &MemberInfo| member.node_id == given || (member.name == given && member.state != "removed");
    let mut found = members.into_iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(member), None) => Ok(member),
        (Some(_), Some(_)) => Err(CliError::Usage(format!("more than one member is called `{given}`; give its id"))),
        (None, _) => Err(missing(format!("there is no member `{given}`; kith networks members shows them"), Code::NodeNotFound)),
    }
}

async fn remove(context: &Context, client: &Client, network: &NetworkInfo, given: &str, yes: bool) -> Result<()> {
    let path = member_path(client, network, given).await?;
    let detail: MemberDetail = read(client.get(&path).await?)?;
    if let Some(refused) = &detail.removal.refused {
        return Err(missing(refused.clone(), Code::Forbidden));
    }
    if !yes {
        if !io::stdin().is_terminal() {
            return Err(CliError::Usage("removing a member changes the network's key; say --yes".to_owned()));
        }
        out::note(&consequences(&called(&detail.member), &plain(&network.name), &detail.removal));
        out::fragment("Remove it? [y/N] ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| CliError::local("cannot read the answer", error))?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(CliError::Interrupted);
        }
    }
    let removed: MemberRemoved = read(client.delete(&path, &json!({})).await?)?;
    let ended = if removed.invites_ended == 0 {
        String::new()
    } else {
        format!("; {} ended", counted(removed.invites_ended, "open invite"))
    };
    told(context, &removed, &format!("removed {}; {}{ended}\n", called(&detail.member), handed_out(&removed.key)))
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn consequences(name: &str, network: &str, removal: &RemovalConsequences) -> String {
    let mut text = format!("{name} can no longer come into {network}, and the network's key changes.");
    if removal.disconnects {
        text.push_str(" Its connections end at once.");
    }
    text.push_str(&format!(" The new key goes to {} now", counted(removal.told_now, "other member")));
    if removal.told_later > 0 {
        text.push_str(&format!(", and to {} who must come back within {}", removal.told_later, render::span(removal.kept_for_s)));
    }
    text.push('.');
    if removal.invites_ended > 0 {
        text.push_str(&format!(" {} of this node will be void.", counted(removal.invites_ended, "open invite")));
    }
    text.push_str(" What it has downloaded stays with it.");
    text
}

fn handed_out(key: &KeyRotated) -> String {
    let later = key.sealed_to.saturating_sub(key.told);
    let rest = if later == 0 { String::new() } else { format!(", {later} get it when they come back within 30 days") };
    format!("{} got key {}{rest}", counted(key.told, "other member"), key.key_epoch)
}

async fn invites(context: &Context, client: &Client, network: &NetworkInfo, revoke: Option<&str>) -> Result<()> {
    let Some(id) = revoke else {
        let list: InviteList = read(client.get(&at(network, "/invites")).await?)?;
        return told(context, &list, &invite_table(&list, Utc::now()));
    };
    // Whatever else is typed must not become another path.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!("`{id}` is not an invite's id; kith networks invites shows them");
        return Err(missing(message, Code::InviteNotFound));
    }
    client.delete(&at(network, &format!("/invites/{id}")), &json!({})).await?;
    told(context, &json!({"revoked": id}), "taken back\n")
}

fn time(at: Option<Timestamp>, now: DateTime<Utc>) -> String {
    match at.map(|at| DateTime::from_timestamp_millis(at.ms())) {
        Some(Some(at)) => render::relative(at, now),
        _ => "never".to_owned(),
    }
}

fn membership(network: &NetworkInfo) -> &'static str {
    match network.membership {
        NetworkMembership::Invited => "invited",
        NetworkMembership::Member => "member",
        NetworkMembership::Admin => "admin",
        NetworkMembership::Removed => "removed",
    }
}

fn overview(list: &NetworkList) -> String {
    let row = |network: &NetworkInfo| {
        let (name, id, state) = (network.name.clone(), network.id.clone(), network.state.clone());
        [name, id, state, membership(network).to_owned(), network.member_count.to_string(), network.key_epoch.to_string()]
    };
    let rows: Vec<_> = list.networks.iter().map(row).collect();
    let mut text = render::table(["NAME", "ID", "STATE", "THIS NODE", "MEMBERS", "KEY"], &rows);
    if let Some(fault) = &list.fault {
        text.push_str(&format!("not connected: {}\n", plain(fault)));
    }
    text
}

fn member_table(members: &[MemberInfo], now: DateTime<Utc>) -> String {
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            let seen = if member.is_self { "this node".to_owned() } else { time(member.last_seen_at_ms, now) };
            [member.name.clone(), member.node_id.clone(), member.role.clone(), member.state.clone(), seen]
        })
        .collect();
    render::table(["NAME", "ID", "ROLE", "STATE", "LAST SEEN"], &rows)
}

fn invite_table(list: &InviteList, now: DateTime<Utc>) -> String {
    let rows: Vec<_> = list
        .invites
        .iter()
        .map(|invite| {
            let state = serde_json::to_value(invite.state).ok().and_then(|state| state.as_str().map(str::to_owned));
            let used = format!("{} of {}", invite.used, invite.uses);
            [invite.id.clone(), invite.label.clone(), state.unwrap_or_default(), used, time(Some(invite.expires_at_ms), now)]
        })
        .collect();
    render::table(["ID", "LABEL", "STATE", "USED", "EXPIRES"], &rows)
}

#[cfg(test)]
mod tests;
