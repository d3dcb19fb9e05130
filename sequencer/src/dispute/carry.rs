//! What is done in a dispute, on its way to L1: as many acts as fit go in one transaction, and what
//! fits none goes through a buffer.

use super::act::{Act, Table};
use super::demands;
use super::driver::{Done, Listener};
use super::error::DisputeError;
use assay_client::disputes::{self, Of};
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_client::rpc::{Rpc, RpcError};
use assay_client::sender::{Order, Sender, Sent};
use assay_client::wire::{self, Budget, Wire};
use assay_dispute::Side;
use borsh::BorshSerialize;
use futures::{StreamExt, TryStreamExt};
use settlement::state::Buffer;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::collections::HashSet;
use std::sync::Arc;

/// Compute units of a transaction at most.
const MOST_UNITS: u32 = 1_400_000;
/// Compute units of what is done to a buffer.
const BUFFER_UNITS: u32 = 100_000;
/// Bytes of heap for a proof: all that there is.
const HEAP: u32 = 256 << 10;
/// For how much room there is: retries may offer a price, which takes some in a legacy transaction.
const PRICED: Budget = Budget {
    units: MOST_UNITS,
    heap: None,
    unit_price: 1,
};
/// Writes to a buffer in flight at a time.
const WIDTH: usize = 8;

/// Sends what a key does in the disputes of a rollup.
#[derive(Clone)]
pub struct Carrier {
    sender: Sender,
    key: Arc<Keypair>,
    rollup: Pubkey,
    listener: Listener,
}

/// A transaction of some acts.
struct Load {
    instructions: Vec<Instruction>,
    budget: Budget,
    /// What is told about it.
    names: Vec<&'static str>,
}

impl Carrier {
    /// `key` signs and pays.
    pub fn new(sender: Sender, key: Arc<Keypair>, rollup: Pubkey, listener: Listener) -> Self {
        Self {
            sender,
            key,
            rollup,
            listener,
        }
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        self.sender.rpc()
    }

    /// What sends.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The rollup.
    pub fn rollup(&self) -> &Pubkey {
        &self.rollup
    }

    /// Who plays.
    pub fn key(&self) -> Pubkey {
        self.key.pubkey()
    }

    /// What signs.
    pub fn signer(&self) -> &Arc<Keypair> {
        &self.key
    }

    /// Tells of something else that the key did.
    pub fn note(&self, done: &Done) {
        (self.listener)(done);
    }

    /// Does the first of `acts` in a dispute, and of those after it as many as fit the same transaction.
    pub async fn carry(&self, table: &Table, side: Side, acts: &[Act]) -> Result<(), DisputeError> {
        let Some(first) = acts.first() else {
            return Ok(());
        };
        let wire = self.sender.wire().await?;
        let mut load = Load::default();
        let mut state = table.state();
        let mut sent_acts = 0;
        for act in acts {
            let (instruction, after) = act.instruction(table, &self.key(), state);
            if !self.add(wire, &mut load, act, vec![instruction]) {
                break;
            }
            state = after;
            sent_acts += 1;
        }
        let mut buffer = None;
        if sent_acts == 0 {
            let Some(bytes) = first.bytes() else {
                // Only moves and proofs are long.
                return Err(DisputeError::TooLong(first.name()));
            };
            // Made for this state: found again after a crash.
            let id = table.state();
            let told =
                |what, through, sent| self.tell(table, side, vec![what], Some(through), sent);
            let through = self.buffer(id, &bytes, told).await?;
            buffer = Some(through);
            let play = first.from_buffer(table, &self.key(), table.state(), &through);
            let close = make::close_buffer(&self.key(), &through);
            self.add(wire, &mut load, first, vec![play, close]);
            state = first.instruction(table, &self.key(), table.state()).1;
            for act in &acts[1..] {
                let (instruction, after) = act.instruction(table, &self.key(), state);
                if !self.add(wire, &mut load, act, vec![instruction]) {
                    break;
                }
                state = after;
            }
        }
        let label = first.name();
        let mut order = Order::new(label, &self.key, load.instructions);
        order.budget = load.budget;
        let done = || self.past(table, first);
        let sent = self.sender.send_unless(&order, done).await?;
        self.tell(table, side, load.names, buffer, sent);
        Ok(())
    }

    /// Adds an act to a transaction if there is room.
    fn add(&self, wire: Wire, load: &mut Load, act: &Act, more: Vec<Instruction>) -> bool {
        let units = load.budget.units + act.units();
        let heap = act.is_proof().then_some(HEAP).or(load.budget.heap);
        let mut instructions = load.instructions.clone();
        instructions.extend(more);
        let budget = Budget {
            units: units.min(MOST_UNITS),
            heap,
            unit_price: 0,
        };
        let fits = self.fits(wire, &instructions, budget);
        if fits {
            load.instructions = instructions;
            load.budget = budget;
            load.names.push(act.name());
        }
        fits
    }

    /// Whether these fit one transaction, with the price that a retry may offer.
    fn fits(&self, wire: Wire, instructions: &[Instruction], budget: Budget) -> bool {
        let priced = Budget {
            unit_price: PRICED.unit_price,
            ..budget
        };
        let message = wire::message(wire, &self.key(), instructions, &priced, Default::default());
        message.is_ok_and(|message| wire::bytes_of(&message) <= wire.limit())
    }

    /// What does something that may be long: `inline` where that fits a transaction of so many compute units; or else
    /// the same `from` buffer `id`, which has been written with the borsh encoding of `what`, and its closing.
    pub async fn whole(
        &self,
        inline: Instruction,
        units: u32,
        (id, what): (u64, &impl BorshSerialize),
        from: impl FnOnce(&Pubkey) -> Instruction,
        told: impl Fn(&'static str, Pubkey, Sent),
    ) -> Result<Vec<Instruction>, DisputeError> {
        let wire = self.sender.wire().await?;
        let budget = Budget {
            units,
            ..Budget::default()
        };
        if self.fits(wire, std::slice::from_ref(&inline), budget) {
            return Ok(vec![inline]);
        }
        // Writing to a vector cannot fail.
        let bytes = borsh::to_vec(what).unwrap_or_default();
        let buffer = self.buffer(id, &bytes, told).await?;
        Ok(vec![
            from(&buffer),
            make::close_buffer(&self.key(), &buffer),
        ])
    }

    /// Whether the dispute is past the state in which `act` was to be done.
    async fn past(&self, table: &Table, act: &Act) -> Result<bool, RpcError> {
        let now = disputes::get(self.rpc(), &table.address).await?;
        Ok(match (act, now) {
            (Act::Open { .. }, now) => now.is_some(),
            (_, None) => true,
            (Act::Play { .. } | Act::Prove { .. } | Act::TimeOut, Some(now)) => {
                now.state != table.state()
            }
            (Act::Resolve, Some(now)) => now.head.bond == 0,
            (Act::ClaimPayout { to }, Some(now)) => now.due(*to) == 0,
            (Act::Close, Some(_)) => false,
        })
    }

    /// Buffer `id` of the key with these bytes: one that is there is written where it is not complete.
    pub async fn buffer(
        &self,
        id: u64,
        bytes: &[u8],
        told: impl Fn(&'static str, Pubkey, Sent),
    ) -> Result<Pubkey, DisputeError> {
        let key = self.key();
        let buffer = pda::buffer(&key, id);
        let len = u32::try_from(bytes.len()).map_err(|_| DisputeError::TooLong("buffer"))?;
        let size = Buffer::size(len);
        let there = self.rpc().account(&buffer).await?;
        let there = there.filter(|account| account.owner == settlement::ID);
        let complete = there.as_ref().is_some_and(|a| a.data.len() == size);
        let wire = self.sender.wire().await?;
        let mut written = 0;
        if !complete {
            let mut instructions = Vec::new();
            if there.is_some() {
                instructions.push(make::close_buffer(&key, &buffer));
            }
            let rent = self.rpc().rent(size).await?;
            instructions.extend(make::open_buffer(&key, id, len, rent));
            // What fits beside it is written at once.
            let with = |n: usize| {
                let mut all = instructions.clone();
                all.push(make::write_buffer(&key, &buffer, 0, vec![0; n]));
                all
            };
            if let Some(room) = wire::room(wire, &key, &PRICED, with) {
                written = room.min(bytes.len());
                let first = bytes[..written].to_vec();
                instructions.push(make::write_buffer(&key, &buffer, 0, first));
            }
            let order = Order::new("buffer", &self.key, instructions).units(2 * BUFFER_UNITS);
            let exists = || async {
                let account = self.rpc().account(&buffer).await?;
                Ok(account.is_some_and(|account| account.data.len() == size))
            };
            let sent = self.sender.send_unless(&order, exists).await?;
            told("buffer", buffer, sent);
        }
        let present = match complete {
            true => there.map(|account| account.data).unwrap_or_default(),
            false => Vec::new(),
        };
        let present = present.get(Buffer::head_size()..).unwrap_or_default();
        let write = |n| vec![make::write_buffer(&key, &buffer, 0, vec![0; n])];
        let each = wire::room(wire, &key, &PRICED, write).unwrap_or(1).max(1);
        let missing = (written..bytes.len()).step_by(each).filter_map(|at| {
            let end = bytes.len().min(at + each);
            let part = &bytes[at..end];
            (present.get(at..end) != Some(part)).then(|| (at as u32, part.to_vec()))
        });
        let orders: Vec<Order> = missing
            .map(|(at, part)| {
                let write = make::write_buffer(&key, &buffer, at, part);
                Order::new("write", &self.key, vec![write]).units(BUFFER_UNITS)
            })
            .collect();
        let mut sending = futures::stream::iter(orders)
            .map(|order| async move { self.sender.send(&order).await })
            .buffer_unordered(WIDTH);
        while let Some(landed) = sending.try_next().await? {
            told("write", buffer, Sent::Landed(landed));
        }
        Ok(buffer)
    }

    /// Closes the key's buffers that no move needs any more, for their rent: a crash may have left some.
    /// Whether none is left.
    pub async fn sweep(&self) -> Result<bool, DisputeError> {
        let key = self.key();
        let buffers = disputes::buffers(self.rpc(), &key).await?;
        if buffers.is_empty() {
            return Ok(true);
        }
        let mut needed = HashSet::new();
        for of in [Of::Challenger(key), Of::Asserter(key)] {
            let found = disputes::find(self.rpc(), &self.rollup, of).await?;
            needed.extend(found.iter().map(|found| pda::buffer(&key, found.state)));
        }
        needed.extend(demands::buffers(self).await?);
        let mut clean = true;
        for buffer in buffers {
            if needed.contains(&buffer) {
                clean = false;
                continue;
            }
            let close = make::close_buffer(&key, &buffer);
            let order = Order::new("close_buffer", &self.key, vec![close]).units(BUFFER_UNITS);
            let gone = || async { Ok(self.rpc().account(&buffer).await?.is_none()) };
            self.sender.send_unless(&order, gone).await?;
        }
        Ok(clean)
    }

    fn tell(
        &self,
        table: &Table,
        side: Side,
        what: Vec<&'static str>,
        buffer: Option<Pubkey>,
        sent: Sent,
    ) {
        let Sent::Landed(landed) = sent else {
            return;
        };
        let what = what.join(" + ");
        tracing::info!(
            dispute = %table.address,
            batch = table.header().number,
            what,
            units = landed.units,
            signature = %landed.signature,
            "a step of a dispute"
        );
        (self.listener)(&Done {
            dispute: table.address,
            batch: table.header().number,
            side,
            what,
            buffer,
            landed,
        });
    }
}

impl Default for Load {
    fn default() -> Self {
        Self {
            instructions: Vec::new(),
            budget: Budget {
                units: 0,
                ..Budget::default()
            },
            names: Vec::new(),
        }
    }
}
