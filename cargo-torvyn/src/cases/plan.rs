//! From a case to what can be run any number of times: its pipeline with the ends that the case puts there, its
//! components, and what they may copy.

use torvyn_runtime::analysis::{self, Bounds};
use torvyn_runtime::graph::Role;
use torvyn_runtime::injection::Injection;
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::policy::Then;
use torvyn_runtime::{Body, Stage};

use super::case::{Case, Config, Named, Subject};
use super::collected::Collector;
use super::fault::Fault;
use super::given::{Source, Written};
use super::letters::{ExpectedLetters, WantedLetters};
use super::schedules::Schedules;
use super::wanted::Wanted;
use crate::check::{self, Composed};
use crate::code;
use crate::components::{Components, Ready, limits};
use crate::diagnostic::{Diagnostic, Diagnostics, Sources, suggestion};
use crate::launch::{input_name, open_input};
use crate::lint::Levels;
use crate::manifest::{ComponentRef, Input, Manifest, Pipeline, WiredNode, Wiring};

/// A case and its pipeline, before anything is known of the components.
pub(crate) struct Draft<'a> {
    /// The case.
    pub(crate) case: &'a Case,
    /// The pipeline, with the settings of the case.
    pub(crate) pipeline: Pipeline,
    /// Which stage each fault of the case is of, by index.
    faults: Vec<usize>,
    /// Which stage each of its expectations of dead letters is of.
    letters: Vec<usize>,
    pool: PoolSettings,
}

/// A case that can run.
pub(crate) struct Plan<'a> {
    /// The case.
    pub(crate) case: &'a Case,
    pub(super) pipeline: Pipeline,
    pub(super) wiring: Wiring,
    stages: Vec<(Ready, analysis::Budget, Bounds)>,
    source: Option<Source>,
    /// What is wanted of each output that the case names, by the name of its node.
    pub(super) outputs: Vec<(String, Wanted)>,
    pub(super) log: Option<Wanted>,
    /// What is wanted of the dead letters of each stage that the case names.
    pub(super) letters: Vec<WantedLetters>,
    /// Which stage each fault of the case is of, by index.
    faults: Vec<usize>,
    /// Under which schedules it runs.
    pub(super) schedules: Schedules,
    /// What it can copy beyond its budgets; it is not run then.
    pub(super) over_budget: Diagnostics,
    pub(super) levels: Levels,
    /// How much payload memory its flow keeps.
    pub(super) pool: PoolSettings,
}

impl<'a> Draft<'a> {
    /// The pipeline of a case.
    ///
    /// # Errors
    ///
    /// The names in it that mean nothing.
    pub(crate) fn new(case: &'a Case, manifest: &Manifest) -> Result<Draft<'a>, Diagnostics> {
        let mut pipeline = match &case.subject {
            Subject::Pipeline(None) => manifest
                .select(None)
                .map_err(|wrong| wrong.label(case.file(), case.span.clone(), "this case names none"))?
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
        for Config { stage, pairs } in &case.config {
            let index = match stage {
                Some(stage) => find_stage(case, &pipeline, stage)?,
                None => 0,
            };
            pipeline.stages[index].configure(pairs);
        }
        let fault = |fault: &Fault| fault.stage.as_ref().map_or(Ok(0), |stage| find_stage(case, &pipeline, stage));
        let faults = case.faults.iter().map(fault).collect::<Result<_, _>>()?;
        let letters = case.letters.iter().map(|expected| find_letters(case, &pipeline, expected));
        let letters = letters.collect::<Result<_, _>>()?;
        Ok(Draft { case, pipeline, faults, letters, pool: manifest.pool.settings.clone() })
    }

    /// Whether a stage of it is this package of the workspace.
    pub(crate) fn runs(&self, package: &str) -> bool {
        let is_it = |component: &ComponentRef| matches!(component, ComponentRef::Package(name) if name == package);
        self.pipeline.stages.iter().any(|stage| is_it(&stage.component))
    }

    /// Makes it ready to run. With `bless` the files of expected elements are written anew.
    ///
    /// # Errors
    ///
    /// What keeps the pipeline from running, and what the case gives or expects where there is nothing to give it to or
    /// expect it of.
    pub(crate) fn plan(
        self,
        components: &Components,
        bless: bool,
        sources: &mut Sources,
    ) -> Result<Plan<'a>, Diagnostics> {
        let Draft { case, mut pipeline, faults, letters, pool } = self;
        let ready = components.stages(&pipeline);
        let roles: Vec<_> = ready.iter().map(|ready| Role::from(ready.component.profile().kind)).collect();
        let alone = !matches!(case.subject, Subject::Pipeline(_));
        if alone && roles == [Role::Sink] {
            pipeline.outputs.clear();
        }
        let wiring = pipeline.wire(&roles)?;

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
            match expected.wanted(case.file(), bless) {
                Ok(wanted) => outputs.push((node, wanted)),
                Err(wrong) => found.extend(wrong),
            }
        }
        let log = case.log.as_ref().map(|expected| expected.wanted(case.file(), false)).transpose()?;
        let mut wanted_letters = Vec::new();
        for (expected, stage) in case.letters.iter().zip(letters) {
            match expected.wanted(&pipeline.stages[stage].name, case.file(), bless) {
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
            subject.over_budget(verdict, sources, &mut over_budget);
        }
        over_budget.extend(Composed::of(&wiring, &verdicts).findings(&pipeline, &components.levels));
        let over_budget = over_budget.only_errors();
        let limited = |(ready, verdict): (Ready, &analysis::StageVerdict)| {
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
        })
    }
}

/// What collects each output, by the name of its node.
pub(super) type Collectors<'a> = Vec<(&'a str, Collector)>;

impl Plan<'_> {
    /// Under other schedules than its own.
    #[must_use]
    pub(crate) fn under(self, schedules: Schedules) -> Self {
        Plan { schedules, ..self }
    }

    /// The name of the stage that each fault of the case is of.
    pub(super) fn suffering(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(|stage| self.pipeline.stages[*stage].name.as_str())
    }

    /// A flow's worth of endpoints and stages, which suffer the faults of the case, and what collects its outputs.
    ///
    /// # Errors
    ///
    /// Where the input cannot be opened.
    pub(super) fn bodies(&self, faults: &[Injection]) -> anyhow::Result<(Vec<Body>, Collectors<'_>)> {
        let mut collectors = Vec::new();
        let mut bodies = Vec::new();
        for (node, wired) in self.wiring.graph.nodes().iter().zip(&self.wiring.nodes) {
            bodies.push(match wired {
                WiredNode::Input(input) => {
                    let opened = match &self.source {
                        Some(Source::Written(elements)) => Box::new(Written::new(elements.clone())),
                        Some(Source::Input(given)) => open(given)?,
                        None => open(input)?,
                    };
                    Body::Input(match &self.case.input {
                        Some(given) => given.arrivals.of(opened),
                        None => opened,
                    })
                }
                WiredNode::Output(_) => {
                    let wanted = self.outputs.iter().find(|(name, _)| *name == node.name);
                    let collector = Collector::new(wanted.map(|(_, wanted)| wanted));
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
                        faults: suffered.map(|(_, fault)| fault.clone()).collect(),
                        ..Stage::new(ready.component.clone())
                    })
                }
            });
        }
        Ok((bodies, collectors))
    }

    /// What a run showed to be beyond the budget of the pipeline.
    pub(super) fn measured_over_budget(&self, account: &torvyn_runtime::Account) -> Option<Diagnostic> {
        check::measured_over_budget(&self.pipeline, &self.levels, account)
    }
}

/// The name of an output, as a case has it.
pub(super) fn output_name(node: &str) -> &str {
    node.rsplit_once('.').map_or(node, |(_, output)| output)
}

fn open(input: &Input) -> anyhow::Result<Box<dyn torvyn_runtime::endpoint::Input>> {
    use anyhow::Context as _;
    open_input(input).with_context(|| format!("cannot read {}", input_name(input)))
}

fn select<'a>(case: &Case, manifest: &'a Manifest, name: &Named) -> Result<&'a Pipeline, Diagnostic> {
    manifest.select(Some(&name.name)).map_err(|wrong| wrong.label(case.file(), name.span.clone(), ""))
}

fn find_stage(case: &Case, pipeline: &Pipeline, stage: &Named) -> Result<usize, Diagnostic> {
    let names: Vec<_> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    names.iter().position(|known| *known == stage.name).ok_or_else(|| {
        let message = format!("there is no stage `{}` in `{}`", stage.name, pipeline.name);
        let diagnostic = Diagnostic::error(code::UNKNOWN_STAGE, message);
        diagnostic.label(case.file(), stage.span.clone(), "").help(suggestion(&stage.name, "stages", &names))
    })
}

/// The stage whose dead letters a case names, by index. It has to leave some.
fn find_letters(case: &Case, pipeline: &Pipeline, expected: &ExpectedLetters) -> Result<usize, Diagnostic> {
    let index = expected.stage.as_ref().map_or(Ok(0), |stage| find_stage(case, pipeline, stage))?;
    let stage = &pipeline.stages[index];
    if stage.on_failure.policy.then == Then::DeadLetter {
        return Ok(index);
    }
    let wrong = Diagnostic::error(code::NO_DEAD_LETTERS, format!("stage `{}` leaves no dead letters", stage.name));
    let help = "give the stage a file of them: on-failure = { dead-letter = \"failed.jsonl\" }";
    Err(wrong.label(case.file(), expected.span.clone(), "").help(help))
}

/// The name of the node that an output of the case is.
fn find_output(case: &Case, wiring: &Wiring, output: &Named, found: &mut Diagnostics) -> Option<String> {
    let nodes = wiring.graph.nodes().iter().zip(&wiring.nodes);
    let ends = nodes.filter(|(_, wired)| matches!(wired, WiredNode::Output(_)));
    let ends: Vec<_> = ends.map(|(node, _)| node.name.as_str()).collect();
    let end = ends.iter().find(|end| output_name(end) == output.name);
    if end.is_none() {
        let names: Vec<_> = ends.iter().map(|end| output_name(end)).collect();
        let message = format!("there is no output `{}` in this case", output.name);
        let diagnostic = Diagnostic::error(code::UNKNOWN_OUTPUT, message).label(case.file(), output.span.clone(), "");
        found.push(diagnostic.help(suggestion(&output.name, "outputs", &names)));
    }
    end.map(|end| (*end).to_string())
}

/// An input that nothing takes from, or none where something does.
fn check_input(case: &Case, wiring: &Wiring) -> Option<Diagnostic> {
    let own = wiring.nodes.iter().find_map(|node| match node {
        WiredNode::Input(input) => Some(input),
        WiredNode::Stage(_) | WiredNode::Output(_) => None,
    });
    match (&case.input, own) {
        (Some(given), None) => {
            let diagnostic = Diagnostic::error(code::UNUSED_INPUT, "nothing takes from the input");
            let label = "a source component makes the elements";
            Some(diagnostic.label(case.file(), given.span.clone(), label).help("leave `input` out"))
        }
        (None, Some(Input::Stdin { .. })) => {
            let message = "a case needs the key `input` where elements come from standard input";
            let help = "give it elements: input = { lines = [\"one\", \"two\"] }";
            Some(case.wrong(code::MISSING_KEY, message).help(help))
        }
        (None, Some(input)) => {
            input.check_path().map(|wrong| wrong.label(case.file(), case.span.clone(), "the input of its pipeline"))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}
