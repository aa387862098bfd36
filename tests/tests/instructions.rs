//! What an element costs in instructions. Unlike time, that is nearly the same on every machine and at every load, so it shows
//! whether a change makes the path of elements slower.
//!
//! A flow runs under Valgrind twice, with few elements and with many. The difference, divided by the number of elements between,
//! is what an element costs: by the host, and by the stage. It must not exceed what is kept below by more than three percent.
//! Without Valgrind the test says so and passes.

#![expect(clippy::print_stdout, reason = "what an element costs, and why that is not known")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use torvyn_runtime::endpoint::{Discard, Generate};
use torvyn_runtime::{Account, Flow, Limits};
use torvyn_tests::{input, output, programs, stage_with, start};

/// Thousandths of instructions for each element of 64 bytes, from an input of the host through a stage to an output of the host:
/// by the host, and by the stage. When a change makes them fewer, write down what the test prints.
const KEPT: [(&str, &str, u64, u64); 2] =
    [("pass", programs::DROP_EMPTY, 94_700, 35_306), ("transform", programs::UPPER, 428_500, 990_500)];
/// How much more than kept is too much, in percent.
const TOLERANCE: u64 = 3;
const BYTES: usize = 64;
const FEW: u64 = 50_000;
const MANY: u64 = 250_000;

/// Set in the process that is counted: the program, and the number of elements.
const COUNTED: &str = "TORVYN_COUNTED_FLOW";

#[test]
fn an_element_costs_no_more_instructions_than_before() {
    if let Ok(flow) = std::env::var(COUNTED) {
        let (program, elements) = flow.split_once(' ').expect("a program and a number");
        return run(program, elements.parse().expect("a number"));
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: `valgrind` is not installed");
        return;
    }
    let mut exceeded = Vec::new();
    for (name, program, host, guest) in KEPT {
        let [few, many] = [FEW, MANY].map(|elements| count(program, elements));
        let each = |few: u64, many: u64| many.saturating_sub(few) * 1000 / (MANY - FEW);
        let found = [each(few.host, many.host), each(few.guest, many.guest)];
        println!("{name}: thousandths of instructions an element: host {}, stage {}", found[0], found[1]);
        for (who, found, kept) in [("host", found[0], host), ("stage", found[1], guest)] {
            if found > kept + kept * TOLERANCE / 100 {
                exceeded.push(format!("{name}, {who}: {found}, but {kept} were kept"));
            }
        }
    }
    assert!(exceeded.is_empty(), "an element became more expensive: {}", exceeded.join("; "));
}

fn run(program: &str, elements: u64) {
    // A call that seems long gets fewer elements the next time: that must not depend on how busy the machine is.
    let limits = Limits { time: Duration::from_secs(24 * 3600), ..Limits::default() };
    let stage = stage_with("stage", program, &[], limits);
    let parts = vec![input(Generate::new(elements, BYTES)), stage, output("output", Discard)];
    let edges = [(0, 0, 1, Default::default()), (1, 0, 2, Default::default())];
    let (flow, _) = start(parts, &edges).expect("the flow starts");
    assert_eq!(counted(flow).elements.left, elements);
}

/// What is counted, by its name: not the start, which takes a hundred times as many instructions, and never the same number.
#[inline(never)]
fn counted(flow: Flow) -> Account {
    flow.run().expect("the flow runs")
}

/// Executed instructions.
struct Instructions {
    host: u64,
    /// In code that was compiled while the process ran.
    guest: u64,
}

/// Counts the instructions of a process that runs the flow.
fn count(program: &str, elements: u64) -> Instructions {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let profile = folder.path().join("profile");
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(&profile);
    let this = std::env::current_exe().expect("a test knows its program");
    let counted = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=instructions::counted"])
        .arg(out)
        .arg(this)
        .args(["an_element_costs_no_more_instructions_than_before", "--exact", "--test-threads=1"])
        .env(COUNTED, format!("{program} {elements}"))
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&counted.stderr);
    assert!(counted.status.success(), "{said}{}", String::from_utf8_lossy(&counted.stdout));
    read_profile(&profile)
}

/// Adds up a profile of Callgrind: <https://valgrind.org/docs/manual/cl-format.html>.
fn read_profile(profile: &Path) -> Instructions {
    let text = fs::read_to_string(profile).expect("valgrind wrote a profile");
    let mut instructions = Instructions { host: 0, guest: 0 };
    let (mut unnamed, mut is_guest, mut is_call) = (HashSet::new(), false, false);
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=").or(line.strip_prefix("cob=")) {
            // A name follows its number once, and the number stands for it afterwards.
            let (number, name) = object.split_once(' ').unwrap_or((object, ""));
            if name == "???" {
                unnamed.insert(number);
            }
            if line.starts_with("ob=") {
                is_guest = unnamed.contains(number);
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // The line after a call has what the callee cost, which is counted there.
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap_or_default();
            if !std::mem::take(&mut is_call) {
                *(if is_guest { &mut instructions.guest } else { &mut instructions.host }) += cost;
            }
        }
    }
    instructions
}
