//! The transactions of an address, and what they did: the calls of programs in the order in which
//! they were made, inner ones too.
//!
//! Logs are not used: a stranger can fill them up. What a node gives is only a set of candidates,
//! which the callers check against hashes that L1 keeps.
//!
//! Anybody can name any address in transactions. L1's accounts say in which slots the transactions
//! are that a reader wants, so a reader walks the list of an address ([`Walk`]), where a page of a
//! thousand entries costs one call, and fetches the transactions of these slots only
//! ([`SlotReader`]). A slot with many candidates costs one call too.

mod slot;
mod walk;

pub use slot::{Blocks, FEW_PAGES, SlotReader, WIDTH};
pub use walk::{Walk, Walked};

use crate::rpc::{Rpc, RpcError};
use crate::wire;
use anchor_lang::{AnchorDeserialize, Discriminator};
use solana_client::rpc_client::GetConfirmedSignaturesForAddress2Config;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, UiInstruction, UiLoadedAddresses,
};

/// Signatures that a node gives at a time.
const PAGE: usize = 1_000;

/// A transaction that named an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub signature: Signature,
    /// Its slot.
    pub slot: u64,
    /// Whether it failed, and so did nothing.
    pub failed: bool,
}

/// A program that was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub program: Pubkey,
    /// With what accounts, as the instruction lists them.
    pub accounts: Vec<Pubkey>,
    /// With what data.
    pub data: Vec<u8>,
}

impl Call {
    /// Account number `index`; the default key if there are not so many.
    pub fn account(&self, index: usize) -> Pubkey {
        self.accounts.get(index).copied().unwrap_or_default()
    }

    /// The arguments of instruction `I`, if it is that which was called. They are read as the
    /// programs read them, from the front and whatever follows: a stricter reader would not see
    /// what L1 has taken.
    pub fn arguments<I: Discriminator + AnchorDeserialize>(&self) -> Option<I> {
        let mut rest = self.data.strip_prefix(I::DISCRIMINATOR)?;
        I::deserialize(&mut rest).ok()
    }
}

/// The transactions that named `address` before `before` (the newest for `None`), newest first:
/// as many as a node gives at a time. None are left when there are none.
pub async fn page(
    rpc: &Rpc,
    address: &Pubkey,
    before: Option<Signature>,
) -> Result<Vec<Entry>, RpcError> {
    let part = rpc
        .retry(|| {
            rpc.client().get_signatures_for_address_with_config(
                address,
                GetConfirmedSignaturesForAddress2Config {
                    before,
                    until: None,
                    limit: Some(PAGE),
                    commitment: Some(rpc.client().commitment()),
                },
            )
        })
        .await?;
    let entries = part.into_iter().filter_map(|status| {
        Some(Entry {
            signature: status.signature.parse().ok()?,
            slot: status.slot,
            failed: status.err.is_some(),
        })
    });
    Ok(entries.collect())
}

/// The `most` newest transactions that named `address`, newest first, for reports: strangers can
/// push others out.
pub async fn newest(rpc: &Rpc, address: &Pubkey, most: usize) -> Result<Vec<Entry>, RpcError> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let before = entries.last().map(|e| e.signature);
        let part = page(rpc, address, before).await?;
        let count = part.len();
        entries.extend(part);
        if count < PAGE || entries.len() >= most {
            entries.truncate(most);
            return Ok(entries);
        }
    }
}

/// The fee of a transaction in lamports, and its bytes on the wire.
pub fn cost(transaction: &EncodedConfirmedTransactionWithStatusMeta) -> (u64, u64) {
    let fee = transaction.transaction.meta.as_ref().map_or(0, |m| m.fee);
    let decoded = transaction.transaction.transaction.decode();
    let bytes = decoded.map_or(0, |t| wire::bytes_of(&t.message) as u64);
    (fee, bytes)
}

/// Who paid for a transaction, and the fee in lamports.
pub fn payer(transaction: &EncodedConfirmedTransactionWithStatusMeta) -> (Option<Pubkey>, u64) {
    let fee = transaction.transaction.meta.as_ref().map_or(0, |m| m.fee);
    let decoded = transaction.transaction.transaction.decode();
    let payer = decoded.and_then(|t| t.message.static_account_keys().first().copied());
    (payer, fee)
}

/// The calls of a transaction, in the order in which they began.
pub fn calls(transaction: &EncodedConfirmedTransactionWithStatusMeta) -> Vec<Call> {
    let Some(decoded) = transaction.transaction.transaction.decode() else {
        return Vec::new();
    };
    let Some(meta) = &transaction.transaction.meta else {
        return Vec::new();
    };
    let mut keys = decoded.message.static_account_keys().to_vec();
    let loaded: Option<UiLoadedAddresses> = meta.loaded_addresses.clone().into();
    if let Some(loaded) = loaded {
        let all = loaded.writable.iter().chain(&loaded.readonly);
        keys.extend(all.map(|key| key.parse::<Pubkey>().unwrap_or_default()));
    }
    let inner: Option<Vec<_>> = meta.inner_instructions.clone().into();
    let inner = inner.unwrap_or_default();
    let key = |i: u8| keys.get(usize::from(i)).copied().unwrap_or_default();
    let call = |program: u8, accounts: &[u8], data: &[u8]| Call {
        program: key(program),
        accounts: accounts.iter().map(|i| key(*i)).collect(),
        data: data.to_vec(),
    };
    let mut found = Vec::new();
    for (i, instruction) in decoded.message.instructions().iter().enumerate() {
        found.push(call(
            instruction.program_id_index,
            &instruction.accounts,
            &instruction.data,
        ));
        for group in inner.iter().filter(|g| usize::from(g.index) == i) {
            for instruction in &group.instructions {
                if let UiInstruction::Compiled(c) = instruction
                    && let Ok(data) = bs58::decode(&c.data).into_vec()
                {
                    found.push(call(c.program_id_index, &c.accounts, &data));
                }
            }
        }
    }
    found
}
