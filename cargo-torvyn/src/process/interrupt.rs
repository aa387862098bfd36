//! Signals: the first one stops the command in order within a time limit, the second one ends the process.
//!
//! Signals concern the whole process, so the state here is global. A thread sleeps until the first signal. Then it ends the
//! child processes (`child.rs`), cuts off a flow that takes too long, and finally ends the process, whatever the other threads
//! wait for. Even then, the machine-readable output ends as it should: [`set_last_words`].

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};
use torvyn_runtime::Cut;

use crate::exit::{Exit, Stop};
use crate::process::child;

/// The default time limit for a flow to end after the first signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// Time limit for cleanup and reporting after a cut-off; part of the drain.
const TIDY: Duration = Duration::from_secs(1);
/// Time limit for a command without a flow to end.
const GRACE: Duration = Duration::from_secs(1);
/// Time limit for child processes to end before they are killed.
const CHILDREN: Duration = Duration::from_secs(2);
/// Polling interval after a signal.
const LOOK: Duration = Duration::from_millis(10);
/// Time limits for the last words. For a flow, this time is part of its drain.
const LAST_WORDS: Duration = Duration::from_secs(1);
const LAST_WORDS_OF_FLOWS: Duration = Duration::from_millis(250);

/// What a signal has to stop.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing: the command waits for a person.
    Idle,
    /// A command, which ends when its child processes end.
    Command,
    /// Flows, which are cut off at `cut` and must be over at `over`, both measured from the signal.
    Flows { cut: Duration, over: Duration },
}

/// Reports the exit and its reason, before the given time.
type LastWords = Box<dyn FnOnce(Exit, &anyhow::Error, Instant) + Send>;

struct Signals {
    /// Set by the first signal.
    came: Arc<AtomicBool>,
    /// While set, a signal ends the process immediately.
    armed: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    cut: Arc<AtomicBool>,
    phase: Mutex<Phase>,
    /// Temporary folders to remove if the process ends before their owner removes them.
    folders: Mutex<Vec<PathBuf>>,
    last_words: Mutex<Option<LastWords>>,
}

fn signals() -> &'static Signals {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    SIGNALS.get_or_init(|| Signals {
        came: Arc::default(),
        armed: Arc::default(),
        signal: Arc::default(),
        cut: Arc::default(),
        phase: Mutex::new(Phase::Command),
        folders: Mutex::default(),
        last_words: Mutex::default(),
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the signal handlers.
///
/// # Errors
///
/// If the system rejects them.
pub(crate) fn watch() -> anyhow::Result<()> {
    register().context("could not install signal handlers")
}

fn register() -> io::Result<()> {
    let signals = signals();
    let (wake, woken) = UnixStream::pair()?;
    for exit in [Exit::Interrupted, Exit::Terminated, Exit::HungUp] {
        let signal = number(exit);
        if signal == SIGHUP && is_ignored(SIGHUP) {
            // `nohup` makes the process ignore SIGHUP; keep it so.
            continue;
        }
        // The order matters: the first signal finds the flag unset and sets it. The second finds it set, unless the thread
        // below has reset it because it ends the process itself.
        flag::register_conditional_shutdown(signal, i32::from(exit as u8), signals.armed.clone())?;
        flag::register_usize(signal, signals.signal.clone(), signal as usize)?;
        flag::register(signal, signals.came.clone())?;
        flag::register(signal, signals.armed.clone())?;
        low_level::pipe::register(signal, wake.try_clone()?)?;
    }
    // With a handler for SIGXFSZ, a write beyond the file size limit fails instead of ending the process.
    flag::register(SIGXFSZ, Arc::default())?;
    thread::Builder::new().name("torvyn-signals".to_string()).spawn(move || end_in_time(woken))?;
    Ok(())
}

fn number(exit: Exit) -> i32 {
    match exit {
        Exit::HungUp => SIGHUP,
        Exit::Terminated => SIGTERM,
        _ => SIGINT,
    }
}

/// Whether the process was started with a signal ignored, if the system can tell.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & 1 << (signal - 1) != 0
}

/// Waits for the first signal and then makes sure that the process ends. Never waits for another thread.
fn end_in_time(mut woken: UnixStream) {
    if woken.read(&mut [0]).is_err() {
        return;
    }
    child::refuse_to_start();
    let (began, signals) = (Instant::now(), signals());
    // A second signal also wakes this thread, which then ends the process. Without wake-ups, the signal itself does.
    let wakes = woken.set_read_timeout(Some(LOOK)).is_ok();
    signals.armed.store(!wakes, Ordering::SeqCst);
    let (mut phase, mut hard) = (*locked(&signals.phase), false);
    loop {
        let now = *locked(&signals.phase);
        // After a flow, its remaining time is available for its report.
        if !matches!((phase, now), (Phase::Flows { .. }, _)) {
            phase = now;
        }
        let since = began.elapsed();
        hard |= since >= CHILDREN;
        let children = child::end_all(hard);
        let over = match phase {
            Phase::Idle => true,
            Phase::Command if children => since >= CHILDREN + GRACE,
            Phase::Command => since >= GRACE,
            Phase::Flows { cut, over } => {
                if since >= cut {
                    signals.cut.store(true, Ordering::Relaxed);
                }
                since >= over - LAST_WORDS_OF_FLOWS
            }
        };
        if over {
            let last_words = if matches!(phase, Phase::Flows { .. }) { LAST_WORDS_OF_FLOWS } else { LAST_WORDS };
            end("the command did not end in time", last_words);
        }
        if !wakes {
            thread::sleep(LOOK);
        } else if woken.read(&mut [0]).is_ok() {
            end("a second signal came before the command had ended", LAST_WORDS);
        }
    }
}

/// Ends the process after the last words. They run on a thread of their own, so that they cannot block this one.
fn end(why: &'static str, time: Duration) -> ! {
    let (signals, until) = (signals(), Instant::now() + time);
    let last_words = signals.last_words.try_lock().ok().and_then(|mut words| words.take());
    let (done, is_done) = mpsc::channel::<()>();
    let report = last_words.zip(exit()).map(|(report, exit)| {
        move || {
            report(exit, &anyhow!(why).context(interrupted(exit)), until);
            drop(done);
        }
    });
    if let Some(report) = report
        && thread::Builder::new().name("torvyn-last".to_string()).spawn(report).is_ok()
    {
        is_done.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    }
    locked(&signals.folders).iter().for_each(|folder| _ = fs::remove_dir_all(folder));
    low_level::exit(i32::from(exit().unwrap_or(Exit::Terminated) as u8))
}

/// Sets what runs if the process ends before the command does.
pub(crate) fn set_last_words(report: impl FnOnce(Exit, &anyhow::Error, Instant) + Send + 'static) {
    *locked(&signals().last_words) = Some(Box::new(report));
}

/// The exit for the last signal, if there was one.
pub(crate) fn exit() -> Option<Exit> {
    // The handlers set the flag after the number.
    signals().came.load(Ordering::SeqCst).then(|| match signals().signal.load(Ordering::SeqCst) as i32 {
        SIGHUP => Exit::HungUp,
        SIGTERM => Exit::Terminated,
        _ => Exit::Interrupted,
    })
}

/// A flag that the first signal sets.
pub(crate) fn signal_flag() -> Arc<AtomicBool> {
    signals().came.clone()
}

/// Checks that there was no signal.
///
/// # Errors
///
/// A [`Stop`] after a signal.
pub(crate) fn check() -> Result<(), Stop> {
    exit().map_or(Ok(()), |exit| Err(interrupted(exit)))
}

/// The error of an interrupted command.
fn interrupted(exit: Exit) -> Stop {
    let signal = match exit {
        Exit::HungUp => "SIGHUP",
        Exit::Terminated => "SIGTERM",
        _ => "SIGINT",
    };
    Stop::new(exit, format!("interrupted by {signal}"))
}

/// Sleeps, until a signal at the latest.
///
/// # Errors
///
/// A [`Stop`] after a signal.
pub(crate) fn sleep(time: Duration) -> Result<(), Stop> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

/// While the guard lives, a signal ends the process immediately, because there is nothing to stop.
pub(crate) fn begin_idle() -> PhaseGuard {
    PhaseGuard::new(Phase::Idle)
}

/// While the guard lives, flows run.
///
/// # Errors
///
/// A [`Stop`] after a signal.
pub(crate) fn begin_flows(drain: Duration) -> Result<Flows, Stop> {
    check()?;
    let phase = Phase::Flows { cut: drain - TIDY.min(drain / 4), over: drain.max(TIDY) };
    Ok(Flows { _phase: PhaseGuard::new(phase) })
}

/// Like [`begin_flows`], for flows whose results are useless after an interruption: they are cut off immediately.
///
/// # Errors
///
/// Like [`begin_flows`].
pub(crate) fn begin_cases() -> Result<Flows, Stop> {
    check()?;
    Ok(Flows { _phase: PhaseGuard::new(Phase::Flows { cut: Duration::ZERO, over: CHILDREN }) })
}

/// Removes a folder if the process ends before the folder's owner removes it.
pub(crate) fn remove_on_exit(folder: &Path) {
    locked(&signals().folders).push(folder.to_path_buf());
}

/// The guard of running flows.
pub(crate) struct Flows {
    _phase: PhaseGuard,
}

impl Flows {
    /// A flag that the first signal sets.
    pub(crate) fn cancel(&self) -> Arc<AtomicBool> {
        signal_flag()
    }

    /// Cuts the flows off at the end of their time.
    pub(crate) fn cut(&self) -> Cut {
        Cut::new(signals().cut.clone())
    }
}

/// Sets the phase of the command, and restores the previous one when dropped.
pub(crate) struct PhaseGuard {
    before: Phase,
}

impl PhaseGuard {
    fn new(phase: Phase) -> PhaseGuard {
        PhaseGuard { before: std::mem::replace(&mut *locked(&signals().phase), phase) }
    }
}

impl Drop for PhaseGuard {
    fn drop(&mut self) {
        *locked(&signals().phase) = self.before;
    }
}
