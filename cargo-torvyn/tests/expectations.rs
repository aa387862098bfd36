//! The inputs and expectations of cases of `cargo torvyn test`: elements with metadata, JSON, schemas, regular
//! expressions, parts of pipelines, and large amounts.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use cli_tests::{command, expect_test as expect, said};

/// A folder with a pipeline of the components of the project, and these cases.
fn folder(cases: &str) -> tempfile::TempDir {
    cli_tests::folder(&format!("{PIPELINES}{cases}"))
}

const PIPELINES: &str = r#"
[pipeline.main]
stages = ["COMPONENTS/router.wasm", "COMPONENTS/transform.wasm"]

[pipeline.count]
stages = [{ component = "COMPONENTS/source.wasm", config = { count = 3 } }, "COMPONENTS/sink.wasm"]

[pipeline.ways]
stages = [
    { name = "first", component = "COMPONENTS/router.wasm" },
    { name = "upper", component = "COMPONENTS/transform.wasm", from = "first" },
    { name = "numbers", component = "COMPONENTS/source.wasm", config = { count = 2 } },
    { name = "last", component = "COMPONENTS/router.wasm", from = ["first", "upper", "numbers"] },
]
output = [{ name = "all", from = "last", discard = true }]
"#;

#[test]
fn elements_carry_the_metadata_that_is_given() {
    let folder = folder(
        r#"
[[test]]
name = "through a pipeline"
input.elements = [
    { text = "a", sequence = 7, timestamp = 2000-01-01T00:00:01Z, deadline = "5s" },
    { text = "b", trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    "c",
]
expect.output.elements = [
    { text = "A", sequence = 7, timestamp = 946684801000000000, deadline = "5s" },
    { text = "B", sequence = 8, trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    "C",
]

[[test]]
name = "in any order"
stage = "COMPONENTS/router.wasm"
input.elements = [{ text = "a", sequence = 5 }, { text = "a", sequence = 3 }]
expect.output = { elements = ["a", { text = "a", sequence = 5 }], any-order = true }

[[test]]
name = "otherwise"
input.elements = [{ text = "a", deadline = "5s" }, "b"]
expect.output.elements = [{ text = "A", deadline = "6s" }, { text = "B", deadline = "1s", sequence = 1 }]
"#,
    );
    let said = [
        "Pass",
        "through a pipeline",
        "Pass",
        "in any order",
        "Fail",
        "otherwise",
        "0 - \"A\" deadline 6s",
        "0 + \"A\" deadline 5s",
        "1 - \"B\" deadline 1s\n",
        "1 + \"B\" no deadline\n",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}

#[test]
fn json_that_elements_contain() {
    let folder = folder(
        r#"
[[test]]
name = "contained"
stage = "COMPONENTS/router.wasm"
input.lines = ['{"user": {"name": "a", "age": 3}, "tags": ["x"]}', '[1, 2.0]', '"text"']
expect.output.json = [{ user.name = "a", tags = ["x"] }, [1.0, 2], "text"]

[[test]]
name = "in any order"
stage = "COMPONENTS/router.wasm"
input.lines = ['{"a": 1, "b": 1}', '{"a": 1}']
expect.output = { json = [{ a = 1 }, { b = 1 }], any-order = true, count = 2 }

[[test]]
name = "otherwise"
stage = "COMPONENTS/router.wasm"
input.lines = ['{"user": {"name": "b"}}', '{"user": ', '{"n": 1}']
expect.output.json = [{ user.name = "a" }, { n = 9 }, { n = 1 }, {}]
"#,
    );
    let said = [
        "contained",
        "in any order",
        "Fail",
        "otherwise",
        "expected 4 elements, got 3",
        "0 - {\"user\":{\"name\":\"a\"}}",
        "0 + {\"user\":{\"name\":\"b\"}}",
        "$.user.name: expected \"a\", found \"b\"",
        "not valid JSON: EOF while parsing a value at line 1 column 9",
        "3 cases: 2 passed, 1 failed",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}

#[test]
fn elements_that_a_schema_accepts() {
    let folder = folder(
        r#"
[[test]]
name = "accepted"
stage = "COMPONENTS/router.wasm"
input.lines = ['{"id": 1}', '{"id": 2, "mail": "a@example.com"}']
expect.output.schema = "event.json"

[[test]]
name = "not accepted"
stage = "COMPONENTS/router.wasm"
input.lines = ['{"id": 1}', '{"id": "x"}', '{', '{"id": 1, "mail": "nobody"}']
expect.output.schema = "event.json"
"#,
    );
    let schema = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["id"],
        "properties": { "id": { "$ref": "common.json#/$defs/id" }, "mail": { "type": "string", "format": "email" } }
    }"#;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("event.json"), schema).unwrap();
    fs::write(path("common.json"), r#"{ "$defs": { "id": { "type": "integer" } } }"#).unwrap();
    let said = [
        "accepted",
        "Fail",
        "not accepted",
        "error[unexpected-output]: `output` has 3 elements that do not match the schema",
        "out of 4 elements",
        "1   \"{\\\"id\\\": \\\"x\\\"}\"",
        "$.id: want integer, but got string",
        "2   \"{\"",
        "not valid JSON: EOF while parsing an object at line 1 column 1",
        "$.mail: ",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
    for (schema, said) in [
        ("{", "not valid JSON"),
        (r#"{ "type": "nothing" }"#, "$.type: "),
        (r#"{ "$ref": "https://example.com/a.json" }"#, "nothing is downloaded"),
    ] {
        fs::write(path("event.json"), schema).unwrap();
        expect(folder.path(), &[], 101, &["error[bad-schema]: `event.json` is not a valid JSON Schema", said]);
    }
    fs::remove_file(path("event.json")).unwrap();
    expect(folder.path(), &[], 101, &["error[not-found]: `event.json` does not exist"]);
}

#[test]
fn elements_and_lines_that_match() {
    let folder = folder(
        r#"
[[test]]
name = "matches"
stage = "COMPONENTS/sink.wasm"
input.lines = ["one", "two"]
log.matches = '^\d elements, \d+ bytes$'

[[test]]
name = "matches nothing"
stage = "COMPONENTS/router.wasm"
input.elements = ["one", { hex = "ff 31" }]
expect.output.matches = ["^o", '\d']
"#,
    );
    let said = [
        "Pass",
        "Fail",
        "no element of `output` matches `\\d`",
        "searched 2 elements",
        "1 element is not UTF-8 and cannot match",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
    let wrong = self::folder("[[test]]\nname = 'a'\nlog.matches = 'a(b'\n");
    let said = [
        "error[bad-pattern]: `a(b` is not a valid regular expression: unclosed group",
        "log.matches = 'a(b'",
        "a(b\n",
        " ^",
    ];
    expect(wrong.path(), &[], 101, &said);
}

#[test]
fn a_part_of_a_pipeline() {
    let folder = folder(
        r#"
[[test]]
name = "to a stage"
to = "router"
input.lines = ["one", ""]
expect.output.lines = ["one"]
account = { copies = 0, verdict = "handle-pass" }

[[test]]
name = "from a stage"
from = "transform"
input.lines = ["", "two"]
expect.output.lines = ["", "TWO"]

[[test]]
name = "from a stage to a sink"
pipeline = "count"
from = "sink"
input.lines = ["a"]
log.lines = ["1 elements, 1 bytes"]

[[test]]
name = "two ways"
pipeline = "ways"
from = ["upper", "last"]
to = "last"
input.lines = ["x"]
expect.output = { lines = ["x", "X"], any-order = true }

[[test]]
name = "its source"
pipeline = "ways"
to = "numbers"
expect.output.lines = ["1", "2"]

[[test]]
name = "its end"
pipeline = "ways"
from = "last"
input.lines = ["x"]
expect.all.lines = ["x"]
"#,
    );
    expect(folder.path(), &["--no-fail-fast"], 0, &["6 cases: 6 passed"]);
    for (case, said) in [
        (
            "pipeline = 'ways'\nfrom = 'first'\nto = 'last'\ninput.lines = []",
            "error[not-a-part]: `last` also takes elements from `numbers`, which is outside of this part of `ways`",
        ),
        ("from = 'transform'\nto = 'router'", "error[not-a-part]: no element from `transform` reaches `router`"),
        ("from = 'transform'", "the case needs the key `input`: it starts at a stage"),
        ("to = 'sink'", "error[unknown-stage]: there is no stage `sink` in `main`"),
        ("to = 'router'\ninput.lines = []\naccount.stage.transform.reads = 0", "only a part of `main` is run"),
        ("pipeline = 'count'\nfrom = 'source'\ninput.lines = []", "error[unused-input]: nothing takes from the input"),
    ] {
        let folder = self::folder(&format!("[[test]]\nname = 'a'\n{case}\n"));
        expect(folder.path(), &[], 101, &[said]);
    }
}

#[test]
fn generated_elements_are_the_same_for_a_seed() {
    let case = |seed: u64| {
        format!(
            "[[test]]\nname = 'a'\nstage = 'COMPONENTS/router.wasm'\n\
             input.generate = {{ count = 100, size = {{ min = 1, max = 8 }}, seed = {seed} }}\n\
             expect.output = {{ file = 'made.bin', as = 'length-prefixed', count = 100 }}\n"
        )
    };
    let (folder, other) = (folder(&case(7)), folder(&case(8)));
    expect(folder.path(), &["--bless"], 0, &["Blessed"]);
    let made = fs::read(folder.path().join("made.bin")).unwrap();
    assert!((500..=1200).contains(&made.len()), "{}", made.len());
    expect(folder.path(), &[], 0, &["1 passed"]);
    fs::write(other.path().join("made.bin"), made).unwrap();
    expect(other.path(), &[], 100, &["`output` is not as expected", "more lines"]);
}

/// A hundred thousand unexpected elements, some of them long, and some with control characters.
#[test]
fn much_that_differs_is_told_in_few_lines() {
    let cases = "[[test]]\nname = 'many'\nstage = 'COMPONENTS/router.wasm'\ninput.generate = { count = 100000, size = 8 }\n\
                 expect.output.file = 'other.txt'\n\
                 [[test]]\nname = 'long'\nstage = 'COMPONENTS/router.wasm'\n\
                 input.elements = [{ file = 'long.txt' }, \"\\u001b[2J\", \"\\u202Ea\"]\n\
                 expect.output.elements = [{ file = 'other.txt' }, '', '']\n";
    let folder = folder(cases);
    fs::write(folder.path().join("other.txt"), "other\n".repeat(100_000)).unwrap();
    fs::write(folder.path().join("long.txt"), "x".repeat(5 << 20)).unwrap();
    let output = expect(
        folder.path(),
        &["--no-fail-fast"],
        100,
        &[
            "many",
            "0 - \"other\"",
            "0 + \"abcdefgh\"",
            "... and 199960 more lines",
            "long",
            "0 + \"xxx",
            "(5242880 bytes)",
            "hex 1b 5b 32 4a",
            "\\u202ea",
        ],
    );
    let said = said(&output);
    assert!(said.len() < 16_000 && said.lines().all(|line| line.len() < 200), "{}", said.len());
    assert!(!said.contains(['\u{1b}', '\u{202e}']));
}

/// A file larger than the memory that the process may use.
#[test]
fn an_input_larger_than_memory_is_streamed() {
    let cases = "[[test]]\nname = 'read'\nstage = 'COMPONENTS/router.wasm'\n\
                 input = { file = 'large', as = 'chunks', size = '64KiB' }\nexpect.output.count = 16384\naccount.copies = 0\n\
                 [[test]]\nname = 'not read'\nstage = 'COMPONENTS/router.wasm'\n\
                 input = { file = 'large', as = 'chunks', size = '8MiB' }\n\
                 expect.output = { count = 128, elements = [] }\n";
    let folder = folder(cases);
    fs::File::create(folder.path().join("large")).unwrap().set_len(1 << 30).unwrap();
    let mut command = command(folder.path(), &["test", "--no-fail-fast", "-j", "1"]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    while run.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = peak.unwrap_or(most);
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = run.wait_with_output().unwrap();
    let said = said(&output);
    assert!(said.contains("2 cases: 1 passed, 1 failed") && said.contains("hex 00 00"), "{said}");
    assert!(most < 400 << 10, "{most} kB");
}

#[test]
fn what_is_wrong_with_a_case_says_what_to_do() {
    for (case, said) in [
        ("input.lines = 'x'\nexpect.output.lnies = []", &["unknown key `lnies`", "did you mean `lines`?"][..]),
        ("input.lines = 3", &["error[wrong-type]", "expected a string or an array of strings, found an integer"]),
        ("input.file = 'no.txt'", &["error[not-found]: `no.txt` does not exist"]),
        ("input.lines = []\nexpect.outptu.count = 0", &["error[unknown-output]", "`output`"]),
        ("input.lines = []\nstage = { component = 'COMPONENTS/router.wasm', merge = 'priority' }", &["remove `merge`"]),
        (
            "input.lines = []\nstage = { component = 'COMPONENTS/router.wasm', deadline = '5s' }",
            &["error[not-a-source]"],
        ),
        ("input.lines = []\nexpect.output.contains = []", &["error[empty]: `contains` is empty"]),
        ("input.elements = [{ text = 'a', sequnce = 3 }]", &["unknown key `sequnce`", "did you mean `sequence`?"]),
        ("input.elements = [{ hex = 'f' }]", &["error[bad-encoding]", "a byte needs two digits"]),
    ] {
        let folder = folder(&format!("[[test]]\nname = 'a'\n{case}\n"));
        expect(folder.path(), &[], 101, said);
    }
    let folder = folder("");
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/a.toml"), b"[[test]]\nname = \"\xff\"\n").unwrap();
    expect(folder.path(), &[], 101, &["error[not-utf8]: `tests/a.toml` is not UTF-8", "tests/a.toml:2:9"]);
}

/// They follow the element, also if it is written again, and an expected element must have all of them.
#[test]
fn elements_carry_attributes() {
    let folder = folder(
        r#"
[[test]]
name = "through a pipeline"
input.elements = [{ text = "a", attributes = { tenant = "a", "zone.of" = "" } }, "b", "c"]
expect.output.elements = [
    { text = "A", attributes = { "zone.of" = "", tenant = "a" } },
    { text = "B", attributes = {} },
    "C",
]

[[test]]
name = "otherwise"
input.elements = [{ text = "a", attributes = { tenant = "a", zone = "b" } }, "b"]
expect.output.elements = [{ text = "A", attributes = { tenant = "a" } }, { text = "B", attributes = { x = "\"" } }]
"#,
    );
    let said = [
        "Pass",
        "through a pipeline",
        "Fail",
        "otherwise",
        "0 - \"A\" attributes { tenant = \"a\" }\n",
        "0 + \"A\" attributes { tenant = \"a\", zone = \"b\" }\n",
        "1 - \"B\" attributes { x = \"\\\"\" }\n",
        "1 + \"B\" attributes {}\n",
    ];
    expect(folder.path(), &["--no-fail-fast"], 100, &said);
}
