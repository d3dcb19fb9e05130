//! What is sent to L1 in a dispute or over a demand, and what it cost.

use super::figures::Line;
use super::moves;
use anyhow::{Context, Result, ensure};
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_client::sender::{Landed, Order, Sender};
use assay_client::wallet::Wallet;
use assay_client::wire::Wire;
use assay_ledger::header::Header;
use settlement::state::Buffer;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Compute units that a transaction may take: all that it can have.
const UNITS: u32 = 1_400_000;
/// Bytes of heap: all that a transaction can have.
const HEAP: u32 = 256 << 10;
/// Bytes that a transaction has room for beside the rest: a legacy one, and one of version 1.
const INLINE: [usize; 2] = [700, 3_300];

/// Who sends, and over what batch.
pub struct Desk<'a> {
    /// Sends to the chain.
    pub sender: &'a Sender,
    /// The challenger's key.
    pub challenger: &'a Wallet,
    /// The batch.
    pub header: Header,
    /// Time between two looks.
    pub poll: Duration,
    told: &'a (dyn Fn(&Line) + Sync),
    begun: Instant,
    lines: Vec<Line>,
    /// The signatures of `lines`.
    known: BTreeSet<String>,
    version1: bool,
}

/// How it went.
#[derive(Debug)]
pub struct Played {
    /// Whether the batch was lost.
    pub won: bool,
    /// What decided it.
    pub reason: String,
    /// The transactions.
    pub lines: Vec<Line>,
    /// Seconds from the opening to the end.
    pub seconds: f64,
    /// What pays the challenger.
    pub pay_out: Vec<Instruction>,
}

impl<'a> Desk<'a> {
    /// One that has sent nothing; `told` is told of every transaction.
    pub async fn new(
        sender: &'a Sender,
        challenger: &'a Wallet,
        header: Header,
        poll: Duration,
        told: &'a (dyn Fn(&Line) + Sync),
    ) -> Result<Self> {
        Ok(Self {
            version1: sender.wire().await? == Wire::Version1,
            sender,
            challenger,
            header,
            poll,
            told,
            begun: Instant::now(),
            lines: Vec::new(),
            known: BTreeSet::new(),
        })
    }

    /// The rollup.
    pub fn rollup(&self) -> Pubkey {
        Pubkey::new_from_array(self.header.rollup)
    }

    /// Whether so many bytes have room in a transaction.
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes <= INLINE[usize::from(self.version1)]
    }

    /// Writes bytes to a buffer of the challenger: the first part with its creation.
    pub async fn upload(&mut self, what: &str, bytes: &[u8]) -> Result<Pubkey> {
        let key = self.challenger.address();
        let id = self.header.number;
        let buffer = pda::buffer(&key, id);
        let len = u32::try_from(bytes.len())?;
        let rent = self.sender.rpc().rent(Buffer::size(len)).await?;
        let mut opening = make::open_buffer(&key, id, len, rent).to_vec();
        let part = match self.version1 {
            true => INLINE[1],
            // A legacy transaction has no room for both.
            false => {
                let opening = std::mem::take(&mut opening);
                self.send("opens a buffer", opening).await?;
                make::WRITE
            }
        };
        for (i, bytes) in bytes.chunks(part).enumerate() {
            let offset = u32::try_from(i * part)?;
            let mut instructions = std::mem::take(&mut opening);
            instructions.push(make::write_buffer(&key, &buffer, offset, bytes.to_vec()));
            let what = format!("uploads {} bytes of {what}", bytes.len());
            self.send(what, instructions).await?;
        }
        Ok(buffer)
    }

    /// Sends a transaction of the challenger.
    pub async fn send(
        &mut self,
        what: impl Into<String>,
        instructions: Vec<Instruction>,
    ) -> Result<()> {
        let what = what.into();
        let landed = send(self.sender, self.challenger, instructions).await;
        let landed = landed.with_context(|| what.clone())?;
        let at = self.begun.elapsed().as_secs_f64();
        self.known.insert(landed.signature.to_string());
        self.add(Line::new(at, "verifier", what, &landed))
    }

    /// Reads from L1 what the other side has sent over the dispute at this address.
    pub async fn read(&mut self, dispute: &Pubkey) -> Result<()> {
        let at = self.begun.elapsed().as_secs_f64();
        let lines = moves::new(self.sender.rpc(), dispute, &mut self.known, at);
        for line in lines.await? {
            self.add(line)?;
        }
        Ok(())
    }

    fn add(&mut self, line: Line) -> Result<()> {
        ensure!(self.lines.len() < 1_000, "the dispute does not end");
        (self.told)(&line);
        self.lines.push(line);
        Ok(())
    }

    /// It is over.
    pub fn close(self, won: bool, reason: impl Into<String>, pay_out: Vec<Instruction>) -> Played {
        Played {
            won,
            reason: reason.into(),
            seconds: self.begun.elapsed().as_secs_f64(),
            lines: self.lines,
            pay_out,
        }
    }
}

/// Sends with all that a transaction can have.
pub async fn send(
    sender: &Sender,
    wallet: &Wallet,
    instructions: Vec<Instruction>,
) -> Result<Landed> {
    let mut order = Order::new("dispute", wallet.keypair(), instructions).units(UNITS);
    order.budget.heap = Some(HEAP);
    Ok(sender.send(&order).await?)
}
