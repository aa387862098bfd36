//! Tests of parsing and comparing cases: texts, and the codes and places of their diagnostics.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use torvyn_runtime::Account;
use torvyn_runtime::contract::{Bounds, Kind, Verdict};
use torvyn_runtime::flow::account::{Elements, FailureUse, LeaseUse, StageAccount};
use torvyn_runtime::ledger::{Copies, Count};
use torvyn_runtime::payload::Pool;

use super::case::case_input;
use super::case::files;
use super::*;
use crate::cases::compare::element::Entry;
use crate::cases::compare::schema::Schema;
use crate::cases::run::failure::Failure;
use crate::cases::run::speed::Speed;
use crate::config::document;
use crate::config::toml_reader::{Field, Report};
use crate::manifest::{Broken, Manifest, partition};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::output::failure::FailureRecord;

const PIPELINES: &str = "default = 'a'\n\
     pipeline.a = { stages = ['x', { name = 'y', config = { n = 1, m = 2 } }] }\n\
     pipeline.b = { stages = [{ name = 'z', outputs = ['p', 'q'] }], output = [{ from = 'z.p', discard = true }, \
     { from = 'z.q', discard = true }] }\n\
     pipeline.m = { stages = ['v', { name = 'w', from = 'input' }, { name = 'j', from = ['v', 'w'] }] }\n\
     pipeline.o = { stages = [{ name = 'a', outputs = ['good', 'bad'] }, { name = 'b', from = 'a.good' }, 'c'], \
     output = [{ name = 'good', discard = true }, { name = 'bad', from = 'a.bad', discard = true }] }\n";

/// Parses the cases in the text of a valid manifest.
pub(crate) fn parse_manifest(text: &str, path: &Path) -> Vec<Result<Case, Broken>> {
    let mut report = Report { file: path, found: Diagnostics::default() };
    let Some(document) = document::parse(text, &mut report) else { return Vec::new() };
    Field::find(&document, "test").map(|field| Case::read_all(&field, &mut report)).unwrap_or_default()
}

/// Parses the cases of a text in one file with the pipelines.
fn read(cases: &str) -> Result<(Manifest, Vec<Case>), Diagnostics> {
    let (text, path) = (format!("{PIPELINES}{cases}"), Path::new("Torvyn.toml"));
    let manifest = Manifest::parse(&text, path)?;
    let (cases, broken) = partition(parse_manifest(&text, path));
    let mut found = Diagnostics::default();
    found.extend(broken.into_iter().flat_map(|broken| broken.found));
    found.sort_by_place();
    if found.is_empty() { Ok((manifest, cases)) } else { Err(found) }
}

/// Parses a text with a single case.
fn case(text: &str) -> Case {
    let (_, cases) = read(text).unwrap_or_else(|found| panic!("{}", shown(text, &found)));
    let [case] = &cases[..] else { panic!("{text}") };
    case.clone()
}

fn shown(text: &str, found: &Diagnostics) -> String {
    let mut sources = Sources::default();
    sources.add("Torvyn.toml", format!("{PIPELINES}{text}"));
    found.render(&sources, false)
}

/// The problems of a text with cases, and of their pipelines.
fn wrong(text: &str) -> Diagnostics {
    let (manifest, cases) = match read(text) {
        Ok(read) => read,
        Err(found) => return found,
    };
    let mut found = Diagnostics::default();
    found.extend(Case::duplicates(&cases).into_iter().flat_map(|duplicate| duplicate.found));
    let known = Case::by_name(&cases);
    found.extend(cases.iter().filter_map(|case| case.check_other(&cases, &known)));
    for case in &cases {
        if let Err(wrong) = Draft::new(case, &manifest) {
            found.extend(wrong);
        }
    }
    found
}

/// The keys of a case, and the expected codes with the text of their primary labels.
const CASES: &[(&str, &[(&str, &str)])] = &[
    ("", &[(codes::MISSING_KEY, "[[test]]")]),
    ("name = 'a'\nnaem = 1", &[(codes::UNKNOWN_KEY, "naem")]),
    ("name = ''", &[(codes::EMPTY, "''")]),
    ("name = \"a\\nb\"", &[(codes::BAD_NAME, "\"a\\nb\"")]),
    ("name = ' a'", &[(codes::BAD_NAME, "' a'")]),
    ("name = 1", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ntimeout = '1h'", &[(codes::BAD_DURATION, "'1h'")]),
    ("name = 'a'\ntimeout = '0s'", &[(codes::ZERO, "'0s'")]),
    // Pipeline and stage
    ("name = 'a'\npipeline = 'c'", &[(codes::UNKNOWN_PIPELINE, "'c'")]),
    ("name = 'a'\npipeline = 'a'\nstage = 'z'", &[(codes::UNKNOWN_STAGE, "'z'")]),
    ("name = 'a'\npipeline = 'a'\nstage = { name = 'x' }", &[(codes::WRONG_TYPE, "{ name = 'x' }")]),
    ("name = 'a'\nstage = { component = 'x', from = 'y' }", &[(codes::UNKNOWN_KEY, "from")]),
    ("name = 'a'\nstage = { component = 'x', merge = 'sequence' }", &[(codes::NOTHING_TO_MERGE, "merge")]),
    ("name = 'a'\nstage = 'x'\nfrom = 'x'", &[(codes::CONFLICTING_KEYS, "from")]),
    ("name = 'a'\nfrom = []", &[(codes::EMPTY, "[]")]),
    ("name = 'a'\nfrom = 1", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\nto = ['x']", &[(codes::WRONG_TYPE, "['x']")]),
    ("name = 'a'\nfrom = ['x', 'z']", &[(codes::UNKNOWN_STAGE, "'z'")]),
    ("name = 'a'\nto = 'z'", &[(codes::UNKNOWN_STAGE, "'z'")]),
    ("name = 'a'\nfrom = 'y'\nto = 'x'", &[(codes::NOT_A_PART, "'x'")]),
    ("name = 'a'\npipeline = 'm'\nfrom = ['v', 'j']\nto = 'w'", &[(codes::NOT_A_PART, "'w'")]),
    ("name = 'a'\npipeline = 'm'\nfrom = 'v'", &[(codes::NOT_A_PART, "'v'")]),
    ("name = 'a'\nfrom = 'y'\nconfig.x.n = 1", &[(codes::UNKNOWN_STAGE, "x")]),
    ("name = 'a'\nconfig.z.n = 1", &[(codes::UNKNOWN_STAGE, "z")]),
    ("name = 'a'\nconfig.n = 1", &[(codes::WRONG_TYPE, "n")]),
    ("name = 'a'\nstage = 'x'\nconfig = 1", &[(codes::WRONG_TYPE, "1")]),
    // Input
    ("name = 'a'\ninput = 1", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ninput = {}", &[(codes::MISSING_KEY, "{}")]),
    (
        "name = 'a'\ninput = { stdin = true }",
        &[(codes::MISSING_KEY, "{ stdin = true }"), (codes::UNKNOWN_KEY, "stdin")],
    ),
    ("name = 'a'\ninput = { lines = [], elements = [] }", &[(codes::CONFLICTING_KEYS, "elements")]),
    ("name = 'a'\ninput = { lines = [], as = 'lines' }", &[(codes::CONFLICTING_KEYS, "as")]),
    ("name = 'a'\ninput = { lines = ['a', 1] }", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ninput = { lines = 1 }", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ninput = { elements = 'a' }", &[(codes::WRONG_TYPE, "'a'")]),
    ("name = 'a'\ninput = { elements = [1] }", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ninput = { elements = [{ hex = '0' }] }", &[(codes::BAD_ENCODING, "'0'")]),
    ("name = 'a'\ninput = { elements = [{ base64 = 'Z' }] }", &[(codes::BAD_ENCODING, "'Z'")]),
    ("name = 'a'\ninput = { elements = [{ hex = '', text = '' }] }", &[(codes::CONFLICTING_KEYS, "text")]),
    ("name = 'a'\ninput = { elements = [{ hex = 1 }] }", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ninput.elements = [{ sequence = 1 }]", &[(codes::MISSING_KEY, "{ sequence = 1 }")]),
    ("name = 'a'\ninput.elements = [{ text = '', sequence = -1 }]", &[(codes::BAD_NUMBER, "-1")]),
    ("name = 'a'\ninput.elements = [{ text = '', timestamp = 'now' }]", &[(codes::WRONG_TYPE, "'now'")]),
    ("name = 'a'\ninput.elements = [{ text = '', timestamp = 2000-01-01 }]", &[(codes::BAD_TIME, "2000-01-01")]),
    ("name = 'a'\ninput.elements = [{ text = '', attributes = 'a' }]", &[(codes::WRONG_TYPE, "'a'")]),
    (
        r#"name = 'a'
           input.elements = [{ text = '', attributes = { '' = 'x', a = "\u001b", b = 1, c = 'fine' } }]"#,
        &[(codes::BAD_ATTRIBUTE, "'x'"), (codes::BAD_ATTRIBUTE, "\"\\u001b\""), (codes::WRONG_TYPE, "1")],
    ),
    ("name = 'a'\ninput.elements = [{ text = '', deadline = 1 }]", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\ninput.elements = [{ text = '', trace = true }]", &[(codes::WRONG_TYPE, "true")]),
    ("name = 'a'\ninput.elements = [{ text = '', trace = '00' }]", &[(codes::BAD_TRACEPARENT, "'00'")]),
    ("name = 'a'\nexpect.output.contains = { text = '', trace = '' }", &[(codes::UNKNOWN_KEY, "trace")]),
    ("name = 'a'\ninput.generate = { count = 1, size = { min = 2, max = 1 }, seed = 1 }", &[(codes::BAD_SIZE, "1")]),
    (
        "name = 'a'\ninput.generate = { count = 1, size = { min = 1, max = 2 } }",
        &[(codes::MISSING_KEY, "{ count = 1, size = { min = 1, max = 2 } }")],
    ),
    ("name = 'a'\ninput.generate = { count = 1, size = 1, seed = 'x' }", &[(codes::WRONG_TYPE, "'x'")]),
    ("name = 'a'\ninput = { generate = { count = 1 } }", &[(codes::MISSING_KEY, "{ count = 1 }")]),
    // Expectations
    ("name = 'a'\nexpect = 1", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\nexpect.lines = []", &[(codes::WRONG_TYPE, "lines")]),
    ("name = 'a'\nexpect.output = []", &[(codes::WRONG_TYPE, "[]")]),
    ("name = 'a'\nexpect.output.line = []", &[(codes::UNKNOWN_KEY, "line")]),
    ("name = 'a'\nexpect.output = { lines = [], file = 'a' }", &[(codes::CONFLICTING_KEYS, "file")]),
    ("name = 'a'\nexpect.output = { lines = [], as = 'raw' }", &[(codes::CONFLICTING_KEYS, "as")]),
    ("name = 'a'\nexpect.output = { as = 'raw' }", &[(codes::MISSING_KEY, "{ as = 'raw' }")]),
    ("name = 'a'\nexpect.output = { any-order = true }", &[(codes::MISSING_KEY, "{ any-order = true }")]),
    ("name = 'a'\nexpect.output = { lines = [], any-order = false }", &[(codes::UNKNOWN_VALUE, "false")]),
    ("name = 'a'\nexpect.output.count = -1", &[(codes::BAD_NUMBER, "-1")]),
    ("name = 'a'\nexpect.output.count = {}", &[(codes::MISSING_KEY, "{}")]),
    ("name = 'a'\nexpect.output.count = { mx = 1 }", &[(codes::MISSING_KEY, "{ mx = 1 }"), (codes::UNKNOWN_KEY, "mx")]),
    (
        "name = 'a'\nexpect.output = { file = 'a', as = 'raw', any-order = true }",
        &[(codes::CONFLICTING_KEYS, "any-order")],
    ),
    ("name = 'a'\nexpect.output.contains = []", &[(codes::EMPTY, "[]")]),
    ("name = 'a'\nexpect.output.matches = []", &[(codes::EMPTY, "[]")]),
    ("name = 'a'\nexpect.output.matches = 1", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\nexpect.output.matches = ['a', '(b']", &[(codes::BAD_PATTERN, "'(b'")]),
    ("name = 'a'\nlog.matches = 'a{9}{999999}{99999}'", &[(codes::BAD_PATTERN, "'a{9}{999999}{99999}'")]),
    ("name = 'a'\nexpect.matches = 'a'", &[(codes::WRONG_TYPE, "matches")]),
    ("name = 'a'\nexpect.output = { json = {}, lines = [] }", &[(codes::CONFLICTING_KEYS, "lines")]),
    ("name = 'a'\nexpect.output.json = { at = 2000-01-01 }", &[(codes::WRONG_TYPE, "2000-01-01")]),
    ("name = 'a'\nexpect.output.json = { n = [inf] }", &[(codes::BAD_NUMBER, "inf")]),
    ("name = 'a'\nexpect.output.schema = {}", &[(codes::WRONG_TYPE, "{}")]),
    ("name = 'a'\nlog.json = {}", &[(codes::UNKNOWN_KEY, "json")]),
    ("name = 'a'\nlog.any-order = true", &[(codes::MISSING_KEY, "log")]),
    ("name = 'a'\nlog.file = 'a'", &[(codes::UNKNOWN_KEY, "file")]),
    ("name = 'a'\naccount.verdict = 'zero-copy'", &[(codes::UNKNOWN_VALUE, "'zero-copy'")]),
    ("name = 'a'\naccount.amplification = -1", &[(codes::BAD_NUMBER, "-1")]),
    ("name = 'a'\nexpect.output.count = { min = 2, max = 1 }", &[(codes::BAD_NUMBER, "{ min = 2, max = 1 }")]),
    ("name = 'a'\naccount.amplification = { max = 0.5, min = 1 }", &[(codes::BAD_NUMBER, "{ max = 0.5, min = 1 }")]),
    ("name = 'a'\naccount.copies = 1.5", &[(codes::WRONG_TYPE, "1.5")]),
    ("name = 'a'\naccount.stage.x.stage = 1", &[(codes::UNKNOWN_KEY, "stage")]),
    ("name = 'a'\nfails = ''", &[(codes::EMPTY, "''")]),
    ("name = 'a'\nfails = true", &[(codes::WRONG_TYPE, "true")]),
    ("name = 'a'\nfails = {}", &[(codes::MISSING_KEY, "{}")]),
    // Time
    ("name = 'a'\nclock = 'now'", &[(codes::WRONG_TYPE, "'now'")]),
    ("name = 'a'\nclock = '2026-01-01T00:00:00'", &[(codes::BAD_TIME, "'2026-01-01T00:00:00'")]),
    ("name = 'a'\ninput = { lines = [], every = '0s' }", &[(codes::ZERO, "'0s'")]),
    (
        "name = 'a'\ninput = { elements = [{ text = 'x', at = '1s' }], every = '1s' }",
        &[(codes::CONFLICTING_KEYS, "every")],
    ),
    (
        "name = 'a'\ninput.elements = [{ text = '', at = '2s' }, 'y', { text = '', at = '1s' }]",
        &[(codes::OUT_OF_ORDER, "'1s'")],
    ),
    ("name = 'a'\ninput.elements = [{ text = '', at = 1 }]", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\nexpect.output.elements = [{ text = '', at = '1s' }]", &[(codes::UNKNOWN_KEY, "at")]),
    // Faults and dead letters
    ("name = 'a'\nseed = -1", &[(codes::BAD_NUMBER, "-1")]),
    ("name = 'a'\nfaults = {}", &[(codes::WRONG_TYPE, "{}")]),
    (
        "name = 'a'\nfaults = [{ element = 1, fault = 'trap' }]",
        &[(codes::MISSING_KEY, "{ element = 1, fault = 'trap' }")],
    ),
    ("name = 'a'\nstage = 'x'\nfaults = [{ fault = 'trap' }]", &[(codes::MISSING_KEY, "{ fault = 'trap' }")]),
    ("name = 'a'\nstage = 'x'\nfaults = [{ element = 1 }]", &[(codes::MISSING_KEY, "{ element = 1 }")]),
    (
        "name = 'a'\nstage = 'x'\nfaults = [{ element = 1, fault = 'trap', pause = '1s' }]",
        &[(codes::CONFLICTING_KEYS, "pause")],
    ),
    ("name = 'a'\nstage = 'x'\nfaults = [{ element = 1, fault = 'tarp' }]", &[(codes::UNKNOWN_VALUE, "'tarp'")]),
    ("name = 'a'\nstage = 'x'\nfaults = [{ element = 1, pause = 5 }]", &[(codes::WRONG_TYPE, "5")]),
    ("name = 'a'\nstage = 'x'\nfaults = [{ element = 1, fault = 'trap', times = 0 }]", &[(codes::ZERO, "0")]),
    ("name = 'a'\nfaults = [{ stage = 'z', element = 1, fault = 'trap' }]", &[(codes::UNKNOWN_STAGE, "'z'")]),
    ("name = 'a'\ndead-letters.z = {}", &[(codes::UNKNOWN_STAGE, "z")]),
    ("name = 'a'\ndead-letters.x = {}", &[(codes::NO_DEAD_LETTERS, "x")]),
    ("name = 'a'\ndead-letters = { count = 1 }", &[(codes::WRONG_TYPE, "count")]),
    ("name = 'a'\ndead-letters.x = { line = [] }", &[(codes::UNKNOWN_KEY, "line")]),
    ("name = 'a'\nstage = 'x'\ndead-letters = { reason = [1] }", &[(codes::WRONG_TYPE, "1")]),
    ("name = 'a'\nfails = 'x'\naccount.copies = 1", &[(codes::CONFLICTING_KEYS, "account")]),
    ("name = 'a'\nfails = 'x'\nspeed = { case = 'b', max = 1 }", &[(codes::CONFLICTING_KEYS, "speed")]),
    ("name = 'a'\nspeed = 1.5", &[(codes::WRONG_TYPE, "1.5")]),
    ("name = 'a'\nspeed = { max = 0 }", &[(codes::MISSING_KEY, "{ max = 0 }"), (codes::ZERO, "0")]),
    ("name = 'a'\nspeed = { case = '', max = -1 }", &[(codes::EMPTY, "''"), (codes::BAD_NUMBER, "-1")]),
    (
        "name = 'a'\nspeed = { case = 'b', min = 1 }",
        &[(codes::MISSING_KEY, "{ case = 'b', min = 1 }"), (codes::UNKNOWN_KEY, "min")],
    ),
    // Several cases
    ("name = 'a'\nspeed = { case = 'b', max = 1 }", &[(codes::UNKNOWN_CASE, "'b'")]),
    ("name = 'a'\nspeed = { case = 'a', max = 1 }", &[(codes::UNKNOWN_CASE, "'a'")]),
    ("name = 'a'\nspeed = { case = 'b', max = 1 }\n[[test]]\nname = 'b'\nfails = 'x'", &[(codes::UNKNOWN_CASE, "'b'")]),
    ("name = 'a'\nspeed = { case = 'b', max = 1 }\n[[test]]\nname = 'b'\nspeed = { case = 'a', max = 2 }", &[]),
    ("name = 'a'\n[[test]]\nname = \"a\"", &[(codes::DUPLICATE_NAME, "\"a\"")]),
];

fn codes_of_cases() -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    for (keys, expected) in CASES {
        let text = format!("[[test]]\n{keys}\n");
        let all = format!("{PIPELINES}{text}");
        let found = wrong(&text);
        let covered: Vec<_> =
            found.iter().map(|diagnostic| (diagnostic.code, &all[diagnostic.labels[0].span.clone()])).collect();
        assert_eq!(covered, *expected, "\n{text}\n{}", shown(&text, &found));
        codes.extend(found.iter().map(|diagnostic| diagnostic.code));
    }
    codes
}

/// The findings of a case for these actual elements.
fn judged(keys: &str, actual: &[&str]) -> Vec<Diagnostic> {
    let case = case(&format!("[[test]]\nname = 'a'\n{keys}\n"));
    let wanted = case.outputs[0].1.load(Path::new("Torvyn.toml"), false).unwrap();
    let mut collected = wanted.capture();
    actual.iter().for_each(|element| collected.add(Entry::plain(element.as_bytes().to_vec())));
    wanted.judge("`output`", Path::new("Torvyn.toml"), &collected)
}

/// The code of a fault whose element is not reached.
fn code_of_fault() -> &'static str {
    let text = "name = 'a'\nfaults = [{ stage = 'x', element = 7, fault = 'trap' }]\n";
    let case = case(&format!("[[test]]\n{text}"));
    let all = format!("{PIPELINES}[[test]]\n{text}");
    let actual = case.faults[0].not_reached("x", Path::new("Torvyn.toml"), Some(&account()));
    assert_eq!(actual.message, "`x` never reached element 7");
    assert_eq!(actual.labels[0].text, "it was given 4 elements (numbered from 0)");
    assert_eq!(&all[actual.labels[0].span.clone()], "{ stage = 'x', element = 7, fault = 'trap' }");
    actual.code
}

/// The account of a stage that was lent 4 elements of 10 bytes, read all and dropped one.
fn account() -> Account {
    let copies = Copies { payload_read: Count { ops: 4, bytes: 40 }, ..Copies::default() };
    let stage = StageAccount {
        name: "x".to_string(),
        kind: Kind::Processor,
        replicas: 1,
        verdict: Verdict::ReadOnly,
        proof: None,
        bounds: Bounds::default(),
        elements_in: 4,
        elements_out: 3,
        elements_dropped: 1,
        busy_ns: 1,
        copies,
        failed_copies: Copies::default(),
        reads_max: 1,
        writes_max: 0,
        writes_unchanged: 0,
        rewritten: Count::default(),
        given_up: Count::default(),
        leases: LeaseUse::default(),
        failures: FailureUse { calls: 3, retries: 2, skipped: 1, dead_letters: 0, restarts: 3 },
        log: Default::default(),
        amplification: Some(4.0 / 3.0),
    };
    Account {
        elements: Elements { entered: 4, left: 3, dropped: 1, ..Elements::default() },
        traces: Vec::new(),
        stages: vec![stage],
        endpoints: Vec::new(),
        copies,
        amplification: None,
        pool: Pool::default().usage(),
        wall_ns: 1,
        cancelled: false,
        cut_off: None,
    }
}

/// The findings of a case for that account.
fn accounted(keys: &str) -> Vec<String> {
    let case = case(&format!("[[test]]\nname = 'a'\n{keys}\n"));
    let found = case.account.judge(Path::new("Torvyn.toml"), &account());
    assert!(found.iter().all(|found| found.code == codes::UNEXPECTED_ACCOUNT));
    found.into_iter().map(|found| format!("{}, {}", found.message, found.labels[0].text)).collect()
}

/// Whether a case expects this failure, and its diagnostic otherwise.
fn failed(keys: &str, is_ours: bool) -> (bool, Diagnostic) {
    let case = case(&format!("[[test]]\nname = 'a'\n{keys}\n"));
    let causes = ["stage `x` failed in `init`".to_string(), "the stage returned invalid-input: no n".to_string()];
    let record = FailureRecord::new("stage-failed", "it failed");
    let failure = Failure { stage: Some("x".to_string()), causes: causes.into(), is_ours, record };
    (case.fails.as_ref().is_some_and(|expected| failure.matches(expected)), failure.diagnostic(&case))
}

/// Loads a schema with this text.
fn schema(text: &str) -> Result<(), Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a # b.json");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("other.json"), r#"{"type": "integer"}"#).unwrap();
    Schema::load(&path, Path::new("Torvyn.toml"), &(0..0)).map(|_| ())
}

#[test]
fn rejects_invalid_schemas_with_the_reason() {
    for text in ["true", "{}", r#"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "other.json"}"#] {
        assert_eq!(schema(text), Ok(()), "{text}");
    }
    for (text, reason) in [
        ("{", "not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "$: want "),
        (r#"{"properties": {"a": {"type": "strnig"}}}"#, "$.properties.a.type: "),
        (r#"{"type": "string", "pattern": "("}"#, "$.pattern: "),
        (r#"{"$ref": "https://example.com/schema.json"}"#, "nothing is downloaded: keep a copy beside the schema"),
        (r#"{"$ref": "absent.json"}"#, "absent.json"),
        (r##"{"$ref": "#/absent"}"##, "absent"),
    ] {
        let wrong = schema(text).unwrap_err();
        assert!(wrong.notes[0].contains(reason), "{text}: {wrong:?}");
        assert_eq!(wrong.code, codes::BAD_SCHEMA);
    }
}

/// Every code of cases, each checked.
pub(crate) fn codes() -> BTreeSet<&'static str> {
    let mut codes = codes_of_cases();
    codes.extend(judged("expect.output.count = 1", &[]).iter().map(|found| found.code));
    codes.extend([codes::UNEXPECTED_ACCOUNT]);
    assert_eq!(accounted("account.reads = 0").len(), 1);
    codes.insert(code_of_fault());
    let expected = case("[[test]]\nname = 'a'\nfails = { stage = 'x', text = 'no n' }\n");
    let missing = expected.fails.as_ref().unwrap().missing(expected.file());
    assert_eq!(missing.labels[0].text, "expected a failure of stage `x` with `no n`");
    let compared = case("[[test]]\nname = 'a'\nspeed = { case = 'a', max = 1.5 }\n");
    let (expected_speed, slow) = (compared.speed.as_ref().unwrap(), Speed::with_ratio("a", 1.6, 1.5));
    codes.extend(slow.judge(&compared, expected_speed).map(|found| found.code));
    assert_eq!(Speed::with_ratio("a", 1.5, 1.5).judge(&compared, expected_speed), None);
    codes.extend(schema("[]").err().map(|wrong| wrong.code));
    codes.extend([missing.code, failed("", false).1.code, expected.timed_out().code]);
    codes
}

#[test]
fn shows_elements_that_differ() {
    let text = "[[test]]\nname = 'a'\nexpect.output = { lines = ['one', 'two'], count = { min = 3 }, contains = ['z', 'o'] }\n";
    let found = judged(
        "expect.output = { lines = ['one', 'two'], count = { min = 3 }, contains = ['z', 'o'] }",
        &["one", "TWO"],
    );
    let found: Diagnostics = found.into_iter().fold(Diagnostics::default(), |mut all, one| {
        all.push(one);
        all
    });
    let expected = "\
error[unexpected-output]: `output` is not as expected
 --> Torvyn.toml:8:27
  |
8 | expect.output = { lines = ['one', 'two'], count = { min = 3 }, contains = ['z', 'o'] }
  |                           ^^^^^^^^^^^^^^ expected 2 elements, got 2
  |
  = note: `-` expected, `+` actual
             0   \"one\"
             1 - \"two\"
             1 + \"TWO\"

error[unexpected-output]: `output` has 2 elements
 --> Torvyn.toml:8:51
  |
8 | expect.output = { lines = ['one', 'two'], count = { min = 3 }, contains = ['z', 'o'] }
  |                                                   ^^^^^^^^^^^ expected at least 3

error[unexpected-output]: no element of `output` contains \"z\"
 --> Torvyn.toml:8:76
  |
8 | expect.output = { lines = ['one', 'two'], count = { min = 3 }, contains = ['z', 'o'] }
  |                                                                            ^^^ searched 2 elements
";
    assert_eq!(shown(text, &found), expected);
}

#[test]
fn accepts_elements_that_match() {
    for (keys, actual) in [
        ("expect.output.lines = ['a', 'b']", &["a", "b"][..]),
        ("expect.output.lines = \"a\\nb\\n\"", &["a", "b"]),
        ("expect.output.lines = ''", &[]),
        ("expect.output = { lines = ['b', 'a', 'b'], any-order = true }", &["a", "b", "b"]),
        ("expect.output = { elements = [{ hex = '61' }, { base64 = 'YQ==' }, { text = 'a' }] }", &["a", "a", "a"]),
        ("expect.output.count = 2", &["a", "b"]),
        ("expect.output.count = { min = 1, max = 2 }", &["a", "b"]),
        ("expect.output.contains = 'b'", &["a", "abc"]),
        ("expect.output.matches = ['^a$', 'B+']", &["a", "BB"]),
        ("expect.output.matches = '^\\w+$'", &["\u{e4}"]),
        ("expect.output = { json = [{ n = 1 }, 'x', [true]], count = 3 }", &["{\"n\":1.0,\"m\":2}", "\"x\"", "[true]"]),
        ("expect.output = { json = [{}, { a = 1 }], any-order = true }", &["{\"a\":1}", "{\"b\":1}"]),
        ("expect.output = {}", &["a"]),
    ] {
        assert!(judged(keys, actual).is_empty(), "{keys}");
    }
    for (keys, actual) in [
        ("expect.output.lines = ['a', 'b']", &["b", "a"][..]),
        ("expect.output.lines = []", &["a"]),
        ("expect.output = { lines = ['b', 'a'], any-order = true }", &["a", "a"]),
        ("expect.output.count = { max = 1 }", &["a", "b"]),
        ("expect.output.matches = ['^a$', 'B+']", &["ab", "BB"]),
        ("expect.output.json = {}", &["{}", "{}"]),
        ("expect.output.json = {}", &["[]"]),
        ("expect.output.json = []", &["[]"]),
        ("expect.output = { json = [{ b = 1 }, { a = 1 }], any-order = true }", &["{\"a\":1}", "{\"b\":2}"]),
    ] {
        assert_eq!(judged(keys, actual).len(), 1, "{keys}");
    }
}

/// There are more elements than are kept for the comparison.
#[test]
fn counts_elements_that_are_not_kept() {
    let actual = vec!["a"; 1000];
    assert_eq!(judged("expect.output = { lines = ['a'], any-order = true }", &actual).len(), 1);
    assert_eq!(judged("expect.output.lines = ['a']", &actual).len(), 1);
    let all = format!("expect.output.lines = {actual:?}");
    assert!(judged(&all, &actual).is_empty());
    assert!(judged("expect.output.count = 1000", &actual).is_empty());
}

#[test]
fn compares_the_account_with_what_is_expected() {
    let none: [&str; 0] = [];
    let as_it_is = "account = { copies = 4, reads = 4, writes = 0, dropped = 1, skipped = 1, dead-letters = 0, \
                    retries = 2, restarts = 3, verdict = 'read-only', \
                    stage.x = { reads = { max = 4 }, amplification = 1.33, verdict = 'read-only' } }";
    assert_eq!(accounted(as_it_is), none);
    let otherwise = "account = { copies = 0, writes = { min = 1 }, dropped = { min = 2, max = 3 }, amplification = 1, \
                     stage.x = { amplification = 1.3, verdict = 'handle-pass' } }";
    let expected = [
        "`copies` of all stages together is 4, expected 0",
        "`writes` of all stages together is 0, expected at least 1",
        "`dropped` of all stages together is 1, expected 2 to 3",
        "`amplification` of all stages together is undefined: no payload byte was offered, expected 1",
        "`amplification` of stage `x` is 1.33, expected 1.3",
        "`verdict` of stage `x` is `read-only`, expected `handle-pass`",
    ];
    assert_eq!(accounted(otherwise), expected);
}

#[test]
fn distinguishes_expected_from_other_failures() {
    for keys in ["fails = 'invalid-input'", "fails = 'failed in `init`'", "fails.stage = 'x'"] {
        assert!(failed(keys, false).0, "{keys}");
        assert!(!failed(keys, true).0, "an internal error is never expected");
    }
    for keys in ["", "fails = 'fatal'", "fails = { stage = 'y', text = 'no n' }"] {
        let (expected, told) = failed(keys, false);
        assert!(!expected, "{keys}");
        assert_eq!((told.message.as_str(), told.notes.len()), ("stage `x` failed in `init`", 1));
    }
    assert!(failed("", true).1.notes[1].contains("please report it"));
}

#[test]
fn a_single_stage_has_the_settings_of_its_case() {
    let text = "[[test]]\nname = 'a'\npipeline = 'b'\nstage = 'z'\nconfig = { n = 3 }\ntimeout = '5s'\n\
                [[test]]\nname = 'b'\nconfig.y = { n = 3, o = 4 }\n\
                [[test]]\nname = 'c'\nstage = { component = './w.wasm', limits.memory = '1MiB' }\n";
    let (manifest, cases) = read(text).unwrap();
    let drafts: Vec<_> = cases.iter().map(|case| Draft::new(case, &manifest).unwrap()).collect();
    let [alone, whole, written] = &drafts[..] else { panic!() };
    let names = |draft: &Draft<'_>| -> Vec<_> { draft.pipeline.outputs.iter().map(|out| out.name.clone()).collect() };
    assert_eq!(
        (names(alone), names(written)),
        (vec!["z.p".to_string(), "z.q".to_string()], vec!["output".to_string()])
    );
    assert_eq!(alone.pipeline.stages[0].config, [("n".to_string(), "3".to_string())]);
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    assert_eq!(whole.pipeline.stages[1].config, [pair("n", "3"), pair("m", "2"), pair("o", "4")]);
    assert_eq!((alone.case.timeout, whole.case.timeout), (Duration::from_secs(5), Duration::from_secs(60)));
    assert!(whole.runs("y") && !written.runs("w"));
}

#[test]
fn rejects_other_keys_in_a_file_of_cases() {
    let cases = files::parse("[[test]]\nname = 'a'\ninput.lines = []\n[pipeline.b]\n", Path::new("tests/a.toml"));
    let [Ok(case), Err(wrong)] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((&*case.name, wrong.found.iter().next().unwrap().code), ("a", codes::UNKNOWN_KEY));
}

#[test]
fn rejects_a_manifest_whose_cases_are_no_array() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Torvyn.toml");
    std::fs::write(&path, format!("{PIPELINES}[test]\nname = 'a'\n")).unwrap();
    let found = files::load(&path, &mut Sources::default()).unwrap_err();
    assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), [codes::WRONG_TYPE]);
}

#[test]
fn recognises_files_of_cases() {
    for text in [
        "[[test]]\nname = 'a'\n",
        "[test]\nname = 'a'\n",
        "[[tests]]\nname = 'a'\n",
        "[[Test]]\n",
        "[[case]]\nname = 'a'\n",
        "x = 1\n[[test]]\n",
        "[[test]\nname = 'a'\n",
        "# first\n  [[test]]\nname = 'a\n",
    ] {
        assert!(files::has_cases("a.toml", text), "{text}");
    }
    for text in [
        "",
        "# nothing yet\n",
        "[package]\nname = 'a'\n",
        "test = 1\n",
        "[test]\nstartup_wait = 5\n",
        "[text]\na = 'b'\n",
        "max_width = 120\n",
        "[[bin]]\nname = 'a'\n",
        "[[[",
    ] {
        assert!(!files::has_cases("a.toml", text), "{text}");
    }
    // A test target of cargo has the same key.
    assert!(!files::has_cases("Cargo.toml", "[package]\nname = 'a'\n[[test]]\nname = 'b'\n"));
}

#[test]
fn accepts_windows_line_ends() {
    let text = "[[test]]\nname = 'a'\ninput.lines = \"\"\"\nöne\n\ntwo\\r\nthree \\\n   four\n\"\"\"\n\
                expect.output.elements = ['''\na\nb''', { text = '''x\ny''', sequence = 1 }]\n";
    let unix = files::parse(text, Path::new("tests/a.toml"));
    let windows = files::parse(&text.replace('\n', "\r\n"), Path::new("tests/a.toml"));
    let [Ok(unix), Ok(windows)] = [&unix[0], &windows[0]] else { panic!("{unix:?} {windows:?}") };
    let elements = |case: &Case| {
        let case_input::Source::Written(elements) = case.input.as_ref().unwrap().source(case.file()).unwrap() else {
            panic!()
        };
        elements.iter().map(|element| String::from_utf8(element.bytes.clone()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(elements(unix), ["öne", "", "two\r", "three four"]);
    assert_eq!(elements(windows), elements(unix));
}

/// The stages of the part with their inputs, and the names of the outputs.
fn part(keys: &str) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let (manifest, cases) = read(&format!("[[test]]\nname = 'a'\n{keys}\n")).unwrap();
    let Draft { pipeline, .. } = Draft::new(&cases[0], &manifest).unwrap();
    let giver = |stage: usize, feed: usize| pipeline.feed(stage, feed).1.to_string();
    let feeds = |stage: usize| (0..pipeline.stages[stage].from.len()).map(|feed| giver(stage, feed)).collect();
    let stages = pipeline.stages.iter().enumerate();
    let stages = stages.map(|(index, stage)| (stage.name.clone(), feeds(index))).collect();
    (stages, pipeline.outputs.iter().map(|output| output.name.clone()).collect())
}

#[test]
fn extracts_parts_of_a_pipeline() {
    for (keys, stages, outputs) in [
        ("from = 'y'", &[("y", &["input"][..])][..], &[][..]),
        ("to = 'x'", &[("x", &["input"])], &["output"]),
        ("from = 'x'\nto = 'x'", &[("x", &["input"])], &["output"]),
        ("from = 'x'\nto = 'y'", &[("x", &["input"]), ("y", &["x"])], &["output"]),
        ("pipeline = 'b'\nto = 'z'", &[("z", &["input"])], &["z.p", "z.q"]),
        ("pipeline = 'm'\nfrom = 'j'", &[("j", &["input"])], &[]),
        ("pipeline = 'm'\nfrom = ['v', 'j']", &[("v", &["input"]), ("j", &["v", "input"])], &[]),
        ("pipeline = 'm'\nto = 'j'", &[("v", &["input"]), ("w", &["input"]), ("j", &["v", "w"])], &["output"]),
        ("pipeline = 'o'\nto = 'b'", &[("a", &["input"]), ("b", &["a"])], &["output", "a.bad"]),
        ("pipeline = 'o'\nfrom = 'b'", &[("b", &["input"]), ("c", &["b"])], &["good"]),
    ] {
        let stage = |(name, feeds): &(&str, &[&str])| {
            (name.to_string(), feeds.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (expected, outputs): (Vec<_>, Vec<_>) =
            (stages.iter().map(stage).collect(), outputs.iter().map(ToString::to_string).collect());
        assert_eq!(part(keys), (expected, outputs), "{keys}");
    }
}

/// The time to parse many cases grows linearly.
#[test]
fn parses_many_cases_in_linear_time() {
    let text: String = (0..20_000).map(|index| format!("[[test]]\nname = 'case-{index}'\n")).collect();
    assert_eq!(read(&text).unwrap().1.len(), 20_000);
}
