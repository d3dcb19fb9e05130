//! The instructions, one file each.

mod claim_payment;
mod close_feed;
mod close_job;
mod create_feed;
mod create_job;
mod refund_job;
mod settle_job;

pub use claim_payment::*;
pub use close_feed::*;
pub use close_job::*;
pub use create_feed::*;
pub use create_job::*;
pub use refund_job::*;
pub use settle_job::*;
