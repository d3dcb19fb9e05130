//! Every kind of piece, and every reason to refuse a demand or an answer.

use super::*;
use alloc::vec;
use assay_ledger::batch::tx_root;
use assay_ledger::header::{Lane, Params};
use assay_ledger::result::Status;
use assay_ledger::state::{StateComponents, TreeHead};
use assay_tensor::commit::{chunk_hashes, parameters_root, tensor_roots};
use assay_tensor::leaves::OutputLeaf;
use assay_tensor::op::Op;
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::types::{DType, Shape, Tensor, TensorType};

const MODEL: u32 = 2;
const RECORDS: u32 = 3;
const DEPLOY: u32 = 0;
const UPDATE: u32 = 1;
const INFER: u32 = 2;

/// Two parameters of 1,100 and 3 bytes, each copied.
fn program() -> CheckedProgram {
    let ty = |n: u32| TensorType::new(DType::I8, &[n]).unwrap();
    let node = |i: u32, n: u32| Node {
        op: Op::Reshape(Shape::new(&[n]).unwrap()),
        operands: vec![Operand::Parameter(i)],
    };
    Program {
        inputs: vec![ty(5)],
        parameters: vec![ty(1_100), ty(3)],
        nodes: vec![node(0, 1_100), node(1, 3)],
        outputs: vec![Output {
            name: "o".into(),
            value: 1,
        }],
    }
    .check()
    .unwrap()
}

fn parameters() -> Vec<Tensor> {
    let bytes: Vec<i8> = (0..1_100).map(|i| (i / 3) as i8).collect();
    vec![
        Tensor::from_i8(&[1_100], &bytes).unwrap(),
        Tensor::from_i8(&[3], &[1, 2, 3]).unwrap(),
    ]
}

/// A batch that deploys the program, updates model [`MODEL`] that has it, and runs it.
struct Batch {
    header: Header,
    leaves: Vec<Hash>,
    transactions: Vec<Transaction>,
    model: Model,
    models: Vec<Hash>,
}

fn done() -> TxResult {
    TxResult::plain(Status::Done)
}

impl Batch {
    fn new() -> Self {
        let program = program().header();
        let parameters_root = parameters_root(&parameters());
        let transactions = vec![
            Transaction::Deploy {
                from: 1,
                program,
                parameters_root,
                price: 5,
                signature: [1; 64],
            },
            Transaction::Update {
                model: MODEL,
                parameters_root,
                price: 5,
                signature: [1; 64],
            },
            Transaction::Infer {
                from: 1,
                model: MODEL,
                pinned: false,
                input: vec![1; 5],
                signature: [1; 64],
            },
        ];
        let leaves: Vec<_> = transactions.iter().map(|tx| tx_leaf(tx, &done())).collect();
        let model = Model {
            publisher: 1,
            program_root: program.root(),
            parameters_root,
            price: 5,
            units: program.units,
            input_bytes: 5,
            output_bytes: 3,
            version: 2,
            callable_from: 9,
        };
        let mut models = vec![[7; 32], [8; 32], model.leaf()];
        models.resize(1 << MODEL_DEPTH, merkle::EMPTY_LEAF);
        let mut state = StateComponents::genesis();
        state.models = TreeHead {
            count: 3,
            root: merkle::root(&models),
        };
        let header = Header {
            rollup: [3; 32],
            rules: 1,
            codec: 1,
            lane: Lane::L1,
            number: 4,
            parent: [4; 32],
            sequencer: [5; 32],
            state,
            tx_root: tx_root(&leaves),
            tx_count: RECORDS,
            data_root: [5; 32],
            data_len: 10,
            params: Params {
                window: 90,
                bond_slice: 1,
                max_units: 1,
                max_records: 100,
                max_data: 100,
                model_delay: 1,
                sequencer_share: 0,
                clock: 1,
                extension: 1,
                dispute_bond: 1,
            },
        };
        Self {
            header,
            leaves,
            transactions,
            model,
            models,
        }
    }

    fn named(&self, index: u32) -> Named {
        Named {
            index,
            transaction: self.transactions[index as usize].clone(),
            result: done(),
            path: merkle::path(&self.leaves, index.into()).unwrap(),
            updated: (index == UPDATE).then(|| Updated {
                model: self.model,
                path: merkle::path(&self.models, MODEL.into()).unwrap(),
                program: program().header(),
            }),
        }
    }

    fn demand(&self, of: Blob, first: u64, count: u8) -> Result<Demand, NoDemand> {
        let pieces = Pieces { of, first, count };
        Demand::open(&self.header, &self.named(DEPLOY), pieces)
    }
}

fn leaf(list: List, index: u64) -> Answer {
    let program = program();
    let bytes = match list {
        List::Inputs => program_type(5, 5),
        List::Parameters => match index {
            0 => program_type(1_100, 1_100),
            _ => program_type(3, 1_103),
        },
        List::Operators => program.operator_leaf(index as u32).unwrap().encode(),
        List::Outputs => OutputLeaf {
            name: "o".into(),
            value: 1,
            ty: TensorType::new(DType::I8, &[3]).unwrap(),
            running_bytes: 3,
        }
        .encode(),
    };
    Answer::Leaf {
        bytes,
        path: merkle::path(&program.leaf_hashes(list), index).unwrap(),
    }
}

fn program_type(elements: u32, running_bytes: u64) -> Vec<u8> {
    TypeLeaf {
        ty: TensorType::new(DType::I8, &[elements]).unwrap(),
        running_bytes,
    }
    .encode()
}

fn chunk(parameter: u32, index: u64) -> Answer {
    let tensors = parameters();
    let data = tensors[parameter as usize].data();
    let hashes = chunk_hashes(data);
    let Answer::Leaf { bytes: ty, path } = leaf(List::Parameters, parameter.into()) else {
        unreachable!()
    };
    Answer::Chunk {
        ty,
        ty_path: path,
        data_root: merkle::root(&hashes),
        parameter_path: merkle::path(&tensor_roots(&tensors), parameter.into()).unwrap(),
        bytes: data
            .chunks(CHUNK)
            .nth(index as usize)
            .unwrap_or_default()
            .to_vec(),
        path: merkle::path(&hashes, index).unwrap_or_default(),
    }
}

#[test]
fn a_sixth_each_to_demand_and_to_answer_leaves_then_chunks() {
    let times = |of, end, window| {
        let Times {
            demand_end,
            answer_end,
            reserved_end,
        } = Times::new(of, end, window);
        // Half of the time for answers that comes after the last demand is everybody's.
        assert_eq!(reserved_end, answer_end.saturating_sub(window / 6 / 2));
        (demand_end, answer_end)
    };
    let chunks = Blob::Chunks { parameter: 3 };
    for leaves in [
        Blob::Inputs,
        Blob::Parameters,
        Blob::Operators,
        Blob::Outputs,
    ] {
        assert_eq!(times(leaves, 1_090, 90), (1_015, 1_030));
        // What does not divide is for disputes.
        assert_eq!(times(leaves, 1_100, 100), (1_016, 1_032));
        assert_eq!(times(leaves, 1_024, Times::MIN_WINDOW), (1_004, 1_008));
        assert_eq!(times(leaves, 1_005, 5), (1_000, 1_000));
        assert_eq!(times(leaves, 5, u64::MAX), (0, 0));
    }
    assert_eq!(times(chunks, 1_090, 90), (1_045, 1_060));
    assert_eq!(times(chunks, 1_100, 100), (1_048, 1_064));
    assert_eq!(times(chunks, 1_024, Times::MIN_WINDOW), (1_012, 1_016));
    assert_eq!(Times::all_answered(1_100, 100), 1_064);
    let most = u64::MAX;
    assert_eq!(times(chunks, most, most), (most / 6 * 3, most / 6 * 4));
}

/// Whoever reads the leaves in the last slot in which they may be shown has time to ask for the parameters.
#[test]
fn what_is_shown_last_is_not_shown_too_late() {
    for window in Times::MIN_WINDOW..1_000 {
        let end = 5_000 + window;
        let leaves = Times::new(Blob::Parameters, end, window);
        let chunks = Times::new(Blob::Chunks { parameter: 0 }, end, window);
        let sixth = window / 6;
        assert_eq!(leaves.answer_end + sixth, chunks.demand_end, "{window}");
        assert!(chunks.answer_end + window / 3 <= end, "{window}");
    }
}

#[test]
fn a_demand_costs_at_most_its_bond() {
    assert_eq!(bond(1, PIECE_FEE, 1), PIECE_FEE);
    assert_eq!(bond(1_000_000_000, PIECE_FEE, MAX_PIECES), 1_000_000_000);
    assert_eq!(bond(1, PIECE_FEE, MAX_PIECES), 64 * PIECE_FEE);
}

/// Ten thousand pieces to drown in cost over ten times what as many alone would, and one among them less
/// than a thousandth of that.
#[test]
fn the_fee_rises_with_what_is_open() {
    assert_eq!((fee(0), fee(64), fee(512)), (30_000, 33_750, 60_000));
    let pieces = u32::from(MAX_PIECES);
    let flood: u64 = (0..10_000 / pieces)
        .map(|demands| fee(demands * pieces) * u64::from(MAX_PIECES))
        .sum();
    assert!(flood > 10 * 10_000 * PIECE_FEE && fee(10_000) * 1_000 < flood);
    // Who has pieces open only to make others' dear pays more for them than those pay for as many.
    let mut open = 0;
    let mut paid = 0;
    while fee(open) < 10 * PIECE_FEE {
        paid += u64::from(pieces) * (fee(open) - PIECE_FEE);
        open += pieces;
    }
    assert!(
        paid > 2_048 * (fee(open) - PIECE_FEE),
        "a model of a megabyte"
    );
    assert!(fee(u32::MAX) > PIECE_FEE);
}

#[test]
fn every_leaf_and_chunk_is_answered_once() {
    let batch = Batch::new();
    for (of, list, count) in [
        (Blob::Inputs, List::Inputs, 1),
        (Blob::Parameters, List::Parameters, 2),
        (Blob::Operators, List::Operators, 2),
        (Blob::Outputs, List::Outputs, 1),
    ] {
        let mut demand = batch.demand(of, 0, count).unwrap();
        for place in (0..count).rev() {
            assert!(!demand.is_answered());
            demand.answer(place, &leaf(list, place.into())).unwrap();
            let again = demand.answer(place, &leaf(list, place.into()));
            assert_eq!(again, Err(NoAnswer::NotWanted));
        }
        assert!(demand.is_answered());
    }
    let mut demand = batch.demand(Blob::Chunks { parameter: 0 }, 1, 2).unwrap();
    demand.answer(0, &chunk(0, 1)).unwrap();
    demand.answer(1, &chunk(0, 2)).unwrap();
    assert!(demand.is_answered());
    let mut demand = batch.demand(Blob::Chunks { parameter: 1 }, 0, 1).unwrap();
    demand.answer(0, &chunk(1, 0)).unwrap();
    assert!(demand.is_answered());
}

/// How long a parameter is, who has not got its type cannot know.
#[test]
fn past_the_parameter_s_end_there_is_nothing_to_show() {
    let batch = Batch::new();
    let mut demand = batch.demand(Blob::Chunks { parameter: 0 }, 2, 64).unwrap();
    for place in 0..64 {
        let answer = chunk(0, 2 + u64::from(place));
        if place > 0 {
            // A chunk that is there is no proof that there is none, nor the other way round.
            let refused = demand.answer(place, &chunk(0, 2));
            assert_eq!(refused, Err(NoAnswer::Opening));
            let refused = demand.answer(0, &answer);
            assert_eq!(refused, Err(NoAnswer::Opening));
        }
        let Answer::Chunk { bytes, .. } = &answer else {
            unreachable!()
        };
        assert_eq!(bytes.is_empty(), place > 0);
        let mut probe = demand;
        probe.answer(place, &answer).unwrap();
        if place > 0 {
            demand = probe;
        }
    }
    demand.answer(0, &chunk(0, 2)).unwrap();
    assert!(demand.is_answered());
}

#[test]
fn only_pieces_that_are_there() {
    let batch = Batch::new();
    for (of, first, count) in [
        (Blob::Operators, 0, 0),
        (Blob::Operators, 0, 3),
        (Blob::Operators, 2, 1),
        (Blob::Inputs, 1, 1),
        (Blob::Outputs, u64::MAX, 1),
        (Blob::Chunks { parameter: 2 }, 0, 1),
        (Blob::Chunks { parameter: 0 }, 0, 0),
        (Blob::Chunks { parameter: 0 }, 0, 65),
        (Blob::Chunks { parameter: 0 }, u64::MAX, 1),
    ] {
        let refused = batch.demand(of, first, count);
        assert_eq!(refused, Err(NoDemand::Pieces), "{of:?} {first} {count}");
    }
    let chunks = Blob::Chunks { parameter: 1 };
    assert_eq!(batch.demand(chunks, 0, 64).unwrap().left, u64::MAX);
    assert_eq!(batch.demand(chunks, 0, 5).unwrap().left, 31);
}

#[test]
fn an_answer_opens_in_what_the_batch_names() {
    let batch = Batch::new();
    let mut demand = batch.demand(Blob::Operators, 0, 2).unwrap();
    for (place, answer, error) in [
        (2, leaf(List::Operators, 0), NoAnswer::NotWanted),
        (64, leaf(List::Operators, 0), NoAnswer::NotWanted),
        (255, leaf(List::Operators, 0), NoAnswer::NotWanted),
        (0, leaf(List::Operators, 1), NoAnswer::Opening),
        (0, leaf(List::Parameters, 0), NoAnswer::Opening),
        (0, chunk(0, 0), NoAnswer::Kind),
    ] {
        let before = demand;
        assert_eq!(demand.answer(place, &answer), Err(error));
        assert_eq!(demand, before);
    }
    let mut demand = batch.demand(Blob::Chunks { parameter: 0 }, 0, 3).unwrap();
    let refused = demand.answer(0, &leaf(List::Parameters, 0));
    assert_eq!(refused, Err(NoAnswer::Kind));
    let changed = |change: &dyn Fn(&mut Answer)| {
        let mut answer = chunk(0, 1);
        change(&mut answer);
        demand.clone().answer(1, &answer)
    };
    macro_rules! with {
        ($field:ident, $change:expr) => {
            changed(&|answer| {
                let Answer::Chunk { $field, .. } = answer else {
                    unreachable!()
                };
                $change
            })
        };
    }
    assert_eq!(changed(&|_| ()), Ok(()));
    let opening = Err(NoAnswer::Opening);
    assert_eq!(with!(bytes, bytes[0] ^= 1), opening);
    assert_eq!(with!(bytes, bytes.truncate(511)), opening);
    assert_eq!(with!(bytes, bytes.clear()), opening);
    assert_eq!(with!(path, path.clear()), opening);
    assert_eq!(with!(data_root, data_root[0] ^= 1), opening);
    assert_eq!(with!(parameter_path, parameter_path.clear()), opening);
    assert_eq!(with!(parameter_path, parameter_path.push([0; 32])), opening);
    assert_eq!(with!(ty_path, ty_path[0][0] ^= 1), opening);
    assert_eq!(with!(ty, ty.push(0)), opening);
    // A type that says that the parameter is shorter.
    let shorter = program_type(512, 512);
    assert_eq!(with!(ty, *ty = shorter.clone()), opening);
    // Another parameter's.
    assert_eq!(demand.answer(1, &chunk(1, 1)), opening);
}

/// The proof that a leaf is malformed might fit no buffer, so that one longer than any is no answer.
#[test]
fn a_leaf_that_is_too_long_is_no_answer() {
    let batch = Batch::new();
    for of in List::ALL {
        for (len, expected) in [
            (MAX_LEAF, Ok(())),
            (MAX_LEAF + 1, Err(NoAnswer::TooLong)),
            (130_646, Err(NoAnswer::TooLong)),
        ] {
            let bytes = vec![7; len];
            let mut demand = listed(&batch, of, 1, of.hash(&bytes));
            let answer = Answer::Leaf {
                bytes,
                path: vec![],
            };
            assert_eq!(demand.answer(0, &answer), expected, "{of:?} {len}");
            assert_eq!(demand.is_answered(), expected.is_ok());
        }
    }
}

/// A demand for the last of so many leaves of a list.
fn listed(batch: &Batch, of: List, count: u32, root: Hash) -> Demand {
    let mut demand = batch.demand(Blob::Operators, 0, 1).unwrap();
    let program = &mut demand.program;
    let (blob, there, list) = match of {
        List::Inputs => (Blob::Inputs, &mut program.inputs, &mut program.inputs_root),
        List::Parameters => (
            Blob::Parameters,
            &mut program.parameters,
            &mut program.parameters_root,
        ),
        List::Operators => (
            Blob::Operators,
            &mut program.operators,
            &mut program.operators_root,
        ),
        List::Outputs => (
            Blob::Outputs,
            &mut program.outputs,
            &mut program.outputs_root,
        ),
    };
    (*there, *list) = (count, root);
    demand.pieces = Pieces {
        of: blob,
        first: u64::from(count) - 1,
        count: 1,
    };
    demand
}

/// Nobody who has all the leaves has the root of a tree with anything behind them.
#[test]
fn what_is_past_the_end_of_a_list_is_no_answer() {
    let batch = Batch::new();
    for junk in [None, Some(5), Some(6), Some(7)] {
        let expected = match junk {
            None => Ok(()),
            Some(_) => Err(NoAnswer::Opening),
        };
        // Five of something.
        let padded = |mut hashes: Vec<Hash>| {
            hashes.resize(8, merkle::EMPTY_LEAF);
            if let Some(junk) = junk {
                hashes[junk] = [1; 32];
            }
            hashes
        };
        for of in List::ALL {
            let hashes = padded((0..5).map(|i| of.hash(&[i])).collect());
            let mut demand = listed(&batch, of, 5, merkle::root(&hashes));
            let answer = Answer::Leaf {
                bytes: vec![4],
                path: merkle::path(&hashes, 4).unwrap(),
            };
            assert_eq!(demand.answer(0, &answer), expected, "{of:?} {junk:?}");
        }
        // The types of five parameters of five chunks each, their roots, and the chunks.
        for (types, tensors, chunks) in [
            (true, false, false),
            (false, true, false),
            (false, false, true),
        ] {
            let some = |padding: bool, hashes: Vec<Hash>| match padding {
                true => padded(hashes),
                false => hashes,
            };
            let ty = TensorType::new(DType::I8, &[2_500]).unwrap();
            let bytes = vec![3; 2_500];
            let chunks = some(chunks, chunk_hashes(&bytes));
            let data_root = merkle::root(&chunks);
            let tensors = some(tensors, vec![tensor_root_of(&ty, &data_root); 5]);
            let leaf = program_type(2_500, 2_500);
            let types = some(types, vec![List::Parameters.hash(&leaf); 5]);
            let mut demand = listed(&batch, List::Parameters, 5, merkle::root(&types));
            demand.parameters_root = list_root_of(5, &merkle::root(&tensors));
            demand.pieces = Pieces {
                of: Blob::Chunks { parameter: 4 },
                first: 4,
                count: 1,
            };
            let answer = Answer::Chunk {
                ty: leaf,
                ty_path: merkle::path(&types, 4).unwrap(),
                data_root,
                parameter_path: merkle::path(&tensors, 4).unwrap(),
                bytes: bytes[2_048..].to_vec(),
                path: merkle::path(&chunks, 4).unwrap(),
            };
            assert_eq!(demand.answer(0, &answer), expected, "{junk:?}");
        }
    }
}

#[test]
fn a_deployment_or_an_update_that_was_done_names_blobs() {
    let batch = Batch::new();
    let pieces = Pieces {
        of: Blob::Chunks { parameter: 0 },
        first: 0,
        count: 1,
    };
    let open = |named: &Named| Demand::open(&batch.header, named, pieces).map(drop);
    assert_eq!(open(&batch.named(DEPLOY)), Ok(()));
    assert_eq!(open(&batch.named(UPDATE)), Ok(()));
    assert_eq!(open(&batch.named(INFER)), Err(NoDemand::NamesNothing));

    let mut other = batch.named(DEPLOY);
    other.index = 1;
    assert_eq!(open(&other), Err(NoDemand::Transaction));
    let mut other = batch.named(DEPLOY);
    other.result.fee = 1;
    assert_eq!(open(&other), Err(NoDemand::Transaction));
    let mut other = batch.named(DEPLOY);
    other.path.pop();
    assert_eq!(open(&other), Err(NoDemand::Transaction));

    let mut other = batch.named(UPDATE);
    other.updated = None;
    assert_eq!(open(&other), Err(NoDemand::Model));
    type Change = fn(&mut Updated);
    let changes: [Change; 4] = [
        |updated| updated.program.units += 1,
        |updated| updated.model.price += 1,
        |updated| updated.path[0][0] ^= 1,
        |updated| updated.path.truncate(15),
    ];
    for change in changes {
        let mut other = batch.named(UPDATE);
        change(other.updated.as_mut().unwrap());
        assert_eq!(open(&other), Err(NoDemand::Model));
    }

    // One that failed names nothing that anybody needs.
    let failed = TxResult::plain(Status::BadProgram);
    let leaf = tx_leaf(&batch.transactions[0], &failed);
    let header = Header {
        tx_root: leaf,
        tx_count: 1,
        ..batch.header
    };
    let named = Named {
        result: failed,
        path: vec![],
        ..batch.named(DEPLOY)
    };
    let refused = Demand::open(&header, &named, pieces);
    assert_eq!(refused, Err(NoDemand::NamesNothing));
}
