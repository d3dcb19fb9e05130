//! What each kind of cheat makes of an honest batch, and what its sequencer claims afterwards: everything
//! that is not the lie follows from it honestly, so that the dispute is as hard as it can be.

use super::Cheat;
use super::honest::{CheatError, Entry, Honest};
use assay_dispute::player::{Claims, Model, Models, RunClaims};
use assay_dispute::step::program::Leaves;
use assay_ledger::batch::tx_root;
use assay_ledger::request::{Action, Request};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Assumed;
use assay_ledger::store::FullState;
use assay_ledger::transaction::{Destination, Transaction};
use assay_ledger::transition::{Env, StateAccess, apply_with};
use assay_ledger::{Hash, ProgramHeader, SOL, codec};
use assay_tensor::hash::hashv;
use assay_tensor::leaves::{List, OperatorLeaf};
use assay_tensor::program::Operand;
use assay_tensor::types::{DType, Tensor, TensorType};
use assay_tensor::{merkle, reference};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::sync::Arc;

/// Lamports that are taken without a signature.
const THEFT: u64 = 1_000;

/// A wrong batch.
#[derive(Clone, Debug)]
pub struct Lie {
    /// What its sequencer claims, its header included.
    pub claims: Claims,
    /// Its data.
    pub data: Vec<u8>,
    /// The program that it deploys and that is none: its header and leaves, which its publisher shows.
    pub malformed: Option<(ProgramHeader, Leaves)>,
}

impl Lie {
    /// What this cheat makes of an honest batch; `key` is the sequencer's.
    ///
    /// # Errors
    /// [`CheatError`], for the most part because the batch has nothing to lie about in this way.
    pub fn new(cheat: Cheat, honest: &Honest, key: &Keypair) -> Result<Self, CheatError> {
        match cheat {
            Cheat::WrongOutput => wrong_output(honest),
            Cheat::WrongBalance => wrong_balance(honest),
            Cheat::ForgedSignature => forged_signature(honest, key),
            Cheat::SkippedMessage => skipped_message(honest),
            Cheat::WrongData => wrong_data(honest),
            Cheat::HiddenLeaf => hidden_leaf(honest),
            Cheat::WrongParameters => wrong_parameters(honest),
            Cheat::MalformedProgram => malformed_program(honest, key),
            Cheat::WithheldData => withheld_data(honest, key),
        }
    }
}

/// The first element of the earliest output is larger by one; the operators after it follow from that.
fn wrong_output(honest: &Honest) -> Result<Lie, CheatError> {
    let (index, input, mut claimed) = honest.first_run()?;
    let model = claimed.model().clone();
    let outputs = model.program().program().outputs.iter();
    let operator = outputs.map(|output| output.value).min();
    let operator = operator.ok_or(CheatError::Model)?;
    let types = model.program().value_types();
    let ty = types.get(operator as usize).ok_or(CheatError::Model)?;
    let mut data = claimed.data(operator).ok_or(CheatError::Model)?.to_vec();
    add_one(ty, &mut data).ok_or(CheatError::Model)?;
    let values = follow(&model, &input, &claimed, operator, data).ok_or(CheatError::Model)?;
    for ((at, value), ty) in (0u32..).zip(values).zip(types) {
        if claimed.data(at) != Some(&value[..]) {
            claimed.set_value(at, ty, value);
        }
    }
    with_run(honest, index, claimed)
}

/// A model's first run was made with other parameters.
fn wrong_parameters(honest: &Honest) -> Result<Lie, CheatError> {
    let (index, input, own) = honest.first_run()?;
    let model = with_other_parameters(own.model())?;
    let trace = honest.library().trace(&model, &input);
    let claimed = RunClaims::honest(Arc::new(model), trace.ok_or(CheatError::Model)?);
    if claimed.output_root() == own.output_root() {
        return Err(CheatError::Without("run that depends on its parameters"));
    }
    with_run(honest, index, claimed)
}

/// The same program with other parameters of the same types: their bytes are in the opposite order.
fn with_other_parameters(model: &Model) -> Result<Model, CheatError> {
    let parameters = model.parameters().iter().map(|tensor| {
        let reversed = tensor.data().iter().rev().copied().collect();
        Tensor::new(*tensor.ty(), reversed)
    });
    let parameters: Option<Vec<_>> = parameters.collect();
    let parameters = parameters.ok_or(CheatError::Model)?;
    Model::new(model.program().clone(), parameters).ok_or(CheatError::Model)
}

fn with_run(honest: &Honest, index: u32, claimed: RunClaims) -> Result<Lie, CheatError> {
    let mut entries = honest.entries().to_vec();
    if let Some(entry) = entries.get_mut(index as usize) {
        entry.output_root = claimed.output_root();
    }
    let (mut lie, _) = honest.remake(&entries, None)?;
    lie.claims.runs.insert(index, claimed);
    Ok(lie)
}

/// Who pays for the first signed transaction has a lamport more after it.
fn wrong_balance(honest: &Honest) -> Result<Lie, CheatError> {
    let (at, from) = first_signed(honest)?;
    let change = |state: &mut FullState| {
        let mut account = state.read_account(from)?;
        account.balance = account.balance.saturating_add(1);
        Ok(state.write_account(from, account)?)
    };
    Ok(honest.remake(honest.entries(), Some((at, &change)))?.0)
}

/// At the end of the batch the sequencer takes a user's lamports.
fn forged_signature(honest: &Honest, key: &Keypair) -> Result<Lie, CheatError> {
    let (_, from) = first_signed(honest)?;
    let (_, after) = honest.remake(honest.entries(), None)?;
    let mine = key.pubkey().to_bytes();
    let mint = after
        .account(from)
        .ok_or(CheatError::Without("payer"))?
        .mint;
    let mut entries = honest.entries().to_vec();
    entries.push(signed(Transaction::Transfer {
        from,
        to: match after.find(&mine, &mint) {
            Some((index, _)) => Destination::Account(index),
            None => Destination::New(mine),
        },
        amount: THEFT,
        signature: [7; 64],
    }));
    Ok(honest.remake(&entries, None)?.0)
}

/// The last message is ticked off where it was consumed, and what it says is not done.
fn skipped_message(honest: &Honest) -> Result<Lie, CheatError> {
    let consumes = |entry: &Entry| entry.tx == Transaction::Inbox && entry.input.is_none();
    // Another transaction must come before it, in whose place the inbox moves on.
    let at = honest.entries().iter().rposition(consumes);
    let at = at
        .filter(|at| *at > 0)
        .ok_or(CheatError::Without("message behind another transaction"))?;
    let mut entries = honest.entries().to_vec();
    entries.remove(at);
    let env = Env::from(honest.header());
    let change = |state: &mut FullState| {
        let mut done = state.clone();
        apply_with(&mut done, &env, &Transaction::Inbox, [0; 32], &mut Assumed)?;
        Ok(state.write_inbox(done.heads().inbox)?)
    };
    Ok(honest.remake(&entries, Some((at - 1, &change)))?.0)
}

/// The data says another amount, or input, than the transactions' leaves.
fn wrong_data(honest: &Honest) -> Result<Lie, CheatError> {
    let mut lie = honest.as_it_is()?;
    let mut transactions = lie.claims.transactions.clone();
    let changed = transactions.iter_mut().any(|tx| match tx {
        Transaction::Transfer { amount, .. } | Transaction::Withdraw { amount, .. } => {
            *amount ^= 1;
            true
        }
        Transaction::Infer { input, .. } => input.first_mut().is_some_and(|byte| {
            *byte ^= 1;
            true
        }),
        _ => false,
    });
    if !changed {
        return Err(CheatError::Without("transfer, withdrawal or inference"));
    }
    lie.set_data(codec::encode(&transactions));
    Ok(lie)
}

/// A leaf of which nobody knows what it is the hash of.
fn hidden_leaf(honest: &Honest) -> Result<Lie, CheatError> {
    let mut lie = honest.as_it_is()?;
    let claims = &mut lie.claims;
    let middle = claims.leaves.len() / 2;
    let leaf = claims.leaves.get_mut(middle);
    *leaf.ok_or(CheatError::Without("transaction"))? = hashv(&[b"hidden"]);
    claims.header.tx_root = tx_root(&claims.leaves);
    Ok(lie)
}

/// The sequencer deploys the program of the first run once more, and says that it takes one work unit an
/// operator, the least that a header may say: its last operator's leaf restates a wrong sum.
fn malformed_program(honest: &Honest, key: &Keypair) -> Result<Lie, CheatError> {
    let (_, _, own) = honest.first_run()?;
    let program = own.model().program();
    let mut leaves = Leaves::of(program);
    let last = leaves.operators.last_mut().ok_or(CheatError::Model)?;
    let mut leaf = OperatorLeaf::decode(last).map_err(|_| CheatError::Model)?;
    leaf.running_units = program.header().operators.into();
    *last = leaf.encode();
    let operators = leaves.operators.iter();
    let operators: Vec<Hash> = operators.map(|leaf| List::Operators.hash(leaf)).collect();
    let mut header = program.header();
    header.units = header.operators.into();
    header.operators_root = merkle::root(&operators);

    let mut lie = with_deployment(honest, key, header, own.model().trees().list_root())?;
    lie.malformed = Some((header, leaves));
    Ok(lie)
}

/// The sequencer deploys a model whose parameters it shows nobody. Nothing in the batch is wrong, but nobody
/// could check a run of that model.
fn withheld_data(honest: &Honest, key: &Keypair) -> Result<Lie, CheatError> {
    let (_, _, own) = honest.first_run()?;
    let model = with_other_parameters(own.model())?;
    let (program, parameters) = (model.program().header(), model.trees().list_root());
    if parameters == own.model().trees().list_root() {
        return Err(CheatError::Without("model with parameters of its own"));
    }
    with_deployment(honest, key, program, parameters)
}

/// At the end of the batch the sequencer deploys a model.
fn with_deployment(
    honest: &Honest,
    key: &Keypair,
    program: ProgramHeader,
    parameters_root: Hash,
) -> Result<Lie, CheatError> {
    let (_, after) = honest.remake(honest.entries(), None)?;
    let owner = key.pubkey().to_bytes();
    let account = after.find(&owner, &SOL);
    let (from, account) = account.ok_or(CheatError::Without("account of the sequencer"))?;
    let price = 1;
    let request = Request {
        rollup: honest.header().rollup,
        owner,
        mint: SOL,
        nonce: account.nonce,
        action: Action::Deploy {
            program,
            parameters_root,
            price,
        },
    };
    let signature = key.sign_message(&request.signing_bytes());
    let mut entries = honest.entries().to_vec();
    entries.push(signed(Transaction::Deploy {
        from,
        program,
        parameters_root,
        price,
        signature: signature.into(),
    }));
    let (lie, _) = honest.remake(&entries, None)?;
    if !lie.claims.results.last().is_some_and(TxResult::done) {
        return Err(CheatError::Without("room for another model"));
    }
    Ok(lie)
}

fn signed(tx: Transaction) -> Entry {
    Entry {
        tx,
        output_root: [0; 32],
        input: None,
    }
}

/// The first transaction that somebody signed, and that one's account.
fn first_signed(honest: &Honest) -> Result<(usize, u32), CheatError> {
    let mut entries = honest.entries().iter().enumerate();
    let first = entries.find_map(|(at, entry)| match entry.tx {
        Transaction::Transfer { from, .. }
        | Transaction::Withdraw { from, .. }
        | Transaction::Deploy { from, .. }
        | Transaction::Infer { from, .. } => Some((at, from)),
        _ => None,
    });
    first.ok_or(CheatError::Without("signed transaction"))
}

/// Adds one to the first element, wrapping.
fn add_one(ty: &TensorType, data: &mut [u8]) -> Option<()> {
    match ty.dtype {
        DType::I8 => {
            let first = data.first_mut()?;
            *first = first.wrapping_add(1);
        }
        DType::I32 => {
            let first = data.first_chunk_mut()?;
            *first = i32::from_le_bytes(*first).wrapping_add(1).to_le_bytes();
        }
    }
    Some(())
}

/// The bytes of all values if that of `operator` is `data`; those after it follow from it.
fn follow(
    model: &Model,
    input: &[u8],
    own: &RunClaims,
    operator: u32,
    data: Vec<u8>,
) -> Option<Vec<Vec<u8>>> {
    let program = model.program();
    let inputs = program.inputs_from_bytes(input)?;
    let mut values: Vec<Vec<u8>> = Vec::new();
    for (index, node) in (0u32..).zip(&program.program().nodes) {
        if index < operator {
            values.push(own.data(index)?.to_vec());
            continue;
        }
        if index == operator {
            values.push(data.clone());
            continue;
        }
        let types: Vec<_> = node.operands.iter().map(|o| program.type_of(*o)).collect();
        let operands = node.operands.iter().map(|operand| {
            Some(match *operand {
                Operand::Input(i) => inputs.get(usize::from(i))?.data(),
                Operand::Parameter(i) => model.parameters().get(i as usize)?.data(),
                Operand::Value(i) => &values.get(i as usize)?[..],
            })
        });
        let operands: Option<Vec<_>> = operands.collect();
        values.push(reference::value(&node.op, &types, &operands?).ok()?);
    }
    Some(values)
}
