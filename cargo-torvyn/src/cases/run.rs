//! One run of a case: a flow of its own, and what came of it held against what is expected.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use torvyn_runtime::pipeline::injection::Injection;
use torvyn_runtime::stage::log::LogSink;
use torvyn_runtime::{Account, Clock, Control, Error, Flow};

use crate::cases::case::fault::CaseFault;
use crate::cases::compare::capture::{Capture, Log};
use crate::cases::compare::dead_letters::Letters;
use crate::cases::compare::expectation::Expectation;
use crate::cases::plan::blessing::Decision;
use crate::cases::plan::schedules::schedule;
use crate::cases::plan::{Collectors, Plan, output_name};
use crate::cases::run::ends::Ends;
use crate::cases::run::failure::Failure;
use crate::cases::run::speed::Speed;
use crate::fs::atomic_file;
use crate::output::diagnostic::{Diagnostics, Severity, Sources};
use crate::output::failure::FailureRecord;
use crate::output::{self, codes};
use crate::run::run_pipeline::named;

pub(crate) mod ends;
pub(crate) mod failure;
#[cfg(test)]
mod invariant;
pub(crate) mod runner;
pub(crate) mod speed;

/// What came of a case.
#[derive(Clone, Default)]
pub(crate) struct Outcome {
    /// What is not as expected.
    pub(crate) found: Diagnostics,
    /// How the flow failed, where it did, expected or not.
    pub(crate) failure: Option<FailureRecord>,
    /// The account of the flow, where it came to its end.
    pub(crate) account: Option<Account>,
    /// What stages printed last, each line with its stage.
    pub(crate) log: Vec<(String, String)>,
    /// Lines that they printed before that.
    pub(crate) log_before: u64,
    /// The files of expected elements that were written anew.
    pub(crate) blessed: Vec<PathBuf>,
    /// The seed of the schedule it ran under, if it was one: of several the first that it failed under, or the last.
    pub(crate) seed: Option<u64>,
    /// What stages drew random numbers from, in that run.
    pub(crate) random_seed: u64,
    /// From before the first stage was started until everything was judged, under all schedules.
    pub(crate) time: Duration,
    /// Whether a signal ended it.
    pub(crate) interrupted: bool,
    /// How long an element took, where that was compared.
    pub(crate) speed: Option<Speed>,
    /// What came of it before, each time it failed and was to be tried again.
    pub(crate) failed: Vec<Outcome>,
}

impl Outcome {
    /// Whether it is as expected.
    pub(crate) fn passed(&self) -> bool {
        !self.interrupted && self.found.is_empty()
    }

    /// Which try it was, from 1.
    pub(crate) fn attempt(&self) -> usize {
        self.failed.len() + 1
    }

    /// Whether it is as expected only now.
    pub(crate) fn is_flaky(&self) -> bool {
        self.passed() && !self.failed.is_empty()
    }
}

/// What came of a flow, however it ended.
struct Came<'a> {
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
    /// Runs it under each of its schedules, until it fails under one or is interrupted.
    pub(crate) fn run(&self, ends: Ends<'_>) -> Outcome {
        let mut seeds = self.schedules.seeds(self.case);
        let mut outcome = self.run_under(seeds.next().flatten(), ends);
        for seed in seeds {
            if outcome.interrupted || !outcome.found.is_empty() {
                break;
            }
            let (time, mut blessed) = (outcome.time, outcome.blessed);
            outcome = self.run_under(seed, ends);
            outcome.time += time;
            blessed.append(&mut outcome.blessed);
            outcome.blessed = blessed;
        }
        if let Some(first) = outcome.found.first_mut() {
            self.schedules.tell(self.case, outcome.seed, first);
            if outcome.seed.is_none() && self.draws() {
                let seed = outcome.random_seed;
                first.notes.push(format!("stages drew random numbers of seed {seed}; `--seed N` gives them others"));
            }
        }
        outcome
    }

    fn run_under(&self, seed: Option<u64>, ends: Ends<'_>) -> Outcome {
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
                ..self.control(log.sink(), ends, began)
            };
            let (end, collectors) = self.flow(control, &faults, began);
            self.judge(end, &Came { collectors, letters, faults }, &mut outcome);
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

    /// What its stages suffer in one run.
    pub(crate) fn injections(&self) -> Vec<Injection> {
        self.case.faults.iter().map(CaseFault::injection).collect()
    }

    /// What a flow of it is given, besides its nodes. It is over when the time of the case is, which began then.
    pub(crate) fn control(&self, log: LogSink, ends: Ends<'_>, began: Instant) -> Control {
        let clock = Clock::virtual_from(self.case.clock);
        let (cancel, cut) = (ends.cancel.clone(), ends.cut.clone().at(began + self.case.timeout));
        let random_seed = Some(self.case.random_seed());
        Control { log, cancel, cut, pool: self.pool.clone(), clock, random_seed, ..Control::default() }
    }

    fn flow(&self, control: Control, faults: &[Injection], began: Instant) -> (End, Collectors<'_>) {
        let failed = |error: anyhow::Error| End::Failure(Box::new(Failure::of(&error)));
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
                // It has no place in the manifest: what it is read from may be of the case.
                failed(named(error, &self.wiring, &self.pipeline, &Sources::default()))
            }
            Err(error) => failed(error.into()),
        };
        (end, collectors)
    }

    fn judge(&self, end: End, came: &Came<'_>, outcome: &mut Outcome) {
        let case = self.case;
        if let End::Failure(failure) = &end {
            outcome.failure = Some(failure.record.clone());
        }
        match (end, &case.fails) {
            (End::TimedOut, _) => _ = outcome.found.push(case.timed_out()),
            (End::Interrupted, _) => outcome.interrupted = true,
            (End::Failure(failure), Some(expected)) if failure.is(expected) => {
                self.judge_elements(came, outcome);
                self.judge_faults(came, None, outcome);
            }
            (End::Failure(failure), _) => _ = outcome.found.push(failure.told(case)),
            (End::Account(account), _) if account.cancelled => outcome.interrupted = true,
            (End::Account(account), Some(expected)) => {
                outcome.found.push(expected.missing(case.file()));
                self.judge_faults(came, Some(&account), outcome);
                outcome.account = Some(*account);
            }
            (End::Account(account), None) => {
                self.judge_elements(came, outcome);
                outcome.found.extend(case.account.judge(case.file(), &account));
                self.judge_faults(came, Some(&account), outcome);
                let over = self.measured_over_budget(&account);
                outcome.found.extend(over.filter(|over| over.severity == Severity::Error));
                outcome.account = Some(*account);
            }
        }
    }

    /// Holds what came out, and what was left as dead letters, against what is expected.
    fn judge_elements(&self, came: &Came<'_>, outcome: &mut Outcome) {
        let file = self.case.file();
        let mut nth = 0..;
        for (node, wanted) in &self.outputs {
            let Some((_, collector)) = came.collectors.iter().find(|(name, _)| name == node) else { continue };
            let collected = collector.collected();
            outcome.found.extend(wanted.judge(&format!("`{}`", output_name(node)), file, &collected));
            self.bless(wanted, &collected, nth.next().unwrap_or_default(), outcome);
        }
        for wanted in &self.letters {
            outcome.found.extend(wanted.judge(file, &came.letters));
            let nth = nth.next().unwrap_or_default();
            wanted.with_collected(&came.letters, |collected| self.bless(&wanted.elements, collected, nth, outcome));
        }
    }

    /// Writes the file of expected elements anew, where that is asked for. It is that of expectation number `nth`.
    fn bless(&self, wanted: &Expectation, collected: &Capture, nth: usize, outcome: &mut Outcome) {
        let Some((path, bytes, is_new)) = wanted.blessed(collected) else { return };
        let failed = match self.blessing.offer(path, &self.case.name, nth, &bytes) {
            Decision::Write if is_new => match self.write_expected(path, &bytes) {
                Ok(()) => {
                    outcome.blessed.push(path.to_path_buf());
                    return;
                }
                Err(message) => self.case.wrong(codes::UNEXPECTED_FAILURE, message),
            },
            Decision::Write | Decision::Wait => return,
            Decision::Differs(other) => {
                let message =
                    format!("`{}` is expected of case `{other}` too, which gave other elements", path.display());
                let diagnostic = self.case.wrong(codes::UNEXPECTED_OUTPUT, message);
                diagnostic.note("nothing is written into it").help("give one of the two cases a file of its own")
            }
        };
        outcome.found.push(failed);
    }

    /// Writes it, unless it is a file that is read.
    fn write_expected(&self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        let mut uses = (*self.reads).clone();
        uses.write("expected elements", path);
        if let Some(conflict) = uses.conflicts().find(|conflict| conflict.is_for("expected elements")) {
            return Err(conflict.message());
        }
        atomic_file::write(path, bytes).map_err(|error| format!("`{}` cannot be written: {error}", path.display()))
    }

    /// Tells of faults that never came.
    fn judge_faults(&self, came: &Came<'_>, account: Option<&Account>, outcome: &mut Outcome) {
        let faults = self.case.faults.iter().zip(self.suffering()).zip(&came.faults);
        let never = faults.filter(|(_, injection)| injection.happened() == 0);
        let told = never.map(|((fault, stage), _)| fault.never_came(stage, self.case.file(), account));
        outcome.found.extend(told);
    }

    /// What it can copy beyond its budgets, unless just that is expected.
    fn refused(&self) -> Diagnostics {
        let told = self.over_budget.iter().map(|found| format!("{}: {}", found.code, found.message));
        let causes: Vec<_> = told.collect();
        let record = FailureRecord::new(output::failure::OVER_BUDGET, causes.first().cloned().unwrap_or_default());
        let failure = Failure { stage: None, causes, is_ours: false, record };
        match &self.case.fails {
            Some(expected) if failure.is(expected) => Diagnostics::default(),
            _ => self.over_budget.clone(),
        }
    }
}
