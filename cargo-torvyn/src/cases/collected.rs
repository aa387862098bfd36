//! What comes of a case: the output of a flow that keeps elements for comparison, and what stages print.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use torvyn_runtime::element::Element;
use torvyn_runtime::endpoint;
use torvyn_runtime::log::LogSink;
use torvyn_runtime::payload::Pool;

use super::expected::Wanted;

/// Lines of a log that are kept to be shown.
const KEPT_LINES: usize = 100;

/// Elements that came out, as far as they are needed.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// All that came.
    pub(super) count: u64,
    /// The first of them.
    pub(super) kept: Vec<Vec<u8>>,
    /// How many are kept at most.
    most: usize,
    needles: Vec<Vec<u8>>,
    /// For each needle, whether an element contains it.
    pub(super) found: Vec<bool>,
}

impl Collected {
    /// Keeps what is needed to tell whether it is what is wanted; of what nobody wants anything, the number.
    pub(super) fn new(wanted: Option<&Wanted>) -> Collected {
        let Some(wanted) = wanted else { return Collected::default() };
        let needles = wanted.needles();
        Collected {
            most: wanted.kept().unwrap_or(usize::MAX),
            found: vec![false; needles.len()],
            needles,
            ..Collected::default()
        }
    }

    fn is_bytes_needed(&self) -> bool {
        self.kept.len() < self.most || self.found.contains(&false)
    }

    pub(super) fn add(&mut self, bytes: Vec<u8>) {
        self.count += 1;
        for (needle, found) in self.needles.iter().zip(&mut self.found) {
            *found |= needle.is_empty() || bytes.windows(needle.len()).any(|part| part == needle);
        }
        if self.kept.len() < self.most {
            self.kept.push(bytes);
        }
    }
}

/// The output of a flow that collects. Its clones collect together.
#[derive(Clone)]
pub(super) struct Collector {
    collected: Arc<Mutex<Collected>>,
    /// For what is not in memory, or not in one piece.
    pool: Pool,
}

impl Collector {
    pub(super) fn new(wanted: Option<&Wanted>) -> Collector {
        Collector { collected: Arc::new(Mutex::new(Collected::new(wanted))), pool: Pool::default() }
    }

    pub(super) fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl endpoint::Output for Collector {
    fn push(&mut self, elements: &[Element]) -> io::Result<()> {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        for element in elements {
            if !collected.is_bytes_needed() {
                collected.count += 1;
                continue;
            }
            collected.add(element.payload.to_vec(&self.pool)?);
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}

/// What the stages of a case printed.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Printed>>);

#[derive(Debug, Default)]
pub(super) struct Printed {
    /// The last lines, each with its stage.
    pub(super) lines: VecDeque<(String, String)>,
    /// How many lines came before them.
    pub(super) before: u64,
    /// What is compared with what the case expects.
    pub(super) collected: Collected,
}

impl Log {
    pub(super) fn new(wanted: Option<&Wanted>) -> Log {
        Log(Arc::new(Mutex::new(Printed { collected: Collected::new(wanted), ..Printed::default() })))
    }

    pub(super) fn printed(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what stages print.
    pub(super) fn sink(&self) -> LogSink {
        let log = self.clone();
        Arc::new(move |line| {
            let mut printed = log.printed();
            printed.collected.add(line.text.to_vec());
            if printed.lines.len() == KEPT_LINES {
                printed.lines.pop_front();
                printed.before += 1;
            }
            printed.lines.push_back((line.stage.to_string(), String::from_utf8_lossy(line.text).into_owned()));
        })
    }
}
