//! What happens to elements that a stage fails on, according to `on-failure` in Torvyn.toml.

use std::fs;

use cli_tests::{faulty, folder};
use serde_json::Value;

use crate::expect;

/// A folder with a stage that fails on `poison`, this `on-failure`, and an input with `poison` in the middle.
fn poisoned(how: &str, on_failure: &str) -> tempfile::TempDir {
    let text = faulty(how, "process");
    let folder = folder(&format!("{text}on-failure = {on_failure}\n"));
    fs::write(folder.path().join("input.txt"), "fine\npoison\nlast\n").unwrap();
    folder
}

fn letters(folder: &tempfile::TempDir) -> Vec<Value> {
    let text = fs::read_to_string(folder.path().join("bad.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_a_stage_fails_at_is_kept_as_a_dead_letter() {
    let folder = poisoned("fail", "{ retry = 2, backoff = '1ms', dead-letter = 'bad.jsonl' }");
    let ran = expect(folder.path(), &["run", "--message-format", "json"], 0, &["Dead letters 1 in `bad.jsonl`"]);
    assert_eq!(fs::read_to_string(folder.path().join("output.txt")).unwrap(), "fine\nlast\n");
    let summary: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&summary["elements"]["out"], &summary["elements"]["dead_letters"]), (&2.into(), &1.into()));
    assert_eq!((&summary["stages"][0]["failures"]["retries"], &summary["pool"]["live_at_end"]), (&2.into(), &0.into()));
    let [letter] = &letters(&folder)[..] else { panic!("{:?}", letters(&folder)) };
    let timestamp = letter["timestamp"].as_u64().unwrap();
    let text =
        "stage `faulty` failed in `process` at element 1: the stage returned invalid-input: told to fail in process";
    let expected = serde_json::json!({
        "pipeline": "main", "stage": "faulty", "sequence": 1, "timestamp": timestamp, "attempt": 3,
        "reason": { "kind": "invalid-input", "text": text }, "bytes": 6, "text": "poison",
    });
    assert_eq!(*letter, expected);
    // The file is appended to.
    expect(folder.path(), &["run"], 0, &["Dead letters 1 in `bad.jsonl`"]);
    assert_eq!(letters(&folder).len(), 2);
}

#[test]
fn a_stage_that_traps_or_is_stopped_begins_anew() {
    for (how, kind) in [("trap", "trap"), ("loop", "deadline"), ("grow", "memory")] {
        let folder = poisoned(how, "{ dead-letter = 'bad.jsonl' }");
        expect(folder.path(), &["run"], 0, &["Dead letters 1 in `bad.jsonl`"]);
        assert_eq!(fs::read_to_string(folder.path().join("output.txt")).unwrap(), "fine\nlast\n", "{how}");
        let [letter] = &letters(&folder)[..] else { panic!("{how}: {:?}", letters(&folder)) };
        assert_eq!((&letter["reason"]["kind"], &letter["text"]), (&kind.into(), &"poison".into()), "{how}");
    }
}

#[test]
fn what_is_left_out_is_told() {
    let folder = poisoned("fail", "'skip'");
    expect(folder.path(), &["run"], 0, &["warning: `faulty` failed at 1 element: skipped (`on-failure = \"skip\"`)"]);
    assert_eq!(fs::read_to_string(folder.path().join("output.txt")).unwrap(), "fine\nlast\n");
}

#[test]
fn what_is_tried_again_in_vain_stops_the_flow() {
    let folder = poisoned("fail", "{ retry = 2, backoff = '0ms' }");
    let said = ["failed in `process` at element 1", "told to fail in process"];
    expect(folder.path(), &["run"], 101, &said);
    assert!(!folder.path().join("output.txt").exists());
}

#[test]
fn a_file_of_dead_letters_that_cannot_be_is_told_before_anything_runs() {
    let folder = poisoned("fail", "{ dead-letter = 'no/bad.jsonl' }");
    expect(folder.path(), &["run"], 101, &["error[not-found]: directory `no` does not exist", "Torvyn.toml:10:30"]);
    let folder = poisoned("fail", "{ dead-letter = 'input.txt' }");
    expect(folder.path(), &["run"], 101, &["error[same-file]", "dead letters", "Torvyn.toml:10:"]);
    let folder = poisoned("fail", "{ dead-letter = '/proc/bad.jsonl' }");
    expect(folder.path(), &["run"], 101, &["cannot write dead letters to `/proc/bad.jsonl`"]);
    assert!(!folder.path().join("output.txt").exists());
}

#[test]
fn a_dead_letter_that_cannot_be_kept_fails_the_flow() {
    let folder = poisoned("fail", "{ dead-letter = '/dev/full' }");
    expect(folder.path(), &["run"], 101, &["dead letter", "cannot write `/dev/full`", "No space left"]);
    assert!(!folder.path().join("output.txt").exists());
}

/// A budget that was checked before the run is kept, whatever fails.
#[test]
fn what_may_run_keeps_its_budget() {
    // Each third line is read and failed on, in a call that returns, traps or times out.
    let lines: String = (0..30).map(|number| if number % 3 == 1 { "poison\n" } else { "fine\n" }).collect();
    for how in ["fail", "trap"] {
        for (batch, retry, calls) in [("", "", 2), ("batch = 1\n", "", 1), ("", "retry = 2, backoff = '0ms', ", 4)] {
            // One read in each call; the stage never writes.
            let with_budget = |copies: u32| {
                let stage = format!("{batch}budget = {{ reads = 1, writes = 1 }}\n");
                let whole = format!("[pipeline.main.budget]\ncopies = {copies}\namplification = {calls}\n");
                let folder = poisoned(how, &format!("{{ {retry}then = 'skip' }}\n{stage}{whole}"));
                fs::write(folder.path().join("input.txt"), &lines).unwrap();
                folder
            };
            let times = if calls == 1 { "1 time".to_string() } else { format!("{calls} times") };
            let said = format!("can be copied {times} on its path");
            expect(with_budget(calls - 1).path(), &["run"], 100, &[&said, "over its copy budget"]);
            let folder = with_budget(calls);
            let ran = expect(folder.path(), &["run", "--message-format", "json"], 0, &[]);
            assert_eq!(fs::read_to_string(folder.path().join("output.txt")).unwrap(), "fine\n".repeat(20));
            let summary: Value = serde_json::from_slice(&ran.stdout).unwrap();
            let stage = &summary["stages"][0];
            assert!(stage["reads_max"].as_u64().unwrap() <= calls.into(), "{how}, {batch}{retry}: {stage}");
            assert!(stage["copies"]["payload_read"]["ops"].as_u64().unwrap() <= 30 * u64::from(calls));
            let failed = stage["failed_copies"]["payload_read"]["ops"].as_u64().unwrap();
            assert!(failed > 0, "{stage}");
        }
    }
}
