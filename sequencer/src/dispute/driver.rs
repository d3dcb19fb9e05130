//! The loop that both sides use.

use super::act::{Act, Table};
use super::carry::Carrier;
use super::cases::{Cases, Player};
use super::error::DisputeError;
use assay_client::accounts;
use assay_client::disputes::{self, Found, Of};
use assay_client::rpc::Rpc;
use assay_client::sender::Landed;
use assay_dispute::Side;
use assay_dispute::game::{Class, Dispute as Game};
use assay_dispute::player::Next;
use assay_ledger::Hash;
use assay_ledger::header::Header;
use futures::StreamExt;
use settlement::state::{Chain, Dispute};
use solana_pubkey::Pubkey;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Disputes in which something is sent at a time.
const WIDTH: usize = 16;
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
    /// By the hash of their batches' headers.
    players: HashMap<Hash, Player>,
    /// Batches over which a player had nothing to say in its own turn: no dispute is opened over them
    /// again.
    speechless: HashSet<Hash>,
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

impl Driver {
    /// Plays the disputes of the carrier's key on this side.
    pub fn new(carrier: Carrier, side: Side) -> Self {
        Self {
            carrier,
            side,
            players: HashMap::new(),
            speechless: HashSet::new(),
            busy: true,
            clean: false,
        }
    }

    /// What carries its moves.
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    /// Whether there may be something left to do, as of the last step.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Looks at the key's disputes and does in each what is to be done; and opens one over each `wrong`
    /// batch over which it has none. Whether something was done, so that there may be more at once.
    pub async fn step(
        &mut self,
        cases: &impl Cases,
        wrong: &[Header],
    ) -> Result<bool, DisputeError> {
        let Some(look) = self.look(wrong).await? else {
            return Ok(false);
        };
        let mut trouble = None;
        let mut todo: Vec<(Table, Vec<Act>)> = Vec::new();
        for found in &look.found {
            let acts = tokio::task::block_in_place(|| self.acts(found, &look, cases));
            match acts {
                Ok(acts) => todo.push((found.into(), acts)),
                Err(error) => {
                    tracing::error!(%error, dispute = %found.address, "a dispute cannot be played");
                    trouble.get_or_insert(error);
                }
            }
        }
        for header in wrong {
            match self.opening(header, &look, cases).await {
                Ok(opening) => todo.extend(opening),
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        todo.retain(|(_, acts)| !acts.is_empty());
        let any = !todo.is_empty();
        if any {
            self.busy = true;
        }
        let (carrier, side) = (&self.carrier, self.side);
        let mut carried = futures::stream::iter(todo)
            .map(|(table, acts)| async move { carrier.carry(&table, side, &acts).await })
            .buffer_unordered(WIDTH);
        while let Some(result) = carried.next().await {
            if let Err(error) = result {
                tracing::warn!(%error, "a step of a dispute: looking again");
                self.clean = false;
                trouble.get_or_insert(error);
            }
        }
        drop(carried);
        if !self.clean {
            self.clean = self.carrier.sweep().await?;
        }
        match trouble {
            Some(error) => Err(error),
            None => Ok(any),
        }
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
        let now = rpc.slot().await?;
        self.busy = found.iter().any(|found| match self.side {
            Side::Challenger => true,
            // Closing is the challenger's.
            Side::Asserter => !found.head.is_settled(),
        });
        let mut batches: HashSet<Hash> = found.iter().map(|f| f.head.hash).collect();
        batches.extend(wrong.iter().map(Header::hash));
        self.players.retain(|hash, _| batches.contains(hash));
        Ok(Some(Look { chain, now, found }))
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
                return Ok(vec![Act::Resolve, Act::ClaimPayout, Act::Close]);
            }
            Class::Moot => return Ok(self.settle(found)),
            Class::Expired(late) if late == self.side => return Ok(Vec::new()),
            Class::Expired(_) => return Ok(self.won(Act::TimeOut)),
            Class::Turn(turn, _) if turn != self.side => return Ok(Vec::new()),
            Class::Turn(..) => {}
        }
        let acts = self.turn(&found.game, live, look.now, cases)?;
        if acts.is_empty() && self.speechless.insert(found.head.hash) {
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
        match self.side {
            Side::Challenger => vec![end, Act::ClaimPayout, Act::Close],
            Side::Asserter => vec![end, Act::ClaimPayout],
        }
    }

    /// What is left to do in a dispute that is decided.
    fn settle(&self, found: &Found) -> Vec<Act> {
        let head = &found.head;
        let (due, others) = match self.side {
            Side::Challenger => (head.challenger_due, head.asserter_due),
            Side::Asserter => (head.asserter_due, head.challenger_due),
        };
        let mut acts = Vec::new();
        if due > 0 {
            acts.push(Act::ClaimPayout);
        }
        // The rent is the challenger's, so closing is.
        if self.side == Side::Challenger && head.bond == 0 && others == 0 {
            acts.push(Act::Close);
        }
        acts
    }

    /// What opens a dispute over a wrong batch, unless one is open or there is nothing to prove.
    async fn opening(
        &mut self,
        header: &Header,
        look: &Look,
        cases: &impl Cases,
    ) -> Result<Option<(Table, Vec<Act>)>, DisputeError> {
        let (hash, key) = (header.hash(), self.carrier.key());
        let open = look
            .found
            .iter()
            .any(|found| found.head.hash == hash && found.head.bond > 0 && found.live(&look.chain));
        if open || self.speechless.contains(&hash) {
            return Ok(None);
        }
        let Some(slot) = look.chain.live(header.number, &hash) else {
            return Ok(None);
        };
        if slot.window_end <= look.now {
            return Err(DisputeError::TooLate {
                batch: header.number,
            });
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
            self.speechless.insert(hash);
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

/// Whether a dispute is open over any pending batch.
fn disputed(chain: &Chain) -> bool {
    let pending = chain.final_number + 1..=chain.tip_number;
    let mut slots = pending.map(|n| &chain.slots[(n % chain.slots.len() as u64) as usize]);
    slots.any(|slot| slot.disputes > 0)
}
