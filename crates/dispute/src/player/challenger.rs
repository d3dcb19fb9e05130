//! Finds what is wrong with a batch, and wins the dispute over it.

use super::knowledge::Knowledge;
use super::models::{Model, Models};
use super::partial::Partial;
use super::{Next, waits};
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
use crate::step::record::{Recorded, prove_record};
use crate::step::state::{Applied, Step, prove_state};
use crate::{Hash, Side};
use assay_ledger::batch::tx_leaf;
use assay_ledger::result::TxResult;
use assay_ledger::state::INVALID;
use assay_ledger::transaction::Transaction;
use assay_tensor::commit::list_root_of;
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
    /// Nothing, as far as is known; but the outputs of some runs are not, and with them the transaction root:
    /// the first such transaction. A dispute over it shows the other leaves.
    #[error(
        "nobody can tell the outputs of transaction {0}, so that the others' are not known to be right"
    )]
    Unseen(u32),
}

/// The side that says that a batch is wrong.
#[derive(Debug)]
pub struct Challenger<M> {
    knowledge: Knowledge,
    models: M,
    /// The leaves that are known.
    txs: Partial,
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

impl Own<'_> {
    fn output_root(&self) -> Hash {
        let outputs = self.model.outputs(&self.trace);
        list_root_of(outputs.count(), &outputs.root())
    }
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
            txs: Partial::new(
                knowledge.leaves().to_vec(),
                knowledge.unknown().iter().map(|index| u64::from(*index)),
            ),
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
        let own = self.txs.root(header.tx_count.into());
        let differs = own.is_some_and(|own| own != header.tx_root);
        if let Some(index) = self.knowledge.malformed() {
            Some(Wrong::Data(index))
        } else if !self.knowledge.is_whole() || differs {
            Some(Wrong::Transactions)
        } else if let Some((index, _)) = &self.flaw {
            Some(Wrong::Program(*index))
        } else if self.knowledge.ends_elsewhere() {
            Some(Wrong::State)
        } else {
            self.knowledge.unknown().first().copied().map(Wrong::Unseen)
        }
    }

    /// The leaf that is wrong, or shows what is, though it may be as one's own: the first transaction that may not
    /// be there, or a malformed program's deployment.
    fn guilty(&self) -> Option<u64> {
        match &self.flaw {
            _ if !self.knowledge.is_whole() => Some(self.knowledge.results().len() as u64),
            flaw => flaw.as_ref().map(|(index, _)| u64::from(*index)),
        }
    }

    /// The leaf that has to be seen before a wrong state can be disputed: what the outputs of a job were said
    /// to be it says, and the states after it follow from that. And to show the step of a job that is known takes its
    /// leaf, which opens if one that is not known is on the path.
    fn telling(&mut self) -> Option<u64> {
        if self.knowledge.unknown().is_empty() || !self.knowledge.ends_elsewhere() {
            return None;
        }
        let first = self.knowledge.unknown().first();
        let first = first.filter(|_| self.knowledge.runs_jobs()).copied();
        self.knowledge.unknown_job(None).or(first).map(u64::from)
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
            Stage::Transactions(descent) => {
                let (guilty, telling) = (self.guilty(), self.telling());
                choose_leaf(descent, guilty, telling, |l, i| {
                    self.txs.node(descent.count, l, i)
                })?
            }
            Stage::Revealed(leaf) => self.revealed(leaf, None)?,
            Stage::Ran(run) => self.revealed(&run.leaf, Some(run))?,
            Stage::States(states, descent) => self.states(states, descent)?,
            Stage::StateStep(states, descent) => self.state_step(states, descent)?,
            Stage::Outputs(run, descent) => {
                let own = self.own(&run.leaf)?;
                choose(descent, of(&own.model.outputs(&own.trace)))?
            }
            Stage::Output(run, descent) => self.output(run, descent)?,
            Stage::Operators(run) => {
                let own = self.own(&run.leaf)?;
                choose(&run.descent, of(own.trace.trees().roots()))?
            }
            Stage::Tensor(value) => {
                let own = self.own(&value.run.leaf)?;
                let operator = u32::try_from(value.run.descent.index).ok()?;
                choose(&value.descent, of(own.trace.trees().data(operator)?))?
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
        let transactions = Next::Play(Move::Claim(Claim::Transactions));
        Some(match self.wrong()? {
            Wrong::Data(index) => self.data(index)?,
            Wrong::Program(index) => {
                let count = self.knowledge.header().tx_count.into();
                match self.txs.own_path(count, index.into()) {
                    Some(path) => self.program(path)?,
                    None => transactions,
                }
            }
            Wrong::Transactions | Wrong::Unseen(_) => transactions,
            Wrong::State if self.telling().is_some() => transactions,
            Wrong::State => self.state(),
        })
    }

    /// What is wrong with a leaf that is another than the one derived, or with what it leads to.
    fn revealed(&mut self, leaf: &Leaf, run: Option<&Run>) -> Option<Next> {
        let index = u32::try_from(leaf.descent.index).ok()?;
        let tx = self.knowledge.transactions().get(index as usize)?;
        if tx_leaf(tx, &leaf.result) != leaf.descent.node {
            return self.data(index);
        }
        // What the models gave in this batch may rest on a program that is none.
        let own = self.knowledge.results().get(index as usize).copied();
        if let Some((deployed, _)) = self.flaw
            && (deployed != index || own == Some(leaf.result))
            && let Some(path) = self.txs.path(&leaf.descent, deployed.into())
        {
            return self.program(path);
        }
        let but_output = own.map(|own| TxResult {
            output_root: leaf.result.output_root,
            ..own
        });
        match run {
            _ if own == Some(leaf.result) => None,
            Some(_) if but_output == Some(leaf.result) && self.leads_elsewhere(leaf) => {
                Some(self.state())
            }
            Some(run) if but_output == Some(leaf.result) => {
                let own = self.own(leaf)?;
                if own.output_root() == leaf.result.output_root {
                    // It could not be done before, and is right.
                    return None;
                }
                let claim = match own.trace.root() == run.descent.root {
                    true => Claim::Outputs,
                    false => Claim::Execution,
                };
                Some(Next::Play(Move::Claim(claim)))
            }
            _ => Some(self.state()),
        }
    }

    /// Whether the batch ends in another state than its header's though the outputs that are not known be as
    /// this leaf says.
    fn leads_elsewhere(&mut self, leaf: &Leaf) -> bool {
        let Ok(index) = u32::try_from(leaf.descent.index) else {
            return false;
        };
        if !self.knowledge.is_unknown(index) {
            return false;
        }
        let header = self.knowledge.header();
        let (end, states) = (header.state.root(), header.tx_count as usize + 1);
        let known = self.knowledge.states(Some((index, leaf.result)));
        let last = known.filter(|known| known.len() == states);
        let last = last.and_then(|known| known.last().copied());
        last.is_some_and(|last| last != end) || self.knowledge.ends_elsewhere()
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
        let own = Partial::new(self.knowledge.states(claimed)?.to_vec(), []);
        if own.root(descent.count) != Some(descent.root) {
            return choose(descent, |l, i| own.node(descent.count, l, i));
        }
        // All states agree, and the last one is not the batch's.
        let last = descent.count.checked_sub(1)?;
        let state = own.node(descent.count, 0, last)?;
        let bytes = prove_end(&state, &own.own_path(descent.count, last)?);
        Some(Next::Prove(ProofKind::End, bytes))
    }

    fn state_step(&mut self, states: &States, descent: &Descent) -> Option<Next> {
        let proven = |kind, bytes| Some(Next::Prove(kind, bytes));
        let Some(index) = descent.index.checked_sub(1) else {
            // The first state is known to be another.
            return proven(ProofKind::State, Vec::new());
        };
        let claimed = claimed(states)?;
        let at = usize::try_from(index).ok()?;
        let own = Partial::new(self.knowledge.states(claimed)?.to_vec(), []);
        let before = own.node(descent.count, 0, index)?;
        let path = own.path(descent, index)?;
        if before == INVALID {
            let bytes = prove_state(&Step {
                before: &before,
                path: &path,
                applied: None,
            });
            return proven(ProofKind::State, bytes);
        }
        let number = u32::try_from(index).ok()?;
        let witness = self.knowledge.witness(claimed, number)?;
        let Some((result, tx_path)) = self.opened_leaf(states, number) else {
            // The data says what the transaction is, if not what its leaf says of it.
            let header = self.knowledge.header();
            let data = prove_data(header, self.knowledge.data(), number)?;
            let bytes = prove_record(&Recorded {
                before: &before,
                path: &path,
                data: &data,
                witness: &witness,
            });
            return proven(ProofKind::Record, bytes);
        };
        let bytes = prove_state(&Step {
            before: &before,
            path: &path,
            applied: Some(Applied {
                tx: self.knowledge.transactions().get(at)?,
                result: &result,
                path: &tx_path,
                witness: &witness,
            }),
        });
        proven(ProofKind::State, bytes)
    }

    /// The result in leaf `index` of the asserter's transactions and the leaf's path; `None` if they are not
    /// known.
    fn opened_leaf(&self, states: &States, index: u32) -> Option<(TxResult, Vec<Hash>)> {
        let descent = states.leaf.as_ref().map(|leaf| &leaf.descent);
        if let Some(leaf) = &states.leaf
            && leaf.descent.index == u64::from(index)
        {
            return Some((leaf.result, leaf.descent.path()));
        }
        let result = self.knowledge.results().get(index as usize)?;
        let path = match descent {
            Some(descent) => self.txs.path(descent, index.into())?,
            None => {
                let count = self.knowledge.header().tx_count.into();
                self.txs.own_path(count, index.into())?
            }
        };
        Some((*result, path))
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

/// Goes on below the leftmost of the nodes that the asserter has revealed that is not one's own, or is not known.
fn choose(descent: &Descent, own: impl Fn(u32, u64) -> Option<Hash>) -> Option<Next> {
    choose_leaf(descent, None, None, own)
}

/// Goes on below one of the nodes that the asserter has revealed: the leftmost that is not one's own or has the
/// `guilty` leaf under it; or else the one with the `telling` leaf, or the leftmost with a leaf that is not
/// known. `own` is one's own node of a level and an index.
fn choose_leaf(
    descent: &Descent,
    guilty: Option<u64>,
    telling: Option<u64>,
    own: impl Fn(u32, u64) -> Option<Hash>,
) -> Option<Next> {
    let levels = descent.levels(descent.revealed.len())?;
    let level = u32::from(descent.height).checked_sub(levels)?;
    let nodes = || (descent.index << levels..).zip(&descent.revealed);
    let over = |leaf: Option<u64>, index| leaf.is_some_and(|leaf| leaf >> level == index);
    let wrong = |(index, node): (u64, &Hash)| {
        over(guilty, index) || own(level, index).is_some_and(|own| own != *node)
    };
    let child = nodes().position(wrong);
    let child = child.or_else(|| nodes().position(|(index, _)| over(telling, index)));
    let child = child.or_else(|| nodes().position(|(index, _)| own(level, index).is_none()))?;
    let child = u8::try_from(child).ok()?;
    Some(Next::Play(Move::Choose { child }))
}

/// The nodes of a tree that is known.
fn of(tree: &Levels) -> impl Fn(u32, u64) -> Option<Hash> + '_ {
    |level, index| Some(tree.node(level, index))
}

/// The index and the result of the leaf that led to the states, if one did.
fn claimed(states: &States) -> Option<Option<super::knowledge::Claimed>> {
    Some(match &states.leaf {
        Some(leaf) => Some((u32::try_from(leaf.descent.index).ok()?, leaf.result)),
        None => None,
    })
}
