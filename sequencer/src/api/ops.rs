//! Status, health, metrics.

use super::Api;
use super::error::ApiError;
use assay_client::api::{Counters, InboxView, Key32, Programs, Status};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

/// What the sequencer serves and how far it is.
#[utoipa::path(
    get, path = "/v1/status", tag = "operation",
    responses((status = 200, body = Status))
)]
pub async fn status(State(api): State<Api>) -> Result<Json<Status>, ApiError> {
    let progress = api.store.progress()?;
    let building = api.engine.building();
    let backlog = api.engine.backlog();
    let heads = *api.heads.borrow();
    let l1 = api.store.l1_totals()?;
    let (totals, consumed, outbox) = progress.map_or_else(Default::default, |p| {
        (
            p.totals,
            p.components.inbox.cursor,
            p.components.outbox.count,
        )
    });
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        rollup: Key32(api.info.rollup),
        sequencer: Key32(api.info.sequencer),
        programs: Programs {
            settlement: Key32(settlement::ID.to_bytes()),
            bridge: Key32(api.info.bridge),
            escrow: Key32(api.info.escrow),
        },
        executor: api.executor.clone(),
        instance: api.instance.clone(),
        not_accepting: api.engine.gate().closed().map(|why| why.to_string()),
        params: api.info.params.into(),
        tip: heads.tip,
        finalised: heads.finalised,
        unposted: backlog.waiting,
        l1_room: backlog.room.unwrap_or(0),
        building,
        queue: api.engine.queued() as u64,
        inbox: InboxView {
            seen: heads.inbox,
            consumed,
        },
        outbox,
        version1: api.info.version1,
        counters: Counters {
            transactions: totals.transactions,
            inferences: totals.inferences,
            refused: totals.refused,
            l1_lamports: l1.lamports,
            l1_bytes: l1.bytes,
        },
    }))
}

/// Whether the service answers and accepts requests.
#[utoipa::path(
    get, path = "/health", tag = "operation",
    responses(
        (status = 200, description = "it does", body = String),
        (status = 503, description = "it accepts no requests, and why", body = String)
    )
)]
pub async fn health(State(api): State<Api>) -> impl IntoResponse {
    match api.engine.gate().closed() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no requests are accepted: {why}"),
        ),
    }
}

/// Metrics in the text form of OpenMetrics, which Prometheus reads.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String))
)]
pub async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let accepting = api.engine.gate().closed().is_none();
    api.metrics.accepting.set(accepting.into());
    api.metrics.queue.set(api.engine.queued() as i64);
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        api.metrics.encode(),
    )
}
