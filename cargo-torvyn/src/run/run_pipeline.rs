//! Runs a pipeline of a manifest and returns its account: shared by `run` and `demo`.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::base::plural::noun;
use torvyn_runtime::contract::{self, Bounds};
use torvyn_runtime::endpoint::{self, NoReader};
use torvyn_runtime::flow::account::CutOffUse;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::{Account, Body, Component, Control, Flow, Stage};

use crate::check::{Composed, Delivery, Subject, check_replicas, lints};
use crate::cli::{CacheArgs, CargoArgs, RecordArgs};
use crate::config::budget::Budget;
use crate::config::case_files;
use crate::config::lint_levels::Levels;
use crate::endpoints::{Output, input, output};
use crate::exit::{Exit, Stop};
use crate::fs::paths;
use crate::manifest::{Manifest, NamedOutput, Pipeline, Runtime, WiredNode, Wiring};
use crate::output::diagnostic::{Diagnostics, Label, Sources};
use crate::output::failure::{self, FailureRecord};
use crate::output::findings::Finding;
use crate::output::programs;
use crate::output::progress::Bar;
use crate::output::result_file;
use crate::output::run_report::{self, Summary};
use crate::output::shell::{Shell, StdoutClosed};
use crate::output::viewpoint::{Viewpoint, place};
use crate::process::interrupt;
use crate::run::compile_cache;
use crate::run::components::{Compiled, Components, Ready, limits, report_and_stop};
use crate::run::dead_letters::DeadLetterFiles;
use crate::run::records::Files;

/// How often to check whether somebody reads a FIFO.
const LOOK: Duration = Duration::from_millis(20);
/// The file that pipelines are written in.
const MANIFEST: &str = "Torvyn.toml";

/// What to run, with overrides of the manifest.
pub(crate) struct Request<'a> {
    pub(crate) cargo: &'a CargoArgs,
    pub(crate) cache: &'a CacheArgs,
    pub(crate) pipeline: Option<&'a str>,
    pub(crate) input: Option<&'a Path>,
    pub(crate) output: Option<&'a Path>,
    /// Run a pipeline that is over its copy budget, and refuse no copy.
    pub(crate) ignore_budget: bool,
    /// The page that the caller writes when the run has ended.
    pub(crate) report: Option<&'a Path>,
    /// What to record.
    pub(crate) records: &'a RecordArgs,
    /// How long the run may take to end after a signal; overrides the manifest.
    pub(crate) drain: Option<Duration>,
}

/// A run that has ended.
pub(crate) struct Finished {
    pub(crate) pipeline: String,
    pub(crate) account: Account,
    /// The files of dead letters.
    letters: DeadLetterFiles,
    /// The exit code of the interruption, if there was one.
    interrupted: Option<Exit>,
    /// How long the run was allowed to take to end.
    drain: Duration,
    /// Findings from the measurements of the run.
    found: Diagnostics,
}

impl Finished {
    /// The summary for programs, with the findings of the run.
    pub(crate) fn summary(&self, sources: &Sources) -> Summary<'_> {
        let findings = self.found.iter().map(|found| Finding::new(found, sources)).collect();
        Summary { pipeline: Some(&self.pipeline), account: Some(&self.account), findings }
    }

    /// Prints the warnings and findings of the run, after its account. Returns the exit code.
    pub(crate) fn report(&self, shell: &mut Shell) -> anyhow::Result<Exit> {
        print_dead_letters(&self.letters, shell)?;
        for stage in self.account.stages.iter().filter(|stage| stage.failures.skipped > 0) {
            let (name, skipped) = (&stage.name, run_report::grouped(stage.failures.skipped));
            let elements = noun(stage.failures.skipped, "element");
            shell.warn(format_args!("`{name}` failed at {skipped} {elements}: skipped (`on-failure = \"skip\"`)"))?;
        }
        if !self.found.is_empty() {
            shell.space()?;
            shell.diagnostics(&self.found)?;
        }
        for stage in self.account.stages.iter().filter(|stage| stage.log.dropped > 0) {
            let (dropped, lines) = (run_report::grouped(stage.log.dropped), run_report::grouped(stage.log.lines));
            shell.warn(format_args!("`{}`: {dropped} of {lines} printed lines were dropped", stage.name))?;
            shell
                .note("a stage may print at most `limits.log` a minute, and lines that nobody reads are dropped too")?;
        }
        if let Some(interrupted) = self.interrupted {
            match &self.account.cut_off {
                None => shell.warn(
                    "interrupted: the source was not read to its end; everything read until then is in the output",
                )?,
                Some(cut_off) => warn_cut_off(cut_off, self.drain, shell)?,
            }
            for input in self.account.endpoints.iter().filter(|input| input.left_over > 0) {
                let bytes = run_report::grouped(input.left_over);
                let (belong, are) = if input.left_over == 1 { ("belongs", "is") } else { ("belong", "are") };
                let noun = noun(input.left_over, "byte");
                shell.warn(format_args!(
                    "{bytes} {noun} of `{}` {belong} to no element and {are} not in the output",
                    input.name
                ))?;
            }
            return Ok(interrupted);
        }
        Ok(if self.found.errors() == 0 { Exit::Ok } else { Exit::Findings })
    }
}

/// Builds stale packages and runs the pipeline to its end.
///
/// # Errors
///
/// A [`Stop`] if the manifest is invalid, which has been reported; otherwise why the pipeline could not be built or run.
pub(crate) fn run(request: &Request<'_>, shell: &mut Shell) -> anyhow::Result<Finished> {
    let selected = pipeline(request, shell)?;
    let (pipeline, runtime) = selected.or_else(|found| report_and_stop(&found, shell))?;
    let Runtime { pool, drain } = runtime;
    let drain = request.drain.or(drain).unwrap_or(interrupt::DRAIN);
    shell.summary(&Summary { pipeline: Some(&pipeline.name), ..Summary::default() })?;
    if shell.is_for_programs() {
        refuse_stdout(&pipeline, request)?;
    }
    let found = pipeline.check_paths();
    if !found.is_empty() {
        return report_and_stop(&found, shell);
    }
    // Check everything that will be written before the work starts.
    let mut uses = pipeline.declared_file_uses();
    case_files::beside(&pipeline.file).iter().for_each(|path| _ = uses.read("a file of cases", path));
    uses.extend(Files::uses(request.records));
    request.report.iter().for_each(|path| _ = uses.write(result_file::PAGE, path));
    uses.clone().write_messages().refuse()?;
    check_outputs(&pipeline)?;
    request.report.map_or(Ok(()), result_file::check_page)?;
    let letters = DeadLetterFiles::new(&pipeline)?;
    let records = Files::open(request.records)?;
    let judge = |pipeline: &Pipeline, roles: &[Role]| pipeline.wire(roles).err().unwrap_or_default();
    let compiled = Compiled::with_cache(compile_cache::open(request.cache, shell)?);
    let components = Components::load(&[&pipeline], &judge, request.cargo, &compiled, shell)?;
    interrupt::check()?;
    let wired = Wired::new(&components, &pipeline, shell)?;
    let wiring = &wired.wiring;
    if shell.is_for_programs() {
        // Outputs that the manifest does not name are known only now.
        let is_stdout = |node: &WiredNode| matches!(node, WiredNode::Output(output) if output.is_stdout());
        if wiring.nodes.iter().any(is_stdout) {
            return Err(refused_stdout(OTHER_OUTPUT).into());
        }
    }

    let Judged { wiring, roles, components: loaded, subjects, copies, delivery } =
        wired.judge(&pipeline, !request.ignore_budget, &components.levels, shell)?;

    uses.extend(components.file_uses());
    if pipeline.outputs.is_empty() {
        wiring.outputs().for_each(|(_, output)| uses.extend(output.file_uses()));
    }
    uses.write_messages().refuse()?;
    let flows = interrupt::begin_flows(drain)?;
    letters.give_up_at(&flows.cut());
    shell.hurry();
    let bodies = bodies(&wiring, &pipeline, &loaded, &copies, shell)?;
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
    if delivery.resumes {
        shell.status("Delivering", delivery)?;
    }
    let flow = Flow::start(&wiring.graph, bodies, control).and_then(Flow::run);
    let dropped = bar.finish(shell);
    let written = records.write(&pipeline.name, &wiring.graph, shell);
    if let Err(error) = &flow
        && has_closed_stdout(error, &wiring, &roles)
    {
        written?;
        print_dead_letters(&letters, shell)?;
        return Err(StdoutClosed.into());
    }
    // A flow that a signal stopped this early has not failed: report the signal.
    if let Err(error @ (torvyn_runtime::Error::Cancelled | torvyn_runtime::Error::Start { .. })) = &flow
        && (matches!(error, torvyn_runtime::Error::Cancelled) || error.is_cut_off())
    {
        interrupt::check()?;
    }
    let mut account =
        flow.map_err(|error| add_endpoint_context(error, &wiring, &pipeline, &shell.sources)).inspect_err(|_| {
            // The error to report is that of the flow. Missing records are only a warning beside it.
            written.as_ref().err().inspect(|error| {
                shell.record(FailureRecord::from_error(error));
                shell.warn(format_args!("{error:#}")).ok();
            });
            print_dead_letters(&letters, shell).ok();
        })?;
    written?;
    dropped.add_to(&mut account);
    let mut found = Diagnostics::default();
    if !request.ignore_budget {
        found.extend(lints::check_run_budget(&account, &pipeline, &components.levels));
    }
    found.extend(lints::check_pool(&account.pool, &pool, &pipeline, &components.levels));
    let levels: Vec<_> = subjects.into_iter().map(|subject| subject.levels).collect();
    found.extend(lints::check_run_stages(&account, &pipeline, &wiring, &levels));
    let interrupted = interrupt::exit();
    Ok(Finished { pipeline: pipeline.name, account, letters, interrupted, drain, found })
}

/// The components of a pipeline, connected.
pub(crate) struct Wired {
    pub(crate) wiring: Wiring,
    roles: Vec<Role>,
    ready: Vec<Ready>,
}

/// The components of a pipeline whose copies are within its budgets.
pub(crate) struct Judged {
    pub(crate) wiring: Wiring,
    pub(crate) roles: Vec<Role>,
    /// In the order of the stages.
    pub(crate) components: Vec<Component>,
    pub(crate) subjects: Vec<Subject>,
    /// What each stage is held to.
    pub(crate) copies: Vec<(contract::Budget, Bounds)>,
    pub(crate) delivery: Delivery,
}

impl Wired {
    /// Connects the components of a pipeline.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if they cannot be connected; the reason has been printed.
    pub(crate) fn new(components: &Components, pipeline: &Pipeline, shell: &mut Shell) -> anyhow::Result<Wired> {
        let ready = components.stages(pipeline);
        let roles: Vec<_> = ready.iter().map(|ready| Role::from(ready.component.profile().kind)).collect();
        let wiring = pipeline.wire(&roles).or_else(|found| report_and_stop(&found, shell))?;
        Ok(Wired { wiring, roles, ready })
    }

    /// Compares what the stages can copy with the budgets, if these are to be enforced.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if a budget allows less, or a stage with replicas can have a state; the reason has been printed.
    pub(crate) fn judge(
        self,
        pipeline: &Pipeline,
        has_budgets: bool,
        levels: &Levels,
        shell: &mut Shell,
    ) -> anyhow::Result<Judged> {
        let Wired { wiring, roles, ready } = self;
        let (components, mut subjects): (Vec<_>, Vec<_>) =
            ready.into_iter().map(|ready| (ready.component, ready.subject)).unzip();
        if !has_budgets {
            subjects.iter_mut().for_each(|subject| subject.budget = Budget::default());
        }
        let verdicts = subjects.iter().map(Subject::verdict).collect::<Option<Vec<_>>>();
        let verdicts = verdicts.context("a loaded component has been analysed")?;
        let stateful: Diagnostics = check_replicas(pipeline, subjects.iter().zip(&verdicts)).into_iter().collect();
        let delivery = Delivery::new(pipeline, subjects.iter().zip(&verdicts));
        let unproven: Diagnostics = stateful.into_iter().chain(delivery.check(pipeline)).collect();
        if !unproven.is_empty() {
            return report_and_stop(&unproven, shell);
        }
        if has_budgets {
            within_budget(&subjects, &verdicts, levels, pipeline, &wiring, shell)?;
        }
        let copies = subjects.iter().zip(&verdicts);
        let copies = copies.map(|(subject, verdict)| (subject.budget.limits(), verdict.bounds())).collect();
        Ok(Judged { wiring, roles, components, subjects, copies, delivery })
    }
}

/// Warns about what an interrupted flow could not finish.
fn warn_cut_off(cut_off: &CutOffUse, drain: Duration, shell: &mut Shell) -> std::io::Result<()> {
    let names: Vec<_> = cut_off.interrupted.iter().map(|name| format!("`{name}`")).collect();
    let in_a_call = match &names[..] {
        [] => "nothing was in a call".to_string(),
        [one] => format!("{one} was in a call"),
        several => format!("{} were in calls", several.join(" and ")),
    };
    let count = run_report::grouped(cut_off.undelivered);
    let elements = noun(cut_off.undelivered, "element");
    shell.warn(format_args!("interrupted, and cut off before its drain time of {drain:?} was over: {in_a_call}"))?;
    shell.warn(format_args!("{count} {elements} that had been read did not reach the output"))?;
    shell.note("`--drain`, or `runtime.drain` in Torvyn.toml, sets how long a run may take to end")
}

/// Whether a flow ended because the reader of standard output closed it, as `| head -n 1` does, and nothing else is lost:
/// there is no other output and no sink.
fn has_closed_stdout(error: &torvyn_runtime::Error, wiring: &Wiring, roles: &[Role]) -> bool {
    let torvyn_runtime::Error::Output { output: name, source, .. } = error else { return false };
    let is_stdout = |output: &dyn Output| output.is_stdout() || output.path().is_some_and(endpoint::is_descriptor);
    let outputs = || wiring.outputs().filter(|(_, output)| !output.drops_elements());
    source.kind() == std::io::ErrorKind::BrokenPipe
        && outputs().count() == 1
        && outputs().all(|(node, output)| node == name && is_stdout(output))
        && !roles.contains(&Role::Sink)
}

/// Prints which files have dead letters of the run.
fn print_dead_letters(letters: &DeadLetterFiles, shell: &mut Shell) -> std::io::Result<()> {
    let written = letters.written();
    written.iter().try_for_each(|(path, count)| {
        shell.status("Dead letters", format_args!("{} in `{}`", run_report::grouped(*count), path.display()))
    })
}

/// How to choose an output other than standard output.
const OTHER_OUTPUT: &str = "add `--output FILE`, or `--output /dev/null` if you only want the report";

fn refused_stdout(help: &str) -> Stop {
    Stop::new(Exit::Usage, "the elements and `--message-format` both write to standard output").help(help)
}

/// Refuses to write anything else to standard output if a program reads the account there: the two could not be told
/// apart.
fn refuse_stdout(pipeline: &Pipeline, request: &Request<'_>) -> Result<(), Stop> {
    for output in &pipeline.outputs {
        let help = match &pipeline.outputs[..] {
            [_] => OTHER_OUTPUT.to_string(),
            _ => format!("name a file for output `{}` in `{}`", output.name, pipeline.file.display()),
        };
        if output.output.is_stdout() {
            return Err(refused_stdout(&help));
        }
        if let Some(path) = output.output.path() {
            programs::refuse_stdout(path, "the output", &help)?;
        }
    }
    let letters = pipeline.stages.iter().filter_map(|stage| stage.on_failure.dead_letters.as_ref());
    let report = request.report.map(|path| (path, result_file::PAGE));
    let records = request.records.files().map(|(path, what)| (path.as_path(), what));
    for (path, what) in letters.map(|path| (path.as_path(), "the dead-letter file")).chain(records).chain(report) {
        programs::refuse_stdout(path, what, "name another file")?;
    }
    Ok(())
}

/// The selected pipeline with the overrides of the arguments, and the settings of `[runtime]`. Warns about other pipelines
/// that are broken: they do not keep this one from running.
fn pipeline(request: &Request<'_>, shell: &mut Shell) -> anyhow::Result<Result<(Pipeline, Runtime), Diagnostics>> {
    let manifest = match Manifest::load(&manifest_path(request.cargo), &mut shell.sources) {
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
        let input = input::from_argument(path, pipeline.input.as_deref());
        pipeline = pipeline.with_input(input);
    }
    if let Some(path) = request.output {
        let replaced = pipeline.outputs.first().map(|output| &*output.output);
        let output = output::from_argument(path, replaced);
        pipeline = pipeline.with_output(output)?;
    }
    Ok(pipeline)
}

/// The manifest beside the Cargo.toml of `--manifest-path`, or else the nearest one in or above the current folder.
pub(crate) fn manifest_path(args: &CargoArgs) -> PathBuf {
    if let Some(cargo_toml) = &args.manifest_path {
        return cargo_toml.with_file_name(MANIFEST);
    }
    let here = env::current_dir().unwrap_or_default();
    let nearest = here.ancestors().map(|folder| folder.join(MANIFEST)).find(|path| path.is_file());
    nearest.map_or_else(|| PathBuf::from(MANIFEST), |path| paths::from_here(&path))
}

/// Refuses a pipeline that can copy more than its budgets allow.
fn within_budget(
    subjects: &[Subject],
    verdicts: &[StageVerdict],
    levels: &Levels,
    pipeline: &Pipeline,
    wiring: &Wiring,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let mut found = Diagnostics::default();
    for (subject, verdict) in subjects.iter().zip(verdicts) {
        found.extend(lints::check_budget(subject, verdict, &mut shell.sources));
    }
    found.extend(lints::check_pipeline(&Composed::new(pipeline, wiring, verdicts), pipeline, levels));
    if found.errors() == 0 {
        return Ok(());
    }
    shell.diagnostics(&found)?;
    let stop = Stop::new(Exit::Findings, format!("pipeline `{}` is over its copy budget", pipeline.name));
    Err(stop.code(failure::OVER_BUDGET).help("run it anyway with `--ignore-budget`").into())
}

/// Refuses outputs that cannot be written.
fn check_outputs(pipeline: &Pipeline) -> anyhow::Result<()> {
    pipeline
        .outputs
        .iter()
        .try_for_each(|NamedOutput { output, .. }| output.check_writable().with_context(|| cannot_write(&**output)))
}

/// The error for an output that cannot be written.
fn cannot_write(output: &dyn Output) -> Stop {
    Stop::new(Exit::Failed, format!("cannot write {}", output.name())).code(failure::OUTPUT_FAILED)
}

/// Opens the endpoints and pairs every stage with its component and settings.
pub(crate) fn bodies(
    wiring: &Wiring,
    pipeline: &Pipeline,
    components: &[Component],
    copies: &[(contract::Budget, Bounds)],
    shell: &mut Shell,
) -> anyhow::Result<Vec<Body>> {
    let body = |node: &WiredNode| {
        Ok(match node {
            WiredNode::Input(input) => {
                if let Some(awaited) = input.waits_for() {
                    shell.status("Waiting", format_args!("for {awaited}"))?;
                }
                let refused = || Stop::new(Exit::Failed, format!("cannot read {}", input.name()));
                Body::Input(input.open().with_context(|| refused().code(failure::INPUT_FAILED))?)
            }
            WiredNode::Output(output) => Body::Output(wait_for_output(&**output, shell)?),
            WiredNode::Stage(index) => {
                let (component, stage) = (components[*index].clone(), &pipeline.stages[*index]);
                let (config, limits) = (stage.config.clone(), limits(stage));
                let (budget, bounds) = copies[*index];
                let (policy, batch, replicas) = (stage.on_failure.policy, stage.batch, stage.replicas.count());
                Body::Stage(Stage { config, limits, budget, bounds, policy, batch, replicas, ..Stage::new(component) })
            }
        })
    };
    wiring.nodes.iter().map(body).collect()
}

/// Opens an output. Waits for a reader if it is a FIFO.
fn wait_for_output(output: &dyn Output, shell: &mut Shell) -> anyhow::Result<Box<dyn endpoint::Output>> {
    let mut is_reported = false;
    loop {
        match output.open() {
            Err(error) if NoReader::is(&error) => {
                if !std::mem::replace(&mut is_reported, true) {
                    shell.status("Waiting", format_args!("for a reader of the FIFO {}", output.name()))?;
                }
                interrupt::sleep(LOOK)?;
            }
            opened => return opened.with_context(|| cannot_write(output)),
        }
    }
}

/// The number of bytes of all inputs, if it can be known.
fn input_bytes(wiring: &Wiring) -> Option<u64> {
    let bytes = |node: &WiredNode| match node {
        WiredNode::Input(input) => input.size(),
        WiredNode::Stage(_) | WiredNode::Output(_) => Some(0),
    };
    wiring.nodes.iter().map(bytes).sum::<Option<u64>>().filter(|bytes| *bytes > 0)
}

/// Adds context to the failure of a flow: its place in the manifest and, for an endpoint, the file or stream.
pub(crate) fn add_endpoint_context(
    error: torvyn_runtime::Error,
    wiring: &Wiring,
    pipeline: &Pipeline,
    sources: &Sources,
) -> anyhow::Error {
    let endpoint = match &error {
        torvyn_runtime::Error::Input { input: name, .. } | torvyn_runtime::Error::Output { output: name, .. } => {
            let node = wiring.graph.nodes().iter().position(|node| node.name == *name);
            node.and_then(|node| match &wiring.nodes[node] {
                WiredNode::Input(input) => Some(input.name()),
                WiredNode::Output(output) => Some(output.name()),
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
