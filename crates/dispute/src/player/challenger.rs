//! Finds what is wrong with a batch, and wins the dispute over it.

use super::knowledge::Knowledge;
use super::models::{Model, Models};
use super::{Next, path_left_of, waits};
use crate::descent::Descent;
use crate::game::Dispute;
use crate::moves::{Claim, Move};
use crate::prove::ProofKind;
use crate::stage::{Leaf, Run, Stage, States, Value};
use crate::step::data::prove_data;
use crate::step::deploy::prove_deploy;
use crate::step::element::{Disputed, Execution};
use crate::step::end::prove_end;
use crate::step::output::prove_output;
use crate::step::program::prove_flaw;
use crate::step::state::{Applied, Step, prove_state};
use crate::{Hash, Side};
use assay_ledger::batch::tx_leaf;
use assay_ledger::result::TxResult;
use assay_ledger::state::INVALID;
use assay_ledger::transaction::Transaction;
use assay_tensor::merkle::Levels;
use assay_tensor::trace::Trace;
use std::sync::Arc;

/// What is wrong with a batch, the first that a challenger goes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A record of its data.
    #[error("record {0} of the batch's data is malformed")]
    Data(u32),
    /// The program that a transaction deploys.
    #[error("transaction {0} deploys a malformed program")]
    Program(u32),
    /// A leaf of the transaction tree, or a transaction may not be there.
    #[error("a transaction or its result is not as the batch says")]
    Transactions,
    /// The state after it.
    #[error("the state after the batch is not the one that its transactions lead to")]
    State,
}

/// The side that says that a batch is wrong.
#[derive(Debug)]
pub struct Challenger<M> {
    knowledge: Knowledge,
    models: M,
    /// The leaves that are known.
    txs: Levels,
    /// The first deployment of a malformed program, with the proof that it is one.
    flaw: Option<(u32, Vec<u8>)>,
}

/// A run as it should be.
#[derive(Debug)]
struct Own<'a> {
    model: Arc<Model>,
    input: &'a [u8],
    trace: Arc<Trace>,
}

impl<M: Models> Challenger<M> {
    /// A challenger who knows this.
    pub fn new(knowledge: Knowledge, models: M) -> Self {
        let records = knowledge.transactions().iter().zip(knowledge.results());
        let flaw = (0u32..).zip(records).find_map(|(index, (tx, result))| {
            let Transaction::Deploy { program, .. } = tx else {
                return None;
            };
            let leaves = models
                .malformed(&program.root())
                .filter(|_| result.done())?;
            Some((index, prove_flaw(program, &leaves)?))
        });
        Self {
            txs: Levels::new(knowledge.leaves().to_vec()),
            knowledge,
            models,
            flaw,
        }
    }

    /// What it knows.
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// What is wrong with the batch; `None` if nothing is, so that there is nothing to dispute.
    pub fn wrong(&mut self) -> Option<Wrong> {
        let header = self.knowledge.header();
        let (tx_root, end) = (header.tx_root, header.state.root());
        let same = self.knowledge.is_whole() && self.txs.root() == tx_root;
        if let Some(index) = self.knowledge.malformed() {
            Some(Wrong::Data(index))
        } else if !same {
            Some(Wrong::Transactions)
        } else if let Some((index, _)) = &self.flaw {
            Some(Wrong::Program(*index))
        } else {
            let states = self.knowledge.states(None)?;
            (*states.last()? != end).then_some(Wrong::State)
        }
    }

    /// The number of the inbox message that the proof shows to which this stage leads, if it shows one.
    pub fn message(&self, stage: &Stage) -> Option<u64> {
        let Stage::StateStep(_, descent) = stage else {
            return None;
        };
        let index = usize::try_from(descent.index.checked_sub(1)?).ok()?;
        let transactions = self.knowledge.transactions();
        transactions.get(index).filter(|tx| tx.consumes_message())?;
        let earlier = transactions.iter().take(index);
        let consumed = earlier.filter(|tx| tx.consumes_message()).count() as u64;
        let first = self
            .knowledge
            .parent()
            .map_or(0, |parent| parent.state.inbox.cursor);
        first.checked_add(consumed)
    }

    /// What it does next in a dispute of its own, over a batch that is pending if it is `live`, in slot
    /// `now`.
    pub fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next {
        if let Some(next) = waits(dispute, Side::Challenger, live, now) {
            return next;
        }
        self.turn(&dispute.stage).unwrap_or(Next::Nothing)
    }

    fn turn(&mut self, stage: &Stage) -> Option<Next> {
        Some(match stage {
            Stage::Opened => self.opened()?,
            Stage::Transactions(descent) => choose(descent, &self.txs)?,
            Stage::Revealed(leaf) => self.revealed(leaf, None)?,
            Stage::Ran(run) => self.revealed(&run.leaf, Some(run))?,
            Stage::States(states, descent) => self.states(states, descent)?,
            Stage::StateStep(states, descent) => self.state_step(states, descent)?,
            Stage::Outputs(run, descent) => {
                let own = self.own(&run.leaf)?;
                choose(descent, &own.model.outputs(&own.trace))?
            }
            Stage::Output(run, descent) => self.output(run, descent)?,
            Stage::Operators(run) => {
                let own = self.own(&run.leaf)?;
                choose(&run.descent, own.trace.trees().roots())?
            }
            Stage::Tensor(value) => {
                let own = self.own(&value.run.leaf)?;
                let operator = u32::try_from(value.run.descent.index).ok()?;
                choose(&value.descent, own.trace.trees().data(operator)?)?
            }
            Stage::Element(value, bytes) => self.element(value, bytes)?,
            // The asserter's, or nobody's.
            Stage::Leaf(_)
            | Stage::StatesRoot(_)
            | Stage::TensorRoot(_)
            | Stage::Chunk(_)
            | Stage::Over(_) => return None,
        })
    }

    /// Where to look, or what is wrong at once.
    fn opened(&mut self) -> Option<Next> {
        Some(match self.wrong()? {
            Wrong::Data(index) => self.data(index)?,
            Wrong::Program(index) => self.program(self.txs.path(index.into())?)?,
            Wrong::Transactions => Next::Play(Move::Claim(Claim::Transactions)),
            Wrong::State => self.state(),
        })
    }

    /// What is wrong with a leaf that is another than the one derived.
    fn revealed(&mut self, leaf: &Leaf, run: Option<&Run>) -> Option<Next> {
        let index = u32::try_from(leaf.descent.index).ok()?;
        let tx = self.knowledge.transactions().get(index as usize)?;
        if tx_leaf(tx, &leaf.result) != leaf.descent.node {
            return self.data(index);
        }
        // What the models gave in this batch may rest on a program that is none.
        if let Some((deployed, _)) = self.flaw
            && deployed < index
        {
            let path = path_left_of(&self.txs, &leaf.descent, deployed.into())?;
            return self.program(path);
        }
        let own = self.knowledge.results().get(index as usize).copied();
        let but_output = own.map(|own| TxResult {
            output_root: leaf.result.output_root,
            ..own
        });
        match run {
            _ if own == Some(leaf.result) => None,
            Some(run) if but_output == Some(leaf.result) => {
                let trace = &self.own(leaf)?.trace;
                let claim = match trace.root() == run.descent.root {
                    true => Claim::Outputs,
                    false => Claim::Execution,
                };
                Some(Next::Play(Move::Claim(claim)))
            }
            _ => Some(self.state()),
        }
    }

    fn state(&self) -> Next {
        let parent = self.knowledge.parent().copied();
        Next::Play(Move::Claim(Claim::State { parent }))
    }

    fn data(&self, index: u32) -> Option<Next> {
        let bytes = prove_data(self.knowledge.header(), self.knowledge.data(), index)?;
        Some(Next::Prove(ProofKind::Data { index }, bytes))
    }

    /// The proof that the deployed program is malformed, its leaf being opened by `path`.
    fn program(&self, path: Vec<Hash>) -> Option<Next> {
        let (index, flaw) = self.flaw.as_ref()?;
        let at = *index as usize;
        let tx = self.knowledge.transactions().get(at)?;
        let result = self.knowledge.results().get(at)?;
        let bytes = prove_deploy(*index, tx, result, &path, flaw);
        Some(Next::Prove(ProofKind::Program, bytes))
    }

    fn states(&mut self, states: &States, descent: &Descent) -> Option<Next> {
        let claimed = claimed(states)?;
        let own = Levels::new(self.knowledge.states(claimed)?.to_vec());
        if own.root() != descent.root {
            return choose(descent, &own);
        }
        // All states agree, and the last one is not the batch's.
        let last = own.count().checked_sub(1)?;
        let bytes = prove_end(&own.node(0, last), &own.path(last)?);
        Some(Next::Prove(ProofKind::End, bytes))
    }

    fn state_step(&mut self, states: &States, descent: &Descent) -> Option<Next> {
        let proven = |bytes| Some(Next::Prove(ProofKind::State, bytes));
        let Some(index) = descent.index.checked_sub(1) else {
            // The first state is known to be another.
            return proven(Vec::new());
        };
        let claimed = claimed(states)?;
        let at = usize::try_from(index).ok()?;
        let own = Levels::new(self.knowledge.states(claimed)?.to_vec());
        let before = own.node(0, index);
        let path = path_left_of(&own, descent, index)?;
        if before == INVALID {
            return proven(prove_state(&Step {
                before: &before,
                path: &path,
                applied: None,
            }));
        }
        let witness = self
            .knowledge
            .witness(claimed, u32::try_from(index).ok()?)?;
        // All leaves before the one that led here are one's own.
        let (result, tx_path) = match &states.leaf {
            Some(leaf) if leaf.descent.index == index => (leaf.result, leaf.descent.path()),
            leaf => {
                let path = match leaf {
                    Some(leaf) => path_left_of(&self.txs, &leaf.descent, index)?,
                    None => self.txs.path(index)?,
                };
                (*self.knowledge.results().get(at)?, path)
            }
        };
        proven(prove_state(&Step {
            before: &before,
            path: &path,
            applied: Some(Applied {
                tx: self.knowledge.transactions().get(at)?,
                result: &result,
                path: &tx_path,
                witness: &witness,
            }),
        }))
    }

    fn output(&mut self, run: &Run, descent: &Descent) -> Option<Next> {
        let own = self.own(&run.leaf)?;
        let index = u32::try_from(descent.index).ok()?;
        let bytes = prove_output(own.model.program(), own.trace.trees().roots(), index)?;
        Some(Next::Prove(ProofKind::Output, bytes))
    }

    fn element(&mut self, value: &Value, bytes: &[u8]) -> Option<Next> {
        let own = self.own(&value.run.leaf)?;
        let execution = Execution {
            program: own.model.program(),
            parameters: own.model.parameters(),
            parameter_trees: own.model.trees(),
            input: own.input,
            trace: &own.trace,
        };
        let descent = &value.run.descent;
        let disputed = Disputed {
            operator: u32::try_from(descent.index).ok()?,
            root: descent.node,
            path: &descent.path(),
        };
        let bytes = execution.prove_chunk(&disputed, value.descent.index, bytes)?;
        Some(Next::Prove(ProofKind::Element, bytes))
    }

    /// The run of the leaf's transaction as it should be. It is not kept: traces are large, and the models
    /// know how many of them there is room for.
    fn own(&self, leaf: &Leaf) -> Option<Own<'_>> {
        let index = u32::try_from(leaf.descent.index).ok()?;
        let mut runs = self.knowledge.runs().iter();
        let run = runs.find(|run| run.index == index)?;
        let model = self.models.model(&run.program_root, &run.parameters_root)?;
        Some(Own {
            trace: self.models.trace(&model, &run.input)?,
            input: &run.input,
            model,
        })
    }
}

/// The leftmost of the revealed nodes that is not one's `own`. Of the own tree the first leaves may be all that
/// is known: a node with others under it is taken to differ.
fn choose(descent: &Descent, own: &Levels) -> Option<Next> {
    let levels = descent.levels(descent.revealed.len())?;
    let level = u32::from(descent.height).checked_sub(levels)?;
    let first = descent.index << levels;
    let known = |index: u64| own.count() == descent.count || (index + 1) << level <= own.count();
    let differs = |(index, node): (u64, &Hash)| !known(index) || own.node(level, index) != *node;
    let child = (first..).zip(&descent.revealed).position(differs)?;
    let child = u8::try_from(child).ok()?;
    Some(Next::Play(Move::Choose { child }))
}

/// The index and the result of the leaf that led to the states, if one did.
fn claimed(states: &States) -> Option<Option<super::knowledge::Claimed>> {
    Some(match &states.leaf {
        Some(leaf) => Some((u32::try_from(leaf.descent.index).ok()?, leaf.result)),
        None => None,
    })
}
