//! From a pipeline in a manifest to the account of its flow: what `run` and `demo` have in common.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use torvyn_runtime::analysis::{self, Bounds, StageVerdict};
use torvyn_runtime::endpoint::{self, Directory, Discard, FileOutput, Generate, open_file, open_stdin, open_stdout};
use torvyn_runtime::graph::Role;
use torvyn_runtime::words::noun;
use torvyn_runtime::{Account, Body, Component, Control, Flow, Stage};

use crate::budget::Budget;
use crate::check::{self, Composed, Subject};
use crate::cli::{CargoArgs, RecordArgs};
use crate::components::{Compiled, Components, limits, told};
use crate::dead_letters::DeadLetterFiles;
use crate::diagnostic::{Diagnostics, Label, Sources};
use crate::exit::{Exit, Stop};
use crate::failure::{self, FailureRecord};
use crate::findings::{Finding, Viewpoint, place};
use crate::interrupt::Interrupt;
use crate::lint::Levels;
use crate::manifest::{Input, Manifest, Output, Pipeline, Pool, WiredNode, Wiring};
use crate::progress::Bar;
use crate::records::Files;
use crate::report::Summary;
use crate::shell::Shell;
use crate::{programs, report, workspace};

/// The file that pipelines are written in.
const MANIFEST: &str = "Torvyn.toml";

/// What to run, and with what in place of what the manifest says.
pub(crate) struct Request<'a> {
    pub(crate) cargo: &'a CargoArgs,
    pub(crate) pipeline: Option<&'a str>,
    pub(crate) input: Option<&'a Path>,
    pub(crate) output: Option<&'a Path>,
    /// Run what is over its copy budget, and refuse no copy.
    pub(crate) ignore_budget: bool,
    /// What to record.
    pub(crate) records: &'a RecordArgs,
}

/// What came of it.
pub(crate) struct Finished {
    pub(crate) pipeline: String,
    pub(crate) account: Account,
    /// The elements that stages failed at, where they are kept.
    letters: DeadLetterFiles,
    /// How it was interrupted, if it was.
    interrupted: Option<Exit>,
    /// What the run showed of the pipeline and its stages.
    found: Diagnostics,
    sources: Sources,
}

impl Finished {
    /// What programs read of it, with all that the run showed.
    pub(crate) fn summary(&self) -> Summary<'_> {
        let findings = self.found.iter().map(|found| Finding::new(found, &self.sources)).collect();
        Summary { pipeline: Some(&self.pipeline), account: Some(&self.account), findings }
    }

    /// Tells what the run showed, after its account. The exit code that follows.
    pub(crate) fn tell(&self, shell: &mut Shell) -> anyhow::Result<Exit> {
        tell_letters(&self.letters, shell)?;
        for stage in self.account.stages.iter().filter(|stage| stage.failures.skipped > 0) {
            let (name, skipped) = (&stage.name, report::grouped(stage.failures.skipped));
            let elements = noun(stage.failures.skipped, "element");
            shell.warn(format_args!("`{name}` failed at {skipped} {elements}, left out as `on-failure` says"))?;
        }
        if !self.found.is_empty() {
            shell.space()?;
            shell.diagnostics(&self.found, &self.sources)?;
        }
        if let Some(interrupted) = self.interrupted {
            shell.warn("interrupted: the source was not read to its end, everything read before is in the output")?;
            return Ok(interrupted);
        }
        Ok(if self.found.errors() == 0 { Exit::Ok } else { Exit::Findings })
    }
}

/// Builds what is stale, and runs the pipeline to its end.
///
/// # Errors
///
/// A [`Stop`] where the manifest is wrong, which is told then; otherwise why it could not be built or run.
pub(crate) fn run(request: &Request<'_>, shell: &mut Shell) -> anyhow::Result<Finished> {
    let mut sources = Sources::default();
    let (pipeline, pool) = pipeline(request, &mut sources).or_else(|found| told(&found, &sources, shell))?;
    shell.summary(&Summary { pipeline: Some(&pipeline.name), ..Summary::default() })?;
    if shell.is_for_programs() {
        refuse_stdout(&pipeline, request.records)?;
    }
    let components = Components::of(&[&pipeline], request.cargo, &Compiled::default(), &mut sources, shell)?;
    let ready = components.stages(&pipeline);
    let roles: Vec<_> = ready.iter().map(|ready| Role::from(ready.component.profile().kind)).collect();
    let wiring = pipeline.wire(&roles).or_else(|found| told(&found, &sources, shell))?;
    if shell.is_for_programs() {
        // An output that the manifest does not name is only known now.
        let is_stdout = |node: &WiredNode| matches!(node, WiredNode::Output(Output::Stdout { .. }));
        if wiring.nodes.iter().any(is_stdout) {
            return Err(refused_stdout(OTHER_OUTPUT).into());
        }
    }

    let (loaded, mut subjects): (Vec<_>, Vec<_>) =
        ready.into_iter().map(|ready| (ready.component, ready.subject)).unzip();
    if request.ignore_budget {
        subjects.iter_mut().for_each(|subject| subject.budget = Budget::default());
    }
    let verdicts = subjects.iter().map(Subject::verdict).collect::<Option<Vec<_>>>();
    let verdicts = verdicts.context("what was loaded was analysed")?;
    if !request.ignore_budget {
        within_budget(&subjects, &verdicts, &components.levels, &pipeline, &wiring, &mut sources, shell)?;
    }

    let records = Files::open(request.records, &wiring)?;
    let interrupt = Interrupt::watch()?;
    let copies = subjects.iter().zip(&verdicts).map(|(subject, verdict)| (subject.budget.limits(), verdict.bounds()));
    let copies: Vec<_> = copies.collect();
    let bodies = bodies(&wiring, &pipeline, loaded, &copies)?;
    let letters = DeadLetterFiles::of(&pipeline)?;
    let bar = Bar::new(shell, input_bytes(&wiring));
    let control = Control {
        log: bar.log(),
        cancel: interrupt.flag(),
        progress: bar.progress(),
        pool: pool.settings.clone(),
        recorder: records.recorder(),
        dead_letters: letters.sink(),
        ..Control::default()
    };
    shell.status("Running", format_args!("pipeline `{}`", pipeline.name))?;
    let flow = Flow::start(&wiring.graph, bodies, control).and_then(Flow::run);
    bar.finish();
    let written = records.write(&pipeline.name, &wiring.graph, shell);
    let account = flow.map_err(|error| named(error, &wiring, &pipeline, &sources)).inspect_err(|_| {
        // Why the flow failed is what to tell; that its records are missing is said beside it.
        written.as_ref().err().inspect(|error| {
            shell.record(FailureRecord::of(error));
            shell.warn(format_args!("{error:#}")).ok();
        });
        tell_letters(&letters, shell).ok();
    })?;
    written?;
    let mut found = Diagnostics::default();
    if !request.ignore_budget {
        found.extend(check::measured_over_budget(&pipeline, &components.levels, &account));
    }
    found.extend(check::measured_pool(&pipeline, &pool, &components.levels, &account.pool));
    let levels: Vec<_> = subjects.into_iter().map(|subject| subject.levels).collect();
    found.extend(check::measured_findings(&pipeline, &wiring, &levels, &account));
    Ok(Finished { pipeline: pipeline.name, account, letters, interrupted: interrupt.exit(), found, sources })
}

/// Says which files have dead letters of the run.
fn tell_letters(letters: &DeadLetterFiles, shell: &mut Shell) -> std::io::Result<()> {
    let written = letters.written();
    written.iter().try_for_each(|(path, count)| {
        shell.status("Dead letters", format_args!("{} in `{}`", report::grouped(*count), path.display()))
    })
}

/// What to type for another output than standard output.
const OTHER_OUTPUT: &str = "add `--output FILE`, or `--output /dev/null` where only the account is wanted";

fn refused_stdout(help: &str) -> Stop {
    Stop::new(Exit::Usage, "the elements and `--message-format` both write to standard output").help(help)
}

/// Refuses to write anything to standard output where a program reads the account there: neither could be told from the
/// other.
fn refuse_stdout(pipeline: &Pipeline, records: &RecordArgs) -> Result<(), Stop> {
    for output in &pipeline.outputs {
        let help = match &pipeline.outputs[..] {
            [_] => OTHER_OUTPUT.to_string(),
            _ => format!("name a file for output `{}` in `{}`", output.name, pipeline.file.display()),
        };
        match &output.output {
            Output::Stdout { .. } => return Err(refused_stdout(&help)),
            Output::File { path, .. } => programs::refuse_stdout(path, "the output", &help)?,
            Output::Discard => {}
        }
    }
    let letters = pipeline.stages.iter().filter_map(|stage| stage.on_failure.dead_letters.as_ref());
    for (path, what) in letters.map(|path| (path, "the file of dead letters")).chain(records.files()) {
        programs::refuse_stdout(path, what, "name another file")?;
    }
    Ok(())
}

/// The pipeline as the manifest and the arguments say, and what the manifest says of the pool.
fn pipeline(request: &Request<'_>, sources: &mut Sources) -> Result<(Pipeline, Pool), Diagnostics> {
    let manifest = Manifest::load(&manifest_path(request.cargo), sources)?;
    let mut pipeline = manifest.select(request.pipeline)?.clone();
    if let Some(path) = request.input {
        let input = Input::from_argument(path, pipeline.input.as_ref());
        pipeline = pipeline.with_input(input);
    }
    if let Some(path) = request.output {
        let replaced = pipeline.outputs.first().map(|output| &output.output);
        let output = Output::from_argument(path, replaced);
        pipeline = pipeline.with_output(output)?;
    }
    let found = pipeline.check_paths();
    if found.is_empty() { Ok((pipeline, manifest.pool)) } else { Err(found) }
}

/// The manifest beside the Cargo.toml that was named, or else the nearest one from here upwards.
pub(crate) fn manifest_path(args: &CargoArgs) -> PathBuf {
    if let Some(cargo_toml) = &args.manifest_path {
        return cargo_toml.with_file_name(MANIFEST);
    }
    let here = env::current_dir().unwrap_or_default();
    let nearest = here.ancestors().map(|folder| folder.join(MANIFEST)).find(|path| path.is_file());
    nearest.map_or_else(|| PathBuf::from(MANIFEST), |path| workspace::from_here(&path))
}

/// Refuses a pipeline that can copy more than is declared.
fn within_budget(
    subjects: &[Subject],
    verdicts: &[StageVerdict],
    levels: &Levels,
    pipeline: &Pipeline,
    wiring: &Wiring,
    sources: &mut Sources,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let mut found = Diagnostics::default();
    for (subject, verdict) in subjects.iter().zip(verdicts) {
        subject.over_budget(verdict, sources, &mut found);
    }
    found.extend(Composed::of(wiring, verdicts).findings(pipeline, levels));
    if found.errors() == 0 {
        return Ok(());
    }
    shell.diagnostics(&found, sources)?;
    let stop = Stop::new(Exit::Findings, format!("pipeline `{}` is over its copy budget", pipeline.name));
    Err(stop.code(failure::OVER_BUDGET).help("`--ignore-budget` runs it all the same").into())
}

/// Opens the endpoints, and gives every stage its component and settings.
fn bodies(
    wiring: &Wiring,
    pipeline: &Pipeline,
    components: Vec<Component>,
    copies: &[(analysis::Budget, Bounds)],
) -> anyhow::Result<Vec<Body>> {
    let mut components: Vec<_> = components.into_iter().map(Some).collect();
    let body = |node: &WiredNode| {
        Ok(match node {
            WiredNode::Input(input) => {
                let refused = || Stop::new(Exit::Failed, format!("cannot read {}", input_name(input)));
                Body::Input(open_input(input).with_context(|| refused().code(failure::INPUT_FAILED))?)
            }
            WiredNode::Output(output) => {
                let refused = || Stop::new(Exit::Failed, format!("cannot write {}", output_name(output)));
                Body::Output(open_output(output).with_context(|| refused().code(failure::OUTPUT_FAILED))?)
            }
            WiredNode::Stage(index) => {
                let component = components[*index].take().context("a stage stands in the graph once")?;
                let stage = &pipeline.stages[*index];
                let (config, limits) = (stage.config.clone(), limits(stage));
                let (budget, bounds) = copies[*index];
                let policy = stage.on_failure.policy;
                Body::Stage(Stage { config, limits, budget, bounds, policy, ..Stage::new(component) })
            }
        })
    };
    wiring.nodes.iter().map(body).collect()
}

pub(crate) fn open_input(input: &Input) -> std::io::Result<Box<dyn endpoint::Input>> {
    Ok(match input {
        Input::File { path, framing } => Box::new(open_file(path, *framing)?),
        Input::Dir { path } => Box::new(Directory::open(path)?),
        Input::Stdin { framing } => Box::new(open_stdin(*framing)?),
        Input::Generate { count, sizes, seed: Some(seed) } => Box::new(Generate::seeded(*count, sizes.clone(), *seed)),
        Input::Generate { count, sizes, seed: None } => Box::new(Generate::new(*count, *sizes.start())),
    })
}

fn open_output(output: &Output) -> std::io::Result<Box<dyn endpoint::Output>> {
    Ok(match output {
        Output::File { path, framing } => Box::new(FileOutput::create(path, *framing)?),
        Output::Stdout { framing } => Box::new(open_stdout(*framing)?),
        Output::Discard => Box::new(Discard),
    })
}

pub(crate) fn input_name(input: &Input) -> String {
    match input {
        Input::File { path, .. } | Input::Dir { path } => format!("`{}`", path.display()),
        Input::Stdin { .. } => "standard input".to_string(),
        Input::Generate { .. } => "generated elements".to_string(),
    }
}

fn output_name(output: &Output) -> String {
    match output {
        Output::File { path, .. } => format!("`{}`", path.display()),
        Output::Stdout { .. } => "standard output".to_string(),
        Output::Discard => "nowhere".to_string(),
    }
}

/// How many bytes the inputs have, where that can be known.
fn input_bytes(wiring: &Wiring) -> Option<u64> {
    let bytes = |node: &WiredNode| match node {
        WiredNode::Input(Input::File { path, .. }) => {
            std::fs::metadata(path).ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len())
        }
        WiredNode::Input(Input::Generate { count, sizes, .. }) if sizes.start() == sizes.end() => {
            count.checked_mul(*sizes.start() as u64)
        }
        WiredNode::Input(_) => None,
        WiredNode::Stage(_) | WiredNode::Output(_) => Some(0),
    };
    wiring.nodes.iter().map(bytes).sum::<Option<u64>>().filter(|bytes| *bytes > 0)
}

/// A failure of a flow with its place in the manifest; that of an endpoint with the file or stream that it is.
pub(crate) fn named(
    error: torvyn_runtime::Error,
    wiring: &Wiring,
    pipeline: &Pipeline,
    sources: &Sources,
) -> anyhow::Error {
    let endpoint = match &error {
        torvyn_runtime::Error::Input { input: name, .. } | torvyn_runtime::Error::Output { output: name, .. } => {
            let node = wiring.graph.nodes().iter().position(|node| node.name == *name);
            node.and_then(|node| match &wiring.nodes[node] {
                WiredNode::Input(input) => Some(input_name(input)),
                WiredNode::Output(output) => Some(output_name(output)),
                WiredNode::Stage(_) => None,
            })
        }
        _ => None,
    };
    let error = anyhow::Error::from(error);
    let place = FailureRecord::of(&error).stage.and_then(|name| {
        let stage = pipeline.stages.iter().find(|stage| stage.name == name)?;
        let label = Label { file: pipeline.file.clone(), span: stage.place(), text: String::new() };
        Some(place(&label, sources, &Viewpoint::default()))
    });
    let message = match endpoint {
        Some(endpoint) => format!("pipeline `{}` failed at {endpoint}", pipeline.name),
        None => format!("pipeline `{}` failed", pipeline.name),
    };
    error.context(Stop::new(Exit::Failed, message).place(place))
}
