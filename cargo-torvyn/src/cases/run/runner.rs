//! Runs many cases on several threads, each in a flow of its own, and reports them in their order. Cases with a `speed` are
//! compared last, one at a time, while nothing else of ours runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use torvyn_runtime::Cut;

use crate::cases::case::speed::ExpectedSpeed;
use crate::cases::plan::Plan;
use crate::cases::run::Outcome;
use crate::cases::run::cancellation::Cancellation;
use crate::cases::run::speed::Compared;

/// Runs cases.
pub(crate) struct Runner {
    /// How many cases run at a time.
    pub(crate) threads: usize,
    /// Whether to start no more cases after a failure.
    pub(crate) fail_fast: bool,
    /// How often a failed case is retried.
    pub(crate) retries: usize,
    /// Set to start no more cases.
    pub(crate) cancel: Arc<AtomicBool>,
    /// Due when running cases must stop at once.
    pub(crate) cut: Cut,
}

impl Runner {
    /// Runs the cases and calls `on_outcome` for each in their order, those with a `speed` last. `others` are cases that are
    /// only compared with.
    ///
    /// # Errors
    ///
    /// The error of `on_outcome`, which ends the session.
    pub(crate) fn run<'a, 'c>(
        &self,
        plans: &'a [Plan<'c>],
        others: &'a [Plan<'c>],
        mut on_outcome: impl FnMut(&'a Plan<'c>, Outcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut to_compare, mut any_failed) = (Vec::new(), false);
        self.run_concurrently(plans, |plan, outcome| match &plan.case.speed {
            Some(speed) if outcome.passed() => {
                to_compare.push((plan, speed, outcome));
                Ok(())
            }
            _ => {
                any_failed |= !outcome.passed();
                on_outcome(plan, outcome)
            }
        })?;
        for (plan, speed, outcome) in to_compare {
            if self.cancel.load(Ordering::Relaxed) || self.fail_fast && any_failed {
                break;
            }
            let other =
                plans.iter().chain(others).find(|other| Some(other.case.name.as_str()) == plan.case.compared_with());
            let Some(other) = other else { continue };
            let outcome = self.compare(plan, speed, other, outcome);
            any_failed |= !outcome.passed();
            on_outcome(plan, outcome)?;
        }
        Ok(())
    }

    fn cancellation(&self) -> Cancellation<'_> {
        Cancellation { cancel: &self.cancel, cut: &self.cut }
    }

    fn run_concurrently<'a, 'c>(
        &self,
        plans: &'a [Plan<'c>],
        mut on_outcome: impl FnMut(&'a Plan<'c>, Outcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let work = |sender: mpsc::Sender<(usize, Outcome)>| {
            while !stop.load(Ordering::Relaxed) && !self.cancel.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(plan) = plans.get(index) else { break };
                let outcome = self.run_with_retries(Vec::new(), || plan.run(self.cancellation()));
                if self.fail_fast && !outcome.passed() {
                    stop.store(true, Ordering::Relaxed);
                }
                if sender.send((index, outcome)).is_err() {
                    break;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.min(plans.len()) {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            let (mut early, mut next) = (BTreeMap::new(), 0);
            for (index, outcome) in receiver {
                early.insert(index, outcome);
                while let Some(outcome) = early.remove(&next) {
                    on_outcome(&plans[next], outcome).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                    next += 1;
                }
            }
            Ok(())
        })
    }

    /// Runs until the case passes or there are no more retries.
    fn run_with_retries(&self, mut failed: Vec<Outcome>, mut run: impl FnMut() -> Outcome) -> Outcome {
        loop {
            let outcome = run();
            let again = !outcome.passed() && failed.len() < self.retries && !self.cancel.load(Ordering::Relaxed);
            if !again {
                return Outcome { failed, ..outcome };
            }
            failed.push(outcome);
        }
    }

    /// Compares the speed of a case that has passed otherwise.
    fn compare(&self, plan: &Plan<'_>, expected: &ExpectedSpeed, other: &Plan<'_>, mut before: Outcome) -> Outcome {
        let failed = std::mem::take(&mut before.failed);
        self.run_with_retries(failed, || {
            let mut outcome = before.clone();
            match plan.compare(expected, other, self.cancellation()) {
                Compared::Measured(speed) => {
                    outcome.found.extend(speed.judge(plan.case, expected));
                    outcome.speed = Some(speed);
                }
                Compared::Unmeasured(wrong) => _ = outcome.found.push(wrong),
                Compared::Interrupted => outcome.interrupted = true,
            }
            outcome
        })
    }
}
