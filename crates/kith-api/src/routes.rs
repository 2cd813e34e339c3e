//! All routes. What a route may be called by stands here, beside its handler; everything else about it stands at the handler.

mod adapters;
mod admin;
mod admin_models;
mod auth;
mod config;
mod create;
mod docs;
mod downloads;
mod edgecoder;
mod embeddings;
mod events;
mod hub;
mod library;
mod messages;
mod model;
mod neuroshard;
mod ollama;
mod openai;
mod providers;
mod pull;
mod responses;
mod schedule;
mod sockets;
mod system;
mod update;

mod audit;
mod browse;
mod contacts;
mod conversation_messages;
mod conversations;
mod diagnostics;
mod history;
mod profile;
mod settings;
mod window;

mod devices;
mod documents;

mod members;
mod networks;
mod nodes;
mod onboarding;
mod overlay;
mod shards;
mod swarm;

pub(crate) use system::process_memory;

use crate::{admit, app::App, guard, table::Table};
use axum::{Router, middleware::from_fn_with_state};
use kith_access::{Class, Level};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, OpenApi, OpenApiBuilder,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::routes;

fn skeleton(version: &str) -> OpenApi {
    let bearer = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, a paired device or a login token."))
            .build(),
    );
    let admin = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-Kith-Admin-Token", "The admin token.")));
    let mesh = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
        "X-Mesh-Token",
        "The mesh token, from this machine.",
    )));
    let signature = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
        "X-Signature",
        "An approved node's Ed25519 signature in base64, with X-Node-Id, X-Timestamp-Ms, X-Nonce and X-Body-Sha256: over time, nonce, \
         method, path with query, and the digest, joined by line feeds. With X-Recipient, the id of the node that it is for, which is \
         signed as a further line, it is good at no other node.",
    )));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Kith")
                .version(version)
                .description(Some("One private machine out of your computers. Ollama's and OpenAI's clients work unchanged."))
                .contact(Some(ContactBuilder::new().name(Some("The Kith authors")).build())),
        )
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("bearer", bearer)
                .security_scheme("adminToken", admin)
                .security_scheme("mesh", mesh)
                .security_scheme("meshSignature", signature)
                .schema_from::<kith_wire::system::ErrorBody>()
                .build(),
        ))
        .build()
}

fn table(app: &Arc<App>) -> Table {
    use Class::{Admin as Adm, Inference as Inf, Standard as Std};
    Table::new(Arc::clone(app), skeleton(&app.build.version))
        .add(Level::Open, Std, routes!(system::root, system::root_head))
        .add(Level::Open, Std, routes!(system::health))
        .add(Level::Open, Std, routes!(system::metrics))
        .add(Level::Open, Std, routes!(system::openapi))
        .add(Level::Open, Std, routes!(system::version))
        .add(Level::Open, Std, routes!(system::ollama_version))
        .add(Level::Open, Std, routes!(system::status))
        .add(Level::User, Std, routes!(system::whoami))
        .add(Level::Admin, Adm, routes!(system::shutdown))
        .add(Level::User, Std, routes!(events::stream))
        .add(Level::Open, Std, routes!(auth::login))
        .add(Level::Open, Std, routes!(auth::logout))
        .add(Level::Open, Std, routes!(auth::bootstrap_exchange))
        .add(Level::Admin, Adm, routes!(auth::issue_ticket))
        .add(Level::Admin, Adm, routes!(auth::set_password))
        .add(Level::Admin, Adm, routes!(auth::keys, auth::mint_key))
        .add(Level::Admin, Adm, routes!(auth::revoke_key))
        .add(Level::Admin, Adm, routes!(library::import))
        .add(Level::Loopback, Std, routes!(library::tags))
        .add(Level::Loopback, Std, routes!(library::show))
        .add(Level::Loopback, Std, routes!(library::ps))
        .add(Level::Loopback, Std, routes!(library::delete))
        .add(Level::Loopback, Inf, routes!(ollama::generate))
        .add(Level::Loopback, Inf, routes!(ollama::chat))
        .add(Level::Loopback, Inf, routes!(openai::chat_completions))
        .add(Level::Loopback, Inf, routes!(openai::completions))
        .add(Level::Loopback, Std, routes!(openai::models))
        .add(Level::Loopback, Std, routes!(openai::model))
        .add(Level::User, Std, routes!(adapters::list))
        .add(Level::Admin, Adm, routes!(adapters::register))
        .add(Level::Admin, Adm, routes!(adapters::remove))
        .add(Level::Loopback, Std, routes!(create::has_blob, create::put_blob))
        .add(Level::Loopback, Std, routes!(create::create))
        .add(Level::Loopback, Std, routes!(create::copy))
        .add(Level::User, Std, routes!(admin_models::list))
        .add(Level::Admin, Adm, routes!(admin_models::remove))
        .add(Level::Admin, Adm, routes!(admin_models::unload))
        .add(Level::User, Std, routes!(admin_models::metadata))
        .add(Level::User, Std, routes!(admin_models::auto_manage))
        .add(Level::Admin, Adm, routes!(admin_models::set_auto_manage))
        .add(Level::User, Std, routes!(admin_models::encrypted_pipeline))
        .add(Level::Admin, Adm, routes!(admin_models::set_encrypted_pipeline))
        .add(Level::User, Std, routes!(admin_models::shard_storage))
        .add(Level::User, Std, routes!(admin_models::prune_history))
        .add(Level::Admin, Adm, routes!(admin_models::rescan))
        .add(Level::Loopback, Std, routes!(model::list))
        .add(Level::Loopback, Std, routes!(model::status))
        .add(Level::Loopback, Inf, routes!(model::swap))
        .add(Level::Loopback, Std, routes!(model::discover))
        .add(Level::Loopback, Inf, routes!(embeddings::openai_embeddings))
        .add(Level::Loopback, Inf, routes!(embeddings::embed))
        .add(Level::Loopback, Inf, routes!(embeddings::embeddings))
        .add(Level::User, Std, routes!(providers::list))
        .add(Level::Admin, Adm, routes!(providers::update))
        .add(Level::User, Std, routes!(providers::models))
        .add(Level::User, Std, routes!(providers::health))
        .add(Level::Admin, Adm, routes!(providers::model_status))
        .add(Level::User, Std, routes!(providers::claude_subscription))
        .add(Level::Loopback, Std, routes!(pull::pull))
        .add(Level::Loopback, Std, routes!(pull::push))
        .add(Level::Loopback, Std, routes!(pull::pull_progress))
        .add(Level::User, Std, routes!(downloads::list))
        .add(Level::Admin, Adm, routes!(downloads::cancel))
        .add(Level::Admin, Adm, routes!(downloads::add))
        .add(Level::User, Std, routes!(downloads::status))
        .add(Level::User, Std, routes!(hub::search))
        .add(Level::User, Std, routes!(hub::probe))
        .add(Level::User, Std, routes!(hub::source))
        .add(Level::Admin, Adm, routes!(hub::download_shards))
        .add(Level::Loopback, Inf, routes!(messages::create))
        .add(Level::Loopback, Inf, routes!(messages::count_tokens))
        .add(Level::Loopback, Inf, routes!(responses::create))
        .add(Level::Loopback, Std, routes!(responses::retrieve, responses::delete))
        .add(Level::Loopback, Std, routes!(responses::cancel))
        .add(Level::Loopback, Std, routes!(responses::input_items))
        .add(Level::User, Std, routes!(responses::list))
        .add(Level::User, Std, routes!(history::metrics_history))
        .add(Level::User, Std, routes!(history::throughput))
        .add(Level::User, Std, routes!(browse::browse))
        .add(Level::User, Std, routes!(settings::settings, settings::change_settings))
        .add(Level::User, Std, routes!(profile::profile, profile::change_profile))
        .add(Level::User, Std, routes!(profile::push_test))
        .add(Level::User, Std, routes!(contacts::contacts, contacts::add_contact))
        .add(Level::User, Std, routes!(contacts::contact, contacts::put_contact, contacts::remove_contact))
        .add(Level::User, Std, routes!(audit::audit))
        .add(Level::User, Std, routes!(audit::export_audit))
        .add(Level::User, Std, routes!(diagnostics::reports, diagnostics::make_report))
        .add(Level::User, Std, routes!(diagnostics::report, diagnostics::remove_report))
        .add(Level::User, Std, routes!(admin::stats))
        .add(Level::User, Std, routes!(admin::version))
        .add(Level::Admin, Adm, routes!(admin::api_key))
        .add(Level::User, Std, routes!(config::get))
        .add(Level::Admin, Adm, routes!(config::put))
        .add(Level::Admin, Adm, routes!(config::reload))
        .add(Level::User, Std, routes!(schedule::get))
        .add(Level::Admin, Adm, routes!(schedule::put))
        .add(Level::Admin, Adm, routes!(update::check))
        .add(Level::Admin, Adm, routes!(update::apply))
        .add(Level::User, Std, routes!(sockets::admin))
        .add(Level::User, Std, routes!(sockets::cluster))
        .add(Level::User, Std, routes!(sockets::ticket))
        .add(Level::Open, Std, routes!(neuroshard::status))
        .add(Level::Open, Std, routes!(neuroshard::metrics))
        .add(Level::Open, Std, routes!(neuroshard::health))
        .add(Level::User, Inf, routes!(neuroshard::inference))
        .add(Level::User, Std, routes!(neuroshard::config))
        .add(Level::User, Adm, routes!(neuroshard::change_config))
        .add(Level::Loopback, Inf, routes!(edgecoder::portal_chat))
        .add(Level::Loopback, Inf, routes!(edgecoder::decompose))
        .add(Level::Mesh, Std, routes!(edgecoder::status))
        .add(Level::Mesh, Std, routes!(edgecoder::runtime_health))
        .add(Level::Open, Std, routes!(docs::page))
        .add(Level::Open, Std, routes!(docs::script))
        .add(Level::Open, Std, routes!(docs::style))
        .add(Level::Open, Std, routes!(window::entry))
        .add(Level::Open, Std, routes!(window::inside))
        .add(Level::Open, Std, routes!(window::pair))
        .add(Level::Open, Std, routes!(window::asset))
        .add(Level::Open, Std, routes!(window::manifest))
        .add(Level::Open, Std, routes!(window::icon))
        .add(Level::Open, Std, routes!(window::sized_icon))
        .add(Level::User, Std, routes!(conversations::list, conversations::create))
        .add(Level::User, Std, routes!(conversations::get, conversations::update, conversations::delete))
        .add(Level::User, Std, routes!(conversations::restore))
        .add(Level::User, Std, routes!(conversations::fork))
        .add(Level::User, Std, routes!(conversations::export))
        .add(Level::User, Std, routes!(conversation_messages::add))
        .add(Level::User, Std, routes!(conversation_messages::get, conversation_messages::put))
        .add(Level::User, Std, routes!(conversation_messages::image))
        .add(Level::User, Inf, routes!(documents::text))
        .add(Level::User, Std, routes!(devices::list))
        .add(Level::Admin, Adm, routes!(devices::rename, devices::revoke))
        .add(Level::Admin, Adm, routes!(devices::invite, devices::withdraw))
        .add(Level::Admin, Std, routes!(devices::pairing))
        .add(Level::Open, Std, routes!(devices::claim))
        .add(Level::Admin, Adm, routes!(devices::pause))
        .add(Level::User, Std, routes!(networks::list, networks::add))
        .add(Level::User, Std, routes!(networks::create))
        .add(Level::User, Std, routes!(networks::preview))
        .add(Level::User, Std, routes!(networks::disconnect))
        .add(Level::User, Std, routes!(networks::get, networks::forget))
        .add(Level::User, Std, routes!(networks::connect))
        .add(Level::User, Std, routes!(networks::set_bootstrap))
        .add(Level::User, Std, routes!(networks::set_bootstrap_by_invite))
        .add(Level::User, Std, routes!(networks::add_bootstrap))
        .add(Level::User, Std, routes!(networks::key))
        .add(Level::User, Adm, routes!(networks::rotate))
        .add(Level::User, Std, routes!(members::list))
        .add(Level::User, Std, routes!(members::get))
        .add(Level::Admin, Adm, routes!(members::remove))
        .add(Level::Admin, Adm, routes!(members::promote))
        .add(Level::User, Std, routes!(members::invite))
        .add(Level::User, Std, routes!(members::invites))
        .add(Level::Admin, Adm, routes!(members::new_invite))
        .add(Level::Admin, Adm, routes!(members::revoke))
        .add(Level::User, Std, routes!(nodes::list))
        .add(Level::User, Std, routes!(nodes::this))
        .add(Level::User, Std, routes!(nodes::get))
        .add(Level::User, Std, routes!(nodes::topology))
        .add(Level::User, Std, routes!(nodes::speedtest))
        .add(Level::User, Std, routes!(nodes::speedtests))
        .add(Level::User, Std, routes!(nodes::nat))
        .add(Level::User, Std, routes!(onboarding::setup))
        .add(Level::User, Std, routes!(onboarding::share))
        .add(Level::User, Std, routes!(onboarding::share_node))
        .add(Level::User, Std, routes!(onboarding::network_code))
        .add(Level::Admin, Adm, routes!(onboarding::join_network))
        .add(Level::User, Std, routes!(swarm::peers))
        .add(Level::Open, Std, routes!(swarm::network))
        .add(Level::User, Std, routes!(swarm::swarm_peers))
        .add(Level::User, Std, routes!(swarm::network_map))
        .add(Level::Mesh, Std, routes!(overlay::identity))
        .add(Level::Mesh, Std, routes!(overlay::peers))
        .add(Level::Mesh, Std, routes!(overlay::register_peer))
        .add(Level::Mesh, Std, routes!(overlay::ingest))
        .add(Level::Mesh, Std, routes!(overlay::capabilities))
        .add(Level::Admin, Adm, routes!(overlay::coordinators))
        .add(Level::Admin, Adm, routes!(shards::download))
}

/// Builds the router, and with it the OpenAPI document and the route table, from the same declarations.
pub fn router(app: &Arc<App>) -> Router {
    let (router, document, routes) = table(app).finish();
    let _ = app.routes.set(routes);
    let _ = app.document.set(document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document could not be written");
        "{}".to_owned()
    }));
    router
        .fallback(guard::no_such_route)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(from_fn_with_state(Arc::clone(app), admit::count_unrouted))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn_with_state(Arc::clone(app), guard::frame))
        .with_state(Arc::clone(app))
}

/// The OpenAPI document of `app`, as JSON; empty before [`router`] was called.
pub fn document(app: &App) -> &str {
    app.document.get().map_or("", String::as_str)
}
