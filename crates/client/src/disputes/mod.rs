//! Reading disputes: the accounts as L1 has them; [`View`] says what they mean in plain words.

mod view;

pub use view::{View, side};

use crate::rpc::{Rpc, RpcError};
use anchor_lang::Discriminator;
use assay_dispute::Side;
use assay_dispute::game::{Class, Dispute as Game};
use settlement::state::dispute::state_name;
use settlement::state::{Buffer, Chain, Dispute};
use solana_account::Account;
use solana_client::rpc_filter::{Memcmp, RpcFilterType};
use solana_pubkey::Pubkey;

/// Where a dispute's rollup, challenger and asserter are in its account; a buffer's owner is where
/// the rollup is.
const ROLLUP: usize = 8;
const CHALLENGER: usize = ROLLUP + 32;
const ASSERTER: usize = CHALLENGER + 32;

/// A dispute as L1 has it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its account.
    pub address: Pubkey,
    /// Who plays over what, and what is at stake.
    pub head: Dispute,
    /// The game.
    pub game: Box<Game>,
    /// Name of the game's state, which the next move must tell.
    pub state: u64,
}

impl Found {
    fn new(address: Pubkey, account: &Account) -> Result<Self, RpcError> {
        let read = Dispute::read(&account.data).map_err(|e| RpcError::Account {
            address,
            expected: "dispute",
            reason: e.to_string(),
        });
        let (head, game, state) = read?;
        Ok(Self {
            address,
            head,
            game,
            state,
        })
    }

    /// Which side `key` is on, if on any. On both it is the challenger.
    pub fn side(&self, key: &Pubkey) -> Option<Side> {
        match key {
            key if *key == self.head.challenger => Some(Side::Challenger),
            key if *key == self.head.asserter => Some(Side::Asserter),
            _ => None,
        }
    }

    /// Lamports that a side may claim.
    pub fn due(&self, side: Side) -> u64 {
        match side {
            Side::Challenger => self.head.challenger_due,
            Side::Asserter => self.head.asserter_due,
        }
    }

    /// Whether its batch is pending.
    pub fn live(&self, chain: &Chain) -> bool {
        self.head.is_live(chain)
    }

    /// Where it stands in slot `now`.
    pub fn class(&self, chain: &Chain, now: u64) -> Class {
        self.game.class(self.live(chain), now)
    }
}

/// The name of a game's state, which the next move on it must tell.
pub fn name(game: &Game) -> u64 {
    // Writing to a vector cannot fail.
    state_name(&borsh::to_vec(game).unwrap_or_default())
}

/// The disputes of a rollup that concern somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// All of them.
    Anybody,
    /// Those that this key has opened.
    Challenger(Pubkey),
    /// Those over batches of this key.
    Asserter(Pubkey),
}

/// The disputes of `rollup`.
pub async fn find(rpc: &Rpc, rollup: &Pubkey, of: Of) -> Result<Vec<Found>, RpcError> {
    let mut filters = vec![
        RpcFilterType::DataSize(Dispute::size() as u64),
        bytes(0, Dispute::DISCRIMINATOR),
        bytes(ROLLUP, rollup.as_ref()),
    ];
    match of {
        Of::Anybody => {}
        Of::Challenger(key) => filters.push(bytes(CHALLENGER, key.as_ref())),
        Of::Asserter(key) => filters.push(bytes(ASSERTER, key.as_ref())),
    }
    let accounts = rpc.owned(&settlement::ID, &filters).await?;
    let mut found = accounts
        .iter()
        .map(|(address, account)| Found::new(*address, account))
        .collect::<Result<Vec<_>, _>>()?;
    // Nodes give them in any order.
    found.sort_by_key(|dispute| (dispute.head.number, dispute.address));
    Ok(found)
}

/// The dispute at `address`; `None` if there is none (any more).
pub async fn get(rpc: &Rpc, address: &Pubkey) -> Result<Option<Found>, RpcError> {
    let account = rpc.account(address).await?;
    let account = account.filter(|a| a.owner == settlement::ID && !a.data.is_empty());
    account.map(|a| Found::new(*address, &a)).transpose()
}

/// The buffers of `owner`.
pub async fn buffers(rpc: &Rpc, owner: &Pubkey) -> Result<Vec<Pubkey>, RpcError> {
    let filters = [
        bytes(0, Buffer::DISCRIMINATOR),
        bytes(ROLLUP, owner.as_ref()),
    ];
    let found = rpc.owned(&settlement::ID, &filters).await?;
    Ok(found.into_iter().map(|(address, _)| address).collect())
}

fn bytes(offset: usize, bytes: &[u8]) -> RpcFilterType {
    RpcFilterType::Memcmp(Memcmp::new_base58_encoded(offset, bytes))
}
