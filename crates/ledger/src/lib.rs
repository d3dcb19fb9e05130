//! The L2 ledger: accounts, transactions, the state transition, Merkle trees, batches.
