//! Saying what this node is, and hearing what others say of themselves.

use crate::{
    Fault, MAX_RECORD, NetworkError, NetworkId, Networks, NodeRecord, NodeSays, SKEW_MS, SignedFault, members::MAX_ROWS,
};
use kith_store::{NodeRecordPut, NodeRecordRow};
use kith_types::{NodeId, Timestamp};
use serde_json::json;

/// A record is good for this long after it was said; nodes say theirs anew several times in it.
const FRESH_MS: i64 = 3_600_000;

/// What became of a record that was heard, in the words of gossip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is new: keep it and hand it on.
    Accept(Box<NodeRecord>),
    /// It may be honest but is of no use: do not hand it on, hold it against nobody.
    Ignore(&'static str),
    /// No honest node would send it.
    Reject(&'static str),
}

/// A node of a network, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// The node.
    pub node: NodeId,
    /// What it says of itself.
    pub says: NodeSays,
    /// The record's number.
    pub seq: u64,
    /// When it said so, by its clock.
    pub issued: Timestamp,
    /// When this node heard it.
    pub heard: Timestamp,
    /// Whether it has not renewed it in time.
    pub expired: bool,
    /// Whether it is this node.
    pub itself: bool,
}

impl Networks {
    /// Makes this node's record for a network and keeps it: the bytes to be told to the others. What is over the bounds is cut.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`], [`NetworkError::NotMember`]; [`NetworkError::Store`].
    pub async fn say(&self, id: NetworkId, says: NodeSays) -> Result<Vec<u8>, NetworkError> {
        let _changing = self.changing.lock().await;
        let view = self.view(id).await?;
        let me = self.identity.node_id();
        let own = view.own(me).map_err(|_| NetworkError::NotMember)?;
        let now = self.clock.now();
        let last = self.store.node_records(&view.row.id).await?.into_iter().find(|row| row.node == me.as_str());
        // The time as the least number: a node that lost its database still goes on where it was.
        let least = u64::try_from(now.ms()).unwrap_or(0);
        let seq = last.map_or(least, |row| least.max(row.seq.saturating_add(1)));
        let mut record =
            NodeRecord { network: id, node: me.clone(), seq, issued_ms: now, chain: own.chain, says: says.bounded() };
        let token = loop {
            let token = record.sign(&self.identity).map_err(|fault| NetworkError::Refused(fault.to_string()))?;
            let says = &mut record.says;
            let longest = [&mut says.models, &mut says.capabilities, &mut says.hardware.accelerators, &mut says.addresses];
            match longest.into_iter().max_by_key(|list| list.iter().map(String::len).sum::<usize>()) {
                Some(list) if token.len() > MAX_RECORD && !list.is_empty() => list.truncate(list.len() / 2),
                _ if token.len() > MAX_RECORD && !says.links.is_empty() => says.links.clear(),
                _ => break token,
            }
        };
        let row = record_row(&record, &token, now);
        if self.store.node_record_put(&row, MAX_ROWS).await? == NodeRecordPut::Full {
            return Err(NetworkError::TooMany { what: "nodes", most: MAX_ROWS as usize });
        }
        Ok(token.into_bytes())
    }

    /// Hears a record in that network, whoever hands it on; one of another network is of no use there. Its node's membership is learned
    /// with it. What no honest node would send is told on the bus with `from`, the one that handed it on, at most once a minute for
    /// each; so is a record that has expired or is an earlier one than the one that is known, which is a replay, or the word of
    /// somebody who was away.
    ///
    /// # Errors
    /// [`NetworkError::Store`], [`NetworkError::Damaged`].
    pub async fn hear(&self, network: NetworkId, from: &NodeId, bytes: &[u8]) -> Result<Heard, NetworkError> {
        let heard = self.heard(network, from, bytes).await?;
        if let Heard::Reject(reason) = &heard {
            let data = json!({"node": from, "reason": reason});
            self.events.publish_coalesced("network.record_refused", from.as_str(), data);
        }
        Ok(heard)
    }

    async fn heard(&self, network: NetworkId, from: &NodeId, bytes: &[u8]) -> Result<Heard, NetworkError> {
        let record = match NodeRecord::open(bytes) {
            Ok(record) => record,
            Err(SignedFault::Malformed) => return Ok(Heard::Reject("a record that is not of the form it should have")),
            Err(SignedFault::Forged) => return Ok(Heard::Reject("a record that the node it speaks of did not sign")),
        };
        if record.network != network {
            return Ok(Heard::Ignore("a record of another network"));
        }
        let _changing = self.changing.lock().await;
        let view = match self.view(network).await {
            Ok(view) => view,
            Err(NetworkError::NotFound) => return Ok(Heard::Ignore("a record of a network that is not known here")),
            Err(error) => return Err(error),
        };
        if record.node == *self.identity.node_id() {
            return Ok(Heard::Ignore("a record of this node itself"));
        }
        let now = self.clock.now();
        if record.issued_ms.ms() > now.plus_ms(SKEW_MS).ms() {
            return Ok(Heard::Ignore("a record from the future"));
        }
        if record.issued_ms.plus_ms(FRESH_MS + SKEW_MS).ms() <= now.ms() {
            return Ok(self.replayed(from, &record, "a record that has expired"));
        }
        match self.recognise(&view, &record.node, &record.chain).await? {
            Ok(_) => {}
            // Who has not heard of a removal yet hands such records on in good faith.
            Err(Fault::Removed) => return Ok(Heard::Ignore("a record of a device that was removed")),
            Err(_) => return Ok(Heard::Reject("a record of a device that is no member")),
        }
        let token = String::from_utf8_lossy(bytes);
        Ok(match self.store.node_record_put(&record_row(&record, &token, now), MAX_ROWS).await? {
            NodeRecordPut::Kept => Heard::Accept(Box::new(record)),
            // The same one comes in every day, from all who keep it.
            NodeRecordPut::Stale if self.is_known(&record).await? => Heard::Ignore("a record that is known"),
            NodeRecordPut::Stale => self.replayed(from, &record, "an earlier record than the one that is known"),
            NodeRecordPut::Full => Heard::Ignore("more nodes than are kept"),
        })
    }

    async fn is_known(&self, record: &NodeRecord) -> Result<bool, NetworkError> {
        let rows = self.store.node_records(&record.network.to_string()).await?;
        Ok(rows.iter().any(|row| row.node == record.node.as_str() && row.seq == record.seq))
    }

    /// Tells of a record that may be a replay. It is held against nobody: who was away hands on what it last heard.
    fn replayed(&self, from: &NodeId, record: &NodeRecord, reason: &'static str) -> Heard {
        let data = json!({"node": from, "of": record.node, "seq": record.seq, "reason": reason});
        self.events.publish_coalesced("network.record_replayed", &format!("{from} {}", record.node), data);
        Heard::Ignore(reason)
    }

    /// The nodes of a network that are members now, by their ids, each as it last spoke of itself.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`], [`NetworkError::Damaged`].
    pub async fn nodes(&self, id: NetworkId) -> Result<Vec<KnownNode>, NetworkError> {
        let view = self.view(id).await?;
        let now = self.clock.now();
        let members: Vec<String> = view.verified().map(|(row, _)| row.node.clone()).collect();
        let rows = self.store.node_records(&view.row.id).await?.into_iter().filter(|row| members.contains(&row.node));
        let known = rows.filter_map(|row| {
            let record = NodeRecord::open(row.token.as_bytes()).ok()?;
            Some(KnownNode {
                itself: record.node == *self.identity.node_id(),
                node: record.node,
                says: record.says,
                seq: record.seq,
                issued: row.issued,
                heard: row.heard,
                expired: row.heard.plus_ms(FRESH_MS) <= now,
            })
        });
        Ok(known.collect())
    }

    /// The records of a network that have not expired, this node's own among them: what a node that has just come is told.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`]; [`NetworkError::Store`].
    pub async fn said(&self, id: NetworkId) -> Result<Vec<Vec<u8>>, NetworkError> {
        let view = self.view(id).await?;
        let now = self.clock.now();
        let rows = self.store.node_records(&view.row.id).await?.into_iter();
        Ok(rows.filter(|row| row.heard.plus_ms(FRESH_MS) > now).map(|row| row.token.into_bytes()).collect())
    }
}

fn record_row(record: &NodeRecord, token: &str, now: Timestamp) -> NodeRecordRow {
    NodeRecordRow {
        network: record.network.to_string(),
        node: record.node.to_string(),
        seq: record.seq,
        issued: record.issued_ms,
        heard: now,
        token: token.to_owned(),
    }
}

#[cfg(test)]
mod tests;
