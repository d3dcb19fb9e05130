#![doc = include_str!("../README.md")]
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
#[cfg(feature = "std")]
pub mod snapshot;
pub mod state;
#[cfg(feature = "std")]
pub mod steps;
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
