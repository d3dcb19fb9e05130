//! What a client signs: a transaction in its expanded form.
//!
//! Owners, mints, models and prices are named by their value, never by an index that could mean
//! something else after a revert. Most of it is not shipped in a batch but filled in from the
//! state ([`crate::transition::expand`]); if anything is not as it was signed, the signature fails.

use crate::{Hash, Key, ProgramHeader, Signature};
use alloc::vec::Vec;
use assay_tensor::commit::input_root;
use assay_tensor::hash::hashv;
use borsh::{BorshDeserialize, BorshSerialize};

/// The largest inline input of an inference in bytes.
pub const MAX_INPUT: usize = 16_384;

/// First bytes of what is signed. A Solana message cannot begin like this: its first byte would
/// ask for 97 signatures, which do not fit a transaction.
pub const SIGNING_TAG: &[u8; 10] = b"assay:tx:1";

/// A transaction as its signer means it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Request {
    /// Address of the rollup's account on L1.
    pub rollup: Key,
    /// Who signs. Together with `mint` it names the account.
    pub owner: Key,
    /// The account's mint; [`crate::SOL`] for lamports.
    pub mint: Key,
    /// The account's nonce before the transaction.
    pub nonce: u64,
    /// What is to be done.
    pub action: Action,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Moves `amount` to the account of `to` in the same mint, which is created if need be.
    Transfer {
        /// The receiver.
        to: Key,
        /// In the mint's base units.
        amount: u64,
    },
    /// Moves `amount` to L1, through the outbox.
    Withdraw {
        /// Who is paid on L1.
        recipient: Key,
        /// In the mint's base units.
        amount: u64,
    },
    /// Deploys a model, which the signing account publishes and in whose mint it is priced.
    Deploy {
        /// The program's header; the program's root is its hash.
        program: ProgramHeader,
        /// Root of the parameters.
        parameters_root: Hash,
        /// Price of one run, in the mint's base units.
        price: u64,
    },
    /// Gives a model other parameters and another price. Only its publisher's account can.
    Update {
        /// The model's index.
        model: u32,
        /// The model's program, which stays.
        program_root: Hash,
        /// Root of the new parameters.
        parameters_root: Hash,
        /// The new price.
        price: u64,
    },
    /// Runs a model.
    Infer {
        /// The model's index.
        model: u32,
        /// The model's program.
        program_root: Hash,
        /// The model's price as the client saw it: this is what is paid, or nothing.
        price: u64,
        /// The version that must run, if the client cares.
        version: Option<u64>,
        /// The bytes of all inputs, one after the other; at most [`MAX_INPUT`].
        input: Vec<u8>,
    },
}

/// What the owner of a request signs: the request with the long parts named by their roots, so
/// that a signature is checked at the same cost whatever was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Address of the rollup's account on L1.
    pub rollup: Key,
    /// Who signs.
    pub owner: Key,
    /// The account's mint.
    pub mint: Key,
    /// The account's nonce before the transaction.
    pub nonce: u64,
    /// What is to be done.
    pub clause: Clause,
}

/// An [`Action`] as it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// [`Action::Transfer`].
    Transfer {
        /// The receiver.
        to: Key,
        /// In the mint's base units.
        amount: u64,
    },
    /// [`Action::Withdraw`].
    Withdraw {
        /// Who is paid on L1.
        recipient: Key,
        /// In the mint's base units.
        amount: u64,
    },
    /// [`Action::Deploy`].
    Deploy {
        /// Hash of the program's header.
        program_root: Hash,
        /// Root of the parameters.
        parameters_root: Hash,
        /// Price of one run.
        price: u64,
    },
    /// [`Action::Update`].
    Update {
        /// The model's index.
        model: u32,
        /// The model's program.
        program_root: Hash,
        /// Root of the new parameters.
        parameters_root: Hash,
        /// The new price.
        price: u64,
    },
    /// [`Action::Infer`].
    Infer {
        /// The model's index.
        model: u32,
        /// The model's program.
        program_root: Hash,
        /// The model's price.
        price: u64,
        /// The version that must run, if the client cares.
        version: Option<u64>,
        /// [`input_root`] of the input.
        input_root: Hash,
    },
}

impl Terms {
    /// The bytes that the owner signs.
    ///
    /// [`SIGNING_TAG`], rollup (32), owner (32), mint (32), nonce (8), the action's number (1)
    /// and its fields in order, all of fixed widths; integers little-endian. An absent version is
    /// nine zero bytes, a present one a byte 1 and eight of it.
    pub fn signing_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(200);
        out.extend_from_slice(SIGNING_TAG);
        out.extend_from_slice(&self.rollup);
        out.extend_from_slice(&self.owner);
        out.extend_from_slice(&self.mint);
        out.extend_from_slice(&self.nonce.to_le_bytes());
        match &self.clause {
            Clause::Transfer { to, amount } => {
                out.push(0);
                out.extend_from_slice(to);
                out.extend_from_slice(&amount.to_le_bytes());
            }
            Clause::Withdraw { recipient, amount } => {
                out.push(1);
                out.extend_from_slice(recipient);
                out.extend_from_slice(&amount.to_le_bytes());
            }
            Clause::Deploy {
                program_root,
                parameters_root,
                price,
            } => {
                out.push(2);
                out.extend_from_slice(program_root);
                out.extend_from_slice(parameters_root);
                out.extend_from_slice(&price.to_le_bytes());
            }
            Clause::Update {
                model,
                program_root,
                parameters_root,
                price,
            } => {
                out.push(3);
                out.extend_from_slice(&model.to_le_bytes());
                out.extend_from_slice(program_root);
                out.extend_from_slice(parameters_root);
                out.extend_from_slice(&price.to_le_bytes());
            }
            Clause::Infer {
                model,
                program_root,
                price,
                version,
                input_root,
            } => {
                out.push(4);
                out.extend_from_slice(&model.to_le_bytes());
                out.extend_from_slice(program_root);
                out.extend_from_slice(&price.to_le_bytes());
                out.push(u8::from(version.is_some()));
                out.extend_from_slice(&version.unwrap_or(0).to_le_bytes());
                out.extend_from_slice(input_root);
            }
        }
        out
    }
}

impl Request {
    /// What the owner signs.
    pub fn terms(&self) -> Terms {
        let clause = match &self.action {
            Action::Transfer { to, amount } => Clause::Transfer {
                to: *to,
                amount: *amount,
            },
            Action::Withdraw { recipient, amount } => Clause::Withdraw {
                recipient: *recipient,
                amount: *amount,
            },
            Action::Deploy {
                program,
                parameters_root,
                price,
            } => Clause::Deploy {
                program_root: program.root(),
                parameters_root: *parameters_root,
                price: *price,
            },
            Action::Update {
                model,
                program_root,
                parameters_root,
                price,
            } => Clause::Update {
                model: *model,
                program_root: *program_root,
                parameters_root: *parameters_root,
                price: *price,
            },
            Action::Infer {
                model,
                program_root,
                price,
                version,
                input,
            } => Clause::Infer {
                model: *model,
                program_root: *program_root,
                price: *price,
                version: *version,
                input_root: input_root(input),
            },
        };
        Terms {
            rollup: self.rollup,
            owner: self.owner,
            mint: self.mint,
            nonce: self.nonce,
            clause,
        }
    }

    /// The bytes that the owner signs: [`Terms::signing_bytes`].
    pub fn signing_bytes(&self) -> Vec<u8> {
        self.terms().signing_bytes()
    }

    /// The transaction's name: SHA-256 of the signing bytes.
    pub fn id(&self) -> Hash {
        hashv(&[&self.signing_bytes()])
    }
}

/// A request with its owner's signature: what a client sends to a sequencer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRequest {
    /// The request.
    pub request: Request,
    /// The owner's Ed25519 signature of [`Request::signing_bytes`].
    pub signature: Signature,
}
