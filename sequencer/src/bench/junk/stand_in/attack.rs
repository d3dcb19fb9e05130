//! Pages of the list of an account that is attacked.

use super::forms::{self, Forms};
use super::layout::{Layout, Span};
use serde_json::{Value, json};
use std::sync::Arc;

/// Entries of a page.
pub const PAGE: usize = 1_000;

/// The junk of an account.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Among all attacks.
    pub number: u8,
    /// Where it is.
    pub layout: Layout,
    /// What it looks like.
    pub forms: Arc<Forms>,
}

/// A transaction that the node lists.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub signature: String,
    /// Its slot.
    pub slot: u64,
    /// What the node says of it.
    pub value: Value,
}

impl Attack {
    /// The page that a call asks for.
    pub fn page(&self, newest: u64, honest: &[Listed], config: &Value) -> Vec<Value> {
        let slots: Vec<u64> = honest.iter().map(|listed| listed.slot).collect();
        let list = self.layout.list(newest, &slots);
        let first = match config["before"].as_str() {
            None => Some(0),
            Some(before) => self.place(before, &list, honest).map(|place| place + 1),
        };
        let Some(mut first) = first else {
            return Vec::new();
        };
        let limit = config["limit"]
            .as_u64()
            .map_or(PAGE, |limit| limit.min(PAGE as u64) as usize);
        let until = config["until"].as_str();
        let mut page = Vec::new();
        for span in &list {
            if first >= span.len() {
                first -= span.len();
                continue;
            }
            for at in std::mem::take(&mut first)..span.len() {
                let entry = self.entry(span, at, honest);
                if page.len() == limit || until.is_some() && entry["signature"].as_str() == until {
                    return page;
                }
                page.push(entry);
            }
        }
        page
    }

    /// Where in the list a signature stands.
    fn place(&self, signature: &str, list: &[Span], honest: &[Listed]) -> Option<usize> {
        let junk = forms::parse(signature).filter(|(of, _)| *of == self.number);
        let mut place = 0;
        for span in list {
            let within = match (span, junk) {
                (Span::Junk(_, numbers), Some((_, number))) if numbers.contains(&number) => {
                    Some((numbers.end - 1 - number) as usize)
                }
                (Span::Honest(at), None) if honest[*at].signature == signature => Some(0),
                _ => None,
            };
            if let Some(within) = within {
                return Some(place + within);
            }
            place += span.len();
        }
        None
    }

    fn entry(&self, span: &Span, at: usize, honest: &[Listed]) -> Value {
        match span {
            Span::Honest(place) => honest[*place].value.clone(),
            Span::Junk(slot, numbers) => {
                let number = numbers.end - 1 - at as u32;
                let error = self.forms.failed(number).then_some(forms::FAILED);
                let error = error.and_then(|error| serde_json::from_str::<Value>(error).ok());
                json!({
                    "signature": forms::signature(self.number, number).to_string(),
                    "slot": slot,
                    "err": error, "memo": null, "blockTime": null, "confirmationStatus": "confirmed",
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_pubkey::Pubkey;

    fn listed(slot: u64) -> Listed {
        let signature = solana_signature::Signature::from([slot as u8; 64]).to_string();
        Listed {
            value: json!({ "signature": signature, "slot": slot }),
            signature,
            slot,
        }
    }

    #[test]
    fn pages_go_through_the_list_from_any_signature_to_any_other() {
        let account = Pubkey::new_from_array([5; 32]);
        let honest = [listed(30), listed(20), listed(7)];
        let mut attack = Attack {
            number: 3,
            layout: Layout::new(40, 10, 2),
            forms: Arc::new(Forms::new(&account).unwrap()),
        };
        attack.layout.honest([7, 20, 30].into_iter());
        attack.layout.end(31);
        let name = |entry: &Value| entry["signature"].as_str().unwrap().to_owned();
        let all = attack.page(100, &honest, &json!({}));
        assert_eq!(all.len(), 43);
        let slots: Vec<u64> = all
            .iter()
            .map(|entry| entry["slot"].as_u64().unwrap())
            .collect();
        assert!(
            slots.is_sorted_by(|newer, older| newer >= older),
            "{slots:?}"
        );
        for size in [1, 7, 43] {
            let (mut paged, mut before) = (Vec::new(), None);
            loop {
                let page = attack.page(100, &honest, &json!({ "limit": size, "before": before }));
                let Some(last) = page.last() else {
                    break;
                };
                before = Some(name(last));
                paged.extend(page);
            }
            assert_eq!(paged, all);
        }
        for at in [0, 5, 20, 42] {
            let page = attack.page(100, &honest, &json!({ "until": name(&all[at]) }));
            assert_eq!(page, all[..at]);
        }
        let unknown = listed(99).signature;
        assert!(
            attack
                .page(100, &honest, &json!({ "before": unknown }))
                .is_empty()
        );
    }
}
