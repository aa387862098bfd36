//! The programs that hold, slice, join and write piece by piece: each imports exactly what it calls, and makes the
//! right elements.

use std::collections::BTreeSet;

use torvyn_runtime::component::profile::Profile;
use torvyn_runtime::contract::{Verdict, World};
use torvyn_runtime::endpoint::Discard;
use torvyn_runtime::ledger::Count;
use torvyn_runtime::{Account, Error, StageError};
use torvyn_tests::{Collected, Elements, input, output, programs, run, stage};
use wasmparser::{Parser, Payload};

use super::lines;

/// The functions of the contract that its core modules import, such as `payload-lease.join`, without those that drop a
/// handle.
fn imports(program: &str) -> BTreeSet<String> {
    let bytes = std::fs::read(program).expect("the program is built");
    let mut functions = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::ImportSection(section) = payload.expect("the program parses") else { continue };
        for import in section.into_imports() {
            let import = import.expect("the program parses");
            let interface =
                import.module.strip_prefix("torvyn:streaming/").and_then(|name| name.strip_suffix("@0.2.0"));
            if let Some(interface) = interface.filter(|_| !import.name.starts_with("[resource-drop]")) {
                let function = import.name.rsplit_once(']').map_or(import.name, |(_, function)| function);
                functions.insert(format!("{interface}.{function}"));
            }
        }
    }
    functions
}

#[track_caller]
fn assert_imports(program: &str, functions: &[&str]) {
    assert_eq!(imports(program), functions.iter().map(|function| function.to_string()).collect(), "{program}");
}

/// The output of the program for these lines, and the run report.
fn through(program: &str, config: &[(&str, &str)], text: &str) -> (Vec<String>, Account) {
    let collected = Collected::default();
    let account = run(vec![input(lines(text)), stage("stage", program, config), output("out", collected.clone())])
        .expect("the flow comes to its end");
    let payloads = collected.payloads().into_iter();
    (payloads.map(|payload| String::from_utf8(payload).expect("text stays text")).collect(), account)
}

/// Lines with the numbers from 0.
fn numbered(count: usize) -> String {
    (0..count).map(|number| format!("{number}\n")).collect()
}

/// The output of a program for these payloads, without any read or write, and how many elements it held at once.
fn held(program: &str, config: &[(&str, &str)], payloads: &[&str]) -> (Vec<String>, u64) {
    let out = Collected::default();
    let payloads = Elements::new(payloads.iter().map(|payload| payload.to_string()));
    let account = run(vec![input(payloads), stage("hold", program, config), output("out", out.clone())])
        .expect("the flow comes to its end");
    assert_eq!(account.copies.payload_bytes(), 0);
    assert_eq!((account.stages[0].verdict, account.stages[0].leases.at_end), (Verdict::HandlePass, 0));
    let texts = out.payloads().into_iter().map(|payload| String::from_utf8(payload).expect("text stays text"));
    (texts.collect(), account.stages[0].leases.elements_max)
}

#[test]
pub(crate) fn window() {
    let (joined, account) = through(programs::WINDOW, &[("window", "1000")], &numbered(2500));
    let expected =
        numbered(2500).lines().collect::<Vec<_>>().chunks(1000).map(|lines| lines.concat()).collect::<Vec<_>>();
    assert_eq!(joined, expected);
    let window = &account.stages[0];
    assert_eq!(window.verdict, Verdict::HandlePass);
    assert_eq!((window.elements_in, window.elements_out, window.elements_dropped), (2500, 3, 0));
    assert_eq!((account.copies.payload_bytes(), account.copies.host_serialize), (0, Count::default()));
    assert_eq!((window.leases.elements_max, window.leases.at_end), (1000, 0));
    // A joined element is read by whoever needs it: one element, one copy.
    let parts = vec![
        input(lines(&numbered(2500))),
        stage("window", programs::WINDOW, &[("window", "1000")]),
        stage("upper", programs::UPPER, &[]),
        output("out", Discard),
    ];
    let account = run(parts).unwrap();
    let bytes = account.elements.entered.min(10) + 2 * 90 + 3 * 900 + 4 * 1500;
    assert_eq!(account.copies.payload_read, Count { ops: 3, bytes });
    assert_eq!(account.stages[0].copies.payload_bytes(), 0);

    assert_imports(programs::WINDOW, &["payload-lease.join", "payload-lease.take", "types.output.append"]);
    let profile = Profile::parse(&std::fs::read(programs::WINDOW).unwrap()).unwrap();
    assert_eq!(profile.world, World::Holder);
    let joined = held(programs::WINDOW, &[("window", "3")], &["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(joined, (["123", "456", "7"].map(String::from).to_vec(), 3));
}

/// Forwarding a held element sends it from its own lease, in its place among the others.
#[test]
pub(crate) fn hold_forward() {
    for mode in ["shared", "exclusive"] {
        let config = [("mode", mode), ("after", "20"), ("longest", "4")];
        let (forwarded, account) = through(programs::HOLD_FORWARD, &config, &format!("longer\n{}", numbered(100)));
        assert_eq!(forwarded.len(), 101, "{mode}");
        assert_eq!(forwarded[0], "longer", "what is not held goes first");
        assert!(forwarded[1..].iter().map(String::as_str).eq(numbered(100).lines()), "{mode}");
        assert_eq!(account.copies.payload_bytes(), 0);
        assert_eq!(account.elements.dropped, 0);
        assert_eq!(account.stages[0].leases.elements_max, 21, "{mode}");
    }
    let functions = ["payload-lease.forward-all", "payload-lease.take", "types.output.append"];
    assert_imports(programs::HOLD_FORWARD, &functions);
    let payloads = ["a", "b", "longer", "c", "longest", "longer still", "d"];
    // An element that was forwarded from an exclusive lease is no longer held; a shared lease has it until it is
    // dropped.
    for (mode, most) in [("shared", 4), ("exclusive", 3)] {
        let (made, held) = held(programs::HOLD_FORWARD, &[("mode", mode), ("longest", "2")], &payloads);
        // `a` is alone in its call; `b` and `longer` are in the next.
        assert_eq!(made, ["a", "longer", "b", "longest", "longer still", "c", "d"], "{mode}");
        assert_eq!(held, most, "{mode}: two that are passed on, `d`, and `c`");
    }
}

#[test]
pub(crate) fn slices() {
    let (parts, account) = through(programs::SLICES, &[("size", "3")], "abcdefgh\n\nxy\n123456");
    assert_eq!(parts, ["abc", "def", "gh", "", "xy", "123", "456"]);
    assert_eq!((account.elements.entered, account.elements.left, account.elements.dropped), (4, 7, 0));
    assert_eq!((account.copies.payload_bytes(), account.stages[0].verdict), (0, Verdict::HandlePass));
    assert_imports(programs::SLICES, &["payload-view.slice-all", "types.output.append"]);
}

#[test]
pub(crate) fn pieces() {
    let (made, account) = through(programs::PIECES, &[("each", "3")], "one\ntwo\nthree\nfour");
    assert_eq!(made, ["3onetwothree", "1four"]);
    let pieces = &account.stages[0];
    // Each begins with a byte that another one replaces; then there are as many pieces as elements.
    assert_eq!(pieces.copies.payload_write, Count { ops: 8, bytes: 2 + 15 + 2 });
    assert_eq!((pieces.rewritten, pieces.given_up), (Count { ops: 6, bytes: 2 }, Count::default()));
    let parts =
        vec![input(lines("one\ntwo")), stage("pieces", programs::PIECES, &[("capacity", "5")]), output("out", Discard)];
    let Err(Error::Stage { source: StageError::Failure(text), .. }) = run(parts) else {
        panic!("it has too much to write")
    };
    assert!(text.starts_with("limit-exceeded"), "{text}");
    let functions = [
        "payload-buffer.buffer.allocate",
        "payload-buffer.buffer.append",
        "payload-buffer.buffer.freeze",
        "payload-buffer.buffer.write-at",
        "payload-read.read",
        "types.output.append",
    ];
    assert_imports(programs::PIECES, &functions);
}

#[test]
pub(crate) fn bulk() {
    let collected = Collected::default();
    let config = [("count", "2"), ("pieces", "5"), ("size", "1000")];
    let account = run(vec![stage("bulk", programs::BULK, &config), output("out", collected.clone())]).unwrap();
    let long: Vec<u8> = (0..5).flat_map(|piece| [piece; 1000]).collect();
    assert_eq!(collected.payloads(), [b"next".to_vec(), long.clone(), b"next".to_vec(), long]);
    assert_eq!(account.stages[0].copies.payload_write, Count { ops: 12, bytes: 10_008 });
    let functions = [
        "payload-buffer.buffer.allocate",
        "payload-buffer.buffer.append",
        "payload-buffer.buffer.freeze",
        "payload-write.emit-all",
        "types.output.append",
    ];
    assert_imports(programs::BULK, &functions);
}

#[test]
pub(crate) fn hold_read() {
    let (found, account) = through(programs::HOLD_READ, &[("needle", "7")], &numbered(100));
    assert!(found.iter().map(String::as_str).eq(numbered(100).lines().filter(|line| line.contains('7'))));
    let stage = &account.stages[0];
    assert_eq!((stage.copies.payload_read, stage.reads_max), (Count { ops: 100, bytes: 190 }, 1));
    assert_eq!((stage.elements_out, stage.elements_dropped, stage.leases.elements_max), (19, 81, 100));
    let functions =
        ["payload-lease.forward-all", "payload-read.read-held", "payload-lease.take", "types.output.append"];
    assert_imports(programs::HOLD_READ, &functions);
}

/// Stages of the other worlds do not have the functions that these call. A stage that gets payloads as an argument asks
/// what its pipeline does after failures.
#[test]
fn the_other_worlds_import_what_they_did() {
    assert_imports(programs::DROP_EMPTY, &[]);
    assert_imports(programs::SPLIT, &["payload-read.read"]);
    let reads = ["payload-read.read", "payload-read.read-all", "types.on-failure"];
    assert_imports(programs::UPPER, &[&reads[..], &["payload-write.emit-all"]].concat());
    assert_imports(programs::REPEAT, &["payload-read.read-all", "payload-write.emit-all"]);
    assert_imports(programs::NUMBERS, &["payload-write.emit-all"]);
    assert_imports(programs::DIGEST, &reads);
}

/// `clock.rs` tests what it makes of elements that arrive one after another.
#[test]
pub(crate) fn tumble() {
    assert_imports(programs::TUMBLE, &["payload-lease.join", "payload-lease.take", "types.output.append"]);
    // One window that never ends, whatever arrives in it.
    let all = [("every", "18446744073709")];
    assert_eq!(held(programs::TUMBLE, &all, &["one", "", "two"]).0, ["onetwo"]);
}
