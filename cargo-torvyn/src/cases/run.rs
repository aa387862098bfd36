//! One run of a case: a flow of its own, and what came of it held against what is expected.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use torvyn_runtime::log::LogSink;
use torvyn_runtime::{Account, Control, Error, Flow};

use super::collected::Log;
use super::failure::Failure;
use super::plan::{Collectors, Plan, output_name};
use super::speed::Speed;
use crate::code;
use crate::diagnostic::{Diagnostics, Severity};
use crate::launch::named;
use crate::whole;

/// What came of a case.
#[derive(Clone, Default)]
pub(crate) struct Outcome {
    /// What is not as expected.
    pub(crate) found: Diagnostics,
    /// The account of the flow, where it came to its end.
    pub(crate) account: Option<Account>,
    /// What stages printed last, each line with its stage.
    pub(crate) log: Vec<(String, String)>,
    /// Lines that they printed before that.
    pub(crate) log_before: u64,
    /// The files of expected elements that were written anew.
    pub(crate) blessed: Vec<PathBuf>,
    /// From before the first stage was started until everything was judged.
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

/// How a flow ended.
enum End {
    Account(Box<Account>),
    Failure(Failure),
    TimedOut,
}

impl Plan<'_> {
    /// Runs it once, until `cancel` is set.
    pub(super) fn run(&self, cancel: &Arc<AtomicBool>) -> Outcome {
        let began = Instant::now();
        let log = Log::new(self.log.as_ref());
        let mut outcome = Outcome::default();
        if self.over_budget.is_empty() {
            let (end, collectors) = self.flow(self.control(log.sink(), cancel), began);
            self.judge(end, &collectors, &mut outcome);
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

    /// What a flow of it is given, besides its nodes.
    pub(super) fn control(&self, log: LogSink, cancel: &Arc<AtomicBool>) -> Control {
        Control { log, cancel: cancel.clone(), pool: self.pool.clone(), ..Control::default() }
    }

    fn flow(&self, control: Control, began: Instant) -> (End, Collectors<'_>) {
        let failed = |error: anyhow::Error| End::Failure(Failure::of(&error));
        let (bodies, collectors) = match self.bodies(true) {
            Ok(bodies) => bodies,
            Err(error) => return (failed(error), Vec::new()),
        };
        let flow = Flow::start(&self.wiring.graph, bodies, control);
        let end = match flow.and_then(|flow| flow.run_until(began + self.case.timeout)) {
            Ok(Some(account)) => End::Account(Box::new(account)),
            Ok(None) => End::TimedOut,
            Err(error @ Error::Input { .. }) => failed(named(error, &self.wiring, &self.pipeline)),
            Err(error) => failed(error.into()),
        };
        (end, collectors)
    }

    fn judge(&self, end: End, collectors: &Collectors<'_>, outcome: &mut Outcome) {
        let case = self.case;
        match (end, &case.fails) {
            (End::TimedOut, _) => _ = outcome.found.push(case.timed_out()),
            (End::Failure(failure), Some(expected)) if expected.is(&failure) => {}
            (End::Failure(failure), _) => _ = outcome.found.push(failure.told(case)),
            (End::Account(account), _) if account.cancelled => outcome.interrupted = true,
            (End::Account(account), Some(expected)) => {
                outcome.found.push(expected.missing(case));
                outcome.account = Some(*account);
            }
            (End::Account(account), None) => {
                for (node, wanted) in &self.outputs {
                    let Some((_, collector)) = collectors.iter().find(|(name, _)| name == node) else { continue };
                    let collected = collector.collected();
                    let what = format!("`{}`", output_name(node));
                    outcome.found.extend(wanted.judge(&what, case.file(), &collected));
                    if let Some((path, bytes)) = wanted.blessed(&collected) {
                        match whole::write(path, &bytes) {
                            Ok(()) => outcome.blessed.push(path.to_path_buf()),
                            Err(error) => {
                                let message = format!("`{}` cannot be written: {error}", path.display());
                                outcome.found.push(case.wrong(code::UNEXPECTED_FAILURE, message));
                            }
                        }
                    }
                }
                outcome.found.extend(case.account.judge(case.file(), &account));
                let over = self.measured_over_budget(&account);
                outcome.found.extend(over.filter(|over| over.severity == Severity::Error));
                outcome.account = Some(*account);
            }
        }
    }

    /// What it can copy beyond its budgets, unless just that is expected.
    fn refused(&self) -> Diagnostics {
        let told = self.over_budget.iter().map(|found| format!("{}: {}", found.code, found.message));
        let failure = Failure { stage: None, causes: told.collect(), is_ours: false };
        match &self.case.fails {
            Some(expected) if expected.is(&failure) => Diagnostics::default(),
            _ => self.over_budget.clone(),
        }
    }
}
