//! Random steps of everything that can happen, and what they must conserve.

use super::common::*;
use assay_ledger::inbox::{Forced, Job, Message, MessageKind};
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::request::{Action, SignedRequest};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Each;
use assay_ledger::state::INVALID;
use assay_ledger::store::FullState;
use assay_ledger::transaction::{Destination, Transaction};
use assay_ledger::transition::{Env, Fault, StateAccess, apply, apply_root, ship};
use assay_ledger::witness::Witness;
use assay_ledger::{Key, SOL};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// One step, read from a few bytes, so that shrinking makes it simpler.
pub type Op = [u8; 8];

pub struct World {
    pub state: FullState,
    pub env: Env,
    /// What each message in the queue deposits.
    pub queued: VecDeque<Option<(Key, u64)>>,
    pub deposited: BTreeMap<Key, u128>,
    /// How often each status or fault was seen.
    pub seen: BTreeMap<String, u32>,
}

pub fn mint(b: u8) -> Key {
    if b.is_multiple_of(3) { TOKEN } else { SOL }
}

/// A few sums, small ones above all.
pub fn amount(b: u8) -> u64 {
    match b {
        0..200 => u64::from(b),
        200..254 => u64::from(b) * 1_000,
        _ => u64::MAX - u64::from(b),
    }
}

/// Prices, small ones above all.
pub fn price(b: u8) -> u64 {
    match b {
        0..250 => u64::from(b % 40),
        _ => amount(b),
    }
}

/// Six users, among them the sequencer, and the sentinel's key.
pub fn who(b: u8) -> Key {
    match b % 7 {
        5 => user(9).public(),
        6 if b > 128 => [0; 32],
        i => user(i).public(),
    }
}

pub fn pair(b: u8) -> assay_ledger::signature::Keypair {
    if b % 7 == 5 { user(9) } else { user(b % 7) }
}

impl World {
    pub fn new() -> Self {
        let mut env = env(1);
        env.params.max_units = 200;
        Self {
            state: FullState::genesis(),
            env,
            queued: VecDeque::new(),
            deposited: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    pub fn message(&mut self, op: &Op) -> Message {
        let [_, _, a, b, c, d, e, f] = *op;
        match d % 6 {
            0 => {
                // Close to what accounts of 64 bits hold together, now and then.
                let (mint, amount) = (mint(b), amount(c));
                let known = self.deposited.get(&mint).copied().unwrap_or(0);
                let queued: u128 = self
                    .queued
                    .iter()
                    .flatten()
                    .filter(|q| q.0 == mint)
                    .map(|q| u128::from(q.1))
                    .sum();
                let amount = if known + queued + u128::from(amount) > u128::from(u64::MAX) {
                    1
                } else {
                    amount
                };
                self.queued.push_back(Some((mint, amount)));
                deposit(who(a), mint, amount)
            }
            1 => message(
                MessageKind::Job,
                &Job {
                    job: [a; 32],
                    model: u32::from(b % 4),
                    program_root: self
                        .state
                        .model(u32::from(b % 4))
                        .filter(|_| f % 8 != 0)
                        .map_or([f; 32], |m| m.program_root),
                    max_price: price(c),
                    output_bytes: u32::from(e % 8),
                    input: vec![f; usize::from(e % 5)],
                },
            ),
            2 => message(
                MessageKind::Forced,
                &Forced::Transfer {
                    owner: who(a),
                    mint: mint(b),
                    to: who(e),
                    amount: amount(c),
                },
            ),
            3 => message(
                MessageKind::Forced,
                &Forced::Withdraw {
                    owner: who(a),
                    mint: mint(b),
                    recipient: [e; 32],
                    amount: amount(c),
                },
            ),
            _ => Message {
                kind: [MessageKind::Deposit, MessageKind::Job, MessageKind::Forced]
                    [usize::from(b % 3)],
                payload: vec![c; usize::from(e)],
            },
        }
    }

    pub fn action(&self, op: &Op) -> Action {
        let [kind, _, _, b, c, d, e, _] = *op;
        let index = u32::from(d % 4);
        let model = self.state.model(index);
        match kind % 10 {
            0..=1 => Action::Transfer {
                to: who(b),
                amount: amount(c),
            },
            2 => Action::Withdraw {
                recipient: [b; 32],
                amount: amount(c),
            },
            3 => Action::Deploy {
                // Without an input or an output byte it is none.
                program: program(
                    u64::from(d) + 9,
                    if e == 255 { 1 << 40 } else { u64::from(e % 4) },
                    u64::from(d % 6),
                ),
                parameters_root: [b; 32],
                price: price(c),
            },
            4 => Action::Update {
                model: index,
                program_root: model.map_or([0; 32], |m| m.program_root),
                parameters_root: [b; 32],
                price: price(c),
            },
            _ => Action::Infer {
                model: index,
                program_root: model.map_or([0; 32], |m| m.program_root),
                price: model.map_or(0, |m| m.price),
                version: model.filter(|_| b % 2 == 0).map(|m| m.version),
                input: vec![
                    e;
                    if b % 8 == 0 {
                        usize::from(c % 6)
                    } else {
                        model.map_or(0, |m| m.input_bytes as usize)
                    }
                ],
            },
        }
    }

    /// The signer of an action: often the one who can.
    pub fn signed(&self, op: &Op) -> SignedRequest {
        let [kind, a, _, b, _, d, ..] = *op;
        let action = self.action(op);
        let publisher = self
            .state
            .model(u32::from(d % 4))
            .and_then(|m| self.state.account(m.publisher))
            .filter(|_| matches!(kind % 10, 4..10) && b % 4 != 0);
        let mint = publisher.map_or(mint(op[6]), |p| p.mint);
        let signer = publisher
            .filter(|_| kind % 10 == 4)
            .and_then(|p| (0..7).map(pair).find(|k| k.public() == p.owner))
            .unwrap_or_else(|| pair(a));
        sign(&self.state, &self.env, &signer, mint, action)
    }

    /// A transaction, good or spoilt.
    pub fn transaction(&mut self, op: &Op) -> Option<Transaction> {
        let [kind, a, b, c, d, .., spoil] = *op;
        if kind >= 230 {
            return Some(garbage(op));
        }
        if kind >= 100 {
            if spoil % 8 != 0 {
                let before = self.queued.len();
                let message = self.message(op);
                if self.queued.len() == before {
                    self.queued.push_back(None);
                }
                self.state.push_message(message);
            }
            return Some(if spoil % 5 == 0 {
                Transaction::DeclineJob
            } else {
                Transaction::Inbox
            });
        }
        let mut signed = self.signed(op);
        let mut tx = ship(&mut self.state, &self.env, &signed).ok()?;
        // Spoil what was signed, or what is shipped.
        let mut request = signed.request.clone();
        match spoil {
            0 => request.nonce += 1,
            1 => request.rollup[0] ^= 1,
            2 => request.mint[31] ^= 1,
            3 => request.owner[31] ^= 1,
            _ => {}
        }
        if request != signed.request {
            signed.signature = pair(a).sign(&request.signing_bytes());
        }
        let (from, signature) = match &mut tx {
            Transaction::Transfer {
                from, signature, ..
            }
            | Transaction::Withdraw {
                from, signature, ..
            }
            | Transaction::Deploy {
                from, signature, ..
            }
            | Transaction::Infer {
                from, signature, ..
            } => (Some(from), signature),
            Transaction::Update { signature, .. } => (None, signature),
            Transaction::Inbox | Transaction::DeclineJob => return None,
        };
        *signature = signed.signature;
        match (spoil, from) {
            (4, _) => signature[usize::from(b % 64)] ^= 1 << (c % 8),
            (5, Some(from)) => *from = u32::from(d % 16),
            _ => {}
        }
        Some(tx)
    }

    /// Applies `tx` to the store and to a witness, and holds them against each other.
    pub fn step(&mut self, tx: &Transaction, op: &Op) {
        let claim = [op[4]; 32];
        // The messages known are those that the batch has.
        let env = Env {
            inbox_end: self.state.next_push(),
            ..self.env
        };
        let before = self.state.components();
        let old = self.state.clone();
        let witness = Witness::record(&mut self.state, &env, tx);
        assert_eq!(self.state.components(), before, "recording changes nothing");
        let bytes = borsh::to_vec(&witness).unwrap();
        let witness: Witness = borsh::from_slice(&bytes).unwrap();

        let full = apply(&mut self.state, &env, tx, claim);
        let mut partial = witness.clone().open(&before.root()).unwrap();
        let part = apply(&mut partial, &env, tx, claim);
        assert_eq!(full, part, "{tx:?}");
        let after = self.state.components();
        let name = match &full {
            Ok(result) => {
                assert_eq!(after, partial.read_components().unwrap(), "{tx:?}");
                let mut again = witness.clone().open(&before.root()).unwrap();
                let root = apply_root(&mut again, &env, tx, result, &mut Each);
                assert_eq!(root, Ok(after.root()));
                format!("{:?}", result.status().unwrap())
            }
            Err(Fault::Invalid(invalid)) => {
                assert_eq!(after, before, "an invalid transaction writes nothing");
                let mut again = witness.clone().open(&before.root()).unwrap();
                let claimed = TxResult::default();
                let root = apply_root(&mut again, &env, tx, &claimed, &mut Each);
                assert_eq!(root, Ok(INVALID));
                format!("{invalid:?}")
            }
            Err(Fault::NoAccess(_)) => panic!("the whole state has everything"),
        };
        let kind: String = format!("{tx:?}")
            .chars()
            .take_while(|c| c.is_alphanumeric())
            .collect();
        *self.seen.entry(format!("{kind} {name}")).or_default() += 1;
        self.forge(&witness, tx, claim, op, &full, &after.root());
        self.account(&old, tx, full.is_ok());
    }

    /// A witness with something left out or changed does not open, or gives no answer, or the
    /// same: never another one.
    pub fn forge(
        &self,
        witness: &Witness,
        tx: &Transaction,
        claim: [u8; 32],
        op: &Op,
        full: &Result<TxResult, Fault>,
        after: &[u8; 32],
    ) {
        let root = witness.components.root();
        let mut forged = witness.clone();
        let pick = |n: usize| usize::from(op[7]) % n.max(1);
        match op[6] % 6 {
            0 if !forged.accounts.leaves.is_empty() => {
                let at = pick(forged.accounts.leaves.len());
                forged.accounts.leaves.remove(at);
            }
            1 => {
                let at = pick(forged.accounts.leaves.len());
                if let Some((_, Some(account))) = forged.accounts.leaves.get_mut(at) {
                    account.balance ^= 1 << (op[5] % 64);
                }
            }
            2 if !forged.accounts.siblings.is_empty() => {
                let at = pick(forged.accounts.siblings.len());
                forged.accounts.siblings[at][0] ^= 1;
            }
            3 => forged.outbox.clear(),
            4 => forged.components.units ^= 1,
            _ => forged.models.leaves.clear(),
        }
        if forged == *witness {
            return;
        }
        let Ok(mut partial) = forged.open(&root) else {
            return;
        };
        match apply(&mut partial, &self.env, tx, claim) {
            Err(Fault::NoAccess(_)) => {}
            other => {
                assert_eq!(&other, full);
                if other.is_ok() {
                    assert_eq!(partial.read_components().unwrap().root(), *after);
                }
            }
        }
    }

    /// The invariants of a state, and of a step from `old`.
    pub fn account(&mut self, old: &FullState, tx: &Transaction, applied: bool) {
        let state = &mut self.state;
        let consumed = state.heads().inbox.cursor - old.heads().inbox.cursor;
        let message = matches!(tx, Transaction::Inbox | Transaction::DeclineJob);
        assert_eq!(consumed, u64::from(message && applied));
        for _ in 0..consumed {
            if let Some((mint, amount)) = self.queued.pop_front().unwrap() {
                *self.deposited.entry(mint).or_default() += u128::from(amount);
            }
        }
        // Conservation: all that came in is in an account or on its way out.
        let mut out: BTreeMap<Key, u128> = BTreeMap::new();
        for i in 0..state.heads().outbox {
            if let Some(OutboxLeaf::Withdrawal { mint, amount, .. }) = state.outbox_leaf(i) {
                *out.entry(mint).or_default() += u128::from(amount);
            }
        }
        for mint in [SOL, TOKEN] {
            let inside = state.total(&mint) + out.get(&mint).copied().unwrap_or(0);
            let came = self.deposited.get(&mint).copied().unwrap_or(0);
            assert_eq!(inside, came, "{tx:?}");
        }
        // Nonces: one up for the signer of what was applied, none otherwise.
        let raised: u64 = (0..old.heads().accounts as u32)
            .map(|i| state.account(i).unwrap().nonce - old.account(i).unwrap().nonce)
            .sum();
        assert_eq!(raised, u64::from(applied && !message));
        // One ordered list.
        let (mut at, mut last, mut length) = (0, None, 0);
        loop {
            let account = state.account(at).unwrap();
            let key = (account.owner, account.mint);
            assert!(last.is_none_or(|l| l < key));
            (last, length, at) = (Some(key), length + 1, account.next);
            if at == 0 {
                break;
            }
        }
        assert_eq!(length, state.heads().accounts);
    }
}

/// A transaction out of nothing.
pub fn garbage(op: &Op) -> Transaction {
    let [_, a, b, c, d, e, f, g] = *op;
    let (from, model) = (u32::from(a % 8), u32::from(b % 5));
    let signature = [c; 64];
    match g % 6 {
        0 => Transaction::Transfer {
            from,
            to: Destination::Account(u32::from(d % 8)),
            amount: amount(e),
            signature,
        },
        1 => Transaction::Transfer {
            from,
            to: Destination::New(who(d)),
            amount: amount(e),
            signature,
        },
        2 => Transaction::Withdraw {
            from,
            recipient: [d; 32],
            amount: amount(e),
            signature,
        },
        3 => Transaction::Update {
            model,
            parameters_root: [d; 32],
            price: amount(e),
            signature,
        },
        4 => Transaction::Deploy {
            from,
            program: program(1, 2, 3),
            parameters_root: [d; 32],
            price: 1,
            signature,
        },
        _ => Transaction::Infer {
            from,
            model,
            pinned: d % 2 == 0,
            input: vec![f; if e < 32 { 20_000 } else { usize::from(e % 4) }],
            signature,
        },
    }
}

pub fn run(ops: &[Op]) -> World {
    let mut world = World::new();
    // Everybody starts with something.
    for i in 0..6 {
        for (b, mint) in [(1, SOL), (0, TOKEN)] {
            let op = [100, 0, i, b, 150, 0, 0, 1];
            let tx = world.transaction(&op).unwrap();
            assert_eq!(world.queued.back(), Some(&Some((mint, 150))));
            world.step(&tx, &op);
        }
    }
    for op in ops {
        if op[0] >= 240 {
            world.env.number += 1;
            world.state.start_batch();
        } else if let Some(tx) = world.transaction(op) {
            world.step(&tx, op);
        }
    }
    world
}

pub fn history(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any::<Op>(), len)
}
