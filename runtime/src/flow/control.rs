//! What a flow shares with its caller while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::clock::Clock;
use crate::base::cut::Cut;
use crate::flow::DeadLetters;
use crate::ledger::Recorder;
use crate::payload::PoolSettings;
use crate::stage::log::LogSink;

/// What a flow shares with its caller while it runs.
#[derive(Clone)]
pub struct Control {
    /// Takes what stages print.
    pub log: LogSink,
    /// Set to end the flow early: sources are asked no more, and what is on its way is finished.
    pub cancel: Arc<AtomicBool>,
    /// Ends it at once, whatever stages and endpoints do: what is on its way is lost then, and the account says how much.
    pub cut: Cut,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// How much payload memory is kept for reuse.
    pub pool: PoolSettings,
    /// Takes the records of what happens, where they are wanted.
    pub recorder: Recorder,
    /// Takes the elements that stages failed at, where their policy is to keep them.
    pub dead_letters: DeadLetters,
    /// The time that the flow and its stages go by.
    pub clock: Clock,
    /// Which of the nodes that can move does.
    pub schedule: Schedule,
    /// What stages draw random numbers from, so that they are the same every time. None for that of the schedule, or for
    /// those of the system where that has none.
    pub random_seed: Option<u64>,
}

impl Control {
    /// What stages draw random numbers from, where they are to be the same every time.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.random_seed.or(self.schedule.seed())
    }
}

impl Default for Control {
    /// Nobody listens, and nothing is recorded.
    fn default() -> Control {
        Control {
            log: Arc::new(|_| {}),
            cancel: Arc::default(),
            cut: Cut::default(),
            progress: Arc::default(),
            pool: PoolSettings::default(),
            recorder: Recorder::off(),
            dead_letters: Arc::new(|_| Ok(())),
            clock: Clock::system(),
            schedule: Schedule::default(),
            random_seed: None,
        }
    }
}

/// Which of the nodes that can move does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schedule {
    /// The one nearest to the end, with as much as it can take.
    #[default]
    Downstream,
    /// Any, with any part of what it can take, and after a pause of any length up to the usual one: by a
    /// [clock](Clock::virtual_from) of its own the same for the same seed. So are the random numbers that stages draw.
    Seeded(u64),
}

impl Schedule {
    pub(crate) fn seed(self) -> Option<u64> {
        match self {
            Schedule::Downstream => None,
            Schedule::Seeded(seed) => Some(seed),
        }
    }
}

/// How far a flow is; written once a batch.
#[derive(Debug, Default)]
pub struct Progress {
    /// Elements that came from the sources.
    pub elements: AtomicU64,
    /// Their payload bytes.
    pub bytes: AtomicU64,
}

impl Progress {
    pub(crate) fn add(&self, elements: u64, bytes: u64) {
        self.elements.fetch_add(elements, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
