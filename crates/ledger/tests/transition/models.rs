//! Deploying, updating and running models.

use super::*;

#[test]
fn running_a_model_pays_sequencer_and_publisher() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let result = act(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let expected = TxResult {
        status: 0,
        fee: 100,
        program_root: model.program_root,
        parameters_root: [21; 32],
        input_root: input_root(&[0; DIGITS]),
        output_root: [5; 32],
    };
    assert_eq!(result, expected);
    // The sequencer had no account before.
    assert_eq!(balance(&state, 9, SOL), 20);
    assert_eq!(
        (balance(&state, 0, SOL), balance(&state, 3, SOL)),
        (900, 80)
    );
    assert_eq!(state.heads().units, 10);
    let model = state.model(1).unwrap();
    assert!(
        act(
            &mut state,
            &env,
            &user(1),
            TOKEN,
            infer(1, &model, vec![0; DIGITS])
        )
        .done()
    );
    assert_eq!(
        (balance(&state, 9, TOKEN), balance(&state, 4, TOKEN)),
        (10, 40)
    );
}

#[test]
fn payer_publisher_and_sequencer_may_be_one() {
    let mut state = small();
    let mut env = env(2);
    let model = state.model(0).unwrap();
    env.sequencer = user(3).public();
    fund(&mut state, &env, user(3).public(), SOL, 100);
    assert!(
        act(
            &mut state,
            &env,
            &user(3),
            SOL,
            infer(0, &model, vec![0; DIGITS])
        )
        .done()
    );
    assert_eq!((balance(&state, 3, SOL), nonce(&state, 3, SOL)), (100, 2));
}

#[test]
fn a_model_that_cannot_run_fails() {
    let mut state = small();
    let model = state.model(0).unwrap();
    let run = |input| infer(0, &model, vec![0; input]);
    let failed = |status| TxResult::plain(status);
    let first = act(&mut state, &env(1), &user(0), SOL, run(DIGITS));
    assert_eq!(first, failed(Status::NotCallable));
    let env = env(2);
    for wrong in [0, DIGITS - 1, DIGITS + 1, MAX_INPUT] {
        let result = act(&mut state, &env, &user(0), SOL, run(wrong));
        assert_eq!(result, failed(Status::InputSize));
    }
    let token = act(&mut state, &env, &user(0), TOKEN, run(DIGITS));
    assert_eq!(token, failed(Status::WrongMint));
    let poor = Action::Transfer {
        to: user(1).public(),
        amount: 950,
    };
    assert!(act(&mut state, &env, &user(0), SOL, poor).done());
    let result = act(&mut state, &env, &user(0), SOL, run(DIGITS));
    assert_eq!(result, failed(Status::InsufficientBalance));
    assert_eq!(nonce(&state, 0, SOL), 7);
    assert_eq!((balance(&state, 0, SOL), state.heads().units), (50, 0));
}

#[test]
fn a_batch_has_so_many_units_and_no_more() {
    let (mut state, mut env) = (small(), env(2));
    env.params.max_units = 15;
    let model = state.model(0).unwrap();
    assert!(
        act(
            &mut state,
            &env,
            &user(0),
            SOL,
            infer(0, &model, vec![0; DIGITS])
        )
        .done()
    );
    let over = tx(
        &mut state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let before = state.components();
    let fault = apply(&mut state, &env, &over, [5; 32]);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::Units)));
    assert_eq!(state.components(), before);
    // A job must not stop the chain: it is declined instead.
    let result = inbox(&mut state, &env, job(0, 100, 40, DIGITS));
    assert_eq!(result, TxResult::plain(Status::OverUnits));
    // All of them can be used.
    env.params.max_units = 20;
    let mut full = state.clone();
    assert!(apply(&mut full, &env, &over, [5; 32]).unwrap().done());
    assert_eq!(full.heads().units, 20);
    assert!(inbox(&mut state.clone(), &env, job(0, 100, 40, DIGITS)).done());
    state.start_batch();
    assert!(apply(&mut state, &env, &over, [5; 32]).unwrap().done());
}

#[test]
fn deploying_and_updating() {
    let (mut state, env) = (small(), env(5));
    let header = program(9, 3, 4);
    let deploy = Action::Deploy {
        program: header,
        parameters_root: [31; 32],
        price: 9,
    };
    assert!(act(&mut state, &env, &user(2), TOKEN, deploy).done());
    let (publisher, _) = state.find(&user(2).public(), &TOKEN).unwrap();
    let model = Model {
        publisher,
        program_root: header.root(),
        parameters_root: [31; 32],
        price: 9,
        units: 9,
        input_bytes: 3,
        output_bytes: 4,
        version: 1,
        callable_from: 6,
    };
    assert_eq!(state.model(2), Some(model));
    let update = Action::Update {
        model: 2,
        program_root: header.root(),
        parameters_root: [32; 32],
        price: 10,
    };
    let stranger = sign(&state, &env, &user(1), TOKEN, update.clone());
    assert_eq!(
        ship(&mut state, &env, &stranger),
        Err(Refused::NotPublisher)
    );
    let later = common::env(8);
    assert!(act(&mut state, &later, &user(2), TOKEN, update).done());
    let updated = Model {
        parameters_root: [32; 32],
        price: 10,
        version: 2,
        callable_from: 9,
        ..model
    };
    assert_eq!(state.model(2), Some(updated));
}

/// What the header alone shows is no program, or none that could ever run.
#[test]
fn a_program_out_of_bounds_is_not_deployed() {
    let (mut state, env) = (small(), env(2));
    let good = program(9, 64, 4);
    let most = ProgramHeader {
        inputs: MAX_INPUTS as u32,
        parameters: MAX_PARAMETERS as u32,
        operators: 1_000,
        outputs: MAX_OUTPUTS as u32,
        units: env.params.max_units,
        input_bytes: 1 << 30,
        parameter_bytes: MAX_PARAMETERS as u64,
        value_bytes: MAX_BYTES - (1 << 31) - MAX_PARAMETERS as u64,
        output_bytes: 1 << 30,
        ..good
    };
    let none = |header: ProgramHeader| ProgramHeader {
        inputs: 0,
        parameters: 0,
        input_bytes: 0,
        parameter_bytes: 0,
        inputs_root: EMPTY_LEAF,
        parameters_root: EMPTY_LEAF,
        ..header
    };
    let mut deploy_with = |program, parameters_root| {
        let action = Action::Deploy {
            program,
            parameters_root,
            price: 9,
        };
        let models = state.heads().models;
        let result = act(&mut state, &env, &user(2), TOKEN, action);
        assert_eq!(state.heads().models - models, u64::from(result.done()));
        result
    };
    // Parameters are named exactly where the program takes some: of others no piece could be demanded.
    let empty = parameters_root(&[]);
    assert!(deploy_with(none(good), empty).done());
    let bad = TxResult::plain(Status::BadProgram);
    for (program, root) in [
        (none(good), [31; 32]),
        (none(good), EMPTY_LEAF),
        (good, empty),
    ] {
        assert_eq!(deploy_with(program, root), bad);
    }
    let mut deploy = |program| deploy_with(program, [31; 32]);
    for program in [good, most] {
        assert!(deploy(program).done(), "{program:?}");
    }
    let bad: [fn(&mut ProgramHeader); 22] = [
        |h| h.inputs = MAX_INPUTS as u32 + 1,
        |h| h.parameters = MAX_PARAMETERS as u32 + 1,
        |h| (h.operators, h.units) = (MAX_NODES as u32 + 1, u64::MAX),
        |h| h.outputs = MAX_OUTPUTS as u32 + 1,
        |h| h.operators = 0,
        |h| h.outputs = 0,
        |h| h.units = 0,
        |h| h.units = u64::from(h.operators) - 1,
        |h| h.units = 1_001,
        |h| h.units = u64::MAX,
        |h| h.input_bytes = 0,
        |h| h.input_bytes = 1 << 32,
        |h| h.parameter_bytes = u64::from(h.parameters) - 1,
        |h| h.parameter_bytes = MAX_BYTES,
        |h| h.parameter_bytes = u64::MAX,
        |h| h.value_bytes = u64::from(h.operators) - 1,
        |h| h.value_bytes = MAX_BYTES - h.input_bytes - h.parameter_bytes - h.output_bytes + 1,
        |h| h.value_bytes = u64::MAX,
        |h| h.output_bytes = 0,
        |h| h.output_bytes = 1 << 32,
        |h| (h.inputs, h.input_bytes) = (0, 0),
        |h| h.parameters = 0,
    ];
    for (i, spoil) in bad.into_iter().enumerate() {
        let mut program = good;
        spoil(&mut program);
        let result = deploy(program);
        assert_eq!(result, TxResult::plain(Status::BadProgram), "{i}");
    }
}

/// An update leaves the program as it was, and whether it takes parameters.
#[test]
fn an_update_names_parameters_where_the_program_takes_some() {
    let (mut state, mut env) = (small(), env(1));
    env.params.max_units = 1_000;
    let empty = parameters_root(&[]);
    let header = |parameters: u32| ProgramHeader {
        inputs: 0,
        parameters,
        operators: 1,
        outputs: 1,
        units: 1,
        input_bytes: 0,
        parameter_bytes: parameters.into(),
        value_bytes: 1,
        output_bytes: 1,
        operators_root: [1; 32],
        parameters_root: [(parameters != 0) as u8; 32],
        inputs_root: EMPTY_LEAF,
        outputs_root: [1; 32],
    };
    for (parameters, good, bad) in [(0, empty, [5; 32]), (1, [5; 32], empty)] {
        let program = header(parameters);
        let model = state.heads().models as u32;
        let deploy = Action::Deploy {
            program,
            parameters_root: good,
            price: 9,
        };
        assert!(act(&mut state, &env, &user(2), TOKEN, deploy).done());
        let update = |parameters_root| Action::Update {
            model,
            program_root: program.root(),
            parameters_root,
            price: 8,
        };
        let before = state.model(model).unwrap();
        let refused = act(&mut state, &env, &user(2), TOKEN, update(bad));
        assert_eq!(refused, TxResult::plain(Status::BadProgram));
        assert_eq!(state.model(model).unwrap(), before);
        assert!(act(&mut state, &env, &user(2), TOKEN, update(good)).done());
        assert_eq!(state.model(model).unwrap().price, 8);
    }
}
