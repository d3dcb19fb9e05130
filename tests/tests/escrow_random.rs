//! Random histories of jobs against a model.
//!
//! After every step: a job leaves `Open` once, and as the model says; the lamports of client,
//! sequencer, publishers and jobs add up; nobody gets more than the result says.
//! `PROPTEST_CASES` raises the number of histories.

use assay_tensor::types::Tensor;
use assay_tests::escrow::{Ran, client, declined, declined_args, feed, job, new};
use assay_tests::outbox::OutboxTree;
use assay_tests::rollup::TestRollup;
use assay_tests::svm::{accepted, refused};
use escrow::constants::CLAIM_SLOTS;
use escrow::errors::EscrowError;
use escrow::state::{Job, JobStatus};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::cell::RefCell;
use std::collections::BTreeMap;

const NAME: [u8; 32] = [b'n'; 32];
const PUBLISHERS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// Locks this much, with the feed if told.
    Create(u64, bool),
    /// The L2 consumes all jobs that wait, and answers each: `Some` runs it for this part of the
    /// limit, `None` declines. The batch becomes final.
    Answer(Option<(u8, u8, usize)>),
    Settle(usize),
    Refund(usize),
    Claim(usize, usize),
    Close(usize),
    /// A publisher without a wallet gets one.
    Fund(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop::option::weighted(0.8, (any::<u8>(), any::<u8>(), 0..PUBLISHERS));
    prop_oneof![
        5 => (1..1_500_000u64, any::<bool>()).prop_map(|(l, f)| Step::Create(l, f)),
        3 => answer.prop_map(Step::Answer),
        6 => any::<usize>().prop_map(Step::Settle),
        3 => any::<usize>().prop_map(Step::Refund),
        4 => (any::<usize>(), 0..PUBLISHERS).prop_map(|(j, p)| Step::Claim(j, p)),
        2 => any::<usize>().prop_map(Step::Close),
        2 => (0..PUBLISHERS).prop_map(Step::Fund),
        2 => prop_oneof![9 => 1..400u64, 1 => Just(CLAIM_SLOTS + 1)].prop_map(Step::Wait),
    ]
}

/// What the outbox says of a job, and where.
#[derive(Clone)]
struct Answer {
    ran: Option<Ran>,
    index: u64,
}

struct Modelled {
    address: Pubkey,
    limit: u64,
    message: u64,
    deadline: u64,
    answer: Option<Answer>,
    status: JobStatus,
    /// What waits for the publisher.
    due: u64,
    done_slot: u64,
    closed: bool,
}

struct World {
    r: TestRollup,
    client: Keypair,
    outbox: OutboxTree,
    batch: u64,
    jobs: Vec<Modelled>,
    lamports: u64,
    seen: BTreeMap<&'static str, u32>,
    newest: Option<u64>,
}

fn publisher(i: usize) -> Pubkey {
    Pubkey::new_from_array([60 + i as u8; 32])
}

impl World {
    fn new() -> Self {
        let mut r = new();
        let client = r.svm.rich_key();
        // One publisher has a wallet.
        r.svm.airdrop(&publisher(0), 1_000_000_000);
        accepted(r.create_feed(&client, NAME, 64));
        let mut world = Self {
            r,
            client,
            outbox: OutboxTree::default(),
            batch: 0,
            jobs: Vec::new(),
            lamports: 0,
            seen: BTreeMap::new(),
            newest: None,
        };
        world.lamports = world.count_lamports();
        world
    }

    /// Lamports of everybody: only `Svm::payer` pays fees to the chain.
    fn count_lamports(&self) -> u64 {
        let (rollup, key) = (&self.r.address, self.client.pubkey());
        let sequencer = self.r.sequencer.pubkey();
        let mut keys = vec![
            key,
            sequencer,
            settlement::seeds::sequencer(rollup, &sequencer),
            *rollup,
            self.r.chain(),
            settlement::seeds::inbox_page(rollup, 0),
            feed(&key, NAME),
            client(rollup, &key),
        ];
        keys.extend((0..PUBLISHERS).map(publisher));
        keys.extend(self.jobs.iter().map(|j| j.address));
        keys.iter().map(|k| self.r.svm.lamports(k)).sum()
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn pick(&self, n: usize) -> Option<usize> {
        (!self.jobs.is_empty()).then(|| n % self.jobs.len())
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Create(limit, with_feed) => self.create(*limit, *with_feed),
            Step::Answer(answer) => self.answer(answer),
            Step::Settle(n) => self.settle(*n),
            Step::Refund(n) => self.refund(*n),
            Step::Claim(n, p) => self.claim(*n, *p),
            Step::Close(n) => self.close(*n),
            Step::Fund(p) => {
                let lamports = self.r.svm.rent(0);
                self.r.svm.airdrop(&publisher(*p), lamports);
                self.lamports += lamports;
            }
            Step::Wait(slots) => self.r.svm.warp(*slots),
        }
    }

    fn create(&mut self, limit: u64, with_feed: bool) {
        let client = self.client.insecure_clone();
        let nonce = self.jobs.len() as u64;
        let mut args = self.r.job_args(nonce);
        args.max_price = limit;
        let deadline = args.deadline;
        accepted(if with_feed {
            let feed = feed(&client.pubkey(), NAME);
            self.r.create_job_with_feed(&client, feed, args)
        } else {
            self.r.create_job(&client, args)
        });
        self.jobs.push(Modelled {
            address: job(&self.r.address, &client.pubkey(), nonce),
            limit,
            message: nonce,
            deadline,
            answer: None,
            status: JobStatus::Open,
            due: 0,
            done_slot: 0,
            closed: false,
        });
    }

    fn answer(&mut self, answer: &Option<(u8, u8, usize)>) {
        let sequencer = self.r.sequencer.pubkey();
        for job in self.jobs.iter_mut().filter(|j| j.answer.is_none()) {
            let ran = answer.map(|(part, share, p)| {
                let price = job.limit * u64::from(part) / 255;
                Ran {
                    job: job.address,
                    price,
                    sequencer_share: price * u64::from(share) / 255,
                    sequencer,
                    publisher: publisher(p),
                    outputs: vec![Tensor::from_i32(&[1], &[job.message as i32]).unwrap()],
                }
            });
            let leaf = match &ran {
                Some(ran) => ran.leaf(),
                None => declined(job.address, sequencer),
            };
            let index = self.outbox.push(leaf);
            job.answer = Some(Answer { ran, index });
        }
        self.batch = self.r.finalize_outbox(self.outbox.head());
    }

    fn settle(&mut self, n: usize) {
        let Some(n) = self.pick(n) else { return };
        let Some(Answer { ran, index }) = self.jobs[n].answer.clone() else {
            return;
        };
        if self.jobs[n].closed {
            return;
        }
        let address = self.jobs[n].address;
        let poor = ran.as_ref().is_some_and(|ran| {
            let amount = ran.price - ran.sequencer_share;
            amount > 0 && self.r.svm.lamports(&ran.publisher) + amount < self.r.svm.rent(0)
        });
        let (outcome, status) = match &ran {
            Some(ran) => {
                let args = ran.args(&self.outbox, self.batch, index, 0);
                (self.r.settle_ran(ran, args), JobStatus::Settled)
            }
            None => {
                let args = declined_args(&self.outbox, self.batch, index);
                let sequencer = self.r.sequencer.pubkey();
                let outcome = self.r.settle_declined(address, sequencer, args);
                (outcome, JobStatus::Declined)
            }
        };
        if self.jobs[n].status != JobStatus::Open {
            refused(outcome, EscrowError::JobNotOpen);
            return self.note("settle, not open");
        }
        accepted(outcome);
        let slot = self.r.svm.slot();
        let with_feed = self.r.job(&address).feed != Pubkey::default();
        let job = &mut self.jobs[n];
        (job.status, job.done_slot) = (status, slot);
        match ran {
            Some(ran) => {
                if poor {
                    job.due = ran.price - ran.sequencer_share;
                }
                if with_feed && self.newest.is_none_or(|m| m < job.message) {
                    self.newest = Some(job.message);
                }
                self.note(if poor {
                    "settled, a part waits"
                } else {
                    "settled"
                });
            }
            None => self.note("declined"),
        }
    }

    fn refund(&mut self, n: usize) {
        let Some(n) = self.pick(n) else { return };
        if self.jobs[n].closed {
            return;
        }
        let job = &self.jobs[n];
        let slot = self.r.svm.slot();
        let (open, late, consumed, given_up) = (
            job.status == JobStatus::Open,
            slot > job.deadline,
            job.answer.is_some(),
            slot > job.deadline + CLAIM_SLOTS,
        );
        let outcome = self.r.refund_job(self.jobs[n].address);
        if !open {
            refused(outcome, EscrowError::JobNotOpen);
            self.note("refund, not open");
        } else if !late {
            refused(outcome, EscrowError::TooEarly);
            self.note("refund, too early");
        } else if consumed && !given_up {
            refused(outcome, EscrowError::Consumed);
            self.note("refund, consumed");
        } else {
            accepted(outcome);
            let job = &mut self.jobs[n];
            (job.status, job.done_slot) = (JobStatus::Refunded, slot);
            self.note(if consumed {
                "refunded, given up"
            } else {
                "refunded"
            });
        }
    }

    fn claim(&mut self, n: usize, p: usize) {
        let Some(n) = self.pick(n) else { return };
        let job = &self.jobs[n];
        if job.closed {
            return;
        }
        let named = job
            .answer
            .as_ref()
            .and_then(|a| a.ran.as_ref())
            .is_some_and(|ran| ran.publisher == publisher(p));
        let due = if named { job.due } else { 0 };
        let wallet = self.r.svm.lamports(&publisher(p)) + due >= self.r.svm.rent(0);
        let outcome = self.r.claim_payment(job.address, publisher(p));
        if due == 0 {
            refused(outcome, EscrowError::NothingDue);
            self.note("claim, nothing due");
        } else if !wallet {
            refused(outcome, EscrowError::CannotBePaid);
            self.note("claim, no wallet");
        } else {
            accepted(outcome);
            self.jobs[n].due = 0;
            self.note("claimed");
        }
    }

    fn close(&mut self, n: usize) {
        let Some(n) = self.pick(n) else { return };
        let client = self.client.insecure_clone();
        let job = &self.jobs[n];
        if job.closed {
            return;
        }
        let forfeited = self.r.svm.slot() > job.done_slot + CLAIM_SLOTS;
        let (open, waits) = (job.status == JobStatus::Open, job.due > 0 && !forfeited);
        let outcome = self.r.close_job(&client, job.address);
        if open {
            refused(outcome, EscrowError::JobOpen);
            self.note("close, open");
        } else if waits {
            refused(outcome, EscrowError::PaymentWaiting);
            self.note("close, a payment waits");
        } else {
            accepted(outcome);
            self.jobs[n].closed = true;
            self.note("closed");
        }
    }

    fn check(&self) {
        for job in &self.jobs {
            if job.closed {
                assert!(self.r.svm.account(&job.address).is_none());
                continue;
            }
            let state = self.r.job(&job.address);
            assert_eq!(state.status, job.status);
            assert_eq!(state.publisher_due, job.due);
            assert_eq!(state.sequencer_due, 0);
            let held = match job.status {
                JobStatus::Open => job.limit,
                _ => job.due,
            };
            let rent = self.r.svm.rent(Job::size(64));
            assert_eq!(self.r.svm.lamports(&job.address), rent + held);
        }
        let state = self.r.feed(&feed(&self.client.pubkey(), NAME));
        let newest = (state.updates > 0).then_some(state.message);
        assert_eq!(newest, self.newest);
        if let Some(message) = newest {
            assert_eq!(state.output.data, (message as i32).to_le_bytes());
        }
        assert_eq!(self.count_lamports(), self.lamports);
    }
}

#[test]
fn random_histories() {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let mut runner = TestRunner::new(Config {
        cases: cases.and_then(|n| n.parse().ok()).unwrap_or(48),
        // A fixed seed: the same histories in every run.
        rng_seed: RngSeed::Fixed(13),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let seen = RefCell::new(BTreeMap::<_, u32>::new());
    let outcome = runner.run(&prop::collection::vec(step(), 1..80), |steps| {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check();
        }
        for (key, count) in world.seen {
            *seen.borrow_mut().entry(key).or_default() += count;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    // The histories reach every outcome.
    let seen = seen.into_inner();
    println!("{seen:?}");
    assert_eq!(seen.len(), 15);
}
