//! The HTTP API: what it refuses, and how it says so.

use crate::support::{L1, Model, PRICE, SOLS, until, until_final};
use anyhow::Result;
use assay::service::Service;
use assay_client::api::{ErrorBody, Key32, OCTETS, SubmitAnswer};
use assay_client::http::Api;
use assay_client::wallet::Wallet;
use assay_ledger::SOL;
use assay_ledger::outbox;
use assay_ledger::request::Action;
use reqwest::{Client, Response, StatusCode};

async fn error(response: Response, status: StatusCode, code: &str) -> Result<()> {
    assert_eq!(response.status(), status);
    let body: ErrorBody = response.json().await?;
    assert_eq!(body.code, code, "{}", body.message);
    assert!(body.message.len() > 20, "{}", body.message);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_serves_and_refuses() -> Result<()> {
    let l1 = L1::start().await?;
    let mut config = l1.config();
    config.api.body_bytes = 1 << 20;
    config.api.blob_bytes = 1 << 20;
    let service = Service::start(config.clone()).await?;
    let api = Api::new(service.url());
    let (publisher, client) = (Wallet::random(), Wallet::random());
    l1.fund(&api, &publisher, SOLS).await?;
    l1.fund(&api, &client, SOLS).await?;
    let model = Model::deploy(&l1, &api, &publisher).await?;

    // Requests: each refused one by itself, in one call with good ones.
    let mut forged = l1.sign(&client, 0, model.infer(1));
    forged.signature[0] ^= 1;
    let mut foreign = client.sign(&publisher.address(), SOL, 0, model.infer(1));
    foreign.request.rollup = publisher.key();
    let outcomes = api
        .submit(&[
            forged,
            foreign,
            l1.sign(&client, 3, model.infer(1)),
            l1.sign(
                &client,
                0,
                Action::Transfer {
                    to: [9; 32],
                    amount: 2 * SOLS,
                },
            ),
            l1.sign(&Wallet::random(), 0, model.infer(1)),
            l1.sign(&client, 0, model.infer(1)),
            l1.sign(
                &client,
                1,
                Action::Withdraw {
                    recipient: client.key(),
                    amount: 77,
                },
            ),
        ])
        .await?;
    let codes: Vec<_> = outcomes
        .iter()
        .map(|o| o.error.as_ref().map(|e| e.code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            Some("signature"),
            Some("rollup"),
            Some("nonce"),
            Some("balance"),
            Some("account"),
            None,
            None
        ]
    );
    let account = api.account(Key32(client.key()), Key32(SOL)).await?.unwrap();
    assert_eq!((account.balance, account.nonce), (SOLS - PRICE - 77, 2));
    let id = outcomes[5].id;
    assert_eq!(
        api.transaction(id).await?.executed,
        outcomes[5].executed.clone().unwrap()
    );

    // The withdrawal's proof, when its batch is final.
    let batch = outcomes[6].executed.as_ref().unwrap().batch;
    let _ = api.close_batch().await;
    until_final(&api, batch).await?;
    let withdrawals = until("the withdrawal", || async {
        let all = api.withdrawals(Key32(client.key())).await?;
        Ok(all.iter().all(|w| w.payable).then_some(all))
    })
    .await?;
    let proof = api.outbox(withdrawals[0].index).await?;
    let siblings: Vec<_> = proof.siblings.iter().map(|h| h.0).collect();
    assert!(outbox::verify(
        proof.count,
        &proof.root.0,
        &(&proof.leaf).into(),
        proof.index,
        &siblings
    ));
    let chain = assay_client::accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
    assert_eq!(chain.final_outbox(proof.batch)?.root, proof.root.0);

    // Calls.
    let (http, url) = (Client::new(), service.url());
    let post = |media: &'static str, body: Vec<u8>| {
        http.post(format!("{url}/v1/transactions"))
            .header("content-type", media)
            .body(body)
            .send()
    };
    error(
        post(OCTETS, vec![1, 2, 3]).await?,
        StatusCode::BAD_REQUEST,
        "body",
    )
    .await?;
    error(
        post("application/json", b"{}".to_vec()).await?,
        StatusCode::BAD_REQUEST,
        "body",
    )
    .await?;
    error(
        post("text/plain", vec![]).await?,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media_type",
    )
    .await?;
    error(
        post(OCTETS, vec![0; 2 << 20]).await?,
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
    )
    .await?;
    let many = borsh_many(&l1, &client);
    error(
        post(OCTETS, many).await?,
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
    )
    .await?;
    let empty: SubmitAnswer = post(OCTETS, vec![0; 4]).await?.json().await?;
    assert!(empty.outcomes.is_empty());
    let put = |path: String, body: Vec<u8>| http.put(format!("{url}{path}")).body(body).send();
    error(
        put("/v1/blobs".into(), vec![7; 100]).await?,
        StatusCode::BAD_REQUEST,
        "blob",
    )
    .await?;
    error(
        put("/v1/blobs".into(), vec![0; 2 << 20]).await?,
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
    )
    .await?;
    let program = model
        .imported
        .program
        .root()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    error(
        put(format!("/v1/blobs?program={program}"), vec![7; 3]).await?,
        StatusCode::BAD_REQUEST,
        "blob",
    )
    .await?;
    let unknown = format!("/v1/blobs?program={}", "00".repeat(32));
    error(
        put(unknown, vec![7; 3]).await?,
        StatusCode::NOT_FOUND,
        "not_found",
    )
    .await?;
    let get = |path: &str| http.get(format!("{url}{path}")).send();
    for path in [
        "/v1/models/9",
        "/v1/batches/999",
        "/v1/outbox/99",
        "/v1/nothing",
    ] {
        error(get(path).await?, StatusCode::NOT_FOUND, "not_found").await?;
    }
    error(
        get("/v1/accounts/xyz").await?,
        StatusCode::BAD_REQUEST,
        "path",
    )
    .await?;
    error(
        http.delete(format!("{url}/v1/models")).send().await?,
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
    )
    .await?;
    assert_eq!(get("/health").await?.text().await?, "ok");
    assert!(
        get("/metrics")
            .await?
            .text()
            .await?
            .contains("assay_inferences_total 1")
    );
    let document: serde_json::Value = get("/openapi.json").await?.json().await?;
    for path in [
        "/v1/status",
        "/v1/transactions",
        "/v1/blobs",
        "/v1/batches/{number}",
        "/v1/jobs/{address}",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }

    // A second sequencer on the same directory.
    let second = Service::start(config).await.unwrap_err();
    assert!(format!("{second:#}").contains("in use"), "{second:#}");
    service.stop().await?;
    l1.chain.stop().await
}

/// More requests than one call may carry.
fn borsh_many(l1: &L1, client: &Wallet) -> Vec<u8> {
    let one = l1.sign(
        client,
        0,
        Action::Transfer {
            to: [1; 32],
            amount: 1,
        },
    );
    borsh::to_vec(&vec![one; assay_client::api::MAX_BULK + 1]).unwrap()
}
