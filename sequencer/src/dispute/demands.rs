//! Demands for the blobs that a sequencer's batches name, answered from its own blobs.
//!
//! Like a dispute's moves, answers follow from the demand's account and the blobs alone; the program takes
//! each piece once.

use super::answers::Work;
use super::carry::Carrier;
use super::error::DisputeError;
use super::sending::{Sending, TOGETHER};
use super::shelf::{Listed, Shelf};
use crate::store::blobs::BlobError;
use assay_client::demands::{self, Found};
use assay_client::instructions::demands as make;
use assay_client::rpc::RpcError;
use assay_client::sender::Order;
use assay_client::{accounts, pda};
use assay_dispute::demand::{Answer, Blob, Demand as Rules};
use assay_dispute::player::Model;
use assay_tensor::commit::CHUNK;
use assay_tensor::leaves::{List, TypeLeaf};
use futures::StreamExt;
use settlement::state::Demand;
use settlement::state::demand::DemandClass;
use solana_pubkey::Pubkey;
use std::sync::Arc;

/// Compute units of an answer, at most.
const UNITS: u32 = 200_000;
/// Answers in flight at a time.
const WIDTH: usize = 8;

/// Answers the demands for what the batches of a key name.
pub struct Demands {
    carrier: Carrier,
    shelf: Arc<Shelf>,
    /// The answers, by the accounts of the demands.
    sending: Sending,
}

impl Demands {
    /// Answers those over the batches of the carrier's key.
    pub fn new(carrier: Carrier, shelf: Arc<Shelf>) -> Self {
        Self {
            carrier,
            shelf,
            sending: Sending::default(),
        }
    }

    /// The open demands, those that must be answered first before the others.
    async fn open(&self) -> Result<Vec<(Pubkey, Demand)>, DisputeError> {
        let rpc = self.carrier.rpc();
        let chain = accounts::chain(rpc, self.carrier.rollup()).await?;
        let demanded = (chain.final_number + 1..=chain.tip_number)
            .any(|n| chain.slots[(n % chain.slots.len() as u64) as usize].pieces > 0);
        if !demanded {
            return Ok(Vec::new());
        }
        let now = rpc.slot().await?;
        let found = find(&self.carrier).await?.into_iter();
        let open = found.filter_map(|found| match found.demand.class(&chain, now) {
            DemandClass::Open(until) => Some((until, found.address, found.demand)),
            _ => None,
        });
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|(until, address, _)| (*until, *address));
        let open = open.into_iter();
        Ok(open.map(|(_, address, demand)| (address, demand)).collect())
    }

    /// What there is to say to a demand. Blocks.
    fn answers(&self, demand: &Demand) -> Result<Vec<(u8, Answer)>, BlobError> {
        let rules = demand.rules();
        let pieces = Pieces::load(&self.shelf, &rules)?;
        let places = (0..u64::BITS as u8).filter(|place| rules.left >> place & 1 == 1);
        let answers = places.filter_map(|place| Some((place, pieces.answer(&rules, place)?)));
        Ok(answers.collect())
    }
}

impl Work for Demands {
    async fn step(&mut self) -> Result<bool, DisputeError> {
        let open = self.open().await?;
        self.sending
            .retain(|name| open.iter().any(|(address, _)| address.as_array() == name));
        for (address, demand) in open {
            let name = address.to_bytes();
            if !self.sending.is_free(&name) {
                continue;
            }
            match tokio::task::block_in_place(|| self.answers(&demand)) {
                Ok(answers) if answers.is_empty() => {}
                Ok(answers) => {
                    let sends = send_all(self.carrier.clone(), address, demand.number, answers);
                    self.sending.start(vec![name], sends).await?;
                }
                Err(error) => self.sending.failed(name, error.into())?,
            }
        }
        self.sending.some(TOGETHER).await
    }
}

/// Sends the answers to a demand; one that is refused does not stop the others.
async fn send_all(
    carrier: Carrier,
    demand: Pubkey,
    batch: u64,
    answers: Vec<(u8, Answer)>,
) -> Result<(), DisputeError> {
    let (carrier, address) = (&carrier, &demand);
    let mut sending = futures::stream::iter(answers)
        .map(|(place, answer)| async move { send(carrier, address, place, &answer).await })
        .buffer_unordered(WIDTH);
    let mut all = Ok(());
    while let Some(sent) = sending.next().await {
        all = all.and(sent);
    }
    if all.is_ok() {
        tracing::info!(%demand, batch, "a demand is answered");
    }
    all
}

/// A model whose pieces are demanded, as far as it is needed.
struct Pieces {
    program: Arc<Listed>,
    /// With its parameters, if they are demanded.
    model: Option<Arc<Model>>,
}

impl Pieces {
    /// The program of a demand, and its parameters if they are demanded.
    fn load(shelf: &Shelf, rules: &Rules) -> Result<Self, BlobError> {
        let root = rules.program.root();
        Ok(Self {
            program: shelf.program(&root)?,
            model: match rules.pieces.of {
                Blob::Chunks { .. } => Some(shelf.load(&root, &rules.parameters_root)?),
                _ => None,
            },
        })
    }

    /// The answer for piece `place`; `None` if there is no such piece.
    fn answer(&self, rules: &Rules, place: u8) -> Option<Answer> {
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
        let program = self.program.program();
        let of_type = |leaves: Vec<TypeLeaf>| leaves.get(at).map(TypeLeaf::encode);
        let bytes = match list {
            List::Inputs => of_type(program.input_leaves()),
            List::Parameters => of_type(program.parameter_leaves()),
            List::Operators => {
                let leaf = program.operator_leaf(u32::try_from(index).ok()?);
                leaf.map(|leaf| leaf.encode())
            }
            List::Outputs => program.output_leaves().get(at).map(|l| l.encode()),
        };
        Some(Answer::Leaf {
            bytes: bytes?,
            path: self.program.tree(list).path(index)?,
        })
    }

    fn chunk(&self, parameter: u32, index: u64) -> Option<Answer> {
        let model = self.model.as_ref()?;
        let tensor = model.parameters().get(parameter as usize)?;
        let chunks = model.trees().data(parameter)?;
        let at = usize::try_from(index).ok()?;
        let bytes = tensor.data().chunks(CHUNK).nth(at);
        let types = self.program.program().parameter_leaves();
        Some(Answer::Chunk {
            ty: types.get(parameter as usize)?.encode(),
            ty_path: self.program.tree(List::Parameters).path(parameter.into())?,
            data_root: chunks.root(),
            parameter_path: model.trees().roots().path(parameter.into())?,
            // Past the parameter's end there is nothing, which is an answer too.
            path: match bytes {
                Some(_) => chunks.path(index)?,
                None => Vec::new(),
            },
            bytes: bytes.unwrap_or_default().to_vec(),
        })
    }
}

/// The buffers through which what is left of the carrier's demands may be answered.
pub async fn buffers(carrier: &Carrier) -> Result<Vec<Pubkey>, RpcError> {
    let found = find(carrier).await?;
    let open = found.iter().filter(|found| !found.demand.over);
    let places = open.flat_map(
        |Found {
             address, demand, ..
         }| {
            let left = (0..u64::BITS as u8).filter(|place| demand.left >> place & 1 == 1);
            left.map(|place| pda::buffer(&carrier.key(), buffer_id(address, place)))
        },
    );
    Ok(places.collect())
}

/// The number of the buffer of an answer: made for it, so that it is found again after a crash.
fn buffer_id(demand: &Pubkey, place: u8) -> u64 {
    let [a, b, c, d, e, f, g, ..] = demand.to_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, place])
}

/// The demands over batches of the carrier's key.
async fn find(carrier: &Carrier) -> Result<Vec<Found>, RpcError> {
    demands::over(carrier.rpc(), carrier.rollup(), &carrier.key()).await
}

/// Sends one answer, through a buffer if it does not fit a transaction.
async fn send(
    carrier: &Carrier,
    demand: &Pubkey,
    place: u8,
    answer: &Answer,
) -> Result<(), DisputeError> {
    let (rollup, key) = (carrier.rollup(), carrier.key());
    let inline = make::answer(rollup, demand, &key, place, answer);
    let from = |buffer: &Pubkey| make::answer_from_buffer(rollup, demand, &key, place, buffer);
    let long = (buffer_id(demand, place), answer);
    let instructions = carrier
        .whole(inline, UNITS, long, from, |_, _, _| {})
        .await?;
    let order = Order::new("answer", carrier.signer(), instructions).units(UNITS);
    let done = || async {
        let now: Option<Demand> = carrier.rpc().anchor(demand, "demand").await?;
        Ok(now.is_none_or(|now| now.over || now.left >> place & 1 == 0))
    };
    carrier.sender().send_unless(&order, done).await?;
    Ok(())
}
