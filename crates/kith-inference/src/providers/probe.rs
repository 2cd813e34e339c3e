//! Signs of life: one token of an answer, asked of a provider or of one of its models. Each costs what one token costs there.

use super::{CloudModel, Providers, Row, Step, route, table::PROVIDERS};
use crate::{Generate, InferenceError, Message, Options, Prompt, ProviderFault, Role};
use futures::{StreamExt, future::join_all};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// The most models asked in one request.
pub const MAX_PROBED: usize = 20;

/// How one provider does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSign {
    /// The provider.
    pub provider: &'static str,
    /// The model that was asked.
    pub model: String,
    /// What is the matter; `None` if it answered.
    pub fault: Option<ProviderFault>,
    /// One sentence on the fault; empty if there is none.
    pub detail: String,
    /// How long it took, to the end of the answer or the fault.
    pub latency: Duration,
}

/// How one model does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSign {
    /// The model, as it was asked for.
    pub model: String,
    /// What is the matter; `None` if it answered.
    pub fault: Option<ProviderFault>,
    /// How long it took; zero if nobody was asked.
    pub latency: Duration,
}

impl Providers {
    /// Asks every provider that has a key, all at once.
    pub async fn health(self: &Arc<Self>) -> Vec<ProviderSign> {
        let known = self.models().await;
        let signs = PROVIDERS.iter().filter(|row| self.target(row).is_some()).map(|row| {
            let model = probed(row, &known.models);
            async move {
                let (fault, latency) = self.sign(row, &model).await;
                let detail = fault.as_ref().map(|fault| fault.told(row.title)).unwrap_or_default();
                ProviderSign { provider: row.name, model, fault, detail, latency }
            }
        });
        join_all(signs).await
    }

    /// Asks these models, all at once: `provider/model`, or the bare name of a model that a provider lists. The caller bounds the list
    /// by [`MAX_PROBED`].
    pub async fn model_signs(self: &Arc<Self>, models: Vec<String>) -> Vec<ModelSign> {
        let bare = models.iter().any(|model| route(model).is_none());
        let known = if bare { Some(self.models().await) } else { None };
        let signs = models.into_iter().take(MAX_PROBED).map(|model| {
            let listed = known.iter().flat_map(|list| &list.models).find(|listed| listed.id == model);
            let found = route(&model).map(|(row, id)| (row, id.to_owned()));
            let found = found.or_else(|| {
                let row = PROVIDERS.iter().find(|row| Some(row.name) == listed.map(|listed| listed.provider))?;
                Some((row, model.clone()))
            });
            async move {
                match found {
                    Some((row, id)) => {
                        let (fault, latency) = self.sign(row, &id).await;
                        ModelSign { model, fault, latency }
                    }
                    None => {
                        let fault = Some(ProviderFault::NoSuchModel(model.clone()));
                        ModelSign { model, fault, latency: Duration::ZERO }
                    }
                }
            }
        });
        join_all(signs).await
    }

    async fn sign(&self, row: &'static Row, model: &str) -> (Option<ProviderFault>, Duration) {
        let began = Instant::now();
        let fault = match timeout(self.wire.probe_time(), self.ask(row, model)).await {
            Err(_) => Some(ProviderFault::Timeout("did not answer in time")),
            Ok(Ok(())) => None,
            Ok(Err(InferenceError::Provider { fault, .. })) => Some(fault),
            Ok(Err(other)) => Some(ProviderFault::Rejected(other.to_string())),
        };
        (fault, began.elapsed())
    }

    async fn ask(&self, row: &'static Row, model: &str) -> Result<(), InferenceError> {
        let mut request = Generate::new(model, Prompt::Chat(vec![Message::text(Role::User, "Hi")]));
        request.options = Options { max_tokens: Some(1), ..Options::default() };
        let mut steps = self.begin(row, model, &request).await?;
        while let Some(step) = steps.next().await {
            if let Step::End(_) = step? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The model to ask a provider for: the first of the small ones that it lists, else the first it lists, else the first small one.
fn probed(row: &Row, known: &[CloudModel]) -> String {
    let listed = |id: &str| known.iter().any(|model| model.provider == row.name && model.id == id);
    let small = row.probes.iter().find(|id| listed(id)).map(|id| (*id).to_owned());
    let any = || known.iter().find(|model| model.provider == row.name).map(|model| model.id.clone());
    small.or_else(any).or_else(|| row.probes.first().map(|id| (*id).to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::table::provider;

    #[test]
    fn the_model_asked_is_one_that_the_provider_lists() {
        let row = provider("groq").unwrap();
        let model = |id: &str| CloudModel { id: id.into(), name: id.into(), provider: "groq", created: None };
        assert_eq!(probed(row, &[]), row.probes[0]);
        assert_eq!(probed(row, &[model("other"), model(row.probes[1])]), row.probes[1]);
        assert_eq!(probed(row, &[model("other")]), "other");
    }
}
