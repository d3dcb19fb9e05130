//! Every move in every stage, and every reason to refuse one.

mod claims;
mod clocks;

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
