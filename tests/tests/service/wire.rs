//! A connection to a node that fails in chosen ways.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it should be.
    Open,
    /// Open connections die, new ones are refused.
    Cut,
    /// What is asked arrives; no answer comes back.
    Muted,
}

/// A connection to a node.
#[derive(Clone)]
pub struct Wire {
    pub url: String,
    state: Arc<watch::Sender<State>>,
    /// Connections that were refused.
    refused: Arc<watch::Sender<u64>>,
    /// What a request contains that mutes the connection.
    mutes: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    pub async fn to(url: &str) -> Result<Self> {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let wire = Self {
            url: format!("http://{}", listener.local_addr()?),
            state: Arc::new(watch::Sender::new(State::Open)),
            refused: Arc::default(),
            mutes: Arc::default(),
        };
        let this = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *this.state.borrow() == State::Cut {
                    this.refused.send_modify(|refused| *refused += 1);
                    continue;
                }
                let (target, this) = (target.clone(), this.clone());
                tokio::spawn(async move {
                    let Ok(node) = TcpStream::connect(&target).await else {
                        return;
                    };
                    let (mut state, cut) = (this.state.subscribe(), this.clone());
                    tokio::select! {
                        _ = cut.forward(client, node) => {}
                        _ = state.wait_for(|state| *state == State::Cut) => {}
                    }
                });
            }
        });
        Ok(wire)
    }

    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Waits until so many connections more were refused.
    pub async fn refuses(&self, more: u64) -> Result<()> {
        let mut refused = self.refused.subscribe();
        let all = *refused.borrow() + more;
        let refuses = refused.wait_for(|refused| *refused >= all);
        tokio::time::timeout(crate::support::PATIENCE, refuses).await??;
        Ok(())
    }

    pub fn mend(&self) {
        self.unmute();
        self.state.send_replace(State::Open);
    }

    /// Lets no answer through from the moment on at which a transaction goes out that contains
    /// `bytes`: whoever sent it does not learn that it landed.
    pub fn mute_at(&self, bytes: [u8; 8]) {
        *self.mutes.lock().unwrap() = in_base64(bytes);
    }

    fn unmute(&self) {
        self.mutes.lock().unwrap().clear();
    }

    async fn forward(&self, client: TcpStream, node: TcpStream) -> std::io::Result<()> {
        let (from_client, to_client) = client.into_split();
        let (from_node, to_node) = node.into_split();
        tokio::try_join!(
            self.questions(from_client, to_node),
            self.answers(from_node, to_client)
        )?;
        Ok(())
    }

    async fn questions(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let (mut buffer, mut seen) = (vec![0; 1 << 16], Vec::new());
        loop {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                return to.shutdown().await;
            }
            seen.extend_from_slice(&buffer[..n]);
            let mutes = self.mutes.lock().unwrap().clone();
            if mutes.iter().any(|m| seen.windows(m.len()).any(|w| w == m)) {
                self.state.send_replace(State::Muted);
            }
            // A request may be split anywhere.
            seen.drain(..seen.len().saturating_sub(16));
            to.write_all(&buffer[..n]).await?;
        }
    }

    async fn answers(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                return to.shutdown().await;
            }
            if *self.state.borrow() == State::Open {
                to.write_all(&buffer[..n]).await?;
            }
        }
    }
}

/// How eight bytes look in base64, at each of the three places that they can have in a group:
/// the eight characters that their neighbours do not change.
fn in_base64(bytes: [u8; 8]) -> Vec<Vec<u8>> {
    [0, 1, 2]
        .into_iter()
        .map(|skip| STANDARD.encode(&bytes[skip..skip + 6]).into_bytes())
        .collect()
}
