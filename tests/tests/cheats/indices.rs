//! Guests that read at another index than the one that steps, and guests whose loops have fewer or more rounds than it
//! seems.

use crate::cheat::{Cheat, READER, again, each, processor, read};
use crate::loops::{I, read_low, step_by};

/// The argument is not the index that steps.
fn arguments() -> Vec<Cheat> {
    let of = |name: &str, index: &str| {
        Cheat::new(name, processor("(global $at (mut i32) (i32.const 0))", &each(&read(index))))
    };
    let two = |name: &str, locals: &str, prepare: &str, index: &str| {
        let work = format!("{locals} {}", each(&format!("{prepare} {}", read(index))));
        Cheat::new(name, processor("(memory $other 1) (global $at (mut i32) (i32.const 0))", &work))
    };
    vec![
        of("index-masked", "(i32.and (local.get $i) (i32.const 7))").reads(8),
        of("index-halved", "(i32.div_u (local.get $i) (i32.const 2))"),
        of("index-shifted", "(i32.shr_u (local.get $i) (i32.const 3))"),
        of("index-times-nothing", "(i32.mul (local.get $i) (i32.const 0))"),
        of("index-times-2^31", "(i32.mul (local.get $i) (i32.const 0x80000000))"),
        of("index-minus-itself", "(i32.sub (local.get $i) (local.get $i))"),
        of("index-constant", "(i32.const 0)"),
        two("index-local-that-never-moves", "(local $still i32)", "", "(local.get $still)"),
        of("index-not-not", "(i32.eqz (i32.eqz (local.get $i)))"),
        of("index-selected", "(select (local.get $i) (i32.const 0) (i32.and (local.get $i) (i32.const 1)))"),
        of(
            "index-by-if",
            "(if (result i32) (i32.and (local.get $i) (i32.const 1)) (then (local.get $i)) (else (i32.const 0)))",
        ),
        of(
            "index-by-block",
            "(block $b (result i32) (drop (br_if $b (i32.const 0) (i32.eqz (i32.and (local.get $i) (i32.const 1))))) (local.get $i))",
        ),
        of("index-wrapped", "(i32.wrap_i64 (i64.shl (i64.extend_i32_u (local.get $i)) (i64.const 32)))"),
        of("index-extended", "(i32.extend8_s (i32.shl (local.get $i) (i32.const 6)))"),
        of("index-as-float", "(i32.trunc_f32_u (f32.mul (f32.convert_i32_u (local.get $i)) (f32.const 0.25)))"),
        of("index-of-leading-zeros", "(i32.clz (i32.shl (i32.const 1) (local.get $i)))"),
        of("index-of-bits", "(i32.popcnt (local.get $i))"),
        of("index-of-a-vector", "(i32x4.extract_lane 0 (i32x4.splat (i32.shr_u (local.get $i) (i32.const 2))))"),
        of("index-of-memory", "(i32.load (i32.const 2048))"),
        of("index-of-memory-at-index", "(i32.load8_u (i32.add (i32.const 2048) (local.get $i)))"),
        of("index-of-a-global", "(global.get $at)"),
        of("index-of-memory-size", "(i32.sub (memory.size) (memory.size))"),
        two(
            "index-copied-before",
            "(local $copy i32)",
            "(if (i32.eqz (i32.and (local.get $i) (i32.const 3))) (then (local.set $copy (local.get $i))))",
            "(local.get $copy)",
        ),
        two(
            "index-through-memory",
            "",
            "(i32.store (i32.const 2048) (i32.shr_u (local.get $i) (i32.const 1)))",
            "(i32.load (i32.const 2048))",
        ),
        two(
            "index-through-another-memory",
            "",
            "(i32.store $other (i32.const 0) (i32.shr_u (local.get $i) (i32.const 1)))",
            "(i32.load $other (i32.const 0))",
        ),
        two(
            "index-through-a-global",
            "",
            "(global.set $at (i32.shr_u (local.get $i) (i32.const 1)))",
            "(global.get $at)",
        ),
        two(
            "index-plus-a-local-that-falls",
            "(local $down i32)",
            "(local.set $down (i32.sub (local.get $down) (i32.const 1)))",
            "(i32.add (i32.add (local.get $i) (local.get $down)) (i32.const 1))",
        ),
        two(
            "index-minus-a-copy",
            "(local $copy i32)",
            "(local.set $copy (local.get $i))",
            "(i32.sub (local.get $i) (local.get $copy))",
        ),
        Cheat::new(
            "index-through-memory64",
            processor(
                "(memory $wide i64 1)",
                &each(&format!(
                    "(i32.store $wide (i64.const 0) (i32.shr_u (local.get $i) (i32.const 1))) {}",
                    read("(i32.load $wide (i64.const 0))")
                )),
            ),
        ),
        Cheat::new(
            "index-in-64-bits",
            processor(
                "",
                &format!(
                    "(local $wide i64) (local $round i32)
            (loop $next {}
              (local.set $wide (i64.add (local.get $wide) (i64.const 0x100000000)))
              (local.set $round (i32.add (local.get $round) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $round) (i32.const 9))))",
                    read("(i32.wrap_i64 (local.get $wide))")
                ),
            ),
        ),
        Cheat::new(
            "index-on-the-stack",
            processor(
                "",
                &format!(
                    "(local $round i32) (local $i i32) (i32.const 0)
            (loop $next (param i32) (result i32)
              (local.set $i) {} (local.get $i)
              (local.set $round (i32.add (local.get $round) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $round) (i32.const 4))))
            drop",
                    read(I)
                ),
            ),
        ),
        Cheat::new(
            "index-on-the-stack-and-stepped",
            processor(
                "",
                &format!(
                    "(local $round i32) (local $i i32) (i32.const 0)
            (loop $next (param i32) (result i32)
              (local.set $i) {} (local.get $i)
              {}
              (local.set $round (i32.add (local.get $round) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $round) (i32.const 4))))
            drop",
                    read(I),
                    step_by("1")
                ),
            ),
        ),
        Cheat::new(
            "index-swapped-by-a-block-of-two",
            processor(
                "",
                &format!(
                    "(local $a i32) (local $i i32) (local $round i32)
            (loop $next
              (local.get $i) (local.get $a)
              (block (param i32 i32) (result i32 i32) (local.set $i) (local.set $a) (local.get $a) (local.get $i))
              drop drop
              {}
              (local.set $a (i32.add (local.get $a) (i32.const 1)))
              (local.set $round (i32.add (local.get $round) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $round) (i32.const 20))))",
                    read(I)
                ),
            ),
        ),
        Cheat::new("constants", processor("", &(read("(i32.const 0)").repeat(3) + &read("(i32.const 1)")))).reads(3),
    ]
}

/// Different rounds reach the same element, in different ways.
fn crossed() -> Vec<Cheat> {
    let next = "(i32.add (local.get $i) (i32.const 1))";
    let odd = "(i32.and (local.get $i) (i32.const 1))";
    let in_loop = |a: &str, b: &str| again(&format!("(if {odd} (then {a}) (else {b}))"));
    let either = |a: &str, b: &str| format!("(local $i i32) {}", in_loop(a, b));
    let call = |index: &str| format!("(call $reader (local.get $batch) {index})");
    let or_next = format!(
        "(func $or_next (param $batch i32) (param $index i32)
        (if (i32.and (local.get $index) (i32.const 1)) (then {}) (else {})))",
        read("(local.get $index)"),
        read("(i32.add (local.get $index) (i32.const 1))")
    );
    let other = format!(
        "(local $i i32) (local $j i32) (local.set $j (i32.const 1)) {}",
        in_loop(
            &(read(I) + "(local.set $j (i32.add (local.get $j) (i32.const 1)))"),
            &(read("(local.get $j)") + "(local.set $j (i32.add (local.get $j) (i32.const 1)))")
        )
    );
    let from_both_ends = format!(
        "(local $i i32) (local $j i32) (local.set $j (local.get $count)) {}",
        again(&format!("(local.set $j (i32.sub (local.get $j) (i32.const 1))) {} {}", read(I), read("(local.get $j)")))
    );
    let either_end = format!(
        "(local $i i32) (local $j i32) (local.set $j (local.get $count)) {}",
        again(&format!(
            "(local.set $j (i32.sub (local.get $j) (i32.const 1)))
        (if (i32.lt_u (local.get $i) (i32.const 2)) (then {}) (else {}))",
            read(I),
            read("(local.get $j)")
        ))
    );
    let swapping = format!(
        "(local $j i32) (local $spare i32) {}",
        each(&format!(
            "{} (local.set $spare (local.get $i)) (local.set $i (local.get $j)) (local.set $j (local.get $spare))
        {} (local.set $spare (local.get $i)) (local.set $i (local.get $j)) (local.set $j (local.get $spare))",
            read(I),
            read(I)
        ))
    );
    vec![
        Cheat::new("crossed", processor("", &either(&read(I), &read(next)))).reads(2),
        Cheat::new(
            "crossed-in-a-function",
            processor(&or_next, &each("(call $or_next (local.get $batch) (local.get $i))")),
        )
        .reads(2),
        Cheat::new("crossed-by-calls", processor(READER, &either(&call(I), &call(next)))).reads(2),
        Cheat::new("crossed-by-a-call-and-a-read", processor(READER, &either(&call(I), &read(next)))).reads(2),
        Cheat::new("crossed-by-another-local", processor("", &other)),
        Cheat::new(
            "crossed-by-br_table",
            processor(
                "",
                &each(&format!(
                    "(block $out (block $two (block $one (block $zero
              (br_table $zero $one $two (i32.rem_u (local.get $i) (i32.const 3))))
              {} (br $out)) {} (br $out)) {})",
                    read("(i32.add (local.get $i) (i32.const 2))"),
                    read(next),
                    read(I)
                )),
            ),
        )
        .reads(3),
        Cheat::new("from-both-ends", processor("", &from_both_ends)).reads(2),
        Cheat::new("from-either-end", processor("", &either_end)).reads(2),
        Cheat::new("swapped-for-the-second-read", processor("", &swapping)),
        Cheat::new("before-the-loop", processor("", &format!("(local $i i32) {} {}", read(I), again(&read(I)))))
            .reads(2),
        Cheat::new(
            "after-the-loop",
            processor("", &format!("{} {}", each(&read(I)), read("(i32.sub (local.get $i) (i32.const 1))"))),
        )
        .reads(2),
        Cheat::new(
            "in-one-of-two-loops",
            processor(
                "",
                &format!(
                    "(local $i i32)
            (if (i32.and (local.get $count) (i32.const 1)) (then {}) (else {}))",
                    again(&read(I)),
                    again(&read(I))
                ),
            ),
        )
        .reads(1),
        Cheat::new(
            "in-one-loop-and-then-the-other",
            processor(
                "",
                &format!(
                    "(local $i i32)
            (if (local.get $count) (then {})) (if (local.get $count) (then {}))",
                    again(&read(I)),
                    again(&read(I))
                ),
            ),
        )
        .reads(2),
    ]
}

/// Fewer rounds than elements, or so many that the index overflows.
fn rounds() -> Vec<Cheat> {
    let until = |test: &str, step: &str, locals: &str| {
        format!(
            "(local $i i32) {locals}
        (loop $next {} {step} (br_if $next {test}))",
            read_low(I)
        )
    };
    let wide = |times: &str, step: &str| {
        format!(
            "(local $wide i64)
        (loop $next {}
          (local.set $wide (i64.add (local.get $wide) (i64.const {step})))
          (br_if $next (i64.lt_u (local.get $wide) (i64.const {times}))))",
            read_low("(i32.wrap_i64 (local.get $wide))")
        )
    };
    let seen = format!(
        "(if (i32.eqz (local.get $i)) (then (local.set $seen (i32.add (local.get $seen) (i32.const 1))))) {}",
        step_by("0x10000001")
    );
    let moving = format!("(local.set $j (i32.add (local.get $j) (i32.const 1))) {}", step_by("1"));
    vec![
        Cheat::new("half-of-them", processor("", &format!("(local $i i32)
            (loop $next {} {} (br_if $next (i32.lt_u (local.get $i) (i32.shr_u (local.get $count) (i32.const 1)))))", read(I), step_by("1")))).reads(1),
        Cheat::new("from-the-second", processor("", &format!("(local $i i32) (local.set $i (i32.const 1))
            (loop $next {} {} (br_if $next (i32.lt_u (local.get $i) (local.get $count))))", read(I), step_by("1")))).reads(1),
        Cheat::new("left-early", processor("", &format!("(block $out {})", each(&format!(
            "{} (br_if $out (i32.eq (local.get $i) (i32.const 2)))", read(I))).replace("(local $i i32)", "")).replacen("(block $out", "(local $i i32) (block $out", 1))).reads(1),
        Cheat::new("a-round-without-a-read", processor("", &format!("(local $i i32)
            (block $done (loop $next
              (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
              {} (br_if $next (i32.lt_u (local.get $i) (i32.const 3)))
              {} (br $next)))", step_by("1"), read("(i32.sub (local.get $i) (i32.const 1))")))).reads(1),
        Cheat::new("every-third", processor("", &format!("(local $i i32)
            (loop $next {} {} (br_if $next (i32.lt_u (local.get $i) (local.get $count))))", read(I), step_by("3")))).reads(1),
        Cheat::new("every-second", processor("", &format!("(local $i i32)
            (loop $next {} {} (br_if $next (i32.lt_u (local.get $i) (local.get $count))))", read(I), step_by("2")))).reads(1),
        Cheat::new("counted-at-64-bits", processor("", &wide("0x100000008", "1"))).slow().reads(2),
        Cheat::new("counted-at-64-bits-in-large-steps", processor("", &wide("0x1000000000000", "0x80000001"))),
        Cheat::new("left-at-64-bits", processor("", &until(
            "(i32.and (i32.ne (local.get $seen) (i32.const 3)) (i64.lt_u (i64.extend_i32_u (local.get $i)) (i64.const 0x200000000)))",
            &format!("(if (i32.eqz (local.get $i)) (then (local.set $seen (i32.add (local.get $seen) (i32.const 1))))) {}", step_by("0x1000000")), "(local $seen i32)"))).reads(3),
        Cheat::new("left-never-by-its-test", processor("", &format!("(local $i i32) (local $j i32) (local $seen i32)
            (block $done (loop $next {}
              (br_if $done (i32.gt_u (local.get $i) (i32.const -1)))
              (br_if $done (i32.gt_u (local.get $seen) (i32.const 2)))
              {} (br $next)))", read_low(I), seen.replace("0x10000001", "0x10000000")))).reads(3),
        Cheat::new("left-by-a-moving-test", processor("", &format!("(local $i i32) (local $j i32) (local $seen i32)
            (local.set $j (i32.const 5))
            (block $done (loop $next {}
              (br_if $done (i32.eq (local.get $i) (local.get $j)))
              (if (i32.eqz (local.get $i)) (then
                (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
                (br_if $done (i32.eq (local.get $seen) (i32.const 2)))))
              {moving} (br $next)))", read_low(I)))).slow().reads(2),
        Cheat::new("left-by-a-test-of-some-rounds", processor("", &format!("(local $i i32) (local $seen i32)
            (block $done (loop $next {}
              (if (i32.and (local.get $i) (i32.const 0x40)) (then
                (br_if $done (i32.ge_u (local.get $i) (i32.const -1)))))
              (if (i32.eqz (local.get $i)) (then
                (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
                (br_if $done (i32.eq (local.get $seen) (i32.const 3)))))
              {} (br $next)))", read_low(I), step_by("0x4000000")))).reads(3),
        Cheat::new("left-signed", processor("", &format!("(local $i i32) (local $seen i32)
            (block $done (loop $next {}
              (br_if $done (i32.gt_s (local.get $i) (i32.const 0x7fffffff)))
              (if (i32.eqz (local.get $i)) (then
                (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
                (br_if $done (i32.eq (local.get $seen) (i32.const 3)))))
              {} (br $next)))", read_low(I), step_by("0x4000000")))).reads(3),
        Cheat::new("tested-and-then-reset", processor("", &format!("(local $i i32) (local $seen i32)
            (block $done (loop $next {}
              (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
              {} (br_if $next (i32.lt_u (local.get $i) (local.get $count)))
              (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
              (br_if $done (i32.eq (local.get $seen) (i32.const 3)))
              (local.set $i (i32.const 0))
              (br $next)))", read(I), step_by("1")))).reads(3),
    ]
}

pub(crate) fn cheats() -> Vec<Cheat> {
    [arguments(), crossed(), rounds()].into_iter().flatten().collect()
}
