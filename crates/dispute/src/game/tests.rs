//! Every move in every stage, and every reason to refuse one.

use super::*;
use crate::descent::DescentError;
use alloc::string::ToString;
use alloc::vec;
use assay_ledger::ProgramHeader;
use assay_ledger::batch::tx_root;
use assay_ledger::header::Lane;
use assay_ledger::result::TxResult;
use assay_tensor::commit::{chunk_hashes, tensor_roots};
use assay_tensor::leaves::List;
use assay_tensor::merkle::Levels;
use assay_tensor::op::Op;
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::types::{DType, Shape, Tensor, TensorType};

const OPERATORS: u32 = 20;
const RECORDS: u32 = 20;
const CLOCK: u64 = 100;
const EXTENSION: u64 = 10;

/// 20 operators over 1,600 bytes, two outputs of them.
fn program() -> CheckedProgram {
    let ty = TensorType::new(DType::I8, &[1_600]).unwrap();
    let node = |i: u32| Node {
        op: Op::Reshape(Shape::new(&[1_600]).unwrap()),
        operands: vec![match i {
            0 => Operand::Input(0),
            _ => Operand::Value(i - 1),
        }],
    };
    let output = |value: u32| Output {
        name: value.to_string(),
        value,
    };
    Program {
        inputs: vec![ty],
        parameters: vec![],
        nodes: (0..OPERATORS).map(node).collect(),
        outputs: vec![output(19), output(5)],
    }
    .check()
    .unwrap()
}

fn value() -> Tensor {
    Tensor::from_i8(
        &[1_600],
        &(0..1_600).map(|i| (i * i / 7) as i8).collect::<Vec<_>>(),
    )
    .unwrap()
}

fn parent() -> Header {
    header([1; 32], [2; 32], 1)
}

fn header(parent: Hash, tx_root: Hash, number: u64) -> Header {
    Header {
        rollup: [3; 32],
        rules: 1,
        codec: 1,
        lane: Lane::L1,
        number,
        parent,
        sequencer: [4; 32],
        state: StateComponents {
            units: 77,
            ..StateComponents::genesis()
        },
        tx_root,
        tx_count: RECORDS,
        data_root: [5; 32],
        data_len: 10,
        params: Params {
            window: 50,
            bond_slice: 1,
            max_units: 1,
            max_records: 100,
            max_data: 100,
            model_delay: 1,
            sequencer_share: 0,
            clock: CLOCK,
            extension: EXTENSION,
            dispute_bond: 1,
        },
    }
}

/// What an asserter knows.
struct World {
    header: Header,
    txs: Levels,
    states: Levels,
    program: CheckedProgram,
    trace: Levels,
    outputs: Levels,
    chunks: Levels,
}

impl World {
    fn new() -> Self {
        let leaf = |i: u32| merkle::leaf(b"test", &[&i.to_le_bytes()]);
        let leaves: Vec<Hash> = (0..RECORDS).map(leaf).collect();
        let states: Vec<Hash> = (100..101 + RECORDS).map(leaf).collect();
        let roots = tensor_roots(&vec![value(); OPERATORS as usize]);
        Self {
            header: header(parent().hash(), tx_root(&leaves), 2),
            txs: Levels::new(leaves),
            states: Levels::new(states),
            program: program(),
            outputs: Levels::new(roots[..2].to_vec()),
            trace: Levels::new(roots),
            chunks: Levels::new(chunk_hashes(value().data())),
        }
    }

    fn result(&self) -> TxResult {
        TxResult {
            program_root: self.program.root(),
            output_root: list_root_of(2, &self.outputs.root()),
            ..TxResult::default()
        }
    }

    fn run(&self, nodes: Vec<Hash>) -> RunClaim {
        RunClaim {
            program: self.program.header(),
            trace: self.trace.root(),
            outputs: self.outputs.root(),
            nodes,
        }
    }

    fn tensor(&self, index: u32, nodes: Vec<Hash>) -> Move {
        Move::RevealTensor {
            operator: self.program.operator_leaf(index).unwrap().encode(),
            path: merkle::path(&self.program.leaf_hashes(List::Operators), index.into()).unwrap(),
            data_root: self.chunks.root(),
            nodes,
        }
    }

    /// One move of each kind, right where it is that side's turn.
    fn moves(&self, dispute: &Dispute) -> Vec<Move> {
        let tree = match &dispute.stage {
            Stage::Transactions(_) => &self.txs,
            Stage::States(..) => &self.states,
            Stage::Outputs(..) => &self.outputs,
            Stage::Operators(_) => &self.trace,
            _ => &self.chunks,
        };
        let (mut nodes, mut child) = (vec![[0; 32]], 0);
        if let Some(descent) = dispute.stage.tree() {
            nodes = first_nodes(tree, descent);
            child = descent.revealed.len().saturating_sub(1) as u8;
        }
        vec![
            Move::Claim(Claim::Transactions),
            Move::Claim(Claim::State {
                parent: Some(parent()),
            }),
            Move::Claim(Claim::Execution),
            Move::Claim(Claim::Outputs),
            Move::Reveal { nodes },
            Move::Choose { child },
            Move::RevealLeaf {
                result: self.result(),
                run: Some(self.run(vec![])),
            },
            Move::PostStates {
                root: self.states.root(),
                nodes: vec![],
            },
            self.tensor(self.program.program().nodes.len() as u32 - 1, vec![]),
            Move::RevealChunk {
                bytes: value().data()[1_536..].to_vec(),
            },
        ]
    }
}

fn first_nodes(tree: &Levels, descent: &Descent) -> Vec<Hash> {
    let levels = descent.step(MAX_LEVELS);
    let first = descent.index << levels;
    let nodes = first..first + descent.inside(levels) as u64;
    let level = u32::from(descent.height) - levels;
    nodes.map(|i| tree.node(level, i)).collect()
}

const NAMES: [&str; 10] = [
    "transactions",
    "state",
    "execution",
    "outputs",
    "reveal",
    "choose",
    "leaf",
    "states",
    "tensor",
    "chunk",
];

fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Opened => "Opened",
        Stage::Transactions(_) => "Transactions",
        Stage::Leaf(_) => "Leaf",
        Stage::Revealed(_) => "Revealed",
        Stage::Ran(_) => "Ran",
        Stage::StatesRoot(_) => "StatesRoot",
        Stage::States(..) => "States",
        Stage::StateStep(..) => "StateStep",
        Stage::Outputs(..) => "Outputs",
        Stage::Output(..) => "Output",
        Stage::Operators(_) => "Operators",
        Stage::TensorRoot(_) => "TensorRoot",
        Stage::Tensor(_) => "Tensor",
        Stage::Chunk(_) => "Chunk",
        Stage::Element(..) => "Element",
        Stage::Over(_) => "Over",
    }
}

/// A move by its name.
fn made(world: &World, dispute: &Dispute, name: &str) -> Move {
    let at = NAMES.iter().position(|n| *n == name).unwrap();
    world.moves(dispute)[at].clone()
}

/// The dispute after these moves.
fn after(world: &World, names: &str) -> Dispute {
    let mut dispute = Dispute::open(world.header, [9; 32], 0);
    for name in names.split_whitespace() {
        let next = match name {
            // A leaf that ran no model.
            "plain" => Move::RevealLeaf {
                result: TxResult::default(),
                run: None,
            },
            _ => made(world, &dispute, name),
        };
        dispute.play(next, true, 0).unwrap();
    }
    dispute
}

const TO_LEAF: &str = "transactions reveal choose";
/// Ways through the game, with the stage after each move.
const WAYS: [(&str, &str); 4] = [
    (
        "transactions reveal choose leaf execution reveal choose tensor reveal choose chunk",
        "Transactions Transactions Leaf Ran Operators Operators TensorRoot Tensor Tensor Chunk Element",
    ),
    (
        "transactions reveal choose leaf outputs reveal choose",
        "Transactions Transactions Leaf Ran Outputs Outputs Output",
    ),
    (
        "transactions reveal choose plain state states reveal choose",
        "Transactions Transactions Leaf Revealed StatesRoot States States StateStep",
    ),
    (
        "state states reveal choose",
        "StatesRoot States States StateStep",
    ),
];

/// The moves that are taken where a way has come to a stage, in which nodes are revealed or not.
fn taken(stage: &str, choosing: bool) -> &'static [&'static str] {
    match (stage, choosing) {
        ("Opened", _) => &["transactions", "state"],
        ("Leaf", _) => &["leaf"],
        ("Revealed", _) => &["state"],
        ("Ran", _) => &["state", "execution", "outputs"],
        ("StatesRoot", _) => &["states"],
        ("TensorRoot", _) => &["tensor"],
        ("Chunk", _) => &["chunk"],
        ("Transactions" | "States" | "Outputs" | "Operators" | "Tensor", true) => &["choose"],
        ("Transactions" | "States" | "Outputs" | "Operators" | "Tensor", false) => &["reveal"],
        _ => &[],
    }
}

#[test]
fn every_stage_takes_its_moves_and_no_others() {
    let world = World::new();
    let mut seen = alloc::collections::BTreeSet::new();
    for (way, stages) in WAYS {
        let mut dispute = Dispute::open(world.header, [9; 32], 0);
        let mut stages = stages.split_whitespace();
        for next in way.split_whitespace().map(Some).chain([None]) {
            let at = name(&dispute.stage);
            let choosing = dispute.stage.tree().is_some_and(Descent::choosing);
            seen.insert((at, choosing));
            let turn = dispute.stage.turn().unwrap();
            for (kind, made) in NAMES.into_iter().zip(world.moves(&dispute)) {
                let mut after = dispute.clone();
                let side = made.side();
                let result = after.play(made, true, 0);
                if taken(at, choosing).contains(&kind) {
                    assert_eq!(result, Ok(()), "{at} {kind}");
                    assert_eq!(after.moves, dispute.moves + 1);
                    continue;
                }
                let expected = if side != turn {
                    Refused::Turn
                } else {
                    Refused::Stage
                };
                assert_eq!(result, Err(expected), "{at} {kind}");
                assert_eq!(after, dispute);
            }
            if let Some(next) = next {
                let next = match next {
                    "plain" => Move::RevealLeaf {
                        result: TxResult::default(),
                        run: None,
                    },
                    _ => made(&world, &dispute, next),
                };
                dispute.play(next, true, 0).unwrap();
                assert_eq!(Some(name(&dispute.stage)), stages.next());
            }
        }
        assert_eq!(stages.next(), None);
    }
    // All stages but the last, trees in both turns.
    assert_eq!(seen.len(), 10 + 2 * 5);
    let mut over = after(&world, "");
    over.time_out(true, CLOCK + 1).unwrap();
    for made in world.moves(&over) {
        assert_eq!(over.play(made, true, 0), Err(Refused::Over));
    }
}

#[test]
fn a_tree_of_one_leaf_is_passed_at_once() {
    let mut world = World::new();
    let leaf = merkle::leaf(b"test", &[&[0]]);
    world.header.tx_count = 1;
    world.header.tx_root = leaf;
    world.txs = Levels::new(vec![leaf]);
    // One operator, one output, one chunk.
    let ty = TensorType::new(DType::I8, &[3]).unwrap();
    world.program = Program {
        inputs: vec![ty],
        parameters: vec![],
        nodes: vec![Node {
            op: Op::Reshape(ty.shape),
            operands: vec![Operand::Input(0)],
        }],
        outputs: vec![Output {
            name: "a".into(),
            value: 0,
        }],
    }
    .check()
    .unwrap();
    let value = Tensor::from_i8(&[3], &[1, 2, 3]).unwrap();
    let root = tensor_roots(core::slice::from_ref(&value));
    world.trace = Levels::new(root.clone());
    world.outputs = Levels::new(root);
    world.chunks = Levels::new(chunk_hashes(value.data()));
    let result = TxResult {
        output_root: list_root_of(1, &world.outputs.root()),
        ..world.result()
    };
    let mut dispute = Dispute::open(world.header, [9; 32], 0);
    let mut play = |made: Move| {
        dispute.play(made, true, 0).unwrap();
        (name(&dispute.stage), dispute.clone())
    };
    assert_eq!(play(Move::Claim(Claim::Transactions)).0, "Leaf");
    let run = Some(world.run(vec![]));
    let (_, mut ran) = play(Move::RevealLeaf { result, run });
    assert_eq!(play(Move::Claim(Claim::Execution)).0, "TensorRoot");
    assert_eq!(play(world.tensor(0, vec![])).0, "Chunk");
    let bytes = value.data().to_vec();
    assert_eq!(play(Move::RevealChunk { bytes }).0, "Element");
    ran.play(Move::Claim(Claim::Outputs), true, 0).unwrap();
    assert_eq!(name(&ran.stage), "Output");
    // Of the states there are two.
    world.states = Levels::new(vec![[1; 32], [2; 32]]);
    let states = after(&world, "state states reveal choose");
    assert_eq!(name(&states.stage), "StateStep");
}

#[test]
fn the_first_nodes_come_with_the_root_they_are_under() {
    let world = World::new();
    let at = after(&world, TO_LEAF);
    let with = |nodes: Vec<Hash>| {
        let mut dispute = at.clone();
        let made = Move::RevealLeaf {
            result: world.result(),
            run: Some(world.run(nodes)),
        };
        let result = dispute.play(made, true, 0);
        let class = dispute.class(true, 0);
        result.map(|()| class)
    };
    let all: Vec<Hash> = (0..OPERATORS.into())
        .map(|i| world.trace.node(0, i))
        .collect();
    let turn = Class::Turn(Side::Challenger, CLOCK);
    assert_eq!(with(vec![]), Ok(turn));
    assert_eq!(with(all.clone()), Ok(turn));
    assert_eq!(with(all[1..].to_vec()), Err(DescentError::Levels.into()));
    let mut other = all.clone();
    other[19] = [7; 32];
    assert_eq!(with(other), Err(DescentError::Nodes.into()));

    // With them it is the challenger's turn in the tree, without the asserter's.
    let ways = [
        (after(&world, "state"), {
            let descent = Descent::new(world.states.root(), u64::from(RECORDS) + 1).unwrap();
            Move::PostStates {
                root: world.states.root(),
                nodes: first_nodes(&world.states, &descent),
            }
        }),
        (
            after(
                &world,
                "transactions reveal choose leaf execution reveal choose",
            ),
            world.tensor(
                OPERATORS - 1,
                (0..4).map(|i| world.chunks.node(0, i)).collect(),
            ),
        ),
    ];
    for (mut dispute, made) in ways {
        dispute.play(made, true, 0).unwrap();
        assert_eq!(dispute.class(true, 0), turn);
        assert!(dispute.stage.tree().unwrap().choosing());
    }
}

#[test]
fn the_states_begin_after_the_batch_s_parent() {
    let world = World::new();
    let claim = |header: Header, parent: Option<Header>| {
        let mut dispute = Dispute::open(header, [9; 32], 0);
        let result = dispute.play(Move::Claim(Claim::State { parent }), true, 0);
        let before = match dispute.stage {
            Stage::StatesRoot(states) => Some(states.before),
            _ => None,
        };
        result.map(|()| before.unwrap())
    };
    let before = parent().state.next_batch().root();
    assert_ne!(before, parent().state.root());
    assert_eq!(claim(world.header, Some(parent())), Ok(before));
    let other = Header {
        tx_count: 19,
        ..parent()
    };
    assert_eq!(claim(world.header, Some(other)), Err(Refused::Parent));
    assert_eq!(claim(world.header, None), Err(Refused::Parent));
    let first = header(genesis_hash(&[3; 32]), [2; 32], 1);
    let genesis = StateComponents::genesis().root();
    assert_eq!(claim(first, None), Ok(genesis));
    assert_eq!(claim(first, Some(parent())), Err(Refused::Parent));
    let foreign = header(genesis_hash(&[4; 32]), [2; 32], 1);
    assert_eq!(claim(foreign, None), Err(Refused::Parent));
}

/// The result of a move, which changes nothing if it is refused.
fn refused(dispute: &Dispute, made: Move) -> Option<Refused> {
    let mut after = dispute.clone();
    let result = after.play(made, true, 0);
    assert_eq!(after == *dispute, result.is_err());
    result.err()
}

#[test]
fn a_leaf_s_run_is_that_of_its_result() {
    let world = World::new();
    let dispute = after(&world, TO_LEAF);
    let leaf = |result: TxResult, run: Option<RunClaim>| {
        refused(&dispute, Move::RevealLeaf { result, run })
    };
    let (result, run) = (world.result(), world.run(vec![]));
    assert_eq!(leaf(result, Some(run.clone())), None);
    assert_eq!(leaf(result, None), Some(Refused::NoRun));
    let plain = TxResult::default();
    assert_eq!(leaf(plain, Some(run.clone())), Some(Refused::NoRun));
    let other = TxResult {
        program_root: [1; 32],
        ..result
    };
    assert_eq!(leaf(other, Some(run.clone())), Some(Refused::Program));
    let other = TxResult {
        output_root: [1; 32],
        ..result
    };
    assert_eq!(leaf(other, Some(run.clone())), Some(Refused::Outputs));
    let other = RunClaim {
        outputs: [1; 32],
        ..run.clone()
    };
    assert_eq!(leaf(result, Some(other)), Some(Refused::Outputs));
    // Headers of no program, with results that name them.
    let with = |change: fn(&mut assay_ledger::ProgramHeader)| {
        let mut program = run.program;
        change(&mut program);
        let result = TxResult {
            program_root: program.root(),
            output_root: list_root_of(program.outputs.into(), &run.outputs),
            ..result
        };
        let run = RunClaim {
            program,
            ..run.clone()
        };
        leaf(result, Some(run))
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|p| p.outputs = 0), Some(Refused::Program));
    assert_eq!(with(|p| p.outputs = 257), Some(Refused::Program));
    assert_eq!(with(|p| p.outputs = 256), None);
    assert_eq!(with(|p| p.operators = 65_536), None);
    assert_eq!(with(|p| p.operators = 65_537), Some(Refused::Program));
    let none = Some(DescentError::Count.into());
    assert_eq!(with(|p| p.operators = 0), none);
}

#[test]
fn a_value_is_the_operator_s_and_a_chunk_the_value_s() {
    let world = World::new();
    let way = "transactions reveal choose leaf execution reveal choose";
    let dispute = after(&world, way);
    let Move::RevealTensor {
        operator,
        path,
        data_root,
        ..
    } = world.tensor(OPERATORS - 1, vec![])
    else {
        unreachable!()
    };
    let tensor = |operator: &[u8], path: &[Hash], data_root: Hash, nodes: &[Hash]| {
        let made = Move::RevealTensor {
            operator: operator.to_vec(),
            path: path.to_vec(),
            data_root,
            nodes: nodes.to_vec(),
        };
        refused(&dispute, made)
    };
    assert_eq!(tensor(&operator, &path, data_root, &[]), None);
    let none = Some(Refused::Operator);
    assert_eq!(tensor(&operator[1..], &path, data_root, &[]), none);
    assert_eq!(tensor(&[], &path, data_root, &[]), none);
    assert_eq!(tensor(&[0; MAX_LEAF + 1], &path, data_root, &[]), none);
    assert_eq!(tensor(&operator, &path[1..], data_root, &[]), none);
    let other = world.program.operator_leaf(18).unwrap().encode();
    assert_eq!(tensor(&other, &path, data_root, &[]), none);
    let none = Some(Refused::Tensor);
    assert_eq!(tensor(&operator, &path, [1; 32], &[]), none);
    let nodes = [[1; 32]; 4];
    let none = Some(DescentError::Nodes.into());
    assert_eq!(tensor(&operator, &path, data_root, &nodes), none);

    let chunk = |at: usize, bytes: Vec<u8>| {
        let mut dispute = after(&world, &alloc::format!("{way} tensor reveal"));
        let child = at as u8;
        dispute.play(Move::Choose { child }, true, 0).unwrap();
        refused(&dispute, Move::RevealChunk { bytes })
    };
    let value = value();
    let data = value.data();
    assert_eq!(chunk(0, data[..512].to_vec()), None);
    assert_eq!(chunk(3, data[1_536..].to_vec()), None);
    let none = Some(Refused::Chunk);
    assert_eq!(chunk(0, data[512..1_024].to_vec()), none);
    assert_eq!(chunk(0, data[..511].to_vec()), none);
    assert_eq!(chunk(0, data[..513].to_vec()), none);
    assert_eq!(chunk(3, data[1_024..].to_vec()), none);
    assert_eq!(chunk(3, vec![]), none);
}

#[test]
fn a_tail_chunk_of_another_length_cannot_be_shown_though_its_hash_is_right() {
    // The last chunk's leaf is the hash of too many bytes: a malformed value.
    let mut world = World::new();
    let mut long = value().data().to_vec();
    long.push(0);
    world.chunks = Levels::new(chunk_hashes(&long));
    let root = tensor_root_of(value().ty(), &world.chunks.root());
    let roots = vec![root; OPERATORS as usize];
    world.outputs = Levels::new(roots[..2].to_vec());
    world.trace = Levels::new(roots);
    let way = "transactions reveal choose leaf execution reveal choose tensor reveal choose";
    let dispute = after(&world, way);
    for end in [1_600, 1_601] {
        let bytes = long[1_536..end].to_vec();
        let made = Move::RevealChunk { bytes };
        assert_eq!(refused(&dispute, made), Some(Refused::Chunk));
    }
}

#[test]
fn a_dispute_is_classified_by_one_function() {
    let world = World::new();
    let mut dispute = after(&world, "");
    let turn = Class::Turn(Side::Challenger, CLOCK);
    for (live, now, class) in [
        (true, 0, turn),
        (true, CLOCK, turn),
        (true, CLOCK + 1, Class::Expired(Side::Challenger)),
        (false, 0, Class::Moot),
        (false, CLOCK + 1, Class::Moot),
    ] {
        assert_eq!(dispute.class(live, now), class);
        let mut after = dispute.clone();
        let played = after.play(Move::Claim(Claim::Transactions), live, now);
        let timed = dispute.clone().time_out(live, now);
        let verdict = Verdict {
            winner: Side::Asserter,
            reason: Reason::Time,
        };
        let (expected_play, expected_time) = match class {
            Class::Turn(..) => (Ok(()), Err(Refused::InTime)),
            Class::Expired(_) => (Err(Refused::Late), Ok(verdict)),
            _ => (Err(Refused::Moot), Err(Refused::Moot)),
        };
        assert_eq!((played, timed), (expected_play, expected_time));
        assert_eq!(after == dispute, expected_play.is_err());
    }
    // The other side's clock.
    dispute
        .play(Move::Claim(Claim::Transactions), true, 40)
        .unwrap();
    let deadline = 40 + CLOCK;
    assert_eq!(
        dispute.class(true, deadline),
        Class::Turn(Side::Asserter, deadline)
    );
    let late = dispute.class(true, deadline + 1);
    assert_eq!(late, Class::Expired(Side::Asserter));
    let verdict = dispute.time_out(true, deadline + 1).unwrap();
    assert_eq!(verdict.winner, Side::Challenger);
    // A verdict stands, whatever becomes of the batch and however much time passes.
    for (live, now) in [(true, 0), (false, 0), (true, u64::MAX)] {
        assert_eq!(dispute.class(live, now), Class::Over(verdict));
        assert_eq!(dispute.time_out(live, now), Err(Refused::Over));
        let made = Move::Claim(Claim::Transactions);
        assert_eq!(dispute.play(made, live, now), Err(Refused::Over));
    }
}

#[test]
fn whoever_waits_to_the_last_slot_ends_within_the_bound() {
    let world = World::new();
    let (way, _) = WAYS[0];
    let mut now = 0;
    let mut dispute = Dispute::open(world.header, [9; 32], now);
    for next in way.split_whitespace() {
        let Class::Turn(_, deadline) = dispute.class(true, now) else {
            unreachable!()
        };
        now = deadline;
        let next = made(&world, &dispute, next);
        dispute.play(next, true, now).unwrap();
    }
    let moves = way.split_whitespace().count() as u32;
    assert_eq!(dispute.moves, moves);
    // Both clocks are used up once, and every turn but each side's first has an extension.
    assert_eq!(now, 2 * CLOCK + u64::from(moves - 2) * EXTENSION);
    let Class::Turn(Side::Challenger, deadline) = dispute.class(true, now) else {
        unreachable!()
    };
    dispute.time_out(true, deadline + 1).unwrap();
    assert!(deadline < longest(&world.header.params));
}

#[test]
fn the_largest_dispute_fits_its_account() {
    let descent = |depth: u32| Descent {
        root: [1; 32],
        count: 1 << depth,
        height: 0,
        index: 0,
        node: [1; 32],
        siblings: vec![[1; 32]; depth as usize],
        revealed: vec![],
    };
    let world = World::new();
    let run = Box::new(Run {
        leaf: Box::new(Leaf {
            descent: descent(MAX_DEPTH),
            result: world.result(),
        }),
        program: world.program.header(),
        outputs: [1; 32],
        descent: descent(OPERATORS_DEPTH),
    });
    let mut dispute = Dispute::open(world.header, [9; 32], 0);
    dispute.stage = Stage::Tensor(Box::new(Value {
        run: run.clone(),
        operator: vec![1; MAX_LEAF],
        descent: Descent {
            revealed: vec![[1; 32]; 64],
            ..descent(CHUNKS_DEPTH)
        },
    }));
    let size = |dispute: &Dispute| borsh::to_vec(dispute).unwrap().len();
    assert_eq!(size(&dispute), Dispute::MAX_SIZE);
    let states = Box::new(States {
        before: [1; 32],
        leaf: Some(run.leaf.clone()),
    });
    let full = Descent {
        revealed: vec![[1; 32]; 64],
        ..descent(MAX_DEPTH)
    };
    dispute.stage = Stage::States(states, full);
    assert!(size(&dispute) <= Dispute::MAX_SIZE);
    // The operators' nodes have been revealed with the leaf, and those of the outputs now are.
    let root = |depth: u32| Descent {
        height: depth as u8,
        siblings: vec![],
        revealed: vec![[1; 32]; 64],
        ..descent(depth)
    };
    dispute.stage = Stage::Ran(Box::new(Run {
        program: ProgramHeader {
            outputs: MAX_OUTPUTS as u32,
            ..run.program
        },
        descent: root(OPERATORS_DEPTH),
        ..*run
    }));
    dispute.play(Move::Claim(Claim::Outputs), true, 0).unwrap();
    let Stage::Outputs(_, outputs) = &mut dispute.stage else {
        unreachable!()
    };
    *outputs = root(OUTPUTS_DEPTH);
    let most = size(&dispute);
    assert!(most <= Dispute::MAX_SIZE, "{most}");
    assert_eq!((MAX_MOVES, Dispute::MAX_SIZE), (41, 5_947));
}
