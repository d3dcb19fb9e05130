//! The whole state in memory: what a sequencer and a verifier run on.

use crate::inbox::Message;
use crate::outbox::{self, OutboxLeaf};
use crate::state::{
    ACCOUNT_DEPTH, Account, InboxHead, MODEL_DEPTH, Model, StateComponents, TreeHead,
};
use crate::transition::{Heads, NoAccess, StateAccess};
use crate::tree::{Touched, Tree};
use crate::{Hash, Key, inbox};
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::{BTreeMap, VecDeque};

/// The whole state, with indices, trees hashed when a root is asked for, checkpoints, and a
/// record of what changed for whoever keeps it on disk.
#[derive(Clone, Debug)]
pub struct FullState {
    accounts: Vec<Account>,
    by_key: BTreeMap<(Key, Key), u32>,
    models: Vec<Model>,
    outbox: Vec<OutboxLeaf>,
    inbox: InboxHead,
    units: u64,
    account_tree: Tree,
    model_tree: Tree,
    outbox_tree: Tree,
    /// Messages from L1 known so far, from index `first_message` on.
    messages: VecDeque<Message>,
    first_message: u64,
    /// How to get back to the checkpoints, the last change last.
    undo: Vec<Undo>,
    checkpoints: usize,
    changed_accounts: Touched,
    changed_models: Touched,
    /// Leaves of the outbox that [`FullState::take_changes`] has given out.
    saved_outbox: usize,
}

/// One change, the other way round.
#[derive(Clone, Copy, Debug)]
enum Undo {
    Account(u32, Account),
    NewAccount,
    Model(u32, Model),
    NewModel,
    Outbox,
    Inbox(InboxHead),
    Units(u64),
}

/// A state to come back to: see [`FullState::checkpoint`].
#[derive(Debug)]
#[must_use = "a checkpoint ends with rollback or release"]
pub struct Checkpoint {
    undo: usize,
}

/// What changed since the last time: whole values by index, to be written over what is kept.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Changes {
    /// The counts and heads now. What is kept at or past a count no longer exists.
    pub heads: Heads,
    /// Accounts by index, ascending.
    pub accounts: Vec<(u32, Account)>,
    /// Models by index, ascending.
    pub models: Vec<(u32, Model)>,
    /// New leaves of the outbox by index, ascending.
    pub outbox: Vec<(u64, OutboxLeaf)>,
}

/// What was kept is not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Fewer accounts, models or outbox leaves than the heads say.
    #[error("parts of the state are missing")]
    Missing,
    /// The accounts are not one list in the order of their keys.
    #[error("the accounts are not one ordered list")]
    List,
    /// A model's publisher does not exist.
    #[error("a model's publisher does not exist")]
    Publisher,
}

impl FullState {
    /// The state of a new rollup.
    pub fn genesis() -> Self {
        let mut state = Self {
            accounts: Vec::new(),
            by_key: BTreeMap::new(),
            models: Vec::new(),
            outbox: Vec::new(),
            inbox: InboxHead {
                cursor: 0,
                chain: inbox::GENESIS,
            },
            units: 0,
            account_tree: Tree::new(ACCOUNT_DEPTH),
            model_tree: Tree::new(MODEL_DEPTH),
            outbox_tree: Tree::new(outbox::DEPTH),
            messages: VecDeque::new(),
            first_message: 0,
            undo: Vec::new(),
            checkpoints: 0,
            changed_accounts: Touched::default(),
            changed_models: Touched::default(),
            saved_outbox: 0,
        };
        state.append_account(Account::SENTINEL);
        state
    }

    /// The state from what was kept of it, by index from 0: what [`FullState::take_changes`] gave
    /// out, put together. Anything past the heads' counts is ignored. Nothing counts as changed.
    pub fn from_parts(
        heads: &Heads,
        accounts: impl IntoIterator<Item = Account>,
        models: impl IntoIterator<Item = Model>,
        outbox: impl IntoIterator<Item = OutboxLeaf>,
    ) -> Result<Self, Corrupt> {
        let mut state = Self::genesis();
        state.accounts.clear();
        state.by_key.clear();
        let limit = |count: u64| usize::try_from(count).map_err(|_| Corrupt::Missing);
        for account in accounts.into_iter().take(limit(heads.accounts)?) {
            state.append_account(account);
        }
        for model in models.into_iter().take(limit(heads.models)?) {
            state.model_tree.touch(state.models.len() as u64);
            state.models.push(model);
        }
        for leaf in outbox.into_iter().take(limit(heads.outbox)?) {
            state.outbox_tree.touch(state.outbox.len() as u64);
            state.outbox.push(leaf);
        }
        state.inbox = heads.inbox;
        state.units = heads.units;
        state.first_message = heads.inbox.cursor;
        if state.heads() != *heads {
            return Err(Corrupt::Missing);
        }
        state.check_list()?;
        let count = state.accounts.len() as u64;
        if state.models.iter().any(|m| u64::from(m.publisher) >= count) {
            return Err(Corrupt::Publisher);
        }
        state.changed_accounts = Touched::default();
        state.saved_outbox = state.outbox.len();
        Ok(state)
    }

    /// Whether the accounts are one list from the sentinel through all of them, in order.
    fn check_list(&self) -> Result<(), Corrupt> {
        let mut ordered = self.by_key.values();
        let mut at = ordered.next().copied();
        if at != Some(0) || self.by_key.len() != self.accounts.len() {
            return Err(Corrupt::List);
        }
        while let Some(index) = at {
            at = ordered.next().copied();
            if self.accounts[index as usize].next != at.unwrap_or(0) {
                return Err(Corrupt::List);
            }
        }
        Ok(())
    }

    /// The counts and heads.
    pub fn heads(&self) -> Heads {
        Heads {
            accounts: self.accounts.len() as u64,
            models: self.models.len() as u64,
            inbox: self.inbox,
            outbox: self.outbox.len() as u64,
            units: self.units,
        }
    }

    /// The components of the state root. Hashes what changed since the last time.
    pub fn components(&mut self) -> StateComponents {
        self.flush();
        StateComponents {
            accounts: TreeHead {
                count: self.accounts.len() as u64,
                root: self.account_tree.root(),
            },
            models: TreeHead {
                count: self.models.len() as u64,
                root: self.model_tree.root(),
            },
            inbox: self.inbox,
            outbox: TreeHead {
                count: self.outbox.len() as u64,
                root: self.outbox_tree.root(),
            },
            units: self.units,
        }
    }

    fn flush(&mut self) {
        let (accounts, models, outbox) = (&self.accounts, &self.models, &self.outbox);
        self.account_tree
            .flush(accounts.len() as u64, |i| accounts[i as usize].leaf());
        self.model_tree
            .flush(models.len() as u64, |i| models[i as usize].leaf());
        self.outbox_tree
            .flush(outbox.len() as u64, |i| outbox[i as usize].hash());
    }

    /// Starts the next batch: no work units are used in it yet.
    pub fn start_batch(&mut self) {
        self.log(Undo::Units(self.units));
        self.units = 0;
    }

    /// Account `index`.
    pub fn account(&self, index: u32) -> Option<Account> {
        self.accounts.get(index as usize).copied()
    }

    /// The account of `owner` in `mint`, with its index.
    pub fn find(&self, owner: &Key, mint: &Key) -> Option<(u32, Account)> {
        let index = *self.by_key.get(&(*owner, *mint))?;
        Some((index, self.account(index)?))
    }

    /// All accounts of `owner`, with their indices, in the order of their mints.
    pub fn accounts_of(&self, owner: &Key) -> impl Iterator<Item = (u32, Account)> + '_ {
        self.by_key
            .range((*owner, [0; 32])..=(*owner, [0xff; 32]))
            .map(|(_, index)| (*index, self.accounts[*index as usize]))
    }

    /// Every account, by index.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Model `index`.
    pub fn model(&self, index: u32) -> Option<Model> {
        self.models.get(index as usize).copied()
    }

    /// Every model, by index.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Leaf `index` of the outbox.
    pub fn outbox_leaf(&self, index: u64) -> Option<OutboxLeaf> {
        self.outbox.get(usize::try_from(index).ok()?).copied()
    }

    /// Siblings of leaf `index` of the outbox as it was when it had `count` leaves: what
    /// [`outbox::verify`] takes. `None` unless `index < count <= leaves now`.
    pub fn outbox_path(&mut self, index: u64, count: u64) -> Option<Vec<Hash>> {
        self.flush();
        (index < count && count <= self.outbox.len() as u64)
            .then(|| self.outbox_tree.path_at(index, count))
    }

    /// Siblings of account `index`, from the leaf's level up.
    pub fn account_path(&mut self, index: u32) -> Option<Vec<Hash>> {
        self.flush();
        self.account(index)?;
        Some(self.account_tree.path(u64::from(index)))
    }

    /// Siblings of model `index`, from the leaf's level up.
    pub fn model_path(&mut self, index: u32) -> Option<Vec<Hash>> {
        self.flush();
        self.model(index)?;
        Some(self.model_tree.path(u64::from(index)))
    }

    /// The three trees, up to date: accounts, models, outbox.
    pub(crate) fn trees(&mut self) -> (&Tree, &Tree, &Tree) {
        self.flush();
        (&self.account_tree, &self.model_tree, &self.outbox_tree)
    }

    /// Sum of all balances in `mint`.
    pub fn total(&self, mint: &Key) -> u128 {
        let in_mint = self.accounts.iter().filter(|a| a.mint == *mint);
        in_mint.map(|a| u128::from(a.balance)).sum()
    }

    /// Adds the next message that L1 has sent, after all that were added before (after the inbox
    /// cursor in a state [from parts](FullState::from_parts)).
    pub fn push_message(&mut self, message: Message) {
        self.messages.push_back(message);
    }

    /// Index of the next message that [`FullState::push_message`] takes.
    pub fn next_push(&self) -> u64 {
        self.first_message + self.messages.len() as u64
    }

    /// The message at the inbox cursor, if it was added.
    pub fn next_message(&self) -> Option<&Message> {
        self.message(self.inbox.cursor)
    }

    /// Message `index`, if it was added and a rollback may still ask for it.
    pub fn message(&self, index: u64) -> Option<&Message> {
        let at = index.checked_sub(self.first_message)?;
        self.messages.get(usize::try_from(at).ok()?)
    }

    /// What changed since the last call (since the start, the first time).
    pub fn take_changes(&mut self) -> Changes {
        let accounts = self.changed_accounts.take(self.accounts.len() as u64);
        let models = self.changed_models.take(self.models.len() as u64);
        let saved = core::mem::replace(&mut self.saved_outbox, self.outbox.len());
        Changes {
            heads: self.heads(),
            accounts: accounts
                .into_iter()
                .map(|i| (i as u32, self.accounts[i as usize]))
                .collect(),
            models: models
                .into_iter()
                .map(|i| (i as u32, self.models[i as usize]))
                .collect(),
            outbox: (saved as u64..)
                .zip(self.outbox[saved..].iter().copied())
                .collect(),
        }
    }

    /// Remembers this state, to come back to it with [`FullState::rollback`] or to keep what
    /// follows with [`FullState::release`]. Checkpoints nest: the last one made ends first.
    pub fn checkpoint(&mut self) -> Checkpoint {
        self.checkpoints += 1;
        Checkpoint {
            undo: self.undo.len(),
        }
    }

    /// Goes back to `checkpoint`. Messages that were added since stay.
    pub fn rollback(&mut self, checkpoint: Checkpoint) {
        while self.undo.len() > checkpoint.undo {
            match self.undo.pop() {
                Some(Undo::Account(index, account)) => {
                    self.touch_account(index);
                    self.accounts[index as usize] = account;
                }
                Some(Undo::NewAccount) => {
                    if let Some(account) = self.accounts.pop() {
                        self.by_key.remove(&(account.owner, account.mint));
                    }
                    self.touch_account(self.accounts.len() as u32);
                }
                Some(Undo::Model(index, model)) => {
                    self.touch_model(index);
                    self.models[index as usize] = model;
                }
                Some(Undo::NewModel) => {
                    self.models.pop();
                    self.touch_model(self.models.len() as u32);
                }
                Some(Undo::Outbox) => {
                    self.outbox.pop();
                    self.outbox_tree.touch(self.outbox.len() as u64);
                    self.saved_outbox = self.saved_outbox.min(self.outbox.len());
                }
                Some(Undo::Inbox(inbox)) => self.inbox = inbox,
                Some(Undo::Units(units)) => self.units = units,
                None => break,
            }
        }
        self.release(checkpoint);
    }

    /// Keeps what was done since `checkpoint`.
    pub fn release(&mut self, _checkpoint: Checkpoint) {
        self.checkpoints = self.checkpoints.saturating_sub(1);
        if self.checkpoints == 0 {
            self.undo.clear();
            self.drop_consumed();
        }
    }

    /// Forgets the consumed messages, if no rollback can ask for them again.
    fn drop_consumed(&mut self) {
        while self.checkpoints == 0
            && self.first_message < self.inbox.cursor
            && self.messages.pop_front().is_some()
        {
            self.first_message += 1;
        }
    }

    fn log(&mut self, undo: Undo) {
        if self.checkpoints > 0 {
            self.undo.push(undo);
        }
    }

    fn touch_account(&mut self, index: u32) {
        self.account_tree.touch(u64::from(index));
        self.changed_accounts.insert(u64::from(index));
    }

    fn touch_model(&mut self, index: u32) {
        self.model_tree.touch(u64::from(index));
        self.changed_models.insert(u64::from(index));
    }

    fn append_account(&mut self, account: Account) {
        let index = self.accounts.len() as u32;
        self.by_key.insert((account.owner, account.mint), index);
        self.accounts.push(account);
        self.touch_account(index);
    }
}

impl StateAccess for FullState {
    fn heads(&self) -> Heads {
        FullState::heads(self)
    }

    fn read_account(&mut self, index: u32) -> Result<Account, NoAccess> {
        self.account(index).ok_or(NoAccess)
    }

    fn neighbour(&mut self, owner: &Key, mint: &Key) -> Result<u32, NoAccess> {
        let before = self.by_key.range(..=(*owner, *mint)).next_back();
        before.map(|(_, index)| *index).ok_or(NoAccess)
    }

    fn write_account(&mut self, index: u32, account: Account) -> Result<(), NoAccess> {
        let at = index as usize;
        if at == self.accounts.len() {
            self.log(Undo::NewAccount);
            self.append_account(account);
            return Ok(());
        }
        // An account keeps its key for ever.
        let same = |old: &&mut Account| (old.owner, old.mint) == (account.owner, account.mint);
        let old = self.accounts.get_mut(at).filter(same).ok_or(NoAccess)?;
        let old = core::mem::replace(old, account);
        self.log(Undo::Account(index, old));
        self.touch_account(index);
        Ok(())
    }

    fn read_model(&mut self, index: u32) -> Result<Model, NoAccess> {
        self.model(index).ok_or(NoAccess)
    }

    fn write_model(&mut self, index: u32, model: Model) -> Result<(), NoAccess> {
        let at = index as usize;
        if at > self.models.len() {
            return Err(NoAccess);
        }
        match self.models.get_mut(at) {
            Some(old) => {
                let old = core::mem::replace(old, model);
                self.log(Undo::Model(index, old));
            }
            None => {
                self.models.push(model);
                self.log(Undo::NewModel);
            }
        }
        self.touch_model(index);
        Ok(())
    }

    fn read_message(&mut self) -> Result<Option<Message>, NoAccess> {
        Ok(self.next_message().cloned())
    }

    fn write_inbox(&mut self, inbox: InboxHead) -> Result<(), NoAccess> {
        self.log(Undo::Inbox(self.inbox));
        self.inbox = inbox;
        self.drop_consumed();
        Ok(())
    }

    fn push_outbox(&mut self, leaf: OutboxLeaf) -> Result<(), NoAccess> {
        self.log(Undo::Outbox);
        self.outbox_tree.touch(self.outbox.len() as u64);
        self.outbox.push(leaf);
        Ok(())
    }

    fn write_units(&mut self, units: u64) -> Result<(), NoAccess> {
        self.log(Undo::Units(self.units));
        self.units = units;
        Ok(())
    }

    fn read_components(&mut self) -> Result<StateComponents, NoAccess> {
        Ok(self.components())
    }
}
