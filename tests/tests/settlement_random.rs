//! Random operations by several sequencers and users against a model.
//!
//! The model says which operation is accepted, what every account then holds, and that no lamport
//! is created or lost: all lamports of all accounts that take part, fees of transactions apart,
//! are the same after every operation.
//!
//! `PROPTEST_CASES` raises the number of histories.

use assay_tests::batch::Draft;
use assay_tests::rollup::{SLICE, TestRollup, config};
use assay_tests::svm::{Outcome, accepted};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngSeed, TestRunner};
use settlement::constants::{MAX_PENDING, PAGE_ENTRIES};
use settlement::seeds;
use settlement::state::{Config, InboxPage, Sequencer};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

const SEQUENCERS: usize = 3;
const USERS: usize = 2;

/// What somebody tries.
#[derive(Clone, Debug)]
enum Operation {
    Register {
        who: usize,
        halves: u64,
    },
    AddBond {
        who: usize,
        halves: u64,
    },
    RequestUnbond {
        who: usize,
        halves: u64,
    },
    /// Asks for the whole bond.
    UnbondAll {
        who: usize,
    },
    WithdrawBond {
        who: usize,
    },
    ClaimFees {
        who: usize,
    },
    CloseSequencer {
        who: usize,
    },
    Enqueue {
        user: usize,
        count: u8,
    },
    Post {
        who: usize,
        leave: u64,
        transactions: u32,
    },
    /// With the account of this one, or of who posted the batch.
    Finalize {
        who: Option<usize>,
    },
    ClosePage {
        page: u64,
    },
    Warp {
        slots: u64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let who = 0..SEQUENCERS;
    prop_oneof![
        3 => (who.clone(), 1..9u64).prop_map(|(who, halves)| Operation::Register { who, halves }),
        1 => (who.clone(), 0..3u64).prop_map(|(who, halves)| Operation::AddBond { who, halves }),
        2 => (who.clone(), 0..9u64).prop_map(|(who, halves)| Operation::RequestUnbond { who, halves }),
        1 => who.clone().prop_map(|who| Operation::UnbondAll { who }),
        3 => who.clone().prop_map(|who| Operation::WithdrawBond { who }),
        2 => who.clone().prop_map(|who| Operation::ClaimFees { who }),
        2 => who.clone().prop_map(|who| Operation::CloseSequencer { who }),
        4 => (0..USERS, 1..50u8).prop_map(|(user, count)| Operation::Enqueue { user, count }),
        8 => (who.clone(), prop_oneof![2 => Just(0), 1 => 0..60u64], 0..3u32)
            .prop_map(|(who, leave, transactions)| Operation::Post { who, leave, transactions }),
        6 => proptest::option::weighted(0.2, who).prop_map(|who| Operation::Finalize { who }),
        1 => (0..3u64).prop_map(|page| Operation::ClosePage { page }),
        5 => prop_oneof![0..20u64, 0..100u64].prop_map(|slots| Operation::Warp { slots }),
    ]
}

#[derive(Clone, Debug, Default)]
struct Bond {
    bond: u64,
    unbonding: u64,
    unbond_slot: u64,
    earned: u64,
}

#[derive(Clone, Debug)]
struct Message {
    slot: u64,
    fee: u64,
}

#[derive(Clone, Debug)]
struct Batch {
    who: usize,
    posted: u64,
    cursor: u64,
}

/// What must be true.
#[derive(Default)]
struct Model {
    bonds: [Option<Bond>; SEQUENCERS],
    messages: Vec<Message>,
    /// Of every batch, from number 1.
    batches: Vec<Batch>,
    finals: usize,
    /// Who opened each page, while it is open.
    pages: Vec<Option<usize>>,
}

impl Model {
    fn cursor(&self, batches: usize) -> u64 {
        match batches {
            0 => 0,
            n => self.batches[n - 1].cursor,
        }
    }

    fn locked(&self, who: usize) -> u64 {
        let live = self.batches[self.finals..].iter();
        SLICE * live.filter(|batch| batch.who == who).count() as u64
    }

    /// Fees of the messages from one cursor to another.
    fn fees(&self, from: u64, to: u64) -> u64 {
        self.messages[from as usize..to as usize]
            .iter()
            .map(|message| message.fee)
            .sum()
    }
}

struct World {
    r: TestRollup,
    config: Config,
    sequencers: Vec<Keypair>,
    users: Vec<Keypair>,
    model: Model,
    total: u64,
    seen: Seen,
}

/// How often each operation was accepted (true) and refused.
type Seen = BTreeMap<(&'static str, bool), u64>;

/// Compares what came of an operation with what the model says.
fn judge(seen: &mut Seen, name: &'static str, ok: bool, outcome: &Outcome) {
    assert_eq!(outcome.is_ok(), ok, "{name}: {outcome:?}");
    *seen.entry((name, ok)).or_default() += 1;
}

impl World {
    fn new() -> Self {
        let mut config = config();
        config.params.window = 60;
        config.unbond_delay = 80;
        config.inbox_batch = 16;
        let mut r = TestRollup::unregistered(&["settlement"], config);
        let sequencers: Vec<_> = (0..SEQUENCERS).map(|_| r.svm.rich_key()).collect();
        let users: Vec<_> = (0..USERS).map(|_| r.svm.rich_key()).collect();
        let mut world = Self {
            r,
            config,
            sequencers,
            users,
            model: Model::default(),
            total: 0,
            seen: Seen::new(),
        };
        world.total = world.lamports();
        world
    }

    /// All lamports but the payer's of the fees.
    fn lamports(&self) -> u64 {
        let rollup = self.r.address;
        let keys = self.sequencers.iter().chain(&self.users);
        let mut accounts: BTreeSet<_> = keys.map(|key| key.pubkey()).collect();
        for key in &self.sequencers {
            accounts.insert(seeds::sequencer(&rollup, &key.pubkey()));
        }
        for page in 0..=self.model.pages.len() as u64 + 1 {
            accounts.insert(seeds::inbox_page(&rollup, page));
        }
        accounts.extend([rollup, self.r.chain()]);
        accounts.iter().map(|key| self.r.svm.lamports(key)).sum()
    }

    /// Does it, and compares whether it was accepted with what the model says.
    fn apply(&mut self, operation: &Operation) {
        let now = self.r.svm.slot();
        match *operation {
            Operation::Warp { slots } => self.r.svm.warp(slots),
            Operation::Register { who, halves } => {
                let bond = halves * SLICE / 2;
                let ok = self.model.bonds[who].is_none() && bond >= SLICE;
                let outcome = self.r.register(&self.sequencers[who], bond);
                judge(&mut self.seen, "register", ok, &outcome);
                if ok {
                    self.model.bonds[who] = Some(Bond {
                        bond,
                        ..Bond::default()
                    });
                }
            }
            Operation::AddBond { who, halves } => {
                let amount = halves * SLICE / 2;
                let key = &self.sequencers[who];
                let outcome = self.r.add_bond(key, amount);
                judge(
                    &mut self.seen,
                    "add_bond",
                    self.model.bonds[who].is_some(),
                    &outcome,
                );
                if let Some(bond) = &mut self.model.bonds[who] {
                    bond.bond += amount;
                }
            }
            Operation::RequestUnbond { who, halves } => {
                self.request_unbond(who, halves * SLICE / 2);
            }
            Operation::UnbondAll { who } => {
                let bond = self.model.bonds[who].as_ref();
                self.request_unbond(who, bond.map_or(0, |bond| bond.bond));
            }
            Operation::WithdrawBond { who } => {
                let locked = self.model.locked(who);
                let outcome = self.r.withdraw_bond(&self.sequencers[who]);
                let bond = self.model.bonds[who].as_mut().filter(|bond| {
                    bond.unbonding > 0
                        && now >= bond.unbond_slot
                        && bond.bond - bond.unbonding >= locked
                });
                judge(&mut self.seen, "withdraw_bond", bond.is_some(), &outcome);
                if let Some(bond) = bond {
                    bond.bond -= bond.unbonding;
                    bond.unbonding = 0;
                    bond.unbond_slot = 0;
                }
            }
            Operation::ClaimFees { who } => {
                let outcome = self.r.claim_fees(&self.sequencers[who]);
                let bond = self.model.bonds[who].as_mut();
                let bond = bond.filter(|bond| bond.earned > 0);
                judge(&mut self.seen, "claim_fees", bond.is_some(), &outcome);
                if let Some(bond) = bond {
                    bond.earned = 0;
                }
            }
            Operation::CloseSequencer { who } => {
                let outcome = self.r.close_sequencer(&self.sequencers[who]);
                let bond = self.model.bonds[who].as_ref();
                let ok = bond.is_some_and(|bond| bond.bond == 0 && bond.earned == 0);
                judge(&mut self.seen, "close_sequencer", ok, &outcome);
                if ok {
                    self.model.bonds[who] = None;
                }
            }
            Operation::Enqueue { user, count } => self.enqueue(user, count),
            Operation::Post {
                who,
                leave,
                transactions,
            } => self.post(who, leave, transactions),
            Operation::Finalize { who } => self.finalize(who),
            Operation::ClosePage { page } => self.close_page(page),
        }
    }

    fn request_unbond(&mut self, who: usize, amount: u64) {
        let now = self.r.svm.slot();
        let outcome = self.r.request_unbond(&self.sequencers[who], amount);
        let bond = self.model.bonds[who].as_mut();
        let bond = bond.filter(|bond| amount <= bond.bond);
        judge(&mut self.seen, "request_unbond", bond.is_some(), &outcome);
        if let Some(bond) = bond {
            bond.unbonding = amount;
            bond.unbond_slot = now + self.config.unbond_delay;
        }
    }

    fn enqueue(&mut self, user: usize, count: u8) {
        for _ in 0..count {
            let model = &mut self.model;
            let waiting = model.messages.len() as u64 - model.cursor(model.batches.len());
            if model.messages.len().is_multiple_of(PAGE_ENTRIES) {
                model.pages.push(Some(user));
            }
            model.messages.push(Message {
                slot: self.r.svm.slot(),
                fee: self.config.inbox_fee_base + waiting * self.config.inbox_fee_step,
            });
            accepted(self.r.force(&self.users[user]));
        }
    }

    fn post(&mut self, who: usize, leave: u64, transactions: u32) {
        let now = self.r.svm.slot();
        let key = self.sequencers[who].insecure_clone();
        self.r.sequencer = key.insecure_clone();
        let model = &self.model;
        let count = model.messages.len() as u64;
        let parent = model.cursor(model.batches.len());
        let cursor = count - leave.min(count - parent);
        let consumed = cursor - parent;
        let chain = match cursor {
            0 => [0; 32],
            n if n == count => self.r.account().inbox_chain,
            n => match self.r.page(InboxPage::page_of(n)).before(n) {
                Some(point) => point.chain,
                None => unreachable!("message {n} is on its page"),
            },
        };
        let mut draft = Draft::new(&self.r, transactions);
        let transactions = consumed as u32 + transactions;
        if transactions == 0 {
            // Nothing to post; there is no data of no bytes.
            return;
        }
        draft.header.tx_count = transactions;
        let draft = draft
            .inbox(cursor, chain)
            .data(vec![1; transactions as usize]);
        let overdue = model.messages[cursor as usize..]
            .first()
            .is_some_and(|message| message.slot + self.config.inbox_grace < now);
        let free = model.bonds[who]
            .as_ref()
            .is_some_and(|bond| bond.bond - bond.unbonding >= model.locked(who) + SLICE);
        let ok = free
            && ((model.batches.len() - model.finals) as u64) < MAX_PENDING
            && (!overdue || consumed >= u64::from(self.config.inbox_batch));
        self.r.publish(&draft);
        let outcome = self.r.post(&draft);
        accepted(self.r.close_data(&key, draft.data_address()));
        judge(&mut self.seen, "post", ok, &outcome);
        if ok {
            self.model.batches.push(Batch {
                who,
                posted: now,
                cursor,
            });
        }
    }

    fn finalize(&mut self, who: Option<usize>) {
        let now = self.r.svm.slot();
        let poster = self.model.batches.get(self.model.finals);
        let who = who.or(poster.map(|batch| batch.who)).unwrap_or(0);
        let outcome = self.r.finalize_for(&self.sequencers[who].pubkey());
        let model = &mut self.model;
        let batch = model.batches.get(model.finals);
        let ok = batch.is_some_and(|batch| {
            batch.who == who && now >= batch.posted + self.config.params.window
        });
        judge(&mut self.seen, "finalize", ok, &outcome);
        if ok {
            let fees = model.fees(model.cursor(model.finals), model.cursor(model.finals + 1));
            model.finals += 1;
            let Some(bond) = &mut model.bonds[who] else {
                unreachable!("who has a live batch cannot leave")
            };
            bond.earned += fees;
        }
    }

    fn close_page(&mut self, page: u64) {
        let model = &mut self.model;
        let opener = model.pages.get(page as usize).copied().flatten();
        let end = (page + 1) * PAGE_ENTRIES as u64;
        let ok = opener.is_some() && model.cursor(model.finals) >= end;
        let payer = self.users[opener.unwrap_or(0)].pubkey();
        let outcome = self.r.close_page(page, &payer);
        judge(&mut self.seen, "close_page", ok, &outcome);
        if ok {
            self.model.pages[page as usize] = None;
        }
    }

    /// Compares the accounts with the model, and counts the lamports.
    fn check(&self) {
        assert_eq!(self.lamports(), self.total, "lamports are conserved");
        let model = &self.model;
        let rollup = self.r.account();
        rollup.invariant().unwrap();
        assert_eq!(rollup.inbox_count, model.messages.len() as u64);
        assert_eq!(rollup.inbox_cursor, model.cursor(model.batches.len()));
        assert_eq!(rollup.inbox_fees, model.fees(0, rollup.inbox_count));
        // The rollup holds the fees of the messages that are not final.
        let owed = model.fees(model.cursor(model.finals), rollup.inbox_count);
        let rent = self.r.svm.rent(settlement::state::Rollup::size());
        assert_eq!(self.r.svm.lamports(&self.r.address), rent + owed);

        let chain = self.r.chain_account();
        chain.invariant().unwrap();
        assert_eq!(chain.tip_number, model.batches.len() as u64);
        assert_eq!(chain.final_number, model.finals as u64);
        for (who, bond) in model.bonds.iter().enumerate() {
            let key = self.sequencers[who].pubkey();
            assert_eq!(chain.locked_bond(&key).unwrap(), model.locked(who));
            let address = seeds::sequencer(&self.r.address, &key);
            let Some(bond) = bond else {
                assert!(self.r.svm.account(&address).is_none());
                continue;
            };
            let account = self.r.sequencer_account(&key);
            account.invariant().unwrap();
            assert_eq!(account.bond, bond.bond);
            assert_eq!(account.unbonding, bond.unbonding);
            assert_eq!(account.unbond_slot, bond.unbond_slot);
            assert_eq!(account.earned, bond.earned);
            assert!(bond.bond >= model.locked(who), "locked slices are bonded");
            assert_eq!(
                self.r.svm.lamports(&address),
                self.r.svm.rent(Sequencer::size()) + bond.bond + bond.earned
            );
        }
        for (page, opener) in model.pages.iter().enumerate() {
            let address = seeds::inbox_page(&self.r.address, page as u64);
            assert_eq!(self.r.svm.account(&address).is_some(), opener.is_some());
        }
    }
}

#[test]
fn every_history_keeps_the_books() {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let mut runner = TestRunner::new(Runs {
        cases: cases.and_then(|n| n.parse().ok()).unwrap_or(48),
        // A fixed seed: the same histories in every run.
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Runs::default()
    });
    let seen = RefCell::new(Seen::new());
    let histories = proptest::collection::vec(operation(), 1..120);
    let outcome = runner.run(&histories, |operations| {
        let mut world = World::new();
        for operation in &operations {
            world.apply(operation);
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
    // The histories reach every operation, in both outcomes.
    let seen = seen.into_inner();
    for ((name, ok), count) in &seen {
        println!("{name}, accepted: {ok}: {count}");
    }
    let names: BTreeSet<_> = seen.keys().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), 9);
    for name in names {
        for ok in [true, false] {
            assert!(seen.contains_key(&(name, ok)), "{name}, accepted: {ok}");
        }
    }
}
