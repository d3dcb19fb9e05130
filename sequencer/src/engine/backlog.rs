//! Closed batches that L1 does not have yet, and how many more it takes.
//!
//! L1 admits so many pending batches at a time, and each locks a slice of the bond. A batch closed for
//! its age where there is no room for it would only wait, so it fills instead; and when many wait, no
//! more requests are taken.

/// What L1 takes, as it was read there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its newest batch.
    pub tip: u64,
    /// Batches after it that it takes now.
    pub batches: u64,
}

/// Closed batches that wait for L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many; 0 where nothing is known of L1.
    pub waiting: u64,
    /// How many L1 takes now; none where nothing is known of it, as in a benchmark.
    pub room: Option<u64>,
}

impl Backlog {
    /// The backlog while batch `building` is being built.
    pub fn of(room: Option<Room>, building: u64) -> Self {
        Self {
            waiting: room.map_or(0, |room| {
                building.saturating_sub(1).saturating_sub(room.tip)
            }),
            room: room.map(|room| room.batches),
        }
    }

    /// Whether L1 would take another batch beside those that wait.
    pub fn has_room(&self) -> bool {
        self.room.is_none_or(|room| self.waiting < room)
    }
}
