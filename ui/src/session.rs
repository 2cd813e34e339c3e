//! Who this window is to the node: nobody, until a ticket or a password is exchanged for a bearer.

use crate::{
    claim, dom,
    http::{self, Client, Problem},
};
use kith_wire::system::{BootstrapRequest, LoginRequest, PairingStatus, TokenResponse, WhoAmI};
use leptos::prelude::*;

/// Where the bearer lies between two visits.
const KEPT: &str = "kith.bearer";
/// Where it lies that the bearer may not administer the node.
const GUEST: &str = "kith.guest";

/// What the window may do.
#[derive(Clone, PartialEq, Eq)]
pub enum Session {
    /// It is being found out.
    Opening,
    /// Nothing yet: a device was sent here by the code that the node shows, and asks to be paired.
    Pairing {
        /// The code; empty where the address held none.
        ticket: String,
    },
    /// Nothing: no bearer, or none that is good.
    Closed {
        /// What was tried and refused, if anything was.
        why: Option<Problem>,
    },
    /// All that the bearer may.
    Open(Client),
}

/// The session, shared by everything on the page.
#[derive(Clone, Copy)]
pub struct Sessions(RwSignal<Session>);

impl Sessions {
    /// Begins to find out.
    pub fn begin() -> Self {
        let sessions = Self(RwSignal::new(Session::Opening));
        match claim::take_ticket() {
            // Whoever comes back to the page of the code and is paired already goes on.
            Some(ticket) if ticket.is_empty() && dom::kept(KEPT).is_some() => claim::go_in(),
            Some(ticket) => {
                sessions.0.set(Session::Pairing { ticket });
                return sessions;
            }
            None => {}
        }
        leptos::task::spawn_local(sessions.open());
        sessions
    }

    /// What the window may do now.
    pub fn now(self) -> Session {
        self.0.get()
    }

    /// A bearer that just came.
    pub async fn enter(self, token: String) {
        dom::keep(KEPT, &token);
        let client = reach(token).await;
        self.0.set(Session::Open(client));
    }

    /// Forgets the bearer.
    pub fn leave(self, why: Option<Problem>) {
        dom::forget(KEPT);
        dom::forget(GUEST);
        self.0.set(Session::Closed { why });
    }

    /// Takes note of an answer: a bearer that is no longer good ends the session.
    pub fn note<T>(self, answer: Result<T, Problem>) -> Result<T, Problem> {
        if matches!(answer, Err(Problem::Unauthorised)) {
            self.leave(Some(Problem::Unauthorised));
        }
        answer
    }

    /// Exchanges the password for a bearer.
    pub async fn log_in(self, password: String) -> Result<(), Problem> {
        let answer: TokenResponse = http::open_post("/api/v1/auth/login", &LoginRequest { password }).await?;
        self.enter(answer.token).await;
        Ok(())
    }

    async fn open(self) {
        let mut refused = None;
        // The ticket of the app that opened this window. It is good once, so it leaves the address at once.
        if let Some(ticket) = dom::take_fragment("ticket") {
            match http::open_post::<TokenResponse>("/api/v1/auth/bootstrap-exchange", &BootstrapRequest { ticket }).await {
                Ok(answer) => return self.enter(answer.token).await,
                Err(problem) => refused = Some(problem),
            }
        }
        let Some(token) = dom::kept(KEPT) else { return self.0.set(Session::Closed { why: refused }) };
        match Client::new(token.clone(), false).get::<WhoAmI>("/api/v1/whoami").await {
            // A node that is away may come back: the pages say so, and try again by themselves.
            Ok(_) | Err(Problem::Offline) => self.0.set(Session::Open(reach(token).await)),
            Err(Problem::Unauthorised) => self.leave(refused.or(None)),
            Err(problem) => self.0.set(Session::Closed { why: Some(problem) }),
        }
    }
}

/// A client that knows how far its bearer reaches. The node does not say so in words: a route that only those may read who administer it
/// does. What was found out last holds while the node is away.
async fn reach(token: String) -> Client {
    let asked = Client::new(token.clone(), true);
    // A bearer that could not administer never will.
    if dom::kept(GUEST).as_deref() == Some(&mark(&token)) {
        return Client::new(token, false);
    }
    let is_admin = match asked.get::<PairingStatus>("/api/v1/devices/pair").await {
        Ok(_) => true,
        Err(Problem::Refused { status: 403, .. }) => false,
        Err(_) => true,
    };
    if is_admin {
        dom::forget(GUEST);
    } else {
        dom::keep(GUEST, &mark(&token));
    }
    Client::new(token, is_admin)
}

/// What marks a bearer without telling it.
fn mark(token: &str) -> String {
    token.chars().rev().take(6).collect()
}

/// The session of this page.
pub fn sessions() -> Sessions {
    expect_context::<Sessions>()
}

/// The client of a page that is only shown to those who have one.
pub fn client() -> Client {
    expect_context::<Client>()
}
