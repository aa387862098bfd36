//! The process that compiles, from both sides.
//!
//! The question, on standard input of the child: [`MAGIC`], a random number, the limits, and the component. The answer, on its
//! standard output: the number, a byte that says which, the length, and the machine code, or why there is none. Numbers are
//! 64-bit, least significant byte first.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::{MachineCode, new_engine};
use crate::error::CompileError;
use crate::pipeline::limits::Limits;

/// What a question begins with.
const MAGIC: &[u8; 16] = b"torvyn-compile-1";
/// The answers.
const MACHINE_CODE: u8 = 0;
const REFUSED: u8 = 1;
/// Bytes of an answer before what it says.
const ANSWER_HEADER: usize = 8 + 1 + 8;
/// How much longer than its processor time the child may take by the clock on the wall: another process may have the
/// processors.
const WALL_FACTOR: u32 = 4;
/// Bytes of memory that the child has besides what compiling takes: its threads, and the component.
const BASE_MEMORY: u64 = 64 << 20;
/// Bytes of a refusal that are kept.
const LONGEST_REFUSAL: usize = 4 << 10;

/// Starts this program again to compile a component, and reads what comes of it.
#[derive(Debug, Clone)]
pub struct Compiler {
    arguments: Vec<OsString>,
}

impl Compiler {
    /// The program that runs calls [`serve`], and nothing else, when it is started with these arguments.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Compiler {
        Compiler { arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// Compiles a component in a process of its own.
    pub(crate) fn compile(&self, component: &[u8], limits: &Limits) -> Result<MachineCode, CompileError> {
        let nonce = random()?;
        let mut child = self.start()?;
        let (Some(mut question), Some(mut answer)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(CompileError::Process("has no pipes".to_string()));
        };
        let child = Mutex::new(child);
        let (done, waiting) = mpsc::channel::<()>();
        let mut read = Vec::new();
        let most = limits.compile_memory.saturating_add(BASE_MEMORY);
        let timed_out = thread::scope(|scope| {
            let child = &child;
            let watchdog = scope.spawn(move || {
                let late = waiting.recv_timeout(limits.compile_time.saturating_mul(WALL_FACTOR))
                    == Err(mpsc::RecvTimeoutError::Timeout);
                // Also when it has answered: then it has nothing left to do.
                lock(child).kill().ok();
                late
            });
            // A child that ended early says why by its end.
            _ = ask(&mut question, nonce, component, limits);
            drop(question);
            _ = answer.by_ref().take(most).read_to_end(&mut read);
            drop(done);
            watchdog.join().unwrap_or(false)
        });
        let ended = lock(&child).wait().map_err(|error| CompileError::Process(format!("was lost: {error}")))?;
        match understand(&read, nonce) {
            Some((MACHINE_CODE, code)) => Ok(MachineCode::from_own_child(code.to_vec())),
            Some((_, why)) => Err(CompileError::Refused(String::from_utf8_lossy(why).into_owned())),
            None if timed_out => Err(CompileError::Time { limit: limits.compile_time }),
            None => Err(why_it_ended(ended, limits)),
        }
    }

    fn start(&self) -> Result<Child, CompileError> {
        // The file that this process was started from, even where another has taken its name since.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("cargo-torvyn").args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(|error| CompileError::Process(format!("could not be started: {error}")))
    }
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random() -> Result<u64, CompileError> {
    getrandom::u64().map_err(|error| CompileError::Process(format!("has no random number: {error}")))
}

fn ask(question: &mut impl Write, nonce: u64, component: &[u8], limits: &Limits) -> io::Result<()> {
    question.write_all(MAGIC)?;
    let seconds = limits.compile_time.as_secs().max(1);
    for number in [nonce, limits.compile_memory, seconds, component.len() as u64] {
        question.write_all(&number.to_le_bytes())?;
    }
    question.write_all(component)
}

/// Which answer it is, and what it says; `None` where it is not a whole answer to this question.
fn understand(answer: &[u8], nonce: u64) -> Option<(u8, &[u8])> {
    let (header, said) = answer.split_at_checked(ANSWER_HEADER)?;
    let number = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    (number(0)? == nonce && number(9)? == said.len() as u64).then_some((header[8], said))
}

/// What the end of a child says that did not answer.
fn why_it_ended(ended: ExitStatus, limits: &Limits) -> CompileError {
    match ended.signal().and_then(Signal::from_named_raw) {
        // An allocation that fails ends a program so.
        Some(Signal::ABORT) => CompileError::Memory { limit: limits.compile_memory },
        Some(Signal::XCPU) => CompileError::Time { limit: limits.compile_time },
        // The system has too little memory for the limit, or somebody killed it.
        Some(Signal::KILL) => CompileError::Process(format!(
            "was killed: the system may have less memory than the {} it was allowed, which `limits.compile-memory` sets",
            crate::base::text::format_bytes(limits.compile_memory)
        )),
        _ => CompileError::Process(format!("ended without an answer ({ended})")),
    }
}

/// What the child does: compiles the component of the question within its limits, and answers.
///
/// # Errors
///
/// Where standard input is no question, or the answer cannot be written. Nothing is said then.
pub fn serve() -> io::Result<()> {
    let mut question = io::stdin().lock();
    let mut magic = [0; MAGIC.len()];
    question.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no component to compile"));
    }
    let mut number = || -> io::Result<u64> {
        let mut bytes = [0; 8];
        question.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let (nonce, memory, seconds, len) = (number()?, number()?, number()?, number()?);
    confine(memory.saturating_add(BASE_MEMORY).saturating_add(len), seconds)?;
    let mut component = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
    question.take(len).read_to_end(&mut component)?;
    let compiled = new_engine()
        .map_err(|error| error.to_string())
        .and_then(|engine| MachineCode::compile(&engine, &component).map_err(|error| format!("{error:#}")));
    let (which, said) = match &compiled {
        Ok(code) => (MACHINE_CODE, code.as_bytes()),
        Err(why) => (REFUSED, &why.as_bytes()[..why.len().min(LONGEST_REFUSAL)]),
    };
    let mut answer = io::stdout().lock();
    answer.write_all(&nonce.to_le_bytes())?;
    answer.write_all(&[which])?;
    answer.write_all(&(said.len() as u64).to_le_bytes())?;
    answer.write_all(said)?;
    answer.flush()
}

/// Limits this process, for good.
fn confine(memory: u64, seconds: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let exactly = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // At the first of both the process is told which limit it was.
    let processor = Rlimit { current: Some(seconds), maximum: Some(seconds.saturating_add(5)) };
    // What it can write to, mapped or not: address space that is only reserved costs nothing.
    let kind = if cfg!(target_os = "linux") { Resource::Data } else { Resource::As };
    setrlimit(kind, exactly(memory))?;
    setrlimit(Resource::Cpu, processor)?;
    setrlimit(Resource::Core, exactly(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_and_of_this_question() {
        let mut answer = 7u64.to_le_bytes().to_vec();
        answer.push(MACHINE_CODE);
        answer.extend(3u64.to_le_bytes());
        answer.extend(b"abc");
        assert_eq!(understand(&answer, 7), Some((MACHINE_CODE, &b"abc"[..])));
        assert_eq!(understand(&answer, 8), None, "another question");
        for cut in 0..answer.len() {
            assert_eq!(understand(&answer[..cut], 7), None, "cut after {cut}");
        }
        answer.push(0);
        assert_eq!(understand(&answer, 7), None, "more than it announces");
    }

    #[test]
    fn an_end_says_why() {
        let limits = Limits::default();
        let why = |raw| why_it_ended(ExitStatus::from_raw(raw), &limits).to_string();
        assert!(why(Signal::ABORT.as_raw()).contains("`limits.compile-memory`"));
        assert!(why(Signal::XCPU.as_raw()).contains("`limits.compile-time`"));
        assert!(why(Signal::KILL.as_raw()).contains("was killed"));
        assert!(why(1 << 8).contains("exit status: 1"));
    }
}
