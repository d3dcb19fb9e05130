//! The L2 ledger: what a batch says, what a transaction does, and what commits to both.
//!
//! * [`state`]: the components of the state root
//! * [`request`], [`transaction`], [`result`]: a transaction as signed, as shipped, and what came of it
//! * [`signature`]: the one signature rule
//! * [`transition`]: what a transaction does; [`witness`]: the part of the state it needs for that
//! * `store`: the whole state in memory (feature `std`); [`tree`]: its Merkle trees
//! * [`inbox`], [`outbox`]: messages from and to L1
//! * [`header`]: a batch's header; [`batch`]: making a batch and doing it again
//! * [`codec`]: a batch's data, what is in it; [`data`]: its bytes in chunks
#![cfg_attr(not(feature = "std"), no_std)]
extern crate alloc;

pub mod batch;
pub mod codec;
pub mod data;
pub mod header;
pub mod inbox;
pub mod outbox;
pub mod request;
pub mod result;
pub mod signature;
pub mod state;
#[cfg(feature = "std")]
pub mod store;
pub mod transaction;
pub mod transition;
pub mod tree;
pub mod witness;

pub use assay_tensor::hash::Hash;
pub use assay_tensor::header::ProgramHeader;
pub use assay_tensor::merkle;
pub use signature::Signature;

/// An Ed25519 public key or a Solana address.
pub type Key = [u8; 32];

/// The mint of SOL, which has none: the zero key. Amounts are lamports.
pub const SOL: Key = [0; 32];

/// Version of the rules this crate implements: what a batch is settled and disputed under.
pub const RULES_VERSION: u16 = 1;
