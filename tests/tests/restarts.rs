//! A stage that restarts again and again leaks nothing. This file has one test because it measures its process.

#![expect(clippy::print_stdout, reason = "how much was tried is part of the result")]

use std::fs;

use bytes::Bytes;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::Then;
use torvyn_runtime::{Component, Limits, Policy};
use torvyn_tests::guest::{Guest, HOLDER};
use torvyn_tests::{Collected, Elements, assert_settled, engine, input, output, stage_of, start_with};

/// Holds its batch, and traps on elements of seven bytes. In the next call it releases what it holds, which it has
/// forwarded by then.
const HOLDS: &str = "(local $index i32)
    (local.set $index (call $hold_first (local.get $batch) (local.get $count) (i32.const 0)))
    (if (i64.eq (i64.load (local.get $metadata)) (i64.const 7)) (then unreachable))
    (call $drop_lease (local.get $index))
    (call $drop_batch (local.get $batch))
    (call $all_to (local.get $count) (i32.const 1))";

/// The open descriptors of this process, and its resident pages.
fn process() -> (usize, u64) {
    let descriptors = fs::read_dir("/proc/self/fd").expect("the system has /proc").count();
    let pages = fs::read_to_string("/proc/self/statm").expect("the system has /proc");
    (descriptors, pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages"))
}

/// Runs this many poisoned elements, each followed by a good one, through a stage that skips failures. Returns how
/// often it restarted.
fn run(component: &Component, cycles: u64) -> u64 {
    let payloads = (0..2 * cycles).map(|index| Bytes::from_static(if index % 2 == 0 { b"poison!" } else { b"odd" }));
    let (out, one) = (Collected::default(), Capacity { elements: 1, bytes: 1 << 20 });
    let stage = stage_of("stage", component, &[], Limits::default());
    let stage = stage.policy(Policy { retry: None, then: Then::Skip });
    let parts = vec![input(Elements::new(payloads)), stage, output("out", out.clone())];
    // One element at a time: each trap is one call.
    let edges = [(0, 0, 1, one), (1, 0, 2, one)];
    let (flow, _) = start_with(parts, &edges, |control| control).expect("it starts");
    let account = flow.run().expect("it comes to its end");
    assert_settled(&account);
    assert_eq!((out.payloads().len() as u64, account.elements.skipped), (cycles, cycles));
    account.stages[0].failures.restarts
}

#[test]
fn ten_thousand_traps_and_restarts() {
    const CYCLES: u64 = 10_000;
    let file = Guest { work: HOLDS, ..HOLDER }.file();
    let component = Component::load(engine(), &file.path, &Limits::default()).unwrap();
    let mut restarts = run(&component, 1000);
    let before = process();
    restarts += (0..9).map(|_| run(&component, 1000)).sum::<u64>();
    let after = process();
    let drift = after.1 as f64 / before.1 as f64 - 1.0;
    let (descriptors, more) = (after.0, after.0 as i64 - before.0 as i64);
    println!("restart cycles={restarts} live=0 descriptors={descriptors} more={more} rss_drift={:.2} %", 100.0 * drift);
    assert_eq!((restarts, more), (CYCLES, 0));
    // An instance has its own pages: a leaked one would be a drift of hundreds of percent.
    assert!(drift <= 0.05, "{before:?} {after:?}");
}
