//! The accounts that one transaction changes: changed in a working copy, written at the end.

use super::Stop;
use super::access::{Found, NoAccess, StateAccess, find};
use crate::Key;
use crate::result::Status;
use crate::state::{ACCOUNT_DEPTH, Account};
use alloc::vec::Vec;

/// Working copies of the accounts that a transaction touches. Nothing reaches the state before
/// [`Accounts::write`], so that a failure half-way leaves no trace.
pub(super) struct Accounts<'a, S> {
    state: &'a mut S,
    copies: Vec<(u32, Account)>,
    count: u64,
}

impl<'a, S: StateAccess> Accounts<'a, S> {
    pub(super) fn new(state: &'a mut S) -> Self {
        let count = state.heads().accounts;
        Self {
            state,
            copies: Vec::with_capacity(4),
            count,
        }
    }

    /// The working copy of account `index`, which exists.
    pub(super) fn get(&mut self, index: u32) -> Result<&mut Account, NoAccess> {
        let at = match self.copies.iter().position(|(i, _)| *i == index) {
            Some(at) => at,
            None => {
                let account = self.state.read_account(index)?;
                self.copies.push((index, account));
                self.copies.len() - 1
            }
        };
        Ok(&mut self.copies[at].1)
    }

    /// Index of the account of `(owner, mint)`, linked into the list if it is new. At most one
    /// account may be created in a transaction: the search looks at the state alone.
    pub(super) fn find_or_create(&mut self, owner: &Key, mint: &Key) -> Result<u32, Stop> {
        match find(self.state, owner, mint)? {
            Found::At(index) => Ok(index),
            Found::After(before) => {
                let index = u32::try_from(self.count)
                    .ok()
                    .filter(|i| *i < 1 << ACCOUNT_DEPTH)
                    .ok_or(Stop::Failed(Status::AccountsFull))?;
                let before = self.get(before)?;
                let next = core::mem::replace(&mut before.next, index);
                self.copies.push((
                    index,
                    Account {
                        owner: *owner,
                        mint: *mint,
                        balance: 0,
                        nonce: 0,
                        next,
                    },
                ));
                self.count += 1;
                Ok(index)
            }
        }
    }

    /// Takes `amount` from account `index`.
    pub(super) fn debit(&mut self, index: u32, amount: u64) -> Result<(), Stop> {
        let account = self.get(index)?;
        account.balance = account
            .balance
            .checked_sub(amount)
            .ok_or(Stop::Failed(Status::InsufficientBalance))?;
        Ok(())
    }

    /// Adds `amount` to account `index`.
    pub(super) fn credit(&mut self, index: u32, amount: u64) -> Result<(), Stop> {
        let account = self.get(index)?;
        account.balance = account
            .balance
            .checked_add(amount)
            .ok_or(Stop::Failed(Status::Overflow))?;
        Ok(())
    }

    /// Writes every copy to the state.
    pub(super) fn write(self) -> Result<(), NoAccess> {
        for (index, account) in self.copies {
            self.state.write_account(index, account)?;
        }
        Ok(())
    }
}
