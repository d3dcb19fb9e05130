//! A game between two players who keep to the clock.

use super::world::Batch;
use assay_dispute::game::{Class, Dispute, MAX_MOVES, Stage, Verdict};
use assay_dispute::player::{Asserter, Challenger, Models, Next};
use assay_dispute::prove::{NotProven, Proof, ProofKind};
use assay_dispute::{Hash, Side};
use assay_ledger::header::Header;
use assay_ledger::signature::Each;

/// One thing that a side did: a move or a proof of so many bytes.
#[derive(Clone, Debug)]
pub struct Step {
    pub side: Side,
    pub what: String,
    pub bytes: usize,
    pub proof: bool,
}

/// How a game went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub steps: Vec<Step>,
    /// The game before it was decided.
    pub last: Dispute,
}

/// L1's value of the inbox's chain after each message.
pub fn message_chain(batch: &Batch) -> impl Fn(u64) -> Option<Hash> + '_ {
    |index| batch.chain.get(usize::try_from(index).ok()? + 1).copied()
}

/// Brings a proof.
pub fn prove(
    batch: &Batch,
    dispute: &mut Dispute,
    kind: ProofKind,
    bytes: &[u8],
    live: bool,
    now: u64,
) -> Result<Verdict, NotProven> {
    let chain = message_chain(batch);
    dispute.prove(&Proof { kind, bytes }, &mut Each, &chain, live, now)
}

/// Plays a dispute over the batch of `header` to its end. Whoever has nothing to say waits until its
/// clock has run out; a proof that does not convince is brought once.
pub fn duel<C: Models, A: Models>(
    batch: &Batch,
    header: &Header,
    challenger: &mut Challenger<C>,
    asserter: &mut Asserter<A>,
) -> Outcome {
    let mut now = 1_000;
    let mut dispute = Dispute::open(*header, [9; 32], now);
    let mut steps = Vec::new();
    let mut last = dispute.clone();
    loop {
        if !matches!(dispute.stage, Stage::Over(_)) {
            last = dispute.clone();
        }
        let (side, deadline) = match dispute.class(true, now) {
            Class::Over(verdict) => {
                return Outcome {
                    verdict,
                    steps,
                    last,
                };
            }
            Class::Turn(side, deadline) => (side, deadline),
            class => panic!("{class:?}"),
        };
        let (next, other) = match side {
            Side::Challenger => (
                challenger.next(&dispute, true, now),
                asserter.next(&dispute, true, now),
            ),
            Side::Asserter => (
                asserter.next(&dispute, true, now),
                challenger.next(&dispute, true, now),
            ),
        };
        assert_eq!(other, Next::Wait(deadline));
        let mut step = |what: String, bytes: usize, proof: bool| {
            steps.push(Step {
                side,
                what,
                bytes,
                proof,
            });
        };
        match next {
            Next::Play(made) => {
                let bytes = borsh::to_vec(&made).unwrap().len();
                let what = format!("{made:?}");
                let what = what.split([' ', '(', '{']).next().unwrap().to_string();
                step(what, bytes, false);
                dispute.play(made, true, now).unwrap();
                now += 1;
            }
            Next::Prove(kind, bytes) => {
                step(format!("{kind:?}"), bytes.len(), true);
                let before = dispute.clone();
                if let Err(error) = prove(batch, &mut dispute, kind, &bytes, true, now) {
                    assert_eq!(dispute, before);
                    step(format!("{error}"), 0, false);
                    now = deadline + 1;
                }
            }
            Next::Nothing => now = deadline + 1,
            next => panic!("{next:?}"),
        }
        if let Class::Expired(late) = dispute.class(true, now) {
            let waiting = match late {
                Side::Challenger => asserter.next(&dispute, true, now),
                Side::Asserter => challenger.next(&dispute, true, now),
            };
            assert_eq!(waiting, Next::TimeOut);
            dispute.time_out(true, now).unwrap();
        }
        assert!(dispute.moves <= MAX_MOVES);
    }
}
