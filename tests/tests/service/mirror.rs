//! An API that gives a part of what another one gives.

use anyhow::Result;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Router, routing};
use tokio::net::TcpListener;

/// It.
pub struct Mirror {
    pub url: String,
}

impl Mirror {
    /// Gives of the API at `target` those paths that `gives` says, and of others that they are not there.
    pub async fn before(
        target: &str,
        gives: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let target = target.to_owned();
        let get = move |uri: Uri| async move {
            if !gives(uri.path()) {
                return StatusCode::NOT_FOUND.into_response();
            }
            match reqwest::get(format!("{target}{uri}")).await {
                Ok(answer) => {
                    let status = answer.status();
                    (status, answer.bytes().await.unwrap_or_default()).into_response()
                }
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        };
        let router = Router::new().fallback(routing::get(get));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url })
    }
}
