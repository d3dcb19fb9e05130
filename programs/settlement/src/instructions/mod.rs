//! One file an instruction: its accounts, its checks, what it does.

pub mod add_bond;
pub mod claim_fees;
pub mod close_data;
pub mod close_inbox_page;
pub mod close_sequencer;
pub mod enqueue;
pub mod finalize_batch;
pub mod initialize_rollup;
pub mod open_data;
pub mod post_batch;
pub mod register_sequencer;
pub mod request_unbond;
pub mod seal_data;
pub mod withdraw_bond;
pub mod write_chunks;

pub use add_bond::*;
pub use claim_fees::*;
pub use close_data::*;
pub use close_inbox_page::*;
pub use close_sequencer::*;
pub use enqueue::*;
pub use finalize_batch::*;
pub use initialize_rollup::*;
pub use open_data::*;
pub use post_batch::*;
pub use register_sequencer::*;
pub use request_unbond::*;
pub use seal_data::*;
pub use withdraw_bond::*;
pub use write_chunks::*;
