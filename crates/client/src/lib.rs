//! Client of the Assay programs and of the sequencer's API.
//!
//! * [`api`]: types of the HTTP API, shared with the service
//! * [`pda`], [`instructions`], [`accounts`]: the programs' addresses, instructions and accounts
//! * [`rpc`]: a Solana node: reads that outlast a short outage
//! * [`wire`]: legacy and version-1 transactions, their sizes
//! * [`sender`]: sending transactions until they are on chain, and never twice

pub mod accounts;
pub mod api;
pub mod bundle;
pub mod deploy;
pub mod http;
pub mod inbox;
pub mod instructions;
pub mod l1;
pub mod l2;
pub mod pda;
pub mod rpc;
pub mod sender;
pub mod wallet;
pub mod wire;
