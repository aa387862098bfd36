//! Runs the benchmark once, with a few elements: every contender must be right, and the table complete.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::path::Path;
use std::process::{Command, Stdio};

/// A row for each of these.
const ROWS: [&str; 17] = [
    "| pass 64 B, host ends ",
    "| pass 64 B, three components ",
    "| pass 4 KiB, host ends ",
    "| pass 4 KiB, three components ",
    "| upper 64 B, host ends ",
    "| upper 64 B, three components ",
    "| upper 4 KiB, host ends ",
    "| upper 4 KiB, three components ",
    "| hand over 4 KiB, write and read ",
    "| hand over 64 KiB, write and read ",
    "| pass 64 B by the traits ",
    "| upper 64 B by the traits ",
    "| three routers in a row, 64 KiB ",
    "| lines → transform → file ",
    "| lines → inspector → file, no match ",
    "| lines → router → file ",
    "| chunks of 64 KiB → transform → file ",
];
/// Rows of which no part may be missing, as it may if another program is not installed.
const WHOLE: [&str; 2] =
    ["| chunks of 1 MiB → router → file, 0 bytes in user space ", "| resident memory of lines → transform"];

#[test]
fn every_contender_moves_what_it_should() {
    let mut benches = Command::new(env!("CARGO_BIN_EXE_torvyn-benches"));
    benches.args(["--rounds", "1", "--elements", "100", "--bytes", "3000000"]);
    // Built with the tests of the workspace.
    let program = Path::new(env!("CARGO_BIN_EXE_torvyn-benches")).with_file_name("cargo-torvyn");
    assert!(program.is_file(), "type `cargo build` first, or run the tests of the whole workspace");
    benches.arg("--program").arg(program);
    benches.arg("--folder").arg(env!("CARGO_TARGET_TMPDIR"));
    let output = benches.stdin(Stdio::null()).output().unwrap();
    let (table, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}\n{said}");
    for row in ROWS.iter().chain(&WHOLE) {
        let lines: Vec<_> = table.lines().filter(|line| line.starts_with(row)).collect();
        assert!(lines.iter().any(|line| !line.contains("not measured")), "`{row}`\n{table}");
    }
}

#[test]
fn an_unknown_option_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_torvyn-benches")).arg("--round").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("unknown option `--round`: there are `--rounds N`"), "{said}");
}
