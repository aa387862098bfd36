//! The programs that read and set attributes: where the attributes of an element go, who sees a change of them, and
//! what the ledger counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use torvyn_runtime::component::profile::Profile;
use torvyn_runtime::contract::{Verdict, World};
use torvyn_runtime::flow::{DeadLetter, DeadLetters};
use torvyn_runtime::ledger::Count;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::pipeline::policy::{Policy, Retry, Then};
use torvyn_runtime::{Account, Control};
use torvyn_tests::{Collected, Part, assert_settled, input, output, programs, run, stage, start, start_with};

use super::lines;

fn tagging() -> Part {
    stage("tags", programs::TAGS, &[])
}

/// The output of these programs, in a row, for these lines.
fn through(stages: Vec<Part>, text: &str) -> (Collected, Account) {
    let collected = Collected::default();
    let parts = [vec![input(lines(text))], stages, vec![output("out", collected.clone())]];
    let account = run(parts.into_iter().flatten().collect()).expect("the flow comes to its end");
    (collected, account)
}

fn marshalled(account: &Account, stage: usize) -> Count {
    account.stages[stage].copies.metadata_marshal
}

#[test]
pub(crate) fn tags() {
    let (out, _) = through(vec![tagging()], "tenant=a zone=\nplain\nzone=2 zone=1 größe=3\nx=1 y=2 -x -none");
    assert_eq!(out.attributes(), ["tenant=a zone=", "", "größe=3 zone=1", "y=2"]);
    // The element keeps the changes, and the next stage changes them further.
    let again = stage("again", programs::TAGS, &[]);
    let (out, _) = through(vec![tagging(), again], "x=1 -x y=2\nx=1");
    assert_eq!(out.attributes(), ["y=2", "x=1"]);
}

/// Names are lifted and values are lowered: each once per call, and each is recorded. The payloads do not move.
#[test]
pub(crate) fn by_attribute() {
    let profile = |program| Profile::parse(&std::fs::read(program).unwrap()).unwrap();
    let router = profile(programs::BY_ATTRIBUTE);
    assert_eq!((router.world, router.attributes), (World::Router, true));
    assert!(!profile(programs::DROP_EMPTY).attributes, "what is not used is not imported");

    let (yes, no) = (Collected::default(), Collected::default());
    let settings = [("name", "tenant"), ("is", "a")];
    let parts = vec![
        input(lines("tenant=a\ntenant=b\nplain")),
        tagging(),
        stage("route", programs::BY_ATTRIBUTE, &settings).outputs(2),
        output("yes", yes.clone()),
        output("no", no.clone()),
    ];
    let capacity = Capacity::default();
    let edges = [(0, 0, 1, capacity), (1, 0, 2, capacity), (2, 0, 3, capacity), (2, 1, 4, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!((yes.payloads(), yes.attributes()), (vec![b"tenant=a".to_vec()], vec!["routed=yes tenant=a".into()]));
    assert_eq!(no.payloads(), [b"tenant=b".to_vec(), b"plain".to_vec()]);
    assert_eq!(no.attributes(), ["routed=no tenant=b", "routed=no"]);
    let route = &account.stages[1];
    assert_eq!((route.verdict, route.copies.payload_bytes()), (Verdict::HandlePass, 0));
    // Three requests with names of six bytes; two answers of one byte; three attributes set, of six bytes and two or
    // three bytes.
    let attributes = Count { ops: 3 + 2 + 3, bytes: 3 * 6 + 2 + (9 + 8 + 8) };
    // A size and a route for each element.
    let calls = marshalled(&account, 1).ops - attributes.ops;
    assert_eq!(marshalled(&account, 1).bytes, attributes.bytes + 3 * (8 + 4));
    assert!((2..=6).contains(&calls), "{calls} lists of columns and routes");
}

/// Two stages that get the same elements: what one changes, the other does not see.
#[test]
fn a_change_is_of_one_copy() {
    let [changed, same] = [(); 2].map(|()| Collected::default());
    let settings = [("name", "tenant"), ("is", "a")];
    let parts = vec![
        input(lines("tenant=a\ntenant=b")),
        tagging(),
        stage("route", programs::BY_ATTRIBUTE, &settings).outputs(2),
        output("same", same.clone()),
        output("changed", changed.clone()),
    ];
    let capacity = Capacity::default();
    // Output 0 of `tags` has two edges, so both share each element.
    let edges =
        [(0, 0, 1, capacity), (1, 0, 2, capacity), (1, 0, 3, capacity), (2, 0, 4, capacity), (2, 1, 4, capacity)];
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    assert_settled(&account);
    assert_eq!(same.attributes(), ["tenant=a", "tenant=b"]);
    assert_eq!(changed.attributes(), ["routed=yes tenant=a", "routed=no tenant=b"]);
}

/// However an element is made, it has the attributes that its original has when the call returns, also those that were
/// set after it was made. An element without lineage has none.
#[test]
pub(crate) fn shows_attributes() {
    let (out, _) = through(vec![tagging(), stage("show", programs::SHOWS_ATTRIBUTES, &[])], "tenant=a\nplain");
    let payloads: Vec<_> = out.payloads().into_iter().map(|payload| String::from_utf8(payload).unwrap()).collect();
    let expected = ["t", "tenant=a", "tenant=atenant=a", "tenant=a", "p", "plain", "plainplain", "", "last"];
    assert_eq!(payloads, expected);
    let (first, second) = ("made=here tenant=a", "made=here");
    assert_eq!(out.attributes(), [first, first, first, first, second, second, second, second, ""]);
}

/// A held element keeps its attributes, and a joined element has those of the first.
#[test]
fn what_is_held_keeps_its_attributes() {
    for mode in ["shared", "exclusive"] {
        let hold = stage("hold", programs::HOLD_FORWARD, &[("mode", mode), ("after", "2")]);
        let (out, _) = through(vec![tagging(), hold], "n=1\nn=2\nplain\nn=4");
        assert_eq!(out.attributes(), ["n=1", "n=2", "", "n=4"], "{mode}");
    }
    let window = stage("window", programs::WINDOW, &[("window", "2")]);
    let (out, _) = through(vec![tagging(), window], "n=1 m=1\nn=2\nplain\nn=4 z=1\nn=5");
    assert_eq!(out.attributes(), ["m=1 n=1", "", "n=5"]);
}

#[test]
pub(crate) fn labels() {
    let parts = vec![input(lines("tenant=a zone=b\nplain")), tagging(), stage("labels", programs::LABELS, &[])];
    let capacity = Capacity::default();
    let (flow, printed) = start(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)]).unwrap();
    let account = flow.run().unwrap();
    assert_eq!(*printed.lock().unwrap(), [r#"labels: [("tenant", "a"), ("zone", "b")]"#, "labels: []"]);
    assert_eq!(account.stages[1].copies.payload_bytes(), 0);
    // The sizes, and for `all` the attributes of elements that have any.
    assert_eq!(marshalled(&account, 1).bytes, 2 * 8 + ("tenantazoneb".len() as u64));
}

/// Attributes that a call set on the element that it failed on are discarded, whatever happens to that element; the
/// elements before it keep theirs.
#[test]
fn a_call_that_fails_at_an_element_has_set_nothing_of_it() {
    let text = "a=1\nb=1 =fails\nc=1\nd=1\ne=1 =fails\nf=1";
    let told = Arc::new(Mutex::new(Vec::new()));
    let letters = told.clone();
    let dead_letters: DeadLetters = Arc::new(move |letter: DeadLetter<'_>| {
        let attributes = letter.element.attributes();
        letters.lock().expect("nobody panics").push((letter.element.sequence, attributes.len(), letter.attempt));
        Ok(())
    });
    let policy = Policy { retry: Some(Retry { count: 1, backoff: Duration::ZERO }), then: Then::DeadLetter };
    let out = Collected::default();
    let parts = vec![input(lines(text)), tagging().policy(policy), output("out", out.clone())];
    let capacity = Capacity::default();
    let control = |control| Control { dead_letters, ..control };
    let (flow, _) = start_with(parts, &[(0, 0, 1, capacity), (1, 0, 2, capacity)], control).unwrap();
    assert_settled(&flow.run().unwrap());
    assert_eq!(out.attributes(), ["a=1", "c=1", "d=1", "f=1"]);
    assert_eq!(*told.lock().unwrap(), [(1, 0, 2), (4, 0, 2)]);
}
