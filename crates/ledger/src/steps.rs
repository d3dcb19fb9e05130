//! The states between a batch's transactions, on demand: who must answer a dispute, or opens one,
//! does the batch again with every root. The honest path keeps none of this.

use crate::Hash;
use crate::result::TxResult;
use crate::signature::{Assumed, Collect, Each, Verify};
use crate::state::INVALID;
use crate::store::FullState;
use crate::transaction::Transaction;
use crate::transition::{Env, Fault, NoAccess, apply_root, apply_with};
use crate::witness::Witness;

/// Why the states are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The batch may consume a message that was not [added](FullState::push_message).
    #[error("message {0} of the inbox is not known")]
    Message(u64),
    /// There is no such transaction.
    #[error("the batch has no transaction {0}")]
    Index(u32),
    /// The state is none.
    #[error(transparent)]
    NoAccess(#[from] NoAccess),
}

/// The state roots `S_0..=S_n` of a batch of the `n` transactions in `records` with the results
/// that their leaves claim, output roots taken as given: `S_0` is the state in which the batch
/// starts, `S_{i+1}` the one after transaction `i`. From a transaction that may not be there, or
/// whose result is another, they are [`INVALID`].
///
/// `state` is the one after the batch's parent, and stays as it is. `env` is the batch's, from its
/// header; the messages that the batch may consume have been added.
pub fn state_roots(
    state: &mut FullState,
    env: &Env,
    records: &[(Transaction, TxResult)],
) -> Result<Vec<Hash>, Unknown> {
    check_messages(state, env, records)?;
    // One equation for all signatures; which of them is bad is found one by one.
    let mut signatures = Collect::default();
    let roots = walk(state, env, records, &mut signatures)?;
    if signatures.all_good() {
        return Ok(roots);
    }
    Ok(walk(state, env, records, &mut Each)?)
}

/// What transaction `index` of the batch touches of the state before it; `None` if that state is
/// [`INVALID`]. Takes the signatures before it as good: [`state_roots`] says whether they are.
pub fn witness_at(
    state: &mut FullState,
    env: &Env,
    records: &[(Transaction, TxResult)],
    index: u32,
) -> Result<Option<Witness>, Unknown> {
    check_messages(state, env, records)?;
    let at = index as usize;
    let (tx, _) = records.get(at).ok_or(Unknown::Index(index))?;
    let checkpoint = state.checkpoint();
    state.start_batch();
    let witness = match advance(state, env, &records[..at]) {
        Ok(true) => Ok(Some(Witness::record(state, env, tx))),
        Ok(false) => Ok(None),
        Err(e) => Err(e.into()),
    };
    state.rollback(checkpoint);
    witness
}

/// The messages that the batch consumes below its end must be known: a message that is missing
/// here would look like one that L1 never sent.
fn check_messages(
    state: &FullState,
    env: &Env,
    records: &[(Transaction, TxResult)],
) -> Result<(), Unknown> {
    let consumed = records.iter().filter(|(tx, _)| tx.consumes_message());
    let consumed = consumed.count() as u64;
    let cursor = state.heads().inbox.cursor;
    let end = cursor.saturating_add(consumed).min(env.inbox_end);
    if end > state.next_push() {
        return Err(Unknown::Message(state.next_push()));
    }
    Ok(())
}

fn walk(
    state: &mut FullState,
    env: &Env,
    records: &[(Transaction, TxResult)],
    verify: &mut impl Verify,
) -> Result<Vec<Hash>, NoAccess> {
    let checkpoint = state.checkpoint();
    state.start_batch();
    let mut roots = Vec::with_capacity(records.len() + 1);
    roots.push(state.components().root());
    let mut failed = Ok(());
    for (tx, claimed) in records {
        match apply_root(state, env, tx, claimed, verify) {
            Ok(INVALID) => break,
            Ok(root) => roots.push(root),
            Err(e) => {
                failed = Err(e);
                break;
            }
        }
    }
    state.rollback(checkpoint);
    failed?;
    roots.resize(records.len() + 1, INVALID);
    Ok(roots)
}

/// Applies the transactions; whether all may be there with the results that they claim.
fn advance(
    state: &mut FullState,
    env: &Env,
    records: &[(Transaction, TxResult)],
) -> Result<bool, NoAccess> {
    for (tx, claimed) in records {
        match apply_with(state, env, tx, claimed.output_root, &mut Assumed) {
            Ok(result) if result == *claimed => {}
            Ok(_) | Err(Fault::Invalid(_)) => return Ok(false),
            Err(Fault::NoAccess(e)) => return Err(e),
        }
    }
    Ok(true)
}
