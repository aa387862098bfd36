//! The records of a flow: each copy, call and hand-off, and nothing else. `torvyn_tests::run` asserts for every flow of
//! the tests that the records add up to the run report.

use torvyn_runtime::ledger::{Call, CallRecord, HandOffRecord, Place, Reason, Record, Ring, TransferRecord};
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Account, Error, Recorder};
use torvyn_tests::{
    Collected, Elements, Part, assert_recorded, assert_settled, input, output, programs, stage, start_recorded,
};

/// Runs parts in a row with a recorder.
fn recorded(parts: Vec<Part>, capacity: usize) -> (Result<Account, Error>, Ring) {
    let edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    let recorder = Recorder::new(7, capacity);
    let account = start_recorded(parts, &edges, recorder.clone()).and_then(|(flow, _)| flow.run());
    (account, recorder.ring().expect("it is on"))
}

fn copies(ring: &Ring) -> Vec<TransferRecord> {
    let copy = |record: &Record| if let Record::Transfer(copy) = record { Some(*copy) } else { None };
    ring.iter().filter_map(copy).collect()
}

fn calls(ring: &Ring) -> Vec<CallRecord> {
    let call = |record: &Record| if let Record::Call(call) = record { Some(*call) } else { None };
    ring.iter().filter_map(call).collect()
}

fn hand_offs(ring: &Ring) -> Vec<HandOffRecord> {
    let hand_off = |record: &Record| if let Record::HandOff(hand_off) = record { Some(*hand_off) } else { None };
    ring.iter().filter_map(hand_off).collect()
}

fn lines(count: usize) -> Elements {
    Elements::new((0..count).map(|index| format!("line {index}")))
}

fn pipeline(program: &str, count: usize) -> Vec<Part> {
    vec![input(lines(count)), stage("stage", program, &[]), output("output", Collected::default())]
}

#[test]
fn every_element_of_a_transform_leaves_its_copies() {
    let parts = vec![
        stage("source", programs::NUMBERS, &[("count", "100")]),
        stage("upper", programs::UPPER, &[]),
        stage("sink", programs::DIGEST, &[]),
    ];
    let (account, ring) = recorded(parts, 1 << 16);
    account.unwrap();
    for sequence in 0..100 {
        let bytes = (sequence + 1).to_string().len() as u64;
        let of_element = copies(&ring).into_iter().filter(|copy| copy.sequence() == Some(sequence));
        // Alone in its batch, it needs no joining.
        let way: Vec<_> = of_element
            .filter(|copy| copy.reason != Reason::HostSerialize)
            .inspect(|copy| assert_eq!((copy.bytes, copy.flow), (bytes, 7)))
            .map(|copy| (copy.reason, copy.from(), copy.to()))
            .collect();
        let (read, write) = (Reason::PayloadRead, Reason::PayloadWrite);
        let [source, upper, sink] = [0, 1, 2].map(Place::Node);
        let expected = [
            (write, source, Place::Host),
            (read, Place::Host, upper),
            (write, upper, Place::Host),
            (read, Place::Host, sink),
        ];
        assert_eq!(way, expected, "element {sequence}");
    }
    assert!(copies(&ring).iter().all(|copy| (copy.reason == Reason::MetadataMarshal) == copy.sequence().is_none()));
}

#[test]
fn a_copy_has_the_time_of_its_call() {
    let (account, ring) = recorded(pipeline(programs::UPPER_ON_DEMAND, 500), 1 << 16);
    account.unwrap();
    let calls = calls(&ring);
    for pair in calls.windows(2) {
        assert!(pair[0].timestamp + pair[0].duration <= pair[1].timestamp, "one call after the other: {pair:?}");
    }
    for copy in copies(&ring) {
        let call = calls.iter().find(|call| call.timestamp == copy.timestamp).unwrap();
        assert_eq!((call.node, call.call), (1, Call::Process));
    }
    let named: Vec<_> = calls.iter().map(|call| call.call).collect();
    assert_eq!((named[0], named[named.len() - 1]), (Call::Init, Call::Teardown));
    assert_eq!(named.iter().filter(|call| **call == Call::Flush).count(), 1);
}

#[test]
fn every_element_is_handed_on_once_an_edge() {
    // On a narrow edge elements wait for room, and several edges carry the same elements.
    let [wide, narrow] = [256, 3].map(|elements| Capacity { elements, bytes: 1 << 20 });
    let edges = [(0, 0, 1, wide), (1, 0, 2, narrow), (1, 0, 3, wide), (3, 0, 4, wide)];
    let parts = vec![
        input(lines(1000)),
        stage("forward", programs::DROP_EMPTY, &[]),
        output("first", Collected::default()),
        stage("other", programs::EVERY_OTHER, &[]),
        output("second", Collected::default()),
    ];
    let names = ["input", "forward", "first", "other", "second"].map(String::from);
    let recorder = Recorder::new(7, 1 << 16);
    let account = start_recorded(parts, &edges, recorder.clone()).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_recorded(&account, &recorder, &names);
    let ring = recorder.ring().unwrap();
    let (calls, hand_offs) = (calls(&ring), hand_offs(&ring));
    for (edge, &(from, _, to, _)) in edges.iter().enumerate() {
        let on_edge: Vec<_> = hand_offs.iter().filter(|hand_off| usize::from(hand_off.edge) == edge).collect();
        let mut next = 0;
        for hand_off in &on_edge {
            assert_eq!((usize::from(hand_off.from), usize::from(hand_off.to)), (from, to));
            let called = |node, at| calls.iter().any(|call| (call.node, call.timestamp) == (node, at));
            assert!(called(hand_off.from, hand_off.sent), "{hand_off:?}");
            assert!(called(hand_off.to, hand_off.timestamp), "{hand_off:?}");
            assert!(hand_off.sent < hand_off.timestamp);
            if edge < 3 {
                assert_eq!(hand_off.first, next, "edge {edge}");
            }
            next += u64::from(hand_off.elements);
        }
        assert_eq!(next, if edge == 3 { 500 } else { 1000 }, "edge {edge}");
    }
}

#[test]
fn what_waits_for_room_is_handed_on_when_it_is_sent() {
    let [wide, narrow] = [256, 3].map(|elements| Capacity { elements, bytes: 1 << 20 });
    let parts = pipeline(programs::REPEAT, 100);
    let recorder = Recorder::new(7, 1 << 16);
    let edges = [(0, 0, 1, wide), (1, 0, 2, narrow)];
    start_recorded(parts, &edges, recorder.clone()).unwrap().0.run().unwrap();
    let ring = recorder.ring().unwrap();
    let sends: Vec<_> = calls(&ring).into_iter().filter(|call| call.call == Call::Send).collect();
    assert!(!sends.is_empty(), "twice as many elements as were lent have no room");
    assert!(sends.iter().all(|send| (send.node, send.elements, send.bytes) == (1, 0, 0)), "they were lent before");
    let of_sends =
        hand_offs(&ring).into_iter().filter(|hand_off| sends.iter().any(|send| send.timestamp == hand_off.sent));
    assert_eq!(of_sends.count(), sends.len());
    let all: u32 =
        hand_offs(&ring).iter().filter(|hand_off| hand_off.edge == 1).map(|hand_off| hand_off.elements).sum();
    assert_eq!(all, 201);
}

#[test]
fn what_is_lost_is_told() {
    let (account, whole) = recorded(pipeline(programs::UPPER, 1000), 1 << 16);
    let count = whole.len() as u64;
    assert_eq!((whole.lost(), whole.lost_copies()), (0, Default::default()));
    for capacity in [1, 64, 100] {
        let (again, ring) = recorded(pipeline(programs::UPPER, 1000), capacity);
        assert_eq!(ring.len(), capacity);
        assert_eq!(ring.lost(), count - capacity as u64);
        let left = copies(&ring).iter().fold(ring.lost_copies(), |mut sum, copy| {
            sum.get_mut(copy.reason).record(1, copy.bytes);
            sum
        });
        assert_eq!(left, again.unwrap().copies);
        let reasons = |ring: &Ring| copies(ring).iter().map(|copy| copy.reason).collect::<Vec<_>>();
        let all = reasons(&whole);
        assert!(all.ends_with(&reasons(&ring)), "the last are kept");
    }
    account.unwrap();
}

#[test]
fn a_flow_that_fails_leaves_what_led_there() {
    let payloads = Elements::new((0..100).map(|index| if index == 70 { "poison" } else { "fine" }));
    let faulty = stage("faulty", programs::FAULTY, &[("how", "trap"), ("at", "process")]);
    let (account, ring) = recorded(vec![input(payloads), faulty, output("output", Collected::default())], 1 << 16);
    let Err(Error::Stage { elements: Some((first, last)), .. }) = account else { panic!("it does not fail") };
    let calls = calls(&ring);
    let failed: Vec<_> = calls.iter().filter(|call| call.failed).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].node, failed[0].call), (1, Call::Process));
    assert_eq!(u64::from(failed[0].elements), last - first + 1);
    let led = hand_offs(&ring).into_iter().find(|hand_off| hand_off.timestamp == failed[0].timestamp).unwrap();
    assert_eq!(led.first, first);

    let faulty = stage("faulty", programs::FAULTY, &[("how", "fail"), ("at", "init")]);
    let (account, ring) = recorded(vec![input(lines(1)), faulty, output("output", Collected::default())], 8);
    assert!(matches!(account, Err(Error::Stage { call: "init", .. })));
    let calls = self::calls(&ring);
    assert_eq!(calls.iter().map(|call| (call.call, call.failed)).collect::<Vec<_>>(), [(Call::Init, true)]);
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    let recorder = Recorder::off();
    let parts = pipeline(programs::UPPER, 10);
    let edges = [(0, 0, 1, Capacity::default()), (1, 0, 2, Capacity::default())];
    let account = start_recorded(parts, &edges, recorder.clone()).unwrap().0.run().unwrap();
    assert_eq!(account.elements.left, 10);
    assert!(!recorder.is_on() && recorder.ring().is_none());
}
