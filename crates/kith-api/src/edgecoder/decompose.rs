//! A task into subtasks: what the model is asked, the form its answer must have, and what is made of an answer that makes no sense.

use crate::field_error::FieldError;
use kith_inference::{Format, Generate, Message, Prompt, Role};
use kith_wire::edgecoder::{DecomposeRequest, Subtask};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

/// The most subtasks of a task.
const MAX_SUBTASKS: usize = 10;
/// The longest prompt, in bytes.
const MAX_PROMPT: usize = 64 << 10;
/// The longest ids and references, in bytes.
const MAX_ID: usize = 128;
/// The longest `projectMeta`, in bytes of JSON: every subtask repeats it.
const MAX_META: usize = 4096;
/// The longest input of a subtask, in bytes.
const MAX_INPUT: usize = 16 << 10;
/// The most tokens the model may spend.
const MAX_TOKENS: u32 = 2048;
/// How long a task that stands as one may take.
const WHOLE_TIMEOUT_MS: u64 = 30_000;
/// The languages subtasks are of.
const LANGUAGES: [&str; 2] = ["python", "javascript"];

const SYSTEM: &str = "You divide a programming task into the few subtasks it needs, at most ten, each of which somebody can do who sees \
    only that subtask. Answer with JSON alone: {\"subtasks\": [{\"id\": \"s1\", \"kind\": \"single_step\", \"input\": \"what is to be \
    done\", \"dependsOn\": []}]}. `kind` is `micro_loop` where code is to be written, tried and mended, else `single_step`. `dependsOn` \
    names the subtasks that must be done before.";

/// A request that was found right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Task {
    id: String,
    prompt: String,
    language: String,
    snapshot_ref: String,
    project_meta: Option<Value>,
}

/// What the model answers.
#[derive(Debug, Deserialize)]
struct Plan {
    subtasks: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    id: String,
    #[serde(default)]
    kind: Option<String>,
    input: String,
    #[serde(default)]
    depends_on: Vec<String>,
}

fn bounded(field: &str, text: &str, low: usize, high: usize) -> Result<(), FieldError> {
    if (low..=high).contains(&text.len()) {
        return Ok(());
    }
    Err(FieldError::new(field, format!("`{field}` has {} bytes; {low} to {high} are taken", text.len())))
}

impl Task {
    /// Takes a request. Errors name EdgeCoder's field.
    pub fn new(request: DecomposeRequest) -> Result<Self, FieldError> {
        bounded("taskId", &request.task_id, 1, MAX_ID)?;
        bounded("prompt", &request.prompt, 1, MAX_PROMPT)?;
        let snapshot_ref = request.snapshot_ref.unwrap_or_default();
        bounded("snapshotRef", &snapshot_ref, 0, MAX_ID)?;
        if let Some(meta) = &request.project_meta {
            bounded("projectMeta", &meta.to_string(), 0, MAX_META)?;
        }
        let language = request.language.unwrap_or_else(|| LANGUAGES[0].to_owned());
        if !LANGUAGES.contains(&language.as_str()) {
            let message = format!("`language` is `{language}`; it must be one of {}", LANGUAGES.join(", "));
            return Err(FieldError::new("language", message));
        }
        Ok(Self { id: request.task_id, prompt: request.prompt, language, snapshot_ref, project_meta: request.project_meta })
    }

    /// The task's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the model is asked. Its answer can have no other form than the one that is read.
    pub fn question(&self, model: String) -> Generate {
        let user = format!("Language: {}\n\n{}", self.language, self.prompt);
        let messages = vec![Message::text(Role::System, SYSTEM), Message::text(Role::User, user)];
        let mut generate = Generate::new(model, Prompt::Chat(messages));
        generate.format = Format::JsonSchema(schema());
        generate.options.temperature = Some(0.0);
        generate.options.max_tokens = Some(MAX_TOKENS);
        generate.think = Some(false);
        generate
    }

    /// The subtasks of the model's answer, each after those it depends on; `None` if it makes no sense.
    pub fn subtasks(&self, answer: &str) -> Option<Vec<Subtask>> {
        let plan: Plan = serde_json::from_str(answer.trim()).ok()?;
        let steps = in_order(plan.subtasks)?;
        Some(steps.into_iter().zip(0..).map(|(step, index)| self.subtask(step, index)).collect())
    }

    fn subtask(&self, step: Step, index: u32) -> Subtask {
        let kind = step.kind.filter(|kind| kind == "micro_loop").unwrap_or_else(|| "single_step".to_owned());
        Subtask { kind, timeout_ms: timeout_ms(&step.input), depends_on: step.depends_on, ..self.one(step.id, step.input, index) }
    }

    fn one(&self, id: String, input: String, index: u32) -> Subtask {
        Subtask {
            id,
            task_id: self.id.clone(),
            kind: "single_step".to_owned(),
            language: self.language.clone(),
            input,
            timeout_ms: WHOLE_TIMEOUT_MS,
            snapshot_ref: self.snapshot_ref.clone(),
            project_meta: self.project_meta.clone(),
            depends_on: Vec::new(),
            subtask_index: index,
        }
    }

    /// The task as one subtask.
    pub fn whole(&self) -> Vec<Subtask> {
        vec![self.one(format!("{}-1", self.id), self.prompt.clone(), 0)]
    }
}

/// The longer the input, the longer it may take: 5 s and one for every 50 bytes, up to a minute.
fn timeout_ms(input: &str) -> u64 {
    (5000 + input.len() as u64 / 50 * 1000).min(60_000)
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"subtasks": {
            "type": "array", "minItems": 1, "maxItems": MAX_SUBTASKS,
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "kind": {"type": "string", "enum": ["micro_loop", "single_step"]},
                    "input": {"type": "string"},
                    "dependsOn": {"type": "array", "maxItems": MAX_SUBTASKS, "items": {"type": "string"}},
                },
                "required": ["id", "kind", "input", "dependsOn"],
                "additionalProperties": false,
            },
        }},
        "required": ["subtasks"],
        "additionalProperties": false,
    })
}

/// The steps, each after those it depends on, otherwise in the order they came in. `None` if there are none or too many, if an id
/// stands twice, if one depends on itself, on a stranger or in a circle, or if there is nothing to do in one.
fn in_order(steps: Vec<Step>) -> Option<Vec<Step>> {
    if steps.is_empty() || steps.len() > MAX_SUBTASKS {
        return None;
    }
    let sound =
        |step: &Step| (1..=MAX_ID).contains(&step.id.len()) && !step.input.trim().is_empty() && step.input.len() <= MAX_INPUT;
    let places: HashMap<String, usize> = steps.iter().enumerate().map(|(at, step)| (step.id.clone(), at)).collect();
    if places.len() != steps.len() || !steps.iter().all(sound) {
        return None;
    }
    let mut needs = Vec::with_capacity(steps.len());
    for step in &steps {
        let named: Option<BTreeSet<usize>> = step.depends_on.iter().map(|id| places.get(id).copied()).collect();
        needs.push(named?);
    }
    let mut order = Vec::with_capacity(steps.len());
    while order.len() < steps.len() {
        let next = (0..steps.len()).find(|at| !order.contains(at) && needs[*at].iter().all(|need| order.contains(need)))?;
        order.push(next);
    }
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(order.len());
    for at in order {
        let mut step = steps[at].take()?;
        let mut seen = BTreeSet::new();
        step.depends_on.retain(|id| seen.insert(id.clone()));
        sorted.push(step);
    }
    Some(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn task() -> Task {
        Task::new(serde_json::from_value(json!({"taskId": "t", "prompt": "do it", "language": "javascript"})).unwrap()).unwrap()
    }

    fn ids(answer: Value) -> Option<Vec<String>> {
        task().subtasks(&answer.to_string()).map(|subtasks| subtasks.into_iter().map(|subtask| subtask.id).collect())
    }

    #[test]
    fn subtasks_come_after_what_they_depend_on() {
        let answer = json!({"subtasks": [
            {"id": "c", "input": "3", "kind": "micro_loop", "dependsOn": ["b", "a", "b"]},
            {"id": "b", "input": "2", "dependsOn": ["a"]},
            {"id": "a", "input": "1"},
        ]});
        assert_eq!(ids(answer.clone()).unwrap(), ["a", "b", "c"]);
        let subtasks = task().subtasks(&answer.to_string()).unwrap();
        assert_eq!(subtasks[2].depends_on, ["b", "a"]);
        assert_eq!((subtasks[2].kind.as_str(), subtasks[0].kind.as_str()), ("micro_loop", "single_step"));
        assert_eq!((subtasks[2].subtask_index, subtasks[2].language.as_str()), (2, "javascript"));
        assert_eq!((subtasks[0].timeout_ms, timeout_ms(&"x".repeat(120)), timeout_ms(&"x".repeat(9999))), (5000, 7000, 60_000));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_none() {
        let one = |id: &str, needs: &[&str]| json!({"id": id, "input": "x", "dependsOn": needs});
        for answer in [
            json!({"subtasks": []}),
            json!({"subtasks": [one("a", &["a"])]}),
            json!({"subtasks": [one("a", &["b"]), one("b", &["a"])]}),
            json!({"subtasks": [one("a", &["stranger"])]}),
            json!({"subtasks": [one("a", &[]), one("a", &[])]}),
            json!({"subtasks": [one("", &[])]}),
            json!({"subtasks": [{"id": "a", "input": "  "}]}),
            json!({"subtasks": (0..11).map(|n| one(&n.to_string(), &[])).collect::<Vec<_>>()}),
            json!([]),
        ] {
            assert_eq!(ids(answer.clone()), None, "{answer}");
        }
        assert_eq!(task().subtasks("Sure! Here is the plan:"), None);
        let whole = task().whole();
        assert_eq!((whole.len(), whole[0].input.as_str(), whole[0].timeout_ms), (1, "do it", 30_000));
    }

    #[test]
    fn requests_out_of_bounds_are_told_by_their_field() {
        let long = "x".repeat(MAX_PROMPT + 1);
        for (body, field) in [
            (json!({"taskId": "", "prompt": "x"}), "taskId"),
            (json!({"taskId": "t", "prompt": ""}), "prompt"),
            (json!({"taskId": "t", "prompt": long}), "prompt"),
            (json!({"taskId": "t", "prompt": "x", "language": "cobol"}), "language"),
            (json!({"taskId": "t", "prompt": "x", "projectMeta": {"note": "x".repeat(MAX_META)}}), "projectMeta"),
        ] {
            assert_eq!(Task::new(serde_json::from_value(body).unwrap()).unwrap_err().field, field);
        }
    }

    proptest! {
        /// Whatever the model names, what comes out is a sound order, or nothing.
        #[test]
        fn any_plan_comes_out_in_order_or_not_at_all(needs in prop::collection::vec(prop::collection::vec(0usize..6, 0..4), 1..6)) {
            let subtasks: Vec<Value> = needs.iter().enumerate().map(|(at, needs)| {
                let needs: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
                json!({"id": format!("s{at}"), "input": "x", "dependsOn": needs})
            }).collect();
            if let Some(subtasks) = task().subtasks(&json!({"subtasks": subtasks}).to_string()) {
                prop_assert_eq!(subtasks.len(), needs.len());
                let mut done = BTreeSet::new();
                for subtask in subtasks {
                    prop_assert!(subtask.depends_on.iter().all(|need| done.contains(need)));
                    prop_assert!(done.insert(subtask.id));
                }
            }
        }
    }
}
