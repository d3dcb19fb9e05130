#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod api;
pub mod batches;
pub mod bundle;
mod causes;
pub mod demands;
pub mod deploy;
pub mod disputes;
pub mod files;
pub mod history;
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

pub use causes::causes;
