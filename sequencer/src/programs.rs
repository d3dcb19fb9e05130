//! The three programs, embedded: who has the binary needs no program toolchain.

use anyhow::{Context, Result};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::path::Path;
use std::sync::Arc;

/// A built program.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedProgram {
    /// Its name.
    pub name: &'static str,
    /// The address that it is built for.
    pub id: Pubkey,
    /// The binary.
    pub bytes: &'static [u8],
    /// The development keypair of that address.
    dev_key: &'static str,
}

/// The programs.
pub const PROGRAMS: [EmbeddedProgram; 3] = [
    EmbeddedProgram {
        name: "settlement",
        id: settlement::ID,
        bytes: include_bytes!(env!("ASSAY_PROGRAM_SETTLEMENT")),
        dev_key: include_str!("../../migrations/dev-keys/settlement.json"),
    },
    EmbeddedProgram {
        name: "bridge",
        id: bridge::ID,
        bytes: include_bytes!(env!("ASSAY_PROGRAM_BRIDGE")),
        dev_key: include_str!("../../migrations/dev-keys/bridge.json"),
    },
    EmbeddedProgram {
        name: "escrow",
        id: escrow::ID,
        bytes: include_bytes!(env!("ASSAY_PROGRAM_ESCROW")),
        dev_key: include_str!("../../migrations/dev-keys/escrow.json"),
    },
];

impl EmbeddedProgram {
    /// The development keypair, which everybody has: for development networks only.
    pub fn dev_keypair(&self) -> Result<Arc<Keypair>> {
        let bytes: Vec<u8> = serde_json::from_str(self.dev_key)
            .with_context(|| format!("the development key of {}", self.name))?;
        self.checked(Keypair::try_from(bytes.as_slice())?)
    }

    /// The keypair in `folder/<name>.json` (or `<name>-keypair.json`, as `anchor build` names it).
    pub fn keypair_in(&self, folder: &Path) -> Result<Arc<Keypair>> {
        let names = [
            format!("{}.json", self.name),
            format!("{}-keypair.json", self.name),
        ];
        let path = names.iter().map(|n| folder.join(n)).find(|p| p.is_file());
        let path = path.with_context(|| format!("no {} in {}", names[0], folder.display()))?;
        let wallet = assay_client::wallet::Wallet::read(path)?;
        self.checked(wallet.keypair().insecure_clone())
    }

    fn checked(&self, keypair: Keypair) -> Result<Arc<Keypair>> {
        anyhow::ensure!(
            keypair.pubkey() == self.id,
            "the key for {} is that of {}, and the program is built for {}",
            self.name,
            keypair.pubkey(),
            self.id
        );
        Ok(Arc::new(keypair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_keys_are_those_of_the_programs() {
        for program in PROGRAMS {
            assert_eq!(program.dev_keypair().unwrap().pubkey(), program.id);
            assert_eq!(&program.bytes[..4], b"\x7fELF", "{}", program.name);
        }
    }
}
