//! The programs that hold, cut, join and write piece by piece: what each imports of the contract is what it calls.

use std::collections::BTreeSet;

use torvyn_tests::programs;
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

#[test]
pub(crate) fn window() {
    assert_imports(programs::WINDOW, &["payload-lease.join", "payload-lease.take", "types.output.append"]);
}

/// What is passed on among what is held is a part that is the whole.
#[test]
pub(crate) fn hold_forward() {
    let functions =
        ["payload-lease.forward-all", "payload-lease.take", "payload-view.slice-all", "types.output.append"];
    assert_imports(programs::HOLD_FORWARD, &functions);
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
        ["payload-lease.forward-all", "payload-lease.lease.read", "payload-lease.take", "types.output.append"];
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
