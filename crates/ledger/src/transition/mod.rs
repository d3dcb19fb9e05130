//! The state transition: what a transaction does, as one total function over [`StateAccess`].
//!
//! * [`access`]: how it sees the state, full or through a witness
//! * [`expand`]: between the shipped form and the form that was signed
//! * `signed`, `messages`: what each kind of transaction does
//! * `accounts`: working copies, so that a failure leaves no trace
//!
//! A transaction ends in one of three ways. It is applied, with a [`Status`] that may be a failure;
//! it is [`Invalid`], which no honest batch contains; or the state access could not answer, which
//! says nothing about the transaction. Where it is invalid nothing was written; where the access
//! failed, whatever stands behind it is to be thrown away.

pub mod access;
mod accounts;
mod expand;
mod messages;
mod signed;

pub use access::{Heads, NoAccess, StateAccess};
pub use expand::{Refused, Signed, expand, ship};
pub use messages::{JobRun, job_run};

use crate::header::Params;
use crate::result::{Status, TxResult};
use crate::signature::Verify;
use crate::state::INVALID;
use crate::transaction::Transaction;
use crate::{Hash, Key};

/// What a batch fixes for all its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// Address of the rollup's account.
    pub rollup: Key,
    /// The batch's number.
    pub number: u64,
    /// Who makes the batch, and is paid for running models.
    pub sequencer: Key,
    /// The parameters in force.
    pub params: Params,
    /// Messages from L1 that the batch may consume are those before this one: the header's inbox
    /// cursor. While a batch is being made, `u64::MAX`.
    pub inbox_end: u64,
}

/// Why a transaction may not be in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It names an account that does not exist.
    #[error("there is no account {0}")]
    NoSuchAccount(u32),
    /// It names a model that does not exist.
    #[error("there is no model {0}")]
    NoSuchModel(u32),
    /// A transfer names an account in another mint, or a new key that has an account already.
    #[error("the transfer's destination is not named as the state has it")]
    Destination,
    /// The signature is not the owner's over the form that the state expands this to: a wrong
    /// key, nonce, rollup, price, version or destination shows here.
    #[error("the signature is not the owner's over the expanded transaction")]
    Signature,
    /// The input is longer than [`crate::request::MAX_INPUT`].
    #[error("the input is longer than any record may be")]
    InputTooLong,
    /// It takes the batch over its work units.
    #[error("the batch has no work units left")]
    Units,
    /// L1 has sent no further message.
    #[error("there is no message to consume")]
    NoMessage,
    /// What is declined is not a job.
    #[error("the message to decline is not a job")]
    NotAJob,
    /// A counter is at its end.
    #[error("a counter is at its end")]
    Counter,
}

/// Why a transaction was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The transaction may not be there.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The state access gave no answer: nothing is known about the transaction.
    #[error(transparent)]
    NoAccess(#[from] NoAccess),
}

/// How the steps of a transaction end early.
enum Stop {
    /// It fails with this status.
    Failed(Status),
    /// It is not applied at all.
    Fault(Fault),
}

impl From<NoAccess> for Stop {
    fn from(e: NoAccess) -> Self {
        Self::Fault(e.into())
    }
}

impl From<Invalid> for Stop {
    fn from(e: Invalid) -> Self {
        Self::Fault(e.into())
    }
}

/// Applies `tx` to `state`, verifying its signature with `verify`.
///
/// `output_root` is the claimed root of the outputs: taken as given where a model runs, not
/// looked at elsewhere. Everything else in the result is computed here. Where the transaction is
/// [`Invalid`], nothing was written to `state`.
pub fn apply_with(
    state: &mut impl StateAccess,
    env: &Env,
    tx: &Transaction,
    output_root: Hash,
    verify: &mut impl Verify,
) -> Result<TxResult, Fault> {
    match tx {
        Transaction::Inbox => messages::apply(state, env, output_root, false),
        Transaction::DeclineJob => messages::apply(state, env, output_root, true),
        Transaction::Transfer { signature, .. }
        | Transaction::Withdraw { signature, .. }
        | Transaction::Deploy { signature, .. }
        | Transaction::Update { signature, .. }
        | Transaction::Infer { signature, .. } => {
            signed::apply(state, env, tx, signature, output_root, verify)
        }
    }
}

/// [`apply_with`], verifying the signature on this host.
#[cfg(feature = "std")]
pub fn apply(
    state: &mut impl StateAccess,
    env: &Env,
    tx: &Transaction,
    output_root: Hash,
) -> Result<TxResult, Fault> {
    apply_with(state, env, tx, output_root, &mut crate::signature::Each)
}

/// The state root after `tx` with the result that its leaf claims: [`INVALID`] if the transaction
/// may not be there or its result is another.
pub fn apply_root(
    state: &mut impl StateAccess,
    env: &Env,
    tx: &Transaction,
    claimed: &TxResult,
    verify: &mut impl Verify,
) -> Result<Hash, NoAccess> {
    match apply_with(state, env, tx, claimed.output_root, verify) {
        Ok(result) if result == *claimed => Ok(state.read_components()?.root()),
        Ok(_) | Err(Fault::Invalid(_)) => Ok(INVALID),
        Err(Fault::NoAccess(e)) => Err(e),
    }
}

/// The sequencer's share of `price`: [`Params::sequencer_share`] basis points, rounded down, at
/// most all of it.
fn sequencer_share(params: &Params, price: u64) -> u64 {
    let share = u128::from(price) * u128::from(params.sequencer_share.min(10_000)) / 10_000;
    // At most `price`.
    share as u64
}
