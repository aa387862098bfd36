//! Deadlines and traces: what elements carry through a flow, and what the run report says at the end.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::io;
use std::thread;
use std::time::Duration;

use torvyn_runtime::contract::Trace;
use torvyn_runtime::contract::{Stamp, TraceOrigin};
use torvyn_runtime::endpoint::{Discard, Generate, Input, Output, Pull, Pulled};
use torvyn_runtime::payload::Batch;
use torvyn_runtime::payload::element::Metadata;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_tests::guest::SINK;
use torvyn_tests::{Collected, Elements, assert_settled, input, output, programs, run, stage, start};

const TRACED: Stamp = Stamp { deadline: None, trace: Some(TraceOrigin::Flow) };

fn within(time: Duration) -> Stamp {
    Stamp { deadline: Some(time), trace: None }
}

/// Takes this long for each batch.
struct Slow(Duration);

impl Output for Slow {
    fn push(&mut self, _: &Batch) -> io::Result<()> {
        thread::sleep(self.0);
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}

#[test]
fn what_reaches_an_end_after_its_deadline_is_late() {
    let counted = |stamp: Stamp, slow: u64| {
        let generated = input(Generate::new(200, 8)).stamp(stamp);
        let account = run(vec![generated, output("out", Slow(Duration::from_millis(slow)))]).unwrap();
        (account.elements.due, account.elements.late)
    };
    assert_eq!(counted(Stamp::default(), 5), (0, 0));
    assert_eq!(counted(within(Duration::from_secs(600)), 0), (200, 0));
    assert_eq!(counted(within(Duration::from_millis(1)), 5), (200, 200));
    assert_eq!(counted(within(Duration::MAX), 0), (200, 0), "no deadline is too far away");
    assert_eq!(counted(TRACED, 5), (0, 0));
}

#[test]
fn each_end_counts_for_itself() {
    let parts = vec![
        input(Generate::new(100, 8)).stamp(within(Duration::from_nanos(1))),
        stage("sink", SINK.file().path, &[]),
        output("out", Discard),
        input(Generate::new(50, 8)).named("other"),
    ];
    let capacity = Capacity::default();
    let edges = [(0, 0, 1, capacity), (0, 0, 2, capacity), (3, 0, 2, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!((account.elements.left, account.elements.due, account.elements.late), (250, 200, 200));
}

#[test]
fn what_is_made_of_an_element_carries_what_it_carried() {
    let collected = Collected::default();
    let parts = vec![
        input(Elements::new(["a", "b", "c"])).stamp(Stamp { deadline: Some(Duration::from_secs(1)), ..TRACED }),
        stage("repeat", programs::REPEAT, &[]),
        stage("forward", programs::DROP_EMPTY, &[]),
        output("out", collected.clone()),
    ];
    let account = run(parts).unwrap();
    // Six, and the number that is written after the input has ended, which has the metadata of the last element.
    assert_eq!(collected.payloads(), [b"a", b"a", b"b", b"b", b"c", b"c", b"3"].map(|payload| payload.to_vec()));
    let contexts = collected.contexts();
    assert!(contexts.iter().all(|context| *context == contexts[0]), "{contexts:?}");
    let context = contexts[0].as_ref().unwrap();
    assert_eq!(context.deadline, Some(collected.timestamps()[0] + 1_000_000_000));
    assert_eq!(account.traces, [format!("{:032x}", context.trace.unwrap().id)]);
}

#[test]
fn the_sources_of_a_flow_share_its_trace_and_every_pull_is_a_span() {
    let collected = Collected::default();
    let traced = |name: &str| stage(name, programs::NUMBERS, &[("count", "100")]).stamp(TRACED);
    let given = TraceOrigin::Given("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".parse().unwrap());
    let parts = vec![
        traced("one"),
        traced("two"),
        input(Generate::new(200, 8)).stamp(Stamp { trace: Some(given), ..TRACED }),
        output("out", collected.clone()),
    ];
    let capacity = Capacity { elements: 16, ..Capacity::default() };
    let edges = [(0, 0, 3, capacity), (1, 0, 3, capacity), (2, 0, 3, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    let traces: Vec<_> = collected.contexts().into_iter().map(|context| context.unwrap().trace.unwrap()).collect();
    let (ours, theirs): (Vec<Trace>, Vec<Trace>) = traces.into_iter().partition(|trace| trace.sampled);
    assert_eq!((ours.len(), theirs.len()), (200, 200));
    assert!(ours.iter().all(|trace| trace.id == ours[0].id) && theirs.iter().all(|trace| trace.id == theirs[0].id));
    let mut expected = [ours[0].id, theirs[0].id].map(|id| format!("{id:032x}"));
    expected.sort();
    assert_eq!(account.traces, expected);
    assert!(expected.contains(&"4bf92f3577b34da6a3ce929d0e0e4736".to_string()));
    let mut spans: Vec<_> = theirs.iter().map(|trace| trace.span).collect();
    spans.dedup();
    let consecutive = spans.len();
    spans.sort_unstable();
    spans.dedup();
    assert!(spans.len() == consecutive && consecutive >= 200 / 16, "{consecutive} pulls, {} spans", spans.len());

    let again = run(vec![input(Generate::new(1, 8)).stamp(TRACED), output("out", Discard)]).unwrap();
    assert!(!expected.contains(&again.traces[0]), "a flow has a trace of its own");
}

/// Three elements, of which the last two have metadata of their own.
struct Told;

impl Input for Told {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let payload = pull.pool.adopt(b"told"[..].into());
        let trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
        pull.give(payload.clone());
        pull.give_with(payload.clone(), Metadata { sequence: Some(7), trace, ..Metadata::default() });
        let deadline = Some(Duration::from_secs(5));
        pull.give_with(payload, Metadata { timestamp: Some(1_000), deadline, ..Metadata::default() });
        Ok(Pulled::End)
    }

    fn gives_deadlines(&self) -> bool {
        true
    }
}

#[test]
fn an_input_says_what_its_elements_carry() {
    for stamp in [Stamp::default(), within(Duration::from_secs(600))] {
        let collected = Collected::default();
        let parts = vec![input(Told).stamp(stamp), output("out", collected.clone())];
        let account = run(parts).unwrap();
        assert_eq!(collected.sequences(), [0, 7, 8], "those after it are counted on from there");
        let (contexts, stamped) = (collected.contexts(), stamp.deadline.is_some());
        let deadlines: Vec<_> =
            contexts.iter().map(|context| context.as_ref().and_then(|context| context.deadline)).collect();
        assert_eq!((deadlines[0].is_some(), deadlines[1].is_some()), (stamped, stamped));
        assert_eq!((collected.timestamps()[2], deadlines[2]), (1_000, Some(5_000_001_000)));
        let traces: Vec<_> =
            contexts.iter().map(|context| context.as_ref().and_then(|context| context.trace)).collect();
        assert_eq!((traces[0], traces[1].unwrap().span, traces[2]), (None, 0xb7ad_6b71_6920_3331, None));
        assert_eq!((account.elements.entered, account.elements.left), (3, 3));
        assert_eq!((account.elements.due, account.elements.late), (if stamped { 3 } else { 1 }, 1));
    }
}
