//! Every guest program, in a real flow.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use torvyn_runtime::contract::Trace;
use torvyn_runtime::contract::Verdict;
use torvyn_runtime::contract::{Stamp, TraceOrigin};
use torvyn_runtime::flow::Step;
use torvyn_runtime::flow::account;
use torvyn_runtime::ledger::Count;
use torvyn_runtime::payload::element::Context;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Error, Limits, StageError};
use torvyn_tests::{
    Collected, Elements, assert_settled, for_each_program, input, output, programs, run, stage, stage_with, start,
};

mod attributes;
mod failing;
mod holding;
mod reads;

use attributes::*;
use failing::*;
use holding::*;
use reads::*;

for_each_program!(assert_tested);

fn lines(text: &str) -> Elements {
    Elements::new(text.lines().map(|line| line.as_bytes().to_vec()))
}

#[test]
fn drop_empty() {
    let collected = Collected::default();
    let account = run(vec![
        input(lines("one\n\ntwo\n\n\nthree")),
        stage("drop", programs::DROP_EMPTY, &[]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.payloads(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    assert_eq!(collected.sequences(), [0, 2, 5]);
    let stage = &account.stages[0];
    assert_eq!((stage.elements_in, stage.elements_out, stage.elements_dropped), (6, 3, 3));
    assert_eq!(stage.verdict, Verdict::HandlePass);
    assert_eq!(account.copies.payload_bytes(), 0);
    assert_eq!(account.amplification, Some(0.0));
}

#[test]
fn upper() {
    let collected = Collected::default();
    let account =
        run(vec![input(lines("one\n\nzwölf")), stage("upper", programs::UPPER, &[]), output("out", collected.clone())])
            .unwrap();
    assert_eq!(collected.payloads(), [b"ONE".to_vec(), b"".to_vec(), "ZWöLF".as_bytes().to_vec()]);
    let copies = account.stages[0].copies;
    assert_eq!((copies.payload_read.ops, copies.payload_read.bytes), (3, 9));
    assert_eq!((copies.payload_write.ops, copies.payload_write.bytes), (3, 9));
    assert_eq!(account.amplification, Some(2.0));
    assert_eq!(account.stages[0].writes_unchanged, 0, "the first differs, the second says nothing");
}

#[test]
fn echo() {
    let payloads: Vec<_> =
        (0..2000).map(|number| if number % 7 == 3 { String::new() } else { number.to_string() }).collect();
    let collected = Collected::default();
    let account = run(vec![
        input(Elements::new(payloads.clone())),
        stage("echo", programs::ECHO, &[]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.payloads(), payloads.iter().map(|payload| payload.clone().into_bytes()).collect::<Vec<_>>());
    let stage = &account.stages[0];
    // Enough of them were compared.
    assert_eq!((stage.copies.payload_write.ops, stage.writes_max, stage.writes_unchanged), (1714, 1, 1024));
}

#[test]
fn inspect() {
    let collected = Collected::default();
    let account = run(vec![
        input(lines("an error\nfine\nerror\nerr or")),
        stage("find", programs::INSPECT, &[("needle", "error")]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.payloads(), [b"an error".to_vec(), b"error".to_vec()]);
    let stage = &account.stages[0];
    assert_eq!(stage.verdict, Verdict::ReadOnly);
    assert_eq!((stage.copies.payload_read.ops, stage.copies.payload_read.bytes), (4, 23));
    assert_eq!(stage.copies.payload_write, Count::default());
    assert_eq!(stage.amplification, Some(1.0));
}

/// Runs a program that forwards some of these payloads. Returns which ones. The program reads all of them whole.
fn forwarded_having_read(program: &'static str, payloads: &[&'static [u8]]) -> Vec<Vec<u8>> {
    let collected = Collected::default();
    let account = run(vec![
        input(Elements::new(payloads.iter().map(|payload| payload.to_vec()))),
        stage("inspect", program, &[]),
        output("out", collected.clone()),
    ])
    .expect("the flow runs");
    let stage = &account.stages[0];
    assert_eq!(stage.verdict, Verdict::ReadOnly);
    let bytes = payloads.concat().len() as u64;
    assert_eq!((stage.copies.payload_read.ops, stage.copies.payload_read.bytes), (payloads.len() as u64, bytes));
    collected.payloads()
}

#[test]
fn above() {
    let payloads: [&[u8]; 2] = [b"\xe9\x03\0\0\0\0\0\0", b"\xe8\x03\0\0\0\0\0\0"];
    assert_eq!(forwarded_having_read(programs::ABOVE, &payloads), payloads[..1]);
}

#[test]
fn magic() {
    let payloads: [&[u8]; 4] = [b"\x1f\x8b, and more", b"\x1f", b"", b"none"];
    assert_eq!(forwarded_having_read(programs::MAGIC, &payloads), payloads[..1]);
}

#[test]
fn first_byte() {
    let payloads: [&[u8]; 4] = [b"{}", b"{", b"", b"none {"];
    assert_eq!(forwarded_having_read(programs::FIRST_BYTE, &payloads), payloads[..2]);
}

#[test]
fn ignores() {
    let payloads: [&[u8]; 3] = [b"one", b"", b"two"];
    assert_eq!(forwarded_having_read(programs::IGNORES, &payloads), payloads);
}

#[test]
fn upper_on_demand() {
    let collected = Collected::default();
    let account = run(vec![
        input(lines("one\nlonger\ntwo\nlonger still\nsix")),
        stage("upper", programs::UPPER_ON_DEMAND, &[("longest", "3")]),
        output("out", collected.clone()),
    ])
    .unwrap();
    let expected: [&[u8]; 5] = [b"ONE", b"longer", b"TWO", b"longer still", b"SIX"];
    assert_eq!(collected.payloads(), expected);
    assert_eq!(collected.sequences(), [0, 1, 2, 3, 4]);
    let copies = account.stages[0].copies;
    assert_eq!((copies.payload_read.ops, copies.payload_read.bytes), (3, 9));
    assert_eq!((copies.payload_write.ops, copies.payload_write.bytes), (3, 9));
}

#[test]
fn reread() {
    for (by, ops, bytes) in [("element", 9, 36), ("byte", 9, 9), ("batch", 9, 36)] {
        let collected = Collected::default();
        let account = run(vec![
            input(lines("one\nlonger\ntwo")),
            stage("again", programs::REREAD, &[("times", "3"), ("by", by)]),
            output("out", collected.clone()),
        ])
        .unwrap();
        assert_eq!(collected.sequences(), [0, 1, 2]);
        let stage = &account.stages[0];
        assert_eq!((stage.copies.payload_read.ops, stage.copies.payload_read.bytes), (ops, bytes), "{by}");
        assert_eq!((stage.reads_max, stage.writes_max), (3, 0));
    }
}

#[test]
fn split() {
    let (first, second) = (Collected::default(), Collected::default());
    let parts = vec![
        input(lines("a1\nb1\nc1\nd1\na2\nc2")),
        stage("split", programs::SPLIT, &[]).outputs(2),
        output("first", first.clone()),
        output("second", second.clone()),
    ];
    let capacity = Capacity::default();
    let edges = [(0, 0, 1, capacity), (1, 0, 2, capacity), (1, 1, 3, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!(first.payloads(), [b"a1", b"c1", b"a2", b"c2"].map(|payload| payload.to_vec()));
    assert_eq!(second.payloads(), [b"b1", b"c1", b"c2"].map(|payload| payload.to_vec()));
    let stage = &account.stages[0];
    assert_eq!((stage.elements_in, stage.elements_out, stage.elements_dropped), (6, 7, 1));
    assert_eq!((stage.copies.payload_read.ops, stage.copies.payload_read.bytes), (6, 6));
}

#[test]
fn repeat() {
    let collected = Collected::default();
    let account = run(vec![
        input(lines("a\nb")),
        stage("repeat", programs::REPEAT, &[("times", "3")]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.payloads(), [b"a", b"a", b"a", b"b", b"b", b"b", b"2"].map(|payload| payload.to_vec()));
    assert_eq!(collected.sequences(), [0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(account.elements, account::Elements { entered: 2, left: 7, dropped: 0, ..Default::default() });
    let stage = &account.stages[0];
    assert_eq!((stage.writes_max, stage.writes_unchanged), (3, 6), "what is from no element is not compared");
}

#[test]
fn every_other() {
    let collected = Collected::default();
    let numbers: Vec<_> = (0..1000).map(|number: u32| number.to_string().into_bytes()).collect();
    let account = run(vec![
        input(Elements::new(numbers)),
        stage("every-other", programs::EVERY_OTHER, &[]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.sequences(), (0..1000).step_by(2).collect::<Vec<_>>());
    assert_eq!(account.elements, account::Elements { entered: 1000, left: 500, dropped: 500, ..Default::default() });
}

#[test]
fn stamped() {
    let trace: Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let both = Stamp { deadline: Some(Duration::from_millis(250)), trace: Some(TraceOrigin::Given(trace)) };
    let written = |stamp: Stamp| {
        let collected = Collected::default();
        let parts = vec![
            input(lines("a\nb")).stamp(stamp),
            stage("stamped", programs::STAMPED, &[]),
            output("out", collected.clone()),
        ];
        run(parts).unwrap();
        (collected.payloads().into_iter().map(|text| String::from_utf8(text).unwrap()).collect::<Vec<_>>(), collected)
    };
    let (lines, collected) = written(both);
    let Some(Context { deadline: Some(deadline), trace: Some(pulled), .. }) = collected.contexts()[0] else {
        panic!("{:?}", collected.contexts());
    };
    assert_eq!(deadline, collected.timestamps()[0] + 250_000_000);
    assert_eq!((pulled.id, pulled.sampled), (trace.id, true));
    assert_ne!(pulled.span, trace.span, "the pull is a span of its own");
    let expected = format!("Some(250000000) Some(\"4bf92f3577b34da6a3ce929d0e0e4736 {:016x}\")", pulled.span);
    assert_eq!(lines, [expected.as_str(); 2], "one pull, one span");
    assert_eq!(collected.contexts()[0], collected.contexts()[1]);
    let (lines, _) = written(Stamp { trace: None, ..both });
    assert_eq!(lines, ["Some(250000000) None"; 2]);
    let (lines, collected) = written(Stamp::default());
    assert_eq!(lines, ["None None"; 2]);
    assert_eq!(collected.contexts(), [None, None]);
}

/// `schedules.rs` tests what it draws in a flow with a seed.
#[test]
fn draw() {
    let drawn = || {
        let collected = Collected::default();
        run(vec![input(lines("one\ntwo")), stage("draw", programs::DRAW, &[]), output("out", collected.clone())])
            .unwrap();
        collected.payloads()
    };
    let (once, again) = (drawn(), drawn());
    assert!(once.len() == 2 && once[0] != once[1] && once != again, "{once:?} {again:?}");
}

/// `clock.rs` tests it with a simulated clock.
#[test]
fn nap() {
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let (collected, began) = (Collected::default(), since());
    let parts = vec![
        input(lines("one\ntwo")),
        stage("nap", programs::NAP, &[("ms", "2"), ("times", "2")]),
        output("out", collected.clone()),
    ];
    run(parts).unwrap();
    let written = collected.payloads().into_iter().map(|payload| String::from_utf8(payload).unwrap());
    let numbers = written.map(|text| text.split(' ').map(|number| number.parse().unwrap()).collect());
    let numbers: Vec<Vec<u128>> = numbers.collect();
    assert!(numbers.iter().all(|numbers| (4_000_000..1_000_000_000).contains(&numbers[1])), "{numbers:?}");
    let times = [began + 4_000_000, numbers[0][0], numbers[1][0], since()];
    assert!(times.is_sorted() && times[2] - times[1] >= 4_000_000, "{times:?}");
}

/// `replicas.rs` has it work on several threads.
#[test]
fn works() {
    let collected = Collected::default();
    let works = stage("works", programs::WORKS, &[("rounds", "1")]);
    run(vec![input(lines("\na\nfoobar")), works, output("out", collected.clone())]).unwrap();
    // The digests that the authors of FNV-1a publish for these texts.
    let expected = [0xcbf2_9ce4_8422_2325_u64, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8].map(u64::to_le_bytes);
    assert_eq!(collected.payloads(), expected);
}

#[test]
fn numbers() {
    let collected = Collected::default();
    let account = run(vec![
        stage("numbers", programs::NUMBERS, &[("count", "250"), ("idle", "100")]),
        output("out", collected.clone()),
    ])
    .unwrap();
    let expected: Vec<_> = (1..=250).map(|number: u32| number.to_string().into_bytes()).collect();
    assert_eq!(collected.payloads(), expected);
    assert_eq!(collected.sequences(), (0..250).collect::<Vec<_>>());
    let stage = &account.stages[0];
    let bytes = expected.concat().len() as u64;
    assert_eq!((stage.copies.payload_write.ops, stage.copies.payload_write.bytes), (250, bytes));
    assert_eq!((stage.amplification, account.amplification), (None, Some(1.0)));
}

#[test]
fn blocks() {
    let collected = Collected::default();
    run(vec![
        stage("blocks", programs::BLOCKS, &[("count", "300"), ("size", "1000")]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.payloads(), (0..300).map(|number| vec![number as u8; 1000]).collect::<Vec<_>>());
}

#[test]
fn digest() {
    let parts = vec![
        stage("blocks", programs::BLOCKS, &[("count", "257"), ("size", "5")]),
        stage("drop", programs::DROP_EMPTY, &[]),
        stage("digest", programs::DIGEST, &[]),
    ];
    let capacity = Capacity::default();
    let (flow, printed) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    let account = flow.run().unwrap();
    assert_settled(&account);
    assert_eq!(*printed.lock().unwrap(), ["digest: elements=257 bytes=1285 xor=0"]);
    assert_eq!(account.amplification, Some(2.0));
    assert_eq!(account.elements, account::Elements { entered: 257, left: 257, dropped: 0, ..Default::default() });
}

/// Everything that was made is somewhere: it arrived, waits on an edge up to the capacity, or is in hand.
#[test]
fn stall() {
    let capacity = Capacity { elements: 5, bytes: 1 << 20 };
    let parts = vec![
        input(Elements::new((0..100).map(|number: u8| vec![number]))),
        stage("drop", programs::REPEAT, &[("times", "3")]),
        stage("stall", programs::STALL, &[("batches", "8")]),
    ];
    let (mut flow, _) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    let mut stalled = None;
    loop {
        match flow.step().unwrap() {
            Step::Moved => {
                let snapshot = flow.snapshot();
                // `repeat` makes three elements of each at once, for the whole batch, so it is never between two of
                // them.
                // It makes one more element after the input has ended.
                let made = snapshot.left + snapshot.waiting[1] + snapshot.held;
                assert!(made % 3 == 0 || made == 301, "{snapshot:?}");
                assert_eq!(snapshot.entered, made / 3 + snapshot.waiting[0], "{snapshot:?}");
                assert!(snapshot.waiting[0] <= 5 && snapshot.waiting[1] <= 5, "{snapshot:?}");
            }
            Step::Wait(_) if stalled.is_none() => stalled = Some(flow.snapshot()),
            Step::Wait(time) => std::thread::sleep(time),
            Step::Ended => break,
        }
    }
    let stalled = stalled.expect("the sink stalls");
    assert_eq!((stalled.waiting[0], stalled.waiting[1]), (5, 5), "both edges are full: {stalled:?}");
    assert_eq!(flow.snapshot().left, 301);
}

#[test]
fn faulty() {
    let poisoned = |how: &str, at: &str| {
        run(vec![
            input(lines("fine\nfine\npoison\nfine")),
            stage_with("faulty", programs::FAULTY, &[("how", how), ("at", at)], quick()),
            output("out", Collected::default()),
        ])
    };
    for at in ["init", "process", "flush", "teardown"] {
        for (how, expected) in [
            ("trap", "`unreachable` instruction executed"),
            ("loop", "exceeded its time limit of 200 ms (`limits.time`)"),
            ("grow", "exceeded its memory limit of 8 MiB"),
            ("fail", "invalid-input: told to fail in"),
        ] {
            let expected =
                if (how, at) == ("fail", "teardown") { "`unreachable` instruction executed" } else { expected };
            let Err(Error::Stage { stage, call, elements, source }) = poisoned(how, at) else {
                panic!("`{how}` in `{at}` is a failure of the stage");
            };
            assert_eq!((stage.as_str(), call), ("faulty", at));
            assert_eq!(elements.is_some(), at == "process", "{elements:?}");
            assert!(elements.is_none_or(|(first, last)| (first..=last).contains(&2)), "{elements:?}");
            assert!(source.to_string().contains(expected), "`{how}` in `{at}`: {source}");
            if how == "trap" {
                let StageError::Trap { backtrace, .. } = source else { panic!("a trap") };
                assert!(backtrace.iter().any(|frame| frame.contains("faulty.rs:")), "{backtrace:#?}");
            }
        }
    }
}

#[test]
fn faulty_prints_to_its_log() {
    let parts = vec![
        input(lines("poison")),
        stage("faulty", programs::FAULTY, &[("how", "print"), ("at", "process")]),
        output("out", Collected::default()),
    ];
    let capacity = Capacity::default();
    let (flow, printed) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    assert_settled(&flow.run().unwrap());
    assert_eq!(*printed.lock().unwrap(), ["faulty: printed in process", "faulty: half a line"]);
}

fn quick() -> Limits {
    Limits { memory: 8 << 20, time: Duration::from_millis(200), ..Limits::default() }
}
