//! Opening devices: the self-test, and which is chosen.

use super::{devices, open_with};
use crate::{
    Choice, ExecutorError,
    gpu::faults::{Fault, Faults},
    open,
};

#[test]
fn a_device_that_computes_wrong_is_refused() {
    for info in devices("a_device_that_computes_wrong_is_refused") {
        let faults = Faults::default();
        faults.inject(Fault::WrongResult);
        let refused = open_with(&info, &faults).unwrap_err();
        assert!(faults.exhausted(), "{info}");
        let ExecutorError::SelfTest { adapter, detail } = refused else {
            panic!("{info}: {refused}");
        };
        assert_eq!(adapter, info.to_string());
        assert!(detail.contains("gives"), "{detail}");
    }
}

#[test]
fn auto_takes_no_software_device() {
    let executor = open(Choice::Auto).unwrap();
    let real = devices("auto_takes_no_software_device")
        .iter()
        .any(|info| !info.software);
    assert!(
        real || !executor.name().starts_with("wgpu"),
        "{}",
        executor.name()
    );
}

#[test]
fn wgpu_takes_any_device_or_says_what_to_do() {
    match open(Choice::Wgpu) {
        Ok(executor) => assert!(executor.name().starts_with("wgpu (")),
        Err(error) => {
            assert!(devices("wgpu_takes_any_device").is_empty(), "{error}");
            assert!(error.to_string().contains("mesa-vulkan-drivers"));
        }
    }
}
