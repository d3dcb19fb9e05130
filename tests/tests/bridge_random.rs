//! Random histories of deposits and withdrawals, honest and forged, against a model.
//!
//! After every step: the vaults hold what is locked; what is locked is what was deposited and
//! not paid; every withdrawal is paid at most once; no lamport and no token comes from nowhere.
//! `PROPTEST_CASES` raises the number of histories.

use assay_ledger::outbox::OutboxLeaf;
use assay_tests::bridge::{new, paid_page, registered_mint, sol_vault, token_vault, withdraw_args};
use assay_tests::outbox::OutboxTree;
use assay_tests::rollup::TestRollup;
use assay_tests::svm::{accepted, refused};
use assay_tests::tokens::{SPL_TOKEN, TOKEN_2022, TestMint, balance};
use bridge::WithdrawArgs;
use bridge::errors::BridgeError;
use bridge::state::SolVault;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use settlement::errors::SettlementError;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What is moved: lamports, or tokens of one of two mints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Sol,
    Token(usize),
}

/// How a payment is forged.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    Amount,
    Index,
    Recipient,
    Sibling,
    What,
}

#[derive(Clone, Debug)]
enum Step {
    Deposit(What, u64),
    /// The L2 writes a withdrawal to this recipient; a lying one of more than it may.
    Withdraw(What, usize, u64, bool),
    /// A batch with the outbox so far becomes final.
    Finalize,
    /// A batch with the outbox so far is posted and stays pending until the next `Finalize`.
    Post,
    /// Somebody asks for leaf `n` to be paid.
    Pay(usize),
    Forge(usize, Forgery),
    /// Somebody sends lamports or tokens to a vault without the bridge.
    Gift(What, u64),
}

const RECIPIENTS: usize = 3;

fn what() -> impl Strategy<Value = What> {
    prop_oneof![Just(What::Sol), (0..2usize).prop_map(What::Token)]
}

fn step() -> impl Strategy<Value = Step> {
    let forgery = prop_oneof![
        Just(Forgery::Amount),
        Just(Forgery::Index),
        Just(Forgery::Recipient),
        Just(Forgery::Sibling),
        Just(Forgery::What),
    ];
    let amount = 1..2_000_000u64;
    prop_oneof![
        4 => (what(), amount.clone()).prop_map(|(w, a)| Step::Deposit(w, a)),
        5 => (what(), 0..RECIPIENTS, amount.clone(), prop::bool::weighted(0.1))
            .prop_map(|(w, r, a, lie)| Step::Withdraw(w, r, a, lie)),
        2 => Just(Step::Finalize),
        1 => Just(Step::Post),
        8 => any::<usize>().prop_map(Step::Pay),
        2 => (any::<usize>(), forgery).prop_map(|(n, f)| Step::Forge(n, f)),
        1 => (what(), amount).prop_map(|(w, a)| Step::Gift(w, a)),
    ]
}

/// The chain, and what should be on it.
struct World {
    r: TestRollup,
    user: Keypair,
    mints: Vec<TestMint>,
    outbox: OutboxTree,
    /// Of each leaf: what it pays and to whom.
    leaves: Vec<(What, usize, u64)>,
    paid: BTreeSet<usize>,
    /// The newest final batch and the leaves that it has.
    last: (u64, usize),
    deposited: [u64; 3],
    paid_out: [u64; 3],
    /// What the L2's accounts still have.
    on_l2: [u64; 3],
    gifts: [u64; 3],
    lied: bool,
    lamports: u64,
    /// What payments came to.
    seen: BTreeMap<&'static str, u32>,
}

fn recipient(i: usize) -> Pubkey {
    Pubkey::new_from_array([40 + i as u8; 32])
}

fn slot(what: What) -> usize {
    match what {
        What::Sol => 0,
        What::Token(i) => 1 + i,
    }
}

impl World {
    fn new() -> Self {
        let mut r = new();
        let user = r.svm.rich_key();
        let mints: Vec<TestMint> = [SPL_TOKEN, TOKEN_2022]
            .into_iter()
            .map(|program| {
                let mint = TestMint::new(&mut r.svm, program, &[]);
                mint.mint_to(&mut r.svm, &user.pubkey(), 1_000_000_000);
                accepted(r.register_mint(&user, &mint));
                mint
            })
            .collect();
        // The vault is there from the first deposit on.
        accepted(r.deposit_sol(&user, user.pubkey(), 1));
        // All recipients but one have a wallet.
        for i in 1..RECIPIENTS {
            r.svm.airdrop(&recipient(i), 1_000_000_000);
        }
        let mut world = Self {
            r,
            user,
            mints,
            outbox: OutboxTree::default(),
            leaves: Vec::new(),
            paid: BTreeSet::new(),
            last: (0, 0),
            deposited: [1, 0, 0],
            paid_out: [0; 3],
            on_l2: [1, 0, 0],
            gifts: [0; 3],
            lied: false,
            lamports: 0,
            seen: BTreeMap::new(),
        };
        world.lamports = world.count_lamports();
        world
    }

    /// Lamports of everybody but those who only pay fees: nobody here pays any.
    fn count_lamports(&self) -> u64 {
        let rollup = &self.r.address;
        let mut keys = vec![
            self.user.pubkey(),
            self.r.sequencer.pubkey(),
            settlement::seeds::sequencer(rollup, &self.r.sequencer.pubkey()),
            *rollup,
            self.r.chain(),
            settlement::seeds::inbox_page(rollup, 0),
            settlement::seeds::inbox_page(rollup, 1),
            sol_vault(rollup),
            paid_page(rollup, 0),
        ];
        keys.extend((0..RECIPIENTS).map(recipient));
        for mint in &self.mints {
            keys.push(registered_mint(rollup, &mint.address));
            keys.push(token_vault(rollup, &mint.address));
            keys.extend((0..RECIPIENTS).map(|i| mint.account_of(&recipient(i))));
        }
        keys.iter().map(|k| self.r.svm.lamports(k)).sum()
    }

    fn mint_key(&self, what: What) -> Pubkey {
        match what {
            What::Sol => Pubkey::default(),
            What::Token(i) => self.mints[i].address,
        }
    }

    fn pay(&mut self, what: What, to: usize, args: WithdrawArgs) -> assay_tests::svm::Outcome {
        let user = self.user.insecure_clone();
        match what {
            What::Sol => self.r.withdraw_sol(&user, recipient(to), args),
            What::Token(i) => self
                .r
                .withdraw_token(&user, &self.mints[i], recipient(to), args),
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Deposit(what, amount) => {
                let user = self.user.insecure_clone();
                let owner = user.pubkey();
                accepted(match what {
                    What::Sol => self.r.deposit_sol(&user, owner, amount),
                    What::Token(i) => self.r.deposit_token(&user, &self.mints[i], owner, amount),
                });
                self.deposited[slot(what)] += amount;
                self.on_l2[slot(what)] += amount;
            }
            Step::Withdraw(what, to, amount, lie) => self.withdraw(what, to, amount, lie),
            Step::Finalize => {
                self.last.0 = self.r.finalize_outbox(self.outbox.head());
                self.last.1 = self.leaves.len();
            }
            Step::Post => {
                if self.r.chain_account().pending() < 8 {
                    let draft =
                        assay_tests::batch::Draft::new(&self.r, 1).outbox(self.outbox.head());
                    self.r.settle(&draft);
                }
            }
            Step::Pay(n) => self.ask(n),
            Step::Forge(n, forgery) => self.forge(n, forgery),
            Step::Gift(what, amount) => {
                let user = self.user.insecure_clone();
                let gift = match what {
                    What::Sol => solana_system_interface::instruction::transfer(
                        &user.pubkey(),
                        &sol_vault(&self.r.address),
                        amount,
                    ),
                    What::Token(i) => {
                        let mint = &self.mints[i];
                        spl_token_2022_interface::instruction::transfer_checked(
                            &mint.program,
                            &mint.account_of(&user.pubkey()),
                            &mint.address,
                            &token_vault(&self.r.address, &mint.address),
                            &user.pubkey(),
                            &[],
                            amount,
                            assay_tests::tokens::DECIMALS,
                        )
                        .unwrap()
                    }
                };
                accepted(self.r.svm.send(&[gift], &[&user]));
                self.gifts[slot(what)] += amount;
            }
        }
    }

    /// The L2 lets a withdrawal out. An honest one takes it from a balance.
    fn withdraw(&mut self, what: What, to: usize, amount: u64, lie: bool) {
        let have = &mut self.on_l2[slot(what)];
        let amount = if lie {
            self.lied = true;
            amount
        } else {
            let amount = amount.min(*have);
            *have -= amount;
            amount
        };
        if amount == 0 {
            return;
        }
        self.outbox.push(OutboxLeaf::Withdrawal {
            recipient: recipient(to).to_bytes(),
            mint: self.mint_key(what).to_bytes(),
            amount,
        });
        self.leaves.push((what, to, amount));
    }

    /// Asks for a leaf to be paid, and expects what the rules say.
    fn ask(&mut self, n: usize) {
        if self.leaves.is_empty() {
            return;
        }
        let n = n % self.leaves.len();
        let (what, to, amount) = self.leaves[n];
        let (batch, known) = self.last;
        // The path in the tree that the batch committed to.
        let tree = OutboxTree {
            leaves: self.outbox.leaves[..known.max(n + 1)].to_vec(),
        };
        let args = withdraw_args(&tree, batch, n as u64);
        let locked = self.deposited[slot(what)] - self.paid_out[slot(what)];
        let wallet = self.r.svm.lamports(&recipient(to)) + amount >= self.r.svm.rent(0);
        let outcome = self.pay(what, to, args);
        let came_to = if n >= known {
            refused(outcome, BridgeError::WrongProof);
            "not final"
        } else if self.paid.contains(&n) {
            refused(outcome, BridgeError::AlreadyPaid);
            "paid before"
        } else if amount > locked {
            assert!(self.lied);
            refused(outcome, BridgeError::VaultShort);
            "beyond the deposits"
        } else if what == What::Sol && !wallet {
            refused(outcome, BridgeError::RecipientBelowRent);
            "no wallet"
        } else {
            accepted(outcome);
            self.paid.insert(n);
            self.paid_out[slot(what)] += amount;
            match what {
                What::Sol => "paid, lamports",
                What::Token(_) => "paid, tokens",
            }
        };
        *self.seen.entry(came_to).or_default() += 1;
    }

    /// A payment that nothing entitles to.
    fn forge(&mut self, n: usize, forgery: Forgery) {
        let (batch, known) = self.last;
        if known == 0 {
            return;
        }
        let n = n % known;
        let (mut what, mut to, _) = self.leaves[n];
        let tree = OutboxTree {
            leaves: self.outbox.leaves[..known].to_vec(),
        };
        let mut args = withdraw_args(&tree, batch, n as u64);
        match forgery {
            Forgery::Amount => args.amount += 1,
            Forgery::Index => args.index += known as u64,
            Forgery::Recipient => to = (to + 1) % RECIPIENTS,
            Forgery::Sibling => match args.siblings.first_mut() {
                Some(sibling) => sibling[7] ^= 1,
                None => args.siblings.push([3; 32]),
            },
            Forgery::What => {
                what = match what {
                    What::Sol => What::Token(0),
                    What::Token(_) => What::Sol,
                }
            }
        }
        refused(self.pay(what, to, args), BridgeError::WrongProof);
        // A batch that is pending or was never posted proves nothing at all.
        let (what, to, _) = self.leaves[n];
        let args = withdraw_args(&tree, batch + 1, n as u64);
        refused(self.pay(what, to, args), SettlementError::NotFinal);
        *self.seen.entry("forged").or_default() += 1;
    }

    fn check(&self) {
        let rollup = &self.r.address;
        let rent = self.r.svm.rent(SolVault::size());
        let mut held = vec![self.r.svm.lamports(&sol_vault(rollup)) - rent];
        let mut locked = vec![self.r.sol_vault().locked];
        for mint in &self.mints {
            held.push(balance(&self.r.svm, &token_vault(rollup, &mint.address)));
            locked.push(self.r.registered_mint(&mint.address).locked);
        }
        for i in 0..3 {
            assert_eq!(locked[i], self.deposited[i] - self.paid_out[i]);
            assert_eq!(held[i], locked[i] + self.gifts[i]);
            if !self.lied {
                // Vault = L2 balances + unpaid withdrawals (all deposits count as consumed here).
                let unpaid: u64 = (0..self.leaves.len())
                    .filter(|n| !self.paid.contains(n) && slot(self.leaves[*n].0) == i)
                    .map(|n| self.leaves[n].2)
                    .sum();
                assert_eq!(locked[i], self.on_l2[i] + unpaid);
            }
        }
        for (n, _) in self.leaves.iter().enumerate() {
            assert_eq!(self.r.is_paid(n as u64), self.paid.contains(&n));
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
        rng_seed: RngSeed::Fixed(11),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let seen = RefCell::new(BTreeMap::<_, u32>::new());
    let outcome = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
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
    assert_eq!(seen.len(), 7);
}
