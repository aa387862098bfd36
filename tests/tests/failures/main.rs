//! What happens to the elements that stages fail on, under the policies of the stages: each arrives once, or is skipped
//! and counted, and nothing is live afterwards.

#![expect(clippy::print_stdout, reason = "how much was tried is part of the result")]

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use torvyn_runtime::flow::DeadLetter;
use torvyn_runtime::flow::account::FailureUse;
use torvyn_runtime::ledger::DEFAULT_CAPACITY;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::{Retry, Then};
use torvyn_runtime::{Account, Clock, Component, Control, Error, Limits, Policy, Recorder, Schedule};
use torvyn_tests::guest::Guest;
use torvyn_tests::{
    Collected, Elements, Part, assert_recorded, assert_settled, engine, input, output, stage_of, start_with,
};

mod held;
mod injected;
mod kinds;
mod places;
mod poison;
mod restarts;
mod retries;

/// The content of a dead letter: the stage, the element, how often it was tried, and why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter {
    stage: String,
    sequence: u64,
    payload: Vec<u8>,
    attempt: u32,
    reason: String,
}

/// The result of a flow.
struct Came {
    result: Result<Account, Error>,
    /// The sequence numbers of the output elements, and their payloads.
    sequences: Vec<u64>,
    payloads: Vec<String>,
    letters: Vec<Letter>,
}

impl Came {
    #[track_caller]
    fn account(&self) -> &Account {
        self.result.as_ref().expect("it comes to its end")
    }

    /// How its only stage failed.
    #[track_caller]
    fn failures(&self) -> FailureUse {
        self.account().stages[0].failures
    }

    /// The error, with its causes.
    #[track_caller]
    fn error(&self) -> String {
        let error = self.result.as_ref().expect_err("it fails");
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

const STOP: Policy = Policy { retry: None, then: Then::Stop };
const SKIP: Policy = Policy { retry: None, then: Then::Skip };
const DEAD_LETTER: Policy = Policy { retry: None, then: Then::DeadLetter };

fn retry(count: u32, then: Then) -> Policy {
    Policy { retry: Some(Retry { count, backoff: std::time::Duration::ZERO }), then }
}

/// A stage with this guest, called `stage`.
fn guest(guest: Guest<'_>) -> Component {
    Component::load(engine(), &guest.file().path, &limits()).expect("the component loads")
}

fn limits() -> Limits {
    Limits { memory: 8 << 20, time: std::time::Duration::from_millis(100), ..Limits::default() }
}

fn stage(component: &Component) -> Part {
    stage_of("stage", component, &[], limits())
}

/// A payload that shows whether anything still has it.
struct Held(Vec<u8>, #[expect(dead_code, reason = "it is counted")] Arc<()>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Runs these payloads through a stage. Afterwards none of them is left, whatever happened; the totals of the run
/// report add up, no element is missing in it, and the records add up to it.
#[track_caller]
fn through(part: Part, payloads: Vec<String>) -> Came {
    through_with(part, payloads, |control| control)
}

#[track_caller]
fn through_with(part: Part, payloads: Vec<String>, control: impl FnOnce(Control) -> Control) -> Came {
    let (held, out, recorder) = (Arc::new(()), Collected::default(), Recorder::new(1, DEFAULT_CAPACITY));
    let (count, is_sink) = (payloads.len() as u64, part.is_sink());
    let payloads = payloads.into_iter().map(|text| Bytes::from_owner(Held(text.into_bytes(), held.clone())));
    let mut parts = vec![input(Elements::new(payloads)), part];
    let mut edges = vec![(0, 0, 1, Capacity::default())];
    if !is_sink {
        parts.push(output("out", out.clone()));
        edges.push((1, 0, 2, Capacity::default()));
    }
    let names: Vec<_> = parts.iter().map(Part::name).collect();
    let letters = Arc::new(Mutex::new(Vec::new()));
    let kept = letters.clone();
    let keep = move |letter: DeadLetter<'_>| {
        kept.lock().expect("no test panics while it keeps").push(Letter {
            stage: letter.stage.to_string(),
            sequence: letter.element.sequence,
            payload: letter.element.payload.as_slice().expect("it is in one piece").to_vec(),
            attempt: letter.attempt,
            reason: std::error::Error::source(letter.error).expect("a cause").to_string(),
        });
        io::Result::Ok(())
    };
    let of_all = |control| Control {
        recorder: recorder.clone(),
        dead_letters: Arc::new(keep),
        clock: Clock::virtual_from(0),
        ..control
    };
    let result = start_with(parts, &edges, |given| control(of_all(given))).and_then(|(flow, _)| flow.run());
    assert_eq!(Arc::strong_count(&held), 1, "no payload is left");
    if let Ok(account) = &result {
        assert_settled(account);
        assert_recorded(account, &recorder, &names);
        let elements = account.elements;
        assert_eq!(elements.entered, count);
        if account.stages[0].leases.taken == 0 {
            let gone = elements.dropped + elements.skipped + elements.dead_letters;
            assert_eq!(count, elements.left + gone, "{elements:?}");
        }
    }
    let payloads = out.payloads().into_iter().map(|payload| String::from_utf8(payload).expect("text")).collect();
    let letters = std::mem::take(&mut *letters.lock().expect("no test panics while it keeps"));
    Came { result, sequences: out.sequences(), payloads, letters }
}

/// This many payloads of three bytes, except at these places, which have seven.
fn poisoned(count: usize, at: &[usize]) -> Vec<String> {
    let payload = |index| if at.contains(&index) { "poison!".to_string() } else { format!("{:03}", index % 1000) };
    (0..count).map(payload).collect()
}

/// Instructions for each element of the batch that has seven bytes; its index is in the local `$index`.
fn at_poison(then: &str) -> String {
    format!(
        "(local.set $index (i32.const 0))
        (block $none (loop $next
          (br_if $none (i32.eq (local.get $index) (local.get $count)))
          (if (i64.eq (i64.load (i32.add (local.get $metadata) (i32.mul (local.get $index) (i32.const 8)))) (i64.const 7))
            (then {then}))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br $next)))"
    )
}

/// It returns a failure without an element, or traps while it has its batch.
const FAILS: &str = "(call $drop_batch (local.get $batch)) (return (call $fail (i32.const 0)))";
const TRAPS: &str = "unreachable";
