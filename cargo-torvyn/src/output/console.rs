//! Writes stderr on a thread of its own, so that a slow or missing reader delays neither a flow nor its end. Log lines of
//! stages wait in a bounded buffer and are dropped when it is full. Messages of the program block until they are written,
//! unless nobody reads stderr and it is not a terminal. The same thread draws the progress bar.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::output::bar::Drawn;

/// Bytes of a stage's log lines that may wait to be written; a single line may be longer.
const LOG_BYTES: usize = 256 << 10;
/// Bytes per write, small enough to notice whether anybody reads.
const WRITE_BYTES: usize = 4096;
/// After this time without progress, stderr counts as unread. Not a terminal: a person can pause it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The polling interval.
const LOOK: Duration = Duration::from_millis(50);

/// Stderr.
#[derive(Clone, Default)]
pub(crate) struct Console(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// Entries added, and entries written or given up.
    came: u64,
    done: u64,
    /// The waiting bytes and dropped lines of each stage.
    logs: HashMap<String, Log>,
    bar: Option<Drawn>,
    /// The last time when something was written, or when there was nothing to write.
    moved: Option<Instant>,
    /// Set once a flow runs: no message may delay its end.
    is_bounded: bool,
    /// Nobody reads stderr.
    is_gone: bool,
    has_thread: bool,
}

#[derive(Default)]
struct Log {
    waiting: usize,
    dropped: u64,
}

struct Entry {
    bytes: Vec<u8>,
    stage: Option<String>,
}

impl Console {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints bytes and waits until they are written.
    pub(crate) fn print(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        self.push(&mut state, Entry { bytes, stage: None });
        let mine = state.came;
        self.wait(state, mine);
    }

    /// Prints a log line of a stage, with its line end. Never blocks: drops the line if too many bytes of the stage wait.
    pub(crate) fn log(&self, stage: &str, line: Vec<u8>) {
        let mut state = self.state();
        let is_gone = state.is_gone;
        let log = match state.logs.get_mut(stage) {
            Some(log) => log,
            None => state.logs.entry(stage.to_string()).or_default(),
        };
        if is_gone || log.waiting > 0 && log.waiting + line.len() > LOG_BYTES {
            log.dropped += 1;
            return;
        }
        log.waiting += line.len();
        self.push(&mut state, Entry { bytes: line, stage: Some(stage.to_string()) });
    }

    /// Takes the number of the stage's lines that were dropped since the last call.
    pub(crate) fn take_dropped(&self, stage: &str) -> u64 {
        self.state().logs.get_mut(stage).map_or(0, |log| std::mem::take(&mut log.dropped))
    }

    /// From now on, gives up on a stderr that nobody reads, unless it is a terminal.
    pub(crate) fn bound_waits(&self) {
        self.state().is_bounded = !io::stderr().is_terminal();
    }

    /// Draws this bar from now on instead of the previous one; none removes it.
    pub(crate) fn draw(&self, bar: Option<Drawn>) {
        let mut state = self.state();
        state.bar = bar;
        self.start(&mut state);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written or stderr is given up.
    pub(crate) fn finish(&self) {
        let state = self.state();
        let all = state.came;
        self.wait(state, all);
    }

    fn push(&self, state: &mut State, entry: Entry) {
        if state.waiting.is_empty() && state.came == state.done {
            state.moved = Some(Instant::now());
        }
        state.came += 1;
        state.waiting.push_back(entry);
        self.start(state);
        self.0.changed.notify_all();
    }

    fn start(&self, state: &mut State) {
        if !std::mem::replace(&mut state.has_thread, true) {
            let console = self.clone();
            let thread = thread::Builder::new().name("torvyn-stderr".to_string());
            // Without the thread nothing can be printed; that is no reason to fail.
            state.is_gone |= thread.spawn(move || console.run_writer()).is_err();
        }
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>, until: u64) {
        while state.done < until && !state.is_gone {
            state = self.0.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            if state.is_bounded && state.moved.is_some_and(|moved| moved.elapsed() > PATIENCE) {
                state.is_gone = true;
            }
        }
    }

    /// The loop of the thread.
    fn run_writer(&self) {
        let mut bar = None;
        loop {
            let mut state = self.state();
            if state.waiting.is_empty() {
                let look = if state.bar.is_some() { Drawn::REFRESH } else { Duration::from_secs(3600) };
                state = self.0.changed.wait_timeout(state, look).unwrap_or_else(PoisonError::into_inner).0;
            }
            let (entries, drawn) = (std::mem::take(&mut state.waiting), state.bar.clone());
            drop(state);
            Drawn::replace(&mut bar, drawn);
            if !entries.is_empty() {
                let write = || entries.into_iter().for_each(|entry| self.write_entry(entry));
                match &bar {
                    Some(bar) => bar.suspend(write),
                    None => write(),
                }
            }
            if let Some(bar) = &bar {
                bar.draw();
            }
        }
    }

    fn write_entry(&self, entry: Entry) {
        let mut left = &entry.bytes[..];
        while !left.is_empty() && !self.state().is_gone {
            let written = write_some(left);
            let mut state = self.state();
            match written {
                Ok(written) => {
                    left = &left[written..];
                    state.moved = Some(Instant::now());
                }
                Err(_) => state.is_gone = true,
            }
        }
        let mut state = self.state();
        state.done += 1;
        if let Some(log) = entry.stage.and_then(|stage| state.logs.get_mut(&stage)) {
            log.waiting -= entry.bytes.len();
            log.dropped += u64::from(!left.is_empty());
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

/// Writes some bytes to stderr without the lock of the standard library: a blocked write must not block other writers.
fn write_some(bytes: &[u8]) -> io::Result<usize> {
    let stderr = io::stderr();
    match rustix::io::write(stderr.as_fd(), &bytes[..bytes.len().min(WRITE_BYTES)]) {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        Err(Errno::INTR) => Ok(0),
        Err(Errno::AGAIN) => {
            let look = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
            poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&look)).ok();
            Ok(0)
        }
        written => Ok(written?),
    }
}
