//! A component that is shipped without names and line tables runs the same code.

use std::fs;

use torvyn_runtime::component::profile::Profile;
use torvyn_runtime::component::strip::strip;
use torvyn_tests::{Collected, Elements, input, output, programs, run, stage};
use wasmparser::{Parser, Payload};

/// The bytes of the code sections, and how many custom sections there are.
fn parts(component: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut code, mut custom) = (Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("it is a component") {
            Payload::CodeSectionStart { range, .. } => code.push(&component[range]),
            Payload::CustomSection(_) => custom += 1,
            _ => {}
        }
    }
    (code, custom)
}

#[test]
fn the_code_stays_as_it_is() {
    for path in [programs::UPPER, programs::SPLIT, programs::NUMBERS, programs::DIGEST] {
        let whole = fs::read(path).unwrap();
        let stripped = strip(&whole).unwrap();
        let ((code, custom), (kept, left)) = (parts(&whole), parts(&stripped));
        assert!(custom > 0 && left == 0, "{path}: {custom} and {left} custom sections");
        assert!(!code.is_empty() && code == kept, "{path}: the code is another");
        assert!(stripped.len() < whole.len() / 2, "{path}: {} of {} bytes", stripped.len(), whole.len());
        let size = stripped.len() as u64;
        assert_eq!(Profile::parse(&stripped).unwrap(), Profile { size, ..Profile::parse(&whole).unwrap() });
        assert_eq!(strip(&stripped).unwrap(), stripped);
    }
}

#[test]
fn it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upper.wasm");
    fs::write(&path, strip(&fs::read(programs::UPPER).unwrap()).unwrap()).unwrap();
    let collected = Collected::default();
    run(vec![input(Elements::new(["one", "two"])), stage("upper", &path, &[]), output("out", collected.clone())])
        .unwrap();
    assert_eq!(collected.payloads(), [b"ONE", b"TWO"]);
}

#[test]
fn what_is_cut_off_is_an_error() {
    let whole = fs::read(programs::UPPER).unwrap();
    for len in [0, 4, 9, 100, whole.len() / 2, whole.len() - 1] {
        strip(&whole[..len]).unwrap_err();
    }
}
