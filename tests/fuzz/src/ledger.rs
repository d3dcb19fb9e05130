//! What the ledger decodes.

/// A batch's data: all records, one by one, and through the proof of each.
pub mod codec {
    use crate::batch::{every_kind, first};
    use assay_dispute::step::data::{check_data, prove_data};
    use assay_ledger::codec::{Malformed, check, count, decode, decode_all, encode};
    use assay_ledger::data::data_root;
    use assay_ledger::header::Header;
    use assay_ledger::transaction::Transaction;
    use std::sync::LazyLock;

    static HEADER: LazyLock<Header> = LazyLock::new(|| first().finish().header);
    /// Records of which each is looked at by itself.
    const MOST: u32 = 100;

    pub fn run(bytes: &[u8]) -> bool {
        let all = decode_all(bytes);
        let Ok(count) = count(&bytes) else {
            assert!(all.is_err());
            return false;
        };
        let good = check(&bytes, count).is_ok();
        let some: Vec<Result<Transaction, Malformed>> =
            (0..count.min(MOST)).map(|i| decode(bytes, i)).collect();
        if count <= MOST {
            let one_by_one: Result<Vec<Transaction>, Malformed> = some.iter().cloned().collect();
            assert_eq!(
                all,
                one_by_one.and_then(|all| good.then_some(all).ok_or(Malformed))
            );
        }
        let header = Header {
            data_root: data_root(bytes),
            data_len: bytes.len() as u32,
            tx_count: count,
            ..*HEADER
        };
        for (index, record) in (0u32..).zip(&some).step_by(7) {
            let proof = prove_data(&header, bytes, index).unwrap();
            let malformed = record.is_err() || !good;
            assert_eq!(check_data(&header, index, None, &proof), Ok(malformed));
        }
        let Ok(all) = all else { return false };
        assert_eq!(all.len(), count as usize);
        // There may be other encodings, of which one is the encoder's.
        assert_eq!(decode_all(&encode(&all)).as_ref(), Ok(&all));
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let records = |records: Vec<(Transaction, _)>| -> Vec<Transaction> {
            records.into_iter().map(|(tx, _)| tx).collect()
        };
        let every = records(every_kind().records);
        let without: Vec<Transaction> = every
            .iter()
            .filter(|tx| !matches!(tx, Transaction::Infer { input, .. } if input.len() > 1_000))
            .cloned()
            .collect();
        vec![
            encode(&[]),
            encode(&without[..1]),
            encode(&without),
            encode(&records(first().finish().records)),
            encode(&every),
        ]
    }
}

/// A batch's header.
pub mod header {
    use crate::arena::world::mixed;
    use crate::batch::{every_kind, first};
    use crate::input::canonical;
    use assay_ledger::header::Header;
    use assay_ledger::transition::Env;

    pub fn run(bytes: &[u8]) -> bool {
        let Some(header) = canonical::<Header>(bytes) else {
            return false;
        };
        assert_eq!(Env::from(&header).inbox_end, header.state.inbox.cursor);
        let mut other = header;
        other.data_len ^= 1;
        assert_ne!(header.hash(), other.hash());
        header.state.next_batch().root();
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let headers = [
            first().finish().header,
            every_kind().header,
            mixed(1, 1, 5).header,
        ];
        headers.iter().map(|h| borsh::to_vec(h).unwrap()).collect()
    }
}

/// The state after a batch, from whoever gives it.
pub mod snapshot {
    use crate::batch::{every_kind, first};
    use assay_ledger::header::Header;
    use assay_ledger::snapshot::Snapshot;
    use assay_ledger::store::FullState;
    use assay_ledger::transaction::Transaction;

    pub fn run(bytes: &[u8]) -> bool {
        let header = Snapshot::header(bytes);
        let Ok(snapshot) = Snapshot::decode(bytes) else {
            return false;
        };
        assert_eq!(header, Ok(Some(snapshot.header)));
        assert_eq!(snapshot.encode(), bytes);
        let programs = snapshot.programs();
        let Ok(mut state) = snapshot.state() else {
            return false;
        };
        assert_eq!(state.components(), snapshot.header.state);
        state.start_batch();
        programs.is_ok()
    }

    fn of(mut state: FullState) -> Vec<u8> {
        let header = Header {
            state: state.components(),
            ..every_kind().header
        };
        let deployed = first().finish().records.into_iter();
        let deployed = deployed.filter_map(|(tx, _)| match tx {
            Transaction::Deploy { program, .. } => Some(program),
            _ => None,
        });
        let outbox = 0..header.state.outbox.count;
        let snapshot = Snapshot {
            header,
            accounts: state.accounts().to_vec(),
            models: state.models().to_vec(),
            outbox: outbox
                .filter_map(|index| state.outbox_leaf(index))
                .collect(),
            programs: deployed.collect(),
        };
        snapshot.encode()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        vec![of(FullState::genesis()), of(every_kind().state)]
    }
}

/// A transaction, and what it does.
pub mod transaction {
    use crate::batch::{Batch, OUTPUT, every_kind, first};
    use assay_ledger::batch::tx_leaf;
    use assay_ledger::codec;
    use assay_ledger::request::MAX_INPUT;
    use assay_ledger::result::TxResult;
    use assay_ledger::signature::Assumed;
    use assay_ledger::store::FullState;
    use assay_ledger::transaction::Transaction;
    use assay_ledger::transition::{Fault, apply_with};
    use borsh::BorshDeserialize;
    use std::cell::RefCell;
    use std::sync::LazyLock;

    pub static BATCH: LazyLock<Batch> = LazyLock::new(every_kind);
    thread_local! {
        /// Before the batch; everybody brings it back.
        pub static STATE: RefCell<FullState> = RefCell::new(BATCH.state.clone());
    }

    pub fn run(bytes: &[u8]) -> bool {
        let plain = Transaction::try_from_slice(bytes).ok();
        assert_eq!(Transaction::decode(bytes), plain);
        let Some(tx) = plain else { return false };
        let (head, input, tail) = tx.encoding();
        assert_eq!([&head[..], input, tail].concat(), bytes);
        tx_leaf(&tx, &TxResult::default());
        let long = matches!(&tx, Transaction::Infer { input, .. } if input.len() > MAX_INPUT);
        if !long {
            let data = codec::encode(std::slice::from_ref(&tx));
            assert_eq!(codec::decode(&data, 0).as_ref(), Ok(&tx));
        }
        STATE.with_borrow_mut(|state| {
            let before = state.heads();
            let checkpoint = state.checkpoint();
            let done = apply_with(state, &BATCH.env(), &tx, OUTPUT, &mut Assumed);
            match done {
                Ok(_) => {}
                Err(Fault::Invalid(_)) => assert_eq!(state.heads(), before),
                Err(Fault::NoAccess(_)) => panic!("the whole state is there"),
            }
            state.rollback(checkpoint);
            assert_eq!(state.heads(), before);
        });
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let records = first().finish().records.into_iter();
        let records = records.chain(every_kind().records);
        records.map(|(tx, _)| borsh::to_vec(&tx).unwrap()).collect()
    }
}

/// What a client signs, alone or in a list, and what is shipped of it.
pub mod request {
    use super::transaction::{BATCH, STATE};
    use crate::batch::{DIGITS, TOKEN, user};
    use crate::input::canonical;
    use assay_ledger::request::{Action, Request, SignedRequest};
    use assay_ledger::transition::{expand, ship};
    use assay_ledger::{ProgramHeader, SOL};

    pub fn run(bytes: &[u8]) -> bool {
        let list = canonical::<Vec<SignedRequest>>(bytes).unwrap_or_default();
        let one = canonical::<SignedRequest>(bytes);
        for signed in list.iter().chain(&one) {
            let request = &signed.request;
            assert_eq!(request.terms().signing_bytes(), request.signing_bytes());
            request.id();
            let env = BATCH.env();
            STATE.with_borrow_mut(|state| {
                if let Ok(tx) = ship(state, &env, signed) {
                    let expanded = expand(state, &env, &tx).unwrap().unwrap();
                    assert_eq!(expanded.terms, request.terms());
                }
            });
        }
        one.is_some() || !list.is_empty()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let model = BATCH.state.model(0).unwrap();
        let to = user(1).public();
        let actions = [
            Action::Transfer { to, amount: 5 },
            Action::Transfer {
                to: [9; 32],
                amount: 5,
            },
            Action::Withdraw {
                recipient: [8; 32],
                amount: 3,
            },
            Action::Deploy {
                program: ProgramHeader {
                    inputs: 1,
                    parameters: 1,
                    operators: 1,
                    outputs: 1,
                    units: 1,
                    input_bytes: 1,
                    parameter_bytes: 1,
                    value_bytes: 1,
                    output_bytes: 1,
                    operators_root: [1; 32],
                    parameters_root: [2; 32],
                    inputs_root: [3; 32],
                    outputs_root: [4; 32],
                },
                parameters_root: [5; 32],
                price: 6,
            },
            Action::Update {
                model: 0,
                program_root: model.program_root,
                parameters_root: [1; 32],
                price: 2,
            },
            Action::Infer {
                model: 0,
                program_root: model.program_root,
                price: model.price,
                version: Some(model.version),
                input: vec![1; DIGITS],
            },
        ];
        let mut all = Vec::new();
        for (i, action) in (0u8..).zip(actions) {
            let owner = if i == 4 { user(3) } else { user(i % 3) };
            let owner = owner.public();
            let mint = if i == 1 { TOKEN } else { SOL };
            let nonce = BATCH.state.find(&owner, &mint).unwrap().1.nonce;
            all.push(SignedRequest {
                request: Request {
                    rollup: BATCH.header.rollup,
                    owner,
                    mint,
                    nonce,
                    action,
                },
                signature: [i; 64],
            });
        }
        let list = borsh::to_vec(&all).unwrap();
        let one = all.iter().map(|signed| borsh::to_vec(signed).unwrap());
        one.chain([list]).collect()
    }
}

/// A message from L1, and what it does: whatever it says, it is consumed.
pub mod message {
    use crate::batch::{OUTPUT, env, every_kind, first};
    use crate::input::canonical;
    use assay_ledger::inbox::{Deposit, Forced, Job, Message, MessageKind};
    use assay_ledger::signature::Assumed;
    use assay_ledger::store::FullState;
    use assay_ledger::transaction::Transaction;
    use assay_ledger::transition::{Env, Fault, Invalid, apply_with};
    use borsh::BorshDeserialize;
    use std::cell::RefCell;

    thread_local! {
        /// A state that has consumed all messages, and the batch after it.
        static STATE: RefCell<(FullState, Env)> = RefCell::new((first().next().state, env(2)));
    }

    pub fn run(bytes: &[u8]) -> bool {
        let Some(message) = canonical::<Message>(bytes) else {
            return false;
        };
        let payload = &message.payload;
        let decodes = match message.kind {
            MessageKind::Deposit => Deposit::try_from_slice(payload).is_ok(),
            MessageKind::Job => Job::try_from_slice(payload).is_ok(),
            MessageKind::Forced => Forced::try_from_slice(payload).is_ok(),
        };
        STATE.with_borrow_mut(|(state, env)| {
            // A message stays when a state is rolled back: the next one is on a copy.
            let mut state = state.clone();
            state.push_message(message.clone());
            let before = state.heads();
            let checkpoint = state.checkpoint();
            let tx = Transaction::DeclineJob;
            let declined = apply_with(&mut state, env, &tx, OUTPUT, &mut Assumed);
            match (message.kind, declined) {
                (MessageKind::Job, Ok(result)) => assert!(!result.done()),
                (_, Err(Fault::Invalid(Invalid::NotAJob))) => assert_eq!(state.heads(), before),
                (kind, declined) => panic!("{kind:?}: {declined:?}"),
            }
            state.rollback(checkpoint);
            let tx = Transaction::Inbox;
            let result = apply_with(&mut state, env, &tx, OUTPUT, &mut Assumed).unwrap();
            assert!(decodes || !result.done());
            assert_eq!(state.heads().inbox.cursor, before.inbox.cursor + 1);
        });
        decodes
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let batch = every_kind();
        let messages = (0..).map_while(|i| batch.state.message(i));
        let known = messages.map(|message| borsh::to_vec(message).unwrap());
        let witnesses = (0..batch.header.tx_count).filter_map(|i| batch.witness(i)?.message);
        let used = witnesses.map(|message| borsh::to_vec(&message).unwrap());
        known.chain(used).collect()
    }
}

/// A leaf of the outbox with its path, as the bridge takes it.
pub mod outbox {
    use crate::batch::every_kind;
    use crate::input::front;
    use assay_ledger::Hash;
    use assay_ledger::outbox::{OutboxLeaf, verify};
    use assay_ledger::state::TreeHead;
    use assay_ledger::transition::apply;
    use std::sync::LazyLock;

    struct Sent {
        head: TreeHead,
        leaves: Vec<OutboxLeaf>,
        paths: Vec<Vec<Hash>>,
    }

    static SENT: LazyLock<Sent> = LazyLock::new(|| {
        let batch = every_kind();
        let mut state = batch.state.clone();
        state.start_batch();
        for (tx, result) in &batch.records {
            apply(&mut state, &batch.env(), tx, result.output_root).unwrap();
        }
        let head = state.components().outbox;
        let leaves = (0..head.count)
            .map_while(|i| state.outbox_leaf(i))
            .collect();
        let path = |i| state.outbox_path(i, head.count).unwrap();
        let paths = (0..head.count).map(path).collect();
        Sent {
            head,
            leaves,
            paths,
        }
    });

    pub fn run(mut bytes: &[u8]) -> bool {
        let Some((index, leaf)) = front::<(u64, OutboxLeaf)>(&mut bytes) else {
            return false;
        };
        let (siblings, _) = bytes.as_chunks();
        let Sent { head, leaves, .. } = &*SENT;
        let opens = verify(head.count, &head.root, &leaf, index, siblings);
        if opens {
            assert_eq!(leaves.get(index as usize), Some(&leaf));
        }
        opens
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let Sent { leaves, paths, .. } = &*SENT;
        let all = (0u64..).zip(leaves).zip(paths);
        all.map(|((index, leaf), path)| {
            let mut bytes = borsh::to_vec(&(index, leaf)).unwrap();
            bytes.extend(path.iter().flatten());
            bytes
        })
        .collect()
    }
}

/// A witness of a state, opened and used: it gives no answer or the right one.
pub mod witness {
    use super::transaction::BATCH;
    use crate::input::{byte, canonical, with};
    use assay_ledger::signature::Each;
    use assay_ledger::transition::apply_root;
    use assay_ledger::witness::Witness;

    pub fn run(mut bytes: &[u8]) -> bool {
        let index = u32::from(byte(&mut bytes)) % BATCH.header.tx_count;
        let at = index as usize;
        let Some(mut witness) = canonical::<Witness>(bytes) else {
            return false;
        };
        // That it is L1's, the state's proof sees to.
        let message = witness.message.take();
        let Ok(_) = witness.clone().open(&BATCH.roots[at]) else {
            return false;
        };
        witness.message = BATCH.witness(index).and_then(|witness| witness.message);
        let same = message == witness.message;
        let mut state = witness.open(&BATCH.roots[at]).unwrap();
        let (tx, result) = &BATCH.records[at];
        match apply_root(&mut state, &BATCH.env(), tx, result, &mut Each) {
            Ok(root) => assert_eq!(root, BATCH.roots[at + 1]),
            Err(_) => return false,
        }
        same
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let one = |index: u32| {
            let witness = BATCH.witness(index).unwrap();
            with(index as usize, &borsh::to_vec(&witness).unwrap())
        };
        (0..BATCH.header.tx_count).map(one).collect()
    }
}
