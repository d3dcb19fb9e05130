//! End-to-end tests: real programs, a real chain, real models, cheaters.
