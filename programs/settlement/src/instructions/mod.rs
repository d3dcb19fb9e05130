//! One file an instruction: its accounts, its checks, what it does. The moves of a dispute, which
//! differ in their arguments only, share one ([`play`]), and whatever ends one shares what a
//! verdict does ([`court`]).

pub mod add_bond;
pub mod claim_fees;
pub mod claim_payout;
pub mod close_buffer;
pub mod close_data;
pub mod close_dispute;
pub mod close_inbox_page;
pub mod close_sequencer;
pub mod court;
pub mod enqueue;
pub mod finalize_batch;
pub mod initialize_rollup;
pub mod open_buffer;
pub mod open_data;
pub mod open_dispute;
pub mod play;
pub mod post_batch;
pub mod register_sequencer;
pub mod request_unbond;
pub mod resolve;
pub mod seal_data;
pub mod time_out;
pub mod withdraw_bond;
pub mod write_buffer;
pub mod write_chunks;

pub use add_bond::*;
pub use claim_fees::*;
pub use claim_payout::*;
pub use close_buffer::*;
pub use close_data::*;
pub use close_dispute::*;
pub use close_inbox_page::*;
pub use close_sequencer::*;
pub use court::*;
pub use enqueue::*;
pub use finalize_batch::*;
pub use initialize_rollup::*;
pub use open_buffer::*;
pub use open_data::*;
pub use open_dispute::*;
pub use play::*;
pub use post_batch::*;
pub use register_sequencer::*;
pub use request_unbond::*;
pub use resolve::*;
pub use seal_data::*;
pub use time_out::*;
pub use withdraw_bond::*;
pub use write_buffer::*;
pub use write_chunks::*;
