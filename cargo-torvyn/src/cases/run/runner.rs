//! The runs of many cases: on several threads, each case in a flow of its own, and told in their order. Those whose speed
//! is to be compared come last, one after another, when nothing else of ours runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use torvyn_runtime::Cut;

use crate::cases::case::speed::ExpectedSpeed;
use crate::cases::plan::Plan;
use crate::cases::run::Outcome;
use crate::cases::run::ends::Ends;
use crate::cases::run::speed::Compared;

/// How cases run.
pub(crate) struct Runner {
    /// So many at a time.
    pub(crate) threads: usize,
    /// None begins after one has failed.
    pub(crate) fail_fast: bool,
    /// How often one that fails is tried again.
    pub(crate) retries: usize,
    /// None begins once this is set.
    pub(crate) cancel: Arc<AtomicBool>,
    /// Cases that run are ended at once when it is due.
    pub(crate) cut: Cut,
}

impl Runner {
    /// Runs the cases and calls `told` with what came of each, in their order, those whose speed is compared last. `others`
    /// are cases that are not run, but compared with.
    ///
    /// # Errors
    ///
    /// What `told` returns, which ends the session.
    pub(crate) fn run<'a, 'c>(
        &self,
        plans: &'a [Plan<'c>],
        others: &'a [Plan<'c>],
        mut told: impl FnMut(&'a Plan<'c>, Outcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut to_compare, mut any_failed) = (Vec::new(), false);
        self.run_at_once(plans, |plan, outcome| match &plan.case.speed {
            Some(speed) if outcome.passed() => {
                to_compare.push((plan, speed, outcome));
                Ok(())
            }
            _ => {
                any_failed |= !outcome.passed();
                told(plan, outcome)
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
            told(plan, outcome)?;
        }
        Ok(())
    }

    fn ends(&self) -> Ends<'_> {
        Ends { cancel: &self.cancel, cut: &self.cut }
    }

    fn run_at_once<'a, 'c>(
        &self,
        plans: &'a [Plan<'c>],
        mut told: impl FnMut(&'a Plan<'c>, Outcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let work = |sender: mpsc::Sender<(usize, Outcome)>| {
            while !stop.load(Ordering::Relaxed) && !self.cancel.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(plan) = plans.get(index) else { break };
                let outcome = self.try_often(Vec::new(), || plan.run(self.ends()));
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
                    told(&plans[next], outcome).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                    next += 1;
                }
            }
            Ok(())
        })
    }

    /// Tries until it passes, or has failed often enough.
    fn try_often(&self, mut failed: Vec<Outcome>, mut run: impl FnMut() -> Outcome) -> Outcome {
        loop {
            let outcome = run();
            let again = !outcome.passed() && failed.len() < self.retries && !self.cancel.load(Ordering::Relaxed);
            if !again {
                return Outcome { failed, ..outcome };
            }
            failed.push(outcome);
        }
    }

    /// What came of a case that was as expected so far, with its speed.
    fn compare(&self, plan: &Plan<'_>, expected: &ExpectedSpeed, other: &Plan<'_>, mut before: Outcome) -> Outcome {
        let failed = std::mem::take(&mut before.failed);
        self.try_often(failed, || {
            let mut outcome = before.clone();
            match plan.compare(expected, other, self.ends()) {
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
