//! Captures what a case produces: the elements of an output, kept for comparison, and the lines that stages print.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use torvyn_runtime::endpoint;
use torvyn_runtime::payload::{Batch, Pool};
use torvyn_runtime::stage::log::LogSink;

use crate::cases::compare::element::Entry;
use crate::cases::compare::metadata;
use crate::cases::compare::search::Search;

/// The most lines of a log that are kept to be shown.
const KEPT_LINES: usize = 100;

/// The actual elements, as far as they are needed.
#[derive(Default)]
pub(crate) struct Capture {
    /// The number of all elements.
    pub(crate) count: u64,
    /// The first elements.
    pub(crate) kept: Vec<Entry>,
    /// The most elements to keep.
    most: usize,
    /// The most bytes to keep of each.
    most_bytes: usize,
    /// What to search for in all elements.
    pub(crate) search: Search,
}

impl Capture {
    /// Keeps at most this many elements, with at most this many bytes of each, and searches all of them.
    pub(crate) fn new((most, most_bytes): (usize, usize), search: Search) -> Capture {
        Capture { most, most_bytes, search, ..Capture::default() }
    }

    /// Adds an element, with at least the bytes that are needed.
    pub(crate) fn add(&mut self, mut element: Entry) {
        self.search.look_into(self.count, &element.bytes);
        self.count += 1;
        if self.kept.len() < self.most {
            if element.bytes.len() > self.most_bytes {
                element.bytes.truncate(self.most_bytes);
                element.bytes.shrink_to_fit();
            }
            self.kept.push(element);
        }
    }
}

/// The output of a flow that captures its elements. Clones share the capture.
#[derive(Clone)]
pub(crate) struct Collector {
    collected: Arc<Mutex<Capture>>,
    /// For payloads that are not in memory, or not in one piece.
    pool: Pool,
}

impl Collector {
    pub(crate) fn new(collected: Capture) -> Collector {
        Collector { collected: Arc::new(Mutex::new(collected)), pool: Pool::default() }
    }

    pub(crate) fn collected(&self) -> MutexGuard<'_, Capture> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl endpoint::Output for Collector {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        for element in batch.iter() {
            let size = element.len();
            let is_searched = collected.search.is_on();
            if collected.kept.len() >= collected.most && !is_searched {
                collected.count += 1;
                continue;
            }
            let needed = if is_searched { size } else { size.min(collected.most_bytes) };
            let bytes = element.slice(0, needed).unwrap_or_default().to_vec(&self.pool)?;
            collected.add(Entry { bytes, size: size as u64, metadata: metadata::from_element(element) });
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
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Printed>>);

#[derive(Default)]
pub(crate) struct Printed {
    /// The last lines, each with its stage.
    pub(crate) lines: VecDeque<(String, String)>,
    /// The number of lines before those.
    pub(crate) before: u64,
    /// The lines to compare with what the case expects.
    pub(crate) collected: Capture,
}

impl Log {
    pub(crate) fn new(collected: Capture) -> Log {
        Log(Arc::new(Mutex::new(Printed { collected, ..Printed::default() })))
    }

    pub(crate) fn printed(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sink for the lines of stages.
    pub(crate) fn sink(&self) -> LogSink {
        let log = self.clone();
        Arc::new(move |line| {
            let mut printed = log.printed();
            printed.collected.add(Entry::plain(line.text.to_vec()));
            if printed.lines.len() == KEPT_LINES {
                printed.lines.pop_front();
                printed.before += 1;
            }
            printed.lines.push_back((line.stage.to_string(), String::from_utf8_lossy(line.text).into_owned()));
        })
    }
}
