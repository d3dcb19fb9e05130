//! Runs the step proofs of the ledger by themselves in a Solana program, so that the tests compare them with
//! the host, and count their compute units. Nobody deploys it.
//!
//! The instruction has no data and one account, whose data is a [`Request`] and behind it the proof. The
//! program returns a [verdict](verdict) in its return data.

use assay_dispute::Hash;
use assay_dispute::step::ProofError;
use assay_dispute::step::data::check_data;
use assay_dispute::step::ed25519::{Syscalls, verify};
use assay_dispute::step::state::{StateClaims, check_state};
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::transition::Env;
use borsh::{BorshDeserialize, BorshSerialize};

/// What is to be checked; the rest of the bytes is the message or the proof.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Request {
    /// Nothing: what it costs to read the header.
    Nothing(Box<Header>),
    /// A signature.
    Signature {
        /// The key.
        key: [u8; 32],
        /// Its signature of the rest of the bytes.
        signature: [u8; 64],
    },
    /// [`check_state`].
    State {
        /// The batch's.
        header: Box<Header>,
        /// Root over the state roots.
        states_root: Hash,
        /// The transaction.
        index: u32,
        /// The state root after it.
        after: Hash,
        /// L1's value of the inbox's chain after the message that the transaction may consume.
        chain: Option<Hash>,
    },
    /// [`check_data`].
    Data {
        /// The batch's.
        header: Box<Header>,
        /// The record.
        index: u32,
        /// A leaf's result and hash.
        claimed: Option<(TxResult, Hash)>,
    },
}

/// 0 for a claim that is right, 1 for one that is wrong, 2 and 3 for a proof that is none.
pub fn verdict(verdict: Result<bool, ProofError>) -> u8 {
    match verdict {
        Ok(wrong) => u8::from(wrong),
        Err(ProofError::Malformed) => 2,
        Err(ProofError::Opening(_)) => 3,
    }
}

/// Decides a request with what follows it; `None` if it is none.
#[inline(never)]
pub fn decide(bytes: &[u8]) -> Option<u8> {
    let mut rest = bytes;
    let request = Request::deserialize(&mut rest).ok()?;
    Some(match request {
        Request::Nothing(_) => 0,
        Request::Signature { key, signature } => u8::from(!verify(&key, rest, &signature)),
        Request::State {
            header,
            states_root,
            index,
            after,
            chain,
        } => {
            let claims = StateClaims {
                env: Env::from(&*header),
                tx_root: header.tx_root,
                tx_count: header.tx_count,
                states_root,
                index,
                after,
            };
            verdict(check_state(&claims, rest, &|_| chain, &mut Syscalls))
        }
        Request::Data {
            header,
            index,
            claimed,
        } => {
            let claimed = claimed.as_ref().map(|(result, leaf)| (result, leaf));
            verdict(check_data(&header, index, claimed, rest))
        }
    })
}

#[cfg(target_os = "solana")]
mod program {
    unsafe extern "C" {
        fn sol_set_return_data(data: *const u8, length: u64);
    }

    /// Offset of the length of the first account's data in the runtime's input.
    const LENGTH: usize = 8 + 8 + 32 + 32 + 8;

    /// The program.
    ///
    /// # Safety
    /// Called by the runtime with its serialised input, in which the tests put one account.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn entrypoint(input: *const u8) -> u64 {
        let request = unsafe {
            let length = input.add(LENGTH).cast::<u64>().read_unaligned();
            core::slice::from_raw_parts(input.add(LENGTH + 8), length as usize)
        };
        match super::decide(request) {
            Some(verdict) => {
                // The runtime cuts zeros off the end.
                let answer = [verdict, 1];
                unsafe { sol_set_return_data(answer.as_ptr(), answer.len() as u64) };
                0
            }
            None => 1,
        }
    }
}
