//! What the settlement program does around the game, for all disputes over one batch: who may do what
//! when, and whose lamports are where.

use crate::arena::duel::message_chain;
use crate::arena::world::Batch;
use assay_dispute::game::{Class, Dispute, Move, Refused, Verdict};
use assay_dispute::prove::{NotProven, Proof, ProofKind};
use assay_dispute::{Key, Side};
use assay_ledger::header::Header;
use assay_ledger::signature::Each;
use std::collections::BTreeMap;

/// What everybody has in the beginning.
pub const WEALTH: u64 = 1_000_000_000;

/// Something that somebody did.
#[derive(Clone, Debug)]
pub enum Deed {
    Open,
    Play(Move),
    Prove(ProofKind, Vec<u8>),
    TimeOut,
    /// Takes note that the batch is dead.
    Resolve,
    /// Has this key's share paid out.
    Claim(Key),
    /// Makes the batch final.
    Finalize,
}

/// Why it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// Not with this key, or not for it.
    Player,
    /// The batch's window is over.
    Closed,
    /// The batch is not pending any more.
    NotLive,
    /// The batch is still in its window, or disputed.
    Pending,
    Game(Refused),
    Proof(NotProven),
}

/// A deed, and what became of it.
#[derive(Clone, Debug)]
pub struct Record {
    pub slot: u64,
    /// Which dispute.
    pub case: usize,
    pub by: Key,
    pub deed: Deed,
    pub done: Result<(), No>,
}

/// One dispute with what is at stake.
#[derive(Clone, Debug)]
pub struct Case {
    pub dispute: Dispute,
    pub opened: u64,
    /// When it was decided, or given up because the batch was dead.
    pub decided: Option<u64>,
    bond: u64,
    challenger_due: u64,
    asserter_due: u64,
}

/// All disputes over one batch, and the lamports.
pub struct Court<'a> {
    pub batch: &'a Batch,
    pub header: Header,
    pub now: u64,
    pub live: bool,
    pub last: bool,
    pub cases: Vec<Case>,
    wallets: BTreeMap<Key, u64>,
    /// The slice of the sequencer's bond that the batch locks.
    slice: u64,
    burned: u64,
    /// Everything that was done or tried.
    pub records: Vec<Record>,
}

impl<'a> Court<'a> {
    /// The batch is posted in slot 0.
    pub fn new(batch: &'a Batch, header: Header) -> Self {
        Self {
            batch,
            header,
            now: 0,
            live: true,
            last: false,
            cases: Vec::new(),
            wallets: BTreeMap::new(),
            slice: header.params.bond_slice,
            burned: 0,
            records: Vec::new(),
        }
    }

    /// Where a dispute stands.
    pub fn class(&self, case: usize) -> Class {
        self.cases[case].dispute.class(self.live, self.now)
    }

    /// Lamports of this key.
    pub fn wallet(&self, key: &Key) -> u64 {
        self.wallets.get(key).copied().unwrap_or(WEALTH)
    }

    /// What is left of the slice of the bond.
    pub fn slice(&self) -> u64 {
        self.slice
    }

    fn add(&mut self, key: Key, lamports: u64) {
        let wallet = self.wallet(&key);
        self.wallets
            .insert(key, wallet.checked_add(lamports).unwrap());
    }

    /// Lamports that have come from nowhere, less those that have gone.
    pub fn surplus(&self) -> i128 {
        let wallets: i128 = self.wallets.values().map(|w| i128::from(*w)).sum();
        let given = self.wallets.len() as i128 * i128::from(WEALTH);
        let at_stake = |case: &Case| {
            i128::from(case.bond) + i128::from(case.challenger_due) + i128::from(case.asserter_due)
        };
        let cases: i128 = self.cases.iter().map(at_stake).sum();
        let bond = i128::from(self.slice) + i128::from(self.burned);
        wallets - given + cases + bond - i128::from(self.header.params.bond_slice)
    }

    /// Does something. What is refused changes nothing.
    pub fn act(&mut self, case: usize, by: Key, deed: Deed) -> Result<(), No> {
        let before = (self.cases.get(case).map(|c| c.dispute.clone()), self.live);
        let done = self.attempt(case, by, &deed);
        if done.is_err() {
            let after = (self.cases.get(case).map(|c| c.dispute.clone()), self.live);
            assert!(before == after, "{deed:?} was refused and did something");
        }
        assert_eq!(self.surplus(), 0, "{deed:?}");
        self.records.push(Record {
            slot: self.now,
            case,
            by,
            deed,
            done,
        });
        done
    }

    fn attempt(&mut self, at: usize, by: Key, deed: &Deed) -> Result<(), No> {
        let (live, now) = (self.live, self.now);
        let window = self.header.params.window;
        match deed {
            Deed::Open => {
                let bond = self.header.params.dispute_bond;
                if !live || self.last {
                    return Err(No::NotLive);
                }
                if now >= window {
                    return Err(No::Closed);
                }
                let wallet = self.wallet(&by).checked_sub(bond).ok_or(No::Player)?;
                self.wallets.insert(by, wallet);
                self.cases.push(Case {
                    dispute: Dispute::open(self.header, by, now),
                    opened: now,
                    decided: None,
                    bond,
                    challenger_due: 0,
                    asserter_due: 0,
                });
            }
            Deed::Play(made) => {
                if by != self.key(at, made.side()) {
                    return Err(No::Player);
                }
                let dispute = &mut self.cases[at].dispute;
                dispute.play(made.clone(), live, now).map_err(No::Game)?;
            }
            Deed::Prove(kind, bytes) => {
                if by != self.key(at, Side::Challenger) {
                    return Err(No::Player);
                }
                let chain = message_chain(self.batch);
                let proof = Proof { kind: *kind, bytes };
                let dispute = &mut self.cases[at].dispute;
                let verdict = dispute.prove(&proof, &mut Each, &chain, live, now);
                self.decided(at, verdict.map_err(No::Proof)?);
            }
            Deed::TimeOut => {
                let verdict = self.cases[at].dispute.time_out(live, now);
                self.decided(at, verdict.map_err(No::Game)?);
            }
            Deed::Resolve => match self.class(at) {
                Class::Moot => self.award(at, Side::Challenger, 0),
                _ => return Err(No::Pending),
            },
            Deed::Claim(key) => {
                let parties = [Side::Asserter, Side::Challenger].map(|side| self.key(at, side));
                if !parties.contains(key) {
                    return Err(No::Player);
                }
                let paid = self.due(at, key);
                self.add(*key, paid);
            }
            Deed::Finalize => {
                let held = self.cases.iter().any(|case| case.decided.is_none());
                if !live || self.last {
                    return Err(No::NotLive);
                }
                if now < window || held {
                    return Err(No::Pending);
                }
                self.last = true;
            }
        }
        Ok(())
    }

    /// Who plays this side.
    pub fn key(&self, case: usize, side: Side) -> Key {
        match side {
            Side::Asserter => self.header.sequencer,
            Side::Challenger => self.cases[case].dispute.challenger,
        }
    }

    /// What a verdict does: the bond is the winner's, and a convicted batch's slice is half the
    /// challenger's, half nobody's.
    fn decided(&mut self, at: usize, verdict: Verdict) {
        let reward = match verdict.winner {
            Side::Asserter => 0,
            Side::Challenger => {
                self.live = false;
                let reward = self.slice / 2;
                self.burned += self.slice - reward;
                self.slice = 0;
                reward
            }
        };
        self.award(at, verdict.winner, reward);
    }

    fn award(&mut self, at: usize, winner: Side, more: u64) {
        let now = self.now;
        let case = &mut self.cases[at];
        let due = match winner {
            Side::Asserter => &mut case.asserter_due,
            Side::Challenger => &mut case.challenger_due,
        };
        *due += case.bond + more;
        case.bond = 0;
        case.decided.get_or_insert(now);
    }

    /// What this key may claim, which it now has.
    fn due(&mut self, at: usize, key: &Key) -> u64 {
        let asserter = self.header.sequencer;
        let case = &mut self.cases[at];
        let challenger = case.dispute.challenger;
        let mut paid = 0;
        for (party, due) in [
            (challenger, &mut case.challenger_due),
            (asserter, &mut case.asserter_due),
        ] {
            if party == *key {
                paid += std::mem::take(due);
            }
        }
        paid
    }
}
