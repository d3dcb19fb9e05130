//! Which extensions of Token-2022 a mint may have: an allow-list.
//!
//! Allowed are the two that only say what the token is: the pointer to metadata, and metadata in
//! the mint itself. Everything else can change amounts, block transfers or hand out the vault, or
//! is nothing that a deposit needs. A freeze authority is no extension; it is accepted, and
//! whoever uses it on the vault stops withdrawals of that mint alone.
//!
//! The list is checked once, at registration: Token-2022 accepts extensions of a mint only before
//! the mint is initialised (apart from metadata and groups, which do nothing), and a mint without
//! a close authority never goes away.

use crate::errors::BridgeError;
use anchor_lang::prelude::*;
use anchor_spl::token_2022::spl_token_2022::extension::{
    BaseStateWithExtensions, ExtensionType, StateWithExtensions,
};
use anchor_spl::token_2022::spl_token_2022::state::Mint;

/// Checks the extensions in the bytes of a mint account, whichever token program owns it.
pub fn check_mint(data: &[u8]) -> Result<()> {
    let mint = StateWithExtensions::<Mint>::unpack(data)?;
    // An extension that is newer than this program cannot be named, and is refused as well: here,
    // or before that where the vault is created.
    let extensions = mint
        .get_extension_types()
        .map_err(|_| BridgeError::MintExtensionNotAllowed)?;
    match extensions.into_iter().find_map(refusal) {
        Some(reason) => Err(reason.into()),
        None => Ok(()),
    }
}

/// Why an extension is refused; `None` for one that is allowed.
fn refusal(extension: ExtensionType) -> Option<BridgeError> {
    use ExtensionType as E;
    Some(match extension {
        E::MetadataPointer | E::TokenMetadata => return None,
        E::TransferFeeConfig => BridgeError::MintHasTransferFee,
        E::TransferHook => BridgeError::MintHasTransferHook,
        E::PermanentDelegate => BridgeError::MintHasPermanentDelegate,
        E::NonTransferable => BridgeError::MintNotTransferable,
        E::DefaultAccountState => BridgeError::MintHasDefaultState,
        E::ConfidentialTransferMint
        | E::ConfidentialTransferFeeConfig
        | E::ConfidentialMintBurn => BridgeError::MintHasConfidentialTransfers,
        E::MintCloseAuthority => BridgeError::MintCanBeClosed,
        E::InterestBearingConfig | E::ScaledUiAmount => BridgeError::MintIsScaled,
        E::Pausable => BridgeError::MintIsPausable,
        _ => BridgeError::MintExtensionNotAllowed,
    })
}
