//! Malicious or broken stages: whatever they do is reported as a failure of that stage, nothing of their flow is left
//! behind, and other flows do not notice.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use torvyn_runtime::contract::Verdict;
use torvyn_runtime::flow::{Body, Stage, Step};
use torvyn_runtime::pipeline::graph::{Capacity, Edge, Graph, Node, Role};
use torvyn_runtime::{Account, Component, Error, Flow, Limits, StageError};
use torvyn_tests::guest::{BUMP, Guest, HOLDER, HOST_RESULT, PROCESSOR, ROUTER, SINK, SOURCE, TRANSFORM};
use torvyn_tests::random::Random;
use torvyn_tests::{
    Collected, Elements, Part, assert_settled, control, engine, input, output, run, stage, stage_with, start,
};

const LIMIT: Duration = Duration::from_millis(200);

fn limits() -> Limits {
    Limits { memory: 8 << 20, time: LIMIT, ..Limits::default() }
}

/// A payload that is counted as long as it exists.
struct Counted(&'static str, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs the guest as the stage `hostile`, with `limits`, on elements of three bytes. Afterwards none of them is left.
fn run_with(guest: Guest<'_>, elements: usize, limits: Limits) -> Result<Account, Error> {
    let live = Arc::new(AtomicUsize::new(elements));
    let payloads = (0..elements).map(|_| Bytes::from_owner(Counted("abc", live.clone())));
    let elements = input(Elements::new(payloads));
    let hostile = stage_with("hostile", guest.file().path, &[], limits);
    let out = output("out", Collected::default());
    let parts = match guest.role {
        Role::Source => vec![hostile, out],
        Role::Processor => vec![elements, hostile, out],
        Role::Sink => vec![elements, hostile],
    };
    let result = run(parts);
    if guest.role != Role::Source {
        assert_eq!(live.load(Ordering::Relaxed), 0, "no payload is left");
    }
    result
}

fn clean_parts(collected: &Collected) -> Vec<Part> {
    vec![
        input(Elements::new(["abc", "", "xyz"])),
        stage("router", ROUTER.file().path, &[]),
        stage("transform", TRANSFORM.file().path, &[]),
        output("out", collected.clone()),
    ]
}

/// The failure of the guest. Another flow that was running continues.
fn failure_with(guest: Guest<'_>, elements: usize, limits: Limits) -> Error {
    let collected = Collected::default();
    let capacity = Capacity::default();
    let (mut other, _) =
        start(clean_parts(&collected), &[(0, 0, 1, capacity), (1, 0, 2, capacity), (2, 0, 3, capacity)])
            .expect("a clean flow starts");
    assert_eq!(other.step().expect("a clean flow goes on"), Step::Moved);
    assert_eq!(other.step().expect("a clean flow goes on"), Step::Moved);
    let error = run_with(guest, elements, limits).expect_err("a failure");
    assert_settled(&other.run().expect("a clean flow goes on"));
    assert_eq!(collected.payloads(), [b"bcd".to_vec(), b"".to_vec(), b"yz{".to_vec()]);
    error
}

fn failure(guest: Guest<'_>) -> Error {
    failure_with(guest, 3, limits())
}

/// Asserts the place of the failure (`start` or the export) and its cause.
#[track_caller]
fn assert_says(error: &Error, place: &str, cause: &str) {
    let source = match error {
        Error::Start { stage, source } if stage == "hostile" && place == "start" => source,
        Error::Stage { stage, call, elements, source } if stage == "hostile" && *call == place => {
            assert_eq!(elements.is_some(), matches!(*call, "process" | "push"), "{error:?}");
            source
        }
        _ => panic!("expected a failure in `{place}`: {error:?}"),
    };
    assert!(source.to_string().contains(cause), "expected `{cause}` in `{place}`: {error:?}");
}

#[track_caller]
fn assert_fails(guest: Guest<'_>, place: &str, cause: &str) {
    assert_says(&failure(guest), place, cause);
}

#[test]
fn guests_that_behave() {
    let collected = Collected::default();
    let account = run(clean_parts(&collected)).unwrap();
    assert_eq!(collected.payloads(), [b"bcd".to_vec(), b"".to_vec(), b"yz{".to_vec()]);
    let verdicts: Vec<_> = account.stages.iter().map(|stage| stage.verdict).collect();
    assert_eq!(verdicts, [Verdict::HandlePass, Verdict::Rewrite]);
    let copies = account.stages[1].copies;
    assert_eq!((copies.payload_read.ops, copies.payload_read.bytes), (3, 6));
    assert_eq!((copies.payload_write.ops, copies.payload_write.bytes), (3, 6));

    let account = run_with(SINK, 3, limits()).unwrap();
    assert_eq!((account.elements.left, account.stages[0].verdict), (3, Verdict::HandlePass));
    let account = run_with(SOURCE, 0, limits()).unwrap();
    assert_eq!((account.elements.entered, account.elements.left), (0, 0));
    let account = run_with(PROCESSOR, 3, limits()).unwrap();
    assert_eq!((account.elements.left, account.copies.payload_bytes()), (3, 0));
}

/// Every place of a processor at which its code runs, with `harm` in it, and the name of the place in the runtime.
fn everywhere(harm: &str, mut each: impl FnMut(Guest<'_>, &str, &'static str)) {
    let returning = format!("{harm} (call $ok)");
    let allocating = format!("(if (local.get $size) (then {harm})) {BUMP}");
    let reading = format!("(if (i32.eq (local.get $align) (i32.const 1)) (then {harm})) {BUMP}");
    let read = "(call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 3)) unreachable";
    each(Guest { start: harm, ..PROCESSOR }, "the start function", "start");
    each(Guest { init: &returning, ..PROCESSOR }, "init", "init");
    each(Guest { work: &returning, ..PROCESSOR }, "process", "process");
    each(Guest { realloc: &allocating, ..PROCESSOR }, "realloc for arguments", "process");
    each(Guest { realloc: &reading, work: read, ..PROCESSOR }, "realloc for a result of the host", "process");
    each(Guest { post_return: harm, ..PROCESSOR }, "post-return", "process");
    each(Guest { last: &returning, ..PROCESSOR }, "flush", "flush");
    each(Guest { teardown: harm, ..PROCESSOR }, "teardown", "teardown");
}

#[test]
fn traps() {
    const BOTH: &str = "
        (type $nothing (func))
        (type $something (func (param i64)))
        (table $table 2 funcref)
        (func $other)
        (elem (table $table) (i32.const 1) func $other)
        (func $deeper (param i32) (result i32)
          (i32.add (local.get 0) (call $deeper (i32.add (local.get 0) (i32.const 1)))))";
    for (harm, cause) in [
        ("unreachable", "wasm `unreachable` instruction executed"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer overflow"),
        ("(drop (i32.trunc_f64_s (f64.const nan)))", "invalid conversion to integer"),
        ("(drop (i64.load (i32.const -4)))", "out of bounds memory access"),
        ("(memory.fill (i32.const 0) (i32.const 0) (i32.const -1))", "out of bounds memory access"),
        ("(call_indirect (type $nothing) (i32.const 0))", "uninitialized element"),
        ("(call_indirect (type $nothing) (i32.const 2))", "undefined element"),
        ("(call_indirect (type $something) (i64.const 0) (i32.const 1))", "indirect call type mismatch"),
        ("(drop (call $deeper (i32.const 0)))", "call stack exhausted"),
    ] {
        everywhere(harm, |guest, at, place| {
            let error = failure(Guest { both: BOTH, ..guest });
            assert_says(&error, place, cause);
            let (Error::Start { source, .. } | Error::Stage { source, .. }) = error else { unreachable!() };
            assert!(matches!(source, StageError::Trap { .. }), "`{harm}` in {at}: {source:?}");
        });
    }
    let trap = "unreachable (call $ok)";
    assert_fails(Guest { work: trap, ..SOURCE }, "pull", "unreachable");
    assert_fails(Guest { work: trap, ..SINK }, "push", "unreachable");
    assert_fails(Guest { last: trap, ..SINK }, "complete", "unreachable");
}

#[test]
fn a_trap_in_a_start_function_without_a_name() {
    let error = failure(Guest { fields: "(func unreachable) (start 3)", payloads: false, ..PROCESSOR });
    assert_says(&error, "start", "unreachable");
    assert!(matches!(&error, Error::Start { source: StageError::Trap { .. }, .. }), "{error:?}");
}

/// With subtypes, a call through a table needs help of the engine that is not built in.
#[test]
fn function_types_with_subtypes() {
    let fields = "(type $super (sub (func (param f32)))) (type $sub (sub $super (func (param f32))))
        (table $table funcref (elem $other)) (func $other (type $sub))";
    let work = "(call_indirect $table (type $super) (f32.const 0) (i32.const 0)) (call $ok)";
    let file = Guest { fields, work, ..PROCESSOR }.file();
    let error = Component::load(engine(), &file.path, &limits()).err().expect("it is refused");
    // Refused by the analysis, which validates with the features of the engine.
    let Error::Load { reason, .. } = error else { panic!("{error:?}") };
    assert!(reason.to_string().contains("gc proposal must be enabled"), "{reason}");
}

/// Asserts that the guest is stopped at the time limit of a call. On a busy machine, one of a few tries must be on
/// time, and none may be early.
#[track_caller]
fn assert_stopped(guest: Guest<'_>, place: &str, what: &str) {
    let times = (0..5).map(|_| {
        let began = Instant::now();
        let error = run_with(guest, 3, limits()).expect_err("a failure");
        let time = began.elapsed();
        assert_says(&error, place, "the call exceeded its time limit of 200 ms (`limits.time`)");
        assert!(time >= LIMIT, "{what}: stopped after {time:?}");
        time
    });
    let mut late = Vec::new();
    for time in times {
        if time < LIMIT + Duration::from_millis(100) {
            return;
        }
        late.push(time);
    }
    panic!("{what}: stopped after {late:?}");
}

#[test]
fn loops() {
    everywhere("(loop $forever (br $forever))", |guest, at, place| assert_stopped(guest, place, at));
    for work in [
        "(loop $forever (call $emit_nothing) (br $forever)) unreachable",
        "(loop $forever (call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 0)) (br $forever)) unreachable",
        "(loop $forever (call $read_to (local.get $batch) (i32.const 7) (i64.const 0) (i64.const 0)) (br $forever)) unreachable",
        "(loop $forever (memory.fill (i32.const 0) (i32.const 0) (i32.const 131072)) (br $forever)) unreachable",
        "(return_call $around)",
    ] {
        let fields = "
            (func $around (result i32) (return_call $around))
            (func $emit_nothing
              (if (call $emit (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (then (call $drop_output (i32.load (i32.const 68))))))";
        assert_stopped(Guest { work, fields, realloc: "(i32.const 4096)", ..PROCESSOR }, "process", work);
    }
}

#[test]
fn memory() {
    let work = "(loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) unreachable";
    let beyond = "the stage exceeded its memory limit of 8 MiB";
    let at_start = "of memory, its memory limit is 8 MiB (`limits.memory`)";
    assert_fails(Guest { memory: "2048", ..PROCESSOR }, "start", at_start);
    assert_fails(Guest { work, ..PROCESSOR }, "process", beyond);
    assert_fails(Guest { work, ..SINK }, "push", beyond);
    assert_fails(Guest { work: "(drop (memory.grow (i32.const -1))) unreachable", ..SOURCE }, "pull", beyond);
    // Several memories count together.
    assert_fails(Guest { fields: "(memory 127)", ..PROCESSOR }, "start", at_start);
    let eighty = "(memory 1)".repeat(80);
    assert_fails(Guest { fields: &eighty, ..PROCESSOR }, "start", "the component starts with too many parts");
    // A refusal that the guest survived is not reported as the reason of a later trap.
    let sober = Guest { init: "(drop (memory.grow (i32.const 4096))) (call $ok)", ..PROCESSOR };
    run_with(sober, 3, limits()).unwrap();
    let error = failure(Guest { work: "unreachable", ..sober });
    assert!(matches!(&error, Error::Stage { source: StageError::Trap { .. }, .. }), "{error:?}");
}

#[test]
fn tables_and_instances() {
    let work = "(loop $more (br_if $more (i32.ge_s (table.grow $bomb (ref.null func) (i32.const 1000)) (i32.const 0))))
        (if (i32.gt_u (table.size $bomb) (i32.const 100000)) (then (return (call $ok)))) unreachable";
    assert_fails(Guest { fields: "(table $bomb 0 funcref)", work, ..PROCESSOR }, "process", "unreachable");
    assert_fails(Guest { fields: "(table 1000000 funcref)", ..PROCESSOR }, "start", "table");
    let tables = "(table 1 funcref)".repeat(80);
    assert_fails(Guest { fields: &tables, ..PROCESSOR }, "start", "table count too high");
    let instances = "(core instance (instantiate $empty))".repeat(80);
    let definitions = format!("(core module $empty) {instances}");
    assert_fails(Guest { definitions: &definitions, ..PROCESSOR }, "start", "instance count too high");
}

/// Makes outputs of one element of `bytes` bytes, and executes `with` for each; returns the refusal of the host.
fn bomb(bytes: usize, with: &str) -> String {
    format!(
        "(i64.store (i32.const 2048) (i64.const {bytes}))
        (loop $more
          (if (call $emit (i32.const 0) (i32.const {bytes}) (i32.const 2048) (i32.const 1)
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (then {with} (br $more))))
        {HOST_RESULT}"
    )
}

#[test]
fn handles_and_outputs() {
    let drops = bomb(1, "(call $drop_output (i32.load (i32.const 68)))");
    let keeps = bomb(1, "");
    let large = bomb(1 << 16, "(call $drop_output (i32.load (i32.const 68)))");
    let drop_batch = "(call $drop_batch (local.get $batch))";
    let many = "the stage returned limit-exceeded: a stage can make at most 1024 outputs in one call";
    for (with, place) in [
        (Guest { work: &format!("{drop_batch} {drops}"), ..PROCESSOR }, "process"),
        (Guest { work: &drops, ..SOURCE }, "pull"),
        (Guest { last: &drops, ..PROCESSOR }, "flush"),
    ] {
        assert_fails(with, place, many);
    }
    assert_fails(Guest { work: &keeps, ..PROCESSOR }, "process", "handle");
    let roomy = Limits { handles: 5000, ..limits() };
    assert_says(&failure_with(Guest { work: &keeps, ..SOURCE }, 3, roomy), "pull", many);
    let narrow = Limits { output_bytes: 1 << 20, ..limits() };
    let error = failure_with(Guest { work: &large, ..SOURCE }, 3, narrow);
    assert_says(
        &error,
        "pull",
        "the stage returned limit-exceeded: a stage can make at most 1 MiB of payloads in one call",
    );
    // Handles that are kept from call to call, until there are too many.
    let leaks = "(local $left i32) (call $drop_batch (local.get $batch))
        (local.set $left (i32.const 300))
        (loop $more
          (drop (call $empty))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $all_to (local.get $count) (i32.const 1))";
    assert_says(&failure_with(Guest { work: leaks, ..PROCESSOR }, 100, limits()), "process", "handle");
    // Dropped outputs do not count in the next call, which has its own budget.
    let thrifty = leaks.replace("(drop (call $empty))", "(call $drop_output (call $empty))");
    let account = run_with(Guest { work: &thrifty, ..PROCESSOR }, 1000, limits()).unwrap();
    assert_eq!(account.elements.left, 1000);
}

/// An output costs host memory for each of its elements, even without payload bytes.
#[test]
fn elements_without_payload() {
    let beyond = "the stage returned limit-exceeded: a stage can make at most 1048576 elements in one call";
    let emit = |elements: u32| {
        format!(
            "(call $emit (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const {elements})
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
        )
    };
    let once = format!("(drop {}) {HOST_RESULT}", emit((1 << 20) + 1));
    assert_fails(Guest { work: &once, memory: "140", ..SOURCE }, "start", "of memory, its memory limit is 8 MiB");
    let error = failure_with(Guest { work: &once, memory: "140", ..SOURCE }, 0, Limits::default());
    assert_says(&error, "pull", beyond);
    let again = format!(
        "(loop $more (if {} (then (call $drop_output (i32.load (i32.const 68))) (br $more)))) {HOST_RESULT}",
        emit(8192)
    );
    assert_fails(Guest { last: &again, realloc: "(i32.const 4096)", ..PROCESSOR }, "flush", beyond);
    // As many as are accepted.
    let all = format!("(drop {}) (call $output (i32.load (i32.const 68)))", emit(1 << 20));
    let processor = Guest { last: &all, memory: "130", ..PROCESSOR };
    let account = run_with(processor, 0, Limits::default()).unwrap();
    assert_eq!(account.elements.left, 1 << 20);
}

/// Starts a flow of one component, without compiling it again, on one element.
fn run_on(component: &Component, payload: Vec<u8>) -> Result<Account, Error> {
    let named = |name: &str, role, outputs| Node::new(name, role, outputs);
    let nodes = vec![named("in", Role::Source, 1), named("hostile", Role::Processor, 1), named("out", Role::Sink, 0)];
    let edge = |from, to| Edge { from, output: 0, to, capacity: Capacity::default() };
    let graph = Graph::new(nodes, vec![edge(0, 1), edge(1, 2)]).expect("the graph is in order");
    let stage = Stage { limits: limits(), ..Stage::new(component.clone()) };
    let bodies = vec![
        Body::Input(Box::new(Elements::new([payload]))),
        Body::Stage(stage),
        Body::Output(Box::new(Collected::default())),
    ];
    Flow::start(&graph, bodies, control().0)?.run()
}

#[test]
fn forged_handles() {
    // The payload says what to do with which handle: never with those of the batch and of an output.
    let work = "(local $how i32) (local $handle i32) (local $output i32)
        (call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 8))
        (local.set $how (i32.load (i32.load (i32.const 68))))
        (local.set $handle (i32.load (i32.add (i32.load (i32.const 68)) (i32.const 4))))
        (local.set $output (call $empty))
        (if (i32.or (i32.eq (local.get $handle) (local.get $batch)) (i32.eq (local.get $handle) (local.get $output)))
          (then (local.set $handle (i32.const 77))))
        (block $return (block $output_dropped (block $batch_dropped (block $all (block $one
          (br_table $one $all $batch_dropped $output_dropped $return (local.get $how)))
          (call $read_to (local.get $handle) (i32.const 0) (i64.const 0) (i64.const 8))
          (return (call $fail (i32.const 3))))
          (call $read_all (local.get $handle) (i32.const 64))
          (return (call $fail (i32.const 3))))
          (call $drop_batch (local.get $handle))
          (return (call $fail (i32.const 3))))
          (call $drop_output (local.get $handle))
          (return (call $fail (i32.const 3))))
        (call $drop_batch (local.get $batch))
        (call $output (local.get $handle))";
    let file = Guest { work, ..PROCESSOR }.file();
    let component = Component::load(engine(), &file.path, &limits()).unwrap();
    let mut random = Random::new(0);
    let known = [0_u32, 1, 2, 3, 4, 5, 77, 12345, i32::MAX as u32, i32::MIN as u32, u32::MAX - 1, u32::MAX];
    let known = known.iter().flat_map(|&handle| (0..5_u32).map(move |how| (how, handle)));
    let random = (0..10_000_u32).map(|number| {
        let random = random.draw();
        (number % 5, (random >> 32) as u32 >> (random % 32))
    });
    for (how, handle) in known.chain(random) {
        let payload = [how.to_le_bytes(), handle.to_le_bytes()].concat();
        let error = run_on(&component, payload).expect_err("a forged handle is good for nothing");
        assert_says(&error, "process", "handle index");
    }
}

#[test]
fn handles_of_the_wrong_type() {
    let wrong = "used with the wrong type";
    for (work, cause) in [
        ("(call $output (local.get $batch))", "borrow handles still remain at the end of the call"),
        ("(call $drop_output (local.get $batch)) unreachable", wrong),
        ("(call $drop_batch (call $empty)) unreachable", wrong),
        ("(call $read_all (call $empty) (i32.const 64)) unreachable", wrong),
        ("(call $read_to (call $empty) (i32.const 0) (i64.const 0) (i64.const 0)) unreachable", wrong),
    ] {
        assert_fails(Guest { work, ..PROCESSOR }, "process", cause);
    }
}

#[test]
fn handles_after_their_end() {
    const KEPT: &str = "(global $kept (mut i32) (i32.const 0))";
    let unknown = "unknown handle index";
    let later = "the stage broke the contract: it returned an output of another call";
    let drop_batch = "(call $drop_batch (local.get $batch))";
    let keep = "(global.set $kept (call $empty))";
    let all = "(call $all_to (local.get $count) (i32.const 1))";
    let returns = "(call $output (global.get $kept))";
    let twice = "(call $drop_output (global.get $kept))";
    let keeps = format!("(if (i32.eqz (global.get $kept)) (then {keep} (return {all})))");
    for (work, cause) in [
        // Lent for one call.
        (all.to_string(), "borrow handles still remain at the end of the call"),
        (format!("{drop_batch} {drop_batch} {all}"), unknown),
        (format!("{drop_batch} (call $read_all (local.get $batch) (i32.const 64)) {all}"), unknown),
        // Returned after it was dropped, or dropped after it was returned.
        (format!("{drop_batch} {keep} {twice} {twice} {all}"), unknown),
        (format!("{drop_batch} {keep} {twice} {returns}"), unknown),
        (format!("{drop_batch} (if (global.get $kept) (then {twice} unreachable)) {keep} {returns}"), unknown),
        (format!("{drop_batch} (if (global.get $kept) (then (return {returns}))) {keep} {returns}"), unknown),
        // Made by another call.
        (format!("{drop_batch} {keeps} {returns}"), later),
        (format!("{drop_batch} {keeps} (drop (call $empty)) {returns}"), later),
    ] {
        assert_fails(Guest { work: &work, fields: KEPT, ..PROCESSOR }, "process", cause);
    }
    let kept = format!("{drop_batch} {keep} {all}");
    assert_fails(Guest { work: &kept, last: returns, fields: KEPT, ..PROCESSOR }, "flush", later);
    let batch = format!("(global.set $kept (local.get $batch)) {drop_batch} {all}");
    let last = "(call $read_all (global.get $kept) (i32.const 64)) unreachable";
    assert_fails(Guest { work: &batch, last, fields: KEPT, ..PROCESSOR }, "flush", unknown);
    let pull = format!("(if (global.get $kept) (then (return {returns}))) {keep} (call $output (call $empty))");
    assert_fails(Guest { work: &pull, fields: KEPT, ..SOURCE }, "pull", later);
    // Dropping what an earlier call made does not affect this call.
    let drops = format!(
        "{drop_batch} (if (global.get $kept) (then {twice})) {keep}
        (i64.store (i32.const 2048) (i64.const -1)) (i32.store (i32.const 2056) (i32.const 0))
        (drop (call $emit (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const 1) (i32.const 2056) (i32.const 1)
          (i32.const 0) (i32.const 0)))
        (call $output (i32.load (i32.const 68)))"
    );
    let account = run_with(Guest { work: &drops, fields: KEPT, ..PROCESSOR }, 9, limits()).unwrap();
    assert_eq!(account.elements.left + account.elements.dropped, 9);
}

#[test]
fn imports_called_where_they_may_not_be() {
    let left = "cannot leave component instance";
    assert_fails(Guest { post_return: "(drop (call $empty))", ..PROCESSOR }, "process", left);
    assert_fails(Guest { post_return: "(call $drop_output (i32.const 1))", ..PROCESSOR }, "process", left);

    // Elements are made for the flow, or not at all.
    let zeros = "(i32.const 0) ".repeat(8);
    let emit = format!("(if (call $emit {zeros}) (then unreachable))");
    let refused = format!("{emit} {HOST_RESULT}");
    let cause = "the stage returned invalid-input: elements can only be made in `pull`, `process` and `flush`";
    assert_fails(Guest { init: &refused, ..PROCESSOR }, "init", cause);
    assert_fails(Guest { init: &refused, ..SOURCE }, "init", cause);
    let refused = format!("{emit} (call $expect_failure (i32.const 0))");
    let started = "(call $empty) drop";
    assert_fails(Guest { start: started, ..SOURCE }, "start", "unreachable");
    let account = run_with(Guest { start: &refused, teardown: &refused, ..PROCESSOR }, 3, limits()).unwrap();
    assert_eq!((account.elements.left, account.copies.payload_write.ops), (3, 0));

    // No other export gets a batch, so no handle can be read there.
    for handle in [0, 1, 2, 3, u32::MAX] {
        for read in [
            format!("(call $read_to (i32.const {handle}) (i32.const 0) (i64.const 0) (i64.const 0))"),
            format!("(call $read_all (i32.const {handle}) (i32.const 64))"),
        ] {
            let returning = format!("{read} (call $ok)");
            let unknown = "unknown handle index";
            assert_fails(Guest { start: &read, ..PROCESSOR }, "start", unknown);
            for guest in [PROCESSOR, SINK] {
                assert_fails(Guest { init: &returning, ..guest }, "init", unknown);
                assert_fails(Guest { teardown: &read, ..guest }, "teardown", unknown);
            }
            assert_fails(Guest { last: &returning, ..PROCESSOR }, "flush", unknown);
            assert_fails(Guest { last: &returning, ..SINK }, "complete", unknown);
        }
    }
}

/// What a stage writes is in the flow, or the stage has failed.
#[test]
fn payloads_that_are_not_returned() {
    let (fields, _) = makes(3, &[3], &[], &[]);
    let write = "(drop (call $emit (i32.const 0) (i32.const 3) (i32.const 2048) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))";
    let dropped = format!("{write} (call $drop_output (i32.load (i32.const 68)))");
    let cause = "the stage broke the contract: its output lacks 1 payload that it wrote";
    for write in [write, &dropped] {
        let process = format!("(call $drop_batch (local.get $batch)) {write}");
        let routes = format!("{process} (call $all_to (local.get $count) (i32.const 1))");
        assert_fails(Guest { work: &routes, fields: &fields, ..PROCESSOR }, "process", cause);
        let other = format!("{process} (call $output (call $empty))");
        assert_fails(Guest { work: &other, fields: &fields, ..PROCESSOR }, "process", cause);
        let ends = format!("{write} (call $ok)");
        assert_fails(Guest { last: &ends, fields: &fields, ..PROCESSOR }, "flush", cause);
        assert_fails(Guest { work: &ends, fields: &fields, ..SOURCE }, "pull", cause);
    }
    let two = format!("(call $drop_batch (local.get $batch)) {write} {write} (call $output (i32.load (i32.const 68)))");
    assert_fails(Guest { work: &two, fields: &fields, ..PROCESSOR }, "process", cause);
}

/// By handle, an element goes to each output once: a stage that wants more must write them.
#[test]
fn elements_that_multiply() {
    const HANDLE: u64 = u64::MAX;
    let cause = "the stage broke the contract: an element is sent to output 0 twice";
    for (bytes, sizes, lineage) in [
        (0, &[HANDLE, HANDLE][..], &[0, 0][..]),
        (3, &[HANDLE, 3, HANDLE], &[0, 0, 0]),
        (0, &[HANDLE, HANDLE, HANDLE], &[0, 0, 0]),
    ] {
        let (fields, work) = makes(bytes, sizes, lineage, &[]);
        let work = format!("(call $drop_batch (local.get $batch)) {work}");
        assert_fails(Guest { work: &work, fields: &fields, ..PROCESSOR }, "process", cause);
    }
    let (fields, work) = makes(3, &[3, HANDLE, 0], &[0, 0, 0], &[1, 1, 1]);
    let work = format!("(call $drop_batch (local.get $batch)) {work}");
    let account = run_with(Guest { work: &work, fields: &fields, ..PROCESSOR }, 1, limits()).unwrap();
    assert_eq!((account.elements.left, account.copies.payload_write.ops), (3, 2));
}

/// Reads at these places. Traps if the host does not refuse where it must.
#[test]
fn reads_out_of_bounds() {
    let read = |(index, offset, len): (u32, u64, u64)| {
        let signed = |number: u64| number as i64;
        format!(
            "(call $read_to (local.get $batch) (i32.const {index}) (i64.const {}) (i64.const {}))",
            signed(offset),
            signed(len)
        )
    };
    let mut work = String::new();
    for place in [(0, 0, 3), (0, 3, 0), (0, 1, 1), (0, 0, 0)] {
        let len = place.2;
        write!(
            work,
            "{} (if (i32.eqz (call $done)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 72)) (i32.const {len})) (then unreachable))",
            read(place)
        )
        .unwrap();
    }
    for place in [
        (1, 0, 0),
        (u32::MAX, 0, 3),
        (0, 0, 4),
        (0, 4, 0),
        (0, 3, 1),
        (0, 2, 2),
        (0, u64::MAX, 1),
        (0, 1, u64::MAX),
        (0, u64::MAX, u64::MAX),
        (0, 1 << 63, 1 << 63),
        (0, 1 << 32, 1),
        (0, 0, 1 << 32),
        (u32::MAX, u64::MAX, u64::MAX),
    ] {
        write!(work, "{} (call $expect_failure (i32.const 5))", read(place)).unwrap();
    }
    work.push_str(PROCESSOR.work);
    let account = run_with(Guest { work: &work, ..PROCESSOR }, 1, limits()).unwrap();
    assert_eq!(account.elements.left, 1);
    let copies = account.copies;
    assert_eq!((copies.payload_read.ops, copies.payload_read.bytes), (4, 4), "what was refused is not counted");
}

/// Returns the output that was made last.
const RETURNS: &str = "(call $output (i32.load (i32.const 68)))";

/// A guest that makes an output with these columns from its first batch, and returns it or the refusal of the host.
fn makes(bytes: usize, sizes: &[u64], lineage: &[u32], outputs: &[u32]) -> (String, String) {
    let data = |at: usize, bytes: Vec<u8>| {
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(data (i32.const {at}) \"{escaped}\")")
    };
    let of_u32 = |column: &[u32]| column.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>();
    let fields = data(2048, sizes.iter().flat_map(|entry| entry.to_le_bytes()).collect())
        + &data(2560, of_u32(lineage))
        + &data(3072, of_u32(outputs));
    let work = format!(
        "(if (call $emit (i32.const 0) (i32.const {bytes}) (i32.const 2048) (i32.const {})
            (i32.const 2560) (i32.const {}) (i32.const 3072) (i32.const {}))
          (then (return {RETURNS})))
        {HOST_RESULT}",
        sizes.len(),
        lineage.len(),
        outputs.len()
    );
    (fields, work)
}

#[test]
fn columns_that_lie() {
    const NONE: u32 = u32::MAX;
    const HANDLE: u64 = u64::MAX;
    type Columns = (usize, &'static [u64], &'static [u32], &'static [u32], &'static str);
    let cases: &[Columns] = &[
        (3, &[2, 3], &[], &[], "the stage returned invalid-input: `sizes` add up to 5 bytes, but `bytes` has 3"),
        (3, &[], &[], &[], "the stage returned invalid-input: `sizes` add up to 0 bytes, but `bytes` has 3"),
        (
            3,
            &[HANDLE - 1, 5],
            &[],
            &[],
            "the stage returned invalid-input: `sizes` add up to 18446744073709551615 bytes",
        ),
        (
            3,
            &[1 << 63, 1 << 63, 3],
            &[],
            &[],
            "the stage returned invalid-input: `sizes` add up to 18446744073709551615 bytes",
        ),
        (3, &[3], &[0, 0], &[], "the stage returned invalid-input: `lineage` has 2 entries, but `sizes` has 1"),
        (3, &[3], &[], &[1, 1], "the stage returned invalid-input: `outputs` has 2 entries, but `sizes` has 1"),
        (0, &[], &[0], &[], "the stage returned invalid-input: `lineage` has 1 entry, but `sizes` has 0"),
        (0, &[HANDLE], &[], &[], "the stage returned invalid-input: elements passed on by handle need `lineage`"),
        (0, &[HANDLE], &[NONE], &[], "the stage broke the contract: an element is passed on by handle without lineage"),
        (0, &[HANDLE], &[1], &[], "the stage broke the contract: `lineage` has element 1, but the batch has 1 element"),
        (
            3,
            &[3],
            &[NONE - 1],
            &[],
            "the stage broke the contract: `lineage` has element 4294967294, but the batch has 1 element",
        ),
        (3, &[3], &[64], &[], "the stage broke the contract: `lineage` has element 64, but the batch has 1 element"),
        (
            3,
            &[3],
            &[],
            &[2],
            "the stage broke the contract: output index 1 is out of range: 1 output is declared (`outputs`)",
        ),
        (
            3,
            &[3],
            &[],
            &[0x8000_0001],
            "the stage broke the contract: output index 31 is out of range: 1 output is declared (`outputs`)",
        ),
    ];
    for &(bytes, sizes, lineage, outputs, cause) in cases {
        let (fields, work) = makes(bytes, sizes, lineage, outputs);
        let process = format!("(call $drop_batch (local.get $batch)) {work}");
        assert_fails(Guest { work: &process, fields: &fields, ..PROCESSOR }, "process", cause);
        // Without a batch, nothing can be made from one.
        let cause = cause.replace("the batch has 1 element", "the batch has 0 elements");
        assert_fails(Guest { work: &work, fields: &fields, ..SOURCE }, "pull", &cause);
        assert_fails(Guest { last: &work, fields: &fields, ..PROCESSOR }, "flush", &cause);
    }
    let (fields, work) = makes(0, &[HANDLE], &[0], &[]);
    assert_fails(
        Guest { work: &work, fields: &fields, ..SOURCE },
        "pull",
        "`lineage` has element 0, but the batch has 0 elements",
    );
    assert_fails(
        Guest { last: &work, fields: &fields, ..PROCESSOR },
        "flush",
        "`lineage` has element 0, but the batch has 0 elements",
    );
}

#[test]
fn routes_that_lie() {
    for (routes, cause) in [
        ("(call $routes (i32.const 1024) (i32.const 0))", "`routes` has 0 entries for a batch of 1"),
        ("(call $routes (i32.const 1024) (i32.const 2))", "`routes` has 2 entries for a batch of 1"),
        ("(call $routes (i32.const 1024) (i32.const 1024))", "`routes` has 1024 entries for a batch of 1"),
        (
            "(call $all_to (i32.const 1) (i32.const 2))",
            "output index 1 is out of range: 1 output is declared (`outputs`)",
        ),
        (
            "(call $all_to (i32.const 1) (i32.const -1))",
            "output index 1 is out of range: 1 output is declared (`outputs`)",
        ),
        (
            "(call $all_to (i32.const 1) (i32.const 0x80000000))",
            "output index 31 is out of range: 1 output is declared",
        ),
        ("(call $routes (i32.const -4) (i32.const 1))", "list pointer/length out of bounds of memory"),
        ("(call $routes (i32.const 1024) (i32.const -1))", "list pointer/length out of bounds of memory"),
        ("(call $routes (i32.const 1024) (i32.const 0x40000001))", "list pointer/length out of bounds of memory"),
        ("(call $routes (i32.const 1025) (i32.const 1))", "list pointer is not aligned"),
    ] {
        let work = format!("(call $drop_batch (local.get $batch)) {routes}");
        assert_fails(Guest { work: &work, ..PROCESSOR }, "process", cause);
    }
}

/// A guest that reports a wrong place of its failure, in its second call, which has elements 1 and 2.
fn lying<'a>(guest: Guest<'a>, work: &'a mut String, lie: &str) -> Guest<'a> {
    let done = if guest.role == Role::Sink { "(call $ok)" } else { "(call $all_to (i32.const 1) (i32.const 1))" };
    *work = format!(
        "(if (i32.eq (local.get $count) (i32.const 1)) (then (call $drop_batch (local.get $batch)) (return {done}))) {lie}"
    );
    Guest { work, ..guest }
}

#[test]
fn failures_that_lie() {
    const HANDLE: u64 = u64::MAX;
    let drop_batch = "(call $drop_batch (local.get $batch))";
    let mut work = String::new();
    for index in ["2", "64", "-1", "0x80000000"] {
        let index_of_it = index.parse::<i32>().map_or(1 << 31, |index| index as u32);
        let lie = format!("{drop_batch} (call $fail_at (i32.const 1) (i32.const {index}))");
        let cause =
            format!("the stage broke the contract: it failed at element {index_of_it}, but the batch has 2 elements");
        assert_fails(lying(PROCESSOR, &mut work, &lie), "process", &cause);
        assert_fails(lying(SINK, &mut work, &lie), "push", &cause);
    }
    for (len, cause) in [
        ("0", "`routes` has 0 entries, but it failed at element 1 of the batch"),
        ("2", "`routes` has 2 entries, but it failed at element 1 of the batch"),
        ("-1", "list pointer/length out of bounds of memory"),
    ] {
        let routes = format!("(call $fail_routed (i32.const 1) (i32.const 1) (i32.const 1024) (i32.const {len}))");
        assert_fails(lying(PROCESSOR, &mut work, &format!("{drop_batch} {routes}")), "process", cause);
    }
    let failing = "(call $fail_made (i32.const 1) (i32.const 1) (i32.load (i32.const 68)))";
    // The results are for elements before the one that it failed on.
    for (sizes, lineage, named) in [
        (&[HANDLE][..], &[1][..], "1"),
        (&[HANDLE, 0], &[0, 1], "1"),
        (&[HANDLE], &[2], "2"),
        (&[0, 0], &[u32::MAX, u32::MAX - 1], "4294967294"),
    ] {
        let (fields, made) = makes(0, sizes, lineage, &[]);
        let lie = format!("{drop_batch} {}", made.replace(RETURNS, failing));
        let guest = Guest { fields: &fields, ..lying(PROCESSOR, &mut work, &lie) };
        assert_fails(
            guest,
            "process",
            &format!("it failed at element 1 of the batch, but its output uses element {named}"),
        );
    }
    for made in [
        "(i32.store (i32.const 2048) (i32.const 1)) (i64.store (i32.const 2056) (i64.const 0))
        (call $slice_all (local.get $batch) (i32.const 2048) (i32.const 1) (i32.const 2056) (i32.const 1)
          (i32.const 2056) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))",
        "(i32.store (i32.const 68) (call $forward_first (call $hold_first (local.get $batch) (i32.const 2) (i32.const 0)) (i32.const 2)))",
        "(i32.store (i32.const 68) (call $forward_first (call $hold_first (local.get $batch) (i32.const 2) (i32.const 1)) (i32.const 2)))",
        "(i32.store (i32.const 68) (call $join_one (call $hold_first (local.get $batch) (i32.const 2) (i32.const 0))))",
    ] {
        let lie = format!("{made} {drop_batch} {failing}");
        let cause = "it failed at element 1 of the batch, but its output uses element 1";
        assert_fails(lying(HOLDER, &mut work, &lie), "process", cause);
    }
    // An output must exist and belong to this call.
    let kept = format!(
        "(if (i32.eq (local.get $count) (i32.const 1)) (then {drop_batch} (global.set $kept (call $empty))
        (return (call $all_to (i32.const 1) (i32.const 1))))) {drop_batch}"
    );
    let returns = "(call $fail_made (i32.const 1) (i32.const 1) (global.get $kept))";
    let fields = "(global $kept (mut i32) (i32.const 0))";
    let work = format!("{kept} {returns}");
    assert_fails(Guest { work: &work, fields, ..PROCESSOR }, "process", "it returned an output of another call");
    let work = format!("{kept} (call $drop_output (global.get $kept)) {returns}");
    assert_fails(Guest { work: &work, fields, ..PROCESSOR }, "process", "unknown handle index");
}

/// A true report of a failure is passed on, with its element. Writes that are then discarded break nothing.
#[test]
fn failures_at_an_element() {
    let drop_batch = "(call $drop_batch (local.get $batch))";
    let failing = "(call $fail_routed (i32.const 1) (i32.const 1) (i32.const 1024) (i32.const 1))";
    let (fields, made) = makes(3, &[3], &[0], &[]);
    let made_before = "(call $fail_made (i32.const 1) (i32.const 1) (i32.load (i32.const 68)))";
    let mut work = String::new();
    let sink = format!("{drop_batch} (call $fail_at (i32.const 1) (i32.const 1))");
    for (guest, lie, place) in [
        (PROCESSOR, format!("{drop_batch} {failing}"), "process"),
        (PROCESSOR, format!("{drop_batch} {}", made.replace(RETURNS, failing)), "process"),
        (PROCESSOR, format!("{drop_batch} {}", made.replace(RETURNS, made_before)), "process"),
        (SINK, sink, "push"),
    ] {
        let fields = if guest.role == Role::Sink { "" } else { &fields };
        let error = failure(Guest { fields, ..lying(guest, &mut work, &lie) });
        assert_says(&error, place, "the stage returned unavailable: ");
        assert!(matches!(error, Error::Stage { elements: Some((2, 2)), .. }), "{error:?}");
    }
    // A stage that does not know the element may have failed on any of them.
    let lie = format!("{drop_batch} (call $fail (i32.const 1))");
    let error = failure(lying(PROCESSOR, &mut work, &lie));
    assert!(matches!(error, Error::Stage { elements: Some((1, 2)), .. }), "{error:?}");
}

#[test]
fn lists_that_are_nowhere() {
    let beyond = "list pointer/length out of bounds of memory";
    for (arguments, cause) in [
        (
            "(i32.const -1) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            beyond,
        ),
        (
            "(i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            beyond,
        ),
        (
            "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x20000001) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            beyond,
        ),
        (
            "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 131072) (i32.const 1) (i32.const 0) (i32.const 0)",
            beyond,
        ),
        (
            "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x40000000)",
            beyond,
        ),
        (
            "(i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)",
            "list pointer is not aligned",
        ),
        (
            "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 0) (i32.const 0)",
            "list pointer is not aligned",
        ),
    ] {
        let work = format!("(drop (call $emit {arguments})) unreachable");
        assert_fails(Guest { work: &work, ..SOURCE }, "pull", cause);
    }
    for (at, cause) in [("-1", "pointer not aligned"), ("-4", "pointer out of bounds")] {
        let zeros = "(i32.const 0) ".repeat(8);
        let emit = format!("(call $emit_all {zeros} (i32.const {at})) unreachable");
        assert_fails(Guest { work: &emit, ..SOURCE }, "pull", cause);
        let read = format!("(call $read_all (local.get $batch) (i32.const {at})) unreachable");
        assert_fails(Guest { work: &read, ..SINK }, "push", cause);
        // The result area of the stage itself.
        let work = format!("(i32.const {at})");
        assert_fails(Guest { work: &work, ..SOURCE }, "pull", cause);
        assert_fails(Guest { init: &work, ..PROCESSOR }, "init", cause);
    }
    // Bytes of the host go only to memory of the stage.
    let read = "(call $read_to (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 3)) unreachable";
    let realloc = format!("(if (i32.eq (local.get $align) (i32.const 1)) (then (return (i32.const -2)))) {BUMP}");
    assert_fails(
        Guest { work: read, realloc: &realloc, ..PROCESSOR },
        "process",
        "realloc return: beyond end of memory",
    );
    let realloc = format!("(if (local.get $size) (then (return (i32.const 4095)))) {BUMP}");
    assert_fails(Guest { realloc: &realloc, ..PROCESSOR }, "process", "realloc return: result not aligned");
}

#[test]
fn values_that_are_none() {
    let with = |stores: &str| format!("(drop (call $ok)) {stores} (i32.const 16)");
    let result = with("(i32.store (i32.const 16) (i32.const 2))");
    let second = with("(i32.store (i32.const 20) (i32.const 9))");
    let failure = with("(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 8))");
    let text = with(
        "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 24) (i32.const 1024))
        (i32.store (i32.const 28) (i32.const 2)) (i32.store16 (i32.const 1024) (i32.const 0xfffe))",
    );
    let reached = with("(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 32) (i32.const 2))");
    let nowhere = with(
        "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 24) (i32.const -8))
        (i32.store (i32.const 28) (i32.const 9))",
    );
    for (value, cause) in [
        (&result, "invalid expected discriminant"),
        (&failure, "discriminant"),
        (&text, "invalid utf-8"),
        (&nowhere, "out of bounds"),
    ] {
        let process = format!("(call $drop_batch (local.get $batch)) {value}");
        assert_fails(Guest { init: value, ..PROCESSOR }, "init", cause);
        assert_fails(Guest { work: &process, ..PROCESSOR }, "process", cause);
        assert_fails(Guest { work: &process, ..SINK }, "push", cause);
        assert_fails(Guest { work: value, ..SOURCE }, "pull", cause);
        assert_fails(Guest { last: value, ..PROCESSOR }, "flush", cause);
        assert_fails(Guest { last: value, ..SINK }, "complete", cause);
    }
    let process = format!("(call $drop_batch (local.get $batch)) {second}");
    assert_fails(Guest { work: &process, ..PROCESSOR }, "process", "discriminant");
    assert_fails(Guest { work: &process, ..SINK }, "push", "discriminant");
    assert_fails(Guest { work: &second, ..SOURCE }, "pull", "discriminant");
    assert_fails(Guest { last: &second, ..PROCESSOR }, "flush", "discriminant");
    let process = format!("(call $drop_batch (local.get $batch)) {reached}");
    assert_fails(Guest { work: &process, ..PROCESSOR }, "process", "discriminant");
    assert_fails(Guest { work: &process, ..SINK }, "push", "discriminant");
    // Unknown columns have no effect.
    let columns = with("(i32.store (i32.const 20) (i32.const 0xff))");
    let account = run_with(Guest { init: &columns, ..PROCESSOR }, 3, limits()).unwrap();
    assert_eq!(account.elements.left, 3);
}

/// A failure with any text is reported as that failure.
#[test]
fn failures_that_say_much() {
    let work = "(memory.fill (i32.const 0) (i32.const 0x1b) (i32.const 7000000)) (drop (call $fail (i32.const 2)))
        (i32.store (i32.const 24) (i32.const 1024)) (i32.store (i32.const 28) (i32.const 6000000)) (i32.const 16)";
    let error = failure(Guest { work, memory: "110", ..SOURCE });
    assert_says(&error, "pull", "the stage returned internal: ");
    let Error::Stage { source, .. } = error else { unreachable!() };
    assert!(source.to_string().len() < 10_000, "a text of {} bytes", source.to_string().len());
}

#[test]
fn sources() {
    let (fields, work) = makes(9, &[3, 3, 3], &[], &[]);
    assert_fails(
        Guest { work: &work, fields: &fields, ..SOURCE },
        "pull",
        "it made 3 elements, but the call asked for at most 1",
    );
    // A flow that would never end is ended from outside.
    let (fields, work) = makes(3, &[3], &[], &[]);
    let endless = Guest { work: &work, fields: &fields, ..SOURCE };
    let idle = Guest { work: "(call $output (call $empty))", ..SOURCE };
    for (guest, elements) in [(endless, 1000), (idle, 0)] {
        let parts = vec![stage_with("hostile", guest.file().path, &[], limits()), output("out", Collected::default())];
        let (mut flow, _) = start(parts, &[(0, 0, 1, Capacity::default())]).unwrap();
        for _ in 0..2 * elements {
            assert_eq!(flow.step().unwrap(), Step::Moved);
        }
        assert!(flow.snapshot().left >= elements);
        flow.control().cancel.store(true, Ordering::Relaxed);
        let account = flow.run().unwrap();
        assert_settled(&account);
        assert!(account.cancelled);
        assert_eq!(account.elements.left, account.elements.entered);
    }
}

/// Elements that are made and sent nowhere are counted.
#[test]
fn elements_that_go_nowhere() {
    for (bytes, size) in [(0, u64::MAX), (3, 3)] {
        let (fields, work) = makes(bytes, &[size], &[0], &[0]);
        let work = format!("(call $drop_batch (local.get $batch)) {work}");
        let account = run_with(Guest { work: &work, fields: &fields, ..PROCESSOR }, 1, limits()).unwrap();
        assert_eq!((account.elements.entered, account.elements.left, account.elements.dropped), (1, 0, 1));
    }
    let (fields, work) = makes(3, &[3], &[], &[0]);
    let work = format!("(if (global.get $made) (then (return (call $ok)))) (global.set $made (i32.const 1)) {work}");
    let fields = format!("{fields} (global $made (mut i32) (i32.const 0))");
    let account = run_with(Guest { work: &work, fields: &fields, ..SOURCE }, 0, limits()).unwrap();
    assert_eq!((account.elements.entered, account.elements.left, account.elements.dropped), (1, 0, 1));
}

/// `teardown` is called once, even if that of another stage fails.
#[test]
fn teardown_once() {
    let fields = "(global $called (mut i32) (i32.const 0))";
    let teardown = "(loop $forever (br_if $forever (global.get $called))) (global.set $called (i32.const 1))";
    let limits = Limits { time: Duration::from_secs(5), ..limits() };
    let parts = vec![
        input(Elements::new(["abc"])),
        stage_with("first", Guest { fields, teardown, ..PROCESSOR }.file().path, &[], limits),
        stage("hostile", Guest { teardown: "unreachable", ..PROCESSOR }.file().path, &[]),
        output("out", Collected::default()),
    ];
    let began = Instant::now();
    assert_says(&run(parts).unwrap_err(), "teardown", "unreachable");
    assert!(began.elapsed() < Duration::from_secs(3), "nothing loops for its limit");
}

/// Waiting for a clock does not evade the limit.
#[test]
fn sleep() {
    let work = "(call $block (call $subscribe (i64.const 3600000000000))) (call $ok)";
    assert_stopped(Guest { work, ..SOURCE.with_clock() }, "pull", "waiting for a clock");
}

#[test]
fn random_bytes() {
    let definitions = r#"
      (import "wasi:random/random@0.2.6" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
      (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))"#;
    let imports = r#"(export "bytes" (func $bytes))"#;
    let fields = r#"(import "host" "bytes" (func $bytes (param i64 i32)))"#;
    for len in [1u64 << 27, 1 << 40, u64::MAX] {
        let work = format!("(call $bytes (i64.const {}) (i32.const 64)) unreachable", len as i64);
        assert_fails(Guest { work: &work, definitions, imports, fields, ..SOURCE }, "pull", "exceeds limit");
    }
}

/// A component can name its functions freely; no name controls a terminal or floods it.
#[test]
fn names_of_functions() {
    let long = "x".repeat(3 << 20);
    for (name, shown) in [("a\\u{202e}b\\nerror: c\\1b[2J", "a\\u{202e}b\\nerror: c\\u{1b}[2J"), (&long, "… (")] {
        let fields = format!("(func $\"{name}\" unreachable)");
        let work = format!("(call $\"{name}\") (call $ok)");
        let error = failure(Guest { fields: &fields, work: &work, ..SOURCE });
        let Error::Stage { source, .. } = error else { panic!("{error:?}") };
        let text = source.to_string();
        assert!(text.contains(shown) && text.len() < 2000, "{}", &text[..text.len().min(2000)]);
        assert!(
            !text.contains(['\u{202e}', '\u{1b}']) && text.lines().all(|line| !line.starts_with("error")),
            "{text}"
        );
    }
}
