//! Nodes with several incoming edges, and the order in which they take elements. Merging by sequence restores the order
//! of a source after different paths, and no flow deadlocks because of it.

use std::io;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use torvyn_runtime::endpoint::{Discard, Generate, Input, Pull, Pulled};
use torvyn_runtime::flow::Step;
use torvyn_runtime::pipeline::graph::{Capacity, Merge};
use torvyn_runtime::{Component, Limits};
use torvyn_tests::guest::{Guest, ROUTER, SINK, by_size, drop_all};
use torvyn_tests::{
    Collected, Elements, Part, assert_settled, engine, input, output, programs, stage, stage_of, start,
};

fn capacity(elements: usize) -> Capacity {
    Capacity { elements, ..Capacity::default() }
}

fn sizes(sizes: impl IntoIterator<Item = usize>) -> Elements {
    Elements::new(sizes.into_iter().map(|size| Bytes::from(vec![b'x'; size])))
}

/// An element for each, from one source through `left` and through `right`, merged by sequence.
fn diamond(source: Part, left: Part, right: Part, waiting: usize) -> (Collected, Vec<Part>, [Edge; 5]) {
    let collected = Collected::default();
    let out = output("out", collected.clone()).merge(Merge::Sequence);
    let edges = [
        (0, 0, 1, capacity(waiting)),
        (0, 0, 2, capacity(waiting)),
        (1, 0, 3, capacity(waiting)),
        (2, 0, 3, capacity(waiting)),
        (0, 0, 4, capacity(waiting)),
    ];
    (collected, vec![source, left, right, out, output("all", Discard)], edges)
}

type Edge = (usize, usize, usize, Capacity);

fn twice(numbers: Range<u64>) -> Vec<u64> {
    numbers.flat_map(|number| [number; 2]).collect()
}

#[test]
fn two_ways_come_together_in_order() {
    for waiting in [1, 2, 7, 256] {
        let left = stage("left", programs::UPPER, &[]);
        let right = stage("right", ROUTER.file().path, &[]);
        let (collected, parts, edges) = diamond(input(sizes([3; 1000])), left, right, waiting);
        let account = start(parts, &edges).unwrap().0.run().unwrap();
        assert_settled(&account);
        assert_eq!(collected.sequences(), twice(0..1000));
        let upper = |pair: &[Vec<u8>]| pair == [b"XXX", b"xxx"];
        assert!(collected.payloads().chunks(2).all(upper), "of equal numbers the edge listed first goes first");
    }
}

#[test]
fn elements_of_several_edges_come_in_one_batch() {
    // Asks for sequence numbers, and fails if they are not consecutive within a batch.
    let init = "(drop (call $ok)) (i32.store8 (i32.const 20) (i32.const 1)) (i32.const 16)";
    let work = "(local $entry i32) (local $at i32)
        (call $drop_batch (local.get $batch))
        (loop $next
          (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
          (if (i32.ge_u (local.get $entry) (local.get $count)) (then (return (call $ok))))
          (local.set $at (i32.add (local.get $metadata)
            (i32.mul (i32.add (local.get $count) (local.get $entry)) (i32.const 8))))
          (br_if $next (i64.eq (i64.load (local.get $at))
            (i64.add (i64.load (i32.sub (local.get $at) (i32.const 8))) (i64.const 1)))))
        (call $fail (i32.const 3))";
    let parts = vec![
        input(sizes((0..64).map(|number| 1 + number % 2))),
        stage("split", by_size().path, &[]).outputs(2),
        stage("in-order", Guest { init, work, ..SINK }.file().path, &[]).merge(Merge::Sequence),
    ];
    let edges = [(0, 0, 1, capacity(64)), (1, 0, 2, capacity(64)), (1, 1, 2, capacity(64))];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    let sink = &account.stages[1];
    let calls = sink.copies.metadata_marshal.ops;
    // Even and odd numbers arrive on different edges, so consecutive numbers come from both.
    assert!(sink.elements_in == 64 && calls < 32, "{calls} calls for {} elements", sink.elements_in);
}

#[test]
fn a_way_that_drops_everything_is_not_waited_for() {
    for waiting in [1, 3, 256] {
        let left = stage("left", ROUTER.file().path, &[]);
        let right = stage("right", drop_all().path, &[]);
        let (collected, parts, edges) = diamond(input(sizes([3; 1000])), left, right, waiting);
        let account = start(parts, &edges).unwrap().0.run().unwrap();
        assert_settled(&account);
        assert_eq!(collected.sequences(), (0..1000).collect::<Vec<_>>());
    }
}

#[test]
fn a_way_that_holds_back_is_not_waited_for() {
    let left = stage("left", ROUTER.file().path, &[]);
    // Writes only the number of elements, at the end.
    let right = stage("right", programs::REPEAT, &[("times", "0")]);
    let (collected, parts, edges) = diamond(input(sizes([3; 1000])), left, right, 4);
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!(collected.sequences(), (0..1000).chain([999]).collect::<Vec<_>>());
    assert_eq!(collected.payloads().last().unwrap(), b"1000");
}

/// Gives this many elements at a time, and has nothing in between.
struct Bursts(Vec<usize>, bool);

impl Input for Bursts {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        self.1 = !self.1;
        if !self.1 {
            return Ok(Pulled::Idle);
        }
        let Some(burst) = self.0.pop() else { return Ok(Pulled::End) };
        (0..burst).for_each(|_| _ = pull.give(pull.pool.adopt(Bytes::from_static(b"xxx"))));
        Ok(Pulled::More)
    }
}

#[test]
fn what_can_go_on_does_not_wait_for_an_idle_source() {
    let left = stage("left", ROUTER.file().path, &[]);
    let right = stage("right", drop_all().path, &[]);
    let (collected, parts, edges) = diamond(input(Bursts(vec![16, 4], false)), left, right, 256);
    let (mut flow, _) = start(parts, &edges).unwrap();
    while flow.step().unwrap() == Step::Moved {}
    let snapshot = flow.snapshot();
    assert_eq!((snapshot.entered, snapshot.waiting.iter().sum::<u64>()), (4, 0), "{snapshot:?}");
    assert_eq!(collected.sequences(), [0, 1, 2, 3]);
    assert_settled(&flow.run().unwrap());
    assert_eq!(collected.sequences(), (0..20).collect::<Vec<_>>());
}

#[test]
fn several_sources_are_put_in_order_and_waited_for() {
    let collected = Collected::default();
    let parts = vec![
        input(Bursts(vec![3; 33], false)).named("often"),
        input(Bursts(vec![33; 3], true)).named("seldom"),
        input(Bursts(vec![], true)).named("never"),
        output("out", collected.clone()).merge(Merge::Sequence),
    ];
    let edges = [(0, 0, 3, capacity(64)), (1, 0, 3, capacity(64)), (2, 0, 3, capacity(64))];
    assert_settled(&start(parts, &edges).unwrap().0.run().unwrap());
    assert_eq!(collected.sequences(), twice(0..99));
}

#[test]
fn sources_have_their_turn() {
    let parts = vec![
        input(Generate::new(u64::MAX, 10)).named("one"),
        input(Generate::new(u64::MAX, 20)).named("two"),
        output("out", Discard),
        output("first", Discard),
    ];
    let edges = [(0, 0, 2, capacity(64)), (1, 0, 2, capacity(64)), (0, 0, 3, capacity(64))];
    let (mut flow, _) = start(parts, &edges).unwrap();
    let mut pulled = [0, 0];
    for _ in 0..100 {
        let before = flow.snapshot().waiting;
        assert_eq!(flow.step().unwrap(), Step::Moved);
        let after = flow.snapshot().waiting;
        (0..2).for_each(|source| pulled[source] += u64::from(after[source] > before[source]));
    }
    assert!(pulled[0].abs_diff(pulled[1]) <= 1 && pulled[0] > 10, "{pulled:?}");
}

#[test]
fn by_priority_a_full_edge_waits_for_one_listed_before() {
    let collected = Collected::default();
    let parts = vec![
        input(sizes([5; 300])).named("urgent"),
        input(sizes([1; 300])).named("bulk"),
        stage("merge", ROUTER.file().path, &[]).merge(Merge::Priority),
        stage("stall", programs::STALL, &[("batches", "20")]),
        output("out", collected.clone()),
    ];
    let edges = [(1, 0, 2, capacity(16)), (0, 0, 2, capacity(16)), (2, 0, 3, capacity(16)), (1, 0, 4, capacity(16))];
    // Listed in the opposite order: `bulk` goes first.
    let (mut flow, _) = start(parts, &edges).unwrap();
    let mut last = flow.snapshot().waiting;
    while flow.step().unwrap() != Step::Ended {
        let now = flow.snapshot().waiting;
        assert!(now[1] >= last[1] || last[0] == 0, "the second was taken from while the first had something: {last:?}");
        last = now;
    }
}

/// Reproducible numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// From one source over two routers on three paths of zero to two stages, which drop, copy or forward, to two merges
/// that share a path.
#[test]
fn whatever_way_elements_go_they_come_together_in_order() {
    let load = |path: &Path| Component::load(engine(), path, &Limits::default()).unwrap();
    let split = load(&by_size().path);
    let (pass, drop, upper) = (load(&ROUTER.file().path), load(&drop_all().path), load(programs::UPPER.as_ref()));
    let repeat = load(programs::REPEAT.as_ref());
    let stage = |name: &str, component: &Component, config| stage_of(name, component, config, Limits::default());
    for seed in 0..100 {
        let mut random = Random(seed);
        let elements: Vec<_> = (0..300).map(|_| random.below(8)).collect();
        let (first, second) = (Collected::default(), Collected::default());
        let mut parts = vec![
            input(sizes(elements)),
            stage("split", &split, &[]).outputs(3),
            output("first", first.clone()).merge(Merge::Sequence),
            stage("merge", &pass, &[]).merge(Merge::Sequence),
            output("second", second.clone()).merge(Merge::Sequence),
        ];
        let mut edges = vec![(0, 0, 1), (3, 0, 4)];
        for way in 0..3 {
            let mut end = (1, way);
            for _ in 0..random.below(3) {
                let name = parts.len().to_string();
                parts.push(match random.below(5) {
                    0 => stage(&name, &drop, &[]),
                    1 => stage(&name, &repeat, &[("times", "2")]),
                    2 => stage(&name, &repeat, &[("times", "0")]),
                    3 => stage(&name, &upper, &[]),
                    _ => stage(&name, &pass, &[]),
                });
                edges.push((end.0, end.1, parts.len() - 1));
                end = (parts.len() - 1, 0);
            }
            let ends: &[usize] = if way < 2 { &[3, 4, 2] } else { &[4, 2] };
            edges.extend(ends.iter().map(|&to| (end.0, end.1, to)));
        }
        let edges: Vec<_> =
            edges.into_iter().map(|(from, output, to)| (from, output, to, capacity(1 + random.below(9)))).collect();
        let account = start(parts, &edges).unwrap().0.run().unwrap();
        assert_settled(&account);
        for end in [first, second] {
            // The number that is written at the end is not waited for.
            let in_time = |payload: &[u8]| !payload.first().is_some_and(u8::is_ascii_digit);
            let all = end.payloads().into_iter().zip(end.sequences());
            let numbers: Vec<_> = all.filter(|(payload, _)| in_time(payload)).map(|(_, number)| number).collect();
            assert!(numbers.is_sorted(), "seed {seed}: {numbers:?}");
        }
    }
}
