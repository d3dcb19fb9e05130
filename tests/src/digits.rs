//! Disputes about the digits model on the chain: a batch with a run of it among so many transfers, and its
//! sequencer wrong in any element of any of its values.

use crate::duel::{Duel, Played};
use crate::rollup::{TestRollup, config};
use crate::staged::draft;
use crate::svm::{Wire, accepted};
use assay_dispute::game::Reason;
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{
    Asserter, Challenger, Claims, Knowledge, Library, Model, Models, RunClaims,
};
use assay_dispute::{Hash, Key, Side};
use assay_ledger::SOL;
use assay_ledger::batch::{Run, assemble};
use assay_ledger::header::{Header, Params, genesis_hash};
use assay_ledger::inbox::{self, Deposit, Message, MessageKind, chain_next};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair as Signing;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply, ship};
use assay_onnx::dataset::{self, HeldOut};
use assay_onnx::{Limits, import};
use assay_tensor::commit::list_root_of;
use assay_tensor::types::DType;
use settlement::seeds;
use solana_keypair::Keypair;
use std::sync::Arc;

/// Secrets of the sequencer and of the user, who publishes the model too.
const SECRETS: [[u8; 32]; 2] = [[10; 32], [11; 32]];

/// A batch on the digits model's deployment.
pub struct Digits {
    parent: Header,
    before: FullState,
    header: Header,
    data: Vec<u8>,
    /// Place of the run, in the middle.
    index: u32,
    chain: Vec<Hash>,
    library: Arc<Library>,
    honest: Claims,
    run: RunClaims,
}

/// A batch in the making.
struct Maker {
    state: FullState,
    env: Env,
    records: Vec<(Transaction, TxResult)>,
}

impl Maker {
    fn act(&mut self, action: Action, output_root: Hash) {
        let user = Signing::from_seed(SECRETS[1]);
        let account = self.state.find(&user.public(), &SOL).expect("an account").1;
        let request = Request {
            rollup: self.env.rollup,
            owner: user.public(),
            mint: SOL,
            nonce: account.nonce,
            action,
        };
        let signature = user.sign(&request.terms().signing_bytes());
        let request = SignedRequest { request, signature };
        let tx = ship(&mut self.state, &self.env, &request).expect("a good request");
        self.push(tx, output_root);
    }

    fn push(&mut self, tx: Transaction, output_root: Hash) {
        let result = apply(&mut self.state, &self.env, &tx, output_root);
        let result = result.expect("a transaction that may be there");
        assert!(result.done());
        self.records.push((tx, result));
    }

    fn finish(&mut self, parent: Hash) -> (Header, Vec<u8>) {
        assemble(&self.env, parent, self.state.components(), &self.records)
    }
}

impl Digits {
    /// The second batch of a rollup, of so many transactions.
    ///
    /// # Panics
    /// If the model does not import, or something of the batch cannot be done.
    pub fn new(transactions: u32) -> Self {
        let rollup: Key = seeds::rollup(7).to_bytes();
        let params = Params {
            max_records: 1 << 16,
            max_units: u64::MAX,
            ..config().params.into()
        };
        let user = Signing::from_seed(SECRETS[1]).public();
        let mut maker = Maker {
            state: FullState::genesis(),
            env: Env {
                rollup,
                number: 1,
                sequencer: Signing::from_seed(SECRETS[0]).public(),
                params,
                inbox_end: u64::MAX,
            },
            records: Vec::new(),
        };
        maker.state.start_batch();
        let deposit = Deposit {
            owner: user,
            mint: SOL,
            amount: 1_000_000,
        };
        let payload = crate::rollup::encode(&deposit);
        let kind = MessageKind::Deposit;
        let chain = vec![
            inbox::GENESIS,
            chain_next(&inbox::GENESIS, 0, kind, &payload),
        ];
        maker.state.push_message(Message { kind, payload });
        maker.push(Transaction::Inbox, [0; 32]);

        let imported = import(dataset::DIGITS, &Limits::default()).expect("the digits model");
        let images = HeldOut::digits().expect("the images");
        let quantisation = imported.inputs[0].quantisation.as_ref().expect("a scale");
        let input = images.input(0, quantisation).expect("an image");
        let mut library = Library::default();
        let model = Model::new(imported.program, imported.parameters).expect("a model");
        let model = library.insert(model);
        let action = Action::Deploy {
            program: model.program().header(),
            parameters_root: model.trees().list_root(),
            price: 10,
        };
        maker.act(action, [0; 32]);
        let (parent, _) = maker.finish(genesis_hash(&rollup));

        let before = maker.state.clone();
        maker.state.start_batch();
        maker.env.number = 2;
        maker.records.clear();
        let index = transactions / 2;
        let trace = library.trace(&model, &input).expect("a run");
        let run = RunClaims::honest(model.clone(), trace);
        for at in 0..transactions {
            if at == index {
                let action = Action::Infer {
                    model: 0,
                    program_root: model.program().root(),
                    price: 10,
                    version: None,
                    input: input.clone(),
                };
                maker.act(action, run.output_root());
            } else {
                let to = [100 + (at % 100) as u8; 32];
                maker.act(Action::Transfer { to, amount: 1 }, [0; 32]);
            }
        }
        let (header, data) = maker.finish(parent.hash());
        let library = Arc::new(library);
        let mut own = knowledge(&library, &header, &parent, &before, &data);
        let honest = Claims::honest(&mut own).expect("an honest batch");
        assert_eq!(honest.header, header);
        Self {
            parent,
            before,
            header,
            data,
            index,
            chain,
            library,
            honest,
            run,
        }
    }

    /// The rollup on a chain, before the batch, and somebody to dispute it.
    pub fn stage(&self) -> (TestRollup, Keypair) {
        let sequencer = Keypair::new_from_array(SECRETS[0]);
        let parent = Some(&self.parent);
        let mut r = TestRollup::staged(&self.header, parent, &self.chain, sequencer, 1_000);
        let challenger = r.svm.rich_key();
        (r, challenger)
    }

    /// The kinds of the model's operators and the elements that each defines.
    pub fn operators(&self) -> Vec<(&'static str, u64)> {
        let program = self.run.model().program();
        let nodes = program.program().nodes.iter();
        nodes
            .zip(program.value_types())
            .map(|(node, ty)| (node.op.kind(), ty.shape.elements()))
            .collect()
    }

    /// The sequencer is wrong by one in this element; the batch is posted, disputed in such transactions, and
    /// lost.
    ///
    /// # Panics
    /// If it is not.
    pub fn dispute(
        &self,
        r: &mut TestRollup,
        challenger: &Keypair,
        wire: Wire,
        operator: u32,
        element: u64,
    ) -> Played {
        let ty = self.run.model().program().value_types()[operator as usize];
        let mut data = self.run.data(operator).expect("an operator").to_vec();
        let at = element as usize * ty.dtype.size();
        match ty.dtype {
            DType::I8 => data[at] = data[at].wrapping_add(1),
            DType::I32 => data[at] ^= 1,
        }
        let mut claimed = self.run.clone();
        claimed.set_value(operator, &ty, data);
        if claimed.output_root() == self.run.output_root() {
            // It is no output: one is another too, as if the rest had followed.
            claimed.set_output(0, [8; 32]);
        }
        let mut claims = self.honest.clone();
        claims.results[self.index as usize].output_root = claimed.output_root();
        claims.runs.insert(self.index, claimed);
        claims.seal();
        let header = claims.header;

        r.settle(&draft(&header, &self.data));
        let known = knowledge(
            &self.library,
            &header,
            &self.parent,
            &self.before,
            &self.data,
        );
        let mut honest = Challenger::new(known, self.library.clone());
        let room = match wire {
            Wire::Legacy => LEGACY_ROOM,
            Wire::V1 => VERSION_1_ROOM,
        };
        let mut asserter = Asserter::new(claims, self.library.clone(), room);
        let id = r.svm.slot() * 1_000 + u64::from(r.chain_account().reverts);
        let played = Duel::new(r, wire, header, challenger, id).play(&mut honest, &mut asserter);
        assert_eq!(played.verdict.winner, Side::Challenger);
        assert_eq!(played.verdict.reason, Reason::Element);
        let key = challenger_key(challenger);
        accepted(r.claim_payout(&played.dispute, &key));
        accepted(r.close_dispute(&played.dispute, &key));
        played
    }
}

fn challenger_key(challenger: &Keypair) -> solana_pubkey::Pubkey {
    solana_signer::Signer::pubkey(challenger)
}

/// What follows from a header's batch.
fn knowledge(
    library: &Library,
    header: &Header,
    parent: &Header,
    before: &FullState,
    data: &[u8],
) -> Knowledge {
    let root = |run: &Run| {
        let model = library
            .model(&run.program_root, &run.parameters_root)
            .expect("the digits model");
        let trace = library.trace(&model, &run.input).expect("a run");
        let outputs = model.outputs(&trace);
        Some(list_root_of(outputs.count(), &outputs.root()))
    };
    let outputs = |runs: &[Run]| runs.iter().map(root).collect();
    let (before, data) = (before.clone(), data.to_vec());
    Knowledge::new(*header, Some(*parent), before, data, outputs).expect("all that it takes")
}
