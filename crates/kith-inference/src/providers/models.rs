//! The providers' models: asked for at most once a minute, by one refresh at a time, and told at once from then on.

use super::{Providers, http::Target};
use crate::ProviderFault;
use futures::future::join_all;
use kith_types::Timestamp;
use serde_json::Value;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// How long a list counts as fresh, in milliseconds.
const FRESH_MS: i64 = 60_000;
/// The most models of one provider.
const MAX_MODELS: usize = 5000;
/// The longest name of a model, in bytes.
const MAX_NAME: usize = super::table::MAX_MODEL;

/// One model of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudModel {
    /// Its name at the provider; prompts go to `provider/id`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The provider.
    pub provider: &'static str,
    /// When the provider says it was made.
    pub created: Option<Timestamp>,
}

/// The models of all providers that have a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudModels {
    /// The models, by provider.
    pub models: Vec<CloudModel>,
    /// Providers that could not tell theirs this time; older ones of theirs may stand in the list.
    pub faults: Vec<(&'static str, ProviderFault)>,
    /// When they were asked.
    pub asked: Timestamp,
}

/// The last list, and who is refreshing it.
#[derive(Default)]
pub(super) struct ModelCache {
    /// With the number of the change of keys it belongs to.
    last: Mutex<Option<(u64, Arc<CloudModels>)>>,
    changes: AtomicU64,
    refreshing: Arc<tokio::sync::Mutex<()>>,
}

impl ModelCache {
    /// Keys have changed: what is known no longer counts.
    pub fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn last(&self) -> Option<Arc<CloudModels>> {
        let changes = self.changes.load(Ordering::Acquire);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(of, _)| *of == changes).map(|(_, list)| Arc::clone(list))
    }
}

impl Providers {
    /// The models of all providers that have a key. A list older than a minute is told at once and refreshed behind the caller's back.
    pub async fn models(self: &Arc<Self>) -> Arc<CloudModels> {
        if let Some(list) = self.models.last() {
            if self.is_old(&list)
                && let Ok(turn) = Arc::clone(&self.models.refreshing).try_lock_owned()
            {
                let providers = Arc::clone(self);
                tokio::spawn(async move {
                    // Between the look and the turn somebody may have been faster.
                    if providers.models.last().is_none_or(|list| providers.is_old(&list)) {
                        providers.refresh().await;
                    }
                    drop(turn);
                });
            }
            return list;
        }
        let _turn = self.models.refreshing.lock().await;
        // Somebody may have been faster.
        match self.models.last() {
            Some(list) => list,
            None => self.refresh().await,
        }
    }

    /// The models to be listed among the library's own: none unless the owner wants it.
    pub async fn listed(self: &Arc<Self>) -> Vec<CloudModel> {
        if self.list_models { self.models().await.models.clone() } else { Vec::new() }
    }

    fn is_old(&self, list: &CloudModels) -> bool {
        self.clock.now().ms() - list.asked.ms() >= FRESH_MS
    }

    async fn refresh(&self) -> Arc<CloudModels> {
        let changes = self.models.changes.load(Ordering::Acquire);
        let before = self.models.last();
        let mut list = CloudModels { asked: self.clock.now(), ..CloudModels::default() };
        let targets = self.targets();
        let told = join_all(targets.iter().map(|target| self.wire.list(target))).await;
        for (target, told) in targets.iter().zip(told) {
            match told.and_then(|body| parse(target, &body)) {
                Ok(models) => list.models.extend(models),
                Err(fault) => {
                    tracing::warn!(provider = target.row.name, fault = fault.told(target.row.title), "no list of models");
                    let older = before.iter().flat_map(|list| &list.models).filter(|model| model.provider == target.row.name);
                    list.models.extend(older.cloned());
                    list.faults.push((target.row.name, fault));
                }
            }
        }
        let list = Arc::new(list);
        *self.models.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((changes, Arc::clone(&list)));
        list
    }
}

/// A list of models: a bare one, or under `data`.
fn parse(target: &Target, body: &Value) -> Result<Vec<CloudModel>, ProviderFault> {
    let list = body.as_array().or_else(|| body["data"].as_array());
    let list = list.ok_or_else(|| ProviderFault::Broken("is no list of models".to_owned()))?;
    let model = |one: &Value| {
        let id = one["id"].as_str().filter(|id| !id.is_empty() && id.len() <= MAX_NAME)?;
        let name = ["display_name", "name"].iter().find_map(|key| one[*key].as_str()).filter(|name| name.len() <= MAX_NAME);
        let seconds = one["created"].as_i64().filter(|seconds| *seconds > 0);
        let written = one["created_at"].as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
        let created = seconds.map(|seconds| seconds.saturating_mul(1000)).or(written.map(|date| date.timestamp_millis()));
        Some(CloudModel {
            id: id.to_owned(),
            name: name.unwrap_or(id).to_owned(),
            provider: target.row.name,
            created: created.map(Timestamp::from_ms),
        })
    };
    Ok(list.iter().filter_map(model).take(MAX_MODELS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, providers::table::provider};
    use serde_json::json;

    fn parsed(body: &Value) -> Result<Vec<CloudModel>, ProviderFault> {
        let row = provider("together").unwrap();
        parse(&Target { row, key: Secret::parse("k").unwrap(), base: row.base_url.into() }, body)
    }

    #[test]
    fn a_list_is_read_in_every_form_and_is_bounded() {
        let model = json!({"id": "m", "created": 1_700_000_000, "display_name": "M"});
        for body in [json!([model]), json!({"object": "list", "data": [model, {"id": 7}, {"id": ""}, "x"]})] {
            let models = parsed(&body).unwrap();
            assert_eq!((models.len(), models[0].id.as_str(), models[0].name.as_str()), (1, "m", "M"));
            assert_eq!(models[0].created.unwrap().secs(), 1_700_000_000);
        }
        let written = parsed(&json!({"data": [{"id": "m", "created_at": "2025-02-19T00:00:00Z"}]})).unwrap();
        assert_eq!((written[0].name.as_str(), written[0].created.unwrap().secs()), ("m", 1_739_923_200));
        assert!(matches!(parsed(&json!({"models": []})), Err(ProviderFault::Broken(_))));
        let many: Vec<Value> = (0..MAX_MODELS + 1).map(|at| json!({"id": at.to_string()})).collect();
        assert_eq!(parsed(&json!(many)).unwrap().len(), MAX_MODELS);
    }
}
