//! The verifier on a real chain with an honest sequencer: from genesis, through restarts, SIGKILL
//! and a node that dies.

use crate::disputes::{Watch, World, cleaned, honest_again, reverted, told};
use crate::liar::Liar;
use crate::mirror::Mirror;
use crate::support::{L1, Model, PATIENCE, PRICE, SOLS, until, until_final};
use crate::wire::Wire;
use anchor_lang::{AccountDeserialize, AccountSerialize};
use anyhow::{Context, Result, ensure};
use assay::config::ExecutorChoice;
use assay::dev::cheat::Cheat;
use assay::l1::error::Severity;
use assay::replica::error::ReplicaError;
use assay::replica::runs::RunsError;
use assay::service::Service;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Standing, Verifier};
use assay_client::api::Key32;
use assay_client::http::Api;
use assay_client::l1::{JobOrder, L1 as Chain};
use assay_client::wallet::Wallet;
use assay_ledger::inbox::Forced;
use assay_ledger::request::Action;
use assay_ledger::{Key, SOL};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use settlement::state::Rollup;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

pub fn config(l1: &L1, dir: &str) -> VerifierConfig {
    VerifierConfig {
        data_dir: l1.dir.path().join(dir),
        executor: ExecutorChoice::Cpu,
        poll_ms: 50,
        transactions: l1.transactions,
        ..VerifierConfig::default()
    }
}

/// What a verifier has done: batches, runs, runs done again.
#[derive(Default)]
struct Seen(Mutex<Vec<(u64, u64, u64)>>);

impl Seen {
    fn batches(&self) -> Vec<u64> {
        let seen = self.0.lock().unwrap();
        seen.iter().map(|(number, _, _)| *number).collect()
    }
}

async fn open(
    l1: &L1,
    config: &VerifierConfig,
    rpc: &str,
    mirrors: &[String],
) -> Result<(Verifier, Arc<Seen>)> {
    let seen = Arc::new(Seen::default());
    let told = seen.clone();
    let listener = move |event: &Event<'_>| match event {
        Event::Right(right, _) => {
            let batch = (right.header.number, right.runs, right.again);
            told.0.lock().unwrap().push(batch);
        }
        // The bytes of its models came when it was final.
        Event::Rechecked(rechecked) if !rechecked.invalid => {
            let mut seen = told.0.lock().unwrap();
            let number = rechecked.header.number;
            let batch = seen.iter_mut().find(|(known, ..)| *known == number);
            batch.expect("it was replayed before").2 += rechecked.runs;
        }
        other => panic!("{other:?}"),
    };
    let verifier = Verifier::open(config, rpc, l1.rollup, mirrors, Arc::new(listener)).await?;
    Ok((verifier, seen))
}

async fn once(verifier: &mut Verifier) -> Result<Standing> {
    match verifier.run(true, CancellationToken::new()).await? {
        End::Done(standing) => Ok(standing),
        End::Wrong(number) => anyhow::bail!("batch {number} is wrong"),
    }
}

/// The verifier has the sequencer's state after its newest batch.
pub async fn same_state(api: &Api, verifier: &Verifier) -> Result<()> {
    let head = verifier.replica().head();
    let batch = api.batch(head.number).await?;
    assert_eq!(batch.hash.0, head.hash);
    let mut state = verifier.replica().state().clone();
    let components = state.components();
    assert_eq!(components.accounts.root, batch.state.accounts.root.0);
    assert_eq!(components.models.root, batch.state.models.root.0);
    assert_eq!(components.outbox.root, batch.state.outbox.root.0);
    assert_eq!(components.inbox.chain, batch.state.inbox_chain.0);
    Ok(())
}

/// A sequencer at work: every kind of transaction, in batches of its own making.
pub struct Work<'a> {
    l1: &'a L1,
    pub api: Api,
    pub model: Model,
    client: Wallet,
    nonce: AtomicU64,
}

impl<'a> Work<'a> {
    pub async fn start(l1: &'a L1, api: &Api) -> Result<Self> {
        let (publisher, client) = (Wallet::random(), Wallet::random());
        l1.fund(api, &publisher, SOLS).await?;
        l1.fund(api, &client, SOLS).await?;
        let model = Model::deploy(l1, api, &publisher).await?;
        Ok(Self {
            l1,
            api: api.clone(),
            model,
            client,
            nonce: AtomicU64::new(0),
        })
    }

    /// Who pays for the runs.
    pub fn client(&self) -> Key {
        self.client.key()
    }

    /// A batch with `runs` inferences, a transfer, a withdrawal and what L1 has sent.
    pub async fn batch(&self, runs: u64) -> Result<u64> {
        let batch = self.submit(runs).await?;
        let _ = self.api.close_batch().await;
        Ok(batch)
    }

    /// The same, and the batch stays open.
    pub async fn submit(&self, runs: u64) -> Result<u64> {
        let nonce = self.nonce.fetch_add(runs + 2, Ordering::Relaxed);
        let to = Wallet::random().key();
        let recipient: Key = self.client.key();
        let mut requests: Vec<_> = (0..runs)
            .map(|i| {
                self.l1
                    .sign(&self.client, nonce + i, self.model.infer(nonce + i))
            })
            .collect();
        let transfer = Action::Transfer { to, amount: 5 };
        requests.push(self.l1.sign(&self.client, nonce + runs, transfer));
        let withdraw = Action::Withdraw {
            recipient,
            amount: 7,
        };
        requests.push(self.l1.sign(&self.client, nonce + runs + 1, withdraw));
        let outcomes = self.api.submit(&requests).await?;
        ensure!(outcomes.iter().all(|o| o.accepted), "{outcomes:?}");
        let batch = outcomes.last().and_then(|o| o.executed.as_ref());
        Ok(batch.context("a batch")?.batch)
    }

    /// A deposit, credited.
    pub async fn credited(&self) -> Result<()> {
        self.l1.fund(&self.api, &Wallet::random(), 1_000).await
    }

    /// A job, a deposit and a forced withdrawal, consumed.
    pub async fn messages(&self) -> Result<()> {
        let payer = &self.l1.operator;
        let chain = Chain::new(self.l1.sender.clone(), self.l1.rollup, payer.clone());
        let bytes = self.model.imported.program.input_bytes();
        let job = JobOrder {
            model: 0,
            program_root: self.model.imported.program.root(),
            input: (0..bytes).map(|i| i as u8).collect(),
            max_price: PRICE,
            output_index: 0,
            output_bytes: 64,
            feed: None,
            deadline: None,
        };
        chain.create_job(&job).await?;
        self.l1.deposit(payer, 10_000).await?;
        chain
            .force(&Forced::Withdraw {
                owner: payer.key(),
                mint: SOL,
                recipient: payer.key(),
                amount: 1_000,
            })
            .await?;
        let count = assay_client::accounts::rollup(self.l1.sender.rpc(), &self.l1.rollup)
            .await?
            .inbox_count;
        until("the messages", || async {
            let status = self.api.status().await?;
            Ok((status.inbox.consumed >= count).then_some(()))
        })
        .await?;
        let account = self.api.account(Key32(payer.key()), Key32(SOL)).await?;
        assert_eq!(account.map(|a| a.balance), Some(9_000));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_follows_an_honest_sequencer_from_genesis_and_through_restarts() -> Result<()> {
    let l1 = L1::start().await?;
    let mut of_sequencer = l1.config();
    of_sequencer.batch.transactions = 60;
    let service = Service::start(of_sequencer).await?;
    let api = Api::new(service.url());
    let mirrors = [service.url()];
    let rpc = l1.chain.rpc_url().to_owned();

    // Nothing there yet.
    let config_a = config(&l1, "verifier-a");
    let (mut verifier, _) = open(&l1, &config_a, &rpc, &mirrors).await?;
    assert_eq!(once(&mut verifier).await?, Standing::default());
    drop(verifier);

    let work = Work::start(&l1, &api).await?;
    work.messages().await?;
    // More than one batch: 60 transactions each.
    let mut last = work.batch(100).await?;
    last = last.max(work.batch(3).await?);
    until_final(&api, last).await?;

    let (mut verifier, seen) = open(&l1, &config_a, &rpc, &mirrors).await?;
    let standing = once(&mut verifier).await?;
    assert!(
        standing.head >= last && standing.finalised >= last,
        "{standing:?}"
    );
    assert_eq!(seen.batches(), (1..=standing.head).collect::<Vec<_>>());
    assert_eq!(verifier.wanted(), 0);
    same_state(&api, &verifier).await?;
    let totals = verifier.replica().totals();
    assert_eq!(totals.inferences, 104);
    let counters = api.status().await?.counters;
    assert_eq!(totals.inferences, counters.inferences);

    // A second directory: the first one's is in use, and belongs to a verifier.
    let taken = open(&l1, &config_a, &rpc, &mirrors).await.err();
    assert!(format!("{:#}", taken.unwrap()).contains("in use"));
    drop(verifier);
    let mut foreign = l1.config();
    foreign.data_dir = config_a.data_dir.clone();
    let refused = Service::start(foreign).await.err();
    assert!(format!("{:#}", refused.unwrap()).contains("sequencer key"));

    // Goes on where it was, while the sequencer works.
    let next = work.batch(10).await?;
    until_final(&api, next).await?;
    let (mut verifier, seen) = open(&l1, &config_a, &rpc, &mirrors).await?;
    let before = verifier.replica().head().number;
    assert_eq!(before, standing.head);
    let mut standings = verifier.standing();
    let stop = CancellationToken::new();
    let (ended, followed) = tokio::join!(verifier.run(false, stop.clone()), async {
        let last = work.batch(5).await?;
        standings.wait_for(|s| s.head >= last).await?;
        stop.cancel();
        Ok::<_, anyhow::Error>(last)
    });
    assert!(matches!(ended?, End::Done(_)));
    let head = verifier.replica().head().number;
    assert!(head >= followed?);
    assert_eq!(seen.batches(), (before + 1..=head).collect::<Vec<_>>());
    same_state(&api, &verifier).await?;

    // A sample: fewer runs, the same state. The seed fixes which.
    let mut config_b = config(&l1, "verifier-b");
    config_b.sample = 0.3;
    config_b.seed = Some("07".repeat(32));
    let (mut sampling, seen) = open(&l1, &config_b, &rpc, &mirrors).await?;
    once(&mut sampling).await?;
    let (runs, again) = seen
        .0
        .lock()
        .unwrap()
        .iter()
        .fold((0, 0), |(r, a), b| (r + b.1, a + b.2));
    assert!(
        runs >= 119 && again < runs / 2 && again > runs / 10,
        "{again} of {runs}"
    );
    same_state(&api, &sampling).await?;

    // Nobody gives the models' bytes: it stops before the first run, and goes on when they come.
    let config_c = config(&l1, "verifier-c");
    let (mut blind, _) = open(&l1, &config_c, &rpc, &[]).await?;
    let error = blind.catch_up().await.unwrap_err();
    assert!(
        matches!(error, ReplicaError::Runs(RunsError::Blob { .. })),
        "{error}"
    );
    let at = blind.replica().head().number;
    assert!(at >= 1 && at < standing.head && blind.wanted() == 1);
    drop(blind);

    // Somebody gives no bytes, but what the outputs of final batches were: everything else is done again.
    let words = Mirror::before(&service.url(), |path| path.ends_with("/outputs")).await?;
    let config_d = config(&l1, "verifier-d");
    let (mut told, seen) = open(&l1, &config_d, &rpc, &[words.url]).await?;
    until_final(&api, head).await?;
    told.catch_up().await?;
    let (runs, again) = seen
        .0
        .lock()
        .unwrap()
        .iter()
        .fold((0, 0), |(r, a), b| (r + b.1, a + b.2));
    assert!(runs >= 119 && again == 0, "{again} of {runs}");
    same_state(&api, &told).await?;
    drop(told);

    // One mirror is not there, one has it.
    let two = ["http://127.0.0.1:1".to_owned(), mirrors[0].clone()];
    let (mut seeing, seen) = open(&l1, &config_c, &rpc, &two).await?;
    once(&mut seeing).await?;
    assert_eq!(seen.batches().first(), Some(&(at + 1)));
    assert_eq!(seeing.wanted(), 0);
    same_state(&api, &seeing).await?;

    service.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_outlasts_a_node_that_dies() -> Result<()> {
    let l1 = L1::start().await?;
    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    let wire = Wire::to(l1.chain.rpc_url()).await?;
    let config = VerifierConfig {
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..config(&l1, "verifier")
    };
    let (mut verifier, _) = open(&l1, &config, &wire.url, &[service.url()]).await?;
    let url = format!("http://{}", verifier.address().context("an address")?);
    let mut standings = verifier.standing();
    let stop = CancellationToken::new();
    let (ended, worked) = tokio::join!(verifier.run(false, stop.clone()), async {
        let work = Work::start(&l1, &api).await?;
        let first = work.batch(3).await?;
        standings.wait_for(|s| s.head >= first).await?;
        wire.cut();
        let second = work.batch(3).await?;
        until_final(&api, second).await?;
        until("the verifier to notice", || async {
            let text = reqwest::get(format!("{url}/metrics")).await?.text().await?;
            let retries = text
                .lines()
                .find_map(|l| l.strip_prefix("assay_verifier_retries_total "))
                .and_then(|n| n.parse::<u64>().ok());
            Ok((retries > Some(0)).then_some(()))
        })
        .await?;
        assert!(standings.borrow().head < second);
        wire.mend();
        standings.wait_for(|s| s.head >= second).await?;
        let status: serde_json::Value = reqwest::get(format!("{url}/status")).await?.json().await?;
        assert!(status["head"].as_u64() >= Some(second), "{status}");
        let health = reqwest::get(format!("{url}/health")).await?;
        assert!(health.status().is_success());
        stop.cancel();
        Ok::<_, anyhow::Error>(())
    });
    worked?;
    ended?;
    same_state(&api, &verifier).await?;
    service.stop().await?;
    l1.chain.stop().await
}

/// Hides the first message of L1's inbox: the second takes its place. What L1 keeps of the messages is
/// hidden too, and a third is said to be there, so that the reader has nothing to compare them with.
fn hide_the_first_message(l1: &L1) -> impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static {
    let page = assay_client::pda::inbox_page(&l1.rollup, 0).to_string();
    let rollup = l1.rollup.to_string();
    move |method, params, result| {
        let address = params[0].as_str().unwrap_or_default();
        if method == "getSignaturesForAddress" && address == page {
            // Newest first.
            result.as_array_mut().map(Vec::pop);
        } else if method == "getAccountInfo" && address == page {
            result["value"] = Value::Null;
        } else if method == "getAccountInfo" && address == rollup {
            let data = &mut result["value"]["data"][0];
            let bytes = STANDARD.decode(data.as_str().unwrap()).unwrap();
            let mut told = Rollup::try_deserialize(&mut bytes.as_slice()).unwrap();
            told.inbox_count += 1;
            let mut altered = Vec::new();
            told.try_serialize(&mut altered).unwrap();
            *data = STANDARD.encode(altered).into();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_about_the_inbox_makes_no_batch_wrong() -> Result<()> {
    let l1 = L1::start().await?;
    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    l1.fund(&api, &Wallet::random(), 1_000).await?;
    let _ = api.close_batch().await;
    until_final(&api, 1).await?;
    l1.fund(&api, &Wallet::random(), 2_000).await?;

    let liar = Liar::before(l1.chain.rpc_url(), hide_the_first_message(&l1)).await?;
    // It panics if a batch is said to be wrong.
    let (mut verifier, _) = open(&l1, &config(&l1, "verifier"), &liar.url, &[]).await?;
    let error = verifier.catch_up().await.unwrap_err();
    assert!(
        matches!(error, ReplicaError::OtherMessages { number: 1 }),
        "{error}"
    );
    assert_eq!(error.severity(), Severity::Temporary);
    // The same when it looks again, and nothing of the lie is left when the node says the truth.
    verifier.catch_up().await.unwrap_err();
    liar.lies(false);
    once(&mut verifier).await?;
    assert!(verifier.replica().head().number >= 1);
    same_state(&api, &verifier).await?;
    service.stop().await?;
    l1.chain.stop().await
}

/// What L1 keeps of the batches is rubbish: that does not pass, by all that a client knows.
fn rubbish_for_the_chain(l1: &L1) -> impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static {
    let chain = assay_client::pda::chain(&l1.rollup).to_string();
    move |method, params, result| {
        if method == "getAccountInfo" && params[0] == chain {
            result["value"]["data"][0] = STANDARD.encode([1; 100]).into();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_ends_a_verifier_in_a_dispute() -> Result<()> {
    let World {
        l1,
        service,
        api,
        cheater,
        challenger,
    } = World::start(Cheat::WrongBalance).await?;
    let work = Work::start(&l1, &api).await?;
    let liar = Liar::before(l1.chain.rpc_url(), rubbish_for_the_chain(&l1)).await?;
    liar.lies(false);
    let mut watch = Watch::start(&l1, &api, &liar.url, "verifier", "challenger.json").await?;
    let lie = told(&cheater, &work).await?;
    until("the dispute to be opened", || async {
        Ok((!watch.steps().is_empty()).then_some(()))
    })
    .await?;
    liar.lies(true);
    let stands = watch
        .standing
        .wait_for(|standing| standing.stands.is_some());
    tokio::time::timeout(PATIENCE, stands).await??;
    let trouble = watch.standing.borrow().trouble().context("a trouble")?;
    assert!(trouble.contains("is not a chain of batches"), "{trouble}");
    liar.lies(false);
    reverted(&l1, &lie).await?;
    honest_again(&l1, &mut watch, &lie).await?;
    cleaned(&l1, &challenger).await?;
    watch.stop().await?;

    // With nothing at stake it says what is the matter, and ends.
    let config = VerifierConfig {
        keypair: Some(l1.dir.path().join("challenger.json")),
        ..config(&l1, "verifier")
    };
    let (mut idle, _) = open(&l1, &config, &liar.url, &[api.url().to_owned()]).await?;
    once(&mut idle).await?;
    liar.lies(true);
    let error = idle.run(false, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("is not a chain"), "{error:#}");
    service.stop().await?;
    l1.chain.stop().await
}

/// `assay verifier` in a process of its own, and what it prints.
pub struct Process {
    pub child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Process {
    pub fn start(l1: &L1, api: &str, dir: &Path, more: &[&str]) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_assay_process"))
            .args(["verifier", "--json", "--executor", "cpu", "--api", api])
            .args(["--rpc", l1.chain.rpc_url()])
            .args(["--rollup", &l1.rollup.to_string()])
            .arg("--data-dir")
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    pub async fn event(&mut self) -> Result<Option<serde_json::Value>> {
        let line = tokio::time::timeout(crate::support::PATIENCE, self.lines.next_line()).await??;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_goes_on_after_sigkill() -> Result<()> {
    let l1 = L1::start().await?;
    let mut of_sequencer = l1.config();
    of_sequencer.batch.transactions = 40;
    let service = Service::start(of_sequencer).await?;
    let api = Api::new(service.url());
    let work = Work::start(&l1, &api).await?;
    let mut last = 0;
    for _ in 0..4 {
        last = work.batch(100).await?;
    }
    until_final(&api, last).await?;

    let dir = l1.dir.path().join("verifier");
    // What it was heard to say: it may have done more than that when it is killed.
    let mut done = 0;
    let mut rounds = 0;
    let mut killed = 0;
    loop {
        rounds += 1;
        let mut process = Process::start(&l1, api.url(), &dir, &["--once"])?;
        let started = process.event().await?.context("it ended before it began")?;
        assert_eq!(started["event"], "started");
        let head = started["head"].as_u64().context("a head")?;
        // What it said was right, it keeps; what it kept, it does not do again.
        assert!(head >= done, "after batch {done} it began at {head}");
        let mut next = head + 1;
        let mut ended = None;
        while let Some(event) = process.event().await? {
            match event["event"].as_str() {
                // The bytes of its models came when it was final.
                Some("verified") if event["final"] == true => {}
                Some("verified" | "unverified") => {
                    assert_eq!(event["batch"].as_u64(), Some(next));
                    done = next;
                    next += 1;
                }
                Some("ended") => ended = event["head"].as_u64(),
                _ => panic!("{event}"),
            }
            if ended.is_none() && next > head + 2 {
                // In the middle of whatever it does now.
                tokio::time::sleep(Duration::from_millis(rounds * 7 % 60)).await;
                break;
            }
        }
        if let Some(head) = ended {
            assert!(process.child.wait().await?.success());
            assert!(head >= last, "{head} of {last}");
            break;
        }
        killed += u32::from(process.child.try_wait()?.is_none());
        process.child.kill().await?;
    }
    assert!(killed > 0, "{rounds} rounds, and it was never at work");
    let (verifier, _) = open(
        &l1,
        &VerifierConfig {
            data_dir: dir,
            ..config(&l1, "unused")
        },
        l1.chain.rpc_url(),
        &[],
    )
    .await?;
    same_state(&api, &verifier).await?;
    service.stop().await?;
    l1.chain.stop().await
}
