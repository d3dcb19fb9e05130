//! The dispute game: moves and proofs of a side that does as it likes, and demands for blobs.

use assay_dispute::game::{Dispute, MAX_MOVES, Move};
use assay_dispute::prove::{NotProven, ProofKind};
use assay_dispute::stage::Verdict;
use borsh::{BorshDeserialize, BorshSerialize};

/// The most that is done in one game.
const MOST: usize = 100;

/// What somebody does in a game.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
enum Act {
    Play(Move),
    Prove(ProofKind, Vec<u8>),
    TimeOut,
    /// Lets slots pass.
    Wait(u16),
}

fn acts(mut bytes: &[u8]) -> impl Iterator<Item = Act> + '_ {
    std::iter::from_fn(move || crate::input::front(&mut bytes)).take(MOST)
}

/// What came of an act: refused, done, or it showed that nothing is wrong.
enum Came {
    Refused,
    Done,
    Right,
}

/// Does it; one that is refused has changed nothing, and a game stays one that an account can hold.
fn act(batch: &crate::arena::world::Batch, dispute: &mut Dispute, now: &mut u64, act: Act) -> Came {
    let before = dispute.clone();
    let came = match act {
        Act::Play(made) => dispute.play(made, true, *now).is_ok(),
        Act::Prove(kind, bytes) => {
            match crate::arena::duel::prove(batch, dispute, kind, &bytes, true, *now) {
                Ok(_) => true,
                Err(NotProven::Right) => {
                    assert_eq!(*dispute, before);
                    return Came::Right;
                }
                Err(_) => false,
            }
        }
        Act::TimeOut => dispute.time_out(true, *now).is_ok(),
        Act::Wait(slots) => {
            *now += u64::from(slots);
            true
        }
    };
    if !came {
        assert_eq!(*dispute, before);
        return Came::Refused;
    }
    assert!(dispute.moves <= MAX_MOVES);
    let bytes = borsh::to_vec(dispute).unwrap();
    assert!(bytes.len() <= Dispute::MAX_SIZE);
    assert_eq!(Dispute::try_from_slice(&bytes).unwrap(), *dispute);
    Came::Done
}

fn verdict(dispute: &Dispute) -> Option<Verdict> {
    match dispute.stage {
        assay_dispute::stage::Stage::Over(verdict) => Some(verdict),
        _ => None,
    }
}

/// The moves of both sides, over batches with a lie.
pub mod moves {
    use super::{Act, Came, act, acts, verdict};
    use crate::arena::lies::{Lie, random_lie};
    use crate::arena::world::{Batch, mixed};
    use crate::input::{byte, with};
    use assay_dispute::Side;
    use assay_dispute::game::Dispute;
    use assay_dispute::player::asserter::LEGACY_ROOM;
    use assay_dispute::player::{Asserter, Challenger, Next};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::sync::LazyLock;

    static GAMES: LazyLock<(Batch, Vec<Lie>)> = LazyLock::new(|| {
        let batch = mixed(1, 2, 20);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let lies = (0..40).map(|_| random_lie(&batch, &mut rng)).collect();
        (batch, lies)
    });

    pub fn run(mut bytes: &[u8]) -> bool {
        let (batch, lies) = &*GAMES;
        let lie = &lies[usize::from(byte(&mut bytes)) % lies.len()];
        let mut dispute = Dispute::open(lie.header, [9; 32], 0);
        let mut now = 0;
        for made in acts(bytes) {
            act(batch, &mut dispute, &mut now, made);
        }
        verdict(&dispute).is_some_and(|verdict| verdict.winner == Side::Challenger)
    }

    /// The games of two who keep to the rules.
    pub fn seeds() -> Vec<Vec<u8>> {
        let (batch, lies) = &*GAMES;
        let one = |(number, lie): (usize, &Lie)| {
            let own = batch.knowledge(lie.header, lie.data.clone());
            let mut challenger = Challenger::new(own, batch.library.clone());
            let claims = lie.claims[0].clone();
            let mut asserter = Asserter::new(claims, batch.library.clone(), LEGACY_ROOM);
            let mut dispute = Dispute::open(lie.header, [9; 32], 0);
            let mut bytes = Vec::new();
            while verdict(&dispute).is_none() {
                let next = match dispute.stage.turn() {
                    Some(Side::Asserter) => asserter.next(&dispute, true, 0),
                    _ => challenger.next(&dispute, true, 0),
                };
                let made = match next {
                    Next::Play(made) => Act::Play(made),
                    Next::Prove(kind, bytes) => Act::Prove(kind, bytes),
                    // An asserter who is stuck.
                    _ => break,
                };
                bytes.extend(borsh::to_vec(&made).unwrap());
                let done = act(batch, &mut dispute, &mut 0, made);
                assert!(matches!(done, Came::Done));
            }
            if verdict(&dispute).is_none() {
                let late = [Act::Wait(u16::MAX), Act::TimeOut];
                late.iter()
                    .for_each(|act| bytes.extend(borsh::to_vec(act).unwrap()));
            }
            with(number, &bytes)
        };
        lies.iter().enumerate().map(one).collect()
    }
}

/// The moves and proofs of a challenger, against an honest asserter of an honest batch, who never loses.
pub mod honest {
    use super::{Act, Came, act, acts, verdict};
    use crate::arena::world::{Batch, Cached, mixed};
    use assay_dispute::Side;
    use assay_dispute::game::{Claim, Dispute, Move, Stage};
    use assay_dispute::player::asserter::LEGACY_ROOM;
    use assay_dispute::player::{Asserter, Challenger, Claims, Models, Next};
    use assay_dispute::prove::ProofKind;
    use assay_dispute::stage::Run;
    use assay_dispute::step::data::prove_data;
    use assay_dispute::step::element::{Disputed, Execution};
    use assay_dispute::step::end::prove_end;
    use assay_dispute::step::output::prove_output;
    use assay_tensor::merkle::Levels;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::sync::{Arc, LazyLock};

    static BATCH: LazyLock<(Batch, Claims)> = LazyLock::new(|| {
        let batch = mixed(5, 2, 12);
        let claims = Claims::honest(&mut batch.own()).unwrap();
        (batch, claims)
    });

    fn asserter() -> Asserter<Arc<Cached>> {
        let (batch, claims) = &*BATCH;
        Asserter::new(claims.clone(), batch.library.clone(), LEGACY_ROOM)
    }

    /// Lets the asserter answer in time.
    fn answer(asserter: &mut Asserter<Arc<Cached>>, dispute: &mut Dispute, now: u64) {
        while dispute.stage.turn() == Some(Side::Asserter) {
            match asserter.next(dispute, true, now) {
                Next::Play(made) => dispute.play(made, true, now).unwrap(),
                next => panic!("{next:?}"),
            }
        }
    }

    pub fn run(bytes: &[u8]) -> bool {
        let (batch, _) = &*BATCH;
        let mut asserter = asserter();
        let mut dispute = Dispute::open(batch.header, [9; 32], 0);
        let mut now = 0;
        let mut right = false;
        for made in acts(bytes) {
            // The challenger's own; the asserter's are its own as well.
            if matches!(&made, Act::Play(made) if made.side() == Side::Asserter) {
                continue;
            }
            if let Came::Right = act(batch, &mut dispute, &mut now, made) {
                right = true;
            }
            answer(&mut asserter, &mut dispute, now);
            if let Some(verdict) = verdict(&dispute) {
                assert_eq!(verdict.winner, Side::Asserter);
            }
        }
        right
    }

    /// The run of the leaf in a game, with its input.
    fn execution<T>(run: &Run, f: impl FnOnce(&Execution<'_>) -> Option<T>) -> Option<T> {
        let (batch, _) = &*BATCH;
        let result = &run.leaf.result;
        let models = &batch.library;
        let model = models.model(&result.program_root, &result.parameters_root)?;
        let input = batch.inputs.get(&(run.leaf.descent.index as u32))?;
        let trace = models.trace(&model, input)?;
        f(&Execution {
            program: model.program(),
            parameters: model.parameters(),
            parameter_trees: model.trees(),
            input,
            trace: &trace,
        })
    }

    /// A proof that opens here, and shows that all is right.
    fn proof(dispute: &Dispute, challenger: &mut Challenger<Arc<Cached>>) -> Option<Act> {
        let (batch, claims) = &*BATCH;
        let (kind, bytes) = match &dispute.stage {
            Stage::Opened | Stage::Revealed(_) | Stage::Ran(_) => {
                let index = dispute.moves % batch.header.tx_count;
                let proof = prove_data(&batch.header, &batch.data, index)?;
                (ProofKind::Data { index }, proof)
            }
            Stage::States(..) => {
                let states = Levels::new(claims.states.clone());
                let last = states.count() - 1;
                let proof = prove_end(&states.node(0, last), &states.path(last)?);
                (ProofKind::End, proof)
            }
            Stage::StateStep(..) => match challenger.next(dispute, true, 0) {
                Next::Prove(kind, bytes) => (kind, bytes),
                _ => return None,
            },
            Stage::Output(run, descent) => {
                let index = descent.index as u32;
                let proof = execution(run, |execution| {
                    let values = execution.trace.trees().roots();
                    prove_output(execution.program, values, index)
                });
                (ProofKind::Output, proof?)
            }
            Stage::Element(value, _) => {
                let descent = &value.run.descent;
                let disputed = Disputed {
                    operator: descent.index as u32,
                    root: descent.node,
                    path: &descent.path(),
                };
                let chunk = value.descent.index;
                let proof = execution(&value.run, |e| e.prove_element(&disputed, chunk, 0));
                (ProofKind::Element, proof?)
            }
            _ => return None,
        };
        Some(Act::Prove(kind, bytes))
    }

    /// Walks through the game at random, with a proof wherever there is one.
    pub fn seeds() -> Vec<Vec<u8>> {
        let (batch, _) = &*BATCH;
        let walk = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut asserter = asserter();
            let mut challenger = Challenger::new(batch.own(), batch.library.clone());
            let mut dispute = Dispute::open(batch.header, [9; 32], 0);
            let mut bytes = Vec::new();
            loop {
                if let Some(proof) = proof(&dispute, &mut challenger) {
                    bytes.extend(borsh::to_vec(&proof).unwrap());
                }
                let parent = batch.parent;
                let claims = match &dispute.stage {
                    Stage::Opened => vec![Claim::Transactions, Claim::State { parent }],
                    Stage::Revealed(_) => vec![Claim::State { parent }],
                    Stage::Ran(_) => vec![
                        Claim::State { parent },
                        Claim::Execution,
                        Claim::Execution,
                        Claim::Outputs,
                    ],
                    _ => Vec::new(),
                };
                let made = if !claims.is_empty() {
                    Move::Claim(claims[rng.random_range(0..claims.len())].clone())
                } else if let Some(tree) = dispute.stage.tree()
                    && !tree.revealed.is_empty()
                {
                    let child = rng.random_range(0..tree.revealed.len()) as u8;
                    Move::Choose { child }
                } else {
                    return bytes;
                };
                bytes.extend(borsh::to_vec(&Act::Play(made.clone())).unwrap());
                dispute.play(made, true, 0).unwrap();
                answer(&mut asserter, &mut dispute, 0);
            }
        };
        (0..40).map(walk).collect()
    }
}

/// A demand for pieces of a blob, and answers: only what is the blob's own answers it.
pub mod demand {
    use crate::input::{front, one_of};
    use crate::proofs::element::RUNS;
    use crate::run::Run;
    use assay_dispute::Hash;
    use assay_dispute::demand::{Answer, Blob, Demand, Named, Pieces};
    use assay_ledger::batch::tx_leaf;
    use assay_ledger::header::Header;
    use assay_ledger::result::{Status, TxResult};
    use assay_ledger::state::{MODEL_DEPTH, Model, TreeHead};
    use assay_ledger::transaction::Transaction;
    use assay_tensor::commit::CHUNK;
    use assay_tensor::leaves::List;
    use assay_tensor::merkle;
    use std::sync::LazyLock;

    /// A batch that deploys a model, and updates one of the same program.
    struct Naming {
        header: Header,
        named: [Named; 2],
    }

    static BATCHES: LazyLock<Vec<Naming>> =
        LazyLock::new(|| RUNS.iter().map(|(run, _)| naming(run)).collect());

    fn naming(run: &Run) -> Naming {
        let parameters_root = run.parameters_root;
        let deploy = Transaction::Deploy {
            from: 1,
            program: run.header,
            parameters_root,
            price: 5,
            signature: [1; 64],
        };
        let update = Transaction::Update {
            model: 0,
            parameters_root,
            price: 5,
            signature: [1; 64],
        };
        let model = Model {
            publisher: 1,
            program_root: run.header.root(),
            parameters_root,
            price: 5,
            units: run.header.units,
            input_bytes: run.header.input_bytes as u32,
            output_bytes: run.header.output_bytes as u32,
            version: 2,
            callable_from: 9,
        };
        let result = TxResult::plain(Status::Done);
        let leaves = [&deploy, &update].map(|tx| tx_leaf(tx, &result));
        // Beside the only model there is nothing.
        let empty = |below: &Hash| Some(merkle::node(below, below));
        let model_path = std::iter::successors(Some(merkle::EMPTY_LEAF), empty);
        let model_path: Vec<Hash> = model_path.take(MODEL_DEPTH as usize).collect();
        let mut header = crate::ledger::transaction::BATCH.header;
        header.state.models = TreeHead {
            count: 1,
            root: merkle::root_from_path(&model.leaf(), 0, &model_path),
        };
        header.tx_root = merkle::root(&leaves);
        header.tx_count = 2;
        let updated = assay_dispute::demand::Updated {
            model,
            path: model_path,
            program: run.header,
        };
        let named = [(deploy, None), (update, Some(updated))];
        let mut index = 0;
        let named = named.map(|(transaction, updated)| {
            index += 1;
            Named {
                index: index - 1,
                transaction,
                result,
                path: merkle::path(&leaves, u64::from(index - 1)).unwrap(),
                updated,
            }
        });
        Naming { header, named }
    }

    pub fn run(mut bytes: &[u8]) -> bool {
        let number = one_of(&Vec::from_iter(0..RUNS.len()), &mut bytes).to_owned();
        let ((run, _), batch) = (&RUNS[number], &BATCHES[number]);
        let Some((named, pieces)) = front::<(Named, Pieces)>(&mut bytes) else {
            return false;
        };
        let Ok(mut demand) = Demand::open(&batch.header, &named, pieces) else {
            return false;
        };
        assert_eq!(demand.left.count_ones(), u32::from(pieces.count));
        assert_eq!(demand.program, run.header);
        while let Some((place, answer)) = front::<(u8, Answer)>(&mut bytes) {
            let before = demand;
            match demand.answer(place, &answer) {
                Ok(()) => {
                    assert_eq!(demand.left.count_ones() + 1, before.left.count_ones());
                    assert!(demand.answer(place, &answer).is_err());
                    let index = pieces.first + u64::from(place);
                    let (Answer::Leaf { bytes, .. } | Answer::Chunk { bytes, .. }) = &answer;
                    assert_eq!(*bytes, piece(run, pieces.of, index).0);
                }
                Err(_) => assert_eq!(demand, before),
            }
        }
        demand.is_answered()
    }

    /// Piece `index` and its path.
    fn piece(run: &Run, of: Blob, index: u64) -> (Vec<u8>, Vec<Hash>) {
        let at = index as usize;
        let (list, bytes) = match of {
            Blob::Inputs => (List::Inputs, run.program.input_leaves()[at].encode()),
            Blob::Parameters => {
                let leaves = run.program.parameter_leaves();
                (List::Parameters, leaves[at].encode())
            }
            Blob::Operators => (List::Operators, run.leaf(at as u32).encode()),
            Blob::Outputs => (List::Outputs, run.program.output_leaves()[at].encode()),
            Blob::Chunks { parameter } => {
                let data = run.parameters[parameter as usize].data();
                let chunk = data.chunks(CHUNK).nth(at).unwrap_or_default();
                let tree = run.parameter_trees.data(parameter).unwrap();
                return (chunk.to_vec(), tree.path(index).unwrap_or_default());
            }
        };
        let path = merkle::path(&run.program.leaf_hashes(list), index).unwrap();
        (bytes, path)
    }

    fn answer(run: &Run, of: Blob, index: u64) -> Answer {
        let (bytes, path) = piece(run, of, index);
        let Blob::Chunks { parameter } = of else {
            return Answer::Leaf { bytes, path };
        };
        let (ty, ty_path) = piece(run, Blob::Parameters, u64::from(parameter));
        Answer::Chunk {
            ty,
            ty_path,
            data_root: run.parameter_trees.data(parameter).unwrap().root(),
            parameter_path: run.parameter_trees.roots().path(parameter.into()).unwrap(),
            bytes,
            path,
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (number, ((run, _), batch)) in RUNS.iter().zip(BATCHES.iter()).enumerate() {
            let header = &run.header;
            let mut blobs = vec![
                (Blob::Inputs, header.inputs),
                (Blob::Parameters, header.parameters),
                (Blob::Operators, header.operators),
                (Blob::Outputs, header.outputs),
            ];
            // A chunk more than there is.
            let count = |parameter: u32| run.parameter_trees.data(parameter).unwrap().count() + 1;
            let chunks = (0..header.parameters).take(2);
            blobs.extend(chunks.map(|p| (Blob::Chunks { parameter: p }, count(p) as u32)));
            for (at, (of, count)) in blobs.into_iter().enumerate() {
                let count = count.min(5) as u8;
                if count == 0 {
                    continue;
                }
                let pieces = Pieces {
                    of,
                    first: 0,
                    count,
                };
                let mut bytes = vec![number as u8];
                bytes.extend(borsh::to_vec(&(&batch.named[at % 2], &pieces)).unwrap());
                for place in (0..count).rev() {
                    let answer = answer(run, of, u64::from(place));
                    bytes.extend(borsh::to_vec(&(place, answer)).unwrap());
                }
                all.push(bytes);
            }
        }
        all
    }
}
