//! Which protocols this node speaks, and who answers each: like a router of HTTP routes.

use crate::{
    bounds::MAX_ROUTES,
    event::Fault,
    frames::{Answer, Call, Declined, read_json, write_json},
    protocol::{Protocol, ProtocolError},
    stream::Stream,
};
use async_trait::async_trait;
use libp2p::{PeerId, StreamProtocol};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};
use tokio::sync::mpsc;

/// A stream that a peer opened.
#[derive(Debug)]
pub struct Inbound {
    /// The stream; it knows its peer and its protocol.
    pub stream: Stream,
    pub(crate) peer: PeerId,
    pub(crate) faults: mpsc::Sender<(PeerId, Fault)>,
}

impl Inbound {
    /// Charges the peer with a fault. Where too many wait already this one is lost; the peer is at its limit then anyway.
    pub fn report(&self, fault: Fault) {
        self.faults.try_send((self.peer, fault)).ok();
    }
}

/// Answers the streams of one protocol. It runs in a task of its own, which ends with the mesh.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Speaks with one peer over one stream.
    async fn handle(&self, inbound: Inbound);
}

#[async_trait]
impl<F, Fut> Handler for F
where
    F: Fn(Inbound) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    async fn handle(&self, inbound: Inbound) {
        self(inbound).await;
    }
}

/// A route was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Its name is malformed.
    #[error(transparent)]
    Name(#[from] ProtocolError),
    /// Two handlers want the same protocol.
    #[error("{0} has a handler already")]
    Taken(Protocol),
    /// There are too many.
    #[error("a router has at most {MAX_ROUTES} routes")]
    TooMany,
}

/// The protocols of a node.
#[derive(Clone, Default)]
pub struct Router {
    routes: BTreeMap<Protocol, Arc<dyn Handler>>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.keys().map(ToString::to_string)).finish()
    }
}

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Streams of `protocol` go to `handler`. Several versions of one name are several routes.
    ///
    /// # Errors
    /// A malformed name, one that is taken, or too many routes.
    pub fn route(mut self, protocol: &str, handler: impl Handler) -> Result<Self, RouteError> {
        let protocol: Protocol = protocol.parse()?;
        if self.routes.len() >= MAX_ROUTES {
            return Err(RouteError::TooMany);
        }
        if self.routes.contains_key(&protocol) {
            return Err(RouteError::Taken(protocol));
        }
        self.routes.insert(protocol, Arc::new(handler));
        Ok(self)
    }

    /// Questions of `call` are answered by `answer`. Frames that are too large or cannot be read are charged to the peer.
    ///
    /// # Errors
    /// As [`Router::route`].
    pub fn answer<Q, A, F, Fut>(self, call: &Call, answer: F) -> Result<Self, RouteError>
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + Sync + 'static,
        F: Fn(kith_types::NodeId, Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Declined>> + Send + 'static,
    {
        let protocol = call.protocol.to_string();
        let (call, answer) = (call.clone(), Arc::new(answer));
        self.route(&protocol, move |mut inbound: Inbound| {
            let (call, answer) = (call.clone(), Arc::clone(&answer));
            async move {
                let late = tokio::time::timeout(call.deadline, answer_one(&mut inbound, &call, &*answer)).await.is_err();
                // A peer that is slow with its own question has only itself to blame: the stream ends.
                if late && inbound.stream.owed {
                    inbound.report(Fault::LateFrame);
                }
            }
        })
    }

    /// All protocols, the newest version of each name first.
    pub(crate) fn offered(&self) -> Vec<StreamProtocol> {
        self.routes.keys().filter_map(Protocol::wire).collect()
    }

    pub(crate) fn handler(&self, protocol: &str) -> Option<(Protocol, Arc<dyn Handler>)> {
        let protocol = protocol.parse().ok()?;
        self.routes.get(&protocol).map(|handler| (protocol, Arc::clone(handler)))
    }
}

async fn answer_one<Q, A, F, Fut>(inbound: &mut Inbound, call: &Call, answer: &F)
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Fn(kith_types::NodeId, Q) -> Fut,
    Fut: Future<Output = Result<A, Declined>>,
{
    let question = match read_json(&mut inbound.stream, call.max_question).await {
        Ok(question) => question,
        Err(error) => {
            if error.is_fault() {
                inbound.report(Fault::BadFrame);
                let declined = Answer::<()>::Declined(Declined::new("bad_frame", error.to_string()));
                write_json(&mut inbound.stream, &declined, call.max_frame).await.ok();
            }
            return;
        }
    };
    let answer = match answer(inbound.stream.peer().clone(), question).await {
        Ok(answer) => Answer::Ok(answer),
        Err(declined) => Answer::Declined(declined),
    };
    if let Err(error) = write_json(&mut inbound.stream, &answer, call.max_frame).await {
        tracing::debug!(peer = %inbound.stream.peer(), protocol = %inbound.stream.protocol(), %error, "an answer was not sent");
        return;
    }
    tokio::io::AsyncWriteExt::shutdown(&mut inbound.stream).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_has_one_handler_and_a_router_a_bound() {
        let silent = |_: Inbound| async {};
        let router = Router::new().route("/kith/a/1", silent).unwrap().route("/kith/a/2", silent).unwrap();
        assert!(matches!(router.clone().route("/kith/a/2", silent), Err(RouteError::Taken(_))));
        assert!(matches!(router.clone().route("a", silent), Err(RouteError::Name(_))));
        assert_eq!(router.offered(), [StreamProtocol::new("/kith/a/2"), StreamProtocol::new("/kith/a/1")]);
        let full = (3..=MAX_ROUTES).try_fold(router, |router, n| router.route(&format!("/kith/a/{n}"), silent)).unwrap();
        assert_eq!(full.route("/kith/b/1", silent).err(), Some(RouteError::TooMany));
    }
}
