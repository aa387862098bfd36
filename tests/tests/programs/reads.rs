//! The programs whose reads are hard to analyse: how often each really reads an element.

use std::time::Duration;

use bytes::Bytes;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::Then;
use torvyn_runtime::{Component, Error, Limits, Policy};
use torvyn_tests::measure::Specimen;
use torvyn_tests::{Collected, Elements, engine, input, output, programs, stage, stage_of, start};

fn specimen(program: &str, config: &[(&str, &str)]) -> Specimen {
    let bytes = std::fs::read(program).expect("the program is built");
    Specimen::load(&bytes, config, Duration::from_secs(10)).expect("the program loads")
}

/// The most reads of one element, and whether all are read equally often.
fn reads(program: &str, config: &[(&str, &str)]) -> (u64, bool) {
    let measured = specimen(program, config).measure(&[1, 15, 127]).expect("the flows end");
    assert_eq!(measured.writes, 0);
    (measured.reads, measured.even)
}

/// The reads of the only element of a flow.
fn reads_of(program: &str, payload: &'static str) -> u64 {
    specimen(program, &[]).flow(vec![Bytes::from(payload)]).expect("the flow ends").copies.payload_read.ops
}

#[test]
pub(crate) fn reads_by_dyn() {
    assert_eq!(reads(programs::READS_BY_DYN, &[("how", "twice")]), (2, true));
    assert_eq!(reads(programs::READS_BY_DYN, &[]), (0, true));
}

#[test]
pub(crate) fn reads_by_pointer() {
    for (which, times) in [("0", 0), ("1", 1), ("2", 2)] {
        assert_eq!(reads(programs::READS_BY_POINTER, &[("which", which)]), (times, true));
    }
}

#[test]
pub(crate) fn reads_in_hook() {
    assert_eq!(reads(programs::READS_IN_HOOK, &[]), (0, true));
    let parts = vec![
        input(Elements::new(["fine", "poison"])),
        stage("hook", programs::READS_IN_HOOK, &[]),
        output("out", Collected::default()),
    ];
    let capacity = Capacity::default();
    let (flow, printed) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    let error = flow.run().expect_err("it panics");
    assert!(matches!(&error, Error::Stage { call: "process", .. }), "{error:?}");
    assert_eq!(*printed.lock().unwrap(), ["hook: poison"], "the hook has read it");
    // If the flow continues, the call must keep what is proven of calls that return.
    let component = Component::load(engine(), programs::READS_IN_HOOK.as_ref(), &Limits::default()).unwrap();
    let policy = Policy { retry: None, then: Then::Skip };
    let part = stage_of("hook", &component, &[], Limits::default()).policy(policy);
    let parts = vec![input(Elements::new(["fine", "poison"])), part, output("out", Collected::default())];
    let (flow, printed) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    let account = flow.run().expect("it goes on");
    assert_eq!((account.elements.skipped, account.copies.payload_read.ops), (1, 0));
    assert!(printed.lock().unwrap().iter().all(|line| line == "hook: "));
}

#[test]
pub(crate) fn reads_in_drop() {
    assert_eq!(reads(programs::READS_IN_DROP, &[]), (2, true));
}

#[test]
pub(crate) fn reads_in_last_drop() {
    let parts = vec![
        input(Elements::new(["fine"])),
        stage("last", programs::READS_IN_LAST_DROP, &[]),
        output("out", Collected::default()),
    ];
    let capacity = Capacity::default();
    let (flow, _) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    let error = flow.run().expect_err("the element is lent no more");
    assert!(matches!(&error, Error::Stage { call: "process" | "teardown", .. }), "{error:?}");
}

#[test]
pub(crate) fn reads_recursively() {
    assert_eq!(reads(programs::READS_RECURSIVELY, &[]), (1, true));
    assert_eq!(reads_of(programs::READS_RECURSIVELY, "abcde"), 5);
}

#[test]
pub(crate) fn reads_twice() {
    assert_eq!(reads_of(programs::READS_TWICE, "a"), 1);
    assert_eq!(reads_of(programs::READS_TWICE, "ab"), 2);
}

#[test]
pub(crate) fn reads_again() {
    assert_eq!(reads_of(programs::READS_AGAIN, "a"), 8);
    assert_eq!(reads_of(programs::READS_AGAIN, "abcdefgh"), 1);
}

#[test]
pub(crate) fn reads_in_chunks() {
    assert_eq!(reads_of(programs::READS_IN_CHUNKS, ""), 0);
    assert_eq!(reads_of(programs::READS_IN_CHUNKS, "abcdefg"), 4);
}

#[test]
pub(crate) fn reads_backwards() {
    assert_eq!(reads(programs::READS_BACKWARDS, &[]), (1, true));
}

#[test]
pub(crate) fn reads_nth() {
    assert_eq!(reads(programs::READS_NTH, &[]), (3, false));
}

#[test]
pub(crate) fn reads_collected() {
    assert_eq!(reads(programs::READS_COLLECTED, &[]), (2, false));
}

#[test]
pub(crate) fn reads_in_two_passes() {
    assert_eq!(reads(programs::READS_IN_TWO_PASSES, &[]), (2, true));
}

#[test]
pub(crate) fn reads_all_twice() {
    assert_eq!(reads(programs::READS_ALL_TWICE, &[]), (2, true));
}

#[test]
pub(crate) fn reads_stepped() {
    assert_eq!(reads(programs::READS_STEPPED, &[]), (1, false));
}

#[test]
pub(crate) fn reads_zipped() {
    assert_eq!(reads(programs::READS_ZIPPED, &[]), (2, false));
}

#[test]
pub(crate) fn reads_grouped() {
    assert_eq!(reads(programs::READS_GROUPED, &[]), (5, false));
}

#[test]
pub(crate) fn reads_one() {
    assert_eq!(reads(programs::READS_ONE, &[]), (1, false));
}
