//! Graphs that are not a row: fan-out by reference, merging, and which elements wait where.

use std::sync::atomic::Ordering;

use torvyn_runtime::endpoint::{Discard, Generate};
use torvyn_runtime::flow::Step;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_tests::{Collected, Elements, assert_settled, input, output, programs, run, stage, start};

fn numbers(count: u32) -> Elements {
    Elements::new((0..count).map(|number| number.to_string().into_bytes()))
}

#[test]
fn several_edges_from_one_output_share_the_payload() {
    let (first, second) = (Collected::default(), Collected::default());
    let parts = vec![
        input(numbers(1000)),
        stage("forward", programs::DROP_EMPTY, &[]),
        output("first", first.clone()),
        stage("upper", programs::UPPER, &[]),
        output("second", second.clone()),
    ];
    let capacity = Capacity { elements: 7, bytes: 1 << 20 };
    let edges = [(0, 0, 1, capacity), (1, 0, 2, capacity), (1, 0, 3, capacity), (3, 0, 4, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!(first.payloads(), second.payloads());
    assert_eq!(first.sequences(), (0..1000).collect::<Vec<_>>());
    assert_eq!(account.copies.payload_bytes(), 2 * 2890, "only the transform copies");
    assert_eq!((account.elements.entered, account.elements.left), (1000, 2000));
}

#[test]
fn a_merge_takes_everything_from_every_edge() {
    let collected = Collected::default();
    let parts = vec![
        stage("odd", programs::NUMBERS, &[("count", "500")]),
        stage("even", programs::NUMBERS, &[("count", "300")]),
        stage("merge", programs::DROP_EMPTY, &[]),
        output("out", collected.clone()),
    ];
    let capacity = Capacity { elements: 3, bytes: 64 };
    let edges = [(0, 0, 2, capacity), (1, 0, 2, capacity), (2, 0, 3, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    let mut expected: Vec<_> = (1..=500).chain(1..=300).map(|number: u32| number.to_string().into_bytes()).collect();
    let mut got = collected.payloads();
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
}

#[test]
fn an_edge_is_bounded_by_bytes_too() {
    let capacity = Capacity { elements: 1000, bytes: 10_000 };
    let parts = vec![
        input(Generate::new(100, 4000)),
        stage("forward", programs::DROP_EMPTY, &[]),
        stage("stall", programs::STALL, &[("batches", "1000000")]),
    ];
    let (mut flow, _) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    while flow.step().unwrap() == Step::Moved {}
    // Two elements of 4,000 bytes are within 10,000 bytes, a third is not.
    let snapshot = flow.snapshot();
    assert_eq!(snapshot.waiting, [2, 2], "{snapshot:?}");
    assert_eq!(snapshot.entered, snapshot.left + 4 + snapshot.held, "{snapshot:?}");
}

#[test]
fn an_element_larger_than_the_edge_passes_alone() {
    let capacity = Capacity { elements: 4, bytes: 1000 };
    let parts =
        vec![input(Generate::new(20, 5000)), stage("forward", programs::DROP_EMPTY, &[]), output("out", Discard)];
    let account = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!(account.elements.left, 20);
}

#[test]
fn a_cancelled_flow_finishes_what_it_began() {
    let collected = Collected::default();
    let parts = vec![
        input(Generate::new(u64::MAX, 10)),
        stage("forward", programs::DROP_EMPTY, &[]),
        output("out", collected.clone()),
    ];
    let edges = [(0, 0, 1, Capacity::default()), (1, 0, 2, Capacity::default())];
    let (mut flow, _) = start(parts, &edges).unwrap();
    while flow.snapshot().left < 1000 {
        assert_eq!(flow.step().unwrap(), Step::Moved);
    }
    let entered = flow.snapshot().entered;
    flow.control().cancel.store(true, Ordering::Relaxed);
    let account = flow.run().unwrap();
    assert_settled(&account);
    assert!(account.cancelled);
    assert_eq!((account.elements.entered, account.elements.left), (entered, entered));
}

#[test]
fn a_flow_of_endpoints_alone_copies_nothing() {
    let account = run(vec![input(Generate::new(10_000, 100)), output("out", Discard)]).unwrap();
    assert_eq!(
        (account.elements.left, account.copies.payload_bytes(), account.copies.host_serialize.bytes),
        (10_000, 0, 0)
    );
}
