//! Where the state is full, a hint is wrong or a balance would overflow.

use super::*;

/// A state that says that it is full, or where an account is.
struct Crowded(FullState, fn(&mut Heads), Option<u32>);

impl StateAccess for Crowded {
    fn heads(&self) -> Heads {
        let mut heads = self.0.heads();
        self.1(&mut heads);
        heads
    }
    fn read_account(&mut self, index: u32) -> Result<Account, NoAccess> {
        self.0.read_account(index)
    }
    fn neighbour(&mut self, owner: &Key, mint: &Key) -> Result<u32, NoAccess> {
        match self.2 {
            Some(hint) => Ok(hint),
            None => self.0.neighbour(owner, mint),
        }
    }
    fn write_account(&mut self, index: u32, account: Account) -> Result<(), NoAccess> {
        self.0.write_account(index, account)
    }
    fn read_model(&mut self, index: u32) -> Result<Model, NoAccess> {
        self.0.read_model(index)
    }
    fn write_model(&mut self, index: u32, model: Model) -> Result<(), NoAccess> {
        self.0.write_model(index, model)
    }
    fn read_message(&mut self) -> Result<Option<Message>, NoAccess> {
        self.0.read_message()
    }
    fn write_inbox(&mut self, inbox: InboxHead) -> Result<(), NoAccess> {
        self.0.write_inbox(inbox)
    }
    fn push_outbox(&mut self, leaf: OutboxLeaf) -> Result<(), NoAccess> {
        self.0.push_outbox(leaf)
    }
    fn write_units(&mut self, units: u64) -> Result<(), NoAccess> {
        self.0.write_units(units)
    }
    fn read_components(&mut self) -> Result<StateComponents, NoAccess> {
        self.0.read_components()
    }
}

#[test]
fn a_full_state_fails_and_loses_nothing() {
    let env = env(2);
    let mut state = small();
    let new = Action::Transfer {
        to: user(8).public(),
        amount: 1,
    };
    let model = state.model(0).unwrap();
    let transfer = tx(&mut state, &env, &user(0), SOL, new);
    let run = tx(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let withdraw = Action::Withdraw {
        recipient: [1; 32],
        amount: 1,
    };
    let withdraw = tx(&mut state, &env, &user(0), SOL, withdraw);
    let deploy = Action::Deploy {
        program: program(9, 1, 1),
        parameters_root: [0; 32],
        price: 0,
    };
    let deploy = tx(&mut state, &env, &user(0), SOL, deploy);
    state.push_message(deposit(user(8).public(), SOL, 55));

    let accounts: fn(&mut Heads) = |h| h.accounts = 1 << ACCOUNT_DEPTH;
    let models: fn(&mut Heads) = |h| h.models = 1 << MODEL_DEPTH;
    let outbox: fn(&mut Heads) = |h| h.outbox = 1 << 32;
    let cases = [
        (accounts, transfer, Status::AccountsFull),
        // The sequencer has no account yet.
        (accounts, run, Status::AccountsFull),
        (models, deploy, Status::ModelsFull),
        (outbox, withdraw, Status::OutboxFull),
        (accounts, Transaction::Inbox, Status::AccountsFull),
    ];
    for (full, tx, status) in cases {
        let mut crowded = Crowded(state.clone(), full, None);
        let result = apply(&mut crowded, &env, &tx, [5; 32]).unwrap();
        assert_eq!(result, TxResult::plain(status), "{tx:?}");
        assert_eq!(crowded.0.total(&SOL), state.total(&SOL));
        if tx == Transaction::Inbox {
            let back = OutboxLeaf::Withdrawal {
                recipient: user(8).public(),
                mint: SOL,
                amount: 55,
            };
            assert_eq!(crowded.0.outbox_leaf(0), Some(back));
        } else {
            assert_eq!(crowded.0.heads().outbox, 0);
            assert_eq!(nonce(&crowded.0, 0, SOL), 1);
        }
    }
    // A job that cannot be answered is consumed; L1 refunds it, long after its deadline.
    let mut crowded = Crowded(small(), outbox, None);
    crowded.0.push_message(job(0, 100, 40, DIGITS));
    let message = crowded.read_message().unwrap().unwrap();
    assert_eq!(job_run(&mut crowded, &env, 0, &message), Ok(None));
    let result = apply(&mut crowded, &env, &Transaction::Inbox, [5; 32]).unwrap();
    assert_eq!(result, TxResult::plain(Status::OutboxFull));
}

/// Where an account is, or that there is none, is a claim that has to show itself: a wrong one
/// gives no answer, and never another one.
#[test]
fn a_wrong_hint_changes_nothing() {
    let env = env(2);
    let mut state = small();
    let to = |i: u8| Action::Transfer {
        to: user(i).public(),
        amount: 1,
    };
    let model = state.model(0).unwrap();
    let mut cases = vec![Transaction::Inbox];
    for action in [to(8), to(1), infer(0, &model, vec![0; DIGITS])] {
        cases.push(tx(&mut state, &env, &user(0), SOL, action));
    }
    // Shipped as if the receiver had no account.
    let signature = sign(&state, &env, &user(0), SOL, to(1)).signature;
    cases.push(Transaction::Transfer {
        from: 1,
        to: Destination::New(user(1).public()),
        amount: 1,
        signature,
    });
    let messages = [
        deposit(user(8).public(), SOL, 5),
        deposit(user(1).public(), SOL, 5),
        deposit([0xff; 32], TOKEN, 5),
        deposit([0; 32], SOL, 5),
    ];
    let count = state.heads().accounts as u32;
    let mut no_access = 0;
    for message in messages {
        for case in &cases {
            let mut state = state.clone();
            state.push_message(message.clone());
            let mut honest = state.clone();
            let expected = apply(&mut honest, &env, case, [5; 32]);
            for hint in 0..count + 2 {
                let mut lying = Crowded(state.clone(), |_| (), Some(hint));
                match apply(&mut lying, &env, case, [5; 32]) {
                    Err(Fault::NoAccess(_)) => no_access += 1,
                    other => {
                        assert_eq!(other, expected, "{case:?} with {hint}");
                        assert_eq!(lying.0.components(), honest.components());
                    }
                }
            }
        }
    }
    // Of all hints for something to be found, one is right.
    assert!(no_access > 0 && no_access % (count + 1) == 0, "{no_access}");
}

#[test]
fn a_balance_cannot_overflow() {
    let (mut state, env) = (small(), env(2));
    let more = deposit(user(0).public(), SOL, u64::MAX);
    assert_eq!(
        inbox(&mut state, &env, more),
        TxResult::plain(Status::Overflow)
    );
    let back = OutboxLeaf::Withdrawal {
        recipient: user(0).public(),
        mint: SOL,
        amount: u64::MAX,
    };
    assert_eq!(state.outbox_leaf(0), Some(back));
    fund(&mut state, &env, user(8).public(), SOL, u64::MAX);
    let to = Action::Transfer {
        to: user(8).public(),
        amount: 1,
    };
    let result = act(&mut state, &env, &user(0), SOL, to);
    assert_eq!(result, TxResult::plain(Status::Overflow));
    assert_eq!(balance(&state, 0, SOL), 1_000);
}
