//! Random games of the dispute crate's own tests, deed by deed on the deployed settlement program: the program does
//! what the rules on the host do, and the lamports end where the host's model has them.
//!
//! `ASSAY_REPLAYS` says how many games of each round are replayed, `ASSAY_SEED` from which round on.

#[path = "../../crates/dispute/tests/arena/mod.rs"]
mod arena;

use arena::random::court::WEALTH;
use arena::random::rounds::{self, Round};
use arena::random::{Court, Deed, No, Record, Table, play};
use arena::world::SEQUENCER;
use assay_client::instructions::disputes as build;
use assay_client::pda;
use assay_dispute::Key;
use assay_dispute::game::{Class, Move, Verdict};
use assay_dispute::prove::ProofKind;
use assay_tests::rollup::{TestRollup, encode};
use assay_tests::staged::draft;
use assay_tests::svm::{Outcome, Refusal, Wire, accepted};
use settlement::constants::{INCINERATOR, PAGE_ENTRIES};
use settlement::errors::SettlementError as E;
use settlement::heap::MAX_FRAME;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::collections::BTreeMap;

const ROUNDS: u64 = 12;
/// Lamports of everybody on the chain, of which the host's model knows nothing.
const RICH: u64 = 100 * WEALTH;

fn number(name: &str, default: u64) -> u64 {
    let number = std::env::var(name).ok();
    number.map_or(default, |n| n.parse().expect("a number"))
}

/// A game on the chain, and on the host.
struct Replay<'a> {
    r: TestRollup,
    court: Court<'a>,
    /// The slot in which the batch was posted: the host's 0.
    posted: u64,
    keys: BTreeMap<Key, Keypair>,
    /// Accounts of the disputes.
    disputes: Vec<Pubkey>,
    buffers: u64,
    tally: &'a mut Tally,
}

/// What was compared.
#[derive(Debug, Default)]
struct Tally {
    games: u64,
    disputes: u64,
    done: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    verdicts: BTreeMap<String, u64>,
    unposted: u64,
}

impl<'a> Replay<'a> {
    /// The table's batch is posted; `None` if the program does not even take it.
    fn new(table: &Table<'a>, tally: &'a mut Tally) -> Option<Self> {
        let batch = table.batch;
        assert!(
            batch.chain.len() <= PAGE_ENTRIES,
            "one page has all messages"
        );
        let sequencer = Keypair::new_from_array([SEQUENCER + 1; 32]);
        let parent = batch.parent.as_ref();
        let mut r = TestRollup::staged(&table.header, parent, &batch.chain, sequencer, 1);
        r.svm.heap = Some(MAX_FRAME as u32);
        let draft = draft(&table.header, &table.data);
        r.publish(&draft);
        if let Err(refusal) = r.post(&draft) {
            let refused = [E::InboxChain, E::InvalidState, E::OutboxShrank].map(u32::from);
            let code = refusal.code().expect("the program's refusal");
            assert!(refused.contains(&code), "{}: {refusal:?}", table.name);
            tally.unposted += 1;
            return None;
        }
        let poster = r.sequencer.insecure_clone();
        accepted(r.close_data(&poster, draft.data_address()));
        Some(Self {
            posted: r.svm.slot(),
            court: Court::new(batch, table.header),
            keys: BTreeMap::from([(table.header.sequencer, poster)]),
            disputes: Vec::new(),
            buffers: 0,
            tally,
            r,
        })
    }

    /// The key on the chain of somebody in the game.
    fn key(&mut self, of: &Key) -> Keypair {
        let svm = &mut self.r.svm;
        let key = self.keys.entry(*of).or_insert_with(|| {
            let key = svm.key();
            svm.airdrop(&key.pubkey(), RICH);
            key
        });
        key.insecure_clone()
    }

    /// Sends what one of the game's keys does; what does not fit a transaction goes through a buffer.
    fn send(
        &mut self,
        by: &Keypair,
        inline: Instruction,
        bytes: &[u8],
        from_buffer: impl FnOnce(&Pubkey) -> Instruction,
    ) -> Outcome {
        let svm = &self.r.svm;
        for wire in [Wire::Legacy, Wire::V1] {
            if svm.bytes(wire, std::slice::from_ref(&inline)) <= wire.limit() {
                return self.r.svm.send_as(wire, &[inline], &[by], &[]);
            }
        }
        self.buffers += 1;
        let buffer = self.r.buffered(by, self.buffers, bytes);
        let outcome = self.r.svm.send(&[from_buffer(&buffer)], &[by]);
        accepted(self.r.close_buffer(by, &buffer));
        outcome
    }

    fn play(&mut self, case: usize, by: &Keypair, made: &Move) -> Outcome {
        let (rollup, dispute, key) = (self.r.address, self.disputes[case], by.pubkey());
        let state = self.r.dispute(&dispute).2;
        let inline = build::play(&rollup, &dispute, &key, state, made);
        self.send(by, inline, &encode(made), |buffer| {
            build::play_from_buffer(&rollup, &dispute, &key, state, buffer)
        })
    }

    fn prove(&mut self, case: usize, by: &Keypair, kind: ProofKind, bytes: &[u8]) -> Outcome {
        let (rollup, dispute, key) = (self.r.address, self.disputes[case], by.pubkey());
        let sequencer = self.r.sequencer.pubkey();
        let page = (self.court.batch.chain.len() > 1).then_some(0);
        let proof = bytes.to_vec();
        let inline = build::prove(&rollup, &dispute, &key, &sequencer, page, kind, proof);
        self.send(by, inline, bytes, |buffer| {
            build::prove_from_buffer(&rollup, &dispute, &key, &sequencer, page, kind, buffer)
        })
    }

    /// Does on the chain what the record says.
    fn act(&mut self, record: &Record) -> Outcome {
        let by = self.key(&record.by);
        let sequencer = self.r.sequencer.pubkey();
        let dispute = self.disputes.get(record.case).copied();
        let of = || dispute.expect("an open dispute");
        match &record.deed {
            Deed::Open => {
                let id = record.case as u64;
                let header = self.court.header;
                let outcome = self.r.open_dispute(&by, id, &header);
                if outcome.is_ok() {
                    self.disputes
                        .push(pda::dispute(&self.r.address, &by.pubkey(), id));
                }
                outcome
            }
            Deed::Play(made) => self.play(record.case, &by, made),
            Deed::Prove(kind, bytes) => self.prove(record.case, &by, *kind, bytes),
            Deed::TimeOut => self.r.time_out(&of(), &sequencer),
            Deed::Resolve => self.r.resolve(&of()),
            Deed::Claim(key) => {
                let recipient = self.key(key).pubkey();
                self.r.claim_payout(&of(), &recipient)
            }
            Deed::Finalize => self.r.finalize(),
        }
    }

    /// Does on both what the record says, and compares.
    fn replay(&mut self, record: &Record, name: &str) {
        let slot = self.posted + record.slot;
        self.r.svm.warp(slot - self.r.svm.slot());
        self.court.now = record.slot;
        let done = self.court.act(record.case, record.by, record.deed.clone());
        assert_eq!(done, record.done, "the host's rules are not deterministic");
        let outcome = self.act(record);
        let what = what(&record.deed);
        let told = || format!("{name}: {what} of {} in slot {}", record.case, record.slot);
        match (&done, &outcome) {
            (Ok(()), Ok(_)) => *self.tally.done.entry(what.clone()).or_default() += 1,
            (Err(no), Err(refusal)) => {
                same_refusal(*no, refusal, &told());
                *self.tally.refused.entry(format!("{no:?}")).or_default() += 1;
            }
            (done, Ok(_)) => panic!("{}: the host {done:?}, the program takes it", told()),
            (done, Err(refusal)) => panic!("{}: the host {done:?}, {refusal:?}", told()),
        }
        self.compare(&told());
    }

    /// Every dispute stands on the chain where it stands on the host.
    fn compare(&self, told: &str) {
        let now = self.r.svm.slot();
        let chain = self.r.chain_account();
        assert_eq!(self.disputes.len(), self.court.cases.len(), "{told}");
        for (at, (address, case)) in self.disputes.iter().zip(&self.court.cases).enumerate() {
            let (account, game, _) = self.r.dispute(address);
            assert_eq!(game.stage, case.dispute.stage, "{told}");
            assert_eq!(game.moves, case.dispute.moves, "{told}");
            let class = match account.class(&game, &chain, now) {
                Class::Turn(side, deadline) => Class::Turn(side, deadline - self.posted),
                class => class,
            };
            // Where the batch is final all of them are over.
            assert_eq!(class, self.court.class(at), "{told}: dispute {at}");
        }
        let dead = chain.tip_number + 1 == self.court.header.number;
        assert_eq!(dead, !self.court.live, "{told}");
        let last = chain.final_number == self.court.header.number;
        assert_eq!(last, self.court.last, "{told}");
    }

    /// All accounts are closed, and everybody has what the host says.
    fn settle(mut self, before: &BTreeMap<Pubkey, u64>, name: &str) {
        let cases: Vec<_> = self.court.cases.iter().map(|c| c.dispute.clone()).collect();
        for (address, case) in self.disputes.clone().iter().zip(cases) {
            let challenger = self.key(&case.challenger).pubkey();
            accepted(self.r.close_dispute(address, &challenger));
            assert_eq!(self.r.svm.lamports(address), 0, "{name}");
            let verdict = match case.stage {
                assay_dispute::game::Stage::Over(Verdict { winner, reason }) => {
                    format!("{winner:?} {reason:?}")
                }
                _ => "moot".into(),
            };
            *self.tally.verdicts.entry(verdict).or_default() += 1;
            self.tally.disputes += 1;
        }
        for (key, on_chain) in &self.keys {
            let address = on_chain.pubkey();
            let was = before.get(&address).copied().unwrap_or(RICH);
            let gain = i128::from(self.r.svm.lamports(&address)) - i128::from(was);
            let expected = i128::from(self.court.wallet(key)) - i128::from(WEALTH);
            assert_eq!(gain, expected, "{name}: {:?}", key[0]);
        }
        let slice = self.court.header.params.bond_slice;
        let sequencer = self.r.sequencer.pubkey();
        let bond = self.r.sequencer_account(&sequencer).bond;
        assert_eq!(bond, self.court.slice(), "{name}");
        let burned = self.r.svm.lamports(&INCINERATOR) - before[&INCINERATOR];
        let expected = match self.court.live {
            true => 0,
            false => slice - slice / 2,
        };
        assert_eq!(burned, expected, "{name}");
        self.tally.games += 1;
    }

    /// Lamports of those who have some before the first deed.
    fn wealth(&self) -> BTreeMap<Pubkey, u64> {
        let sequencer = self.r.sequencer.pubkey();
        [sequencer, INCINERATOR]
            .into_iter()
            .map(|key| (key, self.r.svm.lamports(&key)))
            .collect()
    }
}

/// A deed in a word or two.
fn what(deed: &Deed) -> String {
    let text = match deed {
        Deed::Claim(_) => return "pay out".into(),
        Deed::Play(made) => format!("{made:?}"),
        Deed::Prove(kind, _) => format!("prove {kind:?}"),
        deed => format!("{deed:?}"),
    };
    let end = text.find(['(', '{']).unwrap_or(text.len());
    text[..end].trim().to_string()
}

/// The program refuses for the reason for which the host does.
fn same_refusal(no: No, refusal: &Refusal, told: &str) {
    let expected = match no {
        No::Game(refused) => E::from(refused),
        No::Proof(not) => E::from(not),
        No::Player => return assert_party(refusal, told),
        // Several of the program's reasons each.
        No::Closed | No::NotLive | No::Pending => {
            assert!(refusal.code().is_some(), "{told}: {refusal:?}");
            return;
        }
    };
    assert_eq!(
        refusal.code(),
        Some(u32::from(expected)),
        "{told}: {no:?}, {refusal:?}"
    );
}

fn assert_party(refusal: &Refusal, told: &str) {
    let codes = [E::WrongPlayer, E::NotAParty].map(u32::from);
    let code = refusal.code().expect("the program's refusal");
    assert!(codes.contains(&code), "{told}: {refusal:?}");
}

#[test]
fn the_program_plays_random_games_as_the_host_does() {
    let first = number("ASSAY_SEED", 0);
    let games = number("ASSAY_REPLAYS", 20);
    let mut tally = Tally::default();
    for round in first..first + ROUNDS {
        let batch = rounds::batch(round);
        let mut round_of = Round::new(round, &batch);
        for game in 0..games {
            let table = round_of.next();
            let name = format!("round {round} game {game} ({})", table.name);
            let (_, records) = play(table, 1_000 * round + game);
            let Some(mut replay) = Replay::new(table, &mut tally) else {
                continue;
            };
            let before = replay.wealth();
            for record in &records {
                replay.replay(record, &name);
            }
            replay.settle(&before, &name);
        }
    }
    println!("{tally:#?}");
    if games < 20 {
        return;
    }
    // They got everywhere: every move and deed, and every way to end but those that take a challenger who lacks a
    // model, or an asserter who posts the right states and another end.
    let done = [
        "Claim",
        "Choose",
        "Reveal",
        "RevealLeaf",
        "PostStates",
        "RevealTensor",
        "RevealChunk",
        "TimeOut",
        "Resolve",
        "Finalize",
        "pay out",
        "prove Data",
        "prove Program",
        "prove State",
        "prove Output",
        "prove Element",
    ];
    for deed in done {
        assert!(tally.done.contains_key(deed), "{deed}");
    }
    for verdict in ["Asserter Time", "Challenger Time", "moot"] {
        assert!(tally.verdicts.contains_key(verdict), "{verdict}");
    }
    assert!(tally.refused.len() >= 30);
}
