//! The instructions, one file each.

mod deposit_sol;
mod deposit_token;
mod register_mint;
mod withdraw_sol;
mod withdraw_token;

pub use deposit_sol::*;
pub use deposit_token::*;
pub use register_mint::*;
pub use withdraw_sol::*;
pub use withdraw_token::*;
