//! `create_job`, `settle_job`, `refund_job` and `close_job`: what they do, and each refusal.

use anchor_lang::error::ErrorCode;
use assay_ledger::inbox::{self, MessageKind, chain_next};
use assay_tensor::types::Tensor;
use assay_tests::batch::Draft;
use assay_tests::escrow::{Ran, declined, declined_args, job, new};
use assay_tests::outbox::OutboxTree;
use assay_tests::rollup::{TestRollup, config, encode};
use assay_tests::svm::{Wire, accepted, refused};
use escrow::constants::{CLAIM_SLOTS, DEADLINE_MARGIN, MAX_OUTPUT};
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

#[test]
fn create_job_locks_the_limit_and_tells_l2() {
    let mut r = new();
    let client = r.svm.rich_key();
    let before = r.svm.lamports(&client.pubkey());
    let args = r.job_args(3);
    let slot = r.svm.slot();
    assert_eq!(args.deadline, slot + 50 + 100 + DEADLINE_MARGIN);
    let fee = r.account().next_fee().unwrap();
    let sent = accepted(r.create_job(&client, args.clone()));
    let address = job(&r.address, &client.pubkey(), 3);
    let state = r.job(&address);
    assert_eq!(
        (state.version, state.status),
        (Job::VERSION, JobStatus::Open)
    );
    assert_eq!((state.client, state.rollup), (client.pubkey(), r.address));
    assert_eq!((state.nonce, state.message, state.model), (3, 0, 0));
    assert_eq!(state.program_root, [4; 32]);
    assert_eq!((state.max_price, state.output_bytes), (2_000_000, 64));
    let account = r.svm.account(&address).unwrap();
    assert_eq!(account.data.len(), Job::size(64));
    let rent = r.svm.rent(Job::size(64));
    assert_eq!(account.lamports, rent + 2_000_000);
    let page = r.svm.rent(settlement::state::InboxPage::size());
    let counter = r.svm.rent(escrow::state::Client::size());
    assert_eq!(
        r.svm.lamports(&client.pubkey()),
        before - rent - 2_000_000 - fee - page - counter
    );

    let payload = encode(&inbox::Job {
        job: address.to_bytes(),
        model: 0,
        program_root: [4; 32],
        max_price: 2_000_000,
        output_bytes: 64,
        input: args.input,
    });
    assert_eq!(
        r.account().inbox_chain,
        chain_next(&inbox::GENESIS, 0, MessageKind::Job, &payload)
    );
    let event: JobCreated = sent.event();
    assert_eq!((event.job, event.message, event.nonce), (address, 0, 3));
    assert_eq!(r.client_account(&client.pubkey()).next_nonce, 4);
}

#[test]
fn a_nonce_is_never_used_twice() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let args = s.r.job_args(0);
    // The account is there.
    assert!(s.r.create_job(&client, args.clone()).is_err());
    // Even when it is gone: an old result would settle the new job.
    s.reach_deadline();
    accepted(s.r.refund_job(s.job));
    accepted(s.r.close_job(&client, s.job));
    let mut args = s.r.job_args(0);
    args.max_price = 1_999_999;
    refused(s.r.create_job(&client, args), EscrowError::NonceUsed);
    let args = s.r.job_args(7);
    accepted(s.r.create_job(&client, args));
    let args = s.r.job_args(6);
    refused(s.r.create_job(&client, args), EscrowError::NonceUsed);
    let args = s.r.job_args(u64::MAX);
    refused(s.r.create_job(&client, args), EscrowError::Overflow);
    // Other clients have their own.
    let other = s.r.svm.rich_key();
    let args = s.r.job_args(0);
    accepted(s.r.create_job(&other, args));
}

#[test]
fn a_job_out_of_bounds_is_refused() {
    let mut r = new();
    let client = r.svm.rich_key();
    let good = r.job_args(0);

    let mut args = good.clone();
    args.deadline -= 1;
    refused(r.create_job(&client, args), EscrowError::DeadlineTooEarly);
    for output_bytes in [0, MAX_OUTPUT + 1, u32::MAX] {
        let mut args = good.clone();
        args.output_bytes = output_bytes;
        refused(r.create_job(&client, args), EscrowError::BadOutputBytes);
    }
    let mut args = good.clone();
    args.input = vec![0; inbox::MAX_JOB_INPUT + 1];
    refused(r.create_job(&client, args), EscrowError::InputTooLong);
    let mut args = good.clone();
    args.max_price = r.svm.lamports(&client.pubkey());
    assert!(r.create_job(&client, args).is_err());
    assert_eq!(r.account().inbox_count, 0);

    // The largest of everything.
    let mut args = good;
    args.input = vec![7; inbox::MAX_JOB_INPUT];
    args.output_bytes = MAX_OUTPUT;
    accepted(r.create_job(&client, args));
}

#[test]
fn wrong_accounts_of_create_job_are_refused() {
    let mut r = new();
    let client = r.svm.rich_key();
    let other = r.svm.rich_key();
    let data = |r: &TestRollup| args::CreateJob {
        args: r.job_args(0),
    };
    let good = r.create_job_accounts(&client.pubkey(), 0);
    let both = [&client, &other];

    let mut accounts = good;
    accounts.settlement_program = escrow::ID;
    let copy = data(&r);
    refused(
        r.send_escrow(Wire::Legacy, accounts, copy, &both),
        ErrorCode::InvalidProgramId,
    );
    for wrong in 0..4 {
        let mut accounts = good;
        match wrong {
            0 => accounts.client = other.pubkey(),
            1 => accounts.sender = other.pubkey(),
            2 => accounts.job = job(&r.address, &client.pubkey(), 1),
            _ => accounts.inbox_page = settlement::seeds::inbox_page(&r.address, 1),
        }
        let copy = data(&r);
        refused(
            r.send_escrow(Wire::Legacy, accounts, copy, &both),
            ErrorCode::ConstraintSeeds,
        );
    }
    let mut accounts = good;
    accounts.rollup = r.chain();
    let copy = data(&r);
    assert!(r.send_escrow(Wire::Legacy, accounts, copy, &both).is_err());

    // Another pays for the client.
    let mut accounts = good;
    accounts.payer = other.pubkey();
    let before = r.svm.lamports(&client.pubkey());
    let copy = data(&r);
    accepted(r.send_escrow(Wire::Legacy, accounts, copy, &both));
    assert_eq!(r.svm.lamports(&client.pubkey()), before);
}

#[test]
fn a_rollup_with_another_escrow_is_refused() {
    let mut other = config();
    other.escrow = Pubkey::new_from_array([9; 32]);
    let mut r = TestRollup::with(&["settlement", "escrow"], other, 1);
    let client = r.svm.rich_key();
    let args = r.job_args(0);
    refused(r.create_job(&client, args), EscrowError::OtherEscrow);
    refused(
        r.create_feed(&client, [1; 32], 64),
        EscrowError::OtherEscrow,
    );
}

#[test]
fn settle_job_pays_and_keeps_the_output() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    let before = [ran.sequencer, ran.publisher, s.client.pubkey()].map(|k| s.r.svm.lamports(&k));
    let sent = accepted(s.r.settle_ran(&ran, args));
    let after = [ran.sequencer, ran.publisher, s.client.pubkey()].map(|k| s.r.svm.lamports(&k));
    assert_eq!(
        [0, 1, 2].map(|i| after[i] - before[i]),
        [150_000, 1_350_000, 500_000]
    );
    let job = s.r.job(&s.job);
    assert_eq!(job.status, JobStatus::Settled);
    assert_eq!((job.price, job.model_version), (1_500_000, 3));
    assert_eq!(
        (job.sequencer, job.publisher),
        (ran.sequencer, ran.publisher)
    );
    assert_eq!((job.sequencer_due, job.publisher_due), (0, 0));
    assert_eq!(job.done_slot, s.r.svm.slot());
    assert_eq!(job.output.data, outputs()[0].data());
    assert_eq!(job.output.ty, outputs()[0].ty().into());
    assert_eq!(s.r.svm.lamports(&s.job), s.r.svm.rent(Job::size(64)));
    let event: JobSettled = sent.event();
    assert_eq!((event.price, event.sequencer_share), (1_500_000, 150_000));
    assert_eq!((event.output_index, event.output), (0, job.output.data));
}

#[test]
fn the_output_that_was_asked_for_is_delivered_and_no_other() {
    // Asked for 1; asked for one past the last of three.
    for (asked, delivered) in [(1, 1), (9, 2)] {
        let mut s = Scene::new();
        let mut args = s.r.job_args(1);
        args.output_index = asked;
        let client = s.client.insecure_clone();
        accepted(s.r.create_job(&client, args));
        s.job = job(&s.r.address, &client.pubkey(), 1);
        let ran = s.ran();
        let good = s.finalize(&ran, delivered);
        for other in 0..3 {
            if other != delivered {
                let wrong = ran.args(&s.outbox, good.batch, good.index, other);
                refused(s.r.settle_ran(&ran, wrong), EscrowError::WrongOutput);
            }
        }
        accepted(s.r.settle_ran(&ran, good));
        let output = s.r.job(&s.job).output;
        assert_eq!(output.data, outputs()[delivered as usize].data());
    }
}

#[test]
fn a_wrong_output_is_refused() {
    let mut s = Scene::new();
    let ran = s.ran();
    let good = s.finalize(&ran, 0);
    let edit = |f: &dyn Fn(&mut OutputProof)| {
        let mut args = good.clone();
        f(args.output.as_mut().unwrap());
        args
    };
    let wrong = [
        edit(&|p| p.output.data[3] ^= 1),
        edit(&|p| p.output.data.push(0)),
        edit(&|p| p.output.data.truncate(9)),
        edit(&|p| p.output.data.clear()),
        edit(&|p| p.output.ty.dims[0..2].copy_from_slice(&[10, 1])),
        edit(&|p| p.output.ty.dims[1] = 9),
        edit(&|p| {
            p.output.ty.dims[1] = 5;
            p.output.ty.dtype = 1;
        }),
        edit(&|p| p.siblings[0][0] ^= 1),
        edit(&|p| p.siblings.truncate(1)),
        edit(&|p| p.siblings.push([0; 32])),
        edit(&|p| p.count = 4),
        edit(&|p| p.count = 1),
        edit(&|p| p.count = 0),
    ];
    for args in wrong {
        refused(s.r.settle_ran(&ran, args), EscrowError::WrongOutput);
    }
    let no_types = [
        edit(&|p| p.output.ty.dtype = 2),
        edit(&|p| p.output.ty.rank = 7),
        edit(&|p| p.output.ty.dims[2] = 1),
        edit(&|p| p.output.ty.dims[0] = 0),
        edit(&|p| p.output.ty.rank = 3),
        edit(&|p| p.output.ty.dims = [u32::MAX; 6]),
    ];
    for args in no_types {
        refused(s.r.settle_ran(&ran, args), EscrowError::BadTensorType);
    }
    let mut args = good.clone();
    args.output = None;
    refused(s.r.settle_ran(&ran, args), EscrowError::OutputMissing);
    let args = edit(&|p| {
        p.output.data = vec![0; 65];
        p.output.ty.dims[0..2].copy_from_slice(&[5, 13]);
    });
    refused(s.r.settle_ran(&ran, args), EscrowError::OutputTooLong);
    assert_eq!(s.status(), JobStatus::Open);
    accepted(s.r.settle_ran(&ran, good));
}

#[test]
fn a_forged_result_is_refused() {
    let mut s = Scene::new();
    let ran = s.ran();
    let good = s.finalize(&ran, 0);
    type Forgery<'a> = &'a dyn Fn(&mut Ran, &mut SettleJobArgs);
    let forged: [Forgery; 9] = [
        &|_, a| a.result.price -= 1,
        &|_, a| a.result.sequencer_share += 1,
        &|_, a| a.result.version += 1,
        &|_, a| a.result.output_root[0] ^= 1,
        &|_, a| a.index += 1,
        &|_, a| a.index += 1 << 32,
        &|_, a| a.siblings.push([1; 32]),
        &|ran, _| ran.sequencer = Pubkey::new_from_array([1; 32]),
        &|ran, _| ran.publisher = Pubkey::new_from_array([1; 32]),
    ];
    for forge in forged {
        let (mut ran, mut args) = (ran.clone(), good.clone());
        forge(&mut ran, &mut args);
        refused(s.r.settle_ran(&ran, args), EscrowError::WrongProof);
    }
    // Said to be declined, so that the client is refunded.
    let mut args = good.clone();
    args.result.done = false;
    args.output = None;
    refused(s.r.settle_ran(&ran, args), EscrowError::WrongProof);
    // Without its publisher.
    refused(
        s.r.settle_declined(s.job, ran.sequencer, good.clone()),
        EscrowError::WrongProof,
    );
    // For another job of the same client.
    let client = s.client.insecure_clone();
    let args = s.r.job_args(1);
    accepted(s.r.create_job(&client, args));
    let mut other = ran.clone();
    other.job = job(&s.r.address, &client.pubkey(), 1);
    refused(
        s.r.settle_ran(&other, good.clone()),
        EscrowError::WrongProof,
    );
    assert_eq!(s.r.job(&other.job).status, JobStatus::Open);
    accepted(s.r.settle_ran(&ran, good));
}

#[test]
fn a_batch_that_is_not_final_settles_nothing() {
    let mut s = Scene::new();
    let ran = s.ran();
    let index = s.outbox.push(ran.leaf());
    let draft = Draft::new(&s.r, 1).outbox(s.outbox.head());
    s.r.settle(&draft);
    let args = ran.args(&s.outbox, draft.header.number, index, 0);
    refused(
        s.r.settle_ran(&ran, args.clone()),
        SettlementError::NotFinal,
    );
    let mut before = args.clone();
    before.batch -= 1;
    refused(s.r.settle_ran(&ran, before), EscrowError::WrongProof);
    s.r.svm.warp(100);
    accepted(s.r.finalize());
    accepted(s.r.settle_ran(&ran, args));
}

#[test]
fn a_price_over_the_limit_is_refused() {
    let mut s = Scene::new();
    for (price, sequencer_share, error) in [
        (2_000_001, 0, EscrowError::PriceOverLimit as u32),
        (u64::MAX, u64::MAX, EscrowError::PriceOverLimit as u32),
        (1_000_000, 1_000_001, EscrowError::ShareOverPrice as u32),
    ] {
        // Only a batch that breaks the ledger's rules has such a leaf.
        let mut ran = s.ran();
        (ran.price, ran.sequencer_share) = (price, sequencer_share);
        let args = s.finalize(&ran, 0);
        refused(s.r.settle_ran(&ran, args), error + 6_000);
    }
    // All of the limit is within it.
    let mut ran = s.ran();
    ran.price = 2_000_000;
    let args = s.finalize(&ran, 0);
    accepted(s.r.settle_ran(&ran, args));
}

#[test]
fn a_job_is_settled_once() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    accepted(s.r.settle_ran(&ran, args.clone()));
    refused(s.r.settle_ran(&ran, args), EscrowError::JobNotOpen);
    // Nor by another leaf, declined, or refunded.
    let again = s.finalize(&ran, 0);
    refused(s.r.settle_ran(&ran, again), EscrowError::JobNotOpen);
    let no = s.finalize_declined();
    let sequencer = ran.sequencer;
    refused(
        s.r.settle_declined(s.job, sequencer, no),
        EscrowError::JobNotOpen,
    );
    s.reach_deadline();
    refused(s.r.refund_job(s.job), EscrowError::JobNotOpen);
    assert_eq!(s.status(), JobStatus::Settled);
}

#[test]
fn a_declined_job_is_refunded() {
    let mut s = Scene::new();
    let args = s.finalize_declined();
    let sequencer = s.r.sequencer.pubkey();
    let before = s.r.svm.lamports(&s.client.pubkey());
    // It has no output, whatever is passed.
    let mut with_output = args.clone();
    with_output.output = s.ran().args(&s.outbox, args.batch, args.index, 0).output;
    refused(
        s.r.settle_declined(s.job, sequencer, with_output),
        EscrowError::OutputUnexpected,
    );
    let sent = accepted(s.r.settle_declined(s.job, sequencer, args.clone()));
    let event: JobDeclined = sent.event();
    assert_eq!((event.job, event.refund), (s.job, 2_000_000));
    assert_eq!(s.r.svm.lamports(&s.client.pubkey()), before + 2_000_000);
    assert_eq!(s.status(), JobStatus::Declined);
    refused(
        s.r.settle_declined(s.job, sequencer, args),
        EscrowError::JobNotOpen,
    );
}

#[test]
fn wrong_accounts_of_settle_job_are_refused() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    let good =
        s.r.settle_job_accounts(s.job, ran.sequencer, Some(ran.publisher));
    let data = || args::SettleJob { args: args.clone() };
    // Somebody else as the client: the rest of the price would go there.
    let mut accounts = good;
    accounts.client = Pubkey::new_from_array([1; 32]);
    assert!(s.r.send_escrow(Wire::V1, accounts, data(), &[]).is_err());
    // A job account of another owner, with the same bytes.
    let mut copy = s.r.svm.account(&s.job).unwrap();
    copy.owner = settlement::ID;
    let fake = Pubkey::new_from_array([13; 32]);
    s.r.svm.inner().set_account(fake, copy).unwrap();
    let mut accounts = good;
    accounts.job = fake;
    refused(
        s.r.send_escrow(Wire::V1, accounts, data(), &[]),
        ErrorCode::AccountOwnedByWrongProgram,
    );
    // Another rollup, where anybody may post anything, with its own chain.
    accepted(s.r.initialize(8, config()));
    let other = settlement::seeds::rollup(8);
    let mut accounts = good;
    accounts.rollup = other;
    accounts.chain = settlement::seeds::chain(&other);
    assert!(s.r.send_escrow(Wire::V1, accounts, data(), &[]).is_err());
    let mut accounts = good;
    accounts.chain = settlement::seeds::chain(&other);
    refused(
        s.r.send_escrow(Wire::V1, accounts, data(), &[]),
        ErrorCode::ConstraintSeeds,
    );
    assert_eq!(s.status(), JobStatus::Open);
    accepted(s.r.send_escrow(Wire::V1, good, data(), &[]));
}

#[test]
fn refund_job_needs_the_deadline_and_an_unconsumed_message() {
    let mut s = Scene::new();
    refused(s.r.refund_job(s.job), EscrowError::TooEarly);
    let deadline = s.r.job(&s.job).deadline;
    let slot = s.r.svm.slot();
    s.r.svm.warp(deadline - slot);
    // The deadline itself is the last slot before.
    refused(s.r.refund_job(s.job), EscrowError::TooEarly);
    s.r.svm.warp(1);
    let before = s.r.svm.lamports(&s.client.pubkey());
    let sent = accepted(s.r.refund_job(s.job));
    let event: JobRefunded = sent.event();
    assert_eq!((event.job, event.refund), (s.job, 2_000_000));
    assert_eq!(s.r.svm.lamports(&s.client.pubkey()), before + 2_000_000);
    assert_eq!(s.status(), JobStatus::Refunded);
    refused(s.r.refund_job(s.job), EscrowError::JobNotOpen);

    // A batch that runs it afterwards is not paid, nor can it decline.
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    refused(s.r.settle_ran(&ran, args), EscrowError::JobNotOpen);
    let args = s.finalize_declined();
    refused(
        s.r.settle_declined(s.job, ran.sequencer, args),
        EscrowError::JobNotOpen,
    );
}

#[test]
fn a_job_that_a_batch_has_consumed_is_not_refunded() {
    let mut s = Scene::new();
    let ran = s.ran();
    let index = s.outbox.push(ran.leaf());
    let draft = Draft::new(&s.r, 1).outbox(s.outbox.head());
    s.reach_deadline();
    // Consumed by a pending batch, and by a final one.
    let number =
        s.r.settle(&draft)
            .event::<settlement::events::BatchPosted>();
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    s.r.svm.warp(100);
    accepted(s.r.finalize());
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    let args = ran.args(&s.outbox, number.header.number, index, 0);
    accepted(s.r.settle_ran(&ran, args));
}

/// The result is final and its output withheld by all who have it: the money is not locked for ever.
#[test]
fn a_job_that_nobody_settles_is_refunded_at_last() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    s.reach_deadline();
    s.r.svm.warp(CLAIM_SLOTS - 1);
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    s.r.svm.warp(1);
    let before = s.r.svm.lamports(&s.client.pubkey());
    accepted(s.r.refund_job(s.job));
    assert_eq!(s.r.svm.lamports(&s.client.pubkey()), before + 2_000_000);
    assert_eq!(s.status(), JobStatus::Refunded);
    // Who kept it to himself comes too late.
    refused(s.r.settle_ran(&ran, args), EscrowError::JobNotOpen);
}

#[test]
fn a_deadline_without_end_does_not_overflow() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let mut args = s.r.job_args(1);
    args.deadline = u64::MAX;
    accepted(s.r.create_job(&client, args));
    s.r.finalize_outbox(s.outbox.head());
    s.reach_deadline();
    let endless = job(&s.r.address, &client.pubkey(), 1);
    refused(s.r.refund_job(endless), EscrowError::TooEarly);
}

#[test]
fn a_batch_that_stops_before_the_job_does_not_hold_the_refund() {
    let mut s = Scene::new();
    // A job behind the first one, and a batch that consumes the first alone.
    let other = s.r.svm.rich_key();
    let chain = s.r.account().inbox_chain;
    let args = s.r.job_args(0);
    accepted(s.r.create_job(&other, args));
    let second = job(&s.r.address, &other.pubkey(), 0);
    let draft = Draft::new(&s.r, 1).inbox(1, chain);
    s.r.settle(&draft);
    s.reach_deadline();
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    accepted(s.r.refund_job(second));
}

#[test]
fn close_job_returns_the_rent_when_the_job_is_done() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    refused(s.r.close_job(&client, s.job), EscrowError::JobOpen);
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    accepted(s.r.settle_ran(&ran, args.clone()));
    let stranger = s.r.svm.rich_key();
    assert!(s.r.close_job(&stranger, s.job).is_err());
    let before = s.r.svm.lamports(&client.pubkey());
    let rent = s.r.svm.rent(Job::size(64));
    let sent = accepted(s.r.close_job(&client, s.job));
    assert_eq!(sent.event::<JobClosed>().lamports, rent);
    assert_eq!(s.r.svm.lamports(&client.pubkey()), before + rent);
    assert!(s.r.svm.account(&s.job).is_none());
}
