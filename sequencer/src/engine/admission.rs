//! What can be said about a request without the state: its rollup, its signature, its size, a
//! deployment's blobs. Done on the callers' threads, so that the one writer does not wait for it.

use super::refusal::Refused;
use crate::metrics::{Metrics, Stage};
use crate::store::blobs::Blobs;
use assay_ledger::request::{Action, MAX_INPUT, SignedRequest};
use assay_ledger::signature::{Signature, verify, verify_batch};
use assay_ledger::{Hash, Key};
use rayon::prelude::*;

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

/// Checks `requests`: for each its id and whether it may be ordered. One bad request spoils no
/// other.
pub fn admit(
    rollup: &Key,
    blobs: &Blobs,
    metrics: &Metrics,
    requests: Vec<SignedRequest>,
) -> Vec<(Hash, Result<Admitted, Refused>)> {
    let signed: Vec<Vec<u8>> = requests
        .par_iter()
        .map(|r| r.request.signing_bytes())
        .collect();
    let genuine = metrics.time(Stage::Signature, || signatures(&requests, &signed));
    requests
        .into_par_iter()
        .zip(signed)
        .zip(genuine)
        .map(|((request, bytes), genuine)| {
            let id = assay_tensor::hash::hashv(&[&bytes]);
            let outcome = check(rollup, blobs, &request, genuine).map(|()| Admitted {
                id,
                signed: request,
            });
            (id, outcome)
        })
        .collect()
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

fn check(
    rollup: &Key,
    blobs: &Blobs,
    signed: &SignedRequest,
    genuine: bool,
) -> Result<(), Refused> {
    let request = &signed.request;
    if request.rollup != *rollup {
        return Err(Refused::Rollup {
            got: request.rollup,
            expected: *rollup,
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
        Action::Deploy {
            program,
            parameters_root,
            ..
        } => blobs_are_here(blobs, &program.root(), parameters_root),
        Action::Update {
            program_root,
            parameters_root,
            ..
        } => blobs_are_here(blobs, program_root, parameters_root),
        _ => Ok(()),
    }
}

/// A model is ordered only when both blobs are here, check and are what was signed: otherwise the
/// batch could not be defended.
fn blobs_are_here(blobs: &Blobs, program: &Hash, parameters: &Hash) -> Result<(), Refused> {
    blobs
        .model(program, parameters)
        .and_then(|_| blobs.touch(program))
        .and_then(|()| blobs.touch(parameters))
        .map_err(|e| Refused::Blob(e.to_string()))
}

/// Says once more, when it is ordered, that a model's blobs are here: it may have waited for longer than
/// blobs are kept that nothing names. They are the youngest then, until the batch names them.
pub(super) fn blobs_are_still_here(blobs: &Blobs, action: &Action) -> Result<(), Refused> {
    let (program, parameters) = match action {
        Action::Deploy {
            program,
            parameters_root,
            ..
        } => (program.root(), parameters_root),
        Action::Update {
            program_root,
            parameters_root,
            ..
        } => (*program_root, parameters_root),
        _ => return Ok(()),
    };
    blobs
        .touch(&program)
        .and_then(|()| blobs.touch(parameters))
        .map_err(|e| Refused::Blob(e.to_string()))
}
