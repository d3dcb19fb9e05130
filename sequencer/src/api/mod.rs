//! The HTTP API. Its types are `assay_client::api`'s, which clients share.
//!
//! * [`transactions`]: submitting requests, and what became of them
//! * [`ledger`]: accounts and models
//! * [`blobs`]: the bytes of models
//! * [`batches`]: batches and what they cost
//! * [`outbox`]: proofs of what L1 pays
//! * [`snapshot`]: the state after the newest final batch
//! * [`body`]: how much of a body is read
//! * [`ops`]: status, health, metrics
//! * [`error`]: answers that are not a success

pub mod batches;
pub mod blobs;
pub mod body;
pub mod error;
pub mod ledger;
pub mod ops;
pub mod outbox;
pub mod snapshot;
pub mod transactions;

use crate::config::ApiLimits;
use crate::engine::EngineHandle;
use crate::engine::admission::Admission;
use crate::l1::{Heads, RollupInfo};
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::blobs::Blobs;
use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::IntoResponse;
use error::ApiError;
use snapshot::Snapshots;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tower::{BoxError, ServiceBuilder};
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Api {
    /// Committed state.
    pub store: Arc<Store>,
    /// Models' bytes.
    pub blobs: Blobs,
    /// What requests are checked with.
    pub admission: Admission,
    /// The one writer.
    pub engine: EngineHandle,
    /// What L1 says.
    pub heads: watch::Receiver<Heads>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The rollup that is served.
    pub info: Arc<RollupInfo>,
    /// What runs the models.
    pub executor: String,
    /// Limits.
    pub limits: ApiLimits,
    /// The process, as its lease on L1 names it.
    pub instance: String,
    /// The state after the newest final batch.
    pub snapshots: Snapshots,
    /// Whether a batch may be closed by a call.
    pub dev: bool,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Assay sequencer",
    description = "Keys are base58, hashes 64 hex digits, bytes base64, amounts whole base units.\n\nA request that is refused is in an answer of status 200, with a code: `rollup`, `signature`, `account`, `nonce`, `balance`, `model`, `price`, `version`, `mint`, `not_callable`, `input`, `too_large`, `publisher`, `blob`, `busy`, `execution` or `ledger`. It has used up nothing.\n\nA call that fails has an `ErrorBody` with a code: `path`, `body`, `blob`, `media_type`, `method`, `not_found`, `not_final`, `not_dev`, `empty`, `too_large`, `busy` (503, on any route: try again), `quota` (507), `timeout` (504, on any route), `not_accepting` (503, requests: nothing could go to L1, `GET /v1/status` says why), `stopping`, `store` or `internal`."
))]
struct Document;

/// The routes and the document that describes them.
fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(ops::status))
        .routes(routes!(ops::health))
        .routes(routes!(ops::metrics))
        .routes(routes!(ledger::accounts))
        .routes(routes!(ledger::models))
        .routes(routes!(ledger::model))
        .routes(routes!(blobs::get))
        .routes(routes!(transactions::get))
        .routes(routes!(batches::list))
        .routes(routes!(batches::get))
        .routes(routes!(batches::data))
        .routes(routes!(batches::outputs))
        .routes(routes!(batches::close))
        .routes(routes!(snapshot::newest))
        .routes(routes!(outbox::proof))
        .routes(routes!(outbox::withdrawals))
        .routes(routes!(outbox::job))
}

/// The service's router.
pub fn router(api: Api) -> Router {
    let limits = api.limits.clone();
    let (body_bytes, blob_bytes) = (limits.body_bytes, limits.blob_bytes);
    let (router, document) = routes()
        .merge(
            OpenApiRouter::new()
                .routes(routes!(transactions::submit))
                .layer(DefaultBodyLimit::disable())
                .layer(middleware::from_fn(move |request, next| {
                    body::limited(body_bytes, request, next)
                })),
        )
        .merge(
            OpenApiRouter::new()
                .routes(routes!(blobs::put))
                .layer(DefaultBodyLimit::disable())
                .layer(middleware::from_fn(move |request, next| {
                    body::limited(blob_bytes, request, next)
                })),
        )
        .split_for_parts();
    let document = Arc::new(document.to_json().unwrap_or_default());
    router
        .route(
            "/openapi.json",
            axum::routing::get(move || async move {
                (
                    [(axum::http::header::CONTENT_TYPE, "application/json")],
                    document.as_ref().clone(),
                )
            }),
        )
        .fallback(|request: Request| async move {
            ApiError::not_found(format!(
                "there is no {} {}: see GET /openapi.json",
                request.method(),
                request.uri().path()
            ))
        })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "this route takes another method: see GET /openapi.json",
            )
        })
        .layer(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http())
                .layer(HandleErrorLayer::new(overload))
                .load_shed()
                .concurrency_limit(limits.concurrency)
                .timeout(Duration::from_secs(limits.timeout_s)),
        )
        .with_state(api)
}

/// Words for what the layers refuse.
async fn overload(error: BoxError) -> axum::response::Response {
    if error.is::<tower::timeout::error::Elapsed>() {
        ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the call took too long; requests that it carried may still be executed, ask GET /v1/transactions/{id}",
        )
    } else {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many calls at a time: try again in a moment",
        )
    }
    .into_response()
}

/// A part of a path as what it should be.
fn parse<T: FromStr>(what: &'static str, text: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|e| ApiError::bad("path", format!("{what}: {e}")))
}
