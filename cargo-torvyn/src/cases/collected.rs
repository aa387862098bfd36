//! What comes of a case: the output of a flow that keeps elements for comparison, and what stages print.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use torvyn_runtime::endpoint;
use torvyn_runtime::payload::Pool;
use torvyn_runtime::payload::element::Element;
use torvyn_runtime::stage::log::LogSink;

use super::element::Entry;
use super::metadata;
use super::search::Search;
use super::wanted::Wanted;

/// Lines of a log that are kept to be shown.
const KEPT_LINES: usize = 100;

/// Elements that came out, as far as they are needed.
#[derive(Default)]
pub(super) struct Collected {
    /// All that came.
    pub(super) count: u64,
    /// The first of them.
    pub(super) kept: Vec<Entry>,
    /// How many are kept at most.
    most: usize,
    /// How many bytes of each are.
    most_bytes: usize,
    /// What is looked for in all of them.
    pub(super) search: Search,
}

impl Collected {
    /// Keeps what is needed to tell whether it is what is wanted; of what nobody wants anything, the number.
    pub(super) fn new(wanted: Option<&Wanted>) -> Collected {
        let Some(wanted) = wanted else { return Collected::default() };
        let (most, most_bytes) = wanted.kept();
        Collected { most, most_bytes, search: wanted.search(), ..Collected::default() }
    }

    /// Takes an element that came, whole or as far as it is needed.
    pub(super) fn add(&mut self, mut element: Entry) {
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
            let size = element.payload.len();
            let is_searched = collected.search.is_on();
            if collected.kept.len() >= collected.most && !is_searched {
                collected.count += 1;
                continue;
            }
            let needed = if is_searched { size } else { size.min(collected.most_bytes) };
            let bytes = element.payload.slice(0, needed).unwrap_or_default().to_vec(&self.pool)?;
            collected.add(Entry { bytes, size: size as u64, metadata: metadata::of(element) });
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
pub(super) struct Log(Arc<Mutex<Printed>>);

#[derive(Default)]
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
            printed.collected.add(Entry::plain(line.text.to_vec()));
            if printed.lines.len() == KEPT_LINES {
                printed.lines.pop_front();
                printed.before += 1;
            }
            printed.lines.push_back((line.stage.to_string(), String::from_utf8_lossy(line.text).into_owned()));
        })
    }
}
