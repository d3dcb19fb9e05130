//! Batches whose data or leaves are wrong.

use super::*;
use assay_dispute::game::Reason;
use assay_dispute::player::Claims;
use assay_ledger::batch::tx_root;
use assay_ledger::codec;
use assay_ledger::data::data_root;
use assay_ledger::result::TxResult;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

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
