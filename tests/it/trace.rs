//! `stowplan trace` as a person meets it: output, exit codes, standard input.

use assert_cmd::Command;
use std::path::PathBuf;

fn sample(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces").join(path)
}

fn stowplan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stowplan"));
    command.arg("trace");
    command
}

const HUAWEI: &str = "huawei-east-1/Huawei-East-1.sample.csv";

#[test]
fn inspect_prints_json_and_nothing_else() {
    let output =
        stowplan().args(["inspect", "--format", "huawei-east-1", "--json"]).arg(sample(HUAWEI)).output();
    let output = output.expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // Seven machines were created, five at most at once.
    assert_eq!((json["pods"].as_u64(), json["peaks"]["pods"]["value"].as_u64()), (Some(7), Some(5)));
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let text = std::fs::read(sample(HUAWEI)).expect("sample");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &text).expect("memory");
    for bytes in [text, packed.finish().expect("memory")] {
        let output = stowplan().args(["inspect", "-"]).write_stdin(bytes).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("huawei-east-1"), "{text}");
    }
}

#[test]
fn bad_rows_exit_with_2_and_a_caret_and_are_counted_on_request() {
    let text = "vmid,cpu,memory,time,type\n0,1,1,0,0\n1,two,4,0,0\n";
    let run = |args: &[&str]| {
        stowplan()
            .args(["inspect", "--format=huawei-east-1"])
            .args(args)
            .arg("-")
            .write_stdin(text)
            .output()
            .expect("it runs")
    };
    let strict = run(&[]);
    let message = String::from_utf8_lossy(&strict.stderr).into_owned();
    assert_eq!(strict.status.code(), Some(2));
    assert!(strict.stdout.is_empty());
    for part in ["-:3:3", "column cpu", "^", "--skip-bad-rows"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(run(&["--skip-bad-rows"]).status.code(), Some(0));
    assert_eq!(run(&["--skip-bad-rows=0"]).status.code(), Some(2));
    let counted = run(&["--skip-bad-rows=1", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&counted.stdout).expect("JSON");
    assert_eq!(json["skipped"]["not_a_number"].as_u64(), Some(1));
}

#[test]
fn bad_arguments_exit_with_2() {
    let code = |args: &[&str]| stowplan().args(args).output().expect("it runs").status.code();
    assert_eq!(code(&["inspect", "no-such-file.csv"]), Some(2));
    assert_eq!(code(&["inspect", "--format", "opemb", "no-such-file.csv"]), Some(2));
    assert_eq!(code(&["inspect"]), Some(2));
    assert_eq!(code(&["inspect", "--max-cpu", "-1", "x"]), Some(2));
}

#[test]
fn convert_writes_whole_files_and_replaces_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |extra: &[&str]| {
        let output =
            stowplan().arg("convert").arg(sample(HUAWEI)).arg("-o").arg(folder.path()).args(extra).output();
        output.expect("it runs").status.code()
    };
    assert_eq!(run(&[]), Some(0));
    let text = std::fs::read_to_string(folder.path().join("pods.csv")).expect("written");
    assert_eq!(text.lines().count(), 8, "{text}");
    assert_eq!(run(&[]), Some(2), "the file is there");
    assert_eq!(run(&["--force"]), Some(0));
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["pods.csv"], "nothing is left beside it");
}
