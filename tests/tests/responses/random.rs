//! Random bodies: whatever a client sends to Messages and Responses, the fault is never the node's.

use super::node;
use kith_engine::scripted::ScriptedEngine;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bodies sent to each endpoint.
const BODIES: usize = 400;

/// A small generator (SplitMix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn word(&mut self) -> Value {
        const WORDS: [&str; 34] = [
            "tiny:1b",
            "user",
            "assistant",
            "system",
            "tool",
            "text",
            "input_text",
            "output_text",
            "message",
            "function",
            "function_call",
            "function_call_output",
            "reasoning",
            "item_reference",
            "tool_use",
            "tool_result",
            "thinking",
            "image",
            "base64",
            "auto",
            "any",
            "required",
            "none",
            "enabled",
            "json_schema",
            "json_object",
            "object",
            "{}",
            "",
            "é\u{0}\u{1f980}",
            "aGk=",
            "data:image/png;base64,aGk=",
            "resp_x",
            "disabled",
        ];
        json!(WORDS[self.below(WORDS.len())])
    }

    fn value(&mut self, fields: &[&str], depth: usize) -> Value {
        match self.below(if depth == 0 { 7 } else { 12 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(3000) as i64 - 3),
            3 => json!([0.5, -1e300, 1e-9, 0.0, 2.0][self.below(5)]),
            4 => json!([i64::MIN, i64::MAX, 0, -1, 4_294_967_296][self.below(5)]),
            5 | 6 => self.word(),
            7 | 8 => (0..self.below(4)).map(|_| self.value(fields, depth - 1)).collect(),
            _ => Value::Object(self.object(fields, depth - 1)),
        }
    }

    fn object(&mut self, fields: &[&str], depth: usize) -> Map<String, Value> {
        (0..self.below(6)).map(|_| (fields[self.below(fields.len())].to_owned(), self.value(fields, depth))).collect()
    }

    /// A valid body in which some fields are anything.
    fn body(&mut self, valid: &Value, fields: &[&str]) -> Value {
        let mut body = valid.clone();
        for _ in 0..1 + self.below(4) {
            let field = fields[self.below(fields.len())];
            // One time in three a level deeper, so that what is around it is valid.
            match body[field].as_array().map(Vec::len).filter(|len| *len > 0 && self.below(3) > 0) {
                Some(len) => {
                    let at = self.below(len);
                    let inner = fields[self.below(fields.len())];
                    let value = self.value(fields, 2);
                    match body[field][at].as_object_mut() {
                        Some(object) => drop(object.insert(inner.to_owned(), value)),
                        None => body[field][at] = value,
                    }
                }
                None => body[field] = self.value(fields, 3),
            }
        }
        body
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_answered_with_a_fault_of_the_node() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random(seed);
    let node = node(ScriptedEngine::saying("one two three")).await;
    let user = json!([{"role": "user", "content": [{"type": "text", "text": "x"}]}]);
    let responses = json!({"model": "tiny:1b", "input": [{"role": "user", "content": "x"}, {"type": "function_call", "call_id": "c",
        "name": "f", "arguments": "{}"}], "tools": [{"type": "function", "name": "f"}]});
    let messages = json!({"model": "tiny:1b", "max_tokens": 8, "messages": user, "tools": [{"name": "f", "input_schema": {}}]});
    let endpoints: [(&str, &Value, &[&str]); 3] = [
        (
            "/v1/responses",
            &responses,
            &[
                "model",
                "input",
                "instructions",
                "previous_response_id",
                "store",
                "background",
                "stream",
                "tools",
                "tool_choice",
                "text",
                "reasoning",
                "temperature",
                "top_p",
                "max_output_tokens",
                "top_logprobs",
                "include",
                "metadata",
                "truncation",
                "type",
                "role",
                "content",
                "call_id",
                "name",
                "arguments",
                "output",
                "parameters",
                "format",
                "schema",
                "id",
                "image_url",
                "effort",
                "keep_alive",
                "seed",
                "strict",
                "mode",
            ],
        ),
        (
            "/v1/messages",
            &messages,
            &[
                "model",
                "max_tokens",
                "messages",
                "system",
                "stop_sequences",
                "temperature",
                "top_p",
                "top_k",
                "tools",
                "tool_choice",
                "stream",
                "thinking",
                "output_config",
                "metadata",
                "type",
                "role",
                "content",
                "text",
                "source",
                "data",
                "id",
                "name",
                "input",
                "tool_use_id",
                "is_error",
                "input_schema",
                "budget_tokens",
                "format",
                "schema",
                "keep_alive",
                "seed",
            ],
        ),
        (
            "/v1/messages/count_tokens",
            &messages,
            &["model", "messages", "system", "tools", "tool_choice", "thinking", "type", "content"],
        ),
    ];
    for (path, valid, fields) in endpoints {
        let mut taken = 0;
        for _ in 0..BODIES {
            let body = random.body(valid, fields);
            let response = node.post(path, body.clone()).await;
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            assert!(status < 500, "{path} {status}, seed {seed}: {body}\n{text}");
            assert!(status < 400 || serde_json::from_str::<Value>(&text).unwrap()["error"]["message"].is_string(), "{text}");
            taken += usize::from(status < 300);
        }
        assert!(taken > 0, "{path}: nothing was ever taken, seed {seed}");
    }
    assert_eq!(node.get_json("/health").await["status"], "healthy");
    node.stop().await;
}
