//! Models with an adapter. Where the engine that holds the model takes adapters with requests, the model itself answers, one for all its
//! adapters; elsewhere a copy of it with the adapter folded in is a model of its own.

use super::Inference;
use crate::{
    InferenceError, KeepAlive, ModelCard,
    gate::{Full, Gate, Waiting},
    residency::{Use, Wanted},
};
use kith_engine::Adapter;
use std::{sync::Arc, time::Duration};

/// Who answers to a name.
pub(super) struct Chosen {
    /// The model as it is called: with an adapter, `model+adapter`.
    pub(super) card: Arc<ModelCard>,
    /// The model that is to be in memory.
    pub(super) held: Arc<ModelCard>,
    /// What goes to it with the request.
    pub(super) adapter: Option<Adapter>,
}

/// A place in the queue before a model that is in memory.
pub(super) struct Seat {
    pub(super) gate: Arc<Gate>,
    pub(super) waiting: Waiting,
    pub(super) used: Use,
    pub(super) load: Duration,
}

impl Inference {
    /// The library's model of this name, with this adapter or with the one in the name.
    pub(super) async fn choose(&self, name: &str, adapter: Option<&str>) -> Result<Chosen, InferenceError> {
        if let Some(apart) = self.catalogue.find_apart(name, adapter).await?
            && self.residency.adapts(&apart.base)
        {
            let version = apart.adapter.id.to_string();
            let card = ModelCard { name: apart.name, version, ..ModelCard::clone(&apart.base) };
            return Ok(Chosen { card: Arc::new(card), held: apart.base, adapter: Some(apart.adapter) });
        }
        let card = match adapter {
            None => self.catalogue.find(name).await?,
            Some(adapter) => self.catalogue.find_adapted(name, adapter).await?,
        };
        Ok(Chosen { held: Arc::clone(&card), card, adapter: None })
    }

    /// The model in memory; see [`crate::residency::Residency::get`].
    pub(super) async fn held(
        &self,
        chosen: &mut Chosen,
        context: Option<u32>,
        keep_alive: Option<KeepAlive>,
    ) -> Result<(Use, Duration), InferenceError> {
        let wanted = |chosen: &Chosen| Wanted {
            called: chosen.card.name.clone(),
            context,
            keep_alive,
            ..Wanted::plain(Arc::clone(&chosen.held))
        };
        let got = self.residency.get(wanted(chosen)).await?;
        if chosen.adapter.is_none() || got.0.0.model.adapts() {
            return Ok(got);
        }
        // Another engine than was to be expected could read the file.
        drop(got);
        self.fold(chosen).await?;
        self.residency.get(wanted(chosen)).await
    }

    /// The model in memory, and a place in the queue before it, which is taken first.
    pub(super) async fn seat(
        &self,
        chosen: &mut Chosen,
        context: Option<u32>,
        keep_alive: Option<KeepAlive>,
    ) -> Result<Seat, InferenceError> {
        let queue = |card: &ModelCard| {
            let gate = self.residency.gate(card);
            let waiting = gate.queue().map_err(|Full(waiting)| InferenceError::Overloaded {
                model: card.name.clone(),
                waiting,
                retry_after: self.counters.patience(waiting, self.places()),
            })?;
            Ok::<_, InferenceError>((gate, waiting))
        };
        let asked = Arc::clone(&chosen.held);
        let (mut gate, mut waiting) = queue(&asked)?;
        let (used, load) = self.held(chosen, context, keep_alive).await?;
        if chosen.held.name != asked.name {
            (gate, waiting) = queue(&chosen.held)?;
        }
        Ok(Seat { gate, waiting, used, load })
    }

    /// Chooses the copy with the adapter folded in instead.
    async fn fold(&self, chosen: &mut Chosen) -> Result<(), InferenceError> {
        let card = self.catalogue.find(&chosen.card.name).await?;
        *chosen = Chosen { held: Arc::clone(&card), card, adapter: None };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
