//! The time limit of a call holds whatever the stage does meanwhile, and a flow that is cut off ends whatever its
//! stages and outputs do.
//!
//! `TORVYN_LIMIT_CALLS=500 cargo test --test time limits -- --nocapture` measures more calls.

#![expect(clippy::print_stdout, reason = "how late calls are stopped")]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use torvyn_runtime::endpoint::{Framing, Generate, Output, OutputFraming, Reader, Writer, share_to_write};
use torvyn_runtime::payload::Batch;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::{Retry, Then};
use torvyn_runtime::{Account, Control, Cut, Error, Flow, Limits, Policy, StageError};
use torvyn_tests::guest::{Guest, PROCESSOR, SINK, SOURCE};
use torvyn_tests::{Collected, Elements, Part, assert_settled, input, output, stage_with, start_with};

const FOREVER: &str = "(loop $forever (br $forever))";
const HOUR: Duration = Duration::from_secs(3600);

/// A guest that can sleep, and spin, for some nanoseconds.
fn with_clock(guest: Guest<'static>) -> Guest<'static> {
    static FIELDS: LazyLock<String> = LazyLock::new(|| {
        let sleep_and_spin = "
          (func $sleep (param $ns i64) (call $block (call $subscribe (local.get $ns))))
          (func $spin (param $ns i64) (local $end i64)
            (local.set $end (i64.add (call $now) (local.get $ns)))
            (loop $on (br_if $on (i64.lt_u (call $now) (local.get $end)))))";
        SOURCE.with_clock().fields.to_owned() + sleep_and_spin
    });
    Guest { fields: &FIELDS, ..guest.with_clock() }
}

fn limits(time: Duration) -> Limits {
    Limits { memory: 8 << 20, time, ..Limits::default() }
}

/// A flow of three elements, or of those of a source, in a row with the guest.
fn parts(guest: Guest<'_>, limits: Limits, policy: Policy) -> Vec<Part> {
    let stage = stage_with("hostile", guest.file().path, &[], limits).policy(policy);
    let is_source = guest.role == torvyn_runtime::pipeline::graph::Role::Source;
    let mut parts = vec![stage];
    if !is_source {
        parts.insert(0, input(Elements::new(["one", "two", "three"])));
    }
    if guest.role != torvyn_runtime::pipeline::graph::Role::Sink {
        parts.push(output("out", Collected::default()));
    }
    parts
}

fn started(parts: Vec<Part>, control_of: impl FnOnce(Control) -> Control) -> Result<Flow, Error> {
    let edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    start_with(parts, &edges, control_of).map(|(flow, _)| flow)
}

/// How long the guest runs until its call is stopped.
fn stopped_after(guest: Guest<'_>, limit: Duration) -> Duration {
    let parts = parts(guest, limits(limit), Policy::default());
    let began = Instant::now();
    let error = started(parts, |control| control).and_then(Flow::run).expect_err("it is stopped");
    let time = began.elapsed();
    let (Error::Start { source, .. } | Error::Stage { source, .. }) = &error else { panic!("{error:?}") };
    assert!(matches!(source, StageError::Deadline { .. }), "{error:?}");
    time
}

/// The calls that loop, and those that wait after they have used most of their limit.
fn guests() -> Vec<(&'static str, Guest<'static>)> {
    let spins = "(call $spin (i64.const 150000000)) (call $sleep (i64.const 10000000000)) (call $ok)";
    let naps = "(loop $on (call $sleep (i64.const 1000000)) (br $on)) (call $ok)";
    let after_naps = "(call $sleep (i64.const 150000000)) (loop $forever (br $forever)) (call $ok)";
    let process = "(call $drop_batch (local.get $batch)) (loop $forever (br $forever)) unreachable";
    let realloc = "(loop $forever (br $forever)) unreachable";
    vec![
        ("init", Guest { init: "(loop $forever (br $forever)) unreachable", ..PROCESSOR }),
        ("start", Guest { start: FOREVER, ..PROCESSOR }),
        ("process", Guest { work: process, ..PROCESSOR }),
        ("push", Guest { work: process, ..SINK }),
        ("realloc", Guest { realloc, ..PROCESSOR }),
        ("post-return", Guest { post_return: FOREVER, ..PROCESSOR }),
        ("flush", Guest { last: "(loop $forever (br $forever)) unreachable", ..PROCESSOR }),
        ("teardown", Guest { teardown: FOREVER, ..PROCESSOR }),
        ("spins, then sleeps", with_clock(Guest { work: spins, ..SOURCE })),
        ("sleeps again and again", with_clock(Guest { work: naps, ..SOURCE })),
        ("sleeps, then loops", with_clock(Guest { work: after_naps, ..SOURCE })),
    ]
}

/// No call is stopped early, and on a quiet machine 99 of 100 are stopped within 20 ms of their limit. Tests run in
/// parallel, so this asserts only the median, and prints the figures.
#[test]
fn limits_hold() {
    let calls = std::env::var("TORVYN_LIMIT_CALLS").map_or(5, |calls| calls.parse().expect("a number"));
    let limit = Duration::from_millis(200);
    for (name, guest) in guests() {
        let mut late: Vec<_> = (0..calls)
            .map(|_| {
                let time = stopped_after(guest, limit);
                assert!(time >= limit, "{name}: stopped after {time:?}");
                time - limit
            })
            .collect();
        late.sort();
        let at = |part: usize| late[(late.len() * part).div_ceil(100).max(1) - 1];
        println!("call={name:?} calls={calls} late_p50={:?} late_p99={:?} late_max={:?}", at(50), at(99), at(100));
        assert!(at(50) < Duration::from_millis(100), "{name}: {late:?}");
    }
}

/// The delay of a call does not grow with its limit.
#[test]
fn a_long_limit_does_not_drift() {
    let limit = Duration::from_secs(3);
    let looping = Guest { work: "(loop $forever (br $forever)) unreachable", ..SOURCE };
    let late = (0..3).map(|_| stopped_after(looping, limit).checked_sub(limit).expect("not early")).min();
    println!("limit=3s late_min={late:?}");
    assert!(late.is_some_and(|late| late < Duration::from_millis(40)), "{late:?}");
}

/// Cuts a flow off after a while. Returns its result, and how long it took from then on.
fn cut(guest: Guest<'_>, policy: Policy, limit: Duration) -> (Result<Account, Error>, Duration) {
    // Compiled before the time starts.
    let parts = parts(guest, limits(limit), policy);
    let cut = Cut::new(Arc::new(AtomicBool::new(false)));
    let cutter = {
        let cut = cut.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            cut.now();
            Instant::now()
        })
    };
    let came = started(parts, |control| Control { cut, ..control }).and_then(Flow::run);
    let ended = Instant::now();
    (came, ended.saturating_duration_since(cutter.join().expect("it cuts off")))
}

/// Whatever the call, its limit and its policy, a flow that is cut off ends at once, holds nothing, and reports what is
/// lost.
#[test]
fn a_flow_that_is_cut_off_ends_at_once() {
    let again = Policy { retry: Some(Retry { count: 1000, backoff: HOUR }), then: Then::Stop };
    let skip = Policy { retry: None, then: Then::Skip };
    let fails = "(call $drop_batch (local.get $batch)) unreachable";
    let mut cases: Vec<_> = guests().into_iter().map(|(name, guest)| (name, guest, Policy::default(), HOUR)).collect();
    let looping = Guest { work: "(loop $forever (br $forever)) unreachable", ..PROCESSOR };
    cases.push(("a back-off", Guest { work: fails, ..PROCESSOR }, again, HOUR));
    cases.push(("skipping what loops", looping, skip, Duration::from_millis(80)));
    cases.push(("skipping what loops for long", looping, skip, HOUR));
    for (name, guest, policy, limit) in cases {
        let (came, time) = cut(guest, policy, limit);
        println!("cut={name:?} ended_after={time:?}");
        assert!(time < Duration::from_secs(1), "{name}: {time:?}");
        let starts = matches!(name, "init" | "start" | "realloc");
        match came {
            Err(error) => assert!(starts && error.is_cut_off(), "{name}: {error:?}"),
            Ok(account) => {
                assert!(!starts && account.cancelled, "{name}");
                assert_eq!(account.pool.live_at_end, 0, "{name}");
                let cut_off = account.cut_off.clone().expect("it was cut off");
                let elements = account.elements;
                let gone = elements.left + elements.dropped + elements.skipped;
                assert_eq!(elements.entered, gone + cut_off.undelivered, "{name}: {account:?}");
                let waits = name == "a back-off" || name == "skipping what loops";
                assert!(waits || cut_off.interrupted == ["hostile"], "{name}: {cut_off:?}");
            }
        }
    }
}

/// A case that times out ends within the call that is running.
#[test]
fn a_deadline_of_a_flow_ends_its_calls() {
    for (name, guest) in guests() {
        let deadline = Instant::now() + Duration::from_millis(150);
        let cut = Cut::default().at(deadline);
        let parts = parts(guest, limits(HOUR), Policy::default());
        let came = started(parts, |control| Control { cut, ..control }).and_then(|flow| flow.run_until(deadline));
        assert!(Instant::now() < deadline + Duration::from_secs(1), "{name}");
        match came {
            Ok(came) => assert!(came.is_none(), "{name}"),
            Err(error) => assert!(error.is_cut_off(), "{name}: {error:?}"),
        }
    }
}

/// A pipe that nobody reads blocks a flow until it is cut off.
#[test]
fn an_output_that_nobody_reads_is_cut_off() {
    for again in [false, true] {
        let (_reader, writer) = std::io::pipe().unwrap();
        let file = if again { share_to_write(writer.as_fd()).unwrap() } else { File::from(OwnedFd::from(writer)) };
        let deadline = Instant::now() + Duration::from_millis(200);
        let cut = Cut::default().at(deadline);
        let parts = vec![input(Generate::new(100_000, 100)), output("pipe", Writer::new(file, OutputFraming::Lines))];
        let account = started(parts, |control| Control { cut, ..control }).and_then(Flow::run).unwrap();
        assert!(Instant::now() < deadline + Duration::from_secs(1));
        let cut_off = account.cut_off.expect("it was cut off");
        assert_eq!(cut_off.interrupted, ["pipe"]);
        assert_eq!(account.elements.left + cut_off.undelivered, account.elements.entered);
        assert!(account.elements.left > 500 && account.elements.entered < 100_000, "{:?}", account.elements);
    }
}

/// A flow that is cancelled before it starts does not start.
#[test]
fn a_flow_that_is_cancelled_before_it_begins() {
    let cancel = Arc::new(AtomicBool::new(true));
    let parts = parts(PROCESSOR, limits(HOUR), Policy::default());
    let error = started(parts, |control| Control { cancel, ..control }).err();
    assert!(matches!(error, Some(Error::Cancelled)), "{error:?}");
}

/// A flow that is not cut off has lost nothing.
#[test]
fn a_flow_that_is_not_cut_off_says_so() {
    let parts = parts(PROCESSOR, limits(HOUR), Policy::default());
    let cut = Cut::default().at(Instant::now() + HOUR);
    let account = started(parts, |control| Control { cut, ..control }).and_then(Flow::run).unwrap();
    assert_settled(&account);
    assert_eq!((account.cut_off, account.elements.left), (None, 3));
}

/// Ends the flow as soon as anything arrives.
struct Cancels(Collected, Arc<AtomicBool>);

impl Output for Cancels {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.1.store(true, Ordering::Relaxed);
        self.0.push(batch)
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        self.0.written()
    }
}

/// Data that cannot be read again is not lost when a flow ends early: complete elements arrive, and the rest is
/// reported. A file is still there.
#[test]
fn what_was_read_from_a_pipe_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (framing, bytes, delivered, left_over) in [
        (Framing::default(), b"abc\n".repeat(5000), 5000, 0),
        (Framing::default(), [&b"abc\n".repeat(5000)[..], b"par"].concat(), 5000, 3),
        (Framing::Chunks(3), b"abc\n".repeat(5000), 6666, 2),
        (Framing::LengthPrefixed, [&b"\0\0\0\x02ab".repeat(1000)[..], b"\0\0\0\x02a"].concat(), 1000, 5),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        for through_pipe in [true, false] {
            // Less than a pipe holds, so that it is read at once; its writer stays open.
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(&bytes).unwrap();
            let file = if through_pipe { File::from(OwnedFd::from(reader)) } else { File::open(&path).unwrap() };
            let (came, cancel) = (Collected::default(), Arc::new(AtomicBool::new(false)));
            let cancels = output("out", Cancels(came.clone(), cancel.clone()));
            let parts = vec![input(Reader::new(file, framing, 0)), cancels];
            let account = started(parts, |control| Control { cancel, ..control }).and_then(Flow::run).unwrap();
            let left = came.payloads().len();
            assert!(account.cancelled && account.cut_off.is_none());
            assert_eq!((account.elements.entered, account.elements.left), (left as u64, left as u64));
            let told = account.endpoints[0].left_over;
            match through_pipe {
                true => assert_eq!((left, told), (delivered, left_over), "{framing:?}"),
                false => assert!(left < delivered && told == 0, "{framing:?}: {left}, {told}"),
            }
        }
    }
}
