//! Runs a case in a flow of its own, and compares the result with what is expected.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use torvyn_runtime::pipeline::injection::Injection;
use torvyn_runtime::stage::log::LogSink;
use torvyn_runtime::{Account, Clock, Control, Error, Flow};

use crate::cases::case::fault::CaseFault;
use crate::cases::compare::capture::{Capture, Log};
use crate::cases::compare::dead_letters::Letters;
use crate::cases::compare::expectation::Expectation;
use crate::cases::plan::blessed_files::Decision;
use crate::cases::plan::schedules::schedule;
use crate::cases::plan::{Collectors, Plan, output_name};
use crate::cases::run::cancellation::Cancellation;
use crate::cases::run::failure::Failure;
use crate::cases::run::speed::Speed;
use crate::fs::atomic_file;
use crate::output::diagnostic::{Diagnostics, Severity, Sources};
use crate::output::failure::FailureRecord;
use crate::output::{self, codes};
use crate::run::run_pipeline::add_endpoint_context;

pub(crate) mod cancellation;
pub(crate) mod failure;
#[cfg(test)]
mod invariant;
pub(crate) mod runner;
pub(crate) mod speed;

/// The outcome of a case.
#[derive(Clone, Default)]
pub(crate) struct Outcome {
    /// The differences from what is expected.
    pub(crate) found: Diagnostics,
    /// The failure of the flow, if it failed, expected or not.
    pub(crate) failure: Option<FailureRecord>,
    /// The account of the flow, if it ran to its end.
    pub(crate) account: Option<Account>,
    /// The last lines that stages printed, each with its stage.
    pub(crate) log: Vec<(String, String)>,
    /// The number of lines before those.
    pub(crate) log_before: u64,
    /// The files of expected elements that were updated.
    pub(crate) blessed: Vec<PathBuf>,
    /// The seed of its schedule, if it had one; of several the first that it failed with, or the last.
    pub(crate) seed: Option<u64>,
    /// The seed of the random numbers in that run.
    pub(crate) random_seed: u64,
    /// From before the first stage started until the comparison ended, for all schedules.
    pub(crate) time: Duration,
    /// Whether a signal stopped it.
    pub(crate) interrupted: bool,
    /// The measured speed, if it was compared.
    pub(crate) speed: Option<Speed>,
    /// Results of the attempts before, which failed and were retried.
    pub(crate) failed: Vec<Outcome>,
}

impl Outcome {
    /// Whether the case passed.
    pub(crate) fn passed(&self) -> bool {
        !self.interrupted && self.found.is_empty()
    }

    /// The number of the attempt, from 1.
    pub(crate) fn attempt(&self) -> usize {
        self.failed.len() + 1
    }

    /// Whether it passed only after failed attempts.
    pub(crate) fn is_flaky(&self) -> bool {
        self.passed() && !self.failed.is_empty()
    }
}

/// What was captured from a flow, however it ended.
struct Captured<'a> {
    collectors: Collectors<'a>,
    letters: Letters,
    faults: Vec<Injection>,
}

/// How a flow ended.
enum End {
    Account(Box<Account>),
    Failure(Box<Failure>),
    TimedOut,
    Interrupted,
}

impl Plan<'_> {
    /// Runs the case under each of its schedules, until it fails or is interrupted.
    pub(crate) fn run(&self, cancellation: Cancellation<'_>) -> Outcome {
        let mut seeds = self.schedules.seeds(self.case);
        let mut outcome = self.run_under(seeds.next().flatten(), cancellation);
        for seed in seeds {
            if outcome.interrupted || !outcome.found.is_empty() {
                break;
            }
            let (time, mut blessed) = (outcome.time, outcome.blessed);
            outcome = self.run_under(seed, cancellation);
            outcome.time += time;
            blessed.append(&mut outcome.blessed);
            outcome.blessed = blessed;
        }
        if let Some(first) = outcome.found.first_mut() {
            self.schedules.add_rerun_help(self.case, outcome.seed, first);
            if outcome.seed.is_none() && self.draws_random_numbers() {
                let seed = outcome.random_seed;
                first.notes.push(format!("stages drew random numbers from seed {seed}; `--seed N` sets another"));
            }
        }
        outcome
    }

    fn run_under(&self, seed: Option<u64>, cancellation: Cancellation<'_>) -> Outcome {
        let began = Instant::now();
        let log = Log::new(self.log.as_ref().map(Expectation::capture).unwrap_or_default());
        let letters = Letters::new(&self.letters);
        let faults = self.injections();
        let random_seed = seed.unwrap_or_else(|| self.case.random_seed());
        let mut outcome = Outcome { seed, random_seed, ..Outcome::default() };
        if self.over_budget.is_empty() {
            let control = Control {
                dead_letters: letters.sink(),
                schedule: schedule(seed),
                random_seed: Some(random_seed),
                ..self.control(log.sink(), cancellation, began)
            };
            let (end, collectors) = self.flow(control, &faults, began);
            self.judge(end, &Captured { collectors, letters, faults }, &mut outcome);
            if let Some(wanted) = self.log.as_ref().filter(|_| !outcome.interrupted) {
                outcome.found.extend(wanted.judge("the log", self.case.file(), &log.printed().collected));
            }
        } else {
            outcome.found.extend(self.refused());
        }
        let mut printed = log.printed();
        outcome.log_before = printed.before;
        outcome.log = printed.lines.drain(..).collect();
        outcome.time = began.elapsed();
        outcome
    }

    /// The injections for one run.
    pub(crate) fn injections(&self) -> Vec<Injection> {
        self.case.faults.iter().map(CaseFault::injection).collect()
    }

    /// The control of a flow. The flow is cut off when the timeout of the case, counted from `began`, is over.
    pub(crate) fn control(&self, log: LogSink, cancellation: Cancellation<'_>, began: Instant) -> Control {
        let clock = Clock::virtual_from(self.case.clock);
        let (cancel, cut) = (cancellation.cancel.clone(), cancellation.cut.clone().at(began + self.case.timeout));
        let random_seed = Some(self.case.random_seed());
        Control { log, cancel, cut, pool: self.pool.clone(), clock, random_seed, ..Control::default() }
    }

    fn flow(&self, control: Control, faults: &[Injection], began: Instant) -> (End, Collectors<'_>) {
        let failed = |error: anyhow::Error| End::Failure(Box::new(Failure::from_error(&error)));
        let (bodies, collectors) = match self.bodies(faults, true) {
            Ok(bodies) => bodies,
            Err(error) => return (failed(error), Vec::new()),
        };
        let flow = Flow::start(&self.wiring.graph, bodies, control);
        let end = match flow.and_then(|flow| flow.run_until(began + self.case.timeout)) {
            Ok(Some(account)) => End::Account(Box::new(account)),
            Ok(None) => End::TimedOut,
            Err(error) if error.is_cut_off() && Instant::now() >= began + self.case.timeout => End::TimedOut,
            Err(error) if error.is_cut_off() || matches!(error, Error::Cancelled) => End::Interrupted,
            Err(error @ Error::Input { .. }) => {
                // No place in the manifest: the input may be that of the case.
                failed(add_endpoint_context(error, &self.wiring, &self.pipeline, &Sources::default()))
            }
            Err(error) => failed(error.into()),
        };
        (end, collectors)
    }

    fn judge(&self, end: End, captured: &Captured<'_>, outcome: &mut Outcome) {
        let case = self.case;
        if let End::Failure(failure) = &end {
            outcome.failure = Some(failure.record.clone());
        }
        match (end, &case.fails) {
            (End::TimedOut, _) => _ = outcome.found.push(case.timed_out()),
            (End::Interrupted, _) => outcome.interrupted = true,
            (End::Failure(failure), Some(expected)) if failure.matches(expected) => {
                self.judge_elements(captured, outcome);
                self.judge_faults(captured, None, outcome);
            }
            (End::Failure(failure), _) => _ = outcome.found.push(failure.diagnostic(case)),
            (End::Account(account), _) if account.cancelled => outcome.interrupted = true,
            (End::Account(account), Some(expected)) => {
                outcome.found.push(expected.missing(case.file()));
                self.judge_faults(captured, Some(&account), outcome);
                outcome.account = Some(*account);
            }
            (End::Account(account), None) => {
                self.judge_elements(captured, outcome);
                outcome.found.extend(case.account.judge(case.file(), &account));
                self.judge_faults(captured, Some(&account), outcome);
                let over = self.measured_over_budget(&account);
                outcome.found.extend(over.into_iter().filter(|over| over.severity == Severity::Error));
                outcome.account = Some(*account);
            }
        }
    }

    /// Compares the outputs and the dead letters with what is expected.
    fn judge_elements(&self, captured: &Captured<'_>, outcome: &mut Outcome) {
        let file = self.case.file();
        let mut nth = 0..;
        for (node, wanted) in &self.outputs {
            let Some((_, collector)) = captured.collectors.iter().find(|(name, _)| name == node) else { continue };
            let collected = collector.collected();
            outcome.found.extend(wanted.judge(&format!("`{}`", output_name(node)), file, &collected));
            self.bless(wanted, &collected, nth.next().unwrap_or_default(), outcome);
        }
        for wanted in &self.letters {
            outcome.found.extend(wanted.judge(file, &captured.letters));
            let nth = nth.next().unwrap_or_default();
            wanted.with_collected(&captured.letters, |collected| self.bless(&wanted.elements, collected, nth, outcome));
        }
    }

    /// Updates the file of expected elements, if asked for. `nth` is the number of the expectation.
    fn bless(&self, wanted: &Expectation, collected: &Capture, nth: usize, outcome: &mut Outcome) {
        let Some((path, bytes, is_new)) = wanted.blessed(collected) else { return };
        let not_updated = |message: String, help: &str| {
            let diagnostic = self.case.wrong(codes::UNEXPECTED_OUTPUT, message);
            diagnostic.note("the file is not updated").help(help)
        };
        let failed = match self.blessed_files.propose(path, &self.case.name, nth, &bytes) {
            Decision::Write if is_new => match self.write_expected(path, &bytes) {
                Ok(()) => {
                    outcome.blessed.push(path.to_path_buf());
                    return;
                }
                Err(message) => self.case.wrong(codes::UNEXPECTED_FAILURE, message),
            },
            Decision::Write | Decision::Wait => return,
            Decision::NotRun(_) if !is_new => return,
            Decision::NotRun(other) => not_updated(
                format!("case `{other}` expects `{}` too, and does not run", path.display()),
                "select both cases, or give one of the two a file of its own",
            ),
            Decision::Differs(other) => not_updated(
                format!("case `{other}` expects `{}` too, and produced other elements", path.display()),
                "give one of the two cases a file of its own",
            ),
        };
        outcome.found.push(failed);
    }

    /// Writes the file, unless it is one that is read.
    fn write_expected(&self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        let mut uses = (*self.protected).clone();
        uses.write("expected elements", path);
        if let Some(conflict) = uses.conflicts().find(|conflict| conflict.is_for("expected elements")) {
            return Err(conflict.message());
        }
        atomic_file::write(path, bytes).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    }

    /// Reports faults whose elements were not reached.
    fn judge_faults(&self, captured: &Captured<'_>, account: Option<&Account>, outcome: &mut Outcome) {
        let faults = self.case.faults.iter().zip(self.faulted_stages()).zip(&captured.faults);
        let never = faults.filter(|(_, injection)| injection.count() == 0);
        let findings = never.map(|((fault, stage), _)| fault.not_reached(stage, self.case.file(), account));
        outcome.found.extend(findings);
    }

    /// Reports what exceeds its budgets, unless the case expects exactly that failure.
    fn refused(&self) -> Diagnostics {
        let messages = self.over_budget.iter().map(|found| format!("{}: {}", found.code, found.message));
        let causes: Vec<_> = messages.collect();
        let record = FailureRecord::new(output::failure::OVER_BUDGET, causes.first().cloned().unwrap_or_default());
        let failure = Failure { stage: None, causes, is_ours: false, record };
        match &self.case.fails {
            Some(expected) if failure.matches(expected) => Diagnostics::default(),
            _ => self.over_budget.clone(),
        }
    }
}
