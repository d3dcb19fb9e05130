//! One file an instruction: its accounts, its checks, what it does. The moves of a dispute, which
//! differ in their arguments only, share one ([`play`]), what may come from a buffer too is in one file
//! with what comes inline, and whatever convicts a batch shares what that does ([`court`]).

pub mod add_bond;
pub mod answer;
pub mod claim_fees;
pub mod claim_payout;
pub mod close_buffer;
pub mod close_data;
pub mod close_demand;
pub mod close_dispute;
pub mod close_inbox_page;
pub mod close_sequencer;
pub mod court;
pub mod enqueue;
pub mod finalize_batch;
pub mod initialize_rollup;
pub mod open_buffer;
pub mod open_data;
pub mod open_demand;
pub mod open_dispute;
pub mod play;
pub mod post_batch;
pub mod prove;
pub mod register_sequencer;
pub mod renew_lease;
pub mod request_unbond;
pub mod resolve;
pub mod resolve_demand;
pub mod seal_data;
pub mod time_out;
pub mod time_out_demand;
pub mod withdraw_bond;
pub mod write_buffer;
pub mod write_chunks;

pub use add_bond::*;
pub use answer::*;
pub use claim_fees::*;
pub use claim_payout::*;
pub use close_buffer::*;
pub use close_data::*;
pub use close_demand::*;
pub use close_dispute::*;
pub use close_inbox_page::*;
pub use close_sequencer::*;
pub use court::*;
pub use enqueue::*;
pub use finalize_batch::*;
pub use initialize_rollup::*;
pub use open_buffer::*;
pub use open_data::*;
pub use open_demand::*;
pub use open_dispute::*;
pub use play::*;
pub use post_batch::*;
pub use prove::*;
pub use register_sequencer::*;
pub use renew_lease::*;
pub use request_unbond::*;
pub use resolve::*;
pub use resolve_demand::*;
pub use seal_data::*;
pub use time_out::*;
pub use time_out_demand::*;
pub use withdraw_bond::*;
pub use write_buffer::*;
pub use write_chunks::*;

use crate::errors::SettlementError;
use anchor_lang::prelude::*;
use anchor_lang::solana_program::instruction::{TRANSACTION_LEVEL_STACK_HEIGHT, get_stack_height};

/// That this is an instruction of the transaction itself, whose data every archive of the chain keeps.
/// What one program tells another is an inner instruction, which not every archive does.
fn top_level() -> Result<()> {
    require_eq!(
        get_stack_height(),
        TRANSACTION_LEVEL_STACK_HEIGHT,
        SettlementError::InnerInstruction
    );
    Ok(())
}
