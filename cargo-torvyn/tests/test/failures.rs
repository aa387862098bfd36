//! Cases of stages that fail: by themselves, or by faults that the case injects.

use std::fs;

use crate::{expect, folder};

/// Pipelines whose stages continue after a failure, each with another policy.
const PIPELINES: &str = r#"
[pipeline.skips]
stages = ["COMPONENTS/router.wasm", { component = "COMPONENTS/transform.wasm", on-failure = "skip" }]

[pipeline.keeps]
stages = [{ name = "faulty", component = "COMPONENTS/inspector.wasm", config = { how = "fail", at = "process" }, on-failure.dead-letter = "bad.jsonl" }]

[pipeline.retries]
stages = [{ component = "COMPONENTS/transform.wasm", on-failure = { retry = 2, backoff = "10s" } }]
"#;

fn case(name: &str, pipeline: &str, rest: &str) -> String {
    format!("[[test]]\nname = '{name}'\npipeline = '{pipeline}'\n{rest}\n")
}

const LINES: &str = "input.lines = ['a', 'poison', 'c']\n";

/// As with expected elements of outputs.
#[test]
fn a_report_does_not_replace_expected_dead_letters() {
    let kept = case("kept", "keeps", &format!("{LINES}dead-letters.faulty = {{ file = 'letters.txt' }}"));
    let folder = folder(&format!("{PIPELINES}{kept}"));
    fs::write(folder.path().join("letters.txt"), "").unwrap();
    let text = "`./letters.txt` (the report) and `letters.txt` (a file of a case) are the same file";
    expect(folder.path(), &["--junit", "./letters.txt"], 2, &[text]);
}

#[test]
fn dead_letters_are_expected_and_go_to_no_file() {
    let kept = "expect.output.lines = ['a', 'c']\n\
        dead-letters.faulty = { lines = ['poison'], reason = ['invalid-input', 'told to fail'] }\n\
        account = { dead-letters = 1, skipped = 0, stage.faulty.dead-letters = 1 }";
    let cases = [
        case("kept", "keeps", &format!("{LINES}{kept}")),
        case("alone", "keeps", &format!("stage = 'faulty'\n{LINES}dead-letters = {{ count = 1, contains = 'pois' }}")),
        case(
            "trap",
            "keeps",
            &format!(
                "{LINES}config.faulty.how = 'trap'\n{}\naccount.restarts = 2",
                "dead-letters.faulty.reason = 'unreachable'"
            ),
        ),
        case("none", "keeps", "input.lines = ['a']\ndead-letters.faulty.count = 0"),
        case("others", "keeps", &format!("{LINES}dead-letters.faulty = {{ lines = ['a'], reason = 'fatal' }}")),
        case(
            "fewer",
            "keeps",
            &format!("{LINES}account = {{ dead-letters = 0, stage.faulty.restarts = {{ min = 1 }} }}"),
        ),
    ];
    let folder = folder(&format!("{PIPELINES}{}", cases.concat()));
    let said = [
        "Pass",
        "kept",
        "Pass",
        "alone",
        "Pass",
        "trap",
        "Pass",
        "none",
        "Fail",
        "others",
        "error[unexpected-output]: the list of dead letters of `faulty` is not as expected",
        "0 - \"a\"",
        "0 + \"poison\"",
        "no dead letter of `faulty` has a reason that contains `fatal`",
        "searched 1 dead letter",
        "the stage returned invalid-input: told to fail in process",
        "Fail",
        "fewer",
        "`dead-letters` of all stages together is 1",
        "`faulty` failed in 1 call: retries 0, skipped 0, dead letters 1, restarts 0",
        "`restarts` of stage `faulty` is 0",
        "expected at least 1",
        "6 cases: 4 passed, 2 failed",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
    assert!(!folder.path().join("bad.jsonl").exists());
}

#[test]
fn stages_suffer_what_a_case_says() {
    let faults = |faults: &str| format!("{LINES}faults = [{faults}]\n");
    let fails = |what: &str, text: &str| {
        let faults = faults(&format!("{{ stage = 'transform', element = 1, fault = '{what}' }}"));
        let rest = format!("fails = {{ stage = 'transform', text = '{text}' }}\nexpect.output.lines = ['A']");
        case(what, "main", &format!("{faults}{rest}"))
    };
    let skipped = "expect.output.lines = ['A', 'C']\naccount = { skipped = 1, restarts = 1 }";
    let retried = "expect.output.lines = ['A', 'POISON', 'C']\naccount = { retries = 2, stage.transform.retries = 2 }";
    let cases = [
        fails("trap", "trap"),
        fails("deadline", "exceeded its time limit"),
        fails("invalid-input", "invalid-input"),
        fails("unavailable", "unavailable"),
        fails("internal", "internal"),
        fails("deadline-exceeded", "deadline-exceeded"),
        fails("fatal", "fatal"),
        case("skip", "skips", &(faults("{ stage = 'transform', element = 1, fault = 'trap' }") + skipped)),
        case(
            "retry",
            "retries",
            &(faults("{ stage = 'transform', element = 1, fault = 'unavailable', times = 2 }") + retried),
        ),
        case(
            "give up",
            "retries",
            &(faults("{ stage = 'transform', element = 1, fault = 'unavailable', times = 3 }")
                + "fails = 'unavailable'"),
        ),
        case(
            "pause",
            "main",
            &(faults("{ stage = 'transform', element = 2, pause = '1m' }") + "expect.output.count = 3"),
        ),
        case(
            "source",
            "count",
            "stage = 'source'\nfaults = [{ element = 1, fault = 'unavailable' }]\nfails = 'unavailable'\nexpect.output.lines = ['1']",
        ),
    ];
    let folder = folder(&format!("{PIPELINES}{}", cases.concat()));
    let began = std::time::Instant::now();
    expect(folder.path(), &["--no-fail-fast"], 0, &["12 cases: 12 passed"]);
    assert!(began.elapsed().as_secs() < 20, "pauses and backoff are virtual");
}

/// A stage that writes returns the refusal as its failure; one that needs more memory of its own traps; one that needs
/// neither continues.
#[test]
fn refused_memory_is_seen_where_it_is_needed() {
    let refused = "faults = [{ stage = 'STAGE', element = 1, fault = 'allocation' }]\n";
    let lines = |stage: &str| format!("{LINES}{}", refused.replace("STAGE", stage));
    let large = "input.elements = ['a', { file = 'large' }, 'c']\n";
    let large_at = |stage: &str| format!("{large}{}", refused.replace("STAGE", stage));
    let [skipped, anew] = ["restarts = 0", "restarts = 1"]
        .map(|restarts| format!("expect.output.lines = ['A', 'C']\naccount = {{ skipped = 1, {restarts} }}"));
    let cases = [
        case("write", "main", &lines("transform")),
        case("read", "main", &large_at("transform")),
        case("write and skip", "skips", &(lines("transform") + &skipped)),
        case("read and skip", "skips", &(large_at("transform") + &anew)),
        case("read again", "retries", &(large_at("transform") + "expect.output.count = 3\naccount.restarts = 1")),
        case("read alone", "main", &format!("{large}expect.output.count = 3")),
        case("neither", "main", &(large_at("router") + "expect.output.count = 3")),
    ];
    let folder = folder(&format!("{PIPELINES}{}", cases.concat()));
    fs::write(folder.path().join("large"), vec![b'x'; 4 << 20]).unwrap();
    let said = [
        "Fail",
        "write",
        "error[unexpected-failure]: stage `transform` failed in `process` at element 1",
        "the stage returned limit-exceeded: a stage is refused payload memory by an injected fault",
        "Fail",
        "read",
        "error[unexpected-failure]: stage `transform` failed in `process` at element 1",
        "exceeded its memory limit of 64 MiB (`limits.memory`) and trapped",
        "Pass",
        "write and skip",
        "Pass",
        "read and skip",
        "Pass",
        "read again",
        "Pass",
        "read alone",
        "Pass",
        "neither",
        "7 cases: 5 passed, 2 failed",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}

#[test]
fn a_fault_that_never_came_fails_the_case() {
    let fault = |stage: &str| format!("{LINES}faults = [{{ stage = '{stage}', element = 3, fault = 'trap' }}]\n");
    let cases = [
        case("beyond", "main", &fault("transform")),
        case("expected", "main", &format!("{}fails = 'trap'", fault("router"))),
        case("other", "keeps", &format!("{LINES}faults = [{{ element = 3, fault = 'trap', stage = 'faulty' }}]\n")),
    ];
    let folder = folder(&format!("{PIPELINES}{}", cases.concat()));
    let said = [
        "Fail",
        "beyond",
        "error[fault-not-reached]: `transform` never reached element 3",
        "it was given 3 elements (numbered from 0)",
        "Fail",
        "expected",
        "error[missing-failure]",
        "error[fault-not-reached]: `router` never reached element 3",
        "Fail",
        "other",
        "error[fault-not-reached]",
        "3 cases: 0 passed, 3 failed",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}

#[test]
fn what_dead_letters_are_not_can_be_told() {
    let none = case("a", "main", "input.lines = []\ndead-letters.transform.count = 0");
    expect(folder(&none).path(), &[], 101, &["error[no-dead-letters]: stage `transform` keeps no dead letters"]);
    let unknown = case("a", "main", "input.lines = []\nfaults = [{ stage = 'rooter', element = 0, fault = 'trap' }]");
    expect(folder(&unknown).path(), &[], 101, &["error[unknown-stage]", "did you mean `router`?"]);
    let bless = case("a", "keeps", &format!("{LINES}dead-letters.faulty.file = 'bad.txt'"));
    let folder = folder(&format!("{PIPELINES}{bless}"));
    expect(folder.path(), &["--bless"], 0, &["Blessed `bad.txt`"]);
    assert_eq!(fs::read_to_string(folder.path().join("bad.txt")).unwrap(), "poison\n");
    expect(folder.path(), &[], 0, &["1 case: 1 passed"]);
}
