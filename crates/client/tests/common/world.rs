//! A chain with batches, as a node tells of it.

use crate::common::{Answer, account, at, broken, error, landed};
use anchor_lang::AccountSerialize;
use assay_client::instructions::settlement as make;
use assay_client::pda;
use assay_client::wire::{self, Budget, Wire};
use assay_ledger::data::data_root;
use assay_ledger::header::{Header, Lane, genesis_hash};
use assay_ledger::state::StateComponents;
use assay_ledger::{RULES_VERSION, codec};
use serde_json::{Value, json};
use settlement::state::{Chain, Config, Params, Rollup, WriteSlots};
use solana_client::rpc_request::RpcRequest;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use solana_transaction::versioned::VersionedTransaction;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const WINDOW: u64 = 1_000;

pub fn params() -> Params {
    Params {
        window: WINDOW,
        bond_slice: 1,
        max_units: 1,
        max_records: 100,
        max_data: 100_000,
        model_delay: 1,
        sequencer_share: 0,
        clock: 1,
        extension: 1,
        dispute_bond: 1,
    }
}

pub fn rollup() -> Rollup {
    Rollup {
        version: 1,
        bump: 0,
        chain_bump: 0,
        id: 5,
        authority: Pubkey::default(),
        rules: 1,
        codec: 1,
        config: Config {
            bridge: bridge::ID,
            escrow: escrow::ID,
            params: params(),
            unbond_delay: WINDOW,
            inbox_grace: 1,
            inbox_batch: 1,
            inbox_fee_base: 0,
            inbox_fee_step: 0,
        },
        bridge_sender: Pubkey::new_from_array([1; 32]),
        escrow_sender: Pubkey::new_from_array([2; 32]),
        inbox_count: 0,
        inbox_chain: [0; 32],
        inbox_fees: 0,
        inbox_cursor: 0,
    }
}

/// A chain with batches, as a node tells of it.
#[derive(Clone)]
pub struct World {
    pub rollup: Pubkey,
    pub key: Arc<Keypair>,
    pub chain: Box<Chain>,
    pub headers: Vec<Header>,
    /// Newest last: name, slot, whether it failed.
    pub listed: Vec<(String, u64, bool)>,
    pub stored: HashMap<String, Value>,
    /// Transactions that the node fails to give.
    pub broken: HashSet<String>,
    /// The slots in which the data of the next batch was written.
    pub writes: Vec<u64>,
    /// Whether the node gives blocks.
    pub blocks: bool,
    /// Entries of a page of the node's lists, at most.
    pub page: u64,
}

impl World {
    pub fn new() -> Self {
        Self {
            rollup: pda::rollup(5),
            key: Arc::new(Keypair::new_from_array([9; 32])),
            chain: Box::new(bytemuck::Zeroable::zeroed()),
            headers: Vec::new(),
            listed: Vec::new(),
            stored: HashMap::new(),
            broken: HashSet::new(),
            writes: Vec::new(),
            blocks: true,
            page: 1_000,
        }
    }

    pub fn put(&mut self, slot: u64, instructions: &[Instruction], failed: bool) -> String {
        let mut hash = [3; 32];
        hash[..8].copy_from_slice(&(self.listed.len() as u64).to_le_bytes());
        let (transaction, _): (VersionedTransaction, usize) = wire::transaction(
            Wire::Legacy,
            &[self.key.as_ref()],
            instructions,
            &Budget::default(),
            hash.into(),
        )
        .unwrap();
        let name = transaction.signatures[0].to_string();
        self.stored.insert(name.clone(), landed(slot, &transaction));
        self.listed.push((name.clone(), slot, failed));
        name
    }

    pub fn data_account(&self) -> Pubkey {
        pda::batch_data(&self.key.pubkey(), 1)
    }

    /// Posts the next batch in `slot`.
    pub fn post(&mut self, slot: u64, data: &[u8]) -> String {
        let number = self.headers.len() as u64 + 1;
        let first = genesis_hash(&self.rollup.to_bytes());
        let header = Header {
            rollup: self.rollup.to_bytes(),
            rules: RULES_VERSION,
            codec: codec::VERSION,
            lane: Lane::L1,
            number,
            parent: self.headers.last().map_or(first, Header::hash),
            sequencer: self.key.pubkey().to_bytes(),
            state: StateComponents::genesis(),
            tx_root: [7; 32],
            tx_count: 1,
            data_root: data_root(data),
            data_len: data.len() as u32,
            params: params().into(),
        };
        self.headers.push(header);
        let ring = self.chain.slots.len() as u64;
        let place = &mut self.chain.slots[(number % ring) as usize];
        place.number = number;
        place.hash = header.hash();
        place.window_end = slot + WINDOW;
        self.chain.tip_number = number;
        self.chain.final_number = number.saturating_sub(3);
        let (me, account) = (self.key.pubkey(), self.data_account());
        let parent = &self.chain.slots[((number - 1) % ring) as usize];
        let parent_slot = parent.posted_slot(WINDOW);
        let writes = write_slots(&std::mem::take(&mut self.writes));
        let post = make::post_batch(&me, &account, &header, None, parent_slot, writes);
        self.put(slot, &[post], false)
    }

    /// A stranger's transaction in `slot` that names the chain.
    pub fn stranger(&mut self, slot: u64, failed: bool) -> String {
        let chain = pda::chain(&self.rollup);
        let mut noise = transfer(&self.key.pubkey(), &Pubkey::default(), 1);
        noise.accounts.push(AccountMeta::new_readonly(chain, false));
        self.put(slot, &[noise], failed)
    }

    pub fn answer(&self, request: RpcRequest, params: &Value) -> Answer {
        match request {
            RpcRequest::GetAccountInfo => {
                assert_eq!(params[0].as_str().unwrap(), self.rollup.to_string());
                let mut data = Vec::new();
                rollup().try_serialize(&mut data).unwrap();
                at(0, params, account(&settlement::ID, 1, &data))
            }
            RpcRequest::GetSignaturesForAddress => {
                let config = &params[1];
                let name = |key: &str| config[key].as_str().map(str::to_owned);
                let (before, until) = (name("before"), name("until"));
                let newest_first = self.listed.iter().rev();
                let after = newest_first
                    .skip_while(|(name, ..)| before.as_ref().is_some_and(|before| before != name));
                let part = after
                    .skip(usize::from(before.is_some()))
                    .take_while(|(name, ..)| until.as_ref() != Some(name))
                    .take(config["limit"].as_u64().unwrap().min(self.page) as usize);
                Ok(part
                    .map(|(name, slot, failed)| entry(name, *slot, *failed))
                    .collect())
            }
            RpcRequest::GetTransaction => {
                let name = params[0].as_str().unwrap();
                if self.broken.contains(name) {
                    return Err(broken());
                }
                Ok(self.stored.get(name).cloned().unwrap_or(Value::Null))
            }
            RpcRequest::GetBlock if self.blocks => {
                let slot = params[0].as_u64().unwrap();
                let here = self.listed.iter().filter(|(_, at, _)| *at == slot);
                let all = here.map(|(name, ..)| self.stored[name].clone());
                Ok(json!({ "blockhash": "", "transactions": all.collect::<Vec<_>>() }))
            }
            RpcRequest::GetBlock => Err(error(-32601)),
            other => panic!("{other}"),
        }
    }

    /// Writes a chunk of the next batch's data in `slot`.
    pub fn write(&mut self, slot: u64, first: u32, bytes: &[u8]) -> String {
        let write = make::write_chunks(
            &self.key.pubkey(),
            &self.data_account(),
            first,
            bytes.to_vec(),
        );
        self.writes.push(slot);
        self.put(slot, &[write], false)
    }
}

/// The slots of writes as the data account notes them.
pub fn write_slots(slots: &[u64]) -> WriteSlots {
    let first = slots.first().copied().unwrap_or_default();
    let mut bitmap = vec![0; 256];
    for slot in slots {
        let offset = slot - first;
        bitmap[(offset / 8) as usize] |= 1 << (offset % 8);
    }
    WriteSlots::new(first, &bitmap)
}

pub fn entry(name: &str, slot: u64, failed: bool) -> Value {
    json!({
        "signature": name, "slot": slot, "memo": null, "blockTime": null,
        "err": failed.then_some("AccountNotFound"), "confirmationStatus": "confirmed",
    })
}
