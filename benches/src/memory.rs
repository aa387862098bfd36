//! The memory that a run needs for a long input, against a short one: it must not depend on the length.
//!
//! The input is a pipe that this process writes lines to. When all are read and the pipe is still open, the process is asked
//! for the most memory that it had until then.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};

use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload;
use crate::project::Project;

pub(crate) const TITLE: &str = "resident memory";
const SHORT: u64 = 100_000_000;
const LONG: u64 = 10_000_000_000;
const LINE: usize = 42;

pub(crate) fn group(options: &Options) -> Result<Group> {
    let project = Project::new(options)?;
    let input = "{ stdin = true, as = \"lines\" }";
    let mut pipeline = project.set_pipeline("measured", input, "<transform>", "{ discard = true }")?;
    pipeline.command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let pipeline = std::rc::Rc::new(std::cell::RefCell::new(pipeline));
    let project = std::rc::Rc::new(project);
    let (short, long) = match options.bytes {
        Some(bytes) => (bytes, bytes.saturating_mul(10)),
        None => (SHORT, LONG),
    };
    let lane = |bytes: u64| {
        let (pipeline, project) = (std::rc::Rc::clone(&pipeline), std::rc::Rc::clone(&project));
        Lane::of_processes(size(bytes), 1, move || {
            let _project = &project;
            let child = pipeline.borrow_mut().command.spawn()?;
            peak(child, bytes)
        })
    };
    let [long, short] = [long, short].map(|bytes| (lane(bytes), size(bytes)));
    let row = Row::times(format!("resident memory of lines → transform, {}", long.1), &short.1, &long.1, &short.1);
    let mut group = Group::of_processes("MiB", options);
    group.rounds = options.rounds.unwrap_or(3);
    Ok(Group { lanes: vec![long.0, short.0], rows: vec![row], ..group })
}

fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{} GB", bytes / 1_000_000_000),
        1_000_000.. => format!("{} MB", bytes / 1_000_000),
        _ => format!("{bytes} B"),
    }
}

/// Writes lines to a process, and returns the most memory that it had, in MiB.
fn peak(mut child: Child, bytes: u64) -> Result<f64> {
    let mut pipe = child.stdin.take().context("the input is a pipe")?;
    let mut line = payload::blank(LINE);
    line[LINE - 1] = b'\n';
    let piece: Vec<u8> = line.iter().copied().cycle().take(LINE * 1560).collect();
    let mut left = bytes;
    while left > 0 {
        let count = piece.len().min(usize::try_from(left)?);
        pipe.write_all(&piece[..count])?;
        left -= count as u64;
    }
    while rustix::io::ioctl_fionread(&pipe)? > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    // What was read last is still on its way through the pipeline.
    thread::sleep(Duration::from_millis(50));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    drop(pipe);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the run failed: {}", String::from_utf8_lossy(&output.stderr));
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(peak.context("Linux says how much memory a process had")? / 1024.0)
}
