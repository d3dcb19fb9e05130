//! The program's accounts, one file each.
//!
//! Disputes, turns and the upgrade timelock will each be a file here; what they need of the
//! present accounts is laid out in [`chain`].

pub mod batch_data;
pub mod chain;
pub mod inbox_page;
pub mod rollup;
pub mod sequencer;

pub use batch_data::BatchData;
pub use chain::{BatchSlot, Chain};
pub use inbox_page::{InboxEntry, InboxPage};
pub use rollup::{Config, Params, Rollup};
pub use sequencer::Sequencer;
