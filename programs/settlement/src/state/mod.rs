//! The program's accounts, one file each.
//!
//! Turns and the upgrade timelock will each be a file here.

pub mod batch_data;
pub mod buffer;
pub mod chain;
pub mod demand;
pub mod dispute;
pub mod inbox_page;
pub mod rollup;
pub mod sequencer;
pub mod write_slots;

pub use batch_data::BatchData;
pub use buffer::Buffer;
pub use chain::{BatchSlot, Chain};
pub use demand::Demand;
pub use dispute::Dispute;
pub use inbox_page::{InboxEntry, InboxPage};
pub use rollup::{Config, Params, Rollup};
pub use sequencer::Sequencer;
pub use write_slots::WriteSlots;
