//! `cargo torvyn test`: runs the cases of a project.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use torvyn_runtime::words::counted;

use crate::cases::report::{failures, ns};
use crate::cases::{Case, CaseLine, Draft, ListLine, Outcome, Plan, Schedules, Session, Summary, Tally, files, junit};
use crate::cli::{CargoArgs, MessageFormat, TestArgs};
use crate::components::{Compiled, Components, told};
use crate::diagnostic::{Diagnostics, Sources};
use crate::exit::{Exit, Stop};
use crate::interrupt::Interrupt;
use crate::launch;
use crate::manifest::Manifest;
use crate::programs::refuse_stdout;
use crate::report;
use crate::shell::Shell;

mod watch;

pub(crate) fn exec(args: TestArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    if let Some(path) = args.junit.as_deref().filter(|_| shell.is_for_programs()) {
        // It would be made of this very refusal.
        refuse_stdout(path, "the report", "name another file").inspect_err(|_| shell.junit_is_done())?;
    }
    if args.watch {
        return watch::exec(&args, shell);
    }
    shell.summary(&Summary::default())?;
    let mut sources = Sources::default();
    let cases = Cases::load(&args, &mut sources, shell)?;
    let selected = cases.select(&args, &sources, shell)?;
    if args.list {
        selected.drafts.iter().try_for_each(|draft| match args.message_format {
            MessageFormat::Human => shell.result(&draft.case.name),
            MessageFormat::Json => shell.json(&ListLine::new(draft)),
        })?;
        let tally = Tally { selected: selected.drafts.len(), ..Tally::default() };
        shell.summary(&Summary::new(tally, Duration::ZERO))?;
        return Ok(Exit::Ok);
    }
    let Planned { plans, others, .. } = selected.plan(&args, &Compiled::default(), &mut sources, shell)?;
    let interrupt = Interrupt::watch()?;
    shell.status("Testing", counted(plans.len() as u64, "case"))?;
    let (exit, _) = run(&plans, &others, &args, &interrupt, &sources, shell)?;
    Ok(exit)
}

/// The cases of a project, and the pipelines that they are of.
struct Cases {
    manifest: Manifest,
    cases: Vec<Case>,
}

/// Cases that the arguments select.
struct Selected<'a> {
    drafts: Vec<Draft<'a>>,
    /// Those that they are compared with, and that are not selected themselves.
    others: Vec<Draft<'a>>,
}

/// Cases that can run.
struct Planned<'a> {
    plans: Vec<Plan<'a>>,
    others: Vec<Plan<'a>>,
    components: Components,
}

impl Cases {
    fn load(args: &TestArgs, sources: &mut Sources, shell: &mut Shell) -> anyhow::Result<Cases> {
        let path = launch::manifest_path(&args.cargo);
        let manifest = Manifest::load(&path, sources).or_else(|found| told(&found, sources, shell))?;
        let cases = files::load(&manifest, sources).or_else(|found| told(&found, sources, shell))?;
        Ok(Cases { manifest, cases })
    }

    /// The cases that the arguments select.
    ///
    /// # Errors
    ///
    /// A [`Stop`] where that is none.
    fn select(&self, args: &TestArgs, sources: &Sources, shell: &mut Shell) -> anyhow::Result<Selected<'_>> {
        let drafts = self.drafts().or_else(|found| told(&found, sources, shell))?;
        let manifest = self.manifest.path.display();
        let none = |message: String| Stop::new(Exit::NothingSelected, message);
        if drafts.is_empty() {
            let help = "write one: [[test]] with a `name`, an `input` and what to `expect`";
            return Err(none(format!("there is no case in `{manifest}` and in `tests` beside it")).help(help).into());
        }
        let all = drafts.len();
        let is_named = |name: &str| {
            let matches = |filter: &String| if args.exact { name == filter } else { name.contains(filter.as_str()) };
            args.filters.is_empty() || args.filters.iter().any(matches)
        };
        let runs =
            |draft: &Draft<'_>| args.package.is_empty() || args.package.iter().any(|package| draft.runs(package));
        let is_selected = |draft: &Draft<'_>| is_named(&draft.case.name) && runs(draft);
        let (drafts, rest): (Vec<_>, Vec<_>) = drafts.into_iter().partition(is_selected);
        if drafts.is_empty() {
            let stop = none(format!("none of the {} is selected", counted(all as u64, "case")));
            return Err(stop.help("`cargo torvyn test --list` lists them").into());
        }
        let is_other = |rest: &Draft<'_>| drafts.iter().any(|draft| draft.case.other() == Some(&rest.case.name));
        let others = rest.into_iter().filter(is_other).collect();
        Ok(Selected { drafts, others })
    }

    /// The pipelines of all cases, or all that is wrong with them.
    fn drafts(&self) -> Result<Vec<Draft<'_>>, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut drafts = Vec::new();
        for case in &self.cases {
            match Draft::new(case, &self.manifest) {
                Ok(draft) => drafts.push(draft),
                Err(wrong) => found.extend(wrong),
            }
        }
        if found.is_empty() { Ok(drafts) } else { Err(found) }
    }
}

impl<'a> Selected<'a> {
    /// Builds what is stale, loads it, and makes the cases ready to run.
    fn plan(
        self,
        args: &TestArgs,
        compiled: &Compiled,
        sources: &mut Sources,
        shell: &mut Shell,
    ) -> anyhow::Result<Planned<'a>> {
        let pipelines: Vec<_> = self.drafts.iter().chain(&self.others).map(|draft| &draft.pipeline).collect();
        let components = Components::of(&pipelines, &args.cargo, compiled, sources, shell)?;
        let mut found = Diagnostics::default();
        let mut plan = |draft: Draft<'a>, bless: bool| {
            draft.plan(&components, bless, sources).map_err(|wrong| found.extend(wrong)).ok()
        };
        let schedules = schedules(args);
        let plans = self.drafts.into_iter().filter_map(|draft| plan(draft, args.bless));
        let plans = plans.map(|plan| plan.under(schedules)).collect();
        let others = self.others.into_iter().filter_map(|draft| plan(draft, false)).collect();
        if !found.is_empty() {
            return told(&found, sources, shell);
        }
        if let Schedules::Several { first, count } = schedules {
            let last = first.wrapping_add(u64::from(count - 1));
            let runs = counted(u64::from(count), "schedule");
            shell.status("Trying", format_args!("{runs} of each case, of seeds {first} to {last}"))?;
        }
        Ok(Planned { plans, others, components })
    }
}

/// What the arguments say of schedules. A first seed that nobody names is one that can be typed.
fn schedules(args: &TestArgs) -> Schedules {
    let any = || u64::from(RandomState::new().hash_one(()) as u32);
    match (args.schedules, args.seed) {
        (Some(count), seed) => Schedules::Several { first: seed.unwrap_or_else(any), count },
        (None, Some(seed)) => Schedules::Seed(seed),
        (None, None) => Schedules::Own,
    }
}

/// Runs the cases, and tells what came of each and of all. The exit code that follows, and what came of each.
fn run<'a, 'c>(
    plans: &'a [Plan<'c>],
    others: &'a [Plan<'c>],
    args: &TestArgs,
    interrupt: &Interrupt,
    sources: &Sources,
    shell: &mut Shell,
) -> anyhow::Result<(Exit, Vec<(&'a Plan<'c>, Outcome)>)> {
    let (began, clock) = (Instant::now(), SystemTime::now());
    let mut tally = Tally { selected: plans.len(), ..Tally::default() };
    let mut outcomes = Vec::new();
    let session = Session {
        threads: threads(&args.cargo),
        fail_fast: !args.no_fail_fast && !args.watch,
        retries: args.retries,
        cancel: interrupt.flag(),
    };
    let ran = session.run(plans, others, |plan, outcome| {
        tally.add(&outcome);
        let told = match args.message_format {
            MessageFormat::Human => say(plan.case, &outcome, args.retries, sources, shell),
            MessageFormat::Json => {
                failures(plan.case, &outcome, sources).into_iter().for_each(|failure| shell.record(failure));
                shell.json(&CaseLine::new(plan.case, &outcome, sources))
            }
        };
        outcomes.push((plan, outcome));
        told
    });
    let took = began.elapsed();
    shell.summary(&Summary::new(tally, took))?;
    if let Some(path) = &args.junit {
        shell.junit_is_done();
        junit::write(path, &outcomes, plans, (clock, took), sources)?;
    }
    ran?;
    let summary = format!("{tally}, in {}", report::time(ns(took)));
    if tally.failed > 0 {
        shell.failure("Summary", summary)?;
    } else {
        shell.status("Summary", summary)?;
    }
    let exit = match interrupt.exit() {
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

fn say(case: &Case, outcome: &Outcome, retries: usize, sources: &Sources, shell: &mut Shell) -> anyhow::Result<()> {
    let tries = retries + 1;
    // What is as it was in the try before is not shown again.
    let mut before = None;
    for (index, failed) in outcome.failed.iter().enumerate() {
        shell.failure(&format!("Fail {}/{tries}", index + 1), line(case, failed))?;
        if before != Some(&failed.found) {
            say_why(failed, sources, shell)?;
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
        say_why(outcome, sources, shell)?;
    }
    Ok(())
}

fn line(case: &Case, outcome: &Outcome) -> String {
    let speed = outcome.speed.as_ref().map_or_else(String::new, |speed| format!(", {speed}"));
    format!("{:>9}  {}{speed}", report::time(ns(outcome.time)), case.name)
}

/// What is not as expected, and what the stages printed.
fn say_why(outcome: &Outcome, sources: &Sources, shell: &mut Shell) -> anyhow::Result<()> {
    shell.diagnostics(&outcome.found, sources)?;
    shell.log(&outcome.log, outcome.log_before)?;
    shell.space()?;
    Ok(())
}
