//! Embeddings that are the same for the same text, and alike for texts that share words.

use super::{Running, ScriptedModel, words};
use crate::{EmbedInput, EmbedRequest, Embedded, EngineError};
use std::sync::{Arc, atomic::Ordering};

/// The architecture of models that embed.
pub(super) const ENCODER: &str = "bert";

/// Numbers in a vector.
const WIDTH: usize = 8;

/// Each word adds to the places that its bytes choose; the sum is scaled to length 1. No words make the first unit vector.
fn vector(text: &str) -> Vec<f32> {
    let mut sum = [0.0f32; WIDTH];
    for word in words(text) {
        // FNV-1a, 64 bits.
        let hash = word
            .trim()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        for (place, byte) in sum.iter_mut().zip(hash.to_le_bytes()) {
            *place += f32::from(byte) - 127.5;
        }
    }
    unit(&mut sum);
    sum.to_vec()
}

fn unit(numbers: &mut [f32]) {
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    match numbers.first_mut() {
        Some(first) if length == 0.0 => *first = 1.0,
        _ => numbers.iter_mut().for_each(|number| *number /= length),
    }
}

pub(super) async fn embed(model: &ScriptedModel, request: EmbedRequest) -> Result<Embedded, EngineError> {
    if !model.encoder {
        return Err(EngineError::Unsupported("the model writes answers and does not embed texts".into()));
    }
    let width = request.dimensions.map_or(WIDTH, |dimensions| dimensions as usize);
    if !(1..=WIDTH).contains(&width) {
        return Err(EngineError::Invalid {
            field: "dimensions",
            message: format!("`dimensions` is {width}; the model's vectors have {WIDTH}"),
        });
    }
    let counters = Arc::clone(&model.engine.counters);
    counters.running.fetch_add(1, Ordering::Relaxed);
    let _running = Running(Arc::clone(&counters));
    let mut embedded = Embedded { vectors: Vec::new(), tokens: Vec::new() };
    for input in request.inputs {
        let mut tokens = match input {
            EmbedInput::Text(text) => model.ids(&text),
            EmbedInput::Tokens(tokens) => tokens,
        };
        let (count, window) = (u32::try_from(tokens.len()).unwrap_or(u32::MAX), model.info.context);
        if count > window {
            if !request.truncate {
                return Err(EngineError::ContextExceeded { prompt: count, window });
            }
            tokens.truncate(window as usize);
        }
        tokio::select! {
            biased;
            () = model.cancel.cancelled() => return Err(EngineError::Unloaded),
            () = tokio::time::sleep(model.engine.pace) => {}
        }
        let mut vector = vector(&model.text(&tokens));
        vector.truncate(width);
        unit(&mut vector);
        counters.tokens.fetch_add(tokens.len() as u64, Ordering::Relaxed);
        embedded.tokens.push(count.min(window));
        embedded.vectors.push(vector);
    }
    Ok(embedded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, ModelSpec, scripted::ScriptedEngine};

    fn spec(architecture: &str) -> ModelSpec {
        ModelSpec { parallel: 4, ..ModelSpec::gguf("test:latest", "nowhere", architecture, 7) }
    }

    fn asking(texts: &[&str], truncate: bool, dimensions: Option<u32>) -> EmbedRequest {
        let inputs = texts.iter().map(|text| EmbedInput::Text((*text).into())).collect();
        EmbedRequest { inputs, truncate, dimensions }
    }

    #[tokio::test]
    async fn the_same_text_has_the_same_vector_of_length_one() {
        let model = ScriptedEngine::saying("").load(spec(ENCODER)).await.unwrap();
        let all = model.embed(asking(&["a b", "c", "a b", ""], false, None)).await.unwrap();
        assert_eq!(all.tokens, [2, 1, 2, 0]);
        assert_eq!(all.vectors[0], all.vectors[2]);
        assert_ne!(all.vectors[0], all.vectors[1]);
        for vector in &all.vectors {
            assert!((vector.iter().map(|n| n * n).sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let short = model.embed(asking(&["a b"], false, Some(2))).await.unwrap();
        assert_eq!(short.vectors[0].len(), 2);
        assert!(matches!(
            model.embed(asking(&["a"], false, Some(9))).await,
            Err(EngineError::Invalid { field: "dimensions", .. })
        ));
    }

    #[tokio::test]
    async fn long_texts_are_cut_or_refused() {
        let model = ScriptedEngine::saying("").with_context(2).load(spec(ENCODER)).await.unwrap();
        let refused = model.embed(asking(&["a b c"], false, None)).await.unwrap_err();
        assert_eq!(refused, EngineError::ContextExceeded { prompt: 3, window: 2 });
        assert_eq!(model.embed(asking(&["a b c"], true, None)).await.unwrap().tokens, [2]);
    }

    #[tokio::test]
    async fn each_kind_of_model_refuses_the_others_work() {
        let engine = ScriptedEngine::saying("yes");
        assert!(engine.embeds(&spec(ENCODER)) && !engine.generates(&spec(ENCODER)));
        assert!(!engine.embeds(&spec("llama")) && engine.generates(&spec("llama")));
        let model = engine.load(spec("llama")).await.unwrap();
        assert!(matches!(model.embed(asking(&["a"], true, None)).await, Err(EngineError::Unsupported(_))));
    }
}
