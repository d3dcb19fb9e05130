//! The tables. Values are borsh unless said otherwise; numbers of keys sort as numbers.

use super::StoreError;
use redb::{MultimapTableDefinition, TableDefinition, WriteTransaction};

/// Single values by name: `format`, `rollup`, `sequencer` (raw bytes), `progress`, `l1` (the sums over
/// the table of L1 transactions).
pub const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Account index -> account.
pub const ACCOUNTS: TableDefinition<u32, &[u8]> = TableDefinition::new("accounts");
/// Owner, mint -> account index. An owner's accounts are one range.
pub const OWNERS: TableDefinition<(&[u8; 32], &[u8; 32]), u32> = TableDefinition::new("owners");
/// Model index -> model.
pub const MODELS: TableDefinition<u32, &[u8]> = TableDefinition::new("models");
/// Outbox index -> batch, leaf.
pub const OUTBOX: TableDefinition<u64, (u64, &[u8])> = TableDefinition::new("outbox");
/// L1 recipient -> outbox indices of withdrawals to it.
pub const RECIPIENTS: MultimapTableDefinition<&[u8; 32], u64> =
    MultimapTableDefinition::new("recipients");
/// L1 job -> outbox index of its result, batch and position of the transaction that ran it.
pub const JOBS: TableDefinition<&[u8; 32], (u64, u64, u32)> = TableDefinition::new("jobs");
/// Batch, position -> transaction record.
pub const TRANSACTIONS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("transactions");
/// Request id -> batch, position.
pub const IDS: TableDefinition<&[u8; 32], (u64, u32)> = TableDefinition::new("ids");
/// Batch -> batch record. Closed batches only.
pub const BATCHES: TableDefinition<u64, &[u8]> = TableDefinition::new("batches");
/// Batch -> its data, raw bytes.
pub const DATA: TableDefinition<u64, &[u8]> = TableDefinition::new("data");
/// Batch, L1 signature -> what the L1 transaction did and cost.
pub const L1: TableDefinition<(u64, &[u8; 64]), &[u8]> = TableDefinition::new("l1");
/// Batch, account index -> the account as it was before that batch; only accounts that were there.
/// For the batches that are not final: what may have to be taken back.
pub const UNDO_ACCOUNTS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("undo accounts");
/// Batch, model index -> the model as it was before that batch, likewise.
pub const UNDO_MODELS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("undo models");
/// Batch, root -> a blob that a deployment or an update in that batch names. For the batches that are
/// not final: the blob may be demanded.
pub const NAMED: TableDefinition<(u64, &[u8; 32]), ()> = TableDefinition::new("named blobs");
/// Inbox index -> message. Those that batches which are not final have consumed.
pub const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// Batch, its hash, its life on L1, challenger -> that this challenger has disputed it. For the batches
/// that are not final: a dispute that was lost is not opened again.
pub const DISPUTED: TableDefinition<Disputed<'_>, ()> = TableDefinition::new("disputed");
/// A key of it.
pub type Disputed<'a> = (u64, &'a [u8; 32], u32, &'a [u8; 32]);
/// Batch, place of the transaction -> a run that could not be re-executed.
pub const UNVERIFIED: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("unverified");
/// Program, parameters, list or parameter, index -> the bytes of a piece of a model that L1 gave. For the models
/// that are not whole.
pub const PIECES: TableDefinition<Piece<'_>, &[u8]> = TableDefinition::new("pieces");
/// A key of it.
pub type Piece<'a> = (&'a [u8; 32], &'a [u8; 32], u32, u64);
/// Batch -> its hash and the rollup's count of reverts when it was last sent to L1. For the batches that are
/// not final.
pub const LIVES: TableDefinition<u64, (&[u8; 32], u32)> = TableDefinition::new("lives");

/// Root of a program that was deployed -> its header.
pub const PROGRAMS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("programs");

/// Makes the tables that are not there.
pub fn create_all(tx: &WriteTransaction) -> Result<(), StoreError> {
    tx.open_table(META)?;
    tx.open_table(ACCOUNTS)?;
    tx.open_table(OWNERS)?;
    tx.open_table(MODELS)?;
    tx.open_table(OUTBOX)?;
    tx.open_multimap_table(RECIPIENTS)?;
    tx.open_table(JOBS)?;
    tx.open_table(TRANSACTIONS)?;
    tx.open_table(IDS)?;
    tx.open_table(BATCHES)?;
    tx.open_table(DATA)?;
    tx.open_table(L1)?;
    tx.open_table(UNDO_ACCOUNTS)?;
    tx.open_table(UNDO_MODELS)?;
    tx.open_table(NAMED)?;
    tx.open_table(MESSAGES)?;
    tx.open_table(DISPUTED)?;
    tx.open_table(LIVES)?;
    tx.open_table(PIECES)?;
    tx.open_table(UNVERIFIED)?;
    tx.open_table(PROGRAMS)?;
    Ok(())
}
