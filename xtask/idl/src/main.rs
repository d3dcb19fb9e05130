//! `xtask-idl PROGRAM...`: writes `target/idl/<program>.json` and `target/types/<program>.ts`, the
//! same as `anchor build` does.

use anchor_lang_idl::build::IdlBuilder;
use anyhow::{Context, Result};
use heck::{ToLowerCamelCase, ToUpperCamelCase};
use serde_json::Value;
use std::path::Path;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("no workspace root")?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |directory| root.join(directory));
    // Anchor's builder runs cargo with flags of its own: in the shared directory, each run would
    // make the next ordinary build start afresh. And a `RUSTUP_TOOLCHAIN` it misreads.
    // SAFETY: nothing else runs yet.
    unsafe {
        std::env::set_var("CARGO_TARGET_DIR", target.join("idl-build"));
        std::env::remove_var("RUSTUP_TOOLCHAIN");
    }
    std::fs::create_dir_all(target.join("idl"))?;
    std::fs::create_dir_all(target.join("types"))?;
    for program in std::env::args().skip(1) {
        let idl = IdlBuilder::new()
            .program_path(root.join("programs").join(&program))
            .cargo_args(vec!["--locked".into(), "--lib".into()])
            .build()
            .with_context(|| format!("could not make the IDL of {program}"))?;
        std::fs::write(
            target.join("idl").join(format!("{program}.json")),
            format!("{}\n", serde_json::to_string_pretty(&idl)?),
        )?;
        std::fs::write(
            target.join("types").join(format!("{program}.ts")),
            types(&program, serde_json::to_value(&idl)?)?,
        )?;
    }
    Ok(())
}

/// The TypeScript type of an IDL: the IDL itself with its names in camel case, as the
/// TypeScript client presents them.
fn types(program: &str, mut idl: Value) -> Result<String> {
    camel(&mut idl, "");
    let name = program.to_upper_camel_case();
    Ok(format!(
        "/**\n * Program IDL in camelCase format in order to be used in JS/TS.\n *\n \
         * Note that this is only a type helper and is not the actual IDL. The original\n \
         * IDL can be found at `target/idl/{program}.json`.\n */\n\
         export type {name} = {};\n",
        serde_json::to_string_pretty(&idl)?
    ))
}

/// Every identifier to camel case; prose, addresses and versions stay.
fn camel(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| camel(value, key)),
        Value::Array(items) => items.iter_mut().for_each(|item| camel(item, key)),
        Value::String(text) => {
            let identifier =
                !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if identifier
                && !matches!(
                    key,
                    "address" | "docs" | "msg" | "version" | "spec" | "description" | "value"
                )
            {
                *text = text.to_lower_camel_case();
            } else if key == "path" {
                *text = text
                    .split('.')
                    .map(ToLowerCamelCase::to_lower_camel_case)
                    .collect::<Vec<_>>()
                    .join(".");
            }
        }
        _ => {}
    }
}
