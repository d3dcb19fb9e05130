//! Disputes for nothing: a challenger who is wrong, against an honest sequencer.

use crate::disputes::{bond, chain, rich, rollup};
use crate::support::{L1, until, until_final};
use crate::verifier::Work;
use anyhow::{Context, Result};
use assay::service::Service;
use assay_client::disputes;
use assay_client::http::Api;
use assay_client::instructions::disputes as make;
use assay_client::sender::{Order, SendError};
use assay_client::wallet::Wallet;
use assay_dispute::Side;
use assay_dispute::game::{Claim, Class, Move, Stage};
use assay_dispute::prove::ProofKind;
use assay_ledger::Hash;
use assay_ledger::header::Header;
use settlement::state::Chain;
use solana_pubkey::Pubkey;
use std::time::Instant;

/// A challenger who is wrong, and does all that the rules allow.
pub struct Liar<'a> {
    pub l1: &'a L1,
    pub key: Wallet,
    /// What it says where it has a choice.
    pub claims: Vec<Claim>,
    pub child: u8,
}

impl Liar<'_> {
    async fn send(&self, instruction: solana_instruction::Instruction) -> Result<(), SendError> {
        let order = Order::new("liar", self.key.keypair(), vec![instruction]).units(1_400_000);
        self.l1.sender.send(&order).await.map(|_| ())
    }

    pub async fn open(&self, id: u64, header: &Header) -> Result<Pubkey> {
        self.send(make::open_dispute(&self.key.address(), id, header))
            .await?;
        let rollup = &self.l1.rollup;
        Ok(assay_client::pda::dispute(rollup, &self.key.address(), id))
    }

    /// Plays as long as there is a move; then brings a proof of nothing, and falls silent.
    pub async fn play(&mut self, dispute: &Pubkey, asserter: &Pubkey) -> Result<Stage> {
        loop {
            let found = until("the liar's turn", || async {
                let found = disputes::get(self.l1.sender.rpc(), dispute).await?;
                let found = found.context("the dispute")?;
                let turn = found.game.stage.turn();
                Ok((turn == Some(Side::Challenger)).then_some(found))
            })
            .await?;
            let tree = found.game.stage.tree();
            let made = match (tree.is_some_and(|d| d.choosing()), self.claims.is_empty()) {
                (true, _) => Some(Move::Choose { child: self.child }),
                (false, false) => Some(Move::Claim(self.claims.remove(0))),
                (false, true) => None,
            };
            let (rollup, key) = (&self.l1.rollup, self.key.address());
            let Some(made) = made else {
                for kind in [
                    ProofKind::Data { index: 0 },
                    ProofKind::State,
                    ProofKind::Element,
                ] {
                    let proof = vec![7; 40];
                    let prove = make::prove(rollup, dispute, &key, asserter, None, kind, proof);
                    let refused = self.send(prove).await;
                    assert!(refused.is_err_and(|e| e.code().is_some()), "{kind:?}");
                }
                return Ok(found.game.stage);
            };
            self.send(make::play(rollup, dispute, &key, found.state, &made))
                .await?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_sequencer_wins_against_who_challenges_it_for_nothing() -> Result<()> {
    let l1 = L1::with(rollup(160)).await?;
    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    let work = Work::start(&l1, &api).await?;
    let number = work.batch(20).await?;
    let header = until("the batch", || async {
        let chain = chain(&l1).await?;
        let posted = headers(&l1, &chain).await?;
        Ok(posted.into_iter().find(|h| h.number == number))
    })
    .await?;
    let parent = {
        let chain = chain(&l1).await?;
        let posted = headers(&l1, &chain).await?;
        posted.into_iter().find(|h| h.number + 1 == number)
    };
    let asserter = l1.sequencer.address();
    let before = (bond(&l1).await?, Instant::now());
    let transactions = vec![Claim::Transactions, Claim::Execution];
    let states = vec![Claim::State { parent }];
    let outputs = vec![Claim::Transactions, Claim::Outputs];
    let mut ends = Vec::new();
    let mut played = Vec::new();
    for (id, (claims, child)) in [(transactions, 0), (states, 1), (outputs, 0), (vec![], 0)]
        .into_iter()
        .enumerate()
    {
        let key = rich(&l1, &format!("liar-{id}.json")).await?;
        let mut liar = Liar {
            l1: &l1,
            key,
            claims,
            child,
        };
        let dispute = liar.open(id as u64, &header).await?;
        played.push((dispute, liar.key.address()));
        ends.push(async move { liar.play(&dispute, &asserter).await });
    }
    let ends = futures::future::try_join_all(ends).await?;
    assert!(matches!(ends[0], Stage::Element(..)), "{:?}", ends[0]);
    assert!(matches!(ends[1], Stage::StateStep(..)), "{:?}", ends[1]);
    assert!(matches!(ends[2], Stage::Output(..)), "{:?}", ends[2]);
    assert!(matches!(ends[3], Stage::Opened), "{:?}", ends[3]);
    // The sequencer takes their bonds when their clocks have run out, and the batch is final.
    for (dispute, liar) in &played {
        until("the verdict and the payout", || async {
            let found = disputes::get(l1.sender.rpc(), dispute).await?;
            let found = found.context("the dispute")?;
            let over = matches!(
                found.game.class(true, 0),
                Class::Over(verdict) if verdict.winner == Side::Asserter
            );
            Ok((over && found.head.is_settled()).then_some(()))
        })
        .await?;
        // Its account's rent is the liar's, whoever asks.
        let close = make::close_dispute(dispute, liar);
        let order = Order::new("close", l1.operator.keypair(), vec![close]);
        l1.sender.send(&order).await?;
    }
    until_final(&api, number).await?;
    assert_eq!(bond(&l1).await?, before.0);
    let mut paid = 0;
    for (dispute, _) in &played {
        let signatures = l1.sender.rpc().client().get_signatures_for_address(dispute);
        for signature in signatures.await? {
            let signature = signature.signature.parse()?;
            let found = l1.sender.rpc().transaction(&signature);
            let found = found.await?.context("a transaction")?;
            let transaction = found.transaction.transaction.decode().context("decodes")?;
            if transaction.message.static_account_keys()[0] == asserter {
                paid += found.transaction.meta.context("its meta")?.fee;
            }
        }
    }
    println!(
        "four disputes answered in {:.1} s: {paid} lamports of fees for {} of bonds",
        before.1.elapsed().as_secs_f64(),
        4 * header.params.dispute_bond
    );
    assert!(paid < header.params.dispute_bond);
    service.stop().await?;
    l1.chain.stop().await
}

/// The headers of the batches that are pending on L1.
pub async fn headers(l1: &L1, chain: &Chain) -> Result<Vec<Header>> {
    let known = |_: u64| None::<Hash>;
    let mut reader = assay_client::batches::Reader::new(l1.rollup);
    let ahead = reader.read(l1.sender.rpc(), chain, known).await?;
    Ok(ahead.batches.into_iter().map(|p| p.header).collect())
}
