//! Deploying programs through the upgradeable loader, resumably.
//!
//! The buffer's key is derived from the payer's, the program's address and the bytes, so that a
//! deployment that was cut off finds its buffer again and writes only what is missing.

use crate::rpc::{Rpc, RpcError};
use crate::sender::{Order, SendError, Sender};
use crate::wire::{self, Budget};
use assay_tensor::hash::hashv;
use solana_client::client_error::ClientError;
use solana_hash::Hash;
use solana_keypair::Keypair;
use solana_loader_v3_interface::state::UpgradeableLoaderState as State;
use solana_loader_v3_interface::{get_program_data_address, instruction as loader};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::sync::Arc;
use std::time::Duration;

const LOADER: Pubkey = Pubkey::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");
const BUFFER_TAG: &[u8] = b"assay:buffer:1";
/// Write transactions in flight.
const WIDTH: usize = 48;
/// Bytes of a write at most: the loader reads no more than 1,232 bytes of an instruction's data,
/// whatever the transaction's format.
const WRITE_BYTES: usize = 1_200;
/// Compute units of the writes of a transaction.
const WRITE_UNITS: u32 = 30_000;
/// How often what is missing is written again.
const ROUNDS: usize = 5;

/// What a deployment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// The same bytes were there already.
    Already,
    /// The program is new.
    New,
    /// It replaced other bytes.
    Upgraded,
}

/// Why a deployment failed. Running it again goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A transaction.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The loader's instructions.
    #[error("the loader: {0}")]
    Loader(String),
    /// The address holds something else.
    #[error("{0} is not a program of the upgradeable loader")]
    NotAProgram(Pubkey),
    /// The bytes did not arrive.
    #[error("{missing} bytes of the program are still not in buffer {buffer}")]
    Incomplete {
        /// The buffer.
        buffer: Pubkey,
        /// Bytes that differ.
        missing: usize,
    },
}

/// Puts `bytes` at the address of `program`, paid and from then on owned by `payer`. `progress` is
/// told bytes written and bytes in all.
pub async fn deploy(
    sender: &Sender,
    payer: &Arc<Keypair>,
    program: &Arc<Keypair>,
    bytes: &[u8],
    progress: impl Fn(usize, usize),
) -> Result<Deployed, DeployError> {
    let rpc = sender.rpc();
    let address = program.pubkey();
    let before = programdata(rpc, &address).await?;
    if before.as_ref().is_some_and(|data| holds(data, bytes)) {
        progress(bytes.len(), bytes.len());
        return Ok(Deployed::Already);
    }
    let buffer = Arc::new(Keypair::new_from_array(hashv(&[
        BUFFER_TAG,
        payer.secret_bytes(),
        address.as_ref(),
        &hashv(&[bytes]),
    ])));
    fill(sender, payer, &buffer, bytes, &progress).await?;
    let me = payer.pubkey();
    let outcome = if before.is_some() {
        let upgrade = loader::upgrade(&address, &buffer.pubkey(), &me, &me);
        let order = Order::new("upgrade program", payer, vec![upgrade]);
        sender
            .send_unless(&order, || is_deployed(rpc, &address, bytes))
            .await?;
        Deployed::Upgraded
    } else {
        let rent = rpc.rent(State::size_of_program()).await?;
        #[allow(deprecated)] // the replacement is not active on mainnet
        let instructions = loader::deploy_with_max_program_len(
            &me,
            &address,
            &buffer.pubkey(),
            &me,
            rent,
            bytes.len(),
        )
        .map_err(|e| DeployError::Loader(e.to_string()))?;
        let order = Order::new("deploy program", payer, instructions).signer(program);
        sender
            .send_unless(&order, || is_deployed(rpc, &address, bytes))
            .await?;
        Deployed::New
    };
    // A program can be called from the slot after its deployment on.
    let deployed = rpc.slot().await?;
    while rpc.slot().await? <= deployed {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(outcome)
}

/// Makes the buffer hold `bytes`.
async fn fill(
    sender: &Sender,
    payer: &Arc<Keypair>,
    buffer: &Arc<Keypair>,
    bytes: &[u8],
    progress: &impl Fn(usize, usize),
) -> Result<(), DeployError> {
    let (rpc, me, address) = (sender.rpc(), payer.pubkey(), buffer.pubkey());
    if rpc.account(&address).await?.is_none() {
        let rent = rpc.rent(State::size_of_buffer(bytes.len())).await?;
        let instructions = loader::create_buffer(&me, &address, &me, rent, bytes.len())
            .map_err(|e| DeployError::Loader(e.to_string()))?;
        let order = Order::new("create buffer", payer, instructions).signer(buffer);
        let exists = || async { Ok(rpc.account(&address).await?.is_some()) };
        sender.send_unless(&order, exists).await?;
    }
    let budget = Budget {
        units: WRITE_UNITS,
        // With a priority fee, so that a raised one does not change what fits.
        unit_price: 1,
        ..Budget::default()
    };
    let wire = sender.wire().await?;
    let write = |at: usize, part: &[u8]| loader::write(&address, &me, at as u32, part.to_vec());
    let writes = |n: usize| vec![write(0, &vec![0; WRITE_BYTES]); n];
    // A version-1 transaction takes several writes; a legacy one takes a smaller one.
    let many = (1..=8).rev().find(|n| {
        wire::message(wire, &me, &writes(*n), &budget, Hash::default())
            .is_ok_and(|m| wire::bytes_of(&m) <= wire.limit())
    });
    let (chunk, many) = match many {
        Some(n) => (WRITE_BYTES, n),
        None => {
            let room = wire::room(wire, &me, &budget, |n| vec![write(0, &vec![0; n])]);
            let room = room.filter(|n| *n > 0);
            (
                room.ok_or_else(|| DeployError::Loader("no room in a transaction".into()))?,
                1,
            )
        }
    };
    let mut missing = bytes.len();
    for _ in 0..ROUNDS {
        let there = rpc.account(&address).await?.unwrap_or_default();
        let there = there
            .data
            .get(State::size_of_buffer_metadata()..)
            .unwrap_or_default();
        let chunks: Vec<(usize, &[u8])> = bytes
            .chunks(chunk)
            .enumerate()
            .map(|(i, part)| (i * chunk, part))
            .filter(|(at, part)| there.get(*at..at + part.len()) != Some(part))
            .collect();
        missing = chunks.iter().map(|(_, part)| part.len()).sum();
        progress(bytes.len() - missing, bytes.len());
        if missing == 0 {
            return Ok(());
        }
        for group in chunks.chunks(WIDTH * many) {
            let orders = group.chunks(many).map(|parts| {
                let writes = parts.iter().map(|(at, part)| write(*at, part)).collect();
                Order::new("write program", payer, writes)
                    .units(WRITE_UNITS)
                    .without_preflight()
            });
            sender.send_all(orders.collect(), WIDTH).await?;
            missing -= group.iter().map(|(_, part)| part.len()).sum::<usize>();
            progress(bytes.len() - missing, bytes.len());
        }
    }
    Err(DeployError::Incomplete {
        buffer: address,
        missing,
    })
}

/// The bytes of the program at `address`; `None` if there is none.
async fn programdata(rpc: &Rpc, address: &Pubkey) -> Result<Option<Vec<u8>>, DeployError> {
    let Some(account) = rpc.account(address).await? else {
        return Ok(None);
    };
    if account.owner != LOADER || !account.executable {
        return Err(DeployError::NotAProgram(*address));
    }
    let data = rpc.account(&get_program_data_address(address)).await?;
    let data = data.ok_or(DeployError::NotAProgram(*address))?.data;
    Ok(Some(
        data.get(State::size_of_programdata_metadata()..)
            .unwrap_or_default()
            .to_vec(),
    ))
}

/// Whether program data is `bytes`, zeros after them aside.
fn holds(data: &[u8], bytes: &[u8]) -> bool {
    data.strip_prefix(bytes)
        .is_some_and(|rest| rest.iter().all(|b| *b == 0))
}

async fn is_deployed(rpc: &Rpc, address: &Pubkey, bytes: &[u8]) -> Result<bool, RpcError> {
    match programdata(rpc, address).await {
        Ok(data) => Ok(data.is_some_and(|data| holds(&data, bytes))),
        Err(DeployError::Rpc(e)) => Err(e),
        Err(_) => Ok(false),
    }
}

/// Asks a development chain for lamports and waits until they are there.
pub async fn airdrop(rpc: &Rpc, to: &Pubkey, lamports: u64) -> Result<(), RpcError> {
    let before = rpc.balance(to).await?;
    let node = |cause: ClientError| RpcError::Node {
        url: rpc.url(),
        cause: Box::new(cause),
    };
    let client = rpc.client();
    client.request_airdrop(to, lamports).await.map_err(node)?;
    // The balance, not the signature: some nodes give their own.
    while rpc.balance(to).await? < before.saturating_add(lamports) {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}
