//! Who has what, on L1 and on L2, and whether it adds up: from real balances and real fees.

use anyhow::{Context, Result};
use assay_client::accounts;
use assay_client::api::Key32;
use assay_client::http::Api;
use assay_client::l1::token_balance;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_ledger::{Key, SOL};
use serde::Serialize;
use solana_client::rpc_client::GetConfirmedSignaturesForAddress2Config;
use solana_pubkey::Pubkey;
use std::fmt;

/// Everybody whose balances count.
#[derive(Clone, Debug)]
pub struct Parties {
    /// Deposits, pays for inferences, withdraws.
    pub user: Pubkey,
    /// Publishes the model.
    pub publisher: Pubkey,
    /// Runs the sequencer.
    pub sequencer: Pubkey,
    /// Set the network up.
    pub operator: Pubkey,
    /// The rollup.
    pub rollup: Pubkey,
    /// The token.
    pub mint: Pubkey,
}

impl Parties {
    fn wallets(&self) -> [(&'static str, Pubkey); 4] {
        [
            ("user", self.user),
            ("publisher", self.publisher),
            ("sequencer", self.sequencer),
            ("operator", self.operator),
        ]
    }

    /// All L1 accounts that can hold lamports of these parties. `job` and `batches` are those of
    /// the demo; what is not there (yet, or any more) holds nothing.
    fn holders(&self, job: Option<Pubkey>, batches: u64) -> Vec<Pubkey> {
        let r = &self.rollup;
        let mut all: Vec<Pubkey> = self.wallets().iter().map(|(_, key)| *key).collect();
        all.extend([
            *r,
            self.mint,
            pda::chain(r),
            pda::sequencer(r, &self.sequencer),
            pda::inbox_page(r, 0),
            pda::sol_vault(r),
            pda::registered_mint(r, &self.mint),
            pda::token_vault(r, &self.mint),
            pda::paid_page(r, 0),
            pda::bridge_sender(r),
            pda::escrow_sender(r),
            pda::escrow_client(r, &self.user),
            pda::token_account(&self.user, &self.mint, &spl_token_interface::ID),
        ]);
        all.extend(job);
        all.extend((1..=batches).map(|n| pda::batch_data(&self.sequencer, n)));
        all
    }
}

/// Balances at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Lamports on L1 of user, publisher, sequencer, operator.
    pub l1_sol: [u64; 4],
    /// Lamports on L2 of the same.
    pub l2_sol: [u64; 4],
    /// The user's tokens on L1 and on L2.
    pub user_tokens: [u64; 2],
    /// Tokens on L2 of everybody.
    pub l2_tokens: u64,
    /// Lamports in the bridge's vault beyond its rent, and what it has in its books.
    pub vault_sol: [u64; 2],
    /// Tokens in the bridge's vault, and what it has in its books.
    pub vault_tokens: [u64; 2],
    /// Lamports of all L1 accounts together.
    pub all_lamports: u64,
}

impl Snapshot {
    /// Takes one. `job` and `batches` are the demo's so far.
    pub async fn take(
        rpc: &Rpc,
        api: &Api,
        parties: &Parties,
        job: Option<Pubkey>,
        batches: u64,
    ) -> Result<Self> {
        let mint = parties.mint.to_bytes();
        let mut s = Self::default();
        for (i, (_, key)) in parties.wallets().iter().enumerate() {
            s.l1_sol[i] = rpc.balance(key).await?;
            s.l2_sol[i] = on_l2(api, key, SOL).await?;
            s.l2_tokens += on_l2(api, key, mint).await?;
        }
        let account = pda::token_account(&parties.user, &parties.mint, &spl_token_interface::ID);
        s.user_tokens = [
            token_balance(rpc, &account).await?,
            on_l2(api, &parties.user, mint).await?,
        ];
        if let Some(vault) = accounts::sol_vault(rpc, &parties.rollup).await? {
            let lamports = rpc.balance(&pda::sol_vault(&parties.rollup)).await?;
            let rent = rpc.rent(bridge::state::SolVault::size()).await?;
            s.vault_sol = [lamports.saturating_sub(rent), vault.locked];
        }
        let vault = pda::token_vault(&parties.rollup, &parties.mint);
        let record = accounts::registered_mint(rpc, &parties.rollup, &parties.mint).await?;
        s.vault_tokens = [
            token_balance(rpc, &vault).await?,
            record.map_or(0, |r| r.locked),
        ];
        let holders = parties.holders(job, batches);
        s.all_lamports = rpc
            .accounts(&holders)
            .await?
            .iter()
            .flatten()
            .map(|a| a.lamports)
            .sum();
        Ok(s)
    }
}

async fn on_l2(api: &Api, owner: &Pubkey, mint: Key) -> Result<u64> {
    let account = api.account(Key32::from(*owner), Key32(mint)).await?;
    Ok(account.map_or(0, |a| a.balance))
}

/// The newest transaction that each party paid for: what comes after it is counted by
/// [`fees_since`].
pub async fn marks(rpc: &Rpc, parties: &Parties) -> Result<Vec<Option<String>>> {
    let mut marks = Vec::new();
    for (_, key) in parties.wallets() {
        let newest = signatures(rpc, &key, None, Some(1)).await?;
        marks.push(newest.into_iter().next());
    }
    Ok(marks)
}

/// The fees of all transactions that the parties paid for since `marks`, failed ones too.
pub async fn fees_since(rpc: &Rpc, parties: &Parties, marks: &[Option<String>]) -> Result<u64> {
    let mut fees = 0;
    for ((_, key), mark) in parties.wallets().iter().zip(marks) {
        for signature in signatures(rpc, key, mark.clone(), None).await? {
            let found = rpc.transaction(&signature.parse()?).await?;
            let found = found.context("the chain lists a transaction that it does not have")?;
            let decoded = found.transaction.transaction.decode();
            let payer = decoded.and_then(|t| t.message.static_account_keys().first().copied());
            // Others' transactions name these accounts too.
            if payer == Some(*key) {
                fees += found.transaction.meta.map_or(0, |m| m.fee);
            }
        }
    }
    Ok(fees)
}

async fn signatures(
    rpc: &Rpc,
    key: &Pubkey,
    until: Option<String>,
    limit: Option<usize>,
) -> Result<Vec<String>> {
    let until = until.map(|s| s.parse()).transpose()?;
    let mut all: Vec<String> = Vec::new();
    loop {
        let before = all.last().map(|s| s.parse()).transpose()?;
        let part = rpc
            .retry(|| {
                let config = GetConfirmedSignaturesForAddress2Config {
                    before,
                    until,
                    limit,
                    commitment: None,
                };
                rpc.client()
                    .get_signatures_for_address_with_config(key, config)
            })
            .await?;
        let done = part.is_empty() || limit.is_some();
        all.extend(part.into_iter().map(|s| s.signature));
        if done {
            return Ok(all);
        }
    }
}

/// Two sides that must be equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is compared.
    pub what: &'static str,
    /// One side.
    pub left: u64,
    /// The other.
    pub right: u64,
}

impl Check {
    /// A check.
    pub fn new(what: &'static str, left: u64, right: u64) -> Self {
        Self { what, left, right }
    }

    /// Whether the sides are equal.
    pub fn holds(&self) -> bool {
        self.left == self.right
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, sign) = if self.holds() {
            ("ok ", "=")
        } else {
            ("BAD", "!=")
        };
        write!(
            f,
            "{mark} {}: {} {sign} {}",
            self.what, self.left, self.right
        )
    }
}

/// Before and after.
#[derive(Clone, Debug, Serialize)]
pub struct Balances {
    /// Before the first deposit.
    pub before: Snapshot,
    /// When all is paid.
    pub after: Snapshot,
}

impl Balances {
    /// What must hold whatever the demo does. `fees`: all fees paid between the two.
    pub fn checks(&self, fees: u64) -> Vec<Check> {
        let (before, after) = (&self.before, &self.after);
        vec![
            Check::new(
                "lamports in the vault and the bridge's books",
                after.vault_sol[0],
                after.vault_sol[1],
            ),
            Check::new(
                "lamports in the vault and on L2",
                after.vault_sol[0],
                after.l2_sol.iter().sum(),
            ),
            Check::new(
                "tokens in the vault and the bridge's books",
                after.vault_tokens[0],
                after.vault_tokens[1],
            ),
            Check::new(
                "tokens in the vault and on L2",
                after.vault_tokens[0],
                after.l2_tokens,
            ),
            Check::new(
                "the user's tokens on L1 and L2 before and after",
                before.user_tokens.iter().sum(),
                after.user_tokens.iter().sum(),
            ),
            Check::new(
                "lamports of all accounts on L1 before, and after with the fees paid",
                before.all_lamports,
                after.all_lamports.saturating_add(fees),
            ),
        ]
    }

    /// For people.
    pub fn table(&self) -> String {
        let (b, a) = (&self.before, &self.after);
        let mut text = format!("{:32} {:>22} {:>22}\n", "balance", "before", "after");
        let mut row = |name: String, before: u64, after: u64| {
            text += &format!("{name:32} {before:>22} {after:>22}\n");
        };
        for (i, name) in ["user", "publisher", "sequencer", "operator"]
            .iter()
            .enumerate()
        {
            row(format!("{name}, lamports on L1"), b.l1_sol[i], a.l1_sol[i]);
            row(format!("{name}, lamports on L2"), b.l2_sol[i], a.l2_sol[i]);
        }
        row(
            "user, tokens on L1".into(),
            b.user_tokens[0],
            a.user_tokens[0],
        );
        row(
            "user, tokens on L2".into(),
            b.user_tokens[1],
            a.user_tokens[1],
        );
        row("bridge, lamports".into(), b.vault_sol[0], a.vault_sol[0]);
        row(
            "bridge, tokens".into(),
            b.vault_tokens[0],
            a.vault_tokens[0],
        );
        row(
            "all L1 accounts, lamports".into(),
            b.all_lamports,
            a.all_lamports,
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_lamport_is_noticed() {
        let before = Snapshot {
            user_tokens: [10, 0],
            all_lamports: 100,
            ..Snapshot::default()
        };
        let after = Snapshot {
            user_tokens: [7, 3],
            l2_tokens: 3,
            vault_tokens: [3, 3],
            l2_sol: [5, 1, 0, 0],
            vault_sol: [6, 6],
            all_lamports: 90,
            ..Snapshot::default()
        };
        let balances = Balances { before, after };
        assert!(balances.checks(10).iter().all(Check::holds));
        assert_eq!(balances.checks(9).iter().filter(|c| !c.holds()).count(), 1);
        let mut short = balances.clone();
        short.after.vault_sol[0] = 5;
        assert_eq!(short.checks(10).iter().filter(|c| !c.holds()).count(), 2);
        short.after.user_tokens[0] = 6;
        assert_eq!(short.checks(10).iter().filter(|c| !c.holds()).count(), 3);
    }
}
