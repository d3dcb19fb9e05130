//! Disputes on a [`TestRollup`]: every instruction, and an asserter whose trees are made by hand.
//!
//! The batches mean nothing, so that no proof convinces; every stage of the game is reached. What
//! proofs do is tested with batches that were really made.

use crate::batch::Draft;
use crate::rollup::{TestRollup, encode};
use crate::svm::{Outcome, Sent, Wire, accepted};
use assay_client::instructions::disputes::{self as build, WRITE};
use assay_client::pda;
use assay_dispute::descent::{Descent, MAX_LEVELS};
use assay_dispute::game::{Claim, Dispute as Game, Move, RunClaim, Stage};
use assay_dispute::prove::ProofKind;
use assay_ledger::batch::tx_root;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::{Hash, merkle};
use assay_tensor::commit::{chunk_hashes, list_root_of, tensor_roots};
use assay_tensor::leaves::List;
use assay_tensor::merkle::Levels;
use assay_tensor::op::Op;
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::types::{DType, Shape, Tensor, TensorType};
use settlement::heap::MAX_FRAME;
use settlement::state::{Buffer, Dispute};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// Elements of the value that each operator of [`Asserter`]'s program defines.
const ELEMENTS: u32 = 1_600;

/// Who answers a dispute: the trees behind a batch.
pub struct Asserter {
    /// The batch.
    pub draft: Draft,
    txs: Levels,
    states: Levels,
    program: CheckedProgram,
    trace: Levels,
    outputs: Levels,
    chunks: Levels,
    value: Tensor,
}

impl Asserter {
    /// A batch on the tip of so many transactions, each of which runs a program of so many
    /// operators.
    pub fn new(rollup: &TestRollup, transactions: u32, operators: u32) -> Self {
        let mut draft = Draft::new(rollup, transactions);
        let leaf = |i: u32| {
            merkle::leaf(
                b"test",
                &[&draft.header.number.to_le_bytes(), &i.to_le_bytes()],
            )
        };
        let count = draft.header.tx_count;
        let leaves: Vec<Hash> = (0..count).map(leaf).collect();
        let states: Vec<Hash> = (count..=2 * count).map(leaf).collect();
        draft.header.tx_root = tx_root(&leaves);
        let bytes: Vec<i8> = (0..ELEMENTS).map(|i| (i * i / 7) as i8).collect();
        let value = Tensor::from_i8(&[ELEMENTS], &bytes).expect("a shape");
        let roots = tensor_roots(&vec![value.clone(); operators as usize]);
        Self {
            draft,
            txs: Levels::new(leaves),
            states: Levels::new(states),
            program: program(operators),
            outputs: Levels::new(roots[..1].to_vec()),
            trace: Levels::new(roots),
            chunks: Levels::new(chunk_hashes(value.data())),
            value,
        }
    }

    /// The batch's header.
    pub fn header(&self) -> Header {
        self.draft.header.to_ledger().expect("lane 0")
    }

    /// The result of a transaction that runs the program.
    pub fn ran(&self) -> TxResult {
        TxResult {
            program_root: self.program.root(),
            output_root: list_root_of(1, &self.outputs.root()),
            ..TxResult::default()
        }
    }

    /// The asserter's move in this game, in which a reveal has at most so many levels.
    ///
    /// # Panics
    /// If it is not its turn.
    pub fn answer(&self, game: &Game, levels: u32) -> Move {
        let first = |tree: &Levels, count| match Descent::new(tree.root(), count) {
            Ok(descent) if descent.revealing() => nodes(tree, &descent, levels),
            _ => vec![],
        };
        match &game.stage {
            Stage::Transactions(descent) => reveal(&self.txs, descent, levels),
            Stage::States(_, descent) => reveal(&self.states, descent, levels),
            Stage::Outputs(_, descent) => reveal(&self.outputs, descent, levels),
            Stage::Operators(run) => reveal(&self.trace, &run.descent, levels),
            Stage::Tensor(value) => reveal(&self.chunks, &value.descent, levels),
            Stage::Leaf(_) => Move::RevealLeaf {
                result: self.ran(),
                run: Some(RunClaim {
                    program: self.program.header(),
                    trace: self.trace.root(),
                    outputs: self.outputs.root(),
                    nodes: first(&self.trace, self.trace.count()),
                }),
            },
            Stage::StatesRoot(_) => Move::PostStates {
                root: self.states.root(),
                nodes: first(&self.states, self.states.count()),
            },
            Stage::TensorRoot(run) => {
                let index = run.descent.index;
                let leaves = self.program.leaf_hashes(List::Operators);
                let operator = self.program.operator_leaf(index as u32);
                Move::RevealTensor {
                    operator: operator.expect("an operator").encode(),
                    path: merkle::path(&leaves, index).expect("an operator"),
                    data_root: self.chunks.root(),
                    nodes: first(&self.chunks, self.chunks.count()),
                }
            }
            Stage::Chunk(value) => {
                let chunk = value.descent.index as usize;
                let mut chunks = self.value.data().chunks(assay_tensor::commit::CHUNK);
                Move::RevealChunk {
                    bytes: chunks.nth(chunk).expect("a chunk").to_vec(),
                }
            }
            stage => panic!("it is not the asserter's turn in {stage:?}"),
        }
    }

    /// A move of a challenger who follows `claims`, always to the last child.
    ///
    /// # Panics
    /// If it is not its turn to make a move, or it has nothing to claim.
    pub fn challenge(&self, game: &Game, claims: &mut Vec<Claim>) -> Move {
        if let Some(descent) = game.stage.tree() {
            return Move::Choose {
                child: descent.revealed.len() as u8 - 1,
            };
        }
        Move::Claim(claims.remove(0))
    }
}

fn reveal(tree: &Levels, descent: &Descent, levels: u32) -> Move {
    Move::Reveal {
        nodes: nodes(tree, descent, levels),
    }
}

fn nodes(tree: &Levels, descent: &Descent, most: u32) -> Vec<Hash> {
    let levels = descent.step(most.min(MAX_LEVELS));
    let first = descent.index << levels;
    let level = u32::from(descent.height) - levels;
    (first..first + descent.inside(levels) as u64)
        .map(|i| tree.node(level, i))
        .collect()
}

/// So many operators one after the other, each of which copies [`ELEMENTS`] elements.
fn program(operators: u32) -> CheckedProgram {
    let shape = [ELEMENTS];
    let node = |i: u32| Node {
        op: Op::Reshape(Shape::new(&shape).expect("a shape")),
        operands: vec![match i {
            0 => Operand::Input(0),
            _ => Operand::Value(i - 1),
        }],
    };
    Program {
        inputs: vec![TensorType::new(DType::I8, &shape).expect("a type")],
        parameters: vec![],
        nodes: (0..operators).map(node).collect(),
        outputs: vec![Output {
            name: "last".into(),
            value: operators - 1,
        }],
    }
    .check()
    .expect("a program")
}

impl TestRollup {
    /// Where dispute `id` of `challenger` is.
    pub fn dispute_address(&self, challenger: &Pubkey, id: u64) -> Pubkey {
        pda::dispute(&self.address, challenger, id)
    }

    /// A dispute's account, its game, and the name of the game's state.
    pub fn dispute(&self, address: &Pubkey) -> (Dispute, Box<Game>, u64) {
        let account = self.svm.account(address).expect("a dispute");
        Dispute::read(&account.data).expect("a dispute")
    }

    /// `open_dispute`.
    pub fn open_dispute(&mut self, challenger: &Keypair, id: u64, header: &Header) -> Outcome {
        let instruction = build::open_dispute(&challenger.pubkey(), id, header);
        self.svm.send(&[instruction], &[challenger])
    }

    /// Opens dispute `id`. Returns its address.
    pub fn disputed(&mut self, challenger: &Keypair, id: u64, header: &Header) -> Pubkey {
        accepted(self.open_dispute(challenger, id, header));
        self.dispute_address(&challenger.pubkey(), id)
    }

    /// A move on the game's present state, in a legacy transaction.
    pub fn play(&mut self, player: &Keypair, dispute: &Pubkey, made: &Move) -> Outcome {
        let state = self.dispute(dispute).2;
        self.play_on(Wire::Legacy, player, dispute, state, made)
    }

    /// A move with everything told.
    pub fn play_on(
        &mut self,
        wire: Wire,
        player: &Keypair,
        dispute: &Pubkey,
        state: u64,
        made: &Move,
    ) -> Outcome {
        let instruction = build::play(&self.address, dispute, &player.pubkey(), state, made);
        self.svm.send_as(wire, &[instruction], &[player], &[])
    }

    /// A move on the game's present state, from a buffer.
    pub fn play_from_buffer(
        &mut self,
        player: &Keypair,
        dispute: &Pubkey,
        buffer: &Pubkey,
    ) -> Outcome {
        let state = self.dispute(dispute).2;
        let instruction =
            build::play_from_buffer(&self.address, dispute, &player.pubkey(), state, buffer);
        self.svm.send(&[instruction], &[player])
    }

    /// `prove` in a dispute over a batch of the first sequencer, with the largest heap.
    pub fn prove(
        &mut self,
        challenger: &Keypair,
        dispute: &Pubkey,
        page: Option<u64>,
        kind: ProofKind,
        proof: Vec<u8>,
    ) -> Outcome {
        let (key, sequencer) = (challenger.pubkey(), self.sequencer.pubkey());
        let prove = build::prove(&self.address, dispute, &key, &sequencer, page, kind, proof);
        self.send_proof(challenger, prove)
    }

    /// `prove_from_buffer`, likewise.
    pub fn prove_from_buffer(
        &mut self,
        challenger: &Keypair,
        dispute: &Pubkey,
        page: Option<u64>,
        kind: ProofKind,
        buffer: &Pubkey,
    ) -> Outcome {
        let (key, sequencer) = (challenger.pubkey(), self.sequencer.pubkey());
        let prove =
            build::prove_from_buffer(&self.address, dispute, &key, &sequencer, page, kind, buffer);
        self.send_proof(challenger, prove)
    }

    fn send_proof(&mut self, challenger: &Keypair, prove: Instruction) -> Outcome {
        self.svm.heap = Some(MAX_FRAME as u32);
        let outcome = self.svm.send(&[prove], &[challenger]);
        self.svm.heap = None;
        outcome
    }

    /// `time_out` of a dispute over a batch of `sequencer`.
    pub fn time_out(&mut self, dispute: &Pubkey, sequencer: &Pubkey) -> Outcome {
        let instruction = build::time_out(&self.address, dispute, sequencer);
        self.svm.send(&[instruction], &[])
    }

    /// `resolve`.
    pub fn resolve(&mut self, dispute: &Pubkey) -> Outcome {
        let instruction = build::resolve(&self.address, dispute);
        self.svm.send(&[instruction], &[])
    }

    /// `claim_payout`.
    pub fn claim_payout(&mut self, dispute: &Pubkey, recipient: &Pubkey) -> Outcome {
        let instruction = build::claim_payout(dispute, recipient);
        self.svm.send(&[instruction], &[])
    }

    /// `close_dispute`.
    pub fn close_dispute(&mut self, dispute: &Pubkey, challenger: &Pubkey) -> Outcome {
        let instruction = build::close_dispute(dispute, challenger);
        self.svm.send(&[instruction], &[])
    }

    /// `open_buffer` with its creation.
    pub fn open_buffer(&mut self, owner: &Keypair, id: u64, len: u32) -> Outcome {
        let rent = self.svm.rent(Buffer::size(len));
        let instructions = build::open_buffer(&owner.pubkey(), id, len, rent);
        self.svm.send(&instructions, &[owner])
    }

    /// `write_buffer`.
    pub fn write_buffer(
        &mut self,
        owner: &Keypair,
        buffer: &Pubkey,
        offset: u32,
        bytes: &[u8],
    ) -> Outcome {
        let instruction = build::write_buffer(&owner.pubkey(), buffer, offset, bytes.to_vec());
        self.svm.send(&[instruction], &[owner])
    }

    /// `close_buffer`.
    pub fn close_buffer(&mut self, owner: &Keypair, buffer: &Pubkey) -> Outcome {
        let instruction = build::close_buffer(&owner.pubkey(), buffer);
        self.svm.send(&[instruction], &[owner])
    }

    /// Buffer `id` of `owner` with these bytes. Returns its address.
    pub fn buffered(&mut self, owner: &Keypair, id: u64, bytes: &[u8]) -> Pubkey {
        let buffer = pda::buffer(&owner.pubkey(), id);
        accepted(self.open_buffer(owner, id, bytes.len() as u32));
        for (i, part) in bytes.chunks(WRITE).enumerate() {
            accepted(self.write_buffer(owner, &buffer, (i * WRITE) as u32, part));
        }
        buffer
    }

    /// Buffer `id` of `owner` with a move.
    pub fn buffered_move(&mut self, owner: &Keypair, id: u64, made: &Move) -> Pubkey {
        self.buffered(owner, id, &encode(made))
    }

    /// Plays a dispute with legacy transactions along `claims` until the challenger has nothing
    /// left to claim where it would have to. Returns what was sent.
    pub fn play_along(
        &mut self,
        asserter: &Asserter,
        challenger: &Keypair,
        dispute: &Pubkey,
        claims: &[Claim],
    ) -> Vec<Sent> {
        let sequencer = self.sequencer.insecure_clone();
        let mut claims = claims.to_vec();
        let mut sent = Vec::new();
        loop {
            let game = self.dispute(dispute).1;
            let asserts = game.stage.turn() == Some(assay_dispute::Side::Asserter);
            if !asserts && claims.is_empty() && game.stage.tree().is_none_or(Descent::done) {
                return sent;
            }
            sent.push(accepted(if asserts {
                self.play(&sequencer, dispute, &asserter.answer(&game, 4))
            } else {
                let made = asserter.challenge(&game, &mut claims);
                self.play(challenger, dispute, &made)
            }));
        }
    }
}
