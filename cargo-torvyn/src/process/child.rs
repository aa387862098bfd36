//! Child processes: cargo, rustup, git, stages of `bench`. A signal that ends this process also ends the children and their descendants. The
//! children stay in the terminal's process group, so that they can still ask for a passphrase.

use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// The running children. A child is removed before its process ID can be reused.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
/// Set after a signal: no new child starts.
static REFUSED: AtomicBool = AtomicBool::new(false);

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running child process.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: Option<Pid>,
}

/// Starts a child process.
///
/// # Errors
///
/// If it cannot be started, or after a signal.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Running> {
    let mut running = running();
    if REFUSED.load(Ordering::SeqCst) {
        return Err(io::Error::new(ErrorKind::Interrupted, "interrupted by a signal"));
    }
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    running.extend(pid);
    Ok(Running { child, pid })
}

/// Prevents new children, except for one that is just being started. Does not block.
pub(crate) fn refuse_to_start() {
    REFUSED.store(true, Ordering::SeqCst);
}

/// Runs a child process to completion.
///
/// # Errors
///
/// Like [`spawn`].
pub(crate) fn status(command: &mut Command) -> io::Result<ExitStatus> {
    spawn(command)?.wait()
}

/// Runs a child process to completion and captures its output.
///
/// # Errors
///
/// Like [`spawn`], and if the output cannot be read.
pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    let mut running = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (stdout, stderr) = (running.child.stdout.take(), running.child.stderr.take());
    let errors = thread::spawn(move || read(stderr));
    let stdout = read(stdout);
    let stderr = errors.join().unwrap_or_else(|_| Err(io::Error::other("the reader of its stderr panicked")));
    let status = running.wait()?;
    Ok(Output { status, stdout: stdout?, stderr: stderr? })
}

fn read(from: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.map_or(Ok(0), |mut from| from.read_to_end(&mut bytes)).map(|_| bytes)
}

impl Running {
    /// Takes its stdout, if that is a pipe.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Takes its stdin, if that is a pipe.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Takes its stderr, if that is a pipe.
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Kills the child, because nobody reads its output any more. It may have exited already.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
    }

    /// Waits until the child has exited. A signal ends the child too.
    ///
    /// # Errors
    ///
    /// If the system does not report the exit status.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.forget();
        self.child.wait()
    }

    /// Waits until the child has exited, without reaping it, and removes it from the running ones. Its process ID cannot be
    /// reused before it is reaped.
    fn forget(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), ended), Err(rustix::io::Errno::INTR)) {}
        running().retain(|other| *other != pid);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.pid.is_some() {
            self.kill();
            self.wait().ok();
        }
    }
}

/// Terminates all children and their descendants; with `hard`, kills them. Returns whether there are any. Does not block:
/// returns true while a child is being started.
pub(crate) fn end_all(hard: bool) -> bool {
    let running = match RUNNING.try_lock() {
        Ok(running) => running,
        Err(TryLockError::Poisoned(running)) => running.into_inner(),
        Err(TryLockError::WouldBlock) => return true,
    };
    let signal = if hard { Signal::KILL } else { Signal::TERM };
    for pid in running.iter() {
        // The child first, because it might restart descendants that end.
        let started = descendants(*pid);
        [*pid].into_iter().chain(started).for_each(|pid| _ = kill_process(pid, signal));
    }
    !running.is_empty()
}

/// All descendants of a process.
#[cfg(target_os = "linux")]
fn descendants(of: Pid) -> Vec<Pid> {
    let processes: Vec<(Pid, Pid)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses can contain anything; the state and the parent follow it.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((Pid::from_raw(pid)?, Pid::from_raw(parent)?))
        })
        .collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            processes
                .iter()
                .filter(|(pid, of)| *of == parent && !found.contains(pid))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        next += 1;
    }
    found.split_off(1)
}

#[cfg(not(target_os = "linux"))]
fn descendants(_: Pid) -> Vec<Pid> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// `end_all` would also end the children of another test.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn ends_children_with_their_descendants() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped());
        let mut shell = spawn(&mut shell).unwrap();
        let mut started = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(shell.stdout().unwrap()), &mut started).unwrap();
        let started = Pid::from_raw(started.trim().parse().unwrap()).unwrap();
        assert_eq!(descendants(shell.pid.unwrap()), [started]);
        assert!(end_all(false));
        assert!(!shell.wait().unwrap().success());
        let began = Instant::now();
        while rustix::process::test_kill_process(started).is_ok() && !is_zombie(started) {
            assert!(began.elapsed() < Duration::from_secs(5), "the descendant is still running");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!end_all(true), "the child is still listed");
    }

    fn is_zombie(pid: Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
    }

    #[test]
    fn reads_stdout_and_stderr_at_once() {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shell = Command::new("sh");
        shell.args(["-c", "head -c 200000 /dev/zero >&2; head -c 200000 /dev/zero; exit 3"]);
        let output = output(&mut shell).unwrap();
        assert_eq!((output.status.code(), output.stdout.len(), output.stderr.len()), (Some(3), 200_000, 200_000));
    }
}
