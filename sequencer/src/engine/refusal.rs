//! Why a request is not taken. Each says what was expected and what to do; none consumes anything.

use super::execute::NoRun;
use assay_client::api::{Hash32, Key32, Refusal};
use assay_ledger::{Hash, Key};

/// A reason for refusing a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// For another rollup.
    #[error("signed for rollup {}, this sequencer serves {}: sign for the latter", Key32(*.got), Key32(*.expected))]
    Rollup {
        /// What was signed.
        got: Key,
        /// What is served.
        expected: Key,
    },
    /// The signature is not the owner's over this request.
    #[error("the signature is not one of {} over this request: sign `Request::signing_bytes` with that key", Key32(*.0))]
    Signature(Key),
    /// There is no such account.
    #[error("{} has no account in mint {}: deposit first", Key32(*.owner), Key32(*.mint))]
    Account {
        /// The owner.
        owner: Key,
        /// The mint.
        mint: Key,
    },
    /// Another model in a call that has as many as it may.
    #[error("one call may deploy or update to {0} models: send the others in another call")]
    Models(usize),
    /// Not the account's next nonce.
    #[error("nonce {got} where {expected} is next: ask GET /v1/accounts/{{owner}} and sign again")]
    Nonce {
        /// What was signed.
        got: u64,
        /// What is next, counting requests on their way.
        expected: u64,
    },
    /// Too little balance.
    #[error("{need} needed and {have} there, counting requests on their way: deposit more")]
    Balance {
        /// What it takes.
        need: u64,
        /// What is there.
        have: u64,
    },
    /// A transfer or a withdrawal of nothing.
    #[error("the amount is zero: send an amount of at least one base unit")]
    ZeroAmount,
    /// There is no such model.
    #[error("there is no model {0}: see GET /v1/models")]
    Model(u32),
    /// The model is another than the one signed for.
    #[error("model {model} has program {}: ask GET /v1/models/{model} and sign again", Hash32(*.program))]
    Program {
        /// Its index.
        model: u32,
        /// Its program.
        program: Hash,
    },
    /// The price is another than the one signed.
    #[error("model {model} costs {now}, {signed} was signed: sign again with its price")]
    Price {
        /// Its index.
        model: u32,
        /// Its price.
        now: u64,
        /// What was signed.
        signed: u64,
    },
    /// The version is another than the one signed.
    #[error(
        "model {model} is at version {now}, {signed} was asked for: sign for that version or for any"
    )]
    Version {
        /// Its index.
        model: u32,
        /// Its version.
        now: u64,
        /// What was signed.
        signed: u64,
    },
    /// The model's price is in another mint.
    #[error("model {model} is priced in mint {}: pay from an account in that mint", Key32(*.mint))]
    Mint {
        /// Its index.
        model: u32,
        /// Its mint.
        mint: Key,
    },
    /// Deployed or updated a moment ago.
    #[error(
        "model {model} is callable from batch {from} on, batch {now} is being built: try again later"
    )]
    NotCallable {
        /// Its index.
        model: u32,
        /// When.
        from: u64,
        /// The batch being built.
        now: u64,
    },
    /// The input is not the model's.
    #[error(
        "the input is {got} bytes where model {model} takes {expected}: send all inputs one after the other"
    )]
    InputSize {
        /// Its index.
        model: u32,
        /// What came.
        got: u64,
        /// What it takes.
        expected: u64,
    },
    /// The input is too long to go inline.
    #[error("the input is {got} bytes, {max} at most go inline")]
    InputTooLong {
        /// What came.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Not even an empty batch has room.
    #[error("this needs {need} of a batch's {what}, a batch has {cap}: use a smaller model")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// What it takes.
        need: u64,
        /// What there is.
        cap: u64,
    },
    /// One run takes more than this sequencer gives, though the rollup would permit it.
    #[error(
        "a run takes {need} {what}, this sequencer gives one {cap}: use a smaller model, or a sequencer that gives more"
    )]
    ModelTooLarge {
        /// Of what.
        what: &'static str,
        /// What it takes.
        need: u64,
        /// What it may take.
        cap: u64,
    },
    /// Only the publisher's account may update.
    #[error("model {0} belongs to another account: only its publisher's account can update it")]
    Publisher(u32),
    /// A deployment's blobs are missing or not what was signed.
    #[error("{0}")]
    Blob(String),
    /// Too many bytes of outputs wait for the rest of their calls.
    #[error(
        "outputs of {0} bytes wait in calls that are not done: try again, with fewer requests in a call"
    )]
    Answers(u64),
    /// The executor failed, or the model changed while the request was on its way.
    #[error("{0}: try again")]
    Execution(String),
    /// The ledger refuses it, which the checks before should have said.
    #[error(
        "the ledger refuses it ({0}): an earlier request of the same call was probably refused, see there"
    )]
    Ledger(String),
}

impl Refused {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rollup { .. } => "rollup",
            Self::Signature(_) => "signature",
            Self::Account { .. } => "account",
            Self::Nonce { .. } => "nonce",
            Self::Balance { .. } => "balance",
            Self::ZeroAmount => "amount",
            Self::Model(_) | Self::Program { .. } => "model",
            Self::Price { .. } => "price",
            Self::Version { .. } => "version",
            Self::Mint { .. } => "mint",
            Self::NotCallable { .. } => "not_callable",
            Self::InputSize { .. } | Self::InputTooLong { .. } => "input",
            Self::TooLarge { .. } | Self::ModelTooLarge { .. } => "too_large",
            Self::Publisher(_) => "publisher",
            Self::Blob(_) => "blob",
            Self::Answers(_) | Self::Models(_) => "busy",
            Self::Execution(_) => "execution",
            Self::Ledger(_) => "ledger",
        }
    }

    /// Whether the same request may pass later.
    pub fn retry(&self) -> bool {
        matches!(
            self,
            Self::NotCallable { .. }
                | Self::Execution(_)
                | Self::Blob(_)
                | Self::Answers(_)
                | Self::Models(_)
        )
    }
}

impl From<NoRun> for Refused {
    fn from(why: NoRun) -> Self {
        match why {
            NoRun::TooLarge { what, need, cap } => Self::ModelTooLarge { what, need, cap },
            NoRun::Failed(why) => Self::Execution(why),
        }
    }
}

impl From<&Refused> for Refusal {
    fn from(refused: &Refused) -> Self {
        Self {
            code: refused.code().into(),
            message: refused.to_string(),
            retry: refused.retry(),
        }
    }
}
