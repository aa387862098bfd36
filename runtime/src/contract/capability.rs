//! [`grant`]: which imported interfaces a stage is given. The linker and the host context in `stage` decide that; a
//! test checks this list against them.

use serde::Serialize;

use crate::contract::{ATTRIBUTES, NAMESPACE, Payloads, VERSION};

/// What a stage is given for an interface that it imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// The interface works: the contract, clocks, random numbers, and output, which goes to the log of the stage.
    Linked,
    /// The interface links, but has nothing in it: files, environment variables, arguments, input, terminals, the
    /// network.
    Empty,
    /// The interface is missing: a component that imports it cannot start.
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

/// What a stage is given for `interface`, a full name such as `wasi:clocks/monotonic-clock@0.2.6`.
///
/// The answer is about the interface as a whole: functions that the standard marks unstable may be missing from an
/// interface that is linked.
pub fn grant(interface: &str) -> Grant {
    let Some((name, version)) = interface.split_once('@') else { return Grant::Absent };
    if let Some(own) = name.strip_prefix(NAMESPACE) {
        let linked = version == VERSION && (["types", ATTRIBUTES].contains(&own) || Payloads::from_name(own).is_some());
        return if linked { Grant::Linked } else { Grant::Absent };
    }
    match name {
        _ if !is_wasi_0_2(version) => Grant::Absent,
        name if LINKED.contains(&name) => Grant::Linked,
        name if EMPTY.contains(&name) => Grant::Empty,
        _ => Grant::Absent,
    }
}

/// Whether this is a release of WASI 0.2. All of them are compatible with one another; release candidates are not.
fn is_wasi_0_2(version: &str) -> bool {
    let release = version.split_once('+').map_or(version, |(release, _)| release);
    release.strip_prefix("0.2.").is_some_and(|patch| patch.parse::<u64>().is_ok())
}
