//! What junk transactions look like: transactions of strangers that name an account, some as short
//! as can be, some as long, some like those that a reader looks for.
//!
//! They are well-formed, and a chain would take them (those that it would refuse to execute have
//! failed, and are listed as failed), but for their signatures: these are made up, and say whose
//! junk it is and its number. Nobody who reads a node's history checks them.

use anchor_lang::Discriminator;
use anyhow::{Context, Result};
use assay_client::instructions::disputes::write_buffer;
use assay_client::instructions::settlement::write_chunks;
use assay_client::pda;
use assay_client::wire::{self, Budget, Wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use settlement::instruction::{Enqueue, PostBatch};
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_system_interface::instruction::transfer;
use solana_transaction::versioned::VersionedTransaction;
use std::fmt::Write;

/// How a made-up signature begins.
const MARK: [u8; 8] = *b"junk/2/\0";
/// What a failed one says.
pub const FAILED: &str = r#"{"InstructionError":[1,{"Custom":3007}]}"#;

/// The forms of the junk of an account.
#[derive(Debug)]
pub struct Forms {
    forms: Vec<Form>,
}

/// A form: a transaction but for its signature and its blockhash.
#[derive(Debug)]
struct Form {
    bytes: Vec<u8>,
    /// Where these two are.
    signature: usize,
    blockhash: usize,
    failed: bool,
    version: &'static str,
}

impl Forms {
    /// Those of junk that names `account`.
    pub fn new(account: &Pubkey) -> Result<Self> {
        let stranger = Pubkey::new_from_array([0xa5; 32]);
        let own_data = pda::batch_data(&stranger, 1);
        let own_buffer = pda::buffer(&stranger, 1);
        let name = AccountMeta::new_readonly(*account, false);
        let named = |mut instruction: Instruction, times: usize| {
            let names = std::iter::repeat_n(name.clone(), times);
            instruction.accounts.extend(names);
            instruction
        };
        let pay = || transfer(&stranger, &stranger, 0);
        let like = |discriminator: &[u8]| Instruction {
            program_id: settlement::ID,
            accounts: vec![
                AccountMeta::new(stranger, true),
                name.clone(),
                name.clone(),
                name.clone(),
            ],
            data: [discriminator, &[7; 600]].concat(),
        };
        let short = || Form::new(Wire::Legacy, &stranger, |_| named(pay(), 1), false);
        let forms = [
            short(),
            // As often as fits: whoever keeps the accounts of calls keeps 32 bytes for each byte.
            Form::new(Wire::Legacy, &stranger, |n| named(pay(), n), false),
            // A reader's calls, on other accounts.
            Form::new(
                Wire::Legacy,
                &stranger,
                |n| named(write_chunks(&stranger, &own_data, 0, vec![1; n]), 1),
                false,
            ),
            short(),
            Form::new(
                Wire::Legacy,
                &stranger,
                |n| named(write_buffer(&stranger, &own_buffer, 0, vec![2; n]), 1),
                false,
            ),
            // A reader's calls on the account, which the program has refused.
            Form::new(
                Wire::Legacy,
                &stranger,
                |n| write_chunks(&stranger, account, 0, vec![3; n]),
                true,
            ),
            Form::new(
                Wire::Legacy,
                &stranger,
                |_| like(PostBatch::DISCRIMINATOR),
                true,
            ),
            Form::new(
                Wire::Legacy,
                &stranger,
                |_| named(like(Enqueue::DISCRIMINATOR), 1),
                true,
            ),
            Form::new(
                Wire::Version1,
                &stranger,
                |n| named(write_chunks(&stranger, &own_data, 0, vec![4; n]), 1),
                false,
            ),
            short(),
        ];
        Ok(Self {
            forms: forms.into_iter().collect::<Result<_>>()?,
        })
    }

    /// Whether junk of this number has failed.
    pub fn failed(&self, number: u32) -> bool {
        self.of(number).is_some_and(|form| form.failed)
    }

    /// Writes junk of this number of the attack `of`, as it is in a block.
    pub fn write(&self, of: u8, number: u32, text: &mut String) -> Result<()> {
        let form = self.of(number).context("a form")?;
        let mut bytes = form.bytes.clone();
        let signature = signature(of, number);
        bytes[form.signature..][..64].copy_from_slice(signature.as_ref());
        // So that no two of them are one.
        bytes[form.blockhash..][..4].copy_from_slice(&number.to_le_bytes());
        text.push_str("{\"transaction\":[\"");
        STANDARD.encode_string(bytes, text);
        let (error, status) = if form.failed {
            (FAILED, format!("{{\"Err\":{FAILED}}}"))
        } else {
            ("null", "{\"Ok\":null}".to_owned())
        };
        write!(
            text,
            "\",\"base64\"],\"version\":{},\"meta\":{{\"err\":{error},\"status\":{status},{META}}}}}",
            form.version
        )?;
        Ok(())
    }

    fn of(&self, number: u32) -> Option<&Form> {
        self.forms.get(number as usize % self.forms.len())
    }
}

/// What the metadata of all of them says.
const META: &str = r#""fee":5000,"preBalances":[1000000,1,1],"postBalances":[995000,1,1],"innerInstructions":[],"logMessages":["Program log: junk"],"preTokenBalances":[],"postTokenBalances":[],"rewards":[],"loadedAddresses":{"writable":[],"readonly":[]},"computeUnitsConsumed":450"#;

impl Form {
    /// Of the `instruction` of a size; the largest one that fits.
    fn new(
        wire: Wire,
        payer: &Pubkey,
        instruction: impl Fn(usize) -> Instruction,
        failed: bool,
    ) -> Result<Self> {
        let budget = Budget::default();
        let room = wire::room(wire, payer, &budget, |n| vec![instruction(n)]);
        let blockhash = [0xb7; 32];
        let message = wire::message(
            wire,
            payer,
            &[instruction(room.context("room for the instruction")?)],
            &budget,
            Hash::new_from_array(blockhash),
        )?;
        let marked = [0xc3; 64];
        let transaction = VersionedTransaction {
            signatures: vec![marked.into()],
            message,
        };
        let bytes = wincode::serialize(&transaction)?;
        let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
        Ok(Self {
            signature: find(&marked).context("its signature")?,
            blockhash: find(&blockhash).context("its blockhash")?,
            bytes,
            failed,
            version: match wire {
                Wire::Legacy => "\"legacy\"",
                Wire::Version1 => "1",
            },
        })
    }
}

/// The made-up signature of junk: the attack and its number.
pub fn signature(of: u8, number: u32) -> Signature {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&MARK);
    bytes[8] = of;
    bytes[9..13].copy_from_slice(&number.to_le_bytes());
    bytes.into()
}

/// The attack and the number of a made-up signature.
pub fn parse(signature: &str) -> Option<(u8, u32)> {
    let signature: Signature = signature.parse().ok()?;
    let rest = signature.as_array().strip_prefix(&MARK)?;
    let [of, a, b, c, d, rest @ ..] = rest else {
        return None;
    };
    let none = rest.iter().all(|byte| *byte == 0);
    none.then(|| (*of, u32::from_le_bytes([*a, *b, *c, *d])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_transaction_status_client_types::EncodedTransactionWithStatusMeta;

    #[test]
    fn junk_is_decoded_as_the_transactions_of_a_node_are() {
        let account = Pubkey::new_from_array([5; 32]);
        let forms = Forms::new(&account).unwrap();
        let mut longest = 0;
        for number in 0..forms.forms.len() as u32 {
            let mut text = String::new();
            forms.write(3, number, &mut text).unwrap();
            let read: EncodedTransactionWithStatusMeta = serde_json::from_str(&text).unwrap();
            let decoded = read.transaction.decode().unwrap();
            let name = decoded.signatures[0].to_string();
            assert_eq!(parse(&name), Some((3, number)));
            assert!(decoded.message.static_account_keys().contains(&account));
            let bytes = wire::bytes_of(&decoded.message);
            assert!(bytes <= 4_096, "{number}: {bytes}");
            longest = longest.max(bytes);
            assert_eq!(read.meta.unwrap().err.is_some(), forms.failed(number));
        }
        assert!(longest > 4_000);
        assert_eq!(parse(&Signature::from([9; 64]).to_string()), None);
    }
}
