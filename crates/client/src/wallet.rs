//! Keys: Solana keypair files, whose keys sign on L1 and L2 alike.

use crate::files::{self, FileError};
use assay_ledger::Key;
use assay_ledger::request::{Action, Request, SignedRequest};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a key file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// Its file.
    #[error("key file {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: std::io::Error,
    },
    /// Reading it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its content.
    #[error("key file {} is not a Solana keypair (a JSON list of 64 numbers)", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
}

/// A key that pays and signs on L1 and signs requests on L2. Cheap to clone.
#[derive(Clone)]
pub struct Wallet {
    keypair: Arc<Keypair>,
    signing: assay_ledger::signature::Keypair,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wallet({})", self.address())
    }
}

impl From<Keypair> for Wallet {
    fn from(keypair: Keypair) -> Self {
        Self {
            signing: assay_ledger::signature::Keypair::from_seed(*keypair.secret_bytes()),
            keypair: Arc::new(keypair),
        }
    }
}

impl Wallet {
    /// A new random key.
    pub fn random() -> Self {
        Keypair::new().into()
    }

    /// The key with this seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Keypair::new_from_array(seed).into()
    }

    /// Reads a file as `solana-keygen` writes it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, WalletError> {
        let path = path.as_ref();
        let text = files::read_text(path)?;
        let format = || WalletError::Format { path: path.into() };
        let bytes: Vec<u8> = serde_json::from_str(&text).map_err(|_| format())?;
        let keypair = Keypair::try_from(bytes.as_slice()).map_err(|_| format())?;
        Ok(keypair.into())
    }

    /// Writes a new file that only its owner can read. An existing one is left alone, and that is
    /// an error.
    pub fn write_new(&self, path: impl AsRef<Path>) -> Result<(), WalletError> {
        let path = path.as_ref();
        let io = |cause| WalletError::Io {
            path: path.into(),
            cause,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        let numbers = format!("{:?}", self.keypair.to_bytes());
        file.write_all(numbers.replace(' ', "").as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io)
    }

    /// The address.
    pub fn address(&self) -> Pubkey {
        self.keypair.pubkey()
    }

    /// The address as the ledger has it.
    pub fn key(&self) -> Key {
        self.address().to_bytes()
    }

    /// The key pair, for L1.
    pub fn keypair(&self) -> &Arc<Keypair> {
        &self.keypair
    }

    /// Signs a request of this key's account in `mint`, whose nonce is `nonce`.
    pub fn sign(&self, rollup: &Pubkey, mint: Key, nonce: u64, action: Action) -> SignedRequest {
        let request = Request {
            rollup: rollup.to_bytes(),
            owner: self.key(),
            mint,
            nonce,
            action,
        };
        let signature = self.signing.sign(&request.signing_bytes());
        SignedRequest { request, signature }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_round_trips_is_private_and_is_never_overwritten() {
        let dir = std::env::temp_dir().join(format!("assay-wallet-{}", std::process::id()));
        let path = dir.join("key.json");
        let wallet = Wallet::random();
        wallet.write_new(&path).unwrap();
        assert_eq!(Wallet::read(&path).unwrap().address(), wallet.address());
        assert_eq!(
            solana_keypair::read_keypair_file(&path).unwrap().pubkey(),
            wallet.address()
        );
        assert!(matches!(
            Wallet::random().write_new(&path),
            Err(WalletError::Io { .. })
        ));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "[1,2,3]").unwrap();
        assert!(matches!(
            Wallet::read(&path),
            Err(WalletError::Format { .. })
        ));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_the_wallet_signs_the_ledger_accepts() {
        let wallet = Wallet::from_seed([5; 32]);
        let action = Action::Withdraw {
            recipient: [1; 32],
            amount: 7,
        };
        let signed = wallet.sign(&Pubkey::new_unique(), assay_ledger::SOL, 3, action);
        let message = signed.request.signing_bytes();
        let verify =
            |m: &[u8]| assay_ledger::signature::verify(&signed.request.owner, m, &signed.signature);
        assert!(verify(&message));
        assert!(!verify(&message[1..]));
    }
}
