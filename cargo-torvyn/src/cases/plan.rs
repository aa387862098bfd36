//! Turns a case into a plan that can run any number of times: its pipeline with the ends of the case, its components, and
//! their copy budgets.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{self, Bounds};
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::pipeline::injection::Injection;
use torvyn_runtime::pipeline::policy::Then;
use torvyn_runtime::{Body, Stage};

use crate::cases::case::case_input::{ElementInput, Source};
use crate::cases::case::fault::CaseFault;
use crate::cases::case::{Case, Config, Subject};
use crate::cases::compare::capture::Collector;
use crate::cases::compare::dead_letters::{DeadLetterExpectation, ExpectedDeadLetters};
use crate::cases::compare::expectation::Expectation;
use crate::cases::plan::blessed_files::BlessedFiles;
use crate::cases::plan::schedules::Schedules;
use crate::cases::plan::subpipeline::find_stage;
use crate::check::{Composed, check_replicas, lints};
use crate::config::file_uses::FileUses;
use crate::config::lint_levels::Levels;
use crate::config::spanned::Named;
use crate::endpoints::Input;
use crate::manifest::{ComponentRef, Manifest, Pipeline, WiredNode, Wiring};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Sources, suggestion};
use crate::run::components::{Components, Ready, limits};

pub(crate) mod blessed_files;
pub(crate) mod fingerprint;
pub(crate) mod schedules;
pub(crate) mod subpipeline;

/// A case and its pipeline, before the components are known.
pub(crate) struct Draft<'a> {
    /// The case.
    pub(crate) case: &'a Case,
    /// The pipeline, with the settings of the case.
    pub(crate) pipeline: Pipeline,
    /// The whole pipeline, if the case runs only a part of it.
    whole: Option<Pipeline>,
    /// For each fault of the case, the index of its stage.
    faults: Vec<usize>,
    /// For each expectation of dead letters, the index of its stage.
    letters: Vec<usize>,
    pool: PoolSettings,
}

/// A case that can run.
pub(crate) struct Plan<'a> {
    /// The case.
    pub(crate) case: &'a Case,
    pub(crate) pipeline: Pipeline,
    pub(crate) wiring: Wiring,
    /// Its stages, each with its budget and its proven bounds.
    pub(crate) stages: Vec<(Ready, contract::Budget, Bounds)>,
    source: Option<Source>,
    /// The expectation of each output that the case names, by the name of its node.
    pub(crate) outputs: Vec<(String, Expectation)>,
    pub(crate) log: Option<Expectation>,
    /// The expectation of the dead letters of each stage that the case names.
    pub(crate) letters: Vec<DeadLetterExpectation>,
    /// For each fault of the case, the index of its stage.
    faults: Vec<usize>,
    /// The schedules that it runs under.
    pub(crate) schedules: Schedules,
    /// What exceeds its budgets. Such a case is not run.
    pub(crate) over_budget: Diagnostics,
    pub(crate) levels: Levels,
    /// How much payload memory its flow keeps.
    pub(crate) pool: PoolSettings,
    /// The files that `--bless` must not write.
    pub(crate) protected: Arc<FileUses>,
    /// The files that `--bless` updates.
    pub(crate) blessed_files: Arc<BlessedFiles>,
}

impl<'a> Draft<'a> {
    /// The pipeline of a case.
    ///
    /// # Errors
    ///
    /// The names in the case that are unknown.
    pub(crate) fn new(case: &'a Case, manifest: &Manifest) -> Result<Draft<'a>, Diagnostics> {
        let mut pipeline = match &case.subject {
            Subject::Pipeline(None) => manifest
                .select(None)
                .map_err(|wrong| with_place(wrong, case, &case.span, "this case names no pipeline"))?
                .clone(),
            Subject::Pipeline(Some(name)) => select(case, manifest, name)?.clone(),
            Subject::StageOf { pipeline, stage } => {
                let pipeline = select(case, manifest, pipeline)?;
                let index = find_stage(case, pipeline, stage)?;
                let stage = pipeline.stages[index].clone();
                Pipeline::alone(&pipeline.name, stage, &pipeline.file, pipeline.span.clone())
            }
            Subject::Stage(stage) => Pipeline::alone(&case.name, (**stage).clone(), case.file(), case.span.clone()),
        };
        let whole = case.is_part().then(|| pipeline.clone());
        if let Some(whole) = &whole {
            pipeline = subpipeline::extract(case, whole, &[])?;
        }
        configure(case, &mut pipeline)?;
        let (faults, letters) = (find_faults(case, &pipeline)?, find_letters(case, &pipeline)?);
        Ok(Draft { case, pipeline, whole, faults, letters, pool: manifest.runtime.pool.settings.clone() })
    }

    /// The packages of the workspace that the case runs, in the order of its stages.
    pub(crate) fn packages(&self) -> Vec<&str> {
        let mut packages = Vec::new();
        for stage in &self.pipeline.stages {
            if let ComponentRef::Package(name) = &stage.component
                && !packages.contains(&name.as_str())
            {
                packages.push(name);
            }
        }
        packages
    }

    /// Whether the case runs this package of the workspace.
    pub(crate) fn runs(&self, package: &str) -> bool {
        self.packages().contains(&package)
    }

    /// Plans the case. With `bless`, the files of expected elements are updated.
    ///
    /// # Errors
    ///
    /// Why the pipeline cannot run, and inputs or expectations of the case that belong to nothing.
    pub(crate) fn plan(
        self,
        components: &Components,
        bless: bool,
        sources: &mut Sources,
    ) -> Result<Plan<'a>, Diagnostics> {
        let Draft { case, mut pipeline, whole, mut faults, mut letters, pool } = self;
        let mut ready = components.stages(&pipeline);
        let mut roles = roles_of(&ready);
        if let Some(whole) = &whole {
            // Only now it is known which stages are sources, and so which stages belong to the part.
            let stages = pipeline.stages.iter().zip(&roles).filter(|(_, role)| **role == Role::Source);
            let sources: Vec<_> = stages.map(|(stage, _)| &*stage.name).collect();
            pipeline = subpipeline::extract(case, whole, &sources)?;
            configure(case, &mut pipeline)?;
            (faults, letters) = (find_faults(case, &pipeline)?, find_letters(case, &pipeline)?);
            ready = components.stages(&pipeline);
            roles = roles_of(&ready);
        }
        let wiring = wire(case, &mut pipeline, &roles)?;

        let mut found = Diagnostics::default();
        found.extend(check_input(case, &wiring));
        let source = match case.input.as_ref().map(|input| input.source(case.file())) {
            Some(Ok(source)) => Some(source),
            Some(Err(wrong)) => {
                found.extend(wrong);
                None
            }
            None => None,
        };
        let mut outputs = Vec::new();
        for (name, expected) in &case.outputs {
            let Some(node) = find_output(case, &wiring, name, &mut found) else { continue };
            match expected.load(case.file(), bless) {
                Ok(wanted) => outputs.push((node, wanted)),
                Err(wrong) => found.extend(wrong),
            }
        }
        let log = case.log.as_ref().map(|expected| expected.load(case.file(), false)).transpose()?;
        let mut wanted_letters = Vec::new();
        for (expected, stage) in case.letters.iter().zip(letters) {
            match expected.load(&pipeline.stages[stage].name, case.file(), bless) {
                Ok(wanted) => wanted_letters.push(wanted),
                Err(wrong) => found.extend(wrong),
            }
        }
        let failing = case.fails.iter().filter_map(|fails| fails.stage.as_ref());
        for stage in case.account.stages.iter().map(|(stage, _)| stage).chain(failing) {
            found.extend(find_stage(case, &pipeline, stage).err());
        }
        if !found.is_empty() {
            return Err(found);
        }

        let mut over_budget = Diagnostics::default();
        let verdicts: Vec<_> = ready.iter().filter_map(|ready| ready.subject.verdict()).collect();
        for (Ready { subject, .. }, verdict) in ready.iter().zip(&verdicts) {
            over_budget.extend(lints::check_budget(subject, verdict, sources));
        }
        let subjects = ready.iter().map(|ready| &ready.subject);
        let stateful: Diagnostics = check_replicas(&pipeline, subjects.zip(&verdicts)).into_iter().collect();
        if !stateful.is_empty() {
            return Err(stateful);
        }
        let composed = Composed::new(&pipeline, &wiring, &verdicts);
        over_budget.extend(lints::check_pipeline(&composed, &pipeline, &components.levels));
        let over_budget = over_budget.only_errors();
        let limited = |(ready, verdict): (Ready, &StageVerdict)| {
            let budget = ready.subject.budget.limits();
            (ready, budget, verdict.bounds())
        };
        let stages = ready.into_iter().zip(&verdicts).map(limited).collect();
        let levels = components.levels.clone();
        let schedules = Schedules::default();
        Ok(Plan {
            case,
            pipeline,
            wiring,
            stages,
            source,
            outputs,
            log,
            letters: wanted_letters,
            faults,
            schedules,
            over_budget,
            levels,
            pool,
            protected: Arc::default(),
            blessed_files: Arc::default(),
        })
    }
}

impl Draft<'_> {
    /// Why the case cannot run with stages of these roles, as far as that is known without its components.
    pub(crate) fn check_roles(&self, roles: &[Role]) -> Diagnostics {
        // Which stages belong to a part depends on its sources; that is reported when the case is planned.
        if self.whole.is_some() {
            return Diagnostics::default();
        }
        match wire(self.case, &mut self.pipeline.clone(), roles) {
            Ok(wiring) => check_input(self.case, &wiring).into_iter().collect(),
            Err(wrong) => wrong,
        }
    }

    /// The files that the case reads or compares with.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        paths(self.case, &self.pipeline)
    }

    /// The files that the case reads and that `--bless` must not write.
    pub(crate) fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        let own = self.pipeline.input.as_deref().filter(|_| self.case.input.is_none()).and_then(Input::path);
        for path in self.case.read_paths().into_iter().chain(own) {
            uses.read(format!("a file that case `{}` reads", self.case.name), path);
        }
        for stage in &self.pipeline.stages {
            if let ComponentRef::Path(path) = &stage.component {
                uses.read("a component", path);
            }
        }
        uses
    }
}

/// The files that a case reads or compares with.
fn paths<'a>(case: &'a Case, pipeline: &'a Pipeline) -> Vec<&'a Path> {
    let own = pipeline.input.as_deref().filter(|_| case.input.is_none()).and_then(Input::path);
    case.paths().into_iter().chain(own).collect()
}

/// Builds the graph of what a case runs. A sink at its end has no output.
fn wire(case: &Case, pipeline: &mut Pipeline, roles: &[Role]) -> Result<Wiring, Diagnostics> {
    let alone = !matches!(case.subject, Subject::Pipeline(_));
    if alone || case.to.is_some() {
        let sinks = roles.iter().enumerate().filter(|(_, role)| **role == Role::Sink);
        sinks.for_each(|(index, _)| pipeline.remove_outputs_of(index));
    }
    pipeline.wire(roles)
}

/// The collectors of the outputs, by the names of their nodes.
pub(crate) type Collectors<'a> = Vec<(&'a str, Collector)>;

impl Plan<'_> {
    /// Sets the files that `--bless` must not write.
    #[must_use]
    pub(crate) fn with_protected(self, protected: &Arc<FileUses>) -> Self {
        Plan { protected: protected.clone(), ..self }
    }

    /// Sets the files that `--bless` updates.
    #[must_use]
    pub(crate) fn with_blessed_files(self, blessed_files: Arc<BlessedFiles>) -> Self {
        Plan { blessed_files, ..self }
    }

    /// Whether a stage can draw random numbers.
    pub(crate) fn draws_random_numbers(&self) -> bool {
        let imports =
            |ready: &Ready| ready.component.profile().other_imports.iter().any(|name| name.starts_with("wasi:random/"));
        self.stages.iter().any(|(ready, ..)| imports(ready))
    }

    /// The files of expected elements.
    pub(crate) fn expected_files(&self) -> impl Iterator<Item = &Path> {
        let wanted = self.outputs.iter().map(|(_, wanted)| wanted);
        let wanted = wanted.chain(self.letters.iter().map(|letters| &letters.elements));
        wanted.filter_map(|wanted| Some(wanted.file.as_ref()?.0.as_path()))
    }

    /// Sets the schedules to run under.
    #[must_use]
    pub(crate) fn with_schedules(self, schedules: Schedules) -> Self {
        Plan { schedules, ..self }
    }

    /// The name of the stage of each fault.
    pub(crate) fn faulted_stages(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(|stage| self.pipeline.stages[*stage].name.as_str())
    }

    /// Builds the endpoints and stages of one flow, with the faults of the case, and the collectors of its outputs. With
    /// `keep`, the collectors keep what the comparison needs; otherwise they only count.
    ///
    /// # Errors
    ///
    /// If the input cannot be opened.
    pub(crate) fn bodies(&self, faults: &[Injection], keep: bool) -> anyhow::Result<(Vec<Body>, Collectors<'_>)> {
        let mut collectors = Vec::new();
        let mut bodies = Vec::new();
        for (node, wired) in self.wiring.graph.nodes().iter().zip(&self.wiring.nodes) {
            bodies.push(match wired {
                WiredNode::Input(input) => {
                    let opened = match &self.source {
                        Some(Source::Written(elements)) => Box::new(ElementInput::new(elements.clone())),
                        Some(Source::Input(given)) => open(&**given)?,
                        None => open(&**input)?,
                    };
                    Body::Input(match &self.case.input {
                        Some(given) => given.arrivals.delay(opened),
                        None => opened,
                    })
                }
                WiredNode::Output(_) => {
                    let wanted = self.outputs.iter().find(|(name, _)| keep && *name == node.name);
                    let collector = Collector::new(wanted.map(|(_, wanted)| wanted.capture()).unwrap_or_default());
                    collectors.push((&*node.name, collector.clone()));
                    Body::Output(Box::new(collector))
                }
                WiredNode::Stage(index) => {
                    let (ready, budget, bounds) = &self.stages[*index];
                    let stage = &self.pipeline.stages[*index];
                    let suffered = self.faults.iter().zip(faults).filter(|(stage, _)| *stage == index);
                    Body::Stage(Stage {
                        config: stage.config.clone(),
                        limits: limits(stage),
                        budget: *budget,
                        bounds: *bounds,
                        policy: stage.on_failure.policy,
                        batch: stage.batch,
                        replicas: stage.replicas.count(),
                        injections: suffered.map(|(_, fault)| fault.clone()).collect(),
                        ..Stage::new(ready.component.clone())
                    })
                }
            });
        }
        Ok((bodies, collectors))
    }

    /// The files that the case reads or compares with.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        paths(self.case, &self.pipeline)
    }

    /// The version of the component of each stage, and the manifests of their packages.
    pub(crate) fn loaded_stages(&self) -> (Vec<usize>, Vec<&Path>) {
        let ready = || self.stages.iter().map(|(ready, ..)| ready);
        let packages = ready().filter_map(|ready| Some(ready.subject.package.as_ref()?.manifest.as_path()));
        (ready().map(|ready| ready.version).collect(), packages.collect())
    }

    /// Reports a measured amplification over the budget of the pipeline.
    pub(crate) fn measured_over_budget(&self, account: &torvyn_runtime::Account) -> Vec<Diagnostic> {
        lints::check_run_budget(account, &self.pipeline, &self.levels)
    }
}

/// The name of an output as a case writes it.
pub(crate) fn output_name(node: &str) -> &str {
    node.rsplit_once('.').map_or(node, |(_, output)| output)
}

fn open(input: &dyn Input) -> anyhow::Result<Box<dyn torvyn_runtime::endpoint::Input>> {
    use anyhow::Context as _;
    input.open().with_context(|| format!("cannot read {}", input.name()))
}

fn select<'a>(case: &Case, manifest: &'a Manifest, name: &Named) -> Result<&'a Pipeline, Diagnostics> {
    manifest.select(Some(&name.name)).map_err(|wrong| with_place(wrong, case, &name.span, ""))
}

/// Labels the case in diagnostics that have no place. Those of a broken pipeline have their own.
fn with_place(wrong: Diagnostics, case: &Case, span: &Range<usize>, text: &str) -> Diagnostics {
    let place = |wrong: Diagnostic| match wrong.labels.is_empty() {
        true => wrong.label(case.file(), span.clone(), text),
        false => wrong,
    };
    wrong.into_iter().map(place).collect()
}

/// Overrides the settings of the stages with those of the case.
fn configure(case: &Case, pipeline: &mut Pipeline) -> Result<(), Diagnostic> {
    for Config { stage, pairs } in &case.config {
        let index = match stage {
            Some(stage) => find_stage(case, pipeline, stage)?,
            None => 0,
        };
        pipeline.stages[index].configure(pairs);
    }
    Ok(())
}

fn roles_of(stages: &[Ready]) -> Vec<Role> {
    stages.iter().map(|ready| Role::from(ready.component.profile().kind)).collect()
}

/// The stages of the faults, by index.
fn find_faults(case: &Case, pipeline: &Pipeline) -> Result<Vec<usize>, Diagnostic> {
    let find = |fault: &CaseFault| fault.stage.as_ref().map_or(Ok(0), |stage| find_stage(case, pipeline, stage));
    case.faults.iter().map(find).collect()
}

/// The stages whose dead letters the case names, by index. Each must keep dead letters.
fn find_letters(case: &Case, pipeline: &Pipeline) -> Result<Vec<usize>, Diagnostic> {
    let find = |expected: &ExpectedDeadLetters| {
        let index = expected.stage.as_ref().map_or(Ok(0), |stage| find_stage(case, pipeline, stage))?;
        let stage = &pipeline.stages[index];
        if stage.on_failure.policy.then == Then::DeadLetter {
            return Ok(index);
        }
        let wrong = Diagnostic::error(codes::NO_DEAD_LETTERS, format!("stage `{}` keeps no dead letters", stage.name));
        let help = "give the stage a file for them: on-failure = { dead-letter = \"failed.jsonl\" }";
        Err(wrong.label(case.file(), expected.span.clone(), "").help(help))
    };
    case.letters.iter().map(find).collect()
}

/// The name of the node of an output that the case names.
fn find_output(case: &Case, wiring: &Wiring, output: &Named, found: &mut Diagnostics) -> Option<String> {
    let nodes = wiring.graph.nodes().iter().zip(&wiring.nodes);
    let ends = nodes.filter(|(_, wired)| matches!(wired, WiredNode::Output(_)));
    let ends: Vec<_> = ends.map(|(node, _)| node.name.as_str()).collect();
    let is_named = |end: &&&str| **end == output.name;
    let end = ends.iter().find(is_named).or_else(|| ends.iter().find(|end| output_name(end) == output.name));
    if end.is_none() {
        let names: Vec<_> = ends.iter().map(|end| output_name(end)).collect();
        let message = format!("there is no output `{}` in this case", output.name);
        let diagnostic = Diagnostic::error(codes::UNKNOWN_OUTPUT, message).label(case.file(), output.span.clone(), "");
        found.push(diagnostic.help(suggestion(&output.name, "outputs", &names)));
    }
    end.map(|end| (*end).to_string())
}

/// Reports an input that is not used, or a missing one.
fn check_input(case: &Case, wiring: &Wiring) -> Option<Diagnostic> {
    let own = wiring.nodes.iter().find_map(|node| match node {
        WiredNode::Input(input) => Some(input),
        WiredNode::Stage(_) | WiredNode::Output(_) => None,
    });
    match (&case.input, own) {
        (Some(given), None) => {
            let diagnostic = Diagnostic::error(codes::UNUSED_INPUT, "nothing takes from the input");
            let label = "a source component makes the elements";
            Some(diagnostic.label(case.file(), given.span.clone(), label).help("remove `input`"))
        }
        (None, Some(input)) if !input.is_repeatable() => {
            let message = match case.from.is_empty() {
                true => format!("the case needs the key `input`: its pipeline reads {}", input.name()),
                false => "the case needs the key `input`: it starts at a stage".to_string(),
            };
            let help = "for example: input = { lines = [\"one\", \"two\"] }";
            Some(case.wrong(codes::MISSING_KEY, message).help(help))
        }
        (None, Some(input)) => {
            input.check().map(|wrong| wrong.label(case.file(), case.span.clone(), "the input of its pipeline"))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}
