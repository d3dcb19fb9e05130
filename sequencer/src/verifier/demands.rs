//! Demands for what batches name of models and nobody gives.
//!
//! A batch is asked for it on L1 as long as that is permitted, first for the program and then for parameters: half of
//! that time is left to whoever gives the bytes otherwise. At first one demand is made; once it is answered some more
//! at a time, and in the last quarter all that are left, answered or not. What is not answered in time takes the batch down, and what is answered is read from L1 until
//! the model is whole.
//!
//! As of disputes, a demand's address follows from what it asks for. L1 keeps the answers in the demand's account,
//! which is closed, for the rent, when they are in the store here, or the batch is dead.

use super::pieces::{Collected, chunks, key};
use crate::dispute::Done;
use crate::dispute::carry::Carrier;
use crate::dispute::error::DisputeError;
use crate::engine::execute::ModelKey;
use crate::replica::naming::Naming;
use crate::store::Store;
use crate::store::blobs::Blobs;
use crate::store::leaves::Spelling;
use assay_client::demands::{self, Found};
use assay_client::instructions::demands as make;
use assay_client::sender::{Order, Sent};
use assay_client::{accounts, pda};
use assay_dispute::Side;
use assay_dispute::demand::{Blob, Pieces, Times, bond, fee};
use assay_ledger::Hash;
use assay_tensor::hash::hashv;
use settlement::state::demand::DemandClass;
use settlement::state::{BatchSlot, Chain, Demand};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Compute units of what is done about a demand, at most.
const UNITS: u32 = 400_000;
/// Demands over a model that are open at a time, once one was answered.
const TOGETHER: usize = 8;
/// Demands that are closed in one transaction: as many as fit a legacy one.
const CLOSED_TOGETHER: usize = 8;
/// Lamports for the fees of a demand and the rent of its buffer, kept free when one is opened.
const FEES: u64 = 20_000_000;

/// Makes the demands of one key, and plays them.
pub struct Demands {
    carrier: Carrier,
    blobs: Blobs,
    store: Arc<Store>,
    /// Pieces that were answered, by the model: those that the store has.
    pieces: HashMap<ModelKey, Collected>,
    /// Whether there may be an account: at first, and while there is one.
    busy: bool,
}

/// When something is demanded of a naming's batch.
struct Due {
    /// From when on something is demanded, and from when on all of it.
    from: u64,
    late: u64,
    /// The first slot in which nothing may be demanded any more.
    end: u64,
}

impl Due {
    fn of(blob: Blob, naming: &Naming, slot: &BatchSlot) -> Self {
        let window = naming.header.params.window;
        let end = Times::new(blob, slot.window_end, window).demand_end;
        let time = end.saturating_sub(slot.window_end.saturating_sub(window));
        Self {
            from: end.saturating_sub(time - time / 2),
            late: end.saturating_sub(time / 4),
            end,
        }
    }

    fn is_now(&self, now: u64) -> bool {
        (self.from..self.end).contains(&now)
    }
}

impl Demands {
    /// Those of the carrier's key; `blobs` are where models are kept, and `store` where parts of them are.
    pub fn new(carrier: Carrier, blobs: Blobs, store: Arc<Store>) -> Self {
        Self {
            carrier,
            blobs,
            store,
            pieces: HashMap::new(),
            busy: true,
        }
    }

    /// Whether there may be something left to do, as of the last step.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Looks at L1, does what is next about the demands that there are, and makes those for what is named
    /// and not here. Whether something was done, so that there may be more at once.
    pub async fn step(&mut self, namings: &[Arc<Naming>]) -> Result<bool, DisputeError> {
        let lacking = |naming: &&Arc<Naming>| !self.is_settled(&naming.model);
        let lacking: Vec<_> = namings.iter().filter(lacking).cloned().collect();
        if !self.busy && lacking.is_empty() {
            return Ok(false);
        }
        let (rpc, rollup, key) = (
            self.carrier.rpc().clone(),
            *self.carrier.rollup(),
            self.carrier.key(),
        );
        let (now, chain) = accounts::chain_at(&rpc, &rollup).await?;
        let found = match self.busy || due(&lacking, &chain, now) {
            true => demands::of(&rpc, &rollup, &key).await?,
            false => return Ok(false),
        };
        self.busy = !found.is_empty();
        self.load(&found, &lacking)?;
        let mut any = false;
        let mut trouble = None;
        // Those whose answers, if they are wanted, are in the store.
        let mut over: Vec<&Found> = Vec::new();
        for found in &found {
            match self.play(found, &chain, now).await {
                Ok(did) => {
                    any |= did;
                    over.extend(Some(found).filter(|found| found.demand.over));
                }
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        for naming in &lacking {
            match self.demand(naming, &found, &chain, now).await {
                Ok(did) => any |= did,
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        // Last, as nothing waits for the rent.
        for part in over.chunks(CLOSED_TOGETHER) {
            match self.close(part).await {
                Ok(()) => any = true,
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        self.busy |= any;
        trouble.map_or(Ok(any), Err)
    }

    /// Has the pieces of those models at hand of which something is demanded, or may be, and of no others.
    fn load(&mut self, found: &[Found], lacking: &[Arc<Naming>]) -> Result<(), DisputeError> {
        let demanded = found.iter().map(|found| of(&found.demand));
        let models: HashSet<ModelKey> = demanded.chain(lacking.iter().map(|n| n.model)).collect();
        let done: Vec<ModelKey> = self
            .pieces
            .keys()
            .filter(|m| !models.contains(*m))
            .copied()
            .collect();
        for model in done {
            self.store.forget_pieces(&model)?;
            self.pieces.remove(&model);
        }
        for model in models {
            if let Entry::Vacant(place) = self.pieces.entry(model) {
                place.insert(Collected::of(self.store.pieces(&model)?));
            }
        }
        Ok(())
    }

    /// Whether a model is here, or known to be none.
    fn is_settled(&self, model: &ModelKey) -> bool {
        let whole = self.blobs.has(&model.0) && self.blobs.has(&model.1);
        whole || self.blobs.malformed(&model.0).is_some()
    }

    /// Does what is next about a demand that is there.
    async fn play(&mut self, found: &Found, chain: &Chain, now: u64) -> Result<bool, DisputeError> {
        let (rollup, key) = (*self.carrier.rollup(), self.carrier.key());
        let (address, demand) = (&found.address, &found.demand);
        let close = make::close_demand(address, &key);
        let live = found.is_live(chain);
        match demand.class(chain, now) {
            DemandClass::Expired => {
                let end = make::time_out_demand(&rollup, address, &demand.asserter);
                self.send(found, "time_out_demand", vec![end, close]).await
            }
            DemandClass::Moot => {
                let resolve = make::resolve_demand(&rollup, address);
                let instructions = vec![resolve, close];
                self.send(found, "resolve_demand", instructions).await
            }
            DemandClass::Over | DemandClass::Open(_) if live && !self.is_settled(&of(demand)) => {
                tokio::task::block_in_place(|| self.learn(found))?;
                Ok(false)
            }
            DemandClass::Over | DemandClass::Open(_) => Ok(false),
        }
    }

    /// Takes what was answered, and keeps it. Blocks.
    fn learn(&mut self, found: &Found) -> Result<(), DisputeError> {
        let (model, pieces) = (of(&found.demand), Pieces::from(found.demand.pieces));
        let collected = self.pieces.entry(model).or_default();
        let index = |place: u8| pieces.first.saturating_add(place.into());
        let new = found.pieces.iter();
        let new = new.filter(|(place, _)| !collected.has(pieces.of, index(*place)));
        let new = new.map(|(place, bytes)| (key(pieces.of, index(*place)), bytes.clone()));
        let new: Vec<_> = new.collect();
        if !new.is_empty() {
            self.store.keep_pieces(&model, new.clone())?;
            collected.take(new);
            self.assemble(found);
        }
        Ok(())
    }

    /// Makes blobs of the pieces, where there are enough.
    fn assemble(&self, found: &Found) {
        let (model, header) = (of(&found.demand), found.demand.program.into());
        let Some(collected) = self.pieces.get(&model) else {
            return;
        };
        if !self.blobs.has(&model.0)
            && let Some(leaves) = collected.leaves(&header)
        {
            let taken = self.blobs.take_leaves(&Spelling { header, leaves });
            tracing::info!(
                program = hex::encode(model.0),
                ?taken,
                "a program was given on L1"
            );
        }
        if !self.blobs.has(&model.1)
            && let Ok(program) = self.blobs.program(&model.0)
        {
            let types = program.program().parameters.iter();
            if let Some(bytes) = collected.parameters(types.map(chunks)) {
                let taken = self.blobs.take_parameters(&program, &model.1, &bytes);
                tracing::info!(
                    parameters = hex::encode(model.1),
                    ?taken,
                    "parameters were given on L1"
                );
            }
        }
    }

    /// Demands what is missing of a model that a batch names, if it is time.
    async fn demand(
        &mut self,
        naming: &Naming,
        found: &[Found],
        chain: &Chain,
        now: u64,
    ) -> Result<bool, DisputeError> {
        let hash = naming.header.hash();
        let Some(slot) = chain.live(naming.header.number, &hash) else {
            return Ok(false);
        };
        if self.is_settled(&naming.model) {
            return Ok(false);
        }
        let mine = found
            .iter()
            .filter(|found| of(&found.demand) == naming.model);
        let mine: Vec<&Found> = mine.filter(|found| found.is_live(chain)).collect();
        let given = self.pieces.get(&naming.model);
        let together = if given.is_some_and(|given| !given.is_empty()) {
            TOGETHER
        } else {
            1
        };
        let mut open = mine.iter().filter(|found| !found.demand.over).count();
        let asked = |pieces: &Pieces| {
            mine.iter()
                .any(|f| Pieces::from(f.demand.pieces) == *pieces)
        };
        let mut others = slot.pieces;
        let mut any = false;
        for pieces in self.missing(naming) {
            let due = Due::of(pieces.of, naming, slot);
            let room = now >= due.late || open < together;
            if due.is_now(now) && room && !asked(&pieces) {
                any |= self.open(naming, pieces, others).await?;
                others = others.saturating_add(pieces.count.into());
                open += 1;
            }
        }
        Ok(any)
    }

    /// What is missing of a model, in parts that a demand can ask for.
    fn missing(&self, naming: &Naming) -> Vec<Pieces> {
        let empty = Collected::default();
        let collected = self.pieces.get(&naming.model).unwrap_or(&empty);
        let Some(header) = naming.program() else {
            return Vec::new();
        };
        let known = self.blobs.program(&naming.model.0).ok();
        collected.missing(&header, known.as_ref())
    }

    /// Opens a demand.
    async fn open(
        &self,
        naming: &Naming,
        pieces: Pieces,
        others: u32,
    ) -> Result<bool, DisputeError> {
        let Some(named) = &naming.named else {
            return Ok(false);
        };
        let (rpc, key, header) = (self.carrier.rpc(), self.carrier.key(), &naming.header);
        let rent = rpc.rent(Demand::size_with(pieces.count)).await?;
        let stake = bond(header.params.dispute_bond, fee(others), pieces.count);
        let need = rent + stake + FEES;
        let have = rpc.balance(&key).await?;
        if have < need {
            return Err(DisputeError::Poor { key, need, have });
        }
        let id = id(&header.hash(), &naming.model, &pieces);
        let address = pda::demand(self.carrier.rollup(), &key, id);
        let inline = make::open_demand(&key, id, header, pieces, named);
        let from =
            |buffer: &Pubkey| make::open_demand_from_buffer(&key, id, header, pieces, buffer);
        let told = |what: &'static str, buffer, sent: Sent| {
            self.tell(&address, header.number, what, Some(buffer), sent);
        };
        let instructions = (self.carrier.whole(inline, UNITS, (id, named), from, told)).await?;
        let order = Order::new("demand", self.carrier.signer(), instructions).units(UNITS);
        let there = || async { Ok(rpc.account(&address).await?.is_some()) };
        let sent = self.carrier.sender().send_unless(&order, there).await?;
        self.tell(&address, header.number, "open_demand", None, sent);
        Ok(true)
    }

    /// Closes demands that are over.
    async fn close(&self, over: &[&Found]) -> Result<(), DisputeError> {
        let (rpc, key) = (self.carrier.rpc(), self.carrier.key());
        let Some(first) = over.first() else {
            return Ok(());
        };
        let close = over
            .iter()
            .map(|found| make::close_demand(&found.address, &key));
        let order = Order::new("close_demand", self.carrier.signer(), close.collect()).units(UNITS);
        let closed = || async { Ok(rpc.account(&first.address).await?.is_none()) };
        let sent = self.carrier.sender().send_unless(&order, closed).await?;
        for found in over {
            self.tell(
                &found.address,
                found.demand.number,
                "close_demand",
                None,
                sent.clone(),
            );
        }
        Ok(())
    }

    /// Sends what changes a demand's state, unless that has changed.
    async fn send(
        &self,
        found: &Found,
        what: &'static str,
        instructions: Vec<Instruction>,
    ) -> Result<bool, DisputeError> {
        let rpc = self.carrier.rpc();
        let order = Order::new(what, self.carrier.signer(), instructions).units(UNITS);
        let over = found.demand.over;
        let done = || async {
            let now: Option<Demand> = rpc.anchor(&found.address, "demand").await?;
            Ok(now.is_none_or(|now| now.over != over))
        };
        let sent = self.carrier.sender().send_unless(&order, done).await?;
        self.tell(&found.address, found.demand.number, what, None, sent);
        Ok(true)
    }

    fn tell(&self, demand: &Pubkey, batch: u64, what: &str, buffer: Option<Pubkey>, sent: Sent) {
        let Sent::Landed(landed) = sent else {
            return;
        };
        tracing::info!(%demand, batch, what, signature = %landed.signature, "a demand");
        self.carrier.note(&Done {
            dispute: *demand,
            batch,
            side: Side::Challenger,
            what: what.into(),
            buffer,
            landed,
        });
    }
}

/// The model of which a demand asks for pieces.
fn of(demand: &Demand) -> ModelKey {
    let rules = demand.rules();
    (rules.program.root(), rules.parameters_root)
}

/// Number of the demand for these pieces of a model that the batch of this hash names.
fn id(batch: &Hash, model: &ModelKey, pieces: &Pieces) -> u64 {
    // Writing to a vector cannot fail.
    let pieces = borsh::to_vec(pieces).unwrap_or_default();
    let hash = hashv(&[b"assay:demand:1", batch, &model.0, &model.1, &pieces]);
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Whether it is time to demand any of these.
fn due(namings: &[Arc<Naming>], chain: &Chain, now: u64) -> bool {
    namings.iter().any(|naming| {
        let slot = chain.live(naming.header.number, &naming.header.hash());
        slot.is_some_and(|slot| {
            let blobs = [Blob::Operators, Blob::Chunks { parameter: 0 }];
            let mut due = blobs.iter().map(|blob| Due::of(*blob, naming, slot));
            due.any(|due| due.is_now(now))
        })
    })
}
