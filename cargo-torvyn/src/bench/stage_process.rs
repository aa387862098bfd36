//! A process of this program that runs one stage of a pipeline: the second rival has one for each stage. Not for people.
//!
//! Its only argument says what to run, as JSON. It writes `ready` to standard error once the stage has started, and then
//! a line of JSON once the flow has ended; anything else there is an error. The first process waits for a byte on standard input
//! before it reads its input. Between two processes, each element has its length before it.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::ColorChoice;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use torvyn_runtime::endpoint::{Framing, OutputFraming};

use super::workload::{Watch, Workload};
use crate::cli::{CacheArgs, CargoArgs};
use crate::endpoints::{Input, Output, input, output};
use crate::exit::Exit;
use crate::fs::standard_streams;
use crate::manifest::{ComponentRef, Manifest, Pipeline};
use crate::output::diagnostic::Sources;
use crate::output::programs::OutputRequest;
use crate::output::shell::{Shell, Verbosity};
use crate::process::{interrupt, memory};

/// The argument that makes this program run a stage.
pub(crate) const RUN_STAGE: &str = "run-stage-of-bench";
/// The line that says that a stage has started.
pub(super) const READY: &str = "ready";

/// What a process runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StageSpec {
    /// The manifest of the pipeline.
    pub(super) manifest: PathBuf,
    pub(super) pipeline: String,
    /// The index of the stage.
    pub(super) stage: usize,
    /// The file of its component.
    pub(super) component: PathBuf,
    pub(super) no_cache: bool,
    pub(super) from: InputChoice,
    pub(super) to: To,
}

/// Where the elements of a pipeline come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InputChoice {
    /// From where the manifest says.
    Manifest,
    /// From a file, cut as the input of the manifest is.
    File(PathBuf),
    /// Generated: so many of so many bytes.
    Generated(u64, usize),
    /// From the process before.
    Pipe,
}

/// Where the elements of a process go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum To {
    /// To the next process.
    Pipe,
    Nowhere,
    Lines(PathBuf),
    LengthPrefixed(PathBuf),
    Raw(PathBuf),
}

/// What a process did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StageDone {
    pub(super) elements_in: u64,
    pub(super) elements_out: u64,
    /// The peak of its resident memory since the stage has started.
    pub(super) peak_bytes: Option<u64>,
}

impl InputChoice {
    /// The input in place of that of the manifest; none if it stays.
    pub(crate) fn input(&self, replaced: Option<&dyn Input>) -> Option<Arc<dyn Input>> {
        match self {
            InputChoice::Manifest => None,
            InputChoice::File(path) => Some(input::from_argument(path, replaced)),
            InputChoice::Generated(count, size) => Some(input::generated(*count, *size)),
            InputChoice::Pipe => Some(input::stdin(Framing::LengthPrefixed)),
        }
    }
}

impl To {
    /// As the output that the whole pipeline has.
    pub(super) fn like(replaced: &dyn Output) -> To {
        let Some((path, framing)) = replaced.path().map(Path::to_path_buf).zip(replaced.framing()) else {
            return To::Nowhere;
        };
        match framing {
            OutputFraming::Lines => To::Lines(path),
            OutputFraming::LengthPrefixed => To::LengthPrefixed(path),
            OutputFraming::Raw => To::Raw(path),
        }
    }

    fn output(self) -> Arc<dyn Output> {
        match self {
            To::Pipe => output::stdout(OutputFraming::LengthPrefixed),
            To::Nowhere => output::discard(),
            To::Lines(path) => output::file(path, OutputFraming::Lines),
            To::LengthPrefixed(path) => output::file(path, OutputFraming::LengthPrefixed),
            To::Raw(path) => output::file(path, OutputFraming::Raw),
        }
    }
}

/// Runs a stage as the argument says.
pub(crate) fn main(spec: Option<&OsStr>) -> Exit {
    standard_streams::mark_closed();
    let mut shell = Shell::new(ColorChoice::Never, Verbosity::Quiet, OutputRequest::default());
    let exit = match run(spec, &mut shell) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            shell.error(&error).ok();
            Exit::from_error(&error)
        }
    };
    shell.finish();
    exit
}

fn run(spec: Option<&OsStr>, shell: &mut Shell) -> anyhow::Result<()> {
    interrupt::watch()?;
    let spec = spec.and_then(OsStr::to_str).context("the process was not told which stage to run")?;
    let spec: StageSpec = serde_json::from_str(spec)?;
    let is_first = spec.from != InputChoice::Pipe;
    let cache = CacheArgs { no_cache: spec.no_cache };
    let pipeline = spec.pipeline()?;
    // The whole pipeline was compared with its budgets before.
    let workload = Workload::new(pipeline, Default::default(), &CargoArgs::default(), &cache, false, shell)?;
    let flows = interrupt::begin_cases()?;
    let flow = workload.start(&flows, &Watch::default(), shell)?;
    let is_reset = memory::reset_peak();
    writeln!(io::stderr(), "{READY}")?;
    if is_first {
        io::stdin().read_exact(&mut [0]).context("the process was not told to begin")?;
    }
    let account = flow.run().map_err(|error| workload.explain(error, shell))?;
    let (elements_in, elements_out) = (account.elements.entered, account.elements.left);
    let done = StageDone { elements_in, elements_out, peak_bytes: memory::peak_bytes().filter(|_| is_reset) };
    writeln!(io::stderr(), "{}", serde_json::to_string(&done)?)?;
    Ok(())
}

impl StageSpec {
    /// The pipeline of the one stage.
    fn pipeline(self) -> anyhow::Result<Pipeline> {
        let changed = "the manifest has changed since the rounds began";
        let manifest = Manifest::load(&self.manifest, &mut Sources::default()).ok().context(changed)?;
        let of = manifest.select(Some(&self.pipeline)).ok().context(changed)?;
        let mut stage = of.stages.get(self.stage).context(changed)?.clone();
        stage.component = ComponentRef::Path(self.component);
        let given = self.from.input(of.input.as_deref()).or_else(|| of.input.clone()).context(changed)?;
        let alone = Pipeline::alone(&of.name, stage, &of.file, of.span.clone()).with_input(given);
        alone.with_output(self.to.output()).ok().context("the stage has several outputs")
    }
}
