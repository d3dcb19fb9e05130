//! `create_job`, `settle_job`, `refund_job` and `close_job`: what they do, and each refusal.

mod create;
mod refund;
mod settle;

use anchor_lang::error::ErrorCode;
use assay_client::instructions::escrow as build;
use assay_ledger::inbox::{self, MessageKind, chain_next};
use assay_tensor::types::Tensor;
use assay_tests::batch::Draft;
use assay_tests::escrow::{Ran, declined, declined_args, job, new};
use assay_tests::outbox::OutboxTree;
use assay_tests::rollup::{TestRollup, config, encode};
use assay_tests::svm::{Wire, accepted, instruction, refused};
use escrow::constants::{CLAIM_SLOTS, DEADLINE_MARGIN, DEADLINE_SLOTS, MAX_OUTPUT};
use escrow::errors::EscrowError;
use escrow::events::{JobClosed, JobCreated, JobDeclined, JobRefunded, JobSettled};
use escrow::state::{Job, JobStatus};
use escrow::{OutputProof, SettleJobArgs, instruction as args};
use settlement::errors::SettlementError;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// A rollup, a client with an open job of number 0, and a publisher with a wallet.
struct Scene {
    r: TestRollup,
    client: Keypair,
    publisher: Pubkey,
    job: Pubkey,
    outbox: OutboxTree,
}

fn outputs() -> Vec<Tensor> {
    vec![
        Tensor::from_i8(&[1, 10], &[1, -2, 3, -4, 5, -6, 7, -8, 9, -10]).unwrap(),
        Tensor::from_i32(&[1], &[8]).unwrap(),
        Tensor::from_i8(&[2, 2], &[1, 2, 3, 4]).unwrap(),
    ]
}

impl Scene {
    fn new() -> Self {
        let mut r = new();
        let client = r.svm.rich_key();
        let publisher = r.svm.rich_key().pubkey();
        let args = r.job_args(0);
        accepted(r.create_job(&client, args));
        let job = job(&r.address, &client.pubkey(), 0);
        Self {
            r,
            client,
            publisher,
            job,
            outbox: OutboxTree::default(),
        }
    }

    /// The result for a price of 1,500,000 lamports, a tenth of it for the sequencer.
    fn ran(&self) -> Ran {
        Ran {
            job: self.job,
            price: 1_500_000,
            sequencer_share: 150_000,
            sequencer: self.r.sequencer.pubkey(),
            publisher: self.publisher,
            outputs: outputs(),
        }
    }

    /// Makes the result final; returns the arguments that settle it with output `output`.
    fn finalize(&mut self, ran: &Ran, output: u32) -> SettleJobArgs {
        let index = self.outbox.push(ran.leaf());
        let batch = self.r.finalize_outbox(self.outbox.head());
        ran.args(&self.outbox, batch, index, output)
    }

    fn finalize_declined(&mut self) -> SettleJobArgs {
        let leaf = declined(self.job, self.r.sequencer.pubkey());
        let index = self.outbox.push(leaf);
        let batch = self.r.finalize_outbox(self.outbox.head());
        declined_args(&self.outbox, batch, index)
    }

    fn status(&self) -> JobStatus {
        self.r.job(&self.job).status
    }

    fn reach_deadline(&mut self) {
        let deadline = self.r.job(&self.job).deadline;
        let slot = self.r.svm.slot();
        self.r.svm.warp(deadline + 1 - slot);
    }
}
