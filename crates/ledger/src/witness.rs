//! The part of the state that one transaction touches, opened against the state root.
//!
//! [`Witness`] is what somebody who has the whole state hands to somebody who has only its root.
//! Opened ([`Witness::open`]), it is a [`StateAccess`]: the transition runs on it as on the whole
//! state, and gives the root after.

use crate::inbox::Message;
use crate::outbox::{self, OutboxLeaf};
use crate::state::{
    ACCOUNT_DEPTH, Account, InboxHead, MODEL_DEPTH, Model, StateComponents, TreeHead,
};
use crate::transition::{Heads, NoAccess, StateAccess};
use crate::tree::fold;
use crate::{Hash, Key, merkle};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Some leaves of a tree, opened together.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Opening<T> {
    /// Leaves by index, ascending; `None` for a place that is not in use yet.
    pub leaves: Vec<(u32, Option<T>)>,
    /// The siblings that these leaves do not cover, as [`fold`] takes them.
    pub siblings: Vec<Hash>,
}

/// What one transaction touches of a state.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Witness {
    /// The components of the root before.
    pub components: StateComponents,
    /// Accounts that are read or written, and the place of one that is created.
    pub accounts: Opening<Account>,
    /// Models, likewise.
    pub models: Opening<Model>,
    /// Siblings of the outbox's next leaf, from the leaf's level up; empty if nothing is sent.
    pub outbox: Vec<Hash>,
    /// The message that is consumed. The root does not commit to it: who checks the transition
    /// compares the chain's value after it with L1's.
    pub message: Option<Message>,
}

/// The witness does not open what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWitness {
    /// The components do not have the root.
    #[error("the components are not those of the root")]
    Components,
    /// The accounts do not open in the components' tree.
    #[error("the accounts do not open")]
    Accounts,
    /// The models do not open in the components' tree.
    #[error("the models do not open")]
    Models,
    /// The outbox's next place does not open.
    #[error("the outbox does not open")]
    Outbox,
}

/// A witness that has been checked against a root: the part of the state that it opens.
#[derive(Clone, Debug)]
pub struct Partial {
    heads: Heads,
    before: StateComponents,
    accounts: Opening<Account>,
    models: Opening<Model>,
    outbox: Vec<Hash>,
    sent: Option<Hash>,
    message: Option<Message>,
}

impl<T: Copy> Opening<T> {
    fn root(&self, depth: u32, hash: impl Fn(&T) -> Hash) -> Option<Hash> {
        let leaf = |(i, l): &(u32, Option<T>)| {
            let hash = l.as_ref().map_or(merkle::EMPTY_LEAF, &hash);
            (u64::from(*i), hash)
        };
        let leaves: Vec<_> = self.leaves.iter().map(leaf).collect();
        fold(depth, &leaves, &self.siblings)
    }

    /// Whether this opens in the tree of `head`; nothing opens anywhere. A place in use and one
    /// that is not have different hashes, so that the root shows which is which.
    fn opens(&self, depth: u32, head: &TreeHead, hash: impl Fn(&T) -> Hash) -> bool {
        if self.leaves.is_empty() {
            return self.siblings.is_empty();
        }
        self.root(depth, hash) == Some(head.root)
    }

    fn get(&self, index: u32) -> Result<T, NoAccess> {
        let at = self.leaves.binary_search_by_key(&index, |(i, _)| *i);
        at.ok().and_then(|at| self.leaves[at].1).ok_or(NoAccess)
    }

    /// Replaces leaf `index`, or fills the place after the last leaf in use.
    fn set(&mut self, index: u32, value: T, count: &mut u64) -> Result<(), NoAccess> {
        let at = self.leaves.binary_search_by_key(&index, |(i, _)| *i);
        let leaf = &mut self.leaves[at.map_err(|_| NoAccess)?].1;
        if leaf.is_none() {
            if u64::from(index) != *count {
                return Err(NoAccess);
            }
            *count += 1;
        }
        *leaf = Some(value);
        Ok(())
    }

    /// The head of the tree with what is set now.
    fn head(
        &self,
        depth: u32,
        count: u64,
        before: &TreeHead,
        hash: impl Fn(&T) -> Hash,
    ) -> TreeHead {
        // The same shape gave the root before, so that it gives one now.
        let root = self.root(depth, hash).unwrap_or(before.root);
        TreeHead { count, root }
    }
}

impl Witness {
    /// Checks that this opens what it says in the state with this `root`.
    pub fn open(self, root: &Hash) -> Result<Partial, BadWitness> {
        let c = &self.components;
        if c.root() != *root {
            return Err(BadWitness::Components);
        }
        if !self
            .accounts
            .opens(ACCOUNT_DEPTH, &c.accounts, Account::leaf)
        {
            return Err(BadWitness::Accounts);
        }
        if !self.models.opens(MODEL_DEPTH, &c.models, Model::leaf) {
            return Err(BadWitness::Models);
        }
        let next = [(c.outbox.count, merkle::EMPTY_LEAF)];
        if !self.outbox.is_empty()
            && fold(outbox::DEPTH, &next, &self.outbox) != Some(c.outbox.root)
        {
            return Err(BadWitness::Outbox);
        }
        Ok(Partial {
            heads: Heads::from(c),
            before: self.components,
            accounts: self.accounts,
            models: self.models,
            outbox: self.outbox,
            sent: None,
            message: self.message,
        })
    }
}

impl StateAccess for Partial {
    fn heads(&self) -> Heads {
        self.heads
    }

    fn read_account(&mut self, index: u32) -> Result<Account, NoAccess> {
        self.accounts.get(index)
    }

    fn neighbour(&mut self, owner: &Key, mint: &Key) -> Result<u32, NoAccess> {
        let opened = self.accounts.leaves.iter();
        let used = opened.filter_map(|(i, a)| a.map(|a| (i, a.owner, a.mint)));
        let before = used.filter(|(_, o, m)| (o, m) <= (owner, mint));
        let nearest = before.max_by_key(|(_, o, m)| (*o, *m));
        nearest.map(|(i, ..)| *i).ok_or(NoAccess)
    }

    fn write_account(&mut self, index: u32, account: Account) -> Result<(), NoAccess> {
        self.accounts.set(index, account, &mut self.heads.accounts)
    }

    fn read_model(&mut self, index: u32) -> Result<Model, NoAccess> {
        self.models.get(index)
    }

    fn write_model(&mut self, index: u32, model: Model) -> Result<(), NoAccess> {
        self.models.set(index, model, &mut self.heads.models)
    }

    fn read_message(&mut self) -> Result<Option<Message>, NoAccess> {
        // That a witness has none does not show that L1 has sent none.
        self.message.clone().map(Some).ok_or(NoAccess)
    }

    fn write_inbox(&mut self, inbox: InboxHead) -> Result<(), NoAccess> {
        self.heads.inbox = inbox;
        // There is one message in a witness.
        self.message = None;
        Ok(())
    }

    fn push_outbox(&mut self, leaf: OutboxLeaf) -> Result<(), NoAccess> {
        if self.outbox.is_empty() || self.sent.is_some() {
            return Err(NoAccess);
        }
        self.sent = Some(leaf.hash());
        self.heads.outbox += 1;
        Ok(())
    }

    fn write_units(&mut self, units: u64) -> Result<(), NoAccess> {
        self.heads.units = units;
        Ok(())
    }

    fn read_components(&mut self) -> Result<StateComponents, NoAccess> {
        let b = &self.before;
        let sent = self
            .sent
            .and_then(|leaf| fold(outbox::DEPTH, &[(b.outbox.count, leaf)], &self.outbox));
        Ok(StateComponents {
            accounts: self.accounts.head(
                ACCOUNT_DEPTH,
                self.heads.accounts,
                &b.accounts,
                Account::leaf,
            ),
            models: self
                .models
                .head(MODEL_DEPTH, self.heads.models, &b.models, Model::leaf),
            inbox: self.heads.inbox,
            outbox: TreeHead {
                count: self.heads.outbox,
                root: sent.unwrap_or(b.outbox.root),
            },
            units: self.heads.units,
        })
    }
}

#[cfg(feature = "std")]
mod record {
    use super::*;
    use crate::signature::Assumed;
    use crate::store::FullState;
    use crate::transaction::Transaction;
    use crate::transition::{Env, apply_with};
    use std::collections::BTreeSet;

    /// The whole state, noting what is touched.
    struct Recorder<'a> {
        state: &'a mut FullState,
        accounts: BTreeSet<u32>,
        models: BTreeSet<u32>,
        sends: bool,
        message: Option<Message>,
    }

    impl StateAccess for Recorder<'_> {
        fn heads(&self) -> Heads {
            self.state.heads()
        }

        fn read_account(&mut self, index: u32) -> Result<Account, NoAccess> {
            self.accounts.insert(index);
            self.state.read_account(index)
        }

        fn neighbour(&mut self, owner: &Key, mint: &Key) -> Result<u32, NoAccess> {
            self.state.neighbour(owner, mint)
        }

        fn write_account(&mut self, index: u32, account: Account) -> Result<(), NoAccess> {
            self.accounts.insert(index);
            self.state.write_account(index, account)
        }

        fn read_model(&mut self, index: u32) -> Result<Model, NoAccess> {
            self.models.insert(index);
            self.state.read_model(index)
        }

        fn write_model(&mut self, index: u32, model: Model) -> Result<(), NoAccess> {
            self.models.insert(index);
            self.state.write_model(index, model)
        }

        fn read_message(&mut self) -> Result<Option<Message>, NoAccess> {
            self.message = self.state.next_message().cloned();
            Ok(self.message.clone())
        }

        fn write_inbox(&mut self, inbox: InboxHead) -> Result<(), NoAccess> {
            self.state.write_inbox(inbox)
        }

        fn push_outbox(&mut self, leaf: OutboxLeaf) -> Result<(), NoAccess> {
            self.sends = true;
            self.state.push_outbox(leaf)
        }

        fn write_units(&mut self, units: u64) -> Result<(), NoAccess> {
            self.state.write_units(units)
        }

        fn read_components(&mut self) -> Result<StateComponents, NoAccess> {
            self.state.read_components()
        }
    }

    impl Witness {
        /// What `tx` touches of `state`, which stays as it is.
        pub fn record(state: &mut FullState, env: &Env, tx: &Transaction) -> Self {
            let checkpoint = state.checkpoint();
            let mut recorder = Recorder {
                state,
                accounts: BTreeSet::new(),
                models: BTreeSet::new(),
                sends: false,
                message: None,
            };
            // Whatever comes of it: what matters is what was touched. The output root changes
            // values, never places, and a good signature touches whatever a bad one does.
            let _ = apply_with(&mut recorder, env, tx, [0; 32], &mut Assumed);
            let Recorder {
                accounts,
                models,
                sends,
                message,
                ..
            } = recorder;
            state.rollback(checkpoint);

            let components = state.components();
            let account = |i: &u32| (*i, state.account(*i));
            let model = |i: &u32| (*i, state.model(*i));
            let (accounts_opened, models_opened) = (
                accounts.iter().map(account).collect(),
                models.iter().map(model).collect(),
            );
            let wide = |set: &BTreeSet<u32>| set.iter().map(|i| u64::from(*i)).collect::<Vec<_>>();
            let (account_tree, model_tree, outbox_tree) = state.trees();
            Self {
                accounts: Opening {
                    leaves: accounts_opened,
                    siblings: account_tree.siblings(&wide(&accounts)),
                },
                models: Opening {
                    leaves: models_opened,
                    siblings: model_tree.siblings(&wide(&models)),
                },
                outbox: if sends {
                    outbox_tree.path(components.outbox.count)
                } else {
                    Vec::new()
                },
                components,
                message,
            }
        }
    }
}
