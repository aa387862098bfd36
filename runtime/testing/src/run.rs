//! [`Run`]: the result of a run. [`Listener`]: collects log lines and dead letters during the run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use torvyn_runtime::base::clock::Clock;
use torvyn_runtime::flow;
use torvyn_runtime::flow::account::{Account, StageAccount};
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::{Control, Schedule};

use crate::Element;
use crate::ends;
use crate::error::{Log, causes};

/// The result of a successful run.
#[derive(Debug)]
pub struct Run {
    pub(crate) outputs: Vec<Vec<Element>>,
    pub(crate) account: Account,
    pub(crate) log: Log,
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) clock: Clock,
}

/// An element that a stage failed on, with all retries, and whose policy keeps such elements.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The stage.
    pub stage: String,
    /// The element that it was lent.
    pub element: Element,
    /// The last failure, with all causes.
    pub reason: String,
    /// The number of attempts, from 1.
    pub attempt: u32,
}

impl Run {
    /// The elements of an output, in order. [`Pipeline`](crate::Pipeline) says how outputs are numbered.
    ///
    /// # Panics
    ///
    /// If there is no such output.
    #[track_caller]
    pub fn output(&self, index: usize) -> &[Element] {
        let count = self.outputs.len();
        self.outputs.get(index).unwrap_or_else(|| panic!("no output {index}: the run has {count}"))
    }

    /// The run report: elements and copies of each node.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The run report of a stage.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[track_caller]
    pub fn stage(&self, name: &str) -> &StageAccount {
        self.find(name).unwrap_or_else(|| self.no_stage(name))
    }

    /// The lines that a stage printed on standard output and standard error.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[track_caller]
    pub fn log(&self, stage: &str) -> Vec<&str> {
        if self.find(stage).is_none() {
            self.no_stage(stage);
        }
        self.log.of(stage).collect()
    }

    /// The dead letters of all stages, in the order in which they occurred.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }

    /// The clock of the run. A virtual clock shows the time at the end of the run.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn find(&self, name: &str) -> Option<&StageAccount> {
        self.account.stages.iter().find(|stage| stage.name == name)
    }

    #[track_caller]
    fn no_stage(&self, name: &str) -> ! {
        let names: Vec<_> = self.account.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
        panic!("no stage `{name}`: the run has {}", names.join(", "))
    }
}

/// Collects the lines that stages print, and dead letters.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<Mutex<Collected>>);

#[derive(Default)]
struct Collected {
    log: Log,
    dead_letters: Vec<DeadLetter>,
}

impl Listener {
    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> (Log, Vec<DeadLetter>) {
        let Collected { log, dead_letters } = std::mem::take(&mut *self.lock());
        (log, dead_letters)
    }

    pub(crate) fn control(&self, clock: Clock, schedule: Schedule, pool: PoolSettings) -> Control {
        let (prints, fails) = (self.clone(), self.clone());
        Control {
            log: Arc::new(move |line| {
                let text = String::from_utf8_lossy(line.text).into_owned();
                prints.lock().log.0.push((line.stage.to_string(), text));
            }),
            dead_letters: Arc::new(move |letter| {
                let flow::DeadLetter { stage, element, error, attempt, .. } = letter;
                let (stage, element) = (stage.to_string(), ends::copy(element.into())?);
                let reason = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
                fails.lock().dead_letters.push(DeadLetter { stage, element, reason, attempt });
                Ok(())
            }),
            clock,
            schedule,
            pool,
            ..Control::default()
        }
    }
}
