//! Signals: the first ends what is under way in order and within a time, the second ends the process.
//!
//! They are of the process, and so is what is kept here. A thread sleeps until the first signal has come. From then on it
//! ends the programs that were started (`child.rs`), cuts a flow off that takes too long, and at last ends the process,
//! whatever the other threads wait for. What programs read has its end even then: [`last_words`].

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

/// How long a flow has from the first signal until it has to be over, unless something else is said.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
/// How long what was cut off has to be tidied away and told, at most: a part of the drain.
const TIDY: Duration = Duration::from_secs(1);
/// How long a command without a flow has to end by itself.
const GRACE: Duration = Duration::from_secs(1);
/// How long programs that were started have to end, before they are ended the hard way.
const CHILDREN: Duration = Duration::from_secs(2);
/// How often is looked what there is to do after a signal.
const LOOK: Duration = Duration::from_millis(10);
/// How long the last words may take, at most. Those of a flow are the last part of its drain.
const LAST_WORDS: Duration = Duration::from_secs(1);
const LAST_WORDS_OF_FLOWS: Duration = Duration::from_millis(250);

/// What there is to end.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing: somebody is asked, or waited for.
    Nothing,
    /// A command, which ends by itself when the programs do that it has started.
    Command,
    /// Flows: they are cut off and have to be over so long after the signal.
    Flows { cut: Duration, over: Duration },
}

/// Says how the process ends, with the reason, by that moment.
type LastWords = Box<dyn FnOnce(Exit, &anyhow::Error, Instant) + Send>;

struct Signals {
    /// Set by the first.
    came: Arc<AtomicBool>,
    /// While it is set, a signal ends the process where it stands.
    armed: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    cut: Arc<AtomicBool>,
    phase: Mutex<Phase>,
    /// Removed where the process ends before whoever made them can do that.
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

/// Watches from now on.
///
/// # Errors
///
/// Where the system refuses.
pub(crate) fn watch() -> anyhow::Result<()> {
    register().context("could not watch for signals")
}

fn register() -> io::Result<()> {
    let signals = signals();
    let (wake, woken) = UnixStream::pair()?;
    for exit in [Exit::Interrupted, Exit::Terminated, Exit::HungUp] {
        let signal = number(exit);
        if signal == SIGHUP && is_ignored(SIGHUP) {
            // By `nohup`, whose point that is.
            continue;
        }
        // In this order: the first signal finds the flag unset and sets it. The second finds it set, unless the thread
        // below has taken it upon itself to end the process.
        flag::register_conditional_shutdown(signal, i32::from(exit as u8), signals.armed.clone())?;
        flag::register_usize(signal, signals.signal.clone(), signal as usize)?;
        flag::register(signal, signals.came.clone())?;
        flag::register(signal, signals.armed.clone())?;
        low_level::pipe::register(signal, wake.try_clone()?)?;
    }
    // A file that may not grow any more is an error of the write, not the end of the process.
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

/// Whether whoever started the process has it ignore a signal, as far as the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & 1 << (signal - 1) != 0
}

/// Waits for the first signal, and sees to it that the process ends. Nothing here waits for another thread.
fn end_in_time(mut woken: UnixStream) {
    if woken.read(&mut [0]).is_err() {
        return;
    }
    child::refuse_to_start();
    let (began, signals) = (Instant::now(), signals());
    // A second signal wakes this thread too, which ends the process. Were it gone, the signal would.
    let wakes = woken.set_read_timeout(Some(LOOK)).is_ok();
    signals.armed.store(!wakes, Ordering::SeqCst);
    let (mut phase, mut hard) = (*locked(&signals.phase), false);
    loop {
        let now = *locked(&signals.phase);
        // A flow that is over leaves its time to what is told of it.
        if !matches!((phase, now), (Phase::Flows { .. }, _)) {
            phase = now;
        }
        let since = began.elapsed();
        hard |= since >= CHILDREN;
        let children = child::end_all(hard);
        let over = match phase {
            Phase::Nothing => true,
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
            end("what was under way did not end in time", last_words);
        }
        if !wakes {
            thread::sleep(LOOK);
        } else if woken.read(&mut [0]).is_ok() {
            end("a second signal came before what was under way had ended", LAST_WORDS);
        }
    }
}

/// Ends the process, after the last words. A thread says them: nothing that they wait for is waited for here.
fn end(why: &'static str, time: Duration) -> ! {
    let (signals, until) = (signals(), Instant::now() + time);
    let last_words = signals.last_words.try_lock().ok().and_then(|mut words| words.take());
    let (said, is_said) = mpsc::channel::<()>();
    let say = last_words.zip(exit()).map(|(say, exit)| {
        move || {
            say(exit, &anyhow!(why).context(interrupted(exit)), until);
            drop(said);
        }
    });
    if let Some(say) = say
        && thread::Builder::new().name("torvyn-last".to_string()).spawn(say).is_ok()
    {
        is_said.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    }
    locked(&signals.folders).iter().for_each(|folder| _ = fs::remove_dir_all(folder));
    low_level::exit(i32::from(exit().unwrap_or(Exit::Terminated) as u8))
}

/// Has this said where the process ends before the command does.
pub(crate) fn last_words(say: impl FnOnce(Exit, &anyhow::Error, Instant) + Send + 'static) {
    *locked(&signals().last_words) = Some(Box::new(say));
}

/// How the process is to end, if a signal has come.
pub(crate) fn exit() -> Option<Exit> {
    // The flag is set after the number.
    signals().came.load(Ordering::SeqCst).then(|| match signals().signal.load(Ordering::SeqCst) as i32 {
        SIGHUP => Exit::HungUp,
        SIGTERM => Exit::Terminated,
        _ => Exit::Interrupted,
    })
}

/// Set once the first signal has come.
pub(crate) fn came() -> Arc<AtomicBool> {
    signals().came.clone()
}

/// Goes on only where no signal has come.
///
/// # Errors
///
/// A [`Stop`] where one has.
pub(crate) fn check() -> Result<(), Stop> {
    exit().map_or(Ok(()), |exit| Err(interrupted(exit)))
}

/// Why a command does not go on.
fn interrupted(exit: Exit) -> Stop {
    let signal = match exit {
        Exit::HungUp => "SIGHUP",
        Exit::Terminated => "SIGTERM",
        _ => "SIGINT",
    };
    Stop::new(exit, format!("interrupted by {signal}"))
}

/// Waits this long, or until a signal has come.
///
/// # Errors
///
/// A [`Stop`] where one has.
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

/// While it lasts, a signal ends the process at once: nothing is under way.
pub(crate) fn nothing_to_end() -> During {
    During::new(Phase::Nothing)
}

/// While it lasts, flows run.
///
/// # Errors
///
/// A [`Stop`] where a signal has come already.
pub(crate) fn flows(drain: Duration) -> Result<Flows, Stop> {
    check()?;
    let phase = Phase::Flows { cut: drain - TIDY.min(drain / 4), over: drain.max(TIDY) };
    Ok(Flows { _during: During::new(phase) })
}

/// As [`flows`], of flows whose results are of no use where they were interrupted.
///
/// # Errors
///
/// As [`flows`].
pub(crate) fn cases() -> Result<Flows, Stop> {
    check()?;
    Ok(Flows { _during: During::new(Phase::Flows { cut: Duration::ZERO, over: CHILDREN }) })
}

/// Has a folder removed where the process ends before whoever made it can do that.
pub(crate) fn remove_in_the_end(folder: &Path) {
    locked(&signals().folders).push(folder.to_path_buf());
}

/// Flows that run.
pub(crate) struct Flows {
    _during: During,
}

impl Flows {
    /// Set once the first signal has come.
    pub(crate) fn cancel(&self) -> Arc<AtomicBool> {
        came()
    }

    /// Is due when there is no more time.
    pub(crate) fn cut(&self) -> Cut {
        Cut::new(signals().cut.clone())
    }
}

/// A phase of the command. What was before comes after it.
pub(crate) struct During {
    before: Phase,
}

impl During {
    fn new(phase: Phase) -> During {
        During { before: std::mem::replace(&mut *locked(&signals().phase), phase) }
    }
}

impl Drop for During {
    fn drop(&mut self) {
        *locked(&signals().phase) = self.before;
    }
}
