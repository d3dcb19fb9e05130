//! Batches that are built again: what L1 asks for is in them, and what clients were told stays.

use super::*;
use crate::engine::rebuild::{Due, Rebuilt};
use crate::store::records::TxRecord;
use assay_ledger::header::Header;
use assay_ledger::inbox::Forced;
use assay_ledger::result::TxResult;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

impl World {
    async fn rebuild(&self, tip: u64, messages: u64, each: u32) -> Rebuilt {
        let due = Due {
            tip,
            messages,
            each,
        };
        let rebuilt = self.rig.engine.rebuild(due).await.unwrap();
        rebuilt.expect("the messages are known")
    }

    fn header(&self, number: u64) -> Header {
        self.rig.store.batch(number).unwrap().unwrap().header
    }

    /// What is in the batches after `tip`, the one being built included.
    fn after(&self, tip: u64) -> Vec<TxRecord> {
        (tip + 1..=self.rig.engine.building().number)
            .flat_map(|n| self.rig.store.transactions(n).unwrap())
            .collect()
    }

    /// The requests and messages after `tip`, each with what became of it.
    fn told(&self, tip: u64) -> HashMap<Option<Hash>, Vec<TxResult>> {
        let mut told = HashMap::<_, Vec<_>>::new();
        for record in self.after(tip) {
            told.entry(record.id).or_default().push(record.result);
        }
        told
    }

    /// Every table says the same as the transactions.
    fn consistent(&self) {
        let store = &self.rig.store;
        for number in 1..=self.rig.engine.building().number {
            for (position, record) in (0..).zip(store.transactions(number).unwrap()) {
                if let Some(id) = record.id {
                    let found = store.find_transaction(&id).unwrap();
                    assert_eq!(found, Some((number, position, record)));
                }
            }
        }
        let tables = store.ledger().unwrap();
        for (index, account) in (0..).zip(&tables.accounts) {
            let of_owner = store.accounts_of(&account.owner).unwrap();
            assert!(of_owner.contains(&(index, *account)), "{of_owner:?}");
            for (index, account) in of_owner {
                assert_eq!(tables.accounts.get(index as usize), Some(&account));
            }
        }
        for (index, leaf) in (0..).zip(&tables.outbox) {
            match leaf {
                OutboxLeaf::Withdrawal { recipient, .. } => {
                    let indices = store.withdrawals_to(recipient).unwrap();
                    assert!(indices.contains(&index));
                    assert!(indices.iter().all(|i| (*i as usize) < tables.outbox.len()));
                }
                OutboxLeaf::JobResult { job, .. } => {
                    assert_eq!(store.job(job).unwrap().unwrap().0, index);
                }
            }
        }
    }
}

fn forced(forced: Forced) -> Message {
    Message {
        kind: MessageKind::Forced,
        payload: borsh::to_vec(&forced).unwrap(),
    }
}

#[tokio::test]
async fn overdue_messages_end_the_first_batch_and_everything_told_stays() {
    let mut world = World::new().await;
    world.deploy().await;
    let mut answers = Vec::new();
    for i in 0..3 {
        answers.push(world.one(&world.bob, i, world.infer(world.input(1))).await);
    }
    world.rig.engine.close_batch().await.unwrap();
    let carol = Keypair::from_seed([3; 32]);
    answers.push(world.one(&world.bob, 3, transfer([5; 32], 7)).await);
    // Carol's account is made by a message in the last batch, and used there.
    world.send(deposit(&carol, 50));
    answers.push(world.one(&world.alice, 1, transfer([6; 32], 1)).await);
    answers.push(world.one(&carol, 0, transfer([6; 32], 50)).await);
    let placed: Vec<Placed> = answers.into_iter().map(Result::unwrap).collect();
    let (before, first) = (world.after(1), world.header(1));

    let rebuilt = world.rebuild(1, 3, 16).await;
    assert_eq!((rebuilt.changed, rebuilt.dropped), (0, 0));
    assert_eq!(rebuilt.transactions, before.len() as u64);
    assert_eq!(world.header(1), first);
    let second = world.rig.store.transactions(2).unwrap();
    assert_eq!(second.len(), 2);
    assert!(matches!(
        second[0].transaction,
        assay_ledger::transaction::Transaction::Deploy { .. }
    ));
    assert_eq!(
        second[1].transaction,
        assay_ledger::transaction::Transaction::Inbox
    );
    assert_eq!(world.header(2).state.inbox.cursor, 3);
    let after = world.after(1);
    let clients = |records: &[TxRecord]| -> Vec<_> {
        let of_clients = records.iter().filter(|r| r.id.is_some());
        of_clients
            .map(|r| (r.id, r.result, r.outputs.clone()))
            .collect()
    };
    assert_eq!(clients(&after), clients(&before));
    let outputs: Vec<_> = after.iter().filter_map(|r| r.outputs.clone()).collect();
    let told: Vec<_> = placed.iter().filter_map(|p| p.outputs.clone()).collect();
    assert_eq!(outputs, told);
    assert_eq!(world.balance(&carol.public()), 0);
    assert_eq!(world.balance(&[6; 32]), 51);
    world.consistent();

    // It goes on from there, after a restart too.
    let world = world.restart().await;
    let again = world
        .one(&world.bob, 4, world.infer(world.input(1)))
        .await
        .unwrap();
    assert_eq!(again.outputs, placed[0].outputs);
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
    world.consistent();
    assert!(world.rig.metrics.encode().contains("rebuilds"));
}

#[tokio::test]
async fn messages_that_have_not_come_are_waited_for() {
    let world = World::new().await;
    let due = Due {
        tip: 0,
        messages: 3,
        each: 16,
    };
    let before = world.header(1);
    assert_eq!(world.rig.engine.rebuild(due).await, Ok(None));
    assert_eq!(world.header(1), before);
}

#[tokio::test]
async fn what_no_longer_fits_goes_to_the_next_batch() {
    let params = Params {
        max_records: 10,
        ..params()
    };
    let limits = BatchLimits {
        transactions: 10,
        ..Default::default()
    };
    let mut world = World::under(params, limits).await;
    for i in 0..20 {
        world
            .one(&world.bob, i, transfer([5; 32], 1))
            .await
            .unwrap();
    }
    let (alice, bob) = (world.alice, world.bob);
    for _ in 0..9 {
        world.send(deposit(&alice, 1));
    }
    world.one(&bob, 20, transfer([5; 32], 1)).await.unwrap();
    // Batches of 10 transfers each; four messages at the end of each that is built again.
    let rebuilt = world.rebuild(1, 11, 4).await;
    assert_eq!((rebuilt.changed, rebuilt.dropped), (0, 0));
    let counts: Vec<(u32, u64)> = (2..world.rig.engine.building().number)
        .map(|n| {
            let before = world.header(n - 1).state.inbox.cursor;
            let header = world.header(n);
            (header.tx_count, header.state.inbox.cursor - before)
        })
        .collect();
    // Where a batch ended, one ends: the fourth is what the second and third had no room for.
    assert_eq!(counts, [(10, 4), (8, 4), (10, 1), (1, 0), (1, 0)]);
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
    world.consistent();
}

#[tokio::test]
async fn what_an_owner_forces_first_is_done_first() {
    let mut world = World::new().await;
    let (alice, bob) = (world.alice, world.bob);
    world.one(&alice, 0, transfer([5; 32], 1)).await.unwrap();
    world.rig.engine.close_batch().await.unwrap();
    let carol = Keypair::from_seed([3; 32]);
    // Bob gives nearly everything to Carol, who has no account otherwise, and she goes on with it.
    let all = world.balance(&bob.public());
    let given = world
        .one(&bob, 0, transfer(carol.public(), all - 1))
        .await
        .unwrap();
    world.one(&carol, 0, transfer([5; 32], 3)).await.unwrap();
    world.one(&bob, 1, transfer([5; 32], 1)).await.unwrap();
    assert!(given.result.done());
    world.rig.engine.close_batch().await.unwrap();
    world.send(forced(Forced::Withdraw {
        owner: bob.public(),
        mint: SOL,
        recipient: [9; 32],
        amount: all,
    }));
    let request = sign(&alice, 1, transfer([5; 32], 1));
    world.submit(vec![request]).await.pop().unwrap().unwrap();

    let rebuilt = world.rebuild(1, 3, 16).await;
    // The transfers, and the withdrawal that failed when it came last.
    assert_eq!((rebuilt.changed, rebuilt.dropped), (3, 1));
    let records = world.rig.store.transactions(3).unwrap();
    let statuses: Vec<_> = records.iter().map(|r| r.result.status()).collect();
    assert_eq!(statuses, [Some(Status::InsufficientBalance); 2]);
    assert_eq!(world.balance(&bob.public()), 0);
    assert_eq!(world.rig.store.accounts_of(&carol.public()).unwrap(), []);
    assert_eq!(world.rig.store.withdrawals_to(&[9; 32]).unwrap(), [0]);
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
    world.consistent();
}

#[tokio::test]
async fn a_model_is_not_called_before_its_delay_in_the_new_batches_either() {
    let mut world = World::new().await;
    world.deploy().await;
    // A batch of a message alone, which moves to the one before.
    let alice = world.alice;
    world.send(deposit(&alice, 1));
    world.rig.engine.close_batch().await.unwrap();
    let update = Action::Update {
        model: 0,
        program_root: world.model.program.root(),
        parameters_root: world.rig.store.model(0).unwrap().unwrap().parameters_root,
        price: PRICE,
    };
    world.one(&alice, 1, update).await.unwrap();
    world.rig.engine.close_batch().await.unwrap();
    let told = world
        .one(&world.bob, 0, world.infer(world.input(1)))
        .await
        .unwrap();
    let rebuilt = world.rebuild(1, 3, 16).await;
    assert_eq!((rebuilt.changed, rebuilt.dropped), (0, 0));
    let (batch, record) = (world.rig.engine.building().number, world.after(1));
    assert_eq!(batch, told.batch - 1);
    assert_eq!(record.last().unwrap().outputs, told.outputs);
    let model = world.rig.store.model(0).unwrap().unwrap();
    assert_eq!(model.callable_from, batch);
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
}

/// One random history with rebuilds in it.
struct History {
    world: World,
    rng: StdRng,
    nonces: HashMap<Key, u64>,
    jobs: u8,
    /// Whether only deposits come from L1.
    deposits_only: bool,
    tip: u64,
    changed: u64,
}

impl History {
    async fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        // Some histories have batches bounded by their work.
        let units = import(DIGITS, &Limits::default())
            .unwrap()
            .program
            .header()
            .units;
        let params = Params {
            max_records: rng.random_range(8..40),
            model_delay: rng.random_range(0..2),
            max_units: match rng.random_bool(0.3) {
                true => units * rng.random_range(1..4),
                false => u64::MAX,
            },
            ..params()
        };
        let limits = BatchLimits {
            transactions: rng.random_range(4..40),
            age_ms: 3_600_000,
            ..Default::default()
        };
        let world = World::under(params, limits).await;
        world.deploy().await;
        let nonces = HashMap::from([(world.alice.public(), 1)]);
        Self {
            tip: 0,
            jobs: 0,
            deposits_only: rng.random_bool(0.4),
            changed: 0,
            world,
            rng,
            nonces,
        }
    }

    fn key(&mut self) -> Keypair {
        Keypair::from_seed([self.rng.random_range(1..6); 32])
    }

    /// A request that may be refused or fail.
    async fn request(&mut self) {
        let key = self.key();
        let to = self.key().public();
        let model = self.world.rig.store.model(0).unwrap().unwrap();
        let action = match self.rng.random_range(0..10) {
            0..5 => Action::Transfer {
                to,
                amount: self.rng.random_range(1..400),
            },
            5 => Action::Withdraw {
                recipient: to,
                amount: self.rng.random_range(1..200),
            },
            6 => Action::Update {
                model: 0,
                program_root: model.program_root,
                parameters_root: model.parameters_root,
                price: self.rng.random_range(1..20),
            },
            _ => Action::Infer {
                model: 0,
                program_root: model.program_root,
                price: model.price,
                version: None,
                input: self.world.input(self.rng.random()),
            },
        };
        let nonce = self.nonces.get(&key.public()).copied().unwrap_or(0);
        if self.world.one(&key, nonce, action).await.is_ok() {
            self.nonces.insert(key.public(), nonce + 1);
        }
    }

    fn message(&mut self) {
        let (key, to) = (self.key(), self.key().public());
        let amount = self.rng.random_range(1..300);
        let kind = match self.deposits_only {
            true => 0,
            false => self.rng.random_range(0..6),
        };
        let message = match kind {
            0..3 => deposit(&key, amount),
            3 => forced(Forced::Transfer {
                owner: key.public(),
                mint: SOL,
                to,
                amount,
            }),
            4 => forced(Forced::Withdraw {
                owner: key.public(),
                mint: SOL,
                recipient: to,
                amount,
            }),
            _ => {
                self.jobs += 1;
                let job = Job {
                    job: [self.jobs; 32],
                    model: 0,
                    program_root: self.world.model.program.root(),
                    max_price: self.rng.random_range(1..150),
                    output_bytes: 4_096,
                    input: self.world.input(self.jobs),
                };
                Message {
                    kind: MessageKind::Job,
                    payload: borsh::to_vec(&job).unwrap(),
                }
            }
        };
        self.world.send(message);
    }

    /// Waits until every message is consumed: requests come after them.
    async fn barrier(&mut self) {
        let alice = self.world.alice;
        let nonce = self.nonces[&alice.public()];
        let own = transfer(alice.public(), 1);
        self.world.one(&alice, nonce, own).await.unwrap();
        self.nonces.insert(alice.public(), nonce + 1);
        let cursor = self.world.rig.store.progress().unwrap().unwrap().components;
        assert_eq!(cursor.inbox.cursor, self.world.messages.len() as u64);
    }

    async fn rebuild(&mut self) {
        self.barrier().await;
        let (world, tip) = (&self.world, self.tip);
        let closed = world.rig.engine.building().number - 1;
        let posted: Vec<Header> = (1..=tip).map(|n| world.header(n)).collect();
        let base = posted.last().map_or(0, |h| h.state.inbox.cursor);
        let known = world.messages.len() as u64;
        let messages = self.rng.random_range(base..=known);
        let each = self.rng.random_range(1..8);
        let (before, told) = (world.after(tip), world.told(tip));
        let totals = world.rig.store.progress().unwrap().unwrap().totals;

        let rebuilt = world.rebuild(tip, messages, each).await;
        assert_eq!(rebuilt.transactions + rebuilt.dropped, before.len() as u64);
        let headers: Vec<Header> = (1..=tip).map(|n| world.header(n)).collect();
        assert_eq!(headers, posted);
        let mut cursor = base;
        for number in tip + 1..world.rig.engine.building().number {
            let header = world.header(number);
            let consumed = header.state.inbox.cursor - cursor;
            let owed = messages.saturating_sub(cursor).min(each.into());
            assert!(
                consumed >= owed,
                "batch {number}: {consumed} of {owed} messages"
            );
            assert!(header.tx_count <= self.world.params.max_records);
            assert!(header.state.units <= self.world.params.max_units);
            cursor = header.state.inbox.cursor;
        }
        assert!(world.rig.engine.building().number > closed || rebuilt.batches < closed);

        let after = world.after(tip);
        let ids = |records: &[TxRecord]| records.iter().filter_map(|r| r.id).collect::<Vec<_>>();
        let (mut old, new) = (ids(&before).into_iter(), ids(&after));
        assert!(
            new.iter().all(|id| old.any(|o| o == *id)),
            "the order changed"
        );
        let now = world.told(tip);
        let changed = now
            .iter()
            .flat_map(|(id, results)| results.iter().zip(&told[id]))
            .filter(|(now, then)| now != then)
            .count() as u64;
        assert_eq!(rebuilt.changed, changed);
        if self.deposits_only {
            assert_eq!((rebuilt.changed, rebuilt.dropped), (0, 0));
        }
        let now = world.rig.store.progress().unwrap().unwrap().totals;
        assert_eq!(now.transactions + rebuilt.dropped, totals.transactions);
        self.changed += rebuilt.changed + rebuilt.dropped;
        // What was dropped has its nonce free again.
        for seed in 1..6 {
            let owner = Keypair::from_seed([seed; 32]).public();
            let accounts = world.rig.store.accounts_of(&owner).unwrap();
            let nonce = accounts.first().map_or(0, |(_, a)| a.nonce);
            self.nonces.insert(owner, nonce);
        }
        world.consistent();
    }
}

#[tokio::test]
async fn random_histories_are_built_again() {
    let mut changed = 0;
    for seed in 0..24 {
        let mut history = History::new(seed).await;
        for _ in 0..80 {
            match history.rng.random_range(0..100) {
                0..60 => history.request().await,
                60..80 => history.message(),
                80..90 => drop(history.world.rig.engine.close_batch().await.unwrap()),
                90..96 => {
                    // L1 has taken some more.
                    let closed = history.world.rig.engine.building().number - 1;
                    history.tip = history.rng.random_range(history.tip..=closed);
                    let cursor = match history.tip {
                        0 => 0,
                        tip => history.world.header(tip).state.inbox.cursor,
                    };
                    if history.rng.random_bool(0.5) {
                        history.world.rig.store.forget(history.tip, cursor).unwrap();
                    }
                    history.rebuild().await;
                }
                _ => history.world = history.world.restart().await,
            }
        }
        history.rebuild().await;
        changed += history.changed;
        let world = history.world.restart().await;
        world.rig.engine.close_batch().await.unwrap();
        world.replay();
        world.consistent();
    }
    assert!(
        changed > 0,
        "no forced message came in the way: nothing was tried"
    );
}
