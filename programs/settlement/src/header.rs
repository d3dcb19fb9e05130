//! A batch's header as `post_batch` takes it.
//!
//! The same fields in the same order as [`assay_ledger::header::Header`], whose borsh encoding
//! is therefore the same (a test pins it); they stand here again so that the IDL shows them.
//! What a header means, and its hash, are the ledger's.

use crate::errors::SettlementError;
use crate::state::Params;
use anchor_lang::prelude::*;
use assay_ledger::header::{Header, Lane};
use assay_ledger::state as ledger;

/// A fixed-depth tree: leaves in use, and its root.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Leaves in use.
    pub count: u64,
    /// The root.
    pub root: [u8; 32],
}

/// How far the L2 has read the inbox.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxHead {
    /// Messages consumed.
    pub cursor: u64,
    /// The chain's value after them.
    pub chain: [u8; 32],
}

/// The components of the state root.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateComponents {
    /// Accounts.
    pub accounts: TreeHead,
    /// Models.
    pub models: TreeHead,
    /// Messages from L1.
    pub inbox: InboxHead,
    /// Messages to L1.
    pub outbox: TreeHead,
    /// Work units used in the batch.
    pub units: u64,
}

/// A batch's header.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The rollup's account.
    pub rollup: Pubkey,
    /// Version of the rules that the batch was made under.
    pub rules: u16,
    /// Version of the batch codec.
    pub codec: u8,
    /// Where the data is: 0 for L1.
    pub lane: u8,
    /// From 1.
    pub number: u64,
    /// Hash of the parent's header.
    pub parent: [u8; 32],
    /// Who made it.
    pub sequencer: Pubkey,
    /// The state after it.
    pub state: StateComponents,
    /// Root over the transactions' leaves.
    pub tx_root: [u8; 32],
    /// Number of transactions.
    pub tx_count: u32,
    /// Root over the data's chunks.
    pub data_root: [u8; 32],
    /// Bytes of data.
    pub data_len: u32,
    /// The parameters in force.
    pub params: Params,
}

impl BatchHeader {
    /// The ledger's header with these fields.
    pub fn to_ledger(&self) -> Result<Header> {
        let lane = match self.lane {
            0 => Lane::L1,
            _ => return err!(SettlementError::UnknownLane),
        };
        Ok(Header {
            rollup: self.rollup.to_bytes(),
            rules: self.rules,
            codec: self.codec,
            lane,
            number: self.number,
            parent: self.parent,
            sequencer: self.sequencer.to_bytes(),
            state: self.state.into(),
            tx_root: self.tx_root,
            tx_count: self.tx_count,
            data_root: self.data_root,
            data_len: self.data_len,
            params: self.params.into(),
        })
    }
}

impl From<&Header> for BatchHeader {
    fn from(header: &Header) -> Self {
        Self {
            rollup: Pubkey::new_from_array(header.rollup),
            rules: header.rules,
            codec: header.codec,
            lane: header.lane as u8,
            number: header.number,
            parent: header.parent,
            sequencer: Pubkey::new_from_array(header.sequencer),
            state: header.state.into(),
            tx_root: header.tx_root,
            tx_count: header.tx_count,
            data_root: header.data_root,
            data_len: header.data_len,
            params: header.params.into(),
        }
    }
}

impl From<TreeHead> for ledger::TreeHead {
    fn from(TreeHead { count, root }: TreeHead) -> Self {
        Self { count, root }
    }
}

impl From<ledger::TreeHead> for TreeHead {
    fn from(ledger::TreeHead { count, root }: ledger::TreeHead) -> Self {
        Self { count, root }
    }
}

impl From<StateComponents> for ledger::StateComponents {
    fn from(state: StateComponents) -> Self {
        Self {
            accounts: state.accounts.into(),
            models: state.models.into(),
            inbox: ledger::InboxHead {
                cursor: state.inbox.cursor,
                chain: state.inbox.chain,
            },
            outbox: state.outbox.into(),
            units: state.units,
        }
    }
}

impl From<ledger::StateComponents> for StateComponents {
    fn from(state: ledger::StateComponents) -> Self {
        Self {
            accounts: state.accounts.into(),
            models: state.models.into(),
            inbox: InboxHead {
                cursor: state.inbox.cursor,
                chain: state.inbox.chain,
            },
            outbox: state.outbox.into(),
            units: state.units,
        }
    }
}
