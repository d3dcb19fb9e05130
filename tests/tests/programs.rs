//! The program binaries themselves.

use assay_tests::programs;

/// Who finds a program on chain finds whom to write to.
#[test]
fn each_names_its_security_contact() {
    for (program, name) in [
        ("settlement", "Assay settlement"),
        ("bridge", "Assay bridge"),
        ("escrow", "Assay escrow"),
    ] {
        let binary = programs::load(program);
        let text = format!("=======BEGIN SECURITY.TXT V1=======\0name\0{name}\0");
        let found = binary
            .windows(text.len())
            .any(|window| window == text.as_bytes());
        assert!(found, "{program}.so has no security.txt");
    }
}
