//! The state after the newest final batch, for verifiers that begin there.

use super::Api;
use super::error::ApiError;
use crate::store::Store;
use assay_client::api::{ErrorBody, OCTETS};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures::StreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A newer one is made this long after the last, at the earliest, or after so many batches.
const AGE: Duration = Duration::from_secs(300);
const BATCHES: u64 = 16;
/// How long one may be read: with [`AGE`] it says how many there are in memory, at most, however slowly they are read.
const READING: Duration = Duration::from_secs(900);
/// Bytes of a part of an answer.
const PART: usize = 1 << 20;

/// The last one that was made.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    made: Instant,
    bytes: Bytes,
}

impl Snapshots {
    /// The state after batch `number`, the newest final one, or after one not long before.
    async fn get(&self, store: Arc<Store>, number: u64) -> Result<Bytes, ApiError> {
        // Nobody waits for it: whoever does would keep others from being served.
        let Ok(mut kept) = self.kept.clone().try_lock_owned() else {
            return Err(busy("the state is being put together"));
        };
        if let Some(kept) = &*kept
            && kept.made.elapsed() < AGE
            && number.saturating_sub(kept.number) < BATCHES
        {
            return Ok(kept.bytes.clone());
        }
        // It goes on, and is kept, where whoever asked does not wait for it.
        let made = tokio::task::spawn_blocking(move || {
            *kept = None;
            let bytes = Bytes::from(make(&store, number)?);
            *kept = Some(Kept {
                number,
                made: Instant::now(),
                bytes: bytes.clone(),
            });
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

fn busy(why: &str) -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        format!("{why}: try again in a moment"),
    )
}

fn make(store: &Store, number: u64) -> Result<Vec<u8>, ApiError> {
    let snapshot = store.snapshot(number)?.ok_or_else(none)?;
    match snapshot.state() {
        Ok(_) => Ok(snapshot.encode()),
        Err(_) => Err(busy("another batch became final meanwhile")),
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
    let length = bytes.len();
    let parts = futures::stream::unfold(bytes, async |mut rest| {
        let part = rest.split_to(rest.len().min(PART));
        (!part.is_empty()).then_some((Ok::<_, std::io::Error>(part), rest))
    });
    let end = tokio::time::sleep(READING);
    let body = Body::from_stream(parts.take_until(end));
    let headers = [
        (header::CONTENT_TYPE, OCTETS.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    Ok((headers, body))
}
