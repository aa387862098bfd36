//! Builds and loads the components of pipelines. Packages are built first. Each component is loaded once, however many
//! stages run it, and is paired with the declarations of its author.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{io, thread};

use torvyn_runtime::base::plural::counted;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::stage::component::Binary;
use torvyn_runtime::{Component, Limits};

use self::compiled::Versioned;
use self::waiting::Waiting;
use crate::check::Subject;
use crate::cli::{CargoArgs, MessageFormat};
use crate::config::file_uses::FileUses;
use crate::config::lint_levels::{Levels, LintArgs};
use crate::config::settings::WorkspaceSettings;
use crate::exit::{Exit, Stop};
use crate::fs::paths;
use crate::manifest::{ComponentRef, Pipeline, Stage};
use crate::output::bad_component::BadComponent;
use crate::output::diagnostic::{Diagnostics, Sources};
use crate::output::shell::Shell;
use crate::process::interrupt;
use crate::project::workspace::{self, Workspace};
use crate::project::{cargo, toolchain};

pub(crate) use self::compiled::{COMPILE, Compiled, File};

mod compiled;
mod waiting;

/// Finds the problems of a pipeline whose stages have these roles. Called before anything is built or compiled, as far as
/// the roles are known by then.
pub(crate) type Judge<'a> = &'a dyn Fn(&Pipeline, &[Role]) -> Diagnostics;

/// The components of pipelines.
pub(crate) struct Components {
    ready: HashMap<ComponentRef, Ready>,
    /// The lint levels of pipelines.
    pub(crate) levels: Levels,
    project: Option<Project>,
    /// The files that the components were built from.
    sources: Vec<PathBuf>,
}

/// The workspace that components were built from.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The Cargo.toml of the workspace.
    pub(crate) manifest: PathBuf,
    /// The folders that its packages are made of.
    pub(crate) folders: Vec<PathBuf>,
    /// The files that cargo reads for every build of the workspace.
    files: Vec<PathBuf>,
    /// The target folder.
    pub(crate) target: PathBuf,
}

/// A component that is ready to run.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) component: Component,
    /// The component as `check` sees it.
    pub(crate) subject: Subject,
    /// Its number: another version of the same file has another number.
    pub(crate) version: usize,
}

impl Components {
    /// Builds stale packages, once for all `pipelines`, and loads the components that are not in `compiled` yet.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if a component is missing, invalid or cannot be built, or if `judge` rejects a pipeline. The reason has
    /// been printed.
    pub(crate) fn load(
        pipelines: &[&Pipeline],
        judge: Judge<'_>,
        args: &CargoArgs,
        compiled: &Compiled,
        shell: &mut Shell,
    ) -> anyhow::Result<Components> {
        let mut found = Diagnostics::default();
        for pipeline in pipelines {
            add_new(&mut found, pipeline.check_components());
        }
        if !found.is_empty() {
            return report_and_stop(&found, shell);
        }
        let mut built = Built { files: HashMap::new(), project: None, sources: Vec::new() };
        for stage in stages(pipelines) {
            if let ComponentRef::Path(path) = &stage.component {
                built.files.insert(stage.component.clone(), (path.clone(), None));
            }
        }
        // Judge what is known before the build, because building may take long, and the rest after it.
        built.judge(pipelines, judge, shell)?;
        if stages(pipelines).any(|stage| matches!(stage.component, ComponentRef::Package(_))) {
            built.build(pipelines, judge, args, compiled, shell)?;
            built.judge(pipelines, judge, shell)?;
        }
        interrupt::check()?;
        let loaded = built.compile(pipelines, compiled, shell)?.or_else(|found| report_and_stop(&found, shell))?;
        print_cache_use(&loaded, compiled, shell)?;
        built.with_declarations(loaded, &mut shell.sources).or_else(|found| report_and_stop(&found, shell))
    }

    /// The workspace that components were built from, if any was.
    pub(crate) fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    /// The files that the components were built from.
    pub(crate) fn sources(&self) -> &[PathBuf] {
        &self.sources
    }

    /// The files that the components were loaded from and built from.
    pub(crate) fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        for Ready { component, subject, .. } in self.ready.values() {
            uses.read("a component", component.path());
            if let Some(package) = &subject.package {
                uses.read("a package", &package.manifest);
            }
        }
        self.sources.iter().for_each(|path| _ = uses.read("a source file", path));
        let files = self.project.iter().flat_map(|project| &project.files);
        files.for_each(|path| _ = uses.read("the workspace", path));
        uses
    }

    /// The number of components.
    pub(crate) fn count(&self) -> usize {
        self.ready.len()
    }

    /// How many components were compiled since [`Compiled::times`] was `before`.
    pub(crate) fn compiled_since(&self, before: usize) -> usize {
        let is_compiled = |ready: &&Ready| ready.version >= before && !ready.component.is_from_cache();
        self.ready.values().filter(is_compiled).count()
    }

    /// The components of the stages of a pipeline, in its order, each with the budget that the pipeline gives it.
    pub(crate) fn stages(&self, pipeline: &Pipeline) -> Vec<Ready> {
        let stage = |stage: &Stage| {
            let mut ready = self.ready[&stage.component].clone();
            ready.subject.budget = stage.budget.clone().or(&ready.subject.budget);
            ready
        };
        pipeline.stages.iter().map(stage).collect()
    }
}

/// Prints diagnostics and stops the command.
pub(crate) fn report_and_stop<T>(found: &Diagnostics, shell: &mut Shell) -> anyhow::Result<T> {
    shell.diagnostics(found)?;
    Err(Stop::silent(Exit::Failed).into())
}

/// Adds diagnostics that were not found before: pipelines can share a place.
fn add_new(found: &mut Diagnostics, more: Diagnostics) {
    for diagnostic in more {
        if found.same_as(&diagnostic).is_none() {
            found.push(diagnostic);
        }
    }
}

/// A package of the workspace and the bytes of its component.
type BuiltPackage = (workspace::Stage, Arc<[u8]>);

/// Component files, and for those that were built their packages and bytes.
struct Built {
    files: HashMap<ComponentRef, (PathBuf, Option<BuiltPackage>)>,
    /// The workspace, if any component is a package.
    project: Option<Project>,
    /// The files that the components were built from.
    sources: Vec<PathBuf>,
}

impl Built {
    /// Judges each pipeline whose components all exist by the roles of its stages. An invalid component is reported when it
    /// is loaded.
    fn judge(&self, pipelines: &[&Pipeline], judge: Judge<'_>, shell: &mut Shell) -> anyhow::Result<()> {
        let mut roles: HashMap<&Path, Option<Role>> = HashMap::new();
        let mut found = Diagnostics::default();
        for pipeline in pipelines {
            let role = |stage: &Stage| {
                let path = self.files.get(&stage.component)?.0.as_path();
                *roles.entry(path).or_insert_with(|| role(path, stage))
            };
            let roles: Option<Vec<_>> = pipeline.stages.iter().map(role).collect();
            add_new(&mut found, roles.map(|roles| judge(pipeline, &roles)).unwrap_or_default());
        }
        if found.is_empty() { Ok(()) } else { report_and_stop(&found, shell) }
    }

    /// Builds the components that are packages.
    fn build(
        &mut self,
        pipelines: &[&Pipeline],
        judge: Judge<'_>,
        args: &CargoArgs,
        compiled: &Compiled,
        shell: &mut Shell,
    ) -> anyhow::Result<()> {
        // Start what does not depend on cargo while cargo runs.
        let target = toolchain::look_for_target();
        let workspace = thread::scope(|scope| {
            scope.spawn(|| compiled.engine().ok());
            Workspace::load(args)
        })?;
        self.project = Some(Project {
            manifest: workspace.manifest(),
            folders: workspace.folders(),
            files: workspace.files(),
            target: paths::from_here(&workspace.target_dir(args)),
        });
        let known = workspace.stages();
        let names: Vec<_> = known.iter().map(|stage| stage.package.as_str()).collect();
        let mut found = Diagnostics::default();
        for pipeline in pipelines {
            add_new(&mut found, pipeline.check_packages(&names, |package| workspace.unfit(package)));
        }
        if !found.is_empty() {
            return report_and_stop(&found, shell);
        }
        self.judge_declared(pipelines, judge, &workspace, shell)?;
        let of_package = |package: &workspace::Stage| ComponentRef::Package(package.package.clone());
        let is_wanted = |package: &workspace::Stage| {
            let component = of_package(package);
            stages(pipelines).any(|stage| stage.component == component)
        };
        let wanted: Vec<_> = known.into_iter().filter(is_wanted).collect();
        let ahead: Vec<_> = wanted.iter().map(|package| workspace.component(package, args)).collect();
        let names: Vec<_> = wanted.iter().map(|package| format!("`{}`", package.package)).collect();
        let artifacts = thread::scope(|scope| {
            // Most often nothing is stale, and the components are ready when cargo has found that out. A stale one is
            // another file after the build and is compiled again.
            let limits = |package| stages(pipelines).find(|stage| stage.component == of_package(package)).map(limits);
            let ahead: Vec<_> = ahead.iter().zip(&wanted).collect();
            let (waiting, done) = Waiting::new(names);
            scope.spawn(move || {
                let file = |path| File { path, bytes: None };
                let files = ahead.iter().map(|(path, package)| (file(path), limits(package).unwrap_or_default()));
                compiled.load(&files.collect::<Vec<_>>(), done)
            });
            let artifacts =
                cargo::build(args, &workspace, &wanted, target, MessageFormat::Human, shell, |_, _| Ok(()))?;
            waiting.wait(|name| print_compiling(name, shell))?;
            anyhow::Ok(artifacts)
        })?;
        for (artifact, package) in artifacts.into_iter().zip(wanted) {
            self.sources.extend(artifact.sources);
            self.files.insert(of_package(&package), (artifact.path, Some((package, artifact.bytes))));
        }
        Ok(())
    }

    /// Judges pipelines before their packages are built, by the worlds that the packages declare.
    fn judge_declared(
        &self,
        pipelines: &[&Pipeline],
        judge: Judge<'_>,
        workspace: &Workspace,
        shell: &mut Shell,
    ) -> anyhow::Result<()> {
        let (packages, sources) = (workspace.stages(), &mut shell.sources);
        // Errors in settings are reported when the settings are needed.
        let mut ignored = Diagnostics::default();
        let settings = WorkspaceSettings::load(&workspace.manifest(), sources, &mut ignored);
        let (mut roles, mut found) = (HashMap::new(), Diagnostics::default());
        for pipeline in pipelines {
            let mut role = |stage: &Stage| {
                if let Some(known) = roles.get(&stage.component) {
                    return *known;
                }
                let role = match &stage.component {
                    ComponentRef::Path(path) => role(path, stage),
                    ComponentRef::Package(name) => {
                        packages.iter().find(|package| package.package == *name).and_then(|package| {
                            let args = LintArgs::default();
                            let mut subject = Subject::from_package(package, &settings, &args, sources, &mut ignored);
                            subject.read_contract(&settings, sources).ok()?;
                            Some(Role::from(subject.contract?.kind))
                        })
                    }
                };
                roles.insert(stage.component.clone(), role);
                role
            };
            let roles: Option<Vec<_>> = pipeline.stages.iter().map(&mut role).collect();
            let wrong = roles.map(|roles| judge(pipeline, &roles)).unwrap_or_default();
            let note = "a package declares the kind of its stage by its `world` in `[package.metadata.torvyn]`";
            add_new(&mut found, wrong.into_iter().map(|wrong| wrong.note(note)).collect());
        }
        if found.is_empty() { Ok(()) } else { report_and_stop(&found, shell) }
    }

    /// Compiles the components, with a status line for each one that takes long.
    fn compile(
        &self,
        pipelines: &[&Pipeline],
        compiled: &Compiled,
        shell: &mut Shell,
    ) -> anyhow::Result<Result<HashMap<ComponentRef, Versioned>, Diagnostics>> {
        let mut first: Vec<(&Pipeline, usize)> = Vec::new();
        for pipeline in pipelines {
            for (index, stage) in pipeline.stages.iter().enumerate() {
                if !first.iter().any(|(pipeline, index)| pipeline.stages[*index].component == stage.component) {
                    first.push((pipeline, index));
                }
            }
        }
        let files = first.iter().map(|(pipeline, index)| {
            let stage = &pipeline.stages[*index];
            let (path, package) = &self.files[&stage.component];
            (File { path, bytes: package.as_ref().map(|(_, bytes)| &**bytes) }, limits(stage))
        });
        let files: Vec<_> = files.collect();
        let names = first.iter().map(|(pipeline, index)| self.name(&pipeline.stages[*index])).collect();
        let loaded = thread::scope(|scope| {
            let (waiting, done) = Waiting::new(names);
            let loading = scope.spawn(|| compiled.load(&files, done));
            waiting.wait(|name| print_compiling(name, shell))?;
            loading.join().map_err(|_| anyhow::anyhow!("a component could not be compiled: its thread panicked"))
        })?;
        let mut found = Diagnostics::default();
        let mut all = HashMap::new();
        for ((pipeline, index), loaded) in first.iter().zip(loaded) {
            match loaded {
                Ok(loaded) => _ = all.insert(pipeline.stages[*index].component.clone(), loaded),
                Err(error) => _ = found.push(pipeline.bad_component(*index, &BadComponent::from_error(error))),
            }
        }
        Ok(if found.is_empty() { Ok(all) } else { Err(found) })
    }

    /// The name of a component for people: its package or its file.
    fn name(&self, stage: &Stage) -> String {
        match &stage.component {
            ComponentRef::Package(package) => format!("`{package}`"),
            ComponentRef::Path(path) => format!("`{}`", path.display()),
        }
    }

    /// Pairs the components with the declarations of their authors.
    fn with_declarations(
        &self,
        loaded: HashMap<ComponentRef, Versioned>,
        sources: &mut Sources,
    ) -> Result<Components, Diagnostics> {
        let mut found = Diagnostics::default();
        let settings =
            self.project.as_ref().map(|project| WorkspaceSettings::load(&project.manifest, sources, &mut found));
        let settings = settings.unwrap_or_default();
        let levels = settings.pipeline_levels();
        let mut ready = HashMap::new();
        for (name, Versioned { component, version }) in loaded {
            let analysis = component.analysis().clone();
            let subject = match &self.files[&name] {
                (_, Some((package, _))) => {
                    let mut declared =
                        Subject::from_package(package, &settings, &LintArgs::default(), sources, &mut found);
                    // `check` reports a world that cannot be read. To run, the component is proof enough.
                    declared.read_contract(&settings, sources).ok();
                    Subject { analysis: Some(analysis), ..declared }
                }
                (path, None) => Subject::from_file(path, levels.clone(), analysis),
            };
            ready.insert(name, Ready { component, subject, version });
        }
        found.sort_by_place();
        let (project, sources) = (self.project.clone(), self.sources.clone());
        if found.is_empty() { Ok(Components { ready, levels, project, sources }) } else { Err(found) }
    }
}

fn print_compiling(name: &str, shell: &mut Shell) -> io::Result<()> {
    shell.status("Compiling", format_args!("component {name}"))
}

/// Says what came from the compile cache, and warns if it could not be written.
fn print_cache_use(
    loaded: &HashMap<ComponentRef, Versioned>,
    compiled: &Compiled,
    shell: &mut Shell,
) -> io::Result<()> {
    let cached = loaded.values().filter(|loaded| loaded.component.is_from_cache()).count();
    let components = counted(loaded.len() as u64, "component");
    shell.verbose("Loaded", format_args!("{components}, {cached} from the compile cache"))?;
    if let Some(error) = compiled.take_cache_problem() {
        shell.warn(format_args!("could not write to the compile cache: {error}"))?;
    }
    Ok(())
}

/// The role of a component file. `None` if it cannot run, which is reported when it is loaded.
fn role(path: &Path, stage: &Stage) -> Option<Role> {
    Some(Role::from(Binary::read(path, &limits(stage)).ok()?.profile().ok()?.kind))
}

fn stages<'a>(pipelines: &'a [&'a Pipeline]) -> impl Iterator<Item = &'a Stage> {
    pipelines.iter().flat_map(|pipeline| &pipeline.stages)
}

/// The limits of a stage: those of the manifest, or the defaults.
pub(crate) fn limits(stage: &Stage) -> Limits {
    let (given, default) = (&stage.limits, Limits::default());
    Limits {
        memory: given.memory.unwrap_or(default.memory),
        time: given.time.unwrap_or(default.time),
        handles: given.handles.unwrap_or(default.handles),
        component_size: given.component_size.unwrap_or(default.component_size),
        pinned_bytes: given.pinned_bytes.unwrap_or(default.pinned_bytes),
        host_memory: given.host_memory.unwrap_or(default.host_memory),
        compile_memory: given.compile_memory.unwrap_or(default.compile_memory),
        compile_time: given.compile_time.unwrap_or(default.compile_time),
        log_bytes: given.log.unwrap_or(default.log_bytes),
        ..default
    }
}
