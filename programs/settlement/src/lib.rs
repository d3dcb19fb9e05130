//! Assay's settlement program: sequencers and their bonds, batches and their finality, the
//! inbox, the batches' data, and disputes.
//!
//! * [`instructions`]: one file each; what each needs and does is said at [`settlement`]
//! * [`state`]: the accounts
//! * [`seeds`]: their addresses
//! * [`header`]: a batch's header as an argument; [`game`]: what a dispute's moves hold; [`demand`]: what is
//!   demanded
//! * [`heap`]: memory for large proofs
//! * [`events`], [`errors`], [`constants`]
//!
//! What a batch means is `assay-ledger`'s business, what is committed to `assay-tensor`'s, how a
//! dispute is played `assay-dispute`'s: this program calls the same functions as the sequencer and
//! the verifier, and adds accounts, signers, the clock and lamports.
//!
//! Not here yet: rotation of turns, receipts, the exit latch and the upgrade timelock.
#![allow(missing_docs)] // Anchor's macros generate public items without documentation.

pub mod constants;
pub mod demand;
pub mod errors;
pub mod events;
pub mod game;
pub mod header;
pub mod heap;
pub mod instructions;
pub mod seeds;
pub mod state;

use anchor_lang::prelude::*;

use assay_dispute::game::Move;
use demand::Pieces;
use game::{ClaimKind, LeafResult, ProofKind, RunClaim};
use header::BatchHeader;
use instructions::*;
use state::{Config, WriteSlots};

declare_id!("5Cu7XjEXBBfBQx9j3QezLaNm3AsKjjyiNpzKWRSVzaaY");

#[cfg(not(feature = "no-entrypoint"))]
solana_security_txt::security_txt! {
    name: "Assay settlement",
    project_url: "https://assay.invalid",
    contacts: "link:SECURITY.md",
    policy: "See SECURITY.md in the source",
    source_code: "",
    preferred_languages: "en"
}

/// Keeps the text in the binary, where nothing else refers to it.
#[cfg(not(feature = "no-entrypoint"))]
#[used]
static KEPT: &&str = &SECURITY_TXT;

/// The instructions.
#[program]
pub mod settlement {
    use super::*;

    /// Starts a rollup at its genesis state.
    ///
    /// Accounts: `authority` (signer, pays), `rollup` and `chain` (created), system program.
    ///
    /// Requirements: no rollup has this id; the configuration is in range
    /// ([`Config::validate`]).
    ///
    /// Steps: records the configuration, the senders of the bridge's and the escrow's messages
    /// and the versions in force; writes batch 0 as the final tip.
    pub fn initialize_rollup(
        ctx: Context<InitializeRollup>,
        id: u64,
        config: Config,
    ) -> Result<()> {
        InitializeRollup::handler(ctx, id, config)
    }

    /// Makes a sequencer of `key`.
    ///
    /// Accounts: `key` (signer, pays), `authority` (signer), `rollup`, `sequencer` (created), system
    /// program.
    ///
    /// Requirements: `authority` is the rollup's; the bond is at least one slice.
    ///
    /// Steps: creates the sequencer's account and moves the bond to it.
    pub fn register_sequencer(ctx: Context<RegisterSequencer>, bond: u64) -> Result<()> {
        RegisterSequencer::handler(ctx, bond)
    }

    /// Adds lamports to the bond of the sequencer that signs.
    ///
    /// Accounts: `key` (signer, pays), `sequencer`, system program.
    ///
    /// Requirements: none.
    ///
    /// Steps: moves the lamports and adds them to the bond. They back new batches at once.
    pub fn add_bond(ctx: Context<AddBond>, amount: u64) -> Result<()> {
        AddBond::handler(ctx, amount)
    }

    /// Asks for a part of the bond back.
    ///
    /// Accounts: `key` (signer), `rollup`, `sequencer`.
    ///
    /// Requirements: the part is at most the bond.
    ///
    /// Steps: replaces an earlier request; from now on the part backs no new batch, and may be
    /// withdrawn when the rollup's delay has passed. A request of 0 cancels.
    pub fn request_unbond(ctx: Context<RequestUnbond>, amount: u64) -> Result<()> {
        RequestUnbond::handler(ctx, amount)
    }

    /// Withdraws the part of the bond that was asked for.
    ///
    /// Accounts: `key` (signer, paid), `rollup`, `chain`, `sequencer`.
    ///
    /// Requirements: a part was asked for, its delay has passed, and what stays covers the
    /// slices that pending batches lock.
    ///
    /// Steps: pays it.
    pub fn withdraw_bond(ctx: Context<WithdrawBond>) -> Result<()> {
        WithdrawBond::handler(ctx)
    }

    /// Pays a sequencer the inbox fees that its final batches earned.
    ///
    /// Accounts: `key` (signer, paid), `sequencer`.
    ///
    /// Requirements: there are some.
    ///
    /// Steps: pays all of them.
    pub fn claim_fees(ctx: Context<ClaimFees>) -> Result<()> {
        ClaimFees::handler(ctx)
    }

    /// Says that process `instance` of the key is at work, for `seconds` from now on; with 0 it gives its place up.
    ///
    /// Accounts: `key` (signer), `sequencer`.
    ///
    /// Requirements: the lease is this instance's or has run out, or `take_over`. `instance` is not zero, `seconds`
    /// at most [`constants::MAX_LEASE`].
    ///
    /// Steps: writes the lease. Nothing else in the program reads it: it keeps two processes of one operator apart,
    /// who trusts himself.
    pub fn renew_lease(
        ctx: Context<RenewLease>,
        instance: [u8; 16],
        seconds: u32,
        take_over: bool,
    ) -> Result<()> {
        RenewLease::handler(ctx, instance, seconds, take_over)
    }

    /// Closes a sequencer's account.
    ///
    /// Accounts: `key` (signer, gets the rent), `sequencer` (closed).
    ///
    /// Requirements: the bond is withdrawn and the fees are claimed.
    ///
    /// Steps: returns the rent.
    pub fn close_sequencer(ctx: Context<CloseSequencer>) -> Result<()> {
        CloseSequencer::handler(ctx)
    }

    /// Takes a client-created account into use for `len` bytes of a batch's data.
    ///
    /// Accounts: `poster` (signer), `rollup`, `data` (owned by this program, all zero, of
    /// [`state::BatchData::size`] bytes; created in the same transaction).
    ///
    /// Requirements: 1 <= `len` <= the rollup's `max_data`.
    ///
    /// Steps: writes the account's header.
    pub fn open_data(ctx: Context<OpenData>, len: u32) -> Result<()> {
        OpenData::handler(ctx, len)
    }

    /// Writes the hashes of chunks `first`, `first + 1`, ... whose contents are `bytes`.
    ///
    /// Accounts: `poster` (signer), `data`.
    ///
    /// Requirements: it is an instruction of the transaction itself, as not every archive keeps
    /// inner ones; the account is the poster's and not sealed; the chunks are full but the data's
    /// last, and not past its end; the first write is less than [`constants::WRITE_SLOTS`] slots ago.
    ///
    /// Steps: hashes each chunk into its place and notes the slot. In any order, and as often as one
    /// likes.
    pub fn write_chunks(ctx: Context<WriteChunks>, first: u32, bytes: Vec<u8>) -> Result<()> {
        WriteChunks::handler(ctx, first, bytes)
    }

    /// Turns the chunk hashes into the data root.
    ///
    /// Accounts: `poster` (signer, gets the list's rent back), `data`.
    ///
    /// Requirements: the account is the poster's and not sealed; every chunk was written.
    ///
    /// Steps: computes the root, shrinks the account to its header, returns the rent. Costs
    /// about 300 compute units a chunk: set the transaction's limit accordingly.
    pub fn seal_data(ctx: Context<SealData>) -> Result<()> {
        SealData::handler(ctx)
    }

    /// Closes a data account.
    ///
    /// Accounts: `poster` (signer, gets the rent), `data` (closed).
    ///
    /// Requirements: the account is the poster's. A batch that was posted with it does not
    /// need it any more.
    ///
    /// Steps: returns the rent.
    pub fn close_data(ctx: Context<CloseData>) -> Result<()> {
        CloseData::handler(ctx)
    }

    /// Posts a batch on the tip.
    ///
    /// Accounts: `key` (signer), `rollup`, `chain`, `sequencer`, `data`, and `page` (the inbox
    /// page with the message at the batch's cursor, unless all messages are consumed).
    ///
    /// Requirements: the header is for this rollup and signer and restates the rules, codec and
    /// parameters in force; a slice of the bond is free and not being withdrawn; fewer than
    /// [`constants::MAX_PENDING`] batches are pending; number and parent follow the tip; the
    /// outbox has not shrunk; the inbox cursor is between the parent's and the queue's end, the
    /// chain value there is L1's, and of the overdue messages all, or at least `inbox_batch`,
    /// are consumed; the data account is sealed by this key with the header's root and length;
    /// there is at least one transaction; every count is within its cap; the state root is not
    /// `INVALID`; `parent_slot` is the slot in which the parent was posted (0 for genesis), and
    /// `writes` are the slots in which the data account was written: readers of L1 find both by them.
    ///
    /// Steps: hashes the header (and in it the state's components), makes it the tip; thereby
    /// locks a slice of the bond.
    pub fn post_batch(
        ctx: Context<PostBatch>,
        header: BatchHeader,
        parent_slot: u64,
        writes: WriteSlots,
    ) -> Result<()> {
        PostBatch::handler(ctx, header, parent_slot, &writes)
    }

    /// Makes the oldest pending batch final.
    ///
    /// Accounts: `rollup`, `chain`, `sequencer` (of who posted it). Nobody signs.
    ///
    /// Requirements: a batch is pending, its window has passed, and no dispute over it is open.
    ///
    /// Steps: moves the final number; thereby unlocks the slice of the bond. Moves the fees of
    /// the messages that the batch consumed to the sequencer's account.
    pub fn finalize_batch(ctx: Context<FinalizeBatch>) -> Result<()> {
        FinalizeBatch::handler(ctx)
    }

    /// Sends a message to L2.
    ///
    /// Accounts: `payer` (signer), `sender` (signer), `rollup`, `page` (number
    /// `rollup.inbox_count / 128`, created if needed), system program.
    ///
    /// Requirements: the payload is at most 768 bytes and is what its kind demands: a deposit
    /// from the bridge's sender, a job from the escrow's; from anybody else a forced
    /// transaction of the accounts of `sender`.
    ///
    /// Steps: takes the fee, which rises with the number of waiting messages; extends the
    /// inbox's chain; notes chain value, slot and fees on the page.
    pub fn enqueue(ctx: Context<Enqueue>, payload: Vec<u8>) -> Result<()> {
        Enqueue::handler(ctx, payload)
    }

    /// Closes an inbox page.
    ///
    /// Accounts: `rollup`, `chain`, `page` (closed), `payer` (who opened it; gets the rent).
    /// Nobody signs.
    ///
    /// Requirements: the page is full and all its messages are final.
    ///
    /// Steps: returns the rent.
    pub fn close_inbox_page(ctx: Context<CloseInboxPage>) -> Result<()> {
        CloseInboxPage::handler(ctx)
    }

    /// Opens a dispute over a pending batch.
    ///
    /// Accounts: `challenger` (signer, pays), `rollup`, `chain`, `dispute` (created), system
    /// program.
    ///
    /// Requirements: the header is that of a live batch whose window has not passed. As many
    /// disputes as one likes may be open at once.
    ///
    /// Steps: takes the bond that the header's parameters ask for; from now on the batch does not
    /// become final. It is the challenger's turn: `claim`, or `prove`.
    pub fn open_dispute(ctx: Context<OpenDispute>, id: u64, header: BatchHeader) -> Result<()> {
        OpenDispute::handler(ctx, id, &header)
    }

    /// Challenger: says what is wrong.
    ///
    /// Accounts, of this and the next six instructions: `player` (signer: the challenger, or the
    /// batch's sequencer, whoever makes such moves), `chain`, `dispute`.
    ///
    /// Requirements, of all of them: the batch is live; the dispute is in the state of this name
    /// ([`state::dispute::state_name`]) and in the stage for the move; it is the player's turn,
    /// and its clock has not run out.
    ///
    /// Steps: `assay_dispute::game` says what each move does and what its arguments must be. Its
    /// time is taken from the player's clock.
    pub fn claim(ctx: Context<Play>, state: u64, claim: ClaimKind) -> Result<()> {
        Play::handler(ctx, state, Move::Claim(claim.to_game()?))
    }

    /// Asserter: shows the nodes some levels below the present one, from the left.
    pub fn reveal(ctx: Context<Play>, state: u64, nodes: Vec<[u8; 32]>) -> Result<()> {
        Play::handler(ctx, state, Move::Reveal { nodes })
    }

    /// Challenger: names the leftmost of the nodes shown that is not its own.
    pub fn choose(ctx: Context<Play>, state: u64, child: u8) -> Result<()> {
        Play::handler(ctx, state, Move::Choose { child })
    }

    /// Asserter: shows the result in the transaction leaf that was reached, and if it names a
    /// program, commits to the run.
    pub fn reveal_leaf(
        ctx: Context<Play>,
        state: u64,
        result: LeafResult,
        run: Option<RunClaim>,
    ) -> Result<()> {
        let made = Move::RevealLeaf {
            result: result.into(),
            run: run.map(Into::into),
        };
        Play::handler(ctx, state, made)
    }

    /// Asserter: commits to the state roots between the batch's transactions, and may show the
    /// first nodes at once.
    pub fn post_states(
        ctx: Context<Play>,
        state: u64,
        root: [u8; 32],
        nodes: Vec<[u8; 32]>,
    ) -> Result<()> {
        Play::handler(ctx, state, Move::PostStates { root, nodes })
    }

    /// Asserter: opens the operator that was reached and the type of its value, commits to the
    /// value's chunks, and may show the first nodes over them at once.
    pub fn reveal_tensor(
        ctx: Context<Play>,
        state: u64,
        operator: Vec<u8>,
        path: Vec<[u8; 32]>,
        data_root: [u8; 32],
        nodes: Vec<[u8; 32]>,
    ) -> Result<()> {
        let made = Move::RevealTensor {
            operator,
            path,
            data_root,
            nodes,
        };
        Play::handler(ctx, state, made)
    }

    /// Asserter: shows the chunk that was reached.
    pub fn reveal_chunk(ctx: Context<Play>, state: u64, bytes: Vec<u8>) -> Result<()> {
        Play::handler(ctx, state, Move::RevealChunk { bytes })
    }

    /// Either side: makes the move whose borsh encoding ([`assay_dispute::game::Move`]) is in a
    /// buffer.
    ///
    /// Accounts: those of any move, and `buffer` (the player's).
    ///
    /// Requirements and steps: those of the move.
    pub fn play_from_buffer(ctx: Context<PlayFromBuffer>, state: u64) -> Result<()> {
        PlayFromBuffer::handler(ctx, state)
    }

    /// Challenger: ends the dispute by showing that the asserter is wrong.
    ///
    /// Accounts: `challenger` (signer), `court` (those of `time_out`), and `page` (the inbox page with the
    /// message that the disputed transaction consumes, unless it consumes none).
    ///
    /// Requirements: the batch is live; it is the challenger's turn, in time, in a stage that such
    /// proofs belong to ([`assay_dispute::prove`]); the proof convinces.
    ///
    /// Steps: those of `time_out` where the challenger wins. A large proof needs more heap than the
    /// default: ask for it in the same transaction ([`heap`]).
    pub fn prove(ctx: Context<Prove>, kind: ProofKind, proof: Vec<u8>) -> Result<()> {
        Prove::handler(ctx, kind, &proof)
    }

    /// The same with the proof in `buffer`, the challenger's.
    pub fn prove_from_buffer(ctx: Context<ProveFromBuffer>, kind: ProofKind) -> Result<()> {
        ProveFromBuffer::handler(ctx, kind)
    }

    /// Ends a dispute against the side whose clock has run out.
    ///
    /// Accounts: `court` (`rollup`, `chain`, `sequencer` of the batch, `dispute`, `incinerator`).
    /// Nobody signs.
    ///
    /// Requirements: the batch is live, and the slot is after the deadline of the side whose turn
    /// it is.
    ///
    /// Steps: if the challenger wins: makes the batch's parent the tip, slashes the batch's slice
    /// of the sequencer's bond, burns half of it and gives the challenger the rest and its own
    /// bond. If the asserter wins: gives it the challenger's bond, and no longer holds the batch
    /// back. What is given waits in the dispute for `claim_payout`.
    pub fn time_out(ctx: Context<TimeOut>) -> Result<()> {
        TimeOut::handler(ctx)
    }

    /// Gives up a dispute over a dead batch.
    ///
    /// Accounts: `chain`, `dispute`. Nobody signs.
    ///
    /// Requirements: the dispute is not decided, and its batch was reverted by another.
    ///
    /// Steps: gives the challenger its bond back, for `claim_payout`; nothing else.
    pub fn resolve(ctx: Context<Resolve>) -> Result<()> {
        Resolve::handler(ctx)
    }

    /// Pays a party of a dispute what it may claim.
    ///
    /// Accounts: `dispute`, `recipient` (the challenger's or the asserter's own wallet). Nobody
    /// signs.
    ///
    /// Requirements: none.
    ///
    /// Steps: pays all of it; nothing if there is nothing.
    pub fn claim_payout(ctx: Context<ClaimPayout>) -> Result<()> {
        ClaimPayout::handler(ctx)
    }

    /// Closes a dispute.
    ///
    /// Accounts: `dispute` (closed), `challenger` (gets the rent). Nobody signs.
    ///
    /// Requirements: it is over, and everything is paid out.
    ///
    /// Steps: returns the rent.
    pub fn close_dispute(ctx: Context<CloseDispute>) -> Result<()> {
        CloseDispute::handler(ctx)
    }

    /// Demands pieces of a blob that a pending batch names.
    ///
    /// Accounts: `demander` (signer, pays), `rollup`, `chain`, `demand` (created), system program.
    ///
    /// Requirements: the header is that of a live batch, of whose window not more has passed than a sixth, for
    /// leaves, or a half, for chunks. `named` (borsh of [`assay_dispute::demand::Named`]) opens a deployment or an update in the batch,
    /// and the pieces exist.
    ///
    /// Steps: takes what the answers will earn, at least what a dispute puts at stake, and the rent of
    /// the answers' bytes; from now on the batch does not become final.
    pub fn open_demand(
        ctx: Context<OpenDemand>,
        id: u64,
        header: BatchHeader,
        pieces: Pieces,
        named: Vec<u8>,
    ) -> Result<()> {
        OpenDemand::handler(ctx, id, &header, pieces, &named)
    }

    /// The same with `named` in `buffer`, the demander's.
    pub fn open_demand_from_buffer(
        ctx: Context<OpenDemandFromBuffer>,
        id: u64,
        header: BatchHeader,
        pieces: Pieces,
    ) -> Result<()> {
        OpenDemandFromBuffer::handler(ctx, id, &header, pieces)
    }

    /// Answers piece number `place` of those demanded.
    ///
    /// Accounts: `answerer` (signer, paid), `chain`, `demand`.
    ///
    /// Requirements: the batch is live, and of its window not more has passed than a third, for leaves, or two, for
    /// chunks; the piece was not answered; the answerer is the batch's sequencer, or half of the time for answers
    /// after the last demand has passed. `answer` (borsh of [`assay_dispute::demand::Answer`]) opens in what the batch names.
    ///
    /// Steps: keeps the piece's bytes in the demand's account ([`state::demand::answered`]), where the demander
    /// reads them; pays the answerer. With the last piece the demand is over and no longer holds the batch back.
    pub fn answer(ctx: Context<AnswerDemand>, place: u8, answer: Vec<u8>) -> Result<()> {
        AnswerDemand::handler(ctx, place, &answer)
    }

    /// The same with the answer in `buffer`, the answerer's.
    pub fn answer_from_buffer(ctx: Context<AnswerFromBuffer>, place: u8) -> Result<()> {
        AnswerFromBuffer::handler(ctx, place)
    }

    /// Takes down a batch of whose blobs a piece was demanded and not answered.
    ///
    /// Accounts: `rollup`, `chain`, `sequencer` of the batch, `demand`, `incinerator`. Nobody signs.
    ///
    /// Requirements: the batch is live, the time for answers has passed, and a piece is not answered.
    ///
    /// Steps: makes the batch's parent the tip, slashes the batch's slice of the sequencer's bond, burns
    /// half of it and gives the demander the rest.
    pub fn time_out_demand(ctx: Context<TimeOutDemand>) -> Result<()> {
        TimeOutDemand::handler(ctx)
    }

    /// Gives up a demand on a dead batch.
    ///
    /// Accounts: `chain`, `demand`. Nobody signs.
    ///
    /// Requirements: the demand is not over, and its batch was reverted by something else.
    ///
    /// Steps: what is left of what was put down is the demander's again.
    pub fn resolve_demand(ctx: Context<ResolveDemand>) -> Result<()> {
        ResolveDemand::handler(ctx)
    }

    /// Closes a demand and pays its demander.
    ///
    /// Accounts: `demand` (closed), `demander` (signer, gets all its lamports).
    ///
    /// Requirements: the demand is over. Only its demander closes it: the answers in it are lost then.
    ///
    /// Steps: pays what was put down and not earned by answers, what was won, and the rent.
    pub fn close_demand(ctx: Context<CloseDemand>) -> Result<()> {
        CloseDemand::handler(ctx)
    }

    /// Takes a client-created account into use as a buffer of `len` bytes.
    ///
    /// Accounts: `owner` (signer), `buffer` (owned by this program, all zero, of
    /// [`state::Buffer::size`] bytes; created in the same transaction).
    ///
    /// Requirements: 1 <= `len` <= [`constants::MAX_BUFFER`].
    ///
    /// Steps: writes the account's header.
    pub fn open_buffer(ctx: Context<OpenBuffer>, len: u32) -> Result<()> {
        OpenBuffer::handler(ctx, len)
    }

    /// Writes `bytes` from `offset` on.
    ///
    /// Accounts: `owner` (signer), `buffer`.
    ///
    /// Requirements: it is an instruction of the transaction itself, so that what a move or an answer
    /// says can be read; the buffer is the owner's, and the bytes do not go past its end.
    ///
    /// Steps: writes them. In any order, and as often as one likes.
    pub fn write_buffer(ctx: Context<WriteBuffer>, offset: u32, bytes: Vec<u8>) -> Result<()> {
        WriteBuffer::handler(ctx, offset, bytes)
    }

    /// Closes a buffer.
    ///
    /// Accounts: `owner` (signer, gets the rent), `buffer` (closed).
    ///
    /// Requirements: the buffer is the owner's.
    ///
    /// Steps: returns the rent.
    pub fn close_buffer(ctx: Context<CloseBuffer>) -> Result<()> {
        CloseBuffer::handler(ctx)
    }
}
