//! Gossip between the swarm and the port that judges it.

use super::Node;
use crate::{
    address::node_id,
    event::{Event, Fault},
    gossip::{self, PublishError},
    ports::Verdict,
};
use kith_types::NodeId;
use libp2p::{
    PeerId,
    gossipsub::{Event as GossipEvent, Message, MessageAcceptance, MessageId, PublishError as LibError},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinError;

/// A judge that takes longer has no verdict.
const DEADLINE: Duration = Duration::from_secs(5);

/// A message and what became of it.
pub(super) struct Validated {
    id: MessageId,
    source: PeerId,
    topic: String,
    author: NodeId,
    via: NodeId,
    message: Arc<[u8]>,
    verdict: Verdict,
}

impl Node {
    pub(super) fn on_gossip(&mut self, event: GossipEvent) {
        if let GossipEvent::Message { propagation_source, message_id, message } = event
            && !self.examine(propagation_source, message_id.clone(), message)
        {
            self.decide(&message_id, &propagation_source, MessageAcceptance::Ignore);
        }
    }

    /// Gives a message to its judge; `false` where nobody will judge it.
    fn examine(&mut self, source: PeerId, id: MessageId, message: Message) -> bool {
        if !self.rates.take(source, Instant::now()) {
            self.charge(source, Fault::GossipFlood);
            return false;
        }
        if self.validating.len() >= self.bounds.gossip_validating || message.data.len() > self.bounds.gossip_message {
            return false;
        }
        let author = message.source.as_ref().and_then(node_id);
        let (Some(author), Some(via), Some(topic)) = (author, node_id(&source), gossip::name_of(&message.topic)) else {
            return false;
        };
        let (judge, message) = (Arc::clone(&self.ports.validation), Arc::<[u8]>::from(message.data));
        self.validating.spawn(async move {
            let verdict =
                tokio::time::timeout(DEADLINE, judge.validate(&topic, &author, &via, &message)).await.unwrap_or(Verdict::Ignore);
            Validated { id, source, topic, author, via, message, verdict }
        });
        true
    }

    pub(super) fn on_validated(&mut self, validated: Result<Validated, JoinError>) {
        let Validated { id, source, topic, author, via, message, verdict } = match validated {
            Ok(validated) => validated,
            // The message stays without a verdict, and is forgotten by gossipsub in its time.
            Err(error) => return tracing::error!(%error, "the judge of a message failed"),
        };
        match verdict {
            Verdict::Accept => {
                self.decide(&id, &source, MessageAcceptance::Accept);
                self.tell(Event::Gossip { topic, author, via, message });
            }
            Verdict::Ignore => self.decide(&id, &source, MessageAcceptance::Ignore),
            Verdict::Reject => {
                self.decide(&id, &source, MessageAcceptance::Reject);
                self.charge(source, Fault::BadGossip);
            }
        }
    }

    fn decide(&mut self, id: &MessageId, source: &PeerId, acceptance: MessageAcceptance) {
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, source, acceptance);
    }

    pub(super) fn publish(&mut self, topic: &str, message: Vec<u8>) -> Result<(), PublishError> {
        let most = self.bounds.gossip_message;
        if message.len() > most {
            return Err(PublishError::TooLarge { size: message.len(), most });
        }
        let topic = gossip::topic(topic)?;
        // Peers count what comes from here; a node that floods them would be cut off.
        if !self.rates.take(*self.swarm.local_peer_id(), Instant::now()) {
            return Err(PublishError::TooFast);
        }
        match self.swarm.behaviour_mut().gossip.publish(topic, message) {
            // The same content was sent a moment ago: it is on its way.
            Ok(_) | Err(LibError::Duplicate) => Ok(()),
            Err(LibError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(LibError::AllQueuesFull(_)) => Err(PublishError::TooFast),
            Err(LibError::MessageTooLarge) => Err(PublishError::TooLarge { size: most, most }),
            Err(error) => Err(PublishError::Failed(error.to_string())),
        }
    }

    pub(super) fn subscribe(&mut self, topic: &str) -> Result<(), PublishError> {
        gossip::follow(&mut self.swarm.behaviour_mut().gossip, topic)
    }

    pub(super) fn unsubscribe(&mut self, topic: &str) {
        if let Ok(topic) = gossip::topic(topic) {
            self.swarm.behaviour_mut().gossip.unsubscribe(&topic);
        }
    }

    /// Peers whose gossip was malformed or falsely signed until nobody believes them.
    pub(super) fn judge_scores(&mut self) {
        let gossip = &self.swarm.behaviour().gossip;
        let fallen = |peer: &&PeerId| gossip.peer_score(peer).is_some_and(|score| score <= gossip::CUT_OFF_SCORE);
        let fallen: Vec<PeerId> = self.links.peers().filter(fallen).copied().collect();
        fallen.into_iter().for_each(|peer| self.charge(peer, Fault::GossipScore));
    }
}
