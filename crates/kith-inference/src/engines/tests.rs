//! What the choice of engines promises, sentence by sentence.

use super::*;
use async_trait::async_trait;
use kith_engine::{EngineError, Loaded, Memory};

/// An engine that reads one architecture, by name.
struct Named(&'static str, &'static str);

#[async_trait]
impl Engine for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn supports(&self, spec: &ModelSpec) -> bool {
        spec.architecture.contains(self.1)
    }

    fn estimate(&self, _spec: &ModelSpec) -> Memory {
        Memory::default()
    }

    async fn load(&self, _spec: ModelSpec) -> Result<Arc<dyn Loaded>, EngineError> {
        Err(EngineError::Unloaded)
    }
}

fn spec(architecture: &str, size: u64) -> ModelSpec {
    ModelSpec::gguf("m", "m.gguf", architecture, size)
}

fn names(engines: &Engines, spec: &ModelSpec, preferred: Option<&'static str>) -> Vec<&'static str> {
    engines.of(spec, preferred, Work::Answers).iter().map(|engine| engine.name()).collect()
}

#[test]
fn the_preferred_engine_comes_first_and_those_that_refused_last() {
    let engines = Engines::new(vec![Arc::new(Named("a", "llama")), Arc::new(Named("b", "llama")), Arc::new(Named("c", "bert"))]);
    let model = spec("llama", 1);
    assert_eq!(names(&engines, &model, None), ["a", "b"]);
    assert_eq!(names(&engines, &model, Some("b")), ["b", "a"]);
    // A preference for an engine that does not read the model says nothing.
    assert_eq!(names(&engines, &model, Some("c")), ["a", "b"]);
    assert_eq!(names(&engines, &spec("bert", 1), Some("a")), ["c"]);
    assert!(names(&engines, &spec("mamba", 1), None).is_empty());
    engines.refused(&Named("a", "llama"), &model);
    assert_eq!(names(&engines, &model, None), ["b", "a"]);
    assert_eq!(names(&engines, &model, Some("a")), ["b", "a"]);
    // Other weights may be understood.
    assert_eq!(names(&engines, &spec("llama", 2), None), ["a", "b"]);
}

#[test]
fn only_so_many_refusals_are_remembered() {
    let engines = Engines::new(vec![Arc::new(Named("a", "llama")), Arc::new(Named("b", "llama"))]);
    for size in 0..=REMEMBERED as u64 {
        engines.refused(&Named("a", "llama"), &spec("llama", size));
        engines.refused(&Named("a", "llama"), &spec("llama", size));
    }
    assert_eq!(engines.refusals().len(), REMEMBERED);
    assert_eq!(names(&engines, &spec("llama", 0), None), ["a", "b"], "the oldest is forgotten");
    assert_eq!(names(&engines, &spec("llama", 1), None), ["b", "a"]);
}
