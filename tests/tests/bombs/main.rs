//! Stages that make the host allocate: with the default limits, the process stays small whatever they do. The test
//! measures the resident memory that the system reports, not what the host counts. Each stage runs in its own process,
//! and is compared with one that runs a well-behaved stage.
//!
//! `TORVYN_BOMBS=8 cargo test --workspace --test bombs -- --nocapture` runs them eight times as long.

#![expect(clippy::print_stdout, reason = "how much memory each took is the result")]

use std::env;
use std::fs;
use std::process::Command;

mod stages;

/// How many MiB of resident memory a stage with the default limits may add. Besides its linear memory it may use 64 MiB
/// (`limits.host-memory`), and 16 MiB of buffers on an edge; the rest is overhead of allocators.
const MOST_GROWTH: f64 = 96.0;

/// An environment variable of the child: the stage that it runs.
const BOMB: &str = "TORVYN_BOMB";
const LONG: &str = "TORVYN_BOMBS";

/// What a child prints.
struct Told {
    outcome: String,
    peak: f64,
}

/// Runs this test again in its own process.
fn run_alone(name: &str) -> Told {
    let program = env::current_exe().expect("this test is a program");
    let child = Command::new(program).args(["--exact", "child", "--nocapture", "--ignored"]).env(BOMB, name).output();
    let child = child.expect("the child starts");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("{name}: {}\n{text}\n{}", child.status, String::from_utf8_lossy(&child.stderr)))
    };
    Told { outcome: value("outcome=").to_string(), peak: value("peak_mib=").parse().expect("a number") }
}

/// The peak resident memory of this process, in MiB.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the system has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it tells the peak");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number of KiB") / 1024.0
}

#[test]
fn none_makes_the_host_grow() {
    let empty = run_alone("behaves");
    println!("bomb=behaves peak_mib={:.1} outcome={}", empty.peak, empty.outcome);
    assert_eq!(empty.outcome, "ended");
    let mut beyond = Vec::new();
    for (name, ..) in stages::ALL.iter().filter(|(name, ..)| *name != "behaves") {
        let told = run_alone(name);
        let growth = told.peak - empty.peak;
        println!("bomb={name} growth_mib={growth:.1} limit_mib={MOST_GROWTH} outcome={}", told.outcome);
        if growth > MOST_GROWTH {
            beyond.push(format!("{name}: {growth:.1} MiB"));
        }
    }
    assert!(beyond.is_empty(), "{beyond:?}");
}

#[test]
#[ignore = "it is run by the other one"]
fn child() {
    let Ok(name) = env::var(BOMB) else { return };
    let times = env::var(LONG).map_or(1, |times| times.parse().expect("a number"));
    let (_, run) = stages::ALL.iter().find(|(known, _)| *known == name).expect("a stage of this name");
    let outcome = run(times).replace('\n', " ");
    println!("\noutcome={}", &outcome[..outcome.floor_char_boundary(200)]);
    println!("peak_mib={:.1}", peak());
}
