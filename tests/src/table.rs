//! Compute units of each instruction, measured on the built binaries.

use crate::batch::Draft;
use crate::escrow::Ran;
use crate::outbox::OutboxTree;
use crate::programs;
use crate::rollup::{TestRollup, config};
use crate::svm::{Sent, Wire, accepted};
use crate::tokens::{TOKEN_2022, TestMint};
use assay_ledger::data::CHUNK;
use assay_ledger::outbox::OutboxLeaf;
use assay_tensor::types::Tensor;
use settlement::seeds;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use spl_token_2022_interface::extension::ExtensionType;
use std::fmt::Write;

/// A line of the table.
#[derive(Clone, Debug)]
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
    row("add_bond", accepted(r.add_bond(&key, slice)));
    row(
        "renew_lease",
        accepted(r.renew_lease(&key, [1; 16], 600, false)),
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

/// Every instruction of the bridge program.
pub fn bridge() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |instruction: &str, sent: Sent| {
        rows.push(Row::new("bridge", &bridge::ID, instruction, &sent));
    };
    let mut r = crate::bridge::new();
    let user = r.svm.rich_key();
    let owner = user.pubkey();
    let mint = TestMint::new(&mut r.svm, TOKEN_2022, &[ExtensionType::MetadataPointer]);
    mint.mint_to(&mut r.svm, &owner, 1_000_000);
    // The first message opens a page of the inbox, which is the settlement program's cost.
    accepted(r.force(&user));
    row(
        "deposit_sol, creating the vault",
        accepted(r.deposit_sol(&user, owner, 1_000_000_000)),
    );
    row("deposit_sol", accepted(r.deposit_sol(&user, owner, 1)));
    row(
        "register_mint (Token-2022)",
        accepted(r.register_mint(&user, &mint)),
    );
    row(
        "deposit_token (Token-2022)",
        accepted(r.deposit_token(&user, &mint, owner, 500_000)),
    );
    let mut outbox = OutboxTree::default();
    for i in 0..1_000u64 {
        let mint = if i % 2 == 0 {
            Pubkey::default()
        } else {
            mint.address
        };
        outbox.push(OutboxLeaf::Withdrawal {
            recipient: [7; 32],
            mint: mint.to_bytes(),
            amount: 1_000 + i,
        });
    }
    let to = Pubkey::new_from_array([7; 32]);
    r.svm.airdrop(&to, 1_000_000_000);
    let batch = r.finalize_outbox(outbox.head());
    let args = |index| crate::bridge::withdraw_args(&outbox, batch, index);
    row(
        "withdraw_sol of 1,000 leaves, creating the page",
        accepted(r.withdraw_sol(&user, to, args(10))),
    );
    row(
        "withdraw_sol of 1,000 leaves",
        accepted(r.withdraw_sol(&user, to, args(12))),
    );
    row(
        "withdraw_token of 1,000 leaves, creating the token account",
        accepted(r.withdraw_token(&user, &mint, to, args(11))),
    );
    row(
        "withdraw_token of 1,000 leaves",
        accepted(r.withdraw_token(&user, &mint, to, args(13))),
    );
    rows
}

/// Every instruction of the escrow program.
pub fn escrow() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |instruction: &str, sent: Sent| {
        rows.push(Row::new("escrow", &escrow::ID, instruction, &sent));
    };
    let mut r = crate::escrow::new();
    let client = r.svm.rich_key();
    let key = client.pubkey();
    let publisher = Pubkey::new_from_array([7; 32]);
    let name = [1; 32];
    let feed = crate::escrow::feed(&key, name);
    let job = |r: &TestRollup, nonce| crate::escrow::job(&r.address, &key, nonce);
    accepted(r.force(&client));
    row(
        "create_feed, 64 bytes",
        accepted(r.create_feed(&client, name, 64)),
    );
    let args = r.job_args(0);
    row(
        "create_job, 64 bytes in, the client's first",
        accepted(r.create_job_with_feed(&client, feed, args)),
    );
    for nonce in 1..4 {
        let mut args = r.job_args(nonce);
        if nonce == 1 {
            args.output_bytes = escrow::constants::MAX_OUTPUT;
        }
        let sent = accepted(r.create_job(&client, args));
        if nonce == 3 {
            row("create_job, 64 bytes in", sent);
        }
    }
    let ran = |r: &TestRollup, nonce, bytes: usize| Ran {
        job: job(r, nonce),
        price: 100_000,
        sequencer_share: 10_000,
        sequencer: r.sequencer.pubkey(),
        publisher,
        outputs: vec![
            Tensor::from_i8(&[bytes as u32], &vec![1; bytes]).expect("a shape"),
            Tensor::from_i8(&[1], &[1]).expect("a shape"),
        ],
    };
    let runs = [ran(&r, 0, 10), ran(&r, 1, 2_000)];
    let mut outbox = OutboxTree::default();
    for run in &runs {
        outbox.push(run.leaf());
    }
    let sequencer = r.sequencer.pubkey();
    outbox.push(crate::escrow::declined(job(&r, 2), sequencer));
    while outbox.leaves.len() < 1_000 {
        outbox.push(runs[0].leaf());
    }
    // The fourth job is left for the refund.
    let cursor = r.account().inbox_count - 1;
    let chain = r.page(0).entries[cursor as usize - 1].chain;
    let draft = Draft::new(&r, 1).outbox(outbox.head()).inbox(cursor, chain);
    r.settle(&draft);
    r.svm.warp(config().params.window);
    accepted(r.finalize());
    let batch = draft.header.number;
    row(
        "settle_job of 1,000 leaves, 10 bytes out, with a feed",
        accepted(r.settle_ran(&runs[0], runs[0].args(&outbox, batch, 0, 0))),
    );
    row(
        "settle_job of 1,000 leaves, 2,000 bytes out",
        accepted(r.settle_ran(&runs[1], runs[1].args(&outbox, batch, 1, 0))),
    );
    let args = crate::escrow::declined_args(&outbox, batch, 2);
    row(
        "settle_job of 1,000 leaves, declined",
        accepted(r.settle_declined(job(&r, 2), sequencer, args)),
    );
    r.svm.airdrop(&publisher, 1_000_000_000);
    row(
        "claim_payment",
        accepted(r.claim_payment(job(&r, 0), publisher)),
    );
    r.svm.warp(1_000);
    row("refund_job", accepted(r.refund_job(job(&r, 3))));
    row("close_job", accepted(r.close_job(&client, job(&r, 0))));
    row("close_feed", accepted(r.close_feed(&client, feed)));
    rows
}
