//! How many transactions a dispute takes, by the sizes of the trees. The table in `docs/disputes.md` is
//! what `ASSAY_SIZES=all cargo test -p assay-dispute --test sizes -- --nocapture --test-threads 1` prints.

mod arena;

use arena::duel::{Outcome, duel};
use arena::lies::{Change, Lie, remake, run, wrong_element};
use arena::world::{Batch, Maker, rollup, user};
use assay_dispute::Side;
use assay_dispute::game::Reason;
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Model};
use assay_ledger::SOL;
use assay_ledger::store::FullState;
use assay_ledger::transition::StateAccess;
use assay_onnx::dataset::{self, HeldOut};
use assay_onnx::{Limits, import};
use assay_tensor::op::{Epilogue, Op, OutputRange};
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::random::random_tensor;
use assay_tensor::types::{DType, TensorType};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ALL: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};

/// Bytes of an instruction beside its move: program, accounts, lengths, discriminator and state.
const INSTRUCTION: usize = 24;
/// Bytes of an instruction that writes to a buffer, beside what it writes and what a move has too.
const WRITE: usize = 36;
/// Bytes of the instruction that opens a dispute: the header and the dispute's number.
const OPEN: usize = 600;

/// Transactions of a dispute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    all: usize,
    /// Bytes of the proof.
    proof: usize,
}

/// How many transactions with so much room the players need: from the one that opens the dispute to the
/// proof. Moves of one side in a row go together where they fit. A proof that does not fit one is
/// written to a buffer: it is opened, written, and used.
fn count(outcome: &Outcome, room: usize) -> Count {
    let mut count = Count { all: 1, proof: 0 };
    let (mut side, mut left) = (Side::Challenger, room - OPEN);
    for step in &outcome.steps {
        let bytes = step.bytes + INSTRUCTION;
        if step.proof {
            count.proof = step.bytes;
        }
        if step.proof && bytes > room {
            count.all += 1 + step.bytes.div_ceil(room - WRITE) + 1;
            continue;
        }
        assert!(bytes <= room + 2 * INSTRUCTION, "{step:?}");
        if step.side != side || bytes > left {
            count.all += 1;
            (side, left) = (step.side, room);
        }
        left = left.saturating_sub(bytes);
    }
    count
}

/// The transactions of the dispute over a lie, with legacy and with version-1 ones.
fn transactions(batch: &Batch, lie: &Lie, reason: Reason) -> [Count; 2] {
    let own = batch.knowledge(lie.header, lie.data.clone());
    let mut challenger = Challenger::new(own, batch.library.clone());
    [LEGACY_ROOM, VERSION_1_ROOM].map(|room| {
        let claims = lie.claims[0].clone();
        let mut asserter = Asserter::new(claims, batch.library.clone(), room);
        let outcome = duel(batch, &lie.header, &mut challenger, &mut asserter);
        assert_eq!(outcome.verdict.winner, Side::Challenger);
        assert_eq!(outcome.verdict.reason, reason);
        count(&outcome, room)
    })
}

/// A batch of so many transactions, of which the one in the middle is a run of the model.
fn batch(model: Model, input: Vec<u8>, transactions: usize) -> Batch {
    let (_, mut maker) = rollup(vec![(model, vec![input])]);
    let fill = |maker: &mut Maker, upto: usize| {
        while maker.records.len() < upto {
            maker.deposit(user(0).public(), SOL, 1);
        }
    };
    fill(&mut maker, transactions / 2);
    maker.infer(1, 0, 0, true);
    fill(&mut maker, transactions);
    let (batch, _) = maker.finish();
    assert_eq!(batch.records.len(), transactions);
    batch
}

fn digits() -> (Model, Vec<u8>) {
    let model = import(dataset::DIGITS, &Limits::default()).unwrap();
    let images = HeldOut::digits().unwrap();
    let input = images.input(0, model.inputs[0].quantisation.as_ref().unwrap());
    (
        Model::new(model.program, model.parameters).unwrap(),
        input.unwrap(),
    )
}

fn ty(dtype: DType, dims: &[u32]) -> TensorType {
    TensorType::new(dtype, dims).unwrap()
}

/// The product of a row of 16,384 with so many columns.
fn product(inner: u32, columns: u32) -> (Model, Vec<u8>) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let parameters = [
        ty(DType::I8, &[columns, inner]),
        ty(DType::I32, &[columns]),
        ty(DType::I32, &[columns, 2]),
    ];
    let operands = [0, 1, 2].map(Operand::Parameter);
    let program = Program {
        inputs: vec![ty(DType::I8, &[1, inner])],
        parameters: parameters.to_vec(),
        nodes: vec![Node {
            op: Op::MatMul(Epilogue::Requant(ALL)),
            operands: [vec![Operand::Input(0)], operands.to_vec()].concat(),
        }],
        outputs: vec![Output {
            name: "y".into(),
            value: 0,
        }],
    };
    let tensors = parameters.map(|ty| random_tensor(&mut rng, ty)).to_vec();
    let input = random_tensor(&mut rng, program.inputs[0]).into_data();
    let model = Model::new(program.check().unwrap(), tensors).unwrap();
    (model, input)
}

/// So many additions of what the one before gives and of what one half as far gives.
fn additions(operators: u32) -> (Model, Vec<u8>) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let row = ty(DType::I8, &[40]);
    let value = |at: Option<u32>| at.map_or(Operand::Input(0), Operand::Value);
    let node = |i: u32| Node {
        op: Op::Add {
            multiplier_a: 1 << 20,
            multiplier_b: -(1 << 19),
            offset: i64::from(i),
            shift: 20,
            range: ALL,
        },
        operands: vec![value(i.checked_sub(1)), value((i / 2).checked_sub(1))],
    };
    let program = Program {
        inputs: vec![row],
        parameters: Vec::new(),
        nodes: (0..operators).map(node).collect(),
        // Many of the values count, so that lies show.
        outputs: (0..operators.min(64))
            .map(|i| Output {
                name: format!("y{i}"),
                value: operators - 1 - i,
            })
            .collect(),
    };
    let input = random_tensor(&mut rng, row).into_data();
    let model = Model::new(program.check().unwrap(), Vec::new()).unwrap();
    (model, input)
}

/// Some elements of each operator of the batch's run.
fn elements(batch: &Batch, operators: &[u32], each: usize) -> Vec<(u32, usize)> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let index = *batch.inputs.keys().next().unwrap();
    let types = run(batch, index).model().program().value_types().to_vec();
    let mut element = |operator: u32| {
        let count = types[operator as usize].shape.elements();
        (operator, rng.random_range(0..count) as usize)
    };
    let operators = operators.iter().flat_map(|o| vec![*o; each]);
    operators.map(&mut element).collect()
}

/// The most transactions of a dispute over one of these elements, and which it is. Elements that no output
/// depends on are left out.
fn most(batch: &Batch, elements: &[(u32, usize)]) -> ([Count; 2], (u32, usize)) {
    let index = *batch.inputs.keys().next().unwrap();
    let lie = |place: &(u32, usize)| Some((wrong_element(batch, index, place.0, place.1)?, *place));
    let lies = elements.iter().filter_map(lie);
    let counts = lies.map(|(lie, place)| (transactions(batch, &lie, Reason::Element), place));
    counts.max().unwrap()
}

/// The transactions of a dispute over a balance in the middle of the batch.
fn balance(batch: &Batch) -> [Count; 2] {
    let index = batch.header.tx_count / 2;
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let change = |state: &mut FullState| {
        let mut account = state.account(0).unwrap();
        account.balance += 1;
        state.write_account(0, account).unwrap();
    };
    let change = Change {
        state: Some((index, &change)),
        ..Change::default()
    };
    let lie = remake(batch, &transactions, &change).unwrap();
    self::transactions(batch, &lie.lie("balance", None), Reason::State)
}

fn row(what: &str, [legacy, version_1]: [Count; 2]) {
    println!(
        "| {what} | {} | {} | {} |",
        legacy.all, version_1.all, legacy.proof
    );
}

/// That a tree with so many levels more takes so many transactions more, at most.
fn grows(counts: &[[Count; 2]], levels: usize, most: usize) {
    for pair in counts.windows(2) {
        for (less, more) in pair[0].iter().zip(pair[1]) {
            assert!(more.all <= less.all + most, "{levels} levels: {counts:?}");
        }
    }
}

#[test]
fn a_batch_sixteen_times_as_large_takes_three_more() {
    // The last takes minutes: the batch is made again for each lie.
    let all = std::env::var("ASSAY_SIZES").is_ok();
    let (mut counts, mut balances, mut costliest) = (Vec::new(), Vec::new(), None);
    for exponent in [0u32, 4, 8, 12, 16].into_iter().take(4 + usize::from(all)) {
        let (model, input) = digits();
        let batch = batch(model, input, 1 << exponent);
        // Some of all operators where that takes little, and then the one that took the most.
        let operators = run(&batch, batch.header.tx_count / 2).roots().count() as u32;
        let all: Vec<u32> = (0..operators).collect();
        let places = costliest.map_or_else(|| elements(&batch, &all, 64), |place| vec![place]);
        let (count, place) = most(&batch, &places);
        costliest = Some(place);
        row(
            &format!("an element of the digits model, batch of {}", 1 << exponent),
            count,
        );
        // What the project promises.
        assert!(count[0].all <= 32 && count[1].all <= 16, "{count:?}");
        counts.push(count);
        let count = balance(&batch);
        row(&format!("a balance, batch of {}", 1 << exponent), count);
        assert!(count[0].all <= 32 && count[1].all <= 16, "{count:?}");
        balances.push(count);
    }
    grows(&counts, 4, 3);
    grows(&balances, 4, 3);
}

#[test]
fn an_inner_size_of_16384_takes_what_its_operands_take() {
    for exponent in [6u32, 8, 10, 12, 14] {
        let (model, input) = product(1 << exponent, 24);
        let batch = batch(model, input, 16);
        let (count, _) = most(&batch, &elements(&batch, &[0], 2));
        row(&format!("a product of inner size {}", 1 << exponent), count);
        // Two rows of operands, and what opens them.
        let operands = 2 << exponent;
        assert!((operands..operands + 1_500).contains(&count[0].proof));
        // The game itself takes as many moves as ever.
        for (count, room) in count.iter().zip([LEGACY_ROOM, VERSION_1_ROOM]) {
            assert!(
                count.all <= 12 + count.proof.div_ceil(room - WRITE),
                "{count:?}"
            );
        }
    }
}

#[test]
fn a_program_four_times_as_large_takes_two_more() {
    let mut counts = Vec::new();
    for exponent in [4u32, 6, 8, 10, 12] {
        let (model, input) = additions(1 << exponent);
        let batch = batch(model, input, 16);
        let last = (1 << exponent) - 1;
        let (count, _) = most(&batch, &elements(&batch, &[0, last / 2, last], 2));
        row(&format!("a program of {} operators", 1 << exponent), count);
        counts.push(count);
    }
    grows(&counts, 2, 2);
}
