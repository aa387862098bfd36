//! The runs of many cases: on several threads, each case in a flow of its own, and told in their order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::plan::Plan;
use super::run::Outcome;

/// Runs the cases, `threads` at a time, and calls `finished` with what came of each, in their order. With `fail_fast` none
/// begins after one has failed, and none does once `cancel` is set.
///
/// # Errors
///
/// What `finished` returns, which ends the session.
pub(crate) fn run_all<'a, 'c>(
    plans: &'a [Plan<'c>],
    threads: usize,
    fail_fast: bool,
    cancel: &Arc<AtomicBool>,
    mut finished: impl FnMut(&'a Plan<'c>, Outcome) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    let work = |sender: mpsc::Sender<(usize, Outcome)>| {
        while !stop.load(Ordering::Relaxed) && !cancel.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(plan) = plans.get(index) else { break };
            let outcome = plan.run(cancel);
            if fail_fast && !outcome.found.is_empty() {
                stop.store(true, Ordering::Relaxed);
            }
            if sender.send((index, outcome)).is_err() {
                break;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.min(plans.len()) {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        let (mut early, mut told) = (BTreeMap::new(), 0);
        for (index, outcome) in receiver {
            early.insert(index, outcome);
            while let Some(outcome) = early.remove(&told) {
                finished(&plans[told], outcome).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                told += 1;
            }
        }
        Ok(())
    })
}
