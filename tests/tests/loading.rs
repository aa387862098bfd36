//! Files that are not components, or not ones that this runtime runs: each is refused with the right reason, and
//! nothing worse happens.

use std::path::Path;

use torvyn_runtime::component::profile::Profile;
use torvyn_runtime::contract::TrackedImport;
use torvyn_runtime::contract::{Kind, Verdict, World};
use torvyn_runtime::stage::component::Binary;
use torvyn_runtime::stage::engine::WASMTIME_VERSION;
use torvyn_runtime::{Component, Error, Limits, LoadError};
use torvyn_tests::guest::{ComponentFile, Guest, PROCESSOR, ROUTER, SINK, SOURCE, TRANSFORM};
use torvyn_tests::mutation::mutated;
use torvyn_tests::random::Random;
use torvyn_tests::{Collected, Elements, engine, input, output, programs, run, stage};

fn load(path: &Path) -> Result<Component, Error> {
    Component::load(engine(), path, &Limits::default())
}

/// The text of the error and its causes.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Asserts that the file is refused, by name and with this text.
#[track_caller]
fn assert_refused(path: &Path, text: &str) {
    let Err(error) = load(path) else { panic!("expected `{text}`") };
    let told = told(&error);
    assert!(
        matches!(&error, Error::Load { path: named, .. } | Error::Compile { path: named, .. } if named == path),
        "{told}"
    );
    assert!(told.starts_with("cannot load ") && told.contains(text), "expected `{text}`: {told}");
}

#[track_caller]
fn assert_bytes_refused(bytes: &[u8], text: &str) {
    assert_refused(&ComponentFile::new(bytes).path, text);
}

#[track_caller]
fn assert_text_refused(component: &str, text: &str) {
    assert_refused(&ComponentFile::of_text(component).path, text);
}

fn bytes_of(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is in order")
}

#[test]
fn no_components() {
    let expected = |found: &str| format!("expected a WebAssembly component, found {found}");
    assert_bytes_refused(b"", &expected("an empty file"));
    assert_bytes_refused(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", &expected("a native executable (ELF)"));
    let module = |build: &str| expected(&format!("a core WebAssembly module{build}"));
    let wrap = module("; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`");
    assert_bytes_refused(&bytes_of("(module)"), &wrap);
    assert_bytes_refused(&bytes_of(r#"(module (import "env" "wasi_snapshot_preview1" (func)))"#), &wrap);
    assert_bytes_refused(b"\0asm\x01\0\0\0\x02\xff", &wrap);
    assert_bytes_refused(
        &bytes_of(r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#),
        &module(" for `wasm32-wasip1`; build it for `wasm32-wasip2`"),
    );
    assert_bytes_refused(b"\n\t(component)", &expected("WebAssembly text"));
    assert_bytes_refused(ROUTER.text().as_bytes(), &expected("WebAssembly text"));
    assert_bytes_refused(b"\0asm", &expected("WebAssembly of another version"));
    assert_bytes_refused(b"\0asm\x0c\0\x01\0", &expected("WebAssembly of another version"));
    assert_bytes_refused(b"\0as", &expected("something that is not WebAssembly"));
    assert_bytes_refused(b"#!/bin/sh\n", &expected("something that is not WebAssembly"));
    assert_bytes_refused(&[0xff; 100], &expected("something that is not WebAssembly"));
    // `package torvyn:streaming@0.2.0; interface types {}`, encoded.
    let package = r#"(component
        (type (component (type (instance)) (export "torvyn:streaming/types@0.2.0" (instance (type 0)))))
        (export "types" (type 0)))"#;
    assert_text_refused(package, &expected("a WIT package in binary form"));
}

#[test]
fn no_files() {
    let folder = tempfile::tempdir().unwrap();
    let refused = load(&folder.path().join("missing.wasm")).err().map(|error| told(&error)).unwrap();
    assert!(refused.contains("missing.wasm`: No such file or directory"), "{refused}");
    assert_refused(folder.path(), "is a directory");
    let file = ROUTER.file();
    let size = std::fs::metadata(&file.path).unwrap().len();
    for (limit, fits) in [(0, false), (size - 1, false), (size, true), (u64::MAX, true)] {
        let limits = Limits { component_size: limit, ..Limits::default() };
        match Component::load(engine(), &file.path, &limits) {
            Ok(_) => assert!(fits),
            Err(error) => {
                assert!(!fits && matches!(error, Error::Load { reason: LoadError::TooLarge { .. }, .. }));
                let told = told(&error);
                assert!(told.contains("the component exceeds its size limit of "), "{error:?}");
                assert!(told.contains("(`limits.component-size`)"), "{error:?}");
            }
        }
        assert_eq!(Binary::read(&file.path, &limits).is_ok(), fits);
    }
}

#[test]
fn cut_short() {
    let bytes = bytes_of(&PROCESSOR.text());
    let whole = Profile::parse(&bytes).unwrap();
    let mut unnoticed = 0;
    for len in 0..bytes.len() {
        match Profile::parse(&bytes[..len]) {
            // Without the name section at its end, it is the same component.
            Ok(profile) => {
                unnoticed += 1;
                assert_eq!(Profile { size: whole.size, ..profile }, whole);
            }
            Err(LoadError::NotAComponent(_)) => assert!(len < 8),
            Err(LoadError::Malformed(_) | LoadError::World { .. } | LoadError::NoExports { .. }) => assert!(len >= 8),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(unnoticed <= 1, "{unnoticed}");
    assert_bytes_refused(&bytes[..bytes.len() / 2], "not a valid component: ");
}

/// Loads modified components. Those that still start end with an error at worst.
fn load_mutated(bytes: &[u8]) {
    let file = ComponentFile::new(bytes);
    match load(&file.path) {
        Err(Error::Load { .. } | Error::Compile { .. }) => {}
        Err(error) => panic!("{error:?}"),
        Ok(component) if component.profile().kind == Kind::Processor => {
            let parts = vec![
                input(Elements::new(["one", "two"])),
                stage("mutated", &file.path, &[]),
                output("out", Collected::default()),
            ];
            match run(parts) {
                Ok(_) | Err(Error::Start { .. } | Error::Stage { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        Ok(_) => {}
    }
}

#[test]
fn mutations_of_a_program() {
    let original = std::fs::read(programs::SPLIT).unwrap();
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let mut refused = 0;
    for number in 0..2000 {
        let bytes = mutated(&original, number, &mut random);
        refused += usize::from(Profile::parse(&bytes).is_err());
        if number % 100 == 0 {
            load_mutated(&bytes);
        }
    }
    assert!(refused > 500, "{refused} of 2000 mutations are refused");
}

/// A small component, in which most changes hit something important.
#[test]
fn mutations_of_a_small_component() {
    let original = bytes_of(&TRANSFORM.text());
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for number in 0..1000 {
        load_mutated(&mutated(&original, number, &mut random));
    }
}

/// A component that exports empty instances with these names.
fn exporting(names: &[&str]) -> String {
    let exports: String = names.iter().map(|name| format!("(export \"{name}\" (instance $empty))")).collect();
    format!("(component (component $nothing) (instance $empty (instantiate $nothing)) {exports})")
}

/// The guest with a further import, of an instance with a function.
fn importing(guest: Guest<'_>, name: &str) -> String {
    let definitions = format!(
        "(import \"{name}\" (instance $more (export \"more\" (func)))) (core func $more (canon lower (func $more \"more\")))"
    );
    Guest { definitions: &definitions, ..guest }.text()
}

#[test]
fn another_world_or_version() {
    const LIFECYCLE: &str = "torvyn:streaming/lifecycle@0.2.0";
    const PROCESSOR_EXPORT: &str = "torvyn:streaming/processor@0.2.0";
    const SINK_EXPORT: &str = "torvyn:streaming/sink@0.2.0";
    let role = "expected a component that exports `source`, `processor` or `sink` of torvyn:streaming@0.2.0, found";
    for (exports, text) in [
        (&["torvyn:streaming/lifecycle@0.1.0", "torvyn:streaming/processor@0.1.0"][..], "0.1.0"),
        (
            &["torvyn:streaming/processor@0.1.0"],
            "expected a component for torvyn:streaming@0.2.0, found one for torvyn:streaming/processor@0.1.0",
        ),
        (&["wasi:cli/run@0.2.6"], &format!("{role} a command, which exports `wasi:cli/run@0.2.6`")),
        (
            &["wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.4"],
            &format!("{role} an HTTP handler, which exports `wasi:cli/run@0.2.0`, `wasi:http/incoming-handler@0.2.4`"),
        ),
        (&["run"], &format!("{role} one that exports `run`")),
        (&["a", "b", "c", "d"], &format!("{role} one that exports `a`, `b`, `c`, `d`")),
        (
            &["a", "b", "c", "d", LIFECYCLE, "e"],
            &format!("{role} one that exports `{LIFECYCLE}`, `a`, `b`, `c` and 2 more"),
        ),
        (&[], &format!("{role} one that exports nothing")),
        (&[LIFECYCLE], &format!("{role} one that exports `{LIFECYCLE}`")),
        (
            &[LIFECYCLE, PROCESSOR_EXPORT, SINK_EXPORT],
            &format!(
                "expected a component that exports only one of `source`, `processor` and `sink`, found one that exports `{LIFECYCLE}`, `{PROCESSOR_EXPORT}`, `{SINK_EXPORT}`"
            ),
        ),
        (
            &[PROCESSOR_EXPORT],
            &format!(
                "expected a component that exports `lifecycle` of torvyn:streaming@0.2.0, found one that exports `{PROCESSOR_EXPORT}`"
            ),
        ),
        (&["torvyn:streaming/processor"], &format!("{role} one that exports `torvyn:streaming/processor`")),
    ] {
        assert_text_refused(&exporting(exports), text);
    }
    for (guest, import, text) in [
        (
            PROCESSOR,
            "torvyn:streaming/payload-loan@0.2.0",
            "expected a component for torvyn:streaming@0.2.0, found one that imports `torvyn:streaming/payload-loan@0.2.0`",
        ),
        (
            ROUTER,
            "torvyn:streaming/payload-read@0.3.0",
            "expected a component for torvyn:streaming@0.2.0, found one that imports `torvyn:streaming/payload-read@0.3.0`",
        ),
        (
            PROCESSOR,
            "foo:bar/baz",
            "expected a component that imports only torvyn:streaming@0.2.0 and WASI 0.2, found one that imports `foo:bar/baz`",
        ),
        (
            SOURCE,
            "torvyn:streaming/payload-read@0.2.0",
            "expected a source of torvyn:streaming@0.2.0, found a source that imports `payload-read`",
        ),
        (
            SINK,
            "torvyn:streaming/payload-write@0.2.0",
            "expected a sink of torvyn:streaming@0.2.0, found a sink that imports `payload-write`",
        ),
        (ROUTER, "wasi:http/outgoing-handler@0.2.6", "wasi:http/outgoing-handler@0.2.6"),
        (ROUTER, "wasi:cli/environment@0.2.6", "wasi:cli/environment@0.2.6"),
        (ROUTER, "torvyn:streaming/payload-read@0.2.0", "torvyn:streaming/payload-read@0.2.0"),
    ] {
        assert_text_refused(&importing(guest, import), text);
    }
}

/// Some components cannot be built from WIT by any tool.
#[test]
fn valid_and_beyond_wit() {
    let expected = |found: &str| format!("expected a component for torvyn:streaming@0.2.0, found one that {found}");
    for (text, found) in [
        (r#"(core module $m) (export "m" (core module $m))"#, "exports a core module, `m`"),
        (r#"(component $c) (export "c" (component $c))"#, "exports a component, `c`"),
        (r#"(import "m" (core module))"#, "imports a core module, `m`"),
        (r#"(import "c" (component))"#, "imports a component, `c`"),
        (r#"(import "url=<https://x>" (func))"#, "imports a URL, `url=<https://x>`"),
        (r#"(import "locked-dep=<a:b@1.0.0>" (instance))"#, "imports a dependency, `locked-dep=<a:b@1.0.0>`"),
        (r#"(type $t (record (field "a" u32))) (export "t" (type $t))"#, "WIT cannot describe: "),
        (r#"(import "a" (instance (export "b" (instance))))"#, "WIT cannot describe: "),
        (r#"(import "a" (instance (export "b" (core module))))"#, "WIT cannot describe: "),
    ] {
        assert_text_refused(&format!("(component {text})"), &expected(found));
    }
    // The exports of the nested component are not those of the component.
    let nested = format!("(component {} (core module $m))", ROUTER.text());
    assert_text_refused(&nested, "found one that exports nothing");
}

/// The host has to provide nothing for them.
#[test]
fn imports_of_types() {
    let definitions = r#"
        (type $pair (record (field "left" u32) (field "right" u32)))
        (import "pair" (type (eq $pair)))
        (import "mine" (type (eq $failure)))
        (import "lent" (type (eq $batch)))
        (import "acme:shapes/kinds@1.0.0" (instance (type $kind (enum "round")) (export "kind" (type (eq $kind)))))"#;
    let file = Guest { definitions, ..ROUTER }.file();
    let component = load(&file.path).unwrap();
    assert_eq!(component.analysis().bounds().verdict(), Verdict::HandlePass);
    assert_eq!(component.profile().world, World::Router);
    assert_eq!(component.profile().other_imports, [""; 0]);
    let parts =
        vec![input(Elements::new(["one"])), stage("typed", &file.path, &[]), output("out", Collected::default())];
    assert_eq!(run(parts).unwrap().stages[0].elements_in, 1);
}

/// The names are those of the contract; the functions are not.
#[test]
fn exports_of_other_types() {
    let told_of = |text: &str| {
        let file = ComponentFile::of_text(text);
        match load(&file.path) {
            Err(Error::Compile { source, .. }) => source.to_string(),
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("it loads"),
        }
    };
    let processor = ROUTER.text();
    let (teardown, flush) = (r#"(export "teardown" (func $teardown))"#, r#"(export "flush" (func $last))"#);
    let empty = exporting(&["torvyn:streaming/lifecycle@0.2.0", "torvyn:streaming/processor@0.2.0"]);
    assert!(told_of(&empty).contains("does not have export `init`"), "{}", told_of(&empty));
    for (text, expected) in [
        (processor.replace(teardown, ""), "does not have export `teardown`"),
        (processor.replace(flush, ""), "does not have export `flush`"),
        (processor.replace(flush, r#"(export "flush" (func $teardown))"#), "expected 1-tuple, found 0-tuple"),
        (processor.replace(flush, r#"(export "flush" (func $init))"#), "expected 0-tuple, found 1-tuple"),
    ] {
        let told = told_of(&text);
        assert!(told.contains(expected), "expected `{expected}`: {told}");
    }
}

#[test]
fn what_is_nested_or_long() {
    for depth in [10, 90, 200, 2000] {
        let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..depth {
            let len = nested.len();
            let size = (0..5).map(|byte| (len >> (7 * byte)) as u8 & 0x7f | if byte < 4 { 0x80 } else { 0 });
            nested = b"\0asm\x0d\0\x01\0\x04".iter().copied().chain(size).chain(nested).collect();
        }
        assert!(matches!(load(&ComponentFile::new(&nested).path), Err(Error::Load { .. })), "{depth} in each other");
    }
    // A section that claims to be longer than all memory.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_bytes_refused(&bytes, "not a valid component: ");
    // A list that claims the largest possible number of types.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend([7, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_bytes_refused(&bytes, "not a valid component: ");
}

#[test]
fn profiles() {
    use TrackedImport::{EmitAll, Read, ReadAll};
    for (guest, kind, world, doors) in [
        (PROCESSOR, Kind::Processor, World::Transform, &[Read, ReadAll, EmitAll][..]),
        (ROUTER, Kind::Processor, World::Router, &[]),
        (SOURCE, Kind::Source, World::DataSource, &[EmitAll]),
        (SINK, Kind::Sink, World::DataSink, &[Read, ReadAll]),
        (Guest { payloads: false, ..SOURCE }, Kind::Source, World::DataSource, &[]),
        (Guest { payloads: false, ..SINK }, Kind::Sink, World::MetadataSink, &[]),
    ] {
        let component = load(&guest.file().path).unwrap();
        let profile = component.profile();
        assert_eq!((profile.kind, profile.world, profile.tracked_imports.as_slice()), (kind, world, doors));
        // These guests call none of their imports.
        assert_eq!(component.analysis().bounds().verdict(), Verdict::HandlePass);
        assert!(profile.other_imports.is_empty());
    }
}

#[test]
fn the_version_named_is_the_version_built_on() {
    let pinned = format!("\nwasmtime = {{ version = \"={WASMTIME_VERSION}\"");
    assert!(include_str!("../../Cargo.toml").contains(&pinned));
}
