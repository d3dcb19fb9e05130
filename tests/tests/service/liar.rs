//! A node that lies: what it answers is altered on its way.

use anyhow::Result;
use axum::extract::State;
use axum::{Json, Router, routing};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Alters the result of a call, given its method and its parameters.
type Lie = dyn Fn(&str, &Value, &mut Value) + Send + Sync;

/// A node that lies, as long as it is not told otherwise.
#[derive(Clone)]
pub struct Liar {
    pub url: String,
    target: String,
    lies: Arc<AtomicBool>,
    lie: Arc<Lie>,
    http: reqwest::Client,
}

impl Liar {
    pub async fn before(
        target: &str,
        lie: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let liar = Self {
            url: format!("http://{}", listener.local_addr()?),
            target: target.to_owned(),
            lies: Arc::new(AtomicBool::new(true)),
            lie: Arc::new(lie),
            http: reqwest::Client::new(),
        };
        let router = Router::new()
            .route("/", routing::post(answer))
            .with_state(liar.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(liar)
    }

    /// From now on it lies, or tells the truth.
    pub fn lies(&self, lies: bool) {
        self.lies.store(lies, Ordering::SeqCst);
    }
}

async fn answer(State(liar): State<Liar>, Json(mut question): Json<Value>) -> Json<Value> {
    // So that accounts can be altered without a decompressor.
    if let Some(encoding) = question.pointer_mut("/params/1/encoding")
        && *encoding == "base64+zstd"
    {
        *encoding = "base64".into();
    }
    let asked = liar.http.post(&liar.target).json(&question).send().await;
    let mut answer: Value = match asked {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let method = question["method"].as_str().unwrap_or_default();
    if liar.lies.load(Ordering::SeqCst) {
        (liar.lie)(method, &question["params"], &mut answer["result"]);
    }
    Json(answer)
}
