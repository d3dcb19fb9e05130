//! Proofs of what L1 pays.

use super::error::ApiError;
use super::{Api, parse};
use assay_client::api::{
    Base64, ErrorBody, Hash32, JobView, Key32, OutboxProof, OutputView, WithdrawalView,
};
use assay_ledger::outbox::{self, OutboxLeaf};
use assay_tensor::commit::tensor_root;
use assay_tensor::merkle;
use assay_tensor::types::DType;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

/// A leaf of the outbox with its path to the root of the newest final batch.
#[utoipa::path(
    get, path = "/v1/outbox/{index}", tag = "outbox",
    params(("index" = u64, Path, description = "the leaf's index")),
    responses(
        (status = 200, body = OutboxProof),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
    )
)]
pub async fn proof(
    State(api): State<Api>,
    Path(index): Path<String>,
) -> Result<Json<OutboxProof>, ApiError> {
    let index: u64 = parse("index", &index)?;
    let (batch, leaf) = api
        .store
        .outbox_leaf(index)?
        .ok_or_else(|| ApiError::not_found(format!("the outbox has no leaf {index}")))?;
    let newest = api.heads.borrow().finalised;
    let not_final = || {
        ApiError::new(
            StatusCode::CONFLICT,
            "not_final",
            format!("leaf {index} is in batch {batch}, the newest final one is {newest}: wait"),
        )
    };
    if batch > newest {
        return Err(not_final());
    }
    let header = api.store.batch(newest)?.ok_or_else(not_final)?.header;
    let tree = header.state.outbox;
    let path = api
        .engine
        .outbox_path(index, tree.count)
        .await?
        .ok_or_else(not_final)?;
    Ok(Json(OutboxProof {
        index,
        leaf: leaf.into(),
        batch: newest,
        count: tree.count,
        root: Hash32(tree.root),
        siblings: outbox::trim(tree.count, &path)
            .iter()
            .map(|h| Hash32(*h))
            .collect(),
    }))
}

/// Withdrawals to an L1 address.
#[utoipa::path(
    get, path = "/v1/withdrawals/{recipient}", tag = "outbox",
    params(("recipient" = String, Path, description = "base58 key")),
    responses((status = 200, body = Vec<WithdrawalView>))
)]
pub async fn withdrawals(
    State(api): State<Api>,
    Path(recipient): Path<String>,
) -> Result<Json<Vec<WithdrawalView>>, ApiError> {
    let recipient: Key32 = parse("recipient", &recipient)?;
    let newest = api.heads.borrow().finalised;
    let mut views = Vec::new();
    for index in api.store.withdrawals_to(&recipient.0)? {
        if let Some((batch, OutboxLeaf::Withdrawal { mint, amount, .. })) =
            api.store.outbox_leaf(index)?
        {
            views.push(WithdrawalView {
                index,
                mint: Key32(mint),
                amount,
                batch,
                payable: batch <= newest,
            });
        }
    }
    Ok(Json(views))
}

/// The result of an L1 job, its outputs with their openings.
#[utoipa::path(
    get, path = "/v1/jobs/{address}", tag = "outbox",
    params(("address" = String, Path, description = "the job's account on L1, base58")),
    responses((status = 200, body = JobView), (status = 404, body = ErrorBody))
)]
pub async fn job(
    State(api): State<Api>,
    Path(address): Path<String>,
) -> Result<Json<JobView>, ApiError> {
    let job: Key32 = parse("address", &address)?;
    let missing = || {
        ApiError::not_found(format!(
            "no result of job {job} yet: it is consumed some slots after it was created"
        ))
    };
    let (index, batch, position) = api.store.job(&job.0)?.ok_or_else(missing)?;
    let (_, leaf) = api.store.outbox_leaf(index)?.ok_or_else(missing)?;
    let record = api
        .store
        .transaction(batch, position)?
        .ok_or_else(missing)?;
    let outputs = match record.outputs {
        None => Vec::new(),
        Some(bytes) => {
            let root = record.result.program_root;
            let blobs = api.blobs.clone();
            tokio::task::spawn_blocking(move || openings(&blobs, &root, &bytes))
                .await
                .map_err(|e| {
                    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e.to_string())
                })??
        }
    };
    Ok(Json(JobView {
        job,
        index,
        batch,
        settleable: batch <= api.heads.borrow().finalised,
        result: leaf.into(),
        outputs,
    }))
}

/// Each output with its path in the outputs' tree.
fn openings(
    blobs: &crate::store::blobs::Blobs,
    program_root: &assay_ledger::Hash,
    bytes: &[u8],
) -> Result<Vec<OutputView>, ApiError> {
    let program = blobs.program(program_root)?;
    let types = program.output_types();
    let parts = program.split_outputs(bytes).ok_or_else(|| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store",
            "the stored outputs are not of the program's size",
        )
    })?;
    let roots: Vec<_> = types
        .iter()
        .zip(&parts)
        .map(|(ty, data)| tensor_root(ty, data))
        .collect();
    Ok(types
        .iter()
        .zip(parts)
        .enumerate()
        .map(|(i, (ty, data))| OutputView {
            dtype: match ty.dtype {
                DType::I8 => "i8".into(),
                DType::I32 => "i32".into(),
            },
            dims: ty.shape.dims().to_vec(),
            data: Base64(data.to_vec()),
            siblings: merkle::path(&roots, i as u64)
                .unwrap_or_default()
                .into_iter()
                .map(Hash32)
                .collect(),
        })
        .collect())
}
