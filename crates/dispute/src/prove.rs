//! The proofs that end a dispute at once, for the challenger.
//!
//! Each kind belongs to certain stages, and all that it needs of the game is taken from there. A
//! proof that does not convince is an error and changes nothing: the challenger may bring another
//! one as long as its clock runs.

use crate::game::Dispute;
use crate::moves::Refused;
use crate::stage::{Reason, Stage, Value, Verdict};
use crate::step::ProofError;
use crate::step::data::check_data;
use crate::step::deploy::check_deploy;
use crate::step::element::{ElementClaims, check_element};
use crate::step::end::check_end;
use crate::step::output::check_output;
use crate::step::record::check_record;
use crate::step::state::check_step;
use crate::{Hash, Side};
use assay_ledger::signature::Verify;
use assay_tensor::commit::OperatorLeaf;
use borsh::{BorshDeserialize, BorshSerialize};

/// What a proof shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ProofKind {
    /// A record of the batch's data is malformed, or the revealed leaf is not made of it
    /// ([`crate::step::data`]).
    Data {
        /// The record.
        index: u32,
    },
    /// A deployed program is malformed ([`crate::step::program`]).
    Program,
    /// The last of the posted states is not the batch's ([`crate::step::end`]).
    End,
    /// The transaction before the state leads to another ([`crate::step::state`]).
    State,
    /// The output is another than the value that the program names ([`crate::step::output`]).
    Output,
    /// An element of the chunk is another ([`crate::step::element`]).
    Element,
    /// The data's transaction before the state leads to another ([`crate::step::record`]).
    Record,
}

/// A proof.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// What it shows.
    pub kind: ProofKind,
    /// How.
    pub bytes: &'a [u8],
}

/// Why a proof does not end the dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It may not be brought now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It is none.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It shows that what it is about is as the asserter says.
    #[error("the proof shows nothing wrong")]
    Right,
}

impl Dispute {
    /// Ends the dispute for the challenger, if `proof` shows that the asserter is wrong.
    ///
    /// `verify` decides about signatures. `message_chain` gives L1's value of the inbox's chain after the
    /// message of this number (from 0); `None` where it is not at hand.
    ///
    /// # Errors
    /// [`NotProven`]; then nothing has changed.
    pub fn prove(
        &mut self,
        proof: &Proof<'_>,
        verify: &mut impl Verify,
        message_chain: &dyn Fn(u64) -> Option<Hash>,
        live: bool,
        now: u64,
    ) -> Result<Verdict, NotProven> {
        self.may(Side::Challenger, live, now)?;
        let (wrong, reason) = self.check(proof, verify, message_chain)?;
        match wrong {
            true => Ok(self.decide(Side::Challenger, reason)),
            false => Err(NotProven::Right),
        }
    }

    /// Whether the proof shows something wrong, and what.
    #[inline(never)]
    fn check(
        &self,
        proof: &Proof<'_>,
        verify: &mut impl Verify,
        message_chain: &dyn Fn(u64) -> Option<Hash>,
    ) -> Result<(bool, Reason), NotProven> {
        let header = &self.header;
        let bytes = proof.bytes;
        Ok(match (proof.kind, &self.stage) {
            (ProofKind::Data { index }, Stage::Opened | Stage::Revealed(_) | Stage::Ran(_)) => {
                let leaf = self.stage.leaf();
                let leaf = leaf.filter(|leaf| leaf.descent.index == u64::from(index));
                let leaf = leaf.map(|leaf| (&leaf.result, &leaf.descent.node));
                (check_data(header, index, leaf, bytes)?, Reason::Data)
            }
            (ProofKind::Program, Stage::Opened | Stage::Revealed(_) | Stage::Ran(_)) => {
                (check_deploy(header, bytes)?, Reason::Program)
            }
            (ProofKind::End, Stage::States(_, descent)) => {
                let end = header.state.root();
                (check_end(descent, &end, bytes)?, Reason::State)
            }
            (ProofKind::State, Stage::StateStep(states, descent)) => {
                let wrong = check_step(header, states, descent, bytes, message_chain, verify)?;
                (wrong, Reason::State)
            }
            (ProofKind::Record, Stage::StateStep(_, descent)) => {
                let wrong = check_record(header, descent, bytes, message_chain, verify)?;
                (wrong, Reason::State)
            }
            (ProofKind::Output, Stage::Output(run, descent)) => {
                let wrong = check_output(run, descent.index, &descent.node, bytes)?;
                (wrong, Reason::Output)
            }
            (ProofKind::Element, Stage::Element(value, chunk)) => {
                (element(value, chunk, bytes)?, Reason::Element)
            }
            _ => return Err(Refused::Stage.into()),
        })
    }
}

#[inline(never)]
fn element(value: &Value, chunk: &[u8], proof: &[u8]) -> Result<bool, ProofError> {
    let run = &value.run;
    let result = &run.leaf.result;
    let leaf = OperatorLeaf::decode(&value.operator).map_err(|_| ProofError::Malformed)?;
    let claims = ElementClaims {
        program: &run.program,
        parameters_root: &result.parameters_root,
        input_root: &result.input_root,
        trace_root: &run.descent.root,
        // Programs have fewer operators.
        operator: u32::try_from(run.descent.index).map_err(|_| ProofError::Malformed)?,
        leaf: &leaf,
        chunk: value.descent.index,
        bytes: chunk,
    };
    check_element(&claims, proof)
}
