//! The simulated time of cases, which advances when a flow waits.

use std::time::{Duration, Instant};

use crate::{expect, folder};

#[test]
fn elements_come_at_their_times() {
    let cases = r#"
[[test]]
name = "at"
clock = 2026-01-01T00:00:00Z
input.elements = ["one", { text = "two", at = "600m" }, "three", { text = "four", at = "601m" }]
expect.output.elements = [
    { text = "ONE", timestamp = 2026-01-01T00:00:00Z },
    { text = "TWO", timestamp = 2026-01-01T10:00:00Z },
    { text = "THREE", timestamp = 2026-01-01T10:00:00Z },
    { text = "FOUR", timestamp = 2026-01-01T10:01:00Z },
]

[[test]]
name = "every"
clock = "2026-01-01T01:00:00+01:00"
input = { lines = ["one", "two", "three"], every = "1500ms" }
expect.output.elements = [
    { text = "ONE", timestamp = 2026-01-01T00:00:00Z },
    { text = "TWO", timestamp = 2026-01-01T00:00:01.5Z },
    { text = "THREE", timestamp = 2026-01-01T00:00:03Z },
]

[[test]]
name = "generated"
input = { generate = { count = 1000, size = 1 }, every = "1m" }
account.copies = 2000
expect.output.count = 1000

[[test]]
name = "begins"
input.lines = ["one"]
expect.output.elements = [{ text = "ONE", timestamp = 2000-01-01T00:00:00Z }]

[[test]]
name = "backoff"
stage = { component = "COMPONENTS/transform.wasm", on-failure = { retry = 3, backoff = "1s" } }
input = { elements = [{ text = "one", deadline = "6999ms" }, { text = "two", at = "7s" }] }
faults = [{ element = 0, fault = "unavailable", times = 3 }]
expect.output.elements = [{ text = "ONE", timestamp = 2000-01-01T00:00:00Z }, { text = "TWO", timestamp = 2000-01-01T00:00:07Z }]

[[test]]
name = "later"
input = { lines = ["one"], every = "1s" }
expect.output.elements = [{ text = "ONE", timestamp = 2000-01-01T00:00:01Z }]
"#;
    let folder = folder(cases);
    let began = Instant::now();
    let said = [
        "Pass",
        "at",
        "Pass",
        "every",
        "Pass",
        "generated",
        "Pass",
        "begins",
        "Pass",
        "backoff",
        "Fail",
        "later",
        "error[unexpected-output]",
        "6 cases: 5 passed, 1 failed",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
    assert!(began.elapsed() < Duration::from_secs(30), "nobody waits");
}

#[test]
fn times_that_make_no_sense_are_shown() {
    for (case, said) in [
        ("clock = 'noon'\ninput.lines = []", "expected a time such as 2000-01-01T00:00:00Z"),
        ("clock = 2026-01-01\ninput.lines = []", "error[bad-time]"),
        ("input.elements = [{ text = 'x', at = '2s' }, { text = 'y', at = '1s' }]", "error[out-of-order]"),
        ("input = { elements = [{ text = 'x', at = '2s' }], every = '1s' }", "error[conflicting-keys]"),
        ("input.lines = []\nexpect.output.elements = [{ text = 'x', at = '2s' }]", "unknown key `at`"),
    ] {
        expect(folder(&format!("[[test]]\nname = 'a'\n{case}\n")).path(), &[], 101, &[said]);
    }
}
