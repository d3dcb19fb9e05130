//! How calls to a node fare: failures counted by kind, one line in the log when they fail repeatedly, and one
//! when they do no more.

use super::{Severity, severity};
use async_trait::async_trait;
use serde_json::Value;
use solana_client::client_error::{ClientError, ClientErrorKind, Result as ClientResult};
use solana_client::rpc_request::{RpcError as JsonRpcError, RpcRequest};
use solana_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_rpc_client::http_sender::HttpSender;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures within [`WITHIN`] that make a warning.
const REPEATED: usize = 5;
/// See [`REPEATED`].
const WITHIN: Duration = Duration::from_secs(30);
/// A node has recovered when no call has failed for so long.
const QUIET: Duration = Duration::from_secs(10);

/// How a call to a node failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The node refuses more calls for now.
    RateLimited,
    /// A gateway or the node answers with an HTTP server error.
    Gateway,
    /// The connection was refused or broke.
    Connection,
    /// No answer came in time.
    Timeout,
    /// The node is not at the slot that was asked for, or unhealthy.
    Behind,
    /// The answer is not JSON, or not of the form that was asked for.
    Malformed,
    /// Any other temporary failure.
    Other,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::RateLimited,
        Self::Gateway,
        Self::Connection,
        Self::Timeout,
        Self::Behind,
        Self::Malformed,
        Self::Other,
    ];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Gateway => "gateway",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Behind => "behind",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }

    /// The kind of a temporary error.
    fn of(error: &ClientError) -> Self {
        match error.kind() {
            ClientErrorKind::Io(e) if e.kind() == io::ErrorKind::TimedOut => Self::Timeout,
            ClientErrorKind::Io(_) => Self::Connection,
            ClientErrorKind::Reqwest(e) => match e.status().map(|status| status.as_u16()) {
                Some(status) => Self::of_code(status.into()),
                None if e.is_timeout() => Self::Timeout,
                None if e.is_decode() => Self::Malformed,
                None => Self::Connection,
            },
            ClientErrorKind::RpcError(JsonRpcError::RpcResponseError { code, .. }) => {
                Self::of_code(*code)
            }
            ClientErrorKind::RpcError(JsonRpcError::RpcRequestError(_))
            | ClientErrorKind::SerdeJson(_) => Self::Malformed,
            _ => Self::Other,
        }
    }

    /// The kind of an HTTP status, or of a code of JSON-RPC: gateways put the one in the other's place.
    fn of_code(code: i64) -> Self {
        match code {
            429 => Self::RateLimited,
            500..=599 => Self::Gateway,
            -32001 | -32004 | -32005 | -32014 | -32016 => Self::Behind,
            _ => Self::Other,
        }
    }
}

/// Counts of failures, in the order of [`FailureKind::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([u64; FailureKind::ALL.len()]);

impl Counts {
    fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = FailureKind::ALL.iter().zip(self.0);
        let mut separator = "";
        for (kind, count) in counted.filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{} {count}", kind.name())?;
            separator = ", ";
        }
        Ok(())
    }
}

/// What is known of the newest calls.
#[derive(Debug, Default)]
struct Recent {
    /// The newest failures, [`REPEATED`] at most.
    failures: VecDeque<(Instant, FailureKind)>,
    /// Since when calls fail repeatedly, and what has failed since; none while they do not.
    trouble: Option<(Instant, Counts)>,
}

impl Recent {
    /// Notes a failure; what has failed lately, where that is to be told.
    fn failed(&mut self, kind: FailureKind, now: Instant) -> Option<Counts> {
        self.failures.push_back((now, kind));
        if self.failures.len() > REPEATED {
            self.failures.pop_front();
        }
        if let Some((_, counts)) = &mut self.trouble {
            counts.0[kind as usize] += 1;
            return None;
        }
        let (first, _) = *self.failures.front()?;
        if self.failures.len() < REPEATED || now.duration_since(first) > WITHIN {
            return None;
        }
        let mut counts = Counts::default();
        for (_, kind) in &self.failures {
            counts.0[*kind as usize] += 1;
        }
        self.trouble = Some((first, counts));
        Some(counts)
    }

    /// Notes a call that worked; how long calls failed and what, where that is over.
    fn worked(&mut self, now: Instant) -> Option<(Duration, Counts)> {
        self.trouble?;
        let (last, _) = *self.failures.back()?;
        if now.duration_since(last) < QUIET {
            return None;
        }
        self.failures.clear();
        let (since, counts) = self.trouble.take()?;
        Some((last.duration_since(since), counts))
    }
}

/// How calls to a node fare. Clones share what they count.
#[derive(Clone, Default)]
pub struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    url: String,
    counts: [AtomicU64; FailureKind::ALL.len()],
    recent: Mutex<Recent>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.failures()).finish()
    }
}

impl Health {
    /// The health of the node at `url`, of which nothing is known yet.
    pub(super) fn new(url: &str) -> Self {
        Self(Arc::new(Shared {
            url: url.into(),
            ..Shared::default()
        }))
    }

    /// Calls that failed since the start, by kind.
    pub fn failures(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        let count = |kind: FailureKind| self.0.counts[kind as usize].load(Ordering::Relaxed);
        FailureKind::ALL.map(|kind| (kind, count(kind))).into_iter()
    }

    /// Counts a call whose answer was JSON and not of the form that was asked for: the transport did not see it.
    pub(super) fn unread(&self, error: &ClientError) {
        if let ClientErrorKind::SerdeJson(_) = error.kind() {
            self.failed(FailureKind::Malformed, error);
        }
    }

    fn failed(&self, kind: FailureKind, error: &dyn fmt::Display) {
        self.0.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        let told = self.recent(|recent| recent.failed(kind, Instant::now()));
        if let Some(counts) = told {
            tracing::warn!(
                url = self.0.url,
                last = %error,
                "calls to the Solana node fail repeatedly ({counts}): each is tried again, and nothing more is logged until they work"
            );
        }
    }

    fn worked(&self) {
        if let Some((time, counts)) = self.recent(|recent| recent.worked(Instant::now())) {
            tracing::info!(
                url = self.0.url,
                failures = counts.total(),
                seconds = time.as_secs(),
                "calls to the Solana node work again ({counts} failed)"
            );
        }
    }

    fn recent<T>(&self, note: impl FnOnce(&mut Recent) -> T) -> T {
        // What it holds is whole after each call.
        let mut recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut recent)
    }
}

/// The transport to a node: HTTP, watched by its [`Health`].
pub(super) struct Watched {
    http: HttpSender,
    /// How long a call may take, with all that the transport does by itself: it waits where it is
    /// told 429, and for as long as the node wishes.
    timeout: Duration,
    health: Health,
    /// Nanoseconds that the transport has waited because it was told 429.
    limited: AtomicU64,
}

impl Watched {
    /// The transport to the node at `url`, on which no call takes longer than `timeout`.
    pub(super) fn new(url: &str, timeout: Duration, health: Health) -> Self {
        Self {
            http: HttpSender::new_with_timeout(url, timeout),
            timeout,
            health,
            limited: AtomicU64::new(0),
        }
    }

    /// Whether the transport was told 429 since this was last asked.
    fn was_limited(&self) -> bool {
        let waited = self.http.get_transport_stats().rate_limited_time.as_nanos();
        let waited = u64::try_from(waited).unwrap_or(u64::MAX);
        self.limited.fetch_max(waited, Ordering::Relaxed) < waited
    }
}

#[async_trait]
impl RpcSender for Watched {
    async fn send(&self, request: RpcRequest, params: Value) -> ClientResult<Value> {
        let sent = tokio::time::timeout(self.timeout, self.http.send(request, params)).await;
        let sent = sent.unwrap_or_else(|_| {
            let why = format!("no answer within {:?}", self.timeout);
            Err(io::Error::new(io::ErrorKind::TimedOut, why).into())
        });
        match &sent {
            Err(error) if severity(error) == Severity::Temporary => {
                // Once, however often the transport was told so before it gave up.
                let kind = match self.was_limited() {
                    true => FailureKind::RateLimited,
                    false => FailureKind::of(error),
                };
                self.health.failed(kind, error);
            }
            _ if self.was_limited() => {
                (self.health).failed(FailureKind::RateLimited, &"429 Too Many Requests");
            }
            // What the node refuses, it has understood.
            _ => self.health.worked(),
        }
        sent
    }

    fn get_transport_stats(&self) -> RpcTransportStats {
        self.http.get_transport_stats()
    }

    fn url(&self) -> String {
        self.http.url()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(begin: Instant) -> impl Fn(f64) -> Instant {
        move |seconds| begin + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn one_warning_when_calls_fail_repeatedly_and_one_line_when_they_work_again() {
        let (mut recent, at) = (Recent::default(), seconds(Instant::now()));
        // Every fourth call fails.
        let mut warnings = Vec::new();
        for call in 0..400 {
            let now = at(f64::from(call) * 0.1);
            match call % 4 {
                0 => warnings.extend(recent.failed(FailureKind::Gateway, now)),
                _ => assert_eq!(recent.worked(now), None),
            }
        }
        let [warning] = &warnings[..] else {
            panic!("{warnings:?}");
        };
        assert_eq!(warning.to_string(), "gateway 5");
        assert_eq!(recent.worked(at(49.5)), None, "the last one failed at 39.6");
        let (time, counts) = recent.worked(at(49.7)).unwrap();
        assert_eq!((time.as_secs(), counts.total()), (39, 100));
        assert_eq!(recent.worked(at(60.0)), None);
        for call in 0..4 {
            let kind = FailureKind::Timeout;
            assert_eq!(recent.failed(kind, at(f64::from(call) + 61.0)), None);
        }
        let again = recent.failed(FailureKind::Behind, at(65.0)).unwrap();
        assert_eq!(again.to_string(), "timeout 4, behind 1");
    }

    #[test]
    fn few_failures_are_nobodys_business() {
        let (mut recent, at) = (Recent::default(), seconds(Instant::now()));
        for call in 0..100 {
            let now = at(f64::from(call) * 10.0);
            assert_eq!(recent.failed(FailureKind::Connection, now), None);
            assert_eq!(recent.worked(now), None);
        }
    }

    #[test]
    fn kinds_are_in_the_order_of_their_counts() {
        for (place, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.name());
        }
        let of = |code| FailureKind::of_code(code).name();
        assert_eq!(
            [429, 502, -32005, -32603].map(of),
            ["rate_limited", "gateway", "behind", "other"]
        );
    }

    /// A node that answers each connection with the next of `answers`, and then drops them.
    async fn node(answers: &'static [&'static str]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn failures_are_counted_by_kind() {
        let url = node(&[
            "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n<htm>",
            "",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 37\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"a\"}",
            "HTTP/1.1 429 Too Many\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 35\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}",
        ])
        .await;
        let rpc = super::super::Rpc::new(url);
        assert_eq!(rpc.slot().await.unwrap(), 7);
        let counted: Vec<_> = (rpc.health().failures())
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (kind.name(), count))
            .collect();
        let expected = [
            ("rate_limited", 1),
            ("gateway", 1),
            ("connection", 1),
            ("malformed", 2),
        ];
        assert_eq!(counted, expected);
    }

    /// The transport would wait for ten minutes.
    #[tokio::test]
    async fn a_node_does_not_say_how_long_a_call_takes() {
        let url =
            node(&["HTTP/1.1 429 Too Many\r\nretry-after: 119\r\ncontent-length: 0\r\n\r\n"; 32])
                .await;
        let (commitment, timeout) = (Default::default(), Duration::from_millis(100));
        let rpc = super::super::Rpc::within(url, commitment, timeout);
        let rpc = rpc.patience(Duration::from_millis(10));
        assert!(rpc.slot().await.is_err());
    }
}
