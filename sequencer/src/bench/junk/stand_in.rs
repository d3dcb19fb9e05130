//! A node stand-in: JSON-RPC in front of a real node, slow, limited in its calls, and with junk.
//!
//! Junk are transactions of strangers that name an account. Landing fifty thousand of them for each
//! account would take hours, so they are simulated: the stand-in merges them into what the node lists
//! (`getSignaturesForAddress`), gives (`getTransaction`) and has in its blocks (`getBlock`). They are
//! well-formed transactions that a chain would take, but for their signatures, which are made up, as
//! nobody who reads a node's history checks them. All else is the real node's.
//!
//! Of the junk of an account, half is in the very slots of its honest transactions, before and after
//! each of them; a quarter is newer than all of them, and a quarter older.

use anyhow::{Context, Result, ensure};
use assay_client::wire::{self, Budget, Wire};
use assay_tensor::hash::hashv;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use solana_instruction::AccountMeta;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// How a made-up signature begins.
const MARK: [u8; 8] = *b"junk/1/\0";
/// Entries of a page.
const PAGE: usize = 1_000;
/// How often a junk transaction names its account: as often as fits.
const NAMES: usize = 800;
/// Honest transactions that an account without any is expected to get.
const EXPECTED: u32 = 4;

/// How slow the stand-in is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long each call takes, beside what the node takes.
    pub latency: Duration,
    /// Calls a second; those beyond are answered with status 429.
    pub calls_per_second: u32,
}

/// A node stand-in. Dropping it ends it.
#[derive(Debug)]
pub struct StandIn {
    url: String,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    http: reqwest::Client,
    limits: Limits,
    tokens: Mutex<(f64, Instant)>,
    attacks: Mutex<HashMap<Pubkey, Attack>>,
    payer: Keypair,
}

/// The junk of an account.
#[derive(Clone, Copy, Debug)]
struct Attack {
    /// Among all attacks.
    number: u8,
    /// Before the oldest honest transaction, and after the newest.
    quarter: u32,
    /// In the slot of each honest transaction; even.
    same: u32,
}

/// A transaction that the node lists.
#[derive(Clone, Debug)]
struct Listed {
    signature: String,
    slot: u64,
    value: Value,
}

impl StandIn {
    /// A stand-in for the node at `target`.
    pub async fn start(target: &str, limits: Limits) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            http: reqwest::Client::new(),
            tokens: Mutex::new((f64::from(limits.calls_per_second), Instant::now())),
            limits,
            attacks: Mutex::default(),
            payer: Keypair::new_from_array([11; 32]),
        });
        let router = Router::new()
            .route("/", routing::post(serve))
            .with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            shared,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on `junk` transactions of strangers name this account.
    pub async fn attack(&self, account: &Pubkey, junk: u32) -> Result<()> {
        let honest = self.shared.listed(account).await?.len();
        let honest = u32::try_from(honest).unwrap_or(u32::MAX);
        let each = junk / 2 / if honest == 0 { EXPECTED } else { honest };
        let mut attacks = self.shared.attacks();
        let number = u8::try_from(attacks.len()).context("too many accounts")?;
        attacks.insert(
            *account,
            Attack {
                number,
                quarter: junk / 4,
                same: each & !1,
            },
        );
        Ok(())
    }
}

async fn serve(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    if !shared.take_token() {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    tokio::time::sleep(shared.limits.latency).await;
    match shared.answer(&body).await {
        Ok(text) => ([("content-type", "application/json")], text).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Shared {
    fn attacks(&self) -> MutexGuard<'_, HashMap<Pubkey, Attack>> {
        self.attacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_token(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let most = f64::from(self.limits.calls_per_second);
        let (left, since) = *tokens;
        let left = (left + since.elapsed().as_secs_f64() * most).min(most);
        let taken = left >= 1.0;
        *tokens = (if taken { left - 1.0 } else { left }, Instant::now());
        taken
    }

    async fn answer(&self, body: &Bytes) -> Result<String> {
        let call: Value = serde_json::from_slice(body)?;
        let (method, params) = (call["method"].as_str().unwrap_or_default(), &call["params"]);
        let made = match method {
            "getSignaturesForAddress" => self.signatures(params).await?,
            "getTransaction" => self.transaction(params).await?,
            "getBlock" => self.block(params).await?,
            _ => None,
        };
        let id = &call["id"];
        match made {
            Some(result) => Ok(format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"
            )),
            None => {
                let asked = self.http.post(&self.target).body(body.clone());
                let answer = asked.header("content-type", "application/json").send();
                Ok(answer.await?.text().await?)
            }
        }
    }

    /// Asks the node.
    async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(&self.target).json(&call).send().await?;
        let mut answer: Value = answer.json().await?;
        ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        Ok(answer["result"].take())
    }

    /// What the node lists of an account, oldest first.
    async fn listed(&self, account: &Pubkey) -> Result<Vec<Listed>> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let before = all.last().map(|last| last.signature.clone());
            let config = json!({ "limit": PAGE, "before": before, "commitment": "confirmed" });
            let params = json!([account.to_string(), config]);
            let page = self.ask("getSignaturesForAddress", params).await?;
            let page = page.as_array().context("a list")?;
            all.extend(page.iter().map(|value| Listed {
                signature: value["signature"].as_str().unwrap_or_default().to_owned(),
                slot: value["slot"].as_u64().unwrap_or_default(),
                value: value.clone(),
            }));
            if page.len() < PAGE {
                all.reverse();
                return Ok(all);
            }
        }
    }

    async fn signatures(&self, params: &Value) -> Result<Option<String>> {
        let account: Pubkey = params[0].as_str().context("an address")?.parse()?;
        let Some(attack) = self.attacks().get(&account).copied() else {
            return Ok(None);
        };
        let honest = self.listed(&account).await?;
        let limit = params[1]["limit"].as_u64().unwrap_or(PAGE as u64);
        let until = params[1]["until"].as_str();
        let first = match params[1]["before"].as_str() {
            None => 0,
            Some(before) => match attack.find(before, &honest) {
                Some(at) => at + 1,
                None => return Ok(Some("[]".into())),
            },
        };
        let end = attack.len(&honest).min(first + limit.min(PAGE as u64));
        let mut page = Vec::new();
        for at in first..end {
            let entry = attack.entry(at, &honest);
            if until.is_some() && entry["signature"].as_str() == until {
                break;
            }
            page.push(entry);
        }
        Ok(Some(Value::from(page).to_string()))
    }

    async fn transaction(&self, params: &Value) -> Result<Option<String>> {
        let signature = params[0].as_str().context("a signature")?;
        let Some((number, junk)) = parse(signature) else {
            return Ok(None);
        };
        let attacks = self.attacks().clone();
        let attack = attacks.iter().find(|(_, attack)| attack.number == number);
        let Some((account, attack)) = attack else {
            return Ok(None);
        };
        let honest = self.listed(account).await?;
        let slot = attack.slot(junk, &honest);
        let text = self.made_up(account, *attack, junk)?;
        Ok(Some(format!(
            "{{\"slot\":{slot},\"blockTime\":null,{}",
            &text[1..]
        )))
    }

    /// The transactions of a slot that name an account that is attacked: the node's and the junk.
    async fn block(&self, params: &Value) -> Result<Option<String>> {
        let slot = params[0].as_u64().context("a slot")?;
        let attacks = self.attacks().clone();
        let mut text = String::from("{\"blockhash\":\"\",\"transactions\":[");
        let mut count = 0;
        let mut add = |part: &str| {
            if count > 0 {
                text.push(',');
            }
            count += 1;
            text.push_str(part);
        };
        let mut seen = std::collections::HashSet::new();
        for (account, attack) in &attacks {
            let honest = self.listed(account).await?;
            for listed in honest.iter().filter(|listed| listed.slot == slot) {
                if seen.insert(listed.signature.clone()) {
                    let config = json!({
                        "encoding": "base64",
                        "commitment": "confirmed",
                        "maxSupportedTransactionVersion": 1,
                    });
                    let params = json!([listed.signature, config]);
                    let transaction = self.ask("getTransaction", params).await?;
                    add(&transaction.to_string());
                }
            }
            for at in 0..attack.len(&honest) {
                if let Some(junk) = attack.junk(at, &honest)
                    && attack.slot(junk, &honest) == slot
                {
                    add(&self.made_up(account, *attack, junk)?);
                }
            }
        }
        text.push_str("]}");
        Ok(Some(text))
    }

    /// A junk transaction as it stands in a block.
    fn made_up(&self, account: &Pubkey, attack: Attack, junk: u32) -> Result<String> {
        let mut pay = transfer(&self.payer.pubkey(), &Pubkey::default(), 1);
        let name = AccountMeta::new_readonly(*account, false);
        pay.accounts.extend(std::iter::repeat_n(name, NAMES));
        let (mut transaction, _) = wire::transaction(
            Wire::Legacy,
            &[&self.payer],
            &[pay],
            &Budget::default(),
            hashv(&[&junk.to_le_bytes()]).into(),
        )?;
        transaction.signatures = vec![attack.signature(junk)];
        let bytes = STANDARD.encode(wincode::serialize(&transaction)?);
        let mut text = String::with_capacity(bytes.len() + 400);
        write!(
            text,
            "{{\"transaction\":[\"{bytes}\",\"base64\"],\"version\":\"legacy\",\"meta\":{META}}}"
        )?;
        Ok(text)
    }
}

const META: &str = r#"{"err":null,"status":{"Ok":null},"fee":5000,"preBalances":[],"postBalances":[],"innerInstructions":[],"logMessages":[],"preTokenBalances":[],"postTokenBalances":[],"rewards":[],"loadedAddresses":{"writable":[],"readonly":[]}}"#;

/// The attack and the number of a made-up signature.
fn parse(signature: &str) -> Option<(u8, u32)> {
    let signature: Signature = signature.parse().ok()?;
    let rest = signature.as_array().strip_prefix(&MARK)?;
    let [number, a, b, c, d, ..] = *rest else {
        return None;
    };
    Some((number, u32::from_le_bytes([a, b, c, d])))
}

/// Numbers of junk: the newer quarter, the older quarter, then those beside each honest transaction, from
/// the oldest one on. So a number stays what it is while honest transactions are added.
impl Attack {
    fn signature(self, junk: u32) -> Signature {
        let number = junk.to_le_bytes();
        let more = hashv(&[&[self.number], &number]);
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&MARK);
        bytes[8] = self.number;
        bytes[9..13].copy_from_slice(&number);
        bytes[13..45].copy_from_slice(&more);
        bytes.into()
    }

    /// Entries in all.
    fn len(self, honest: &[Listed]) -> u64 {
        2 * u64::from(self.quarter) + honest.len() as u64 * (u64::from(self.same) + 1)
    }

    /// Where in the list, newest first, an honest transaction stands, the oldest being 0.
    fn place(self, honest: usize, all: usize) -> u64 {
        let newer = (all - 1 - honest) as u64;
        u64::from(self.quarter) + newer * (u64::from(self.same) + 1) + u64::from(self.same / 2)
    }

    /// Where in the list a signature stands.
    fn find(self, signature: &str, honest: &[Listed]) -> Option<u64> {
        let (quarter, same) = (u64::from(self.quarter), u64::from(self.same));
        let Some((number, junk)) = parse(signature) else {
            let at = honest
                .iter()
                .position(|listed| listed.signature == signature)?;
            return Some(self.place(at, honest.len()));
        };
        let junk = u64::from(junk);
        if number != self.number {
            return None;
        }
        if junk < quarter {
            return Some(junk);
        }
        if junk < 2 * quarter {
            return Some(self.len(honest) - 2 * quarter + junk);
        }
        let (beside, at) = ((junk - 2 * quarter) / same, (junk - 2 * quarter) % same);
        let place = self.place(usize::try_from(beside).ok()?, honest.len());
        Some(if at < same / 2 {
            place - same / 2 + at
        } else {
            place + 1 + at - same / 2
        })
    }

    /// The number of the junk that stands there; `None` where an honest transaction does.
    fn junk(self, at: u64, honest: &[Listed]) -> Option<u32> {
        let (quarter, same) = (u64::from(self.quarter), u64::from(self.same));
        let all = honest.len() as u64;
        let number = if at < quarter {
            at
        } else if at >= quarter + all * (same + 1) {
            at - all * (same + 1)
        } else {
            let (newer, within) = ((at - quarter) / (same + 1), (at - quarter) % (same + 1));
            let beside = all - 1 - newer;
            let number = match within {
                w if w < same / 2 => w,
                w if w == same / 2 => return None,
                w => w - 1,
            };
            2 * quarter + beside * same + number
        };
        u32::try_from(number).ok()
    }

    /// The slot of a junk transaction.
    fn slot(self, junk: u32, honest: &[Listed]) -> u64 {
        let newest = honest.last().map_or(1, |listed| listed.slot);
        let oldest = honest.first().map_or(1, |listed| listed.slot);
        if junk < self.quarter {
            return newest + 1;
        }
        if junk < 2 * self.quarter {
            return oldest.saturating_sub(1);
        }
        let beside = (junk - 2 * self.quarter) / self.same.max(1);
        honest
            .get(beside as usize)
            .map_or(newest, |listed| listed.slot)
    }

    fn entry(self, at: u64, honest: &[Listed]) -> Value {
        match self.junk(at, honest) {
            Some(junk) => json!({
                "signature": self.signature(junk).to_string(),
                "slot": self.slot(junk, honest),
                "err": null, "memo": null, "blockTime": null, "confirmationStatus": "confirmed",
            }),
            None => {
                let newer = (at - u64::from(self.quarter)) / (u64::from(self.same) + 1);
                honest[honest.len() - 1 - newer as usize].value.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_found_by_its_signature_and_slots_descend() {
        let attack = Attack {
            number: 3,
            quarter: 5,
            same: 4,
        };
        let honest: Vec<Listed> = [7, 7, 9, 30]
            .into_iter()
            .map(|slot| {
                let signature = Signature::from([slot as u8; 64]).to_string();
                let value = json!({ "signature": signature, "slot": slot });
                Listed {
                    signature,
                    slot,
                    value,
                }
            })
            .collect();
        // Two of the same name would be one.
        let honest = &honest[1..];
        let len = attack.len(honest);
        assert_eq!(len, 10 + 3 * 5);
        let mut last = u64::MAX;
        let mut names = std::collections::HashSet::new();
        for at in 0..len {
            let entry = attack.entry(at, honest);
            let name = entry["signature"].as_str().unwrap();
            assert!(names.insert(name.to_owned()));
            assert_eq!(attack.find(name, honest), Some(at), "{at}");
            let slot = entry["slot"].as_u64().unwrap();
            assert!(slot <= last);
            last = slot;
        }
        // What was named stays what it is when more comes.
        let fewer = &honest[..2];
        for at in 0..attack.len(fewer) {
            let entry = attack.entry(at, fewer);
            let name = entry["signature"].as_str().unwrap();
            assert!(attack.find(name, honest).is_some());
        }
    }
}
