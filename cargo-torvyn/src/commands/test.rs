//! `cargo torvyn test`: runs the cases of a project.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use crate::cases::report::ns;
use crate::cases::{Case, CaseLine, Draft, Outcome, Plan, Schedules, Summary, Tally, files, junit, run_all};
use crate::cli::{CargoArgs, MessageFormat, TestArgs};
use crate::components::{Components, told};
use crate::diagnostic::{Diagnostics, Sources};
use crate::exit::{Exit, Stop};
use crate::interrupt::Interrupt;
use crate::launch;
use crate::manifest::Manifest;
use crate::report;
use crate::shell::Shell;

pub(crate) fn exec(args: TestArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let path = launch::manifest_path(&args.cargo);
    let manifest = Manifest::load(&path, &mut sources).or_else(|found| told(&found, &sources, shell))?;
    let cases = files::load(&manifest, &mut sources).or_else(|found| told(&found, &sources, shell))?;
    let drafts = drafts(&cases, &manifest).or_else(|found| told(&found, &sources, shell))?;
    let drafts = select(drafts, &args, &manifest)?;
    if args.list {
        drafts.iter().try_for_each(|draft| shell.result(&draft.case.name))?;
        return Ok(Exit::Ok);
    }
    let pipelines: Vec<_> = drafts.iter().map(|draft| &draft.pipeline).collect();
    let components = Components::of(&pipelines, &args.cargo, &mut sources, shell)?;
    let schedules = schedules(&args);
    let mut plans = Vec::new();
    let mut found = Diagnostics::default();
    for draft in drafts {
        match draft.plan(&components, args.bless, &mut sources) {
            Ok(plan) => plans.push(plan.under(schedules)),
            Err(wrong) => found.extend(wrong),
        }
    }
    if !found.is_empty() {
        return told(&found, &sources, shell);
    }
    if let Schedules::Several { first, count } = schedules {
        let last = first.wrapping_add(u64::from(count - 1));
        let runs = if count == 1 { "schedule" } else { "schedules" };
        shell.status("Trying", format_args!("{count} {runs} of each case, of seeds {first} to {last}"))?;
    }
    run(&plans, &args, &sources, shell)
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

/// The pipelines of all cases, or all that is wrong with them.
fn drafts<'a>(cases: &'a [Case], manifest: &Manifest) -> Result<Vec<Draft<'a>>, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut drafts = Vec::new();
    for case in cases {
        match Draft::new(case, manifest) {
            Ok(draft) => drafts.push(draft),
            Err(wrong) => found.extend(wrong),
        }
    }
    if found.is_empty() { Ok(drafts) } else { Err(found) }
}

/// Those that the arguments select.
///
/// # Errors
///
/// A [`Stop`] where that is none.
fn select<'a>(drafts: Vec<Draft<'a>>, args: &TestArgs, manifest: &Manifest) -> Result<Vec<Draft<'a>>, Stop> {
    let manifest = manifest.path.display();
    let none = |message: String| Stop::new(Exit::NothingSelected, message);
    if drafts.is_empty() {
        let help = "write one: [[test]] with a `name`, an `input` and what to `expect`";
        return Err(none(format!("there is no case in `{manifest}` and in `tests` beside it")).help(help));
    }
    let all = drafts.len();
    let is_named = |name: &str| {
        let matches = |filter: &String| if args.exact { name == filter } else { name.contains(filter.as_str()) };
        args.filters.is_empty() || args.filters.iter().any(matches)
    };
    let runs = |draft: &Draft<'_>| args.package.is_empty() || args.package.iter().any(|package| draft.runs(package));
    let selected: Vec<_> = drafts.into_iter().filter(|draft| is_named(&draft.case.name) && runs(draft)).collect();
    if selected.is_empty() {
        let all = if all == 1 { "the 1 case".to_string() } else { format!("the {all} cases") };
        return Err(none(format!("none of {all} is selected")).help("`cargo torvyn test --list` lists them"));
    }
    Ok(selected)
}

fn run(plans: &[Plan<'_>], args: &TestArgs, sources: &Sources, shell: &mut Shell) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::watch()?;
    let began = Instant::now();
    let mut tally = Tally { selected: plans.len(), ..Tally::default() };
    let mut outcomes = Vec::new();
    let cases = if plans.len() == 1 { "case" } else { "cases" };
    shell.status("Testing", format_args!("{} {cases}", plans.len()))?;
    run_all(plans, threads(&args.cargo), !args.no_fail_fast, &interrupt.flag(), |plan, outcome| {
        tally.add(&outcome);
        match args.message_format {
            MessageFormat::Human => say(plan.case, &outcome, sources, shell)?,
            MessageFormat::Json => {
                shell.result(serde_json::to_string(&CaseLine::new(plan.case, &outcome, sources))?)?;
            }
        }
        outcomes.push((plan.case, outcome));
        Ok(())
    })?;
    let took = began.elapsed();
    if let Some(path) = &args.junit {
        junit::write(path, &outcomes, plans, took, sources)?;
    }
    if args.message_format == MessageFormat::Json {
        shell.result(serde_json::to_string(&Summary::new(tally, took))?)?;
    }
    let summary = format!("{tally}, in {}", report::time(ns(took)));
    if tally.failed > 0 {
        shell.failure("Summary", summary)?;
    } else {
        shell.status("Summary", summary)?;
    }
    Ok(match interrupt.exit() {
        Some(exit) => exit,
        None if tally.failed > 0 => Exit::Findings,
        None => Exit::Ok,
    })
}

/// How many cases run at a time: as many as cargo would run jobs.
fn threads(args: &CargoArgs) -> usize {
    let asked = args.jobs.as_ref().and_then(|jobs| jobs.parse::<NonZeroUsize>().ok());
    asked.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

fn say(case: &Case, outcome: &Outcome, sources: &Sources, shell: &mut Shell) -> anyhow::Result<()> {
    let line = format!("{:>9}  {}", report::time(ns(outcome.time)), case.name);
    if outcome.interrupted {
        shell.status("Stopped", line)?;
        return Ok(());
    }
    let bless = |shell: &mut Shell| {
        let mut paths = outcome.blessed.iter();
        paths.try_for_each(|path| shell.status("Blessed", format_args!("`{}`", path.display())))
    };
    if outcome.found.is_empty() {
        shell.status("Pass", line)?;
        bless(shell)?;
        return Ok(());
    }
    shell.failure("Fail", line)?;
    bless(shell)?;
    shell.diagnostics(&outcome.found, sources)?;
    shell.log(&outcome.log, outcome.log_before)?;
    shell.space()?;
    Ok(())
}
