//! Games in which not everybody is honest, several disputes over one batch at a time.
//!
//! A game begins when the batch is posted, and ends when everything about it is settled. In each, an
//! honest challenger or the honest sequencer may take part, who moves before its clock runs out; all
//! others do what one of the players at the table would do, or anything, at any time.

mod anything;
pub mod court;
mod end;
pub mod rounds;
pub mod table;
mod tally;

pub use court::{Court, Deed, No, Record};
pub use table::Table;
pub use tally::Tally;

use assay_dispute::game::{Class, Move, Verdict};
use assay_dispute::player::Next;
use assay_dispute::prove::ProofKind;
use assay_dispute::{Key, Side};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tally::count;

/// Who takes part in no dispute.
const STRANGER: Key = [200; 32];
/// The honest challenger.
const HONEST: Key = [100; 32];

/// How a dishonest player plays.
#[derive(Clone, Copy)]
enum Style {
    /// As well as it can.
    Best,
    /// Anywhere, by the rules.
    Wanderer,
}

/// What a player needs of a dispute beside the dispute.
struct Seat {
    style: Style,
    /// Whether the dishonest take all the time that they have.
    slow: bool,
    /// What was played last.
    last: Option<Move>,
}

/// A game.
pub struct Game<'t, 'a> {
    table: &'t mut Table<'a>,
    rng: ChaCha8Rng,
    court: Court<'a>,
    seats: Vec<Seat>,
    /// Challengers who have not opened their disputes, the honest one last.
    coming: Vec<Key>,
    /// Whether the sequencer is honest.
    honest: bool,
    /// Whether somebody ends every dispute as soon as that can be done.
    attended: bool,
    tally: Tally,
}

/// What is to be done, and in which slot at the latest.
enum Due {
    /// The honest challenger opens its dispute.
    Open,
    /// The honest side moves.
    Move(usize, Side),
    /// Somebody ends the dispute.
    TimeOut(usize),
}

/// Plays a game; returns what happened, and everything that was done.
pub fn play(table: &mut Table<'_>, seed: u64) -> (Tally, Vec<Record>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let others: u8 = match rng.random_range(0..10) {
        0 => rng.random_range(4..=8),
        _ => rng.random_range(0..=3),
    };
    let mut coming: Vec<Key> = (0..others).map(|i| [i + 1; 32]).collect();
    // On a wrong batch somebody may be honest, on a right one its sequencer.
    let honest = rng.random_ratio(3, 4);
    if honest && !table.right {
        coming.push(HONEST);
    } else if coming.is_empty() {
        coming.push([1; 32]);
    }
    let mut game = Game {
        court: Court::new(table.batch, table.header),
        honest: honest && table.right,
        attended: rng.random_ratio(1, 2),
        seats: Vec::new(),
        tally: Tally::default(),
        table,
        rng,
        coming,
    };
    game.run();
    game.settle();
    (game.tally, game.court.records)
}

impl Game<'_, '_> {
    fn run(&mut self) {
        self.tally.games += 1;
        loop {
            if self.rng.random_ratio(1, 5) {
                self.out_of_turn();
            }
            if !self.coming.is_empty() && self.rng.random_ratio(1, 3) {
                self.open();
                continue;
            }
            let Some(at) = self.undecided() else {
                if self.coming.is_empty() {
                    break;
                }
                self.open();
                continue;
            };
            self.turn(at);
            self.check(at);
        }
    }

    fn turn(&mut self, at: usize) {
        let class = self.court.class(at);
        let stage = &self.court.cases[at].dispute.stage;
        let turn = stage.turn();
        match turn.is_some_and(|turn| self.is_honest(at, turn)) {
            true => count(&mut self.tally.honest, stage),
            false => count(&mut self.tally.stages, stage),
        }
        match class {
            Class::Over(_) | Class::Moot => {}
            Class::Expired(late) => {
                self.late(at, late);
                self.time_out(at);
            }
            Class::Turn(side, _) if self.is_honest(at, side) => self.honest(at, side),
            Class::Turn(_, deadline) if self.seats[at].slow && self.court.now < deadline => {
                self.pass(deadline);
            }
            Class::Turn(side, deadline) => self.dishonest(at, side, deadline),
        }
    }

    /// The next challenger opens its dispute, in its window or after it.
    fn open(&mut self) {
        let Some(by) = self.coming.first().copied() else {
            return;
        };
        let window = self.table.header.params.window;
        if by != HONEST {
            let wait = match self.rng.random_range(0..4) {
                0 => self.rng.random_range(0..2 * window),
                1 => self.rng.random_range(0..10),
                _ => 0,
            };
            self.pass(self.court.now + wait);
        }
        // Time that passes may have brought the honest one, who is the last to come.
        if self.coming.first() == Some(&by) {
            self.coming.remove(0);
            self.opened(by);
        }
    }

    fn opened(&mut self, by: Key) {
        let at = self.court.cases.len();
        let (live, now) = (self.court.live, self.court.now);
        let open = live && now < self.table.header.params.window;
        let done = self.court.act(at, by, Deed::Open);
        assert_eq!(done.is_ok(), open, "{done:?}");
        if done.is_ok() {
            self.tally.disputes += 1;
            let style = match self.rng.random_range(0..3) {
                0 => Style::Wanderer,
                _ => Style::Best,
            };
            self.seats.push(Seat {
                style,
                slow: self.rng.random_ratio(1, 5),
                last: None,
            });
        }
    }

    /// A dispute that is not decided.
    fn undecided(&mut self) -> Option<usize> {
        let open = |at: &usize| !matches!(self.court.class(*at), Class::Over(_) | Class::Moot);
        let open: Vec<usize> = (0..self.seats.len()).filter(open).collect();
        match open.len() {
            0 => None,
            count => Some(open[self.rng.random_range(0..count)]),
        }
    }

    fn is_honest(&self, at: usize, side: Side) -> bool {
        match side {
            Side::Asserter => self.honest,
            Side::Challenger => self.court.key(at, side) == HONEST,
        }
    }

    /// What must be done before slot `to`, the earliest.
    fn due(&self, to: u64) -> Option<(u64, Due)> {
        let mut due: Vec<(u64, Due)> = Vec::new();
        let last = self.table.header.params.window - 1;
        if self.coming.contains(&HONEST) && last < to {
            due.push((last.max(self.court.now), Due::Open));
        }
        for at in 0..self.seats.len() {
            match self.court.class(at) {
                Class::Turn(side, deadline) if self.is_honest(at, side) && deadline < to => {
                    due.push((deadline, Due::Move(at, side)));
                }
                Class::Turn(_, deadline) if self.attended && deadline < to => {
                    due.push((deadline + 1, Due::TimeOut(at)));
                }
                Class::Expired(_) if self.attended => {
                    due.push((self.court.now, Due::TimeOut(at)));
                }
                _ => {}
            }
        }
        due.into_iter().min_by_key(|(slot, _)| *slot)
    }

    /// Lets time pass. The honest move before their clocks run out, in the last slot now and then.
    fn pass(&mut self, to: u64) {
        while let Some((slot, due)) = self.due(to) {
            // What is to be done in that slot can be done before it, but for a time-out.
            if matches!(due, Due::TimeOut(_)) || self.rng.random_ratio(1, 2) {
                self.court.now = self.court.now.max(slot);
            }
            match due {
                Due::Open => {
                    self.coming.retain(|key| *key != HONEST);
                    self.opened(HONEST);
                }
                Due::Move(at, side) => self.honest(at, side),
                Due::TimeOut(at) => self.time_out(at),
            }
        }
        self.court.now = self.court.now.max(to);
    }

    fn honest(&mut self, at: usize, side: Side) {
        let player = match side {
            Side::Challenger => &mut self.table.challengers[0],
            Side::Asserter => &mut self.table.asserters[0],
        };
        let dispute = &self.court.cases[at].dispute;
        let next = player.next(dispute, self.court.live, self.court.now);
        let done = match next {
            Next::Play(made) => self.made(at, made),
            Next::Prove(kind, bytes) => self.proven(at, kind, bytes),
            next => panic!("{} {next:?} {:?}", self.table.name, dispute.stage),
        };
        assert!(done, "{} {:?}", self.table.name, self.court.records.last());
    }

    /// A move with the key of the side that makes such moves, or now and then with another.
    fn made(&mut self, at: usize, made: Move) -> bool {
        let side = made.side();
        if self.rng.random_ratio(1, 30) {
            let other = self.court.key(at, side.other());
            for key in [STRANGER, other] {
                let done = self.court.act(at, key, Deed::Play(made.clone()));
                assert_eq!(done, Err(No::Player));
                self.tally.refused += 1;
            }
        }
        let before = self.court.cases[at].dispute.clone();
        let key = self.court.key(at, side);
        let done = self.court.act(at, key, Deed::Play(made.clone()));
        match done {
            Ok(()) => {
                self.tally.moves += 1;
                assert_eq!(self.court.cases[at].dispute.moves, before.moves + 1);
                assert!(before.stage.turn() == Some(side));
                self.seats[at].last = Some(made);
            }
            Err(no) => self.refused(no),
        }
        done.is_ok()
    }

    fn refused(&mut self, no: No) {
        self.tally.refused += 1;
        match no {
            No::Game(refused) => count(&mut self.tally.refusals, &refused),
            No::Proof(not) => count(&mut self.tally.refusals, &not),
            no => count(&mut self.tally.refusals, &no),
        }
    }

    fn proven(&mut self, at: usize, kind: ProofKind, bytes: Vec<u8>) -> bool {
        let key = self.court.key(at, Side::Challenger);
        let done = self.court.act(at, key, Deed::Prove(kind, bytes));
        match done {
            Ok(()) => {
                let Class::Over(Verdict { winner, reason }) = self.court.class(at) else {
                    panic!("{:?}", self.court.class(at))
                };
                assert_eq!(winner, Side::Challenger);
                // Where the sequencer is honest nothing is proven.
                assert!(!self.honest, "{} {kind:?}", self.table.name);
                self.tally.convicted += 1;
                count(&mut self.tally.reasons, &reason);
            }
            Err(no) => self.refused(no),
        }
        done.is_ok()
    }

    fn time_out(&mut self, at: usize) {
        let class = self.court.class(at);
        self.court.act(at, STRANGER, Deed::TimeOut).unwrap();
        let Class::Expired(loser) = class else {
            panic!("{class:?}")
        };
        assert!(!self.is_honest(at, loser), "{}", self.table.name);
        self.tally.timed_out += 1;
    }

    /// Something at the wrong time, by the wrong side, or by nobody in particular.
    fn out_of_turn(&mut self) {
        if self.seats.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.seats.len());
        match self.rng.random_range(0..6) {
            0 => {
                if !matches!(self.court.class(at), Class::Expired(_)) {
                    let no = self.court.act(at, STRANGER, Deed::TimeOut).unwrap_err();
                    self.refused(no);
                }
            }
            1 => {
                // Nobody has the key of an honest side.
                let made = self.any_move(at);
                if !self.is_honest(at, made.side()) {
                    self.made(at, made);
                }
            }
            2 => {
                if let Some(made) = self.seats[at].last.clone()
                    && !self.is_honest(at, made.side())
                {
                    self.made(at, made);
                }
            }
            3 => {
                if !self.is_honest(at, Side::Challenger) {
                    let (kind, bytes) = self.any_proof();
                    self.proven(at, kind, bytes);
                }
            }
            4 => {
                let moot = self.court.class(at) == Class::Moot;
                let done = self.court.act(at, STRANGER, Deed::Resolve);
                assert_eq!(done.is_ok(), moot);
            }
            _ => {
                let open = self.undecided().is_some();
                let window = self.court.now < self.table.header.params.window;
                let done = self.court.act(at, STRANGER, Deed::Finalize);
                assert!(done.is_err() || !(open || window));
            }
        }
    }

    /// What was right a slot ago.
    fn late(&mut self, at: usize, side: Side) {
        let Class::Turn(_, deadline) = self.court.cases[at].dispute.class(true, 0) else {
            return;
        };
        match self.best(at, side, deadline) {
            Next::Play(made) => assert!(!self.made(at, made)),
            Next::Prove(kind, bytes) => assert!(!self.proven(at, kind, bytes)),
            _ => {}
        }
    }

    fn dishonest(&mut self, at: usize, side: Side, deadline: u64) {
        match self.rng.random_range(0..20) {
            0 => self.pass(deadline),
            1 if self.rng.random_ratio(1, 2) => self.pass(deadline + 1),
            2 | 3 => {
                let later = self.court.now + self.rng.random_range(0..5);
                self.pass(later);
            }
            4 => {
                let made = self.any_move(at);
                if made.side() == side {
                    self.made(at, made);
                }
            }
            5 if side == Side::Challenger => {
                let (kind, bytes) = self.any_proof();
                self.proven(at, kind, bytes);
            }
            6 => {
                // What somebody else would do, a bit different.
                if let Next::Play(made) = self.best(at, side, self.court.now)
                    && let Some(made) = self.garbled(made)
                    && made.side() == side
                {
                    self.made(at, made);
                }
            }
            _ => self.serious(at, side, deadline),
        }
    }

    /// A dishonest player that tries.
    fn serious(&mut self, at: usize, side: Side, deadline: u64) {
        if side == Side::Challenger
            && matches!(self.seats[at].style, Style::Wanderer)
            && let Some(made) = self.wander(at)
        {
            self.made(at, made);
            return;
        }
        match self.best(at, side, self.court.now) {
            Next::Play(made) => drop(self.made(at, made)),
            Next::Prove(kind, mut bytes) => {
                if self.rng.random_ratio(1, 3) && !bytes.is_empty() {
                    let byte = self.rng.random_range(0..bytes.len());
                    bytes[byte] ^= 1 << self.rng.random_range(0..8);
                }
                if !self.proven(at, kind, bytes) && self.rng.random_ratio(1, 2) {
                    self.pass(deadline + 1);
                }
            }
            // It has nothing to say: whatever is allowed, or nothing.
            _ => {
                if self.rng.random_ratio(1, 6) {
                    self.pass(deadline + 1);
                }
                let made = self.any_move(at);
                if made.side() == side {
                    self.made(at, made);
                }
            }
        }
    }

    /// What one of those at the table would do in this slot.
    fn best(&mut self, at: usize, side: Side, now: u64) -> Next {
        let players = match side {
            Side::Challenger => &mut self.table.challengers,
            Side::Asserter => &mut self.table.asserters,
        };
        let player = self.rng.random_range(0..players.len());
        players[player].next(&self.court.cases[at].dispute, self.court.live, now)
    }
}
