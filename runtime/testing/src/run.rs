//! What came of a run, and what is heard of it while it goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use torvyn_runtime::base::clock::Clock;
use torvyn_runtime::flow;
use torvyn_runtime::flow::account::{Account, StageAccount};
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::{Control, Schedule};

use crate::Element;
use crate::ends::copied;
use crate::error::{Log, causes};

/// What came of a run that came to its end.
#[derive(Debug)]
pub struct Run {
    pub(crate) outputs: Vec<Vec<Element>>,
    pub(crate) account: Account,
    pub(crate) log: Log,
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) clock: Clock,
}

/// An element that a stage failed at for good, where its policy is to keep those.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The stage.
    pub stage: String,
    /// What it was given.
    pub element: Element,
    /// How it failed the last time, with all causes.
    pub reason: String,
    /// How often it was given the element, from 1.
    pub attempt: u32,
}

impl Run {
    /// What came from an output, in order; [`Pipeline`](crate::Pipeline) says how they are numbered.
    ///
    /// # Panics
    ///
    /// Where there is no such output.
    #[track_caller]
    pub fn output(&self, index: usize) -> &[Element] {
        let there = self.outputs.len();
        self.outputs.get(index).unwrap_or_else(|| panic!("there is no output {index}: the run has {there}"))
    }

    /// What went through each part, and was copied there.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What went through a stage, and was copied there.
    ///
    /// # Panics
    ///
    /// Where there is no such stage.
    #[track_caller]
    pub fn stage(&self, name: &str) -> &StageAccount {
        self.find(name).unwrap_or_else(|| self.no_stage(name))
    }

    /// What a stage printed, on standard output or error, a line each.
    ///
    /// # Panics
    ///
    /// Where there is no such stage.
    #[track_caller]
    pub fn log(&self, stage: &str) -> Vec<&str> {
        if self.find(stage).is_none() {
            self.no_stage(stage);
        }
        self.log.of(stage).collect()
    }

    /// The elements that stages failed at for good, in the order in which they did.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }

    /// The clock that it went by, as it is now: of a virtual one, how late it was at the end.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn find(&self, name: &str) -> Option<&StageAccount> {
        self.account.stages.iter().find(|stage| stage.name == name)
    }

    #[track_caller]
    fn no_stage(&self, name: &str) -> ! {
        let names: Vec<_> = self.account.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
        panic!("there is no stage `{name}`: the run has {}", names.join(", "))
    }
}

/// Takes what stages print, and the elements that they fail at for good.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    log: Log,
    dead_letters: Vec<DeadLetter>,
}

impl Listener {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn heard(&self) -> (Log, Vec<DeadLetter>) {
        let Heard { log, dead_letters } = std::mem::take(&mut *self.lock());
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
                let (stage, element) = (stage.to_string(), copied(element)?);
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
