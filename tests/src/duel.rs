//! The honest players' disputes, played by the program: each move and proof is a transaction on the
//! chain, and as many of one side's as fit are one.

use crate::rollup::TestRollup;
use crate::svm::{BASE_FEE, Wire, accepted};
use assay_client::instructions::disputes as build;
use assay_client::pda;
use assay_dispute::Side;
use assay_dispute::game::{Class, Dispute as Game, Verdict};
use assay_dispute::player::{Asserter, Challenger, Models, Next};
use assay_dispute::prove::ProofKind;
use assay_ledger::header::Header;
use settlement::constants::INCINERATOR;
use settlement::heap::MAX_FRAME;
use settlement::state::dispute::state_name;
use settlement::state::{Buffer, InboxPage};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// One transaction of a dispute.
#[derive(Clone, Debug)]
pub struct Spent {
    /// Who sent it; whoever times out counts as the winner.
    pub side: Side,
    /// The program's instructions in it.
    pub what: Vec<String>,
    /// Bytes on the wire.
    pub bytes: usize,
    /// Compute units.
    pub units: u64,
}

/// How a dispute went.
#[derive(Clone, Debug)]
pub struct Played {
    /// Its account.
    pub dispute: Pubkey,
    /// How it ended.
    pub verdict: Verdict,
    /// Everything that was sent, to the verdict.
    pub sent: Vec<Spent>,
    /// Bytes of the proof that ended it.
    pub proof: Option<(ProofKind, usize)>,
}

impl Played {
    /// The most compute units of a transaction.
    pub fn units(&self) -> u64 {
        self.sent.iter().map(|sent| sent.units).max().unwrap_or(0)
    }

    /// The compute units of the transaction that ended it.
    pub fn last_units(&self) -> u64 {
        self.sent.last().map_or(0, |sent| sent.units)
    }

    /// The transactions of a side.
    pub fn of(&self, side: Side) -> usize {
        self.sent.iter().filter(|sent| sent.side == side).count()
    }
}

/// A dispute that is being played.
pub struct Duel<'a> {
    r: &'a mut TestRollup,
    wire: Wire,
    header: Header,
    challenger: Keypair,
    asserter: Keypair,
    /// Who pays for other transactions.
    payer: Keypair,
    id: u64,
    sent: Vec<Spent>,
    proof: Option<(ProofKind, usize)>,
    /// Bytes of heap that every transaction asks for.
    heap: u32,
    /// Instructions that are not sent yet.
    waiting: Vec<Instruction>,
    buffers: u64,
}

impl<'a> Duel<'a> {
    /// Dispute `id` of `challenger` over the pending batch of `header`, in such transactions.
    pub fn new(
        r: &'a mut TestRollup,
        wire: Wire,
        header: Header,
        challenger: &Keypair,
        id: u64,
    ) -> Self {
        Self {
            asserter: r.sequencer.insecure_clone(),
            payer: r.svm.payer.insecure_clone(),
            r,
            wire,
            header,
            challenger: challenger.insecure_clone(),
            id,
            sent: Vec::new(),
            proof: None,
            heap: MAX_FRAME as u32,
            waiting: Vec::new(),
            buffers: 0,
        }
    }

    /// The same with so many bytes of heap instead of the largest.
    pub fn heap(self, heap: u32) -> Self {
        Self { heap, ..self }
    }

    fn address(&self) -> Pubkey {
        pda::dispute(&self.r.address, &self.challenger.pubkey(), self.id)
    }

    /// Opens the dispute and plays it to its verdict. Who has nothing to say waits until its clock
    /// has run out.
    ///
    /// # Panics
    /// If the program refuses what a player does, or a transaction costs another fee than one signature.
    pub fn play<C: Models, A: Models>(
        mut self,
        challenger: &mut Challenger<C>,
        asserter: &mut Asserter<A>,
    ) -> Played {
        let open = build::open_dispute(&self.challenger.pubkey(), self.id, &self.header);
        self.queue(Side::Challenger, open);
        let now = self.r.svm.slot();
        let game = Game::open(self.header, self.challenger.pubkey().to_bytes(), now);
        self.challenge(game, challenger);
        loop {
            self.flush(Side::Challenger);
            let (account, game, _) = self.r.dispute(&self.address());
            let now = self.r.svm.slot();
            match account.class(&game, &self.r.chain_account(), now) {
                Class::Over(verdict) => return self.over(verdict),
                Class::Turn(Side::Challenger, deadline) => {
                    if !self.challenge(*game, challenger) {
                        self.r.svm.warp(deadline + 1 - now);
                    }
                }
                Class::Turn(Side::Asserter, deadline) => match asserter.next(&game, true, now) {
                    Next::Play(made) => {
                        let key = self.asserter.pubkey();
                        let name = name(&game);
                        let address = self.address();
                        let play = build::play(&self.r.address, &address, &key, name, &made);
                        self.queue(Side::Asserter, play);
                        self.flush(Side::Asserter);
                    }
                    Next::Nothing => self.r.svm.warp(deadline + 1 - now),
                    next => panic!("{next:?}"),
                },
                Class::Expired(late) => {
                    let key = self.asserter.pubkey();
                    let time_out = build::time_out(&self.r.address, &self.address(), &key);
                    self.queue(late.other(), time_out);
                    self.flush(late.other());
                }
                Class::Moot => panic!("the batch is dead"),
            }
        }
    }

    fn over(self, verdict: Verdict) -> Played {
        self.r.svm.payer = self.payer.insecure_clone();
        self.r.svm.heap = None;
        Played {
            dispute: self.address(),
            verdict,
            sent: self.sent,
            proof: self.proof,
        }
    }

    /// Queues all that the challenger does before it is the other side's turn. Whether that is anything.
    fn challenge<C: Models>(&mut self, mut game: Game, challenger: &mut Challenger<C>) -> bool {
        let mut any = false;
        loop {
            let now = self.r.svm.slot();
            match challenger.next(&game, true, now) {
                Next::Play(made) => {
                    let (address, key) = (self.address(), self.challenger.pubkey());
                    let state = name(&game);
                    let play = build::play(&self.r.address, &address, &key, state, &made);
                    self.queue(Side::Challenger, play);
                    game.play(made, true, now).expect("an honest move");
                    any = true;
                }
                Next::Prove(kind, bytes) => {
                    let page = challenger.message(&game.stage).map(InboxPage::page_of);
                    self.prove(kind, bytes, page);
                    return true;
                }
                _ => return any,
            }
        }
    }

    /// Queues a proof, through a buffer if it does not fit a transaction.
    fn prove(&mut self, kind: ProofKind, bytes: Vec<u8>, page: Option<u64>) {
        self.proof = Some((kind, bytes.len()));
        let (rollup, dispute) = (self.r.address, self.address());
        let (key, asserter) = (self.challenger.pubkey(), self.asserter.pubkey());
        let inline = build::prove(
            &rollup,
            &dispute,
            &key,
            &asserter,
            page,
            kind,
            bytes.clone(),
        );
        self.travel_as(Side::Challenger);
        if self.r.svm.bytes(self.wire, std::slice::from_ref(&inline)) <= self.wire.limit() {
            return self.queue(Side::Challenger, inline);
        }
        let buffer = pda::buffer(&key, self.buffers);
        let rent = self.r.svm.rent(Buffer::size(bytes.len() as u32));
        let open = build::open_buffer(&key, self.buffers, bytes.len() as u32, rent);
        self.buffers += 1;
        for instruction in open {
            self.queue(Side::Challenger, instruction);
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let offset = (bytes.len() - rest.len()) as u32;
            let write = |part: &[u8]| build::write_buffer(&key, &buffer, offset, part.to_vec());
            // What a length takes more than one byte of.
            let room = self.room(&write(&[])).saturating_sub(2);
            if room < 100 {
                self.flush(Side::Challenger);
                continue;
            }
            let (part, left) = rest.split_at(room.min(rest.len()));
            self.queue(Side::Challenger, write(part));
            rest = left;
        }
        let prove =
            build::prove_from_buffer(&rollup, &dispute, &key, &asserter, page, kind, &buffer);
        self.queue(Side::Challenger, prove);
        self.queue(Side::Challenger, build::close_buffer(&key, &buffer));
    }

    /// Bytes that are left in the transaction that waits, if this is in it too.
    fn room(&self, instruction: &Instruction) -> usize {
        let all = [&self.waiting[..], std::slice::from_ref(instruction)].concat();
        let used = self.r.svm.bytes(self.wire, &all);
        self.wire.limit().saturating_sub(used)
    }

    /// Adds an instruction to the transaction that waits, or to the next if it does not fit.
    fn queue(&mut self, side: Side, instruction: Instruction) {
        self.travel_as(side);
        let all = [&self.waiting[..], std::slice::from_ref(&instruction)].concat();
        if self.r.svm.bytes(self.wire, &all) > self.wire.limit() {
            self.flush(side);
        }
        self.waiting.push(instruction);
    }

    /// What is sent now is paid by this side, and has the largest heap.
    fn travel_as(&mut self, side: Side) {
        let key = match side {
            Side::Challenger => &self.challenger,
            Side::Asserter => &self.asserter,
        };
        self.r.svm.payer = key.insecure_clone();
        self.r.svm.heap = Some(self.heap);
    }

    /// Sends what waits.
    fn flush(&mut self, side: Side) {
        let instructions = std::mem::take(&mut self.waiting);
        if instructions.is_empty() {
            return;
        }
        self.travel_as(side);
        let sent = accepted(self.r.svm.send_as(self.wire, &instructions, &[], &[]));
        assert_eq!(sent.meta.fee, BASE_FEE, "one signature");
        let word = "Program log: Instruction: ";
        let logs = sent.meta.logs.iter();
        self.sent.push(Spent {
            side,
            what: logs
                .filter_map(|line| Some(line.strip_prefix(word)?.to_string()))
                .collect(),
            bytes: sent.bytes,
            units: sent.meta.compute_units_consumed,
        });
    }
}

/// The name of a game's state.
fn name(game: &Game) -> u64 {
    state_name(&crate::rollup::encode(game))
}

impl TestRollup {
    /// Lamports that exist in what a dispute moves: of the parties, the bond, the burned, and the
    /// accounts in between.
    pub fn lamports_at_stake(&self, challenger: &Pubkey, dispute: &Pubkey) -> u64 {
        let sequencer = self.sequencer.pubkey();
        [
            *challenger,
            sequencer,
            pda::sequencer(&self.address, &sequencer),
            self.address,
            *dispute,
            INCINERATOR,
        ]
        .iter()
        .map(|key| self.svm.lamports(key))
        .sum()
    }
}
