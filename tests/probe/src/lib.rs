//! Runs the step proofs by themselves in a Solana program, so that the tests compare them with the host, and
//! count their compute units and their heap. A test program: it is never deployed.
//!
//! The instruction has no data and one account, whose data is a [`Request`] and behind it the proof. The
//! program returns its [verdicts](verdict), the bytes of heap that it took as a little-endian `u32`, and a
//! one, behind which the runtime would cut zeros off.

mod heap;

use assay_dispute::Hash;
use assay_dispute::step::ProofError;
use assay_dispute::step::data::check_data;
use assay_dispute::step::ed25519::{Syscalls, verify};
use assay_dispute::step::element::{ElementClaims, check_element};
use assay_dispute::step::state::{StateClaims, check_state};
use assay_ledger::ProgramHeader;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::transition::Env;
use assay_tensor::leaves::OperatorLeaf;
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
    /// [`check_element`], for elements of one operator: the rest of the bytes is [`push_element`]'s.
    Elements {
        /// The program.
        program: Box<ProgramHeader>,
        /// Of the parameters that it ran with.
        parameters_root: Hash,
        /// Of the input that it ran on.
        input_root: Hash,
        /// Over the roots of the operators' values.
        trace_root: Hash,
        /// The operator.
        operator: u32,
        /// Its leaf's bytes.
        leaf: Vec<u8>,
    },
}

/// Appends an element to a [`Request::Elements`]: the claimed chunk with its index, and the proof.
pub fn push_element(elements: &mut Vec<u8>, chunk: u64, bytes: &[u8], proof: &[u8]) {
    elements.extend(chunk.to_le_bytes());
    for part in [bytes, proof] {
        elements.extend((part.len() as u32).to_le_bytes());
        elements.extend_from_slice(part);
    }
}

/// What [`push_element`] has appended first.
fn next_element<'a>(elements: &mut &'a [u8]) -> Option<(u64, &'a [u8], &'a [u8])> {
    let chunk = u64::from_le_bytes(*elements.split_off(..8)?.as_array()?);
    let mut part = || {
        let len = u32::from_le_bytes(*elements.split_off(..4)?.as_array()?);
        elements.split_off(..len as usize)
    };
    Some((chunk, part()?, part()?))
}

/// The most elements of one request: with the rest of the answer they fit the return data.
pub const MOST_ELEMENTS: usize = 1_000;

/// 0 for a claim that is right, 1 for one that is wrong, 2 and 3 for a proof that is none.
pub fn verdict(verdict: Result<bool, ProofError>) -> u8 {
    match verdict {
        Ok(wrong) => u8::from(wrong),
        Err(ProofError::Malformed) => 2,
        Err(ProofError::Opening(_)) => 3,
    }
}

/// Decides a request with what follows it: a verdict, or one of each element. `None` if it is none.
#[inline(never)]
pub fn decide(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let request = Request::deserialize(&mut rest).ok()?;
    let verdict = match request {
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
        Request::Elements {
            program,
            parameters_root,
            input_root,
            trace_root,
            operator,
            leaf,
        } => {
            let claims = ElementClaims {
                program: &program,
                parameters_root: &parameters_root,
                input_root: &input_root,
                trace_root: &trace_root,
                operator,
                leaf: &OperatorLeaf::decode(&leaf).ok()?,
                chunk: 0,
                bytes: &[],
            };
            return elements(&claims, rest);
        }
    };
    Some(vec![verdict])
}

/// The verdict of each element.
#[inline(never)]
fn elements(claims: &ElementClaims<'_>, mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut verdicts = Vec::with_capacity(MOST_ELEMENTS);
    while !rest.is_empty() && verdicts.len() < MOST_ELEMENTS {
        let (chunk, bytes, proof) = next_element(&mut rest)?;
        let claims = ElementClaims {
            chunk,
            bytes,
            ..*claims
        };
        // A transaction checks one, with a heap of its own.
        verdicts.push(heap::anew(|| verdict(check_element(&claims, proof))));
    }
    rest.is_empty().then_some(verdicts)
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
        let Some(mut answer) = super::decide(request) else {
            return 1;
        };
        answer.extend(super::heap::most().to_le_bytes());
        answer.push(1);
        unsafe { sol_set_return_data(answer.as_ptr(), answer.len() as u64) };
        0
    }
}
