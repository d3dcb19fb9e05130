//! The program's accounts.

mod paid_page;
mod registered_mint;
mod sol_vault;

pub use paid_page::PaidPage;
pub use registered_mint::RegisteredMint;
pub use sol_vault::SolVault;
