//! `assay infer`

use super::Global;
use super::context::Context;
use anyhow::{Context as _, Result, bail};
use assay_client::api::Base64;
use assay_client::bundle::Bundle;
use assay_client::files;
use assay_ledger::request::MAX_INPUT;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay infer 0 --values image.json --bundle digits-int8.assay\n  assay infer 0 --bytes input.bin --json"
)]
pub struct Arguments {
    /// The model's index.
    model: u32,
    /// A file with the inputs' bytes, one input after the other, as the program takes them.
    #[arg(long, required_unless_present = "values")]
    bytes: Option<PathBuf>,
    /// A JSON file with the inputs' real values: a list of numbers, or a list of such lists where
    /// there are many inputs. Needs --bundle, which says how they are quantised.
    #[arg(long, requires = "bundle", conflicts_with = "bytes")]
    values: Option<PathBuf>,
    /// The model's bundle: names and dequantises the outputs.
    #[arg(long)]
    bundle: Option<PathBuf>,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let bundle = self.bundle.as_ref().map(Bundle::read).transpose()?;
        let input = match (&self.bytes, &self.values, &bundle) {
            (Some(path), _, _) => files::read(path, MAX_INPUT as u64)?,
            (None, Some(path), Some(bundle)) => quantised(path, bundle)?,
            _ => bail!("--values needs --bundle"),
        };
        let l2 = context.l2().await?;
        let model = l2.api().model(self.model).await?;
        if let Some(bundle) = &bundle {
            let root = bundle.open()?.0.root();
            anyhow::ensure!(
                root == model.program_root.0,
                "the bundle is another model's"
            );
        }
        let (id, executed) = l2.infer(&model, input).await?;
        let bytes = executed.outputs.clone().unwrap_or_default().0;
        let outputs = bundle.as_ref().map(|b| named(b, &bytes)).transpose()?;
        let value = json!({
            "id": id, "batch": executed.batch, "position": executed.position,
            "fee": executed.fee, "output_root": executed.output_root,
            "bytes": Base64(bytes.clone()), "outputs": outputs,
        });
        context.out.result(&value, || {
            let head = format!("batch {}, fee {}, id {id}\n", executed.batch, executed.fee);
            match &outputs {
                Some(outputs) => outputs
                    .iter()
                    .fold(head, |text, o| text + &format!("{o}\n")),
                None => head + &hex::encode(&bytes),
            }
        })
    }
}

/// The inputs' bytes from a JSON file of real values.
fn quantised(path: &Path, bundle: &Bundle) -> Result<Vec<u8>> {
    let text = files::read_text(path)?;
    let lists: Vec<Vec<f32>> = serde_json::from_str::<Vec<f32>>(&text)
        .map(|one| vec![one])
        .or_else(|_| serde_json::from_str(&text))
        .with_context(|| format!("{} is not a list of numbers", path.display()))?;
    anyhow::ensure!(
        lists.len() == bundle.inputs.len(),
        "the model has {} inputs, the file {}",
        bundle.inputs.len(),
        lists.len()
    );
    let mut bytes = Vec::new();
    for (port, values) in bundle.inputs.iter().zip(&lists) {
        bytes.extend(port.quantise(values)?);
    }
    Ok(bytes)
}

/// The outputs by name, with their integers and what those stand for.
fn named(bundle: &Bundle, bytes: &[u8]) -> Result<Vec<serde_json::Value>> {
    let mut rest = bytes;
    let mut outputs = Vec::new();
    for port in &bundle.outputs {
        let len = port.ty().map_or(0, |ty| ty.bytes()) as usize;
        let (mine, after) = rest
            .split_at_checked(len)
            .context("the outputs are shorter than the bundle says")?;
        rest = after;
        let values = port
            .values(mine)
            .context("an output does not fit its type")?;
        let real = port.quantisation.map(|_| port.dequantise(&values));
        outputs.push(json!({ "name": port.name, "values": values, "real": real }));
    }
    Ok(outputs)
}
