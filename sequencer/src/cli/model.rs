//! `assay model`

use super::Global;
use super::context::{Context, PATIENCE, parse_amount, parse_mint, show_amount};
use super::output::table;
use anyhow::{Context as _, Result};
use assay_client::api::{Hash32, ModelView};
use assay_client::bundle::{Bundle, Port, Quantisation};
use assay_client::files;
use assay_client::l2::{L2, mint_name};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay model import digits-int8.onnx\n  assay model deploy digits-int8.assay --price 0.000002\n  assay model update 0 digits-int8.assay --price 0.000003\n  assay model list\n  assay model show 0 --json"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn an int8 ONNX file into a bundle: the tensor program, its parameters, its ports.
    Import {
        /// The ONNX file, quantised to int8 (QDQ or QLinear operators).
        onnx: PathBuf,
        /// The bundle to write; the ONNX file's name with .assay if absent.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Upload a bundle and deploy it with a price.
    Deploy {
        /// The bundle.
        bundle: PathBuf,
        /// The price of one run, in SOL or whole tokens.
        #[arg(long)]
        price: String,
        /// The mint of the price: SOL or an address. The wallet needs an L2 account in it.
        #[arg(long, default_value = "SOL")]
        mint: String,
        /// Do not wait until it can be called.
        #[arg(long)]
        no_wait: bool,
    },
    /// Upload a bundle of the same program and update a model of the wallet's to its parameters.
    Update {
        /// The model's index.
        model: u32,
        /// The bundle.
        bundle: PathBuf,
        /// The new price of one run, in SOL or whole tokens; the same as before if absent.
        #[arg(long)]
        price: Option<String>,
        /// Do not wait until it can be called again.
        #[arg(long)]
        no_wait: bool,
    },
    /// List the models.
    List,
    /// Show a model.
    Show {
        /// Its index.
        model: u32,
    },
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        match self.command {
            Command::Import { onnx, output } => import(&context, &onnx, output),
            Command::Deploy {
                bundle,
                price,
                mint,
                no_wait,
            } => deploy(&context, &bundle, &price, &mint, !no_wait).await,
            Command::Update {
                model,
                bundle,
                price,
                no_wait,
            } => update(&context, model, &bundle, price, !no_wait).await,
            Command::List => {
                let models = context.api().models().await?;
                let lines: Vec<String> = models.iter().map(line).collect();
                context.out.result(&models, || match lines.len() {
                    0 => "no models".into(),
                    _ => lines.join("\n"),
                })
            }
            Command::Show { model } => {
                let model = context.api().model(model).await?;
                let decimals = context.decimals(&model.mint.0).await.unwrap_or(0);
                context.out.result(&model, || show(&model, decimals))
            }
        }
    }
}

fn import(context: &Context, onnx: &Path, output: Option<PathBuf>) -> Result<()> {
    let bytes = files::read(onnx, assay_onnx::Limits::default().file_bytes)?;
    let name = onnx.file_stem().unwrap_or_default().to_string_lossy();
    let bundle =
        bundle_of(&name, &bytes).with_context(|| format!("cannot import {}", onnx.display()))?;
    let path = output.unwrap_or_else(|| onnx.with_extension("assay"));
    bundle.write(&path)?;
    let (program, _) = bundle.open()?;
    let value = json!({
        "bundle": path, "program_root": Hash32(program.root()), "operators": program.program().nodes.len(),
        "units": program.units(), "program_bytes": bundle.program.len(),
        "parameter_bytes": bundle.parameters.len(),
    });
    context.out.result(&value, || {
        table(&[
            ("bundle", path.display().to_string()),
            ("program", Hash32(program.root()).to_string()),
            ("operators", program.program().nodes.len().to_string()),
            ("work units", program.units().to_string()),
            (
                "inputs",
                bundle
                    .inputs
                    .iter()
                    .map(port)
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            (
                "outputs",
                bundle
                    .outputs
                    .iter()
                    .map(port)
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
        ])
    })
}

/// Imports an ONNX file.
pub fn bundle_of(name: &str, onnx: &[u8]) -> Result<Bundle> {
    let imported = assay_onnx::import(onnx, &assay_onnx::Limits::default())?;
    let ports = |ports: &[assay_onnx::Port]| {
        let port = |p: &assay_onnx::Port| {
            let quantisation = p.quantisation.as_ref().map(|q| Quantisation {
                scale: q.scale,
                zero_point: q.zero_point,
            });
            Port::new(p.name.clone(), &p.ty, quantisation)
        };
        ports.iter().map(port).collect()
    };
    Ok(Bundle::new(
        name,
        &imported.program,
        &imported.parameters,
        ports(&imported.inputs),
        ports(&imported.outputs),
    ))
}

async fn deploy(
    context: &Context,
    bundle: &Path,
    price: &str,
    mint: &str,
    wait: bool,
) -> Result<()> {
    let bundle = read(bundle)?;
    let mint = parse_mint(mint)?;
    let decimals = context.decimals(&mint).await?;
    let price = parse_amount(price, decimals)?;
    let l2 = context.l2().await?;
    let model = l2.deploy(&bundle, mint, price).await?;
    callable(context, &l2, model, decimals, wait).await
}

async fn update(
    context: &Context,
    model: u32,
    bundle: &Path,
    price: Option<String>,
    wait: bool,
) -> Result<()> {
    let bundle = read(bundle)?;
    let l2 = context.l2().await?;
    let mint = l2.api().model(model).await?.mint;
    let decimals = context.decimals(&mint.0).await?;
    let price = price.map(|price| parse_amount(&price, decimals));
    let model = l2.update(model, &bundle, price.transpose()?).await?;
    callable(context, &l2, model, decimals, wait).await
}

fn read(bundle: &Path) -> Result<Bundle> {
    Bundle::read(bundle).with_context(|| format!("cannot read {}", bundle.display()))
}

/// Waits until a model that was deployed or updated can be called, and shows it.
async fn callable(
    context: &Context,
    l2: &L2,
    mut model: ModelView,
    decimals: u8,
    wait: bool,
) -> Result<()> {
    if wait && !model.callable {
        let from = model.callable_from;
        context.out.note(format!(
            "model {}: callable from batch {from} on",
            model.index
        ));
        model = l2.wait_for_model(model.index, PATIENCE).await?;
    }
    context.out.result(&model, || show(&model, decimals))
}

fn port(port: &Port) -> String {
    let dtype = if port.dtype == 0 { "i8" } else { "i32" };
    format!("{} {dtype}{:?}", port.name, port.dims)
}

fn line(model: &ModelView) -> String {
    let state = match (&model.problem, model.callable) {
        (Some(problem), _) => problem.clone(),
        (None, true) => "callable".into(),
        (None, false) => format!("callable from batch {}", model.callable_from),
    };
    format!(
        "{:4}  {} base units of {}  {} bytes in  {} units  {state}",
        model.index,
        model.price,
        mint_name(&model.mint),
        model.input_bytes,
        model.units
    )
}

fn show(model: &ModelView, decimals: u8) -> String {
    let price = show_amount(model.price, decimals);
    table(&[
        ("model", model.index.to_string()),
        ("version", model.version.to_string()),
        ("publisher", model.publisher.to_string()),
        ("price", format!("{price} {}", mint_name(&model.mint))),
        ("program", model.program_root.to_string()),
        ("parameters", model.parameters_root.to_string()),
        ("input bytes", model.input_bytes.to_string()),
        ("work units", model.units.to_string()),
        ("callable", model.callable.to_string()),
        ("callable from", format!("batch {}", model.callable_from)),
    ])
}
