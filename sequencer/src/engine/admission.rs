//! What can be said about a request before it is ordered: its rollup, its signature, its size; and of a deployment or
//! an update whether its model's blobs are here. Done on the callers' threads, so that the one writer does not wait for it.
//!
//! Loading a model takes the longest, so it comes last: for a request of an account whose turn it may be, and once a call.

use super::execute::ModelKey;
use super::refusal::Refused;
use crate::metrics::{Metrics, Stage};
use crate::store::blobs::Blobs;
use crate::store::{Store, StoreError};
use assay_ledger::request::{Action, MAX_INPUT, Request, SignedRequest};
use assay_ledger::signature::{Signature, verify, verify_batch};
use assay_ledger::{Hash, Key};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Signatures checked together: large enough for the batch equation to pay, small enough that one
/// bad signature does not make many be checked twice.
const TOGETHER: usize = 128;

/// A request that may be ordered.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Hash of its signing bytes.
    pub id: Hash,
    /// The request, its signature checked.
    pub signed: SignedRequest,
}

/// Models that one call may deploy or update to: each is loaded and hashed.
const MODELS: usize = 16;

/// What requests are checked with.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The rollup that they must be signed for.
    pub rollup: Key,
    /// The state, but for what is on its way.
    pub store: Arc<Store>,
    /// Models' bytes.
    pub blobs: Blobs,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How many requests may be on their way.
    pub queue: u64,
}

impl Admission {
    /// Checks `requests`: for each its id and whether it may be ordered. One bad request spoils no other. Blocks.
    pub fn admit(&self, requests: Vec<SignedRequest>) -> Vec<(Hash, Result<Admitted, Refused>)> {
        let signed: Vec<Vec<u8>> = requests
            .par_iter()
            .map(|r| r.request.signing_bytes())
            .collect();
        let genuine = (self.metrics).time(Stage::Signature, || signatures(&requests, &signed));
        let checked: Vec<(Hash, Result<Option<ModelKey>, Refused>)> = (requests.par_iter())
            .zip(signed)
            .zip(genuine)
            .map(|((request, bytes), genuine)| {
                let id = assay_tensor::hash::hashv(&[&bytes]);
                (id, self.check(&id, &request.request, genuine))
            })
            .collect();
        let named = checked
            .iter()
            .filter_map(|(_, checked)| *checked.as_ref().ok()?);
        // The first ones, by their roots, where there are more than a call may have.
        let mut named: BTreeSet<ModelKey> = named.collect();
        let mut missing: BTreeMap<ModelKey, Refused> = BTreeMap::new();
        while named.len() > MODELS
            && let Some(model) = named.pop_last()
        {
            missing.insert(model, Refused::Models(MODELS));
        }
        let absent = named.into_par_iter().filter_map(|model| {
            let here = blobs_are_here(&self.blobs, &model);
            Some((model, here.err()?))
        });
        missing.par_extend(absent);
        let all = requests.into_iter().zip(checked);
        let all = all.map(|(signed, (id, checked))| {
            let refused = match checked {
                Ok(model) => model.and_then(|model| missing.get(&model).cloned()),
                Err(refused) => Some(refused),
            };
            (id, refused.map_or(Ok(Admitted { id, signed }), Err))
        });
        all.collect()
    }

    /// Checks all but the blobs; the model whose blobs must be here.
    fn check(
        &self,
        id: &Hash,
        request: &Request,
        genuine: bool,
    ) -> Result<Option<ModelKey>, Refused> {
        if request.rollup != self.rollup {
            return Err(Refused::Rollup {
                got: request.rollup,
                expected: self.rollup,
            });
        }
        if !genuine {
            return Err(Refused::Signature(request.owner));
        }
        match &request.action {
            Action::Infer { input, .. } if input.len() > MAX_INPUT => Err(Refused::InputTooLong {
                got: input.len(),
                max: MAX_INPUT,
            }),
            Action::Transfer { amount: 0, .. } | Action::Withdraw { amount: 0, .. } => {
                Err(Refused::ZeroAmount)
            }
            action => match names(action) {
                Some(model) => Ok(self.its_turn(id, request)?.then_some(model)),
                None => Ok(None),
            },
        }
    }

    /// Whether a request may be its account's next, with what is on its way; or if not, is in a batch already.
    fn its_turn(&self, id: &Hash, request: &Request) -> Result<bool, Refused> {
        let failed = |e: StoreError| Refused::Execution(e.to_string());
        let (owner, mint) = (request.owner, request.mint);
        let accounts = self.store.accounts_of(&owner).map_err(failed)?;
        let account = accounts.iter().find(|(_, account)| account.mint == mint);
        let (_, account) = account.ok_or(Refused::Account { owner, mint })?;
        let (got, expected) = (request.nonce, account.nonce);
        if (expected..expected.saturating_add(self.queue)).contains(&got) {
            return Ok(true);
        }
        // Its blobs were here then; the engine gives it its answer again.
        match got < expected && self.store.find_transaction(id).map_err(failed)?.is_some() {
            true => Ok(false),
            false => Err(Refused::Nonce { got, expected }),
        }
    }
}

fn signatures(requests: &[SignedRequest], signed: &[Vec<u8>]) -> Vec<bool> {
    let triples: Vec<(&Key, &[u8], &Signature)> = requests
        .iter()
        .zip(signed)
        .map(|(r, bytes)| (&r.request.owner, bytes.as_slice(), &r.signature))
        .collect();
    triples
        .par_chunks(TOGETHER)
        .flat_map_iter(|chunk| {
            let all = verify_batch(chunk);
            chunk
                .iter()
                .map(move |(key, bytes, signature)| all || verify(key, bytes, signature))
        })
        .collect()
}

/// The model that an action puts on L2.
fn names(action: &Action) -> Option<ModelKey> {
    match action {
        Action::Deploy {
            program,
            parameters_root,
            ..
        } => Some((program.root(), *parameters_root)),
        Action::Update {
            program_root,
            parameters_root,
            ..
        } => Some((*program_root, *parameters_root)),
        _ => None,
    }
}

/// A model is ordered only when both blobs are here, check and are what was signed: otherwise the
/// batch could not be defended.
fn blobs_are_here(blobs: &Blobs, (program, parameters): &ModelKey) -> Result<(), Refused> {
    blobs
        .model(program, parameters)
        .and_then(|_| blobs.touch(program))
        .and_then(|()| blobs.touch(parameters))
        .map_err(|e| Refused::Blob(e.to_string()))
}

/// Says once more, when it is ordered, that a model's blobs are here: it may have waited for longer than
/// blobs are kept that nothing names. They are the youngest then, until the batch names them.
pub(super) fn blobs_are_still_here(blobs: &Blobs, action: &Action) -> Result<(), Refused> {
    let Some((program, parameters)) = names(action) else {
        return Ok(());
    };
    blobs
        .touch(&program)
        .and_then(|()| blobs.touch(&parameters))
        .map_err(|e| Refused::Blob(e.to_string()))
}
