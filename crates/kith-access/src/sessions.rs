//! Sessions of 24 hours: signing in, tickets, signing out.

use crate::{
    Access, AccessError, Minted,
    access::hash,
    mint::random_token,
    password::{MAX_CHARS, MIN_CHARS, verify},
    tickets::Admission,
};
use kith_store::BearerKind;
use kith_types::Scope;
use serde_json::json;
use std::{net::IpAddr, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// The setting that holds the password's hash, as a PHC string.
const PASSWORD: &str = "access.password";
/// A wrong password is never answered sooner.
const WRONG_AFTER: Duration = Duration::from_millis(100);
/// The longest ticket that is looked at, in bytes.
const MAX_TICKET: usize = 512;

impl Access {
    /// Whether a password was ever set.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn has_password(&self) -> Result<bool, AccessError> {
        Ok(self.store.setting(PASSWORD).await?.is_some())
    }

    /// Sets the password, and ends every session that was opened with the old one.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] unless it has 8 to 256 characters; [`AccessError::Hash`], [`AccessError::Entropy`],
    /// [`AccessError::Store`].
    pub async fn set_password(&self, password: &str) -> Result<(), AccessError> {
        if !(MIN_CHARS..=MAX_CHARS).contains(&password.chars().count()) {
            let reason = format!("must have {MIN_CHARS} to {MAX_CHARS} characters");
            return Err(AccessError::Invalid { field: "password", reason });
        }
        let phc = crate::password::hash(password, self.entropy.as_ref(), &self.hashes).await?;
        let _changing = self.password.write().await;
        // Sessions first: were the node killed in between, the old password would be left, but nobody signed in with it.
        for bearer in self.store.bearers().await? {
            if bearer.kind == BearerKind::Login {
                self.end(bearer.id).await?;
            }
        }
        self.store.setting_put(PASSWORD, &phc).await?;
        self.tell("access.password_set", json!({}));
        Ok(())
    }

    /// Opens a session of 24 hours with the password. It has the admin scope: who knows the node's one password owns the node.
    ///
    /// A wrong password is answered after 100 ms, and each failure from an IPv4 address or IPv6 /64 doubles the wait before the next
    /// attempt from there is looked at: up to 5 s in here, beyond that by a refusal, up to 30 s in all.
    ///
    /// # Errors
    /// [`AccessError::NotConfigured`], [`AccessError::WrongPassword`], [`AccessError::TooManyAttempts`]; [`AccessError::Hash`],
    /// [`AccessError::Entropy`], [`AccessError::Store`].
    pub async fn login(&self, password: &str, remote: IpAddr) -> Result<Minted, AccessError> {
        let busy = |retry_after| AccessError::TooManyAttempts { retry_after };
        let _sign_in = self.sign_ins.try_acquire().map_err(|_| busy(1))?;
        if !self.has_password().await? {
            return Err(AccessError::NotConfigured);
        }
        let pause = self.guesses.attempt(remote, self.clock.now()).map_err(busy);
        let from = remote.to_string();
        sleep(pause.inspect_err(|_| self.tell_repeated("access.login_refused", &from, json!({"remote": from})))?).await;
        let started = Instant::now();
        {
            let _unchanged = self.password.read().await;
            let phc = self.store.setting(PASSWORD).await?.ok_or(AccessError::NotConfigured)?;
            if verify(password, phc, &self.hashes).await? {
                self.guesses.succeeded(remote);
                let minted = self.mint_session(BearerKind::Login, "password", Scope::Admin).await?;
                self.tell("access.login", json!({"remote": from, "session": minted.id.as_str()}));
                return Ok(minted);
            }
        }
        self.tell_repeated("access.login_failed", &from, json!({"remote": from}));
        sleep_until(started + WRONG_AFTER).await;
        Err(AccessError::WrongPassword)
    }

    /// Ends the session of this token. Other bearers, and tokens of nobody, are left alone without a word.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn logout(&self, token: &str) -> Result<(), AccessError> {
        if let Some(bearer) = self.store.bearer_by_hash(&hash(token)).await?
            && matches!(bearer.kind, BearerKind::Login | BearerKind::Window)
        {
            self.tell("access.logout", json!({"session": bearer.id}));
            self.end(bearer.id).await?;
        }
        Ok(())
    }

    /// Makes a ticket, good once and for 60 seconds, for a session of this kind and scope. At most 32 are outstanding: one more makes
    /// the oldest void.
    ///
    /// # Errors
    /// [`AccessError::Entropy`].
    pub fn issue_ticket(&self, kind: BearerKind, scope: Scope) -> Result<String, AccessError> {
        let ticket = random_token("kitht_", self.entropy.as_ref())?;
        self.tickets.put(&ticket, Admission { kind, scope }, self.clock.now());
        Ok(ticket)
    }

    /// Exchanges a ticket for a session of 24 hours.
    ///
    /// # Errors
    /// [`AccessError::Unauthorized`] for a ticket that is unknown, used or too old; [`AccessError::Entropy`], [`AccessError::Store`].
    pub async fn exchange(&self, ticket: &str) -> Result<Minted, AccessError> {
        if ticket.len() > MAX_TICKET {
            return Err(AccessError::Unauthorized);
        }
        let admission = self.tickets.take(ticket, self.clock.now()).ok_or(AccessError::Unauthorized)?;
        let minted = self.mint_session(admission.kind, "ticket", admission.scope).await?;
        self.tell("access.ticket_used", json!({"session": minted.id.as_str(), "kind": admission.kind.as_str()}));
        Ok(minted)
    }
}

#[cfg(test)]
mod tests;
