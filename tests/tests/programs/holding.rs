//! The programs that hold, cut, join and write piece by piece: what each imports of the contract is what it calls.

use std::collections::BTreeSet;

use torvyn_runtime::profile::{Profile, Verdict, World};
use torvyn_tests::{Collected, Elements, input, output, programs, run, stage};
use wasmparser::{Parser, Payload};

/// The functions of the contract that its core modules import, but for those that drop a handle: `payload-lease.join`.
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

/// What a program makes of these payloads, with nothing read or written, and how many elements it held at once.
fn held(program: &str, config: &[(&str, &str)], payloads: &[&str]) -> (Vec<String>, u64) {
    let out = Collected::default();
    let payloads = Elements::new(payloads.iter().map(|payload| payload.to_string()));
    let account = run(vec![input(payloads), stage("hold", program, config), output("out", out.clone())]).unwrap();
    assert_eq!(account.copies.payload_bytes(), 0);
    assert_eq!((account.stages[0].verdict, account.stages[0].leases.at_end), (Verdict::HandlePass, 0));
    let texts = out.payloads().into_iter().map(|payload| String::from_utf8(payload).unwrap());
    (texts.collect(), account.stages[0].leases.elements_max)
}

#[test]
pub(crate) fn window() {
    assert_imports(programs::WINDOW, &["payload-lease.join", "payload-lease.take", "types.output.append"]);
    let profile = Profile::parse(&std::fs::read(programs::WINDOW).unwrap()).unwrap();
    assert_eq!(profile.world, World::Holder);
    let joined = held(programs::WINDOW, &[("window", "3")], &["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(joined, (["123", "456", "7"].map(String::from).to_vec(), 3));
}

/// What is passed on among what is held goes on from a lease of its own, at its place.
#[test]
pub(crate) fn hold_forward() {
    let functions = ["payload-lease.forward-all", "payload-lease.take", "types.output.append"];
    assert_imports(programs::HOLD_FORWARD, &functions);
    let payloads = ["a", "b", "longer", "c", "longest", "longer still", "d"];
    // What goes on from an exclusive lease is not held any more; a shared one has it until it is dropped.
    for (mode, most) in [("shared", 4), ("exclusive", 3)] {
        let (made, held) = held(programs::HOLD_FORWARD, &[("mode", mode), ("longest", "2")], &payloads);
        // `a` is in a call of its own, `b` and `longer` in the next.
        assert_eq!(made, ["a", "longer", "b", "longest", "longer still", "c", "d"], "{mode}");
        assert_eq!(held, most, "{mode}: two that are passed on, `d`, and `c`");
    }
}

#[test]
pub(crate) fn slices() {
    assert_imports(programs::SLICES, &["payload-view.slice-all", "types.output.append"]);
}

#[test]
pub(crate) fn pieces() {
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
    let functions =
        ["payload-lease.forward-all", "payload-read.read-held", "payload-lease.take", "types.output.append"];
    assert_imports(programs::HOLD_READ, &functions);
}

/// A stage of the other worlds has none of what these call.
#[test]
fn the_other_worlds_import_what_they_did() {
    assert_imports(programs::DROP_EMPTY, &[]);
    assert_imports(programs::SPLIT, &["payload-read.read"]);
    assert_imports(programs::UPPER, &["payload-read.read-all", "payload-write.emit-all"]);
    assert_imports(programs::REPEAT, &["payload-read.read-all", "payload-write.emit-all"]);
    assert_imports(programs::NUMBERS, &["payload-write.emit-all"]);
    assert_imports(programs::DIGEST, &["payload-read.read-all"]);
}
