//! Where the bytes of models are fetched: the APIs of sequencers, or any mirror of one. Nothing of
//! what they give is believed: blobs are checked against their roots.

use super::runs::RunsError;
use crate::store::blobs::{BlobError, Blobs};
use assay_client::api::Hash32;
use assay_client::http::{Api, ApiError};
use assay_ledger::Hash;

/// The most bytes of a program that are fetched.
const PROGRAM_BYTES: u64 = 64 << 20;

/// APIs that are asked, one after the other.
#[derive(Clone, Debug)]
pub struct Mirrors {
    apis: Vec<Api>,
}

impl Mirrors {
    /// Mirrors at these addresses.
    pub fn new(urls: &[String]) -> Self {
        Self {
            apis: urls.iter().map(Api::new).collect(),
        }
    }

    /// Fetches what is not in `blobs` of a model with these roots.
    pub async fn fetch(
        &self,
        blobs: &Blobs,
        program: &Hash,
        parameters: &Hash,
    ) -> Result<(), RunsError> {
        if !blobs.has(program) {
            let take = |bytes: &[u8]| blobs.take_program(program, bytes);
            self.blob(program, PROGRAM_BYTES, take).await?;
        }
        if !blobs.has(parameters) {
            let known = blobs.program(program).map_err(|e| failed(program, e))?;
            let take = |bytes: &[u8]| blobs.take_parameters(&known, parameters, bytes);
            self.blob(parameters, known.parameter_bytes(), take).await?;
        }
        Ok(())
    }

    /// Asks for a blob of `limit` bytes at most until `take` takes what comes.
    async fn blob(
        &self,
        root: &Hash,
        limit: u64,
        take: impl Fn(&[u8]) -> Result<(), BlobError>,
    ) -> Result<(), RunsError> {
        let mut why = String::from("no mirror is named: set --api or --blobs");
        for api in &self.apis {
            match api.blob_within(Hash32(*root), limit).await {
                Ok(bytes) => match take(&bytes) {
                    Ok(()) => {
                        tracing::info!(blob = hex::encode(root), from = api.url(), "blob fetched");
                        return Ok(());
                    }
                    Err(e) => why = format!("{}: {e}", api.url()),
                },
                Err(e) => why = e.to_string(),
            }
        }
        Err(RunsError::Blob { root: *root, why })
    }

    /// What somebody says the output roots of a batch's runs are; `None` if nobody says it of so many.
    pub async fn output_roots(&self, batch: u64, runs: usize) -> Option<Vec<Hash>> {
        for api in &self.apis {
            match api.output_roots(batch, runs as u64).await {
                Ok(roots) if roots.len() == runs => return Some(roots),
                Ok(roots) => tracing::warn!(
                    batch,
                    from = api.url(),
                    got = roots.len(),
                    runs,
                    "another number of output roots than the batch has runs"
                ),
                Err(ApiError::Refused { status: 404, .. }) => {}
                Err(error) => tracing::warn!(batch, %error, "the output roots are not given"),
            }
        }
        None
    }
}

fn failed(root: &Hash, e: BlobError) -> RunsError {
    RunsError::Blob {
        root: *root,
        why: e.to_string(),
    }
}
