//! The command line against a development network in another process, as a newcomer uses it.

use assay_client::bundle::Bundle;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ASSAY: &str = env!("CARGO_BIN_EXE_assay");
const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../models/digits/digits-int8.onnx"
);
/// A model of another program.
const OTHER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/onnx/tests/cases/static_qdq_channel.onnx"
);

/// `assay dev`, stopped when it is dropped.
struct Dev {
    child: Child,
    values: Value,
}

impl Dev {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(ASSAY)
            .args(["dev", "--json", "--executor", "cpu", "--slot-ms", "50"])
            .args([
                "--rpc-port",
                "0",
                "--ws-port",
                "0",
                "--port",
                "0",
                "--window",
                "24",
            ])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let values = serde_json::from_str(&line).unwrap();
        Self { child, values }
    }

    /// Ends it as `kill` does.
    fn terminate(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output(dir: &Path, words: &[&str]) -> std::process::Output {
    Command::new(ASSAY)
        .current_dir(dir)
        .args(["--config", "net/assay.toml", "--json"])
        .args(words)
        .output()
        .unwrap()
}

/// The JSON that a command prints.
fn assay(dir: &Path, words: &[&str]) -> Value {
    let output = output(dir, words);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "assay {words:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command that fails says.
fn refused(dir: &Path, words: &[&str]) -> String {
    let output = output(dir, words);
    assert!(!output.status.success(), "assay {words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_newcomer_deposits_deploys_infers_and_withdraws() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let dev = Dev::start(&dir.join("net"));
    let user = dev.values["user"].as_str().unwrap();
    let mint = dev.values["mint"].as_str().unwrap();

    let error = refused(dir, &["transfer", user, "1"]);
    assert!(error.contains("deposit first"), "{error}");
    let deposit = assay(dir, &["deposit", "2"]);
    assert_eq!(deposit["balance"], 2_000_000_000_u64);
    let deposit = assay(dir, &["deposit", "100", "--mint", mint]);
    assert_eq!(deposit["balance"], 100_000_000_u64);

    let imported = assay(dir, &["model", "import", MODEL, "-o", "digits.assay"]);
    let deployed = assay(
        dir,
        &["model", "deploy", "digits.assay", "--price", "0.000002"],
    );
    assert_eq!(deployed["program_root"], imported["program_root"]);
    assert_eq!(deployed["callable"], true);
    assert_eq!(assay(dir, &["model", "list"])[0], deployed);
    assert_eq!(assay(dir, &["model", "show", "0"]), deployed);

    std::fs::write(dir.join("image.json"), format!("{:?}", [0.0; 64])).unwrap();
    let by_values = [
        "infer",
        "0",
        "--values",
        "image.json",
        "--bundle",
        "digits.assay",
    ];
    let answer = assay(dir, &by_values);
    assert_eq!(answer["fee"], 2_000);
    let names: Vec<&str> = answer["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["logits", "class"]);
    std::fs::write(dir.join("short.bin"), [0; 63]).unwrap();
    let error = refused(dir, &["infer", "0", "--bytes", "short.bin"]);
    assert!(error.contains("error:"), "{error}");

    assay(dir, &["key", "new", "friend.json"]);
    let friend = assay(dir, &["key", "show", "friend.json"]);
    let friend = friend["address"].as_str().unwrap();
    assay(dir, &["transfer", friend, "5", "--mint", mint]);
    let error = refused(dir, &["transfer", friend, "500", "--mint", mint]);
    assert!(error.contains("balance"), "{error}");
    let error = refused(dir, &["key", "new", "friend.json"]);
    assert!(error.contains("friend.json"), "{error}");

    std::fs::write(dir.join("input.bin"), [0; 64]).unwrap();
    let job = assay(
        dir,
        &[
            "job",
            "create",
            "0",
            "--bytes",
            "input.bin",
            "--max-price",
            "0.00001",
            "--output-bytes",
            "64",
            "--output",
            "1",
        ],
    );
    assert_eq!(job["status"], "open");
    let address = job["job"].as_str().unwrap();
    // The batch that runs it closes when it is old enough, and becomes final.
    let settled = assay(dir, &["job", "settle", address]);
    assert_eq!(settled["status"], "settled");
    assert_eq!(settled["price"], 2_000);
    assert_eq!(assay(dir, &["job", "show", address]), settled);
    assay(dir, &["job", "close", address]);
    assert!(refused(dir, &["job", "show", address]).contains("there is no job"));

    let mut other = Bundle::read(dir.join("digits.assay")).unwrap();
    other.parameters[0] ^= 1;
    other.write(dir.join("other.assay")).unwrap();
    let update = ["model", "update", "0", "other.assay"];
    let updated = assay(dir, &[&update[..], &["--price", "0.000003"]].concat());
    assert_eq!(
        (&updated["version"], &updated["price"]),
        (&json!(2), &json!(3_000))
    );
    assert_eq!(updated["program_root"], deployed["program_root"]);
    assert_ne!(updated["parameters_root"], deployed["parameters_root"]);
    assert_eq!(updated["callable"], true);
    // Not by somebody else, and not to another program: which is said before anything is sent.
    let error = refused(dir, &[&update[..], &["--key", "friend.json"]].concat());
    assert!(error.contains(&format!("model 0 is {user}'s")), "{error}");
    assay(dir, &["model", "import", OTHER, "-o", "another.assay"]);
    let error = refused(dir, &["model", "update", "0", "another.assay"]);
    assert!(error.contains("deploy another program"), "{error}");
    assert_eq!(assay(dir, &["model", "show", "0"]), updated);

    let withdrawn = assay(dir, &["withdraw", "0.5"]);
    assert_eq!(withdrawn["paid"].as_array().unwrap().len(), 1);
    assay(dir, &["withdraw", "7", "--mint", mint, "--no-wait"]);

    let status = assay(dir, &["status"]);
    assert!(status["status"]["finalised"].as_u64().unwrap() >= 1);
    let sol = status["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["mint"] == "11111111111111111111111111111111")
        .unwrap();
    // The user is the publisher too: what its inference cost is the sequencer's share.
    assert_eq!(sol["balance"], 2_000_000_000_u64 - 400 - 500_000_000);
    let batch = assay(dir, &["batch", "show", "1"]);
    assert_eq!(batch["number"], 1);
    assert!(
        !assay(dir, &["batch", "list"])
            .as_array()
            .unwrap()
            .is_empty()
    );
    // The verifier beside it has replayed that batch.
    assert!(dev.values["verifier"].is_string());
    let begun = std::time::Instant::now();
    loop {
        let log = std::fs::read_to_string(dir.join("net.log")).unwrap();
        assert!(!log.contains("INVALID"), "{log}");
        if log.contains("verifier: batch 1 is verified") {
            break;
        }
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(90),
            "{log}"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    dev.terminate();
    assert!(refused(dir, &["status"]).contains("127.0.0.1"));
}

/// What a rollup is created with: its defaults are in one file, and what the program would refuse is said
/// before anything is sent.
#[test]
fn a_rollup_s_parameters_are_explained_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(ASSAY);
        let output = command
            .current_dir(dir.path())
            .args(words)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let defaults = include_str!("../../migrations/rollup.json");
    let defaults: Value = serde_json::from_str(defaults).unwrap();
    let (_, help, _) = run(&["init", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (flag, key) in [
        ("--clock", "clock"),
        ("--extension", "extension"),
        ("--window", "window"),
    ] {
        let usual = format!("; {} if absent", defaults[key]);
        let (_, after) = help.split_once(&format!("{flag} <SLOTS>")).unwrap();
        assert!(
            after.split(" --").next().unwrap().contains(&usual),
            "{flag}: {help}"
        );
    }
    assert!(help.contains("--dispute-bond <SOL>"), "{help}");

    assert!(run(&["key", "new", "key.json"]).0);
    let init = ["init", "7", "--key", "key.json"];
    for (more, words) in [
        (
            &["--clock", "10"][..],
            "the extension is 1500 slots, and must be from 1 to the clock, 10",
        ),
        (&["--extension", "0"], "the extension is 0 slots"),
        (&["--dispute-bond", "0"], "the dispute bond is nothing"),
        (&["--dispute-bond", "much"], "--dispute-bond"),
    ] {
        let (good, _, error) = run(&[&init[..], more].concat());
        assert!(!good && error.contains(words), "{error}");
    }
}
