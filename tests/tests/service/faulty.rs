//! A node behind a proxy that fails at a seeded rate: calls are dropped on the way there or back, sent twice,
//! delayed, or answered with 429 or 502.

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The node never hears of it, and the connection breaks.
    QuestionLost,
    /// The node hears of it, and the connection breaks.
    AnswerLost,
    /// The node hears of it twice; the second answer comes back.
    Twice,
    /// It takes so many milliseconds longer.
    Slow(u64),
    /// 429.
    RateLimited,
    /// 502.
    Gateway,
}

struct Faults {
    seeded: ChaCha8Rng,
    /// The share of calls that fail.
    rate: f64,
    /// Calls, and those of them that failed.
    counts: (u64, u64),
}

impl Faults {
    fn next(&mut self) -> Option<Fault> {
        self.counts.0 += 1;
        if !self.seeded.random_bool(self.rate) {
            return None;
        }
        self.counts.1 += 1;
        Some(match self.seeded.random_range(0..6) {
            0 => Fault::QuestionLost,
            1 => Fault::AnswerLost,
            2 => Fault::Twice,
            3 => Fault::Slow(self.seeded.random_range(50..1_500)),
            4 => Fault::RateLimited,
            _ => Fault::Gateway,
        })
    }
}

/// The proxy.
#[derive(Clone)]
pub struct Faulty {
    pub url: String,
    node: String,
    http: reqwest::Client,
    faults: Arc<Mutex<Faults>>,
}

impl Faulty {
    /// A proxy before `node` that does not fail yet.
    pub async fn before(node: &str, seed: u64) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let faulty = Self {
            url: format!("http://{}", listener.local_addr()?),
            node: node.into(),
            http: reqwest::Client::new(),
            faults: Arc::new(Mutex::new(Faults {
                seeded: ChaCha8Rng::seed_from_u64(seed),
                rate: 0.0,
                counts: (0, 0),
            })),
        };
        let router = Router::new()
            .fallback(forward)
            .with_state(faulty.clone())
            .layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(faulty)
    }

    /// Lets this share of the calls fail from now on.
    pub fn fail(&self, rate: f64) {
        self.faults.lock().unwrap().rate = rate;
    }

    /// Calls, and those of them that failed.
    pub fn counts(&self) -> (u64, u64) {
        self.faults.lock().unwrap().counts
    }

    async fn ask(&self, question: Bytes) -> Result<Bytes, reqwest::Error> {
        let call = self.http.post(&self.node).body(question);
        let call = call.header(header::CONTENT_TYPE, "application/json");
        call.send().await?.bytes().await
    }
}

async fn forward(State(faulty): State<Faulty>, question: Bytes) -> Response {
    let fault = faulty.faults.lock().unwrap().next();
    match fault {
        Some(Fault::RateLimited) => return StatusCode::TOO_MANY_REQUESTS.into_response(),
        Some(Fault::Gateway) => return StatusCode::BAD_GATEWAY.into_response(),
        Some(Fault::QuestionLost) => return broken(),
        Some(Fault::Slow(time)) => tokio::time::sleep(Duration::from_millis(time)).await,
        Some(Fault::Twice | Fault::AnswerLost) | None => {}
    }
    let answer = faulty.ask(question.clone()).await;
    match (fault, answer) {
        (Some(Fault::AnswerLost), _) | (_, Err(_)) => broken(),
        (Some(Fault::Twice), Ok(_)) => match faulty.ask(question).await {
            Ok(second) => json(second),
            Err(_) => broken(),
        },
        (_, Ok(answer)) => json(answer),
    }
}

fn json(answer: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

/// A connection that breaks in the middle of the answer.
fn broken() -> Response {
    let parts = [
        Ok(Bytes::from_static(b"{")),
        Err(io::Error::other("the connection breaks")),
    ];
    Body::from_stream(futures::stream::iter(parts)).into_response()
}
