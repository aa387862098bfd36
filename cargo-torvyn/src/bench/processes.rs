//! The second rival: one process per stage, connected by pipes, as a shell connects programs. The first process reads the input of
//! the pipeline itself, and the last one writes its output.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use super::stage_process::{READY, RUN_STAGE, StageDone, StageSpec};
use crate::process::child::{self, Running};
use crate::process::interrupt;

/// What the processes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// From the moment at which the first process was told to begin, until the last one had ended its flow. All had started before.
    pub(super) time: Duration,
    pub(super) elements_in: u64,
    pub(super) elements_out: u64,
    /// The sum over the processes; none if one cannot tell.
    pub(super) peak_bytes: Option<u64>,
}

/// A process, and what it says.
struct Stage {
    running: Running,
    says: BufReader<ChildStderr>,
}

/// Runs a process for each of these stages.
///
/// # Errors
///
/// Why a process could not be started, or what it reports.
pub(super) fn run(specs: &[StageSpec]) -> anyhow::Result<Passed> {
    let mut stages: Vec<Stage> = Vec::new();
    let (mut begin, mut from) = (None, None);
    for (index, spec) in specs.iter().enumerate() {
        let mut command = Command::new("/proc/self/exe");
        command.arg(RUN_STAGE).arg(serde_json::to_string(spec)?).stderr(Stdio::piped());
        command.stdin(from.take().map_or_else(Stdio::piped, Stdio::from));
        command.stdout(if index + 1 < specs.len() { Stdio::piped() } else { Stdio::null() });
        let mut running = child::spawn(&mut command).context("could not start a process for a stage")?;
        begin = begin.or_else(|| running.stdin());
        from = running.stdout();
        let says = BufReader::new(running.stderr().context("the process has a pipe for its messages")?);
        stages.push(Stage { running, says });
    }
    for stage in &mut stages {
        let line = stage.line()?;
        if line.trim_end() != READY {
            return Err(stage.error(line));
        }
    }
    interrupt::check()?;
    let began = Instant::now();
    begin.context("the first process has a pipe")?.write_all(b"\n")?;
    let mut done = Vec::new();
    let mut time = Duration::ZERO;
    // The last process ends last, and its time counts.
    for (index, stage) in stages.iter_mut().enumerate().rev() {
        let line = stage.line()?;
        if index + 1 == specs.len() {
            time = began.elapsed();
        }
        match serde_json::from_str::<StageDone>(&line) {
            Ok(of_stage) => done.push(of_stage),
            Err(_) => return Err(stage.error(line)),
        }
    }
    stages.iter_mut().try_for_each(|stage| stage.running.wait().map(drop))?;
    let (first, last) = done.last().zip(done.first()).context("there is a stage")?;
    let peak_bytes = done.iter().map(|done| done.peak_bytes).sum();
    Ok(Passed { time, elements_in: first.elements_in, elements_out: last.elements_out, peak_bytes })
}

impl Stage {
    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line)
    }

    /// The error that the process reports, which begins with `text`.
    fn error(&mut self, mut text: String) -> anyhow::Error {
        self.says.read_to_string(&mut text).ok();
        let text = text.trim();
        if text.is_empty() {
            anyhow!("a process ended early")
        } else {
            anyhow!("{}", text.trim_start_matches("error: "))
        }
    }
}
