//! The bytes of models.

use super::error::ApiError;
use super::{Api, parse};
use assay_client::api::{BlobView, ErrorBody, Hash32, OCTETS};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;

/// What a blob is.
#[derive(Debug, Deserialize)]
pub struct PutQuery {
    program: Option<String>,
}

/// Stores a blob and names it by its root. Without `program` it is the encoding of a tensor
/// program, and its root the program's. With `program` it is the parameters of that program,
/// which must be here already: their bytes one after the other; the root covers their types too.
#[utoipa::path(
    put, path = "/v1/blobs", tag = "blobs",
    params(("program" = Option<String>, Query, description = "root of the program whose parameters these are, hex")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = BlobView), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 507, body = ErrorBody),
    )
)]
pub async fn put(
    State(api): State<Api>,
    Query(query): Query<PutQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BlobView>, ApiError> {
    let body = body?;
    let program: Option<Hash32> = query
        .program
        .map(|text| parse("program", &text))
        .transpose()?;
    let bytes = body.len() as u64;
    let root = blocking(move || match program {
        None => api.blobs.put_program(&body),
        Some(program) => api.blobs.put_parameters(&program.0, &body),
    })
    .await?;
    Ok(Json(BlobView {
        root: Hash32(root),
        bytes,
    }))
}

/// A blob's bytes.
#[utoipa::path(
    get, path = "/v1/blobs/{root}", tag = "blobs",
    params(("root" = String, Path, description = "hex")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = ErrorBody),
    )
)]
pub async fn get(
    State(api): State<Api>,
    Path(root): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let root: Hash32 = parse("root", &root)?;
    let bytes = blocking(move || api.blobs.get(&root.0)).await?;
    Ok(([(header::CONTENT_TYPE, OCTETS)], bytes))
}

/// Runs what hashes or waits for the disk where it holds up nobody.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Send + 'static,
    ApiError: From<E>,
{
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e.to_string()))?;
    Ok(done?)
}
