//! The program's accounts.

mod client;
mod feed;
mod job;
mod output;

pub use client::Client;
pub use feed::Feed;
pub use job::{Job, JobStatus};
pub use output::{Output, OutputType};

#[cfg(test)]
mod tests;
