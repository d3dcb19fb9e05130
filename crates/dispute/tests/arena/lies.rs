//! Batches that are wrong, and what their asserters say of them.

use super::world::*;
use assay_dispute::Hash;
use assay_dispute::game::Reason;
use assay_dispute::player::{Claims, Model, Models, RunClaims};
use assay_ledger::batch::tx_root;
use assay_ledger::codec;
use assay_ledger::data::data_root;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Assumed;
use assay_ledger::state::INVALID;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, StateAccess, apply_with};
use assay_tensor::program::Operand;
use assay_tensor::reference;
use assay_tensor::types::{DType, Tensor, TensorType};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A wrong batch.
#[derive(Clone)]
pub struct Lie {
    pub name: String,
    pub header: Header,
    pub data: Vec<u8>,
    /// Ways to stand by it.
    pub claims: Vec<Claims>,
    /// What convicts the first of them; none where that depends.
    pub reason: Option<Reason>,
}

/// A batch made again with something changed: what its asserter claims, and the states between the
/// transactions.
pub struct Remade {
    pub claims: Claims,
    pub data: Vec<u8>,
}

/// Changes a state.
type ChangeState = dyn Fn(&mut FullState);

/// What is changed where.
#[derive(Default)]
pub struct Change<'a> {
    /// Output roots of runs.
    pub outputs: HashMap<u32, Hash>,
    /// The state before.
    pub before: Option<FullState>,
    /// After a transaction, the state.
    pub state: Option<(u32, &'a ChangeState)>,
}

/// Does the batch with these transactions instead, all signatures taken as good. `None` if one of them
/// cannot be applied all the same.
pub fn remake(batch: &Batch, transactions: &[Transaction], change: &Change) -> Option<Remade> {
    let before = change.before.as_ref().unwrap_or(&batch.before);
    let mut state = before.clone();
    state.start_batch();
    let mut env = Env::from(&batch.header);
    env.inbox_end = batch.chain.len() as u64 - 1;
    let mut results = Vec::new();
    let mut states = vec![state.components().root()];
    for (index, tx) in (0u32..).zip(transactions) {
        let known = batch.records.get(index as usize);
        let output = change.outputs.get(&index).copied();
        let output = output
            .or(known.map(|(_, r)| r.output_root))
            .unwrap_or([0; 32]);
        results.push(apply_with(&mut state, &env, tx, output, &mut Assumed).ok()?);
        if let Some((at, change)) = change.state
            && at == index
        {
            change(&mut state);
        }
        states.push(state.components().root());
    }
    let data = codec::encode(transactions);
    let mut claims = Claims {
        header: Header {
            state: state.components(),
            tx_count: transactions.len() as u32,
            data_root: data_root(&data),
            data_len: data.len() as u32,
            ..batch.header
        },
        transactions: transactions.to_vec(),
        results,
        leaves: Vec::new(),
        states,
        inputs: batch.inputs.clone(),
        runs: BTreeMap::new(),
    };
    claims.seal();
    Some(Remade { claims, data })
}

impl Remade {
    pub fn lie(self, name: impl Into<String>, reason: Option<Reason>) -> Lie {
        Lie {
            name: name.into(),
            header: self.claims.header,
            data: self.data,
            claims: vec![self.claims],
            reason,
        }
    }
}

/// The batch as it is.
pub fn honest(batch: &Batch) -> Remade {
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let remade = remake(batch, &transactions, &Change::default()).unwrap();
    assert_eq!(
        (remade.claims.header, &remade.data),
        (batch.header, &batch.data)
    );
    remade
}

pub fn kind(tx: &Transaction) -> &'static str {
    match tx {
        Transaction::Inbox => "inbox",
        Transaction::DeclineJob => "decline",
        Transaction::Transfer { .. } => "transfer",
        Transaction::Withdraw { .. } => "withdraw",
        Transaction::Deploy { .. } => "deploy",
        Transaction::Update { .. } => "update",
        Transaction::Infer { .. } => "infer",
    }
}

/// The run of transaction `index`.
pub fn run(batch: &Batch, index: u32) -> RunClaims {
    let result = batch.records[index as usize].1;
    let library = &batch.library;
    let model = library
        .model(&result.program_root, &result.parameters_root)
        .unwrap();
    let trace = library.trace(&model, &batch.inputs[&index]).unwrap();
    RunClaims::honest(model, trace)
}

/// A batch that says `claimed` of the run of transaction `index`.
fn with_run(batch: &Batch, index: u32, claimed: RunClaims) -> Remade {
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let change = Change {
        outputs: HashMap::from([(index, claimed.output_root())]),
        ..Change::default()
    };
    let mut remade = remake(batch, &transactions, &change).unwrap();
    remade.claims.runs.insert(index, claimed);
    remade
}

/// Adds one to an element.
pub fn bump(ty: &TensorType, data: &mut [u8], element: usize) {
    match ty.dtype {
        DType::I8 => data[element] = data[element].wrapping_add(1),
        DType::I32 => {
            let bytes: &mut [u8; 4] = (&mut data[4 * element..][..4]).try_into().unwrap();
            *bytes = i32::from_le_bytes(*bytes).wrapping_add(1).to_le_bytes();
        }
    }
}

/// The bytes of all values if that of `operator` is `data`; those after it follow from it.
fn values_after(
    model: &Model,
    input: &[u8],
    own: &RunClaims,
    operator: u32,
    data: &[u8],
) -> Vec<Vec<u8>> {
    let program = model.program().program();
    let inputs = model.program().inputs_from_bytes(input).unwrap();
    let mut values: Vec<Vec<u8>> = Vec::new();
    for (index, node) in (0u32..).zip(&program.nodes) {
        let value = if index < operator {
            own.data(index).unwrap().to_vec()
        } else if index == operator {
            data.to_vec()
        } else {
            let operands = node.operands.iter();
            let types: Vec<_> = operands
                .clone()
                .map(|o| model.program().type_of(*o))
                .collect();
            let bytes: Vec<&[u8]> = operands
                .map(|o| match *o {
                    Operand::Input(i) => inputs[usize::from(i)].data(),
                    Operand::Parameter(i) => model.parameters()[i as usize].data(),
                    Operand::Value(i) => &values[i as usize][..],
                })
                .collect();
            reference::value(&node.op, &types, &bytes).unwrap()
        };
        values.push(value);
    }
    values
}

/// Says that one element of `operator`'s value is larger by one, and that all that follows follows from
/// it. `None` if the outputs are none the worse for it.
pub fn wrong_element(batch: &Batch, index: u32, operator: u32, element: usize) -> Option<Lie> {
    let mut claimed = run(batch, index);
    let before = claimed.output_root();
    let model = claimed.model().clone();
    let types = model.program().value_types().to_vec();
    let mut data = claimed.data(operator)?.to_vec();
    bump(&types[operator as usize], &mut data, element);
    let values = values_after(&model, &batch.inputs[&index], &claimed, operator, &data);
    for (at, value) in (0u32..).zip(values).skip(operator as usize) {
        if claimed.data(at)? != value {
            claimed.set_value(at, &types[at as usize], value);
        }
    }
    if claimed.output_root() == before {
        return None;
    }
    let name = format!("element {element} of operator {operator} of run {index}");
    Some(with_run(batch, index, claimed).lie(name, Some(Reason::Element)))
}

/// Lies about the output of run `index` that are no wrong element: another shape, tails of other
/// lengths, an output that is not the value, the run of another model.
pub fn wrong_runs(batch: &Batch, index: u32, rng: &mut ChaCha8Rng) -> Vec<Lie> {
    let own = run(batch, index);
    let program = own.model().program().program().clone();
    let output = program.outputs[rng.random_range(0..program.outputs.len())].value;
    let ty = own.model().program().value_types()[output as usize];
    let data = own.data(output).unwrap().to_vec();
    let mut lies = Vec::new();
    let mut add = |name: &str, reason: Reason, claimed: RunClaims| {
        let name = format!("{name} of run {index}");
        lies.push(with_run(batch, index, claimed).lie(name, Some(reason)));
    };
    let mut other = own.clone();
    let dims = [&[1], ty.shape.dims()].concat();
    if let Some(ty) = TensorType::new(ty.dtype, &dims).filter(|_| dims.len() <= 6) {
        other.set_value(output, &ty, data.clone());
        add("another shape", Reason::Time, other);
    }
    let mut other = own.clone();
    let dtype = match ty.dtype {
        DType::I8 => DType::I32,
        DType::I32 => DType::I8,
    };
    let retyped = TensorType::new(dtype, ty.shape.dims()).unwrap();
    other.set_value(output, &retyped, vec![0; retyped.bytes() as usize]);
    add("another element type", Reason::Time, other);
    for (name, len) in [
        ("a longer tail", data.len() + 1),
        ("a shorter tail", data.len() - 1),
    ] {
        let mut other = own.clone();
        let mut data = data.clone();
        data.resize(len, 0);
        other.set_value(output, &ty, data);
        add(name, Reason::Time, other);
    }
    let mut other = own.clone();
    let mut changed = data.clone();
    let last = ty.shape.elements() as usize - 1;
    bump(&ty, &mut changed, last);
    other.set_value(output, &ty, changed);
    add("the last element", Reason::Element, other);
    let mut other = own.clone();
    let which = rng.random_range(0..program.outputs.len()) as u32;
    other.set_output(which, [8; 32]);
    add("an output that is no value", Reason::Output, other);
    if program.outputs.len() > 1 {
        let roots: Vec<Hash> = (0..own.outputs().count())
            .map(|i| own.outputs().node(0, i))
            .collect();
        if roots[0] != roots[1] {
            let mut other = own.clone();
            other.set_output(0, roots[1]);
            other.set_output(1, roots[0]);
            add("outputs changed for one another", Reason::Output, other);
        }
    }
    // Everything is wrong.
    let mut other = own.clone();
    for operator in 0..program.nodes.len() as u32 {
        let ty = own.model().program().value_types()[operator as usize];
        let mut data = vec![0; ty.bytes() as usize];
        rng.fill(&mut data[..]);
        other.set_value(operator, &ty, data);
    }
    add("random values", Reason::Element, other);
    // The same program with other parameters.
    if !program.parameters.is_empty() {
        let parameters = program.parameters.iter().map(|ty| {
            let mut data = vec![0; ty.bytes() as usize];
            rng.fill(&mut data[..]);
            Tensor::new(*ty, data).unwrap()
        });
        let model = Model::new(own.model().program().clone(), parameters.collect()).unwrap();
        let trace = batch.library.trace(&model, &batch.inputs[&index]).unwrap();
        let other = RunClaims::honest(Arc::new(model), trace);
        if other.output_root() != own.output_root() {
            add("another model's parameters", Reason::Element, other);
        }
    }
    lies
}

/// Other ways to stand by a wrong final state: the states between the transactions are wrong elsewhere.
fn other_states(claims: &Claims, rng: &mut ChaCha8Rng) -> Vec<Claims> {
    let last = claims.states.len() - 1;
    let end = claims.header.state.root();
    let mut ways = Vec::new();
    let mut way = |states: &dyn Fn(&mut Vec<Hash>)| {
        let mut claims = claims.clone();
        states(&mut claims.states);
        claims.states[last] = end;
        ways.push(claims);
    };
    let at = rng.random_range(0..=last);
    // Wrong from anywhere, at one place, from the start, invalid from anywhere, and one state too many.
    way(&|states| states[at..].fill([6; 32]));
    way(&|states| states[at] = [6; 32]);
    way(&|states| states[0] = [6; 32]);
    way(&|states| states[at..].fill(INVALID));
    way(&|states| states.push([6; 32]));
    let mut claims = claims.clone();
    // Not even the last one is the batch's.
    claims.states[last] = [6; 32];
    ways.push(claims);
    ways
}

/// Says another result of transaction `index` in one field; the state is right.
pub fn wrong_results(batch: &Batch, index: u32, rng: &mut ChaCha8Rng) -> Vec<Lie> {
    let honest = honest(batch);
    let at = index as usize;
    let own = honest.claims.results[at];
    let ran = own.program_root != [0; 32];
    let mut lies = Vec::new();
    let mut add = |field: &str, result: TxResult| {
        if result == own {
            return;
        }
        let mut claims = honest.claims.clone();
        claims.results[at] = result;
        claims.seal();
        // It must show a run of the program that it names, if it can.
        if ran && result.program_root != [0; 32] {
            let mut run = run(batch, index);
            if result.output_root != own.output_root {
                run.set_output(0, [5; 32]);
                claims.results[at].output_root = run.output_root();
                claims.seal();
            }
            claims.runs.insert(index, run);
        }
        let mut ways = other_states(&claims, rng);
        ways.push(claims);
        lies.push(Lie {
            name: format!(
                "{field} of {} {index}",
                kind(&honest.claims.transactions[at])
            ),
            header: ways[0].header,
            data: honest.data.clone(),
            claims: ways,
            reason: None,
        });
    };
    add(
        "status",
        TxResult {
            status: own.status ^ 1,
            ..own
        },
    );
    add("unknown status", TxResult { status: 200, ..own });
    add(
        "fee",
        TxResult {
            fee: own.fee + 1,
            ..own
        },
    );
    let zero = TxResult::default();
    add(
        "no result",
        TxResult {
            status: own.status,
            ..zero
        },
    );
    add(
        "program",
        TxResult {
            program_root: [5; 32],
            ..own
        },
    );
    add(
        "parameters",
        TxResult {
            parameters_root: [5; 32],
            ..own
        },
    );
    add(
        "input",
        TxResult {
            input_root: [5; 32],
            ..own
        },
    );
    add(
        "output",
        TxResult {
            output_root: [5; 32],
            ..own
        },
    );
    lies
}

/// Changes a state as no transaction does.
pub fn wrong_states(batch: &Batch, index: u32, rng: &mut ChaCha8Rng) -> Vec<Lie> {
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let account = rng.random_range(0..1 << 16);
    let of_account = |change: fn(&mut assay_ledger::state::Account)| {
        move |state: &mut FullState| {
            let account = account % state.accounts().len() as u32;
            let mut value = state.account(account).unwrap();
            change(&mut value);
            state.write_account(account, value).unwrap();
        }
    };
    let balance = of_account(|a| a.balance += 1);
    let nonce = of_account(|a| a.nonce += 1);
    let next = of_account(|a| a.next ^= 1);
    let model = |state: &mut FullState| {
        if let Some(mut value) = state.model(0) {
            value.price += 1;
            state.write_model(0, value).unwrap();
        }
    };
    let units = |state: &mut FullState| {
        let units = state.heads().units + 1;
        state.write_units(units).unwrap();
    };
    let withdrawal = |state: &mut FullState| {
        let leaf = assay_ledger::outbox::OutboxLeaf::Withdrawal {
            recipient: [1; 32],
            mint: assay_ledger::SOL,
            amount: 1,
        };
        state.push_outbox(leaf).unwrap();
    };
    let chain = |state: &mut FullState| {
        let mut inbox = state.heads().inbox;
        inbox.chain[0] ^= 1;
        state.write_inbox(inbox).unwrap();
    };
    let changes: [(&str, &ChangeState); 7] = [
        ("balance", &balance),
        ("nonce", &nonce),
        ("list", &next),
        ("model", &model),
        ("units", &units),
        ("withdrawal", &withdrawal),
        ("chain", &chain),
    ];
    let mut lies = Vec::new();
    for (name, change) in changes {
        let change = Change {
            state: Some((index, change)),
            ..Change::default()
        };
        // Some leave the rest of the batch without anything to act on.
        let Some(remade) = remake(batch, &transactions, &change) else {
            continue;
        };
        if remade.claims.header == batch.header {
            continue;
        }
        let name = format!(
            "{name} after {} {index}",
            kind(&transactions[index as usize])
        );
        let mut lie = remade.lie(name, None);
        lie.claims.extend(other_states(&lie.claims[0], rng));
        lies.push(lie);
    }
    lies
}

/// Batches whose data, leaves or transactions are wrong.
pub fn wrong_data(batch: &Batch, rng: &mut ChaCha8Rng) -> Vec<Lie> {
    let honest = honest(batch);
    let count = honest.claims.transactions.len();
    let mut lies = Vec::new();
    let data_of = |claims: &mut Claims, data: &[u8]| {
        claims.header.data_root = data_root(data);
        claims.header.data_len = data.len() as u32;
    };

    // A forged signature.
    let signed: Vec<usize> = (0..count)
        .filter(|i| !matches!(kind(&honest.claims.transactions[*i]), "inbox" | "decline"))
        .collect();
    if !signed.is_empty() {
        let at = signed[rng.random_range(0..signed.len())];
        let mut transactions = honest.claims.transactions.clone();
        forge(&mut transactions[at]);
        if let Some(remade) = remake(batch, &transactions, &Change::default()) {
            let mut lie = remade.lie(format!("forged signature {at}"), Some(Reason::State));
            lie.claims.extend(other_states(&lie.claims[0], rng));
            lies.push(lie);
        }
    }

    // A message that is skipped: the header says that it was consumed.
    if let Some(at) = (0..count).find(|i| honest.claims.transactions[*i].consumes_message()) {
        let mut transactions = honest.claims.transactions.clone();
        transactions.remove(at);
        let later = (0u32..).zip(&batch.records).skip(at + 1);
        let change = Change {
            outputs: later
                .map(|(i, (_, result))| (i - 1, result.output_root))
                .collect(),
            before: Some(without_first_message(&batch.before)),
            ..Change::default()
        };
        // Without the deposit the rest may not do.
        if let Some(mut remade) = remake(batch, &transactions, &change) {
            remade.claims.header.state.inbox = honest.claims.header.state.inbox;
            let last = remade.claims.states.len() - 1;
            remade.claims.states[last] = remade.claims.header.state.root();
            let inputs = remade.claims.inputs.iter();
            let moved =
                |(i, input): (&u32, &Vec<u8>)| (i - u32::from(*i as usize > at), input.clone());
            remade.claims.inputs = inputs.map(moved).collect();
            lies.push(remade.lie("skipped message", Some(Reason::State)));
        }
    }
    // One message more than there was.
    let mut transactions = honest.claims.transactions.clone();
    transactions.push(Transaction::Inbox);
    let mut claims = honest.claims.clone();
    claims.transactions = transactions.clone();
    claims.results.push(TxResult::default());
    claims.states.push(claims.header.state.root());
    claims.header.tx_count += 1;
    let data = codec::encode(&transactions);
    data_of(&mut claims, &data);
    claims.seal();
    lies.push(Remade { claims, data }.lie("invented message", Some(Reason::State)));

    // The data says something else than the leaves.
    let at = rng.random_range(0..count);
    let mut transactions = honest.claims.transactions.clone();
    transactions[at] = match &transactions[at] {
        Transaction::Inbox => Transaction::DeclineJob,
        _ => Transaction::Inbox,
    };
    let data = codec::encode(&transactions);
    let mut claims = honest.claims.clone();
    data_of(&mut claims, &data);
    lies.push(Remade { claims, data }.lie(format!("other data {at}"), None));

    // A leaf of nothing, a tree of nothing, and something behind the end of the list.
    let mut claims = honest.claims.clone();
    claims.leaves[at] = [4; 32];
    claims.header.tx_root = tx_root(&claims.leaves);
    let data = honest.data.clone();
    lies.push(Remade { claims, data }.lie(format!("hidden leaf {at}"), Some(Reason::Data)));
    let mut claims = honest.claims.clone();
    claims.header.tx_root = [4; 32];
    let data = honest.data.clone();
    // A leaf by itself is the root.
    let reason = match count {
        1 => Reason::Data,
        _ => Reason::Time,
    };
    lies.push(Remade { claims, data }.lie("hidden tree", Some(reason)));
    if !count.is_power_of_two() {
        let mut claims = honest.claims.clone();
        claims.leaves.push([4; 32]);
        claims.header.tx_root = tx_root(&claims.leaves);
        let data = honest.data.clone();
        lies.push(Remade { claims, data }.lie("padded tree", Some(Reason::Time)));
    }

    // Data that is none.
    for name in ["cut", "longer", "count", "garbled"] {
        let mut data = honest.data.clone();
        match name {
            "cut" => drop(data.pop()),
            "longer" => data.push(0),
            "count" => data[1] ^= 1,
            _ => rng.fill(&mut data[5..]),
        }
        let mut claims = honest.claims.clone();
        data_of(&mut claims, &data);
        if codec::check(&&data[..], count as u32).is_err() || codec::decode_all(&data).is_err() {
            lies.push(Remade { claims, data }.lie(format!("{name} data"), Some(Reason::Data)));
        }
    }
    // Nobody can post a batch without transactions.
    if count > 1 {
        let mut claims = honest.claims.clone();
        claims.header.tx_count -= 1;
        let data = honest.data.clone();
        lies.push(Remade { claims, data }.lie("hidden record", Some(Reason::Data)));
    }
    lies
}

/// The state with the messages that L1 has sent but for the next one.
fn without_first_message(state: &FullState) -> FullState {
    let heads = state.heads();
    let outbox = (0..heads.outbox).map(|i| state.outbox_leaf(i).unwrap());
    let (accounts, models) = (state.accounts().to_vec(), state.models().to_vec());
    let mut without = FullState::from_parts(&heads, accounts, models, outbox).unwrap();
    for index in heads.inbox.cursor + 1..state.next_push() {
        without.push_message(state.message(index).unwrap().clone());
    }
    without
}

fn forge(tx: &mut Transaction) {
    match tx {
        Transaction::Transfer { signature, .. }
        | Transaction::Withdraw { signature, .. }
        | Transaction::Deploy { signature, .. }
        | Transaction::Update { signature, .. }
        | Transaction::Infer { signature, .. } => signature[40] ^= 1,
        Transaction::Inbox | Transaction::DeclineJob => {}
    }
}

/// A lie of some kind.
pub fn random_lie(batch: &Batch, rng: &mut ChaCha8Rng) -> Lie {
    loop {
        let index = rng.random_range(0..batch.records.len()) as u32;
        let runs: Vec<u32> = batch.inputs.keys().copied().collect();
        let ran = batch.records.iter().map(|(_, r)| r.program_root != [0; 32]);
        let ran: Vec<bool> = ran.collect();
        let runs: Vec<u32> = runs.into_iter().filter(|i| ran[*i as usize]).collect();
        let mut lies = match rng.random_range(0..5) {
            0 if !runs.is_empty() => {
                let run = runs[rng.random_range(0..runs.len())];
                wrong_runs(batch, run, rng)
            }
            1 if !runs.is_empty() => {
                let index = runs[rng.random_range(0..runs.len())];
                let run = run(batch, index);
                let types = run.model().program().value_types();
                let operator = rng.random_range(0..types.len());
                let elements = types[operator].shape.elements() as usize;
                let element = rng.random_range(0..elements);
                wrong_element(batch, index, operator as u32, element)
                    .into_iter()
                    .collect()
            }
            2 => wrong_results(batch, index, rng),
            3 => wrong_states(batch, index, rng),
            _ => wrong_data(batch, rng),
        };
        if !lies.is_empty() {
            return lies.swap_remove(rng.random_range(0..lies.len()));
        }
    }
}
