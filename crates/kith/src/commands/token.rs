//! `kith token`: API keys, made by the running node, or written straight into the data directory where none runs.

use crate::{
    cli::Token,
    client::Client,
    context::Context,
    error::{CliError, Result},
    out, render,
};
use chrono::{DateTime, Utc};
use kith_node::{StartError, tokens};
use kith_types::{Code, Scope, Timestamp};
use kith_wire::system::{KeyInfo, KeyList, MintKeyRequest, MintedKey};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where the node has its keys.
const KEYS: &str = "/api/v1/auth/keys";

/// Makes, lists or revokes.
pub async fn token(context: &Context, command: &Token) -> Result<()> {
    let node = context.found().await?;
    match command {
        Token::Mint { scope, name } => {
            let minted = mint(context, node.as_ref(), name, *scope).await?;
            if context.json {
                return out::json(&minted);
            }
            if out::watched() {
                out::note(&format!("This is shown once. Revoke it with: kith token revoke {}", minted.id));
            }
            out::text(&format!("{}\n", minted.token))
        }
        Token::List => {
            let list = list(context, node.as_ref()).await?;
            if context.json { out::json(&list) } else { out::text(&table(&list.keys, Utc::now())) }
        }
        Token::Revoke { id } => {
            revoke(context, node.as_ref(), id).await?;
            if context.json { out::json(&json!({"revoked": id})) } else { Ok(()) }
        }
    }
}

async fn mint(context: &Context, node: Option<&Client>, name: &str, scope: Scope) -> Result<MintedKey> {
    if let Some(node) = node {
        let order = MintKeyRequest { name: name.to_owned(), scope, expires_at_ms: None };
        return read(node.post(KEYS, &order).await?);
    }
    let minted = tokens::mint(&context.data_dir, name, scope, None).await.map_err(refused)?;
    Ok(MintedKey { id: minted.id.to_string(), token: minted.token, name: name.to_owned(), scope, expires_at_ms: minted.expires })
}

async fn list(context: &Context, node: Option<&Client>) -> Result<KeyList> {
    if let Some(node) = node {
        return read(node.get(KEYS).await?);
    }
    let keys = tokens::list(&context.data_dir).await.map_err(refused)?;
    let keys = keys.into_iter().map(|key| KeyInfo {
        id: key.id.to_string(),
        name: key.name,
        scope: key.scope,
        created_at_ms: key.created,
        expires_at_ms: key.expires,
        last_used_at_ms: key.last_used,
    });
    Ok(KeyList { keys: keys.collect() })
}

/// The running node also closes what the token's bearer has open.
async fn revoke(context: &Context, node: Option<&Client>, id: &str) -> Result<()> {
    // Whatever else is typed must not become another path.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        let message = format!("`{id}` is not a token's id; kith token list shows them");
        return Err(CliError::Api { message, code: Code::NotFound.as_str().to_owned() });
    }
    match node {
        Some(node) => node.delete(&format!("{KEYS}/{id}"), &json!({})).await.map(drop),
        None => tokens::revoke(&context.data_dir, id).await.map_err(refused),
    }
}

fn refused(error: StartError) -> CliError {
    CliError::Local(error.to_string())
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T> {
    serde_json::from_value(body).map_err(|error| CliError::local("the node's answer is not understood", error))
}

fn table(keys: &[KeyInfo], now: DateTime<Utc>) -> String {
    let time = |at: Option<Timestamp>| match at.map(|at| DateTime::from_timestamp_millis(at.ms())) {
        Some(Some(at)) => render::relative(at, now),
        _ => "never".to_owned(),
    };
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            [
                key.id.clone(),
                key.name.clone(),
                key.scope.to_string(),
                time(Some(key.created_at_ms)),
                time(key.last_used_at_ms),
                time(key.expires_at_ms),
            ]
        })
        .collect();
    render::table(["ID", "NAME", "SCOPE", "CREATED", "LAST USED", "EXPIRES"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_a_token_may_do_and_when_it_was_used() {
        let key = KeyInfo {
            id: "key_1".into(),
            name: "laptop".into(),
            scope: Scope::Admin,
            created_at_ms: Timestamp::from_ms(0),
            expires_at_ms: None,
            last_used_at_ms: Some(Timestamp::from_ms(60_000)),
        };
        let now = DateTime::from_timestamp_millis(180_000).unwrap();
        let text = table(&[key], now);
        assert!(text.ends_with("key_1    laptop    admin    3 minutes ago    2 minutes ago    never\n"), "{text}");
    }
}
