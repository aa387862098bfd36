//! `cargo torvyn test`: runs the cases of a project.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use std::{ptr, thread};

use anyhow::Context as _;
use clap::Args;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::pipeline::graph::Role;

use crate::cases::case::files;
use crate::cases::report::{failures, junit, ns};
use crate::cases::{BlessedFiles, Case, CaseLine, Draft, ListLine, Outcome, Plan, Runner, Schedules, Summary, Tally};
use crate::cli::{CacheArgs, CargoArgs, MessageFormat};
use crate::config::file_uses::FileUses;
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::manifest::{self, Broken, Manifest, Pipeline};
use crate::output::diagnostic::Diagnostics;
use crate::output::failure;
use crate::output::programs::refuse_stdout;
use crate::output::result_file::ResultFile;
use crate::output::run_report;
use crate::output::shell::Shell;
use crate::process::interrupt::{self, Flows};
use crate::project::workspace::Workspace;
use crate::run::components::{Compiled, Components, report_and_stop};
use crate::run::{compile_cache, run_pipeline};

mod watch;

/// Run the test cases of a project: inputs, expected outputs and copy counts
///
/// Builds stale components (in the release profile by default) and runs the cases in Torvyn.toml and in the TOML files of
/// the folder `tests` beside it. A case runs a pipeline or a single stage on its own input, in its own flow. A mismatch is
/// shown at its place in the case.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn test                       run all cases
  cargo torvyn test empty long            run the cases with `empty` or `long` in their names
  cargo torvyn test -p router --list      list the cases that run a stage of this package
  cargo torvyn test --no-fail-fast        do not stop at the first failure
  cargo torvyn test --watch               rerun affected cases after each change
  cargo torvyn test --retries 2           retry a failed case up to twice
  cargo torvyn test --bless               update the expected files
  cargo torvyn test --schedules 100       run each case under 100 schedules
  cargo torvyn test --seed 17             run all cases under the schedule of this seed
  cargo torvyn test --junit report.xml    also write a JUnit report

Exit codes:
  0    all cases passed
  2    invalid arguments
  4    no case selected
  96   something must be installed first
  100  a case failed
  101  the cases could not be run
  129  interrupted by SIGHUP
  130  interrupted by SIGINT
  143  interrupted by SIGTERM")]
pub(crate) struct TestArgs {
    /// Only cases whose names contain one of these strings
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// Match FILTER against whole case names
    #[arg(long)]
    pub(crate) exact: bool,
    /// Only cases that run a stage of this package (a name, glob pattern or package ID, as with cargo)
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) package: Vec<String>,
    /// Exclude cases that run a stage of this package
    #[arg(long, value_name = "SPEC")]
    pub(crate) exclude: Vec<String>,
    /// Run the cases of all packages; this is the default
    #[arg(long, alias = "all", conflicts_with = "package")]
    pub(crate) workspace: bool,
    /// List the names of the cases and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Run all cases even if one fails
    #[arg(long)]
    pub(crate) no_fail_fast: bool,
    /// Retry a failed case up to N times; a case that then passes is flaky
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) retries: u32,
    /// Keep running, and rerun the affected cases after each change
    #[arg(long, conflicts_with_all = ["list", "junit"])]
    pub(crate) watch: bool,
    /// Update the expected files with the actual output
    #[arg(long)]
    pub(crate) bless: bool,
    /// Run under the schedule and with the random numbers of this seed; with --schedules, of this seed and the ones after
    /// it
    #[arg(long, value_name = "SEED", conflicts_with = "bless", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Run each case under N schedules: of consecutive seeds from --seed, or from a random seed
    #[arg(long, value_name = "N", conflicts_with = "bless", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) schedules: Option<u32>,
    /// Also write the results to FILE, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` on stderr; `json` on stdout, one line per case and a summary
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

pub(crate) fn exec(args: TestArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    if let Some(path) = args.junit.as_deref().filter(|_| shell.is_for_programs()) {
        // Otherwise this error would be written as a report.
        refuse_stdout(path, "the report", "name another file").inspect_err(|_| shell.skip_junit())?;
    }
    if args.watch {
        return watch::exec(&args, shell);
    }
    shell.summary(&Summary::default())?;
    let cases = Cases::load(&args, shell)?;
    let selected = cases.select(&args, shell)?;
    if args.list {
        selected.drafts.iter().try_for_each(|draft| match args.message_format {
            MessageFormat::Human => shell.result(&draft.case.name),
            MessageFormat::Json => shell.json(&ListLine::new(draft)),
        })?;
        let tally = Tally { selected: selected.drafts.len(), ..Tally::default() };
        shell.summary(&Summary::new(tally, Duration::ZERO))?;
        return Ok(Exit::Ok);
    }
    // A report of this error cannot be written either.
    check_report(&args, &cases, &selected).inspect_err(|_| shell.skip_junit())?;
    let compiled = Compiled::with_cache(compile_cache::open(&args.cache, shell)?);
    let Planned { plans, others, components } = selected.plan(&args, &compiled, shell)?;
    if let Some(report) = &args.junit {
        components.file_uses().write(REPORT, report).refuse()?;
    }
    let flows = interrupt::begin_cases()?;
    shell.status("Testing", counted(plans.len() as u64, "case"))?;
    let (exit, _) = run(&plans, &others, &args, &flows, shell)?;
    Ok(exit)
}

/// The use of the file of `--junit`.
const REPORT: &str = "the report";

/// The cases of a project and its manifest.
struct Cases {
    manifest: Manifest,
    cases: Vec<Case>,
    /// Broken cases and files of cases. The others can run.
    broken: Vec<Broken>,
}

/// Cases that the arguments select.
struct Selected<'a> {
    drafts: Vec<Draft<'a>>,
    /// Cases that selected ones are compared with and that are not selected themselves.
    others: Vec<Draft<'a>>,
    /// The files that all cases read, which `--bless` must not write; empty without `--bless`.
    reads: FileUses,
    /// The files of expected elements of cases that are not selected, with the names of these cases.
    unselected: Vec<(&'a str, &'a Path)>,
}

/// Cases that can run.
struct Planned<'a> {
    plans: Vec<Plan<'a>>,
    others: Vec<Plan<'a>>,
    components: Components,
}

impl Cases {
    fn load(args: &TestArgs, shell: &mut Shell) -> anyhow::Result<Cases> {
        let path = run_pipeline::manifest_path(&args.cargo);
        let loaded = files::load(&path, &mut shell.sources);
        let (manifest, cases, broken) = loaded.or_else(|found| report_and_stop(&found, shell))?;
        Ok(Cases { manifest, cases, broken })
    }

    /// Selects cases by the arguments.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if none is selected, or if a selected one is broken, which has been reported. Other broken cases are a
    /// warning.
    fn select(&self, args: &TestArgs, shell: &mut Shell) -> anyhow::Result<Selected<'_>> {
        let manifest = self.manifest.path.display();
        let none = |message: String| Stop::new(Exit::NothingSelected, message);
        if self.cases.is_empty() && self.broken.is_empty() {
            let help = "add one: [[test]] with `name`, `input` and `expect`";
            return Err(none(format!("no cases in `{manifest}` or in `tests` beside it")).help(help).into());
        }
        let packages = Packages::from_args(args, shell)?;
        let is_named = |name: &str| {
            let matches = |filter: &String| if args.exact { name == filter } else { name.contains(filter.as_str()) };
            args.filters.is_empty() || args.filters.iter().any(matches)
        };
        let (drafts, broken) = self.drafts();
        let reads = if args.bless { self.reads(&drafts) } else { FileUses::default() };
        let (drafts, rest): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|draft| is_named(&draft.case.name) && packages.select(draft));

        // Only the name of a broken case is known, and sometimes not even that.
        let is_asked_for =
            |broken: &&Broken| packages.are_all() && broken.name.as_deref().map_or(args.filters.is_empty(), is_named);
        let (wrong, aside): (Vec<_>, Vec<_>) = self.broken.iter().chain(&broken).partition(is_asked_for);
        let mut found: Diagnostics = wrong.into_iter().flat_map(|broken| broken.found.iter().cloned()).collect();
        if found.is_empty() && aside.is_empty() {
            // If broken cases are missing, a name that is not found may be that of one of them.
            let known = Case::by_name(&self.cases);
            found.extend(drafts.iter().filter_map(|draft| draft.case.check_other(&self.cases, &known)));
        }
        if !found.is_empty() {
            return report_and_stop(&found, shell);
        }
        if !aside.is_empty() {
            let (cases, are) = match aside.len() {
                1 => ("1 case or file of cases".to_string(), "is"),
                several => (format!("{several} cases or files of cases"), "are"),
            };
            shell
                .warn(format_args!("{cases} {are} not valid and not selected; `cargo torvyn test --list` says why"))?;
        }
        if drafts.is_empty() {
            let stop = none(format!("none of the {} is selected", counted(rest.len() as u64, "case")));
            return Err(stop.help("list them with `cargo torvyn test --list`").into());
        }
        let is_selected = |case: &&Case| drafts.iter().any(|draft| ptr::eq(draft.case, *case));
        let unselected = self.cases.iter().filter(|case| !is_selected(case));
        let named = unselected.flat_map(|case| case.expected_files().map(|path| (case.name.as_str(), path)));
        let unselected = named.collect();
        let is_other =
            |rest: &Draft<'_>| drafts.iter().any(|draft| draft.case.compared_with() == Some(&rest.case.name));
        let others = rest.into_iter().filter(is_other).collect();
        Ok(Selected { drafts, others, reads, unselected })
    }

    /// The files of the project and of these cases.
    fn reads(&self, drafts: &[Draft<'_>]) -> FileUses {
        let mut uses = FileUses::default();
        uses.read("the manifest", &self.manifest.path);
        let mut files: Vec<_> = self.cases.iter().map(Case::file).collect();
        files.dedup();
        files.into_iter().for_each(|file| _ = uses.read("a file of cases", file));
        drafts.iter().for_each(|draft| uses.extend(draft.file_uses()));
        uses
    }

    /// The drafts of all cases, and the cases that have no valid pipeline.
    fn drafts(&self) -> (Vec<Draft<'_>>, Vec<Broken>) {
        let draft = |case| {
            let draft = Draft::new(case, &self.manifest);
            draft.map_err(|found| Broken { name: Some(case.name.clone()), found })
        };
        manifest::partition(self.cases.iter().map(draft).collect())
    }
}

/// The packages of `--package` and `--exclude`. They select the cases that run a stage of a wanted package and none of an
/// excluded one.
struct Packages {
    /// `None` for all packages.
    wanted: Option<Vec<String>>,
    excluded: Vec<String>,
}

impl Packages {
    fn from_args(args: &TestArgs, shell: &mut Shell) -> anyhow::Result<Packages> {
        let (mut wanted, mut excluded) = (None, Vec::new());
        if !args.package.is_empty() || !args.exclude.is_empty() {
            let workspace = Workspace::load(&args.cargo)?;
            excluded = workspace.excluded_names(&args.exclude, shell)?;
            if !args.package.is_empty() {
                wanted = Some(workspace.package_names(&args.package)?);
            }
        }
        Ok(Packages { wanted, excluded })
    }

    fn are_all(&self) -> bool {
        self.wanted.is_none() && self.excluded.is_empty()
    }

    fn select(&self, draft: &Draft<'_>) -> bool {
        let runs_any = |packages: &[String]| packages.iter().any(|package| draft.runs(package));
        self.wanted.as_deref().is_none_or(runs_any) && !runs_any(&self.excluded)
    }
}

impl<'a> Selected<'a> {
    /// Builds stale packages, loads the components and plans the cases.
    fn plan(self, args: &TestArgs, compiled: &Compiled, shell: &mut Shell) -> anyhow::Result<Planned<'a>> {
        let pipelines: Vec<_> = self.drafts.iter().chain(&self.others).map(|draft| &draft.pipeline).collect();
        let all = || self.drafts.iter().chain(&self.others);
        let judge = |pipeline: &Pipeline, roles: &[Role]| {
            let draft = all().find(|draft| ptr::eq(&draft.pipeline, pipeline));
            draft.map(|draft| draft.check_roles(roles)).unwrap_or_default()
        };
        let components = Components::load(&pipelines, &judge, &args.cargo, compiled, shell)?;
        let mut found = Diagnostics::default();
        let mut plan = |draft: Draft<'a>, bless: bool| {
            draft.plan(&components, bless, &mut shell.sources).map_err(|wrong| found.extend(wrong)).ok()
        };
        let schedules = schedules(args);
        let mut reads = self.reads;
        if args.bless {
            reads.extend(components.file_uses());
        }
        let reads = Arc::new(reads);
        let plans = self.drafts.into_iter().filter_map(|draft| plan(draft, args.bless));
        let plans: Vec<_> = plans.map(|plan| plan.with_schedules(schedules).with_protected(&reads)).collect();
        let blessed_files = Arc::new(BlessedFiles::new(plans.iter().flat_map(Plan::expected_files), self.unselected));
        let plans = plans.into_iter().map(|plan| plan.with_blessed_files(blessed_files.clone())).collect();
        let others = self.others.into_iter().filter_map(|draft| plan(draft, false)).collect();
        if !found.is_empty() {
            return report_and_stop(&found, shell);
        }
        if let Schedules::Several { first, count } = schedules {
            let last = first.wrapping_add(u64::from(count - 1));
            let runs = counted(u64::from(count), "schedule");
            shell.status("Trying", format_args!("{runs} per case, seeds {first} to {last}"))?;
        }
        Ok(Planned { plans, others, components })
    }
}

/// Refuses a report that cannot be written or that would overwrite a file of the cases.
fn check_report(args: &TestArgs, cases: &Cases, selected: &Selected<'_>) -> anyhow::Result<()> {
    let Some(report) = &args.junit else { return Ok(()) };
    let mut uses = cases.reads(&selected.drafts);
    for draft in selected.drafts.iter().chain(&selected.others) {
        draft.paths().into_iter().for_each(|path| _ = uses.read("a file of a case", path));
    }
    uses.write(REPORT, report).write_messages().refuse()?;
    ResultFile::Junit.check_replaceable(report)?;
    atomic_file::check_and_hold(report).with_context(|| failure::not_written(report, "the report "))
}

/// The schedules that the arguments select. Without `--seed`, a random first seed that is short enough to type.
fn schedules(args: &TestArgs) -> Schedules {
    let any = || u64::from(RandomState::new().hash_one(()) as u32);
    match (args.schedules, args.seed) {
        (Some(count), seed) => Schedules::Several { first: seed.unwrap_or_else(any), count },
        (None, Some(seed)) => Schedules::Seed(seed),
        (None, None) => Schedules::Own,
    }
}

/// Runs the cases and prints their outcomes and the summary. Returns the exit code and the outcomes.
fn run<'a, 'c>(
    plans: &'a [Plan<'c>],
    others: &'a [Plan<'c>],
    args: &TestArgs,
    flows: &Flows,
    shell: &mut Shell,
) -> anyhow::Result<(Exit, Vec<(&'a Plan<'c>, Outcome)>)> {
    shell.hurry();
    let (began, clock) = (Instant::now(), SystemTime::now());
    let mut tally = Tally { selected: plans.len(), ..Tally::default() };
    let mut outcomes = Vec::new();
    let session = Runner {
        threads: threads(&args.cargo),
        fail_fast: !args.no_fail_fast && !args.watch,
        retries: args.retries as usize,
        cancel: flows.cancel(),
        cut: flows.cut(),
    };
    let ran = session.run(plans, others, |plan, outcome| {
        tally.add(&outcome);
        let printed = match args.message_format {
            MessageFormat::Human => print_outcome(plan.case, &outcome, args.retries as usize, shell),
            MessageFormat::Json => {
                failures(plan.case, &outcome, &shell.sources).into_iter().for_each(|failure| shell.record(failure));
                shell.json(&CaseLine::new(plan.case, &outcome, &shell.sources))
            }
        };
        outcomes.push((plan, outcome));
        printed
    });
    let took = began.elapsed();
    shell.summary(&Summary::new(tally, took))?;
    if let Some(path) = &args.junit {
        shell.skip_junit();
        junit::write(path, &outcomes, plans, (clock, took), &shell.sources)?;
    }
    ran?;
    let summary = format!("{tally}, in {}", run_report::time(ns(took)));
    if tally.failed > 0 {
        shell.failure("Summary", summary)?;
    } else {
        shell.status("Summary", summary)?;
    }
    let exit = match interrupt::exit() {
        Some(exit) => exit,
        None if tally.failed > 0 => Exit::Findings,
        None => Exit::Ok,
    };
    Ok((exit, outcomes))
}

/// How many cases run at a time: as many as cargo would run jobs.
fn threads(args: &CargoArgs) -> usize {
    let asked = args.jobs.as_ref().and_then(|jobs| jobs.parse::<NonZeroUsize>().ok());
    asked.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

fn print_outcome(case: &Case, outcome: &Outcome, retries: usize, shell: &mut Shell) -> anyhow::Result<()> {
    let tries = retries + 1;
    // The same findings as in the attempt before are not shown again.
    let mut before = None;
    for (index, failed) in outcome.failed.iter().enumerate() {
        shell.failure(&format!("Fail {}/{tries}", index + 1), line(case, failed))?;
        if before != Some(&failed.found) {
            print_findings(failed, shell)?;
        }
        before = Some(&failed.found);
    }
    let line = line(case, outcome);
    if outcome.interrupted {
        shell.status("Stopped", line)?;
        return Ok(());
    }
    let bless = |shell: &mut Shell| {
        let mut paths = outcome.blessed.iter();
        paths.try_for_each(|path| shell.status("Blessed", format_args!("`{}`", path.display())))
    };
    if outcome.passed() {
        match outcome.is_flaky() {
            true => shell.status(&format!("Flaky {}/{tries}", outcome.attempt()), line)?,
            false => shell.status("Pass", line)?,
        }
        bless(shell)?;
        return Ok(());
    }
    match outcome.failed.is_empty() {
        true => shell.failure("Fail", line)?,
        false => shell.failure(&format!("Fail {}/{tries}", outcome.attempt()), line)?,
    }
    bless(shell)?;
    if before != Some(&outcome.found) {
        print_findings(outcome, shell)?;
    }
    Ok(())
}

fn line(case: &Case, outcome: &Outcome) -> String {
    let speed = outcome.speed.as_ref().map_or_else(String::new, |speed| format!(", {speed}"));
    format!("{:>9}  {}{speed}", run_report::time(ns(outcome.time)), case.name)
}

/// Prints the findings and what the stages printed.
fn print_findings(outcome: &Outcome, shell: &mut Shell) -> anyhow::Result<()> {
    shell.diagnostics(&outcome.found)?;
    shell.log(&outcome.log, outcome.log_before)?;
    shell.space()?;
    Ok(())
}
