//! Random games: honest players against anybody, and anybody against anybody.
//!
//! Twenty thousand by default, which takes less than a minute; `ASSAY_GAMES` says how many, and
//! `ASSAY_SEED` from which round on. A round is a hundred games, over a batch and some wrong versions of
//! it that follow from the round's number.

mod arena;

use arena::random::rounds::{self, Round};
use arena::random::{Tally, play};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const ROUND: u64 = 100;

fn number(name: &str, default: u64) -> u64 {
    let number = std::env::var(name).ok();
    number.map_or(default, |n| n.parse().unwrap())
}

fn round(round: u64, games: u64) -> Tally {
    let batch = rounds::batch(round);
    let mut table = Round::new(round, &batch);
    let mut tally = Tally::default();
    for game in 0..games {
        tally.add(play(table.next(), round * ROUND + game).0);
    }
    tally
}

#[test]
fn nobody_honest_loses_and_every_game_ends() {
    let games = number("ASSAY_GAMES", 20_000);
    let first = number("ASSAY_SEED", 0);
    let next = AtomicU64::new(0);
    let some = || {
        let mut tally = Tally::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let played = at * ROUND;
            if played >= games {
                return tally;
            }
            tally.add(round(first + at, ROUND.min(games - played)));
        }
    };
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        for thread in threads {
            tally.add(thread.join().unwrap());
        }
    });
    println!("{tally:#?}");
    assert_eq!(tally.games, games);
    // They got somewhere: proofs, time-outs and refusals are all there.
    let few = games / 20;
    assert!(tally.convicted > few && tally.timed_out > few && tally.refused > few);
    assert!(tally.moot > few && tally.last > few);
    if games >= 1_000 {
        assert_eq!(tally.reasons.len(), 5, "{:?}", tally.reasons);
        assert_eq!(tally.stages.len(), 15, "{:?}", tally.stages);
        assert_eq!(tally.honest.len(), 15, "{:?}", tally.honest);
    }
}
