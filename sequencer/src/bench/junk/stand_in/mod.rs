//! A node stand-in: JSON-RPC in front of a real node, slow, limited in its calls, and with junk.
//!
//! Junk are transactions of strangers that name an account. Landing fifty thousand of them for each
//! account would take hours, so they are simulated: the stand-in merges them into what the node
//! lists (`getSignaturesForAddress`), gives (`getTransaction`) and has in its blocks (`getBlock`).
//! All else is the real node's.
//!
//! Of the junk of an account, a quarter is in the slots after the attack began, half is in the very
//! slots of the honest transactions that come then, before and after each of them, and the rest is
//! in the slots after [`StandIn::end`].
//!
//! * [`attack`]: pages of an account's list
//! * [`layout`]: where the junk of an account is
//! * [`forms`]: what it looks like

mod attack;
mod forms;
mod layout;

use anyhow::{Context, Result, ensure};
use attack::{Attack, Listed, PAGE};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use forms::Forms;
use layout::Layout;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Every honest transaction that matters to a reader names one of these.
const PROGRAMS: [Pubkey; 3] = [settlement::ID, bridge::ID, escrow::ID];

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
    /// Junk that was listed or given.
    served: AtomicU64,
}

/// What a call is answered with.
enum Answer {
    /// The text of a result.
    Result(String),
    /// The code of an error, and what it says.
    Error(i64, &'static str),
    /// What the node answers.
    Nodes,
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
            served: AtomicU64::new(0),
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

    /// Junk transactions that it has listed or given.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::Relaxed)
    }

    /// From now on `junk` transactions of strangers name this account, unless some do already. Half
    /// of them are in the next `slots` slots that have honest transactions.
    pub async fn attack(&self, account: &Pubkey, junk: u32, slots: u32) -> Result<()> {
        if self.shared.attacks().contains_key(account) {
            return Ok(());
        }
        let forms = Arc::new(Forms::new(account)?);
        let begun = self.shared.slot("processed").await?;
        let mut attacks = self.shared.attacks();
        let number = u8::try_from(attacks.len()).context("too many accounts")?;
        attacks.entry(*account).or_insert(Attack {
            number,
            layout: Layout::new(junk, begun, slots),
            forms,
        });
        Ok(())
    }

    /// Waits until the junk is on the chain that is older than the honest transactions.
    pub async fn ready(&self) -> Result<()> {
        let ready = |attacks: &HashMap<Pubkey, Attack>| {
            attacks.values().map(|attack| attack.layout.ready()).max()
        };
        let ready = ready(&self.shared.attacks()).unwrap_or(0);
        while self.shared.slot("processed").await? < ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The rest of the junk of all accounts is in the slots that come now.
    pub async fn end(&self) -> Result<()> {
        let slot = self.shared.slot("processed").await?;
        let accounts: Vec<Pubkey> = self.shared.attacks().keys().copied().collect();
        for account in accounts {
            // Nobody may have looked at the newest honest transactions yet.
            let honest = self.shared.listed(&account, slot).await?;
            self.shared.attack_on(&account, &honest);
            if let Some(attack) = self.shared.attacks().get_mut(&account) {
                attack.layout.end(slot);
            }
        }
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
        Err(error) => {
            tracing::debug!("the stand-in cannot answer: {error:#}");
            (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response()
        }
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

    fn serves(&self, junk: u64) {
        self.served.fetch_add(junk, Ordering::Relaxed);
    }

    async fn answer(&self, body: &Bytes) -> Result<String> {
        let call: Value = serde_json::from_slice(body)?;
        let (method, params) = (call["method"].as_str().unwrap_or_default(), &call["params"]);
        let answer = match method {
            "getSignaturesForAddress" => self.signatures(params).await?,
            "getTransaction" => self.transaction(params).await?,
            "getBlock" => self.block(params).await?,
            _ => Answer::Nodes,
        };
        let id = &call["id"];
        match answer {
            Answer::Result(result) => Ok(format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"
            )),
            Answer::Error(code, message) => {
                let error = json!({ "code": code, "message": message });
                Ok(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string())
            }
            Answer::Nodes => {
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

    async fn slot(&self, commitment: &str) -> Result<u64> {
        let slot = self
            .ask("getSlot", json!([{ "commitment": commitment }]))
            .await?;
        slot.as_u64().context("a slot")
    }

    /// The newest slot of which a list or a block is given: no transaction comes to it any more, so
    /// that what stands between two junk transactions stays.
    async fn newest(&self, config: &Value) -> Result<u64> {
        match config["commitment"].as_str() {
            Some("confirmed" | "processed") => Ok(self.slot("processed").await?.saturating_sub(1)),
            _ => self.slot("finalized").await,
        }
    }

    /// What the node lists of an account up to slot `newest`, newest first.
    async fn listed(&self, account: &Pubkey, newest: u64) -> Result<Vec<Listed>> {
        let mut all: Vec<Listed> = Vec::new();
        let mut before = Value::Null;
        loop {
            let config = json!({ "limit": PAGE, "before": before, "commitment": "confirmed" });
            let params = json!([account.to_string(), config]);
            let page = self.ask("getSignaturesForAddress", params).await?;
            let page = page.as_array().context("a list")?;
            all.extend(page.iter().map(|value| Listed {
                signature: value["signature"].as_str().unwrap_or_default().to_owned(),
                slot: value["slot"].as_u64().unwrap_or_default(),
                value: value.clone(),
            }));
            before = page
                .last()
                .map_or(Value::Null, |last| last["signature"].clone());
            if page.len() < PAGE {
                all.retain(|listed| listed.slot <= newest);
                // A stable sort: in a slot the node's order stays.
                all.sort_by_key(|listed| std::cmp::Reverse(listed.slot));
                return Ok(all);
            }
        }
    }

    /// The junk of an account that is attacked, as it is with these honest transactions.
    fn attack_on(&self, account: &Pubkey, honest: &[Listed]) -> Option<Attack> {
        let mut attacks = self.attacks();
        let attack = attacks.get_mut(account)?;
        attack
            .layout
            .honest(honest.iter().rev().map(|listed| listed.slot));
        Some(attack.clone())
    }

    async fn signatures(&self, params: &Value) -> Result<Answer> {
        let account: Pubkey = params[0].as_str().context("an address")?.parse()?;
        if !self.attacks().contains_key(&account) {
            return Ok(Answer::Nodes);
        }
        let config = &params[1];
        let newest = self.newest(config).await?;
        let honest = self.listed(&account, newest).await?;
        let attack = self.attack_on(&account, &honest).context("an attack")?;
        let page = attack.page(newest, &honest, config);
        let junk = page
            .iter()
            .filter_map(|entry| forms::parse(entry["signature"].as_str()?));
        self.serves(junk.count() as u64);
        Ok(Answer::Result(Value::from(page).to_string()))
    }

    async fn transaction(&self, params: &Value) -> Result<Answer> {
        let signature = params[0].as_str().context("a signature")?;
        let Some((of, number)) = forms::parse(signature) else {
            return Ok(Answer::Nodes);
        };
        let attacks = self.attacks().clone();
        let attack = attacks.values().find(|attack| attack.number == of);
        let Some((attack, slot)) = attack.and_then(|a| Some((a, a.layout.slot(number)?))) else {
            return Ok(Answer::Result("null".into()));
        };
        self.serves(1);
        let mut text = String::new();
        attack.forms.write(of, number, &mut text)?;
        let rest = text.trim_start_matches('{');
        Ok(Answer::Result(format!(
            "{{\"slot\":{slot},\"blockTime\":null,{rest}"
        )))
    }

    /// The transactions of a slot: those of the node that call one of our programs or name an
    /// account that is attacked, in the middle of the junk.
    async fn block(&self, params: &Value) -> Result<Answer> {
        let slot = params[0].as_u64().context("a slot")?;
        let config = &params[1];
        if config["encoding"] != "base64"
            || !matches!(config["transactionDetails"].as_str(), None | Some("full"))
        {
            return Ok(Answer::Error(
                -32602,
                "the stand-in gives whole transactions in base64 only",
            ));
        }
        let newest = self.newest(config).await?;
        if slot > newest {
            return Ok(Answer::Error(-32004, "Block not available for slot"));
        }
        let mut accounts: Vec<Pubkey> = self.attacks().keys().copied().collect();
        accounts.sort();
        let mut honest = Vec::new();
        let (mut seen, mut attacks) = (HashSet::new(), Vec::new());
        for account in accounts.iter().chain(&PROGRAMS) {
            let listed = self.listed(account, newest).await?;
            attacks.extend(self.attack_on(account, &listed));
            let here = listed.into_iter().filter(|listed| listed.slot == slot);
            // Oldest first.
            let here: Vec<_> = here.map(|listed| listed.signature).collect();
            honest.extend(
                here.into_iter()
                    .rev()
                    .filter(|name| seen.insert(name.clone())),
            );
        }
        let mut transactions = Vec::new();
        for signature in &honest {
            let config = json!({ "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 1 });
            let mut found = self
                .ask("getTransaction", json!([signature, config]))
                .await?;
            let fields = found
                .as_object_mut()
                .context("a transaction that is listed")?;
            fields.retain(|name, _| ["transaction", "meta", "version"].contains(&name.as_str()));
            transactions.push(found);
        }
        let mut text = format!(
            "{{\"blockHeight\":{slot},\"blockTime\":null,\"blockhash\":\"{id}\",\"previousBlockhash\":\"{id}\",\"parentSlot\":{},\"transactions\":[",
            slot.saturating_sub(1),
            id = Pubkey::default(),
        );
        let parts = transactions.len() as u32 + 1;
        let mut empty = true;
        let mut separate = |text: &mut String| {
            if !std::mem::take(&mut empty) {
                text.push(',');
            }
        };
        let mut junk = 0;
        for (part, honest) in (0..).zip(transactions.iter().map(Some).chain([None])) {
            for attack in &attacks {
                for number in part_of(attack.layout.in_slot(slot), part, parts) {
                    separate(&mut text);
                    attack.forms.write(attack.number, number, &mut text)?;
                    junk += 1;
                }
            }
            if let Some(honest) = honest {
                separate(&mut text);
                text.push_str(&honest.to_string());
            }
        }
        self.serves(junk);
        text.push_str("]}");
        Ok(Answer::Result(text))
    }
}

/// Part number `part` of so many of these numbers.
fn part_of(numbers: Range<u32>, part: u32, parts: u32) -> Range<u32> {
    let count = u64::from(numbers.end - numbers.start);
    let place = |part: u32| numbers.start + (count * u64::from(part) / u64::from(parts)) as u32;
    place(part)..place(part + 1)
}
