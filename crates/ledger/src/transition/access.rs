//! How the state transition sees the state.

use crate::Key;
use crate::inbox::Message;
use crate::outbox::OutboxLeaf;
use crate::state::{Account, InboxHead, Model, StateComponents};
use borsh::{BorshDeserialize, BorshSerialize};

/// The implementation cannot give what was asked for, or what it gave contradicts itself: a
/// witness is incomplete or forged. It says nothing about the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state access lacks or contradicts what the transition reads")]
pub struct NoAccess;

/// The state's components without the roots, which are not known in mid-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Heads {
    /// Number of accounts.
    pub accounts: u64,
    /// Number of models.
    pub models: u64,
    /// Messages from L1 consumed.
    pub inbox: InboxHead,
    /// Messages to L1 sent.
    pub outbox: u64,
    /// Work units used in this batch.
    pub units: u64,
}

impl From<&StateComponents> for Heads {
    fn from(c: &StateComponents) -> Self {
        Self {
            accounts: c.accounts.count,
            models: c.models.count,
            inbox: c.inbox,
            outbox: c.outbox.count,
            units: c.units,
        }
    }
}

/// The state as the transition reads and writes it.
///
/// Heads, accounts and models by index are what the state root commits to: an implementation
/// answers with those or with [`NoAccess`], never with anything else. [`StateAccess::neighbour`]
/// and [`StateAccess::read_message`] are hints that the transition checks, or binds into the root,
/// itself.
pub trait StateAccess {
    /// The counts.
    fn heads(&self) -> Heads;

    /// Account `index`; the transition asks only below [`Heads::accounts`].
    fn read_account(&mut self, index: u32) -> Result<Account, NoAccess>;

    /// A hint: the index of the account of `(owner, mint)` or, where there is none, of the one
    /// before it in the order of the list.
    fn neighbour(&mut self, owner: &Key, mint: &Key) -> Result<u32, NoAccess>;

    /// Replaces account `index`, or appends it where `index` is [`Heads::accounts`].
    fn write_account(&mut self, index: u32, account: Account) -> Result<(), NoAccess>;

    /// Model `index`; the transition asks only below [`Heads::models`].
    fn read_model(&mut self, index: u32) -> Result<Model, NoAccess>;

    /// Replaces model `index`, or appends it where `index` is [`Heads::models`].
    fn write_model(&mut self, index: u32, model: Model) -> Result<(), NoAccess>;

    /// The message at the inbox cursor, if L1 has sent one. The transition folds it into the
    /// chain's value, which whoever trusts the result compares with L1's.
    fn read_message(&mut self) -> Result<Option<Message>, NoAccess>;

    /// Moves the inbox on by one message.
    fn write_inbox(&mut self, inbox: InboxHead) -> Result<(), NoAccess>;

    /// Appends a message to L1.
    fn push_outbox(&mut self, leaf: OutboxLeaf) -> Result<(), NoAccess>;

    /// Sets the work units used in this batch.
    fn write_units(&mut self, units: u64) -> Result<(), NoAccess>;

    /// The components, with roots.
    fn read_components(&mut self) -> Result<StateComponents, NoAccess>;
}

/// Looks for the account of `(owner, mint)`: its index, or else the index of the one before,
/// which proves that there is none. A hint that proves neither is refused.
pub(crate) fn find(
    state: &mut impl StateAccess,
    owner: &Key,
    mint: &Key,
) -> Result<Found, NoAccess> {
    let key = (owner, mint);
    let hint = state.neighbour(owner, mint)?;
    let account = read(state, hint)?;
    let at = (&account.owner, &account.mint);
    if at == key {
        return Ok(Found::At(hint));
    }
    if at > key {
        return Err(NoAccess);
    }
    if account.next != 0 {
        let next = read(state, account.next)?;
        if (&next.owner, &next.mint) <= key {
            return Err(NoAccess);
        }
    }
    Ok(Found::After(hint))
}

/// Account `index`, which must exist.
fn read(state: &mut impl StateAccess, index: u32) -> Result<Account, NoAccess> {
    if u64::from(index) >= state.heads().accounts {
        return Err(NoAccess);
    }
    state.read_account(index)
}

/// Where an account is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The account's index.
    At(u32),
    /// There is none; this is the index of the one before.
    After(u32),
}
