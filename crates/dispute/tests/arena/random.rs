//! Games in which not everybody is honest, several over one batch at a time.

use super::duel::prove;
use super::lies::Lie;
use super::world::{Batch, Cached};
use assay_dispute::game::{
    Claim, Class, Dispute, MAX_MOVES, Move, Reason, RunClaim, Verdict, longest,
};
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Claims, Knowledge, Model, Models, Next};
use assay_dispute::prove::ProofKind;
use assay_dispute::step::program::Leaves;
use assay_dispute::{Hash, Side};
use assay_ledger::batch::Run;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_tensor::commit::list_root_of;
use assay_tensor::trace::Trace;
use assay_tensor::types::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

/// Models that give something else than they should.
#[derive(Clone)]
pub struct Wrong {
    models: Arc<Cached>,
    seed: u64,
}

impl Wrong {
    pub fn new(batch: &Batch, seed: u64) -> Self {
        Self {
            models: batch.library.clone(),
            seed,
        }
    }

    /// What follows from a batch with such outputs.
    pub fn knowledge(&self, batch: &Batch, header: Header, data: Vec<u8>) -> Knowledge {
        let outputs = |runs: &[Run]| {
            let root = |run: &Run| {
                let model = self.model(&run.program_root, &run.parameters_root).unwrap();
                let outputs = model.outputs(&self.trace(&model, &run.input).unwrap());
                list_root_of(outputs.count(), &outputs.root())
            };
            Ok::<_, Infallible>(runs.iter().map(root).collect())
        };
        Knowledge::new(header, batch.parent, batch.before.clone(), data, outputs).unwrap()
    }
}

impl Models for Wrong {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        self.models.model(program_root, parameters_root)
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        let right = self.models.trace(model, input)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut values = right.values().to_vec();
        // From some operator on one element each is another.
        let first = rng.random_range(0..values.len());
        for value in &mut values[first..] {
            let mut data = value.data().to_vec();
            let at = rng.random_range(0..data.len());
            data[at] ^= rng.random_range(1..=255);
            *value = Tensor::new(*value.ty(), data)?;
        }
        Trace::new(model.program(), values).map(Arc::new)
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.models.malformed(program_root)
    }
}

/// All who may play over one header.
pub struct Table<'a> {
    pub name: String,
    pub batch: &'a Batch,
    pub header: Header,
    /// Whether the batch is right.
    pub right: bool,
    /// The honest ones come first, where there are honest ones.
    challengers: Vec<Box<dyn Player>>,
    asserters: Vec<Box<dyn Player>>,
}

trait Player {
    fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next;
}

impl<M: Models> Player for Challenger<M> {
    fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next {
        Challenger::next(self, dispute, live, now)
    }
}

impl<M: Models> Player for Asserter<M> {
    fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next {
        Asserter::next(self, dispute, live, now)
    }
}

fn room(rng: &mut ChaCha8Rng) -> usize {
    [LEGACY_ROOM, VERSION_1_ROOM][rng.random_range(0..2)]
}

impl<'a> Table<'a> {
    /// An honest batch.
    pub fn right(batch: &'a Batch, rng: &mut ChaCha8Rng) -> Self {
        let own = batch.own();
        let claims = Claims::honest(&mut own.clone()).unwrap();
        let mut table = Self {
            name: "right".into(),
            batch,
            header: batch.header,
            right: true,
            challengers: vec![Box::new(Challenger::new(own, batch.library.clone()))],
            asserters: Vec::new(),
        };
        table.assert(&claims, rng);
        table.doubt(batch.header, &batch.data, rng);
        table
    }

    /// A wrong one.
    pub fn wrong(batch: &'a Batch, lie: Lie, rng: &mut ChaCha8Rng) -> Self {
        let own = batch.knowledge(lie.header, lie.data.clone());
        let mut table = Self {
            name: lie.name,
            batch,
            header: lie.header,
            right: false,
            challengers: vec![Box::new(Challenger::new(own, batch.library.clone()))],
            asserters: Vec::new(),
        };
        for claims in &lie.claims {
            table.assert(claims, rng);
        }
        table.doubt(lie.header, &lie.data, rng);
        table
    }

    /// Who stands by these claims, and who has other values all the time.
    fn assert(&mut self, claims: &Claims, rng: &mut ChaCha8Rng) {
        let library = self.batch.library.clone();
        let wrong = Wrong::new(self.batch, rng.random());
        let honest = Asserter::new(claims.clone(), library, room(rng));
        self.asserters.push(Box::new(honest));
        let liar = Asserter::new(claims.clone(), wrong, room(rng));
        self.asserters.push(Box::new(liar));
    }

    /// Challengers who believe in other outputs.
    fn doubt(&mut self, header: Header, data: &[u8], rng: &mut ChaCha8Rng) {
        for _ in 0..2 {
            let models = Wrong::new(self.batch, rng.random());
            let knowledge = models.knowledge(self.batch, header, data.to_vec());
            self.challengers
                .push(Box::new(Challenger::new(knowledge, models)));
        }
    }
}

/// One dispute of a game.
struct Seat {
    dispute: Dispute,
    opened: u64,
    /// Whether the challenger and the asserter are honest.
    honest: [bool; 2],
    /// What was played last.
    last: Option<Move>,
}

/// What happened in some games.
#[derive(Debug, Default)]
pub struct Tally {
    pub games: u64,
    pub disputes: u64,
    pub moves: u64,
    pub refused: u64,
    pub convicted: u64,
    pub timed_out: u64,
    pub moot: u64,
    pub most_moves: u32,
    /// What was convicted by.
    pub reasons: BTreeMap<String, u64>,
    /// Turns in each stage, those of honest players apart.
    pub stages: BTreeMap<String, u64>,
    pub honest: BTreeMap<String, u64>,
}

fn name(what: &impl std::fmt::Debug) -> String {
    let text = format!("{what:?}");
    text.split(['(', ' '])
        .next()
        .unwrap_or_default()
        .to_string()
}

/// A game: some disputes over one batch at a time, until all are decided.
pub struct Game<'t, 'a> {
    table: &'t mut Table<'a>,
    rng: ChaCha8Rng,
    seats: Vec<Seat>,
    live: bool,
    now: u64,
    tally: &'t mut Tally,
}

impl<'t, 'a> Game<'t, 'a> {
    pub fn play(table: &'t mut Table<'a>, seed: u64, tally: &'t mut Tally) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = rng.random_range(1..=3);
        // On a wrong batch somebody may be honest, on a right one its sequencer.
        let honest = rng.random_ratio(3, 4);
        let seat = |index: usize| Seat {
            dispute: Dispute::open(table.header, [index as u8; 32], 0),
            opened: 0,
            honest: [honest && !table.right && index == 0, honest && table.right],
            last: None,
        };
        let seats = (0..count).map(seat).collect();
        let mut game = Game {
            table,
            rng,
            seats,
            live: true,
            now: 0,
            tally,
        };
        game.run();
    }

    fn run(&mut self) {
        self.tally.games += 1;
        self.tally.disputes += self.seats.len() as u64;
        while let Some(at) = self.undecided() {
            if self.rng.random_ratio(1, 4) {
                self.out_of_turn();
            }
            let dispute = &self.seats[at].dispute;
            let stage = name(&dispute.stage);
            let turn = dispute.stage.turn();
            if turn.is_some_and(|turn| self.is_honest(at, turn)) {
                *self.tally.honest.entry(stage).or_default() += 1;
            } else {
                *self.tally.stages.entry(stage).or_default() += 1;
            }
            match self.seats[at].dispute.class(self.live, self.now) {
                Class::Over(_) | Class::Moot => {}
                Class::Expired(_) => self.time_out(at),
                Class::Turn(side, _) if self.is_honest(at, side) => self.honest(at, side),
                Class::Turn(side, deadline) => self.dishonest(at, side, deadline),
            }
            self.check(at);
        }
        // An honest challenger has won, or somebody else has for it.
        let honest = self.seats.iter().find(|seat| seat.honest[0]);
        if let Some(seat) = honest {
            let class = seat.dispute.class(self.live, self.now);
            let won = matches!(class, Class::Over(v) if v.winner == Side::Challenger);
            assert!(won || class == Class::Moot, "{} {class:?}", self.table.name);
        }
        for seat in &self.seats {
            if seat.honest[1] {
                let class = seat.dispute.class(self.live, self.now);
                let won = matches!(class, Class::Over(v) if v.winner == Side::Asserter);
                assert!(won, "{} {class:?} {:?}", self.table.name, seat.last);
            }
            self.tally.most_moves = self.tally.most_moves.max(seat.dispute.moves);
        }
    }

    /// A dispute that is not decided.
    fn undecided(&mut self) -> Option<usize> {
        let open = |seat: &Seat| {
            let class = seat.dispute.class(self.live, self.now);
            !matches!(class, Class::Over(_) | Class::Moot)
        };
        let open: Vec<usize> = (0..self.seats.len())
            .filter(|i| open(&self.seats[*i]))
            .collect();
        if open.is_empty() {
            let moot = self
                .seats
                .iter()
                .filter(|s| s.dispute.class(self.live, self.now) == Class::Moot);
            self.tally.moot += moot.count() as u64;
            return None;
        }
        Some(open[self.rng.random_range(0..open.len())])
    }

    fn is_honest(&self, at: usize, side: Side) -> bool {
        self.seats[at].honest[usize::from(side == Side::Asserter)]
    }

    /// What never is otherwise.
    fn check(&self, at: usize) {
        let Seat {
            dispute, opened, ..
        } = &self.seats[at];
        assert!(dispute.moves <= MAX_MOVES);
        assert!(borsh::to_vec(dispute).unwrap().len() <= Dispute::MAX_SIZE);
        if self.now >= opened + longest(&dispute.header.params) {
            let class = dispute.class(self.live, self.now);
            assert!(!matches!(class, Class::Turn(..)), "{class:?}");
        }
        let bytes = borsh::to_vec(dispute).unwrap();
        assert_eq!(borsh::from_slice::<Dispute>(&bytes).unwrap(), *dispute);
    }

    /// Lets time pass. The honest move before their clocks run out.
    fn pass(&mut self, to: u64) {
        loop {
            let due = (0..self.seats.len()).find_map(|at| {
                let class = self.seats[at].dispute.class(self.live, self.now);
                match class {
                    Class::Turn(side, deadline) if deadline < to && self.is_honest(at, side) => {
                        Some((at, side, deadline))
                    }
                    _ => None,
                }
            });
            let Some((at, side, deadline)) = due else {
                break;
            };
            // In the last slot, now and then.
            if self.rng.random_ratio(1, 2) {
                self.pass(deadline);
                self.now = self.now.max(deadline);
            }
            if self.seats[at].dispute.class(self.live, self.now) == Class::Turn(side, deadline) {
                self.honest(at, side);
            }
        }
        self.now = self.now.max(to);
    }

    fn honest(&mut self, at: usize, side: Side) {
        let next = match side {
            Side::Challenger => &mut self.table.challengers[0],
            Side::Asserter => &mut self.table.asserters[0],
        }
        .next(&self.seats[at].dispute, self.live, self.now);
        match next {
            Next::Play(made) => {
                assert!(self.made(at, made), "{}", self.table.name);
            }
            Next::Prove(kind, bytes) => {
                assert!(
                    self.proven(at, kind, &bytes),
                    "{} {kind:?}",
                    self.table.name
                );
            }
            next => panic!(
                "{} {next:?} {:?}",
                self.table.name, self.seats[at].dispute.stage
            ),
        }
    }

    /// Makes a move; a refused one changes nothing.
    fn made(&mut self, at: usize, made: Move) -> bool {
        let seat = &mut self.seats[at];
        let before = seat.dispute.clone();
        let result = seat.dispute.play(made.clone(), self.live, self.now);
        match result {
            Ok(()) => {
                self.tally.moves += 1;
                assert_eq!(seat.dispute.moves, before.moves + 1);
                assert!(before.stage.turn() == Some(made.side()));
                seat.last = Some(made);
            }
            Err(_) => {
                self.tally.refused += 1;
                assert_eq!(seat.dispute, before);
            }
        }
        result.is_ok()
    }

    fn proven(&mut self, at: usize, kind: ProofKind, bytes: &[u8]) -> bool {
        let seat = &mut self.seats[at];
        let before = seat.dispute.clone();
        let batch = self.table.batch;
        let result = prove(batch, &mut seat.dispute, kind, bytes, self.live, self.now);
        match result {
            Ok(Verdict { winner, reason }) => {
                assert_eq!(winner, Side::Challenger);
                assert!(reason != Reason::Time);
                self.tally.convicted += 1;
                *self.tally.reasons.entry(name(&reason)).or_default() += 1;
                // Where the sequencer is honest.
                assert!(!seat.honest[1], "{} {kind:?}", self.table.name);
                self.live = false;
            }
            Err(_) => {
                self.tally.refused += 1;
                assert_eq!(seat.dispute, before);
            }
        }
        result.is_ok()
    }

    fn time_out(&mut self, at: usize) {
        let verdict = self.seats[at]
            .dispute
            .time_out(self.live, self.now)
            .unwrap();
        self.tally.timed_out += 1;
        let loser = verdict.winner.other();
        assert!(!self.is_honest(at, loser), "{}", self.table.name);
        if verdict.winner == Side::Challenger {
            self.live = false;
        }
    }

    /// Something at the wrong time, by the wrong side, or by nobody in particular.
    fn out_of_turn(&mut self) {
        let at = self.rng.random_range(0..self.seats.len());
        match self.rng.random_range(0..4) {
            0 => {
                let dispute = &mut self.seats[at].dispute;
                if let Class::Turn(..) = dispute.class(self.live, self.now) {
                    let before = dispute.clone();
                    dispute.time_out(self.live, self.now).unwrap_err();
                    assert_eq!(*dispute, before);
                }
            }
            1 => {
                // Nobody moves for an honest side, whose key nobody has.
                let made = self.any_move(at);
                let turn = self.seats[at].dispute.stage.turn();
                if turn.is_none_or(|turn| turn != made.side() || !self.is_honest(at, turn)) {
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
            _ => {
                if !self.is_honest(at, Side::Challenger) {
                    let (kind, bytes) = self.any_proof(at);
                    self.proven(at, kind, &bytes);
                }
            }
        }
    }

    fn dishonest(&mut self, at: usize, side: Side, deadline: u64) {
        match self.rng.random_range(0..20) {
            0 => self.pass(deadline),
            1 if self.rng.random_ratio(1, 2) => self.pass(deadline + 1),
            2 | 3 => {
                let later = self.now + self.rng.random_range(0..5);
                self.pass(later);
            }
            4 => {
                let made = self.any_move(at);
                if made.side() == side {
                    self.made(at, made);
                }
            }
            5 if side == Side::Challenger => {
                let (kind, bytes) = self.any_proof(at);
                self.proven(at, kind, &bytes);
            }
            6 => {
                // What somebody else did, or the same again a bit different.
                if let Next::Play(made) = self.best(at, side)
                    && let Some(made) = self.garbled(made)
                    && made.side() == side
                {
                    self.made(at, made);
                }
            }
            _ => match self.best(at, side) {
                Next::Play(made) => drop(self.made(at, made)),
                Next::Prove(kind, mut bytes) => {
                    if self.rng.random_ratio(1, 3) && !bytes.is_empty() {
                        let byte = self.rng.random_range(0..bytes.len());
                        bytes[byte] ^= 1 << self.rng.random_range(0..8);
                    }
                    if !self.proven(at, kind, &bytes) && self.rng.random_ratio(1, 2) {
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
            },
        }
    }

    /// What one of those at the table would do.
    fn best(&mut self, at: usize, side: Side) -> Next {
        let players = match side {
            Side::Challenger => &mut self.table.challengers,
            Side::Asserter => &mut self.table.asserters,
        };
        let player = self.rng.random_range(0..players.len());
        players[player].next(&self.seats[at].dispute, self.live, self.now)
    }

    fn garbled(&mut self, made: Move) -> Option<Move> {
        let mut bytes = borsh::to_vec(&made).unwrap();
        let byte = self.rng.random_range(0..bytes.len());
        bytes[byte] ^= 1 << self.rng.random_range(0..8);
        borsh::from_slice(&bytes).ok()
    }

    fn hash(&mut self) -> Hash {
        [self.rng.random(); 32]
    }

    fn any_proof(&mut self, at: usize) -> (ProofKind, Vec<u8>) {
        let index = self.rng.random_range(0..=self.table.header.tx_count);
        let kind = match self.rng.random_range(0..6) {
            0 => ProofKind::Data { index },
            1 => ProofKind::Program,
            2 => ProofKind::End,
            3 => ProofKind::State,
            4 => ProofKind::Output,
            _ => ProofKind::Element,
        };
        // What is right and shows nothing wrong, or anything.
        let data = match kind {
            ProofKind::Data { index } if self.rng.random_ratio(1, 2) => {
                let batch = self.table.batch;
                assay_dispute::step::data::prove_data(&self.table.header, &batch.data, index)
            }
            _ => None,
        };
        let bytes = data.unwrap_or_else(|| {
            let mut bytes = vec![0; self.rng.random_range(0..400)];
            self.rng.fill(&mut bytes[..]);
            bytes
        });
        let _ = at;
        (kind, bytes)
    }

    /// A move of some kind with something in it that may fit.
    fn any_move(&mut self, at: usize) -> Move {
        let stage = self.seats[at].dispute.stage.clone();
        let nodes = match self.rng.random_range(0..3) {
            0 => Vec::new(),
            1 => vec![self.hash(); self.rng.random_range(0..70)],
            _ => stage
                .tree()
                .map(|tree| tree.revealed.clone())
                .unwrap_or_default(),
        };
        match self.rng.random_range(0..10) {
            0 => Move::Claim(Claim::Transactions),
            1 => Move::Claim(Claim::State {
                parent: self.table.batch.parent,
            }),
            2 => Move::Claim(Claim::Execution),
            3 => Move::Claim(Claim::Outputs),
            4 => Move::Reveal { nodes },
            5 => Move::Choose {
                child: match stage.tree() {
                    Some(tree) if !tree.revealed.is_empty() => {
                        self.rng.random_range(0..tree.revealed.len()) as u8
                    }
                    _ => self.rng.random(),
                },
            },
            6 => self.any_leaf(nodes),
            7 => Move::PostStates {
                root: self.hash(),
                nodes,
            },
            8 => Move::RevealTensor {
                operator: vec![0; self.rng.random_range(0..40)],
                path: Vec::new(),
                data_root: self.hash(),
                nodes,
            },
            _ => Move::RevealChunk {
                bytes: vec![0; self.rng.random_range(0..600)],
            },
        }
    }

    /// A result, of a run that the batch has or of none.
    fn any_leaf(&mut self, nodes: Vec<Hash>) -> Move {
        let records = &self.table.batch.records;
        let result = records[self.rng.random_range(0..records.len())].1;
        let library = &self.table.batch.library;
        match library.model(&result.program_root, &result.parameters_root) {
            Some(model) if self.rng.random_ratio(2, 3) => {
                let program = model.program().header();
                let (trace, outputs) = (self.hash(), self.hash());
                let result = TxResult {
                    output_root: list_root_of(program.outputs.into(), &outputs),
                    ..result
                };
                Move::RevealLeaf {
                    result,
                    run: Some(RunClaim {
                        program,
                        trace,
                        outputs,
                        nodes,
                    }),
                }
            }
            _ => Move::RevealLeaf { result, run: None },
        }
    }
}
