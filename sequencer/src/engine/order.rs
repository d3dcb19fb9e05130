//! Ordering: what the state says about a request, counting the requests that are on their way.
//!
//! It refuses what would fail, so that no work is spent on it and clients get a sentence instead
//! of a status. What is ordered can still fail, when an earlier request turns out otherwise; the
//! state transition has the last word.

use super::admission::Admitted;
use super::caps;
use super::refusal::Refused;
use crate::config::ModelLimits;
use assay_ledger::header::Params;
use assay_ledger::request::Action;
use assay_ledger::state::{Account, Model};
use assay_ledger::store::FullState;
use std::collections::HashMap;

/// What requests on their way do to an account.
#[derive(Clone, Copy, Debug, Default)]
struct OnTheWay {
    requests: u64,
    spent: u64,
}

/// Accounts with requests on their way.
#[derive(Clone, Debug, Default)]
pub struct Overlay(HashMap<u32, OnTheWay>);

impl Overlay {
    /// Counts a request that was ordered.
    pub fn add(&mut self, ordered: &Ordered) {
        let entry = self.0.entry(ordered.account).or_default();
        entry.requests += 1;
        entry.spent = entry.spent.saturating_add(ordered.spends);
    }

    /// Forgets a request that has been applied or refused.
    pub fn remove(&mut self, ordered: &Ordered) {
        if let Some(entry) = self.0.get_mut(&ordered.account) {
            entry.requests = entry.requests.saturating_sub(1);
            entry.spent = entry.spent.saturating_sub(ordered.spends);
            if entry.requests == 0 {
                self.0.remove(&ordered.account);
            }
        }
    }

    fn get(&self, account: u32) -> OnTheWay {
        self.0.get(&account).copied().unwrap_or_default()
    }
}

/// A request with its place in the order.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The request.
    pub admitted: Admitted,
    /// Index of the signer's account.
    pub account: u32,
    /// What it takes from that account at most.
    pub spends: u64,
    /// The model that it runs.
    pub runs: Option<Model>,
}

/// Checks a request against the state as it will be after what is on its way.
pub fn order(
    state: &FullState,
    overlay: &Overlay,
    params: &Params,
    limits: &ModelLimits,
    number: u64,
    admitted: Admitted,
) -> Result<Ordered, Refused> {
    let request = &admitted.signed.request;
    let (index, account) = state
        .find(&request.owner, &request.mint)
        .ok_or(Refused::Account {
            owner: request.owner,
            mint: request.mint,
        })?;
    let waiting = overlay.get(index);
    let expected = account.nonce.saturating_add(waiting.requests);
    if request.nonce != expected {
        return Err(Refused::Nonce {
            got: request.nonce,
            expected,
        });
    }
    let (spends, runs) = match &request.action {
        Action::Transfer { amount, .. } | Action::Withdraw { amount, .. } => (*amount, None),
        Action::Deploy { program, .. } => {
            batch_admits(params, program.units)?;
            (0, None)
        }
        Action::Update { model, .. } => {
            let (now, _) = find_model(state, *model)?;
            if now.publisher != index {
                return Err(Refused::Publisher(*model));
            }
            (0, None)
        }
        Action::Infer { .. } => infer(state, params, limits, number, &account, &request.action)?,
    };
    let have = account.balance.saturating_sub(waiting.spent);
    if have < spends {
        return Err(Refused::Balance { need: spends, have });
    }
    Ok(Ordered {
        admitted,
        account: index,
        spends,
        runs,
    })
}

fn infer(
    state: &FullState,
    params: &Params,
    limits: &ModelLimits,
    number: u64,
    payer: &Account,
    action: &Action,
) -> Result<(u64, Option<Model>), Refused> {
    let Action::Infer {
        model: index,
        program_root,
        price,
        version,
        input,
    } = action
    else {
        return Ok((0, None));
    };
    let (index, price) = (*index, *price);
    let (model, publisher) = find_model(state, index)?;
    if model.program_root != *program_root {
        return Err(Refused::Program {
            model: index,
            program: model.program_root,
        });
    }
    if publisher.mint != payer.mint {
        return Err(Refused::Mint {
            model: index,
            mint: publisher.mint,
        });
    }
    if model.price != price {
        return Err(Refused::Price {
            model: index,
            now: model.price,
            signed: price,
        });
    }
    if let Some(signed) = version.filter(|v| *v != model.version) {
        return Err(Refused::Version {
            model: index,
            now: model.version,
            signed,
        });
    }
    if model.callable_from > number {
        return Err(Refused::NotCallable {
            model: index,
            from: model.callable_from,
            now: number,
        });
    }
    if input.len() as u64 != u64::from(model.input_bytes) {
        return Err(Refused::InputSize {
            model: index,
            got: input.len() as u64,
            expected: u64::from(model.input_bytes),
        });
    }
    batch_admits(params, model.units)?;
    caps::admits(limits, &model)?;
    Ok((price, Some(model)))
}

/// Whether a batch may use so many work units.
fn batch_admits(params: &Params, units: u64) -> Result<(), Refused> {
    match units > params.max_units {
        true => Err(Refused::TooLarge {
            what: "work units",
            need: units,
            cap: params.max_units,
        }),
        false => Ok(()),
    }
}

/// Model `index` and its publisher's account.
fn find_model(state: &FullState, index: u32) -> Result<(Model, Account), Refused> {
    let model = state.model(index).ok_or(Refused::Model(index))?;
    let publisher = state
        .account(model.publisher)
        .ok_or(Refused::Model(index))?;
    Ok((model, publisher))
}
