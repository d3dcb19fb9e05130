use super::*;
use crate::demo::digits::Digits;
use assay_client::wallet::Wallet;
use assay_dispute::demand::{Blob, Demand, Named, Pieces};
use assay_dispute::player::{Challenger, Knowledge, Library, Model, Models, RunClaims, Wrong};
use assay_ledger::SOL;
use assay_ledger::batch::{Difference, Run, assemble, replay};
use assay_ledger::header::{Header, Params, genesis_hash};
use assay_ledger::inbox::{self, Message, MessageKind};
use assay_ledger::merkle;
use assay_ledger::request::Action;
use assay_ledger::result::TxResult;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, Fault, Invalid, apply, ship};
use solana_pubkey::Pubkey;
use std::sync::{Arc, OnceLock};

const ROLLUP: [u8; 32] = [5; 32];

/// Batches are made of these.
struct Maker {
    state: FullState,
    env: Env,
    records: Vec<(Transaction, TxResult)>,
    /// L1's messages so far.
    messages: Vec<Message>,
}

impl Maker {
    fn push(&mut self, tx: Transaction, output_root: [u8; 32]) {
        let result = apply(&mut self.state, &self.env, &tx, output_root).unwrap();
        assert!(result.done(), "{result:?}");
        self.records.push((tx, result));
    }

    fn deposit(&mut self, to: &Wallet, amount: u64) {
        let payload = inbox::Deposit {
            owner: to.key(),
            mint: SOL,
            amount,
        };
        let message = Message {
            kind: MessageKind::Deposit,
            payload: borsh::to_vec(&payload).unwrap(),
        };
        self.messages.push(message.clone());
        self.state.push_message(message);
        self.push(Transaction::Inbox, [0; 32]);
    }

    fn act(&mut self, by: &Wallet, action: Action, output_root: [u8; 32]) {
        let nonce = self.state.find(&by.key(), &SOL).unwrap().1.nonce;
        let request = by.sign(&Pubkey::new_from_array(ROLLUP), SOL, nonce, action);
        let tx = ship(&mut self.state, &self.env, &request).unwrap();
        self.push(tx, output_root);
    }

    fn close(&mut self, parent: [u8; 32]) -> (Header, Vec<u8>) {
        let state = self.state.components();
        let records = std::mem::take(&mut self.records);
        self.messages.clear();
        let closed = assemble(&self.env, parent, state, &records);
        self.env.number += 1;
        self.state.start_batch();
        closed
    }
}

/// An honest batch with a deposit, a transfer and two inferences of the digits model.
struct Scene {
    honest: Honest,
    parent: Header,
    before: FullState,
    sequencer: Wallet,
}

fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let digits = Digits::load(Some(2)).unwrap();
        let (program, parameters) = digits.bundle.open().unwrap();
        let model = Model::new(program, parameters).unwrap();
        let mut library = Library::default();
        let model = library.insert(model);
        let [user, other, sequencer] = [1, 2, 3].map(|seed| Wallet::from_seed([seed; 32]));
        let mut state = FullState::genesis();
        state.start_batch();
        let mut maker = Maker {
            state,
            env: Env {
                rollup: ROLLUP,
                number: 1,
                sequencer: sequencer.key(),
                params: params(),
                inbox_end: u64::MAX,
            },
            records: Vec::new(),
            messages: Vec::new(),
        };
        for wallet in [&user, &other, &sequencer] {
            maker.deposit(wallet, 1_000_000);
        }
        let deploy = Action::Deploy {
            program: model.program().header(),
            parameters_root: model.trees().list_root(),
            price: 10,
        };
        maker.act(&user, deploy, [0; 32]);
        let (parent, _) = maker.close(genesis_hash(&ROLLUP));

        let mut before = maker.state.clone();
        let transfer = Action::Transfer {
            to: other.key(),
            amount: 5,
        };
        maker.act(&user, transfer, [0; 32]);
        for input in &digits.inputs {
            let trace = library.trace(&model, input).unwrap();
            let root = RunClaims::honest(model.clone(), trace).output_root();
            let infer = Action::Infer {
                model: 0,
                program_root: model.program().root(),
                price: 10,
                version: None,
                input: input.clone(),
            };
            maker.act(&other, infer, root);
        }
        maker.deposit(&user, 77);
        for message in maker.messages.clone() {
            before.push_message(message);
        }
        let (header, data) = maker.close(parent.hash());
        let library = Arc::new(library);
        Scene {
            honest: Honest::new(header, &data, before.clone(), library).unwrap(),
            parent,
            before,
            sequencer,
        }
    })
}

fn params() -> Params {
    Params {
        window: 50,
        bond_slice: 1,
        max_units: u64::MAX,
        max_records: 1 << 10,
        max_data: 1 << 20,
        model_delay: 1,
        sequencer_share: 2_000,
        clock: 100,
        extension: 10,
        dispute_bond: 1,
    }
}

fn lie(cheat: Cheat) -> Lie {
    let scene = scene();
    Lie::new(cheat, &scene.honest, scene.sequencer.keypair()).unwrap()
}

fn outputs(runs: &[Run]) -> Vec<Option<[u8; 32]>> {
    let library = scene().honest.library();
    let root = |run: &Run| {
        let model = library.model(&run.program_root, &run.parameters_root)?;
        let trace = library.trace(&model, &run.input)?;
        Some(RunClaims::honest(model, trace).output_root())
    };
    runs.iter().map(root).collect()
}

/// What replaying the lie comes to.
fn replayed(lie: &Lie) -> Option<Difference> {
    let scene = scene();
    let mut state = scene.before.clone();
    let header = &lie.claims.header;
    replay(&mut state, &scene.parent.hash(), header, &lie.data, outputs).err()
}

#[test]
fn every_cheat_has_a_name_and_a_line() {
    for cheat in Cheat::ALL {
        assert_eq!(cheat.name().parse(), Ok(cheat));
        assert!(!cheat.about().is_empty());
    }
    assert!("list".parse::<Cheat>().is_err());
}

#[test]
fn the_settlement_program_cannot_tell_any_of_them_from_an_honest_batch() {
    let scene = scene();
    let honest = scene.honest.header();
    for cheat in Cheat::ALL {
        let lie = lie(cheat);
        let header = &lie.claims.header;
        assert_ne!(header.hash(), honest.hash(), "{cheat}");
        // What `post_batch` looks at: origin, rules, parent, parameters, inbox, outbox, data, caps.
        let fixed = |h: &Header| (h.rollup, h.rules, h.codec, h.lane, h.number, h.parent);
        assert_eq!(fixed(header), fixed(honest), "{cheat}");
        assert_eq!(header.sequencer, honest.sequencer, "{cheat}");
        assert_eq!(header.params, honest.params, "{cheat}");
        assert_eq!(header.state.inbox, honest.state.inbox, "{cheat}");
        assert!(header.state.outbox.count >= scene.parent.state.outbox.count);
        assert_eq!(header.data_len as usize, lie.data.len(), "{cheat}");
        assert_eq!(header.data_root, assay_ledger::data::data_root(&lie.data));
        assert!(header.tx_count >= 1 && header.tx_count <= header.params.max_records);
        assert!(header.data_len <= header.params.max_data, "{cheat}");
        assert!(header.state.units <= header.params.max_units, "{cheat}");
        // And the claims are about this header.
        let claims = &lie.claims;
        assert_eq!(claims.leaves.len(), header.tx_count as usize, "{cheat}");
        assert_eq!(claims.states.len(), header.tx_count as usize + 1, "{cheat}");
        assert_eq!(claims.states.last(), Some(&header.state.root()), "{cheat}");
        assert_eq!(assay_ledger::batch::tx_root(&claims.leaves), header.tx_root);
    }
}

#[test]
fn doing_the_batch_again_shows_what_is_wrong() {
    for cheat in Cheat::ALL {
        let found = replayed(&lie(cheat));
        let expected = match cheat {
            Cheat::WrongOutput | Cheat::WrongParameters | Cheat::HiddenLeaf => {
                Some(Difference::TxRoot)
            }
            Cheat::WrongBalance | Cheat::SkippedMessage => Some(Difference::State),
            Cheat::ForgedSignature => Some(Difference::Transaction {
                index: 4,
                fault: Fault::Invalid(Invalid::Signature),
            }),
            // The transfer that the data says is not the one that was signed.
            Cheat::WrongData => Some(Difference::Transaction {
                index: 0,
                fault: Fault::Invalid(Invalid::Signature),
            }),
            // The state cannot know a program's leaves: that takes its bytes.
            Cheat::MalformedProgram => None,
            // And nothing is wrong with the batch itself.
            Cheat::WithheldData => None,
        };
        assert_eq!(found, expected, "{cheat}");
    }
}

#[test]
fn a_verifier_knows_where_to_begin() {
    let scene = scene();
    for cheat in Cheat::ALL {
        let lie = lie(cheat);
        let (parent, before) = (Some(scene.parent), scene.before.clone());
        let header = lie.claims.header;
        let knowledge = Knowledge::new(header, parent, before, lie.data, outputs).unwrap();
        let mut library = Library::clone(scene.honest.library());
        if let Some((program, leaves)) = lie.malformed {
            library.insert_malformed(program.root(), leaves);
        }
        let wrong = Challenger::new(knowledge, library).wrong();
        let expected = match cheat {
            Cheat::WrongBalance | Cheat::SkippedMessage => Some(Wrong::State),
            Cheat::MalformedProgram => Some(Wrong::Program(4)),
            // There is nothing to dispute, but something to demand.
            Cheat::WithheldData => None,
            _ => Some(Wrong::Transactions),
        };
        assert_eq!(wrong, expected, "{cheat}");
    }
}

#[test]
fn what_is_withheld_can_be_demanded() {
    let lie = lie(Cheat::WithheldData);
    let claims = &lie.claims;
    let index = claims.transactions.len() - 1;
    let transaction = claims.transactions[index].clone();
    let Transaction::Deploy {
        program,
        parameters_root,
        ..
    } = transaction
    else {
        panic!("{transaction:?}");
    };
    let library = scene().honest.library();
    assert!(library.model(&program.root(), &parameters_root).is_none());
    let named = Named {
        index: index as u32,
        transaction,
        result: claims.results[index],
        path: merkle::path(&claims.leaves, index as u64).unwrap(),
        updated: None,
    };
    let pieces = Pieces {
        of: Blob::Chunks { parameter: 0 },
        first: 0,
        count: 1,
    };
    assert!(Demand::open(&claims.header, &named, pieces).is_ok());
}
