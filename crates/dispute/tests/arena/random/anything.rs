//! Moves and proofs that need not make sense.

use super::Game;
use assay_dispute::Hash;
use assay_dispute::game::{Claim, Move, RunClaim, Stage};
use assay_dispute::player::Models;
use assay_dispute::prove::ProofKind;
use assay_dispute::step::data::prove_data;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_tensor::commit::list_root_of;
use rand::Rng;

impl Game<'_, '_> {
    pub(super) fn garbled(&mut self, made: Move) -> Option<Move> {
        let mut bytes = borsh::to_vec(&made).unwrap();
        let byte = self.rng.random_range(0..bytes.len());
        bytes[byte] ^= 1 << self.rng.random_range(0..8);
        borsh::from_slice(&bytes).ok()
    }

    /// The header of the batch's parent, or now and then another one, or none.
    fn parent(&mut self) -> Option<Header> {
        match self.rng.random_range(0..8) {
            0 => None,
            1 => Some(self.table.header),
            _ => self.table.batch.parent,
        }
    }

    fn hash(&mut self) -> Hash {
        [self.rng.random(); 32]
    }

    pub(super) fn any_proof(&mut self) -> (ProofKind, Vec<u8>) {
        let index = self.rng.random_range(0..=self.table.header.tx_count);
        let kind = match self.rng.random_range(0..7) {
            0 => ProofKind::Data { index },
            1 => ProofKind::Program,
            2 => ProofKind::End,
            3 => ProofKind::State,
            4 => ProofKind::Output,
            5 => ProofKind::Record,
            _ => ProofKind::Element,
        };
        // What opens, whether or not it shows something wrong, or anything.
        let data = match kind {
            ProofKind::Data { index } if self.rng.random_ratio(1, 2) => {
                prove_data(&self.table.header, &self.table.batch.data, index)
            }
            _ => None,
        };
        let bytes = data.unwrap_or_else(|| {
            let mut bytes = vec![0; self.rng.random_range(0..400)];
            self.rng.fill(&mut bytes[..]);
            bytes
        });
        (kind, bytes)
    }

    /// A move that the rules take, wherever it leads: the challenger goes where nothing need be wrong.
    pub(super) fn wander(&mut self, at: usize) -> Option<Move> {
        let parent = self.parent();
        let dispute = &self.court.cases[at].dispute;
        let claims = match &dispute.stage {
            Stage::Opened => vec![Claim::Transactions, Claim::State { parent }],
            Stage::Revealed(_) => vec![Claim::State { parent }],
            Stage::Ran(_) => {
                vec![Claim::State { parent }, Claim::Execution, Claim::Outputs]
            }
            stage => {
                let revealed = stage.tree()?.revealed.len();
                let child = self.rng.random_range(0..revealed.max(1)) as u8;
                return Some(Move::Choose { child });
            }
        };
        let claim = claims[self.rng.random_range(0..claims.len())].clone();
        Some(Move::Claim(claim))
    }

    /// A move of some kind with something in it that may fit.
    pub(super) fn any_move(&mut self, at: usize) -> Move {
        let stage = self.court.cases[at].dispute.stage.clone();
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
                parent: self.parent(),
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
