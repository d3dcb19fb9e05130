//! What the programs and the client decode: accounts, instructions, files.

/// Bytes that decode as a small value of almost every type: numbers and counts of 0 or 1.
fn plain(len: usize) -> [Vec<u8>; 2] {
    let ones = [1u8, 0, 0, 0].into_iter().cycle().take(len);
    [vec![0; len], ones.collect()]
}

/// The programs' accounts, as clients read them.
pub mod accounts {
    use super::plain;
    use crate::batch::first;
    use crate::input::{byte, with};
    use anchor_lang::{AccountDeserialize, Discriminator};
    use assay_client::rpc::read_zero_copy;
    use assay_dispute::game;
    use settlement::state::{
        BatchData, Buffer, Chain, Demand, Dispute, InboxPage, Rollup, Sequencer,
    };

    /// Decodes an account of one kind; what one begins with, and bytes behind that which are enough.
    type Kind = (fn(&[u8]) -> bool, &'static [u8], usize);

    fn plain_account<T: AccountDeserialize>(mut bytes: &[u8]) -> bool {
        T::try_deserialize(&mut bytes).is_ok()
    }

    fn zero_copy<T: Discriminator + bytemuck::AnyBitPattern>(bytes: &[u8]) -> bool {
        read_zero_copy::<T>(bytes).is_ok()
    }

    fn dispute(bytes: &[u8]) -> bool {
        Dispute::read(bytes).is_ok()
    }

    fn buffer(bytes: &[u8]) -> bool {
        let Ok(held) = Buffer::bytes(bytes) else {
            return false;
        };
        // What a move in it is taken from.
        let _ = borsh::from_slice::<game::Move>(held);
        read_zero_copy::<Buffer>(bytes).is_ok_and(|head| head.invariant(bytes.len()).is_ok())
    }

    const KINDS: &[Kind] = &[
        (plain_account::<Rollup>, Rollup::DISCRIMINATOR, 2_000),
        (plain_account::<Sequencer>, Sequencer::DISCRIMINATOR, 2_000),
        (plain_account::<Demand>, Demand::DISCRIMINATOR, 2_000),
        (
            plain_account::<bridge::state::RegisteredMint>,
            bridge::state::RegisteredMint::DISCRIMINATOR,
            2_000,
        ),
        (
            plain_account::<bridge::state::PaidPage>,
            bridge::state::PaidPage::DISCRIMINATOR,
            2_000,
        ),
        (
            plain_account::<bridge::state::SolVault>,
            bridge::state::SolVault::DISCRIMINATOR,
            2_000,
        ),
        (
            plain_account::<escrow::state::Feed>,
            escrow::state::Feed::DISCRIMINATOR,
            2_000,
        ),
        (
            plain_account::<escrow::state::Client>,
            escrow::state::Client::DISCRIMINATOR,
            2_000,
        ),
        (
            plain_account::<escrow::state::Job>,
            escrow::state::Job::DISCRIMINATOR,
            2_000,
        ),
        (zero_copy::<Chain>, Chain::DISCRIMINATOR, size_of::<Chain>()),
        (
            zero_copy::<BatchData>,
            BatchData::DISCRIMINATOR,
            size_of::<BatchData>(),
        ),
        (
            zero_copy::<InboxPage>,
            InboxPage::DISCRIMINATOR,
            size_of::<InboxPage>(),
        ),
        (dispute, Dispute::DISCRIMINATOR, 0),
        (buffer, Buffer::DISCRIMINATOR, 0),
    ];

    pub fn run(mut bytes: &[u8]) -> bool {
        let kind = usize::from(byte(&mut bytes)) % KINDS.len();
        KINDS[kind].0(bytes)
    }

    /// An account that holds a game.
    fn game() -> Vec<u8> {
        let mut account = vec![0; Dispute::size()];
        account[..8].copy_from_slice(Dispute::DISCRIMINATOR);
        let (head, room) = Dispute::split(&mut account).unwrap();
        let header = first().finish().header;
        let game = game::Dispute::open(header, [7; 32], 5);
        head.set_game(room, &game).unwrap();
        account
    }

    /// A buffer with a move in it.
    fn moved() -> Vec<u8> {
        let made = borsh::to_vec(&game::Move::Choose { child: 3 }).unwrap();
        let head = Buffer {
            owner: [3; 32].into(),
            len: made.len() as u32,
            version: settlement::constants::ACCOUNT_VERSION,
            padding: [0; 3],
        };
        [Buffer::DISCRIMINATOR, bytemuck::bytes_of(&head), &made].concat()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (number, (run, discriminator, len)) in KINDS.iter().enumerate() {
            let plain = plain(*len).map(|body| [discriminator, &body[..]].concat());
            let more = [game(), moved()];
            let valid = plain.into_iter().chain(more).filter(|bytes| run(bytes));
            let before = all.len();
            all.extend(valid.map(|bytes| with(number, &bytes)));
            assert!(all.len() > before, "no account of kind {number}");
        }
        all
    }
}

/// Instructions, as the programs and whoever follows L1 read them.
pub mod instructions {
    use super::plain;
    use crate::batch::{every_kind, first};
    use anchor_lang::Discriminator;
    use assay_ledger::header::Header;
    use borsh::{BorshDeserialize, BorshSerialize};
    use settlement::header::BatchHeader;
    use settlement::state::WriteSlots;

    type Decode = fn(&[u8]) -> bool;
    type Kind = (Decode, fn() -> Vec<Vec<u8>>);

    /// Instructions have no `PartialEq`: their encoding is compared.
    fn decode<T: Discriminator + BorshDeserialize + BorshSerialize>(bytes: &[u8]) -> bool {
        let Some(arguments) = bytes.strip_prefix(T::DISCRIMINATOR) else {
            return false;
        };
        let Ok(value) = T::try_from_slice(arguments) else {
            return false;
        };
        assert_eq!(borsh::to_vec(&value).unwrap(), arguments);
        true
    }

    fn valid<T: Discriminator + BorshDeserialize + BorshSerialize>() -> Vec<Vec<u8>> {
        let all = plain(6_000);
        let all = all.iter().filter_map(|bytes| {
            let value = T::deserialize(&mut &bytes[..]).ok()?;
            Some([T::DISCRIMINATOR, &borsh::to_vec(&value).unwrap()].concat())
        });
        all.collect()
    }

    macro_rules! kinds {
        ($($program:ident: $($name:ident)*;)*) => {
            &[$($((
                decode::<$program::instruction::$name>,
                valid::<$program::instruction::$name>,
            ),)*)*]
        };
    }

    const KINDS: &[Kind] = kinds![
        settlement: InitializeRollup RegisterSequencer AddBond RequestUnbond WithdrawBond ClaimFees
            CloseSequencer RenewLease OpenData WriteChunks SealData CloseData PostBatch FinalizeBatch Enqueue
            CloseInboxPage OpenDispute Claim Reveal Choose RevealLeaf PostStates RevealTensor
            RevealChunk PlayFromBuffer Prove ProveFromBuffer TimeOut Resolve ClaimPayout CloseDispute
            OpenDemand OpenDemandFromBuffer Answer AnswerFromBuffer TimeOutDemand ResolveDemand CloseDemand
            OpenBuffer WriteBuffer CloseBuffer;
        bridge: RegisterMint DepositSol DepositToken WithdrawSol WithdrawToken;
        escrow: CreateJob SettleJob SettleJobFromBuffer RefundJob ClaimPayment CloseJob CreateFeed CloseFeed;
    ];

    pub fn run(bytes: &[u8]) -> bool {
        // A header in one is the ledger's, or none.
        let posted = settlement::instruction::PostBatch::DISCRIMINATOR;
        if let Some(arguments) = bytes.strip_prefix(posted) {
            let ours = BatchHeader::deserialize(&mut &*arguments).ok();
            let ours = ours.and_then(|header| header.to_ledger().ok());
            assert_eq!(ours, Header::deserialize(&mut &*arguments).ok());
        }
        KINDS.iter().any(|(decode, _)| decode(bytes))
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let posted = [first().finish().header, every_kind().header].map(|header| {
            let discriminator = settlement::instruction::PostBatch::DISCRIMINATOR;
            let (parent_slot, writes) = (9u64, WriteSlots::new(12, &[0x85]));
            let arguments = borsh::to_vec(&(header, parent_slot, writes)).unwrap();
            [discriminator, &arguments].concat()
        });
        let plain = KINDS.iter().flat_map(|(_, valid)| {
            let valid = valid();
            assert!(!valid.is_empty());
            valid
        });
        plain.chain(posted).collect()
    }
}

/// A model's file. The bytes are what its hash is over, without the first ones.
pub mod bundle {
    use assay_client::bundle::{Bundle, Port, Quantisation};
    use assay_tensor::hash::hashv;
    use assay_tensor::random;
    use assay_tensor::types::TensorType;
    use std::sync::LazyLock;

    /// The longest program and parameters of a seed.
    const SMALL: usize = 4_000;

    static BUNDLES: LazyLock<Vec<Bundle>> = LazyLock::new(|| {
        let port = |ty: &TensorType| {
            let (scale, zero_point) = (0.5, 3);
            Port::new("x", ty, Some(Quantisation { scale, zero_point }))
        };
        let cases = (0..40).map(random::program).map(|case| {
            let inputs = case.program.program().inputs.iter().map(port).collect();
            let outputs = case.program.output_types();
            let outputs = outputs.iter().map(port).collect();
            Bundle::new("m", &case.program, &case.parameters, inputs, outputs)
        });
        let small = |bundle: &Bundle| bundle.program.len() + bundle.parameters.len() < SMALL;
        cases.filter(small).collect()
    });

    fn body(bundle: &Bundle) -> Vec<u8> {
        borsh::to_vec(bundle).unwrap()
    }

    pub fn run(bytes: &[u8]) -> bool {
        // As it is, it has no good hash.
        assert!(Bundle::decode(bytes).is_err());
        let known = &BUNDLES[0];
        let encoded = known.encode().unwrap();
        let head = encoded.len() - body(known).len() - 32;
        let mut file = [&encoded[..head], bytes].concat();
        file.extend(hashv(&[&file]));
        let Ok(bundle) = Bundle::decode(&file) else {
            return false;
        };
        assert_eq!(bundle.encode().unwrap(), file);
        for port in bundle.inputs.iter().chain(&bundle.outputs) {
            port.ty();
            let _ = port.quantise(&[1.5, f32::NAN, f32::INFINITY]);
            port.dequantise(&port.values(&[1, 2, 3, 4]).unwrap_or_default());
        }
        bundle.open().is_ok()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        BUNDLES.iter().map(body).collect()
    }
}

/// The JSON of the sequencer's API: the body that it takes, and what clients and verifiers take from it.
pub mod json {
    use crate::batch::user;
    use crate::input::{canonical, one_of, with};
    use assay_client::api::{
        AccountView, Base64, BatchView, BlobView, ErrorBody, Executed, Hash32, JobView, JsonAction,
        JsonRequest, Key32, ModelView, OutboxProof, Outcome, Refusal, Signature64, Stage, Status,
        SubmitAnswer, SubmitJson, TransactionView, WithdrawalView,
    };
    use assay_ledger::request::SignedRequest;
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    /// What is read is written again as it was read.
    fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
        let value: T = serde_json::from_slice(bytes).ok()?;
        let text = serde_json::to_vec(&value).unwrap();
        let again: T = serde_json::from_slice(&text).unwrap();
        assert_eq!(serde_json::to_vec(&again).unwrap(), text);
        Some(value)
    }

    fn is<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> bool {
        read::<T>(bytes).is_some()
    }

    /// The body of `POST /v1/transactions`.
    fn submit(bytes: &[u8]) -> bool {
        let Some(body) = read::<SubmitJson>(bytes) else {
            return false;
        };
        for request in body.requests {
            let signed = SignedRequest::from(request);
            let encoded = borsh::to_vec(&signed).unwrap();
            assert_eq!(canonical::<SignedRequest>(&encoded), Some(signed.clone()));
            signed.request.id();
        }
        true
    }

    const KINDS: &[fn(&[u8]) -> bool] = &[
        submit,
        is::<SubmitAnswer>,
        is::<TransactionView>,
        is::<ErrorBody>,
        is::<Vec<Hash32>>,
        is::<BlobView>,
        is::<BatchView>,
        // With numbers that are not whole, whose last digit may be read as another one.
        |bytes| serde_json::from_slice::<Status>(bytes).is_ok(),
        is::<Vec<AccountView>>,
        is::<Vec<ModelView>>,
        is::<OutboxProof>,
        is::<Vec<WithdrawalView>>,
        is::<JobView>,
    ];

    pub fn run(mut bytes: &[u8]) -> bool {
        let kind = one_of(KINDS, &mut bytes);
        kind(bytes)
    }

    fn requests() -> SubmitJson {
        let to = Key32(user(1).public());
        let actions = [
            JsonAction::Transfer { to, amount: 5 },
            JsonAction::Withdraw {
                recipient: to,
                amount: u64::MAX,
            },
            JsonAction::Infer {
                model: 0,
                program_root: Hash32([6; 32]),
                price: 1_000,
                version: Some(3),
                input: Base64((0..64).collect()),
            },
        ];
        let requests = (0..).zip(actions).map(|(nonce, action)| JsonRequest {
            rollup: Key32([3; 32]),
            owner: to,
            mint: Key32([0; 32]),
            nonce,
            action,
            signature: Signature64([7; 64]),
        });
        SubmitJson {
            requests: requests.collect(),
        }
    }

    fn answer() -> SubmitAnswer {
        let executed = Executed {
            batch: 7,
            position: 3,
            status: 0,
            status_text: "done \u{e9} \"so\"".into(),
            fee: 1_000,
            output_root: Some(Hash32([5; 32])),
            outputs: Some(Base64(vec![1, 2, 3, 4])),
        };
        let refusal = Refusal {
            code: "nonce".into(),
            message: "the nonce is 3\n".into(),
            retry: false,
        };
        let outcome = |error: Option<Refusal>, executed| Outcome {
            id: Hash32([8; 32]),
            accepted: error.is_none(),
            error,
            executed,
        };
        SubmitAnswer {
            outcomes: vec![outcome(None, Some(executed)), outcome(Some(refusal), None)],
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let answer = answer();
        let executed = answer.outcomes[0].executed.clone().unwrap();
        let view = TransactionView {
            id: Hash32([8; 32]),
            executed,
            stage: Stage::Posted,
        };
        let seed = |kind: usize, text: String| with(kind, text.as_bytes());
        fn text(value: &impl Serialize) -> String {
            serde_json::to_string(value).unwrap()
        }
        vec![
            seed(0, text(&requests())),
            seed(0, serde_json::to_string_pretty(&requests()).unwrap()),
            seed(1, text(&answer)),
            seed(2, text(&view)),
            seed(3, r#"{"code":"busy","message":"later"}"#.into()),
            seed(4, text(&vec![Hash32([1; 32]), Hash32([2; 32])])),
            seed(4, "[]".into()),
            seed(8, "[]".into()),
            seed(9, "[]".into()),
            seed(11, "[]".into()),
        ]
    }
}
