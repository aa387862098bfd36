//! `cargo torvyn check`: what stages and pipelines can copy, and whether that is within their budgets.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use torvyn_runtime::Limits;
use torvyn_runtime::analysis::{Analysis, StageVerdict};
use torvyn_runtime::graph::Role;

use crate::cargo;
use crate::check::report::{self, PipelineLine, StageLine, Summary};
use crate::check::{Baseline, Composed, Subject};
use crate::cli::{CheckArgs, FindingsFormat, MessageFormat};
use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics, Sources};
use crate::exit::{Exit, Stop};
use crate::findings::{About, Viewpoint, message, sarif};
use crate::launch;
use crate::lint::Levels;
use crate::manifest::{ComponentRef, Manifest, Pipeline};
use crate::settings::WorkspaceSettings;
use crate::shell::Shell;
use crate::workspace::Workspace;

/// What was checked, and what was found.
#[derive(Default)]
struct Checked {
    sources: Sources,
    found: Diagnostics,
    stages: Vec<(Subject, Option<StageVerdict>)>,
    pipelines: Vec<(String, Composed)>,
    /// The levels of findings that are of no stage.
    levels: Levels,
    /// The folder of the workspace, where there is one.
    root: Option<PathBuf>,
    /// What the analysis took, without cargo.
    took: Duration,
}

pub(crate) fn exec(args: CheckArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let baseline = args.baseline.as_deref().map(Baseline::load).transpose()?;
    let mut checked = if args.components.is_empty() { project(&args, shell)? } else { files(&args) };
    let now = checked.baseline(args.built || !args.components.is_empty());
    if let Some(then) = baseline {
        checked.compare(&then, &now)?;
    }
    if let Some(path) = &args.save_baseline {
        now.save(path)?;
    }
    checked.say(&args, shell)?;
    if let Some(path) = &args.save_baseline {
        shell.status("Saved", format_args!("the baseline `{}`", path.display()))?;
    }
    Ok(if checked.found.errors() > 0 { Exit::Findings } else { Exit::Ok })
}

/// The component files that were named.
fn files(args: &CheckArgs) -> Checked {
    let began = Instant::now();
    let mut checked = Checked { levels: Levels::default().with(&args.lints), ..Checked::default() };
    for path in &args.components {
        if let Some(analysis) = checked.analysis(path) {
            checked.add(Subject::file(path, checked.levels.clone(), analysis));
        }
    }
    Checked { took: began.elapsed(), ..checked }
}

/// The selected stages of a project, and the pipelines of them.
fn project(args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<Checked> {
    let workspace = Workspace::load(&args.cargo)?;
    let stages = workspace.select(&args.workspace)?;
    let mut built = HashMap::new();
    if args.built {
        let json = args.message_format == FindingsFormat::Json;
        let format = if json { MessageFormat::Json } else { MessageFormat::Human };
        let print = |shell: &mut Shell, line: &str| if json { shell.result(line) } else { Ok(()) };
        let artifacts = cargo::build(&args.cargo, &stages, format, shell, print)?;
        built.extend(artifacts.into_iter().map(|artifact| (artifact.package, artifact.path)));
    }

    let began = Instant::now();
    let mut checked = Checked { root: Some(workspace.root().to_path_buf()), ..Checked::default() };
    let inherited = WorkspaceSettings::load(&workspace.manifest(), &mut checked.sources, &mut checked.found);
    checked.levels = inherited.pipeline_levels().with(&args.lints);
    for stage in &stages {
        let mut subject = Subject::package(stage, &inherited, &args.lints, &mut checked.sources, &mut checked.found);
        if let Err(wrong) = subject.read_contract(&inherited, &mut checked.sources) {
            checked.found.push(wrong);
        }
        subject.analysis = built.get(&stage.package).and_then(|path: &PathBuf| checked.analysis(path));
        checked.add(subject);
    }
    let manifest = launch::manifest_path(&args.cargo);
    if manifest.is_file() {
        match Manifest::load(&manifest, &mut checked.sources) {
            Ok(manifest) => checked.add_pipelines(&manifest, &workspace, shell)?,
            Err(wrong) => checked.found.extend(wrong),
        }
    }
    Ok(Checked { took: began.elapsed(), ..checked })
}

impl Checked {
    /// What the component at `path` can do; what is wrong with it goes to the findings.
    fn analysis(&mut self, path: &Path) -> Option<Analysis> {
        match Analysis::of(path, Limits::default().component_size) {
            Ok(analysis) => Some(analysis),
            Err(error) => {
                let causes: Vec<_> = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
                self.found.push(Diagnostic::error(code::BAD_COMPONENT, causes.join(": ")));
                None
            }
        }
    }

    fn add(&mut self, subject: Subject) {
        let verdict = subject.verdict();
        if let Some(verdict) = &verdict {
            subject.findings(verdict, &mut self.sources, &mut self.found);
        }
        self.stages.push((subject, verdict));
    }

    /// The pipelines all of whose stages are known.
    fn add_pipelines(&mut self, manifest: &Manifest, workspace: &Workspace, shell: &mut Shell) -> anyhow::Result<()> {
        let all = workspace.stages();
        let names: Vec<_> = all.iter().map(|stage| stage.package.as_str()).collect();
        for pipeline in &manifest.pipelines {
            let mut wrong = pipeline.check_packages(&names);
            wrong.extend(pipeline.check_components());
            if !wrong.is_empty() {
                self.found.extend(wrong);
                continue;
            }
            let unselected = pipeline.stages.iter().find_map(|stage| match &stage.component {
                ComponentRef::Package(package) => Some(package).filter(|package| self.stage(package).is_none()),
                ComponentRef::Path(_) => None,
            });
            match unselected {
                Some(package) => {
                    let name = &pipeline.name;
                    shell.note(format_args!("pipeline `{name}` is not checked: `{package}` is not selected"))?;
                }
                None => self.add_pipeline(pipeline),
            }
        }
        Ok(())
    }

    fn stage(&self, package: &str) -> Option<&Subject> {
        let of_package = |subject: &&Subject| subject.package.is_some() && subject.name == package;
        self.stages.iter().map(|(subject, _)| subject).find(of_package)
    }

    fn add_pipeline(&mut self, pipeline: &Pipeline) {
        let mut verdicts = Vec::new();
        for stage in &pipeline.stages {
            let known = match &stage.component {
                ComponentRef::Package(package) => self.stage(package).cloned(),
                ComponentRef::Path(path) => {
                    self.analysis(path).map(|analysis| Subject::file(path, self.levels.clone(), analysis))
                }
            };
            let Some(mut subject) = known else { return };
            let own = stage.budget.clone();
            let declares = !own.is_empty();
            subject.budget = own.or(&subject.budget);
            let Some(verdict) = subject.verdict() else { return };
            // What is wrong with a package is told once; a budget of its own makes it another stage.
            if declares {
                subject.over_budget(&verdict, &mut self.sources, &mut self.found);
            }
            verdicts.push(verdict);
        }
        let roles: Vec<_> = verdicts.iter().map(|verdict| Role::from(verdict.kind)).collect();
        match pipeline.wire(&roles) {
            Ok(wiring) => {
                let composed = Composed::of(&wiring, &verdicts);
                self.found.extend(composed.findings(pipeline, &self.levels));
                self.pipelines.push((pipeline.name.clone(), composed));
            }
            Err(wrong) => self.found.extend(wrong),
        }
    }

    fn baseline(&self, built: bool) -> Baseline {
        let stages = self.stages.iter().filter_map(|(subject, verdict)| Some(subject.saved(verdict.as_ref()?)));
        let pipelines = self.pipelines.iter().map(|(name, composed)| composed.saved(name));
        Baseline::new(built, stages.collect(), pipelines.collect())
    }

    /// What was proven in the baseline and is not any more.
    fn compare(&mut self, then: &Baseline, now: &Baseline) -> Result<(), Stop> {
        for loss in then.losses(now)? {
            let subject = self.stages.iter().map(|(subject, _)| subject).find(|subject| subject.name == loss.name);
            let levels = subject.map_or(&self.levels, |subject| &subject.levels);
            self.found.extend(loss.finding(levels, subject, &mut self.sources));
        }
        Ok(())
    }

    fn say(&self, args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<()> {
        match args.message_format {
            FindingsFormat::Human => self.say_to_people(shell),
            FindingsFormat::Json => self.say_to_programs(args, shell),
            FindingsFormat::Sarif => {
                shell.result(serde_json::to_string_pretty(&sarif(&self.found, &self.sources, &self.seen()))?)
            }
        }
    }

    /// Programs take paths from the folder of the workspace.
    fn seen(&self) -> Viewpoint {
        let here = env::current_dir().unwrap_or_default();
        let root = self.root.clone().unwrap_or_else(|| here.clone());
        Viewpoint::new(here, root)
    }

    /// The package whose Cargo.toml the diagnostic points into; where it points into none, the pipelines.
    fn about(&self, diagnostic: &Diagnostic) -> serde_json::Result<About> {
        let files: Vec<_> = diagnostic.labels.iter().map(|label| &label.file).collect();
        let packages = self.stages.iter().filter_map(|(subject, _)| subject.package.as_ref());
        match packages.clone().find(|package| files.contains(&&package.manifest)) {
            Some(package) => {
                let here = env::current_dir().unwrap_or_default();
                About::package(&package.id, &here.join(&package.manifest), &package.target)
            }
            None => Ok(About::pipelines(files.first().map_or(Path::new("Torvyn.toml"), |file| file.as_path()))),
        }
    }

    fn say_to_people(&self, shell: &mut Shell) -> anyhow::Result<()> {
        shell.diagnostics(&self.found, &self.sources)?;
        let verdicts = || self.stages.iter().filter_map(|(subject, verdict)| Some((&*subject.name, verdict.as_ref()?)));
        if verdicts().next().is_some() {
            shell.table(report::stages(verdicts()))?;
        }
        for (subject, _) in &self.stages {
            let weaker = subject.analysis.as_ref().map_or(&[][..], |analysis| &analysis.weaker);
            if !weaker.is_empty() {
                shell.note(format_args!("no stronger proof for `{}`: {}", subject.name, weaker.join("; ")))?;
            }
        }
        if !self.pipelines.is_empty() {
            shell.table(report::pipelines(self.pipelines.iter().map(|(name, composed)| (&**name, composed))))?;
        }
        let [stages, pipelines] = [(self.stages.len(), "stage"), (self.pipelines.len(), "pipeline")]
            .map(|(count, what)| counted(count, what));
        let found = match (self.found.errors(), self.found.warnings()) {
            (0, 0) => "nothing is wrong".to_string(),
            (errors, 0) => counted(errors, "error"),
            (0, warnings) => counted(warnings, "warning"),
            (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        };
        shell.status("Checked", format_args!("{stages} and {pipelines}: {found}"))?;
        Ok(())
    }

    fn say_to_programs(&self, args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<()> {
        let seen = self.seen();
        for diagnostic in &self.found {
            shell.result(message(diagnostic, &self.about(diagnostic)?, &self.sources, &seen)?)?;
        }
        for (subject, verdict) in &self.stages {
            if let Some(verdict) = verdict {
                let weaker = subject.analysis.as_ref().map_or(&[][..], |analysis| &analysis.weaker);
                let line = StageLine { package: &subject.name, verdict, weaker };
                shell.result(serde_json::to_string(&line)?)?;
            }
        }
        for (pipeline, composed) in &self.pipelines {
            shell.result(serde_json::to_string(&PipelineLine { pipeline, composed })?)?;
        }
        let summary = Summary {
            built: args.built,
            stages: self.stages.len(),
            pipelines: self.pipelines.len(),
            errors: self.found.errors(),
            warnings: self.found.warnings(),
            analysis_ns: u64::try_from(self.took.as_nanos()).context("an analysis does not take centuries")?,
        };
        shell.result(serde_json::to_string(&summary)?)
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
