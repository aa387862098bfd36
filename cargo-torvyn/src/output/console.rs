//! Stderr, behind a thread: who does not read it holds up neither a flow nor its end. What stages print has a bounded room
//! there, and is dropped where that is full; what the program says is waited for, unless nobody reads it and nobody
//! could be sitting before it. The progress bar is drawn by the same thread.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::output::bar::Drawn;

/// Bytes of what a stage prints that wait to be written, beside one line of any length.
const LOG_BYTES: usize = 256 << 10;
/// Bytes that are written at once, so that it shows whether anybody reads.
const WRITE_BYTES: usize = 4096;
/// How long nothing has to be read before nobody is taken to read. Not of a terminal: a person can stop it and go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked for something to do.
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
    /// Entries that came, and entries that were written or given up.
    came: u64,
    done: u64,
    /// Bytes of each stage that wait, and its lines that were dropped.
    logs: HashMap<String, Log>,
    bar: Option<Drawn>,
    /// When something was written last, or there was nothing to write.
    moved: Option<Instant>,
    /// A flow runs, or ran: nothing that is said may hold up its end.
    is_bounded: bool,
    /// Nobody reads.
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

    /// Says something, and waits until it is written.
    pub(crate) fn say(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        self.push(&mut state, Entry { bytes, stage: None });
        let mine = state.came;
        self.wait(state, mine);
    }

    /// What a stage printed, a line with its end. Waits for nobody: it is dropped where too much of the stage waits.
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

    /// Lines of the stage that were dropped since this was asked last.
    pub(crate) fn dropped(&self, stage: &str) -> u64 {
        self.state().logs.get_mut(stage).map_or(0, |log| std::mem::take(&mut log.dropped))
    }

    /// Nothing that is said from now on holds the program up, where nobody reads it.
    pub(crate) fn hurry(&self) {
        self.state().is_bounded = !io::stderr().is_terminal();
    }

    /// Draws a bar from now on, in the place of the one before, or takes it away.
    pub(crate) fn draw(&self, bar: Option<Drawn>) {
        let mut state = self.state();
        state.bar = bar;
        self.start(&mut state);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, as long as somebody reads.
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
            // Without it nothing can be said, and that is all.
            state.is_gone |= thread.spawn(move || console.write()).is_err();
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

    /// What the thread does.
    fn write(&self) {
        let mut bar = None;
        loop {
            let mut state = self.state();
            if state.waiting.is_empty() {
                let look = if state.bar.is_some() { Drawn::REFRESH } else { Duration::from_secs(3600) };
                state = self.0.changed.wait_timeout(state, look).unwrap_or_else(PoisonError::into_inner).0;
            }
            let (entries, drawn) = (std::mem::take(&mut state.waiting), state.bar.clone());
            drop(state);
            Drawn::exchange(&mut bar, drawn);
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

/// Writes some bytes to stderr, not through the lock that the standard library has for it: who is waited for while that is
/// held holds up whoever else would write.
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
