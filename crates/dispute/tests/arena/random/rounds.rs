//! Rounds of random games: a round is over one batch and some wrong versions of it, all of which follow from the
//! round's number.

use super::Table;
use crate::arena::lies::{honest, random_lie};
use crate::arena::world::{Batch, mixed, mixed_malformed, random_models, rollup};
use assay_dispute::game::Reason;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Wrong versions of a round's batch.
const LIES: usize = 9;

/// The batch of a round.
pub fn batch(round: u64) -> Batch {
    match round % 6 {
        // A first batch, one of one transaction, and one that deploys a malformed program.
        3 => rollup(random_models([round])).0,
        4 => mixed(1_000 + round, 1, 1),
        5 => mixed_malformed(1_000 + round, 1 + (round * 7 % 20) as usize),
        _ => mixed(1_000 + round, 1 + round % 3, 3 + (round * 7 % 37) as usize),
    }
}

/// A round over its [`batch`].
pub struct Round<'a> {
    pub tables: Vec<Table<'a>>,
    rng: ChaCha8Rng,
}

impl<'a> Round<'a> {
    pub fn new(round: u64, batch: &'a Batch) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(round);
        let mut tables = vec![match round % 6 {
            5 => {
                let lie = honest(batch).lie("malformed program", Some(Reason::Program));
                Table::wrong(batch, lie, &mut rng)
            }
            _ => Table::right(batch, &mut rng),
        }];
        for _ in 0..LIES {
            let lie = random_lie(batch, &mut rng);
            tables.push(Table::wrong(batch, lie, &mut rng));
        }
        Self { tables, rng }
    }

    /// The table of the next game. One in four is over the first batch, mostly the right one.
    pub fn next(&mut self) -> &mut Table<'a> {
        let at = match self.rng.random_range(0..4) {
            0 => 0,
            _ => self.rng.random_range(1..self.tables.len()),
        };
        &mut self.tables[at]
    }
}
