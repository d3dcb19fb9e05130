//! Where the bytes of models are fetched: the APIs of sequencers, or any mirror of one. Nothing of
//! what they give is believed: blobs are checked against their roots.

use assay_client::http::{Api, ApiError};
use assay_ledger::Hash;

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

    /// The APIs.
    pub fn apis(&self) -> &[Api] {
        &self.apis
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
