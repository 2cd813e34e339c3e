//! How gossip is set up: strict signatures, ids by content, scores, and bounds.

use crate::bounds::{Bounds, MAX_TOPICS};
use libp2p::{
    gossipsub::{
        self, CallbackSubscriptionFilter, ConfigBuilder, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter,
        MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode,
    },
    identity::Keypair,
};
use std::time::Duration;

/// The score at which a peer is cut off. Reached by five invalid messages on one topic in quick succession, or by breaking
/// the rules of gossip about ten times.
pub(crate) const CUT_OFF_SCORE: f64 = -100.0;
/// What an RPC holds besides a message: topic, author, signature, sequence number.
const ENVELOPE: usize = 1024;
/// Messages that wait for one slow peer; with the largest messages 16 MiB.
const SEND_QUEUE: usize = 256;
/// Prefix of topics, so that they cannot be mistaken for another application's.
const TOPIC_PREFIX: &str = "kith/";
/// Longest name of a topic.
const MAX_TOPIC_NAME: usize = 128;

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It has more bytes than gossip carries.
    #[error("a message of {size} bytes is more than the {most} that gossip carries")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The bound.
        most: usize,
    },
    /// No connected peer follows the topic. The message is not kept.
    #[error("no connected peer follows the topic")]
    NoPeers,
    /// This node publishes faster than its peers accept.
    #[error("too many messages in a short time")]
    TooFast,
    /// The topic's name is empty or longer than 128 bytes, or too many topics are followed.
    #[error("the topic cannot be followed")]
    Topic,
    /// It could not be signed or queued.
    #[error("the message was not sent: {0}")]
    Failed(String),
    /// The mesh has stopped.
    #[error("the mesh has stopped")]
    Stopped,
}

/// Of a peer's topics only the product's are remembered, and no more than a node may follow.
type Followed = MaxCountSubscriptionFilter<CallbackSubscriptionFilter<fn(&TopicHash) -> bool>>;
/// Gossip with that bound.
pub(crate) type Behaviour = gossipsub::Behaviour<IdentityTransform, Followed>;

fn followed() -> Followed {
    MaxCountSubscriptionFilter {
        filter: CallbackSubscriptionFilter(is_topic as fn(&TopicHash) -> bool),
        max_subscribed_topics: MAX_TOPICS,
        // A node that connects tells all it follows, and what it follows no more.
        max_subscriptions_per_request: 2 * MAX_TOPICS,
    }
}

fn is_topic(topic: &TopicHash) -> bool {
    topic.as_str().strip_prefix(TOPIC_PREFIX).is_some_and(|name| !name.is_empty() && name.len() <= MAX_TOPIC_NAME)
}

pub(crate) fn behaviour(keypair: &Keypair, network: &str, bounds: &Bounds) -> Result<Behaviour, String> {
    let config = ConfigBuilder::default()
        .protocol_id_prefix(format!("/kith/gossip/{network}"))
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(|message| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(message.topic.as_str().as_bytes()).update(&[0]).update(&message.data);
            MessageId::new(hasher.finalize().as_bytes())
        })
        .max_transmit_size(bounds.gossip_message + ENVELOPE)
        .connection_handler_queue_len(SEND_QUEUE)
        .max_messages_per_rpc(Some(256))
        .heartbeat_initial_delay(Duration::from_millis(300))
        .heartbeat_interval(Duration::from_secs(1))
        .build()
        .map_err(|error| error.to_string())?;
    let author = MessageAuthenticity::Signed(keypair.clone());
    let mut behaviour = Behaviour::new_with_subscription_filter(author, config, followed()).map_err(str::to_owned)?;
    let params = PeerScoreParams {
        // Nodes of one home share an address.
        ip_colocation_factor_weight: 0.0,
        // A slow line is no fault.
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -50.0,
        graylist_threshold: -80.0,
        accept_px_threshold: 10.0,
        opportunistic_graft_threshold: 1.0,
    };
    behaviour.with_peer_score(params, thresholds)?;
    Ok(behaviour)
}

/// The topic of that name, where it may be one.
pub(crate) fn topic(name: &str) -> Result<IdentTopic, PublishError> {
    if name.is_empty() || name.len() > MAX_TOPIC_NAME {
        Err(PublishError::Topic)
    } else {
        Ok(IdentTopic::new(format!("{TOPIC_PREFIX}{name}")))
    }
}

/// The product's name of a topic.
pub(crate) fn name_of(topic: &TopicHash) -> Option<String> {
    topic.as_str().strip_prefix(TOPIC_PREFIX).map(str::to_owned)
}

/// Follows a topic. Only invalid messages count there: a quiet peer is no worse than a talkative one.
pub(crate) fn follow(behaviour: &mut Behaviour, name: &str) -> Result<(), PublishError> {
    let topic = topic(name)?;
    if behaviour.topics().count() >= MAX_TOPICS && !behaviour.topics().any(|held| *held == topic.hash()) {
        return Err(PublishError::Topic);
    }
    let params = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // Squared: two cost 20, five 125.
        invalid_message_deliveries_weight: -5.0,
        invalid_message_deliveries_decay: 0.99,
        ..TopicScoreParams::default()
    };
    behaviour.set_topic_params(topic.clone(), params).map_err(|error| PublishError::Failed(error.to_owned()))?;
    behaviour.subscribe(&topic).map_err(|error| PublishError::Failed(error.to_string()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::gossipsub::TopicSubscriptionFilter;

    #[test]
    fn only_topics_of_the_product_are_remembered_of_a_peer() {
        let mut filter = followed();
        let mut taken = |name: &str| filter.can_subscribe(&TopicHash::from_raw(name));
        assert!(taken("kith/records") && taken(&format!("kith/{}", "x".repeat(MAX_TOPIC_NAME))));
        for name in ["", "kith/", "records", "other/records", &format!("kith/{}", "x".repeat(MAX_TOPIC_NAME + 1))] {
            assert!(!taken(name), "{name}");
        }
        assert_eq!(filter.max_subscribed_topics, MAX_TOPICS);
    }
}
