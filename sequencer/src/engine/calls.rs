//! Calls whose answers are being gathered: a call is answered as a whole.

use super::{Answer, Placed};
use std::collections::HashMap;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The calls that wait, by number.
#[derive(Default)]
pub(super) struct Calls {
    waiting: HashMap<u64, Call>,
    next: u64,
    held: u64,
}

struct Call {
    answers: Vec<Option<Answer>>,
    /// Bytes of outputs among them.
    held: u64,
    missing: usize,
    reply: oneshot::Sender<Vec<Answer>>,
    _permit: OwnedSemaphorePermit,
}

impl Calls {
    /// Takes a call of `count` requests; its number.
    pub(super) fn open(
        &mut self,
        count: usize,
        reply: oneshot::Sender<Vec<Answer>>,
        permit: OwnedSemaphorePermit,
    ) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(
            number,
            Call {
                answers: (0..count).map(|_| None).collect(),
                held: 0,
                missing: count,
                reply,
                _permit: permit,
            },
        );
        number
    }

    /// Bytes of outputs in answers that wait for the rest of their call.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Answers one request of a call. The last one answers the call.
    pub(super) fn answer(&mut self, number: u64, place: usize, answer: Answer) {
        let Some(call) = self.waiting.get_mut(&number) else {
            return;
        };
        let outputs = |placed: &Placed| placed.outputs.as_ref().map_or(0, Vec::len) as u64;
        let bytes = answer.as_ref().map_or(0, outputs);
        if let Some(slot) = call.answers.get_mut(place)
            && slot.replace(answer).is_none()
        {
            call.missing -= 1;
            call.held += bytes;
            self.held += bytes;
        }
        if call.missing == 0
            && let Some(call) = self.waiting.remove(&number)
        {
            self.held -= call.held;
            // Whoever asked may be gone; the answers are in the store.
            let _ = call
                .reply
                .send(call.answers.into_iter().flatten().collect());
        }
    }
}
