//! Batches, their data, and what they cost on L1.

use super::error::ApiError;
use super::{Api, parse};
use crate::store::records::BatchRecord;
use assay_client::api::{
    BatchStatus, BatchView, ErrorBody, Hash32, Key32, L1Transaction, OCTETS, Signature64,
};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;

/// The most batches in one answer.
const PAGE: usize = 100;

/// Which batches.
#[derive(Debug, Deserialize)]
pub struct ListQuery {
    before: Option<u64>,
    limit: Option<usize>,
}

/// Closed batches, newest first.
#[utoipa::path(
    get, path = "/v1/batches", tag = "batches",
    params(
        ("before" = Option<u64>, Query, description = "only batches before this number"),
        ("limit" = Option<usize>, Query, description = "how many, 100 at most"),
    ),
    responses((status = 200, body = Vec<BatchView>))
)]
pub async fn list(
    State(api): State<Api>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<BatchView>>, ApiError> {
    let limit = query.limit.unwrap_or(PAGE).min(PAGE);
    let records = api.store.batches(query.before.unwrap_or(u64::MAX), limit)?;
    let views: Result<Vec<_>, _> = records.iter().map(|r| view(&api, r)).collect();
    Ok(Json(views?))
}

/// A closed batch.
#[utoipa::path(
    get, path = "/v1/batches/{number}", tag = "batches",
    params(("number" = u64, Path, description = "from 1")),
    responses((status = 200, body = BatchView), (status = 404, body = ErrorBody))
)]
pub async fn get(
    State(api): State<Api>,
    Path(number): Path<String>,
) -> Result<Json<BatchView>, ApiError> {
    let number = parse("number", &number)?;
    let record = api.store.batch(number)?.ok_or_else(|| missing(number))?;
    Ok(Json(view(&api, &record)?))
}

/// A closed batch's data.
#[utoipa::path(
    get, path = "/v1/batches/{number}/data", tag = "batches",
    params(("number" = u64, Path, description = "from 1")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = ErrorBody),
    )
)]
pub async fn data(
    State(api): State<Api>,
    Path(number): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let number = parse("number", &number)?;
    let data = api.store.data(number)?.ok_or_else(|| missing(number))?;
    Ok(([(header::CONTENT_TYPE, OCTETS)], data))
}

/// The output roots of a closed batch's transactions that ran a model, in order, 32 bytes each:
/// with them a verifier can check the batch's roots without running all of its models.
#[utoipa::path(
    get, path = "/v1/batches/{number}/outputs", tag = "batches",
    params(("number" = u64, Path, description = "from 1")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = ErrorBody),
    )
)]
pub async fn outputs(
    State(api): State<Api>,
    Path(number): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let number = parse("number", &number)?;
    api.store.batch(number)?.ok_or_else(|| missing(number))?;
    let results = api.store.transactions(number)?;
    let ran = results.iter().map(|record| &record.result);
    let roots: Vec<u8> = ran
        .filter(|result| result.program_root != [0; 32])
        .flat_map(|result| result.output_root)
        .collect();
    Ok(([(header::CONTENT_TYPE, OCTETS)], roots))
}

/// Closes the batch being built, after all that was submitted before. On a development network
/// only.
#[utoipa::path(
    post, path = "/v1/batches/close", tag = "batches",
    responses(
        (status = 200, body = BatchView),
        (status = 403, body = ErrorBody), (status = 409, body = ErrorBody),
    )
)]
pub async fn close(State(api): State<Api>) -> Result<Json<BatchView>, ApiError> {
    if !api.dev {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not_dev",
            "batches are closed by call on a development network only: set `dev = true`",
        ));
    }
    let number = api.engine.close_batch().await?.ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "empty",
            "the batch being built is empty",
        )
    })?;
    let record = api.store.batch(number)?.ok_or_else(|| missing(number))?;
    Ok(Json(view(&api, &record)?))
}

fn missing(number: u64) -> ApiError {
    ApiError::not_found(format!(
        "there is no closed batch {number}: see GET /v1/batches"
    ))
}

fn view(api: &Api, record: &BatchRecord) -> Result<BatchView, ApiError> {
    let header = &record.header;
    let l1: Vec<L1Transaction> = api
        .store
        .l1(header.number)?
        .into_iter()
        .map(|(signature, record)| L1Transaction {
            step: record.step.name().into(),
            signature: Signature64(signature),
            lamports: record.lamports,
            bytes: record.bytes,
        })
        .collect();
    let heads = *api.heads.borrow();
    Ok(BatchView {
        number: header.number,
        hash: Hash32(header.hash()),
        parent: Hash32(header.parent),
        sequencer: Key32(header.sequencer),
        state_root: Hash32(header.state.root()),
        state: header.state.into(),
        tx_root: Hash32(header.tx_root),
        tx_count: header.tx_count,
        inferences: record.inferences,
        data_root: Hash32(header.data_root),
        data_len: header.data_len,
        status: if header.number <= heads.finalised {
            BatchStatus::Final
        } else if header.number <= heads.tip {
            BatchStatus::Posted
        } else {
            BatchStatus::Closed
        },
        l1_lamports: l1.iter().map(|t| t.lamports).sum(),
        l1_bytes: l1.iter().map(|t| t.bytes).sum(),
        l1,
    })
}
