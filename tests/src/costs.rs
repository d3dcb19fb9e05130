//! What disputes and demands cost: rows for the table of instructions, and a summary of the disputes about
//! the digits model.

use crate::demands::Naming;
use crate::digits::Digits;
use crate::disputes::Asserter;
use crate::duel::Played;
use crate::rollup::TestRollup;
use crate::svm::{BASE_FEE, Wire, accepted};
use crate::table::Row;
use assay_dispute::Side;
use assay_dispute::game::{Claim, Move};
use settlement::state::{Demand, Dispute};
use solana_signer::Signer;
use std::fmt::Write;

/// Transactions of the batch about which the digits model's disputes are.
const BATCH: u32 = 4_096;

/// The instructions of disputes that end by time, and of demands.
pub fn instructions() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |instruction: &str, sent| {
        rows.push(Row::new("settlement", &settlement::ID, instruction, &sent));
    };
    let mut r = TestRollup::new(4);
    let key = r.sequencer.insecure_clone();
    let challenger = r.svm.rich_key();
    r.svm.payer = challenger.insecure_clone();
    let asserter = Asserter::new(&r, 20, 20);
    r.settle(&asserter.draft);
    let header = asserter.header();
    row(
        "open_dispute",
        accepted(r.open_dispute(&challenger, 0, &header)),
    );
    let lost = r.dispute_address(&challenger.pubkey(), 0);
    let dispute = r.disputed(&challenger, 1, &header);
    let claim = Move::Claim(Claim::Transactions);
    row("claim", accepted(r.play(&challenger, &dispute, &claim)));
    r.svm.warp(header.params.clock + 1);
    row(
        "time_out of the challenger",
        accepted(r.time_out(&lost, &key.pubkey())),
    );
    row(
        "claim_payout",
        accepted(r.claim_payout(&lost, &key.pubkey())),
    );
    row(
        "close_dispute",
        accepted(r.close_dispute(&lost, &challenger.pubkey())),
    );
    let moot = {
        accepted(r.time_out(&dispute, &key.pubkey()));
        r.settle(&asserter.draft);
        let moot = r.disputed(&challenger, 2, &header);
        let dispute = r.disputed(&challenger, 3, &header);
        accepted(r.play(&challenger, &dispute, &claim));
        r.svm.warp(header.params.clock + 1);
        row(
            "time_out of the asserter",
            accepted(r.time_out(&dispute, &key.pubkey())),
        );
        moot
    };
    row("resolve", accepted(r.resolve(&moot)));

    let naming = Naming::new(&r);
    r.settle(&naming.draft);
    let named = naming.named(Naming::DEPLOY);
    row(
        "open_demand (version 1)",
        accepted(r.open_demand(&challenger, 0, &naming.header(), naming.chunks(), &named)),
    );
    let demand = r.demand_address(&challenger.pubkey(), 0);
    let other = r.demanded(&challenger, 1, &naming, naming.chunks());
    row(
        "answer, a chunk",
        accepted(r.answer(&key, &demand, 0, &naming.chunk(0, 0))),
    );
    r.svm.warp(naming.header().params.window * 2 / 3 + 1);
    row("time_out_demand", accepted(r.time_out_demand(&demand)));
    row("resolve_demand", accepted(r.resolve_demand(&other)));
    row(
        "close_demand",
        accepted(r.close_demand(&demand, &challenger)),
    );
    rows
}

/// The figures of the disputes about the digits model, as Markdown.
pub fn digits() -> String {
    let digits = Digits::new(BATCH);
    let (mut r, challenger) = digits.stage();
    let mut out = format!(
        "\n## Disputes about the digits model\n\n\
         A run in a batch of {BATCH} transactions, wrong by one in the first, a middle or the last element of the value of \
         each\noperator. The transactions are those of both sides, from the opening to the verdict; each has one signature. \
         Units are\nof whole transactions.\n\n\
         | transactions | at most | the challenger's | fees, lamports | most units | most units of a proof | largest proof, bytes |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut longest: Vec<Played> = Vec::new();
    for (wire, name) in [(Wire::Legacy, "legacy"), (Wire::V1, "version 1")] {
        let mut games = Vec::new();
        for (operator, (_, elements)) in (0u32..).zip(digits.operators()) {
            let mut elements = vec![0, elements / 2, elements - 1];
            elements.dedup();
            for element in elements {
                games.push(digits.dispute(&mut r, &challenger, wire, operator, element));
            }
        }
        let most = |of: &dyn Fn(&Played) -> u64| games.iter().map(of).max().unwrap_or(0);
        let count = most(&|game| game.sent.len() as u64);
        let _ = writeln!(
            out,
            "| {name} | {count} | {} | {} | {} | {} | {} |",
            most(&|game| game.of(Side::Challenger) as u64),
            count * BASE_FEE,
            most(&Played::units),
            most(&Played::last_units),
            most(&|game| game.proof.map_or(0, |(_, bytes)| bytes as u64)),
        );
        longest.extend(games.into_iter().max_by_key(|game| game.sent.len()));
    }
    let _ = write!(
        out,
        "\nBeside the fees a challenger lays out, and gets back: the bond, {} lamports of rent for the dispute, and\nrent for a buffer \
         if the proof does not fit a transaction. A demand's account has {} lamports of rent.\n\nThe longest of them, \
         transaction by transaction:\n\n\
         | transactions | side | instructions | compute units | bytes |\n| --- | --- | --- | ---: | ---: |\n",
        r.svm.rent(Dispute::size()),
        r.svm.rent(Demand::size()),
    );
    for (game, name) in longest.iter().zip(["legacy", "version 1"]) {
        for sent in &game.sent {
            let _ = writeln!(
                out,
                "| {name} | {:?} | {} | {} | {} |",
                sent.side,
                sent.what.join(", "),
                sent.units,
                sent.bytes
            );
        }
    }
    out
}
