//! Messages from L1: a hash chain that a batch must follow in order.

use crate::{Hash, Key};
use alloc::vec;
use alloc::vec::Vec;
use assay_tensor::hash::hashv;
use borsh::io::{ErrorKind, Read, Result};
use borsh::{BorshDeserialize, BorshSerialize};

/// The chain's value before the first message.
pub const GENESIS: Hash = [0; 32];
/// The largest payload of a message in bytes.
pub const MAX_PAYLOAD: usize = 768;
/// The largest inline input of an L1 job in bytes.
pub const MAX_JOB_INPUT: usize = 512;

const CHAIN_TAG: &[u8] = b"assay:inbox:1";

/// Who sent a message, which decides what its payload is. The settlement program derives it
/// from the signer (the bridge's PDA, the escrow's PDA, or anybody), never from data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum MessageKind {
    /// The bridge: a [`Deposit`].
    Deposit = 0,
    /// The escrow: a [`Job`].
    Job = 1,
    /// Anybody, for the accounts of the key that signed: a [`Forced`].
    Forced = 2,
}

/// Tokens locked in the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Deposit {
    /// Who is credited on L2.
    pub owner: Key,
    /// What was locked.
    pub mint: Key,
    /// The measured change of the vault.
    pub amount: u64,
}

/// A job paid on L1, in lamports.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Job {
    /// Address of the escrow's job account: the job's name.
    pub job: Key,
    /// Index of the model.
    pub model: u32,
    /// The model's program: after a revert the index may be another's model, which is not run.
    pub program_root: Hash,
    /// The most that may be charged, in lamports.
    pub max_price: u64,
    /// Bytes of the output that the job has room for.
    pub output_bytes: u32,
    /// The model's inputs, at most [`MAX_JOB_INPUT`] bytes.
    pub input: Vec<u8>,
}

/// A transaction that an account's owner forces from L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Forced {
    /// To the L2 account of `to` in the same mint.
    Transfer {
        /// The key that signed on L1.
        owner: Key,
        /// What to move.
        mint: Key,
        /// Who receives.
        to: Key,
        /// How much.
        amount: u64,
    },
    /// To L1, through the outbox.
    Withdraw {
        /// The key that signed on L1.
        owner: Key,
        /// What to move.
        mint: Key,
        /// Who receives on L1.
        recipient: Key,
        /// How much.
        amount: u64,
    },
}

/// A message, opened.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Message {
    /// Who sent it.
    pub kind: MessageKind,
    /// The borsh encoding of what `kind` says, at most [`MAX_PAYLOAD`] bytes.
    #[borsh(deserialize_with = "read_payload")]
    pub payload: Vec<u8>,
}

/// Reads a payload; nothing is allocated for one that is too long.
fn read_payload<R: Read>(reader: &mut R) -> Result<Vec<u8>> {
    let length = u32::deserialize_reader(reader)? as usize;
    if length > MAX_PAYLOAD {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload)?;
    Ok(payload)
}

/// The chain's value after message number `index` (from 0) on top of `chain`.
pub fn chain_next(chain: &Hash, index: u64, kind: MessageKind, payload: &[u8]) -> Hash {
    hashv(&[
        CHAIN_TAG,
        chain,
        &index.to_le_bytes(),
        &[kind as u8],
        &(payload.len() as u32).to_le_bytes(),
        payload,
    ])
}
