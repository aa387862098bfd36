//! What `run` records besides the run report, and what happens to the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{UPPER, expect, faulty, folder, said};

const LINES: usize = 1000;

/// A folder with an input of this many lines and a pipeline that converts them to upper case.
fn project() -> tempfile::TempDir {
    let folder = folder(UPPER);
    fs::write(folder.path().join("in.txt"), "some line\n".repeat(LINES)).unwrap();
    folder
}

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["run", "--input", "in.txt", "--output", "out.txt"].iter().chain(more).copied().collect()
}

/// The lines of the file, each a JSON object.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "Torvyn.toml").collect();
    names.sort();
    names
}

#[test]
fn the_lines_add_up_to_the_account() {
    let folder = project();
    let args = run(&["--records", "records.ndjson", "--message-format", "json"]);
    let ran = expect(folder.path(), &args, 0, &["Recorded", "in `records.ndjson`"]);
    let account: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let lines = lines(&folder.path().join("records.ndjson"));

    let summary = lines.last().unwrap();
    let none = json!({"ops": 0, "bytes": 0});
    let lost = json!({"payload_read": none, "payload_write": none, "metadata_marshal": none, "host_serialize": none});
    let records = lines.len() - 1;
    let expected =
        json!({"reason": "records-summary", "pipeline": "main", "records": records, "lost": 0, "lost_copies": lost});
    assert_eq!(summary, &expected);

    let mut copies = BTreeMap::<(&str, &str), (u64, u64)>::new();
    for line in lines.iter().filter(|line| line["reason"] == "transfer") {
        let count = copies.entry((line["node"].as_str().unwrap(), line["copy"].as_str().unwrap())).or_default();
        *count = (count.0 + 1, count.1 + line["bytes"].as_u64().unwrap());
    }
    for stage in account["stages"].as_array().unwrap() {
        for (copy, count) in stage["copies"].as_object().unwrap() {
            let (ops, bytes) = copies.remove(&(stage["name"].as_str().unwrap(), copy)).unwrap_or_default();
            assert_eq!(count, &json!({"ops": ops, "bytes": bytes}), "{copy} of {}", stage["name"]);
        }
    }
    // The remaining ones belong to the input, which copies the incomplete line at the end of a block.
    assert!(copies.keys().all(|of| *of == ("input", "host_serialize")), "{copies:?}");

    let elements = |to: &str| {
        let to_there = lines.iter().filter(|line| line["reason"] == "hand-off" && line["to"] == to);
        to_there.map(|line| line["elements"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(["router", "transform", "output"].map(elements), [LINES as u64; 3]);
    assert!(lines.iter().all(|line| line["reason"] != "call" || line["failed"] == false));
    assert_eq!(left(folder.path()), ["in.txt", "out.txt", "records.ndjson"]);
}

#[test]
fn a_flow_that_fails_is_recorded_and_ends_as_it_would() {
    let folder = folder(&faulty("trap", "process"));
    fs::write(folder.path().join("input.txt"), "fine\n".repeat(1000) + "poison\n").unwrap();
    let args = ["run", "--records", "records.ndjson", "--trace", "trace.json"];
    let texts = ["in `records.ndjson` and `trace.json`", "stage `faulty` failed in `process`"];
    expect(folder.path(), &args, 101, &texts);
    assert_eq!(left(folder.path()), ["input.txt", "records.ndjson", "trace.json"]);
    let lines = lines(&folder.path().join("records.ndjson"));
    let last = lines.iter().rfind(|line| line["reason"] == "call").unwrap();
    assert_eq!((&last["node"], &last["call"], &last["failed"]), (&json!("faulty"), &json!("process"), &json!(true)));
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_flow_begins() {
    let folder = project();
    for (option, path, text) in [
        ("--records", "no/records.ndjson", "cannot write the records to `no/records.ndjson`"),
        ("--trace", ".", "cannot write the trace to `.`"),
    ] {
        let ran = expect(folder.path(), &run(&[option, path]), 101, &[text]);
        assert!(!said(&ran).contains("Running"), "{}", said(&ran));
    }
    for (args, text) in [
        (
            &["--records", "same", "--trace", "./same"][..],
            "`./same` (the trace) and `same` (the records) are the same file",
        ),
        (&["--trace", "out.txt"], "`out.txt` is used for the trace and for an output"),
        (&["--records", "in.txt"], "`in.txt` is used for the records and for the input"),
        (&["--records", "r", "--record-capacity", "0"], "must be a number from 1 to"),
    ] {
        let ran = expect(folder.path(), &run(args), 2, &[text]);
        assert!(!said(&ran).contains("Running"), "{}", said(&ran));
    }
    assert_eq!(left(folder.path()), ["in.txt"]);
}

#[test]
fn what_is_lost_is_told_and_how_to_keep_it() {
    let folder = project();
    let args = ["--records", "records.ndjson", "--trace", "trace.json", "--record-capacity", "100"];
    let ran = expect(folder.path(), &run(&args), 0, &["warning: the ", " records before them were lost"]);
    let lines = lines(&folder.path().join("records.ndjson"));
    let summary = lines.last().unwrap();
    assert_eq!((lines.len(), &summary["records"]), (101, &json!(100)));
    let lost = summary["lost"].as_u64().unwrap();
    assert!(lost > LINES as u64, "each line is read and written");
    let trace: Value = serde_json::from_slice(&fs::read(folder.path().join("trace.json")).unwrap()).unwrap();
    assert_eq!(trace["otherData"]["lost_records"], lost);

    let said = said(&ran);
    let (_, capacity) = said.split_once("`--record-capacity ").unwrap();
    let capacity = capacity.split('`').next().unwrap();
    let enough =
        expect(folder.path(), &run(&["--trace", "trace.json", "--record-capacity", capacity]), 0, &["Recorded"]);
    assert!(!self::said(&enough).contains("lost"));
}
