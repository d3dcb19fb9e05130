//! `assay dispute` against a chain with open disputes, as somebody reads it who was not there.

use crate::disputes::{rich, rollup};
use crate::support::{L1, until};
use crate::verifier::Work;
use anyhow::{Context, Result, ensure};
use assay::service::Service;
use assay_client::batches::Reader;
use assay_client::disputes as read;
use assay_client::http::Api;
use assay_client::instructions::disputes as make;
use assay_client::sender::Order;
use assay_client::wallet::Wallet;
use assay_client::{accounts, pda};
use assay_dispute::game::{Claim, Move};
use assay_ledger::Hash;
use assay_ledger::header::Header;
use serde_json::Value;
use solana_pubkey::Pubkey;
use tokio::process::Command;

/// What `assay dispute` prints to people, or why it fails.
async fn dispute(l1: &L1, words: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_assay_process"))
        .args(["dispute", "--rpc", l1.chain.rpc_url()])
        .args(["--rollup", &l1.rollup.to_string()])
        .args(words)
        .output()
        .await?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{error}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn json(l1: &L1, words: &[&str]) -> Result<Value> {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    Ok(serde_json::from_str(&dispute(l1, &words).await?)?)
}

/// The header of a batch, when it is on L1.
async fn posted(l1: &L1, number: u64) -> Result<Header> {
    let rpc = l1.sender.rpc();
    until("the batch on L1", || async {
        let chain = accounts::chain(rpc, &l1.rollup).await?;
        let known = |_: u64| None::<Hash>;
        let mut reader = Reader::new(l1.rollup);
        let ahead = reader.read(rpc, &chain, known).await?;
        let headers = ahead.batches.into_iter().map(|posted| posted.header);
        Ok(headers.into_iter().find(|header| header.number == number))
    })
    .await
}

async fn open(l1: &L1, key: &Wallet, id: u64, header: &Header) -> Result<Pubkey> {
    let open = make::open_dispute(&key.address(), id, header);
    let order = Order::new("open", key.keypair(), vec![open]).units(400_000);
    l1.sender.send(&order).await?;
    Ok(pda::dispute(&l1.rollup, &key.address(), id))
}

#[tokio::test(flavor = "multi_thread")]
async fn disputes_are_told_in_plain_words() -> Result<()> {
    let mut parameters = rollup(4_000);
    parameters.params.clock = 600;
    parameters.params.extension = 20;
    let l1 = L1::with(parameters).await?;
    let service = Service::start(l1.config()).await?;
    let work = Work::start(&l1, &Api::new(service.url())).await?;
    let number = work.batch(3).await?;
    let header = posted(&l1, number).await?;
    service.stop().await?;
    assert_eq!(dispute(&l1, &["list"]).await?.trim(), "no disputes");
    assert_eq!(json(&l1, &["list"]).await?, serde_json::json!([]));

    let challenger = rich(&l1, "challenger.json").await?;
    let (one, key) = (challenger.address().to_string(), l1.dir.path());
    let address = open(&l1, &challenger, 1, &header).await?.to_string();
    let found = json(&l1, &["list"]).await?;
    let view = &found[0];
    assert_eq!(view["address"], address.as_str());
    assert_eq!(view["batch"], number);
    assert_eq!(view["challenger"], one.as_str());
    let asserter = l1.sequencer.address().to_string();
    assert_eq!(view["asserter"], asserter.as_str());
    assert_eq!(
        (&view["class"], &view["turn"]),
        (&"turn".into(), &"challenger".into())
    );
    assert_eq!(view["bond"], header.params.dispute_bond);
    assert_eq!(view["slice"], header.params.bond_slice);
    assert!(view["seconds"].as_f64().context("seconds")? > 0.0);
    assert_eq!(
        json(&l1, &["show", &address]).await?["address"],
        view["address"]
    );
    let deadline = view["deadline"].as_u64().context("a deadline")?;

    let list = dispute(&l1, &["list"]).await?;
    for words in [
        &address,
        &format!("batch {number}: something in the batch is wrong; what, is not said yet"),
        "the challenger says where to look, or proves at once what is wrong",
        &format!("clock: the challenger's, until slot {deadline}"),
    ] {
        assert!(list.contains(words), "{words:?} is not in {list}");
    }
    let shown = dispute(&l1, &["show", &address]).await?;
    for words in [
        &format!("{asserter} (made the batch)"),
        &format!("{one} (says it is wrong)"),
        "the challenger's bond of 0.05 SOL, the asserter's slice of 1 SOL",
        "0 SOL by the challenger, 0 SOL by the asserter",
    ] {
        assert!(shown.contains(words), "{words:?} is not in {shown}");
    }

    // Only whose it is: the other side's, and nobody's.
    let file = |name: &str| key.join(name).to_string_lossy().into_owned();
    rich(&l1, "stranger.json").await?;
    for (name, count) in [
        ("challenger.json", 1),
        ("key.json", 1),
        ("stranger.json", 0),
    ] {
        let mine = json(&l1, &["list", "--mine", "--key", &file(name)]).await?;
        assert_eq!(mine.as_array().context("a list")?.len(), count, "{name}");
    }
    let early = dispute(
        &l1,
        &["time-out", &address, "--key", &file("stranger.json")],
    )
    .await;
    let early = early.err().context("it is too early")?.to_string();
    assert!(
        early.contains("the challenger may move up to slot"),
        "{early}"
    );

    // The other side's turn, which never comes: anybody may end it.
    let rpc = l1.sender.rpc();
    let state = read::get(rpc, &address.parse()?)
        .await?
        .context("it")?
        .state;
    let claim = Move::Claim(Claim::Transactions);
    let play = make::play(
        &l1.rollup,
        &address.parse()?,
        &challenger.address(),
        state,
        &claim,
    );
    let order = Order::new("claim", challenger.keypair(), vec![play]).units(400_000);
    l1.sender.send(&order).await?;
    let view = json(&l1, &["show", &address]).await?;
    assert_eq!(
        (&view["turn"], &view["moves"]),
        (&"asserter".into(), &1.into())
    );
    let claim = view["claim"].as_str().context("a claim")?;
    assert!(
        claim.contains("transactions, or its result, is not as it must be"),
        "{claim}"
    );
    let deadline = view["deadline"].as_u64().context("a deadline")?;
    l1.skip_to(deadline + 1).await?;
    let late = dispute(&l1, &["show", &address]).await?;
    assert!(late.contains("the asserter's has run out"), "{late}");
    let words = ["time-out", &address, "--key", &file("stranger.json")];
    let ended = dispute(&l1, &words).await?;
    let why = "the challenger has won, the batch is reverted: the other side's clock ran out";
    assert!(ended.contains(why), "{ended}");
    let again = dispute(&l1, &words).await.err().context("it is over")?;
    assert!(
        again.to_string().contains("the dispute is decided"),
        "{again}"
    );

    let words = ["claim-payout", &address, "--key", &file("stranger.json")];
    let no = dispute(&l1, &words).await.err().context("not a party")?;
    assert!(no.to_string().contains("is on neither side"), "{no}");
    let before = rpc.balance(&challenger.address()).await?;
    let words = ["claim-payout", &address, "--key", &file("challenger.json")];
    let paid = dispute(&l1, &words).await?;
    assert!(paid.contains("0 SOL by the challenger"), "{paid}");
    let won = rpc.balance(&challenger.address()).await? - before;
    let prize = header.params.dispute_bond + header.params.bond_slice / 2;
    assert!(won > prize - 50_000 && won <= prize, "{won} of {prize}");
    l1.chain.stop().await
}
