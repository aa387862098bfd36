//! The stages, and their flows.

use std::sync::Arc;

use bytes::Bytes;
use torvyn_runtime::endpoint::{Discard, Generate};
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::Then;
use torvyn_runtime::{Account, Control, Error, Limits, Policy};
use torvyn_tests::guest::{Guest, HOLDER, PROCESSOR, ROUTER, SINK, SOURCE, TRANSFORM, join_with_itself};
use torvyn_tests::{Elements, Part, input, output, stage_with, start_with};

/// The name of a stage, and a function that runs it this many times as long. It returns how the flow ended.
type Bomb = (&'static str, fn(usize) -> String);

pub(crate) const ALL: &[Bomb] = &[
    ("behaves", behaves),
    ("held-joins", held_joins),
    ("held-joins-restarting", held_joins_restarting),
    ("waiting-joins", waiting_joins),
    ("waiting-joins-at-eight-edges", waiting_joins_at_eight_edges),
    ("cut-joins", cut_joins),
    ("empty-parts", empty_parts),
    ("most-empty-parts", most_empty_parts),
    ("many-parts-at-every-call", many_parts_at_every_call),
    ("written-elements", written_elements),
    ("written-columns", written_columns),
    ("held-attributes", held_attributes),
    ("waiting-attributes", waiting_attributes),
    ("large-attributes", large_attributes),
    ("held-elements", held_elements),
    ("forwarded-again-and-again", forwarded_again_and_again),
    ("small-parts-of-large-blocks", small_parts_of_large_blocks),
    ("small-parts-of-large-elements", small_parts_of_large_elements),
    ("small-elements-of-their-own-blocks", small_elements_of_their_own_blocks),
    ("buffers", buffers),
    ("outputs", outputs),
    ("texts-of-failures", texts_of_failures),
    ("texts-of-dead-letters", texts_of_dead_letters),
    ("routes", routes),
    ("leases-in-one-call", leases_in_one_call),
    ("long-names-in-traps", long_names_in_traps),
    ("debug-rows", debug_rows),
    ("debug-rows-within-bounds", debug_rows_within_bounds),
    ("debug-files-within-bounds", debug_files_within_bounds),
    ("debug-files-of-a-long-directory", debug_files_of_a_long_directory),
    ("debug-functions-within-functions", debug_functions_within_functions),
    ("debug-long-names-of-many-functions", debug_long_names_of_many_functions),
    ("debug-units-of-one-table", debug_units_of_one_table),
];

fn limits() -> Limits {
    Limits::default()
}

fn skipping() -> Policy {
    Policy { retry: None, then: Then::Skip }
}

fn of(name: &str, guest: Guest<'_>) -> Part {
    stage_with(name, guest.file().path, &[], limits())
}

/// This many elements of `abc`.
fn elements(count: usize) -> Part {
    input(Elements::new((0..count).map(|_| Bytes::from_static(b"abc"))))
}

/// A sink that asks for a pause after every call, so that elements wait on its edge.
fn pausing() -> Part {
    let work = "(call $drop_batch (local.get $batch)) (drop (call $ok)) (i32.store8 (i32.const 20) (i32.const 1))
        (i32.const 16)";
    of("pausing", Guest { work, ..SINK })
}

fn discard() -> Part {
    output("out", Discard)
}

/// Runs parts in a row. A flow that does not end is cut off: it has waited long enough.
fn row(parts: Vec<Part>) -> String {
    let edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    told(run_along(parts, &edges, |control| control))
}

fn run_along(
    parts: Vec<Part>,
    edges: &[(usize, usize, usize, Capacity)],
    control: impl FnOnce(Control) -> Control,
) -> Result<Account, Error> {
    start_with(parts, edges, control)?.0.run()
}

fn told(ended: Result<Account, Error>) -> String {
    match ended {
        Ok(account) if account.elements.skipped > 0 => format!("ended, {} skipped", account.elements.skipped),
        Ok(_) => "ended".to_string(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            format!("{error}{cause}")
        }
    }
}

fn behaves(times: usize) -> String {
    row(vec![elements(10_000 * times), of("stage", PROCESSOR), of("transform", TRANSFORM), discard()])
}

/// Joins the first element of its batch with itself, this many times.
fn joining(name: &str, pieces: u32) -> Part {
    of(name, Guest { work: &join_with_itself(pieces), memory: "3", ..HOLDER })
}

/// Holds its elements forever and forwards nothing. Returns refusals of the host as its own failures.
const HOLDS: &str = "
    (call $count_up (i32.const 3072) (local.get $count))
    (if (i32.eqz (call $hold (local.get $batch) (i32.const 3072) (local.get $count) (i32.const 0)))
      (then (i32.store (i32.const 80) (i32.const 0)) (call $drop_batch (local.get $batch)) (return (i32.const 64))))
    (call $drop_batch (local.get $batch))
    (call $all_to (local.get $count) (i32.const 0))";

/// Joined payloads of 64,000 pieces, from one element each.
fn ropes(count: usize) -> Vec<Part> {
    // A call joins the first element of its batch, of at most 256.
    vec![elements(64 * 64 * count), joining("thousand", 1000), joining("all", 64)]
}

fn held_joins(times: usize) -> String {
    let mut parts = ropes(60 * times);
    parts.extend([of("holder", Guest { work: HOLDS, ..HOLDER }), discard()]);
    row(parts)
}

/// The same for a stage that traps at every seventh call and restarts.
fn held_joins_restarting(times: usize) -> String {
    let work = format!(
        "(if (i32.eqz (i32.rem_u (global.get $calls) (i32.const 7))) (then unreachable))
        (global.set $calls (i32.add (global.get $calls) (i32.const 1))) {HOLDS}"
    );
    let guest = Guest { work: &work, fields: "(global $calls (mut i32) (i32.const 1))", ..HOLDER };
    let mut parts = ropes(4 * times);
    parts.extend([of("holder", guest).policy(skipping()), discard()]);
    row(parts)
}

fn waiting_joins(times: usize) -> String {
    let mut parts = ropes(30 * times);
    parts.push(pausing());
    row(parts)
}

fn waiting_joins_at_eight_edges(times: usize) -> String {
    let mut parts = ropes(20 * times);
    let mut edges: Vec<_> = (1..3).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    for sink in 0..8 {
        edges.push((2, 0, parts.len(), Capacity::default()));
        parts.push(pausing().named(&format!("sink-{sink}")));
    }
    told(run_along(parts, &edges, |control| control))
}

/// Slices a payload of a thousand pieces into a thousand elements that share all pieces but one.
fn cut_joins(times: usize) -> String {
    let work = "(local $entry i32)
        (loop $next
          (i64.store (i32.add (i32.const 131072) (i32.mul (local.get $entry) (i32.const 8))) (i64.const 2999))
          (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $entry) (i32.const 1040))))
        (call $slice_all (local.get $batch) (i32.const 65536) (i32.const 1040) (i32.const 98304) (i32.const 1040)
          (i32.const 131072) (i32.const 1040) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $drop_batch (local.get $batch))
        (if (call $done) (then (return (call $output (i32.load (i32.const 68))))))
        (i32.store (i32.const 80) (i32.const 0)) (i32.const 64)";
    let cutter = of("cutter", Guest { work, memory: "4", ..HOLDER }).policy(skipping());
    row(vec![elements(64 * 20 * times), joining("thousand", 1000), cutter, pausing()])
}

/// This many empty slices of the first element.
fn cutting(parts: u32) -> String {
    format!(
        "(call $slice_all (local.get $batch) (i32.const 65536) (i32.const {parts}) (i32.const 65536) (i32.const {parts})
          (i32.const 65536) (i32.const {parts}) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $drop_batch (local.get $batch))
        (if (call $done) (then (return (call $output (i32.load (i32.const 68))))))
        (i32.store (i32.const 80) (i32.const 0)) (i32.const 64)"
    )
}

fn empty_parts(times: usize) -> String {
    let work = cutting(1 << 20);
    row(vec![elements(3 * times), of("cutter", Guest { work: &work, memory: "140", ..HOLDER }), discard()])
}

/// As many as are accepted, with room to wait.
fn most_empty_parts(times: usize) -> String {
    let work = cutting(480_000);
    row(vec![elements(3 * times), of("cutter", Guest { work: &work, memory: "140", ..HOLDER }), discard()])
}

fn many_parts_at_every_call(times: usize) -> String {
    let work = cutting(2000);
    row(vec![elements(2000 * times), of("cutter", Guest { work: &work, memory: "4", ..HOLDER }), discard()])
}

/// Makes this many elements without a byte.
fn emitting(elements: u32, lineage: u32) -> String {
    format!(
        "(drop (call $emit (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const {elements})
          (i32.const 65536) (i32.const {lineage}) (i32.const 65536) (i32.const {lineage})))
        (if (call $done) (then (return (call $output (i32.load (i32.const 68))))))
        (i32.store (i32.const 80) (i32.const 0)) (i32.const 64)"
    )
}

fn written_elements(times: usize) -> String {
    let work = format!("(call $drop_batch (local.get $batch)) {}", emitting(900_000, 0));
    row(vec![elements(2 * times), of("writer", Guest { work: &work, memory: "140", ..PROCESSOR }), discard()])
}

/// Columns that are longer than the list of elements.
fn written_columns(times: usize) -> String {
    let work = format!("(call $drop_batch (local.get $batch)) {}", emitting(1, 7_000_000));
    row(vec![elements(2 * times), of("writer", Guest { work: &work, memory: "500", ..PROCESSOR }), discard()])
}

const ATTRIBUTES: &str = r#"
  (import "torvyn:streaming/attributes@0.2.0" (instance $attributes
    (export "batch" (type $lent (eq $batch)))
    (export "failure" (type $why (eq $failure)))
    (export "set" (func (param "of" (borrow $lent)) (param "index" u32) (param "name" string)
      (param "value" (option string)) (result (result (error $why)))))))
  (core func $set (canon lower (func $attributes "set") (memory $memory) (realloc $realloc)))
"#;

/// Gives each element 64 attributes, with names of two letters and values of this many, and then runs these
/// instructions.
fn attributed(value: u32, then: &str, guest: Guest<'_>) -> Part {
    let work = format!(
        "(local $index i32) (local $number i32)
        (loop $elements
          (local.set $number (i32.const 0))
          (loop $names
            (i32.store8 (i32.const 65536) (i32.add (i32.const 65) (i32.and (local.get $number) (i32.const 7))))
            (i32.store8 (i32.const 65537) (i32.add (i32.const 65) (i32.shr_u (local.get $number) (i32.const 3))))
            (call $set (local.get $batch) (local.get $index) (i32.const 65536) (i32.const 2)
              (i32.const 1) (i32.const 65600) (i32.const {value}) (i32.const 64))
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            (br_if $names (i32.lt_u (local.get $number) (i32.const 64))))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br_if $elements (i32.lt_u (local.get $index) (local.get $count))))
        {then}"
    );
    let fields = r#"(import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32 i32 i32)))"#;
    let imports = r#"(export "set" (func $set))"#;
    let text = "(data (i32.const 65600) \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\")";
    let fields = format!("{fields} {text}");
    of("attributes", Guest { work: &work, fields: &fields, imports, definitions: ATTRIBUTES, memory: "3", ..guest })
}

fn held_attributes(times: usize) -> String {
    row(vec![elements(70_000 * times), attributed(0, HOLDS, HOLDER), discard()])
}

const FORWARD: &str = "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";

fn waiting_attributes(times: usize) -> String {
    row(vec![elements(3000 * times), attributed(0, FORWARD, ROUTER), pausing()])
}

fn large_attributes(times: usize) -> String {
    row(vec![elements(20_000 * times), attributed(100, HOLDS, HOLDER), discard()])
}

fn held_elements(times: usize) -> String {
    row(vec![elements(70_000 * times), of("holder", Guest { work: HOLDS, ..HOLDER }), discard()])
}

/// Holds the first element, and in each of 2000 calls forwards it a thousand times, in outputs that are dropped.
fn forwarded_again_and_again(times: usize) -> String {
    let work = "(local $lease i32) (local $left i32)
        (local.set $lease (call $hold_first (local.get $batch) (i32.const 1) (i32.const 0)))
        (local.set $left (i32.const 1000))
        (loop $more
          (i32.store (i32.const 65536) (local.get $lease))
          (call $join (i32.const 65536) (i32.const 1) (i32.const 1) (i32.const 64))
          (if (i32.eqz (call $done)) (then unreachable))
          (call $drop_output (i32.load (i32.const 68)))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $drop_lease (local.get $lease))
        (call $drop_batch (local.get $batch))
        (call $all_to (local.get $count) (i32.const 0))";
    row(vec![elements(2000 * times), of("holder", Guest { work, memory: "3", ..HOLDER }), discard()])
}

/// A source of elements of one byte, each in a block of 4 MiB of which the rest is not used.
fn small_parts_of_large_blocks(times: usize) -> String {
    let (rest, pulls) = ((4 << 20) - 1, 60 * times);
    let work = format!(
        "(if (i32.eq (global.get $pulls) (i32.const {pulls})) (then (return (call $ok))))
        (if (i32.lt_u (local.get $max_elements) (i32.const 2)) (then
          (i64.store (i32.const 2048) (i64.const 1))
          (drop (call $emit (i32.const 65536) (i32.const 1) (i32.const 2048) (i32.const 1)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
          (return (call $output (i32.load (i32.const 68))))))
        (global.set $pulls (i32.add (global.get $pulls) (i32.const 1)))
        (i64.store (i32.const 2048) (i64.const 1)) (i64.store (i32.const 2056) (i64.const {rest}))
        (i32.store (i32.const 2064) (i32.const 1)) (i32.store (i32.const 2068) (i32.const 0))
        (if (i32.eqz (call $emit (i32.const 65536) (i32.const {}) (i32.const 2048) (i32.const 2)
            (i32.const 0) (i32.const 0) (i32.const 2064) (i32.const 2)))
          (then (return (i32.const 64))))
        (call $output (i32.load (i32.const 68)))",
        rest + 1
    );
    let fields = "(global $pulls (mut i32) (i32.const 0))";
    row(vec![of("source", Guest { work: &work, fields, memory: "70", ..SOURCE }), pausing()])
}

/// Slices one byte out of each element of 1 MiB.
fn small_parts_of_large_elements(times: usize) -> String {
    let work = "(i64.store (i32.const 2048) (i64.const 0)) (i64.store (i32.const 2056) (i64.const 1))
        (i32.store (i32.const 2064) (i32.const 0))
        (call $slice_all (local.get $batch) (i32.const 2064) (i32.const 1) (i32.const 2048) (i32.const 1)
          (i32.const 2056) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $drop_batch (local.get $batch))
        (if (i32.eqz (call $done)) (then unreachable))
        (call $output (i32.load (i32.const 68)))";
    let large = Generate::seeded(400 * times as u64, 1 << 20..=1 << 20, 7);
    row(vec![input(large), of("cutter", Guest { work, ..HOLDER }), pausing()])
}

/// Writes one byte in each call, which gets its own block.
fn small_elements_of_their_own_blocks(times: usize) -> String {
    let work = "(i64.store (i32.const 2048) (i64.const 1))
        (call $drop_batch (local.get $batch))
        (if (i32.eqz (call $emit (i32.const 0) (i32.const 1) (i32.const 2048) (i32.const 1)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
          (then unreachable))
        (call $output (i32.load (i32.const 68)))";
    let held = of("holder", Guest { work: HOLDS, ..HOLDER });
    row(vec![elements(64 * 1200 * times), of("writer", Guest { work, ..PROCESSOR }), held, discard()])
}

fn buffers(times: usize) -> String {
    let work = "(local $left i32)
        (call $drop_batch (local.get $batch))
        (local.set $left (i32.const 900))
        (loop $more
          (drop (call $room (i64.const 1)))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $all_to (local.get $count) (i32.const 1))";
    row(vec![elements(3 * times), of("buffers", Guest { work, ..HOLDER }), discard()])
}

/// As many outputs as a call may make, each with elements.
fn outputs(times: usize) -> String {
    let work = "(local $left i32)
        (call $drop_batch (local.get $batch))
        (local.set $left (i32.const 1000))
        (loop $more
          (if (i32.eqz (call $emit (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 1000)
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (then (i32.store (i32.const 80) (i32.const 0)) (return (i32.const 64))))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $all_to (local.get $count) (i32.const 0))";
    row(vec![elements(20 * times), of("outputs", Guest { work, memory: "3", ..PROCESSOR }), discard()])
}

/// Fails on every element with a text of 30 MiB.
const TALKS: &str = "
    (call $drop_batch (local.get $batch))
    (drop (call $fail (i32.const 2)))
    (i32.store (i32.const 24) (i32.const 65536)) (i32.store (i32.const 28) (i32.const 31457280))
    (i32.const 16)";

fn texts_of_failures(times: usize) -> String {
    let talker = of("talker", Guest { work: TALKS, memory: "490", ..ROUTER }).policy(skipping());
    row(vec![elements(40 * times), talker, discard()])
}

fn texts_of_dead_letters(times: usize) -> String {
    let policy = Policy { retry: None, then: Then::DeadLetter };
    let parts = vec![
        elements(40 * times),
        of("talker", Guest { work: TALKS, memory: "490", ..ROUTER }).policy(policy),
        discard(),
    ];
    let edges: Vec<_> = (1..3).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    let dead_letters = Arc::new(|_: torvyn_runtime::flow::DeadLetter<'_>| Ok(()));
    told(run_along(parts, &edges, |control| Control { dead_letters, ..control }))
}

/// Routes for elements that are not in the batch.
fn routes(times: usize) -> String {
    let work = "(call $drop_batch (local.get $batch)) (call $routes (i32.const 65536) (i32.const 7000000))";
    row(vec![elements(2 * times), of("router", Guest { work, memory: "430", ..ROUTER }), discard()])
}

/// One lease, a million times.
fn leases_in_one_call(times: usize) -> String {
    let work = "(local $lease i32) (local $at i32)
        (local.set $lease (call $hold_first (local.get $batch) (i32.const 1) (i32.const 0)))
        (local.set $at (i32.const 65536))
        (loop $more
          (i32.store (local.get $at) (local.get $lease))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (br_if $more (i32.lt_u (local.get $at) (i32.const 4194304))))
        (call $join (i32.const 65536) (i32.const 1000000) (i32.const 1) (i32.const 64))
        (call $drop_batch (local.get $batch))
        (i32.store (i32.const 80) (i32.const 0)) (i32.const 64)";
    row(vec![elements(2 * times), of("holder", Guest { work, memory: "80", ..HOLDER }), discard()])
}

/// Traps in functions whose names have 256 KiB each.
fn long_names_in_traps(times: usize) -> String {
    let name = "n".repeat(256 << 10);
    let mut fields = format!("(func ${name}0 unreachable)");
    for depth in 1..16 {
        fields += &format!("(func ${name}{depth} (call ${name}{}))", depth - 1);
    }
    let work = format!("(call ${name}15) unreachable");
    let part = of("trapper", Guest { work: &work, fields: &fields, ..ROUTER }).policy(skipping());
    row(vec![elements(200 * times), part, discard()])
}

/// The debug information of a module: units that cover all addresses and share one line table.
struct Debug {
    /// The entries of each unit, of the declarations in [`Debug::fields`].
    entries: Vec<u8>,
    units: usize,
    /// Bytes of the name of inlined functions.
    name: usize,
    /// Bytes of the folder of all files, and how many files there are.
    directory: usize,
    files: usize,
    /// The program of the line table.
    program: Vec<u8>,
}

impl Debug {
    fn small() -> Debug {
        Debug { entries: inlined(0), units: 1, name: 1, directory: 1, files: 1, program: vec![0x20] }
    }

    /// The sections, as fields of a module in the text format.
    fn fields(&self) -> String {
        let u32s = |bytes: &mut Vec<u8>, value: usize| bytes.extend((value as u32).to_le_bytes());
        // 1 is a unit: addresses, line table. 2 is a function, and 3 an inlined one, with addresses, and with the name of the
        // entry that it refers to. 4 is an entry with a name. All but that have children.
        let mut abbrev = vec![1, 0x11, 1, 0x11, 1, 0x12, 6, 0x10, 0x17, 0, 0];
        abbrev.extend([2, 0x2e, 1, 0x11, 1, 0x12, 6, 0, 0]);
        abbrev.extend([3, 0x1d, 1, 0x31, 0x13, 0x11, 1, 0x12, 6, 0, 0]);
        abbrev.extend([4, 0x2e, 0, 0x03, 0x0e, 0, 0, 0]);
        let mut info = Vec::new();
        for _ in 0..self.units {
            let mut unit = vec![4, 0, 0, 0, 0, 0, 4];
            unit.push(1);
            u32s(&mut unit, 0);
            u32s(&mut unit, 0xffff_fff0);
            u32s(&mut unit, 0);
            // At 24 in a unit.
            unit.push(4);
            u32s(&mut unit, 1);
            unit.extend(&self.entries);
            unit.push(0);
            u32s(&mut info, unit.len());
            info.extend(unit);
        }
        let mut header = vec![1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
        header.extend(std::iter::repeat_n(b'd', self.directory));
        header.extend([0, 0]);
        header.extend([b'f', 0, 1, 0, 0].repeat(self.files));
        header.push(0);
        let mut line = vec![4, 0];
        u32s(&mut line, header.len());
        line.extend(header);
        line.extend([0, 5, 2, 0, 0, 0, 0]);
        line.extend(&self.program);
        // The end of the sequence, far from its start.
        line.extend([2, 0xf0, 0xff, 0xff, 0xff, 0x0e, 0, 1, 1]);
        let mut lines = Vec::new();
        u32s(&mut lines, line.len());
        lines.extend(line);
        let names = [&b"\0"[..], &b"n".repeat(self.name), b"\0"].concat();
        [(".debug_abbrev", abbrev), (".debug_info", info), (".debug_line", lines), (".debug_str", names)]
            .iter()
            .map(|(name, bytes)| {
                let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
                format!("(@custom \"{name}\" \"{text}\")")
            })
            .collect()
    }
}

/// Traps in a function with these debug sections, and reads, so that the analysis looks for the line as well.
fn debugged(debug: &Debug, times: usize) -> String {
    let work = "(call $read (local.get $batch) (i32.const 0) (i64.const 0) (i64.const 1) (i32.const 64)) unreachable";
    let file = Guest { work, fields: &debug.fields(), ..PROCESSOR }.file();
    // What was resident so far was the text of the component.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let part = stage_with("debugged", file.path, &[], limits()).policy(skipping());
    row(vec![elements(2 * times), part, discard()])
}

/// An inlined function: it refers to the entry at 24, and covers all addresses.
const INLINED: [u8; 13] = [3, 24, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff];

fn inlined(depth: usize) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff][..], &INLINED.repeat(depth), &vec![0; depth + 1]].concat()
}

fn debug_rows(times: usize) -> String {
    debugged(&Debug { program: vec![0x20; 8 << 20], ..Debug::small() }, times)
}

/// As large as a line table that is still looked at.
fn debug_rows_within_bounds(times: usize) -> String {
    debugged(&Debug { program: vec![0x20; 2_000_000], ..Debug::small() }, times)
}

fn debug_files_within_bounds(times: usize) -> String {
    debugged(&Debug { directory: 500, files: 55_000, ..Debug::small() }, times)
}

fn debug_files_of_a_long_directory(times: usize) -> String {
    debugged(&Debug { directory: 64 << 10, files: 20_000, ..Debug::small() }, times)
}

fn debug_functions_within_functions(times: usize) -> String {
    debugged(&Debug { entries: inlined(500_000), ..Debug::small() }, times)
}

fn debug_long_names_of_many_functions(times: usize) -> String {
    debugged(&Debug { entries: inlined(1000), name: 1 << 20, ..Debug::small() }, times)
}

fn debug_units_of_one_table(times: usize) -> String {
    debugged(&Debug { units: 10_000, program: vec![0x20; 64 << 10], ..Debug::small() }, times)
}
