//! What tests of answers have in common: a model's card, and inference on engines of theirs.

use crate::{Bounds, Catalogue, Inference, InferenceParts, KeepAlive, ModelCard};
use kith_engine::{Engine, ModelSpec};
use kith_events::Events;
use kith_types::{Clock, SystemClock};
use std::sync::Arc;

/// A model of this name and architecture with a window of 2048 tokens; its version is its name.
pub(crate) fn card(name: &str, architecture: &str) -> Arc<ModelCard> {
    let plain = ModelCard::plain(ModelSpec::gguf(name, "nowhere", architecture, 1));
    Arc::new(ModelCard { version: name.into(), context_length: 2048, ..plain })
}

/// A gibibyte for models that stay for ever and write one answer at a time.
pub(crate) fn bounds() -> Bounds {
    Bounds { memory: 1 << 30, parallel: 1, context: 2048, keep_alive: KeepAlive::Forever, engine: None, draft: None }
}

/// Inference on these engines, with these models.
pub(crate) fn inference(engines: Vec<Arc<dyn Engine>>, catalogue: impl Catalogue, bounds: Bounds) -> Arc<Inference> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Inference::new(InferenceParts {
        engines,
        catalogue: Arc::new(catalogue),
        bounds,
        clock: Arc::clone(&clock),
        events: Events::new(clock),
        random: Arc::new(|bytes: &mut [u8]| bytes.fill(7)),
        providers: None,
    })
}
