//! What the signed transactions do.

use super::accounts::Accounts;
use super::{Env, Fault, Invalid, Signed, StateAccess, Stop, expand, sequencer_share};
use crate::Hash;
use crate::outbox::{self, OutboxLeaf};
use crate::request::Clause;
use crate::result::{Status, TxResult};
use crate::signature::{Signature, Verify};
use crate::state::{MODEL_DEPTH, Model};
use crate::transaction::{Destination, Transaction};
use assay_tensor::commit::is_no_parameters;

/// Applies a transaction that somebody signed. Whatever its status, the signer's nonce goes up.
pub(super) fn apply(
    state: &mut impl StateAccess,
    env: &Env,
    tx: &Transaction,
    signature: &Signature,
    output_root: Hash,
    verify: &mut impl Verify,
) -> Result<TxResult, Fault> {
    // Only the inbox's transactions are not signed.
    let signed = expand(state, env, tx)?.ok_or(Invalid::Signature)?;
    let message = signed.terms.signing_bytes();
    if !verify.verify(&signed.terms.owner, &message, signature) {
        return Err(Invalid::Signature.into());
    }
    let nonce = signed.terms.nonce.checked_add(1).ok_or(Invalid::Counter)?;
    match perform(state, env, tx, &signed, nonce, output_root) {
        Ok(result) => Ok(result),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Failed(status)) => {
            let mut accounts = Accounts::new(state);
            accounts.get(signed.from)?.nonce = nonce;
            accounts.write()?;
            Ok(TxResult::plain(status))
        }
    }
}

/// Does what the transaction asks for. Everything is decided before anything is written.
fn perform(
    state: &mut impl StateAccess,
    env: &Env,
    tx: &Transaction,
    signed: &Signed,
    nonce: u64,
    output_root: Hash,
) -> Result<TxResult, Stop> {
    let heads = state.heads();
    let from = signed.from;
    let mut accounts = Accounts::new(state);
    accounts.get(from)?.nonce = nonce;
    match (tx, &signed.terms.clause, &signed.model) {
        (_, Clause::Transfer { amount: 0, .. } | Clause::Withdraw { amount: 0, .. }, _) => {
            Err(Stop::Failed(Status::ZeroAmount))
        }
        (Transaction::Transfer { to, .. }, Clause::Transfer { to: key, amount }, _) => {
            accounts.debit(from, *amount)?;
            let to = match to {
                Destination::Account(index) => *index,
                Destination::New(_) => accounts.find_or_create(key, &signed.terms.mint)?,
            };
            accounts.credit(to, *amount)?;
            accounts.write()?;
            Ok(TxResult::plain(Status::Done))
        }
        (_, Clause::Withdraw { recipient, amount }, _) => {
            accounts.debit(from, *amount)?;
            if heads.outbox >> outbox::DEPTH != 0 {
                return Err(Stop::Failed(Status::OutboxFull));
            }
            accounts.write()?;
            state.push_outbox(OutboxLeaf::Withdrawal {
                recipient: *recipient,
                mint: signed.terms.mint,
                amount: *amount,
            })?;
            Ok(TxResult::plain(Status::Done))
        }
        (
            Transaction::Deploy { program, .. },
            Clause::Deploy {
                program_root,
                parameters_root,
                price,
            },
            _,
        ) => {
            let index = u32::try_from(heads.models)
                .ok()
                .filter(|i| *i < 1 << MODEL_DEPTH)
                .ok_or(Stop::Failed(Status::ModelsFull))?;
            let (Ok(input_bytes), Ok(output_bytes)) = (
                u32::try_from(program.input_bytes),
                u32::try_from(program.output_bytes),
            ) else {
                return Err(Stop::Failed(Status::BadProgram));
            };
            // A model of more units than a batch may use could never run. Of parameters that the program
            // does not take no piece could be demanded.
            if program.is_flawed()
                || program.units > env.params.max_units
                || (program.parameters == 0) != is_no_parameters(parameters_root)
            {
                return Err(Stop::Failed(Status::BadProgram));
            }
            accounts.write()?;
            state.write_model(
                index,
                Model {
                    publisher: from,
                    program_root: *program_root,
                    parameters_root: *parameters_root,
                    price: *price,
                    units: program.units,
                    input_bytes,
                    output_bytes,
                    version: 1,
                    callable_from: env.number.saturating_add(env.params.model_delay),
                },
            )?;
            Ok(TxResult::plain(Status::Done))
        }
        (
            _,
            Clause::Update {
                model: index,
                parameters_root,
                price,
                ..
            },
            Some(model),
        ) => {
            let version = model.version.checked_add(1).ok_or(Invalid::Counter)?;
            // The program takes parameters exactly if the model has some.
            if is_no_parameters(&model.parameters_root) != is_no_parameters(parameters_root) {
                return Err(Stop::Failed(Status::BadProgram));
            }
            accounts.write()?;
            state.write_model(
                *index,
                Model {
                    parameters_root: *parameters_root,
                    price: *price,
                    version,
                    callable_from: env.number.saturating_add(env.params.model_delay),
                    ..*model
                },
            )?;
            Ok(TxResult::plain(Status::Done))
        }
        (Transaction::Infer { input, .. }, Clause::Infer { input_root, .. }, Some(model)) => {
            if env.number < model.callable_from {
                return Err(Stop::Failed(Status::NotCallable));
            }
            if input.len() as u64 != u64::from(model.input_bytes) {
                return Err(Stop::Failed(Status::InputSize));
            }
            let mint = signed.terms.mint;
            if accounts.get(model.publisher)?.mint != mint {
                return Err(Stop::Failed(Status::WrongMint));
            }
            let share = sequencer_share(&env.params, model.price);
            accounts.debit(from, model.price)?;
            if share != 0 {
                let sequencer = accounts.find_or_create(&env.sequencer, &mint)?;
                accounts.credit(sequencer, share)?;
            }
            accounts.credit(model.publisher, model.price - share)?;
            let units = heads
                .units
                .checked_add(model.units)
                .filter(|units| *units <= env.params.max_units)
                .ok_or(Invalid::Units)?;
            accounts.write()?;
            state.write_units(units)?;
            Ok(TxResult {
                status: Status::Done as u8,
                fee: model.price,
                program_root: model.program_root,
                parameters_root: model.parameters_root,
                input_root: *input_root,
                output_root,
            })
        }
        // `expand` gives a transaction its own clause, and those that name a model the model.
        _ => Err(Invalid::Signature.into()),
    }
}
