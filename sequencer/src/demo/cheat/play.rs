//! A dispute from the verifier's side: it looks at L1 and sends its move, until it is decided. The sequencer
//! answers by itself, as it answers anybody's dispute.

use super::desk::{Desk, Played};
use super::moves::{describe, proven};
use anyhow::{Context, Result, bail};
use assay_client::accounts;
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_dispute::Side;
use assay_dispute::game::Dispute as Game;
use assay_dispute::moves::Move;
use assay_dispute::player::{Challenger, Knowledge, Models, Next};
use assay_dispute::prove::ProofKind;
use assay_dispute::stage::{Class, Stage};
use assay_ledger::transaction::Transaction;
use settlement::state::{Dispute, InboxPage};
use solana_pubkey::Pubkey;

/// A dispute being played.
struct Playing<'a> {
    desk: Desk<'a>,
    address: Pubkey,
}

/// Opens a dispute and plays the challenger in it to its end.
///
/// # Errors
/// Only where the chain refuses a move, or somebody else has the batch reverted.
pub async fn play<C: Models>(desk: Desk<'_>, challenger: &mut Challenger<C>) -> Result<Played> {
    let key = desk.challenger.address();
    let address = pda::dispute(&desk.rollup(), &key, desk.header.number);
    let mut playing = Playing { desk, address };
    playing.open().await?;
    let verdict = loop {
        let (game, state, live, now) = playing.look().await?;
        let class = game.class(live, now);
        if !matches!(class, Class::Turn(Side::Asserter, _)) {
            playing.desk.read(&address).await?;
        }
        match class {
            Class::Over(verdict) => break verdict,
            Class::Moot => bail!("the batch was reverted by somebody else's dispute"),
            Class::Turn(..) | Class::Expired(_) => {}
        }
        // To find the next move may take a while: a model is run again with every value hashed.
        match tokio::task::block_in_place(|| challenger.next(&game, live, now)) {
            Next::Play(made) => playing.make(state, &made).await?,
            Next::Prove(kind, bytes) => {
                let page = page(challenger.knowledge(), &game);
                playing.prove(page, kind, bytes).await?;
            }
            Next::TimeOut => playing.time_out().await?,
            Next::Wait(_) => tokio::time::sleep(playing.desk.poll).await,
            Next::Nothing => bail!("the verifier has nothing to say in its turn"),
            Next::Over => bail!("the dispute is over for one side and not for the other"),
        }
    };
    let pay_out = vec![
        make::claim_payout(&address, &key),
        make::close_dispute(&address, &key),
    ];
    let won = verdict.winner == Side::Challenger;
    let reason = format!("{:?}", verdict.reason).to_lowercase();
    Ok(playing.desk.close(won, reason, pay_out))
}

impl Playing<'_> {
    async fn open(&mut self) -> Result<()> {
        let header = &self.desk.header;
        let key = self.desk.challenger.address();
        let open = make::open_dispute(&key, header.number, header);
        let bond = header.params.dispute_bond;
        let what = format!("opens a dispute over batch {}, bond {bond}", header.number);
        self.desk.send(what, vec![open]).await
    }

    /// The game and the name of its state, whether the batch is pending, and the slot.
    async fn look(&self) -> Result<(Box<Game>, u64, bool, u64)> {
        let rpc = self.desk.sender.rpc();
        let (now, account) = rpc.account_at(&self.address).await?;
        let account = account.context("the dispute's account is gone")?;
        let (dispute, game, state) = Dispute::read(&account.data).context("reading the dispute")?;
        let chain = accounts::chain(rpc, &self.desk.rollup()).await?;
        Ok((game, state, dispute.is_live(&chain), now))
    }

    async fn make(&mut self, state: u64, made: &Move) -> Result<()> {
        let key = self.desk.challenger.address();
        let play = make::play(&self.desk.rollup(), &self.address, &key, state, made);
        self.desk.send(describe(made), vec![play]).await
    }

    async fn prove(&mut self, page: Option<u64>, kind: ProofKind, bytes: Vec<u8>) -> Result<()> {
        let key = self.desk.challenger.address();
        let asserter = Pubkey::new_from_array(self.desk.header.sequencer);
        let (rollup, dispute) = (self.desk.rollup(), self.address);
        let what = format!("proves {} ({} bytes)", proven(kind), bytes.len());
        if self.desk.has_room(bytes.len()) {
            let prove = make::prove(&rollup, &dispute, &key, &asserter, page, kind, bytes);
            return self.desk.send(what, vec![prove]).await;
        }
        let buffer = self.desk.upload("the proof", &bytes).await?;
        let prove =
            make::prove_from_buffer(&rollup, &dispute, &key, &asserter, page, kind, &buffer);
        let close = make::close_buffer(&key, &buffer);
        let what = format!("{what} from the buffer, which is closed");
        self.desk.send(what, vec![prove, close]).await
    }

    async fn time_out(&mut self) -> Result<()> {
        let sequencer = Pubkey::new_from_array(self.desk.header.sequencer);
        let end = make::time_out(&self.desk.rollup(), &self.address, &sequencer);
        let what = "ends it: the other's clock has run out";
        self.desk.send(what, vec![end]).await
    }
}

/// The inbox page with the message that the disputed transaction consumes, if it consumes one.
fn page(known: &Knowledge, game: &Game) -> Option<u64> {
    let Stage::StateStep(_, descent) = &game.stage else {
        return None;
    };
    let place = usize::try_from(descent.index.checked_sub(1)?).ok()?;
    let unsigned = |tx: &&Transaction| tx.signature().is_none();
    known.transactions().get(place).filter(unsigned)?;
    let before = known.parent().map_or(0, |parent| parent.state.inbox.cursor);
    let earlier = known.transactions().iter().take(place).filter(unsigned);
    let message = before + earlier.count() as u64;
    // Messages from the batch's cursor on are not there for it.
    (message < known.header().state.inbox.cursor).then(|| InboxPage::page_of(message))
}
