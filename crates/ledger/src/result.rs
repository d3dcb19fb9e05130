//! What a transaction did.

use crate::Hash;
use borsh::{BorshDeserialize, BorshSerialize};

/// The result of a transaction: derived, hashed into its leaf, never shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxResult {
    /// A [`Status`] by number.
    pub status: u8,
    /// What the run of a model cost, in the model's mint; 0 if none ran.
    pub fee: u64,
    /// The program that ran; zero if none did.
    pub program_root: Hash,
    /// The parameters that it ran with; zero if none did.
    pub parameters_root: Hash,
    /// [`assay_tensor::commit::input_root`] of the bytes of all inputs; zero if none ran. So what ran
    /// is named by this result alone, whoever asked for it.
    pub input_root: Hash,
    /// Root over the outputs' roots; zero if none ran. The transition takes it as given.
    pub output_root: Hash,
}

impl TxResult {
    /// Bytes of the borsh encoding.
    pub const SIZE: usize = 1 + 8 + 4 * 32;

    /// The result of a transaction that runs no model.
    pub fn plain(status: Status) -> Self {
        Self {
            status: status as u8,
            ..Self::default()
        }
    }

    /// Whether the transaction did what it asked for.
    pub fn done(&self) -> bool {
        self.status == Status::Done as u8
    }

    /// The status by name; `None` for a number that has none.
    pub fn status(&self) -> Option<Status> {
        Status::from_number(self.status)
    }
}

/// How a transaction ended. Anything but [`Status::Done`] is a failure that moves no tokens: a
/// signed transaction's nonce is used up, a message is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Status {
    /// It did what it asked for.
    #[error("done")]
    Done = 0,
    /// The payer's balance is too small.
    #[error("the balance is too small")]
    InsufficientBalance = 1,
    /// A balance would exceed 2^64 - 1. No mint with a supply of 64 bits can reach this. A
    /// deposit is sent back through the outbox.
    #[error("a balance would overflow")]
    Overflow = 2,
    /// There are 2^24 accounts. A deposit is sent back through the outbox.
    #[error("there is no room for another account")]
    AccountsFull = 3,
    /// There are 2^16 models.
    #[error("there is no room for another model")]
    ModelsFull = 4,
    /// There are 2^32 messages in the outbox.
    #[error("there is no room in the outbox")]
    OutboxFull = 5,
    /// A job names a model that does not exist, or one of another program than the job's.
    #[error("there is no such model")]
    NoSuchModel = 6,
    /// The model's blobs may not have been fetched by everybody yet.
    #[error("the model is not callable yet")]
    NotCallable = 7,
    /// The payer's account is in another mint than the model's price; for a job, the price is
    /// not in SOL.
    #[error("the model is priced in another mint")]
    WrongMint = 8,
    /// The input does not have the model's input bytes.
    #[error("the input has not the size that the model takes")]
    InputSize = 9,
    /// A job's limit is below the model's price.
    #[error("the model costs more than the job's limit")]
    PriceLimit = 10,
    /// A job has less room than the model's output bytes.
    #[error("the output does not fit the job")]
    OutputSize = 11,
    /// A job would take the batch over its work units.
    #[error("the batch has no work units left for the job")]
    OverUnits = 12,
    /// The sequencer declined a job.
    #[error("the sequencer declined the job")]
    Declined = 13,
    /// A message's payload is not the encoding of what its kind says.
    #[error("the message does not decode")]
    BadMessage = 14,
    /// A forced transaction's owner has no account in the mint.
    #[error("the owner has no account in this mint")]
    NoAccount = 15,
    /// A deployed program's header is that of no program ([`ProgramHeader::is_flawed`]), its units
    /// are more than a batch may use, or its inputs or outputs are 4 GiB or more. Or a deployment or
    /// an update names parameters of a program that takes none, or none of one that takes some.
    ///
    /// [`ProgramHeader::is_flawed`]: crate::ProgramHeader::is_flawed
    #[error("the program's header is out of bounds, or it does not take such parameters")]
    BadProgram = 16,
    /// A transfer or a withdrawal of nothing: it would cost everybody an account's change, or a leaf of the
    /// outbox for ever.
    #[error("the amount is zero")]
    ZeroAmount = 17,
}

impl Status {
    /// Every status, in the order of their numbers.
    pub const ALL: [Self; 18] = [
        Self::Done,
        Self::InsufficientBalance,
        Self::Overflow,
        Self::AccountsFull,
        Self::ModelsFull,
        Self::OutboxFull,
        Self::NoSuchModel,
        Self::NotCallable,
        Self::WrongMint,
        Self::InputSize,
        Self::PriceLimit,
        Self::OutputSize,
        Self::OverUnits,
        Self::Declined,
        Self::BadMessage,
        Self::NoAccount,
        Self::BadProgram,
        Self::ZeroAmount,
    ];

    /// The status with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_found_by_its_number() {
        for (i, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, i);
            assert_eq!(Status::from_number(i as u8), Some(status));
        }
        assert_eq!(Status::from_number(Status::ALL.len() as u8), None);
    }
}
