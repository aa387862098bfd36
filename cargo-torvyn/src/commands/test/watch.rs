//! `cargo torvyn test --watch`: runs the cases, and then, whenever something has changed, those that it makes a difference
//! to. Which these are is not guessed from the name of what changed: cargo builds what is stale, and a case runs where
//! anything differs from what it last ran with, `cases::Fingerprint`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use torvyn_runtime::base::plural::{counted, noun};

use super::{Cases, Planned, run};
use crate::cases::{Common, Fingerprint, Summary, Tally};
use crate::cli::{MessageFormat, TestArgs};
use crate::config::manifest::ComponentRef;
use crate::exit::Exit;
use crate::fs::paths;
use crate::fs::watcher::{Snapshot, WatchPaths, ends_with_line};
use crate::output::diagnostic::Sources;
use crate::output::programs::lossy_all;
use crate::output::shell::{Shell, StdoutClosed};
use crate::process::interrupt;
use crate::project::workspace::{self, Workspace};
use crate::run::components::{Compiled, Project};
use crate::run::run_pipeline;

/// Changed files that are named.
const NAMED: usize = 3;
/// What changes within this time of the end of a round may have changed because of what was said in it.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Endings of files that no program makes of our output.
const SOURCES: [&str; 4] = ["rs", "toml", "wit", "wasm"];

/// The line of `--message-format json` with which a round begins.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "watch-round")]
struct RoundLine<'a> {
    #[serde(serialize_with = "lossy_all")]
    changed: &'a [PathBuf],
}

/// The line with which it ends.
#[derive(Serialize)]
#[serde(tag = "reason", rename = "watch-waiting")]
struct WaitingLine {
    /// How the command would have ended.
    exit: u8,
    /// Cases that have run, in this round or before.
    cases: usize,
    failed: usize,
}

/// What a session keeps from round to round.
struct Watch<'a> {
    args: &'a TestArgs,
    compiled: Compiled,
    places: WatchPaths,
    /// How the places were before what is running now looked at them.
    before: Snapshot,
    /// Where the packages are, as far as cases run any and it was told.
    project: Option<Project>,
    last: HashMap<String, Last>,
    /// What cargo writes, as far as it can be told before it has built: the folder of what is built, and Cargo.lock.
    by_cargo: Option<(PathBuf, PathBuf)>,
    /// Files that what is said here goes to by way of another program, as `tee` is one.
    logs: Vec<PathBuf>,
    /// The last line that was said.
    said: String,
    /// What began the last round where that ran no case, and when it ended.
    in_vain: Option<(Vec<PathBuf>, Instant)>,
    /// The files that components were built from.
    sources: Vec<PathBuf>,
}

/// The last run of a case.
struct Last {
    basis: Fingerprint,
    failed: bool,
}

pub(super) fn exec(args: &TestArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let places = WatchPaths::default();
    let before = Snapshot::default();
    let by_cargo = Workspace::is_here(&args.cargo).then(|| Workspace::load(&args.cargo).ok()).flatten();
    let by_cargo = by_cargo.map(|workspace| {
        let target = paths::from_here(&workspace.target_dir(&args.cargo));
        (target, workspace.manifest().with_file_name("Cargo.lock"))
    });
    let mut watch = Watch {
        args,
        compiled: Compiled::default(),
        places,
        before,
        project: None,
        last: HashMap::new(),
        by_cargo,
        logs: Vec::new(),
        said: String::new(),
        in_vain: None,
        sources: Vec::new(),
    };
    watch.look_at(watch.places_of(true));
    let mut changed = Vec::new();
    loop {
        watch.begin(&changed, shell)?;
        let round = watch.round(shell);
        let has_run = matches!(round, Ok(Some(_)));
        let ran = match round {
            Ok(ran) => ran,
            // What fails because of a signal is told by the signal.
            Err(error) if error.is::<StdoutClosed>() || interrupt::exit().is_some() => return Err(error),
            Err(error) => {
                shell.error(&error)?;
                Some(Exit::from_error(&error))
            }
        };
        // Also where it does not compile, cargo may have written it just now.
        if let Some((_, lock)) = &watch.by_cargo {
            watch.before.renew(lock);
        }
        if let Some(exit) = interrupt::exit() {
            return Ok(exit);
        }
        // The summary of the round, unless nothing was to be done in it.
        let exit = ran.map_or_else(|| watch.standing(), |exit| shell.end(exit));
        watch.end(exit, shell)?;
        watch.in_vain = (!has_run).then(|| (changed, Instant::now()));
        changed = watch.wait();
        if let Some(exit) = interrupt::exit() {
            shell.summary(&Summary::new(watch.tally(), Duration::ZERO))?;
            return Ok(exit);
        }
    }
}

impl Watch<'_> {
    /// Waits until something has changed that was not written here, or a signal has come.
    fn wait(&mut self) -> Vec<PathBuf> {
        loop {
            let all = self.before.wait(&self.places, &interrupt::signal_flag());
            if interrupt::exit().is_some() {
                return all;
            }
            let is_log = |path: &PathBuf| ends_with_line(path, &self.said) || self.is_filtered_log(path);
            let (logs, changed): (Vec<_>, Vec<_>) = all.into_iter().partition(is_log);
            self.places.except.extend(logs.iter().cloned());
            self.logs.extend(logs);
            self.before = Snapshot::take(&self.places);
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Whether this is most likely what a program makes of our output, `grep` for one: it changes as soon as something is
    /// said, again, no case is made of it, and nothing is built from it.
    fn is_filtered_log(&self, path: &Path) -> bool {
        let again = self
            .in_vain
            .as_ref()
            .is_some_and(|(changed, ended)| ended.elapsed() < AT_ONCE && changed.iter().any(|changed| changed == path));
        let is_written_by_people = path.extension().is_some_and(|end| SOURCES.iter().any(|source| end == *source));
        again && !is_written_by_people && !self.sources.iter().any(|source| source == path)
    }

    /// The files of cases and, where they run packages, the project: as long as it is not known, what is around them.
    fn places_of(&self, packages: bool) -> WatchPaths {
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
        places.except.extend(self.by_cargo.iter().map(|(target, _)| target.clone()).chain(logs));
        places
    }

    /// Looks at these places from now on. Those that were not looked at before are taken as they are.
    fn look_at(&mut self, places: WatchPaths) {
        let new: Vec<_> = places.paths.iter().filter(|path| !self.places.paths.contains(path)).cloned().collect();
        self.before.add(Snapshot::take(&WatchPaths { paths: new, except: places.except.clone() }));
        self.before.keep(&places);
        self.places = places;
    }

    fn begin(&self, changed: &[PathBuf], shell: &mut Shell) -> anyhow::Result<()> {
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

    /// Runs what differs from what it last ran with. None where nothing does.
    fn round(&mut self, shell: &mut Shell) -> anyhow::Result<Option<Exit>> {
        shell.summary(&Summary::default())?;
        let mut sources = Sources::default();
        let cases = Cases::load(self.args, &mut sources, shell)?;
        let selected = cases.select(self.args, &sources, shell)?;
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
            let mut places = watch.places_of(packages);
            places.paths.extend(named.iter().cloned());
            places
        };
        self.look_at(places(self));

        let compiled_before = self.compiled.times();
        let planned = selected.plan(self.args, &self.compiled, &mut sources, shell)?;
        let Planned { plans, mut others, components } = planned;
        self.project = components.project().cloned();
        self.sources = components.sources().iter().map(|source| paths::from_here(source)).collect();
        self.look_at(places(self));

        let common = Common::of(&cases.manifest, &sources, &self.before, &components);
        let mut bases: HashMap<_, _> = plans
            .iter()
            .chain(&others)
            .map(|plan| (plan.case.name.clone(), Fingerprint::of(plan, &common, &sources)))
            .collect();
        Fingerprint::with_others(&mut bases, plans.iter().chain(&others));
        self.last.retain(|name, _| plans.iter().any(|plan| plan.case.name == *name));
        let count = plans.len();
        let is_other = |name: &str| self.last.get(name).is_none_or(|last| Some(&last.basis) != bases.get(name));
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
        let (_, outcomes) = run(&plans, &others, self.args, &flows, &sources, shell)?;
        drop(flows);
        let mut blessed = Vec::new();
        for (plan, outcome) in outcomes.into_iter().filter(|(_, outcome)| !outcome.interrupted) {
            let Some(basis) = bases.remove(&plan.case.name) else { continue };
            self.last.insert(plan.case.name.clone(), Last { basis, failed: !outcome.passed() });
            blessed.extend(outcome.blessed);
        }
        for path in blessed {
            self.before.renew(&path);
            self.last.values_mut().for_each(|last| last.basis.renew(&path, &self.before));
        }
        Ok(Some(self.standing()))
    }

    /// What came of the last run of each case.
    fn tally(&self) -> Tally {
        let failed = self.last.values().filter(|last| last.failed).count();
        Tally { selected: self.last.len(), passed: self.last.len() - failed, failed, ..Tally::default() }
    }

    /// How the command would end if this was all.
    fn standing(&self) -> Exit {
        if self.last.values().any(|last| last.failed) { Exit::Findings } else { Exit::Ok }
    }

    fn end(&mut self, exit: Exit, shell: &mut Shell) -> anyhow::Result<()> {
        let mut failing: Vec<_> =
            self.last.iter().filter(|(_, last)| last.failed).map(|(name, _)| format!("`{name}`")).collect();
        failing.sort();
        let cases = self.last.len();
        let is_json = self.args.message_format == MessageFormat::Json;
        let all = counted(cases as u64, "case");
        let said = match &failing[..] {
            // Nothing has run, and what stands above says why.
            _ if !matches!(exit, Exit::Ok | Exit::Findings) => "for changes".to_string(),
            [] => format!("{all}, of which none fails"),
            [one] => format!("{all}, of which {one} fails"),
            several => {
                let named = several.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
                let more = several.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{all}, of which {named}{more} fail")
            }
        };
        if is_json {
            let line = WaitingLine { exit: exit as u8, cases, failed: failing.len() };
            shell.json(&line)?;
        }
        match exit {
            Exit::Ok if failing.is_empty() => shell.status("Watching", &said)?,
            _ => shell.failure("Watching", &said)?,
        }
        // A file has one of the two as its last line, whichever stream goes there.
        self.said = if is_json { "\"watch-waiting\"".to_string() } else { said };
        Ok(())
    }
}
