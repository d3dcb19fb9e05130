//! Submitting requests, and what became of them.

use super::error::ApiError;
use super::{Api, parse};
use crate::engine::{Answer, Placed};
use crate::store::records::TxRecord;
use assay_client::api::{
    ErrorBody, Hash32, MAX_BULK, OCTETS, Outcome, Stage, SubmitAnswer, SubmitJson, TransactionView,
};
use assay_ledger::Hash;
use assay_ledger::request::SignedRequest;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use borsh::BorshDeserialize;

/// Submits signed requests, at most 4,096. They are taken in the order given, each on its own: a
/// bad one spoils no other. The answer comes when all that were accepted are executed and
/// durable. A request that is in a batch already gets its answer again.
#[utoipa::path(
    post, path = "/v1/transactions", tag = "transactions",
    request_body(content(
        (SubmitJson = "application/json"),
        (Vec<u8> = "application/octet-stream"),
    ), description = "JSON, or the borsh encoding of `Vec<SignedRequest>`"),
    responses(
        (status = 200, body = SubmitAnswer),
        (status = 400, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 415, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub async fn submit(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SubmitAnswer>, ApiError> {
    let requests = read(&headers, &body?)?;
    if requests.len() > MAX_BULK {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!(
                "{} requests, {MAX_BULK} at most in one call: split them",
                requests.len()
            ),
        ));
    }
    let admission = api.admission.clone();
    let checked = tokio::task::spawn_blocking(move || admission.admit(requests))
        .await
        .map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e.to_string()))?;

    let mut admitted = Vec::with_capacity(checked.len());
    let mut outcomes: Vec<(Hash, Option<Answer>)> = Vec::with_capacity(checked.len());
    for (id, result) in checked {
        outcomes.push((
            id,
            match result {
                Ok(request) => {
                    admitted.push(request);
                    None
                }
                Err(refused) => {
                    api.metrics.refuse(refused.code());
                    Some(Err(refused))
                }
            },
        ));
    }
    let mut answers = api.engine.submit(admitted).await?.into_iter();
    let outcomes = outcomes
        .into_iter()
        .filter_map(|(id, early)| Some(outcome(id, early.or_else(|| answers.next())?)))
        .collect();
    Ok(Json(SubmitAnswer { outcomes }))
}

fn outcome(id: Hash, answer: Answer) -> Outcome {
    let (error, executed) = match answer {
        Ok(placed) => (None, Some(placed.into())),
        Err(refused) => (Some((&refused).into()), None),
    };
    Outcome {
        id: Hash32(id),
        accepted: error.is_none(),
        error,
        executed,
    }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<SignedRequest>, ApiError> {
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map(|v| v.split(';').next().unwrap_or(v).trim())
        .unwrap_or_default();
    match media {
        OCTETS => Vec::try_from_slice(body).map_err(|e| {
            ApiError::bad(
                "body",
                format!("not the borsh encoding of a list of signed requests: {e}"),
            )
        }),
        "application/json" => {
            let json: SubmitJson = serde_json::from_slice(body)
                .map_err(|e| ApiError::bad("body", format!("not a SubmitJson: {e}")))?;
            Ok(json.requests.into_iter().map(SignedRequest::from).collect())
        }
        other => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            format!("content type {other:?}: send {OCTETS} (borsh) or application/json"),
        )),
    }
}

/// A transaction by its request's id.
#[utoipa::path(
    get, path = "/v1/transactions/{id}", tag = "transactions",
    params(("id" = String, Path, description = "SHA-256 of the signing bytes, hex")),
    responses((status = 200, body = TransactionView), (status = 404, body = ErrorBody))
)]
pub async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<TransactionView>, ApiError> {
    let id: Hash32 = parse("id", &id)?;
    let (batch, position, record) = api.store.find_transaction(&id.0)?.ok_or_else(|| {
        ApiError::not_found(format!(
            "no transaction {id} is in a batch: its nonce is free if it was never answered"
        ))
    })?;
    let stage = if batch >= api.engine.building().number {
        Stage::Building
    } else {
        let heads = api.heads.borrow();
        if batch <= heads.finalised {
            Stage::Final
        } else if batch <= heads.tip {
            Stage::Posted
        } else {
            Stage::Closed
        }
    };
    Ok(Json(TransactionView {
        id,
        executed: placed(batch, position, record).into(),
        stage,
    }))
}

fn placed(batch: u64, position: u32, record: TxRecord) -> Placed {
    Placed {
        batch,
        position,
        result: record.result,
        outputs: record.outputs,
    }
}
