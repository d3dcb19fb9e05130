//! Demands for the blobs that a sequencer's batches name, answered from its own blobs.
//!
//! Like a dispute's moves, answers follow from the demand's account and the blobs alone; the program takes
//! each piece once.

use super::carry::Carrier;
use super::error::DisputeError;
use crate::store::blobs::{BlobError, Blobs, LoadedModel};
use anchor_lang::{AccountDeserialize, Discriminator};
use assay_client::accounts;
use assay_client::instructions::{demands as make, disputes};
use assay_client::rpc::RpcError;
use assay_client::sender::Order;
use assay_client::wire::{self, Budget};
use assay_dispute::demand::{Answer, Blob, Demand as Rules};
use assay_ledger::Hash;
use assay_tensor::commit::{CHUNK, chunk_hashes, tensor_roots};
use assay_tensor::leaves::{List, TypeLeaf};
use assay_tensor::merkle;
use assay_tensor::program::CheckedProgram;
use futures::{StreamExt, TryStreamExt};
use settlement::state::Demand;
use settlement::state::demand::DemandClass;
use solana_client::rpc_filter::{Memcmp, RpcFilterType};
use solana_pubkey::Pubkey;
use std::sync::Arc;

/// Compute units of an answer, at most.
const UNITS: u32 = 200_000;
/// Answers in flight at a time.
const WIDTH: usize = 8;
/// Where the batch's sequencer is in a demand's account: after discriminator, version, bump and state,
/// rollup and demander.
const ASSERTER: usize = 8 + 3 + 32 + 32;

/// A model whose pieces are demanded, as far as it is here.
pub struct Pieces {
    program: CheckedProgram,
    model: Option<LoadedModel>,
}

impl Pieces {
    /// The program of a demand, and its parameters if they are demanded.
    pub fn load(blobs: &Blobs, rules: &Rules) -> Result<Self, BlobError> {
        let root = rules.program.root();
        let model = match rules.pieces.of {
            Blob::Chunks { .. } => Some(blobs.model(&root, &rules.parameters_root)?),
            _ => None,
        };
        Ok(Self {
            program: match &model {
                Some(model) => (*model.program).clone(),
                None => blobs.program(&root)?,
            },
            model,
        })
    }

    /// The answer for piece `place`; `None` if there is no such piece.
    pub fn answer(&self, rules: &Rules, place: u8) -> Option<Answer> {
        let index = rules.pieces.first.checked_add(place.into())?;
        match rules.pieces.of {
            Blob::Chunks { parameter } => self.chunk(parameter, index),
            Blob::Inputs => self.leaf(List::Inputs, index),
            Blob::Parameters => self.leaf(List::Parameters, index),
            Blob::Operators => self.leaf(List::Operators, index),
            Blob::Outputs => self.leaf(List::Outputs, index),
        }
    }

    fn leaf(&self, list: List, index: u64) -> Option<Answer> {
        let at = usize::try_from(index).ok()?;
        let of_type = |leaves: Vec<TypeLeaf>| leaves.get(at).map(TypeLeaf::encode);
        let bytes = match list {
            List::Inputs => of_type(self.program.input_leaves()),
            List::Parameters => of_type(self.program.parameter_leaves()),
            List::Operators => {
                let leaf = self.program.operator_leaf(u32::try_from(index).ok()?);
                leaf.map(|leaf| leaf.encode())
            }
            List::Outputs => self.program.output_leaves().get(at).map(|l| l.encode()),
        };
        Some(Answer::Leaf {
            bytes: bytes?,
            path: merkle::path(&self.program.leaf_hashes(list), index)?,
        })
    }

    fn chunk(&self, parameter: u32, index: u64) -> Option<Answer> {
        let parameters = &self.model.as_ref()?.parameters;
        let tensor = parameters.get(parameter as usize)?;
        let hashes: Vec<Hash> = chunk_hashes(tensor.data());
        let at = usize::try_from(index).ok()?;
        let bytes = tensor.data().chunks(CHUNK).nth(at);
        let types = self.program.parameter_leaves();
        Some(Answer::Chunk {
            ty: types.get(parameter as usize)?.encode(),
            ty_path: merkle::path(
                &self.program.leaf_hashes(List::Parameters),
                parameter.into(),
            )?,
            data_root: merkle::root(&hashes),
            parameter_path: merkle::path(&tensor_roots(parameters), parameter.into())?,
            // Past the parameter's end there is nothing, which is an answer too.
            path: match bytes {
                Some(_) => merkle::path(&hashes, index)?,
                None => Vec::new(),
            },
            bytes: bytes.unwrap_or_default().to_vec(),
        })
    }
}

/// Answers the open demands over the batches of the carrier's key. Whether there were any.
pub async fn answer_all(carrier: &Carrier, blobs: &Blobs) -> Result<bool, DisputeError> {
    let rpc = carrier.rpc();
    let chain = accounts::chain(rpc, carrier.rollup()).await?;
    let held = (chain.final_number + 1..=chain.tip_number)
        .any(|n| chain.slots[(n % chain.slots.len() as u64) as usize].disputes > 0);
    if !held {
        return Ok(false);
    }
    let now = rpc.slot().await?;
    let mut any = false;
    for (address, demand) in find(carrier).await? {
        if !matches!(demand.class(&chain, now), DemandClass::Open(_)) {
            continue;
        }
        any = true;
        let rules = demand.rules();
        let pieces = tokio::task::block_in_place(|| Pieces::load(blobs, &rules))?;
        let pieces = Arc::new(pieces);
        let places = (0..u64::BITS as u8).filter(|place| rules.left >> place & 1 == 1);
        let answers = places.filter_map(|place| Some((place, pieces.answer(&rules, place)?)));
        let mut sending = futures::stream::iter(answers.collect::<Vec<_>>())
            .map(|(place, answer)| async move { send(carrier, &address, place, &answer).await })
            .buffer_unordered(WIDTH);
        while sending.try_next().await?.is_some() {}
        tracing::info!(demand = %address, batch = demand.number, "a demand is answered");
    }
    Ok(any)
}

/// The demands over batches of the carrier's key.
async fn find(carrier: &Carrier) -> Result<Vec<(Pubkey, Demand)>, RpcError> {
    let bytes =
        |at: usize, bytes: &[u8]| RpcFilterType::Memcmp(Memcmp::new_base58_encoded(at, bytes));
    let filters = [
        RpcFilterType::DataSize(Demand::size() as u64),
        bytes(0, Demand::DISCRIMINATOR),
        bytes(8 + 3, carrier.rollup().as_ref()),
        bytes(ASSERTER, carrier.key().as_ref()),
    ];
    let found = carrier.rpc().owned(&settlement::ID, &filters).await?;
    let demand = |(address, account): (Pubkey, solana_account::Account)| {
        let read = Demand::try_deserialize(&mut account.data.as_slice());
        let demand = read.map_err(|e| RpcError::Account {
            address,
            expected: "demand",
            reason: e.to_string(),
        })?;
        Ok((address, demand))
    };
    found.into_iter().map(demand).collect()
}

/// Sends one answer, through a buffer if it does not fit a transaction.
async fn send(
    carrier: &Carrier,
    demand: &Pubkey,
    place: u8,
    answer: &Answer,
) -> Result<(), DisputeError> {
    let (rollup, key) = (carrier.rollup(), carrier.key());
    let wire = carrier.sender().wire().await?;
    let inline = make::answer(rollup, demand, &key, place, answer);
    let budget = Budget {
        units: UNITS,
        unit_price: 1,
        ..Budget::default()
    };
    let one = std::slice::from_ref(&inline);
    let message = wire::message(wire, &key, one, &budget, Default::default());
    let fits = message.is_ok_and(|message| wire::bytes_of(&message) <= wire.limit());
    let instructions = match fits {
        true => vec![inline],
        false => {
            // Writing to a vector cannot fail.
            let bytes = borsh::to_vec(answer).unwrap_or_default();
            let [a, b, c, d, e, f, g, _, ..] = demand.to_bytes();
            let id = u64::from_le_bytes([a, b, c, d, e, f, g, place]);
            let buffer = carrier.buffer(id, &bytes, |_, _, _| {}).await?;
            vec![
                make::answer_from_buffer(rollup, demand, &key, place, &buffer),
                disputes::close_buffer(&key, &buffer),
            ]
        }
    };
    let order = Order::new("answer", carrier.signer(), instructions).units(UNITS);
    let done = || async {
        let now: Option<Demand> = carrier.rpc().anchor(demand, "demand").await?;
        Ok(now.is_none_or(|now| now.over || now.left >> place & 1 == 0))
    };
    carrier.sender().send_unless(&order, done).await?;
    Ok(())
}
