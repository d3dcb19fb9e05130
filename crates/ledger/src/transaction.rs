//! A transaction in its shipped form: what a batch's data says.
//!
//! Accounts and models are named by index; whatever the state knows is left out.

use crate::{Hash, Key, ProgramHeader, Signature};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// A transaction as a batch ships it. Its borsh encoding is what a transaction leaf hashes; a
/// batch's data holds the same in columns ([`crate::codec`]).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Transaction {
    /// Consumes the next message from L1. What it says is read through the state.
    Inbox,
    /// Consumes the next message from L1, which must be a job, and declines it: always allowed,
    /// so that a model whose blobs are nowhere cannot stop the chain.
    DeclineJob,
    /// Moves tokens.
    Transfer {
        /// Index of the signer's account.
        from: u32,
        /// The receiver.
        to: Destination,
        /// In the mint's base units.
        amount: u64,
        /// The signer's.
        signature: Signature,
    },
    /// Moves tokens to L1.
    Withdraw {
        /// Index of the signer's account.
        from: u32,
        /// Who is paid on L1.
        recipient: Key,
        /// In the mint's base units.
        amount: u64,
        /// The signer's.
        signature: Signature,
    },
    /// Deploys a model; its index is the number of models before.
    Deploy {
        /// Index of the publisher's account, which signs.
        from: u32,
        /// The program's header.
        program: ProgramHeader,
        /// Root of the parameters.
        parameters_root: Hash,
        /// Price of one run, in the account's mint.
        price: u64,
        /// The publisher's.
        signature: Signature,
    },
    /// Updates a model; its publisher's account signs.
    Update {
        /// The model's index.
        model: u32,
        /// Root of the new parameters.
        parameters_root: Hash,
        /// The new price.
        price: u64,
        /// The publisher's.
        signature: Signature,
    },
    /// Runs a model.
    Infer {
        /// Index of the payer's account.
        from: u32,
        /// The model's index.
        model: u32,
        /// Whether the payer signed the version; it is then the model's present one.
        pinned: bool,
        /// The bytes of all inputs.
        input: Vec<u8>,
        /// The payer's.
        signature: Signature,
    },
}

impl Transaction {
    /// Its signature; `None` for the inbox's transactions, which nobody signs.
    pub fn signature(&self) -> Option<&Signature> {
        match self {
            Self::Inbox | Self::DeclineJob => None,
            Self::Transfer { signature, .. }
            | Self::Withdraw { signature, .. }
            | Self::Deploy { signature, .. }
            | Self::Update { signature, .. }
            | Self::Infer { signature, .. } => Some(signature),
        }
    }

    /// Whether it consumes a message from L1.
    pub fn consumes_message(&self) -> bool {
        matches!(self, Self::Inbox | Self::DeclineJob)
    }

    /// The borsh encoding in three parts, the input by itself: so that it is hashed, or written
    /// out, without a copy of it.
    pub fn encoding(&self) -> (Vec<u8>, &[u8], &[u8]) {
        match self {
            Self::Infer {
                from,
                model,
                pinned,
                input,
                signature,
            } => {
                let mut head = Vec::with_capacity(INFER_HEAD);
                head.push(INFER);
                head.extend_from_slice(&from.to_le_bytes());
                head.extend_from_slice(&model.to_le_bytes());
                head.push(u8::from(*pinned));
                head.extend_from_slice(&(input.len() as u32).to_le_bytes());
                (head, input, signature)
            }
            // Writing to a vector cannot fail.
            _ => (borsh::to_vec(self).unwrap_or_default(), &[], &[]),
        }
    }

    /// The transaction whose borsh encoding is exactly `bytes`. Nothing is allocated for a length
    /// that the bytes only claim.
    #[inline(never)]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.first() == Some(&INFER) {
            let length = bytes.get(INFER_HEAD - 4..INFER_HEAD)?.try_into().ok()?;
            let rest = bytes.len() - INFER_HEAD;
            if u32::from_le_bytes(length) as usize > rest {
                return None;
            }
        }
        Self::try_from_slice(bytes).ok()
    }
}

/// The number of [`Transaction::Infer`] in its encoding.
const INFER: u8 = 6;
/// Bytes before the input of a [`Transaction::Infer`]: its number, from, model, pinned, length.
const INFER_HEAD: usize = 1 + 4 + 4 + 1 + 4;

/// Who receives a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Destination {
    /// An account that exists, by index.
    Account(u32),
    /// A key that has no account in the mint yet: it gets one.
    New(Key),
}
