//! Which values of a request are in bounds.

use crate::{EngineError, GenerateRequest, Sampling};

impl GenerateRequest {
    /// Whether every number is in its bounds; else [`EngineError::Invalid`] names the first that is not.
    pub fn check(&self) -> Result<(), EngineError> {
        let Sampling { temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty, logit_bias, .. } =
            &self.sampling;
        let bounds = [
            ("sampling.temperature", *temperature, (0.0..=5.0).contains(temperature), "from 0 to 5"),
            ("sampling.top_p", top_p.unwrap_or(1.0), top_p.is_none_or(|p| p > 0.0 && p <= 1.0), "above 0 and at most 1"),
            ("sampling.min_p", min_p.unwrap_or(0.0), min_p.is_none_or(|p| (0.0..1.0).contains(&p)), "at least 0 and below 1"),
            (
                "sampling.repetition_penalty",
                *repetition_penalty,
                repetition_penalty.is_finite() && *repetition_penalty > 0.0,
                "above 0",
            ),
            ("sampling.frequency_penalty", *frequency_penalty, (-2.0..=2.0).contains(frequency_penalty), "from -2 to 2"),
            ("sampling.presence_penalty", *presence_penalty, (-2.0..=2.0).contains(presence_penalty), "from -2 to 2"),
        ];
        for (field, value, good, range) in bounds {
            if !good {
                return Err(EngineError::Invalid { field, message: format!("{field} must be {range}, not {value}") });
            }
        }
        if let Some((id, bias)) = logit_bias.iter().find(|(_, bias)| !(-100.0..=100.0).contains(bias)) {
            let message = format!("the bias of token {id} must be from -100 to 100, not {bias}");
            return Err(EngineError::Invalid { field: "sampling.logit_bias", message });
        }
        if let Some(count) = self.logprobs.filter(|count| *count > 20) {
            return Err(EngineError::Invalid { field: "logprobs", message: format!("logprobs must be at most 20, not {count}") });
        }
        if let Some(scale) = self.adapter.as_ref().map(|adapter| adapter.scale).filter(|scale| !scale.is_finite()) {
            return Err(EngineError::Invalid {
                field: "adapter",
                message: format!("the adapter's strength must be a number, not {scale}"),
            });
        }
        Ok(())
    }

    /// Refuses a request with an adapter, for engines and models that apply none.
    pub fn without_adapter(&self) -> Result<(), EngineError> {
        match &self.adapter {
            None => Ok(()),
            Some(_) => Err(EngineError::Unsupported("the model takes no adapters while it answers".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constraint, Input};

    fn request() -> GenerateRequest {
        GenerateRequest {
            input: Input::Tokens(vec![1]),
            sampling: Sampling::default(),
            max_tokens: None,
            logprobs: None,
            constraint: Constraint::None,
            ignore_eos: false,
            adapter: None,
        }
    }

    fn field(change: impl FnOnce(&mut GenerateRequest)) -> &'static str {
        let mut request = request();
        change(&mut request);
        match request.check() {
            Err(EngineError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_out_of_bounds_are_refused_by_name() {
        assert!(request().check().is_ok());
        assert_eq!(field(|request| request.sampling.temperature = -0.1), "sampling.temperature");
        assert_eq!(field(|request| request.sampling.temperature = f32::NAN), "sampling.temperature");
        assert_eq!(field(|request| request.sampling.top_p = Some(0.0)), "sampling.top_p");
        assert_eq!(field(|request| request.sampling.min_p = Some(1.0)), "sampling.min_p");
        assert_eq!(field(|request| request.sampling.repetition_penalty = 0.0), "sampling.repetition_penalty");
        assert_eq!(field(|request| request.sampling.frequency_penalty = 3.0), "sampling.frequency_penalty");
        assert_eq!(field(|request| request.sampling.presence_penalty = -3.0), "sampling.presence_penalty");
        assert_eq!(field(|request| request.sampling.logit_bias = vec![(1, 101.0)]), "sampling.logit_bias");
        assert_eq!(field(|request| request.logprobs = Some(21)), "logprobs");
    }
}
