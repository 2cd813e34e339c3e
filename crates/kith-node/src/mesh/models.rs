//! Models by their names, between members: one asks what another has under a name, and then fetches the bytes by their digest.
//!
//! Nobody signs the answer. The bytes are verified against the digest that it names, but that the name means this digest is the member's
//! word alone: it is taken because the member was let into this private network, and from nobody else.

use super::blobs::Sharing;
use kith_mesh::{Call, Declined, Mesh, RequestError, RouteError, Router};
use kith_models::{Message, Model, ModelError, Overrides};
use kith_types::{ModelName, NodeId, Sha256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

pub(super) const PROTOCOL: &str = "/kith/models/1";
/// Bytes of an answer: licences and templates are texts of some hundred kilobytes at most.
const FRAME: u32 = 4 << 20;
/// A name, and room for what may come.
const QUESTION: u32 = 4 * 1024;
/// How long a member may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The one file of a model.
const MODEL: &str = "model";

/// The question.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Question {
    name: String,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct File {
    /// What it is for the model.
    role: String,
    sha256: Sha256,
    size: u64,
}

/// What a member has under a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    files: Vec<File>,
    template: Option<String>,
    system: Option<String>,
    parameters: Map<String, Value>,
    license: Option<String>,
    messages: Vec<Value>,
    parent: Option<String>,
    requires: Option<String>,
}

impl Manifest {
    fn of(model: &Model) -> Self {
        let Overrides { template, system, parameters, license, messages, parent, requires } = model.overrides();
        let messages = messages.unwrap_or_default().into_iter().filter_map(|message| serde_json::to_value(message).ok());
        Self {
            files: vec![File { role: MODEL.to_owned(), sha256: model.sha256, size: model.size }],
            template,
            system,
            parameters: parameters.unwrap_or_default(),
            license,
            messages: messages.collect(),
            parent,
            requires,
        }
    }

    /// The digest and size of the model's file, and what belongs to it; `None` if it has files or messages of kinds that are not known
    /// here: half a model is none.
    pub fn read(self) -> Option<(Sha256, u64, Overrides)> {
        let [File { role, sha256, size }] = self.files.as_slice() else { return None };
        if role != MODEL || i64::try_from(*size).is_err() {
            return None;
        }
        let (sha256, size) = (*sha256, *size);
        let messages = self.messages.into_iter().map(serde_json::from_value).collect::<Result<Vec<Message>, _>>().ok()?;
        let overrides = Overrides {
            template: self.template,
            system: self.system,
            parameters: Some(self.parameters).filter(|parameters| !parameters.is_empty()),
            license: self.license,
            messages: Some(messages).filter(|messages| !messages.is_empty()),
            parent: self.parent,
            requires: self.requires,
        };
        Some((sha256, size, overrides))
    }
}

/// Adds what members ask for.
pub(super) fn route(router: Router, sharing: &Arc<Sharing>) -> Result<Router, RouteError> {
    let sharing = Arc::clone(sharing);
    let call = Call::new(PROTOCOL, FRAME, DEADLINE)?.with_questions_of(QUESTION);
    router.answer(&call, move |_: NodeId, question: Question| {
        let sharing = Arc::clone(&sharing);
        async move { answer(&sharing, &question.name).await }
    })
}

async fn answer(sharing: &Sharing, name: &str) -> Result<Manifest, Declined> {
    if !(sharing.gate)() {
        return Err(Declined::new("quiet", "nothing is given at this time"));
    }
    let name: ModelName = name.parse().map_err(|_| Declined::new("bad_name", "that is no name of a model"))?;
    match sharing.library.get(&name).await {
        Ok(model) => Ok(Manifest::of(&model)),
        Err(ModelError::NotFound { .. } | ModelError::Damaged { .. }) => Err(Declined::new("absent", "it is not here")),
        Err(error) => {
            tracing::warn!(%name, %error, "a member asks for a model that cannot be read");
            Err(Declined::new("unavailable", "this node cannot answer now"))
        }
    }
}

/// Asks a member what it has under a name.
pub(super) async fn ask(mesh: &Mesh, peer: &NodeId, name: &ModelName) -> Option<Manifest> {
    let call = Call::new(PROTOCOL, FRAME, DEADLINE).ok()?.with_questions_of(QUESTION);
    match mesh.request(peer, &call, &Question { name: name.to_string() }).await {
        Ok(manifest) => Some(manifest),
        Err(RequestError::Declined(_)) => None,
        Err(error) => {
            tracing::debug!(%peer, %error, "a member does not say which models it has");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Option<(Sha256, u64, Overrides)> {
        serde_json::from_value::<Manifest>(value).unwrap().read()
    }

    fn file(role: &str, size: u64) -> Value {
        json!({"role": role, "sha256": Sha256::from_bytes([7; 32]), "size": size, "newer": true})
    }

    #[test]
    fn what_a_newer_member_adds_is_passed_over_but_half_a_model_is_none() {
        let whole = read(json!({"files": [file("model", 9)], "system": "Be brief.", "newer": 1})).unwrap();
        let overrides = Overrides { system: Some("Be brief.".into()), ..Overrides::default() };
        assert_eq!(whole, (Sha256::from_bytes([7; 32]), 9, overrides));
        for half in [
            json!({}),
            json!({"files": []}),
            json!({"files": [file("projector", 9)]}),
            json!({"files": [file("model", 9), file("projector", 9)]}),
            json!({"files": [file("model", u64::MAX)]}),
            json!({"files": [file("model", 9)], "messages": [{"role": "oracle", "content": "x"}]}),
        ] {
            assert_eq!(read(half.clone()), None, "{half}");
        }
    }
}
