//! Tests of manifests: valid ones and their meaning, invalid ones and the codes and places of their errors.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, slice};

use torvyn_runtime::contract::{Stamp, TraceOrigin};
use torvyn_runtime::endpoint::{Framing, OutputFraming};
use torvyn_runtime::pipeline::graph::{Capacity, Merge, Role};
use torvyn_runtime::pipeline::policy::Then;

use super::feed::Origin;
use super::on_failure::OnFailure;
use super::stage::Limits;
use super::*;
use crate::cases::tests::parse_manifest;
use crate::endpoints::{input, output};
use crate::manifest::Unfit;
use crate::output::bad_component::BadComponent;

/// Parses roles: `s` is a source, `p` a processor, `k` a sink.
fn roles(letters: &str) -> Vec<Role> {
    let role = |letter| match letter {
        's' => Role::Source,
        'p' => Role::Processor,
        'k' => Role::Sink,
        _ => panic!("unknown role {letter}"),
    };
    letters.chars().map(role).collect()
}

fn parse(text: &str) -> Result<Manifest, Diagnostics> {
    Manifest::parse(text, Path::new("Torvyn.toml"))
}

/// The errors in a manifest and its cases.
fn errors_with_cases(text: &str) -> Diagnostics {
    let mut found = parse(text).err().unwrap_or_default();
    let (_, broken) = super::partition(parse_manifest(text, Path::new("Torvyn.toml")));
    found.extend(broken.into_iter().flat_map(|broken| broken.found));
    found
}

fn pipeline(text: &str) -> Pipeline {
    parse(text).unwrap_or_else(|found| panic!("{}", shown(text, &found))).select(None).unwrap().clone()
}

/// Compares types, values and order. Inputs and outputs are trait objects, which have no `==`.
fn assert_same(one: &(impl Debug + ?Sized), other: &(impl Debug + ?Sized)) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

fn shown(text: &str, found: &Diagnostics) -> String {
    let mut sources = Sources::default();
    sources.add("Torvyn.toml", text);
    found.render(&sources, false)
}

/// The errors in a manifest, or in its default pipeline if its stages have these roles.
fn errors(text: &str, letters: &str) -> Diagnostics {
    match parse(text) {
        Err(found) => found,
        Ok(_) if letters.is_empty() => Diagnostics::default(),
        Ok(manifest) => manifest.select(None).unwrap().wire(&roles(letters)).err().unwrap_or_default(),
    }
}

/// A manifest, the roles of its stages if the error depends on them, and the codes with the texts of their primary labels.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    // TOML
    ("[pipeline.main\n", "", &[(codes::SYNTAX, "")]),
    ("\u{feff}[pipeline.a]\nstages = 1", "", &[(codes::WRONG_TYPE, "1")]),
    ("", "", &[(codes::MISSING_KEY, "")]),
    ("[pipeline.a]\nstages = [\"x\"]\nstages = [\"y\"]\n", "", &[(codes::SYNTAX, "stages")]),
    // Keys
    ("[pipelines.main]\n", "", &[(codes::MISSING_KEY, ""), (codes::UNKNOWN_KEY, "pipelines")]),
    ("[pipeline.a]\nstage = [\"x\"]\n", "", &[(codes::MISSING_KEY, "[pipeline.a]"), (codes::UNKNOWN_KEY, "stage")]),
    ("pipeline = {}", "", &[(codes::EMPTY, "{}")]),
    ("pipeline = 1", "", &[(codes::WRONG_TYPE, "1")]),
    ("[pipeline]\nstages = [\"x\"]", "", &[(codes::WRONG_TYPE, "stages")]),
    (
        "pipeline.a.stages = [{ config = {}, limit = {} }]",
        "",
        &[(codes::MISSING_KEY, "{ config = {}, limit = {} }"), (codes::UNKNOWN_KEY, "limit")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { as = \"lines\" } }",
        "",
        &[(codes::MISSING_KEY, "{ as = \"lines\" }")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { file = \"f\", stdin = true } }",
        "",
        &[(codes::CONFLICTING_KEYS, "stdin")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { dir = \"d\", as = \"whole\" } }",
        "",
        &[(codes::CONFLICTING_KEYS, "as")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { file = \"f\", as = \"lines\", size = 3 } }",
        "",
        &[(codes::CONFLICTING_KEYS, "size")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { file = \"f\", size = 3 } }",
        "",
        &[(codes::MISSING_KEY, "{ file = \"f\", size = 3 }")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { file = \"f\", as = \"chunks\" } }",
        "",
        &[(codes::MISSING_KEY, "{ file = \"f\", as = \"chunks\" }")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { generate = { count = 3 } } }",
        "",
        &[(codes::MISSING_KEY, "{ count = 3 }")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], output = { discard = true, as = \"raw\" } }",
        "",
        &[(codes::CONFLICTING_KEYS, "as")],
    ),
    ("pipeline.a = { stages = [\"x\"], output = { as = \"raw\" } }", "", &[(codes::MISSING_KEY, "{ as = \"raw\" }")]),
    // Values
    ("pipeline.a = { stages = \"x\" }", "", &[(codes::WRONG_TYPE, "\"x\"")]),
    ("pipeline.a = { stages = [1, \"x\", 2.5] }", "", &[(codes::WRONG_TYPE, "1"), (codes::WRONG_TYPE, "2.5")]),
    ("pipeline.a = { stages = [{ name = 1 }] }", "", &[(codes::WRONG_TYPE, "1")]),
    ("pipeline.a = { stages = [\"x\"], input = 2024-01-01 }", "", &[(codes::WRONG_TYPE, "2024-01-01")]),
    ("pipeline.a = { stages = [\"x\"], output = [false] }", "", &[(codes::WRONG_TYPE, "false")]),
    ("pipeline.a = { stages = [\"x\"], output = { stdout = false } }", "", &[(codes::UNKNOWN_VALUE, "false")]),
    (
        "pipeline.a = { stages = [\"x\"], output = { stdout = true, as = \"row\" } }",
        "",
        &[(codes::UNKNOWN_VALUE, "\"row\"")],
    ),
    (
        "pipeline.a = { stages = [{ name = \"x\", from = 1, config = 2 }] }",
        "",
        &[(codes::WRONG_TYPE, "1"), (codes::WRONG_TYPE, "2")],
    ),
    ("pipeline.a = { stages = [] }", "", &[(codes::EMPTY, "[]")]),
    ("pipeline.a = { stages = [\"\"] }", "", &[(codes::EMPTY, "\"\"")]),
    ("pipeline.a = { stages = [{ name = \"x\", outputs = [] }] }", "", &[(codes::EMPTY, "[]")]),
    (
        "pipeline.a = { stages = [\"x\"], input = { generate = { count = -1, size = 0x1_0 } } }",
        "",
        &[(codes::BAD_NUMBER, "-1")],
    ),
    (
        "pipeline.a = { stages = [{ name = \"x\", config = { a = { n = 99999999999999999999 } } }] }",
        "",
        &[(codes::BAD_NUMBER, "99999999999999999999")],
    ),
    (
        "pipeline.a = { stages = [{ name = \"x\", config = { \"a.b\" = 1, a = { b = 2 } } }] }",
        "",
        &[(codes::DUPLICATE_CONFIG, "2")],
    ),
    (
        "pipeline.a = { stages = [{ name = \"x\", limits = { memory = \"64KB\", time = 3, handles = 0, component-size = \"1.5MiB\" } }] }",
        "",
        &[(codes::BAD_SIZE, "\"64KB\""), (codes::WRONG_TYPE, "3"), (codes::ZERO, "0"), (codes::BAD_SIZE, "\"1.5MiB\"")],
    ),
    (
        "pipeline.a = { stages = [\"x\"] }\n[runtime.pool]\nkeep = \"1 KB\"\nkept = 1\n[runtime.pool.classes]\n\"100KiB\" = \"1MiB\"\n128KiB = 2\n131072B = 3\nbig = 4",
        "",
        &[
            (codes::BAD_SIZE, "\"1 KB\""),
            (codes::UNKNOWN_KEY, "kept"),
            (codes::UNKNOWN_VALUE, "\"100KiB\""),
            (codes::CONFLICTING_KEYS, "131072B"),
            (codes::BAD_SIZE, "big"),
        ],
    ),
    ("pipeline.a = { stages = [\"x\"] }\nruntime.pools = 1", "", &[(codes::UNKNOWN_KEY, "pools")]),
    ("pipeline.a = { stages = [\"x\"] }\nruntime.drain = \"61m\"", "", &[(codes::BAD_DURATION, "\"61m\"")]),
    ("pipeline.a = { stages = [\"x\"] }\nruntime.drain = 10", "", &[(codes::WRONG_TYPE, "10")]),
    (
        "pipeline.a = { stages = [{ name = \"x\", limits = { time = \"1h\" } }] }",
        "",
        &[(codes::BAD_DURATION, "\"1h\"")],
    ),
    ("pipeline.a = { stages = [{ name = \"x\", limits = { time = \"0s\" } }] }", "", &[(codes::ZERO, "\"0s\"")]),
    (
        "pipeline.a = { stages = [{ name = \"x\", capacity = { elements = 0, bytes = \"1KiB\" } }] }",
        "",
        &[(codes::ZERO, "0")],
    ),
    ("pipeline.a = { stages = [{ name = \"x\", capacity = { bytes = \"0 B\" } }] }", "", &[(codes::ZERO, "\"0 B\"")]),
    (
        "pipeline.a = { stages = [\"x\"], input = { stdin = true, as = \"chunks\", size = 0 } }",
        "",
        &[(codes::ZERO, "0")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { file = \"f\", as = \"whole\", keep-newline = true } }",
        "",
        &[(codes::CONFLICTING_KEYS, "keep-newline")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { dir = \"d\", keep-newline = true } }",
        "",
        &[(codes::CONFLICTING_KEYS, "keep-newline")],
    ),
    ("pipeline.a = { stages = [\"x\"], input = { stdin = true, keep-newline = 1 } }", "", &[(codes::WRONG_TYPE, "1")]),
    // Deadlines and traces
    (
        "pipeline.a = { stages = [\"x\"], input = { stdin = true, deadline = \"1h\", trace = false } }",
        "",
        &[(codes::BAD_DURATION, "\"1h\""), (codes::UNKNOWN_VALUE, "false")],
    ),
    (
        "pipeline.a = { stages = [{ name = \"x\", deadline = 250, trace = 1 }] }",
        "",
        &[(codes::WRONG_TYPE, "250"), (codes::WRONG_TYPE, "1")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], input = { stdin = true, trace = \"00-1-2-01\" } }",
        "",
        &[(codes::BAD_TRACEPARENT, "\"00-1-2-01\"")],
    ),
    ("pipeline.a = { stages = [{ name = \"x\", deadline = \"1s\" }] }", "p", &[(codes::NOT_A_SOURCE, "deadline")]),
    ("pipeline.a = { stages = [\"y\", { name = \"x\", trace = true }] }", "sk", &[(codes::NOT_A_SOURCE, "trace")]),
    // Replicas
    (
        "pipeline.a = { stages = [{ name = 'x', replicas = 0 }, { name = 'y', replicas = 65 }] }",
        "",
        &[(codes::ZERO, "0"), (codes::BAD_NUMBER, "65")],
    ),
    (
        "pipeline.a = { stages = [{ name = 'x', replicas = 'atuo' }, { name = 'y', replicas = true, stateless = false }] }",
        "",
        &[(codes::UNKNOWN_VALUE, "'atuo'"), (codes::WRONG_TYPE, "true"), (codes::UNKNOWN_VALUE, "false")],
    ),
    ("pipeline.a = { stages = [{ name = 'x', replicas = 2 }] }", "s", &[(codes::REPLICAS_WITH_STATE, "2")]),
    (
        "pipeline.a = { stages = ['y', { name = 'x', replicas = 'auto' }] }",
        "sk",
        &[(codes::REPLICAS_WITH_STATE, "'auto'")],
    ),
    // Delivery
    ("pipeline.a = { stages = ['x'], delivery = 'once' }", "", &[(codes::UNKNOWN_VALUE, "'once'")]),
    (
        "pipeline.a = { stages = ['x'], delivery = 'at-least-once' }",
        "",
        &[(codes::UNPROVEN_DELIVERY, "'at-least-once'")],
    ),
    (
        "pipeline.a = { input = { file = 'a', start = 'end' }, stages = ['x'], delivery = 'at-least-once' }",
        "",
        &[(codes::UNPROVEN_DELIVERY, "'at-least-once'")],
    ),
    // Budgets
    ("pipeline.a = { stages = ['x'], budget = { copy = 1 } }", "", &[(codes::UNKNOWN_KEY, "copy")]),
    (
        "pipeline.a = { stages = ['x'], budget = { copies = 0.5, amplification = '1x' } }",
        "",
        &[(codes::WRONG_TYPE, "0.5"), (codes::WRONG_TYPE, "'1x'")],
    ),
    (
        "pipeline.a = { stages = ['x'], budget = { copies = -1, amplification = -0.5 } }",
        "",
        &[(codes::BAD_NUMBER, "-1"), (codes::BAD_NUMBER, "-0.5")],
    ),
    ("pipeline.a = { stages = ['x'], budget.amplification = inf }", "", &[(codes::BAD_NUMBER, "inf")]),
    ("pipeline.a = { stages = ['x'], budget.amplification = nan }", "", &[(codes::BAD_NUMBER, "nan")]),
    ("pipeline.a = { stages = ['x'], budget.amplification = -1 }", "", &[(codes::BAD_NUMBER, "-1")]),
    ("pipeline.a = { stages = ['x'], budget = 2 }", "", &[(codes::WRONG_TYPE, "2")]),
    (
        "pipeline.a = { stages = [{ name = \"x\", budget = { reads = -2, workspace = true } }] }",
        "",
        &[(codes::BAD_NUMBER, "-2"), (codes::UNKNOWN_KEY, "workspace")],
    ),
    // Batches
    ("pipeline.a = { stages = [{ name = 'x', batch = 0 }] }", "", &[(codes::ZERO, "0")]),
    ("pipeline.a = { stages = [{ name = 'x', batch = 257 }] }", "", &[(codes::BAD_NUMBER, "257")]),
    ("pipeline.a = { stages = [{ name = 'x', batch = -1 }] }", "", &[(codes::BAD_NUMBER, "-1")]),
    ("pipeline.a = { stages = [{ name = 'x', batch = '1' }] }", "", &[(codes::WRONG_TYPE, "'1'")]),
    // Failed elements
    ("pipeline.a = { stages = [{ name = 'x', on-failure = 1 }] }", "", &[(codes::WRONG_TYPE, "1")]),
    ("pipeline.a = { stages = [{ name = 'x', on-failure = 'skp' }] }", "", &[(codes::UNKNOWN_VALUE, "'skp'")]),
    ("pipeline.a = { stages = [{ name = 'x', on-failure = 'retry' }] }", "", &[(codes::UNKNOWN_VALUE, "'retry'")]),
    ("pipeline.a = { stages = [{ name = 'x', on-failure = {} }] }", "", &[(codes::MISSING_KEY, "{}")]),
    ("pipeline.a = { stages = [{ name = 'x', on-failure.retry = 0 }] }", "", &[(codes::ZERO, "0")]),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure = { retries = 1, then = 'dead-letter' } }] }",
        "",
        &[(codes::UNKNOWN_KEY, "retries"), (codes::UNKNOWN_VALUE, "'dead-letter'")],
    ),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure = { backoff = '1s', then = 'skip' } }] }",
        "",
        &[(codes::MISSING_KEY, "{ backoff = '1s', then = 'skip' }")],
    ),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure = { retry = 1, backoff = '61s' } }] }",
        "",
        &[(codes::BAD_DURATION, "'61s'")],
    ),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure = { then = 'skip', dead-letter = 'f' } }] }",
        "",
        &[(codes::CONFLICTING_KEYS, "then")],
    ),
    ("pipeline.a = { stages = [{ name = 'x', on-failure.dead-letter = '-' }] }", "", &[(codes::UNKNOWN_VALUE, "'-'")]),
    ("pipeline.a = { stages = [{ name = 'x', on-failure = 'skip' }] }", "s", &[(codes::SOURCE_CANNOT_SKIP, "'skip'")]),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure = { retry = 1, dead-letter = 'f' } }] }",
        "s",
        &[(codes::SOURCE_CANNOT_SKIP, "'f'")],
    ),
    // Names
    ("pipeline.\"a b\" = { stages = [\"x\"] }", "", &[(codes::BAD_NAME, "\"a b\"")]),
    ("pipeline.a = { stages = [\"./x.y.wasm\"] }", "", &[(codes::BAD_NAME, "\"./x.y.wasm\"")]),
    // An invalid name causes no further errors.
    (
        "pipeline.a = { output = { file = \"o\", from = \"x.y\" }, stages = [\"./x.y.wasm\", { name = \"z\", from = \"x.y\" }] }",
        "",
        &[(codes::BAD_NAME, "\"./x.y.wasm\"")],
    ),
    ("pipeline.a = { stages = [{ name = \"x\", outputs = [\"a.b\"] }] }", "", &[(codes::BAD_NAME, "\"a.b\"")]),
    ("pipeline.a = { stages = [\"input\"] }", "", &[(codes::RESERVED_NAME, "\"input\"")]),
    (
        "pipeline.a = { stages = [{ component = \"x\", name = \"output\" }] }",
        "",
        &[(codes::RESERVED_NAME, "\"output\"")],
    ),
    ("pipeline.a = { stages = [\"x\", \"y\", \"x\"] }", "", &[(codes::DUPLICATE_NAME, "\"x\"")]),
    (
        "pipeline.a = { stages = [\"x\"], output = { name = \"x\", stdout = true } }",
        "",
        &[(codes::DUPLICATE_NAME, "\"x\"")],
    ),
    ("pipeline.a = { stages = [{ name = \"x\", outputs = [\"b\", 'b'] }] }", "", &[(codes::DUPLICATE_OUTPUT, "'b'")]),
    ("default = \"mian\"\npipeline.main.stages = [\"x\"]", "", &[(codes::UNKNOWN_PIPELINE, "\"mian\"")]),
    // Inputs of stages
    ("pipeline.a = { stages = [\"x\", { name = \"y\", from = \"z\" }] }", "", &[(codes::UNKNOWN_STAGE, "\"z\"")]),
    (
        "pipeline.a = { stages = [\"x\"], output = { stdout = true, from = [\"x\", \"xx\"] } }",
        "",
        &[(codes::UNKNOWN_STAGE, "\"xx\"")],
    ),
    ("pipeline.a = { stages = [{ name = \"x\", from = \"input.a\" }] }", "", &[(codes::UNKNOWN_OUTPUT, "\"input.a\"")]),
    (
        "pipeline.a = { stages = [\"x\", { name = \"y\", from = \"x.err\" }] }",
        "",
        &[(codes::UNKNOWN_OUTPUT, "\"x.err\"")],
    ),
    (
        "pipeline.a = { stages = [\"x\", { name = \"y\", from = [\"x\", 'x.out'] }] }",
        "",
        &[(codes::DUPLICATE_FROM, "'x.out'")],
    ),
    (
        "pipeline.a = { stages = [\"x\", { name = \"y\", from = ['x', 'input'], merge = \"ordered\" }] }",
        "",
        &[(codes::UNKNOWN_VALUE, "\"ordered\"")],
    ),
    (
        "pipeline.a = { stages = [\"x\", { name = \"y\", from = ['x'], merge = \"sequence\" }] }",
        "",
        &[(codes::NOTHING_TO_MERGE, "\"sequence\"")],
    ),
    (
        "pipeline.a = { stages = [\"x\"], output = { stdout = true, merge = \"priority\" } }",
        "",
        &[(codes::NOTHING_TO_MERGE, "\"priority\"")],
    ),
    // Errors of the graph
    ("pipeline.a = { stages = [{ name = \"x\", from = [] }] }", "p", &[(codes::NO_INPUT, "[]")]),
    (
        "pipeline.a = { stages = [\"x\"], output = { stdout = true, from = [] } }",
        "k",
        &[(codes::NO_INPUT, "{ stdout = true, from = [] }")],
    ),
    (
        "pipeline.a = { stages = [\"x\", { name = \"y\", from = \"input\" }] }",
        "pp",
        &[(codes::UNCONNECTED_OUTPUT, "\"x\"")],
    ),
    (
        "pipeline.a = { stages = [{ name = \"x\", outputs = [\"a\", \"b\"] }] }",
        "p",
        &[(codes::UNCONNECTED_OUTPUT, "\"b\"")],
    ),
    ("pipeline.a = { stages = [\"x\", \"y\"] }", "ps", &[(codes::UNCONNECTED_OUTPUT, "\"x\"")]),
    ("pipeline.a = { stages = [{ name = \"x\", from = \"y\" }, \"y\"] }", "pp", &[(codes::CYCLE, "\"y\"")]),
    ("pipeline.a = { stages = [{ name = \"x\", from = ['input', 'x'] }] }", "p", &[(codes::CYCLE, "'x'")]),
    ("pipeline.a = { stages = [\"x\", { name = \"y\", from = 'x' }] }", "ss", &[(codes::FROM_ON_SOURCE, "'x'")]),
    ("pipeline.a = { stages = [\"x\", \"y\"] }", "kp", &[(codes::FROM_SINK, "\"y\"")]),
    ("pipeline.a = { stages = [\"x\", { name = \"y\", from = 'x' }] }", "kp", &[(codes::FROM_SINK, "'x'")]),
    ("pipeline.a = { stages = [\"x\"], output = 'o' }", "k", &[(codes::FROM_SINK, "'o'")]),
    // Settings without effect, and files that would be lost
    ("pipeline.a = { stages = [\"x\", { name = \"y\", outputs = ['a'] }] }", "pk", &[(codes::OUTPUTS_ON_SINK, "'a'")]),
    ("pipeline.a = { stages = [\"x\"], input = 'i' }", "s", &[(codes::UNUSED_INPUT, "'i'")]),
    ("pipeline.a = { stages = [\"x\"], input = 'f', output = \"f\" }", "p", &[(codes::SAME_FILE, "\"f\"")]),
    ("pipeline.a = { stages = [\"x\"], output = ['-', \"-\"] }", "p", &[(codes::SAME_FILE, "\"-\"")]),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure.dead-letter = \"f\" }], output = 'f' }",
        "p",
        &[(codes::SAME_FILE, "\"f\"")],
    ),
];

/// Checks the table above and returns its codes.
fn codes_of_cases() -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    for (text, letters, expected) in CASES {
        let found = errors(text, letters);
        let covered: Vec<_> =
            found.iter().map(|diagnostic| (diagnostic.code, &text[diagnostic.labels[0].span.clone()])).collect();
        assert_eq!(covered, *expected, "\n{text}\n{}", shown(text, &found));
        codes.extend(found.iter().map(|diagnostic| diagnostic.code));
    }
    codes
}

/// Checks unreadable manifests and files, and returns the codes.
fn codes_of_files() -> Vec<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Torvyn.toml");
    let mut sources = Sources::default();
    let mut load = |path: &Path| Manifest::load(path, &mut sources).map_err(|found| found.into_iter().next().unwrap());
    let absent = load(&path).unwrap_err();
    let directory = load(folder.path()).unwrap_err();
    fs::write(&path, b"[pipeline.main]\n# gr\xfc\xdf\n").unwrap();
    let latin = load(&path).unwrap_err();
    assert_eq!(latin.labels[0].span, 20..23);
    let name_too_long = load(&folder.path().join("x".repeat(5000))).unwrap_err();

    fs::write(&path, "pipeline.a = { stages = ['./absent.wasm', './there.wasm'], input.dir = 'there.wasm' }").unwrap();
    fs::write(folder.path().join("there.wasm"), "").unwrap();
    let paths: Vec<_> = load(&path).unwrap().select(None).unwrap().check_paths().into_iter().collect();
    assert_eq!(paths.iter().map(|d| d.labels[0].span.clone()).collect::<Vec<_>>(), [25..40, 59..64]);
    let codes: Vec<_> = [absent, directory, latin, name_too_long].into_iter().chain(paths).map(|d| d.code).collect();
    let (not_found, unreadable) = (codes::NOT_FOUND, codes::UNREADABLE);
    assert_eq!(
        codes,
        [not_found, codes::IS_A_DIRECTORY, codes::NOT_UTF8, unreadable, not_found, codes::NOT_A_DIRECTORY]
    );
    codes
}

/// Checks errors in the use of a valid manifest, and returns the codes.
fn codes_of_uses() -> Vec<&'static str> {
    let manifest =
        parse("[pipeline.b]\nstages = ['uper', './x.wasm']\n[pipeline.a]\nstages = ['x']\noutput = ['o', 'p']")
            .unwrap();
    assert_eq!(manifest.select(Some("a")).unwrap().name, "a");
    let one = |found: Diagnostics| found.into_iter().next().unwrap();
    let several = one(manifest.select(None).unwrap_err());
    assert_eq!(several.help.as_deref(), Some("name one of `b`, `a`, or set `default` in Torvyn.toml"));
    let unknown = one(manifest.select(Some("c")).unwrap_err());
    assert_eq!(unknown.help.as_deref(), Some("the pipelines are `b`, `a`"));

    let packages: Vec<_> = manifest.pipelines[0].check_packages(&["upper", "x"], |_| None).into_iter().collect();
    assert_eq!((packages.len(), packages[0].labels[0].span.clone()), (1, 23..29));
    assert!(packages[0].help.as_ref().unwrap().starts_with("did you mean `upper`? the packages are `upper`, `x`"));

    let unfit =
        |package: &str| (package == "uper").then(|| Unfit { why: "`uper` is no stage".into(), help: "x".into() });
    let unfit: Vec<_> = manifest.pipelines[0].check_packages(&["x"], unfit).into_iter().collect();
    assert_eq!((unfit.len(), unfit[0].message.as_str()), (1, "`uper` is no stage"));

    let causes = vec!["cannot load x.wasm".to_string(), "it is empty".to_string()];
    let bad = manifest.pipelines[0].bad_component(0, &BadComponent { causes, help: None });
    assert_eq!((bad.message.as_str(), bad.labels[0].span.clone()), ("cannot load x.wasm: it is empty", 23..29));

    let outputs = manifest.pipelines[1].clone().with_output(output::discard()).unwrap_err();
    assert_eq!(outputs.message, "`a` has several outputs: `output`, `output-2`");
    let too_many: Vec<_> = (0..33).map(|index| format!("'o{index}'")).collect();
    let text = format!("pipeline.a = {{ stages = [{{ name = 'x', outputs = [{}] }}] }}", too_many.join(","));
    let too_many = errors(&text, "").into_iter().next().unwrap();
    assert_eq!(&text[too_many.labels[0].span.clone()], "'o32'");
    let all = [several, unknown, bad, outputs, too_many].into_iter().chain(packages).chain(unfit);
    all.map(|diagnostic| diagnostic.code).collect()
}

/// The codes that the tests of manifests produce.
pub(crate) fn codes() -> BTreeSet<&'static str> {
    let mut codes = codes_of_cases();
    codes.extend(codes_of_files());
    codes.extend(codes_of_uses());
    codes.extend(codes_of_limits());
    codes
}

/// Checks the maximum numbers of stages and outputs, and returns the codes.
fn codes_of_limits() -> Vec<&'static str> {
    let many = |items: &str| {
        let text = items.replace("MANY", &vec!["{ component = 'x' }"; 1001].join(", "));
        let found = errors(&text, "");
        assert!(found.iter().count() >= 1 && shown(&text, &found).contains("first one over the limit"), "{items}");
        found.into_iter().next().unwrap().code
    };
    let codes =
        vec![many("pipeline.a = { stages = [MANY] }"), many("pipeline.a = { stages = ['x'], output = [MANY] }")];
    assert_eq!(codes, [codes::TOO_MANY_STAGES; 2]);
    codes
}

/// The kind of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    /// A whole number.
    Count,
    /// Bytes, as a number or with a unit.
    Size,
    /// Milliseconds, with a unit.
    Duration,
}

/// Every number in a manifest or a case: its place, kind and range.
const NUMBERS: &[(&str, Number, u128, u128)] = &[
    ("pipeline.a = { stages = ['x'], input = { generate = { count = @, size = 1 } } }", Number::Count, 0, 1 << 53),
    ("pipeline.a = { stages = ['x'], input = { generate = { count = 1, size = @ } } }", Number::Size, 0, 64 << 20),
    (
        "pipeline.a = { stages = ['x'], input = { generate = { count = 1, size = { min = 0, max = @ }, seed = 1 } } }",
        Number::Size,
        0,
        64 << 20,
    ),
    (
        "pipeline.a = { stages = ['x'], input = { generate = { count = 1, size = 1, seed = @ } } }",
        Number::Count,
        0,
        u64::MAX as u128,
    ),
    ("pipeline.a = { stages = ['x'], input = { file = 'f', as = 'chunks', size = @ } }", Number::Size, 1, 64 << 20),
    ("pipeline.a = { stages = ['x'], input = { file = 'f', deadline = @ } }", Number::Duration, 1, 31_622_400_000),
    ("pipeline.a = { stages = [{ name = 'x', capacity = { elements = @ } }] }", Number::Count, 1, 1_000_000),
    ("pipeline.a = { stages = [{ name = 'x', capacity = { bytes = @ } }] }", Number::Size, 1, 1 << 40),
    ("pipeline.a = { stages = [{ name = 'x', deadline = @ }] }", Number::Duration, 1, 31_622_400_000),
    ("pipeline.a = { stages = [{ name = 'x', limits = { memory = @ } }] }", Number::Size, 1, 64 << 30),
    ("pipeline.a = { stages = [{ name = 'x', limits = { time = @ } }] }", Number::Duration, 1, 86_400_000),
    ("pipeline.a = { stages = [{ name = 'x', limits = { handles = @ } }] }", Number::Count, 1, 1_000_000),
    ("pipeline.a = { stages = [{ name = 'x', limits = { component-size = @ } }] }", Number::Size, 1, 1 << 30),
    ("pipeline.a = { stages = [{ name = 'x', limits = { pinned-bytes = @ } }] }", Number::Size, 0, 1 << 40),
    ("pipeline.a = { stages = [{ name = 'x', limits = { host-memory = @ } }] }", Number::Size, 64 << 10, 64 << 30),
    ("pipeline.a = { stages = [{ name = 'x', limits = { compile-memory = @ } }] }", Number::Size, 64 << 20, 64 << 30),
    ("pipeline.a = { stages = [{ name = 'x', limits = { compile-time = @ } }] }", Number::Duration, 1000, 3_600_000),
    ("pipeline.a = { stages = [{ name = 'x', on-failure = { retry = @ } }] }", Number::Count, 1, 1_000_000),
    (
        "pipeline.a = { stages = [{ name = 'x', on-failure = { retry = 1, backoff = @ } }] }",
        Number::Duration,
        0,
        60_000,
    ),
    ("pipeline.a = { stages = [{ name = 'x', budget = { reads = @ } }] }", Number::Count, 0, u32::MAX as u128),
    ("pipeline.a = { stages = [{ name = 'x', budget = { leases = @ } }] }", Number::Count, 0, u32::MAX as u128),
    ("pipeline.a = { stages = [{ name = 'x', budget = { read-bytes = @ } }] }", Number::Size, 0, u64::MAX as u128),
    ("pipeline.a = { stages = ['x'], budget = { copies = @ } }", Number::Count, 0, u32::MAX as u128),
    ("pipeline.a = { stages = ['x'] }\nruntime.pool.keep = @", Number::Size, 0, 1 << 40),
    ("pipeline.a = { stages = ['x'] }\nruntime.pool.classes = { 4KiB = @ }", Number::Size, 0, 1 << 40),
    ("pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', timeout = @ }]", Number::Duration, 1, 86_400_000),
    ("pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', seed = @ }]", Number::Count, 0, u64::MAX as u128),
    ("pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', clock = @ }]", Number::Count, 0, u64::MAX as u128),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', input = { lines = ['a'], every = @ } }]",
        Number::Duration,
        1,
        31_622_400_000,
    ),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', input = { elements = [{ text = 'a', at = @ }] } }]",
        Number::Duration,
        0,
        31_622_400_000,
    ),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', input = { elements = [{ text = 'a', sequence = @ }] } }]",
        Number::Count,
        0,
        u64::MAX as u128,
    ),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', input = { elements = [{ text = 'a', deadline = @ }] } }]",
        Number::Duration,
        1,
        31_622_400_000,
    ),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', faults = [{ stage = 'x', element = @, fault = 'trap' }] }]",
        Number::Count,
        0,
        u64::MAX as u128,
    ),
    (
        "pipeline.a = { stages = ['x'] }\n\
         test = [{ name = 't', faults = [{ stage = 'x', element = 0, fault = 'trap', times = @ }] }]",
        Number::Count,
        1,
        1_000_000,
    ),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', faults = [{ stage = 'x', element = 0, pause = @ }] }]",
        Number::Duration,
        1,
        31_622_400_000,
    ),
    (
        "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', account = { copies = @ } }]",
        Number::Count,
        0,
        u64::MAX as u128,
    ),
];

/// Numbers at and around the limits of ranges and types.
fn extremes(least: u128, most: u128) -> Vec<u128> {
    let mut all =
        vec![0, 1, 1 << 31, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, u64::MAX as u128, 1 << 64, u128::MAX];
    all.extend([least, most, most + 1]);
    all.extend(least.checked_sub(1));
    all
}

#[test]
fn every_number_has_a_range() {
    let wrong_codes =
        [codes::BAD_NUMBER, codes::BAD_SIZE, codes::BAD_DURATION, codes::ZERO, codes::WRONG_TYPE, codes::SYNTAX];
    for &(template, number, least, most) in NUMBERS {
        let check = |written: &str, is_right: bool| {
            let text = template.replace('@', written);
            let found = errors_with_cases(&text);
            assert_eq!(found.is_empty(), is_right, "{text}\n{}", shown(&text, &found));
            for diagnostic in &found {
                assert!(wrong_codes.contains(&diagnostic.code), "{text}\n{}", shown(&text, &found));
                let names_range = diagnostic.message.contains(" must be from ");
                let says_why = names_range || diagnostic.message.contains(" is not a ");
                let is_number = !matches!(diagnostic.code, codes::ZERO | codes::WRONG_TYPE | codes::SYNTAX);
                assert!(says_why || !is_number, "{}", shown(&text, &found));
            }
        };
        for value in extremes(least, most) {
            let is_right = (least..=most).contains(&value);
            match number {
                Number::Count => check(&value.to_string(), is_right),
                Number::Size => {
                    check(&value.to_string(), is_right);
                    check(&format!("'{value}B'"), is_right);
                }
                Number::Duration => check(&format!("'{value}ms'"), is_right),
            }
        }
        for written in ["-1", "-9223372036854775808", "1.5", "-0.0", "nan", "inf", "true", "[]", "''", "'-1'", "'1.5s'"]
        {
            check(written, false);
        }
        check(&format!("'{}'", "9".repeat(1 << 20)), false);
        check(&"9".repeat(1 << 20), false);
    }
}

#[test]
fn ratios_have_a_range() {
    for (template, is_zero_right) in [
        ("pipeline.a = { stages = ['x'], budget = { amplification = @ } }", true),
        (
            "pipeline.a = { stages = ['x'] }\ntest = [{ name = 't', speed = { case = 'u', max = @ } }, { name = 'u' }]",
            false,
        ),
    ] {
        let is_right = |written: &str| errors_with_cases(&template.replace('@', written)).is_empty();
        assert!(
            ["1", "0.5", "1000000000", "1e9", "4294967296"]
                .into_iter()
                .all(|written| { is_right(written) == (written != "4294967296") })
        );
        assert_eq!((is_right("0"), is_right("0.0")), (is_zero_right, is_zero_right), "{template}");
        for written in ["-1", "-0.0", "1000000001", "1e400", "nan", "inf", "-inf", "18446744073709551616", "'1'"] {
            assert!(!is_right(written), "{written}: {template}");
        }
    }
}

/// Large and deeply nested files are read in linear time.
#[test]
fn reads_large_files_in_linear_time() {
    let started = std::time::Instant::now();
    let many = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<String>();
    let unknown = format!("pipeline.a = {{ stages = ['x'] }}\n{}", many(100_000, |index| format!("key-{index} = 1\n")));
    let found = parse(&unknown).unwrap_err();
    assert_eq!(found.errors(), 100_000);
    let printed = shown(&unknown, &found);
    assert!(
        printed.matches("error[unknown-key]").count() == 50 && printed.ends_with("99950 more errors not shown\n"),
        "{printed}"
    );
    let config = format!(
        "pipeline.a = {{ stages = [{{ name = 'x', config = {{ list = [{}] }} }}] }}",
        many(100_000, |index| format!("{index},"))
    );
    assert_eq!(pipeline(&config).stages[0].config.len(), 100_000);
    let name = "n".repeat(1 << 20);
    for text in [
        format!("pipeline.{name} = {{ stages = ['x'] }}\n{name} = 1"),
        format!("pipeline.a = {{ stages = ['{name}.'] }}"),
    ] {
        let printed = shown(&text, &parse(&text).unwrap_err());
        assert!(printed.len() < 1 << 20, "{} bytes printed", printed.len());
    }
    for (open, close) in [("[", "]"), ("{ a = ", " }")] {
        let deep =
            format!("pipeline.a = {{ stages = ['x'], input = {}1{} }}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().into_iter().next().unwrap().code, codes::SYNTAX);
    }
    let dotted = format!("pipeline.a.{} = 1", vec!["b"; 20_000].join("."));
    assert!(parse(&dotted).is_err());
    // It takes some seconds beside other tests; a quadratic version took minutes.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn reads_the_short_form() {
    let main =
        pipeline("[pipeline.main]\ninput = \"a.log\"\nstages = [\"router\", \"bin/upper.wasm\"]\noutput = \"-\"\n");
    assert_same(&main.input, &Some(input::file("a.log".into(), Framing::default())));
    assert_eq!(main.stages[0].component, ComponentRef::Package("router".to_string()));
    assert_eq!(main.stages[1].component, ComponentRef::Path("bin/upper.wasm".into()));
    assert_eq!(main.stages[1].name, "upper");
    assert_same(&main.outputs[0].output, &output::stdout(OutputFraming::Lines));
    assert_eq!(main.outputs[0].name, "output");
}

#[test]
fn reads_the_long_form() {
    let text = r#"
        [pipeline.split]
        input = { file = "in/access.log", as = "chunks", size = "64KiB" }
        [[pipeline.split.stages]]
        name = "split"
        component = "splitter"
        outputs = ["errors", "rest"]
        config = { needle = "ERROR", n = 0x10, list = ["a", { b = 1.50 }], nested = { x = true, at = 2024-05-01T10:00:00Z }, a = "last" }
        limits = { memory = "64MiB", time = "1s", handles = 1024, component-size = 1_000, pinned-bytes = "1MiB", host-memory = "32MiB", compile-memory = "1GiB", compile-time = "2m", log = "2MiB" }
        capacity = { elements = 8 }
        [[pipeline.split.stages]]
        name = "join"
        from = ["split.rest", "input"]
        [[pipeline.split.output]]
        from = "split.errors"
        file = "errors.log"
        as = "length-prefixed"
        name = "errors"
        [[pipeline.split.output]]
        discard = true
    "#;
    let manifest = Manifest::parse(text, Path::new("/project/Torvyn.toml")).unwrap();
    let split = manifest.select(None).unwrap();
    assert_same(&split.input, &Some(input::file("/project/in/access.log".into(), Framing::Chunks(65_536))));
    let stage = &split.stages[0];
    let config: Vec<_> = stage.config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("needle", "ERROR"),
        ("n", "16"),
        ("list.0", "a"),
        ("list.1.b", "1.50"),
        ("nested.x", "true"),
        ("nested.at", "2024-05-01T10:00:00Z"),
        ("a", "last"),
    ];
    assert_eq!(config, expected);
    let limits = Limits {
        memory: Some(64 << 20),
        time: Some(Duration::from_secs(1)),
        handles: Some(1024),
        component_size: Some(1000),
        pinned_bytes: Some(1 << 20),
        host_memory: Some(32 << 20),
        compile_memory: Some(1 << 30),
        compile_time: Some(Duration::from_secs(120)),
        log: Some(2 << 20),
    };
    assert_eq!(stage.limits, limits);
    assert_eq!(stage.capacity, Capacity { elements: 8, ..Capacity::default() });
    assert_eq!(
        split.stages[1].from.iter().map(|feed| feed.origin).collect::<Vec<_>>(),
        [Origin::Stage { stage: 0, output: 1 }, Origin::Input]
    );
    let [errors, rest] = &split.outputs[..] else { panic!() };
    let path = PathBuf::from("/project/errors.log");
    assert_same(&errors.output, &output::file(path, OutputFraming::LengthPrefixed));
    assert_eq!((errors.name.as_str(), rest.name.as_str()), ("errors", "output-2"));
    assert_same(&rest.output, &output::discard());
    assert_eq!(rest.from[0].origin, Origin::Stage { stage: 1, output: 0 });

    let Wiring { graph, nodes } = split.wire(&roles("pp")).unwrap();
    let edges: Vec<_> = graph.edges().iter().map(|edge| (edge.from, edge.output, edge.to)).collect();
    assert_eq!(edges, [(0, 0, 1), (1, 1, 2), (0, 0, 2), (1, 0, 3), (2, 0, 4)]);
    assert_eq!(graph.edges()[0].capacity.elements, 8);
    assert_eq!(
        graph.nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>(),
        ["input", "split", "join", "errors", "output-2"]
    );
    assert_same(&nodes[1..3], &[WiredNode::Stage(0), WiredNode::Stage(1)]);
}

#[test]
fn reads_budgets() {
    let text = "[pipeline.a]\nstages = [{ component = './x.wasm', budget = { reads = 1, read-bytes = '1KiB' } }, 'y']\n\
                [pipeline.a.budget]\ncopies = 2\namplification = 1.50\n";
    let a = pipeline(text);
    let (copies, amplification) = (a.budget.copies.unwrap(), a.budget.amplification.unwrap());
    assert_eq!((copies.value, &text[copies.entry], &text[copies.span]), (2, "copies = 2", "2"));
    assert_eq!((amplification.value, &text[amplification.entry]), (1.5, "amplification = 1.50"));
    let [x, y] = &a.stages[..] else { panic!() };
    let limits = x.budget.limits();
    assert_eq!((limits.reads, limits.writes, limits.read_bytes), (Some(1), None, Some(1024)));
    assert_eq!(&text[x.place()], "'./x.wasm'");
    assert!(y.budget.is_empty());
    let whole = pipeline("pipeline.a = { stages = ['x'], budget.amplification = 2 }");
    assert_eq!(whole.budget.amplification.unwrap().value, 2.0);
}

#[test]
fn reads_deadlines_and_traces() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let text = format!(
        "pipeline.a = {{ input = {{ stdin = true, deadline = '250ms', keep-newline = true }}, \
            stages = [{{ name = 'x', trace = '{parent}' }}, {{ name = 'y', from = ['input', 'x'] }}] }}"
    );
    let main = pipeline(&text);
    assert_same(&main.input, &Some(input::stdin(Framing::Lines { keep_newline: true })));
    let dir = pipeline("pipeline.a = { input = { dir = 'd' }, stages = ['x'] }").input.unwrap();
    let main = main.with_input(dir);
    let graph = main.wire(&roles("sp")).unwrap().graph;
    let stamps: Vec<_> = graph.nodes().iter().map(|node| node.stamp).collect();
    let none = Stamp::default();
    let input = Stamp { deadline: Some(Duration::from_millis(250)), ..none };
    let source = Stamp { trace: Some(TraceOrigin::Given(parent.parse().unwrap())), ..none };
    assert_eq!(stamps, [input, source, none, none]);
    let main = pipeline("pipeline.a = { stages = ['x'], input = { file = 'f', trace = true } }");
    assert_eq!(main.stamp, Stamp { trace: Some(TraceOrigin::Flow), ..none });
}

#[test]
fn reads_replicas() {
    let replicas = |text: &str| {
        let stage = pipeline(&format!("pipeline.a = {{ stages = [{{ name = 'x'{text} }}] }}")).stages[0].clone();
        (stage.replicas.count(), stage.replicas.several().is_some(), stage.replicas.stateless)
    };
    assert_eq!(replicas(""), (1, false, false));
    assert_eq!(replicas(", replicas = 1"), (1, false, false));
    assert_eq!(replicas(", replicas = 64, stateless = true"), (64, true, true));
    let (count, several, _) = replicas(", replicas = 'auto'");
    assert!((1..=64).contains(&count) && several, "{count}");
    assert!(pipeline("pipeline.a = { stages = [{ name = 'x', replicas = 1 }] }").wire(&roles("s")).is_ok());
}

#[test]
fn reads_on_failure() {
    let on_failure = |text: &str| {
        let main = pipeline(&format!("pipeline.a = {{ stages = [{{ name = 'x', on-failure = {text} }}] }}"));
        let OnFailure { policy, dead_letters, .. } = main.stages[0].on_failure.clone();
        (policy.retry.map(|retry| (retry.count, retry.backoff.as_millis())), policy.then, dead_letters)
    };
    let batch = |text: &str| pipeline(&format!("pipeline.a = {{ stages = [{{ name = 'x'{text} }}] }}")).stages[0].batch;
    assert_eq!([", batch = 1", ", batch = 64", ""].map(batch), [1, 64, 256]);
    assert_eq!(on_failure("'stop'"), (None, Then::Stop, None));
    assert_eq!(on_failure("'skip'"), (None, Then::Skip, None));
    assert_eq!(on_failure("{ retry = 3 }"), (Some((3, 100)), Then::Stop, None));
    assert_eq!(on_failure("{ retry = 1, backoff = '0ms', then = 'skip' }"), (Some((1, 0)), Then::Skip, None));
    let letters = |path: &str| (None, Then::DeadLetter, Some(PathBuf::from(path)));
    assert_eq!(on_failure("{ dead-letter = 'bad/x.jsonl' }"), letters("bad/x.jsonl"));
    assert!(on_failure("{ retry = 2, backoff = '1m', dead-letter = 'f' }").2.is_some());

    let text = "pipeline.a = { stages = [{ name = 'x', on-failure.dead-letter = 'no/f' }, 'y', \
                { name = 'z', on-failure = { retry = 1, dead-letter = 'src' } }, { name = 'w', on-failure.dead-letter = 'f' }] }";
    let found: Vec<_> = pipeline(text).check_paths().into_iter().collect();
    let found: Vec<_> = found.iter().map(|found| (found.code, &text[found.labels[0].span.clone()])).collect();
    assert_eq!(found, [(codes::NOT_FOUND, "'no/f'"), (codes::IS_A_DIRECTORY, "'src'")]);
    let source = "pipeline.a = { stages = [{ name = 'x', on-failure.retry = 1 }] }";
    assert!(pipeline(source).wire(&roles("s")).is_ok(), "a source can be retried");
}

#[test]
fn reads_merge() {
    let text = "pipeline.a = { stages = [{ name = 'x', from = ['y', 'input'], merge = 'priority' }, { name = 'y', from = 'input' }], \
        output = [{ stdout = true, from = ['y', 'x'], merge = 'sequence' }, { discard = true, from = 'x' }] }";
    let graph = pipeline(text).wire(&roles("pp")).unwrap().graph;
    let merges: Vec<_> = graph.nodes().iter().map(|node| (node.name.as_str(), node.merge)).collect();
    let expected = [
        ("input", Merge::RoundRobin),
        ("x", Merge::Priority),
        ("y", Merge::RoundRobin),
        ("output", Merge::Sequence),
        ("output-2", Merge::RoundRobin),
    ];
    assert_eq!(merges, expected);
    let from = |to| graph.edges().iter().filter(move |edge| edge.to == to).map(|edge| edge.from).collect::<Vec<_>>();
    assert_eq!((from(1), from(3)), (vec![2, 0], vec![2, 1]), "in the order listed");
}

#[test]
fn implies_stdin_and_stdout() {
    let text = "pipeline.a.stages = ['x', 'y']";
    let ends = |letters: &str| pipeline(text).wire(&roles(letters)).unwrap().nodes;
    let stdin = WiredNode::Input(input::stdin(Framing::default()));
    let stdout = WiredNode::Output(output::stdout(OutputFraming::Lines));
    let stages = [WiredNode::Stage(0), WiredNode::Stage(1)];
    assert_same(&ends("pp"), &[slice::from_ref(&stdin), &stages, slice::from_ref(&stdout)].concat());
    assert_same(&ends("sp"), &[&stages[..], &[stdout]].concat());
    assert_same(&ends("pk"), &[&[stdin], &stages[..]].concat());
    assert_same(&ends("sk"), &stages);
}

#[test]
fn replaces_ends_from_the_command_line() {
    let framing = Framing::Whole;
    let main = pipeline("pipeline.a = { stages = ['x'], input = { file = 'a', as = 'whole' } }");
    let input = input::from_argument(Path::new("-"), main.input.as_deref());
    let main = main.with_input(input.clone()).with_output(output::from_argument(Path::new("b"), None)).unwrap();
    let output = output::file("b".into(), OutputFraming::Lines);
    assert_same(&input, &input::stdin(framing));
    let wiring = main.wire(&roles("p")).unwrap();
    assert_same(&wiring.nodes, &[WiredNode::Input(input), WiredNode::Stage(0), WiredNode::Output(output)]);

    let same = main.with_input(input::file("b".into(), framing));
    assert_eq!(same.wire(&roles("p")).unwrap_err().iter().next().unwrap().code, codes::SAME_FILE);
    assert_eq!(same.wire(&roles("s")).unwrap_err().iter().next().unwrap().code, codes::UNUSED_INPUT);
}

#[test]
fn selects_the_default_pipeline() {
    let name = |text: &str| parse(text).unwrap().select(None).unwrap().name.clone();
    assert_eq!(name("pipeline.only.stages = ['x']"), "only");
    assert_eq!(name("pipeline.a.stages = ['x']\npipeline.main.stages = ['x']"), "main");
    assert_eq!(name("default = 'a'\npipeline.a.stages = ['x']\npipeline.main.stages = ['x']"), "a");
}

#[test]
fn renders_an_unknown_stage() {
    let text = "# für alle\r\n[pipeline.main]\r\nstages = [\r\n  \"router\",\r\n  { name = \"große\", from = \"ruter\" },\r\n]\r\n";
    let expected = "\
error[unknown-stage]: there is no stage `ruter`
 --> Torvyn.toml:5:28
  |
5 |   { name = \"große\", from = \"ruter\" },
  |                            ^^^^^^^
  |
  = help: did you mean `router`? the stages are `input`, `router`, `große`
";
    assert_eq!(shown(text, &errors(text, "")), expected);
}

#[test]
fn renders_a_cycle() {
    let text = "[pipeline.main]\nstages = [\n  { name = \"a\", from = [\"input\", \"c\"] },\n  \"b\",\n  \"c\",\n]\n";
    let expected = "\
error[cycle]: the stages form a cycle: `b` → `c` → `a` → `b`
 --> Torvyn.toml:5:3
  |
3 |   { name = \"a\", from = [\"input\", \"c\"] },
  |                                  --- `a` takes from `c`
4 |   \"b\",
  |   --- `b` takes from `a`
5 |   \"c\",
  |   ^^^ `c` takes from `b`
";
    assert_eq!(shown(text, &errors(text, "ppp")), expected);
}

#[test]
fn renders_several_errors() {
    let text = "[pipeline.main]\nstages = [{ component = \"x\", limits = { memory = true, tme = \"1s\" } }]\n";
    let expected = "\
error[wrong-type]: `memory` has the wrong type
 --> Torvyn.toml:2:50
  |
2 | stages = [{ component = \"x\", limits = { memory = true, tme = \"1s\" } }]
  |                                                  ^^^^ expected bytes or a size such as \"64KiB\", found a boolean

error[unknown-key]: unknown key `tme` in `limits`
 --> Torvyn.toml:2:56
  |
2 | stages = [{ component = \"x\", limits = { memory = true, tme = \"1s\" } }]
  |                                                        ^^^
  |
  = help: did you mean `time`? the keys are `memory`, `time`, `handles`, `component-size`, `pinned-bytes`, `host-memory`, `compile-memory`, `compile-time`, `log`
";
    assert_eq!(shown(text, &errors(text, "")), expected);
}

#[test]
fn reads_the_pool() {
    let text =
        "pipeline.a = { stages = ['x'] }\n[runtime.pool]\nkeep = '1MiB'\nclasses = { 128KiB = '64MiB', '4KiB' = 0 }";
    let pool = parse(text).unwrap().runtime.pool;
    let mut expected = torvyn_runtime::payload::PoolSettings::default();
    expected.keep = 1 << 20;
    assert!(expected.keep_in_class(128 << 10, 64 << 20) && expected.keep_in_class(4 << 10, 0));
    assert_eq!(pool.settings, expected);
    assert_eq!(pool.place(128 << 10).map(|place| &text[place]), Some("128KiB = '64MiB'"));
    assert!(pool.place(8 << 10).is_some_and(|place| text[place].starts_with("[runtime.pool]")));
    for (drain, time) in [("0s", Duration::ZERO), ("60m", Duration::from_secs(3600))] {
        let text = format!("pipeline.a = {{ stages = ['x'] }}\nruntime.drain = '{drain}'");
        assert_eq!(parse(&text).unwrap().runtime.drain, Some(time));
    }
    assert_eq!(parse("pipeline.a = { stages = ['x'] }").unwrap().runtime, super::Runtime::default());
    let found = parse(&text.replace("128KiB", "'100kB'")).unwrap_err();
    let help = found.into_iter().next().unwrap().help.unwrap();
    assert!(help.starts_with("the nearest class is `128KiB`; the classes are"), "{help}");
}
