//! Between the two forms of a transaction: [`expand`] fills in what is not shipped, [`ship`]
//! leaves out what need not be.

use super::access::{Found, find};
use super::{Env, Fault, Invalid, NoAccess, StateAccess};
use crate::Key;
use crate::request::{Action, Clause, MAX_INPUT, SignedRequest, Terms};
use crate::state::{Account, Model};
use crate::transaction::{Destination, Transaction};
use assay_tensor::commit::input_root;

/// A signed transaction in its expanded form, with what it was filled in from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Index of the signer's account.
    pub from: u32,
    /// What the signer must have signed.
    pub terms: Terms,
    /// The model that it names.
    pub model: Option<Model>,
}

/// What must have been signed for `tx` to be here; `None` for the inbox's transactions, which
/// nobody signs.
pub fn expand(
    state: &mut impl StateAccess,
    env: &Env,
    tx: &Transaction,
) -> Result<Option<Signed>, Fault> {
    let (from, signer, model, clause) = match tx {
        Transaction::Inbox | Transaction::DeclineJob => return Ok(None),
        Transaction::Transfer {
            from, to, amount, ..
        } => {
            let signer = account(state, *from)?;
            let to = destination(state, &signer.mint, to)?;
            (
                *from,
                signer,
                None,
                Clause::Transfer {
                    to,
                    amount: *amount,
                },
            )
        }
        Transaction::Withdraw {
            from,
            recipient,
            amount,
            ..
        } => (
            *from,
            account(state, *from)?,
            None,
            Clause::Withdraw {
                recipient: *recipient,
                amount: *amount,
            },
        ),
        Transaction::Deploy {
            from,
            program,
            parameters_root,
            price,
            ..
        } => (
            *from,
            account(state, *from)?,
            None,
            Clause::Deploy {
                program_root: program.root(),
                parameters_root: *parameters_root,
                price: *price,
            },
        ),
        Transaction::Update {
            model: index,
            parameters_root,
            price,
            ..
        } => {
            let model = model(state, *index)?;
            let clause = Clause::Update {
                model: *index,
                program_root: model.program_root,
                parameters_root: *parameters_root,
                price: *price,
            };
            let signer = account(state, model.publisher)?;
            (model.publisher, signer, Some(model), clause)
        }
        Transaction::Infer {
            from,
            model: index,
            pinned,
            input,
            ..
        } => {
            if input.len() > MAX_INPUT {
                return Err(Invalid::InputTooLong.into());
            }
            let model = model(state, *index)?;
            let clause = Clause::Infer {
                model: *index,
                program_root: model.program_root,
                price: model.price,
                version: pinned.then_some(model.version),
                input_root: input_root(input),
            };
            (*from, account(state, *from)?, Some(model), clause)
        }
    };
    Ok(Some(Signed {
        from,
        terms: Terms {
            rollup: env.rollup,
            owner: signer.owner,
            mint: signer.mint,
            nonce: signer.nonce,
            clause,
        },
        model,
    }))
}

/// Why a request cannot be shipped now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is for another rollup.
    #[error("the request is for another rollup")]
    Rollup,
    /// The owner has no account in the mint.
    #[error("the owner has no account in this mint: deposit or receive first")]
    NoAccount,
    /// Another nonce is next.
    #[error("the nonce is {got}, and {expected} is next")]
    Nonce {
        /// The account's nonce.
        expected: u64,
        /// The request's.
        got: u64,
    },
    /// There is no such model.
    #[error("there is no model {0}")]
    NoSuchModel(u32),
    /// The model at this index runs another program.
    #[error("the model runs another program")]
    Program,
    /// The price is another.
    #[error("the price is {expected}, and {got} was signed")]
    Price {
        /// The model's price.
        expected: u64,
        /// The request's.
        got: u64,
    },
    /// The version is another.
    #[error("the model's version is {expected}, and {got} was signed")]
    Version {
        /// The model's version.
        expected: u64,
        /// The request's.
        got: u64,
    },
    /// Only the publisher's account can update a model.
    #[error("the signer is not the model's publisher")]
    NotPublisher,
    /// The input is longer than [`MAX_INPUT`].
    #[error("the input is longer than {MAX_INPUT} bytes")]
    InputTooLong,
    /// The state access gave no answer.
    #[error(transparent)]
    NoAccess(#[from] NoAccess),
}

/// The shipped form of `request` in this state, such that [`expand`] gives the request's terms
/// back. Does not look at the signature.
pub fn ship(
    state: &mut impl StateAccess,
    env: &Env,
    request: &SignedRequest,
) -> Result<Transaction, Refused> {
    let SignedRequest { request, signature } = request;
    let signature = *signature;
    if request.rollup != env.rollup {
        return Err(Refused::Rollup);
    }
    let Found::At(from) = find(state, &request.owner, &request.mint)? else {
        return Err(Refused::NoAccount);
    };
    let expected = state.read_account(from)?.nonce;
    if request.nonce != expected {
        return Err(Refused::Nonce {
            expected,
            got: request.nonce,
        });
    }
    Ok(match &request.action {
        Action::Transfer { to, amount } => Transaction::Transfer {
            from,
            to: match find(state, to, &request.mint)? {
                Found::At(index) => Destination::Account(index),
                Found::After(_) => Destination::New(*to),
            },
            amount: *amount,
            signature,
        },
        Action::Withdraw { recipient, amount } => Transaction::Withdraw {
            from,
            recipient: *recipient,
            amount: *amount,
            signature,
        },
        Action::Deploy {
            program,
            parameters_root,
            price,
        } => Transaction::Deploy {
            from,
            program: *program,
            parameters_root: *parameters_root,
            price: *price,
            signature,
        },
        Action::Update {
            model,
            program_root,
            parameters_root,
            price,
        } => {
            if named(state, *model, program_root)?.publisher != from {
                return Err(Refused::NotPublisher);
            }
            Transaction::Update {
                model: *model,
                parameters_root: *parameters_root,
                price: *price,
                signature,
            }
        }
        Action::Infer {
            model: index,
            program_root,
            price,
            version,
            input,
        } => {
            if input.len() > MAX_INPUT {
                return Err(Refused::InputTooLong);
            }
            let model = named(state, *index, program_root)?;
            if *price != model.price {
                return Err(Refused::Price {
                    expected: model.price,
                    got: *price,
                });
            }
            if let Some(got) = version.filter(|v| *v != model.version) {
                return Err(Refused::Version {
                    expected: model.version,
                    got,
                });
            }
            Transaction::Infer {
                from,
                model: *index,
                pinned: version.is_some(),
                input: input.clone(),
                signature,
            }
        }
    })
}

/// Model `index`, if it runs the program that was signed.
fn named(
    state: &mut impl StateAccess,
    index: u32,
    program_root: &crate::Hash,
) -> Result<Model, Refused> {
    let model = match model(state, index) {
        Ok(model) => model,
        Err(Fault::NoAccess(e)) => return Err(e.into()),
        Err(Fault::Invalid(_)) => return Err(Refused::NoSuchModel(index)),
    };
    if model.program_root != *program_root {
        return Err(Refused::Program);
    }
    Ok(model)
}

/// Account `index`, or [`Invalid::NoSuchAccount`].
fn account(state: &mut impl StateAccess, index: u32) -> Result<Account, Fault> {
    if u64::from(index) >= state.heads().accounts {
        return Err(Invalid::NoSuchAccount(index).into());
    }
    Ok(state.read_account(index)?)
}

/// Model `index`, or [`Invalid::NoSuchModel`].
pub(super) fn model(state: &mut impl StateAccess, index: u32) -> Result<Model, Fault> {
    if u64::from(index) >= state.heads().models {
        return Err(Invalid::NoSuchModel(index).into());
    }
    Ok(state.read_model(index)?)
}

/// The receiver's key, if the destination is named as the state has it: by index if the account
/// is there, by key if it is not.
fn destination(
    state: &mut impl StateAccess,
    mint: &Key,
    destination: &Destination,
) -> Result<Key, Fault> {
    match destination {
        Destination::Account(index) => {
            let account = account(state, *index)?;
            if account.mint != *mint {
                return Err(Invalid::Destination.into());
            }
            Ok(account.owner)
        }
        Destination::New(key) => match find(state, key, mint)? {
            Found::At(_) => Err(Invalid::Destination.into()),
            Found::After(_) => Ok(*key),
        },
    }
}
