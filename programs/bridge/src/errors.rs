//! Errors: each says what is wrong and what to do.

use anchor_lang::prelude::*;

/// What the bridge refuses, and what to do about it.
#[error_code]
pub enum BridgeError {
    /// The rollup names another bridge.
    #[msg("this rollup has another bridge: use a rollup whose `bridge` is this program")]
    OtherBridge,
    /// A state account of another version.
    #[msg(
        "the account has a version that this program does not know: update the client or the program"
    )]
    UnknownVersion,
    /// An amount of nothing.
    #[msg("the amount is zero: deposit at least one base unit")]
    NothingToDeposit,
    /// The zero key cannot sign on L2, so the deposit would be lost.
    #[msg(
        "the owner is the zero key, which nobody can sign for: name the key that owns the L2 account"
    )]
    NoOwner,
    /// The token program does not own the mint.
    #[msg("the token program is not the one that owns the mint: pass the mint's owner")]
    OtherTokenProgram,
    /// Not the vault of this mint.
    #[msg("the token vault is not this mint's: pass [\"token_vault\", rollup, mint]")]
    OtherVault,
    /// More than was deposited.
    #[msg(
        "the vault holds less than that in deposits: the batch that made this withdrawal is wrong"
    )]
    VaultShort,
    /// Sums beyond 64 bits.
    #[msg("the amount does not fit 64 bits together with what the vault holds: deposit less")]
    Overflow,
    /// Paid before.
    #[msg("this withdrawal has been paid: nothing is left to do")]
    AlreadyPaid,
    /// The path does not lead to the root.
    #[msg(
        "the proof does not show this withdrawal in that batch's outbox: take leaf, index and siblings from one state of the outbox"
    )]
    WrongProof,
    /// A page of the bitmap that does not hold the index.
    #[msg("the page does not hold this leaf: pass [\"paid\", rollup, index / 4096]")]
    OtherPage,
    /// A new wallet would be below the rent-exempt minimum.
    #[msg(
        "the recipient would be below the rent-exempt minimum: send it lamports first, then repeat the withdrawal"
    )]
    RecipientBelowRent,
    /// Lamports cannot be added to an executable account.
    #[msg("the recipient is a program, which cannot be paid")]
    RecipientExecutable,
    /// A state's invariant does not hold.
    #[msg("internal: the vault holds less than the deposits not yet paid out")]
    VaultInvariant,
    /// A state's invariant does not hold.
    #[msg("internal: the page of paid withdrawals is inconsistent")]
    PageInvariant,

    // The extensions of Token-2022 that a mint may not have. See `extensions.rs`.
    /// TransferFeeConfig.
    #[msg(
        "mints with a transfer fee are refused: what arrives would differ from what is sent, and the authority can change the fee"
    )]
    MintHasTransferFee,
    /// TransferHook.
    #[msg(
        "mints with a transfer hook are refused: a stranger's program could block deposits and withdrawals"
    )]
    MintHasTransferHook,
    /// PermanentDelegate.
    #[msg("mints with a permanent delegate are refused: the delegate could empty the vault")]
    MintHasPermanentDelegate,
    /// NonTransferable.
    #[msg("non-transferable mints are refused: they cannot be deposited")]
    MintNotTransferable,
    /// DefaultAccountState.
    #[msg(
        "mints with a default account state are refused: new recipients would be frozen and could not be paid"
    )]
    MintHasDefaultState,
    /// ConfidentialTransferMint, ConfidentialTransferFeeConfig, ConfidentialMintBurn.
    #[msg(
        "mints with confidential transfers are refused: amounts that cannot be read cannot be accounted for"
    )]
    MintHasConfidentialTransfers,
    /// MintCloseAuthority.
    #[msg(
        "mints with a close authority are refused: the mint could be closed and made anew with other extensions"
    )]
    MintCanBeClosed,
    /// InterestBearingConfig, ScaledUiAmount.
    #[msg(
        "mints whose displayed amount is scaled are refused: wallets would show other amounts on L1 than on L2"
    )]
    MintIsScaled,
    /// Pausable.
    #[msg("pausable mints are refused: the authority could block all withdrawals at once")]
    MintIsPausable,
    /// Anything else, known or not.
    #[msg(
        "the mint has an extension that is not on the list (metadata pointer and token metadata only)"
    )]
    MintExtensionNotAllowed,
}
