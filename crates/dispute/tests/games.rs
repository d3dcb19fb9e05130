//! Random games: honest players against anybody, and anybody against anybody.
//!
//! `ASSAY_GAMES` says how many; a batch and some wrong versions of it serve a hundred.

mod arena;

use arena::lies::random_lie;
use arena::random::{Game, Table, Tally};
use arena::world::{mixed, random_models, rollup};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn nobody_honest_loses_and_every_game_ends() {
    let games = std::env::var("ASSAY_GAMES").ok();
    let games: u64 = games.and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut tally = Tally::default();
    for round in 0..games.div_ceil(100) {
        let mut rng = ChaCha8Rng::seed_from_u64(round);
        let batch = match round % 5 {
            // A first batch, and one of one transaction.
            3 => rollup(random_models([round])).0,
            4 => mixed(1_000 + round, 1, 1),
            _ => mixed(1_000 + round, 1 + round % 3, 3 + (round * 7 % 37) as usize),
        };
        let mut tables = vec![Table::right(&batch, &mut rng)];
        for _ in 0..9 {
            let lie = random_lie(&batch, &mut rng);
            tables.push(Table::wrong(&batch, lie, &mut rng));
        }
        for game in 0..100.min(games - round * 100) {
            // One in four is over the right batch.
            let table = match rng.random_range(0..4) {
                0 => 0,
                _ => rng.random_range(1..tables.len()),
            };
            Game::play(&mut tables[table], round * 100 + game, &mut tally);
        }
    }
    println!("{tally:#?}");
    assert_eq!(tally.games, games);
    // They got somewhere: proofs, time-outs and refusals are all there.
    let few = games / 20;
    assert!(tally.convicted > few && tally.timed_out > few && tally.refused > few);
    assert!(tally.moot > 0);
}
