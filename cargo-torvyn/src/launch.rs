//! From a pipeline in a manifest to the account of its flow: what `run` and `demo` have in common.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use torvyn_runtime::analysis::{self, Bounds, StageVerdict};
use torvyn_runtime::endpoint::{self, Directory, Discard, FileOutput, Generate, open_file, open_stdin, open_stdout};
use torvyn_runtime::graph::Role;
use torvyn_runtime::{Account, Body, Component, Control, Engine, Flow, Limits, Stage};

use crate::budget::Budget;
use crate::cargo;
use crate::check::{self, Composed, Subject};
use crate::cli::{CargoArgs, MessageFormat, RecordArgs};
use crate::diagnostic::{Diagnostics, Sources};
use crate::exit::{Exit, Stop};
use crate::interrupt::Interrupt;
use crate::lint::{Levels, LintArgs};
use crate::manifest::{ComponentRef, Input, Manifest, Output, Pipeline, Pool, WiredNode, Wiring};
use crate::progress::Bar;
use crate::records::Files;
use crate::settings::WorkspaceSettings;
use crate::shell::Shell;
use crate::workspace::{self, Workspace};

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
    /// How it was interrupted, if it was.
    interrupted: Option<Exit>,
    /// What the run showed of the pipeline and its stages.
    found: Diagnostics,
    sources: Sources,
}

impl Finished {
    /// Tells what the run showed, after its account. The exit code that follows.
    pub(crate) fn tell(&self, shell: &mut Shell) -> anyhow::Result<Exit> {
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
    let built = components(&pipeline, request.cargo, &mut sources, shell)?;

    let engine = Engine::new()?;
    let limits: Vec<_> = pipeline.stages.iter().map(limits).collect();
    let loaded = load(&engine, &pipeline, &built.paths, &limits).or_else(|found| told(&found, &sources, shell))?;
    let roles: Vec<_> = loaded.iter().map(|component| Role::from(component.profile().kind)).collect();
    let wiring = pipeline.wire(&roles).or_else(|found| told(&found, &sources, shell))?;

    let (mut subjects, levels) =
        subjects(&pipeline, &built, &loaded, &mut sources).or_else(|found| told(&found, &sources, shell))?;
    if request.ignore_budget {
        subjects.iter_mut().for_each(|subject| subject.budget = Budget::default());
    }
    let verdicts = subjects.iter().map(Subject::verdict).collect::<Option<Vec<_>>>();
    let verdicts = verdicts.context("what was loaded was analysed")?;
    if !request.ignore_budget {
        within_budget(&subjects, &verdicts, &levels, &pipeline, &wiring, &mut sources, shell)?;
    }

    let records = Files::open(request.records, &wiring)?;
    let interrupt = Interrupt::watch()?;
    let copies = subjects.iter().zip(&verdicts).map(|(subject, verdict)| (subject.budget.limits(), verdict.bounds()));
    let copies: Vec<_> = copies.collect();
    let bodies = bodies(&wiring, &pipeline, loaded, limits, &copies)?;
    let bar = Bar::new(shell, input_bytes(&wiring));
    let control = Control {
        log: bar.log(),
        cancel: interrupt.flag(),
        progress: bar.progress(),
        pool: pool.settings.clone(),
        recorder: records.recorder(),
    };
    shell.status("Running", format_args!("pipeline `{}`", pipeline.name))?;
    let flow = Flow::start(&wiring.graph, bodies, control).and_then(Flow::run);
    bar.finish();
    let written = records.write(&pipeline.name, &wiring.graph, shell);
    let account = flow.map_err(|error| named(error, &wiring, &pipeline)).inspect_err(|_| {
        // Why the flow failed is what to tell; that its records are missing is said beside it.
        written.as_ref().err().inspect(|error| _ = shell.warn(format_args!("{error:#}")));
    })?;
    written?;
    let mut found = Diagnostics::default();
    if !request.ignore_budget {
        found.extend(check::measured_over_budget(&pipeline, &levels, &account));
    }
    found.extend(check::measured_pool(&pipeline, &pool, &levels, &account.pool));
    let levels: Vec<_> = subjects.into_iter().map(|subject| subject.levels).collect();
    found.extend(check::measured_findings(&pipeline, &wiring, &levels, &account));
    Ok(Finished { pipeline: pipeline.name, account, interrupted: interrupt.exit(), found, sources })
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

/// Tells what is wrong with the manifest, and stops.
fn told<T>(found: &Diagnostics, sources: &Sources, shell: &mut Shell) -> anyhow::Result<T> {
    shell.diagnostics(found, sources)?;
    Err(Stop::silent(Exit::Failed).into())
}

/// The components of a pipeline's stages.
struct Built {
    /// One for each stage.
    paths: Vec<PathBuf>,
    /// The packages among them.
    packages: Vec<Option<workspace::Stage>>,
    /// The Cargo.toml of their workspace.
    workspace: PathBuf,
}

/// The component of each stage, built where it is a package.
fn components(
    pipeline: &Pipeline,
    args: &CargoArgs,
    sources: &mut Sources,
    shell: &mut Shell,
) -> anyhow::Result<Built> {
    let is_package = |stage: &crate::manifest::Stage| matches!(stage.component, ComponentRef::Package(_));
    let mut built: HashMap<String, (PathBuf, workspace::Stage)> = HashMap::new();
    let mut manifest = PathBuf::new();
    if pipeline.stages.iter().any(is_package) {
        let workspace = Workspace::load(args)?;
        manifest = workspace.manifest();
        let known = workspace.stages();
        let names: Vec<_> = known.iter().map(|stage| stage.package.as_str()).collect();
        let found = pipeline.check_packages(&names);
        if !found.is_empty() {
            return told(&found, sources, shell);
        }
        let wanted: Vec<_> = known
            .into_iter()
            .filter(|package| {
                let of_package = ComponentRef::Package(package.package.clone());
                pipeline.stages.iter().any(|stage| stage.component == of_package)
            })
            .collect();
        let artifacts = cargo::build(args, &wanted, MessageFormat::Human, shell, |_, _| Ok(()))?;
        let paths = artifacts.into_iter().map(|artifact| artifact.path);
        built.extend(paths.zip(wanted).map(|(path, stage)| (stage.package.clone(), (path, stage))));
    }
    let component = |stage: &crate::manifest::Stage| match &stage.component {
        ComponentRef::Path(path) => Ok((path.clone(), None)),
        ComponentRef::Package(package) => {
            let built = built.get(package).cloned().map(|(path, stage)| (path, Some(stage)));
            built.with_context(|| format!("package `{package}` was not built"))
        }
    };
    let components: Vec<_> = pipeline.stages.iter().map(component).collect::<anyhow::Result<_>>()?;
    let (paths, packages) = components.into_iter().unzip();
    Ok(Built { paths, packages, workspace: manifest })
}

/// The stages as `check` sees them: what was loaded, and what their authors declared. And the levels of what is found of
/// the pipeline.
fn subjects(
    pipeline: &Pipeline,
    built: &Built,
    loaded: &[Component],
    sources: &mut Sources,
) -> Result<(Vec<Subject>, Levels), Diagnostics> {
    let mut found = Diagnostics::default();
    let any_package = built.packages.iter().any(Option::is_some);
    let workspace = any_package.then(|| WorkspaceSettings::load(&built.workspace, sources, &mut found));
    let workspace = workspace.unwrap_or_default();
    let mut subjects = Vec::new();
    for ((stage, component), package) in pipeline.stages.iter().zip(loaded).zip(&built.packages) {
        let analysis = component.analysis().clone();
        let mut subject = match package {
            Some(package) => {
                let mut declared = Subject::package(package, &workspace, &LintArgs::default(), sources, &mut found);
                // A world that cannot be told is for `check`; the component is proof enough to run it.
                declared.read_contract(&workspace, sources).ok();
                Subject { analysis: Some(analysis), ..declared }
            }
            None => Subject::file(component.path(), workspace.pipeline_levels(), analysis),
        };
        subject.budget = stage.budget.clone().or(&subject.budget);
        subjects.push(subject);
    }
    if found.is_empty() { Ok((subjects, workspace.pipeline_levels())) } else { Err(found) }
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
    Err(stop.help("`--ignore-budget` runs it all the same").into())
}

fn limits(stage: &crate::manifest::Stage) -> Limits {
    let mut limits = Limits::default();
    let given = &stage.limits;
    if let Some(memory) = given.memory {
        limits.memory = memory as u64;
    }
    if let Some(time) = given.time {
        limits.time = time;
    }
    if let Some(handles) = given.handles {
        limits.handles = u32::try_from(handles).unwrap_or(u32::MAX);
    }
    if let Some(size) = given.component_size {
        limits.component_size = size;
    }
    if let Some(pinned) = given.pinned_bytes {
        limits.pinned_bytes = pinned;
    }
    limits
}

/// Compiles each component once, however many stages run it.
fn load(
    engine: &Engine,
    pipeline: &Pipeline,
    paths: &[PathBuf],
    limits: &[Limits],
) -> Result<Vec<Component>, Diagnostics> {
    let mut loaded: HashMap<&Path, Component> = HashMap::new();
    let mut components = Vec::new();
    for (stage, (path, limits)) in paths.iter().zip(limits).enumerate() {
        if !loaded.contains_key(path.as_path()) {
            let component = Component::load(engine, path, limits).map_err(|error| {
                let causes: Vec<_> = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
                pipeline.bad_component(stage, &causes)
            })?;
            loaded.insert(path, component);
        }
        components.extend(loaded.get(path.as_path()).cloned());
    }
    Ok(components)
}

/// Opens the endpoints, and gives every stage its component and settings.
fn bodies(
    wiring: &Wiring,
    pipeline: &Pipeline,
    components: Vec<Component>,
    limits: Vec<Limits>,
    copies: &[(analysis::Budget, Bounds)],
) -> anyhow::Result<Vec<Body>> {
    let mut stages: Vec<_> = components.into_iter().zip(limits).map(Some).collect();
    let body = |node: &WiredNode| {
        Ok(match node {
            WiredNode::Input(input) => {
                Body::Input(open_input(input).with_context(|| format!("cannot read {}", input_name(input)))?)
            }
            WiredNode::Output(output) => {
                Body::Output(open_output(output).with_context(|| format!("cannot write {}", output_name(output)))?)
            }
            WiredNode::Stage(index) => {
                let (component, limits) = stages[*index].take().context("a stage stands in the graph once")?;
                let config = pipeline.stages[*index].config.clone();
                let (budget, bounds) = copies[*index];
                Body::Stage(Stage { component, config, limits, budget, bounds })
            }
        })
    };
    wiring.nodes.iter().map(body).collect()
}

fn open_input(input: &Input) -> std::io::Result<Box<dyn endpoint::Input>> {
    Ok(match input {
        Input::File { path, framing } => Box::new(open_file(path, *framing)?),
        Input::Dir { path } => Box::new(Directory::open(path)?),
        Input::Stdin { framing } => Box::new(open_stdin(*framing)?),
        Input::Generate { count, size } => Box::new(Generate::new(*count, *size)),
    })
}

fn open_output(output: &Output) -> std::io::Result<Box<dyn endpoint::Output>> {
    Ok(match output {
        Output::File { path, framing } => Box::new(FileOutput::create(path, *framing)?),
        Output::Stdout { framing } => Box::new(open_stdout(*framing)?),
        Output::Discard => Box::new(Discard),
    })
}

fn input_name(input: &Input) -> String {
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
        WiredNode::Input(Input::Generate { count, size }) => count.checked_mul(*size as u64),
        WiredNode::Input(_) => None,
        WiredNode::Stage(_) | WiredNode::Output(_) => Some(0),
    };
    wiring.nodes.iter().map(bytes).sum::<Option<u64>>().filter(|bytes| *bytes > 0)
}

/// A failure of an endpoint, with the file or stream that it is.
fn named(error: torvyn_runtime::Error, wiring: &Wiring, pipeline: &Pipeline) -> anyhow::Error {
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
    match endpoint {
        Some(endpoint) => error.context(format!("pipeline `{}` failed at {endpoint}", pipeline.name)),
        None => error.context(format!("pipeline `{}` failed", pipeline.name)),
    }
}
