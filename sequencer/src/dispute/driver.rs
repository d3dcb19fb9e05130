//! The loop that both sides use.

use super::act::{Act, Table};
use super::carry::Carrier;
use super::cases::{Cases, Player};
use super::error::DisputeError;
use super::sending::{Sending, TOGETHER, Trouble};
use crate::store::Store;
use crate::store::disputed::Life;
use assay_client::accounts;
use assay_client::disputes::{self, Found, Of};
use assay_client::rpc::{Rpc, RpcError};
use assay_client::sender::Landed;
use assay_dispute::Side;
use assay_dispute::game::{Class, Dispute as Game};
use assay_dispute::player::Next;
use assay_ledger::Hash;
use assay_ledger::header::Header;
use settlement::state::{Chain, Dispute};
use solana_pubkey::Pubkey;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Lamports for the fees of a dispute and the rent of its buffers, kept free when one is opened.
const FEES: u64 = 100_000_000;

/// A transaction of a dispute.
#[derive(Clone, Debug)]
pub struct Done {
    /// The dispute.
    pub dispute: Pubkey,
    /// Its batch.
    pub batch: u64,
    /// Who did it.
    pub side: Side,
    /// What, in a word each: `open`, a move's name, `prove`, `time_out`, `buffer`...
    pub what: String,
    /// The buffer that it was done through, if it was.
    pub buffer: Option<Pubkey>,
    /// The transaction.
    pub landed: Landed,
}

/// Told what was done.
pub type Listener = Arc<dyn Fn(&Done) + Send + Sync>;

/// Plays the disputes of one key on one side.
pub struct Driver {
    carrier: Carrier,
    side: Side,
    store: Arc<Store>,
    /// By the hash of their batches' headers: those of disputes that are not decided.
    players: HashMap<Hash, Player>,
    /// What is under way, by the accounts of the disputes, and by the batches over which they are opened.
    sending: Sending,
    /// Batches over which no dispute is opened any more: there is nothing to prove, or it was lost.
    given_up: HashSet<Hash>,
    /// Batches of which the store knows that they were disputed, for good.
    noted: HashSet<Life>,
    /// Whether there may be something to do, whatever the chain says: at first, and while a dispute is not
    /// closed.
    busy: bool,
    /// Whether no buffer is left.
    clean: bool,
}

/// What L1 says.
struct Look {
    chain: Box<Chain>,
    now: u64,
    found: Vec<Found>,
}

/// Something that may be to be done.
enum Item<'a> {
    Dispute(&'a Found),
    Opening(&'a Header),
}

impl Driver {
    /// Plays the disputes of the carrier's key on this side; `store` remembers which it has opened.
    pub fn new(carrier: Carrier, side: Side, store: Arc<Store>) -> Self {
        Self {
            carrier,
            side,
            store,
            players: HashMap::new(),
            sending: Sending::default(),
            given_up: HashSet::new(),
            noted: HashSet::new(),
            busy: true,
            clean: false,
        }
    }

    /// Whether there may be something left to do, as of the last step.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether no dispute is opened over the batch of this hash any more.
    pub fn has_given_up(&self, hash: &Hash) -> bool {
        self.given_up.contains(hash)
    }

    /// What fails for the longest time.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.sending.oldest()
    }

    /// Looks at the key's disputes and does in each what is to be done, that with the nearest deadline first;
    /// and opens one over each `wrong` batch over which it has none. What was sent may be under way
    /// afterwards. Whether there may be more to do at once.
    pub async fn step(
        &mut self,
        cases: &impl Cases,
        wrong: &[Header],
    ) -> Result<bool, DisputeError> {
        let Some(look) = self.look(wrong).await? else {
            return Ok(false);
        };
        for item in self.in_order(&look, wrong) {
            let (name, ready) = match item {
                Item::Dispute(found) => {
                    let name = found.address.to_bytes();
                    if !self.sending.is_free(&name) {
                        continue;
                    }
                    let acts = tokio::task::block_in_place(|| self.acts(found, &look, cases));
                    (name, acts.map(|acts| Some((found.into(), acts))))
                }
                Item::Opening(header) => {
                    let name = header.hash();
                    if !self.sending.is_free(&name) {
                        continue;
                    }
                    (name, self.opening(header, &look, cases).await)
                }
            };
            match ready {
                Ok(Some((table, acts))) if !acts.is_empty() => self.send(name, table, acts).await?,
                Ok(_) => {}
                Err(error) => self.sending.failed(name, error)?,
            }
        }
        if !self.sending.is_empty() {
            self.busy = true;
            self.clean = false;
            self.sending.some(TOGETHER).await?;
            return Ok(true);
        }
        if !self.clean {
            self.clean = self.carrier.sweep().await?;
        }
        Ok(false)
    }

    /// What may be to be done: first what takes no thought, then by deadline.
    fn in_order<'a>(&self, look: &'a Look, wrong: &'a [Header]) -> Vec<Item<'a>> {
        let disputes = look.found.iter().map(|found| {
            let deadline = match found.class(&look.chain, look.now) {
                Class::Turn(turn, deadline) if turn == self.side => deadline,
                _ => 0,
            };
            (deadline, Item::Dispute(found))
        });
        let openings = wrong.iter().map(|header| {
            let slot = look.chain.live(header.number, &header.hash());
            (
                slot.map_or(0, |slot| slot.window_end),
                Item::Opening(header),
            )
        });
        let mut all: Vec<_> = disputes.chain(openings).collect();
        all.sort_by_key(|(deadline, _)| *deadline);
        all.into_iter().map(|(_, item)| item).collect()
    }

    async fn send(&mut self, name: Hash, table: Table, acts: Vec<Act>) -> Result<(), DisputeError> {
        let (carrier, side) = (self.carrier.clone(), self.side);
        let names = vec![name, table.address.to_bytes()];
        let carried = async move { carrier.carry(&table, side, &acts).await };
        self.sending.start(names, carried).await
    }

    /// What L1 says; `None` if there is nothing to do for sure.
    async fn look(&mut self, wrong: &[Header]) -> Result<Option<Look>, DisputeError> {
        let rpc: &Rpc = self.carrier.rpc();
        let rollup = self.carrier.rollup();
        let chain = accounts::chain(rpc, rollup).await?;
        if !self.busy && wrong.is_empty() && !disputed(&chain) {
            return Ok(None);
        }
        let key = self.carrier.key();
        let of = match self.side {
            Side::Challenger => Of::Challenger(key),
            Side::Asserter => Of::Asserter(key),
        };
        let found = disputes::find(rpc, rollup, of).await?;
        // After the disputes: one that was won and closed must not look like one that was lost.
        let chain = accounts::chain(rpc, rollup).await?;
        let now = rpc.slot().await?;
        let look = Look { chain, now, found };
        if self.side == Side::Challenger {
            self.note(&look).await?;
        }
        self.busy = look.found.iter().any(|found| self.has_to_do(found));
        let (found, live) = (&look.found, &look.chain);
        let open = found.iter().filter(|f| f.head.bond > 0 && f.live(live));
        let mut played: HashSet<Hash> = open.map(|f| f.head.hash).collect();
        played.extend(wrong.iter().map(Header::hash));
        self.players.retain(|hash, _| played.contains(hash));
        self.given_up.retain(|hash| played.contains(hash));
        self.sending.retain(|name| {
            let mut addresses = found.iter().map(|found| found.address);
            played.contains(name) || addresses.any(|address| address.as_array() == name)
        });
        Ok(Some(look))
    }

    /// Whether a dispute has still to be seen to.
    fn has_to_do(&self, found: &Found) -> bool {
        match self.side {
            // Closing is the challenger's, but where the other side cannot be paid it has to wait.
            Side::Challenger => {
                let waits = found.head.bond == 0 && found.head.challenger_due == 0;
                let failed = self.sending.trouble(found.address.as_array()).is_some();
                !(waits && failed)
            }
            Side::Asserter => !found.head.is_settled(),
        }
    }

    /// Has the store remember which batches the key has disputed, once L1 does not take the dispute back any more: one
    /// that it has taken back was not lost.
    async fn note(&mut self, look: &Look) -> Result<(), DisputeError> {
        let live = look.found.iter().filter(|found| found.live(&look.chain));
        let new: HashSet<Life> = live.map(life).filter(|l| !self.noted.contains(l)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let settled = self.settled().await?;
        for batch in settled.iter().map(life).filter(|life| new.contains(life)) {
            let key = self.carrier.key();
            self.store.note_disputed(&batch, key.as_array())?;
            self.noted.insert(batch);
        }
        Ok(())
    }

    /// The disputes that the key has opened, as L1 has them for good.
    async fn settled(&self) -> Result<Vec<Found>, RpcError> {
        let rpc = self.carrier.rpc().finalized();
        let key = self.carrier.key();
        disputes::find(&rpc, self.carrier.rollup(), Of::Challenger(key)).await
    }

    /// What is to be done in a dispute, in this order, up to the next move of the other side.
    fn acts(
        &mut self,
        found: &Found,
        look: &Look,
        cases: &impl Cases,
    ) -> Result<Vec<Act>, DisputeError> {
        let live = found.live(&look.chain);
        match found.class(&look.chain, look.now) {
            Class::Over(_) => return Ok(self.settle(found)),
            Class::Moot if self.side == Side::Challenger && found.head.bond > 0 => {
                return Ok(self.won(Act::Resolve));
            }
            Class::Moot => return Ok(self.settle(found)),
            Class::Expired(late) if late == self.side => return Ok(Vec::new()),
            Class::Expired(_) => return Ok(self.won(Act::TimeOut)),
            Class::Turn(turn, _) if turn != self.side => return Ok(Vec::new()),
            Class::Turn(..) => {}
        }
        let acts = self.turn(&found.game, live, look.now, cases)?;
        if acts.is_empty() && self.given_up.insert(found.head.hash) {
            tracing::error!(
                dispute = %found.address,
                batch = found.head.number,
                "there is nothing to say in one's own turn: this dispute will be lost"
            );
        }
        Ok(acts)
    }

    /// All that the player does in its turn: several moves where the other side's are not between them.
    fn turn(
        &mut self,
        game: &Game,
        live: bool,
        now: u64,
        cases: &impl Cases,
    ) -> Result<Vec<Act>, DisputeError> {
        let mut game = game.clone();
        let player = self.player(&game.header, cases)?;
        let mut acts = Vec::new();
        loop {
            match player.next(&game, live, now) {
                Next::Play(made) => {
                    if game.play(made.clone(), live, now).is_err() {
                        return Ok(acts);
                    }
                    let after = disputes::name(&game);
                    acts.push(Act::Play { made, after });
                }
                Next::Prove(kind, bytes) => {
                    let page = player.page(&game);
                    acts.extend(self.won(Act::Prove { kind, bytes, page }));
                    return Ok(acts);
                }
                Next::TimeOut | Next::Wait(_) | Next::Nothing | Next::Over => return Ok(acts),
            }
        }
    }

    fn player(&mut self, header: &Header, cases: &impl Cases) -> Result<&mut Player, DisputeError> {
        use std::collections::hash_map::Entry;
        Ok(match self.players.entry(header.hash()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(cases.player(header)?),
        })
    }

    /// What ends a dispute in one's favour, and what is done then.
    fn won(&self, end: Act) -> Vec<Act> {
        let claim = Act::ClaimPayout { to: self.side };
        match self.side {
            Side::Challenger => vec![end, claim, Act::Close],
            Side::Asserter => vec![end, claim],
        }
    }

    /// What is left to do in a dispute that is decided.
    fn settle(&self, found: &Found) -> Vec<Act> {
        let other = self.side.other();
        let mut acts = Vec::new();
        if found.due(self.side) > 0 {
            acts.push(Act::ClaimPayout { to: self.side });
        }
        // The rent is the challenger's, so closing is. The other side may never take what it has won; but
        // if it cannot be paid, that must not stand in the way of what is one's own.
        if self.side == Side::Challenger && found.head.bond == 0 {
            match (acts.is_empty(), found.due(other) > 0) {
                (true, true) => acts.extend([Act::ClaimPayout { to: other }, Act::Close]),
                (false, true) => {}
                (_, false) => acts.push(Act::Close),
            }
        }
        acts
    }

    /// What opens a dispute over a wrong batch, unless there is or was one, or there is nothing to prove.
    async fn opening(
        &mut self,
        header: &Header,
        look: &Look,
        cases: &impl Cases,
    ) -> Result<Option<(Table, Vec<Act>)>, DisputeError> {
        let (hash, key) = (header.hash(), self.carrier.key());
        let Some(slot) = look.chain.live(header.number, &hash) else {
            return Ok(None);
        };
        let batch = Life {
            number: header.number,
            hash,
            life: slot.life,
        };
        let open = |found: &Found| found.head.bond > 0 && life(found) == batch;
        if look.found.iter().any(open) || self.given_up.contains(&hash) {
            return Ok(None);
        }
        if slot.window_end <= look.now {
            return Err(DisputeError::TooLate {
                batch: header.number,
            });
        }
        if self.store.disputed(&batch, key.as_array())? {
            // L1 may still take back what has decided it.
            if !self.settled().await?.iter().any(open) {
                self.given_up.insert(hash);
                let batch = header.number;
                tracing::error!(
                    batch,
                    "the dispute over this batch was lost: it is not opened again with this key"
                );
            }
            return Ok(None);
        }
        if look.found.iter().any(|found| life(found) == batch) {
            // Lost, but not for good yet.
            return Ok(None);
        }
        // An account that is not closed yet is in the way of its own number only.
        let taken: HashSet<u64> = look.found.iter().map(|found| found.head.id).collect();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let id = (0..=taken.len() as u64).map(|n| first.wrapping_add(n));
        let id = id
            .into_iter()
            .find(|id| !taken.contains(id))
            .unwrap_or(first);
        let table = Table::new(header, &key, id);
        let turn = tokio::task::block_in_place(|| self.turn(table.game(), true, 0, cases))?;
        if turn.is_empty() {
            self.given_up.insert(hash);
            return Err(DisputeError::Nothing {
                batch: header.number,
            });
        }
        let rent = self.carrier.rpc().rent(Dispute::size()).await?;
        let need = rent + header.params.dispute_bond + FEES;
        let have = self.carrier.rpc().balance(&key).await?;
        if have < need {
            return Err(DisputeError::Poor { key, need, have });
        }
        let mut acts = vec![Act::Open { id }];
        acts.extend(turn);
        Ok(Some((table, acts)))
    }
}

/// The batch that a dispute is over.
fn life(found: &Found) -> Life {
    Life {
        number: found.head.number,
        hash: found.head.hash,
        life: found.head.life,
    }
}

/// Whether a dispute is open over any pending batch.
fn disputed(chain: &Chain) -> bool {
    let pending = chain.final_number + 1..=chain.tip_number;
    let mut slots = pending.map(|n| &chain.slots[(n % chain.slots.len() as u64) as usize]);
    slots.any(|slot| slot.disputes > 0)
}
