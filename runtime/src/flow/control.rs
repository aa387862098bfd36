//! What a running flow shares with its caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::clock::Clock;
use crate::base::cut::Cut;
use crate::flow::DeadLetters;
use crate::ledger::Recorder;
use crate::payload::PoolSettings;
use crate::stage::log::LogSink;

/// What a running flow shares with its caller.
#[derive(Clone)]
pub struct Control {
    /// Receives what stages print.
    pub log: LogSink,
    /// Set to end the flow early: sources are not called again, and the elements in the flow are finished.
    pub cancel: Arc<AtomicBool>,
    /// Ends the flow at once, even while stages and endpoints are busy. The elements in the flow are lost, and the run report
    /// counts them.
    pub cut: Cut,
    /// How far the flow has come.
    pub progress: Arc<Progress>,
    /// How much payload memory is kept for reuse.
    pub pool: PoolSettings,
    /// Receives the records of copies, calls and hand-offs.
    pub recorder: Recorder,
    /// Receives the elements that stages failed on, if their policy keeps these as dead letters.
    pub dead_letters: DeadLetters,
    /// The clock that the flow and its stages use.
    pub clock: Clock,
    /// Which of the nodes that can run is called next.
    pub schedule: Schedule,
    /// The seed of the random numbers that stages draw, so that they repeat. `None` for the seed of the schedule; if the
    /// schedule has no seed either, the system's random numbers are used.
    pub random_seed: Option<u64>,
}

impl Control {
    /// The seed of the random numbers that stages draw; `None` if they come from the system.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.random_seed.or(self.schedule.seed())
    }

    /// Whether everything is called on the thread of the driver, so that a run can be repeated and each record is in its call:
    /// if the schedule has a seed, the clock is virtual, or the flow is recorded.
    pub fn runs_on_one_thread(&self) -> bool {
        self.schedule.seed().is_some() || self.clock.is_virtual() || self.recorder.is_on()
    }
}

impl Default for Control {
    /// Discards what stages print, and records nothing.
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

/// Which of the nodes that can run is called next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schedule {
    /// The node nearest to the end of the pipeline, with as many elements as it can take.
    #[default]
    Downstream,
    /// A random node, with a random part of what it can take, and after a pause of random length up to the usual one. With a
    /// [virtual clock](Clock::virtual_from), the same seed gives the same run. It also seeds the random numbers that stages
    /// draw.
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

/// How far a flow has come; updated once per batch.
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
