//! The models on this node, as Ollama's clients ask for them, and importing from disk.

use crate::{
    app::App,
    body::{Json as Body, OllamaJson},
    error::ApiError,
    stream::{json_line, ndjson},
};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use kith_inference::{CloudModel, LoadedModel};
use kith_models::{Model, Overrides};
use kith_types::{Code, ModelName, Timestamp};
use kith_wire::{
    ollama::{DeleteRequest, Details, ModelSummary, PsResponse, RunningModel, ShowRequest, ShowResponse, TagsResponse, Tensor},
    system::{ImportProgress, ImportRequest},
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// The end that Ollama's clients understand as «never».
const NEVER: Timestamp = Timestamp::from_ms(253_370_764_800_000);
/// Progress of an import is told this often.
const PROGRESS: Duration = Duration::from_millis(100);

fn details(model: &Model) -> Details {
    let architecture = &model.details.architecture;
    Details {
        parent_model: model.parent.clone().unwrap_or_default(),
        format: model.format.clone(),
        family: architecture.clone(),
        families: Some(vec![architecture.clone()]),
        parameter_size: model.details.parameter_size.clone(),
        quantization_level: model.details.quantization.clone(),
    }
}

/// The models in the library, the last changed first; those of cloud providers after them if `providers.list_models` is set.
#[utoipa::path(get, path = "/api/tags", tag = "models", responses((status = 200, body = TagsResponse)))]
pub async fn tags(State(app): State<Arc<App>>) -> Result<Json<TagsResponse>, ApiError> {
    let models = app.library.list().await?;
    let models = models.iter().map(|model| ModelSummary {
        name: model.name.to_string(),
        model: model.name.to_string(),
        modified_at: model.modified.rfc3339(),
        size: model.size,
        digest: model.sha256.hex(),
        details: details(model),
        status: Some("available".into()),
    });
    let cloud = app.providers.listed().await;
    Ok(Json(TagsResponse { models: models.chain(cloud.iter().map(summary_elsewhere)).collect() }))
}

/// A cloud provider's model: nothing of it lies here, and what it is made of is not told.
fn summary_elsewhere(model: &CloudModel) -> ModelSummary {
    let name = format!("{}/{}", model.provider, model.id);
    ModelSummary {
        model: name.clone(),
        name,
        modified_at: model.created.unwrap_or_default().rfc3339(),
        size: 0,
        digest: String::new(),
        details: Details::default(),
        status: Some("remote".into()),
    }
}

/// All that is known of one model.
#[utoipa::path(post, path = "/api/show", tag = "models", request_body = ShowRequest,
    responses((status = 200, body = ShowResponse), (status = 404, description = "No such model.")))]
pub async fn show(
    State(app): State<Arc<App>>,
    OllamaJson(request): OllamaJson<ShowRequest>,
) -> Result<Json<ShowResponse>, ApiError> {
    let model = app.library.resolve(named(request.model_name())?).await?;
    let verbose = request.verbose.unwrap_or(false);
    let metadata = app.library.metadata(&model, verbose).await?;
    let tensors = verbose.then(|| {
        metadata
            .tensors
            .iter()
            .map(|tensor| Tensor { name: tensor.name.clone(), kind: tensor.kind.clone(), shape: tensor.shape.clone() })
            .collect()
    });
    Ok(Json(ShowResponse {
        license: model.license.clone().unwrap_or_default(),
        modelfile: crate::ollama::show::modelfile(&model),
        parameters: crate::ollama::show::parameters(&model),
        template: model.template.clone().or_else(|| model.details.chat_template.clone()).unwrap_or_default(),
        system: model.system.clone().unwrap_or_default(),
        details: details(&model),
        messages: model.messages.iter().map(crate::ollama::create::shown).collect(),
        requires: model.requires.clone(),
        model_info: metadata.model_info,
        tensors,
        capabilities: model.details.capabilities.clone(),
        modified_at: model.modified.rfc3339(),
    }))
}

fn named(name: &str) -> Result<&str, ApiError> {
    if name.is_empty() { Err(ApiError::new(Code::InvalidRequest, "`model` is missing").with_field("model")) } else { Ok(name) }
}

/// The models in memory.
#[utoipa::path(get, path = "/api/ps", tag = "models", responses((status = 200, body = PsResponse)))]
pub async fn ps(State(app): State<Arc<App>>) -> Result<Json<PsResponse>, ApiError> {
    let mut models = Vec::new();
    for loaded in app.inference.loaded() {
        // A model removed a moment ago is on its way out of memory too.
        // One with an adapter, `model+adapter`, is told by its model's particulars.
        let base = loaded.card.name.split('+').next().unwrap_or_default();
        if let Ok(model) = app.library.resolve(base).await {
            models.push(running(&model, &loaded));
        }
    }
    Ok(Json(PsResponse { models }))
}

fn running(model: &Model, loaded: &LoadedModel) -> RunningModel {
    RunningModel {
        name: loaded.card.name.clone(),
        model: loaded.card.name.clone(),
        size: loaded.memory.weights.saturating_add(loaded.memory.cache),
        digest: model.sha256.hex(),
        details: details(model),
        expires_at: loaded.expires.unwrap_or(NEVER).rfc3339(),
        size_vram: loaded.memory.gpu,
        context_length: loaded.context,
        engine: Some(loaded.engine.to_owned()),
    }
}

/// Removes a model. Its bytes go when no other model uses them.
#[utoipa::path(delete, path = "/api/delete", tag = "models", request_body = DeleteRequest,
    responses((status = 200, description = "Removed."), (status = 404, description = "No such model.")))]
pub async fn delete(State(app): State<Arc<App>>, OllamaJson(request): OllamaJson<DeleteRequest>) -> Result<StatusCode, ApiError> {
    let name = parse_name(named(request.model_name())?, "model")?;
    let model = app.library.remove(&name).await?;
    app.inference.forget(&model.name.to_string()).await;
    app.events.publish("model.removed", serde_json::json!({"model": model.name.to_string()}));
    Ok(StatusCode::OK)
}

fn parse_name(text: &str, field: &str) -> Result<ModelName, ApiError> {
    text.parse()
        .map_err(|error: kith_types::ModelNameError| ApiError::new(Code::InvalidRequest, error.to_string()).with_field(field))
}

/// Takes a GGUF file on the node's own disk into the library, or the model in a folder of safetensors. Answers lines of progress; the last has `model` or `error`.
#[utoipa::path(post, path = "/api/v1/models/import", tag = "models", request_body = ImportRequest,
    responses((status = 200, description = "Lines of JSON.", body = ImportProgress, content_type = "application/x-ndjson"),
              (status = 400, description = "A bad name, path or file.")))]
pub async fn import(State(app): State<Arc<App>>, Body(request): Body<ImportRequest>) -> Result<Response, ApiError> {
    let name = parse_name(&request.name, "name")?;
    let path = PathBuf::from(&request.path);
    let bad_path = |message: String| ApiError::new(Code::InvalidRequest, message).with_field("path");
    if !path.is_absolute() {
        return Err(bad_path(format!("`path` must be absolute; it is `{}`", request.path)));
    }
    let unreadable = |error| bad_path(format!("{}: {error}", request.path));
    let mut file = tokio::fs::metadata(&path).await.map_err(unreadable)?;
    if !file.is_file() && !file.is_dir() {
        return Err(bad_path(format!("{} is neither a file nor a folder", request.path)));
    }
    if file.is_dir()
        && let Ok(weights) = tokio::fs::metadata(path.join("model.safetensors")).await
    {
        // Nearly all of what the folder becomes.
        file = weights;
    }
    let template = request.template.as_deref().map(crate::ollama::create::jinja).transpose()?;
    crate::ollama::create::check(template.as_deref(), request.parameters.as_ref())?;
    let overrides = Overrides { template, system: request.system, parameters: request.parameters, ..Overrides::default() };
    // A folder's own length says nothing of what lies in it.
    let total = if file.is_file() { file.len() } else { 0 };
    let (sender, mut completed) = tokio::sync::watch::channel(0u64);
    let (library, events) = (Arc::clone(&app.library), app.events.clone());
    let stream = async_stream::stream! {
        let work = library.import(&path, name, overrides, move |bytes| { sender.send_replace(bytes); });
        tokio::pin!(work);
        let mut tick = tokio::time::interval(PROGRESS);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                _ = tick.tick() => {
                    let completed = *completed.borrow_and_update();
                    yield json_line(&ImportProgress { status: "importing".into(), completed, total, ..ImportProgress::default() });
                }
            }
        };
        let last = match outcome {
            Ok(model) => {
                events.publish("model.imported", serde_json::json!({"model": model.name.to_string(), "size": model.size}));
                ImportProgress { status: "success".into(), completed: model.size, total: model.size, model: Some(model.name.to_string()), ..ImportProgress::default() }
            }
            Err(error) => {
                let error = ApiError::from(error);
                ImportProgress { status: "failed".into(), completed: 0, total, error: Some(error.message), code: Some(error.code), ..ImportProgress::default() }
            }
        };
        yield json_line(&last);
    };
    Ok(ndjson(stream, &app))
}
