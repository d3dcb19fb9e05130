//! Recipients that cannot be paid block no verdict; feeds; lamports are conserved.

use anchor_lang::error::ErrorCode;
use assay_tensor::types::Tensor;
use assay_tests::escrow::{Ran, declined, declined_args, feed, job, new};
use assay_tests::outbox::OutboxTree;
use assay_tests::rollup::TestRollup;
use assay_tests::svm::{Wire, accepted, refused};
use escrow::constants::{CLAIM_SLOTS, MAX_OUTPUT};
use escrow::errors::EscrowError;
use escrow::events::{FeedClosed, FeedCreated, FeedUpdated, PaymentClaimed};
use escrow::instruction as args;
use escrow::state::{Feed, Job, JobStatus};
use solana_account::Account;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const NAME: [u8; 32] = [b'f'; 32];
const PRICE: u64 = 100_000;

/// A rollup and a client.
struct Scene {
    r: TestRollup,
    client: Keypair,
    outbox: OutboxTree,
}

impl Scene {
    fn new() -> Self {
        let mut r = new();
        let client = r.svm.rich_key();
        Self {
            r,
            client,
            outbox: OutboxTree::default(),
        }
    }

    /// Creates a job with this nonce, and the feed [`NAME`] if told.
    fn create(&mut self, nonce: u64, with_feed: bool) -> Pubkey {
        let client = self.client.insecure_clone();
        let args = self.r.job_args(nonce);
        accepted(if with_feed {
            let feed = feed(&client.pubkey(), NAME);
            self.r.create_job_with_feed(&client, feed, args)
        } else {
            self.r.create_job(&client, args)
        });
        job(&self.r.address, &client.pubkey(), nonce)
    }

    /// The result of `job` with this one output byte.
    fn ran(&self, job: Pubkey, publisher: Pubkey, output: i8) -> Ran {
        Ran {
            job,
            price: PRICE,
            sequencer_share: PRICE / 10,
            sequencer: self.r.sequencer.pubkey(),
            publisher,
            outputs: vec![Tensor::from_i8(&[1], &[output]).unwrap()],
        }
    }

    /// Makes the results final and returns their batch and first index.
    fn finalize(&mut self, results: &[&Ran]) -> (u64, u64) {
        let first = self.outbox.leaves.len() as u64;
        for ran in results {
            self.outbox.push(ran.leaf());
        }
        (self.r.finalize_outbox(self.outbox.head()), first)
    }

    #[track_caller]
    fn settle(&mut self, ran: &Ran) -> assay_tests::svm::Sent {
        let (batch, index) = self.finalize(&[ran]);
        let args = ran.args(&self.outbox, batch, index, 0);
        accepted(self.r.settle_ran(ran, args))
    }
}

#[test]
fn a_publisher_without_a_wallet_is_paid_when_it_has_one() {
    let mut s = Scene::new();
    let publisher = Pubkey::new_from_array([21; 32]);
    let job = s.create(0, false);
    let ran = s.ran(job, publisher, 5);
    let (batch, index) = s.finalize(&[&ran]);
    let spent = s.r.svm.lamports(&ran.sequencer);
    let args = ran.args(&s.outbox, batch, index, 0);
    accepted(s.r.settle_ran(&ran, args));
    // The sequencer is paid and the output is there; the publisher's part waits.
    assert_eq!(s.r.svm.lamports(&ran.sequencer), spent + PRICE / 10);
    let state = s.r.job(&job);
    assert_eq!(state.status, JobStatus::Settled);
    assert_eq!((state.sequencer_due, state.publisher_due), (0, 90_000));
    assert_eq!(s.r.svm.lamports(&publisher), 0);
    let rent = s.r.svm.rent(Job::size(64));
    assert_eq!(s.r.svm.lamports(&job), rent + 90_000);

    let client = s.client.insecure_clone();
    refused(s.r.close_job(&client, job), EscrowError::PaymentWaiting);
    refused(s.r.claim_payment(job, publisher), EscrowError::CannotBePaid);
    refused(
        s.r.claim_payment(job, client.pubkey()),
        EscrowError::NothingDue,
    );
    refused(
        s.r.claim_payment(job, ran.sequencer),
        EscrowError::NothingDue,
    );
    let wallet = s.r.svm.rent(0);
    s.r.svm.airdrop(&publisher, wallet);
    let sent = accepted(s.r.claim_payment(job, publisher));
    assert_eq!(sent.event::<PaymentClaimed>().amount, 90_000);
    assert_eq!(s.r.svm.lamports(&publisher), wallet + 90_000);
    refused(s.r.claim_payment(job, publisher), EscrowError::NothingDue);
    accepted(s.r.close_job(&client, job));
}

#[test]
fn a_payment_that_nobody_claims_goes_back_to_the_client() {
    let mut s = Scene::new();
    let publisher = Pubkey::new_from_array([21; 32]);
    let job = s.create(0, false);
    let ran = s.ran(job, publisher, 5);
    s.settle(&ran);
    let client = s.client.insecure_clone();
    s.r.svm.warp(CLAIM_SLOTS);
    refused(s.r.close_job(&client, job), EscrowError::PaymentWaiting);
    s.r.svm.warp(1);
    let before = s.r.svm.lamports(&client.pubkey());
    accepted(s.r.close_job(&client, job));
    let rent = s.r.svm.rent(Job::size(64));
    assert_eq!(s.r.svm.lamports(&client.pubkey()), before + rent + 90_000);
}

#[test]
fn one_who_is_sequencer_and_publisher_gets_both_parts() {
    let mut s = Scene::new();
    let job = s.create(0, false);
    let sequencer = s.r.sequencer.pubkey();
    let ran = s.ran(job, sequencer, 5);
    let (batch, index) = s.finalize(&[&ran]);
    let before = s.r.svm.lamports(&sequencer);
    let args = ran.args(&s.outbox, batch, index, 0);
    accepted(s.r.settle_ran(&ran, args));
    assert_eq!(s.r.svm.lamports(&sequencer), before + PRICE);

    // Both parts wait for the same wallet, and are claimed at once.
    let job = s.create(1, false);
    let poor = Pubkey::new_from_array([22; 32]);
    let mut ran = s.ran(job, poor, 5);
    ran.sequencer = poor;
    s.settle(&ran);
    let state = s.r.job(&job);
    assert_eq!((state.sequencer_due, state.publisher_due), (10_000, 90_000));
    let wallet = s.r.svm.rent(0);
    s.r.svm.airdrop(&poor, wallet);
    accepted(s.r.claim_payment(job, poor));
    assert_eq!(s.r.svm.lamports(&poor), wallet + PRICE);
    assert_eq!(s.r.job(&job).owed().unwrap(), 0);
}

#[test]
fn a_client_that_became_a_program_blocks_nothing() {
    let mut s = Scene::new();
    let publisher = s.r.svm.rich_key().pubkey();
    let settled = s.create(0, false);
    let refunded = s.create(1, false);
    let key = s.client.pubkey();
    let wallet = s.r.svm.account(&key).unwrap();
    // The client's key was that of a program, which is deployed by now.
    let program = s.r.svm.account(&escrow::ID).unwrap();
    s.r.svm
        .inner()
        .set_account(
            key,
            Account {
                lamports: wallet.lamports,
                ..program
            },
        )
        .unwrap();
    let ran = s.ran(settled, publisher, 5);
    let before = s.r.svm.lamports(&publisher);
    s.settle(&ran);
    assert_eq!(s.r.svm.lamports(&publisher), before + 90_000);
    let sequencer = s.r.sequencer.pubkey();
    let index = s.outbox.push(declined(refunded, sequencer));
    let batch = s.r.finalize_outbox(s.outbox.head());
    let args = declined_args(&s.outbox, batch, index);
    accepted(s.r.settle_declined(refunded, sequencer, args));
    // What is the client's stays in the jobs.
    assert_eq!(s.r.svm.lamports(&key), wallet.lamports);
    let rent = s.r.svm.rent(Job::size(64));
    assert_eq!(s.r.svm.lamports(&settled), rent + 2_000_000 - PRICE);
    assert_eq!(s.r.svm.lamports(&refunded), rent + 2_000_000);
}

#[test]
fn a_client_without_a_wallet_gets_the_rest_with_the_rent() {
    let mut s = Scene::new();
    let publisher = s.r.svm.rich_key().pubkey();
    let payer = s.r.svm.rich_key();
    // Another pays for a client that has no lamports.
    let poor = s.r.svm.key();
    let mut args = s.r.job_args(0);
    args.max_price = PRICE + 7;
    let mut accounts = s.r.create_job_accounts(&poor.pubkey(), 0);
    accounts.payer = payer.pubkey();
    let data = args::CreateJob { args };
    accepted(s.r.send_escrow(Wire::Legacy, accounts, data, &[&payer, &poor]));
    let job = job(&s.r.address, &poor.pubkey(), 0);
    let ran = s.ran(job, publisher, 5);
    s.settle(&ran);
    let rent = s.r.svm.rent(Job::size(64));
    assert_eq!(s.r.svm.lamports(&job), rent + 7);
    assert_eq!(s.r.svm.lamports(&poor.pubkey()), 0);
    accepted(s.r.close_job(&poor, job));
    assert_eq!(s.r.svm.lamports(&poor.pubkey()), rent + 7);
}

#[test]
fn a_refund_that_cannot_be_paid_comes_with_the_rent() {
    let mut s = Scene::new();
    let payer = s.r.svm.rich_key();
    let poor = s.r.svm.key();
    let sequencer = s.r.sequencer.pubkey();
    for nonce in 0..2 {
        let mut args = s.r.job_args(nonce);
        args.max_price = 7;
        let mut accounts = s.r.create_job_accounts(&poor.pubkey(), nonce);
        accounts.payer = payer.pubkey();
        let data = args::CreateJob { args };
        accepted(s.r.send_escrow(Wire::Legacy, accounts, data, &[&payer, &poor]));
    }
    let [late, no] = [0, 1].map(|nonce| job(&s.r.address, &poor.pubkey(), nonce));
    s.r.svm.warp(400);
    accepted(s.r.refund_job(late));
    let index = s.outbox.push(declined(no, sequencer));
    let batch = s.r.finalize_outbox(s.outbox.head());
    let args = declined_args(&s.outbox, batch, index);
    accepted(s.r.settle_declined(no, sequencer, args));
    let rent = s.r.svm.rent(Job::size(64));
    for (job, status) in [(late, JobStatus::Refunded), (no, JobStatus::Declined)] {
        assert_eq!(s.r.job(&job).status, status);
        assert_eq!(s.r.svm.lamports(&job), rent + 7);
        accepted(s.r.close_job(&poor, job));
    }
    assert_eq!(s.r.svm.lamports(&poor.pubkey()), 2 * (rent + 7));
}

#[test]
fn a_feed_has_the_output_of_the_newest_job() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let publisher = s.r.svm.rich_key().pubkey();
    let sent = accepted(s.r.create_feed(&client, NAME, 64));
    let address = feed(&client.pubkey(), NAME);
    assert_eq!(sent.event::<FeedCreated>().feed, address);
    let [first, second, third] = [0, 1, 2].map(|nonce| s.create(nonce, true));
    assert_eq!(s.r.feed(&address).pending, 3);
    let runs = [(first, 1), (second, 2)].map(|(job, out)| s.ran(job, publisher, out));
    let (batch, index) = s.finalize(&[&runs[0], &runs[1]]);

    // Settled in the other order: the newer job's output stays.
    let args = runs[1].args(&s.outbox, batch, index + 1, 0);
    let sent = accepted(s.r.settle_ran(&runs[1], args));
    assert_eq!(sent.event::<FeedUpdated>().updates, 1);
    let args = runs[0].args(&s.outbox, batch, index, 0);
    let sent = accepted(s.r.settle_ran(&runs[0], args));
    assert!(sent.events::<FeedUpdated>().is_empty());
    let state = s.r.feed(&address);
    assert_eq!(
        (state.version, state.pending, state.updates),
        (Feed::VERSION, 1, 1)
    );
    assert_eq!((state.job, state.message), (second, 1));
    assert_eq!((state.model, state.model_version), (0, 3));
    let newest = s.r.job(&second);
    assert_eq!(state.slot, newest.done_slot);
    assert_eq!(
        (state.requested_at, state.batch_at, state.settled_at),
        (newest.created_at, newest.batch_at, newest.done_at)
    );
    assert_eq!(state.output.data, [2]);
    assert_eq!(s.r.job(&first).output.data, [1]);

    // A job that is declined or refunded leaves it as it is.
    refused(s.r.close_feed(&client, address), EscrowError::FeedInUse);
    let sequencer = s.r.sequencer.pubkey();
    let index = s.outbox.push(declined(third, sequencer));
    let batch = s.r.finalize_outbox(s.outbox.head());
    let args = declined_args(&s.outbox, batch, index);
    accepted(s.r.settle_declined(third, sequencer, args));
    let late = s.create(3, true);
    s.r.svm.warp(400);
    accepted(s.r.refund_job(late));
    let state = s.r.feed(&address);
    assert_eq!((state.pending, state.updates, state.job), (0, 1, second));

    // It outlives its jobs.
    accepted(s.r.close_job(&client, second));
    assert_eq!(s.r.feed(&address).output.data, [2]);
    let stranger = s.r.svm.rich_key();
    assert!(s.r.close_feed(&stranger, address).is_err());
    let sent = accepted(s.r.close_feed(&client, address));
    assert_eq!(sent.event::<FeedClosed>().feed, address);
    assert!(s.r.svm.account(&address).is_none());
}

#[test]
fn a_feed_out_of_bounds_or_of_somebody_else_is_refused() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let stranger = s.r.svm.rich_key();
    for capacity in [0, MAX_OUTPUT + 1] {
        refused(
            s.r.create_feed(&client, NAME, capacity),
            EscrowError::BadCapacity,
        );
    }
    accepted(s.r.create_feed(&client, NAME, 63));
    assert!(s.r.create_feed(&client, NAME, 63).is_err());
    accepted(s.r.create_feed(&stranger, NAME, 64));
    let own = feed(&client.pubkey(), NAME);
    let foreign = feed(&stranger.pubkey(), NAME);
    let args = s.r.job_args(0);
    refused(
        s.r.create_job_with_feed(&client, foreign, args.clone()),
        EscrowError::ForeignFeed,
    );
    refused(
        s.r.create_job_with_feed(&client, own, args.clone()),
        EscrowError::FeedTooSmall,
    );
    // A feed of another rollup.
    let name = [1; 32];
    accepted(s.r.initialize(8, assay_tests::rollup::config()));
    let home = std::mem::replace(&mut s.r.address, settlement::seeds::rollup(8));
    accepted(s.r.create_feed(&client, name, 64));
    s.r.address = home;
    let elsewhere = feed(&client.pubkey(), name);
    refused(
        s.r.create_job_with_feed(&client, elsewhere, args),
        EscrowError::ForeignFeed,
    );
}

#[test]
fn a_job_writes_to_its_own_feed_alone() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let publisher = s.r.svm.rich_key().pubkey();
    let other_name = [2; 32];
    accepted(s.r.create_feed(&client, NAME, 64));
    accepted(s.r.create_feed(&client, other_name, 64));
    let with = s.create(0, true);
    let without = s.create(1, false);
    let runs = [(with, 1), (without, 2)].map(|(job, out)| s.ran(job, publisher, out));
    let (batch, index) = s.finalize(&[&runs[0], &runs[1]]);
    let own = Some(feed(&client.pubkey(), NAME));
    let other = Some(feed(&client.pubkey(), other_name));
    for (i, feeds) in [(0, [None, other]), (1, [own, other])] {
        let ran = &runs[i as usize];
        let args = ran.args(&s.outbox, batch, index + i, 0);
        for feed in feeds {
            let mut accounts =
                s.r.settle_job_accounts(ran.job, ran.sequencer, Some(ran.publisher));
            accounts.feed = feed;
            let data = args::SettleJob { args: args.clone() };
            refused(
                s.r.send_escrow(Wire::V1, accounts, data, &[]),
                EscrowError::OtherFeed,
            );
        }
        accepted(s.r.settle_ran(ran, args));
    }
    assert_eq!(s.r.feed(&feed(&client.pubkey(), NAME)).updates, 1);
    assert_eq!(s.r.feed(&feed(&client.pubkey(), other_name)).updates, 0);
}

#[test]
fn a_feed_account_of_another_program_is_refused() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    accepted(s.r.create_feed(&client, NAME, 64));
    let mut copy = s.r.svm.account(&feed(&client.pubkey(), NAME)).unwrap();
    copy.owner = settlement::ID;
    let fake = Pubkey::new_from_array([30; 32]);
    s.r.svm.inner().set_account(fake, copy).unwrap();
    let args = s.r.job_args(0);
    refused(
        s.r.create_job_with_feed(&client, fake, args),
        ErrorCode::AccountOwnedByWrongProgram,
    );
}

#[test]
fn a_settlement_of_a_small_output_fits_a_legacy_transaction() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let publisher = s.r.svm.rich_key().pubkey();
    accepted(s.r.create_feed(&client, NAME, 64));
    let job = s.create(0, true);
    let mut ran = s.ran(job, publisher, 5);
    ran.outputs = vec![
        Tensor::from_i8(&[64], &[1; 64]).unwrap(),
        Tensor::from_i32(&[1], &[3]).unwrap(),
    ];
    // As deep as an outbox of a hundred leaves makes it.
    while s.outbox.leaves.len() < 100 {
        s.outbox.push(declined(job, publisher));
    }
    let (batch, index) = s.finalize(&[&ran]);
    let args = ran.args(&s.outbox, batch, index, 0);
    let accounts =
        s.r.settle_job_accounts(job, ran.sequencer, Some(ran.publisher));
    let data = args::SettleJob { args };
    accepted(s.r.send_escrow(Wire::Legacy, accounts, data, &[]));
}

#[test]
fn the_largest_output_is_settled_in_a_version_1_transaction() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let publisher = s.r.svm.rich_key().pubkey();
    accepted(s.r.create_feed(&client, NAME, MAX_OUTPUT));
    let address = feed(&client.pubkey(), NAME);
    let mut args = s.r.job_args(0);
    args.output_bytes = MAX_OUTPUT;
    accepted(s.r.create_job_with_feed(&client, address, args));
    let job = job(&s.r.address, &client.pubkey(), 0);
    let values: Vec<i8> = (0..MAX_OUTPUT).map(|i| i as i8).collect();
    let mut ran = s.ran(job, publisher, 5);
    ran.outputs = vec![Tensor::from_i8(&[32, 64], &values).unwrap()];
    while s.outbox.leaves.len() < 1_000 {
        s.outbox.push(declined(job, publisher));
    }
    s.settle(&ran);
    assert_eq!(s.r.feed(&address).output.data, ran.outputs[0].data());
    assert_eq!(s.r.job(&job).output.data, ran.outputs[0].data());
}
