//! The models evaluated plainly with f32 weights and f64 sums, one sequence from its beginning: what the stage is held against.

use crate::made::{EXPERTS, EXPERTS_USED, HEAD, HEADS, INNER, KV_HEADS, LAYERS, Made, VOCABULARY, WIDTH, WINDOW};
use std::collections::BTreeMap;

/// The logits after every token.
pub(super) fn logits(made: &Made, name: &str, tokens: &[u32]) -> Vec<Vec<f64>> {
    let model = Model { values: made.values(), name };
    let gemma = name.starts_with("gemma");
    let embedding = &model.values["token_embd.weight"];
    let scale = if gemma { (WIDTH as f64).sqrt() } else { 1.0 };
    let mut states: Vec<Vec<f64>> = tokens
        .iter()
        .map(|id| embedding[*id as usize * WIDTH..][..WIDTH].iter().map(|value| f64::from(*value) * scale).collect())
        .collect();
    for layer in 0..LAYERS {
        model.layer(layer, &mut states);
    }
    let output = if gemma { "token_embd.weight" } else { "output.weight" };
    let logit = |state: &Vec<f64>| {
        let mut logits = model.product(output, &model.norm("output_norm.weight", state), 0, VOCABULARY);
        if name == "gemma2" {
            logits.iter_mut().for_each(|logit| *logit = 30.0 * (*logit / 30.0).tanh());
        }
        logits
    };
    states.iter().map(logit).collect()
}

struct Model<'a> {
    values: BTreeMap<String, Vec<f32>>,
    name: &'a str,
}

impl Model<'_> {
    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        x.iter().zip(&self.values[name]).map(|(x, weight)| x / (mean + 1e-5).sqrt() * f64::from(*weight)).collect()
    }

    /// Some rows of a matrix times a vector.
    fn product(&self, name: &str, x: &[f64], first: usize, rows: usize) -> Vec<f64> {
        let rows = self.values[name].chunks(x.len()).skip(first).take(rows);
        rows.map(|row| row.iter().zip(x).map(|(weight, x)| f64::from(*weight) * x).sum()).collect()
    }

    fn layer(&self, layer: usize, states: &mut [Vec<f64>]) {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let (queries, keys) = (HEADS * HEAD, KV_HEADS * HEAD);
        let mut heads = Vec::new();
        for (position, state) in states.iter().enumerate() {
            let x = self.norm(&name("attn_norm"), state);
            let mut parts = if self.name == "phi3" {
                let at = [(0, queries), (queries, keys), (queries + keys, keys)];
                at.map(|(first, rows)| self.product(&name("attn_qkv"), &x, first, rows))
            } else {
                ["attn_q", "attn_k", "attn_v"].map(|part| self.product(&name(part), &x, 0, usize::MAX))
            };
            if self.name == "qwen2" {
                for (values, part) in parts.iter_mut().zip(["attn_q", "attn_k", "attn_v"]) {
                    let bias = &self.values[&format!("blk.{layer}.{part}.bias")];
                    values.iter_mut().zip(bias).for_each(|(value, bias)| *value += f64::from(*bias));
                }
            }
            for (values, part) in parts.iter_mut().zip(["attn_q_norm", "attn_k_norm"]) {
                for head in values.chunks_mut(HEAD) {
                    if ["qwen3", "qwen3moe", "gemma3"].contains(&self.name) {
                        head.copy_from_slice(&self.norm(&name(part), head));
                    }
                    self.rotate(layer, position, head);
                }
            }
            heads.push(parts);
        }
        for (position, state) in states.iter_mut().enumerate() {
            let attended = self.attend(layer, position, &heads);
            let mut out = self.product(&name("attn_output"), &attended, 0, usize::MAX);
            if self.name.starts_with("gemma") {
                out = self.norm(&name("post_attention_norm"), &out);
            }
            state.iter_mut().zip(out).for_each(|(state, out)| *state += out);
            let x = self.norm(&name("ffn_norm"), state);
            let mut out = self.forward(&name, &x);
            if self.name.starts_with("gemma") {
                out = self.norm(&name("post_ffw_norm"), &out);
            }
            state.iter_mut().zip(out).for_each(|(state, out)| *state += out);
        }
    }

    fn slides(&self, layer: usize) -> bool {
        match self.name {
            "gemma2" => layer.is_multiple_of(2),
            "gemma3" => layer % 6 != 5,
            "phi3" => true,
            _ => false,
        }
    }

    fn rotate(&self, layer: usize, position: usize, head: &mut [f64]) {
        let base: f64 = if self.name == "gemma3" && self.slides(layer) { 10_000.0 } else { 100_000.0 };
        for pair in 0..HEAD / 2 {
            let angle = position as f64 * base.powf(-2.0 * pair as f64 / HEAD as f64);
            let (a, b) = if self.name.starts_with("llama") { (2 * pair, 2 * pair + 1) } else { (pair, pair + HEAD / 2) };
            let (x, y) = (head[a], head[b]);
            head[a] = x * angle.cos() - y * angle.sin();
            head[b] = x * angle.sin() + y * angle.cos();
        }
    }

    fn attend(&self, layer: usize, position: usize, heads: &[[Vec<f64>; 3]]) -> Vec<f64> {
        let first = if self.slides(layer) { (position + 1).saturating_sub(WINDOW) } else { 0 };
        let mut attended = Vec::new();
        for head in 0..HEADS {
            let kv = head / (HEADS / KV_HEADS) * HEAD;
            let query = &heads[position][0][head * HEAD..][..HEAD];
            let score = |key: &[Vec<f64>; 3]| {
                let score = query.iter().zip(&key[1][kv..]).map(|(a, b)| a * b).sum::<f64>() / (HEAD as f64).sqrt();
                if self.name == "gemma2" { (50.0 * (score / 50.0).tanh()).exp() } else { score.exp() }
            };
            let weights: Vec<f64> = heads[first..=position].iter().map(score).collect();
            let sum: f64 = weights.iter().sum();
            attended.extend((0..HEAD).map(|at| {
                let values = heads[first..=position].iter().map(|token| token[2][kv + at]);
                weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<f64>() / sum
            }));
        }
        attended
    }

    fn forward(&self, name: &dyn Fn(&str) -> String, x: &[f64]) -> Vec<f64> {
        let gated = |gate: Vec<f64>, up: Vec<f64>| -> Vec<f64> {
            let open = |x: f64| match self.name.starts_with("gemma") {
                true => 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh()),
                false => x / (1.0 + (-x).exp()),
            };
            gate.into_iter().zip(up).map(|(gate, up)| open(gate) * up).collect()
        };
        if self.name == "phi3" {
            let both = self.product(&name("ffn_up"), x, 0, 2 * INNER);
            let inner = gated(both[..INNER].to_vec(), both[INNER..].to_vec());
            return self.product(&name("ffn_down"), &inner, 0, WIDTH);
        }
        if !self.values.contains_key(&name("ffn_gate_exps")) {
            let inner = gated(self.product(&name("ffn_gate"), x, 0, INNER), self.product(&name("ffn_up"), x, 0, INNER));
            return self.product(&name("ffn_down"), &inner, 0, WIDTH);
        }
        let scores = self.product(&name("ffn_gate_inp"), x, 0, EXPERTS);
        let mut order: Vec<usize> = (0..EXPERTS).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let sum: f64 = order[..EXPERTS_USED].iter().map(|expert| scores[*expert].exp()).sum();
        let mut out = vec![0.0; WIDTH];
        for expert in &order[..EXPERTS_USED] {
            let part = |part: &str| self.product(&name(part), x, expert * INNER, INNER);
            let inner = gated(part("ffn_gate_exps"), part("ffn_up_exps"));
            let answer = self.product(&name("ffn_down_exps"), &inner, expert * WIDTH, WIDTH);
            let weight = scores[*expert].exp() / sum;
            out.iter_mut().zip(answer).for_each(|(out, answer)| *out += weight * answer);
        }
        out
    }
}
