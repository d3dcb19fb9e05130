//! Lies about what a transaction did, and about the state after it.

use super::*;
use assay_dispute::Hash;
use assay_dispute::player::Claims;
use assay_ledger::result::TxResult;
use assay_ledger::state::INVALID;
use assay_ledger::store::FullState;
use assay_ledger::transition::StateAccess;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Other ways to stand by a wrong final state: the states between the transactions are wrong elsewhere.
pub fn other_states(claims: &Claims, rng: &mut ChaCha8Rng) -> Vec<Claims> {
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
