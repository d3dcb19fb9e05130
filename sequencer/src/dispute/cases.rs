//! What the players know of a batch, from a store that has it or its parent.

use super::error::DisputeError;
use super::shelf::Shelf;
use crate::engine::rebuild::restore;
use crate::l1::posting::Posting;
use crate::replica::runs::Models;
use crate::store::Store;
use crate::verifier::board::Found;
use assay_client::wire::Wire;
use assay_dispute::game::Dispute as Game;
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Claims, Knowledge, Missing, Next};
use assay_ledger::Hash;
use assay_ledger::batch::Run;
use assay_ledger::header::Header;
use assay_ledger::state::StateComponents;
use settlement::state::InboxPage;
use std::sync::Arc;

/// Plays one side over one batch.
#[derive(Debug)]
pub enum Player {
    /// Answers.
    Asserter(Box<Asserter<Arc<Shelf>>>),
    /// Says that it is wrong.
    Challenger(Box<Challenger<Arc<Shelf>>>),
}

impl Player {
    /// What it does next.
    pub fn next(&mut self, game: &Game, live: bool, now: u64) -> Next {
        match self {
            Self::Asserter(player) => player.next(game, live, now),
            Self::Challenger(player) => player.next(game, live, now),
        }
    }

    /// The page of the inbox with the message that the disputed transaction consumes, if it
    /// consumes one.
    pub fn page(&self, game: &Game) -> Option<u64> {
        let Self::Challenger(player) = self else {
            return None;
        };
        let message = player.message(&game.stage)?;
        let known = player.knowledge();
        // Messages from the batch's cursor on are not there for it, and may not be on L1.
        (message < known.header().state.inbox.cursor).then(|| InboxPage::page_of(message))
    }
}

/// Makes players.
pub trait Cases: Send + Sync {
    /// The player of the batch with this header. Blocks.
    fn player(&self, header: &Header) -> Result<Player, DisputeError>;
}

/// What a sequencer answers with: the batches that it made, as its store has them.
pub struct Own {
    /// The store.
    pub store: Arc<Store>,
    /// The models.
    pub shelf: Arc<Shelf>,
    /// The form of its transactions.
    pub wire: Wire,
    /// What goes to L1 in place of these batches, in a development network.
    pub posting: Posting,
}

impl Own {
    /// What it says of the batch with this header.
    pub fn claims(&self, header: &Header) -> Result<Claims, DisputeError> {
        if let Some(lie) = self.posting.claims(header) {
            return Ok(lie);
        }
        let records = self.store.transactions(header.number)?;
        // What was answered, not what the models would give now.
        let ran = records.iter().map(|record| &record.result);
        let ran = ran.filter(|result| result.program_root != [0; 32]);
        let roots: Vec<Option<Hash>> = ran.map(|result| Some(result.output_root)).collect();
        let known = knowledge(&self.store, header, |_| roots);
        let claims = Claims::honest(&mut known?);
        claims.ok_or_else(|| unknown(header, "it holds a transaction that may not be there"))
    }
}

impl Cases for Own {
    fn player(&self, header: &Header) -> Result<Player, DisputeError> {
        let claims = self.claims(header)?;
        let room = match self.wire {
            Wire::Legacy => LEGACY_ROOM,
            Wire::Version1 => VERSION_1_ROOM,
        };
        let asserter = Asserter::new(claims, self.shelf.clone(), room);
        Ok(Player::Asserter(Box::new(asserter)))
    }
}

/// What is known of batch `header.number` from a store that has it, or has its parent as the newest one with
/// all the messages since.
pub fn knowledge(
    store: &Store,
    header: &Header,
    outputs: impl FnOnce(&[Run]) -> Vec<Option<Hash>>,
) -> Result<Knowledge, DisputeError> {
    let own = store.batch(header.number)?;
    if own.is_none_or(|own| own.header != *header) {
        return Err(unknown(header, "another batch has its number here"));
    }
    let parent = store.batch(header.number - 1)?.map(|record| record.header);
    let before = match &parent {
        Some(parent) => parent.state.next_batch(),
        None => StateComponents::genesis(),
    };
    let state = restore(store, header.number - 1, &before);
    let mut state = state.map_err(|e| unknown(header, &e.to_string()))?;
    let consumed = header
        .state
        .inbox
        .cursor
        .saturating_sub(before.inbox.cursor);
    let messages = store.messages(before.inbox.cursor)?;
    for message in messages.into_iter().take(consumed as usize) {
        state.push_message(message);
    }
    let data = store.data(header.number)?;
    let data = data.ok_or_else(|| unknown(header, "its data is not here"))?;
    Knowledge::new(*header, parent, state, data, outputs).map_err(|e| missing(header, e))
}

/// What a verifier disputes: the batch after the newest one of its replica, or one that it has.
pub struct Theirs {
    /// The replica's.
    pub store: Arc<Store>,
    /// The batch that is wrong.
    pub wrong: Option<Arc<Found>>,
    /// What runs its models.
    pub models: Arc<Models>,
    /// The same models for whoever proves something about them.
    pub shelf: Arc<Shelf>,
}

impl Cases for Theirs {
    fn player(&self, header: &Header) -> Result<Player, DisputeError> {
        let mut stopped = None;
        let outputs = |runs: &[Run]| match self.models.run_all(runs) {
            Ok(ran) => ran.roots,
            Err(e) => {
                stopped = Some(e);
                Vec::new()
            }
        };
        let store = &self.store;
        let wrong = self.wrong.as_ref().filter(|w| w.header() == header);
        let mut known = match wrong {
            Some(found) => {
                let parent = store.batch(header.number - 1)?.map(|record| record.header);
                let (state, data) = (found.before.clone(), found.wrong.batch.data.clone());
                Knowledge::new(*header, parent, state, data, outputs)
                    .map_err(|e| missing(header, e))?
            }
            None if store.batch(header.number)?.is_none() => {
                return Err(unknown(header, "it has not been done again yet"));
            }
            // One that was right, as far as is known: opened by hand, or found to be wrong later.
            None => knowledge(store, header, outputs)?,
        };
        if let Some(e) = stopped {
            return Err(e.into());
        }
        if !known.unknown().is_empty()
            && let Some(word) = self.models.word(header, known.runs())
        {
            let taken = known.take_word(&word);
            tracing::warn!(batch = header.number, taken, "runs cannot be done again");
        }
        let challenger = Challenger::new(known, self.shelf.clone());
        Ok(Player::Challenger(Box::new(challenger)))
    }
}

fn missing(header: &Header, e: Missing) -> DisputeError {
    unknown(header, &e.to_string())
}

fn unknown(header: &Header, why: &str) -> DisputeError {
    DisputeError::Unknown {
        batch: header.number,
        why: why.into(),
    }
}
