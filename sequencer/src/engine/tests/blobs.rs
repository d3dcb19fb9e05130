//! Blobs that no model names take so much room and no more.

use super::*;
use crate::store::blobs::BlobError;
use std::time::{Duration, SystemTime};

/// What each blob of these tests counts as.
const BLOCK: u64 = 4_096;

impl World {
    async fn of_quota(self, blocks: u64, age_s: u64) -> Self {
        let models = ModelLimits {
            unnamed_bytes: blocks * self.model.program.parameter_bytes().max(BLOCK),
            unnamed_age_s: age_s,
            ..Default::default()
        };
        self.restart_with(models).await
    }

    /// Uploads other parameters for the deployed program.
    fn upload(&self, seed: u8) -> Result<Hash, BlobError> {
        let bytes = vec![seed; self.model.program.parameter_bytes() as usize];
        let program = self.model.program.root();
        self.rig.blobs.put_parameters(&program, &bytes)
    }

    fn age(&self, root: &Hash, seconds: u64) {
        let path = self.dir.path().join("blobs").join(hex::encode(root));
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }
}

#[tokio::test]
async fn the_oldest_that_no_model_names_give_way_and_what_is_named_stays() {
    let world = World::new().await;
    world.deploy().await;
    let named = world.rig.store.model(0).unwrap().unwrap();
    let world = world.of_quota(8, 100).await;
    world.age(&named.program_root, 9_999);
    world.age(&named.parameters_root, 9_999);
    let roots: Vec<Hash> = (0..8).map(|seed| world.upload(seed).unwrap()).collect();
    // None is old enough.
    let full = world.upload(8).unwrap_err();
    assert!(matches!(full, BlobError::Quota { .. }), "{full}");
    assert!(full.to_string().contains("no model names"), "{full}");
    // What is here may be sent again.
    assert_eq!(world.upload(3).unwrap(), roots[3]);
    for (i, root) in (0..).zip(&roots) {
        world.age(root, 1_000 - 100 * i);
    }
    world.upload(8).unwrap();
    assert!(!world.rig.blobs.has(&roots[0]));
    assert!(world.rig.blobs.has(&roots[7]));
    assert!(
        world
            .rig
            .blobs
            .model(&named.program_root, &named.parameters_root)
            .is_ok()
    );
}

/// What was here when a request was taken in may have given way by the time it is its turn.
#[tokio::test]
async fn an_update_whose_blob_is_gone_when_it_is_ordered_is_refused() {
    let world = World::new().await;
    world.deploy().await;
    let model = world.rig.store.model(0).unwrap().unwrap();
    let parameters_root = world.upload(1).unwrap();
    let update = Action::Update {
        model: 0,
        program_root: model.program_root,
        parameters_root,
        price: PRICE,
    };
    let request = sign(&world.alice, 1, update.clone());
    let admitted: Vec<_> = (world.rig.admission)
        .admit(vec![request])
        .into_iter()
        .map(|(_, admitted)| admitted.unwrap())
        .collect();
    let blob = world
        .dir
        .path()
        .join("blobs")
        .join(hex::encode(parameters_root));
    std::fs::remove_file(blob).unwrap();
    let answers = world.rig.engine.submit(admitted).await.unwrap();
    assert!(
        matches!(&answers[..], [Err(Refused::Blob(_))]),
        "{answers:?}"
    );
    // Its nonce is not used up.
    world.upload(1).unwrap();
    world.one(&world.alice, 1, update).await.unwrap();
}

/// An update does not free what pending batches have run with; finality does.
#[tokio::test]
async fn what_a_batch_that_is_not_final_names_stays() {
    let world = World::new().await;
    world.deploy().await;
    let before = world.rig.store.model(0).unwrap().unwrap();
    let world = world.of_quota(1, 0).await;
    // Two updates in one batch: the first one's parameters are in its data and nowhere else.
    let mut parameters = vec![before.parameters_root];
    for nonce in 1..3 {
        let parameters_root = world.upload(nonce as u8).unwrap();
        let update = Action::Update {
            model: 0,
            program_root: before.program_root,
            parameters_root,
            price: PRICE,
        };
        world.one(&world.alice, nonce, update).await.unwrap();
        parameters.push(parameters_root);
    }
    world.rig.engine.close_batch().await.unwrap();
    for root in &parameters {
        world.age(root, 9_999);
    }
    let first = world.upload(5).unwrap();
    world.age(&first, 1_000);
    world.upload(6).unwrap();
    assert!(!world.rig.blobs.has(&first));
    for root in &parameters {
        assert!(world.rig.blobs.has(root));
    }
    let heads = world.rig.store.progress().unwrap().unwrap();
    world
        .rig
        .store
        .forget(heads.number - 1, heads.components.inbox.cursor)
        .unwrap();
    let world = world.of_quota(1, 0).await;
    world.upload(7).unwrap();
    let has: Vec<bool> = parameters
        .iter()
        .map(|root| world.rig.blobs.has(root))
        .collect();
    assert_eq!(has, [false, false, true]);
}

/// Loading and hashing a model is dear, and whoever has no account can ask for it for nothing.
#[tokio::test]
async fn no_blob_is_looked_at_for_what_is_refused_otherwise() {
    let world = World::new().await;
    let deployment = world.deployment();
    let other = match deployment.clone() {
        Action::Deploy {
            program,
            parameters_root,
            ..
        } => Action::Deploy {
            program,
            parameters_root,
            price: PRICE + 1,
        },
        _ => unreachable!("a deployment"),
    };
    let first = sign(&world.alice, 0, deployment);
    let placed = world.submit(vec![first.clone()]).await.remove(0).unwrap();
    // Whoever looks for the blobs now does not find them.
    std::fs::remove_dir_all(world.dir.path().join("blobs")).unwrap();
    let unsigned = SignedRequest {
        signature: [0; 64],
        ..sign(&world.alice, 1, other.clone())
    };
    let stranger = Keypair::from_seed([77; 32]);
    let requests = vec![
        sign(&stranger, 0, other.clone()),
        unsigned,
        sign(&world.alice, 0, other.clone()),
        sign(&world.alice, 1_001, other.clone()),
        sign(&world.alice, 1, other),
    ];
    let checked = world.rig.admission.admit(requests);
    let codes: Vec<_> = (checked.iter())
        .map(|(_, checked)| checked.as_ref().unwrap_err().code())
        .collect();
    assert_eq!(codes, ["account", "signature", "nonce", "nonce", "blob"]);
    // What is in a batch gets its answer again.
    assert_eq!(world.submit(vec![first]).await, [Ok(placed)]);
}
