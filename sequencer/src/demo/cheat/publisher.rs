//! Who publishes the liar's model: it shows the bytes of what was deployed, as it must for anybody to call it.

use anyhow::Result;
use assay_client::api::PREFIX;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Router, routing};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Blobs = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A mirror of some blobs.
pub struct Publisher {
    url: String,
    blobs: Blobs,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Publisher {
    /// One that has nothing to show yet.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let blobs = Blobs::default();
        let router = Router::new()
            .route(&format!("{PREFIX}/blobs/{{root}}"), routing::get(get))
            .with_state(blobs.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            url,
            blobs,
            serving,
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shows a blob, by its root in hex.
    pub fn publish(&self, root: impl Into<String>, bytes: Vec<u8>) {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.insert(root.into(), bytes);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn get(State(blobs): State<Blobs>, Path(root): Path<String>) -> impl IntoResponse {
    let blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
    blobs.get(&root).cloned().ok_or(StatusCode::NOT_FOUND)
}
