//! The state after the newest final batch, for verifiers that begin there.

use super::Api;
use super::error::ApiError;
use crate::store::Store;
use assay_client::api::{ErrorBody, OCTETS};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The newest one that was asked for, made once however often and by however many it is.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    kept: Arc<Mutex<Option<(u64, Bytes)>>>,
}

impl Snapshots {
    /// The state after batch `number`, the newest final one.
    async fn get(&self, store: Arc<Store>, number: u64) -> Result<Bytes, ApiError> {
        let mut kept = self.kept.clone().lock_owned().await;
        // It goes on, and is kept, where whoever asked does not wait for it.
        let made = tokio::task::spawn_blocking(move || {
            if let Some((of, bytes)) = &*kept
                && *of == number
            {
                return Ok(bytes.clone());
            }
            // One is enough in memory.
            *kept = None;
            let bytes = Bytes::from(make(&store, number)?);
            *kept = Some((number, bytes.clone()));
            Ok(bytes)
        });
        let failed = |error: tokio::task::JoinError| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                error.to_string(),
            )
        };
        made.await.map_err(failed)?
    }
}

fn make(store: &Store, number: u64) -> Result<Vec<u8>, ApiError> {
    let snapshot = store.snapshot(number)?.ok_or_else(none)?;
    match snapshot.state() {
        Ok(_) => Ok(snapshot.encode()),
        Err(_) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "another batch became final meanwhile: try again",
        )),
    }
}

fn none() -> ApiError {
    ApiError::not_found("no batch is final yet: a verifier begins at genesis")
}

/// The state after the newest final batch: its header, all accounts, models and leaves of the outbox, and the headers of the
/// models' programs, in the format of `assay_ledger::snapshot`. Whoever knows from L1 that the batch is final can check all of it.
#[utoipa::path(
    get, path = "/v1/snapshot", tag = "batches",
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub async fn newest(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    let number = api.heads.borrow().finalised;
    if number == 0 {
        return Err(none());
    }
    let bytes = api.snapshots.get(api.store.clone(), number).await?;
    Ok(([(header::CONTENT_TYPE, OCTETS)], bytes))
}
