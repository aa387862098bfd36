//! What is refused before a run, without compiling, equals what is refused when it is loaded to run.
//!
//! Components with random changes to their imports and exports, and to their content. `JUDGED=100000` runs more of
//! them; `JUDGED_SEED=7` runs one.

#![expect(clippy::print_stdout, reason = "figures of what was compared")]

use std::collections::BTreeMap;

use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::pipeline::graph::{Capacity, Role};
use torvyn_runtime::stage::component::Binary;
use torvyn_runtime::{Error, Limits, StageError};
use torvyn_tests::guest::{ComponentFile, Guest, HOLDER, PROCESSOR, ROUTER, SINK, SOURCE, TRANSFORM};
use torvyn_tests::mutation::mutated;
use torvyn_tests::random::Random;
use torvyn_tests::{Collected, Elements, engine, input, output, programs, stage_of, start};

/// Components of an ordinary run.
const COMPONENTS: u64 = 1_000;

/// Replacements in the text of a component: old and new. Most leave the core types unchanged, so that only the types
/// that are linked to the host no longer fit.
const CHANGES: [(&str, &str); 26] = [
    ("u32", "s32"),
    ("u32", "char"),
    ("u64", "s64"),
    ("list u8", "list s8"),
    ("list u8", "list bool"),
    ("list u64", "list s64"),
    ("string", "(list u8)"),
    ("(own $made)", "(borrow $made)"),
    ("(borrow $lent)", "(own $lent)"),
    ("(borrow $batch)", "(own $batch)"),
    ("(error $why)", "(error $made)"),
    ("\"out-of-bounds\"", "\"beyond\""),
    ("(case \"deadline-exceeded\")", ""),
    ("\"index\"", "\"at\""),
    ("\"len\"", "\"length\""),
    ("\"sequence\" \"timestamp\"", "\"timestamp\" \"sequence\""),
    ("\"trace\"", "\"trace\" \"more\""),
    ("(enum \"ready\" \"pause\")", "(enum \"pause\" \"ready\")"),
    ("(export \"failure\" (type", "(export \"more\" (func (param \"a\" u32))) (export \"failure\" (type"),
    ("(export \"failure\" (type", "(export \"thing\" (type (sub resource))) (export \"failure\" (type"),
    (
        "(export \"failure\" (type",
        "(type $odd (enum \"odd\")) (export \"odd\" (type (eq $odd))) (export \"failure\" (type",
    ),
    ("(export \"read-all\" ", "(export \"read-most\" "),
    ("(export \"teardown\" ", "(export \"tear-down\" "),
    ("@0.2.0", "@0.2.1"),
    ("streaming/types", "streaming/kinds"),
    ("(option u32)", "(option s32)"),
];

/// Further definitions: of features that the engine has or does not have, and of interfaces that the host has or does
/// not have.
const MORE: [&str; 40] = [
    "",
    "",
    r#"(core module (type (struct (field i32))))"#,
    r#"(core module (type $a (sub (func))) (type (sub $a (func))))"#,
    r#"(core module (func (param externref)))"#,
    r#"(core module (tag) (func (throw 0)))"#,
    r#"(core module (func (block (try_table (catch_all 0) nop))))"#,
    r#"(core module (memory 1 1 shared))"#,
    r#"(core module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"#,
    r#"(core module (memory i64 1))"#,
    r#"(core module (table i64 1 funcref))"#,
    r#"(core module (memory 1) (memory 1))"#,
    r#"(core module (memory 1 (pagesize 1)))"#,
    r#"(core module (func (return_call 0)))"#,
    r#"(core module (type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0))))"#,
    r#"(core module (type $f (func)) (func $g) (table 1 (ref $f) (ref.func $g)))"#,
    r#"(core module (global (export "g") (mut funcref) (ref.null func)) (global (export "h") v128 (v128.const i64x2 1 2)))"#,
    r#"(core module (func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0))))"#,
    r#"(core module (func (result i64 i64) (i64.mul_wide_s (i64.const 1) (i64.const 1))))"#,
    r#"(core module (@custom "webidl-bindings" "x"))"#,
    r#"(core module $named (@custom ".debug_info" "x") (@custom "other" "x"))"#,
    r#"(core module $m (memory 1100)) (core instance (instantiate $m))"#,
    r#"(core module $m (memory i64 0x1000000000000)) (core instance (instantiate $m))"#,
    r#"(core module $m (table 60000 funcref)) (core instance (instantiate $m)) (core instance (instantiate $m))"#,
    r#"(core module $m (table 0x10000000 externref)) (core instance (instantiate $m))"#,
    r#"(core module $m (table 2 (ref func) (ref.func $f)) (func $f) (start $f)) (core instance (instantiate $m))"#,
    r#"(core module $m (global (mut i64) (i64.const 1)) (func $f) (start $f)) (core instance (instantiate $m))"#,
    r#"(core func (canon task.cancel))"#,
    r#"(core func (canon backpressure.inc))"#,
    r#"(core func (canon waitable-set.new))"#,
    r#"(core func (canon thread.yield))"#,
    r#"(type (stream u8))"#,
    r#"(type (future))"#,
    r#"(component (core module (func unreachable)))"#,
    r#"(import "wasi:clocks/monotonic-clock@0.2.6" (instance $more (export "now" (func (result u64)))))
       (core func $more (canon lower (func $more "now")))"#,
    r#"(import "wasi:clocks/monotonic-clock@0.2.99" (instance $more (export "now" (func (result u64)))))"#,
    r#"(import "wasi:clocks/monotonic-clock@0.3.0" (instance $more (export "now" (func (result u64)))))"#,
    r#"(import "wasi:clocks/monotonic-clock@0.2.6" (instance $more (export "now" (func (result s64)))))"#,
    r#"(import "wasi:random/random@0.2.0" (instance $more (export "get-random-u64" (func (result u64)))
       (export "get-random-i64" (func (result u64)))))"#,
    r#"(import "wasi:http/types@0.2.6" (instance $more (export "fields" (type (sub resource)))))"#,
];

const GUESTS: [Guest<'_>; 6] = [PROCESSOR, TRANSFORM, HOLDER, ROUTER, SOURCE, SINK];

/// The text with one change at a random place, if there is a place for it.
fn change(text: &str, random: &mut Random) -> String {
    let (from, to) = CHANGES[random.below(CHANGES.len())];
    let places: Vec<_> = text.match_indices(from).map(|(place, _)| place).collect();
    if places.is_empty() {
        return text.to_string();
    }
    let place = places[random.below(places.len())];
    format!("{}{to}{}", &text[..place], &text[place + from.len()..])
}

/// The bytes of the component of this seed. `None` if its text is not valid.
fn component(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let guest = GUESTS[random.below(GUESTS.len())];
    let mut text = Guest { definitions: MORE[random.below(MORE.len())], ..guest }.text();
    for _ in 0..random.below(3) {
        text = change(&text, &mut random);
    }
    let bytes = wat::parse_str(&text).ok()?;
    Some(if random.below(4) == 0 { mutated(&bytes, random.below(6), &mut random) } else { bytes })
}

fn told(error: Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Why it cannot run, if it cannot: it does not load, has other types than the contract, or needs too much to start.
fn refused_to_run(binary: &Binary) -> Option<String> {
    let component = match binary.compile(engine()) {
        Ok(component) => component,
        Err(error) => return Some(told(error)),
    };
    let role = Role::from(component.profile().kind);
    let mut parts = vec![stage_of("judged", &component, &[], Limits::default())];
    if role != Role::Source {
        parts.insert(0, input(Elements::new(["one"])));
    }
    if role != Role::Sink {
        parts.push(output("out", Collected::default()));
    }
    let edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    match start(parts, &edges) {
        Err(Error::Start { source: source @ (StageError::Link(_) | StageError::Start(_)), .. }) => {
            Some(format!("when it starts: {source}"))
        }
        _ => None,
    }
}

/// Asserts that both refuse or accept it, and returns which.
#[track_caller]
fn judge(bytes: &[u8], what: &str) -> Option<String> {
    let file = ComponentFile::new(bytes);
    let binary = Binary::read(&file.path, &Limits::default()).expect("it can be read");
    let within = |analysis: Analysis| {
        analysis.check_limits(&Limits::default()).map_err(|reason| Error::Load { path: file.path.clone(), reason })
    };
    let before = binary.analyse(engine()).and_then(within).err().map(told);
    let at_run = refused_to_run(&binary);
    assert_eq!(before.is_some(), at_run.is_some(), "{what}: before the run {before:?}, in the run {at_run:?}");
    before
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is a number, and not `{text}`")))
}

#[test]
fn what_check_passes_is_what_run_loads() {
    let seeds = match number("JUDGED_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("JUDGED").unwrap_or(COMPONENTS),
    };
    let (mut judged, mut passed) = (0, 0);
    // Compares by the part that is the same in errors of one kind.
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds.clone() {
        let Some(bytes) = component(seed) else { continue };
        judged += 1;
        match judge(&bytes, &format!("JUDGED_SEED={seed}")) {
            None => passed += 1,
            Some(why) => {
                let kind = why.split_once(": ").map_or(&*why, |(_, why)| why).chars();
                *reasons.entry(kind.filter(|c| !c.is_ascii_digit()).take(40).collect()).or_default() += 1;
            }
        }
    }
    println!("judged={judged} passed={passed} kinds={} disagreements=0", reasons.len());
    reasons.iter().for_each(|(kind, times)| println!("  {times} {kind}"));
    if seeds.end - seeds.start > 1 {
        assert!(passed > judged / 20 && passed < judged * 3 / 4, "{passed} of {judged}");
        assert!(reasons.len() > 10, "{reasons:?}");
    }
}

/// Every definition on its own, so that none is missed.
#[test]
fn features_one_by_one() {
    for definitions in MORE {
        for guest in [ROUTER, PROCESSOR] {
            let bytes = wat::parse_str(Guest { definitions, ..guest }.text()).expect(definitions);
            let why = judge(&bytes, definitions);
            println!("{}: {definitions}", why.unwrap_or_else(|| "passes".to_string()));
        }
    }
}

#[test]
fn programs_pass() {
    for (name, path) in programs::ALL {
        assert_eq!(judge(&std::fs::read(path).expect("it is built"), name), None, "{name}");
    }
}
