//! Where players meet: batches, liars, and games between them.
#![allow(dead_code)]

pub mod duel;
pub mod lies;
pub mod random;
pub mod world;
