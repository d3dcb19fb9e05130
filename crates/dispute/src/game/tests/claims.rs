//! What a claim commits to: nodes, runs, values.

use super::*;

#[test]
fn a_tree_of_one_leaf_is_passed_at_once() {
    let mut world = World::new();
    let leaf = merkle::leaf(b"test", &[&[0]]);
    world.header.tx_count = 1;
    world.header.tx_root = leaf;
    world.txs = Levels::new(vec![leaf]);
    // One operator, one output, one chunk.
    let ty = TensorType::new(DType::I8, &[3]).unwrap();
    world.program = Program {
        inputs: vec![ty],
        parameters: vec![],
        nodes: vec![Node {
            op: Op::Reshape(ty.shape),
            operands: vec![Operand::Input(0)],
        }],
        outputs: vec![Output {
            name: "a".into(),
            value: 0,
        }],
    }
    .check()
    .unwrap();
    let value = Tensor::from_i8(&[3], &[1, 2, 3]).unwrap();
    let root = tensor_roots(core::slice::from_ref(&value));
    world.trace = Levels::new(root.clone());
    world.outputs = Levels::new(root);
    world.chunks = Levels::new(chunk_hashes(value.data()));
    let result = TxResult {
        output_root: list_root_of(1, &world.outputs.root()),
        ..world.result()
    };
    let mut dispute = Dispute::open(world.header, [9; 32], 0);
    let mut play = |made: Move| {
        dispute.play(made, true, 0).unwrap();
        (name(&dispute.stage), dispute.clone())
    };
    assert_eq!(play(Move::Claim(Claim::Transactions)).0, "Leaf");
    let run = Some(world.run(vec![]));
    let (_, mut ran) = play(Move::RevealLeaf { result, run });
    assert_eq!(play(Move::Claim(Claim::Execution)).0, "TensorRoot");
    assert_eq!(play(world.tensor(0, vec![])).0, "Chunk");
    let bytes = value.data().to_vec();
    assert_eq!(play(Move::RevealChunk { bytes }).0, "Element");
    ran.play(Move::Claim(Claim::Outputs), true, 0).unwrap();
    assert_eq!(name(&ran.stage), "Output");
    // Of the states there are two.
    world.states = Levels::new(vec![[1; 32], [2; 32]]);
    let states = after(&world, "state states reveal choose");
    assert_eq!(name(&states.stage), "StateStep");
}

#[test]
fn the_first_nodes_come_with_the_root_they_are_under() {
    let world = World::new();
    let at = after(&world, TO_LEAF);
    let with = |nodes: Vec<Hash>| {
        let mut dispute = at.clone();
        let made = Move::RevealLeaf {
            result: world.result(),
            run: Some(world.run(nodes)),
        };
        let result = dispute.play(made, true, 0);
        let class = dispute.class(true, 0);
        result.map(|()| class)
    };
    let all: Vec<Hash> = (0..OPERATORS.into())
        .map(|i| world.trace.node(0, i))
        .collect();
    let turn = Class::Turn(Side::Challenger, CLOCK);
    assert_eq!(with(vec![]), Ok(turn));
    assert_eq!(with(all.clone()), Ok(turn));
    assert_eq!(with(all[1..].to_vec()), Err(DescentError::Levels.into()));
    let mut other = all.clone();
    other[19] = [7; 32];
    assert_eq!(with(other), Err(DescentError::Nodes.into()));

    // With them it is the challenger's turn in the tree, without the asserter's.
    let ways = [
        (after(&world, "state"), {
            let descent = Descent::new(world.states.root(), u64::from(RECORDS) + 1).unwrap();
            Move::PostStates {
                root: world.states.root(),
                nodes: first_nodes(&world.states, &descent),
            }
        }),
        (
            after(
                &world,
                "transactions reveal choose leaf execution reveal choose",
            ),
            world.tensor(
                OPERATORS - 1,
                (0..4).map(|i| world.chunks.node(0, i)).collect(),
            ),
        ),
    ];
    for (mut dispute, made) in ways {
        dispute.play(made, true, 0).unwrap();
        assert_eq!(dispute.class(true, 0), turn);
        assert!(dispute.stage.tree().unwrap().choosing());
    }
}

#[test]
fn the_states_begin_after_the_batch_s_parent() {
    let world = World::new();
    let claim = |header: Header, parent: Option<Header>| {
        let mut dispute = Dispute::open(header, [9; 32], 0);
        let result = dispute.play(Move::Claim(Claim::State { parent }), true, 0);
        let before = match dispute.stage {
            Stage::StatesRoot(states) => Some(states.before),
            _ => None,
        };
        result.map(|()| before.unwrap())
    };
    let before = parent().state.next_batch().root();
    assert_ne!(before, parent().state.root());
    assert_eq!(claim(world.header, Some(parent())), Ok(before));
    let other = Header {
        tx_count: 19,
        ..parent()
    };
    assert_eq!(claim(world.header, Some(other)), Err(Refused::Parent));
    assert_eq!(claim(world.header, None), Err(Refused::Parent));
    let first = header(genesis_hash(&[3; 32]), [2; 32], 1);
    let genesis = StateComponents::genesis().root();
    assert_eq!(claim(first, None), Ok(genesis));
    assert_eq!(claim(first, Some(parent())), Err(Refused::Parent));
    let foreign = header(genesis_hash(&[4; 32]), [2; 32], 1);
    assert_eq!(claim(foreign, None), Err(Refused::Parent));
}

/// The result of a move, which changes nothing if it is refused.
fn refused(dispute: &Dispute, made: Move) -> Option<Refused> {
    let mut after = dispute.clone();
    let result = after.play(made, true, 0);
    assert_eq!(after == *dispute, result.is_err());
    result.err()
}

#[test]
fn a_leaf_s_run_is_that_of_its_result() {
    let world = World::new();
    let dispute = after(&world, TO_LEAF);
    let leaf = |result: TxResult, run: Option<RunClaim>| {
        refused(&dispute, Move::RevealLeaf { result, run })
    };
    let (result, run) = (world.result(), world.run(vec![]));
    assert_eq!(leaf(result, Some(run.clone())), None);
    assert_eq!(leaf(result, None), Some(Refused::NoRun));
    let plain = TxResult::default();
    assert_eq!(leaf(plain, Some(run.clone())), Some(Refused::NoRun));
    let other = TxResult {
        program_root: [1; 32],
        ..result
    };
    assert_eq!(leaf(other, Some(run.clone())), Some(Refused::Program));
    let other = TxResult {
        output_root: [1; 32],
        ..result
    };
    assert_eq!(leaf(other, Some(run.clone())), Some(Refused::Outputs));
    let other = RunClaim {
        outputs: [1; 32],
        ..run.clone()
    };
    assert_eq!(leaf(result, Some(other)), Some(Refused::Outputs));
    // Headers of no program, with results that name them.
    let with = |change: fn(&mut assay_ledger::ProgramHeader)| {
        let mut program = run.program;
        change(&mut program);
        let result = TxResult {
            program_root: program.root(),
            output_root: list_root_of(program.outputs.into(), &run.outputs),
            ..result
        };
        let run = RunClaim {
            program,
            ..run.clone()
        };
        leaf(result, Some(run))
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|p| p.outputs = 0), Some(Refused::Program));
    assert_eq!(with(|p| p.outputs = 257), Some(Refused::Program));
    assert_eq!(with(|p| p.outputs = 256), None);
    assert_eq!(with(|p| p.operators = 65_536), None);
    assert_eq!(with(|p| p.operators = 65_537), Some(Refused::Program));
    let none = Some(DescentError::Count.into());
    assert_eq!(with(|p| p.operators = 0), none);
}

#[test]
fn a_value_is_the_operator_s_and_a_chunk_the_value_s() {
    let world = World::new();
    let way = "transactions reveal choose leaf execution reveal choose";
    let dispute = after(&world, way);
    let Move::RevealTensor {
        operator,
        path,
        data_root,
        ..
    } = world.tensor(OPERATORS - 1, vec![])
    else {
        unreachable!()
    };
    let tensor = |operator: &[u8], path: &[Hash], data_root: Hash, nodes: &[Hash]| {
        let made = Move::RevealTensor {
            operator: operator.to_vec(),
            path: path.to_vec(),
            data_root,
            nodes: nodes.to_vec(),
        };
        refused(&dispute, made)
    };
    assert_eq!(tensor(&operator, &path, data_root, &[]), None);
    let none = Some(Refused::Operator);
    assert_eq!(tensor(&operator[1..], &path, data_root, &[]), none);
    assert_eq!(tensor(&[], &path, data_root, &[]), none);
    assert_eq!(tensor(&[0; MAX_LEAF + 1], &path, data_root, &[]), none);
    assert_eq!(tensor(&operator, &path[1..], data_root, &[]), none);
    let other = world.program.operator_leaf(18).unwrap().encode();
    assert_eq!(tensor(&other, &path, data_root, &[]), none);
    let none = Some(Refused::Tensor);
    assert_eq!(tensor(&operator, &path, [1; 32], &[]), none);
    let nodes = [[1; 32]; 4];
    let none = Some(DescentError::Nodes.into());
    assert_eq!(tensor(&operator, &path, data_root, &nodes), none);

    let chunk = |at: usize, bytes: Vec<u8>| {
        let mut dispute = after(&world, &alloc::format!("{way} tensor reveal"));
        let child = at as u8;
        dispute.play(Move::Choose { child }, true, 0).unwrap();
        refused(&dispute, Move::RevealChunk { bytes })
    };
    let value = value();
    let data = value.data();
    assert_eq!(chunk(0, data[..512].to_vec()), None);
    assert_eq!(chunk(3, data[1_536..].to_vec()), None);
    let none = Some(Refused::Chunk);
    assert_eq!(chunk(0, data[512..1_024].to_vec()), none);
    assert_eq!(chunk(0, data[..511].to_vec()), none);
    assert_eq!(chunk(0, data[..513].to_vec()), none);
    assert_eq!(chunk(3, data[1_024..].to_vec()), none);
    assert_eq!(chunk(3, vec![]), none);
}

#[test]
fn a_tail_chunk_of_another_length_cannot_be_shown_though_its_hash_is_right() {
    // The last chunk's leaf is the hash of too many bytes: a malformed value.
    let mut world = World::new();
    let mut long = value().data().to_vec();
    long.push(0);
    world.chunks = Levels::new(chunk_hashes(&long));
    let root = tensor_root_of(value().ty(), &world.chunks.root());
    let roots = vec![root; OPERATORS as usize];
    world.outputs = Levels::new(roots[..2].to_vec());
    world.trace = Levels::new(roots);
    let way = "transactions reveal choose leaf execution reveal choose tensor reveal choose";
    let dispute = after(&world, way);
    for end in [1_600, 1_601] {
        let bytes = long[1_536..end].to_vec();
        let made = Move::RevealChunk { bytes };
        assert_eq!(refused(&dispute, made), Some(Refused::Chunk));
    }
}
