//! Settings: `assay.toml`, then the environment, then flags.
//!
//! The file has three tables, `[client]`, `[sequencer]` and `[verifier]`. A variable names its key after its
//! table with two underscores between: `ASSAY_CLIENT__RPC`, `ASSAY_SEQUENCER__LISTEN`.

use super::Global;
use crate::config::Config;
use crate::verifier::config::VerifierConfig;
use anyhow::{Context, Result};
use assay_client::files;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Of the client commands.
    pub client: Client,
    /// Of `assay sequencer`.
    pub sequencer: Config,
    /// Of `assay verifier`.
    pub verifier: VerifierConfig,
}

/// Settings of the client commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// JSON-RPC of a Solana node.
    pub rpc: String,
    /// The sequencer's API.
    pub api: String,
    /// The rollup's address; the one that the sequencer serves if absent.
    pub rollup: Option<String>,
    /// The key file.
    pub key: PathBuf,
    /// Micro-lamports per compute unit.
    pub priority_fee: u64,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            rpc: "http://127.0.0.1:8899".into(),
            api: "http://127.0.0.1:8600".into(),
            rollup: None,
            key: home().join(".config/solana/id.json"),
            priority_fee: 0,
        }
    }
}

impl Client {
    /// A settings file with these settings of the client.
    pub fn to_toml(&self) -> Result<String> {
        #[derive(Serialize)]
        struct File<'a> {
            client: &'a Client,
        }
        Ok(toml::to_string(&File { client: self })?)
    }
}

fn home() -> PathBuf {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default()
}

impl Settings {
    /// The settings that hold with these flags. A file that was named and is not there is an
    /// error; the default one may be absent.
    pub fn load(global: &Global) -> Result<Self> {
        let default = Path::new("assay.toml");
        anyhow::ensure!(
            global.config == default || global.config.is_file(),
            "there is no settings file {}",
            global.config.display()
        );
        Self::from_parts(&global.config, global)
    }

    fn from_parts(file: &Path, global: &Global) -> Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if file.is_file() {
            figment = figment.merge(Toml::string(&files::read_text(file)?));
        }
        let mut settings: Self = figment
            .merge(
                Env::prefixed("ASSAY_")
                    .filter(|key| {
                        let key = key.as_str().to_ascii_lowercase();
                        ["client__", "sequencer__", "verifier__"]
                            .iter()
                            .any(|table| key.starts_with(table))
                    })
                    .split("__"),
            )
            .extract()
            .with_context(|| format!("the settings (file {}, environment)", file.display()))?;
        let client = &mut settings.client;
        if let Some(rpc) = &global.rpc {
            client.rpc.clone_from(rpc);
        }
        if let Some(api) = &global.api {
            client.api.clone_from(api);
        }
        if let Some(key) = &global.key {
            client.key.clone_from(key);
        }
        if global.rollup.is_some() {
            client.rollup.clone_from(&global.rollup);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_the_environment_and_the_flags_override_each_other_in_this_order() {
        figment::Jail::expect_with(|jail| {
            jail.create_file(
                "assay.toml",
                "[client]\nrpc = \"file\"\napi = \"file\"\nrollup = \"file\"\n\
                 [sequencer]\nlisten = \"127.0.0.1:1\"\n",
            )?;
            jail.set_env("ASSAY_CLIENT__API", "environment");
            jail.set_env("ASSAY_CLIENT__ROLLUP", "environment");
            jail.set_env("ASSAY_SEQUENCER__LISTEN", "127.0.0.1:2");
            // Not a setting.
            jail.set_env("ASSAY_PROGRAMS", "somewhere");
            let global = Global {
                config: "assay.toml".into(),
                rollup: Some("flag".into()),
                ..Global::default()
            };
            let settings = Settings::load(&global).map_err(|e| e.to_string())?;
            assert_eq!(settings.client.rpc, "file");
            assert_eq!(settings.client.api, "environment");
            assert_eq!(settings.client.rollup.as_deref(), Some("flag"));
            assert_eq!(settings.sequencer.listen.port(), 2);
            Ok(())
        });
    }

    #[test]
    fn what_is_written_reads_back_and_unknown_keys_are_errors() {
        figment::Jail::expect_with(|jail| {
            let settings = Settings {
                client: Client {
                    rollup: Some("somewhere".into()),
                    priority_fee: 7,
                    ..Client::default()
                },
                ..Settings::default()
            };
            let text = settings.client.to_toml().map_err(|e| e.to_string())?;
            jail.create_file("assay.toml", &text)?;
            let global = Global {
                config: "assay.toml".into(),
                ..Global::default()
            };
            let read = Settings::load(&global).map_err(|e| e.to_string())?;
            assert_eq!(read, settings);
            jail.create_file("assay.toml", "[client]\nurl = \"x\"\n")?;
            let error = Settings::load(&global).unwrap_err();
            assert!(format!("{error:#}").contains("url"), "{error:#}");
            let absent = Global {
                config: "other.toml".into(),
                ..Global::default()
            };
            assert!(Settings::load(&absent).is_err());
            Ok(())
        });
    }
}
