//! What a user does on L2: transfers, withdrawals, models, inferences.

use crate::api::{
    AccountView, Executed, Hash32, Key32, ModelView, Outcome, Refusal, Stage, Status,
};
use crate::bundle::{Bundle, BundleError};
use crate::http::{Api, ApiError};
use crate::wallet::Wallet;
use assay_ledger::request::{Action, SignedRequest};
use assay_ledger::{Key, SOL};
use assay_tensor::commit::parameters_root;
use assay_tensor::program::CheckedProgram;
use assay_tensor::types::Tensor;
use solana_pubkey::Pubkey;
use std::time::{Duration, Instant};

/// Why something on L2 failed.
#[derive(Debug, thiserror::Error)]
pub enum L2Error {
    /// The service.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The request is in no batch.
    #[error("the sequencer does not take the request ({}): {}", .0.code, .0.message)]
    Refused(Refusal),
    /// The request is in a batch and did nothing.
    #[error("the transaction failed: {}", .0.status_text)]
    Failed(Executed),
    /// There is no account.
    #[error("{owner} has no account in {mint} on L2: deposit first")]
    NoAccount {
        /// Whose.
        owner: Key32,
        /// In what.
        mint: Key32,
    },
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The sequencer names a blob otherwise than the bundle does.
    #[error("the sequencer computes root {theirs} of what was uploaded, and not {ours}")]
    OtherRoot {
        /// Its root.
        theirs: Hash32,
        /// Ours.
        ours: Hash32,
    },
    /// Somebody else's model.
    #[error("model {model} is {publisher}'s: only that key can update it")]
    OtherPublisher {
        /// The model.
        model: u32,
        /// Whose it is.
        publisher: Key32,
    },
    /// A bundle of another program than the model's.
    #[error(
        "the bundle's program is {ours}, and model {model} has {theirs}: an update changes parameters and price, deploy another program as a model of its own"
    )]
    OtherProgram {
        /// The model.
        model: u32,
        /// Its program.
        theirs: Hash32,
        /// The bundle's.
        ours: Hash32,
    },
    /// Something did not come about in time.
    #[error("{what} did not come about within {} s", waited.as_secs())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
}

/// A rollup on L2, used by one wallet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct L2 {
    api: Api,
    rollup: Pubkey,
    wallet: Wallet,
}

impl L2 {
    /// `wallet` signs requests to `rollup`, which `api` serves.
    pub fn new(api: Api, rollup: Pubkey, wallet: Wallet) -> Self {
        Self {
            api,
            rollup,
            wallet,
        }
    }

    /// The same, of the rollup that the service says it serves.
    pub async fn connect(api: Api, wallet: Wallet) -> Result<Self, L2Error> {
        let rollup = api.status().await?.rollup.into();
        Ok(Self::new(api, rollup, wallet))
    }

    /// The API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The rollup.
    pub fn rollup(&self) -> &Pubkey {
        &self.rollup
    }

    /// The wallet.
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// The wallet's account in `mint`.
    pub async fn account(&self, mint: Key) -> Result<AccountView, L2Error> {
        let (owner, mint) = (Key32(self.wallet.key()), Key32(mint));
        let account = self.api.account(owner, mint).await?;
        account.ok_or(L2Error::NoAccount { owner, mint })
    }

    /// Requests with these actions, signed, on the wallet's account in `mint` from its present
    /// nonce on.
    pub async fn sign(
        &self,
        mint: Key,
        actions: Vec<Action>,
    ) -> Result<Vec<SignedRequest>, L2Error> {
        let nonce = self.account(mint).await?.nonce;
        let signed = actions
            .into_iter()
            .zip(nonce..)
            .map(|(action, nonce)| self.wallet.sign(&self.rollup, mint, nonce, action));
        Ok(signed.collect())
    }

    /// Signs and submits one action; it is an error if it does nothing.
    pub async fn act(&self, mint: Key, action: Action) -> Result<(Hash32, Executed), L2Error> {
        let requests = self.sign(mint, vec![action]).await?;
        let outcomes = self.api.submit(&requests).await?;
        let outcome = outcomes.into_iter().next();
        done(outcome.unwrap_or_else(|| Outcome {
            id: Hash32(requests[0].request.id()),
            accepted: false,
            error: None,
            executed: None,
        }))
    }

    /// Moves tokens to another L2 account.
    pub async fn transfer(
        &self,
        mint: Key,
        to: &Pubkey,
        amount: u64,
    ) -> Result<(Hash32, Executed), L2Error> {
        let to = to.to_bytes();
        self.act(mint, Action::Transfer { to, amount }).await
    }

    /// Moves tokens to L1, where `recipient` is paid once the batch is final.
    pub async fn withdraw(
        &self,
        mint: Key,
        recipient: &Pubkey,
        amount: u64,
    ) -> Result<(Hash32, Executed), L2Error> {
        let recipient = recipient.to_bytes();
        self.act(mint, Action::Withdraw { recipient, amount }).await
    }

    /// Uploads a bundle's blobs and deploys the model, published by the wallet's account in
    /// `mint` and priced in it. Returns the model.
    pub async fn deploy(
        &self,
        bundle: &Bundle,
        mint: Key,
        price: u64,
    ) -> Result<ModelView, L2Error> {
        let (program, parameters) = bundle.open()?;
        let (program_root, parameters_root) = self.upload(bundle, &program, &parameters).await?;
        let before = self.api.models().await?.len();
        let action = Action::Deploy {
            program: program.header(),
            parameters_root: parameters_root.0,
            price,
        };
        self.act(mint, action).await?;
        let me = Key32(self.wallet.key());
        let models = self.api.models().await?;
        // Others may have deployed meanwhile; the same model twice by the same publisher has the
        // newer one last.
        let ours = models.into_iter().skip(before).rev().find(|m| {
            m.publisher == me
                && m.program_root == program_root
                && m.parameters_root == parameters_root
        });
        ours.ok_or(L2Error::TimedOut {
            what: "the deployed model",
            waited: Duration::ZERO,
        })
    }

    /// Uploads a bundle's blobs and updates a model of the wallet's to its parameters, at another price if one is given.
    /// The program stays, so the bundle's must be the model's. Returns the model.
    pub async fn update(
        &self,
        model: u32,
        bundle: &Bundle,
        price: Option<u64>,
    ) -> Result<ModelView, L2Error> {
        let now = self.api.model(model).await?;
        if now.publisher != Key32(self.wallet.key()) {
            let publisher = now.publisher;
            return Err(L2Error::OtherPublisher { model, publisher });
        }
        let (program, parameters) = bundle.open()?;
        let (theirs, ours) = (now.program_root, Hash32(program.root()));
        if theirs != ours {
            return Err(L2Error::OtherProgram {
                model,
                theirs,
                ours,
            });
        }
        let (program_root, parameters_root) = self.upload(bundle, &program, &parameters).await?;
        let action = Action::Update {
            model,
            program_root: program_root.0,
            parameters_root: parameters_root.0,
            price: price.unwrap_or(now.price),
        };
        self.act(now.mint.0, action).await?;
        Ok(self.api.model(model).await?)
    }

    /// Uploads a bundle's blobs, which hold these; the roots of the program and of the parameters.
    async fn upload(
        &self,
        bundle: &Bundle,
        program: &CheckedProgram,
        parameters: &[Tensor],
    ) -> Result<(Hash32, Hash32), L2Error> {
        let program_root = Hash32(program.root());
        let parameters_root = Hash32(parameters_root(parameters));
        let stored = self.api.put_blob(None, bundle.program.clone()).await?;
        same_root(stored.root, program_root)?;
        let parameters = bundle.parameters.clone();
        let stored = self.api.put_blob(Some(program_root), parameters).await?;
        same_root(stored.root, parameters_root)?;
        Ok((program_root, parameters_root))
    }

    /// An action that runs `model` on these bytes, for its present price.
    pub fn inference(model: &ModelView, input: Vec<u8>) -> Action {
        Action::Infer {
            model: model.index,
            program_root: model.program_root.0,
            price: model.price,
            version: None,
            input,
        }
    }

    /// Runs a model once; the outputs' bytes are in the result.
    pub async fn infer(
        &self,
        model: &ModelView,
        input: Vec<u8>,
    ) -> Result<(Hash32, Executed), L2Error> {
        self.act(model.mint.0, Self::inference(model, input)).await
    }

    /// Waits until a deposit makes the wallet's account in `mint` hold at least `balance`.
    pub async fn wait_for_balance(
        &self,
        mint: Key,
        balance: u64,
        patience: Duration,
    ) -> Result<AccountView, L2Error> {
        let what = "a deposit's arrival on L2";
        wait(what, patience, || async {
            match self.account(mint).await {
                Ok(account) if account.balance >= balance => Ok(Some(account)),
                Ok(_) | Err(L2Error::NoAccount { .. }) => Ok(None),
                Err(e) => Err(e),
            }
        })
        .await
    }

    /// Waits until `model` can be called.
    pub async fn wait_for_model(
        &self,
        model: u32,
        patience: Duration,
    ) -> Result<ModelView, L2Error> {
        wait("a callable model", patience, || async {
            Ok(Some(self.api.model(model).await?).filter(|m| m.callable))
        })
        .await
    }

    /// Waits until batch `number` is final.
    pub async fn wait_for_final(&self, number: u64, patience: Duration) -> Result<Status, L2Error> {
        wait("a final batch", patience, || async {
            Ok(Some(self.api.status().await?).filter(|s| s.finalised >= number))
        })
        .await
    }

    /// Waits until a transaction is at least at `stage`.
    pub async fn wait_for_stage(
        &self,
        id: Hash32,
        stage: Stage,
        patience: Duration,
    ) -> Result<(), L2Error> {
        wait("a transaction's stage", patience, || async {
            Ok((self.api.transaction(id).await?.stage >= stage).then_some(()))
        })
        .await
    }
}

/// What an outcome did; an error if it did nothing.
pub fn done(outcome: Outcome) -> Result<(Hash32, Executed), L2Error> {
    match (outcome.executed, outcome.error) {
        (Some(executed), _) if executed.status == 0 => Ok((outcome.id, executed)),
        (Some(executed), _) => Err(L2Error::Failed(executed)),
        (None, Some(refusal)) => Err(L2Error::Refused(refusal)),
        (None, None) => Err(L2Error::Refused(Refusal {
            code: "unknown".into(),
            message: "the sequencer gives no reason".into(),
            retry: true,
        })),
    }
}

/// The name of a mint for people: `SOL`, or the mint's address.
pub fn mint_name(mint: &Key32) -> String {
    match mint.0 {
        SOL => "SOL".into(),
        _ => mint.to_string(),
    }
}

fn same_root(theirs: Hash32, ours: Hash32) -> Result<(), L2Error> {
    match theirs == ours {
        true => Ok(()),
        false => Err(L2Error::OtherRoot { theirs, ours }),
    }
}

/// Asks until there is an answer.
pub async fn wait<T, F: Future<Output = Result<Option<T>, L2Error>>>(
    what: &'static str,
    patience: Duration,
    ask: impl Fn() -> F,
) -> Result<T, L2Error> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if begun.elapsed() > patience {
            return Err(L2Error::TimedOut {
                what,
                waited: patience,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}
