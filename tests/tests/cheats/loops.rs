//! Guests that read in a loop over the batch, and reach the same element more often than it seems.

use crate::cheat::{Cheat, READER, again, each, processor, read, sink};

pub(crate) const I: &str = "(local.get $i)";

/// A loop that ends after `times` rounds, whatever the index does, which `step` moves.
fn rounds(times: u32, body: &str, step: &str) -> String {
    format!(
        "(local $i i32) (local $round i32)
        (loop $next {body} {step}
          (local.set $round (i32.add (local.get $round) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $round) (i32.const {times}))))"
    )
}

pub(crate) fn step_by(step: &str) -> String {
    format!("(local.set $i (i32.add (local.get $i) (i32.const {step})))")
}

/// Reads only indices that can be in the batch, so a round with another index costs almost nothing.
pub(crate) fn read_low(index: &str) -> String {
    format!("(if (i32.lt_u {index} (i32.const 64)) (then {}))", read(index))
}

/// Honest loops. Their proof can be exact.
pub(crate) fn plain() -> Vec<Cheat> {
    let next = "(i32.add (local.get $i) (i32.const 1))";
    let if_even = format!("(if (i32.and (local.get $i) (i32.const 1)) (then {}))", read(I));
    let either = format!("(if (i32.and (local.get $i) (i32.const 1)) (then {}) (else {}))", read(I), read(I));
    let backwards = format!(
        "(local $i i32) (local.set $i (local.get $count))
        (loop $next
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))
          {}
          (br_if $next (local.get $i)))",
        read(I)
    );
    let head = format!(
        "(local $i i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
          {} {}
          (br $next)))",
        read(I),
        step_by("1")
    );
    let stepped_first = format!(
        "(local $i i32) (local.set $i (i32.const -1))
        (loop $next {} {}
          (br_if $next (i32.lt_u {next} (local.get $count))))",
        step_by("1"),
        read(I)
    );
    vec![
        Cheat::new("plain", processor("", &each(&read(I)))).reads(1),
        Cheat::new("plain-in-a-sink", sink("", &each(&read(I)))).reads(1),
        Cheat::new("plain-test-at-the-head", processor("", &head)).reads(1),
        Cheat::new("plain-step-first", processor("", &stepped_first)).reads(1),
        Cheat::new(
            "plain-through-a-function",
            processor(READER, &each("(call $reader (local.get $batch) (local.get $i))")),
        )
        .reads(1),
        Cheat::new("plain-one-constant", processor("", &read("(i32.const 0)"))).reads(1),
        Cheat::new("plain-read_all", processor("", "(call $read_all (local.get $batch) (i32.const 64))")).reads(1),
        Cheat::new("every-other", processor("", &each(&if_even))).reads(1),
        Cheat::new("either-way", processor("", &each(&either))).reads(1),
        Cheat::new("twice", processor("", &each(&read(I).repeat(2)))).reads(2),
        Cheat::new("this-and-the-next", processor("", &each(&(read(I) + &read(next))))).reads(2),
        Cheat::new(
            "this-and-the-second-next",
            processor("", &each(&(read(I) + &read("(i32.add (local.get $i) (i32.const 2))")))),
        )
        .reads(2),
        Cheat::new(
            "this-and-the-one-before",
            processor("", &each(&(read(I) + &read("(i32.sub (local.get $i) (i32.const 1))")))),
        )
        .reads(2),
        Cheat::new("backwards", processor("", &backwards)).reads(1),
        Cheat::new(
            "two-loops",
            processor("", &format!("(local $i i32) {} {}", again(&read(I)), again(&read(I)).replace("$next", "$then"))),
        )
        .reads(2),
    ]
}

/// Reads at the indices `before`, and then in a loop that begins at `from`, unless `guard` branches to `$done`.
fn before_loop(before: &[u32], guard: &str, from: u32, test: &str) -> String {
    let reads: String = before.iter().map(|index| read(&format!("(i32.const {index})"))).collect();
    processor(
        "",
        &format!(
            "(local $i i32)
            (block $done {reads} {guard} (local.set $i (i32.const {from}))
              (loop $next {} {} (br_if $next {test})))",
            read(I),
            step_by("1")
        ),
    )
}

/// Loops whose first iterations are moved before them, as compilers do.
pub(crate) fn peeled() -> Vec<Cheat> {
    let [not_count, below_count] =
        ["ne", "lt_u"].map(|compare| format!("(i32.{compare} (local.get $i) (local.get $count))"));
    let unless = |one: &str| format!("(br_if $done (i32.eq (local.get $count) (i32.const {one})))");
    let skipped = "(block $go (br_if $go (i32.ne (i32.const 1) (local.get $count))) (br $done))";
    let if_more = format!("{} {}", unless("1"), unless("2"));
    let by_difference = "(br_if $done (i32.eqz (i32.sub (local.get $count) (i32.const 1))))";
    let a_path_around = format!("(block $go (br_if $go (i32.load (i32.const 2048))) {})", unless("1"));
    vec![
        Cheat::new("peeled", before_loop(&[0], &unless("1"), 1, &not_count)).reads(1),
        Cheat::new("peeled-guarded-by-a-branch-over", before_loop(&[0], skipped, 1, &not_count)).reads(1),
        Cheat::new("peeled-guarded-by-a-difference", before_loop(&[0], by_difference, 1, &not_count)).reads(1),
        Cheat::new("peeled-with-a-test-by-order", before_loop(&[0], "", 1, &below_count)).reads(1),
        Cheat::new("peeled-twice", before_loop(&[0, 1], &if_more, 2, &not_count)).reads(1),
        Cheat::new("peeled-and-read-twice-before", before_loop(&[0, 0], &unless("1"), 1, &not_count)).reads(2),
        // Without the guard, the loop goes all the way around in a batch of one element.
        Cheat::new("peeled-without-a-guard", before_loop(&[0], "", 1, "(i32.ne (local.get $i) (i32.const 127))"))
            .reads(1),
        Cheat::new("peeled-and-repeated", before_loop(&[1], &unless("1"), 1, &not_count)),
        Cheat::new("peeled-and-read-ahead", before_loop(&[2], &unless("1"), 1, &not_count)),
        Cheat::new("peeled-guarded-for-another-count", before_loop(&[0], &unless("2"), 1, &below_count)).reads(1),
        Cheat::new("peeled-guarded-on-one-path", before_loop(&[0], &a_path_around, 1, &below_count)).reads(1),
    ]
}

/// The reads before the loop are of elements that it may reach too, as far as can be proven.
pub(crate) fn peeled_in_vain() -> Vec<(&'static str, String)> {
    let before = |guard: &str, index: u32, test: &str| before_loop(&[index], guard, 1, test);
    let not_count = "(i32.ne (local.get $i) (local.get $count))";
    let unless = |one: &str| format!("(br_if $done (i32.eq (local.get $count) (i32.const {one})))");
    vec![
        ("no guard", before("", 0, not_count)),
        ("for another count", before(&unless("2"), 0, not_count)),
        ("on one path", before(&format!("(if (i32.load (i32.const 2048)) (then {}))", unless("1")), 0, not_count)),
        ("the other way", before("(br_if $done (i32.ne (local.get $count) (i32.const 1)))", 0, not_count)),
        ("the first", before(&unless("1"), 1, not_count)),
        ("the second", before(&unless("1"), 2, not_count)),
        ("too far before", before(&unless("1"), 0xffff_fff0, not_count)),
    ]
}

/// The index does not move as it seems to.
fn steps() -> Vec<Cheat> {
    let sometimes = "(i32.store (i32.const 2048) (i32.xor (i32.load (i32.const 2048)) (i32.const 1)))";
    let by_cell = format!("{sometimes} (local.set $i (i32.add (local.get $i) (i32.load (i32.const 2048))))");
    let skipped = format!("{sometimes} (if (i32.load (i32.const 2048)) (then {}))", step_by("1"));
    let retried = format!("{sometimes} (br_if $next (i32.load (i32.const 2048)))");
    let there_and_back = "(local.set $i (select (i32.const 1) (i32.const 0) (i32.eqz (local.get $i))))";
    let alternating = "(local.set $i (i32.add (local.get $i)
        (select (i32.const 1) (i32.const -1) (i32.and (local.get $round) (i32.const 1)))))";
    let undone = format!(
        "(local $seen i32) {}",
        each(&format!(
            "{} (if (i32.lt_u (local.get $seen) (i32.const 5)) (then
          (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))))",
            read(I)
        ))
    );
    let reset = format!(
        "(local $seen i32) {}",
        each(&format!(
            "{} (if (i32.lt_u (local.get $seen) (i32.const 3)) (then
          (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
          (local.set $i (i32.const -1))))",
            read(I)
        ))
    );
    let call_result = |body: &str, locals: &str| {
        processor(
            "(func $next_index (param i32) (result i32)
          (i32.store (i32.const 2048) (i32.add (i32.load (i32.const 2048)) (i32.const 1)))
          (i32.div_u (i32.load (i32.const 2048)) (i32.const 3)))",
            &format!(
                "(local $i i32) {locals} (i32.store (i32.const 2048) (i32.const 0))
          (loop $next {} {body} (br_if $next (i32.lt_u (local.get $i) (local.get $count))))",
                read(I)
            ),
        )
    };
    let by = |name: &str, times: u32, step: &str| Cheat::new(name, processor("", &rounds(times, &read_low(I), step)));
    vec![
        by("step-of-nothing", 5, &step_by("0")),
        by("step-of-2^31", 6, &step_by("0x80000000")).reads(3),
        by("step-of-2^30", 12, &step_by("0x40000000")),
        by("step-of-minus-2^31", 6, "(local.set $i (i32.sub (local.get $i) (i32.const 0x80000000)))"),
        by("step-of-65536", 196_608, &step_by("65536")),
        by("step-of-256", 1 << 25, &step_by("256")).slow(),
        Cheat::new(
            "step-of-1-all-the-way-around",
            processor(
                "",
                &format!(
                    "(local $i i32) (local $round i64)
            (loop $next {} {}
              (local.set $round (i64.add (local.get $round) (i64.const 1)))
              (br_if $next (i64.le_u (local.get $round) (i64.const 0x100000000))))",
                    read_low(I),
                    step_by("1")
                ),
            ),
        )
        .reads(2)
        .slow(),
        by("step-of-minus-1-past-zero", 200, &step_by("-1")),
        by("step-from-memory", 128, &by_cell),
        by("step-skipped-on-one-path", 128, &skipped),
        by("there-and-back", 20, there_and_back),
        by("alternating", 20, alternating),
        by("shifted", 20, "(local.set $i (i32.shl (i32.or (local.get $i) (i32.const 1)) (i32.const 4)))"),
        by("multiplied", 20, "(local.set $i (i32.mul (i32.add (local.get $i) (i32.const 1)) (i32.const 0)))"),
        by("counted-in-8-bits", 600, "(local.set $i (i32.and (i32.add (local.get $i) (i32.const 1)) (i32.const 255)))"),
        by("counted-in-8-signed-bits", 600, "(local.set $i (i32.extend8_s (i32.add (local.get $i) (i32.const 1))))"),
        by("counted-modulo", 200, "(local.set $i (i32.rem_u (i32.add (local.get $i) (i32.const 1)) (i32.const 3)))"),
        by("added-to-itself", 40, "(local.set $i (i32.add (local.get $i) (local.get $i)))"),
        by(
            "tee-and-back",
            40,
            "(drop (local.tee $i (i32.add (local.get $i) (i32.const 1)))) (local.set $i (i32.const 0))",
        ),
        by("stepped-in-a-dead-arm", 40, &format!("(if (i32.const 0) (then {}))", step_by("1"))),
        by("stepped-in-a-branch-over", 40, &format!("(block $over (br_if $over (i32.const 1)) {})", step_by("1"))),
        by("stepped-twice-and-back", 40, &(step_by("1") + &step_by("-1"))),
        by(
            "stepped-by-an-operand-from-before",
            40,
            "(local.get $i) (local.set $i (i32.add (local.get $i) (i32.const 1))) (local.set $i)",
        ),
        Cheat::new(
            "retried",
            processor(
                "",
                &format!(
                    "(local $i i32) (loop $next {} {retried} {}
            (br_if $next (i32.lt_u (local.get $i) (local.get $count))))",
                    read(I),
                    step_by("1")
                ),
            ),
        ),
        Cheat::new(
            "retried-in-a-sink",
            sink(
                "",
                &format!(
                    "(local $i i32) (loop $next {} {retried} {}
            (br_if $next (i32.lt_u (local.get $i) (local.get $count))))",
                    read(I),
                    step_by("1")
                ),
            ),
        ),
        Cheat::new("stepped-and-undone", processor("", &undone)),
        Cheat::new("reset", processor("", &reset)),
        Cheat::new("step-is-a-call-result", call_result("(local.set $i (call $next_index (local.get $i)))", "")),
        Cheat::new(
            "stepped-then-overwritten-by-a-call",
            call_result(&format!("{} (local.set $i (call $next_index (local.get $i)))", step_by("1")), ""),
        ),
        Cheat::new(
            "left-with-not-equal",
            processor(
                "",
                &format!(
                    "(local $i i32) (local $seen i32)
            (loop $next {} {}
              (if (i32.eqz (local.get $i)) (then (local.set $seen (i32.add (local.get $seen) (i32.const 1)))))
              (br_if $next (i32.ne (local.get $seen) (i32.const 3))))",
                    read_low(I),
                    step_by("0x10000000")
                ),
            ),
        ),
        Cheat::new(
            "br_table",
            processor(
                "",
                &format!(
                    "(local $i i32) (local $case i32)
            (loop $next
              {}
              (local.set $case (i32.rem_u (i32.add (local.get $case) (i32.const 1)) (i32.const 3)))
              (block $step (br_table $next $next $step (local.get $case)))
              {} (br_if $next (i32.lt_u (local.get $i) (local.get $count))))",
                    read(I),
                    step_by("1")
                ),
            ),
        ),
    ]
}

/// Nested loops, and functions that are called from loops.
fn nested() -> Vec<Cheat> {
    let inner = |from: &str, to: &str, index: &str| {
        format!(
            "(local.set $j {from})
        (loop $inner {}
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br_if $inner (i32.lt_u (local.get $j) {to})))",
            read(index)
        )
    };
    let nest = |body: &str| format!("(local $j i32) {}", each(body));
    let call = "(call $reader (local.get $batch) (local.get $i))";
    let looping = format!(
        "(func $looping (param $batch i32) (param $index i32) (local $j i32)
        (loop $inner {}
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br_if $inner (i32.lt_u (local.get $j) (i32.const 3)))))",
        read("(local.get $index)")
    );
    let moving = format!(
        "(func $moving (param $batch i32) (param $index i32) {}
        (local.set $index (i32.add (local.get $index) (i32.const 1))) {} {})",
        read("(local.get $index)"),
        read("(local.get $index)"),
        read("(i32.sub (local.get $index) (i32.const 1))")
    );
    let diamond = format!("{READER}
        (func $left (param $batch i32) (param $index i32) (call $reader (local.get 0) (local.get 1)) (call $reader (local.get 0) (local.get 1)))
        (func $right (param $batch i32) (param $index i32) (call $left (local.get 0) (local.get 1)) (call $reader (local.get 0) (local.get 1)))");
    let ignoring = format!("(func $ignoring (param $batch i32) (param $index i32) {})", read("(i32.const 0)"));
    let counting = format!(
        "(global $at (mut i32) (i32.const 0))
        (func $counting (param $batch i32) {}
          (global.set $at (i32.and (i32.add (global.get $at) (i32.const 1)) (i32.const 3))))",
        read("(global.get $at)")
    );
    let swapped = format!("(func $swapped (param $index i32) (param $batch i32) {})", read("(local.get $index)"));
    let all = format!("(func $all (param $batch i32) (param $count i32) {})", each(&read(I)));
    let call_all = "(call $all (local.get $batch) (local.get $count))";
    let read_all = "(call $read_all (local.get $batch) (i32.const 64))";
    vec![
        Cheat::new("inner-loop-at-the-outer-index", processor("", &nest(&inner("(i32.const 0)", "(i32.const 3)", I)))),
        Cheat::new("inner-loop-from-the-outer-index", processor("", &nest(&inner("(local.get $i)", "(local.get $count)", "(local.get $j)")))),
        Cheat::new("inner-loop-over-all", processor("", &nest(&inner("(i32.const 0)", "(local.get $count)", "(local.get $j)")))).reads(64),
        Cheat::new("inner-loop-steps-the-outer-index-back", processor("", &format!("(local $seen i32) {}", each(&format!(
            "(loop $inner {}
              (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $inner (i32.lt_u (local.get $i) (local.get $count))))
            (if (i32.lt_u (local.get $seen) (i32.mul (local.get $count) (i32.const 3))) (then (local.set $i (i32.const -1))))", read(I)))))),
        Cheat::new("continue-before-the-step", processor("", &format!("(local $i i32) (local $tries i32)
            (loop $outer
              (loop $next {}
                (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
                (br_if $next (i32.and (local.get $tries) (i32.const 3))))
              {} (br_if $outer (i32.lt_u (local.get $i) (local.get $count))))", read(I), step_by("1")))),
        Cheat::new("a-function-called-twice", processor(READER, &each(&call.repeat(2)))),
        Cheat::new("a-function-called-in-two-loops", processor(READER, &format!("(local $i i32) {} {}", again(call), again(call).replace("$next", "$then")))),
        Cheat::new("a-function-called-with-constants", processor(READER, &each(
            "(call $reader (local.get $batch) (i32.const 0)) (call $reader (local.get $batch) (i32.const 1))"))),
        Cheat::new("a-function-called-with-half", processor(READER, &each(
            "(call $reader (local.get $batch) (i32.div_u (local.get $i) (i32.const 2)))"))),
        Cheat::new("a-function-that-loops", processor(&looping, &each("(call $looping (local.get $batch) (local.get $i))"))).reads(3),
        Cheat::new("a-function-that-moves-its-parameter", processor(&moving, &each("(call $moving (local.get $batch) (local.get $i))"))),
        Cheat::new("a-function-that-ignores-its-parameter", processor(&ignoring, &each("(call $ignoring (local.get $batch) (local.get $i))"))),
        Cheat::new("a-function-that-counts", processor(&counting, &each("(call $counting (local.get $batch))"))),
        Cheat::new("a-function-of-other-order", processor(&swapped, &each("(call $swapped (i32.const 0) (local.get $batch))"))),
        Cheat::new("functions-in-a-diamond", processor(&diamond, &each("(call $left (local.get $batch) (local.get $i)) (call $right (local.get $batch) (local.get $i))"))).reads(5),
        Cheat::new("all-of-it-called-twice", processor(&all, &call_all.repeat(2))),
        Cheat::new("all-of-it-in-a-loop", processor(&all, &each(call_all))),
        Cheat::new("read_all-twice", processor("", &read_all.repeat(2))),
        Cheat::new("read_all-and-each", processor("", &format!("{} {read_all}", each(&read(I))))).reads(2),
        Cheat::new("read_all-in-a-loop", processor("", &each(read_all))).reads(64),
        Cheat::new("read_all-in-a-function-called-twice", processor(
            "(func $whole (param $batch i32) (call $read_all (local.get $batch) (i32.const 64)))",
            "(call $whole (local.get $batch)) (call $whole (local.get $batch))")),
        Cheat::new("read_all-in-a-sink", sink("", &each(read_all))),
    ]
}

pub(crate) fn cheats() -> Vec<Cheat> {
    [plain(), peeled(), steps(), nested()].into_iter().flatten().collect()
}
