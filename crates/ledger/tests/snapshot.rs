//! The state after a batch, given by strangers.

mod common;

use assay_ledger::batch::assemble;
use assay_ledger::header::genesis_hash;
use assay_ledger::request::Action;
use assay_ledger::snapshot::{NoSnapshot, Snapshot};
use assay_ledger::state::StateComponents;
use common::*;

/// A state with withdrawals in its outbox.
fn good() -> Snapshot {
    let mut state = small();
    let env = env(2);
    for amount in [5, 7] {
        let withdraw = Action::Withdraw {
            recipient: [9; 32],
            amount,
        };
        assert!(act(&mut state, &env, &user(0), TOKEN, withdraw).done());
    }
    let genesis = StateComponents::genesis();
    let (header, _) = assemble(&env, genesis_hash(&env.rollup), genesis, &[]);
    snapshot(state, header)
}

#[test]
fn a_state_is_given_whole() {
    let snapshot = good();
    assert_eq!(snapshot.outbox.len(), 2);
    let again = Snapshot::decode(&snapshot.encode()).unwrap();
    assert_eq!(again, snapshot);
    let mut state = again.state().unwrap();
    assert_eq!(state.components(), snapshot.header.state);
    // And work goes on in it.
    state.start_batch();
    let transfer = Action::Transfer {
        to: user(1).public(),
        amount: 3,
    };
    assert!(act(&mut state, &env(3), &user(0), TOKEN, transfer).done());
}

/// Whoever knows the header is told nothing else than the state that it names.
#[test]
fn no_other_state_is_taken() {
    let good = good();
    let refused = |change: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = good.clone();
        change(&mut snapshot);
        snapshot.state().map(drop)
    };
    assert_eq!(refused(&|_| ()), Ok(()));
    let other = Err(NoSnapshot::OtherState);
    assert_eq!(refused(&|s| s.accounts[1].balance += 1), other);
    assert_eq!(refused(&|s| s.accounts[2].nonce += 1), other);
    assert_eq!(refused(&|s| s.models[1].price += 1), other);
    assert_eq!(refused(&|s| s.outbox.swap(0, 1)), other);
    assert_eq!(refused(&|s| s.header.state.accounts.root[0] ^= 1), other);
    // The inbox's head is in the header alone.
    for cut in [
        &(|s: &mut Snapshot| _ = s.accounts.pop()) as &dyn Fn(&mut Snapshot),
        &|s| _ = s.models.pop(),
        &|s| _ = s.outbox.pop(),
        &|s| s.header.state.accounts.count = u64::MAX,
        &|s| s.accounts.swap(1, 2),
        &|s| s.models[0].publisher = u32::MAX,
    ] {
        assert!(matches!(refused(cut), Err(NoSnapshot::Corrupt(_))));
    }
}

#[test]
fn bytes_are_one_snapshot_or_none() {
    let good = good();
    let bytes = good.encode();
    for end in 0..bytes.len() {
        assert_eq!(Snapshot::decode(&bytes[..end]), Err(NoSnapshot::Format));
    }
    for change in [
        &(|b: &mut Vec<u8>| b.push(0)) as &dyn Fn(&mut Vec<u8>),
        &|b| b[0] ^= 1,
        &|b| b[4] = 2,
    ] {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        assert_eq!(Snapshot::decode(&bytes), Err(NoSnapshot::Format));
    }
    // A list that says to be longer than anything.
    let head = 5 + borsh::to_vec(&good.header).unwrap().len();
    let mut long = bytes.clone();
    long[head..head + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Snapshot::decode(&long), Err(NoSnapshot::Format));
}

/// Each model's program's header has to be there; what no model names is left.
#[test]
fn programs_are_those_of_its_models() {
    let mut snapshot = good();
    let known = program(10, DIGITS as u64, 40);
    snapshot.programs.push(program(11, DIGITS as u64, 40));
    let named = snapshot.programs().unwrap();
    assert_eq!(
        named.into_iter().collect::<Vec<_>>(),
        [(known.root(), known)]
    );
    snapshot.programs.remove(0);
    assert_eq!(snapshot.programs(), Err(NoSnapshot::Program));
}

/// Whoever reads one from a stranger knows from its beginning whether to go on, and how far.
#[test]
fn a_header_says_how_long_it_may_be() {
    let mut good = good();
    let model = good.models[0];
    good.models = vec![model; 500];
    good.header.state.models.count = 500;
    good.programs = vec![good.programs[0]; 500];
    let bytes = good.encode();
    let most = Snapshot::most_bytes(&good.header);
    let length = bytes.len() as u64;
    assert!(length <= most && most < length + 2_000, "{length} {most}");
    let end = 5 + borsh::to_vec(&good.header).unwrap().len();
    for read in 0..bytes.len().min(2_000) {
        let header = (read >= end).then_some(good.header);
        assert_eq!(Snapshot::header(&bytes[..read]), Ok(header), "{read}");
    }
    assert_eq!(Snapshot::header(b"ATSn\x02"), Err(NoSnapshot::Format));
    good.header.state.accounts.count = u64::MAX;
    assert_eq!(Snapshot::most_bytes(&good.header), u64::MAX);
}
