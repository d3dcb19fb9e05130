//! Errors in words.
//!
//! An error of this workspace says all that it knows in its own text, and then has no
//! [`source`](std::error::Error::source): who prints a chain of errors prints each cause once, and
//! who prints the error alone misses none.

use std::error::Error;

/// An error of another library with its causes, for the text of one of ours: `a: b: c`, without
/// those that an earlier one has said already.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::http::Api;
    use crate::rpc::Rpc;
    use crate::wallet::Wallet;
    use std::time::Duration;

    /// What `anyhow` prints with `{:#}`.
    fn chain(error: &dyn Error) -> String {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        text
    }

    fn says_once(error: &dyn Error, what: &str) {
        let text = chain(error);
        assert_eq!(text.matches(what).count(), 1, "{text}");
        assert_eq!(error.to_string(), text);
    }

    #[tokio::test]
    async fn every_cause_is_printed_once() {
        let absent = std::env::temp_dir().join("assay-there-is-no-such-file");
        says_once(&Bundle::read(&absent).unwrap_err(), "No such file");
        says_once(&Wallet::read(&absent).unwrap_err(), "No such file");
        // Nobody listens on port 1.
        let nowhere = "http://127.0.0.1:1";
        let refused = "onnection refused";
        says_once(&Api::new(nowhere).status().await.unwrap_err(), refused);
        let rpc = Rpc::new(nowhere).patience(Duration::ZERO);
        says_once(&rpc.slot().await.unwrap_err(), refused);
    }
}
