//! From a pipeline in a manifest to the account of its flow: what `run` and `demo` have in common.

use std::env;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::base::plural::noun;
use torvyn_runtime::contract::{self, Bounds};
use torvyn_runtime::endpoint::{
    self, Directory, Discard, FileOutput, Generate, NoReader, open_file, open_stdin, open_stdout,
};
use torvyn_runtime::flow::account::CutOffUse;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::{Account, Body, Component, Control, Flow, Stage};

use crate::check::{self, Composed, Subject};
use crate::cli::{CargoArgs, RecordArgs};
use crate::config::budget::Budget;
use crate::config::case_files;
use crate::config::lint_levels::Levels;
use crate::config::manifest::{Input, Manifest, NamedOutput, Output, Pipeline, Runtime, WiredNode, Wiring};
use crate::exit::{Exit, Stop};
use crate::fs::{atomic_file, paths, standard_streams};
use crate::output::diagnostic::{Diagnostics, Label, Sources};
use crate::output::failure::{self, FailureRecord};
use crate::output::findings::Finding;
use crate::output::programs;
use crate::output::progress::Bar;
use crate::output::run_report::{self, Summary};
use crate::output::shell::{Shell, StdoutClosed};
use crate::output::viewpoint::{Viewpoint, place};
use crate::process::interrupt;
use crate::run::components::{Compiled, Components, limits, told};
use crate::run::dead_letters::DeadLetterFiles;
use crate::run::records::Files;

/// How often is looked whether somebody reads a FIFO.
const LOOK: Duration = Duration::from_millis(20);
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
    /// How long it may take to end after a signal, in place of what the manifest says.
    pub(crate) drain: Option<Duration>,
}

/// What came of it.
pub(crate) struct Finished {
    pub(crate) pipeline: String,
    pub(crate) account: Account,
    /// The elements that stages failed at, where they are kept.
    letters: DeadLetterFiles,
    /// How it was interrupted, if it was.
    interrupted: Option<Exit>,
    /// How long it might take to end.
    drain: Duration,
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
            let (name, skipped) = (&stage.name, run_report::grouped(stage.failures.skipped));
            let elements = noun(stage.failures.skipped, "element");
            shell.warn(format_args!("`{name}` failed at {skipped} {elements}, left out as `on-failure` says"))?;
        }
        if !self.found.is_empty() {
            shell.space()?;
            shell.diagnostics(&self.found, &self.sources)?;
        }
        for stage in self.account.stages.iter().filter(|stage| stage.log.dropped > 0) {
            let (dropped, lines) = (run_report::grouped(stage.log.dropped), run_report::grouped(stage.log.lines));
            shell.warn(format_args!("`{}`: {dropped} of {lines} printed lines were dropped", stage.name))?;
            shell.note("a stage may print `limits.log` in a minute, and what it prints has to be read")?;
        }
        if let Some(interrupted) = self.interrupted {
            match &self.account.cut_off {
                None => shell
                    .warn("interrupted: the source was not read to its end, everything read before is in the output")?,
                Some(cut_off) => tell_cut_off(cut_off, self.drain, shell)?,
            }
            for input in self.account.endpoints.iter().filter(|input| input.left_over > 0) {
                let (bytes, are) =
                    (run_report::grouped(input.left_over), if input.left_over == 1 { "is" } else { "are" });
                let noun = noun(input.left_over, "byte");
                shell.warn(format_args!(
                    "{bytes} {noun} of `{}` {are} in no element and not in the output",
                    input.name
                ))?;
            }
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
    let selected = pipeline(request, &mut sources, shell)?;
    let (pipeline, runtime) = selected.or_else(|found| told(&found, &sources, shell))?;
    let Runtime { pool, drain } = runtime;
    let drain = request.drain.or(drain).unwrap_or(interrupt::DRAIN);
    shell.summary(&Summary { pipeline: Some(&pipeline.name), ..Summary::default() })?;
    if shell.is_for_programs() {
        refuse_stdout(&pipeline, request.records)?;
    }
    let found = pipeline.check_paths();
    if !found.is_empty() {
        return told(&found, &sources, shell);
    }
    // All that is to be written is looked at before the work begins.
    let mut uses = pipeline.declared_file_uses();
    case_files::beside(&pipeline.file).iter().for_each(|path| _ = uses.read("a file of cases", path));
    uses.extend(Files::uses(request.records));
    uses.clone().write_messages().refuse()?;
    check_outputs(&pipeline)?;
    let letters = DeadLetterFiles::of(&pipeline)?;
    let records = Files::open(request.records)?;
    let judge = |pipeline: &Pipeline, roles: &[Role]| pipeline.wire(roles).err().unwrap_or_default();
    let compiled = Compiled::default();
    let components = Components::of(&[&pipeline], &judge, request.cargo, &compiled, &mut sources, shell)?;
    interrupt::check()?;
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

    uses.extend(components.file_uses());
    if pipeline.outputs.is_empty() && wiring.nodes.iter().any(|node| matches!(node, WiredNode::Output(_))) {
        uses.write_stdout("standard output");
    }
    uses.write_messages().refuse()?;
    let flows = interrupt::begin_flows(drain)?;
    letters.give_up_at(&flows.cut());
    shell.hurry();
    let copies = subjects.iter().zip(&verdicts).map(|(subject, verdict)| (subject.budget.limits(), verdict.bounds()));
    let copies: Vec<_> = copies.collect();
    let bodies = bodies(&wiring, &pipeline, loaded, &copies, shell)?;
    let bar = Bar::new(shell, input_bytes(&wiring));
    let control = Control {
        log: bar.log(),
        cancel: flows.cancel(),
        cut: flows.cut(),
        progress: bar.progress(),
        pool: pool.settings.clone(),
        recorder: records.recorder(),
        dead_letters: letters.sink(),
        ..Control::default()
    };
    shell.status("Running", format_args!("pipeline `{}`", pipeline.name))?;
    let flow = Flow::start(&wiring.graph, bodies, control).and_then(Flow::run);
    let dropped = bar.finish(shell);
    let written = records.write(&pipeline.name, &wiring.graph, shell);
    if let Err(error) = &flow
        && has_read_enough(error, &wiring, &roles)
    {
        written?;
        tell_letters(&letters, shell)?;
        return Err(StdoutClosed.into());
    }
    // What did not come so far is no failure: the signal is what to tell.
    if let Err(error @ (torvyn_runtime::Error::Cancelled | torvyn_runtime::Error::Start { .. })) = &flow
        && (matches!(error, torvyn_runtime::Error::Cancelled) || error.is_cut_off())
    {
        interrupt::check()?;
    }
    let mut account = flow.map_err(|error| named(error, &wiring, &pipeline, &sources)).inspect_err(|_| {
        // Why the flow failed is what to tell; that its records are missing is said beside it.
        written.as_ref().err().inspect(|error| {
            shell.record(FailureRecord::from_error(error));
            shell.warn(format_args!("{error:#}")).ok();
        });
        tell_letters(&letters, shell).ok();
    })?;
    written?;
    dropped.add_to(&mut account);
    let mut found = Diagnostics::default();
    if !request.ignore_budget {
        found.extend(check::measured_over_budget(&pipeline, &components.levels, &account));
    }
    found.extend(check::measured_pool(&pipeline, &pool, &components.levels, &account.pool));
    let levels: Vec<_> = subjects.into_iter().map(|subject| subject.levels).collect();
    found.extend(check::measured_findings(&pipeline, &wiring, &levels, &account));
    let interrupted = interrupt::exit();
    Ok(Finished { pipeline: pipeline.name, account, letters, interrupted, drain, found, sources })
}

/// Says what a flow that was interrupted could not finish.
fn tell_cut_off(cut_off: &CutOffUse, drain: Duration, shell: &mut Shell) -> std::io::Result<()> {
    let names: Vec<_> = cut_off.interrupted.iter().map(|name| format!("`{name}`")).collect();
    let in_a_call = match &names[..] {
        [] => "nothing was in a call".to_string(),
        [one] => format!("{one} was in a call"),
        several => format!("{} were in calls", several.join(" and ")),
    };
    let count = run_report::grouped(cut_off.undelivered);
    let elements = noun(cut_off.undelivered, "element");
    shell.warn(format_args!("interrupted, and cut off before the {drain:?} it has to end were over: {in_a_call}"))?;
    shell.warn(format_args!("{count} {elements} that had been read did not reach the output"))?;
    shell.note("`--drain`, and `runtime.drain` in Torvyn.toml, say how long a run may take to end")
}

/// Whether a flow ended because whoever read standard output has closed it, as `| head -n 1` does, and nothing is lost
/// anywhere else: no other output or sink has an end that it did not get.
fn has_read_enough(error: &torvyn_runtime::Error, wiring: &Wiring, roles: &[Role]) -> bool {
    let torvyn_runtime::Error::Output { output: name, source, .. } = error else { return false };
    let is_stdout = |output: &Output| match output {
        Output::Stdout { .. } => true,
        Output::File { path, .. } => endpoint::is_descriptor(path),
        Output::Discard => false,
    };
    let nodes = || wiring.graph.nodes().iter().zip(&wiring.nodes);
    let outputs = || {
        nodes().filter_map(|(node, wired)| match wired {
            WiredNode::Output(output) if *output != Output::Discard => Some((&node.name, output)),
            _ => None,
        })
    };
    source.kind() == std::io::ErrorKind::BrokenPipe
        && outputs().count() == 1
        && outputs().all(|(node, output)| node == name && is_stdout(output))
        && !roles.contains(&Role::Sink)
}

/// Says which files have dead letters of the run.
fn tell_letters(letters: &DeadLetterFiles, shell: &mut Shell) -> std::io::Result<()> {
    let written = letters.written();
    written.iter().try_for_each(|(path, count)| {
        shell.status("Dead letters", format_args!("{} in `{}`", run_report::grouped(*count), path.display()))
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

/// The pipeline as the manifest and the arguments say, and what the manifest says of every run. Other pipelines that are
/// broken are named, and are no reason not to run it.
fn pipeline(
    request: &Request<'_>,
    sources: &mut Sources,
    shell: &mut Shell,
) -> anyhow::Result<Result<(Pipeline, Runtime), Diagnostics>> {
    let manifest = match Manifest::load(&manifest_path(request.cargo), sources) {
        Ok(manifest) => manifest,
        Err(found) => return Ok(Err(found)),
    };
    let selected = select(request, &manifest);
    if selected.is_ok() {
        for name in manifest.broken.iter().filter_map(|broken| broken.name.as_deref()) {
            shell.warn(format_args!("pipeline `{name}` is not valid; `cargo torvyn check` says why"))?;
        }
    }
    Ok(selected.map(|pipeline| (pipeline, manifest.runtime)))
}

fn select(request: &Request<'_>, manifest: &Manifest) -> Result<Pipeline, Diagnostics> {
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
    Ok(pipeline)
}

/// The manifest beside the Cargo.toml that was named, or else the nearest one from here upwards.
pub(crate) fn manifest_path(args: &CargoArgs) -> PathBuf {
    if let Some(cargo_toml) = &args.manifest_path {
        return cargo_toml.with_file_name(MANIFEST);
    }
    let here = env::current_dir().unwrap_or_default();
    let nearest = here.ancestors().map(|folder| folder.join(MANIFEST)).find(|path| path.is_file());
    nearest.map_or_else(|| PathBuf::from(MANIFEST), |path| paths::from_here(&path))
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
    found.extend(Composed::of(pipeline, wiring, verdicts).findings(pipeline, levels));
    if found.errors() == 0 {
        return Ok(());
    }
    shell.diagnostics(&found, sources)?;
    let stop = Stop::new(Exit::Findings, format!("pipeline `{}` is over its copy budget", pipeline.name));
    Err(stop.code(failure::OVER_BUDGET).help("`--ignore-budget` runs it all the same").into())
}

/// Refuses outputs that nothing can be written to.
fn check_outputs(pipeline: &Pipeline) -> anyhow::Result<()> {
    pipeline.outputs.iter().try_for_each(|NamedOutput { output, .. }| {
        let checked = match output {
            Output::File { path, .. } => atomic_file::check(path),
            Output::Stdout { .. } => standard_streams::check_stdout(),
            Output::Discard => Ok(()),
        };
        checked.with_context(|| not_opened(output))
    })
}

/// An output that cannot be written.
fn not_opened(output: &Output) -> Stop {
    Stop::new(Exit::Failed, format!("cannot write {}", output_name(output))).code(failure::OUTPUT_FAILED)
}

/// Opens the endpoints, and gives every stage its component and settings.
fn bodies(
    wiring: &Wiring,
    pipeline: &Pipeline,
    components: Vec<Component>,
    copies: &[(contract::Budget, Bounds)],
    shell: &mut Shell,
) -> anyhow::Result<Vec<Body>> {
    let mut components: Vec<_> = components.into_iter().map(Some).collect();
    let body = |node: &WiredNode| {
        Ok(match node {
            WiredNode::Input(input) => {
                if let Input::File { path, .. } = input
                    && is_fifo(path)
                {
                    shell.status("Waiting", format_args!("for what comes through the FIFO `{}`", path.display()))?;
                }
                let refused = || Stop::new(Exit::Failed, format!("cannot read {}", input_name(input)));
                Body::Input(open_input(input).with_context(|| refused().code(failure::INPUT_FAILED))?)
            }
            WiredNode::Output(output) => Body::Output(wait_for_output(output, shell)?),
            WiredNode::Stage(index) => {
                let component = components[*index].take().context("a stage stands in the graph once")?;
                let stage = &pipeline.stages[*index];
                let (config, limits) = (stage.config.clone(), limits(stage));
                let (budget, bounds) = copies[*index];
                let (policy, batch) = (stage.on_failure.policy, stage.batch);
                Body::Stage(Stage { config, limits, budget, bounds, policy, batch, ..Stage::new(component) })
            }
        })
    };
    wiring.nodes.iter().map(body).collect()
}

pub(crate) fn open_input(input: &Input) -> std::io::Result<Box<dyn endpoint::Input>> {
    Ok(match input {
        Input::File { path, framing } => Box::new(open_file(path, *framing)?),
        Input::Dir { path } => Box::new(Directory::open(path)?),
        Input::Stdin { framing } => {
            standard_streams::check_stdin()?;
            Box::new(open_stdin(*framing)?)
        }
        Input::Generate { count, sizes, seed: Some(seed) } => Box::new(Generate::seeded(*count, sizes.clone(), *seed)),
        Input::Generate { count, sizes, seed: None } => Box::new(Generate::new(*count, *sizes.start())),
    })
}

/// Opens an output. A FIFO is waited for until somebody reads it.
fn wait_for_output(output: &Output, shell: &mut Shell) -> anyhow::Result<Box<dyn endpoint::Output>> {
    let mut is_told = false;
    loop {
        match open_output(output) {
            Err(error) if NoReader::is(&error) => {
                if !std::mem::replace(&mut is_told, true) {
                    shell.status("Waiting", format_args!("for a reader of the FIFO {}", output_name(output)))?;
                }
                interrupt::sleep(LOOK)?;
            }
            opened => return opened.with_context(|| not_opened(output)),
        }
    }
}

/// Whether a file is a FIFO, as far as that can be told.
fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn open_output(output: &Output) -> std::io::Result<Box<dyn endpoint::Output>> {
    Ok(match output {
        Output::File { path, framing } => Box::new(FileOutput::create(path, *framing)?),
        Output::Stdout { framing } => {
            standard_streams::check_stdout()?;
            Box::new(open_stdout(*framing)?)
        }
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
    let place = FailureRecord::from_error(&error).stage.and_then(|name| {
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
