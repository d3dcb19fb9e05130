//! Accounts and models, as the last commit has them.

use super::error::ApiError;
use super::{Api, parse};
use assay_client::api::{AccountView, ErrorBody, Hash32, Key32, ModelView};
use assay_ledger::state::Model;
use axum::Json;
use axum::extract::{Path, State};

/// An owner's accounts in all mints; an empty list for an owner without any.
#[utoipa::path(
    get, path = "/v1/accounts/{owner}", tag = "ledger",
    params(("owner" = String, Path, description = "base58 key")),
    responses((status = 200, body = Vec<AccountView>), (status = 400, body = ErrorBody))
)]
pub async fn accounts(
    State(api): State<Api>,
    Path(owner): Path<String>,
) -> Result<Json<Vec<AccountView>>, ApiError> {
    let owner: Key32 = parse("owner", &owner)?;
    let accounts = api.store.accounts_of(&owner.0)?;
    Ok(Json(
        accounts
            .into_iter()
            .map(|(index, account)| AccountView {
                index,
                owner: Key32(account.owner),
                mint: Key32(account.mint),
                balance: account.balance,
                nonce: account.nonce,
            })
            .collect(),
    ))
}

/// All models.
#[utoipa::path(
    get, path = "/v1/models", tag = "ledger",
    responses((status = 200, body = Vec<ModelView>))
)]
pub async fn models(State(api): State<Api>) -> Result<Json<Vec<ModelView>>, ApiError> {
    let models = api.store.models()?;
    let views: Result<Vec<_>, _> = models
        .into_iter()
        .map(|(index, model)| view(&api, index, model))
        .collect();
    Ok(Json(views?))
}

/// A model.
#[utoipa::path(
    get, path = "/v1/models/{index}", tag = "ledger",
    params(("index" = u32, Path, description = "the model's index")),
    responses((status = 200, body = ModelView), (status = 404, body = ErrorBody))
)]
pub async fn model(
    State(api): State<Api>,
    Path(index): Path<String>,
) -> Result<Json<ModelView>, ApiError> {
    let index: u32 = parse("index", &index)?;
    let model = api.store.model(index)?.ok_or_else(|| {
        ApiError::not_found(format!("there is no model {index}: see GET /v1/models"))
    })?;
    Ok(Json(view(&api, index, model)?))
}

fn view(api: &Api, index: u32, model: Model) -> Result<ModelView, ApiError> {
    let publisher = api.store.account(model.publisher)?.ok_or_else(|| {
        ApiError::not_found(format!("model {index} has no publisher in the store"))
    })?;
    let problem = [model.program_root, model.parameters_root]
        .iter()
        .find(|root| !api.blobs.has(root))
        .map(|root| format!("blob {} is not here", Hash32(*root)));
    Ok(ModelView {
        index,
        publisher: Key32(publisher.owner),
        mint: Key32(publisher.mint),
        program_root: Hash32(model.program_root),
        parameters_root: Hash32(model.parameters_root),
        price: model.price,
        units: model.units,
        input_bytes: model.input_bytes,
        version: model.version,
        callable_from: model.callable_from,
        callable: problem.is_none() && model.callable_from <= api.engine.building().number,
        problem,
    })
}
