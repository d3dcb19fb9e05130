//! What happens in the demo, in order.

use super::balances::{Balances, Check, Parties, Snapshot, fees_since, marks};
use super::costs;
use super::digits::Digits;
use super::figures::Figures;
use super::progress::Progress;
use super::{Options, Report};
use crate::dev::network::{LAMPORTS, Network, Options as NetworkOptions};
use anyhow::{Context, Result, ensure};
use assay_client::api::{BatchStatus, BatchView, JobView, ModelView};
use assay_client::http::Api;
use assay_client::l1::{JobOrder, L1};
use assay_client::l2::{self, L2};
use assay_client::wallet::Wallet;
use assay_ledger::SOL;
use escrow::state::JobStatus;
use solana_pubkey::Pubkey;
use std::time::{Duration, Instant};

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Base units of one token.
const TOKEN: u64 = 1_000_000;
/// Price of one inference, lamports.
const PRICE: u64 = 2_000;
/// What the L1 job may cost.
const JOB_LIMIT: u64 = 10_000;
/// What the publisher starts with on L2.
const PUBLISHER_START: u64 = LAMPORTS / 10;
const DEPOSIT_SOL: u64 = 5 * LAMPORTS;
const DEPOSIT_TOKEN: u64 = 500 * TOKEN;
const WITHDRAW_SOL: u64 = LAMPORTS;
const WITHDRAW_TOKEN: u64 = 200 * TOKEN;

/// Everybody and everything.
struct Demo {
    network: Network,
    api: Api,
    progress: Progress,
    parties: Parties,
    user: Actor,
    publisher: Actor,
}

/// Somebody on both layers.
struct Actor {
    l1: L1,
    l2: L2,
}

impl Actor {
    fn new(network: &Network, wallet: Wallet) -> Self {
        Self {
            l1: L1::new(network.sender.clone(), network.rollup, wallet.clone()),
            l2: L2::new(network.api(), network.rollup, wallet),
        }
    }
}

/// What the inferences gave.
struct Inferences {
    classes: Vec<u8>,
    count: usize,
    per_second: f64,
    first_ms: f64,
}

/// What was paid on L1 at the end.
struct Payouts {
    withdrawals: usize,
    job: Pubkey,
    job_class: u8,
    jobs: usize,
}

pub async fn run(options: Options) -> Result<Report> {
    let begun = Instant::now();
    let digits = Digits::load(options.images)?;
    let data = tempfile::tempdir()?;
    let progress = Progress::new(options.progress);
    let mut network = NetworkOptions::new(data.path());
    network.executor = options.executor;
    // The demo closes its batches itself.
    network.batch_age_ms = 30_000;
    let network = Network::start(network, |step| progress.network(step)).await?;
    let demo = Demo::new(network, progress).await?;
    let report = demo.play(&digits, options.rounds.max(1), begun).await;
    demo.progress.finish("");
    let stopped = demo.network.stop().await;
    let report = report?;
    stopped?;
    Ok(report)
}

impl Demo {
    async fn new(network: Network, progress: Progress) -> Result<Self> {
        progress.step("a user with SOL and tokens, a publisher");
        let (user, publisher) = (Wallet::random(), Wallet::random());
        network.fund(&user.address(), 20 * LAMPORTS).await?;
        network.fund(&publisher.address(), LAMPORTS).await?;
        network.mint_to(&user.address(), 1_000 * TOKEN).await?;
        let parties = Parties {
            user: user.address(),
            publisher: publisher.address(),
            sequencer: network.sequencer.address(),
            operator: network.operator.address(),
            rollup: network.rollup,
            mint: network.mint,
        };
        Ok(Self {
            api: network.api(),
            user: Actor::new(&network, user),
            publisher: Actor::new(&network, publisher),
            network,
            progress,
            parties,
        })
    }

    async fn play(&self, digits: &Digits, rounds: usize, begun: Instant) -> Result<Report> {
        let rpc = self.network.sender.rpc();
        let before = Snapshot::take(rpc, &self.api, &self.parties, None, 0).await?;
        let marks = marks(rpc, &self.parties).await?;

        self.deposit().await?;
        let model = self.deploy(digits).await?;
        let inferences = self.infer(digits, &model, rounds).await?;
        let payouts = self.pay_out(digits, &model).await?;
        let batches = self.batches().await?;

        self.progress.step("balances");
        let count = batches.len() as u64;
        let job = Some(payouts.job);
        let after = Snapshot::take(rpc, &self.api, &self.parties, job, count).await?;
        let fees = fees_since(rpc, &self.parties, &marks).await?;
        let balances = Balances { before, after };
        let mut checks = balances.checks(fees);
        checks.extend(self.payments(&balances, inferences.count as u64));
        checks.push(Check::new(
            "the class on L1 and on L2 of the same image",
            u64::from(payouts.job_class),
            u64::from(inferences.classes[0]),
        ));
        let status = self.api.status().await?;
        let figures = figures(
            digits,
            &inferences,
            &payouts,
            &batches,
            &self.parties.sequencer,
            status.version1,
        );
        let figures = Figures {
            executor: status.executor,
            balances_conserved: checks.iter().all(Check::holds),
            l1_fees: fees,
            balances: balances.clone(),
            seconds: begun.elapsed().as_secs_f64(),
            ..figures
        };
        Ok(Report {
            figures,
            balances,
            checks,
        })
    }

    async fn deposit(&self) -> Result<()> {
        self.progress
            .step("5 SOL and 500 tokens deposited through the bridge, credited on L2");
        let (me, mint) = (self.parties.user, self.parties.mint);
        self.user.l1.deposit_sol(&me, DEPOSIT_SOL).await?;
        self.user
            .l1
            .deposit_token(&mint, &me, DEPOSIT_TOKEN)
            .await?;
        let l2 = &self.user.l2;
        l2.wait_for_balance(SOL, DEPOSIT_SOL, PATIENCE).await?;
        l2.wait_for_balance(mint.to_bytes(), DEPOSIT_TOKEN, PATIENCE)
            .await?;
        Ok(())
    }

    async fn deploy(&self, digits: &Digits) -> Result<ModelView> {
        self.progress
            .step("digits model imported from ONNX, deployed, callable in the next batch");
        let publisher = self.parties.publisher;
        self.user
            .l2
            .transfer(SOL, &publisher, PUBLISHER_START)
            .await?;
        let model = self.publisher.l2.deploy(&digits.bundle, SOL, PRICE).await?;
        self.api.close_batch().await?;
        let model = self
            .publisher
            .l2
            .wait_for_model(model.index, PATIENCE)
            .await?;
        self.progress.finish(format!(
            "model {}, {} work units a run",
            model.index, model.units
        ));
        Ok(model)
    }

    async fn infer(&self, digits: &Digits, model: &ModelView, rounds: usize) -> Result<Inferences> {
        let total = rounds * digits.inputs.len();
        self.progress
            .step(format!("{total} inferences, each a signed L2 transaction"));
        let first = Instant::now();
        let (_, answer) = self.user.l2.infer(model, digits.inputs[0].clone()).await?;
        let first_ms = first.elapsed().as_secs_f64() * 1e3;
        let alone = digits.class(&answer.outputs.unwrap_or_default().0)?;

        let inputs = (0..total).map(|i| digits.inputs[i % digits.inputs.len()].clone());
        let actions = inputs.map(|input| L2::inference(model, input)).collect();
        let requests = self.user.l2.sign(SOL, actions).await?;
        let sent = Instant::now();
        let outcomes = self.api.submit(&requests).await?;
        let seconds = sent.elapsed().as_secs_f64();
        let mut classes = Vec::with_capacity(total);
        for outcome in outcomes {
            let (_, executed) = l2::done(outcome)?;
            classes.push(digits.class(&executed.outputs.unwrap_or_default().0)?);
        }
        ensure!(
            classes.len() == total,
            "{} answers to {total} requests",
            classes.len()
        );
        ensure!(classes[0] == alone, "the same image has two classes");
        let per_second = total as f64 / seconds;
        self.progress.finish(format!("{per_second:.0} a second"));
        Ok(Inferences {
            classes,
            count: total + 1,
            per_second,
            first_ms,
        })
    }

    /// The L1 job and the withdrawals, until everything is paid on L1.
    async fn pay_out(&self, digits: &Digits, model: &ModelView) -> Result<Payouts> {
        self.progress.step("one job paid on L1, run on L2");
        let (job, _) = self
            .user
            .l1
            .create_job(&JobOrder {
                model: model.index,
                program_root: model.program_root.0,
                input: digits.inputs[0].clone(),
                max_price: JOB_LIMIT,
                output_index: digits.class_output as u32,
                output_bytes: digits.output_bytes(),
                feed: None,
                deadline: None,
            })
            .await?;
        let view = self.job(&job).await?;

        self.progress.step("SOL and tokens withdrawn on L2");
        let (me, mint) = (self.parties.user, self.parties.mint);
        let l2 = &self.user.l2;
        let (_, sol) = l2.withdraw(SOL, &me, WITHDRAW_SOL).await?;
        let (_, token) = l2.withdraw(mint.to_bytes(), &me, WITHDRAW_TOKEN).await?;
        self.api.close_batch().await?;

        self.progress.step("batches on L1 and final");
        let last = sol.batch.max(token.batch).max(view.batch);
        l2.wait_for_final(last, PATIENCE).await?;

        self.progress
            .step("withdrawals paid and the job settled on L1");
        let mut withdrawals = 0;
        for withdrawal in self.api.withdrawals(me.into()).await? {
            let proof = self.api.outbox(withdrawal.index).await?;
            let sent = self.user.l1.withdraw(&proof).await?;
            withdrawals += usize::from(sent.landed().is_some());
        }
        let proof = self.api.outbox(view.index).await?;
        self.user.l1.settle_job(&job, &view, &proof).await?;
        // What L1 says now, not what we were told.
        let account = self.user.l1.job(&job).await?;
        ensure!(
            account.status == JobStatus::Settled,
            "the job is {:?} on L1",
            account.status
        );
        Ok(Payouts {
            withdrawals,
            job,
            job_class: digits.class_of(&account.output.data)?,
            jobs: 1,
        })
    }

    async fn job(&self, address: &Pubkey) -> Result<JobView> {
        let ran = || async {
            match self.api.job((*address).into()).await {
                Ok(view) => Ok(Some(view)),
                Err(e) if e.is_not_found() => Ok(None),
                Err(e) => Err(e.into()),
            }
        };
        Ok(l2::wait("the job's result", PATIENCE, ran).await?)
    }

    /// All batches, once they are final and their data accounts are closed.
    async fn batches(&self) -> Result<Vec<BatchView>> {
        let last = self.api.status().await?.building.number.saturating_sub(1);
        self.user.l2.wait_for_final(last, PATIENCE).await?;
        let mut batches = Vec::new();
        for number in 1..=last {
            let get = || async {
                let batch = self.api.batch(number).await?;
                Ok(Some(batch).filter(|b| b.status == BatchStatus::Final))
            };
            let batch = l2::wait("a final batch", PATIENCE, get).await;
            batches.push(batch.with_context(|| format!("batch {number}"))?);
        }
        Ok(batches)
    }

    /// What each party must have, to the base unit, when `n` inferences were paid.
    fn payments(&self, balances: &Balances, n: u64) -> Vec<Check> {
        let share = PRICE * u64::from(self.share()) / 10_000;
        let (before, after) = (&balances.before, &balances.after);
        let [user, publisher, sequencer, _] = after.l2_sol;
        vec![
            Check::new(
                "the user's lamports on L2",
                user,
                DEPOSIT_SOL - PUBLISHER_START - WITHDRAW_SOL - n * PRICE,
            ),
            Check::new(
                "the publisher's lamports on L2",
                publisher,
                PUBLISHER_START + n * (PRICE - share),
            ),
            Check::new("the sequencer's lamports on L2", sequencer, n * share),
            Check::new(
                "the user's tokens on L1",
                after.user_tokens[0],
                before.user_tokens[0] - DEPOSIT_TOKEN + WITHDRAW_TOKEN,
            ),
            Check::new(
                "the publisher's lamports on L1, with its share of the job",
                after.l1_sol[1],
                before.l1_sol[1] + PRICE - share,
            ),
        ]
    }

    fn share(&self) -> u16 {
        crate::dev::network::dev_rollup().params.sequencer_share
    }
}

/// The figures, those that need the chain left empty.
fn figures(
    digits: &Digits,
    inferences: &Inferences,
    payouts: &Payouts,
    batches: &[BatchView],
    poster: &Pubkey,
    version1: bool,
) -> Figures {
    let n = inferences.count;
    let quality = digits.quality(&inferences.classes);
    let paid = costs::paid(batches);
    let legacy = costs::legacy(batches, poster);
    let each = costs::one_each(n, digits.inputs[0].len());
    let saving = |lamports: u64| each.lamports as f64 / lamports.max(1) as f64;
    let is_final = |b: &&BatchView| b.status == BatchStatus::Final;
    Figures {
        accuracy: quality.accuracy,
        float_accuracy: quality.float_accuracy,
        onnxruntime_agreement: quality.agreement,
        inferences: n,
        inferences_per_second: inferences.per_second,
        first_inference_ms: inferences.first_ms,
        executor: String::new(),
        transaction_version: if version1 { "1" } else { "legacy" },
        l1_lamports_per_inference: paid.lamports_each(n),
        l1_lamports_per_inference_legacy: legacy.lamports_each(n),
        l1_lamports_one_each: each.lamports_each(n),
        l1_saving: saving(paid.lamports),
        l1_saving_legacy: saving(legacy.lamports),
        l1_bytes_per_inference: paid.bytes_each(n),
        l1_bytes_per_inference_legacy: legacy.bytes_each(n),
        l1_bytes_one_each: each.bytes_each(n),
        batches: batches.len(),
        batches_final: batches.iter().filter(is_final).count(),
        withdrawals_paid: payouts.withdrawals,
        l1_jobs_settled: payouts.jobs,
        balances_conserved: false,
        l1_fees: 0,
        seconds: 0.0,
        balances: Balances {
            before: Snapshot::default(),
            after: Snapshot::default(),
        },
    }
}
