//! What both sides have sent in a dispute or over a demand, read from L1, in words.

use super::figures::Line;
use anchor_lang::{AnchorDeserialize, Discriminator};
use anyhow::{Context, Result};
use assay_client::history::{self, Call};
use assay_client::rpc::Rpc;
use assay_dispute::demand::{Blob, Pieces};
use assay_dispute::moves::{Claim, Move};
use assay_dispute::prove::ProofKind;
use settlement::instruction as data;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::time::Duration;

/// Which account of `play_from_buffer` and of `answer_from_buffer` the buffer is.
const BUFFER: usize = 3;
/// Transactions of an account that are read, the newest.
const MOST: usize = 50_000;

/// Reads the transactions that name some accounts.
pub struct Moves {
    rpc: Rpc,
    sequencer: Pubkey,
    /// A slot of the chain.
    slot: Duration,
    accounts: BTreeSet<Pubkey>,
    known: BTreeSet<String>,
    /// The first transaction's slot.
    first: Option<u64>,
    lines: Vec<Line>,
    reason: Option<&'static str>,
}

/// What a call does.
enum Said {
    /// A move, or a part of one.
    Moves(String),
    /// What decides, and why.
    Decides(&'static str, String),
    /// What is done when it is decided.
    Settles,
}

impl Moves {
    /// Those over batches of `sequencer`; the others are the verifier's.
    pub fn new(rpc: Rpc, sequencer: Pubkey, slot: Duration) -> Self {
        Self {
            rpc,
            sequencer,
            slot,
            accounts: BTreeSet::new(),
            known: BTreeSet::new(),
            first: None,
            lines: Vec::new(),
            reason: None,
        }
    }

    /// What decided, if something has.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The transactions that were read, up to the one that decided.
    pub fn lines(mut self) -> Vec<Line> {
        self.lines.sort_by_key(|line| line.slot);
        self.lines
    }

    /// Reads what is new about these accounts, and about the buffers of which moves were made: oldest first. What
    /// is done after the verdict is left out.
    pub async fn read(&mut self, accounts: impl IntoIterator<Item = Pubkey>) -> Result<Vec<Line>> {
        self.accounts.extend(accounts);
        let mut lines = Vec::new();
        let mut accounts: Vec<Pubkey> = self.accounts.iter().copied().collect();
        while let Some(account) = accounts.pop() {
            // Newest first, they come.
            let entries = history::newest(&self.rpc, &account, MOST).await?;
            for entry in entries.into_iter().rev() {
                let name = entry.signature.to_string();
                if entry.failed || self.known.contains(&name) {
                    continue;
                }
                let Some(found) = self.rpc.transaction(&entry.signature).await? else {
                    // It is listed, and not there yet.
                    continue;
                };
                self.known.insert(name.clone());
                let calls = history::calls(&found);
                let buffers = calls.iter().filter(|call| {
                    is::<data::PlayFromBuffer>(call) || is::<data::AnswerFromBuffer>(call)
                });
                let buffers = buffers.map(|call| call.account(BUFFER));
                let new = buffers.filter(|buffer| self.accounts.insert(*buffer));
                accounts.extend(new.collect::<Vec<_>>());
                let Some(what) = self.said(&calls) else {
                    continue;
                };
                let meta = found.transaction.meta.as_ref();
                let units: Option<u64> =
                    meta.and_then(|meta| meta.compute_units_consumed.clone().into());
                let (payer, _) = history::payer(&found);
                let (lamports, bytes) = history::cost(&found);
                lines.push(Line {
                    at: 0.0,
                    who: match payer == Some(self.sequencer) {
                        true => "sequencer",
                        false => "verifier",
                    },
                    what,
                    signature: name,
                    slot: entry.slot,
                    lamports,
                    bytes,
                    units: units.unwrap_or_default(),
                });
            }
        }
        lines.sort_by_key(|line| line.slot);
        self.first = self.first.or(lines.first().map(|line| line.slot));
        for line in &mut lines {
            let slots = line.slot.saturating_sub(self.first.unwrap_or_default());
            line.at = self.slot.as_secs_f64() * slots as f64;
        }
        self.lines.extend(lines.iter().cloned());
        Ok(lines)
    }

    /// What calls do; nothing if they only settle what was decided.
    fn said(&mut self, calls: &[Call]) -> Option<String> {
        let mut words = Vec::new();
        for said in calls.iter().filter_map(said) {
            match said {
                Said::Moves(what) => words.push(what),
                Said::Decides(reason, what) => {
                    self.reason = Some(reason);
                    words.push(what);
                }
                Said::Settles => {}
            }
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Fees that `key` has paid.
pub async fn fees(rpc: &Rpc, key: &Pubkey) -> Result<u64> {
    let mut fees = 0;
    for entry in history::newest(rpc, key, MOST).await? {
        let found = rpc.transaction(&entry.signature).await?;
        let found = found.context("a transaction that L1 lists and does not have")?;
        let (payer, lamports) = history::payer(&found);
        if payer == Some(*key) {
            fees += lamports;
        }
    }
    Ok(fees)
}

fn is<T: Discriminator>(call: &Call) -> bool {
    call.program == settlement::ID && call.data.starts_with(T::DISCRIMINATOR)
}

fn parse<T: Discriminator + AnchorDeserialize>(call: &Call) -> Option<T> {
    is::<T>(call).then(|| call.arguments())?
}

/// What a call does, in words.
fn said(call: &Call) -> Option<Said> {
    if let Some(made) = made(call) {
        return Some(Said::Moves(describe(&made)));
    }
    if let Some(data::Prove { kind, proof }) = parse(call) {
        let (reason, what) = proven(kind.into());
        let what = format!("proves {what} ({} bytes)", proof.len());
        return Some(Said::Decides(reason, what));
    }
    if let Some(data::ProveFromBuffer { kind }) = parse(call) {
        let (reason, what) = proven(kind.into());
        return Some(Said::Decides(
            reason,
            format!("proves {what}, from the buffer"),
        ));
    }
    if let Some(data::OpenDemand { pieces, .. }) = parse(call) {
        return Some(Said::Moves(demanded(pieces.into())));
    }
    if let Some(data::OpenDemandFromBuffer { pieces, .. }) = parse(call) {
        return Some(Said::Moves(demanded(pieces.into())));
    }
    let words = match call {
        _ if is::<data::OpenDispute>(call) => "opens a dispute",
        _ if is::<data::RevealLeaf>(call) => "shows the transaction's result and its run",
        _ if is::<data::PlayFromBuffer>(call) => "makes a move from a buffer",
        _ if is::<data::OpenBuffer>(call) => "opens a buffer",
        _ if is::<data::WriteBuffer>(call) => "writes to the buffer",
        _ if is::<data::Answer>(call) || is::<data::AnswerFromBuffer>(call) => "shows a piece",
        _ if is::<data::TimeOut>(call) => {
            let what = "ends it: the other's clock has run out";
            return Some(Said::Decides("timeout", what.into()));
        }
        _ if is::<data::TimeOutDemand>(call) => {
            let what = "takes the batch down: pieces were not shown in time";
            return Some(Said::Decides("withheld", what.into()));
        }
        _ if call.program == settlement::ID => return Some(Said::Settles),
        _ => return None,
    };
    Some(Said::Moves(words.into()))
}

/// The move that a call makes, if it makes one that is short.
fn made(call: &Call) -> Option<Move> {
    if let Some(data::Claim { claim, .. }) = parse(call) {
        Some(Move::Claim(claim.to_game().ok()?))
    } else if let Some(data::Choose { child, .. }) = parse(call) {
        Some(Move::Choose { child })
    } else if let Some(data::Reveal { nodes, .. }) = parse(call) {
        Some(Move::Reveal { nodes })
    } else if let Some(data::PostStates { root, nodes, .. }) = parse(call) {
        Some(Move::PostStates { root, nodes })
    } else if let Some(data::RevealTensor {
        operator,
        path,
        data_root,
        nodes,
        ..
    }) = parse(call)
    {
        Some(Move::RevealTensor {
            operator,
            path,
            data_root,
            nodes,
        })
    } else if let Some(data::RevealChunk { bytes, .. }) = parse(call) {
        Some(Move::RevealChunk { bytes })
    } else {
        None
    }
}

fn demanded(pieces: Pieces) -> String {
    let of = match pieces.of {
        Blob::Inputs => "a program's inputs".into(),
        Blob::Parameters => "a program's parameters' types".into(),
        Blob::Operators => "a program's operators".into(),
        Blob::Outputs => "a program's outputs".into(),
        Blob::Chunks { parameter } => format!("a model's parameter {parameter}"),
    };
    format!("demands {} pieces of {of}", pieces.count)
}

/// A move, in words.
fn describe(made: &Move) -> String {
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

/// What a proof convicts by, and what it proves, in words.
fn proven(kind: ProofKind) -> (&'static str, String) {
    match kind {
        ProofKind::Data { index } => (
            "data",
            format!("from the data that record {index} is another"),
        ),
        ProofKind::Program => ("program", "that a deployed program is none".into()),
        ProofKind::End => ("state", "that the states end elsewhere".into()),
        ProofKind::State => (
            "state",
            "that the transaction leads to another state".into(),
        ),
        ProofKind::Output => ("output", "that the output is another value".into()),
        ProofKind::Element => ("element", "that an element is another".into()),
        ProofKind::Record => (
            "state",
            "from the data that the transaction leads to another state".into(),
        ),
    }
}
