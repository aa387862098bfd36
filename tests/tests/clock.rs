//! The simulated clock of a flow: when the flow or a stage waits, it advances exactly to the next event, and nobody
//! waits in real time.

#![expect(clippy::print_stdout, reason = "how long a virtual hour takes")]

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use torvyn_runtime::contract::Stamp;
use torvyn_runtime::endpoint::{Input, Pull, Pulled, Timed};
use torvyn_runtime::flow::Step;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Account, Clock, Component, Control, Error, Flow, Limits, StageError};
use torvyn_tests::{
    Collected, Elements, Part, assert_settled, engine, input, output, programs, stage, stage_of, stage_with, start_with,
};

/// The beginning of the year 2000, in nanoseconds.
const START: u64 = 946_684_800_000_000_000;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn seconds(seconds: impl IntoIterator<Item = u64>) -> Vec<Duration> {
    seconds.into_iter().map(Duration::from_secs).collect()
}

/// Elements of one byte, the letters in order.
fn letters(count: u8) -> Elements {
    Elements::new((0..count).map(|letter| vec![b'a' + letter]))
}

fn start_by(clock: &Clock, parts: Vec<Part>) -> Flow {
    let edges: Vec<_> = (1..parts.len()).map(|to| (to - 1, 0, to, Capacity::default())).collect();
    start_with(parts, &edges, |control| Control { clock: clock.clone(), ..control }).expect("the flow starts").0
}

/// Runs parts in a row, with a clock that starts at `START`. Returns the run report and the time at the end.
fn run(parts: Vec<Part>) -> Result<(Account, Duration), Error> {
    let clock = Clock::virtual_from(START);
    let began = clock.now();
    let account = start_by(&clock, parts).run()?;
    assert_settled(&account);
    Ok((account, clock.now() - began))
}

/// How long a flow waits each time, until it has ended. `before` is applied to its clock before each wait.
fn waits(flow: &mut Flow, mut before: impl FnMut(&Clock)) -> Vec<Duration> {
    let clock = flow.control().clock.clone();
    let mut waits = Vec::new();
    loop {
        match flow.step().expect("the flow goes on") {
            Step::Moved => {}
            Step::Wait(time) => {
                before(&clock);
                clock.wait(time);
                waits.push(time);
            }
            Step::Ended => return waits,
        }
    }
}

/// When the elements arrived, as the time since `START`.
fn came(collected: &Collected) -> Vec<Duration> {
    collected.timestamps().into_iter().map(|timestamp| Duration::from_nanos(timestamp - START)).collect()
}

fn texts(collected: &Collected) -> Vec<String> {
    collected.payloads().into_iter().map(|payload| String::from_utf8(payload).expect("text stays text")).collect()
}

#[test]
fn elements_come_at_their_times() {
    let arrivals = seconds([0, 61, 61, 3600, 3599]);
    let collected = Collected::default();
    let timed = input(Timed::new(Box::new(letters(6)), arrivals));
    let began = Instant::now();
    let (account, took) = run(vec![timed, output("out", collected.clone())]).unwrap();
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(came(&collected), seconds([0, 61, 61, 3600, 3600, 3600]), "what is late, or has no time, comes at once");
    assert_eq!(texts(&collected), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!((account.elements.entered, took), (6, HOUR));
}

#[test]
fn a_flow_ends_with_the_last_element_whatever_times_are_left() {
    for (elements, ends) in [(0, 0), (1, 0), (3, 2)] {
        let collected = Collected::default();
        let every = input(Timed::every(Box::new(letters(elements)), HOUR));
        let (_, took) = run(vec![every, output("out", collected.clone())]).unwrap();
        assert_eq!(came(&collected), (0..u32::from(elements)).map(|number| HOUR * number).collect::<Vec<_>>());
        assert_eq!(took, HOUR * ends);
    }
}

/// Has nothing to give every other time.
struct Idle<I>(I, bool);

impl<I: Input> Input for Idle<I> {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        self.1 = !self.1;
        if self.1 { Ok(Pulled::Idle) } else { self.0.pull(pull) }
    }
}

/// As in real time, but without the wait.
#[test]
fn who_is_left_alone_is_called_again_after_the_usual_pauses() {
    let collected = Collected::default();
    let flow = vec![input(Idle(letters(3), false)), output("out", collected.clone())];
    assert_eq!(run(flow).unwrap().1, Duration::from_millis(1));
    let parts = vec![
        input(Elements::new((0..200).map(|number: u8| vec![number]))),
        stage("stall", programs::STALL, &[("batches", "8")]),
    ];
    // A call is for twice as many elements as the previous one, so eight elements take this many calls too.
    let mut flow = start_by(&Clock::virtual_from(START), parts);
    let paused: Duration = [1, 2, 4, 8, 16, 32, 64, 64].into_iter().map(Duration::from_millis).sum();
    assert_eq!(waits(&mut flow, |_| {}).into_iter().sum::<Duration>(), paused);
    // Although an input is idle in between, it is asked again when its next element is due.
    let idle = input(Timed::new(Box::new(Idle(letters(3), false)), seconds([5, 6, 7])));
    let collected = Collected::default();
    run(vec![idle, output("out", collected.clone())]).unwrap();
    assert_eq!(came(&collected), seconds([5, 6, 7]));
}

#[test]
fn windows_of_an_hour_go_by_at_once() {
    let tumble = Component::load(engine(), programs::TUMBLE.as_ref(), &Limits::default()).unwrap();
    let window = |first: u32| (first..first + 6).map(|number| format!("{number} ")).collect::<String>();
    let took = (0..5).map(|_| {
        let collected = Collected::default();
        let numbers = Elements::new((0..360).map(|number: u32| format!("{number} ")));
        let parts = vec![
            input(Timed::every(Box::new(numbers), 10 * SECOND)),
            stage_of("tumble", &tumble, &[("every", "60000")], Limits::default()),
            output("out", collected.clone()),
        ];
        let mut flow = start_by(&Clock::virtual_from(START), parts);
        let began = Instant::now();
        assert_eq!(waits(&mut flow, |_| {}), seconds([10; 359]));
        assert_eq!(texts(&collected), (0..360).step_by(6).map(window).collect::<Vec<_>>());
        began.elapsed()
    });
    // The limit for an idle machine; a busy one may take longer.
    let took = took.min().unwrap();
    println!("virtual=1h real={took:?}");
    assert!(took < Duration::from_millis(100), "{took:?}");
}

/// Time advances between events: leases of half a minute end, and elements arrive at 10, 70, 75 and 200 seconds.
const LEASES_END: [u64; 8] = [10, 20, 10, 30, 5, 25, 5, 95];

fn given_up_after_30_seconds() -> (Collected, Vec<Part>) {
    let collected = Collected::default();
    let parts = vec![
        input(Timed::new(Box::new(letters(5)), seconds([0, 10, 70, 75, 200]))),
        // One window that never ends.
        stage("tumble", programs::TUMBLE, &[("every", "18446744073709"), ("keep", "30000")]),
        output("out", collected.clone()),
    ];
    (collected, parts)
}

#[test]
fn a_lease_ends_at_its_deadline_and_the_flow_stops_there() {
    let (collected, parts) = given_up_after_30_seconds();
    let mut flow = start_by(&Clock::virtual_from(START), parts);
    assert_eq!(waits(&mut flow, |_| {}), seconds(LEASES_END));
    assert_eq!(texts(&collected), [""; 0]);
}

#[test]
fn setting_the_time_of_day_ends_nothing_early() {
    const JUMPS: [u64; 6] = [0, START + 7, START / 2, START - 3_600_000_000_000, 2 * START, 12 * START];
    for first in 0..JUMPS.len() {
        let (_, parts) = given_up_after_30_seconds();
        let mut flow = start_by(&Clock::virtual_from(START), parts);
        let mut jumps = (0..).map(|jump| JUMPS[(first + jump) % JUMPS.len()]);
        let waited = waits(&mut flow, |clock| clock.set(jumps.next().unwrap_or_default()));
        assert_eq!(waited, seconds(LEASES_END));
    }
}

#[test]
fn a_stage_sees_the_time_and_sleeps_without_waiting() {
    let collected = Collected::default();
    let limits = Limits { time: 10 * SECOND, ..Limits::default() };
    let nap = stage_with("nap", programs::NAP, &[("ms", "1800000"), ("times", "2")], limits);
    let began = Instant::now();
    let parts = vec![input(letters(3)), nap, output("out", collected.clone())];
    let (account, took) = run(parts).unwrap();
    let written = |hours: u64| format!("{} 3600000000000", START + hours * 3_600_000_000_000);
    assert_eq!(texts(&collected), [written(1), written(2), written(3)]);
    assert_eq!(took, 3 * HOUR);
    assert!(began.elapsed() < 5 * SECOND && account.stages[0].busy_ns < 5_000_000_000, "{:?}", began.elapsed());
    assert_eq!(came(&collected), seconds([0; 3]));
}

/// The time limit of a call is in real time.
#[test]
fn what_sleeps_for_ever_is_stopped() {
    for (ms, times) in [("1", u64::MAX), ("0", u64::MAX), ("18446744073709551615", 1)] {
        let limits = Limits { time: Duration::from_millis(100), ..Limits::default() };
        let nap = stage_with("nap", programs::NAP, &[("ms", ms), ("times", &times.to_string())], limits);
        let began = Instant::now();
        match run(vec![input(letters(1)), nap, output("out", Collected::default())]) {
            Err(Error::Stage { call: "process", source: StageError::Deadline { .. }, .. }) => {}
            other => panic!("{ms} ms {times} times: {other:?}"),
        }
        assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    }
}

#[test]
fn what_is_late_is_counted_to_the_nanosecond() {
    // The calls of a stage are for one element, two, four, and the remaining three. Each takes a second.
    let late = |deadline: Duration| {
        let stamped = input(letters(10)).stamp(Stamp { deadline: Some(deadline), trace: None });
        let nap = stage("nap", programs::NAP, &[("ms", "1000")]);
        let (account, took) = run(vec![stamped, nap, output("out", Collected::default())]).unwrap();
        assert_eq!((account.elements.due, took), (10, 10 * SECOND));
        account.elements.late
    };
    let just = Duration::from_nanos(1);
    assert_eq!([late(10 * SECOND), late(10 * SECOND - just), late(7 * SECOND)], [0, 3, 3]);
    assert_eq!([late(7 * SECOND - just), late(SECOND), late(SECOND - just)], [7, 9, 10]);
}

/// Never has anything to give.
struct Nothing;

impl Input for Nothing {
    fn pull(&mut self, _: &mut Pull<'_>) -> io::Result<Pulled> {
        Ok(Pulled::Idle)
    }
}

#[test]
fn a_flow_is_given_up_by_the_time_of_the_system() {
    let began = Instant::now();
    let flow = start_by(&Clock::virtual_from(START), vec![input(Nothing), output("out", Collected::default())]);
    assert!(flow.run_until(began + Duration::from_millis(50)).unwrap().is_none());
    assert!((Duration::from_millis(50)..SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn who_really_waits_for_an_element_hears_that_the_flow_is_cancelled() {
    let collected = Collected::default();
    let parts = vec![input(Timed::new(Box::new(letters(2)), [Duration::ZERO, HOUR])), output("out", collected.clone())];
    let flow = start_by(&Clock::system(), parts);
    let cancel = flow.control().cancel.clone();
    let cancels = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        cancel.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    let account = flow.run().unwrap();
    cancels.join().unwrap();
    assert!(account.cancelled && began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(texts(&collected), ["a"]);
}
