//! What a side has sent over a dispute, read from L1, and moves in words.

use super::figures::Line;
use anchor_lang::{AnchorDeserialize, Discriminator};
use anyhow::{Context, Result};
use assay_client::history::{self, Call};
use assay_client::rpc::Rpc;
use assay_client::sender::Landed;
use assay_dispute::moves::{Claim, Move};
use assay_dispute::prove::ProofKind;
use settlement::instruction as data;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;

/// Which account of `play_from_buffer` the buffer is.
const BUFFER: usize = 3;

/// The transactions over the dispute at `address`, and over the buffers that moves in it came from, that are
/// not in `known` yet, oldest first; seen after `at` seconds.
pub async fn new(
    rpc: &Rpc,
    address: &Pubkey,
    known: &mut BTreeSet<String>,
    at: f64,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut addresses = vec![*address];
    while let Some(address) = addresses.pop() {
        for entry in history::all(rpc, &address, None).await? {
            if entry.failed || !known.insert(entry.signature.to_string()) {
                continue;
            }
            let found = rpc.transaction(&entry.signature).await?;
            let found = found.context("a transaction that L1 lists and does not have")?;
            let calls = history::calls(&found);
            let said: Vec<String> = calls.iter().filter_map(said).collect();
            let from_buffer = |call: &&Call| is::<data::PlayFromBuffer>(call);
            let buffers = calls.iter().filter(from_buffer).map(|c| c.account(BUFFER));
            addresses.extend(buffers);
            let (lamports, bytes) = history::cost(&found);
            let meta = found.transaction.meta.as_ref();
            let landed = Landed {
                signature: entry.signature,
                slot: entry.slot,
                lamports,
                bytes,
                units: meta.and_then(|meta| meta.compute_units_consumed.clone().into()),
            };
            lines.push(Line::new(at, "sequencer", said.join("; "), &landed));
        }
    }
    lines.sort_by_key(|line| line.slot);
    Ok(lines)
}

fn is<T: Discriminator>(call: &Call) -> bool {
    call.program == settlement::ID && call.data.starts_with(T::DISCRIMINATOR)
}

fn parse<T: Discriminator + AnchorDeserialize>(call: &Call) -> Option<T> {
    let mut rest = call.data.get(T::DISCRIMINATOR.len()..)?;
    is::<T>(call).then(|| T::deserialize(&mut rest).ok())?
}

/// What the sequencer does with a call, in words.
fn said(call: &Call) -> Option<String> {
    let made = if let Some(data::Reveal { nodes, .. }) = parse(call) {
        Move::Reveal { nodes }
    } else if let Some(data::PostStates { root, nodes, .. }) = parse(call) {
        Move::PostStates { root, nodes }
    } else if let Some(data::RevealTensor {
        operator,
        path,
        data_root,
        nodes,
        ..
    }) = parse(call)
    {
        Move::RevealTensor {
            operator,
            path,
            data_root,
            nodes,
        }
    } else if let Some(data::RevealChunk { bytes, .. }) = parse(call) {
        Move::RevealChunk { bytes }
    } else {
        let words = match call {
            _ if is::<data::RevealLeaf>(call) => "shows the transaction's result and its run",
            _ if is::<data::PlayFromBuffer>(call) => "makes a move from a buffer",
            _ if is::<data::TimeOut>(call) => "ends it: the other's clock has run out",
            _ if is::<data::OpenBuffer>(call) => "opens a buffer",
            _ if is::<data::WriteBuffer>(call) => "writes to the buffer",
            _ if is::<data::CloseBuffer>(call) => "closes the buffer",
            _ => return None,
        };
        return Some(words.into());
    };
    Some(describe(&made))
}

/// A move, in words.
pub fn describe(made: &Move) -> String {
    match made {
        Move::Claim(Claim::Transactions) => "says: the transaction tree is wrong".into(),
        Move::Claim(Claim::State { .. }) => "says: the state is wrong".into(),
        Move::Claim(Claim::Outputs) => "says: the outputs are not the run's".into(),
        Move::Claim(Claim::Execution) => "says: the run is wrong".into(),
        Move::Reveal { nodes } => format!("shows {} nodes", nodes.len()),
        Move::Choose { child } => format!("chooses node {child}"),
        Move::RevealLeaf { run, .. } => match run {
            Some(run) => format!(
                "shows the transaction's result, and {} nodes of its run",
                run.nodes.len()
            ),
            None => "shows the transaction's result".into(),
        },
        Move::PostStates { nodes, .. } => {
            format!(
                "commits to the states between the transactions, {} nodes",
                nodes.len()
            )
        }
        Move::RevealTensor { nodes, .. } => {
            format!("opens the operator, and {} nodes of its value", nodes.len())
        }
        Move::RevealChunk { bytes } => format!("shows the chunk, {} bytes", bytes.len()),
    }
}

/// What a proof proves, in words.
pub fn proven(kind: ProofKind) -> String {
    match kind {
        ProofKind::Data { index } => format!("from the data that record {index} is another"),
        ProofKind::Program => "that a deployed program is none".into(),
        ProofKind::End => "that the states end elsewhere".into(),
        ProofKind::State => "that the transaction leads to another state".into(),
        ProofKind::Output => "that the output is another value".into(),
        ProofKind::Element => "that an element is another".into(),
    }
}
