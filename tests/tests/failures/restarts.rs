//! Stages that restart.

use torvyn_runtime::pipeline::injection::{InjectedFault, Injection};

use super::*;

/// Counters continue, and so does the log.
#[test]
fn totals_are_of_the_stage() {
    let upper = Component::load(engine(), torvyn_tests::programs::UPPER.as_ref(), &limits()).unwrap();
    let faults: Vec<_> = [10, 70, 99].map(|element| Injection::new(element, 1, InjectedFault::Trap)).into();
    let came = through(stage(&upper).faults(faults).policy(retry(1, Then::Stop)), poisoned(100, &[]));
    let stage = &came.account().stages[0];
    assert_eq!((stage.elements_in, stage.elements_out, stage.failures.restarts), (100, 100, 3));
    assert_eq!((stage.copies.payload_read.ops, stage.copies.payload_write.ops), (100, 100));
    assert_eq!((stage.reads_max, stage.writes_max, stage.given_up.ops), (1, 1, 0));
}
