//! Compute units of each instruction, measured on the built binaries.

use crate::batch::Draft;
use crate::programs;
use crate::rollup::{TestRollup, config};
use crate::svm::{Sent, Wire, accepted};
use assay_ledger::data::CHUNK;
use settlement::seeds;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::fmt::Write;

/// A line of the table.
pub struct Row {
    /// The program.
    pub program: &'static str,
    /// The instruction, and in which case.
    pub instruction: String,
    /// Compute units.
    pub units: u64,
    /// Bytes of the transaction on the wire.
    pub bytes: usize,
}

impl Row {
    /// A line from what was sent last.
    pub fn new(
        program: &'static str,
        id: &Pubkey,
        instruction: impl Into<String>,
        sent: &Sent,
    ) -> Self {
        Self {
            program,
            instruction: instruction.into(),
            units: sent.units(id),
            bytes: sent.bytes,
        }
    }
}

/// The table of sizes and of compute units, as Markdown.
pub fn markdown(names: &[&str], rows: &[Row]) -> String {
    let mut out = String::from(
        "# Programs: size and cost\n\n\
         Regenerate with `cargo xtask table`. Compute units are of the instruction itself, on the binaries in\n\
         `target/deploy`; bytes are of the whole transaction, signatures included.\n\n\
         | program | bytes |\n| --- | ---: |\n",
    );
    for name in names {
        let _ = writeln!(out, "| {name} | {} |", programs::load(name).len());
    }
    out.push_str("\n| program | instruction | compute units | transaction bytes |\n| --- | --- | ---: | ---: |\n");
    for row in rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            row.program, row.instruction, row.units, row.bytes
        );
    }
    out
}

/// Every instruction of the settlement program.
pub fn settlement() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |instruction: &str, sent: Sent| {
        rows.push(Row::new("settlement", &settlement::ID, instruction, &sent));
    };
    let mut r = TestRollup::unregistered(&["settlement"], config());
    let key = r.sequencer.insecure_clone();
    let slice = config().params.bond_slice;
    let user = r.svm.rich_key();
    // As the service does it: the sequencer pays its own transactions.
    r.svm.payer = key.insecure_clone();
    row("initialize_rollup", accepted(r.initialize(8, config())));
    row("register_sequencer", accepted(r.register(&key, 40 * slice)));
    row(
        "add_bond",
        accepted(r.add_bond(&user, &key.pubkey(), slice)),
    );
    row("enqueue, opening a page", accepted(r.force(&user)));
    row("enqueue", accepted(r.force(&user)));

    let first = Draft::new(&r, 700);
    let data = first.data_address();
    let seed = seeds::data_seed(1);
    row(
        "open_data",
        accepted(r.open_data(&key, &seed, first.header.data_len)),
    );
    row(
        "write_chunks, 1 chunk (legacy)",
        accepted(r.write_chunks(Wire::Legacy, &key, data, 0, &first.data[..CHUNK])),
    );
    row(
        "write_chunks, 4 chunks (version 1)",
        accepted(r.write_chunks(Wire::V1, &key, data, 0, &first.data[..4 * CHUNK])),
    );
    for (i, chunk) in first.data.chunks(4 * CHUNK).enumerate() {
        accepted(r.write_chunks(Wire::V1, &key, data, 4 * i as u32, chunk));
    }
    let chunks = first.data.len().div_ceil(CHUNK);
    row(
        &format!("seal_data, {chunks} chunks"),
        accepted(r.seal_data(&key, data)),
    );
    row("post_batch", accepted(r.post(&first)));
    row("close_data", accepted(r.close_data(&key, data)));
    for _ in 1..31 {
        let draft = Draft::new(&r, 1);
        r.settle(&draft);
    }
    // The dearest case: an open page, and 31 live batches to count the locked slices of.
    accepted(r.force(&user));
    let before = r.account();
    let last = Draft::new(&r, 1);
    let tip_chain = r.page(0).entries[1].chain;
    let last = last.inbox(before.inbox_cursor, tip_chain);
    r.publish(&last);
    row(
        "post_batch, 31 pending, with an inbox page",
        accepted(r.post(&last)),
    );
    r.svm.warp(config().params.window);
    row("finalize_batch", accepted(r.finalize()));
    row("claim_fees", accepted(r.claim_fees(&key)));
    row("request_unbond", accepted(r.request_unbond(&key, slice)));
    r.svm.warp(config().unbond_delay);
    row("withdraw_bond, 31 pending", accepted(r.withdraw_bond(&key)));
    let other = r.svm.rich_key();
    accepted(r.register(&other, slice));
    accepted(r.request_unbond(&other, slice));
    r.svm.warp(config().unbond_delay);
    accepted(r.withdraw_bond(&other));
    row("close_sequencer", accepted(r.close_sequencer(&other)));

    let mut r = TestRollup::new(1);
    r.svm.airdrop(&user.pubkey(), 1_000_000_000);
    for _ in 0..128 {
        accepted(r.force(&user));
    }
    let head = r.chain_account().tip().outbox_root;
    r.finalize_outbox(assay_ledger::state::TreeHead {
        count: 0,
        root: head,
    });
    row(
        "close_inbox_page",
        accepted(r.close_page(0, &user.pubkey())),
    );
    rows
}
