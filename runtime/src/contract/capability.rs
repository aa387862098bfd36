//! What a stage gets of the interfaces that it imports. The linker of `engine` and the context of `host` decide that;
//! a test holds this list against them.

use serde::Serialize;

use crate::contract::{ATTRIBUTES, NAMESPACE, Payloads, VERSION};

/// What a stage gets of an interface that it imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// It is there and does what it says: the contract, clocks, random numbers, and output that goes to the log of the
    /// stage.
    Linked,
    /// It is there and has nothing in it: files, environment variables, arguments, input, terminals, the network.
    Empty,
    /// It is not there: a component that imports it cannot start.
    Absent,
}

const LINKED: [&str; 11] = [
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

const EMPTY: [&str; 16] = [
    "wasi:cli/environment",
    "wasi:cli/stdin",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What a stage gets of `interface`, which is a full name: `wasi:clocks/monotonic-clock@0.2.6`. It is told of the
/// interface; a function that the standard calls unstable may be absent from one that is there.
pub fn grant(interface: &str) -> Grant {
    let Some((name, version)) = interface.split_once('@') else { return Grant::Absent };
    if let Some(own) = name.strip_prefix(NAMESPACE) {
        let linked = version == VERSION && (["types", ATTRIBUTES].contains(&own) || Payloads::named(own).is_some());
        return if linked { Grant::Linked } else { Grant::Absent };
    }
    match name {
        _ if !is_wasi_0_2(version) => Grant::Absent,
        name if LINKED.contains(&name) => Grant::Linked,
        name if EMPTY.contains(&name) => Grant::Empty,
        _ => Grant::Absent,
    }
}

/// Every 0.2 stands in for every other, and a preliminary one only for itself.
fn is_wasi_0_2(version: &str) -> bool {
    let release = version.split_once('+').map_or(version, |(release, _)| release);
    release.strip_prefix("0.2.").is_some_and(|patch| patch.parse::<u64>().is_ok())
}
