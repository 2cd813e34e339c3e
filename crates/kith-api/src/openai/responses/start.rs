//! Beginning a response: translated, joined to what it continues, written down, and handed to the task that carries it on.

use super::{
    answer::Answering,
    chain,
    drive::{self, Ask, Work},
    ids::Ids,
    input,
    request::{self, Asked},
    response_field,
};
use crate::{app::App, error::ApiError, field_error::FieldError};
use kith_inference::{Generate, Message, Prompt, Role};
use kith_responses::{Log, New, Responses, Status};
use kith_wire::openai::ResponsesRequest;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Stops the work when its client leaves.
pub(crate) struct CancelOnDrop(Arc<Log>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A response that was begun.
pub(crate) struct Started {
    /// Its id.
    pub id: String,
    /// Whether its client wants events.
    pub stream: bool,
    /// Its frames.
    pub log: Arc<Log>,
    /// The response as it begins, as JSON.
    pub body: String,
    /// The work; gives the response as it ends.
    pub work: JoinHandle<Result<String, ApiError>>,
    /// What stops the work when it is dropped; `None` goes on without its client.
    pub guard: Option<CancelOnDrop>,
}

/// Begins a response.
pub(crate) async fn start(app: &Arc<App>, request: ResponsesRequest) -> Result<Started, ApiError> {
    let mut random = [0; 24];
    app.entropy.fill(&mut random).map_err(|error| ApiError::internal(&error))?;
    let mut asked = request::asked(request, Ids::new(random), app.clock.now())?;
    let earlier = chain::earlier(app, asked.response.previous_response_id.as_deref()).await?;
    chain::resolve(app, &mut asked, &earlier).await?;
    asked.generate.prompt = Prompt::Chat(conversation(&asked, &earlier)?);
    drop(earlier);
    let generate = std::mem::replace(&mut asked.generate, Generate::new("", Prompt::Raw(String::new())));
    let input = serde_json::to_string(&asked.items).map_err(|error| ApiError::internal(&error))?;
    if asked.response.store {
        Responses::check_input(&input)?;
    }
    let ask = if asked.response.background {
        asked.response.model.clone_from(&find(app, &generate.model).await?);
        Ask::Later(Box::new(generate), asked.truncate)
    } else {
        let answer = drive::begin(app, generate, asked.truncate).await?;
        asked.response.model.clone_from(&answer.card.name);
        Ask::Begun(answer)
    };
    write_down(app, asked, input, ask).await
}

async fn find(app: &App, model: &str) -> Result<String, ApiError> {
    let card = app.inference.find(model).await.map_err(|error| ApiError::renamed(error, response_field))?;
    Ok(card.name.clone())
}

/// Instructions, then what was said before, then what is asked.
fn conversation(asked: &Asked, earlier: &[kith_wire::openai::InputItem]) -> Result<Vec<Message>, FieldError> {
    let mut messages = Vec::new();
    if let Some(instructions) = asked.response.instructions.as_ref().filter(|text| !text.is_empty()) {
        messages.push(Message::text(Role::System, instructions.clone()));
    }
    input::messages("previous_response_id", earlier, &mut messages)?;
    input::messages("input", &asked.items, &mut messages)?;
    if messages.iter().all(|message| message.role == Role::System) {
        return Err(FieldError::new("input", "`input` has no message; at least one is needed"));
    }
    Ok(messages)
}

async fn write_down(app: &Arc<App>, asked: Asked, input: String, ask: Ask) -> Result<Started, ApiError> {
    let Asked { response, ids, stream, .. } = asked;
    let body = serde_json::to_string(&response).map_err(|error| ApiError::internal(&error))?;
    let (id, background) = (response.id.clone(), response.background);
    let running = if response.store {
        let new = New {
            id: id.clone(),
            status: if background { Status::Queued } else { Status::InProgress },
            previous: response.previous_response_id.clone(),
            model: response.model.clone(),
            background,
            streamed: stream,
            input,
            body: body.clone(),
        };
        app.responses.begin(new).await?
    } else {
        app.responses.begin_unkept(id.clone(), stream)
    };
    let log = Arc::clone(running.log());
    let guard = (!background).then(|| CancelOnDrop(Arc::clone(&log)));
    let work = Work { app: Arc::clone(app), running, answering: Answering::new(response, ids), next: 0 };
    Ok(Started { id, stream, log, body, work: tokio::spawn(drive::drive(work, ask)), guard })
}
