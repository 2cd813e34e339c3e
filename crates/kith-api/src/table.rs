//! The route table: method, path, access and limit of every endpoint, declared once, beside its handler and its OpenAPI entry.

use crate::{admit::admit, app::App};
use axum::middleware::from_fn_with_state;
use kith_access::{Class, Level};
use std::sync::Arc;
use utoipa::openapi::{
    HttpMethod, Object, RefOr, Required,
    header::HeaderBuilder,
    path::{Operation, PathItem},
    response::ResponseBuilder,
    security::SecurityRequirement,
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, with parameters in braces.
    pub path: String,
    /// Who may call.
    pub access: Level,
    /// Which limit counts the call.
    pub class: Class,
}

/// Collects routes with their access.
pub(crate) struct Table {
    app: Arc<App>,
    router: OpenApiRouter<Arc<App>>,
    routes: Vec<Route>,
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Delete, &mut item.delete),
        (HttpMethod::Head, &mut item.head),
        (HttpMethod::Patch, &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

const fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Put => "PUT",
        HttpMethod::Post => "POST",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Trace => "TRACE",
    }
}

impl Table {
    pub fn new(app: Arc<App>, document: utoipa::openapi::OpenApi) -> Self {
        Self { app, router: OpenApiRouter::with_openapi(document), routes: Vec::new() }
    }

    /// Adds endpoints that share access and limit.
    pub fn add(mut self, access: Level, class: Class, (schemas, mut paths, methods): UtoipaMethodRouter<Arc<App>>) -> Self {
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                let method = method_name(&method).to_owned();
                operation.operation_id = Some(operation_id(&method, path));
                describe(operation, access);
                self.routes.push(Route { method, path: path.clone(), access, class });
            }
        }
        let methods = methods.route_layer(from_fn_with_state((Arc::clone(&self.app), access, class), admit));
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    pub fn finish(self) -> (axum::Router<Arc<App>>, utoipa::openapi::OpenApi, Vec<Route>) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.routes)
    }
}

/// What generated clients call an endpoint: `get_api_admin_models_id`. Handlers' own names occur more than once.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_ascii_lowercase(), |id, word| format!("{id}_{}", word.to_ascii_lowercase()))
}

/// Says in the document what holds for every endpoint of this access.
fn describe(operation: &mut Operation, access: Level) {
    let word = match access {
        Level::Open => "open",
        Level::Loopback => "loopback",
        Level::User => "user",
        Level::Admin => "admin",
        Level::Mesh => "mesh",
    };
    operation.extensions.get_or_insert_default().insert("x-kith-access".to_owned(), word.into());
    let bearer = || SecurityRequirement::new("bearer", Vec::<String>::new());
    let admin = || SecurityRequirement::new("adminToken", Vec::<String>::new());
    operation.security = Some(match access {
        Level::Open => vec![],
        Level::Loopback => vec![SecurityRequirement::default(), bearer(), admin()],
        Level::User | Level::Admin => vec![bearer(), admin()],
        Level::Mesh => ["mesh", "meshSignature"].map(|scheme| SecurityRequirement::new(scheme, Vec::<String>::new())).into(),
    });
    let mut common = vec![("429", "Too many requests of this principal; see Retry-After."), ("403", "Not allowed.")];
    if access != Level::Open {
        common.push(("401", "No credentials, or wrong ones."));
    }
    if operation.request_body.is_some() {
        common.push(("413", "The body is larger than this endpoint takes."));
        common.push(("415", "The body is not of the type this endpoint takes."));
    }
    if operation.request_body.is_some() || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
        common.push(("400", "A field, a parameter or the body is wrong; the error names it."));
    }
    for (status, description) in common {
        let response = ResponseBuilder::new()
            .description(description)
            .header("X-RateLimit-Remaining", HeaderBuilder::new().schema(Some(Object::new())).build())
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = if status.starts_with('2') { "Done." } else { "Refused." }.to_owned();
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(Required::True);
    }
}
