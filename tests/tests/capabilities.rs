//! What a stage gets of WASI, with components that import it and call it: only time, random numbers and a log.

use torvyn_runtime::contract::{Grant, grant};
use torvyn_runtime::{Component, Error, Limits};
use torvyn_tests::{Collected, Elements, engine, input, output, run, stage};

use torvyn_tests::guest::{Guest, PROCESSOR, ROUTER};

/// Resources of one interface that other interfaces use.
const POLL: &str = r#"
    (import "wasi:io/poll@0.2.6" (instance $poll
      (export "pollable" (type $pollable (sub resource)))
      (export "[method]pollable.ready" (func (param "self" (borrow $pollable)) (result bool)))))
    (alias export $poll "pollable" (type $pollable))"#;
const IO_ERROR: &str = r#"
    (import "wasi:io/error@0.2.6" (instance $io-error
      (export "error" (type $error (sub resource)))
      (export "[method]error.to-debug-string" (func (param "self" (borrow $error)) (result string)))))
    (alias export $io-error "error" (type $error))"#;
const STREAMS: &str = r#"
    (import "wasi:io/streams@0.2.6" (instance $streams
      (export "error" (type $why (eq $error)))
      (type $stream-error-is (variant (case "last-operation-failed" (own $why)) (case "closed")))
      (export "stream-error" (type $stream-error (eq $stream-error-is)))
      (export "input-stream" (type $input (sub resource)))
      (export "output-stream" (type (sub resource)))
      (export "[method]input-stream.blocking-read" (func (param "self" (borrow $input)) (param "len" u64)
        (result (result (list u8) (error $stream-error)))))))
    (alias export $streams "input-stream" (type $input))
    (alias export $streams "output-stream" (type $output-stream))"#;
const TERMINAL_INPUT: &str = r#"
    (import "wasi:cli/terminal-input@0.2.6" (instance $terminal-input
      (export "terminal-input" (type (sub resource)))))
    (alias export $terminal-input "terminal-input" (type $terminal-in))"#;
const TERMINAL_OUTPUT: &str = r#"
    (import "wasi:cli/terminal-output@0.2.6" (instance $terminal-output
      (export "terminal-output" (type (sub resource)))))
    (alias export $terminal-output "terminal-output" (type $terminal-out))"#;
const FILES: &str = r#"
    (import "wasi:filesystem/types@0.2.6" (instance $files
      (export "descriptor" (type $descriptor (sub resource)))
      (export "[method]descriptor.is-same-object"
        (func (param "self" (borrow $descriptor)) (param "other" (borrow $descriptor)) (result bool)))))
    (alias export $files "descriptor" (type $descriptor))"#;
const NETWORK: &str = r#"
    (import "wasi:sockets/network@0.2.6" (instance $network-types
      (export "network" (type (sub resource)))
      (type $family-is (enum "ipv4" "ipv6"))
      (export "ip-address-family" (type (eq $family-is)))
      (type $code-is (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
        "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
        "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
        "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
        "permanent-resolver-failure"))
      (export "error-code" (type (eq $code-is)))))
    (alias export $network-types "network" (type $network))
    (alias export $network-types "ip-address-family" (type $family))
    (alias export $network-types "error-code" (type $code))"#;
const TCP: &str = r#"
    (import "wasi:sockets/tcp@0.2.6" (instance $tcp
      (export "tcp-socket" (type $socket (sub resource)))
      (export "[method]tcp-socket.is-listening" (func (param "self" (borrow $socket)) (result bool)))))
    (alias export $tcp "tcp-socket" (type $tcp-socket))"#;
const UDP: &str = r#"
    (import "wasi:sockets/udp@0.2.6" (instance $udp
      (export "udp-socket" (type $socket (sub resource)))
      (export "ip-address-family" (type $kind (eq $family)))
      (export "[method]udp-socket.address-family" (func (param "self" (borrow $socket)) (result $kind)))))
    (alias export $udp "udp-socket" (type $udp-socket))"#;

/// An import of an instance, called `$here`, whose type contains this.
fn import(interface: &str, exports: &str) -> String {
    format!(r#"(import "{interface}" (instance $here {exports}))"#)
}

/// Whether a component starts, and forwards its elements.
fn starts(definitions: &str) -> bool {
    let file = Guest { definitions, ..ROUTER }.file();
    match Component::load(engine(), &file.path, &Limits::default()) {
        Ok(_) => {}
        Err(Error::Compile { .. } | Error::Load { .. }) => return false,
        Err(error) => panic!("{error:?}"),
    }
    let out = Collected::default();
    run(vec![input(Elements::new(["one"])), stage("guest", &file.path, &[]), output("out", out)]).expect("it runs");
    true
}

#[test]
fn every_interface_is_told_as_the_host_links_it() {
    let own = |name: &str, of: &str| format!(r#"(export "{name}" (type $own (eq ${of})))"#);
    let get = |function: &str, resource: &str, of: &str| {
        own(resource, of) + &format!(r#"(export "{function}" (func (result (own $own))))"#)
    };
    let maybe = |function: &str, resource: &str, of: &str| {
        own(resource, of) + &format!(r#"(export "{function}" (func (result (option (own $own)))))"#)
    };
    let output_stream = format!("{POLL}{IO_ERROR}{STREAMS}");
    let none = String::new;
    let u64 = |function: &str| format!(r#"(export "{function}" (func (result u64)))"#);
    let strings = r#"(export "get-arguments" (func (result (list string))))"#.to_string();
    let anything = || r#"(export "do" (func))"#.to_string();
    let datetime = r#"(type $datetime-is (record (field "seconds" u64) (field "nanoseconds" u32)))
        (export "datetime" (type $datetime (eq $datetime-is))) (export "now" (func (result $datetime)))"#;
    let create = |function: &str, socket: &str, of: &str| {
        format!(
            r#"(export "{socket}" (type $made (eq ${of}))) (export "error-code" (type $why (eq $code)))
            (export "ip-address-family" (type $kind (eq $family)))
            (export "{function}" (func (param "address-family" $kind) (result (result (own $made) (error $why)))))"#
        )
    };
    let table = [
        ("cli/environment", none(), strings.clone(), Grant::Empty),
        ("cli/exit", none(), r#"(export "exit" (func (param "status" (result))))"#.to_string(), Grant::Linked),
        ("cli/stdin", output_stream.clone(), get("get-stdin", "input-stream", "input"), Grant::Empty),
        ("cli/stdout", output_stream.clone(), get("get-stdout", "output-stream", "output-stream"), Grant::Linked),
        ("cli/stderr", output_stream.clone(), get("get-stderr", "output-stream", "output-stream"), Grant::Linked),
        ("cli/terminal-input", none(), r#"(export "terminal-input" (type (sub resource)))"#.to_string(), Grant::Empty),
        (
            "cli/terminal-output",
            none(),
            r#"(export "terminal-output" (type (sub resource)))"#.to_string(),
            Grant::Empty,
        ),
        (
            "cli/terminal-stdin",
            TERMINAL_INPUT.to_string(),
            maybe("get-terminal-stdin", "terminal-input", "terminal-in"),
            Grant::Empty,
        ),
        (
            "cli/terminal-stdout",
            TERMINAL_OUTPUT.to_string(),
            maybe("get-terminal-stdout", "terminal-output", "terminal-out"),
            Grant::Empty,
        ),
        (
            "cli/terminal-stderr",
            TERMINAL_OUTPUT.to_string(),
            maybe("get-terminal-stderr", "terminal-output", "terminal-out"),
            Grant::Empty,
        ),
        ("cli/run", none(), r#"(export "run" (func (result (result))))"#.to_string(), Grant::Absent),
        ("clocks/monotonic-clock", none(), u64("now"), Grant::Linked),
        ("clocks/wall-clock", none(), datetime.to_string(), Grant::Linked),
        (
            "clocks/timezone",
            none(),
            datetime
                .replace("\"now\" (func", "\"utc-offset\" (func (param \"when\" $datetime)")
                .replace("(result $datetime)", "(result s32)"),
            Grant::Absent,
        ),
        ("filesystem/types", none(), r#"(export "descriptor" (type (sub resource)))"#.to_string(), Grant::Empty),
        ("filesystem/preopens", FILES.to_string(), own("descriptor", "descriptor") + DIRECTORIES, Grant::Empty),
        ("http/incoming-handler", none(), anything(), Grant::Absent),
        ("http/outgoing-handler", none(), anything(), Grant::Absent),
        ("http/types", none(), r#"(export "fields" (type (sub resource)))"#.to_string(), Grant::Absent),
        ("io/error", none(), r#"(export "error" (type (sub resource)))"#.to_string(), Grant::Linked),
        (
            "io/poll",
            none(),
            r#"(export "pollable" (type $p (sub resource)))
            (export "[method]pollable.block" (func (param "self" (borrow $p))))"#
                .to_string(),
            Grant::Linked,
        ),
        ("io/streams", none(), r#"(export "input-stream" (type (sub resource)))"#.to_string(), Grant::Linked),
        ("keyvalue/store", none(), anything(), Grant::Absent),
        ("random/insecure", none(), u64("get-insecure-random-u64"), Grant::Linked),
        (
            "random/insecure-seed",
            none(),
            r#"(export "insecure-seed" (func (result (tuple u64 u64))))"#.to_string(),
            Grant::Linked,
        ),
        ("random/random", none(), u64("get-random-u64"), Grant::Linked),
        ("sockets/instance-network", NETWORK.to_string(), get("instance-network", "network", "network"), Grant::Empty),
        ("sockets/ip-name-lookup", POLL.to_string(), own("pollable", "pollable") + RESOLVED, Grant::Empty),
        ("sockets/network", none(), r#"(export "network" (type (sub resource)))"#.to_string(), Grant::Empty),
        ("sockets/tcp", none(), r#"(export "tcp-socket" (type (sub resource)))"#.to_string(), Grant::Empty),
        (
            "sockets/tcp-create-socket",
            format!("{NETWORK}{TCP}"),
            create("create-tcp-socket", "tcp-socket", "tcp-socket"),
            Grant::Empty,
        ),
        ("sockets/udp", none(), r#"(export "udp-socket" (type (sub resource)))"#.to_string(), Grant::Empty),
        (
            "sockets/udp-create-socket",
            format!("{NETWORK}{UDP}"),
            create("create-udp-socket", "udp-socket", "udp-socket"),
            Grant::Empty,
        ),
    ];
    for (name, before, exports, expected) in table {
        let interface = format!("wasi:{name}@0.2.6");
        assert_eq!(grant(&interface), expected, "{interface}");
        let definitions = before + &import(&interface, &exports);
        assert_eq!(starts(&definitions), expected != Grant::Absent, "{interface}");
    }
    for (interface, expected) in [
        ("wasi:cli/environment@0.2.0", Grant::Empty),
        ("wasi:cli/environment@0.2.99", Grant::Empty),
        ("wasi:cli/environment@0.2.6+build", Grant::Empty),
        ("wasi:cli/environment@0.2.0-rc-2023-12-05", Grant::Absent),
        ("wasi:cli/environment@0.3.0", Grant::Absent),
        ("wasi:cli/environment@0.1.0", Grant::Absent),
        ("wasi:cli/environment@1.0.0", Grant::Absent),
        ("wasi:cli/environment", Grant::Absent),
        ("acme:cli/environment@0.2.0", Grant::Absent),
        ("environment", Grant::Absent),
    ] {
        assert_eq!(grant(interface), expected, "{interface}");
        assert_eq!(starts(&import(interface, &strings)), expected != Grant::Absent, "{interface}");
    }
}

#[test]
fn the_contract_is_linked_in_its_version() {
    for name in ["types", "payload-read", "payload-write"] {
        assert_eq!(grant(&format!("torvyn:streaming/{name}@0.2.0")), Grant::Linked);
    }
    // Both guests import what is linked, and run in other tests.
    let text = PROCESSOR.text();
    assert!(["types", "payload-read", "payload-write"].iter().all(|name| text.contains(&format!("/{name}@0.2.0"))));
    for name in ["attributes", "payload-view", "payload-buffer", "payload-lease"] {
        assert_eq!(grant(&format!("torvyn:streaming/{name}@0.2.0")), Grant::Linked);
    }
    for interface in ["torvyn:streaming/processor@0.2.0", "torvyn:streaming/x@0.2.0"] {
        assert_eq!(grant(interface), Grant::Absent);
        assert!(!starts(&import(interface, r#"(export "do" (func))"#)), "{interface}");
    }
    for version in ["0.1.0", "0.2.1", "0.3.0"] {
        let interface = format!("torvyn:streaming/payload-read@{version}");
        assert_eq!(grant(&interface), Grant::Absent);
        assert!(!starts(&import(&interface, r#"(export "do" (func))"#)), "{interface}");
    }
}

const DIRECTORIES: &str = r#"(export "get-directories" (func (result (list (tuple (own $own) string)))))"#;
const RESOLVED: &str = r#"(export "resolve-address-stream" (type $stream (sub resource)))
    (export "[method]resolve-address-stream.subscribe" (func (param "self" (borrow $stream)) (result (own $own))))"#;

/// A stage whose `init` calls what it imports, and traps unless it gets the expected result.
#[track_caller]
fn finds(definitions: &str, lowered: &[(&str, &str, &str)], init: &str) {
    let mut definitions = definitions.to_string();
    let (mut imports, mut fields) = (String::new(), String::new());
    for (name, function, parameters) in lowered {
        definitions +=
            &format!("(core func ${name} (canon lower (func {function}) (memory $memory) (realloc $realloc)))");
        imports += &format!(r#"(export "{name}" (func ${name}))"#);
        fields += &format!(r#"(import "host" "{name}" (func ${name} {parameters}))"#);
    }
    let init = format!("{init} (call $ok)");
    let file = Guest { definitions: &definitions, imports: &imports, fields: &fields, init: &init, ..ROUTER }.file();
    let out = Collected::default();
    let ran = run(vec![input(Elements::new(["one"])), stage("guest", &file.path, &[]), output("out", out)]);
    assert_eq!(ran.expect("it finds what it expects").stages[0].elements_in, 1);
}

/// Traps unless the list that `name` writes to 64 is empty.
fn expect_no_entries(name: &str) -> String {
    format!(
        "(i32.store (i32.const 68) (i32.const 7)) (call ${name} (i32.const 64)) (if (i32.load (i32.const 68)) (then unreachable))"
    )
}

#[test]
fn there_is_no_environment() {
    assert!(std::env::vars().next().is_some() && std::env::args().next().is_some());
    let environment = import(
        "wasi:cli/environment@0.2.6",
        r#"(export "get-environment" (func (result (list (tuple string string)))))
        (export "get-arguments" (func (result (list string))))
        (export "initial-cwd" (func (result (option string))))"#,
    );
    let lowered = [
        ("variables", r#"$here "get-environment""#, "(param i32)"),
        ("arguments", r#"$here "get-arguments""#, "(param i32)"),
        ("folder", r#"$here "initial-cwd""#, "(param i32)"),
    ];
    let init = expect_no_entries("variables")
        + &expect_no_entries("arguments")
        + "(i32.store (i32.const 64) (i32.const 7)) (call $folder (i32.const 64))
           (if (i32.load8_u (i32.const 64)) (then unreachable))";
    finds(&environment, &lowered, &init);
}

#[test]
fn there_are_no_files() {
    let own = r#"(export "descriptor" (type $own (eq $descriptor)))"#;
    let preopens = import("wasi:filesystem/preopens@0.2.6", &format!("{own} {DIRECTORIES}"));
    let lowered = [("directories", r#"$here "get-directories""#, "(param i32)")];
    finds(&format!("{FILES}{preopens}"), &lowered, &expect_no_entries("directories"));
}

#[test]
fn there_is_no_input_and_no_terminal() {
    let stdin = import(
        "wasi:cli/stdin@0.2.6",
        r#"(export "input-stream" (type $own (eq $input))) (export "get-stdin" (func (result (own $own))))"#,
    );
    let lowered = [
        ("stdin", r#"$here "get-stdin""#, "(result i32)"),
        ("read", r#"$streams "[method]input-stream.blocking-read""#, "(param i32 i64 i32)"),
    ];
    // `closed` is the second case of the error.
    let init = "(call $read (call $stdin) (i64.const 1) (i32.const 64))
        (if (call $done) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))";
    finds(&format!("{POLL}{IO_ERROR}{STREAMS}{stdin}"), &lowered, init);

    let stdout = import(
        "wasi:cli/terminal-stdout@0.2.6",
        r#"(export "terminal-output" (type $own (eq $terminal-out)))
        (export "get-terminal-stdout" (func (result (option (own $own)))))"#,
    );
    let lowered = [("terminal", r#"$here "get-terminal-stdout""#, "(param i32)")];
    let init = "(i32.store (i32.const 64) (i32.const 7)) (call $terminal (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))";
    finds(&format!("{TERMINAL_OUTPUT}{stdout}"), &lowered, init);
}

/// Numbers of error codes of sockets.
const ACCESS_DENIED: u32 = 1;
const RESOLVER_FAILURE: u32 = 20;

/// No socket is created and no name is looked up.
#[test]
fn there_is_no_network() {
    let definitions = format!(
        r#"{POLL}{NETWORK}{TCP}{UDP}
        (import "wasi:sockets/instance-network@0.2.6" (instance $instance
          (export "network" (type $net (eq $network)))
          (export "instance-network" (func (result (own $net))))))
        (import "wasi:sockets/tcp-create-socket@0.2.6" (instance $create-tcp
          (export "tcp-socket" (type $made (eq $tcp-socket)))
          (export "error-code" (type $why (eq $code)))
          (export "ip-address-family" (type $kind (eq $family)))
          (export "create-tcp-socket" (func (param "address-family" $kind) (result (result (own $made) (error $why)))))))
        (import "wasi:sockets/udp-create-socket@0.2.6" (instance $create-udp
          (export "udp-socket" (type $made (eq $udp-socket)))
          (export "error-code" (type $why (eq $code)))
          (export "ip-address-family" (type $kind (eq $family)))
          (export "create-udp-socket" (func (param "address-family" $kind) (result (result (own $made) (error $why)))))))
        (import "wasi:sockets/ip-name-lookup@0.2.6" (instance $lookup
          (export "network" (type $net (eq $network)))
          (export "error-code" (type $why (eq $code)))
          (export "resolve-address-stream" (type $stream (sub resource)))
          (export "resolve-addresses" (func (param "network" (borrow $net)) (param "name" string)
            (result (result (own $stream) (error $why)))))))"#
    );
    let lowered = [
        ("network", r#"$instance "instance-network""#, "(result i32)"),
        ("tcp", r#"$create-tcp "create-tcp-socket""#, "(param i32 i32)"),
        ("udp", r#"$create-udp "create-udp-socket""#, "(param i32 i32)"),
        ("resolve", r#"$lookup "resolve-addresses""#, "(param i32 i32 i32 i32)"),
    ];
    let localhost = "(i64.store (i32.const 128) (i64.const 0x74736f686c61636f))";
    let init = [
        ("tcp (i32.const 0)", ACCESS_DENIED),
        ("udp (i32.const 0)", ACCESS_DENIED),
        ("resolve (call $network) (i32.const 128) (i32.const 8)", RESOLVER_FAILURE),
    ];
    let init =
        init.map(|(call, code)| format!("(call ${call} (i32.const 64)) (call $expect_failure (i32.const {code}))"));
    let init = init.concat();
    finds(&definitions, &lowered, &format!("{localhost} {init}"));
}
