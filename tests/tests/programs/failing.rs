//! The programs that fail on an element. Wherever it is in a batch, the results for all other elements come out exactly
//! once, as if it had not been there.

use torvyn_runtime::flow::account::FailureUse;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::Then;
use torvyn_runtime::{Account, Component, Error, Limits, Policy};
use torvyn_tests::{Collected, Elements, Part, assert_settled, engine, input, output, programs, run, stage_of, start};

/// The elements of the calls before the first full batch: a stage gets one element, then twice as many each time.
const BEFORE: usize = 63;
/// The elements of a full batch.
const BATCH: usize = 64;
const ONE_SKIPPED: FailureUse = FailureUse { calls: 1, retries: 0, skipped: 1, dead_letters: 0, restarts: 0 };

fn load(program: &str) -> Component {
    Component::load(engine(), program.as_ref(), &Limits::default()).expect("the program loads")
}

fn skipping(component: &Component) -> Part {
    let skip = Policy { retry: None, then: Then::Skip };
    stage_of("strict", component, &[], Limits::default()).policy(skip)
}

/// The output of a stage that skips what it fails on, with the sequence numbers, and the run report.
fn through(component: &Component, payloads: &[String]) -> (Vec<(u64, String)>, Account) {
    let out = Collected::default();
    let account = run(vec![input(Elements::new(payloads.to_vec())), skipping(component), output("out", out.clone())])
        .expect("the flow comes to its end");
    let payloads = out.payloads().into_iter().map(|payload| String::from_utf8(payload).expect("text stays text"));
    (out.sequences().into_iter().zip(payloads).collect(), account)
}

/// Enough elements for a full batch, made by `payload` from their number, with `failing` at each place of that batch.
/// All others must come out as they do without it. `look` gets the run report with it, and the one without.
fn fails_anywhere(program: &str, payload: impl Fn(usize) -> String, failing: &str, look: impl Fn(&Account, &Account)) {
    let component = load(program);
    let clean: Vec<String> = (0..BEFORE + BATCH).map(payload).collect();
    for place in BEFORE..BEFORE + BATCH {
        let mut with = clean.clone();
        with[place] = failing.to_string();
        let (came, account) = through(&component, &with);
        assert_eq!(account.stages[0].failures, ONE_SKIPPED, "element {place}");
        assert_eq!(account.elements.entered, with.len() as u64);

        let mut without = clean.clone();
        without.remove(place);
        let (expected, undisturbed) = through(&component, &without);
        assert_eq!(undisturbed.stages[0].failures, FailureUse::default());
        // Those after it have a number that is one lower there.
        let renumbered = |sequence: u64| sequence + u64::from(sequence >= place as u64);
        let expected: Vec<_> = expected.into_iter().map(|(sequence, came)| (renumbered(sequence), came)).collect();
        assert_eq!(came, expected, "element {place}");
        look(&account, &undisturbed);
    }
}

#[test]
pub(crate) fn strict() {
    let payload = |number: usize| if number.is_multiple_of(3) { format!("={number}") } else { number.to_string() };
    fails_anywhere(programs::STRICT, payload, "!", |account, undisturbed| {
        // The results for the element that it fails on are not even written.
        assert_eq!(account.copies.payload_write, undisturbed.copies.payload_write);
        assert_eq!(account.stages[0].given_up.ops, 0);
    });
    // The first write of all is for the element that it fails on.
    let forwards = |number: usize| format!("={number}");
    fails_anywhere(programs::STRICT, forwards, "!", |account, _| assert_eq!(account.copies.payload_write.ops, 0));
}

#[test]
pub(crate) fn strict_router() {
    let nothing_copied = |account: &Account, _: &Account| assert_eq!(account.copies.payload_bytes(), 0);
    fails_anywhere(programs::STRICT_ROUTER, |number| number.to_string(), "", nothing_copied);
}

#[test]
pub(crate) fn told() {
    let things = ["f", "w", "s", "fw", "ws", "b", "h", "j", "", "sb", "l", "wf", "h"];
    let payload = |number: usize| things[number % things.len()].to_string();
    for failing in ["!", "f!", "w!", "s!", "ws!", "bsw!", "j!", "fj!", "h!", "hj!"] {
        fails_anywhere(programs::TOLD, payload, failing, |_, _| {});
    }
}

/// What the programs copy that fail as their elements say is in `repeats.rs`; here each fails once.
fn told_by_size(program: &str) {
    let sizes = [8, 0, 1, 3, 7, 6, 9];
    let parts = vec![input(Elements::new(sizes.map(|size| vec![b'x'; size]))), skipping(&load(program))];
    let edges = [(0, 0, 1, Capacity::default()), (1, 0, 2, Capacity::default())];
    let is_sink = parts[1].is_sink();
    let parts = if is_sink { parts } else { parts.into_iter().chain([output("out", Collected::default())]).collect() };
    let (flow, ..) = start(parts, &edges[..if is_sink { 1 } else { 2 }]).expect("it starts");
    let account = flow.run().expect("it comes to its end");
    assert_settled(&account);
    assert_eq!((account.elements.entered, account.elements.skipped), (7, 3), "{program}");
}

#[test]
pub(crate) fn ops() {
    told_by_size(programs::OPS);
}

#[test]
pub(crate) fn ops_each() {
    told_by_size(programs::OPS_EACH);
}

#[test]
pub(crate) fn ops_payload() {
    told_by_size(programs::OPS_PAYLOAD);
}

#[test]
pub(crate) fn ops_held() {
    told_by_size(programs::OPS_HELD);
}

#[test]
pub(crate) fn ops_sink() {
    told_by_size(programs::OPS_SINK);
}

#[test]
pub(crate) fn strict_sink() {
    let component = load(programs::STRICT_SINK);
    for place in BEFORE..BEFORE + BATCH {
        let payload = |number: usize| if number == place { "!".to_string() } else { number.to_string() };
        let payloads = Elements::new((0..BEFORE + BATCH).map(payload));
        let parts = vec![input(payloads), skipping(&component)];
        let (flow, printed) = start(parts, &[(0, 0, 1, Capacity::default())]).expect("the flow starts");
        let account = flow.run().expect("the flow comes to its end");
        assert_settled(&account);
        assert_eq!(account.stages[0].failures, ONE_SKIPPED, "element {place}");
        let expected = (0..BEFORE + BATCH).filter(|number| *number != place).map(|number| format!("strict: {number}"));
        assert_eq!(*printed.lock().expect("nobody panicked"), expected.collect::<Vec<_>>());
    }
}

/// If the failure ends the flow, the error names the element.
#[test]
fn the_failure_names_its_element() {
    for program in [programs::STRICT, programs::STRICT_SINK] {
        for place in [0, 1, 2, 62, 63, 64, 100, 126] {
            let payload = |number: usize| if number == place { "!".to_string() } else { number.to_string() };
            let stage = stage_of("strict", &load(program), &[], Limits::default());
            let payloads = input(Elements::new((0..BEFORE + BATCH).map(payload)));
            let error = match program {
                programs::STRICT => run(vec![payloads, stage, output("out", Collected::default())]),
                _ => run(vec![payloads, stage]),
            };
            let Err(Error::Stage { elements, .. }) = error else { panic!("it fails") };
            assert_eq!(elements, Some((place as u64, place as u64)));
        }
    }
}
