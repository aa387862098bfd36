//! What hostile components and manifests could make `cargo torvyn` do: compile forever, exhaust memory, or panic on a
//! number. Each of these ends with an exit code and a message that names the limit.

#![allow(clippy::print_stdout, reason = "how long each took is the result")]
#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use cli_tests::{command, said, torvyn};

/// A sink that accepts everything, with additional fields in its core module.
fn sink(fields: &str) -> Vec<u8> {
    wat::parse_str(include_str!("limits/sink.wat").replace(";; FIELDS", fields)).unwrap()
}

/// A function with this many locals, which are set and read in many branches.
fn branches(locals: usize, branches: usize) -> String {
    let mut text = format!("(func $f (param $p i32) (local {})", "i64 ".repeat(locals));
    for branch in 0..branches {
        let local = 1 + branch * 7919 % locals;
        write!(
            text,
            "(if (local.get $p) (then (local.set {local} (i64.add (local.get {}) (i64.const 1)))))",
            1 + (branch * 104_729 + 1) % locals
        )
        .unwrap();
    }
    text + ")"
}

/// Many functions that do almost nothing.
fn functions(count: usize) -> String {
    let mut text = String::new();
    for index in 0..count {
        write!(text, "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {index})))").unwrap();
    }
    text
}

/// A sink that accepts everything, with additional definitions of the component.
fn sink_of(definitions: &str) -> Vec<u8> {
    let begin = format!("(component {definitions}");
    wat::parse_str(include_str!("limits/sink.wat").replacen("(component", &begin, 1)).unwrap()
}

/// This many components, each of which instantiates the previous one twice.
fn doubling(levels: usize) -> String {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_string();
    for level in 1..levels {
        write!(
            text,
            "(component $c{level} (alias outer 1 $c{} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))",
            level - 1
        )
        .unwrap();
    }
    format!("{text} (instance (instantiate $c{}))", levels - 1)
}

/// This many different function types.
fn types(count: usize) -> String {
    let mut text = String::new();
    for index in 0..count {
        let params = (0..20).map(|bit| if index >> bit & 1 == 0 { " i32" } else { " i64" });
        write!(text, "(type (func (param{})))", params.collect::<String>()).unwrap();
    }
    text
}

/// Many functions in a table that read at many indices, and one that calls any of them many times.
fn indices(functions: usize, calls: usize) -> String {
    let mut text = format!("(table {functions} funcref) (type $t (func (param i32 i32)))");
    let mut names = String::new();
    for function in 0..functions {
        write!(text, "(func $f{function} (param i32 i32)").unwrap();
        for index in 0..30 {
            let plus = function * 30 + index;
            write!(
                text,
                "(call $read (local.get 0) (i32.add (local.get 1) (i32.const {plus})) (i64.const 0) (i64.const 1) (i32.const 64))"
            )
            .unwrap();
        }
        text.push(')');
        write!(names, "$f{function} ").unwrap();
    }
    let call = "(call_indirect (type $t) (local.get 0) (i32.const 0) (local.get 1))";
    format!("{text} (elem (i32.const 0) {names}) (func $calls (param i32 i32) {})", call.repeat(calls))
}

/// Runs this command in a folder with the component, and a pipeline of it with these keys of its stage. The process
/// ends if it uses more than this many MiB of memory.
fn torvyn_within(format_bytes: u32, component: &[u8], keys: &str, command: &str) -> (Output, Duration) {
    let folder = folder(component, keys);
    let started = Instant::now();
    // Only the soft limit: the compiler process sets its own.
    let script = format!("ulimit -S -d {} && exec \"$0\" torvyn {command}", format_bytes << 10);
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &script, env!("CARGO_BIN_EXE_cargo-torvyn")]).current_dir(folder.path()).output();
    (output.unwrap(), started.elapsed())
}

/// Runs the component of a folder with these keys of its stage.
fn run(component: &[u8], keys: &str) -> (Output, Duration) {
    let folder = folder(component, keys);
    let started = Instant::now();
    let output = torvyn(folder.path(), &["run"]);
    (output, started.elapsed())
}

fn folder(component: &[u8], keys: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sink.wasm"), component).unwrap();
    let manifest = format!(
        "[pipeline.main]\ninput = {{ generate = {{ count = 3, size = 3 }} }}\n\
         stages = [{{ component = './sink.wasm', {keys} }}]\n"
    );
    fs::write(folder.path().join("Torvyn.toml"), manifest).unwrap();
    folder
}

#[track_caller]
fn assert_refused(output: &Output, texts: &[&str]) {
    let said = said(output);
    assert_eq!((output.status.code(), output.status.signal()), (Some(101), None), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    texts.iter().for_each(|text| assert!(said.contains(text), "{text}: {said}"));
}

#[test]
fn small_and_large_components_compile_with_the_default_limits() {
    for fields in [String::new(), functions(20_000), branches(200, 5000)] {
        let (output, _) = run(&sink(&fields), "");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let bomb = sink(&branches(20_000, 20_000));
    assert!(bomb.len() < 512 << 10, "it is small: {} bytes", bomb.len());
    let (output, took) = run(&bomb, "limits = { compile-memory = '128MiB' }");
    assert_refused(&output, &["bad-component", "sink.wasm", "its memory limit of 128 MiB", "`limits.compile-memory`"]);
    assert!(took < Duration::from_secs(120), "{took:?}");
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused() {
    let (output, took) = run(&sink(&functions(200_000)), "limits = { compile-time = '1s' }");
    assert_refused(&output, &["sink.wasm", "1 s of processor time", "`limits.compile-time`"]);
    assert!(took < Duration::from_secs(120), "{took:?}");
}

/// A signal ends the program while a component compiles, and the process that compiles it.
#[test]
fn a_signal_ends_compiling() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sink.wasm"), sink(&functions(200_000))).unwrap();
    let manifest = "[pipeline.main]\ninput = { generate = { count = 3, size = 3 } }\nstages = ['./sink.wasm']\n";
    fs::write(folder.path().join("Torvyn.toml"), manifest).unwrap();
    let mut run = command(folder.path(), &["run", "--message-format", "json"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("Compiling component")), "it compiles for long");
    let compiles = || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap_or_default();
        let threads = fs::read_dir(format!("/proc/{}/task", run.id())).unwrap().flatten();
        let of_threads = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        of_threads.chain([children]).find_map(|all| all.split_whitespace().next().map(str::to_string))
    };
    let child = compiles();
    let began = Instant::now();
    let sent = std::process::Command::new("kill").args(["-s", "TERM", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = run.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(143));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"outcome\":\"terminated\"") && text.contains("\"code\":\"interrupted\""), "{text}");
    let left = || {
        let child = child.as_ref().expect("a process compiles");
        fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains("cargo-torvyn"))
    };
    while left() {
        assert!(began.elapsed() < Duration::from_secs(5), "the process that compiles goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Components that look small but are not: definitions that are instantiated again and again, types and elements
/// without code, and a table whose calls could reach what a thousand functions read. With `check` as with `run`, the
/// process stays below this much memory.
#[test]
fn components_that_multiply_stay_small() {
    let keys = "limits = { compile-memory = '128MiB', compile-time = '20s' }";
    let (elements, indices) = ("$f ".repeat(400_000), indices(2_000, 20_000));
    let call = "(call $calls (local.get 0) (i32.const 0)) (call $drop_batch (local.get 0))";
    let reads = include_str!("limits/sink.wat")
        .replacen("(core module $store", &format!("{READ}(core module $store"), 1)
        .replace(";; FIELDS", &format!("(import \"host\" \"read\" (func $read (param i32 i32 i64 i64 i32))) {indices}"))
        .replace("(core instance $main", &format!("{LOWERED}(core instance $main"))
        .replace("(export \"drop-batch\" (func", "(export \"read\" (func $read)) (export \"drop-batch\" (func")
        .replace("(call $drop_batch (local.get 0))", call);
    for (what, component, codes) in [
        ("instances", sink_of(&doubling(40)), [100, 101]),
        ("types", sink(&types(60_000)), [100, 101]),
        ("elements", sink(&format!("(func $f) (elem func {elements})")), [0, 101]),
        ("indices", wat::parse_str(reads).unwrap(), [0, 101]),
    ] {
        assert!(component.len() < 8 << 20, "{what}: {} bytes", component.len());
        for (command, code) in ["check", "run"].into_iter().zip(codes) {
            let (output, took) = torvyn_within(384, &component, keys, command);
            let said = said(&output);
            println!("{what}: {command} took {took:?}");
            assert_eq!((output.status.code(), output.status.signal()), (Some(code), None), "{what}: {command}: {said}");
            assert!(!said.contains("panicked") && took < Duration::from_secs(120), "{what}: {took:?}: {said}");
        }
    }
}

/// What a stage cannot start with is refused by `check`, with the same text as by `run`: none of it depends on code.
#[test]
fn a_start_beyond_the_limits_is_refused_before_the_run() {
    // The sink itself has two instances and two pages of memory.
    let modules = |module: &str, times: usize| {
        sink_of(&format!("(core module $more {module}) {}", "(core instance (instantiate $more))".repeat(times)))
    };
    let memory = "limits = { memory = '1MiB' }";
    let starts = "(table 2 (ref func) (ref.func $f)) (func $f (loop (br 0))) (start $f)";
    for (what, component, keys, wrong) in [
        ("62 instances", modules("", 62), "", ""),
        ("63 instances", modules("", 63), "", "instance count too high at 65, a stage may have 64"),
        ("63 memories", modules("(memory 0)", 62), "", ""),
        ("65 memories", modules("(memory 0) (memory 0)", 32), "", "memory count too high at 65, a stage may have 64"),
        ("65 tables", modules(&"(table 0 funcref)".repeat(65), 1), "", "table count too high at 65"),
        ("16 pages", modules("(memory 7)", 2), memory, ""),
        (
            "17 pages",
            modules("(memory 15)", 1),
            memory,
            "with 1088 KiB of memory, its memory limit is 1 MiB (`limits.memory`)",
        ),
        ("memory by default", modules("(memory 1023)", 1), "", "its memory limit is 64 MiB (`limits.memory`)"),
        ("more memory than there is", modules("(memory i64 0x1000000000000)", 2), "", "`limits.memory`"),
        ("100,000 elements", modules("(table 50000 funcref)", 2), "", ""),
        ("100,001 elements", modules("(table 50000 funcref) (table 1 funcref)", 2), "", "100001 table elements"),
        ("a large table", modules("(table 0xffffffff funcref)", 1), "", "4294967295 table elements"),
        ("a start that has no end", modules(starts, 1), "limits = { time = '10ms' }", "a start"),
    ] {
        let folder = folder(&component, keys);
        let [checked, ran] = ["check", "run"].map(|command| torvyn(folder.path(), &[command]));
        let codes = (checked.status.code(), ran.status.code());
        let (checked, ran) = (said(&checked), said(&ran));
        match wrong {
            "" => assert_eq!(codes, (Some(0), Some(0)), "{what}: {checked}{ran}"),
            // Code runs in the run only.
            "a start" => assert_eq!(codes, (Some(0), Some(101)), "{what}: {checked}{ran}"),
            wrong => {
                assert_eq!(codes, (Some(100), Some(101)), "{what}: {checked}{ran}");
                assert!(checked.contains("error[bad-component]") && checked.contains(wrong), "{what}: {checked}");
                assert!(ran.contains(wrong), "{what}: {ran}");
            }
        }
    }
    let folder = folder(&modules("(memory 31)", 1), memory);
    assert!(said(&torvyn(folder.path(), &["check"])).contains("`limits = { memory = \"3MiB\" }`"));
}

const READ: &str = r#"(import "torvyn:streaming/payload-read@0.2.0" (instance $payload-read
    (export "batch" (type $lent (eq $batch)))
    (export "failure" (type $failed (eq $failure)))
    (export "read" (func (param "of" (borrow $lent)) (param "index" u32) (param "offset" u64) (param "len" u64)
      (result (result (list u8) (error $failed)))))))"#;
const LOWERED: &str =
    r#"(core func $read (canon lower (func $payload-read "read") (memory $memory) (realloc $realloc)))"#;

/// The compiler process takes requests only from its parent.
#[test]
fn the_process_that_compiles_answers_nobody_else() {
    let output = torvyn_directly(&["compile-component-from-stdin"]);
    assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(101), &b""[..], &b""[..]));
}

fn torvyn_directly(args: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_cargo-torvyn"))
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

/// Numbers that once caused a panic, or exhausted memory.
#[test]
fn numbers_of_a_manifest_have_ranges() {
    let sink = sink("");
    for (keys, range) in [
        ("capacity = { elements = 9223372036854775807 }", "`elements` must be from 1 to 1000000"),
        ("capacity = { elements = 1000000000 }", "`elements` must be from 1 to 1000000"),
        ("limits = { handles = 4294967296 }", "`handles` must be from 1 to 1000000"),
        ("limits = { time = '9223372036854775807m' }", "`time` must be from 1ms to 1440m"),
        ("on-failure = { retry = 4294967295 }", "`retry` must be from 1 to 1000000"),
    ] {
        let (output, _) = run(&sink, keys);
        assert_refused(&output, &[range]);
    }
    let (output, _) = run(&sink, "capacity = { elements = 1000000, bytes = '1TiB' }");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sink.wasm"), &sink).unwrap();
    for size in ["9223372036854775807", "67108865", "18446744073709551615"] {
        let manifest = format!(
            "[pipeline.main]\ninput = {{ generate = {{ count = 1, size = {size} }} }}\nstages = ['./sink.wasm']\n"
        );
        fs::write(folder.path().join("Torvyn.toml"), manifest).unwrap();
        assert_refused(&torvyn(folder.path(), &["run"]), &["`size` must be from 0B to 64MiB"]);
    }
}

/// Long lists are refused before their items are compared with each other.
#[test]
fn long_lists_are_refused_at_once() {
    let outputs = (0..100_000).map(|output| format!("'o{output}',")).collect::<String>();
    let (output, took) = run(&sink(""), &format!("outputs = [{outputs}]"));
    assert_refused(&output, &["too-many-outputs", "found 100000"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn numbers_of_the_command_line_have_ranges() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for args in [
        ["test", "--retries", "18446744073709551615"],
        ["test", "--retries", "1001"],
        ["test", "--retries", "-1"],
        ["test", "--schedules", "0"],
        ["test", "--schedules", "4294967295"],
        ["test", "--seed", "18446744073709551616"],
        ["run", "--record-capacity", "0"],
        ["run", "--record-capacity", "18446744073709551615"],
    ] {
        let output = torvyn(here, &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
    }
}
