//! The poster: closed batches go to L1 in order, and become final.
//!
//! It remembers nothing that L1 does not, but which batches it has sent (so that what L1 has reverted is not
//! posted again as if nothing had happened): each step looks at the chain's account and at the data
//! account of the next batch, does the one thing that is missing, and looks again. So it goes on
//! after a crash, a dead node, a dropped transaction or a rollback without a special case, and a
//! batch that is on L1 is never posted again: the program takes each number once, and a refusal
//! is checked against the hash in the chain's ring.

use super::costs::Costs;
use super::data::{DataAccount, create, runs};
use super::error::{L1Error, Severity};
use super::lease::Lease;
use super::overdue::overdue;
use super::pace::Pace;
use super::posting::Posting;
use super::room::{self, Bounds};
use super::{Heads, L1};
use crate::engine::EngineHandle;
use crate::engine::backlog::Room;
use crate::engine::gate::Closed;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::records::{BatchRecord, L1Record, L1Step};
use assay_client::instructions::settlement as make;
use assay_client::pda;
use assay_client::rpc::RpcError;
use assay_client::sender::{Landed, Order, Sent};
use assay_client::wire::Wire;
use assay_ledger::data::{CHUNK, chunk_count};
use futures::StreamExt;
use settlement::state::{BatchData, Chain, InboxPage, WriteSlots};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Batches made final in one transaction at most.
const FINALISE_TOGETHER: usize = 4;

/// Posts batches.
pub struct Poster {
    /// The way to L1.
    pub l1: L1,
    /// Where the batches are.
    pub store: Arc<Store>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Told where L1 stands.
    pub heads: Arc<watch::Sender<Heads>>,
    /// Who builds batches again.
    pub engine: EngineHandle,
    /// The lease of this process.
    pub lease: Lease,
    /// Lamports of the bond that each batch locks.
    pub bond_slice: u64,
    /// What the engine knows of L1's room.
    pub told: Room,
    /// The newest closed batch.
    pub closed: watch::Receiver<u64>,
    /// Chunk transactions in flight at a time.
    pub in_flight: usize,
    /// Time between two looks.
    pub poll: Duration,
    /// Completes the report of what batches cost.
    pub costs: Costs,
    /// What goes to L1.
    pub posting: Posting,
    /// Whether to post batches again that L1 has reverted.
    pub repost: bool,
    /// The reverted batch that is held back, once that was said.
    pub held: Option<u64>,
}

/// Whether there may be more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Something,
    Nothing,
}

impl Poster {
    /// Works until `stop`, or until a critical error.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), L1Error> {
        let mut pace = Pace::new(self.poll);
        let tip = self.heads.borrow().tip;
        if tip > 0 {
            self.costs.want(tip);
        }
        loop {
            let did = tokio::select! {
                did = self.step() => did,
                () = stop.cancelled() => return Ok(()),
            };
            let wait = match did {
                Ok(did) => {
                    let wait = pace.good();
                    match did {
                        Did::Something => continue,
                        Did::Nothing => wait,
                    }
                }
                Err(error) => match error.severity() {
                    Severity::Critical => return Err(error),
                    severity => {
                        self.metrics.l1_retries.inc();
                        tracing::warn!(%error, ?severity, "posting batches: trying again");
                        pace.failed()
                    }
                },
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.closed.changed() => {
                    // The engine is gone: there is nothing new to wait for, but finality.
                    if changed.is_err() {
                        tokio::time::sleep(wait).await;
                    }
                }
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Looks at L1 and does what is missing there.
    async fn step(&mut self) -> Result<Did, L1Error> {
        let key = self.l1.key.pubkey().to_bytes();
        let (chain, bond) = room::read(&self.l1, &key).await?;
        if let Some(stake) = &bond {
            self.lease.check(stake).await?;
        }
        self.open_or_close(room::unbacked(bond.as_ref(), self.bond_slice));
        self.check(&chain)?;
        let bounds = Bounds::of(&chain, bond.as_ref(), &key, self.bond_slice);
        self.tell(&chain, bounds)?;
        self.heads.send_modify(|heads| {
            heads.tip = chain.tip_number;
            heads.finalised = chain.final_number;
        });
        self.metrics.tip.set(chain.tip_number as i64);
        self.metrics.finalised.set(chain.final_number as i64);
        if self.finalise(&chain).await? == Did::Something {
            return Ok(Did::Something);
        }
        if bounds.batches() == 0 {
            return Ok(Did::Nothing);
        }
        match self.store.batch(chain.tip_number + 1)? {
            Some(record) if self.holds(&chain, &record)? => Ok(Did::Nothing),
            Some(record) => self.post(record, &chain).await,
            None => Ok(Did::Nothing),
        }
    }

    /// Whether a batch was on L1 as it is, and L1 has reverted it: somebody has shown it to be wrong, or a
    /// demand for its models was not answered. Whatever was the cause would take another slice of the bond.
    fn holds(&mut self, chain: &Chain, record: &BatchRecord) -> Result<bool, L1Error> {
        let (number, hash) = (record.header.number, record.header.hash());
        let life = self.store.life(number)?;
        let reverted = life.is_some_and(|(was, life)| was == hash && life != chain.reverts);
        let holds = reverted && !self.repost && !self.posting.is_cheating();
        if holds && self.held != Some(number) {
            tracing::error!(
                batch = number,
                "L1 has reverted this batch, and a slice of the bond is gone: it is not posted again. Find out why (assay dispute list, assay verifier --once); if it is right, start with sequencer.l1.repost = true"
            );
        }
        self.held = holds.then_some(number);
        self.metrics.held.set(self.held.unwrap_or(0) as i64);
        Ok(holds)
    }

    /// Has requests accepted as long as the stake backs batches.
    fn open_or_close(&self, closed: Option<Closed>) {
        if !self.engine.gate().set_stake(closed) {
            return;
        }
        match closed {
            Some(why) => tracing::error!(%why, "no more requests are accepted"),
            None => tracing::info!("the stake backs batches again: requests are accepted"),
        }
    }

    /// Tells the engine what L1 takes, if that is news.
    fn tell(&mut self, chain: &Chain, bounds: Bounds) -> Result<(), L1Error> {
        let room = Room {
            tip: chain.tip_number,
            batches: bounds.batches(),
        };
        if room == self.told {
            return Ok(());
        }
        if bounds.slices == 0 && (self.told.batches > 0 || chain.pending() == 0) {
            tracing::warn!(
                slice = self.bond_slice,
                pending = chain.pending(),
                "L1 takes no batch: no slice of the bond is free; bond more, or wait for batches to become final"
            );
        }
        self.told = room;
        self.engine.room(room).map_err(|_| L1Error::Stopped)
    }

    /// L1's newest batch must be one of ours.
    fn check(&self, chain: &Chain) -> Result<(), L1Error> {
        let tip = chain.tip();
        if tip.number == 0 {
            return Ok(());
        }
        match self.store.batch(tip.number)? {
            Some(record) if record.header.hash() == tip.hash => Ok(()),
            Some(_) if self.posting.posted(tip.number, &tip.hash) => Ok(()),
            Some(_) => Err(L1Error::Fork(tip.number)),
            None => Err(L1Error::Behind {
                tip: tip.number,
                ours: self
                    .store
                    .batches(u64::MAX, 1)?
                    .first()
                    .map_or(0, |b| b.header.number),
            }),
        }
    }

    /// Makes the batches final whose windows have passed.
    async fn finalise(&self, chain: &Chain) -> Result<Did, L1Error> {
        if chain.pending() == 0 {
            return Ok(Did::Nothing);
        }
        let now = self.l1.rpc().slot().await?;
        let due: Vec<_> = (chain.final_number + 1..=chain.tip_number)
            .map(|number| chain.slots[(number % chain.slots.len() as u64) as usize])
            .take_while(|slot| slot.window_end <= now && slot.disputes == 0)
            .take(FINALISE_TOGETHER)
            .collect();
        let (Some(first), Some(last)) = (due.first(), due.last()) else {
            return Ok(Did::Nothing);
        };
        let instructions = due
            .iter()
            .map(|slot| make::finalize_batch(&self.l1.rollup, &slot.sequencer))
            .collect();
        let order = Order::new("finalise", &self.l1.key, instructions);
        let target = last.number;
        let done = || async {
            let chain = self.l1.chain().await.map_err(reading)?;
            Ok(chain.final_number >= target)
        };
        let sent = self.l1.sender.send_unless(&order, done).await?;
        self.note(first.number, L1Step::Finalise, sent)?;
        self.store.forget(target, last.inbox_cursor)?;
        tracing::info!(from = first.number, to = target, "batches are final");
        Ok(Did::Something)
    }

    /// Takes the next step of a batch on its way to L1.
    async fn post(&self, record: BatchRecord, chain: &Chain) -> Result<Did, L1Error> {
        if let Some(due) = overdue(&self.l1, &record.header).await? {
            let rebuilt = self.engine.rebuild(due).await;
            return Ok(match rebuilt.map_err(|_| L1Error::Stopped)? {
                Some(_) => Did::Something,
                // The messages are on their way to the engine.
                None => Did::Nothing,
            });
        }
        let number = record.header.number;
        let key = self.l1.key.pubkey();
        let address = pda::batch_data(&key, number);
        let data = self.store.data(number)?.ok_or(L1Error::Behind {
            tip: number,
            ours: number - 1,
        })?;
        let (record, data) = self.posting.of(&self.store, record, data)?;
        let header = &record.header;
        let (now, account) = self.l1.rpc().account_at(&address).await?;
        match DataAccount::of(account.as_ref(), &data, &header.data_root, now) {
            DataAccount::None { lamports } => {
                let rent = self.l1.rpc().rent(BatchData::size(header.data_len)).await?;
                let missing = rent.saturating_sub(lamports);
                let instructions = create(&self.l1.rollup, &key, number, header.data_len, missing);
                self.send(
                    number,
                    L1Step::Create,
                    Order::new("create", &self.l1.key, instructions),
                )
                .await?;
            }
            DataAccount::Open { missing } if !missing.is_empty() => {
                self.write(number, &data, &missing).await?;
            }
            DataAccount::Open { .. } => {
                let units = 60_000 + 400 * chunk_count(header.data_len);
                let order = Order::new("seal", &self.l1.key, vec![make::seal_data(&key, &address)]);
                self.send(number, L1Step::Seal, order.units(units)).await?;
            }
            DataAccount::Sealed { writes } => self.post_header(&record, chain, writes).await?,
            DataAccount::TooOld => {
                tracing::warn!(
                    batch = number,
                    "writing the data took too long: it is written again from the start"
                );
                self.close(number, &address).await?;
            }
            DataAccount::Other => {
                self.close(number, &address).await?;
                return Err(L1Error::ForeignData(address));
            }
        }
        Ok(Did::Something)
    }

    /// Closes a data account that is of no use.
    async fn close(&self, number: u64, address: &Pubkey) -> Result<(), L1Error> {
        let close = make::close_data(&self.l1.key.pubkey(), address);
        let order = Order::new("close", &self.l1.key, vec![close]);
        self.send(number, L1Step::Close, order).await
    }

    /// Writes the missing chunks, several transactions at a time.
    async fn write(&self, number: u64, data: &[u8], missing: &[u32]) -> Result<(), L1Error> {
        let key = self.l1.key.pubkey();
        let address = pda::batch_data(&key, number);
        let each = match self.l1.sender.wire().await? {
            Wire::Legacy => 1,
            Wire::Version1 => 4,
        };
        let orders = runs(missing, each).into_iter().map(|(first, len)| {
            let from = first as usize * CHUNK;
            let bytes = &data[from..data.len().min(from + len * CHUNK)];
            let write = make::write_chunks(&key, &address, first, bytes.to_vec());
            Order::new("write", &self.l1.key, vec![write])
                .units(100_000)
                .without_preflight()
        });
        let mut sending = futures::stream::iter(orders)
            .map(|order| self.send(number, L1Step::Write, order))
            .buffer_unordered(self.in_flight.max(1));
        while let Some(sent) = sending.next().await {
            sent?;
        }
        Ok(())
    }

    /// Posts the header on sealed data and takes the data account's rent back, in one
    /// transaction.
    async fn post_header(
        &self,
        record: &BatchRecord,
        chain: &Chain,
        writes: WriteSlots,
    ) -> Result<(), L1Error> {
        let (header, key) = (&record.header, self.l1.key.pubkey());
        let (number, hash) = (header.number, header.hash());
        let cursor = header.state.inbox.cursor;
        let rollup = self.l1.rollup().await?;
        let page = (rollup.inbox_count > cursor).then(|| InboxPage::page_of(cursor));
        let parent_slot = chain.tip().posted_slot(rollup.config.params.window);
        let address = pda::batch_data(&key, number);
        let instructions = vec![
            make::post_batch(&key, &address, header, page, parent_slot, writes),
            make::close_data(&key, &address),
        ];
        let order = Order::new("post", &self.l1.key, instructions);
        // Before it is sent: whoever dies now must know, when it is reverted, that it was there.
        self.store.note_life(number, &hash, chain.reverts)?;
        let done = || async {
            let chain = self.l1.chain().await.map_err(reading)?;
            Ok(is_on_chain(&chain, number, &hash))
        };
        let sent = self.l1.sender.send_unless(&order, done).await?;
        // A lie may be reverted before the next look at L1: it has been told.
        self.posting.posted(number, &hash);
        self.note(number, L1Step::Post, sent)?;
        self.costs.want(number);
        tracing::info!(
            batch = number,
            transactions = header.tx_count,
            "batch posted"
        );
        Ok(())
    }

    /// Sends a step that may be done twice without harm, or that the program takes only once.
    async fn send(&self, number: u64, step: L1Step, order: Order) -> Result<(), L1Error> {
        let landed = self.l1.sender.send(&order).await?;
        self.note(number, step, Sent::Landed(landed))
    }

    fn note(&self, number: u64, step: L1Step, sent: Sent) -> Result<(), L1Error> {
        let Sent::Landed(Landed {
            signature,
            lamports,
            bytes,
            ..
        }) = sent
        else {
            return Ok(());
        };
        self.metrics.l1_lamports.inc_by(lamports);
        self.metrics.l1_bytes.inc_by(bytes);
        let record = L1Record {
            order: 0,
            step,
            lamports,
            bytes,
        };
        Ok(self.store.note_l1(number, signature.as_array(), record)?)
    }
}

/// Whether L1 holds this very batch.
fn is_on_chain(chain: &Chain, number: u64, hash: &assay_ledger::Hash) -> bool {
    let slot = &chain.slots[(number % chain.slots.len() as u64) as usize];
    number <= chain.tip_number && slot.number == number && slot.hash == *hash
}

/// An error of reading, for the sender.
fn reading(e: L1Error) -> RpcError {
    match e {
        L1Error::Rpc(e) => e,
        other => RpcError::Account {
            address: settlement::ID,
            expected: "chain of batches",
            reason: other.to_string(),
        },
    }
}
