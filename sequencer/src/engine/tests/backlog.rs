//! What waits for L1 is bounded by what L1 takes.

use super::*;
use crate::engine::backlog::{Backlog, Room};

impl World {
    /// Says what L1 takes, and waits until it is known.
    async fn room(&self, tip: u64, batches: u64) {
        self.rig.engine.room(Room { tip, batches }).unwrap();
        self.rig.engine.outbox_path(0, 0).await.unwrap();
    }

    async fn pay(&self, nonce: u64) -> Result<u64, EngineError> {
        let request = sign(&self.bob, nonce, transfer([5; 32], 1));
        let checked = self.rig.admission.admit(vec![request]);
        let admitted = checked.into_iter().map(|(_, a)| a.unwrap()).collect();
        let mut answers = self.rig.engine.submit(admitted).await?;
        Ok(answers.pop().unwrap().unwrap().batch)
    }

    async fn restart_under(self, limits: BatchLimits) -> Self {
        Self { limits, ..self }.restart().await
    }
}

/// Of an age of no time at all, a batch is closed as soon as L1 has room for it, and fills before.
#[tokio::test]
async fn a_batch_is_closed_for_its_age_only_where_l1_has_room_for_it() {
    let limits = BatchLimits {
        age_ms: 0,
        ..Default::default()
    };
    let world = World::new().await.restart_under(limits).await;
    world.room(1, 0).await;
    for nonce in 0..3 {
        assert_eq!(world.pay(nonce).await, Ok(2));
    }
    let mut closed = world.rig.closed.clone();
    assert_eq!(*closed.borrow_and_update(), 1);
    world.room(1, 1).await;
    closed.wait_for(|number| *number == 2).await.unwrap();
    // Its room is taken by the batch that waits.
    for nonce in 3..6 {
        assert_eq!(world.pay(nonce).await, Ok(3));
    }
    // On a development network a close is a close.
    assert_eq!(world.rig.engine.close_batch().await, Ok(Some(3)));
    let backlog = Backlog {
        waiting: 2,
        room: Some(1),
    };
    assert_eq!(world.rig.engine.backlog(), backlog);
    assert!(
        world
            .rig
            .metrics
            .encode()
            .contains("assay_unposted_batches 2"),
        "{}",
        world.rig.metrics.encode()
    );
    world.replay();
}

#[tokio::test]
async fn while_many_batches_wait_no_requests_are_taken() {
    let limits = BatchLimits {
        transactions: 1,
        backlog: 3,
        ..Default::default()
    };
    let world = World::new().await.restart_under(limits).await;
    world.room(1, 0).await;
    for nonce in 0..3 {
        assert_eq!(world.pay(nonce).await, Ok(nonce + 2));
    }
    let refused = world.pay(3).await.unwrap_err();
    assert!(matches!(refused, EngineError::Backlog(_)), "{refused}");
    assert!(
        refused
            .to_string()
            .starts_with("3 closed batches wait for L1"),
        "{refused}"
    );
    world.room(2, 0).await;
    assert_eq!(world.pay(3).await, Ok(5));
}
