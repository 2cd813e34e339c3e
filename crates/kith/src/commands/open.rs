//! `kith open`: the window in the browser, signed in by a ticket that is good once and for a minute.

use crate::{
    cli::Open,
    context::Context,
    error::{CliError, Result},
    out,
};
use serde_json::json;

/// Opens the window, or tells its address.
pub async fn open(context: &Context, options: &Open) -> Result<()> {
    let client = context.ensured().await?;
    let answer = client.post("/api/v1/auth/bootstrap-tickets", &json!({})).await?;
    let Some(ticket) = answer["ticket"].as_str() else {
        return Err(CliError::Local("the node gave no ticket".to_owned()));
    };
    // What stands behind the `#` stays with the browser: it is in no request and in no log.
    let address = format!("{}/app#ticket={ticket}", client.url().trim_end_matches('/'));
    if context.json {
        return out::json(&json!({"url": address}));
    }
    if options.print {
        return out::text(&format!("{address}\n"));
    }
    match open::that_detached(&address) {
        Ok(()) => {
            out::note(&format!("opened {}/app", client.url().trim_end_matches('/')));
            Ok(())
        }
        Err(error) => {
            Err(CliError::Local(format!("no browser could be opened ({error}); `kith open --print` prints the address")))
        }
    }
}
