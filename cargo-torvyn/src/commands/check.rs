//! `cargo torvyn check`: shows what stages and pipelines can copy, and whether that is within their budgets.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use torvyn_runtime::Limits;
use torvyn_runtime::analysis::{Analysis, StageVerdict};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::pipeline::graph::Role;

use crate::cases::Case;
use crate::check::report::{self, PipelineLine, StageLine, Summary};
use crate::check::{Baseline, Composed, Delivery, SavedStage, Subject, check_replicas, lints};
use crate::cli::{CargoArgs, FindingsFormat, MessageFormat};
use crate::config::file_uses::FileUses;
use crate::config::lint_levels::{Levels, LintArgs};
use crate::config::settings::WorkspaceSettings;
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::manifest::{ComponentRef, Manifest, Pipeline, Stage};
use crate::output::bad_component::BadComponent;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Sources, quoted};
use crate::output::failure;
use crate::output::findings::{About, Results, message};
use crate::output::programs::refuse_stdout;
use crate::output::result_file::ResultFile;
use crate::output::shell::Shell;
use crate::output::viewpoint::{Viewpoint, repository, without_dots};
use crate::project::cargo::{self, Artifact};
use crate::project::toolchain;
use crate::project::workspace::{self, Workspace};
use crate::run::components::{Compiled, File, limits};
use crate::run::run_pipeline;

/// The result of a check.
#[derive(Default)]
struct Checked {
    found: Diagnostics,
    stages: Vec<(Subject, Option<StageVerdict>)>,
    pipelines: Vec<(String, Composed)>,
    /// The levels of findings that belong to no stage.
    levels: Levels,
    /// The folder of the workspace, if there is one.
    root: Option<PathBuf>,
    /// Analyses components.
    engine: Compiled,
    /// How long the analysis took, without the time of cargo.
    took: Duration,
}

/// Prove what stages and pipelines can copy, and compare it with their budgets
///
/// For each stage, shows whether payload bytes can cross its boundary, and how often. The proof comes from the WIT of the
/// world that the stage declares and, with --built, also from its component. Combines the bounds of the stages along the
/// pipelines of Torvyn.toml and compares them with the copy budgets in Cargo.toml and Torvyn.toml.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn check                              check the declared worlds, without a build
  cargo torvyn check --built                      also build and check the components
  cargo torvyn check -p router --built --locked   check one stage, with Cargo.lock as it is
  cargo torvyn check target/some.wasm             check a component of any language
  cargo torvyn check --deny wide-world            change the level of a lint
  cargo torvyn check --built --save-baseline copies.json
  cargo torvyn check --built --baseline copies.json
  cargo torvyn explain over-budget-component      explain a finding

Exit codes:
  0    no problems found
  2    invalid arguments
  4    nothing selected
  96   something must be installed first
  100  findings at level deny
  101  the check could not be done")]
pub(crate) struct CheckArgs {
    /// Component files to check, instead of the stages of a project
    #[arg(value_name = "COMPONENT", conflicts_with_all = ["built", "package", "workspace", "exclude", "all"])]
    pub(crate) components: Vec<PathBuf>,
    /// Build the components and check them too
    #[arg(long)]
    pub(crate) built: bool,
    /// Fail if anything that this baseline proves is no longer proven
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Save what is proven now as a baseline
    #[arg(long, value_name = "FILE")]
    pub(crate) save_baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lints: LintArgs,
    #[command(flatten)]
    pub(crate) workspace: clap_cargo::Workspace,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` on stderr; `json` on stdout, one object per line, as cargo and rustc print it; `sarif` on
    /// stdout, one document, for code hosts
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: FindingsFormat,
}

pub(crate) fn exec(args: CheckArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    shell.summary(&Summary { built: args.built, ..Summary::default() })?;
    set_empty_sarif(args.cargo.manifest_path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")), shell);
    if let Some(path) = args.save_baseline.as_deref().filter(|_| shell.is_for_programs()) {
        refuse_stdout(path, "the baseline", "name another file")?;
    }
    let baseline = args.baseline.as_deref().map(Baseline::load).transpose()?;
    let built = args.built || !args.components.is_empty();
    // Fail before the build, not after it.
    baseline.iter().try_for_each(|baseline| baseline.check_comparable(built))?;
    check_save_path(&args)?;
    let mut checked = if !args.components.is_empty() {
        check_files(&args, &mut shell.sources)
    } else if !Workspace::is_here(&args.cargo) && run_pipeline::manifest_path(&args.cargo).is_file() {
        check_pipelines(&args, shell)?
    } else {
        check_project(&args, shell)?
    };
    let now = checked.baseline(built);
    if let Some(then) = baseline {
        checked.compare(&then, &now, &mut shell.sources)?;
    }
    if let Some(path) = &args.save_baseline {
        now.save(path)?;
    }
    checked.print(&args, shell)?;
    if let Some(path) = &args.save_baseline {
        shell.status("Saved", format_args!("the baseline `{}`", path.display()))?;
    }
    Ok(if checked.found.errors() > 0 { Exit::Findings } else { Exit::Ok })
}

/// Sets an empty SARIF result, which is written if the command fails early.
fn set_empty_sarif(folder: &Path, shell: &mut Shell) {
    shell.sarif(Results::empty(&env::current_dir().unwrap_or_default(), folder));
}

/// Refuses a baseline that cannot be written or that would overwrite a checked file. It may overwrite the baseline of
/// `--baseline`, which has been read by then.
fn check_save_path(args: &CheckArgs) -> anyhow::Result<()> {
    let Some(saved) = &args.save_baseline else { return Ok(()) };
    let mut uses = FileUses::default();
    args.components.iter().for_each(|path| _ = uses.read("a component", path));
    let manifest = run_pipeline::manifest_path(&args.cargo);
    uses.read("the manifest", &manifest);
    if let Some(folder) = workspace::nearest(&args.cargo) {
        ["Cargo.toml", "Cargo.lock"].iter().for_each(|file| _ = uses.read("the project", &folder.join(file)));
    }
    // Errors in the manifest are reported when it is checked.
    if let Ok(manifest) = Manifest::load(&manifest, &mut Sources::default()) {
        for pipeline in &manifest.pipelines {
            uses.extend(pipeline.declared_file_uses());
        }
    }
    uses.write("the baseline", saved);
    let of_baseline = uses.conflicts().find(|conflict| conflict.is_for("the baseline"));
    of_baseline.map_or(Ok(()), |conflict| Err(Stop::new(Exit::Usage, conflict.message())))?;
    ResultFile::Baseline.check_replaceable(saved)?;
    atomic_file::check_and_hold(saved).with_context(|| failure::not_written(saved, "the baseline "))
}

/// Checks the component files that are named on the command line.
fn check_files(args: &CheckArgs, sources: &mut Sources) -> Checked {
    let began = Instant::now();
    let mut checked = Checked { levels: Levels::default().override_with(&args.lints), ..Checked::default() };
    for path in &args.components {
        if let Err(wrong) = checked.add_file(path, &Limits::default(), sources) {
            checked.found.push(bad_component(path, &wrong));
        }
    }
    Checked { took: began.elapsed(), ..checked }
}

/// Checks the pipelines of a folder that is in no cargo project: all their stages are component files.
fn check_pipelines(args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<Checked> {
    let began = Instant::now();
    let mut checked = Checked { levels: Levels::default().override_with(&args.lints), ..Checked::default() };
    checked.add_manifest(&run_pipeline::manifest_path(&args.cargo), None, shell)?;
    Ok(Checked { took: began.elapsed(), ..checked })
}

/// Checks the selected stages of a project and the pipelines made of them.
fn check_project(args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<Checked> {
    let workspace = Workspace::load(&args.cargo)?;
    set_empty_sarif(workspace.root(), shell);
    let stages = workspace.select(&args.workspace, shell)?;
    let mut built = Vec::new();
    if args.built {
        let json = args.message_format == FindingsFormat::Json;
        let format = if json { MessageFormat::Json } else { MessageFormat::Human };
        let target = toolchain::look_for_target();
        built = cargo::build(&args.cargo, &workspace, &stages, target, format, shell, |_, _| Ok(()))?;
    }
    check_stages(&workspace, &stages, built, &args.cargo, &args.lints, shell)
}

/// Checks all stages of a project with their `built` components, and prints what is proven.
///
/// # Errors
///
/// A [`Stop`] if there are errors, which have been printed.
pub(super) fn check_and_print(
    args: &CargoArgs,
    workspace: &Workspace,
    built: Vec<Artifact>,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let checked = check_stages(workspace, &workspace.stages(), built, args, &LintArgs::default(), shell)?;
    checked.print_human(shell)?;
    if checked.found.errors() > 0 { Err(Stop::silent(Exit::Findings).into()) } else { Ok(()) }
}

/// Checks these stages of a project with their `built` components, and the pipelines made of them.
fn check_stages(
    workspace: &Workspace,
    stages: &[workspace::Stage],
    built: Vec<Artifact>,
    args: &CargoArgs,
    lints: &LintArgs,
    shell: &mut Shell,
) -> anyhow::Result<Checked> {
    let began = Instant::now();
    let built: HashMap<_, _> = built.into_iter().map(|artifact| (artifact.package.clone(), artifact)).collect();
    let mut checked = Checked { root: Some(workspace.root().to_path_buf()), ..Checked::default() };
    let manifest = run_pipeline::manifest_path(args);
    let declared = Manifest::load(&manifest, &mut Sources::default()).ok();
    let inherited = WorkspaceSettings::load(&workspace.manifest(), &mut shell.sources, &mut checked.found);
    checked.levels = inherited.pipeline_levels().override_with(lints);
    for stage in stages {
        let mut subject = Subject::from_package(stage, &inherited, lints, &mut shell.sources, &mut checked.found);
        if let Err(wrong) = subject.read_contract(&inherited, &mut shell.sources) {
            // An error in WIT that several stages share is reported once.
            match checked.found.same_as(&wrong) {
                Some(same) => same.labels.extend(wrong.labels.into_iter().skip(1)),
                None => _ = checked.found.push(wrong),
            }
        }
        if let Some(Artifact { path, bytes, .. }) = built.get(&stage.package) {
            let limits = declared.as_ref().and_then(|manifest| widest_limits(manifest, &stage.package));
            match checked.analysis(File { path, bytes: Some(bytes) }, &limits.unwrap_or_default()) {
                Ok(analysis) => subject.analysis = Some(analysis),
                Err(wrong) => _ = checked.found.push(bad_component(path, &wrong)),
            }
        }
        checked.add(subject, &mut shell.sources);
    }
    if manifest.is_file() {
        checked.add_manifest(&manifest, Some(workspace), shell)?;
    }
    Ok(Checked { took: began.elapsed(), ..checked })
}

/// The limits of the stage that allows the largest component, of the stages that run this package.
fn widest_limits(manifest: &Manifest, package: &str) -> Option<Limits> {
    let runs = |stage: &&Stage| matches!(&stage.component, ComponentRef::Package(name) if name == package);
    let stages = manifest.pipelines.iter().flat_map(|pipeline| &pipeline.stages).filter(runs);
    stages.map(limits).max_by_key(|limits| limits.component_size)
}

fn bad_component(path: &Path, wrong: &BadComponent) -> Diagnostic {
    wrong.diagnostic().label(path, 0..0, "")
}

impl Checked {
    /// Analyses a component.
    fn analysis(&self, file: File<'_>, limits: &Limits) -> Result<Analysis, BadComponent> {
        self.engine.analyse(file, limits).map_err(BadComponent::from_error)
    }

    /// Adds a component file, unless it was added before.
    ///
    /// # Errors
    ///
    /// Why the component cannot be used.
    fn add_file(&mut self, path: &Path, limits: &Limits, sources: &mut Sources) -> Result<Subject, BadComponent> {
        if let Some(subject) = self.file(path) {
            return Ok(subject.clone());
        }
        let subject = Subject::from_file(path, self.levels.clone(), self.analysis(File { path, bytes: None }, limits)?);
        self.add(subject.clone(), sources);
        Ok(subject)
    }

    fn add(&mut self, subject: Subject, sources: &mut Sources) {
        let verdict = subject.verdict();
        if let Some(verdict) = &verdict {
            let found = lints::check_stage(&subject, verdict, sources);
            self.found.extend(found.into_iter().map(|finding| subject.with_location(finding)));
        }
        self.stages.push((subject, verdict));
    }

    /// Adds the pipelines of a manifest whose stages are all selected.
    fn add_manifest(&mut self, path: &Path, workspace: Option<&Workspace>, shell: &mut Shell) -> anyhow::Result<()> {
        let (manifest, cases) = match Manifest::load_with(path, &mut shell.sources, Case::read_all) {
            Ok(read) => read,
            Err(wrong) => {
                self.found.extend(wrong);
                return Ok(());
            }
        };
        let packages = workspace.map(Workspace::stages).unwrap_or_default();
        let names: Vec<_> = packages.iter().map(|stage| stage.package.as_str()).collect();
        let unfit = |package: &str| workspace?.unfit(package);
        let mut unchecked = Vec::new();
        self.found.extend(manifest.pipeline_errors());
        self.found.extend(cases.into_iter().filter_map(Result::err).flat_map(|broken| broken.found));
        for pipeline in &manifest.pipelines {
            let mut wrong = pipeline.check_packages(&names, unfit);
            wrong.extend(pipeline.check_components());
            if !wrong.is_empty() {
                self.found.extend(wrong);
                continue;
            }
            self.found.extend(pipeline.missing_paths());
            let selected = |stage: &Stage| match &stage.component {
                ComponentRef::Package(package) => self.stage(package).is_some(),
                ComponentRef::Path(_) => true,
            };
            if pipeline.stages.iter().all(selected) {
                self.add_pipeline(pipeline, &mut shell.sources);
            } else {
                unchecked.push(pipeline.name.as_str());
            }
        }
        let note = match unchecked[..] {
            [] => return Ok(()),
            [one] => format!("pipeline `{one}` is not checked: not all of its stages are selected"),
            _ => format!("pipelines {} are not checked: not all of their stages are selected", quoted(&unchecked)),
        };
        Ok(shell.note(note)?)
    }

    fn stage(&self, package: &str) -> Option<&Subject> {
        let of_package = |subject: &&Subject| subject.package.is_some() && subject.name == package;
        self.stages.iter().map(|(subject, _)| subject).find(of_package)
    }

    fn file(&self, path: &Path) -> Option<&Subject> {
        let of_file = |subject: &&Subject| subject.package.is_none() && Path::new(&subject.name) == path;
        self.stages.iter().map(|(subject, _)| subject).find(of_file)
    }

    fn add_pipeline(&mut self, pipeline: &Pipeline, sources: &mut Sources) {
        let (mut subjects, mut verdicts) = (Vec::new(), Vec::new());
        for (index, stage) in pipeline.stages.iter().enumerate() {
            let known = match &stage.component {
                ComponentRef::Package(package) => self.stage(package).cloned(),
                ComponentRef::Path(path) => match self.add_file(path, &limits(stage), sources) {
                    Ok(subject) => Some(subject),
                    Err(wrong) => {
                        self.found.push(pipeline.bad_component(index, &wrong));
                        None
                    }
                },
            };
            let Some(mut subject) = known else { return };
            let within = subject.analysis.as_ref().map_or(Ok(()), |analysis| analysis.check_limits(&limits(stage)));
            if let Err(limit) = within {
                let wrong = BadComponent::from_limit(&subject.name, &limit);
                self.found.push(pipeline.bad_component(index, &wrong));
                return;
            }
            let own = stage.budget.clone();
            subject.budget = own.or(&subject.budget);
            let Some(verdict) = subject.verdict() else { return };
            self.found.extend(lints::check_place(&subject, &verdict, (pipeline, stage), sources));
            subjects.push(subject);
            verdicts.push(verdict);
        }
        self.found.extend(check_replicas(pipeline, subjects.iter().zip(&verdicts)));
        let roles: Vec<_> = verdicts.iter().map(|verdict| Role::from(verdict.kind)).collect();
        match pipeline.wire(&roles) {
            Ok(wiring) => {
                let mut composed = Composed::new(pipeline, &wiring, &verdicts);
                let delivery = Delivery::new(pipeline, subjects.iter().zip(&verdicts));
                self.found.extend(delivery.check(pipeline));
                // Others guarantee nothing beyond a run, and need not say so.
                composed.delivery = Some(delivery).filter(|delivery| delivery.resumes);
                self.found.extend(lints::check_pipeline(&composed, pipeline, &self.levels));
                self.pipelines.push((pipeline.name.clone(), composed));
            }
            Err(wrong) => self.found.extend(wrong),
        }
    }

    fn baseline(&self, built: bool) -> Baseline {
        let stages =
            self.stages.iter().filter_map(|(subject, verdict)| Some(SavedStage::new(subject, verdict.as_ref()?)));
        let pipelines = self.pipelines.iter().map(|(name, composed)| composed.saved(name));
        Baseline::new(built, stages.collect(), pipelines.collect())
    }

    /// Adds findings for what was proven in the baseline and no longer is.
    fn compare(&mut self, then: &Baseline, now: &Baseline, sources: &mut Sources) -> Result<(), Stop> {
        for loss in then.losses(now)? {
            let subject = self.stages.iter().map(|(subject, _)| subject).find(|subject| subject.name == loss.name);
            let levels = subject.map_or(&self.levels, |subject| &subject.levels);
            let found = lints::check_loss(&loss, levels, subject, sources);
            self.found.extend(found.into_iter().map(|finding| match subject {
                Some(subject) => subject.with_location(finding),
                None => finding,
            }));
        }
        Ok(())
    }

    fn print(&self, args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<()> {
        match args.message_format {
            FindingsFormat::Human => self.print_human(shell),
            FindingsFormat::Json => self.print_json(args, shell),
            FindingsFormat::Sarif => {
                let seen = self.seen(|root| repository(root));
                shell.sarif(Results::new(&self.found, &shell.sources, seen));
                Ok(())
            }
        }
    }

    /// The folder that paths in machine output are relative to: `from` applied to the folder of the workspace, or to the
    /// current folder if there is no workspace.
    fn seen(&self, from: impl Fn(&Path) -> &Path) -> Viewpoint {
        let here = env::current_dir().unwrap_or_default();
        let root = from(self.root.as_deref().unwrap_or(&here)).to_path_buf();
        Viewpoint::new(here, root)
    }

    /// What a diagnostic is about: the package whose Cargo.toml it points into, or otherwise the component file or the
    /// pipelines.
    fn about(&self, diagnostic: &Diagnostic) -> serde_json::Result<About> {
        let files: Vec<_> = diagnostic.labels.iter().map(|label| &label.file).collect();
        let packages = self.stages.iter().filter_map(|(subject, _)| subject.package.as_ref());
        match packages.clone().find(|package| files.contains(&&package.manifest)) {
            Some(package) => {
                let here = env::current_dir().unwrap_or_default();
                About::package(&package.id, &without_dots(&here.join(&package.manifest)), &package.target)
            }
            None => {
                let file = files.first().map_or(Path::new("Torvyn.toml"), |file| file.as_path());
                let about = if file.extension() == Some("toml".as_ref()) { About::pipelines } else { About::component };
                Ok(about(&without_dots(&env::current_dir().unwrap_or_default().join(file))))
            }
        }
    }

    fn print_human(&self, shell: &mut Shell) -> anyhow::Result<()> {
        shell.diagnostics(&self.found)?;
        let verdicts = || self.stages.iter().filter_map(|(subject, verdict)| Some((&*subject.name, verdict.as_ref()?)));
        let mut tables = Vec::new();
        if verdicts().next().is_some() {
            tables.push(report::stages(verdicts()));
        }
        if !self.pipelines.is_empty() {
            let pipelines = || self.pipelines.iter().map(|(name, composed)| (&**name, composed));
            tables.push(report::pipelines(pipelines()));
            tables.extend(report::repeated(pipelines()));
            tables.extend(report::replicated(pipelines()));
            tables.extend(report::delivered(pipelines()));
        }
        shell.tables(&tables)?;
        for (subject, _) in &self.stages {
            let weaker = subject.analysis.as_ref().map_or(&[][..], |analysis| &analysis.weaker);
            if !weaker.is_empty() {
                shell.note(format_args!("no stronger proof for `{}`: {}", subject.name, weaker.join("; ")))?;
            }
        }
        let [stages, pipelines] = [(self.stages.len(), "stage"), (self.pipelines.len(), "pipeline")]
            .map(|(count, what)| counted(count as u64, what));
        let found = match (self.found.errors() as u64, self.found.warnings() as u64) {
            (0, 0) => "no problems found".to_string(),
            (errors, 0) => counted(errors, "error"),
            (0, warnings) => counted(warnings, "warning"),
            (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        };
        shell.status("Checked", format_args!("{stages} and {pipelines}: {found}"))?;
        Ok(())
    }

    fn print_json(&self, args: &CheckArgs, shell: &mut Shell) -> anyhow::Result<()> {
        let seen = self.seen(|root| root);
        shell.record_all(&self.found, &seen);
        for diagnostic in &self.found {
            shell.json_line(&message(diagnostic, &self.about(diagnostic)?, &shell.sources, &seen)?)?;
        }
        for (subject, verdict) in &self.stages {
            if let Some(verdict) = verdict {
                let weaker = subject.analysis.as_ref().map_or(&[][..], |analysis| &analysis.weaker);
                let line = StageLine { package: &subject.name, verdict, weaker };
                shell.json(&line)?;
            }
        }
        for (pipeline, composed) in &self.pipelines {
            shell.json(&PipelineLine { pipeline, composed })?;
        }
        let summary = Summary {
            built: args.built,
            stages: self.stages.len(),
            pipelines: self.pipelines.len(),
            errors: self.found.errors(),
            warnings: self.found.warnings(),
            analysis_ns: u64::try_from(self.took.as_nanos()).context("an analysis does not take centuries")?,
        };
        shell.summary(&summary)
    }
}
