//! `cargo torvyn test --watch`: runs all cases, and after each change the affected cases. Which cases are affected is not
//! guessed from the names of changed files: cargo builds stale packages, and a case runs if its `cases::Fingerprint` has
//! changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use torvyn_runtime::base::plural::{counted, noun};

use super::{Cases, Planned, TestArgs, run};
use crate::cases::{Common, Fingerprint, Summary, Tally};
use crate::cli::MessageFormat;
use crate::exit::Exit;
use crate::fs::paths;
use crate::fs::watcher::{Snapshot, WatchPaths, ends_with_line};
use crate::manifest::ComponentRef;
use crate::output::diagnostic::Sources;
use crate::output::programs::lossy_all;
use crate::output::shell::{Shell, StdoutClosed};
use crate::process::interrupt;
use crate::project::workspace::{self, Workspace};
use crate::run::components::{Compiled, Project};
use crate::run::{compile_cache, run_pipeline};

/// The most changed files that are named.
const NAMED: usize = 3;
/// A file that changes within this time after a round may be a log of our output.
const AT_ONCE: Duration = Duration::from_secs(2);
/// File endings of sources, which are never logs of our output.
const SOURCES: [&str; 4] = ["rs", "toml", "wit", "wasm"];

/// The first line of a round in `--message-format json`.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "watch-round")]
struct RoundLine<'a> {
    #[serde(serialize_with = "lossy_all")]
    changed: &'a [PathBuf],
}

/// The last line of a round.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "watch-waiting")]
struct WaitingLine {
    /// The exit code that the command would have.
    exit: u8,
    /// The number of cases that have run, in this round or before.
    cases: usize,
    failed: usize,
}

/// The state of a session.
struct Watch<'a> {
    args: &'a TestArgs,
    compiled: Compiled,
    places: WatchPaths,
    /// The state of the watched files before the present round read them.
    before: Snapshot,
    /// The workspace, if a case runs a package and cargo could load it.
    project: Option<Project>,
    last: HashMap<String, Last>,
    /// What cargo writes, as known before a build: the target folder and Cargo.lock.
    written_by_cargo: Option<(PathBuf, PathBuf)>,
    /// Files that another program, such as `tee`, writes our output to.
    logs: Vec<PathBuf>,
    /// The last line of output.
    last_line: String,
    /// If the last round ran no case: the changes that started it, and when it ended.
    last_idle: Option<(Vec<PathBuf>, Instant)>,
    /// The files that components were built from.
    sources: Vec<PathBuf>,
}

/// The last run of a case.
struct Last {
    fingerprint: Fingerprint,
    failed: bool,
}

pub(super) fn exec(args: &TestArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let places = WatchPaths::default();
    let before = Snapshot::default();
    let written_by_cargo = Workspace::is_here(&args.cargo).then(|| Workspace::load(&args.cargo).ok()).flatten();
    let written_by_cargo = written_by_cargo.map(|workspace| {
        let target = paths::from_here(&workspace.target_dir(&args.cargo));
        (target, workspace.manifest().with_file_name("Cargo.lock"))
    });
    let mut watch = Watch {
        args,
        compiled: Compiled::with_cache(compile_cache::open(&args.cache, shell)?),
        places,
        before,
        project: None,
        last: HashMap::new(),
        written_by_cargo,
        logs: Vec::new(),
        last_line: String::new(),
        last_idle: None,
        sources: Vec::new(),
    };
    watch.set_paths(watch.paths_to_watch(true));
    let mut changed = Vec::new();
    loop {
        watch.print_changes(&changed, shell)?;
        let round = watch.run_round(shell);
        let has_run = matches!(round, Ok(Some(_)));
        let ran = match round {
            Ok(ran) => ran,
            // A failure because of a signal is reported as the signal.
            Err(error) if error.is::<StdoutClosed>() || interrupt::exit().is_some() => return Err(error),
            Err(error) => {
                shell.error(&error)?;
                Some(Exit::from_error(&error))
            }
        };
        // Cargo may have just written the lock file, even if the project does not compile.
        if let Some((_, lock)) = &watch.written_by_cargo {
            watch.before.renew(lock);
        }
        if let Some(exit) = interrupt::exit() {
            return Ok(exit);
        }
        // Ends the round, unless there was nothing to do.
        let exit = ran.map_or_else(|| watch.exit_so_far(), |exit| shell.end(exit));
        watch.print_standing(exit, shell)?;
        watch.last_idle = (!has_run).then(|| (changed, Instant::now()));
        changed = watch.wait();
        if let Some(exit) = interrupt::exit() {
            shell.summary(&Summary::new(watch.tally(), Duration::ZERO))?;
            return Ok(exit);
        }
    }
}

impl Watch<'_> {
    /// Waits for a change that we did not cause, or for a signal.
    fn wait(&mut self) -> Vec<PathBuf> {
        loop {
            let all = self.before.wait(&self.places, &interrupt::signal_flag());
            if interrupt::exit().is_some() {
                return all;
            }
            let is_log = |path: &PathBuf| ends_with_line(path, &self.last_line) || self.is_filtered_log(path);
            let (logs, changed): (Vec<_>, Vec<_>) = all.into_iter().partition(is_log);
            self.places.except.extend(logs.iter().cloned());
            self.logs.extend(logs);
            self.before = Snapshot::take(&self.places);
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Whether this file is most likely a log of our output, for example of `grep`: it changed again just after we printed
    /// something, and no case or component depends on it.
    fn is_filtered_log(&self, path: &Path) -> bool {
        let again = self
            .last_idle
            .as_ref()
            .is_some_and(|(changed, ended)| ended.elapsed() < AT_ONCE && changed.iter().any(|changed| changed == path));
        let is_written_by_people = path.extension().is_some_and(|end| SOURCES.iter().any(|source| end == *source));
        again && !is_written_by_people && !self.sources.iter().any(|source| source == path)
    }

    /// The paths to watch: the files of cases and, if they run packages, the project, or the nearest one while it is not known.
    fn paths_to_watch(&self, packages: bool) -> WatchPaths {
        let manifest = run_pipeline::manifest_path(&self.args.cargo);
        let mut places = WatchPaths { paths: vec![manifest.with_file_name("tests"), manifest], except: Vec::new() };
        match self.project.as_ref().filter(|_| packages) {
            Some(project) => {
                places.paths.extend(project.folders.iter().cloned());
                places.except.push(project.target.clone());
            }
            None if packages => {
                let project = workspace::nearest(&self.args.cargo);
                places.paths.extend(project.map(|folder| paths::from_here(&folder)));
            }
            None => {}
        }
        let logs = self.logs.iter().filter(|log| !self.sources.contains(log)).cloned();
        places.except.extend(self.written_by_cargo.iter().map(|(target, _)| target.clone()).chain(logs));
        places
    }

    /// Watches these paths from now on. New ones are taken as they are.
    fn set_paths(&mut self, places: WatchPaths) {
        let new: Vec<_> = places.paths.iter().filter(|path| !self.places.paths.contains(path)).cloned().collect();
        self.before.add(Snapshot::take(&WatchPaths { paths: new, except: places.except.clone() }));
        self.before.keep(&places);
        self.places = places;
    }

    fn print_changes(&self, changed: &[PathBuf], shell: &mut Shell) -> anyhow::Result<()> {
        if self.args.message_format == MessageFormat::Json {
            shell.json(&RoundLine { changed })?;
        }
        let more = changed.len().saturating_sub(NAMED);
        let named: Vec<_> = changed.iter().take(NAMED).map(|path| format!("`{}`", path.display())).collect();
        match (changed.len(), more) {
            (0, _) => {}
            (_, 0) => shell.status("Changed", named.join(", "))?,
            (..) => shell.status("Changed", format_args!("{} and {more} more", named.join(", ")))?,
        }
        Ok(())
    }

    /// Runs the cases whose fingerprints have changed. `None` if there are none.
    fn run_round(&mut self, shell: &mut Shell) -> anyhow::Result<Option<Exit>> {
        shell.summary(&Summary::default())?;
        shell.sources = Sources::default();
        let cases = Cases::load(self.args, shell)?;
        let selected = cases.select(self.args, shell)?;
        let all = || selected.drafts.iter().chain(&selected.others);
        let packages = all().any(|draft| !draft.packages().is_empty());
        let mut named = Vec::new();
        for draft in all() {
            named.extend(draft.paths().into_iter().map(Path::to_path_buf));
            let components = draft.pipeline.stages.iter().filter_map(|stage| match &stage.component {
                ComponentRef::Path(path) => Some(path.clone()),
                ComponentRef::Package(_) => None,
            });
            named.extend(components);
        }
        named.sort();
        named.dedup();
        let places = |watch: &Watch<'_>| {
            let mut places = watch.paths_to_watch(packages);
            places.paths.extend(named.iter().cloned());
            places
        };
        self.set_paths(places(self));

        let compiled_before = self.compiled.times();
        let planned = selected.plan(self.args, &self.compiled, shell)?;
        let Planned { plans, mut others, components } = planned;
        self.project = components.project().cloned();
        self.sources = components.sources().iter().map(|source| paths::from_here(source)).collect();
        self.set_paths(places(self));

        let common = Common::new(&cases.manifest, &shell.sources, &self.before, &components);
        let mut fingerprints: HashMap<_, _> = plans
            .iter()
            .chain(&others)
            .map(|plan| (plan.case.name.clone(), Fingerprint::new(plan, &common, &shell.sources)))
            .collect();
        Fingerprint::add_others(&mut fingerprints, plans.iter().chain(&others));
        self.last.retain(|name, _| plans.iter().any(|plan| plan.case.name == *name));
        let count = plans.len();
        let is_other =
            |name: &str| self.last.get(name).is_none_or(|last| Some(&last.fingerprint) != fingerprints.get(name));
        let (plans, same): (Vec<_>, Vec<_>) = plans.into_iter().partition(|plan| is_other(&plan.case.name));
        others.extend(same);
        if plans.is_empty() {
            shell.status("Unchanged", "no case is affected")?;
            return Ok(None);
        }
        let (compiled, all) = (components.compiled_since(compiled_before), components.count());
        let (cases, components) = (counted(count as u64, "case"), noun(all as u64, "component"));
        let what = format_args!("{} of {cases}, {compiled} of {all} {components} compiled", plans.len());
        shell.status("Testing", what)?;

        let flows = interrupt::begin_cases()?;
        let (_, outcomes) = run(&plans, &others, self.args, &flows, shell)?;
        drop(flows);
        let mut blessed = Vec::new();
        for (plan, outcome) in outcomes.into_iter().filter(|(_, outcome)| !outcome.interrupted) {
            let Some(fingerprint) = fingerprints.remove(&plan.case.name) else { continue };
            self.last.insert(plan.case.name.clone(), Last { fingerprint, failed: !outcome.passed() });
            blessed.extend(outcome.blessed);
        }
        for path in blessed {
            self.before.renew(&path);
            self.last.values_mut().for_each(|last| last.fingerprint.renew(&path, &self.before));
        }
        Ok(Some(self.exit_so_far()))
    }

    /// The tally of the last run of each case.
    fn tally(&self) -> Tally {
        let failed = self.last.values().filter(|last| last.failed).count();
        Tally { selected: self.last.len(), passed: self.last.len() - failed, failed, ..Tally::default() }
    }

    /// The exit code that the command would have now.
    fn exit_so_far(&self) -> Exit {
        if self.last.values().any(|last| last.failed) { Exit::Findings } else { Exit::Ok }
    }

    fn print_standing(&mut self, exit: Exit, shell: &mut Shell) -> anyhow::Result<()> {
        let mut failing: Vec<_> =
            self.last.iter().filter(|(_, last)| last.failed).map(|(name, _)| format!("`{name}`")).collect();
        failing.sort();
        let cases = self.last.len();
        let is_json = self.args.message_format == MessageFormat::Json;
        let all = counted(cases as u64, "case");
        let last_line = match &failing[..] {
            // Nothing has run; the reason is printed above.
            _ if !matches!(exit, Exit::Ok | Exit::Findings) => "for changes".to_string(),
            [] => format!("{all}, none failing"),
            [one] => format!("{all}, 1 failing: {one}"),
            several => {
                let named = several.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
                let more = several.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{all}, {} failing: {named}{more}", several.len())
            }
        };
        if is_json {
            let line = WaitingLine { exit: exit as u8, cases, failed: failing.len() };
            shell.json(&line)?;
        }
        match exit {
            Exit::Ok if failing.is_empty() => shell.status("Watching", &last_line)?,
            _ => shell.failure("Watching", &last_line)?,
        }
        // A log ends with one of the two, depending on the stream that it records.
        self.last_line = if is_json { "\"watch-waiting\"".to_string() } else { last_line };
        Ok(())
    }
}
